/*
 * What revisions changed, from the trees alone: two adjacent commits' decided and observed trees
 * are compared (equal subtrees are skipped by their ids), which names the objects; each is then
 * joined as it was on both sides.
 */
#include "store/private.h"
#include "store/resolve.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct diff {
	const struct kg_reader *r;
	struct kg_buf path;  /* logical: without the fan's parts, each component behind a '/' */
	struct kg_map files; /* path -> struct sides */
	size_t differ, most; /* how many of them do; and may (0: no bound) */
	struct kg_error *err;
};
struct sides {
	bool has[2];
	unsigned char id[2][20];
};

static void diff_release(struct diff *d)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&d->files, &i));)
		free(e->value);
	kg_map_release(&d->files);
	kg_buf_release(&d->path);
}

static void diff_clear(struct diff *d)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&d->files, &i));)
		free(e->value);
	kg_map_clear(&d->files);
	kg_buf_clear(&d->path);
	d->differ = 0;
}

/* A split or a merge moves a file without changing it. */
static bool differs(const struct sides *s)
{
	return s->has[0] != s->has[1] || memcmp(s->id[0], s->id[1], 20) != 0;
}

static int too_large(size_t n, struct kg_error *err)
{
	return kg_fail(err, KG_E_TOO_LARGE, "a revision of at least %zu changes", n);
}

/* While a directory of directories is split its files have been seen on one side only: so many
 * more are looked at, not all of a large cluster's. */
#define MOVED 16384

static int saw_file(struct diff *d, int side, const struct kg_tree_entry *e)
{
	size_t len = d->path.len;

	kg_buf_addf(&d->path, "/%s", e->name);
	struct sides *s = kg_map_get(&d->files, d->path.data);
	if (!s) {
		s = kg_alloc(sizeof(*s));
		kg_map_put(&d->files, d->path.data, s);
	}
	kg_buf_remove(&d->path, len, d->path.len - len);
	d->differ -= differs(s);
	s->has[side] = true;
	memcpy(s->id[side], e->id, 20);
	d->differ += differs(s);
	return d->most && d->differ > d->most + MOVED ? too_large(d->most, d->err) : 0;
}

static int diff_trees(struct diff *d, const unsigned char *a, const unsigned char *b);

/* A directory that is on one side, or on both with different ids. */
static int diff_dir(
	struct diff *d, const char *name, const unsigned char *a, const unsigned char *b)
{
	size_t len = d->path.len;

	if (!kg_fan_is_split_name(name))
		kg_buf_addf(&d->path, "/%s", name);
	int rc = diff_trees(d, a, b);
	kg_buf_remove(&d->path, len, d->path.len - len);
	return rc;
}

static int one_side(struct diff *d, int side, const struct kg_tree_entry *e)
{
	if (e->is_dir)
		return diff_dir(d, e->name, side ? NULL : e->id, side ? e->id : NULL);
	return saw_file(d, side, e);
}

static int both_sides(struct diff *d, const struct kg_tree_entry *a, const struct kg_tree_entry *b)
{
	if (memcmp(a->id, b->id, 20) == 0)
		return 0;
	if (a->is_dir)
		return diff_dir(d, a->name, a->id, b->id);
	int rc = saw_file(d, 0, a);
	return rc < 0 ? rc : saw_file(d, 1, b);
}

struct cursor {
	git_odb_object *obj;
	size_t pos;
	struct kg_tree_entry e;
	bool there;
};

static void cursor_release(struct cursor *c)
{
	git_odb_object_free(c->obj);
}

static int cursor_next(struct cursor *c, struct kg_error *err)
{
	int rc = c->obj ? kg_tree_next(&c->e, git_odb_object_data(c->obj),
				  git_odb_object_size(c->obj), &c->pos, err)
			: 0;

	c->there = rc > 0;
	return rc < 0 ? rc : 0;
}

static int cursor_open(struct cursor *c, struct diff *d, const unsigned char *tree)
{
	int rc = tree ? kg_reader_get(&c->obj, d->r, tree, GIT_OBJECT_TREE, d->err) : 0;

	return rc < 0 ? rc : cursor_next(c, d->err);
}

/* NULL: absent on that side. */
static int diff_trees(struct diff *d, const unsigned char *a, const unsigned char *b)
{
	struct cursor x KG_CLEANUP(cursor_release) = {0};
	struct cursor y KG_CLEANUP(cursor_release) = {0};
	int rc = cursor_open(&x, d, a);

	if (rc == 0)
		rc = cursor_open(&y, d, b);
	while (rc == 0 && (x.there || y.there)) {
		int c = !x.there   ? 1
			: !y.there ? -1
				   : kg_tree_name_cmp(x.e.name, x.e.is_dir, y.e.name, y.e.is_dir);

		if (c < 0)
			rc = one_side(d, 0, &x.e);
		else if (c > 0)
			rc = one_side(d, 1, &y.e);
		else
			rc = both_sides(d, &x.e, &y.e);
		if (rc == 0 && c <= 0)
			rc = cursor_next(&x, d->err);
		if (rc == 0 && c >= 0)
			rc = cursor_next(&y, d->err);
	}
	return rc;
}

static int diff_subtrees(struct diff *d, const struct kg_subtree *a, const struct kg_subtree *b)
{
	diff_clear(d);
	if (a->there && b->there && memcmp(a->id, b->id, 20) == 0)
		return 0;
	return diff_trees(d, a->there ? a->id : NULL, b->there ? b->id : NULL);
}

/* ---- paths to objects ---- */

/* "KK/NS/NAME", which sorts as changes do: the kind, then the key. */
static void add_key(struct kg_map *keys, const struct kg_kind *kind, const char *ns, size_t ns_len,
	const char *file)
{
	size_t n = strlen(file);
	char *key KG_AUTOFREE = NULL;

	if (n <= 5)
		return;
	key = kg_asprintf("%02d/%.*s/%.*s", (int)kind->id, (int)ns_len, ns, (int)(n - 5), file);
	kg_map_put(keys, key, (void *)(uintptr_t)kind);
}

/* "/FIRST/NS/NAME.yaml" or "/FIRST/NAME.yaml". */
struct parts {
	char first[KG_RECORD_NAME_MAX];
	const char *ns, *file;
	size_t ns_len;
};

static bool take_apart(struct parts *p, const char *path)
{
	const char *slash = strchr(path + 1, '/'), *last = strrchr(path, '/');

	if (!slash || (size_t)(slash - path) > sizeof(p->first) - 1)
		return false;
	snprintf(p->first, sizeof(p->first), "%.*s", (int)(slash - path - 1), path + 1);
	p->file = last + 1;
	p->ns = last == slash ? "" : slash + 1;
	p->ns_len = last == slash ? 0 : (size_t)(last - slash - 1);
	return true;
}

static void keys_of_decided(struct kg_map *keys, const struct diff *d)
{
	struct kg_map_entry *e;
	struct parts p;

	for (size_t i = 0; (e = kg_map_next(&d->files, &i));) {
		const struct kg_kind *kind = differs(e->value) && take_apart(&p, e->key)
						     ? kg_kind_of_resource(p.first)
						     : NULL;
		if (kind)
			add_key(keys, kind, p.ns, p.ns_len, p.file);
	}
}

static void keys_of_observed(struct kg_map *keys, const struct diff *d)
{
	struct kg_map_entry *e;
	struct parts p;

	for (size_t i = 0; (e = kg_map_next(&d->files, &i));)
		if (differs(e->value) && take_apart(&p, e->key))
			add_key(keys, &kg_kinds[p.ns_len ? KG_KIND_POD : KG_KIND_NODE], p.ns,
				p.ns_len, p.file);
}

/* ---- one revision ---- */

struct step {
	struct kg_view view[2]; /* before, after */
	struct kg_reader reader;
	struct kg_bases *bases;
	struct diff diff;
	struct kg_map keys;
	struct kg_changes changes;
};

static void step_release(struct step *st)
{
	diff_release(&st->diff);
	kg_map_release(&st->keys);
	kg_changes_release(&st->changes);
	kg_bases_free(st->bases);
	kg_reader_release(&st->reader);
}

static int resolve_side(struct kg_object **out, struct step *st, int side,
	const struct kg_map_entry *key, struct kg_error *err)
{
	struct kg_resolve r = {.view = &st->view[side], .reader = &st->reader, .bases = st->bases};
	char *ns KG_AUTOFREE = kg_strdup(key->key + 3);
	char *name = strchr(ns, '/');

	*name++ = '\0';
	return kg_resolve_by_name(out, &r, key->value, ns, name, err);
}

static int add_change(struct step *st, const struct kg_map_entry *key, struct kg_error *err)
{
	struct kg_change c = {0};
	int rc = resolve_side(&c.before, st, 0, key, err);

	if (rc == 0)
		rc = resolve_side(&c.after, st, 1, key, err);
	c.quiet = c.before && c.after && c.before->revision == c.after->revision;
	if (rc < 0 || (!c.before && !c.after)) {
		kg_object_unref(c.before);
		kg_object_unref(c.after);
		return rc;
	}
	st->changes.items[st->changes.len++] = c;
	return 0;
}

static int find_changes(struct step *st, size_t most, struct kg_error *err)
{
	st->diff.err = err;
	st->diff.most = most;
	kg_map_clear(&st->keys);
	kg_changes_release(&st->changes);
	int rc = diff_subtrees(&st->diff, &st->view[0].decided, &st->view[1].decided);
	if (rc == 0)
		keys_of_decided(&st->keys, &st->diff);
	if (rc == 0)
		rc = diff_subtrees(&st->diff, &st->view[0].observed, &st->view[1].observed);
	if (rc == 0)
		keys_of_observed(&st->keys, &st->diff);
	if (rc < 0)
		return rc;
	struct kg_map_entry **sorted KG_AUTOFREE = kg_map_sorted(&st->keys);
	size_t n = st->keys.count;
	if (most && n > most)
		return too_large(n, err);
	st->changes.items = kg_alloc((n ? n : 1) * sizeof(*st->changes.items));
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = add_change(st, sorted[i], err);
	return rc;
}

static int open_view(struct kg_view *v, struct kg_store *s, const struct kg_reader *r,
	uint64_t revision, struct kg_error *err)
{
	unsigned char id[20];
	int rc = kg_store_find_revision(id, s, revision, err);

	return rc < 0 ? rc : kg_view_open(v, r, id, err);
}

/* Bases of manifests that are gone pile up over a long history. */
#define BASES_KEPT 256

int kg_store_changes(struct kg_store *s, uint64_t from, uint64_t to, size_t most,
	int (*fn)(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes),
	void *ctx, struct kg_error *err)
{
	struct kg_error why = {0};
	struct step st KG_CLEANUP(step_release) = {.reader = kg_store_reader(s)};
	int rc = 0;

	if (from >= to)
		return 0;
	st.diff.r = &st.reader;
	st.bases = kg_bases_new();
	rc = open_view(&st.view[0], s, &st.reader, from, &why);
	for (uint64_t revision = from + 1; rc == 0 && revision <= to; revision++) {
		rc = open_view(&st.view[1], s, &st.reader, revision, &why);
		if (rc == 0)
			rc = find_changes(&st, most, &why);
		if (rc == 0 && fn(ctx, revision, st.view[1].time, &st.changes) != 0)
			return 0;
		st.view[0] = st.view[1];
		if ((revision - from) % BASES_KEPT == 0) {
			kg_bases_free(st.bases);
			st.bases = kg_bases_new();
		}
	}
	rc = kg_store_read_failure(rc, s, from, &why);
	if (rc < 0)
		return kg_fail(err, why.code, "changes after revision %llu: %s",
			(unsigned long long)from, why.msg);
	return 0;
}
