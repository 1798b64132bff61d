#include "store/commit_text.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#define TRAILER "Kgit-Revision: "

static void add_id(struct kg_buf *out, const char *what, const unsigned char id[20])
{
	char hex[41];

	kg_hex(hex, id, 20);
	kg_buf_addf(out, "%s %s\n", what, hex);
}

/* Text that may stand in a name or an address: no control bytes, no angle brackets. */
static void add_plain(struct kg_buf *out, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] >= ' ' && s[i] != '<' && s[i] != '>' && s[i] != 0x7f)
			kg_buf_addc(out, s[i]);
}

static void trim_end(struct kg_buf *out, size_t from)
{
	while (out->len > from && out->data[out->len - 1] == ' ')
		out->data[--out->len] = '\0';
}

/* "name <email>", whatever was given: what git fsck takes. */
static void add_person(struct kg_buf *out, const char *person, const char *cluster)
{
	const char *open = strrchr(person, '<');
	size_t from, name_len = open ? (size_t)(open - person) : strlen(person);

	while (name_len && *person == ' ') {
		person++;
		name_len--;
	}
	from = out->len;
	add_plain(out, person, name_len);
	trim_end(out, from);
	if (out->len == from)
		kg_buf_adds(out, "unknown");
	kg_buf_adds(out, " <");
	if (open)
		add_plain(out, open + 1, strcspn(open + 1, ">"));
	else
		kg_buf_addf(out, "kgit@%s", cluster);
	kg_buf_addc(out, '>');
}

void kg_commit_text_write(struct kg_buf *out, const struct kg_commit_text *c)
{
	char *kgit KG_AUTOFREE = kg_asprintf("kgit <kgit@%s>", c->cluster);
	char *kgitd KG_AUTOFREE = kg_asprintf("kgitd <kgitd@%s>", c->cluster);
	long long seconds = c->time > 0 ? (long long)(c->time / 1000) : 0;

	add_id(out, "tree", c->tree);
	if (c->has_parent)
		add_id(out, "parent", c->parent);
	if (c->has_parent2)
		add_id(out, "parent", c->parent2);
	kg_buf_adds(out, "author ");
	add_person(out, c->author && *c->author ? c->author : kgit, c->cluster);
	kg_buf_addf(out, " %lld +0000\ncommitter ", seconds);
	add_person(out, kgitd, c->cluster);
	kg_buf_addf(out, " %lld +0000\n\n", seconds);
	const char *message = c->message ? c->message : "";
	size_t len = strlen(message);
	while (len && message[len - 1] == '\n')
		len--;
	if (len)
		kg_buf_add(out, message, len);
	else
		kg_buf_addf(out, "revision %llu", (unsigned long long)c->revision);
	kg_buf_addf(out, "\n\n" TRAILER "%llu\n", (unsigned long long)c->revision);
}

/* ---- reading ---- */

/* "WORD HEX\n" at *p: takes it. */
static bool take_id(const char **p, const char *end, const char *word, unsigned char id[20])
{
	size_t n = strlen(word);
	char hex[41];

	if ((size_t)(end - *p) < n + 42 || memcmp(*p, word, n) != 0 || (*p)[n] != ' ' ||
		(*p)[n + 41] != '\n')
		return false;
	memcpy(hex, *p + n + 1, 40);
	hex[40] = '\0';
	if (kg_unhex(id, 20, hex) < 0)
		return false;
	*p += n + 42;
	return true;
}

static void read_header(struct kg_commit_view *out, const char *line, const char *end)
{
	const char *close = memrchr(line, '>', (size_t)(end - line));

	if (!close)
		return;
	if (strncmp(line, "author ", 7) == 0 && close > line + 7) {
		out->author = line + 7;
		out->author_len = (size_t)(close + 1 - out->author);
	} else if (strncmp(line, "committer ", 10) == 0) {
		out->seconds = strtoll(close + 1, NULL, 10);
	}
}

/* The last line, where it is the trailer. */
static void read_trailer(struct kg_commit_view *out)
{
	const char *m = out->message, *end = m + out->message_len;

	while (end > m && end[-1] == '\n')
		end--;
	const char *nl = memrchr(m, '\n', (size_t)(end - m));
	const char *line = nl ? nl + 1 : m;
	size_t n = strlen(TRAILER);
	if ((size_t)(end - line) <= n || memcmp(line, TRAILER, n) != 0)
		return;
	out->revision = 0;
	for (line += n; line < end; line++) {
		if (*line < '0' || *line > '9' || out->revision > UINT64_MAX / 10 - 1)
			return;
		out->revision = out->revision * 10 + (uint64_t)(*line - '0');
	}
	out->has_revision = true;
}

int kg_commit_text_read(
	struct kg_commit_view *out, const char *text, size_t len, struct kg_error *err)
{
	const char *p = text, *end = text + len;
	unsigned char more[20];

	*out = (struct kg_commit_view){.author = "", .message = ""};
	if (!take_id(&p, end, "tree", out->tree))
		return kg_fail(err, KG_E_CORRUPT, "commit without a tree");
	out->has_parent = take_id(&p, end, "parent", out->parent);
	out->has_parent2 = out->has_parent && take_id(&p, end, "parent", out->parent2);
	while (take_id(&p, end, "parent", more))
		;
	while (p < end && *p != '\n') {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		if (!nl)
			return kg_fail(err, KG_E_CORRUPT, "commit whose header does not end");
		read_header(out, p, nl);
		p = nl + 1;
	}
	if (p < end) {
		out->message = p + 1;
		out->message_len = (size_t)(end - p - 1);
		read_trailer(out);
	}
	return 0;
}
