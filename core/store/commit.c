/*
 * One revision: the mirror's trees are brought along with the changes, what is new goes into one
 * pack, and the pack is appended. Where that fails the mirror is taken back.
 */
#include "store/commit_text.h"
#include "store/private.h"
#include "store/replay.h"
#include "store/resolve.h"

#include "base/hash.h"
#include "base/mem.h"
#include "value/yaml.h"

#include <string.h>

struct work {
	struct kg_mirror_edit edit;
	const struct kg_view *head;
	const struct kg_store_commit *c;
	struct kg_reader reader;
};

static void work_release(struct work *w)
{
	kg_mirror_edit_release(&w->edit);
	kg_reader_release(&w->reader);
}

/* ---- the tree ---- */

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
	struct kg_buf *b = &w->edit.text;
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
	kg_buf_clear(b);
	kg_commit_text_write(b, &text);
	kg_pack_add(w->edit.pack, KG_PACK_COMMIT, b->data, b->len, v->commit);
	return 0;
}

/* ---- what made it ---- */

/* Packs the edit's text unless that is what is there already. */
static void renew_blob(struct work *w, unsigned char id[20])
{
	const struct kg_buf *b = &w->edit.text;
	unsigned char is[20];

	kg_git_oid(is, "blob", kg_buf_str(b), b->len);
	if (memcmp(is, id, 20) != 0)
		kg_mirror_edit_pack(&w->edit, id);
}

/* The files at the root that say by whom, how, and of what the revision was made. */
static void pack_origin(struct kg_view *v, struct work *w)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf *b = &w->edit.text;
	const char *inputs = w->c->inputs ? w->c->inputs : "";

	if (w->c->reconciler) {
		struct kg_value cluster = kg_v_obj(&a, "id", kg_v_str(&a, v->cluster_id),
			"reconciler", *w->c->reconciler, (char *)NULL);
		kg_buf_clear(b);
		kg_yaml_write(b, &cluster);
		renew_blob(w, v->cluster_blob);
	}
	kg_buf_clear(b);
	kg_buf_adds(b, KG_STORE_FORMAT "\n");
	renew_blob(w, v->format_blob);
	v->format = KG_STORE_FORMAT_NUMBER;
	v->inputs.there = *inputs != '\0';
	if (v->inputs.there) {
		kg_buf_clear(b);
		kg_buf_adds(b, inputs);
		kg_mirror_edit_pack(&w->edit, v->inputs.id);
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
		rc = kg_mirror_edit_apply(&w->edit, w->c->changes, err);
	if (rc < 0)
		return rc;
	v->decided = write_fan(w->edit.pack, w->edit.mirror->decided);
	v->observed = write_fan(w->edit.pack, w->edit.mirror->observed);
	v->templates = write_fan(w->edit.pack, w->edit.mirror->templates);
	pack_origin(v, w);
	kg_root_pack(w->edit.pack, v);
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
	struct work w KG_CLEANUP(work_release) = {
		.edit = {.pack = s->pack, .mirror = &s->mirror, .next = c->next},
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
			kg_mirror_edit_undo(&w.edit);
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
	struct work w KG_CLEANUP(work_release) = {.edit = {.pack = to->pack,
							  .mirror = &to->mirror,
							  .texts = &to->texts,
							  .next = c->next},
		.head = &to->head,
		.c = c,
		.reader = kg_store_reader(to->store)};
	struct kg_view v;

	kg_pack_clear(to->pack);
	kg_pack_set_plain(to->pack, true);
	kg_blob_texts_clear(&to->texts);
	int rc = build(&v, &w, err);
	if (rc < 0) {
		kg_mirror_edit_undo(&w.edit);
		return rc;
	}
	/* The commit's text is what was written last. */
	kg_buf_clear(&to->commit);
	kg_buf_add(&to->commit, w.edit.text.data, w.edit.text.len);
	to->head = v;
	kg_hex(c->next->commit, v.commit, 20);
	return 0;
}
