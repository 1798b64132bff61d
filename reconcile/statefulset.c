/*
 * StatefulSets, by Kubernetes' rules: pods of stable names, made from the lowest ordinal up and
 * removed from the highest down, one after the other where podManagementPolicy is OrderedReady. A
 * pod is its name: while one is there, be it as a tombstone on a node that is lost, there is no
 * other. One sync does one step; what it changes brings the set back until no step is left.
 */
#include "reconcile/statefulset.h"
#include "reconcile/adopt.h"

#include <string.h>

/* ---- from the lowest up ---- */

static void remove_pod(struct kg_stateful_sync *x, const struct kg_object *pod)
{
	kg_pod_delete(x->r, pod);
}

/* True where the others must wait. */
static bool process_replica(struct kg_stateful_sync *x, size_t i)
{
	struct kg_object *pod = x->replicas[i];
	if (!pod) {
		kg_stateful_make(x, x->start + (int64_t)i);
		return x->ordered;
	}
	if (kg_object_deleting(pod))
		return x->ordered;
	if (kg_pod_terminal(pod)) { /* made again when it is gone */
		if (!kg_pod_waits_failed(x->r, pod))
			remove_pod(x, pod);
		return x->ordered;
	}
	return x->ordered && !kg_stateful_available(x, pod);
}

/* ---- from the highest down ---- */

/* The lowest pod that is not healthy may go before its turn: it holds up the others. */
static const struct kg_object *first_unhealthy(struct kg_stateful_sync *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (x->replicas[i] && !kg_stateful_ready(x->replicas[i]))
			return x->replicas[i];
	for (size_t i = x->ncondemned; i > 0; i--)
		if (!kg_stateful_ready(x->condemned[i - 1]))
			return x->condemned[i - 1];
	return NULL;
}

static bool process_condemned(
	struct kg_stateful_sync *x, struct kg_object *pod, const struct kg_object *unhealthy)
{
	if (kg_object_deleting(pod))
		return x->ordered;
	/* One that ended waits for nobody: two of them would wait for each other. */
	if (x->ordered && pod != unhealthy && !kg_pod_terminal(pod) &&
		!kg_stateful_available(x, pod))
		return true;
	remove_pod(x, pod);
	return x->ordered;
}

/* ---- the update ---- */

static int64_t max_unavailable(const struct kg_stateful_sync *x)
{
	int64_t n = kg_int_or_percent(kg_at(x->spec, "updateStrategy.rollingUpdate.maxUnavailable"),
		(int64_t)x->n, true, 1);
	return n < 1 ? 1 : n;
}

/* Old pods go from the highest ordinal down, as long as not too many are missing; one that is
 * missing anyway costs nothing. (In order, none is missing when it comes to this.) */
static void update(struct kg_stateful_sync *x)
{
	int64_t partition = kg_int(kg_at(x->spec, "updateStrategy.rollingUpdate.partition"), 0);
	int64_t most = max_unavailable(x), missing = 0;
	for (size_t i = 0; i < x->n; i++)
		missing += !kg_stateful_available(x, x->replicas[i]);
	for (size_t i = x->n; (int64_t)i > partition; i--) {
		struct kg_object *pod = x->replicas[i - 1];
		bool available = kg_stateful_available(x, pod);
		bool old = pod && !kg_object_deleting(pod) &&
			   strcmp(kg_stateful_revision(pod), x->update) != 0;
		if (!old || (available && missing >= most))
			continue;
		missing += available;
		remove_pod(x, pod);
	}
}

static void step(struct kg_stateful_sync *x)
{
	for (size_t i = 0; i < x->n; i++)
		if (process_replica(x, i))
			return;
	const struct kg_object *unhealthy = first_unhealthy(x);
	for (size_t i = 0; i < x->ncondemned; i++)
		if (process_condemned(x, x->condemned[i], unhealthy))
			return;
	if (x->rolling)
		update(x);
}

/* ---- one sync ---- */

static void sync_release(struct kg_stateful_sync *x)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(x->moulds); i++)
		kg_mould_release(&x->moulds[i]);
	kg_revisions_release(&x->revisions);
	kg_list_release(&x->list);
	kg_object_unref(x->set);
}

struct numbered {
	int64_t ordinal;
	struct kg_object *pod;
};

static int cmp_highest(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	if (x->ordinal != y->ordinal)
		return x->ordinal > y->ordinal ? -1 : 1;
	return strcmp(x->pod->name, y->pod->name);
}

static void sort_pods(struct kg_stateful_sync *x)
{
	struct kg_arena *a = &x->r->a;
	kg_list_owned(&x->list, kg_now(x->r), KG_KIND_POD, kg_object_uid(x->set));
	x->replicas = kg_arena_alloc(a, (x->n + 1) * sizeof(struct kg_object *));
	x->condemned = kg_arena_alloc(a, (x->list.n + 1) * sizeof(struct kg_object *));
	struct numbered *rest = kg_arena_alloc(a, (x->list.n + 1) * sizeof(*rest));
	for (size_t i = 0; i < x->list.n; i++) {
		struct kg_object *pod = x->list.v[i];
		int64_t k = kg_stateful_ordinal(x->set, pod->name);
		if (k >= x->start && k < x->start + (int64_t)x->n)
			x->replicas[k - x->start] = pod;
		else
			rest[x->ncondemned++] = (struct numbered){k, pod};
	}
	qsort(rest, x->ncondemned, sizeof(*rest), cmp_highest);
	for (size_t i = 0; i < x->ncondemned; i++)
		x->condemned[i] = rest[i].pod;
}

/* It has one of the set's names. */
static bool is_member(const struct kg_object *set, const struct kg_object *pod)
{
	return kg_stateful_ordinal(set, pod->name) >= 0;
}

static void begin(struct kg_stateful_sync *x, struct kg_run *r, const struct kg_object *set)
{
	*x = (struct kg_stateful_sync){.r = r, .set = kg_object_ref(set)};
	x->spec = kg_get(kg_obj(set), "spec");
	x->start = kg_int(kg_at(x->spec, "ordinals.start"), 0);
	x->n = (size_t)kg_int(kg_get(x->spec, "replicas"), 1);
	x->min_ready_ms = kg_int(kg_get(x->spec, "minReadySeconds"), 0) * 1000;
	x->ordered = strcmp(kg_string(kg_get(x->spec, "podManagementPolicy"), "OrderedReady"),
			     "Parallel") != 0;
	x->rolling = strcmp(kg_string(kg_at(x->spec, "updateStrategy.type"), "RollingUpdate"),
			     "RollingUpdate") == 0;
	x->revisions.collisions = kg_int(kg_at(kg_obj(set), "status.collisionCount"), 0);
	kg_revisions_sync(&x->revisions, r, set, "controller.kubernetes.io/hash");
	x->update = x->revisions.current->name;
	x->current = kg_string(kg_at(kg_obj(set), "status.currentRevision"), "");
	if (!kg_revisions_get(&x->revisions, x->current))
		x->current = x->update;
	kg_adopt(r, set, is_member, NULL);
	sort_pods(x);
}

static void forget_revisions(struct kg_stateful_sync *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map live = KG_MAP_INIT;
	kg_map_put(&live, x->current, x);
	for (size_t i = 0; i < x->list.n; i++)
		kg_map_put(&live, kg_stateful_revision(x->list.v[i]), x);
	kg_revisions_forget(
		&x->revisions, x->r, &live, kg_int(kg_get(x->spec, "revisionHistoryLimit"), 10));
}

void kg_statefulset_run(struct kg_run *r, const char *key)
{
	const struct kg_object *set = kg_snapshot_get_key(kg_now(r), KG_KIND_STATEFULSET, key);
	if (!set || kg_reap_orphan(r, set))
		return;
	KG_CLEANUP(sync_release) struct kg_stateful_sync x;
	begin(&x, r, set);
	step(&x);
	forget_revisions(&x);
	kg_stateful_keep_claims(&x);
	kg_stateful_put_status(&x);
}
