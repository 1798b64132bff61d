/*
 * Reading by difference: two trees are walked side by side, and a subtree of the same id on both
 * sides is not entered. All that changed is read and parsed before any of it is taken over.
 */
#include "base/mem.h"
#include "nodeagent/view.h"
#include "value/yaml.h"
#include "view_private.h"

#include <string.h>

#define MAX_DEPTH 3

struct change {
	char *path;
	struct kg_doc *doc; /* NULL: removed */
};

struct walk {
	struct kg_view *v;
	struct change *items;
	size_t n, cap;
	struct kg_error *err;
};

static const char *const folders[] = {[KG_VIEW_PODS] = "pods/",
	[KG_VIEW_CONFIGMAPS] = "configmaps/",
	[KG_VIEW_NODES] = "nodes/",
	[KG_VIEW_SECRETS] = "secrets/",
	[KG_VIEW_VOLUMES] = "volumes/"};

static void release(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		free(w->items[i].path);
		kg_doc_unref(w->items[i].doc);
	}
	free(w->items);
}

static int load_doc(struct kg_doc **out, struct kg_view *v, const git_oid *oid, const char *path,
	struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value value;
	git_blob *blob;

	if (git_blob_lookup(&blob, v->repo, oid) < 0)
		return kg_view_fail(err, path);
	int rc = kg_yaml_load(
		&value, &arena, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob), err);
	git_blob_free(blob);
	if (rc < 0)
		return kg_wrap(err, "view: %s", path);
	*out = kg_doc_new(&value, NULL, 0);
	return 0;
}

static int changed_file(struct walk *w, const char *path, const git_oid *oid)
{
	struct kg_doc *doc = NULL;
	int rc = oid ? load_doc(&doc, w->v, oid, path, w->err) : 0;

	if (rc < 0)
		return rc;
	KG_GROW(w->items, w->cap, w->n + 1);
	w->items[w->n++] = (struct change){kg_strdup(path), doc};
	return 0;
}

static int walk_trees(
	struct walk *w, const git_oid *old, const git_oid *new, const char *path, int depth);

static int walk_entry(struct walk *w, const git_tree_entry *old, const git_tree_entry *new,
	const char *path, int depth)
{
	const git_tree_entry *any = new ? new : old;
	const git_oid *old_id = old ? git_tree_entry_id(old) : NULL;
	const git_oid *new_id = new ? git_tree_entry_id(new) : NULL;

	if (old_id && new_id && git_oid_equal(old_id, new_id))
		return 0;
	bool tree = git_tree_entry_type(any) == GIT_OBJECT_TREE;
	KG_AUTOFREE char *full =
		kg_asprintf("%s%s%s", path, git_tree_entry_name(any), tree ? "/" : "");
	if (tree)
		return walk_trees(w, old_id, new_id, full, depth + 1);
	return changed_file(w, full, new_id);
}

/* Entries are matched by name and type: a folder that became a file is both gone and new. */
static int compare(const git_tree_entry *a, const git_tree_entry *b)
{
	if (!a || !b)
		return a ? -1 : 1;
	int order = git_tree_entry_cmp(a, b);
	if (order == 0)
		order = (int)git_tree_entry_type(a) - (int)git_tree_entry_type(b);
	return order;
}

static int walk_both(struct walk *w, git_tree *old, git_tree *new, const char *path, int depth)
{
	size_t i = 0, k = 0, ni = old ? git_tree_entrycount(old) : 0,
	       nk = new ? git_tree_entrycount(new) : 0;
	int rc = 0;

	while (rc == 0 && (i < ni || k < nk)) {
		const git_tree_entry *a = i < ni ? git_tree_entry_byindex(old, i) : NULL;
		const git_tree_entry *b = k < nk ? git_tree_entry_byindex(new, k) : NULL;
		int order = compare(a, b);

		rc = walk_entry(w, order <= 0 ? a : NULL, order >= 0 ? b : NULL, path, depth);
		i += order <= 0;
		k += order >= 0;
	}
	return rc;
}

static int walk_trees(
	struct walk *w, const git_oid *old, const git_oid *new, const char *path, int depth)
{
	git_tree *a = NULL, *b = NULL;
	int rc = 0;

	if (depth > MAX_DEPTH)
		return kg_fail(w->err, KG_E_INVALID, "view: %s is nested too deeply", path);
	if ((old && git_tree_lookup(&a, w->v->repo, old) < 0) ||
		(new &&git_tree_lookup(&b, w->v->repo, new) < 0))
		rc = kg_view_fail(w->err, *path ? path : "the view's tree");
	else
		rc = walk_both(w, a, b, path, depth);
	git_tree_free(a);
	git_tree_free(b);
	return rc;
}

/* ---- taking over ---- */

/* What is kept by others, one by one: given as a list of changes. */
static bool take_item(struct kg_view_diff *out, struct change *c)
{
	static const char *const names[] = {"services/", "policies/", "peers/"};
	struct kg_view_list *lists[] = {&out->services, &out->policies, &out->peers};

	for (size_t k = 0; k < KG_ARRAY_LEN(names); k++) {
		const char *key = c->path + strlen(names[k]);
		struct kg_view_list *l = lists[k];

		if (strncmp(c->path, names[k], strlen(names[k])) != 0)
			continue;
		size_t len = strlen(key);
		if (len > 5 && strcmp(key + len - 5, ".yaml") == 0)
			len -= 5;
		KG_GROW(l->items, l->cap, l->n + 1);
		l->items[l->n++] = (struct kg_view_item){kg_strndup(key, len), kg_steal(&c->doc)};
		return true;
	}
	return false;
}

static void take_file(struct kg_map *files, struct change *c)
{
	struct kg_doc *old = c->doc ? kg_map_put(files, c->path, kg_steal(&c->doc))
				    : kg_map_remove(files, c->path);

	kg_doc_unref(old);
}

static void take(struct kg_view *v, struct kg_view_diff *out, struct change *c)
{
	bool *flags[] = {[KG_VIEW_PODS] = &out->pods,
		[KG_VIEW_CONFIGMAPS] = &out->configmaps,
		[KG_VIEW_NODES] = &out->nodes,
		[KG_VIEW_SECRETS] = &out->configmaps,
		[KG_VIEW_VOLUMES] = &out->configmaps};

	if (take_item(out, c))
		return;
	for (size_t k = 0; k < KG_ARRAY_LEN(folders); k++) {
		if (strncmp(c->path, folders[k], strlen(folders[k])) == 0) {
			take_file(&v->files[k], c);
			*flags[k] = true;
		}
	}
	if (strcmp(c->path, "node.yaml") == 0) {
		kg_doc_unref(v->node);
		v->node = kg_steal(&c->doc);
		out->node = true;
	}
}

/* What was read of an older tree that can no longer be compared with: all of it is gone unless it
 * comes again. */
static void forget(struct kg_view *v, struct kg_view_diff *out)
{
	struct kg_map_entry *e;

	for (size_t k = 0; k < KG_ARRAY_LEN(v->files); k++) {
		for (size_t i = 0; (e = kg_map_next(&v->files[k], &i));)
			kg_doc_unref(e->value);
		kg_map_clear(&v->files[k]);
	}
	kg_doc_unref(v->node);
	v->node = NULL;
	out->node = out->nodes = out->pods = out->configmaps = out->all = true;
}

static int tree_of(git_oid *out, struct kg_view *v, struct kg_error *err)
{
	git_oid oid;
	git_commit *commit;

	git_oid_fromstr(&oid, v->commit);
	if (git_commit_lookup(&commit, v->repo, &oid) < 0)
		return kg_view_fail(err, "the view's commit");
	*out = *git_commit_tree_id(commit);
	git_commit_free(commit);
	return 0;
}

int kg_view_read(struct kg_view *v, struct kg_view_diff *out, struct kg_error *err)
{
	struct walk w = {.v = v, .err = err};
	struct kg_view_diff diff = {0};
	git_oid tree;

	if (!*v->commit)
		return kg_fail(err, KG_E_NOT_FOUND, "this node has no view yet");
	int rc = tree_of(&tree, v, err);
	bool known = !git_oid_is_zero(&v->read) && git_odb_exists(v->odb, &v->read);
	if (rc == 0)
		rc = walk_trees(&w, known ? &v->read : NULL, &tree, "", 0);
	if (rc == 0) {
		if (!known)
			forget(v, &diff);
		for (size_t i = 0; i < w.n; i++)
			take(v, &diff, &w.items[i]);
		v->read = tree;
		*out = diff;
	}
	release(&w);
	return rc;
}

static void release_list(struct kg_view_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->items[i].key);
		kg_doc_unref(l->items[i].doc);
	}
	free(l->items);
}

void kg_view_diff_release(struct kg_view_diff *d)
{
	release_list(&d->services);
	release_list(&d->policies);
	release_list(&d->peers);
	*d = (struct kg_view_diff){0};
}

const struct kg_value *kg_view_node(const struct kg_view *v)
{
	return v->node ? kg_doc_value(v->node) : &kg_null;
}

struct kg_doc **kg_view_docs(const struct kg_view *v, enum kg_view_kind kind, size_t *n)
{
	const struct kg_map *files = &v->files[kind];
	KG_AUTOFREE struct kg_map_entry **sorted = kg_map_sorted(files);
	struct kg_doc **docs = kg_alloc((files->count + 1) * sizeof(*docs));

	for (size_t i = 0; i < files->count; i++)
		docs[i] = kg_doc_ref(sorted[i]->value);
	*n = files->count;
	return docs;
}
