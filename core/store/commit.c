/*
 * One revision: changed records become blobs, the mirror's trees are brought along, what is new
 * goes into one pack, and the pack is appended. Where that fails the mirror is taken back, step
 * by step; since a tree's shape depends on its content alone, it is then what it was.
 */
#include "store/commit_text.h"
#include "store/private.h"
#include "store/replay.h"
#include "store/resolve.h"

#include "base/hash.h"
#include "base/mem.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

/* One step on the mirror that can be taken back. */
struct step {
	struct kg_fan *fan;
	const char *path[3]; /* the arena's */
	size_t n;
	bool was_there;
	unsigned char was[20];
};
struct work {
	struct kg_pack *pack;
	struct kg_mirror *mirror;
	const struct kg_view *head;
	struct kg_blob_texts *texts; /* what is new, kept; or NULL */
	const struct kg_store_commit *c;
	struct kg_reader reader;
	struct step *steps;
	size_t len, cap;
	struct kg_arena paths; /* of the steps */
	struct kg_buf text;    /* scratch */
};

static void work_release(struct work *w)
{
	free(w->steps);
	kg_arena_release(&w->paths);
	kg_buf_release(&w->text);
	kg_reader_release(&w->reader);
}

static void take_back(struct work *w)
{
	while (w->len) {
		struct step *s = &w->steps[--w->len];

		if (s->was_there)
			kg_fan_put(s->fan, s->path, s->n, s->was);
		else
			kg_fan_remove(s->fan, s->path, s->n);
	}
}

/* Remembers what was at the path; NULL: nothing. */
static void remember(struct work *w, struct kg_fan *fan, const char *const *path, size_t n,
	const unsigned char *was)
{
	KG_GROW(w->steps, w->cap, w->len + 1);
	struct step *s = &w->steps[w->len++];
	*s = (struct step){.fan = fan, .n = n, .was_there = was != NULL};
	if (was)
		memcpy(s->was, was, 20);
	for (size_t i = 0; i < n; i++)
		s->path[i] = kg_arena_strdup(&w->paths, path[i]);
}

static void remove_file(struct work *w, struct kg_fan *fan, const char *const *path, size_t n)
{
	const unsigned char *was = kg_fan_get(fan, path, n);

	if (!was)
		return;
	remember(w, fan, path, n, was);
	kg_fan_remove(fan, path, n);
}

/* Packs w->text. */
static void pack_text(struct work *w, unsigned char id[20])
{
	kg_pack_add(w->pack, KG_PACK_BLOB, kg_buf_str(&w->text), w->text.len, id);
	if (w->texts)
		kg_blob_texts_add(w->texts, id, kg_buf_str(&w->text), w->text.len);
}

/* Stores w->text as the file. */
static void put_text(struct work *w, struct kg_fan *fan, const char *const *path, size_t n)
{
	unsigned char id[20], was[20];

	pack_text(w, id);
	bool there = kg_fan_swap(fan, path, n, id, was);
	remember(w, fan, path, n, there ? was : NULL);
}

/* ---- records ---- */

static const char *observer(const struct kg_object *obj)
{
	return obj ? kg_record_node(obj) : NULL;
}

static void put_decided(struct work *w, const struct kg_object *obj)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_decided_path(path, buf, obj->kind, obj->ns, obj->name);

	kg_buf_clear(&w->text);
	kg_record_decided(&w->text, obj, obj->revision);
	put_text(w, w->mirror->decided, path, n);
}

static void remove_decided(struct work *w, const struct kg_object *obj)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_decided_path(path, buf, obj->kind, obj->ns, obj->name);

	remove_file(w, w->mirror->decided, path, n);
}

static void remove_observed(struct work *w, const struct kg_object *obj, const char *node)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_observed_path(path, buf, node, obj->ns, obj->name);

	remove_file(w, w->mirror->observed, path, n);
}

static void put_observed(struct work *w, const struct kg_object *obj, const char *node)
{
	char buf[KG_RECORD_NAME_MAX];
	const char *path[3];
	size_t n = kg_observed_path(path, buf, node, obj->ns, obj->name);

	kg_buf_clear(&w->text);
	kg_record_observed(&w->text, obj, obj->revision);
	put_text(w, w->mirror->observed, path, n);
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
	struct work *w, const struct kg_object *before, const struct kg_object *after)
{
	const char *was = once_observer(before), *is = observer(after);
	bool same_node = was && is && strcmp(was, is) == 0;

	if (was && !same_node)
		remove_observed(w, before, was);
	if (!is || (same_node && kg_record_observed_equal(before, after)))
		return false;
	put_observed(w, after, is);
	return true;
}

/* The object's revision must be in one of its records, so a change that shows in neither (its
 * manifest says otherwise, its own record the same) is written to the decided one. */
static void change_object(
	struct work *w, const struct kg_object *before, const struct kg_object *after)
{
	bool observed = change_observed(w, before, after);

	if (!after)
		remove_decided(w, before);
	else if (!before || !observed || !kg_record_decided_equal(before, after))
		put_decided(w, after);
}

/* ---- templates ---- */

static int put_template(struct work *w, const struct kg_object *obj, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char file[40];
	const char *path[1] = {file};

	snprintf(file, sizeof(file), "%s.yaml", obj->template_id);
	if (kg_fan_get(w->mirror->templates, path, 1))
		return 0;
	struct kg_value t = kg_template_of(&a, obj);
	if (kg_is_null(&t))
		return kg_fail(err, KG_E_INVALID, "%s %s has a template id but no template",
			obj->kind->kind, obj->key);
	kg_buf_clear(&w->text);
	kg_yaml_write(&w->text, &t);
	put_text(w, w->mirror->templates, path, 1);
	return 0;
}

static bool template_in_use(const struct kg_snapshot *s, const char *id)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);

	kg_iter_index(&it, s, KG_INDEX_TEMPLATE, id);
	return kg_iter_next(&it) != NULL;
}

static void drop_template(struct work *w, const char *id)
{
	char file[40];
	const char *path[1] = {file};

	if (template_in_use(w->c->next, id))
		return;
	snprintf(file, sizeof(file), "%s.yaml", id);
	remove_file(w, w->mirror->templates, path, 1);
}

static int change_template(struct work *w, const struct kg_object *before,
	const struct kg_object *after, struct kg_error *err)
{
	const char *was = before ? before->template_id : "";
	const char *is = after ? after->template_id : "";
	int rc = 0;

	/* What has one that is the same has it in the tree. */
	if (strcmp(was, is) == 0)
		return 0;
	if (*is)
		rc = put_template(w, after, err);
	if (rc == 0 && *was)
		drop_template(w, was);
	return rc;
}

/* ---- the tree ---- */

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

static int apply_changes(struct work *w, struct kg_error *err)
{
	const struct kg_changes *changes = w->c->changes;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < changes->len; i++) {
		const struct kg_object *before = changes->items[i].before;
		const struct kg_object *after = changes->items[i].after;

		rc = check_names(after, err);
		if (rc < 0)
			break;
		rc = change_template(w, before, after, err);
		change_object(w, before, after);
	}
	return rc;
}

static void pack_tree(void *ctx, const void *raw, size_t len, unsigned char id[20])
{
	kg_pack_add(ctx, KG_PACK_TREE, raw, len, id);
}

static struct kg_subtree write_fan(struct kg_pack *pack, struct kg_fan *fan)
{
	struct kg_subtree t = {.there = kg_fan_count(fan) > 0};

	if (t.there) {
		kg_fan_write(fan, pack_tree, pack);
		memcpy(t.id, kg_fan_id(fan), 20);
	}
	return t;
}

/* The tree of main as the next revision has it. */
static int desired_tree(struct kg_view *v, struct work *w, struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view main_commit;
	unsigned char id[20];

	if (strcmp(v->main_commit, w->head->main_commit) == 0)
		return 0;
	v->desired.there = false;
	if (!*v->main_commit)
		return 0;
	if (kg_unhex(id, 20, v->main_commit) < 0)
		return kg_fail(
			err, KG_E_INVALID, "main \"%s\" is not a commit's id", v->main_commit);
	int rc = kg_commit_read(&obj, &main_commit, &w->reader, id, err);
	if (rc < 0)
		return kg_wrap(err, "main");
	memcpy(v->desired.id, main_commit.tree, 20);
	/* A commit without files has the empty tree, which is not kept. */
	git_odb_object_free(kg_steal(&obj));
	rc = kg_reader_get(&obj, &w->reader, v->desired.id, GIT_OBJECT_TREE, err);
	v->desired.there = rc == 0 && git_odb_object_size(obj) > 0;
	return rc;
}

static int pack_commit(struct kg_view *v, struct work *w, struct kg_error *err)
{
	struct kg_commit_text text = {
		.has_parent = true,
		.author = w->c->author,
		.cluster = v->cluster_id,
		.message = w->c->message,
		.time = v->time,
		.revision = v->revision,
	};

	memcpy(text.tree, v->root, 20);
	memcpy(text.parent, w->head->commit, 20);
	if (w->c->parent2 && *w->c->parent2) {
		text.has_parent2 = true;
		if (kg_unhex(text.parent2, 20, w->c->parent2) < 0)
			return kg_fail(
				err, KG_E_INVALID, "\"%s\" is not a commit's id", w->c->parent2);
	}
	kg_buf_clear(&w->text);
	kg_commit_text_write(&w->text, &text);
	kg_pack_add(w->pack, KG_PACK_COMMIT, w->text.data, w->text.len, v->commit);
	return 0;
}

/* ---- what made it ---- */

/* Packs w->text unless that is what is there already. */
static void renew_blob(struct work *w, unsigned char id[20])
{
	unsigned char is[20];

	kg_git_oid(is, "blob", kg_buf_str(&w->text), w->text.len);
	if (memcmp(is, id, 20) != 0)
		pack_text(w, id);
}

/* The files at the root that say by whom, how, and of what the revision was made. */
static void pack_origin(struct kg_view *v, struct work *w)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *inputs = w->c->inputs ? w->c->inputs : "";

	if (w->c->reconciler) {
		struct kg_value cluster = kg_v_obj(&a, "id", kg_v_str(&a, v->cluster_id),
			"reconciler", *w->c->reconciler, (char *)NULL);
		kg_buf_clear(&w->text);
		kg_yaml_write(&w->text, &cluster);
		renew_blob(w, v->cluster_blob);
	}
	kg_buf_clear(&w->text);
	kg_buf_adds(&w->text, KG_STORE_FORMAT "\n");
	renew_blob(w, v->format_blob);
	v->format = KG_STORE_FORMAT_NUMBER;
	v->inputs.there = *inputs != '\0';
	if (v->inputs.there) {
		kg_buf_clear(&w->text);
		kg_buf_adds(&w->text, inputs);
		pack_text(w, v->inputs.id);
	}
}

/* Everything of the revision into the pack; *v is what it will be. */
static int build(struct kg_view *v, struct work *w, struct kg_error *err)
{
	int rc;

	*v = *w->head;
	v->revision = w->c->next->revision;
	v->time = w->c->next->time;
	memcpy(v->main_commit, w->c->next->main_commit, sizeof(v->main_commit));
	rc = desired_tree(v, w, err);
	if (rc == 0)
		rc = apply_changes(w, err);
	if (rc < 0)
		return rc;
	v->decided = write_fan(w->pack, w->mirror->decided);
	v->observed = write_fan(w->pack, w->mirror->observed);
	v->templates = write_fan(w->pack, w->mirror->templates);
	pack_origin(v, w);
	kg_root_pack(w->pack, v);
	return pack_commit(v, w, err);
}

static int append(
	struct kg_store *s, const struct work *w, const struct kg_view *v, struct kg_error *err)
{
	struct kg_append a = {.epoch = 1, .revision = v->revision, .pushed = w->c->parent2 != NULL};
	const struct kg_buf *pack, *index;

	kg_pack_finish(s->pack, &pack, &index, a.pack_id);
	memcpy(a.parent, s->head.commit, 20);
	memcpy(a.commit, v->commit, 20);
	a.pack = pack->data;
	a.pack_len = pack->len;
	a.index = index->data;
	a.index_len = index->len;
	return s->backend->append(s->backend, &a, err);
}

/* ---- the mirror ---- */

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

static int need_mirror(struct kg_store *s, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);

	pthread_mutex_lock(&s->lock);
	s->mirror_taken = true;
	bool there = s->mirror.decided != NULL;
	pthread_mutex_unlock(&s->lock);
	return there ? 0 : kg_mirror_load(&s->mirror, &r, &s->head, err);
}

/* ---- the call ---- */

static void publish(struct kg_store *s, const struct kg_view *v)
{
	pthread_mutex_lock(&s->lock);
	s->head = *v;
	kg_history_append(&s->history, v->commit);
	pthread_mutex_unlock(&s->lock);
}

static int check_commit(
	const struct kg_store *s, const struct kg_store_commit *c, struct kg_error *err)
{
	if (s->read_only)
		return kg_fail(err, KG_E_READ_ONLY, "the store was opened to read");
	if (s->sync_failed)
		return kg_store_poisoned(err);
	/* Only the writer moves the head, and this is the writer's thread. */
	if (c->next->revision != s->head.revision + 1)
		return kg_fail(err, KG_E_CONFLICT, "revision %llu does not follow the head, %llu",
			(unsigned long long)c->next->revision,
			(unsigned long long)s->head.revision);
	return 0;
}

int kg_store_commit(struct kg_store *s, const struct kg_store_commit *c, struct kg_error *err)
{
	struct work w KG_CLEANUP(work_release) = {.pack = s->pack,
		.mirror = &s->mirror,
		.head = &s->head,
		.c = c,
		.reader = kg_store_reader(s)};
	struct kg_error why = {0};
	struct kg_view v;

	int rc = check_commit(s, c, &why);
	if (rc == 0)
		rc = need_mirror(s, &why);
	if (rc == 0)
		rc = kg_reader_add(&w.reader, c->objects_dir, &why);
	if (rc == 0) {
		kg_pack_clear(s->pack);
		kg_pack_set_plain(s->pack, s->backend->deflates);
		rc = build(&v, &w, &why);
		if (rc == 0)
			rc = append(s, &w, &v, &why);
		if (rc < 0)
			take_back(&w);
	}
	if (rc < 0)
		return kg_fail(err, why.code, "commit revision %llu: %s",
			(unsigned long long)c->next->revision, why.msg);
	publish(s, &v);
	kg_hex(c->next->commit, v.commit, 20);
	return 0;
}

int kg_replay_commit(struct kg_replay *to, const struct kg_store_commit *c, struct kg_error *err)
{
	struct work w KG_CLEANUP(work_release) = {.pack = to->pack,
		.mirror = &to->mirror,
		.head = &to->head,
		.texts = &to->texts,
		.c = c,
		.reader = kg_store_reader(to->store)};
	struct kg_view v;

	kg_pack_clear(to->pack);
	kg_pack_set_plain(to->pack, true);
	kg_blob_texts_clear(&to->texts);
	int rc = build(&v, &w, err);
	if (rc < 0) {
		take_back(&w);
		return rc;
	}
	/* The commit's text is what was written last. */
	kg_buf_clear(&to->commit);
	kg_buf_add(&to->commit, w.text.data, w.text.len);
	to->head = v;
	kg_hex(c->next->commit, v.commit, 20);
	return 0;
}
