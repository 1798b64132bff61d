#include "store/replay.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/commit_text.h"
#include "store/private.h"
#include "value/yaml.h"

#include <stdlib.h>
#include <string.h>

#define MAX_INPUTS (256U << 20)
#define MAX_FILE   (64U << 20)

/* ---- texts ---- */

void kg_blob_texts_add(
	struct kg_blob_texts *t, const unsigned char id[20], const void *text, size_t len)
{
	KG_GROW(t->items, t->cap, t->len + 1);
	struct kg_text *x = &t->items[t->len++];
	memcpy(x->id, id, 20);
	x->from = t->data.len;
	x->len = len;
	kg_buf_add(&t->data, text, len);
}

void kg_blob_texts_clear(struct kg_blob_texts *t)
{
	t->len = 0;
	kg_buf_clear(&t->data);
}

static bool get_text(struct kg_buf *out, const struct kg_blob_texts *t, const unsigned char id[20])
{
	for (size_t i = 0; i < t->len; i++) {
		if (memcmp(t->items[i].id, id, 20) != 0)
			continue;
		kg_buf_add(out, t->data.data + t->items[i].from, t->items[i].len);
		return true;
	}
	return false;
}

/* ---- a revision as it is recorded ---- */

static int read_commit(struct kg_store_revision *out, struct kg_arena *a, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err)
{
	git_odb_object *obj KG_AUTOOBJ = NULL;
	struct kg_commit_view c;
	int rc = kg_commit_read(&obj, &c, r, id, err);

	if (rc < 0)
		return rc;
	out->text = kg_arena_strndup(a, git_odb_object_data(obj), git_odb_object_size(obj));
	out->message = kg_arena_strndup(a, c.message, c.message_len);
	out->parent2[0] = '\0';
	if (c.has_parent2)
		kg_hex(out->parent2, c.parent2, 20);
	return 0;
}

static int read_inputs(struct kg_store_revision *out, struct kg_arena *a, const struct kg_reader *r,
	const struct kg_view *v, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	out->inputs = "";
	if (!v->inputs.there)
		return 0;
	int rc = kg_reader_blob(&text, r, v->inputs.id, MAX_INPUTS, err);
	if (rc == 0)
		out->inputs = kg_arena_strndup(a, kg_buf_str(&text), text.len);
	return rc < 0 ? kg_wrap(err, "inputs.yaml") : 0;
}

static int read_reconciler(struct kg_store_revision *out, struct kg_arena *a,
	const struct kg_reader *r, const struct kg_view *v, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value cluster;
	int rc = kg_reader_blob(&text, r, v->cluster_blob, MAX_FILE, err);

	if (rc == 0)
		rc = kg_yaml_load(&cluster, a, kg_buf_str(&text), text.len, err);
	if (rc == 0)
		out->reconciler = *kg_get(&cluster, "reconciler");
	return rc < 0 ? kg_wrap(err, "cluster.yaml") : 0;
}

int kg_store_revision_read(struct kg_store_revision *out, struct kg_store *s, struct kg_arena *a,
	uint64_t revision, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(s);
	struct kg_error why = {0};
	unsigned char id[20];
	struct kg_view v;

	*out = (struct kg_store_revision){.revision = revision};
	int rc = kg_store_find_revision(id, s, revision, &why);
	if (rc == 0)
		rc = kg_view_open(&v, &r, id, &why);
	if (rc == 0)
		rc = read_commit(out, a, &r, id, &why);
	if (rc == 0)
		rc = read_inputs(out, a, &r, &v, &why);
	if (rc == 0)
		rc = read_reconciler(out, a, &r, &v, &why);
	if (rc < 0)
		return kg_fail(
			err, why.code, "revision %llu: %s", (unsigned long long)revision, why.msg);
	out->time = v.time;
	out->format = v.format;
	kg_hex(out->commit, v.commit, 20);
	kg_hex(out->tree, v.root, 20);
	memcpy(out->main, v.main_commit, sizeof(out->main));
	return 0;
}

/* ---- made again ---- */

static int open_at(struct kg_view *v, struct kg_store *s, const struct kg_reader *r,
	uint64_t revision, struct kg_error *err)
{
	unsigned char id[20];
	int rc = kg_store_find_revision(id, s, revision, err);

	return rc < 0 ? rc : kg_view_open(v, r, id, err);
}

int kg_replay_new(
	struct kg_replay **out, struct kg_store *store, uint64_t revision, struct kg_error *err)
{
	struct kg_reader r KG_CLEANUP(kg_reader_release) = kg_store_reader(store);
	struct kg_replay *x = kg_alloc(sizeof(*x));

	x->store = store;
	x->pack = kg_pack_new();
	int rc = open_at(&x->head, store, &r, revision, err);
	if (rc == 0)
		rc = kg_mirror_load(&x->mirror, &r, &x->head, err);
	if (rc < 0) {
		kg_replay_free(x);
		return rc;
	}
	*out = x;
	return 0;
}

void kg_replay_free(struct kg_replay *r)
{
	if (!r)
		return;
	kg_pack_free(r->pack);
	kg_mirror_release(&r->mirror);
	kg_buf_release(&r->texts.data);
	free(r->texts.items);
	kg_buf_release(&r->commit);
	free(r);
}

void kg_replay_tree(const struct kg_replay *r, char out[41])
{
	kg_hex(out, r->head.root, 20);
}

const char *kg_replay_text(const struct kg_replay *r)
{
	return kg_buf_str(&r->commit);
}

/* ---- what differs ---- */

struct diff {
	struct kg_replay *replay;
	struct kg_reader reader;
	struct kg_buf path;
	size_t n, max;
	kg_replay_diff_fn *fn;
	void *ctx;
};

static void diff_release(struct diff *d)
{
	kg_reader_release(&d->reader);
	kg_buf_release(&d->path);
}

/* A blob of the last commit, or of the repository; "(ID)" where it cannot be read. */
static const char *text_of(struct kg_buf *out, struct diff *d, const unsigned char *id)
{
	char hex[41];

	if (!id)
		return NULL;
	if (get_text(out, &d->replay->texts, id) ||
		kg_reader_blob(out, &d->reader, id, MAX_FILE, NULL) == 0)
		return kg_buf_str(out);
	kg_hex(hex, id, 20);
	kg_buf_clear(out);
	kg_buf_addf(out, "(%s)", hex);
	return out->data;
}

static void tell(struct diff *d, const unsigned char *recorded, const unsigned char *recomputed)
{
	struct kg_buf x KG_AUTOBUF = KG_BUF_INIT, y KG_AUTOBUF = KG_BUF_INIT;

	if (d->n++ < d->max)
		d->fn(d->ctx, kg_buf_str(&d->path), text_of(&x, d, recorded),
			text_of(&y, d, recomputed));
}

struct entry {
	char *name;
	const struct kg_fan *dir;
	unsigned char id[20];
};
struct entries {
	struct entry *v;
	size_t n, cap;
};

static void entries_release(struct entries *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->v[i].name);
	free(e->v);
}

static int collect(void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir)
{
	struct entries *e = ctx;

	KG_GROW(e->v, e->cap, e->n + 1);
	struct entry *x = &e->v[e->n++];
	*x = (struct entry){.name = kg_strdup(name), .dir = dir};
	memcpy(x->id, id, 20);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void entries_of(struct entries *e, const struct kg_fan *dir)
{
	if (dir)
		kg_fan_each(dir, collect, e);
	if (e->n)
		qsort(e->v, e->n, sizeof(*e->v), by_name);
}

static void diff_fans(struct diff *d, const struct kg_fan *a, const struct kg_fan *b);

static void diff_entry(struct diff *d, const struct entry *x, const struct entry *y)
{
	size_t len = d->path.len;

	if (x && y && !x->dir == !y->dir && memcmp(x->id, y->id, 20) == 0)
		return;
	kg_buf_addf(&d->path, "/%s", x ? x->name : y->name);
	if ((x && x->dir) || (y && y->dir))
		diff_fans(d, x ? x->dir : NULL, y ? y->dir : NULL);
	if ((x && !x->dir) || (y && !y->dir))
		tell(d, x && !x->dir ? x->id : NULL, y && !y->dir ? y->id : NULL);
	kg_buf_remove(&d->path, len, d->path.len - len);
}

/* NULL: absent. */
static void diff_fans(struct diff *d, const struct kg_fan *a, const struct kg_fan *b)
{
	struct entries x KG_CLEANUP(entries_release) = {0};
	struct entries y KG_CLEANUP(entries_release) = {0};

	entries_of(&x, a);
	entries_of(&y, b);
	for (size_t i = 0, k = 0; i < x.n || k < y.n;) {
		int c = i == x.n ? 1 : k == y.n ? -1 : strcmp(x.v[i].name, y.v[k].name);

		diff_entry(d, c <= 0 ? &x.v[i] : NULL, c >= 0 ? &y.v[k] : NULL);
		i += c <= 0;
		k += c >= 0;
	}
}

static void diff_root(struct diff *d, const char *name, const unsigned char *recorded,
	const unsigned char *recomputed)
{
	if (!recorded && !recomputed)
		return;
	if (recorded && recomputed && memcmp(recorded, recomputed, 20) == 0)
		return;
	kg_buf_clear(&d->path);
	kg_buf_adds(&d->path, name);
	tell(d, recorded, recomputed);
}

static const unsigned char *id_of(const struct kg_subtree *t)
{
	return t->there ? t->id : NULL;
}

static void diff_dir(
	struct diff *d, const char *name, const struct kg_fan *recorded, const struct kg_fan *ours)
{
	kg_buf_clear(&d->path);
	kg_buf_adds(&d->path, name);
	diff_fans(d, recorded, ours);
}

static void diff_views(struct diff *d, const struct kg_view *v)
{
	const struct kg_view *ours = &d->replay->head;

	diff_root(d, "cluster.yaml", v->cluster_blob, ours->cluster_blob);
	diff_root(d, "clock.yaml", v->clock_blob, ours->clock_blob);
	diff_root(d, "format", v->format_blob, ours->format_blob);
	diff_root(d, "inputs.yaml", id_of(&v->inputs), id_of(&ours->inputs));
	diff_root(d, "desired", id_of(&v->desired), id_of(&ours->desired));
}

int kg_replay_diff(size_t *n, struct kg_replay *r, size_t max, kg_replay_diff_fn *fn, void *ctx,
	struct kg_error *err)
{
	struct diff d KG_CLEANUP(diff_release) = {
		.replay = r, .reader = kg_store_reader(r->store), .max = max, .fn = fn, .ctx = ctx};
	struct kg_mirror recorded = {0};
	struct kg_buf clock KG_AUTOBUF = KG_BUF_INIT;
	unsigned char clock_id[20];
	struct kg_view v;
	int rc = open_at(&v, r->store, &d.reader, r->head.revision, err);

	if (rc == 0)
		rc = kg_mirror_load(&recorded, &d.reader, &v, err);
	if (rc < 0)
		return rc;
	kg_clock_write(&clock, r->head.time, r->head.revision, r->head.main_commit);
	kg_git_oid(clock_id, "blob", clock.data, clock.len);
	kg_blob_texts_add(&r->texts, clock_id, clock.data, clock.len);
	diff_views(&d, &v);
	diff_dir(&d, "decided", recorded.decided, r->mirror.decided);
	diff_dir(&d, "observed", recorded.observed, r->mirror.observed);
	diff_dir(&d, "templates", recorded.templates, r->mirror.templates);
	kg_mirror_release(&recorded);
	*n = d.n;
	return 0;
}
