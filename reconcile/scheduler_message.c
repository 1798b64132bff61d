/* Why a pod waits, in the words of Kubernetes' scheduler. */
#include "reconcile/placing.h"

#include <inttypes.h>
#include <string.h>

static const char *insufficient(struct kg_arena *a, const struct kg_placing *p, int i)
{
	return kg_arena_printf(a, "Insufficient %s", kg_resource_name(p->st, i));
}

static size_t resource_reasons(const char **out, size_t max, struct kg_arena *a,
	const struct kg_placing *p, const struct kg_node_info *n)
{
	const struct kg_demand *d = &p->c->demand;
	size_t k = 0;
	if (n->pods >= n->max_pods && k < max)
		out[k++] = "Too many pods";
	for (int i = 0; i < KG_RES_MAX && k < max; i++)
		if (d->req[i] && d->req[i] > n->alloc[i] - n->used[i])
			out[k++] = insufficient(a, p, i);
	if (d->unknown && k < max)
		out[k++] = kg_arena_printf(a, "Insufficient %s", d->unknown);
	return k;
}

static const char *one_reason(struct kg_arena *a, const struct kg_placing *p,
	const struct kg_node_info *n, enum kg_misfit m)
{
	static const char *const texts[KG_MISFIT_COUNT] = {
		[KG_MISFIT_UNSCHEDULABLE] = "node(s) were unschedulable",
		[KG_MISFIT_NODE_NAME] = "node(s) didn't match the requested node name",
		[KG_MISFIT_AFFINITY] = "node(s) didn't match Pod's node affinity/selector",
		[KG_MISFIT_NOT_NAMED] = "node(s) didn't satisfy plugin(s) [NodeAffinity]",
		[KG_MISFIT_PORTS] = "node(s) didn't have free ports for the requested pod ports",
		[KG_MISFIT_ADDRESS] = "node(s) had no free pod address",
		[KG_MISFIT_USED] = "node has pod using PersistentVolumeClaim with the same name "
				   "and ReadWriteOncePod access mode",
		[KG_MISFIT_VOLUME] = "node(s) didn't match PersistentVolume's node affinity",
		[KG_MISFIT_SPREAD] = "node(s) didn't match pod topology spread constraints",
		[KG_MISFIT_SPREAD_LABEL] = "node(s) didn't match pod topology spread constraints "
					   "(missing required label)",
		[KG_MISFIT_POD_AFFINITY] = "node(s) didn't match pod affinity rules",
		[KG_MISFIT_POD_ANTI] = "node(s) didn't match pod anti-affinity rules",
		[KG_MISFIT_EXISTING_ANTI] =
			"node(s) didn't satisfy existing pods anti-affinity rules",
	};
	if (m == KG_MISFIT_CLAIM)
		return p->c->unclaimed;
	if (m != KG_MISFIT_TAINT)
		return texts[m];
	const struct kg_value *t = kg_untolerated(n->taints, p->c->tolerations, true);
	return kg_arena_printf(a, "node(s) had untolerated taint {%s: %s}",
		t ? kg_string(kg_get(t, "key"), "") : "",
		t ? kg_string(kg_get(t, "value"), "") : "");
}

size_t kg_reasons(const char **out, size_t max, struct kg_arena *a, struct kg_placing *p,
	const struct kg_node_info *n, enum kg_misfit m)
{
	if (m == KG_MISFIT_RESOURCES)
		return resource_reasons(out, max, a, p, n);
	if (max)
		out[0] = one_reason(a, p, n, m);
	return max > 0;
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *kg_histogram(struct kg_arena *a, size_t nodes, const struct kg_map *counts)
{
	struct kg_map_entry *e;
	const char **v = kg_arena_alloc(a, (counts->count + 1) * sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; (e = kg_map_next(counts, &i));)
		v[n++] = kg_arena_printf(a, "%" PRIdPTR " %s", (intptr_t)e->value, e->key);
	qsort(v, n, sizeof(*v), cmp_text);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_buf_addf(&b, "0/%zu nodes are available: ", nodes);
	for (size_t i = 0; i < n; i++)
		kg_buf_addf(&b, "%s%s", i ? ", " : "", v[i]);
	kg_buf_adds(&b, ".");
	return kg_arena_strdup(a, kg_buf_str(&b));
}

void kg_histogram_add(struct kg_map *counts, const char *reason)
{
	kg_map_put(counts, reason, (void *)((intptr_t)kg_map_get(counts, reason) + 1));
}

/* Reasons counted: what is one text for every node by number, the others by text. */
struct tally {
	size_t plain[KG_MISFIT_COUNT], resource[KG_RES_MAX], pods, unknown;
	struct kg_map taints;
};

static void add_resources(struct tally *t, const struct kg_placing *p, const struct kg_node_info *n)
{
	const struct kg_demand *d = &p->c->demand;
	t->pods += n->pods >= n->max_pods;
	t->unknown += d->unknown != NULL;
	for (int i = 0; i < KG_RES_MAX; i++)
		t->resource[i] += d->req[i] && d->req[i] > n->alloc[i] - n->used[i];
}

static void add_node(struct tally *t, struct kg_placing *p, const struct kg_node_info *n)
{
	struct kg_arena a = KG_ARENA_INIT;
	enum kg_misfit m = kg_placing_verdict(p, n);
	if (m == KG_MISFIT_RESOURCES)
		add_resources(t, p, n);
	else if (m != KG_MISFIT_TAINT)
		t->plain[m]++;
	else
		kg_histogram_add(&t->taints, one_reason(&a, p, n, m));
	kg_arena_release(&a);
}

static void set(struct kg_map *counts, const char *text, size_t n)
{
	if (n)
		kg_map_put(counts, text, (void *)(intptr_t)n);
}

static void put_all(struct kg_map *counts, struct kg_arena *a, const struct kg_placing *p,
	const struct tally *t)
{
	for (int m = KG_FIT + 1; m < KG_MISFIT_COUNT; m++)
		if (t->plain[m])
			set(counts, one_reason(a, p, NULL, m), t->plain[m]);
	for (int i = 0; i < KG_RES_MAX; i++)
		if (t->resource[i])
			set(counts, insufficient(a, p, i), t->resource[i]);
	set(counts, "Too many pods", t->pods);
	if (t->unknown)
		set(counts, kg_arena_printf(a, "Insufficient %s", p->c->demand.unknown),
			t->unknown);
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&t->taints, &i));)
		kg_map_put(counts, e->key, e->value);
}

const char *kg_message(struct kg_arena *a, struct kg_placing *p)
{
	const struct kg_sched *sc = p->st->sched;
	size_t nodes = p->st->nodes.count;
	if (nodes == 0)
		return "no nodes available to schedule pods";
	if (p->c->unclaimed) /* found out before any node is looked at */
		return kg_arena_printf(a, "0/%zu nodes are available: %s.", nodes, p->c->unclaimed);
	struct tally t = {0};
	struct kg_map counts = KG_MAP_INIT;
	for (uint32_t i = 0; i < sc->nslots; i++)
		if (sc->nodes[i])
			add_node(&t, p, sc->nodes[i]);
	put_all(&counts, a, p, &t);
	const char *text = kg_histogram(a, nodes, &counts);
	kg_map_release(&counts);
	kg_map_release(&t.taints);
	return text;
}

const char *kg_message_with(struct kg_arena *a, const char *message, const char *preemption)
{
	return preemption ? kg_arena_printf(a, "%s preemption: %s", message, preemption) : message;
}
