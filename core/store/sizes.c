/*
 * What pushed objects cost to read. A pack of some kilobytes may hold gigabytes: zeros deflate to a
 * thousandth of themselves, and a delta says "those bytes again" as often as it likes. But how much
 * it is stands at the beginning of each, and what it is a delta of behind that.
 */
#include "store/commit_text.h"
#include "store/manifests.h"
#include "store/packset.h"
#include "store/private.h"

#include "base/hash.h"

#include <string.h>

struct check {
	struct kg_reader reader;
	struct kg_packset *packs; /* the quarantine's */
	size_t max;
	struct kg_error *err;
	/* What is too large. */
	unsigned char id[20];
	size_t size;
	git_object_t type;
	bool found;
	/* While its path is looked for. */
	struct kg_buf path;
	size_t entries;
};

static int look_at(const git_oid *oid, void *ctx)
{
	struct check *c = ctx;
	int rc = kg_packset_size(&c->size, c->packs, oid->id, c->err);

	if (rc == 0)
		rc = kg_reader_size(&c->size, &c->type, &c->reader, oid->id, c->err);
	if (rc < 0 || c->size <= c->max)
		return rc < 0 ? rc : 0;
	/* Once: what it is a delta of says of what type. */
	rc = kg_reader_size(&c->size, &c->type, &c->reader, oid->id, c->err);
	if (rc < 0)
		return rc;
	memcpy(c->id, oid->id, 20);
	c->found = true;
	return 1;
}

/* ---- where it is ---- */

/* Only of an object that is small enough itself. NULL: there is nothing to see. */
static git_odb_object *small_one(const struct check *c, const unsigned char id[20], git_object_t as)
{
	git_odb_object *obj = NULL;
	git_object_t type;
	size_t size;

	if (kg_reader_size(&size, &type, &c->reader, id, NULL) < 0 || size > c->max ||
		kg_reader_get(&obj, &c->reader, id, as, NULL) < 0)
		return NULL;
	return obj;
}

static bool find_below(struct check *c, const unsigned char tree[20], unsigned depth)
{
	git_odb_object *obj KG_AUTOOBJ =
		depth < KG_WALK_DEPTH ? small_one(c, tree, GIT_OBJECT_TREE) : NULL;
	struct kg_tree_entry e;
	size_t pos = 0, len = c->path.len;

	while (obj && c->entries++ < KG_WALK_ENTRIES &&
		kg_tree_next(&e, git_odb_object_data(obj), git_odb_object_size(obj), &pos, NULL) >
			0) {
		kg_buf_addf(&c->path, "%s%s", len ? "/" : "", e.name);
		if (memcmp(e.id, c->id, 20) == 0 || (e.is_dir && find_below(c, e.id, depth + 1)))
			return true;
		kg_buf_remove(&c->path, len, c->path.len - len);
	}
	return false;
}

static bool find_path(struct check *c, const char *commit)
{
	struct kg_commit_view v;
	unsigned char id[20];

	if (kg_unhex(id, 20, commit) < 0)
		return false;
	git_odb_object *obj KG_AUTOOBJ = small_one(c, id, GIT_OBJECT_COMMIT);
	if (!obj || kg_commit_text_read(
			    &v, git_odb_object_data(obj), git_odb_object_size(obj), NULL) < 0)
		return false;
	return find_below(c, v.tree, 0);
}

static int too_large(struct check *c, const char *const *commits, size_t ncommits)
{
	char hex[41];
	bool named = false;

	for (size_t i = 0; i < ncommits && !named; i++)
		named = find_path(c, commits[i]);
	if (named && kg_check_path(kg_buf_str(&c->path), NULL) < 0)
		named = false;
	kg_hex(hex, c->id, 20);
	return kg_fail(c->err, KG_E_TOO_LARGE,
		"%s%sthe %s %s has %zu bytes, at most %zu are taken (kgitd --max-object-bytes)",
		named ? kg_buf_str(&c->path) : "", named ? ": " : "",
		git_object_type2string(c->type), hex, c->size, c->max);
}

static int check_depth(const struct kg_packset *packs, size_t max, struct kg_error *err)
{
	unsigned char id[20];
	size_t depth;
	char hex[41];
	int rc = kg_packset_depth(&depth, id, packs, max, err);

	if (rc < 0 || depth <= max)
		return rc;
	kg_hex(hex, id, 20);
	return kg_fail(err, KG_E_TOO_LARGE,
		"the object %s is the last of more than %zu deltas, each of the one before (kgitd "
		"--max-delta-depth): git repack -adf --depth=50, then push again",
		hex, max);
}

int kg_store_check_objects(struct kg_store *s, const char *objects_dir, const char *const *commits,
	size_t ncommits, const struct kg_object_limits *max, struct kg_error *err)
{
	struct check c = {.reader = kg_store_reader(s), .max = max->bytes, .err = err};
	int rc = kg_reader_add(&c.reader, objects_dir, err);

	if (rc == 0 && c.reader.extra) {
		char *dir KG_AUTOFREE = kg_asprintf("%s/pack", objects_dir);

		c.packs = kg_packset_new(dir);
		rc = check_depth(c.packs, max->delta_depth, err);
		if (rc == 0)
			rc = git_odb_foreach(c.reader.extra, look_at, &c);
		if (c.found)
			rc = too_large(&c, commits, ncommits);
		else if (rc < 0 && !err->code)
			rc = kg_git_fail(err, rc, "list the objects of %s", objects_dir);
	}
	kg_buf_release(&c.path);
	kg_packset_free(c.packs);
	kg_reader_release(&c.reader);
	return rc;
}
