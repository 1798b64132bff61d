/*
 * ReplicaSets: as many active pods as spec.replicas says. Pods' names are a hash of the owner's
 * uid and of a counter in its record, so none is used twice.
 */
#include "reconcile/admission.h"
#include "reconcile/adopt.h"
#include "reconcile/workload.h"

#include <stdlib.h>
#include <string.h>

/* ---- who goes first ---- */

struct ranked {
	struct kg_object *pod;
	const char *node, *uid;
	int phase; /* Pending, Unknown, Running */
	bool ready;
	int64_t cost;
	int64_t restarts, sidecar_restarts; /* of the container that has most */
	size_t doubled;                     /* active pods of the same owner's on its node */
	kg_time ready_since, created;
	int ready_age, age; /* as powers of two */
};

static int phase_rank(const struct kg_object *pod)
{
	const char *p = kg_string(kg_status(pod, "phase"), "Pending");
	return strcmp(p, "Pending") == 0 ? 0 : strcmp(p, "Running") == 0 ? 2 : 1;
}

static int64_t max_restarts(const struct kg_value *statuses)
{
	int64_t max = 0;
	for (uint32_t i = 0; i < kg_len(statuses); i++) {
		int64_t n = kg_int(kg_get(&statuses->items[i], "restartCount"), 0);
		max = n > max ? n : max;
	}
	return max;
}

/* Those of init containers that run on beside the others. */
static int64_t max_sidecar_restarts(const struct kg_object *pod)
{
	const struct kg_value *init = kg_spec(pod, "initContainers");
	const struct kg_value *statuses = kg_status(pod, "initContainerStatuses");
	int64_t max = 0;
	for (uint32_t i = 0; i < kg_len(init); i++) {
		const char *name = kg_string(kg_get(&init->items[i], "name"), "");
		int64_t n = kg_int(kg_get(kg_find(statuses, "name", name), "restartCount"), 0);
		if (kg_container_is_sidecar(&init->items[i]))
			max = n > max ? n : max;
	}
	return max;
}

/*
 * Ages count by their order of magnitude alone, so that pods of the same burst are equals: the
 * greatest power of two in it, -1 for none. They are those at the revision before, not at this
 * moment: what a diff says would else be something else whenever an age passes a power of two.
 */
static int age_of(kg_time since, kg_time at)
{
	int n = -1;
	for (kg_time age = at - since; age > 0; age >>= 1)
		n++;
	return n;
}

static void rank(struct ranked *x, struct kg_object *pod, kg_time at)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	x->pod = pod;
	x->node = kg_pod_node(pod);
	x->uid = kg_object_uid(pod);
	x->phase = phase_rank(pod);
	x->ready = kg_object_ready(pod);
	x->cost = strtoll(
		kg_annotation(pod, "controller.kubernetes.io/pod-deletion-cost", "0"), NULL, 10);
	x->restarts = max_restarts(kg_get(status, "containerStatuses"));
	x->sidecar_restarts = max_sidecar_restarts(pod);
	x->ready_since = kg_time_of(kg_get(kg_condition(status, "Ready"), "lastTransitionTime"), 0);
	x->created = kg_object_created(pod);
	x->ready_age = age_of(x->ready_since, at);
	x->age = age_of(x->created, at);
}

static int cmp_uid(const struct ranked *x, const struct ranked *y)
{
	return strcmp(x->uid, y->uid);
}

/* The order of Kubernetes' ActivePodsWithRanks: the first go first. It is not transitive (ready at
 * the same moment or not decides what counts), so which go hangs on how they are sorted, too. */
static int cmp_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (!*x->node != !*y->node)
		return *x->node ? 1 : -1;
	if (x->phase != y->phase)
		return x->phase - y->phase;
	if (x->ready != y->ready)
		return x->ready ? 1 : -1;
	if (x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	if (x->doubled != y->doubled)
		return x->doubled > y->doubled ? -1 : 1;
	if (x->ready && x->ready_since != y->ready_since)
		return x->ready_age != y->ready_age ? x->ready_age - y->ready_age : cmp_uid(x, y);
	if (x->restarts != y->restarts)
		return x->restarts > y->restarts ? -1 : 1;
	if (x->sidecar_restarts != y->sidecar_restarts)
		return x->sidecar_restarts > y->sidecar_restarts ? -1 : 1;
	return x->age != y->age ? x->age - y->age : cmp_uid(x, y);
}

static void count_on_nodes(struct kg_map *counts, const struct kg_snapshot *s, const char *rs_uid)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, s, KG_INDEX_OWNER, rs_uid);
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD || !kg_pod_active(pod))
			continue;
		void **n = kg_map_at(counts, kg_pod_node(pod));
		*n = (void *)((intptr_t)*n + 1);
	}
	kg_iter_release(&it);
}

/* Related pods are those of all ReplicaSets of the same Deployment. */
static void count_related(struct kg_map *counts, struct kg_run *r, const struct kg_object *rs)
{
	const char *owner = kg_object_owner_uid(rs);
	if (!*owner) {
		count_on_nodes(counts, kg_now(r), kg_object_uid(rs));
		return;
	}
	KG_AUTOLIST struct kg_list sets = {0};
	kg_list_owned(&sets, kg_now(r), KG_KIND_REPLICASET, owner);
	for (size_t i = 0; i < sets.n; i++)
		count_on_nodes(counts, kg_now(r), kg_object_uid(sets.v[i]));
}

static void remove_pods(
	struct kg_run *r, const struct kg_object *rs, struct kg_list *active, size_t count)
{
	KG_AUTOFREE struct ranked *v = kg_alloc(active->n * sizeof(*v));
	KG_CLEANUP(kg_map_release) struct kg_map counts = KG_MAP_INIT;
	count_related(&counts, r, rs);
	for (size_t i = 0; i < active->n; i++) {
		rank(&v[i], active->v[i], kg_txn_previous(r->txn)->time);
		v[i].doubled = (size_t)(intptr_t)kg_map_get(&counts, v[i].node);
	}
	qsort(v, active->n, sizeof(*v), cmp_ranked);
	for (size_t i = 0; i < count && i < active->n; i++)
		kg_pod_delete(r, v[i].pod);
}

/* ---- new pods ---- */

static void add_pods(struct kg_run *r, const struct kg_object *rs, int64_t count, int64_t *counter)
{
	KG_CLEANUP(kg_mould_release) struct kg_mould m = {0};
	kg_mould_make(&m, r, kg_spec(rs, "template"), rs->template_id);
	struct kg_value v = kg_mould_pod(&m, r, rs, kg_arena_printf(&r->a, "%.57s-", rs->name));
	for (; count > 0; count--) {
		char name[300];
		int64_t before = *counter;
		kg_pod_name(name, r, rs, rs->name, counter);
		if (!kg_mould_put(&m, r, rs->ns, name, &v)) {
			*counter = before;
			return;
		}
	}
}

/* Finished pods stay for a look at them, the last few of each ReplicaSet. */
#define KEEP_FINISHED 10

static int cmp_newest(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a;
	const struct kg_object *y = *(struct kg_object *const *)b;
	kg_time s = kg_object_created(x), t = kg_object_created(y);
	return s != t ? (s > t ? -1 : 1) : strcmp(x->name, y->name);
}

static void forget_finished(struct kg_run *r, struct kg_list *finished)
{
	if (finished->n <= KEEP_FINISHED)
		return;
	qsort(finished->v, finished->n, sizeof(struct kg_object *), cmp_newest);
	for (size_t i = KEEP_FINISHED; i < finished->n; i++)
		kg_pod_delete(r, finished->v[i]);
}

/* ---- status ---- */

struct counts {
	int64_t replicas, labelled, ready, available, terminating;
	size_t finished;
};

/* Whoever is to be available later wakes the ReplicaSet; none where min_ready_ms is 0. */
static struct counts count(struct kg_run *r, const struct kg_object *rs, int64_t min_ready_ms)
{
	struct counts c = {0};
	const struct kg_value *labels =
		kg_get(kg_get(kg_spec(rs, "template"), "metadata"), "labels");
	const struct kg_value *last = NULL;
	bool match = false;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(rs));
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD)
			continue;
		c.terminating += kg_object_deleting(pod) && !kg_pod_terminal(pod);
		if (!kg_pod_active(pod)) {
			c.finished += !kg_object_deleting(pod);
			continue;
		}
		c.replicas++;
		/* Pods of one template share their labels. */
		const struct kg_value *has = kg_meta(pod, "labels");
		if (!last || has->members != last->members || has->len != last->len)
			match = kg_labels_match_map(labels, has);
		last = has;
		c.labelled += match;
		if (!kg_object_ready(pod))
			continue;
		c.ready++;
		c.available += kg_pod_available(r, pod, min_ready_ms);
	}
	kg_iter_release(&it);
	return c;
}

static void set_status(
	struct kg_run *r, const struct kg_object *rs, const struct counts *c, int64_t created)
{
	struct kg_value st = kg_v_obj(&r->a, "replicas", kg_v_int(c->replicas),
		"fullyLabeledReplicas", kg_count_or_null(c->labelled), "readyReplicas",
		kg_count_or_null(c->ready), "availableReplicas", kg_count_or_null(c->available),
		"observedGeneration", kg_v_int(kg_int(kg_meta(rs, "generation"), 0)), "conditions",
		*kg_status(rs, "conditions"), (char *)NULL);
	if (rs->kind->id == KG_KIND_REPLICASET) /* the older kind does not have it */
		st = kg_with_key(&r->a, &st, "terminatingReplicas", kg_v_int(c->terminating));
	struct kg_value v = kg_with_key(&r->a, kg_obj(rs), "status", st);
	if (created)
		v = kg_with_created(r, &v, created);
	kg_put_value(r, rs, &v);
}

static bool is_active(const struct kg_object *rs, const struct kg_object *pod)
{
	(void)rs;
	return kg_pod_active(pod);
}

/* A pod that its node has just turned away has its successor a little later. */
static bool waits_failed(struct kg_run *r, const struct kg_object *rs)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	bool waits = false;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(rs));
	while ((pod = kg_iter_next(&it)))
		waits |= pod->kind->id == KG_KIND_POD && !kg_object_deleting(pod) &&
			 kg_pod_waits_failed(r, pod);
	kg_iter_release(&it);
	return waits;
}

static void list(struct kg_list *active, struct kg_list *finished, const struct kg_run *r,
	const struct kg_object *rs)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(rs));
	while ((pod = kg_iter_next(&it)))
		if (pod->kind->id != KG_KIND_POD)
			continue;
		else if (kg_pod_active(pod))
			kg_list_add(active, pod);
		else if (!kg_object_deleting(pod))
			kg_list_add(finished, pod);
	kg_iter_release(&it);
}

static void run(struct kg_run *r, enum kg_kind_id kind, const char *key)
{
	const struct kg_object *found = kg_snapshot_get_key(kg_now(r), kind, key);
	if (!found || kg_reap_orphan(r, found))
		return;
	KG_AUTOLIST struct kg_list self = {0}, active = {0}, finished = {0};
	kg_list_add(&self, found);
	const struct kg_object *rs = self.v[0];
	kg_adopt(r, rs, is_active, NULL);
	if (kind == KG_KIND_REPLICATIONCONTROLLER) /* the one whose selector may change */
		kg_adopt_release(r, rs);
	int64_t want = kg_int(kg_spec(rs, "replicas"), 1), created = 0;
	int64_t min_ready_ms = kg_int(kg_spec(rs, "minReadySeconds"), 0) * 1000;
	want = want > KG_MAX_REPLICAS ? KG_MAX_REPLICAS : want; /* admission has refused more */
	struct counts c = count(r, rs, 0);
	size_t before = r->nchanges;
	if (c.replicas > want || c.finished > KEEP_FINISHED)
		list(&active, &finished, r, rs);
	forget_finished(r, &finished);
	if (c.replicas < want && !(c.finished && waits_failed(r, rs))) {
		created = kg_pods_created(rs);
		add_pods(r, rs, want - c.replicas, &created);
	} else if (c.replicas > want) {
		remove_pods(r, rs, &active, (size_t)(c.replicas - want));
	}
	if (r->nchanges > before || min_ready_ms)
		c = count(r, rs, min_ready_ms);
	set_status(r, rs, &c, created);
}

void kg_replicaset_run(struct kg_run *r, const char *key)
{
	run(r, KG_KIND_REPLICASET, key);
}

/* A ReplicationController is a ReplicaSet whose selector is a plain map. */
void kg_replicationcontroller_run(struct kg_run *r, const char *key)
{
	run(r, KG_KIND_REPLICATIONCONTROLLER, key);
}
