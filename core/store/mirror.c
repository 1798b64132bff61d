#include "store/mirror.h"

#include "store/private.h"
#include "store/resolve.h"

#include "base/mem.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

/* ---- the trees ---- */

void kg_mirror_release(struct kg_mirror *m)
{
	kg_fan_free(m->decided);
	kg_fan_free(m->observed);
	kg_fan_free(m->templates);
	*m = (struct kg_mirror){0};
}

static int load_fan(struct kg_fan **out, const struct kg_reader *r, const struct kg_subtree *t,
	bool flat, struct kg_error *err)
{
	if (t->there)
		return kg_fan_load(out, r, t->id, flat, err);
	*out = kg_fan_new(flat);
	return 0;
}

int kg_mirror_load(struct kg_mirror *m, const struct kg_reader *r, const struct kg_view *view,
	struct kg_error *err)
{
	struct kg_mirror got = {0};

	/* decided/ holds one directory a resource: few, and nicer to read unsplit. */
	int rc = load_fan(&got.decided, r, &view->decided, true, err);
	if (rc == 0)
		rc = load_fan(&got.observed, r, &view->observed, false, err);
	if (rc == 0)
		rc = load_fan(&got.templates, r, &view->templates, false, err);
	if (rc < 0)
		kg_mirror_release(&got);
	else
		*m = got;
	return rc;
}

/* ---- steps ---- */

/* That can be taken back. */
struct kg_mirror_step {
	struct kg_fan *fan;
	const char *path[3]; /* the arena's */
	size_t n;
	bool was_there;
	unsigned char was[20];
};

void kg_mirror_edit_release(struct kg_mirror_edit *e)
{
	free(e->steps);
	kg_arena_release(&e->paths);
	kg_buf_release(&e->text);
}

void kg_mirror_edit_undo(struct kg_mirror_edit *e)
{
	while (e->len) {
		struct kg_mirror_step *s = &e->steps[--e->len];

		if (s->was_there)
			kg_fan_put(s->fan, s->path, s->n, s->was);
		else
			kg_fan_remove(s->fan, s->path, s->n);
	}
}

/* Remembers what was at the path; NULL: nothing. */
static void remember(struct kg_mirror_edit *e, struct kg_fan *fan, const char *const *path,
	size_t n, const unsigned char *was)
{
	KG_GROW(e->steps, e->cap, e->len + 1);
	struct kg_mirror_step *s = &e->steps[e->len++];
	*s = (struct kg_mirror_step){.fan = fan, .n = n, .was_there = was != NULL};
	if (was)
		memcpy(s->was, was, 20);
	for (size_t i = 0; i < n; i++)
		s->path[i] = kg_arena_strdup(&e->paths, path[i]);
}

static void remove_file(
	struct kg_mirror_edit *e, struct kg_fan *fan, const char *const *path, size_t n)
{
	const unsigned char *was = kg_fan_get(fan, path, n);

	if (!was)
		return;
	remember(e, fan, path, n, was);
	kg_fan_remove(fan, path, n);
}

void kg_mirror_edit_pack(struct kg_mirror_edit *e, unsigned char id[20])
{
	kg_pack_add(e->pack, KG_PACK_BLOB, kg_buf_str(&e->text), e->text.len, id);
	if (e->texts)
		kg_blob_texts_add(e->texts, id, kg_buf_str(&e->text), e->text.len);
}

/* Stores e->text as the file. */
static void put_text(
	struct kg_mirror_edit *e, struct kg_fan *fan, const char *const *path, size_t n)
{
	unsigned char id[20], was[20];

	kg_mirror_edit_pack(e, id);
	bool there = kg_fan_swap(fan, path, n, id, was);
	remember(e, fan, path, n, there ? was : NULL);
}

/* ---- records ---- */

static const char *observer(const struct kg_object *obj)
{
	return obj ? kg_record_node(obj) : NULL;
}

static void put_decided(struct kg_mirror_edit *e, const struct kg_object *obj)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_decided_path(path, buf, obj->kind, obj->ns, obj->name);

	kg_buf_clear(&e->text);
	kg_record_decided(&e->text, obj, obj->revision);
	put_text(e, e->mirror->decided, path, n);
}

static void remove_decided(struct kg_mirror_edit *e, const struct kg_object *obj)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_decided_path(path, buf, obj->kind, obj->ns, obj->name);

	remove_file(e, e->mirror->decided, path, n);
}

static void remove_observed(struct kg_mirror_edit *e, const struct kg_object *obj, const char *node)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_observed_path(path, buf, node, obj->ns, obj->name);

	remove_file(e, e->mirror->observed, path, n);
}

static void put_observed(struct kg_mirror_edit *e, const struct kg_object *obj, const char *node)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_observed_path(path, buf, node, obj->ns, obj->name);

	kg_buf_clear(&e->text);
	kg_record_observed(&e->text, obj, obj->revision);
	put_text(e, e->mirror->observed, path, n);
}

/* Where a pod was observed by an earlier kgit, which took its status for observed once it was
 * bound. */
static const char *once_observer(const struct kg_object *obj)
{
	const char *node = obj && obj->kind->id == KG_KIND_POD
				   ? kg_string(kg_at(kg_obj(obj), "spec.nodeName"), "")
				   : "";

	return *node ? node : observer(obj);
}

/* Returns whether an observed record was written. */
static bool change_observed(
	struct kg_mirror_edit *e, const struct kg_object *before, const struct kg_object *after)
{
	const char *was = once_observer(before), *is = observer(after);
	bool same_node = was && is && strcmp(was, is) == 0;

	if (was && !same_node)
		remove_observed(e, before, was);
	if (!is || (same_node && kg_record_observed_equal(before, after)))
		return false;
	put_observed(e, after, is);
	return true;
}

/* The object's revision must be in one of its records, so a change that shows in neither (its
 * manifest says otherwise, its own record the same) is written to the decided one. */
static void change_object(
	struct kg_mirror_edit *e, const struct kg_object *before, const struct kg_object *after)
{
	bool observed = change_observed(e, before, after);

	if (!after)
		remove_decided(e, before);
	else if (!before || !observed || !kg_record_decided_equal(before, after))
		put_decided(e, after);
}

/* ---- templates ---- */

static int put_template(struct kg_mirror_edit *e, const struct kg_object *obj, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char file[40];
	const char *path[1] = {file};

	snprintf(file, sizeof(file), "%s.yaml", obj->template_id);
	if (kg_fan_get(e->mirror->templates, path, 1))
		return 0;
	struct kg_value t = kg_template_of(&a, obj);
	if (kg_is_null(&t))
		return kg_fail(err, KG_E_INVALID, "%s %s has a template id but no template",
			obj->kind->kind, obj->key);
	kg_buf_clear(&e->text);
	kg_yaml_write(&e->text, &t);
	put_text(e, e->mirror->templates, path, 1);
	return 0;
}

static bool template_in_use(const struct kg_snapshot *s, const char *id)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);

	kg_iter_index(&it, s, KG_INDEX_TEMPLATE, id);
	return kg_iter_next(&it) != NULL;
}

static void drop_template(struct kg_mirror_edit *e, const char *id)
{
	char file[40];
	const char *path[1] = {file};

	if (template_in_use(e->next, id))
		return;
	snprintf(file, sizeof(file), "%s.yaml", id);
	remove_file(e, e->mirror->templates, path, 1);
}

static int change_template(struct kg_mirror_edit *e, const struct kg_object *before,
	const struct kg_object *after, struct kg_error *err)
{
	const char *was = before ? before->template_id : "";
	const char *is = after ? after->template_id : "";
	int rc = 0;

	/* What has one that is the same has it in the tree. */
	if (strcmp(was, is) == 0)
		return 0;
	if (*is)
		rc = put_template(e, after, err);
	if (rc == 0 && *was)
		drop_template(e, was);
	return rc;
}

/* ---- changes ---- */

static bool is_file_name(const char *s)
{
	size_t n = strlen(s);

	return n && n < KG_RECORD_NAME_MAX - 8 && s[0] != '.' && !strchr(s, '/');
}

/* Names become paths: what reaches the store was validated, and must be. */
static int check_names(const struct kg_object *obj, struct kg_error *err)
{
	const char *node = observer(obj);

	if (!obj || (is_file_name(obj->name) && (!*obj->ns || is_file_name(obj->ns)) &&
			    (!node || is_file_name(node))))
		return 0;
	return kg_fail(err, KG_E_INVALID, "%s \"%s\" has a name that cannot be a file's",
		obj->kind->kind, obj->key);
}

int kg_mirror_edit_apply(
	struct kg_mirror_edit *e, const struct kg_changes *changes, struct kg_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < changes->len; i++) {
		const struct kg_object *before = changes->items[i].before;
		const struct kg_object *after = changes->items[i].after;

		rc = check_names(after, err);
		if (rc < 0)
			break;
		rc = change_template(e, before, after, err);
		change_object(e, before, after);
	}
	return rc;
}
