/* The scheduler's look at one pod, written down instead of acted on. */
#include "reconcile/explain.h"
#include "reconcile/preempt.h"

#include <string.h>

/* ---- the cluster as the scheduler saw it ---- */

/* Was the pod bound between the two snapshots, after the one that is explained? */
static bool came_later(const struct kg_snapshot *before, const struct kg_object *other,
	const struct kg_object *pod)
{
	const struct kg_object *old = kg_snapshot_get_key(before, KG_KIND_POD, other->key);
	bool bound_before =
		old && *kg_pod_node(old) && strcmp(kg_object_uid(old), kg_object_uid(other)) == 0;
	return !bound_before && *kg_pod_node(other) && kg_queue_cmp(other, pod) > 0;
}

static struct kg_txn *as_seen(
	const struct kg_snapshot *s, const struct kg_snapshot *before, const struct kg_object *pod)
{
	struct kg_txn *txn = kg_txn_new(s);
	kg_txn_delete(txn, KG_KIND_POD, pod->ns, pod->name);
	if (!before)
		return txn;
	struct kg_object_iter it;
	const struct kg_object *other;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((other = kg_iter_next(&it)))
		if (came_later(before, other, pod))
			kg_txn_delete(txn, KG_KIND_POD, other->ns, other->name);
	kg_iter_release(&it);
	return txn;
}

/* ---- the verdicts ---- */

struct fit {
	struct kg_candidate cand; /* local: the total */
	const struct kg_bucket *bucket;
};

static int cmp_fit(const void *a, const void *b)
{
	const struct kg_candidate *x = &((const struct fit *)a)->cand;
	const struct kg_candidate *y = &((const struct fit *)b)->cand;
	if (x->local != y->local)
		return x->local > y->local ? -1 : 1;
	if (x->tie != y->tie)
		return x->tie > y->tie ? -1 : 1;
	return x->slot < y->slot ? -1 : 1;
}

static int cmp_name(const void *a, const void *b)
{
	const struct kg_explain_node *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static void list_fit(struct kg_explain *out, struct kg_arena *a, struct kg_placing *p)
{
	struct fit *v = kg_arena_alloc(a, (p->st->nodes.count + 1) * sizeof(*v));
	size_t n = 0;
	kg_rank_buckets(p);
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		kg_bucket_draw(p, b);
		for (uint32_t k = 0; b->verdict == KG_FIT && k < b->n; k++) {
			v[n] = (struct fit){b->v[k], b};
			v[n++].cand.local += (int32_t)b->total;
		}
	}
	if (n)
		qsort(v, n, sizeof(*v), cmp_fit);
	for (size_t i = 0; i < n; i++) {
		const struct kg_node_info *node = p->st->sched->nodes[v[i].cand.slot];
		struct kg_explain_node *x = &out->nodes[out->n++];
		*x = (struct kg_explain_node){.name = kg_arena_strdup(a, node->name),
			.fits = true,
			.total = v[i].cand.local};
		kg_rank_scores(x->scores, p, v[i].bucket, node);
	}
	out->nfit = n;
}

static void list_others(struct kg_explain *out, struct kg_arena *a, struct kg_placing *p)
{
	const struct kg_sched *sc = p->st->sched;
	size_t from = out->n;
	for (uint32_t i = 0; i < sc->nslots; i++) {
		const struct kg_node_info *n = sc->nodes[i];
		enum kg_misfit m = n ? kg_placing_verdict(p, n) : KG_FIT;
		if (m == KG_FIT)
			continue;
		const char **reasons = kg_arena_alloc(a, (KG_RES_MAX + 2) * sizeof(*reasons));
		struct kg_explain_node *x = &out->nodes[out->n++];
		*x = (struct kg_explain_node){.name = kg_arena_strdup(a, n->name),
			.plugin = kg_misfit_plugin(m),
			.reasons = reasons};
		x->nreasons = kg_reasons(reasons, KG_RES_MAX + 2, a, p, n, m);
		for (size_t k = 0; k < x->nreasons; k++)
			reasons[k] = kg_arena_strdup(a, reasons[k]);
	}
	if (out->n > from)
		qsort(out->nodes + from, out->n - from, sizeof(*out->nodes), cmp_name);
}

/* Who waits for his victims to go counts as if he were there, for those behind him. */
static void reserve(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, const struct kg_object *pod)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->pending, &i));) {
		const struct kg_object *other = kg_snapshot_get_key(s, KG_KIND_POD, e->key);
		const char *name = other ? kg_pod_nominated(other) : "";
		struct kg_node_info *n = *name ? kg_node_info(st, name) : NULL;
		if (n && kg_queue_cmp(other, pod) < 0)
			kg_track_count(st, s, n, other, true);
	}
}

static struct kg_explain_node *node_of(struct kg_explain *out, const char *name)
{
	for (size_t i = 0; i < out->n; i++)
		if (strcmp(out->nodes[i].name, name) == 0)
			return &out->nodes[i];
	return NULL;
}

static void list_victims(struct kg_explain *out, struct kg_arena *a, struct kg_preempting *pr)
{
	const struct kg_plan_node *best = kg_preempting_best(pr);
	out->preempt = best ? kg_arena_strdup(a, best->n->name) : NULL;
	for (size_t i = 0; i < pr->nplans; i++) {
		const struct kg_list *v = &pr->plans[i].victims;
		struct kg_explain_node *x = node_of(out, pr->plans[i].n->name);
		if (!x)
			continue;
		x->victims = kg_arena_alloc(a, (v->n + 1) * sizeof(*x->victims));
		for (size_t k = 0; k < v->n; k++)
			x->victims[x->nvictims++] = kg_arena_strdup(a, v->v[k]->key);
	}
}

static void why_not(struct kg_explain *out, struct kg_arena *a, struct kg_placing *p)
{
	struct kg_preempting pr;
	kg_preempting_init(&pr, p->st, p->s, p);
	const char *why = kg_preempting_refuses(&pr, kg_pod_nominated(p->c->pod));
	if (!why) {
		list_victims(out, a, &pr);
		why = kg_preempting_message(&pr, a);
	}
	out->message = kg_message_with(a, kg_message(a, p), out->preempt ? NULL : why);
	kg_preempting_release(&pr);
}

static void look(struct kg_explain *out, struct kg_arena *a, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, const struct kg_object *pod)
{
	struct kg_pod_class c;
	struct kg_placing p;
	reserve(st, s, pod);
	kg_class_init(&c, st, s, a, pod);
	kg_placing_init(&p, st, s, a, &c);
	out->nodes = kg_arena_alloc(a, (st->nodes.count + 1) * sizeof(*out->nodes));
	list_fit(out, a, &p);
	list_others(out, a, &p);
	if (out->nfit)
		out->chosen = out->nodes[0].name;
	else
		why_not(out, a, &p);
	kg_placing_release(&p);
}

static void look_at(struct kg_explain *out, struct kg_arena *a, const struct kg_snapshot *s,
	const struct kg_snapshot *before, const struct kg_object *pod,
	const struct kg_reconcile_options *opts)
{
	struct kg_txn *txn = as_seen(s, before, pod);
	struct kg_reconcile_state *st = kg_reconcile_state_new(kg_txn_snapshot(txn), opts);
	look(out, a, st, kg_txn_snapshot(txn), pod);
	kg_reconcile_state_free(st);
	kg_txn_free(txn);
}

int kg_scheduler_explain(struct kg_explain *out, struct kg_arena *a, const struct kg_snapshot *s,
	const struct kg_snapshot *before, const struct kg_object *pod,
	const struct kg_reconcile_options *opts, struct kg_error *err)
{
	if (pod->kind->id != KG_KIND_POD)
		return kg_fail(err, KG_E_INVALID, "%s is no Pod", pod->key);
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	*out = (struct kg_explain){
		.scheduler = kg_string(kg_get(spec, "schedulerName"), "default-scheduler"),
		.priority = kg_pod_priority(pod),
		.gated = kg_pod_gated(pod),
		.unknown = !kg_profile_of(pod),
	};
	if (out->gated)
		out->message = "Scheduling is blocked due to non-empty scheduling gates";
	if (out->gated || out->unknown)
		return 0;
	/* Where the node is another one, a second round of that revision placed the pod, when the
	 * others had been placed. */
	const char *node = kg_pod_node(pod);
	struct kg_explain first = *out;
	look_at(&first, a, s, before, pod, opts);
	if (!before || !*node || (first.chosen && strcmp(first.chosen, node) == 0)) {
		*out = first;
		return 0;
	}
	look_at(out, a, s, NULL, pod, opts);
	if (!out->chosen || strcmp(out->chosen, node) != 0)
		*out = first;
	return 0;
}
