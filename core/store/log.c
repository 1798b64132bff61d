/* The history as people read it. */
#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

/* How long a text is without the newlines at its end. */
static size_t trimmed(const char *s, size_t n)
{
	while (n && s[n - 1] == '\n')
		n--;
	return n;
}

/* Splits a message: its first line, and the rest without the trailer. */
static void split_message(
	struct kg_log_entry *e, struct kg_arena *a, const struct kg_commit_view *c)
{
	const char *m = c->message, *line;
	size_t n = trimmed(m, c->message_len), subject;

	if (c->has_revision && (line = memrchr(m, '\n', n)))
		n = trimmed(m, (size_t)(line - m));
	line = memchr(m, '\n', n);
	subject = line ? (size_t)(line - m) : n;
	e->subject = kg_arena_strndup(a, m, subject);
	while (subject < n && m[subject] == '\n')
		subject++;
	e->body = kg_arena_strndup(a, m + subject, n - subject);
}

static int read_entry(struct kg_log_entry *e, unsigned char parent[20], bool *more,
	struct kg_arena *a, const struct kg_reader *r, const unsigned char id[20],
	struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c = {.author = "", .message = ""};
	struct kg_view view = {0};
	int rc = kg_commit_read(&obj, &c, r, id, err);

	if (rc == 0)
		rc = kg_view_open(&view, r, id, err);
	if (rc < 0)
		return rc;
	*e = (struct kg_log_entry){.revision = view.revision, .time = view.time};
	kg_hex(e->commit, id, 20);
	memcpy(e->main, view.main_commit, sizeof(e->main));
	if (c.has_parent2)
		kg_hex(e->parent2, c.parent2, 20);
	e->author = kg_arena_strndup(a, c.author, c.author_len);
	split_message(e, a, &c);
	*more = c.has_parent && view.revision > 0;
	memcpy(parent, c.parent, 20);
	return 0;
}

int kg_store_log(struct kg_log_entry **out, size_t *n, struct kg_store *s, struct kg_arena *a,
	uint64_t from, size_t limit, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_log_entry *entries KG_AUTOFREE = NULL;
	size_t len = 0, cap = 0;
	uint64_t oldest = kg_store_oldest(s);
	struct kg_view head;
	unsigned char at[20];
	bool more = true;

	int rc = kg_store_head(&head, s, err);
	if (rc == 0)
		rc = kg_store_find_revision(
			at, s, from && from < head.revision ? from : head.revision, err);
	if (rc < 0)
		return rc;
	while (more && len < limit &&
		(len == 0 || (entries[len - 1].revision > oldest && kg_reader_has(&r, at)))) {
		unsigned char parent[20];

		KG_GROW(entries, cap, len + 1);
		rc = read_entry(&entries[len], parent, &more, a, &r, at, err);
		if (rc < 0)
			return rc;
		len++;
		memcpy(at, parent, 20);
	}
	*out = kg_arena_alloc(a, (len ? len : 1) * sizeof(**out));
	if (len)
		memcpy(*out, entries, len * sizeof(**out));
	*n = len;
	return 0;
}
