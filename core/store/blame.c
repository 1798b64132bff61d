/* Who gave a file of main its content. */
#include "store/trace.h"

#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"

#include <string.h>

#define MANIFEST_MAX ((size_t)256 << 20)
#define LAST_SECOND  INT64_C(253402300799) /* of the year 9999 */

static int file_of(unsigned char blob[20], const struct kg_reader *r,
	const unsigned char commit[20], const char *path, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_subtree tree = {.there = true};
	struct kg_commit_view c;
	int rc = kg_commit_read(&obj, &c, r, commit, err);

	if (rc < 0)
		return rc;
	memcpy(tree.id, c.tree, 20);
	return kg_view_find_path(blob, r, &tree, path, err);
}

/* The next parent of a commit's text from *p on. */
static bool next_parent(unsigned char parent[20], const char **p, const char *end)
{
	char hex[41];

	while ((*p = memchr(*p, '\n', (size_t)(end - *p))) && end - ++*p > 48) {
		if (**p == '\n' || memcmp(*p, "author ", 7) == 0)
			return false;
		if (memcmp(*p, "parent ", 7) != 0)
			continue;
		memcpy(hex, *p + 7, 40);
		hex[40] = '\0';
		return kg_unhex(parent, 20, hex) == 0;
	}
	return false;
}

/* A parent of `at` in which the file is the same takes at's place: 1. 0: in none. */
static int same_before(unsigned char at[20], const struct kg_reader *r, const char *path,
	const unsigned char blob[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	unsigned char parent[20], before[20];
	int rc = kg_reader_get(&obj, r, at, GIT_OBJECT_COMMIT, err);

	if (rc < 0)
		return rc;
	const char *p = git_odb_object_data(obj), *end = p + git_odb_object_size(obj);
	while (next_parent(parent, &p, end)) {
		/* A commit that is not here (the user pushed a shallow clone) ends it. */
		if (!kg_reader_has(r, parent))
			continue;
		rc = file_of(before, r, parent, path, err);
		if (rc < 0 && rc != -KG_E_NOT_FOUND)
			return rc;
		if (rc == 0 && memcmp(before, blob, 20) == 0) {
			memcpy(at, parent, 20);
			return 1;
		}
	}
	return 0;
}

/* A pusher says what he likes: it stays what RFC 3339 can say. */
static kg_time time_of(int64_t seconds)
{
	return 1000 * (seconds < 0 ? 0 : seconds > LAST_SECOND ? LAST_SECOND : seconds);
}

static int fill(struct kg_blame *out, struct kg_arena *a, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	int rc = kg_commit_read(&obj, &c, r, id, err);

	if (rc < 0)
		return rc;
	const char *eol = memchr(c.message, '\n', c.message_len);
	kg_hex(out->commit, id, 20);
	out->author = kg_arena_strndup(a, c.author, c.author_len);
	out->subject =
		kg_arena_strndup(a, c.message, eol ? (size_t)(eol - c.message) : c.message_len);
	/* "NAME <MAIL> SECONDS ZONE" */
	out->time = time_of(c.author_len ? strtoll(c.author + c.author_len, NULL, 10) : c.seconds);
	return 0;
}

int kg_store_blame(struct kg_blame *out, struct kg_store *store, struct kg_arena *a,
	const char *commit, const char *path, size_t budget, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(store);
	unsigned char at[20], blob[20];
	int rc = 0;

	if (kg_unhex(at, 20, commit) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a commit's id", commit);
	if (path)
		rc = file_of(blob, &r, at, path, err);
	for (bool more = path != NULL; rc == 0 && more && budget > 0; budget--) {
		rc = same_before(at, &r, path, blob, err);
		more = rc > 0;
		if (more)
			rc = 0;
	}
	return rc < 0 ? rc : fill(out, a, &r, at, err);
}

int kg_store_line(uint32_t *out, struct kg_store *store, const char *commit, const char *path,
	const struct kg_kind *kind, const char *ns, const char *name, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(store);
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	const struct kg_yaml_limits limits = {
		.bytes = MANIFEST_MAX, .nodes = 50000000, .depth = 200};
	struct kg_manifest *m = NULL;
	unsigned char id[20], blob[20];
	size_t n = 0;

	*out = 0;
	if (kg_unhex(id, 20, commit) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a commit's id", commit);
	int rc = file_of(blob, &r, id, path, err);
	if (rc == 0)
		rc = kg_reader_blob(&text, &r, blob, MANIFEST_MAX, err);
	if (rc < 0)
		return rc == -KG_E_NOT_FOUND ? 0 : rc;
	kg_manifest_read_admitted(&m, &n, &a, path, kg_buf_str(&text), text.len, &limits, NULL);
	for (size_t i = 0; i < n && !*out; i++)
		if (m[i].kind == kind && strcmp(m[i].ns, ns) == 0 && strcmp(m[i].name, name) == 0)
			*out = m[i].line;
	return 0;
}
