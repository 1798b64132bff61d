#include "kinds/snapshot.h"

#include "base/map.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void ref_object(void *value)
{
	kg_object_ref(value);
}

static void unref_object(void *value)
{
	kg_object_unref(value);
}

const struct kg_pmap_ops kg_objects_ops = {
	.ref = ref_object, .unref = unref_object, .key_at = offsetof(struct kg_object, key)};

/* A place in an index. */
struct place {
	enum kg_index index;
	const char *what;
	uint32_t hash; /* of it */
	enum kg_kind_id kind;
	const char *key;
};

static struct place place_of(const struct kg_object *obj, enum kg_index index)
{
	return (struct place){.index = index,
		.what = kg_object_indexed_by(obj, index),
		.hash = obj->index_hash[index],
		.kind = obj->kind->id,
		.key = obj->key};
}

static int cmp_what(const struct kg_object *obj, const struct place *p)
{
	const char *what = kg_object_indexed_by(obj, p->index);
	uint32_t hash = obj->index_hash[p->index];

	if (hash != p->hash)
		return hash < p->hash ? -1 : 1;
	return what == p->what ? 0 : strcmp(what, p->what);
}

/* By hash, so that the texts of others are not even read; what is found by one thing is in order.
 */
static int cmp_place(const void *value, const void *place)
{
	const struct kg_object *obj = value;
	const struct place *p = place;
	int c = cmp_what(obj, p);

	if (c == 0)
		c = (int)obj->kind->id - (int)p->kind;
	return c ? c : strcmp(obj->key, p->key);
}

/* A place to begin at, what further is wanted, and the text that objects behind it said last: most
 * have it in common. */
struct range {
	struct place from;
	size_t prefix; /* so many bytes of from.key begin each key, all of from.kind; 0: of any */
	const char **met;
};

static bool is_within(const void *value, const void *range)
{
	const struct range *r = range;
	const struct kg_object *obj = value;
	const char *what = kg_object_indexed_by(obj, r->from.index);

	if (obj->index_hash[r->from.index] != r->from.hash)
		return false;
	if (what != *r->met && strcmp(what, r->from.what) != 0)
		return false;
	*r->met = what;
	return !r->prefix ||
	       (obj->kind->id == r->from.kind && strncmp(obj->key, r->from.key, r->prefix) == 0);
}

static const struct kg_pmap_ops index_ops = {
	.ref = ref_object, .unref = unref_object, .cmp = cmp_place};

struct kg_snapshot *kg_snapshot_new(const char *cluster_id)
{
	struct kg_snapshot *s = kg_alloc(sizeof(*s));

	atomic_init(&s->refs, 1);
	snprintf(s->cluster_id, sizeof(s->cluster_id), "%s", cluster_id);
	for (int i = 0; i < KG_KIND_COUNT; i++)
		kg_pmap_init(&s->objects[i], &kg_objects_ops);
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		kg_pmap_init(&s->index[i], &index_ops);
	return s;
}

static struct kg_snapshot *snapshot_copy(const struct kg_snapshot *from)
{
	struct kg_snapshot *s = kg_alloc(sizeof(*s));

	/* Not by assignment: readers change from->refs at the same time. */
	atomic_init(&s->refs, 1);
	s->revision = from->revision;
	s->time = from->time;
	s->desired_pods = from->desired_pods;
	memcpy(s->cluster_id, from->cluster_id, sizeof(s->cluster_id));
	memcpy(s->main_commit, from->main_commit, sizeof(s->main_commit));
	memcpy(s->commit, from->commit, sizeof(s->commit));
	for (int i = 0; i < KG_KIND_COUNT; i++)
		kg_pmap_copy(&s->objects[i], &from->objects[i]);
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		kg_pmap_copy(&s->index[i], &from->index[i]);
	return s;
}

struct kg_snapshot *kg_snapshot_anew(const struct kg_snapshot *from)
{
	struct kg_snapshot *s = snapshot_copy(from);

	for (int i = 0; i < KG_KIND_COUNT; i++)
		kg_pmap_rebuild(&s->objects[i]);
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		kg_pmap_rebuild(&s->index[i]);
	return s;
}

struct kg_snapshot *kg_snapshot_ref(const struct kg_snapshot *snapshot)
{
	struct kg_snapshot *s = (struct kg_snapshot *)(uintptr_t)snapshot;

	if (s)
		atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void kg_snapshot_unref(struct kg_snapshot *s)
{
	if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		kg_pmap_release(&s->index[i]);
	for (int i = 0; i < KG_KIND_COUNT; i++)
		kg_pmap_release(&s->objects[i]);
	free(s);
}

const struct kg_object *kg_snapshot_get_key(
	const struct kg_snapshot *s, enum kg_kind_id kind, const char *key)
{
	return kg_pmap_get(&s->objects[kind], key);
}

const struct kg_object *kg_snapshot_get(
	const struct kg_snapshot *s, enum kg_kind_id kind, const char *ns, const char *name)
{
	char key[600];
	size_t ns_len = ns ? strlen(ns) : 0, len = strlen(name);

	/* No name of an object is this long, so nothing can have such a key. */
	if (ns_len + len + 2 > sizeof(key))
		return NULL;
	if (ns_len)
		memcpy(key, ns, ns_len);
	key[ns_len] = '/';
	memcpy(key + ns_len + 1, name, len + 1);
	return kg_snapshot_get_key(s, kind, key);
}

void kg_iter_kind(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_kind_id kind,
	const char *ns, const char *from)
{
	size_t n = ns ? strlen(ns) : 0;
	char *prefix = ns ? kg_alloc(n + 2) : NULL;

	if (prefix) {
		memcpy(prefix, ns, n);
		prefix[n] = '/';
	}

	it->prefix = prefix;
	kg_piter_init(&it->it, &s->objects[kind], prefix, from);
}

/* ns NULL: of all kinds and namespaces. */
static void iter_place(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_index index,
	const char *what, enum kg_kind_id kind, const char *ns)
{
	size_t n = strlen(what) + 1, ns_len = ns ? strlen(ns) : 0;
	struct {
		struct range range;
		const char *met;
		char text[]; /* what, and "NS/" */
	} *own = kg_alloc(sizeof(*own) + n + ns_len + 2);
	char *prefix = own->text + n;

	memcpy(own->text, what, n);
	if (ns) {
		memcpy(prefix, ns, ns_len);
		prefix[ns_len++] = '/';
	}
	own->range = (struct range){.from = {.index = index,
					    .what = own->text,
					    .hash = kg_index_hash(what),
					    .kind = kind,
					    .key = prefix},
		.prefix = ns_len,
		.met = &own->met};
	it->prefix = own;
	kg_piter_init_range(&it->it, &s->index[index], &own->range.from, is_within, &own->range);
}

void kg_iter_index(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_index index,
	const char *what)
{
	if (what) {
		iter_place(it, s, index, what, 0, NULL);
		return;
	}
	it->prefix = NULL;
	kg_piter_init(&it->it, &s->index[index], NULL, NULL);
}

void kg_iter_index_in(struct kg_object_iter *it, const struct kg_snapshot *s, enum kg_index index,
	const char *what, enum kg_kind_id kind, const char *ns)
{
	iter_place(it, s, index, what, kind, ns);
}

const struct kg_object *kg_iter_next(struct kg_object_iter *it)
{
	return kg_piter_next(&it->it, NULL);
}

void kg_iter_release(struct kg_object_iter *it)
{
	free(it->prefix);
	it->prefix = NULL;
	it->it.depth = 0;
}

void kg_changes_release(struct kg_changes *c)
{
	for (size_t i = 0; i < c->len; i++) {
		kg_object_unref(c->items[i].before);
		kg_object_unref(c->items[i].after);
	}
	free(c->items);
	*c = (struct kg_changes){0};
}

const struct kg_change *kg_changes_find(
	const struct kg_changes *c, enum kg_kind_id kind, const char *key)
{
	size_t lo = 0, hi = c->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct kg_object *obj = kg_change_object(&c->items[mid]);
		int d = (int)obj->kind->id - (int)kind;

		if (!d)
			d = strcmp(obj->key, key);
		if (!d)
			return &c->items[mid];
		if (d < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* ---- indexes follow the objects ---- */

static void index_remove(struct kg_snapshot *s, enum kg_index index, const struct kg_object *obj)
{
	struct place p = place_of(obj, index);

	if (p.what)
		kg_pmap_remove(&s->index[index], &p);
}

static void index_drop(struct kg_snapshot *s, const struct kg_object *obj)
{
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		index_remove(s, i, obj);
}

static void index_move(struct kg_snapshot *s, const struct kg_object *old, struct kg_object *obj)
{
	for (int i = 0; i < KG_INDEX_COUNT; i++) {
		struct place p = place_of(obj, i);

		if (old && kg_object_indexed_by(old, i) && (!p.what || cmp_what(old, &p) != 0))
			index_remove(s, i, old);
		if (p.what)
			kg_pmap_put(&s->index[i], &p, obj);
	}
}

static int64_t desired_pods(const struct kg_object *obj)
{
	return obj && obj->source ? kg_pods_desired(obj->kind, kg_obj(obj)) : 0;
}

/* old: what stands there (held by the caller), or NULL. */
static void snapshot_put(struct kg_snapshot *s, const struct kg_object *old, struct kg_object *obj)
{
	s->desired_pods += desired_pods(obj) - desired_pods(old);
	index_move(s, old, obj);
	kg_pmap_put(&s->objects[obj->kind->id], obj->key, obj);
}

/* ---- a whole snapshot ---- */

static int by_kind_and_key(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a;
	const struct kg_object *y = *(struct kg_object *const *)b;
	int c = (int)x->kind->id - (int)y->kind->id;

	return c ? c : strcmp(x->key, y->key);
}

static int by_place(const void *a, const void *b, void *index)
{
	const struct kg_object *y = *(struct kg_object *const *)b;
	struct place p = place_of(y, *(enum kg_index *)index);

	return cmp_place(*(struct kg_object *const *)a, &p);
}

static void fill_index(
	struct kg_snapshot *s, enum kg_index index, struct kg_object **objects, size_t n)
{
	struct kg_object **in KG_AUTOFREE = kg_alloc((n ? n : 1) * sizeof(*in));
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		if (kg_object_indexed_by(objects[i], index))
			in[len++] = objects[i];
	qsort_r(in, len, sizeof(struct kg_object *), by_place, &index);
	kg_pmap_build(&s->index[index], (void **)in, len);
}

void kg_snapshot_fill(struct kg_snapshot *s, struct kg_object **objects, size_t n)
{
	qsort(objects, n, sizeof(*objects), by_kind_and_key);
	for (size_t from = 0, to; from < n; from = to) {
		const struct kg_kind *kind = objects[from]->kind;

		for (to = from; to < n && objects[to]->kind == kind;)
			s->desired_pods += desired_pods(objects[to++]);
		kg_pmap_build(&s->objects[kind->id], (void **)objects + from, to - from);
	}
	for (int i = 0; i < KG_INDEX_COUNT; i++)
		fill_index(s, i, objects, n);
}

/* ---- txn ---- */

struct kg_txn {
	struct kg_snapshot *prev, *cur;
	/* "KIND/NS/NAME" of what was put or deleted -> what stood there before (prev holds it), or
	 * the txn: nothing did */
	struct kg_map touched;
	void (*on_change)(void *ctx, const struct kg_object *before, const struct kg_object *after);
	void *ctx;
};

struct kg_txn *kg_txn_new(const struct kg_snapshot *prev)
{
	struct kg_txn *txn = kg_alloc(sizeof(*txn));

	txn->prev = kg_snapshot_ref(prev);
	txn->cur = snapshot_copy(prev);
	txn->cur->revision = prev->revision + 1;
	txn->cur->commit[0] = '\0';
	return txn;
}

void kg_txn_free(struct kg_txn *txn)
{
	if (!txn)
		return;
	kg_snapshot_unref(txn->prev);
	kg_snapshot_unref(txn->cur);
	kg_map_release(&txn->touched);
	free(txn);
}

const struct kg_snapshot *kg_txn_snapshot(const struct kg_txn *txn)
{
	return txn->cur;
}

const struct kg_snapshot *kg_txn_previous(const struct kg_txn *txn)
{
	return txn->prev;
}

void kg_txn_set_time(struct kg_txn *txn, kg_time t)
{
	txn->cur->time = t;
}

void kg_txn_set_main(struct kg_txn *txn, const char *main_commit)
{
	snprintf(txn->cur->main_commit, sizeof(txn->cur->main_commit), "%s", main_commit);
}

void kg_txn_on_change(struct kg_txn *txn,
	void (*fn)(void *ctx, const struct kg_object *before, const struct kg_object *after),
	void *ctx)
{
	txn->on_change = fn;
	txn->ctx = ctx;
}

/* old: what stands there, or NULL; the first time that is what stood there before. */
static void touch(
	struct kg_txn *txn, enum kg_kind_id kind, const char *key, const struct kg_object *old)
{
	char few[256];
	size_t n = strlen(key) + 1;
	char *more KG_AUTOFREE = n + 3 > sizeof(few) ? kg_alloc(n + 3) : NULL,
		   *id = more ? more : few;

	id[0] = (char)('0' + kind / 10);
	id[1] = (char)('0' + kind % 10);
	id[2] = '/';
	memcpy(id + 3, key, n);
	void **before = kg_map_at(&txn->touched, id);
	if (!*before)
		*before = old ? (void *)(uintptr_t)old : txn;
}

static bool same_doc(const struct kg_doc *a, const struct kg_doc *b)
{
	if (a == b)
		return true;
	return a && b && kg_equal(kg_doc_value(a), kg_doc_value(b));
}

static bool same_definition(const struct kg_object *a, const struct kg_object *b)
{
	if (!a->source != !b->source || (a->source && strcmp(a->source, b->source) != 0))
		return false;
	return a->source_index == b->source_index && strcmp(a->template_id, b->template_id) == 0 &&
	       same_doc(a->base, b->base);
}

bool kg_txn_put(struct kg_txn *txn, struct kg_object *obj)
{
	struct kg_object *old =
		kg_object_ref(kg_snapshot_get_key(txn->cur, obj->kind->id, obj->key));
	bool changed =
		!old ||
		(old != obj && (!kg_equal(kg_obj(old), kg_obj(obj)) || !same_definition(old, obj)));

	if (changed) {
		snapshot_put(txn->cur, old, obj);
		touch(txn, obj->kind->id, obj->key, old);
		if (txn->on_change)
			txn->on_change(txn->ctx, old, obj);
	}
	kg_object_unref(old);
	kg_object_unref(obj);
	return changed;
}

bool kg_txn_delete(struct kg_txn *txn, enum kg_kind_id kind, const char *ns, const char *name)
{
	struct kg_object *old = kg_object_ref(kg_snapshot_get(txn->cur, kind, ns, name));

	if (!old)
		return false;
	txn->cur->desired_pods -= desired_pods(old);
	index_drop(txn->cur, old);
	kg_pmap_remove(&txn->cur->objects[kind], old->key);
	touch(txn, kind, old->key, old);
	if (txn->on_change)
		txn->on_change(txn->ctx, old, NULL);
	kg_object_unref(old);
	return true;
}

/* Appends the net change of one touched object, if there is one. */
static void net_change(
	struct kg_txn *txn, struct kg_changes *out, const struct kg_map_entry *touched)
{
	const char *id = touched->key, *key = id + 3;
	enum kg_kind_id kind = (enum kg_kind_id)((id[0] - '0') * 10 + id[1] - '0');
	struct kg_object *before = touched->value != txn ? kg_object_ref(touched->value) : NULL;
	struct kg_object *after = kg_object_ref(kg_snapshot_get_key(txn->cur, kind, key));
	bool quiet = before && after && before != after && kg_equal(kg_obj(before), kg_obj(after));

	if (quiet && same_definition(before, after)) {
		snapshot_put(txn->cur, after, before);
		kg_object_unref(after);
		after = kg_object_ref(before);
	}
	if (before == after) {
		kg_object_unref(before);
		kg_object_unref(after);
		return;
	}
	if (after)
		after->revision = quiet ? before->revision : txn->cur->revision;
	out->items[out->len++] =
		(struct kg_change){.before = before, .after = after, .quiet = quiet};
}

void kg_txn_finish(struct kg_txn *txn, struct kg_snapshot **next, struct kg_changes *changes)
{
	size_t n = txn->touched.count;
	struct kg_map_entry **touched KG_AUTOFREE = kg_map_sorted(&txn->touched);

	changes->items = kg_alloc((n ? n : 1) * sizeof(*changes->items));
	changes->len = 0;
	for (size_t i = 0; i < n; i++)
		net_change(txn, changes, touched[i]);
	*next = txn->cur;
	txn->cur = NULL;
	kg_txn_free(txn);
}
