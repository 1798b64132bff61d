/* Reachability. Commits are visited newest first, so that a fast-forward is found near the tip. */
#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

struct waiting {
	int64_t seconds;
	unsigned char id[20];
};
struct search {
	const struct kg_reader *r;
	struct waiting *heap; /* the newest first */
	size_t len, cap;
	struct kg_map seen; /* hex ids */
};

static void search_release(struct search *s)
{
	free(s->heap);
	kg_map_release(&s->seen);
}

static void swap(struct waiting *a, struct waiting *b)
{
	struct waiting t = *a;

	*a = *b;
	*b = t;
}

static void heap_push(struct search *s, const unsigned char id[20], int64_t seconds)
{
	KG_GROW(s->heap, s->cap, s->len + 1);
	size_t i = s->len++;
	s->heap[i].seconds = seconds;
	memcpy(s->heap[i].id, id, 20);
	for (; i && s->heap[(i - 1) / 2].seconds < s->heap[i].seconds; i = (i - 1) / 2)
		swap(&s->heap[(i - 1) / 2], &s->heap[i]);
}

static struct waiting heap_pop(struct search *s)
{
	struct waiting top = s->heap[0];

	s->heap[0] = s->heap[--s->len];
	for (size_t i = 0, k; (k = 2 * i + 1) < s->len; i = k) {
		if (k + 1 < s->len && s->heap[k + 1].seconds > s->heap[k].seconds)
			k++;
		if (s->heap[i].seconds >= s->heap[k].seconds)
			break;
		swap(&s->heap[i], &s->heap[k]);
	}
	return top;
}

static int add(struct search *s, const unsigned char id[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	char hex[41];

	kg_hex(hex, id, 20);
	if (kg_map_put(&s->seen, hex, s))
		return 0;
	int rc = kg_commit_read(&obj, &c, s->r, id, err);
	if (rc == 0)
		heap_push(s, id, c.seconds);
	return rc;
}

/* More than two parents are rare, but they are parents. */
static int add_parents(struct search *s, const unsigned char id[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	int rc = kg_reader_get(&obj, s->r, id, GIT_OBJECT_COMMIT, err);

	if (rc < 0)
		return rc;
	const char *p = git_odb_object_data(obj), *end = p + git_odb_object_size(obj);
	while (rc == 0 && (p = memchr(p, '\n', (size_t)(end - p))) && end - ++p > 48 &&
		memcmp(p, "parent ", 7) == 0) {
		unsigned char parent[20];
		char hex[41];

		memcpy(hex, p + 7, 40);
		hex[40] = '\0';
		rc = kg_unhex(parent, 20, hex) < 0 ? kg_fail(err, KG_E_CORRUPT, "malformed commit")
						   : add(s, parent, err);
	}
	return rc;
}

int kg_store_check_commit(
	struct kg_store *store, const char *commit, const char *objects_dir, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(store);
	unsigned char id[20];
	git_object_t type;
	size_t size;

	if (kg_unhex(id, 20, commit) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a commit's id", commit);
	int rc = kg_reader_add(&r, objects_dir, err);
	if (rc == 0)
		rc = kg_reader_size(&size, &type, &r, id, err);
	if (rc == 0 && type != GIT_OBJECT_COMMIT)
		rc = kg_fail(err, KG_E_INVALID, "%s is a %s, not a commit", commit,
			git_object_type2string(type));
	return rc;
}

int kg_store_is_ancestor(bool *out, struct kg_store *store, const char *ancestor,
	const char *commit, const char *objects_dir, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(store);
	struct search s KG_CLEANUP(search_release) = {.r = &r};
	unsigned char from[20], want[20];
	bool found = false;

	if (kg_unhex(from, 20, commit) < 0 || kg_unhex(want, 20, ancestor) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" or \"%s\" is not a commit's id", ancestor,
			commit);
	int rc = kg_reader_add(&r, objects_dir, err);
	if (rc == 0)
		rc = add(&s, from, err);
	while (rc == 0 && s.len && !found) {
		struct waiting w = heap_pop(&s);

		found = memcmp(w.id, want, 20) == 0;
		if (!found)
			rc = add_parents(&s, w.id, err);
	}
	if (rc == 0)
		*out = found;
	return rc;
}
