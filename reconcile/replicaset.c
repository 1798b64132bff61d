/*
 * ReplicaSets: as many active pods as spec.replicas says. Pods' names are a hash of the owner's
 * uid and of a counter in its record, so none is used twice.
 */
#include "reconcile/admission.h"
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- who goes first ---- */

struct ranked {
	struct kg_object *pod;
	const char *node;
	int phase; /* Pending, Unknown, Running */
	bool ready;
	int64_t cost, restarts;
	size_t doubled; /* active pods of the same owner's on its node */
	kg_time ready_since, created;
};

static int phase_rank(const struct kg_object *pod)
{
	const char *p = kg_string(kg_get(kg_get(kg_obj(pod), "status"), "phase"), "Pending");
	return strcmp(p, "Pending") == 0 ? 0 : strcmp(p, "Running") == 0 ? 2 : 1;
}

static int64_t max_restarts(const struct kg_object *pod)
{
	const struct kg_value *cs = kg_at(kg_obj(pod), "status.containerStatuses");
	int64_t max = 0;
	for (uint32_t i = 0; i < kg_len(cs); i++) {
		int64_t n = kg_int(kg_get(&cs->items[i], "restartCount"), 0);
		max = n > max ? n : max;
	}
	return max;
}

static void rank(struct ranked *x, struct kg_object *pod)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	x->pod = pod;
	x->node = kg_pod_node(pod);
	x->phase = phase_rank(pod);
	x->ready = kg_pod_ready(pod);
	x->cost = strtoll(
		kg_annotation(pod, "controller.kubernetes.io/pod-deletion-cost", "0"), NULL, 10);
	x->restarts = max_restarts(pod);
	x->ready_since = kg_time_of(kg_get(kg_condition(status, "Ready"), "lastTransitionTime"), 0);
	x->created = kg_object_created(pod);
}

/* The order of Kubernetes' ActivePodsWithRanks: the first go first. */
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
		return x->ready_since > y->ready_since ? -1 : 1;
	if (x->restarts != y->restarts)
		return x->restarts > y->restarts ? -1 : 1;
	if (x->created != y->created)
		return x->created > y->created ? -1 : 1;
	return strcmp(kg_object_uid(x->pod), kg_object_uid(y->pod));
}

static void count_on_nodes(struct kg_map *counts, const struct kg_snapshot *s, const char *rs_uid)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, s, KG_INDEX_OWNER, rs_uid);
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD || !kg_pod_active(pod))
			continue;
		const char *node = kg_pod_node(pod);
		kg_map_put(counts, node, (void *)((intptr_t)kg_map_get(counts, node) + 1));
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
		rank(&v[i], active->v[i]);
		v[i].doubled = (size_t)(intptr_t)kg_map_get(&counts, v[i].node);
	}
	qsort(v, active->n, sizeof(*v), cmp_ranked);
	for (size_t i = 0; i < count && i < active->n; i++)
		kg_pod_delete(r, v[i].pod);
}

/* ---- new pods ---- */

/* What all pods of one template share: its id and the base that their records are patches of. */
struct mould {
	char id[24];
	struct kg_doc *base;
};

static void mould_release(struct mould *m)
{
	kg_doc_unref(m->base);
}

static void mould_make(struct mould *m, struct kg_run *r, const struct kg_object *rs)
{
	const struct kg_value *template = kg_at(kg_obj(rs), "spec.template");
	if (rs->template_id[0])
		memcpy(m->id, rs->template_id, sizeof(m->id));
	else
		kg_template_id(m->id, template);
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_index(&it, kg_now(r), KG_INDEX_TEMPLATE, m->id);
	while (!m->base && (obj = kg_iter_next(&it)))
		if (obj->kind->id == KG_KIND_POD)
			m->base = kg_doc_ref(obj->base);
	kg_iter_release(&it);
	if (m->base)
		return;
	struct kg_doc *doc = kg_doc_new(template, NULL, 0);
	m->base = kg_template_expand(&kg_kinds[KG_KIND_POD], doc);
	kg_doc_unref(doc);
}

static void new_name(char out[300], struct kg_run *r, const struct kg_object *rs, int64_t *counter)
{
	char what[64], suffix[8];
	do {
		int n = snprintf(
			what, sizeof(what), "%s#%lld", kg_object_uid(rs), (long long)++*counter);
		kg_safe_encode(suffix, 5, kg_hash64(what, (size_t)n));
		/* Pod names are at most 253 bytes; generated ones are cut at 58 + 5, as
		 * Kubernetes'. */
		snprintf(out, 300, "%.57s-%s", rs->name, suffix);
	} while (kg_snapshot_get(kg_now(r), KG_KIND_POD, rs->ns, out));
}

static void add_pods(struct kg_run *r, const struct kg_object *rs, int64_t count, int64_t *counter)
{
	KG_CLEANUP(mould_release) struct mould m = {0};
	mould_make(&m, r, rs);
	const struct kg_kind *kind = &kg_kinds[KG_KIND_POD];
	const struct kg_value *base = kg_doc_value(m.base);
	struct kg_arena *a = &r->a;
	struct kg_value owner = kg_make_owner_ref(a, rs);
	struct kg_value prefix = kg_v_strf(a, "%.57s-", rs->name);
	struct kg_value v = *base;
	struct kg_value meta = *kg_get(base, "metadata");
	if (meta.type != KG_OBJECT)
		meta = kg_v_object(a, NULL, 0);
	meta = kg_with_key(a, &meta, "ownerReferences", owner);
	meta = kg_with_key(a, &meta, "generateName", prefix);
	v = kg_with_key(a, &v, "metadata", meta);
	v = kg_with_key(a, &v, "status", kg_pod_new_status(a, kg_get(base, "spec")));
	if (!kg_is_null(kg_at(base, "spec.nodeName")))
		v = kg_with(a, &v, "spec.nodeName", kg_v_null());
	for (; count > 0; count--) {
		char name[300];
		new_name(name, r, rs, counter);
		struct kg_value pod = kg_birth(r, kind, rs->ns, name, &v);
		struct kg_object_spec spec = {.kind = kind,
			.ns = rs->ns,
			.name = name,
			.value = &pod,
			.base = m.base,
			.template_id = m.id};
		kg_txn_put(r->txn, kg_object_new(&spec));
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
	int64_t replicas, labelled, ready, available;
};

static bool pod_available(struct kg_run *r, const struct kg_object *pod, int64_t min_ready_ms)
{
	if (min_ready_ms == 0)
		return true;
	const struct kg_value *c = kg_condition(kg_get(kg_obj(pod), "status"), "Ready");
	kg_time since = kg_time_of(kg_get(c, "lastTransitionTime"), 0);
	if (since + min_ready_ms <= r->now)
		return true;
	kg_wake(r, since + min_ready_ms);
	return false;
}

static struct counts count(struct kg_run *r, const struct kg_object *rs)
{
	struct counts c = {0};
	int64_t min_ready_ms = kg_int(kg_at(kg_obj(rs), "spec.minReadySeconds"), 0) * 1000;
	const struct kg_value *labels = kg_at(kg_obj(rs), "spec.template.metadata.labels");
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, kg_now(r), KG_INDEX_OWNER, kg_object_uid(rs));
	while ((pod = kg_iter_next(&it))) {
		if (pod->kind->id != KG_KIND_POD || !kg_pod_active(pod))
			continue;
		c.replicas++;
		c.labelled += kg_labels_match_map(labels, kg_at(kg_obj(pod), "metadata.labels"));
		if (!kg_pod_ready(pod))
			continue;
		c.ready++;
		c.available += pod_available(r, pod, min_ready_ms);
	}
	kg_iter_release(&it);
	return c;
}

static struct kg_value opt_int(int64_t n)
{
	return n ? kg_v_int(n) : kg_v_null();
}

static void set_status(struct kg_run *r, const struct kg_object *rs, int64_t created)
{
	struct counts c = count(r, rs);
	struct kg_value st = kg_v_obj(&r->a, "replicas", kg_v_int(c.replicas),
		"fullyLabeledReplicas", opt_int(c.labelled), "readyReplicas", opt_int(c.ready),
		"availableReplicas", opt_int(c.available), "observedGeneration",
		kg_v_int(kg_int(kg_at(kg_obj(rs), "metadata.generation"), 0)), (char *)NULL);
	struct kg_value v = kg_with_key(&r->a, kg_obj(rs), "status", st);
	if (created) {
		char text[24];
		snprintf(text, sizeof(text), "%lld", (long long)created);
		v = kg_with_annotation(&r->a, &v, KG_CREATED_ANNOTATION, text);
	}
	kg_put_value(r, rs, &v);
}

void kg_replicaset_run(struct kg_run *r, const char *key)
{
	const struct kg_object *found = kg_snapshot_get_key(kg_now(r), KG_KIND_REPLICASET, key);
	if (!found)
		return;
	if (!kg_owner_exists(kg_now(r), found)) {
		kg_delete_object(r, found);
		return;
	}
	KG_AUTOLIST struct kg_list self = {0}, all = {0}, active = {0}, finished = {0};
	kg_list_add(&self, found);
	const struct kg_object *rs = self.v[0];
	kg_list_owned(&all, kg_now(r), KG_KIND_POD, kg_object_uid(rs));
	for (size_t i = 0; i < all.n; i++)
		if (kg_pod_active(all.v[i]))
			kg_list_add(&active, all.v[i]);
		else if (!kg_object_deleting(all.v[i]))
			kg_list_add(&finished, all.v[i]);
	forget_finished(r, &finished);
	int64_t want = kg_int(kg_at(kg_obj(rs), "spec.replicas"), 1);
	want = want > KG_MAX_REPLICAS ? KG_MAX_REPLICAS : want; /* admission has refused more */
	int64_t diff = want - (int64_t)active.n, created = 0;
	if (diff > 0) {
		created = strtoll(kg_annotation(rs, KG_CREATED_ANNOTATION, "0"), NULL, 10);
		add_pods(r, rs, diff, &created);
	} else if (diff < 0) {
		remove_pods(r, rs, &active, (size_t)-diff);
	}
	set_status(r, rs, created);
}
