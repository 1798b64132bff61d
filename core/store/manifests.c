/* The manifests of commits: which there are, and which differ between two. */
#include "store/manifests.h"
#include "store/commit_text.h"
#include "store/private.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- shared ---- */

void kg_file_list_add(
	struct kg_file_list *l, struct kg_arena *a, const char *path, const unsigned char *blob)
{
	KG_GROW(l->items, l->cap, l->len + 1);
	struct kg_tree_file *f = &l->items[l->len++];

	f->path = kg_arena_strdup(a, path);
	f->blob[0] = '\0';
	if (blob)
		kg_hex(f->blob, blob, 20);
}

/* As git shows such a path: in quotes, what is no printable ASCII in octal. */
static int fail_characters(const char *path, struct kg_error *err)
{
	struct kg_buf quoted KG_AUTOBUF = KG_BUF_INIT;

	for (const unsigned char *s = (const unsigned char *)path; *s; s++)
		if (*s < ' ' || *s >= 0x7f)
			kg_buf_addf(&quoted, "\\%03o", *s);
		else if (*s == '"' || *s == '\\')
			kg_buf_addf(&quoted, "\\%c", *s);
		else
			kg_buf_addc(&quoted, (char)*s);
	return kg_fail(err, KG_E_INVALID,
		"\"%s\": the path must be UTF-8 without control characters: rename it",
		kg_buf_str(&quoted));
}

int kg_check_path(const char *path, struct kg_error *err)
{
	size_t left = strlen(path);
	uint32_t c;

	if (left > KG_PATH_MAX_LEN)
		return kg_fail(err, KG_E_INVALID, "%.100s...: the path has more than %d bytes",
			path, KG_PATH_MAX_LEN);
	for (const char *s = path; left;) {
		unsigned n = kg_utf8_next(s, left, &c);

		if (!n || c < ' ' || c == 0x7f)
			return fail_characters(path, err);
		s += n;
		left -= n;
	}
	return 0;
}

int kg_too_many_files(size_t max, struct kg_error *err)
{
	return kg_fail(err, KG_E_TOO_LARGE, "more than %zu manifests", max);
}

int kg_no_links(const char *path, struct kg_error *err)
{
	return kg_fail(err, KG_E_INVALID,
		"%s: a symbolic link, which is not followed: put here what it names, or name it "
		"in " KG_IGNORE_FILE,
		path);
}

bool kg_link_is_hidden(const char *name)
{
	return name[0] == '.' && strncmp(name, ".kgit", 5) != 0;
}

/* ---- one commit's tree ---- */

#define LINK 0120000 /* the mode of a symbolic link */

struct walk {
	const struct kg_reader *r;
	struct kg_arena *a;
	struct kg_error *err;
	struct kg_ignore ignore;
	struct kg_file_list manifests, rules; /* rules: what changes the meaning of all others */
	struct kg_buf path;
	size_t entries, max_files;
};

static void walk_release(struct walk *w)
{
	kg_ignore_release(&w->ignore);
	free(w->manifests.items);
	free(w->rules.items);
	kg_buf_release(&w->path);
}

static int fault(struct walk *w, const char *name, const char *what)
{
	return kg_fail(w->err, KG_E_INVALID, "%s%s%s: %s", kg_buf_str(&w->path),
		w->path.len ? "/" : "", name, what);
}

static int check_entry(struct walk *w, const struct kg_tree_entry *e)
{
	if (e->mode == 0160000)
		return fault(w, e->name,
			"a submodule, whose files are not in this repository: put them here (git "
			"subtree does)");
	if (e->mode != 0100644 && e->mode != 0100755 && e->mode != LINK && !e->is_dir)
		return fault(w, e->name, "neither a file nor a directory");
	if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0 || strchr(e->name, '/') ||
		strcasecmp(e->name, ".git") == 0)
		return fault(w, e->name, "not a name that a file may have");
	if (++w->entries > KG_WALK_ENTRIES)
		return kg_fail(w->err, KG_E_TOO_LARGE, "more than %d files and directories",
			KG_WALK_ENTRIES);
	return 0;
}

/* Order and uniqueness, as git itself keeps them. */
static int check_tree(struct walk *w, const void *raw, size_t len)
{
	struct kg_map names KG_CLEANUP(kg_map_release) = KG_MAP_INIT;
	struct kg_tree_entry e, last = {0};
	size_t pos = 0;
	int rc;

	while ((rc = kg_tree_next(&e, raw, len, &pos, w->err)) > 0) {
		rc = check_entry(w, &e);
		if (rc < 0)
			return rc;
		if (kg_map_put(&names, e.name, w))
			return fault(w, e.name, "twice in one directory");
		if (last.name && kg_tree_name_cmp(last.name, last.is_dir, e.name, e.is_dir) >= 0)
			return fault(w, e.name, "out of order in its directory");
		last = e;
	}
	return rc;
}

static int push_rules(struct walk *w, const void *raw, size_t len)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_tree_entry e;

	if (!kg_tree_find(&e, raw, len, KG_IGNORE_FILE) || e.is_dir)
		return 0;
	int rc = kg_reader_blob(&text, w->r, e.id, KG_IGNORE_MAX, w->err);
	if (rc < 0)
		return kg_wrap(w->err, "%s%s" KG_IGNORE_FILE, kg_buf_str(&w->path),
			w->path.len ? "/" : "");
	kg_ignore_push(&w->ignore, kg_buf_str(&w->path), kg_buf_str(&text), text.len);
	return 0;
}

static int walk_tree(struct walk *w, const unsigned char tree[20], bool inert, unsigned depth);

static int walk_file(struct walk *w, const struct kg_tree_entry *e, bool inert)
{
	const char *path = w->path.data;
	bool settings = strcmp(path, KG_SETTINGS_FILE) == 0;

	if (e->mode == LINK)
		return (inert && !settings) || kg_link_is_hidden(e->name) ||
				       kg_ignore_matches(&w->ignore, path, false)
			       ? 0
			       : kg_no_links(path, w->err);
	if (settings || (!inert && strcmp(e->name, KG_IGNORE_FILE) == 0))
		kg_file_list_add(&w->rules, w->a, path, e->id);
	if (inert || !kg_manifest_is_path(path) || kg_ignore_matches(&w->ignore, path, false))
		return 0;
	int rc = kg_check_path(path, w->err);
	if (rc < 0)
		return rc;
	if (w->manifests.len >= w->max_files)
		return kg_too_many_files(w->max_files, w->err);
	kg_file_list_add(&w->manifests, w->a, path, e->id);
	return 0;
}

/* inert: below a dot-directory or an ignored one; looked at, since nothing unseen is accepted,
 * but without manifests. */
static int walk_entry(struct walk *w, const struct kg_tree_entry *e, bool inert, unsigned depth)
{
	size_t len = w->path.len;
	int rc;

	kg_buf_addf(&w->path, "%s%s", len ? "/" : "", e->name);
	if (e->is_dir)
		rc = walk_tree(w, e->id,
			inert || e->name[0] == '.' ||
				kg_ignore_matches(&w->ignore, w->path.data, true),
			depth + 1);
	else
		rc = walk_file(w, e, inert);
	kg_buf_remove(&w->path, len, w->path.len - len);
	return rc;
}

static int walk_tree(struct walk *w, const unsigned char tree[20], bool inert, unsigned depth)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_tree_entry e;
	size_t pos = 0, mark = w->ignore.len;

	if (depth > KG_WALK_DEPTH)
		return kg_fail(w->err, KG_E_INVALID, "%.200s...: more than %d directories deep",
			kg_buf_str(&w->path), KG_WALK_DEPTH);
	int rc = kg_reader_get(&obj, w->r, tree, GIT_OBJECT_TREE, w->err);
	if (rc < 0)
		return rc;
	const void *raw = git_odb_object_data(obj);
	size_t len = git_odb_object_size(obj);
	rc = check_tree(w, raw, len);
	if (rc == 0 && !inert)
		rc = push_rules(w, raw, len);
	while (rc == 0 && (rc = kg_tree_next(&e, raw, len, &pos, w->err)) > 0)
		rc = walk_entry(w, &e, inert, depth);
	kg_ignore_pop(&w->ignore, mark);
	return rc;
}

static int walk_commit(struct walk *w, const char *commit)
{
	struct kg_subtree tree;
	int rc = kg_subtree_of_commit(&tree, w->r, commit, w->err);

	return rc < 0 || !tree.there ? rc : walk_tree(w, tree.id, false, 0);
}

/* ---- two of them ---- */

static bool same_files(const struct kg_file_list *a, const struct kg_file_list *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->items[i].path, b->items[i].path) != 0 ||
			strcmp(a->items[i].blob, b->items[i].blob) != 0)
			return false;
	return true;
}

static struct kg_tree_file *arena_array(struct kg_arena *a, size_t n)
{
	return kg_arena_alloc(a, (n ? n : 1) * sizeof(struct kg_tree_file));
}

/* Both lists are in git's order, which for paths is that of their bytes. */
static void compare(struct kg_tree_delta *out, struct kg_arena *a, const struct kg_file_list *b,
	const struct kg_file_list *n)
{
	out->removed = arena_array(a, b->len);
	out->written = arena_array(a, n->len);
	for (size_t i = 0, k = 0; i < b->len || k < n->len;) {
		int c = i == b->len   ? 1
			: k == n->len ? -1
				      : strcmp(b->items[i].path, n->items[k].path);

		if (c < 0)
			out->removed[out->nremoved++] = b->items[i];
		else if (c > 0 || out->all || strcmp(b->items[i].blob, n->items[k].blob) != 0)
			out->written[out->nwritten++] = n->items[k];
		i += c <= 0;
		k += c >= 0;
	}
}

int kg_store_tree_delta(struct kg_tree_delta *out, struct kg_store *s, struct kg_arena *a,
	const char *before, const char *after, const char *objects_dir, size_t max_files,
	struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_error why = {0};
	struct walk b KG_CLEANUP(walk_release) = {
		.r = &r, .a = a, .err = &why, .max_files = SIZE_MAX};
	struct walk n KG_CLEANUP(walk_release) = {
		.r = &r, .a = a, .err = &why, .max_files = max_files ? max_files : SIZE_MAX};
	struct kg_tree_delta d = {0};

	int rc = kg_reader_add(&r, objects_dir, &why);
	if (rc == 0)
		rc = walk_commit(&n, after);
	if (rc == 0)
		rc = walk_commit(&b, before);
	if (rc < 0)
		return kg_fail(err, why.code, "%s", why.msg);
	d.total = n.manifests.len;
	d.all = !same_files(&b.rules, &n.rules);
	compare(&d, a, &b.manifests, &n.manifests);
	*out = d;
	return 0;
}

struct kg_blobs {
	struct kg_reader reader;
};

int kg_blobs_open(
	struct kg_blobs **out, struct kg_store *s, const char *objects_dir, struct kg_error *err)
{
	struct kg_blobs *b = kg_alloc(sizeof(*b));

	b->reader = kg_store_reader(s);
	int rc = kg_reader_add(&b->reader, objects_dir, err);
	if (rc < 0)
		kg_blobs_close(b);
	else
		*out = b;
	return rc;
}

int kg_blobs_read(
	struct kg_buf *out, struct kg_blobs *b, const char *blob, size_t max, struct kg_error *err)
{
	unsigned char id[20];

	if (kg_unhex(id, 20, blob) < 0)
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a blob's id", blob);
	return kg_reader_blob(out, &b->reader, id, max, err);
}

void kg_blobs_close(struct kg_blobs *b)
{
	if (!b)
		return;
	kg_reader_release(&b->reader);
	free(b);
}

int kg_store_read_blob(struct kg_buf *out, struct kg_store *s, const char *blob,
	const char *objects_dir, size_t max, struct kg_error *err)
{
	struct kg_blobs *b;
	int rc = kg_blobs_open(&b, s, objects_dir, err);

	if (rc < 0)
		return rc;
	rc = kg_blobs_read(out, b, blob, max, err);
	kg_blobs_close(b);
	return rc;
}
