#include "store/fan_private.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/slab.h"

#include <string.h>

/* A tree deeper than any path of ours is not ours. */
#define MAX_DEPTH 64

static int load(struct kg_fan *f, const struct kg_reader *r, const unsigned char tree[20],
	unsigned depth, struct kg_error *err);

static int wrong_shape(const unsigned char tree[20], const char *what, struct kg_error *err)
{
	char hex[41];

	kg_hex(hex, tree, 20);
	return kg_fail(err, KG_E_CORRUPT, "state tree %s: %s", hex, what);
}

/* The children of a node whose raw tree is there. */
static int load_dirs(
	struct kg_fan *f, const struct kg_reader *r, unsigned depth, struct kg_error *err)
{
	struct kg_tree_entry e;
	size_t pos = 0;
	int rc;

	for (unsigned i = 0; (rc = kg_tree_next(&e, f->raw, f->raw_len, &pos, err)) > 0; i++) {
		if (!e.is_dir)
			continue;
		f->dirs[i] = kg_fan_node(f->split ? f->level + 1u : 0);
		rc = load(f->dirs[i], r, e.id, depth + 1, err);
		if (rc < 0)
			return rc;
		if (f->split)
			f->count += f->dirs[i]->count;
	}
	return rc;
}

/* Counts entries and sees that they are all parts or none. */
static int look_over(
	struct kg_fan *f, bool *any_dir, const unsigned char tree[20], struct kg_error *err)
{
	struct kg_tree_entry e;
	size_t pos = 0;
	unsigned n = 0, parts = 0;
	int rc;

	*any_dir = false;
	while ((rc = kg_tree_next(&e, f->raw, f->raw_len, &pos, err)) > 0) {
		if (++n > UINT16_MAX)
			return wrong_shape(tree, "too many entries", err);
		parts += e.is_dir && kg_fan_is_split_name(e.name);
		*any_dir |= e.is_dir;
		if (!e.is_dir && e.mode != 0100644)
			return wrong_shape(
				tree, "an entry that is neither file nor directory", err);
	}
	if (rc < 0)
		return rc;
	if (parts && (parts != n || f->flat))
		return wrong_shape(tree, "parts beside other entries", err);
	f->n = (uint16_t)n;
	f->split = parts > 0;
	return 0;
}

static int read_raw(struct kg_fan *f, const struct kg_reader *r, const unsigned char tree[20],
	struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_buf raw KG_AUTOBUF = KG_BUF_INIT;
	const void *data;

	if (kg_reader_quick(&raw, r, tree, GIT_OBJECT_TREE)) {
		data = raw.data;
		f->raw_len = (uint32_t)raw.len;
	} else {
		int rc = kg_reader_get(&obj, r, tree, GIT_OBJECT_TREE, err);
		if (rc < 0)
			return rc;
		data = git_odb_object_data(obj);
		f->raw_len = (uint32_t)git_odb_object_size(obj);
	}
	if (f->raw_len) {
		f->raw = kg_slab_alloc(KG_SLAB_TREES, f->raw_len);
		memcpy(f->raw, data, f->raw_len);
	}
	return 0;
}

/* Into a new node. */
static int load(struct kg_fan *f, const struct kg_reader *r, const unsigned char tree[20],
	unsigned depth, struct kg_error *err)
{
	bool any_dir;

	f->dirty = false;
	if (depth > MAX_DEPTH || f->level > 39)
		return wrong_shape(tree, "too deep", err);
	int rc = read_raw(f, r, tree, err);
	if (rc == 0)
		rc = look_over(f, &any_dir, tree, err);
	if (rc < 0)
		return rc;
	if (any_dir) {
		f->dirs = kg_fan_new_dirs(f->n);
		rc = load_dirs(f, r, depth, err);
		if (rc < 0)
			return rc;
	}
	if (!f->split)
		f->count = f->n;
	if (!f->flat && f->split != (f->count > KG_FAN_MAX))
		return wrong_shape(
			tree, "split where it should not be, or not where it should", err);
	return 0;
}

int kg_fan_load(struct kg_fan **out, const struct kg_reader *r, const unsigned char tree[20],
	bool flat, struct kg_error *err)
{
	struct kg_fan *f = kg_fan_new_root(flat, tree);
	int rc = load(f, r, tree, 0, err);

	if (rc < 0)
		kg_fan_free(f);
	else
		*out = f;
	return rc;
}
