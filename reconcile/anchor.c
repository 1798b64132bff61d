/*
 * Which Services and PodDisruptionBudgets a pod belongs to, found without asking each of them: one
 * is anchored at the first pair of its selector, and a pod looks at the anchor of each of its
 * labels. Budgets whose selector holds no pair are asked at every pod of their namespace.
 */
#include "reconcile/track.h"

#include <string.h>

/* The anchor of a label pair; NULL: there is none. *key is left its key. */
static struct kg_anchor *find(const struct kg_map *anchors, struct kg_buf *key, const char *ns,
	const struct kg_member *pair)
{
	kg_buf_clear(key);
	kg_buf_adds(key, ns);
	kg_buf_addc(key, '\x01');
	kg_buf_adds(key, pair->key);
	kg_buf_addc(key, '\x01');
	kg_buf_adds(key, kg_string(&pair->value, ""));
	return kg_map_get(anchors, key->data);
}

const struct kg_anchor *kg_anchor_at(
	const struct kg_reconcile_state *st, const char *ns, const struct kg_member *pair)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	return find(&st->anchors, &key, ns, pair);
}

static void anchor_free(struct kg_anchor *an)
{
	kg_map_release(&an->services);
	kg_map_release(&an->budgets);
	kg_map_release(&an->pods);
	free(an);
}

/* The pairs that every pod of a Service or a PodDisruptionBudget carries. */
static const struct kg_value *pairs_of(const struct kg_object *obj)
{
	const struct kg_value *sel = kg_spec(obj, "selector");
	if (obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
		sel = kg_get(sel, "matchLabels");
	return sel->type == KG_OBJECT && sel->len ? sel : &kg_null;
}

static struct kg_map *followers(struct kg_anchor *an, const struct kg_object *obj)
{
	return obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET ? &an->budgets : &an->services;
}

/* It is anchored at its selector's first pair; a pod is found by any of its labels. */
static void anchor_join(
	struct kg_reconcile_state *st, const struct kg_object *obj, bool remember_unfilled)
{
	const struct kg_value *pairs = pairs_of(obj);
	if (kg_is_null(pairs) && obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
		kg_map_put(&st->wide, obj->key, st);
	if (kg_is_null(pairs))
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	struct kg_anchor *an = find(&st->anchors, &key, obj->ns, &pairs->members[0]);
	bool made = !an;
	if (made) {
		an = kg_alloc(sizeof(*an));
		kg_map_put(&st->anchors, key.data, an);
	}
	kg_map_put(followers(an, obj), obj->key, an);
	if (made && remember_unfilled)
		kg_map_put(&st->unfilled, key.data, an);
}

static void fill_from_pod(
	struct kg_reconcile_state *st, const struct kg_object *pod, struct kg_buf *key)
{
	const struct kg_value *labels = kg_meta(pod, "labels");
	for (uint32_t k = 0; k < (labels->type == KG_OBJECT ? labels->len : 0); k++) {
		struct kg_anchor *an = find(&st->unfilled, key, pod->ns, &labels->members[k]);
		if (an)
			kg_map_put(&an->pods, pod->key, an);
	}
}

/* One pass over the pods of the namespaces concerned, however many services are new. */
void kg_track_fill(struct kg_reconcile_state *st, const struct kg_snapshot *s)
{
	if (st->unfilled.count == 0)
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	KG_AUTOFREE struct kg_map_entry **es = kg_map_sorted(&st->unfilled);
	size_t done = 0; /* length of the namespace last walked, with its separator */
	for (size_t i = 0; i < st->unfilled.count; i++) {
		size_t len = (size_t)(strchr(es[i]->key, '\x01') - es[i]->key) + 1;
		if (i && done == len && memcmp(es[i]->key, es[i - 1]->key, len) == 0)
			continue;
		done = len;
		KG_AUTOFREE char *ns = kg_strndup(es[i]->key, len - 1);
		struct kg_object_iter it;
		const struct kg_object *pod;
		kg_iter_kind(&it, s, KG_KIND_POD, ns, NULL);
		while ((pod = kg_iter_next(&it)))
			fill_from_pod(st, pod, &key);
		kg_iter_release(&it);
	}
	kg_map_clear(&st->unfilled);
}

static void anchor_leave(struct kg_reconcile_state *st, const struct kg_object *obj)
{
	const struct kg_value *pairs = pairs_of(obj);
	if (kg_is_null(pairs))
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	struct kg_anchor *an = find(&st->anchors, &key, obj->ns, &pairs->members[0]);
	if (!an)
		return;
	kg_map_remove(followers(an, obj), obj->key);
	if (an->services.count || an->budgets.count)
		return;
	kg_map_remove(&st->anchors, key.data);
	kg_map_remove(&st->unfilled, key.data);
	anchor_free(an);
}

void kg_anchor_follower(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before && after && kg_equal(kg_spec(before, "selector"), kg_spec(after, "selector")))
		return;
	if (before) {
		anchor_leave(st, before);
		/* A Service may have its key. */
		if (before->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
			kg_map_remove(&st->wide, before->key);
	}
	if (after)
		anchor_join(st, after, s != NULL);
}

static void enqueue_followers(
	struct kg_reconcile_state *st, const struct kg_map *keys, enum kg_controller c)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(keys, &i));)
		kg_enqueue(st, c, e->key);
}

static void enqueue_services(
	struct kg_reconcile_state *st, const struct kg_map *keys, const char *pod)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(keys, &i));) {
		kg_enqueue(st, KG_C_SERVICE, e->key);
		kg_slices_mark(st, e->key, pod);
	}
}

static void enqueue_wide(struct kg_reconcile_state *st, const char *ns)
{
	struct kg_map_entry *e;
	size_t n = strlen(ns);
	for (size_t i = 0; (e = kg_map_next(&st->wide, &i));)
		if (strncmp(e->key, ns, n) == 0 && e->key[n] == '/')
			kg_enqueue(st, KG_C_BUDGET, e->key);
}

void kg_track_budgets(struct kg_reconcile_state *st, const char *ns, const struct kg_value *labels)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	enqueue_wide(st, ns);
	for (uint32_t k = 0; k < (labels->type == KG_OBJECT ? labels->len : 0); k++) {
		struct kg_anchor *an = find(&st->anchors, &key, ns, &labels->members[k]);
		if (an)
			enqueue_followers(st, &an->budgets, KG_C_BUDGET);
	}
}

const struct kg_map *kg_track_budget_pods(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, const struct kg_object *pdb)
{
	const struct kg_value *pairs = pairs_of(pdb);
	if (kg_is_null(pairs))
		return NULL;
	kg_track_fill(st, s);
	const struct kg_anchor *an = kg_anchor_at(st, pdb->ns, &pairs->members[0]);
	return an ? &an->pods : NULL;
}

void kg_anchor_pod(
	struct kg_reconcile_state *st, const struct kg_object *pod, bool on, bool enqueue)
{
	const struct kg_value *labels = kg_meta(pod, "labels");
	if (enqueue && st->wide.count)
		enqueue_wide(st, pod->ns);
	if (st->anchors.count == 0 || labels->type != KG_OBJECT)
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	for (uint32_t k = 0; k < labels->len; k++) {
		struct kg_anchor *an = find(&st->anchors, &key, pod->ns, &labels->members[k]);
		if (!an)
			continue;
		if (on)
			kg_map_put(&an->pods, pod->key, an);
		else
			kg_map_remove(&an->pods, pod->key);
		if (!enqueue)
			continue;
		enqueue_services(st, &an->services, pod->key);
		enqueue_followers(st, &an->budgets, KG_C_BUDGET);
	}
}

void kg_anchors_forget(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->anchors, &i));)
		anchor_free(e->value);
	kg_map_release(&st->anchors);
	kg_map_release(&st->unfilled);
	kg_map_release(&st->wide);
}
