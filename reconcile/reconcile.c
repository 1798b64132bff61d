/*
 * The run: inputs are applied in an order of their own (not the caller's), then the controllers'
 * queues are emptied, each key in sorted order, lowest controller first, until nothing is left.
 * A controller at rest does nothing, so running more keys than needed changes nothing: this is
 * why an incremental run gives what a full one gives.
 */
#include "reconcile/belong.h"

#include <string.h>

/* Batches of keys in one run. A cluster comes to rest within a few tens; more is a loop. */
#define MAX_BATCHES 20000

#define POD_CIDR     "10.244.0.0/16"
#define SERVICE_CIDR "10.96.0.0/16"

struct kg_ip_range kg_service_range(const struct kg_reconcile_options *o)
{
	struct kg_ip_range range;
	if (!o || !o->service_cidr || kg_ip_range_parse(&range, o->service_cidr) < 0)
		kg_ip_range_parse(&range, SERVICE_CIDR);
	return range;
}

static void defaults(struct kg_reconcile_state *st, const struct kg_reconcile_options *o)
{
	const char *pods = o && o->pod_cidr ? o->pod_cidr : POD_CIDR;
	if (kg_ip_range_parse(&st->pod_range, pods) < 0)
		kg_ip_range_parse(&st->pod_range, POD_CIDR);
	st->service_range = kg_service_range(o);
	st->node_port_min = o && o->node_port_min ? o->node_port_min : 30000;
	st->node_port_max = o && o->node_port_max ? o->node_port_max : 32767;
	st->zone = o ? o->zone : NULL;
	st->zone_ctx = o ? o->zone_ctx : NULL;
	st->eviction_timeout_ms = o && o->eviction_timeout_ms ? o->eviction_timeout_ms : 300000;
}

struct kg_value kg_reconcile_options_value(struct kg_arena *a, const struct kg_reconcile_options *o)
{
	struct kg_reconcile_state st = {0};
	defaults(&st, o);
	return kg_v_obj(a, "number", kg_v_int(KG_RECONCILER), "podCIDR",
		kg_v_str(a, o && o->pod_cidr ? o->pod_cidr : POD_CIDR), "serviceCIDR",
		kg_v_str(a, o && o->service_cidr ? o->service_cidr : SERVICE_CIDR), "nodePortMin",
		kg_v_int(st.node_port_min), "nodePortMax", kg_v_int(st.node_port_max),
		"evictionTimeoutMilliseconds", kg_v_int(st.eviction_timeout_ms), (char *)NULL);
}

void kg_reconcile_options_read(struct kg_reconcile_options *out, const struct kg_value *v)
{
	*out = (struct kg_reconcile_options){
		.pod_cidr = kg_string(kg_get(v, "podCIDR"), NULL),
		.service_cidr = kg_string(kg_get(v, "serviceCIDR"), NULL),
		.node_port_min = (int)kg_int(kg_get(v, "nodePortMin"), 0),
		.node_port_max = (int)kg_int(kg_get(v, "nodePortMax"), 0),
		.eviction_timeout_ms = kg_int(kg_get(v, "evictionTimeoutMilliseconds"), 0),
	};
}

struct kg_reconcile_state *kg_reconcile_state_new(
	const struct kg_snapshot *s, const struct kg_reconcile_options *opts)
{
	struct kg_reconcile_state *st = kg_alloc(sizeof(*st));
	defaults(st, opts);
	kg_track_build(st, s);
	return st;
}

static void effects_clear(struct kg_effects *e)
{
	for (size_t i = 0; i < e->len; i++)
		kg_object_unref(e->items[i].after);
	e->len = 0;
}

void kg_reconcile_state_free(struct kg_reconcile_state *st)
{
	if (!st)
		return;
	kg_track_clear(st);
	effects_clear(&st->effects);
	free(st->effects.items);
	free(st);
}

/* Claims of pods' own that were refused are no objects, and of no list but this. */
static void enqueue_own_claims(struct kg_run *r)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, kg_now(r), KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		kg_claims_of_pod(r, pod);
	kg_iter_release(&it);
}

static void enqueue_all(struct kg_run *r)
{
	static const struct {
		enum kg_kind_id kind;
		enum kg_controller c;
	} what[] = {{KG_KIND_NAMESPACE, KG_C_NAMESPACE}, {KG_KIND_NODE, KG_C_NODE},
		{KG_KIND_POD, KG_C_POD}, {KG_KIND_ENDPOINTSLICE, KG_C_GARBAGE},
		{KG_KIND_REPLICASET, KG_C_REPLICASET}, {KG_KIND_DEPLOYMENT, KG_C_DEPLOYMENT},
		{KG_KIND_REPLICATIONCONTROLLER, KG_C_REPLICATIONCONTROLLER},
		{KG_KIND_JOB, KG_C_JOB}, {KG_KIND_PODDISRUPTIONBUDGET, KG_C_BUDGET},
		{KG_KIND_CRONJOB, KG_C_CRONJOB}, {KG_KIND_DAEMONSET, KG_C_DAEMONSET},
		{KG_KIND_CONTROLLERREVISION, KG_C_GARBAGE}, {KG_KIND_STATEFULSET, KG_C_STATEFULSET},
		{KG_KIND_SERVICE, KG_C_SERVICE}, {KG_KIND_ENDPOINTS, KG_C_SERVICE},
		{KG_KIND_RESOURCEQUOTA, KG_C_QUOTA}, {KG_KIND_PERSISTENTVOLUMECLAIM, KG_C_CLAIM},
		{KG_KIND_PERSISTENTVOLUME, KG_C_VOLUME}};
	for (size_t i = 0; i < KG_ARRAY_LEN(what); i++) {
		struct kg_object_iter it;
		const struct kg_object *obj;
		kg_iter_kind(&it, kg_now(r), what[i].kind, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			kg_enqueue(r->st, what[i].c, obj->key);
		kg_iter_release(&it);
	}
	enqueue_own_claims(r);
	kg_belong_enqueue_all(r->st);
	kg_slices_forget_all(r->st);
	kg_enqueue(r->st, KG_C_SCHEDULER, "");
}

/* ---- inputs, in an order that does not depend on the caller's ---- */

static int cmp_node(const void *a, const void *b)
{
	const struct kg_input_node *x = *(const struct kg_input_node *const *)a;
	const struct kg_input_node *y = *(const struct kg_input_node *const *)b;
	int d = strcmp(x->name, y->name);
	if (!d)
		d = kg_value_cmp(&x->labels, &y->labels);
	return d ? d : kg_value_cmp(&x->status, &y->status);
}

static int cmp_liveness(const void *a, const void *b)
{
	const struct kg_input_liveness *x = *(const struct kg_input_liveness *const *)a;
	const struct kg_input_liveness *y = *(const struct kg_input_liveness *const *)b;
	int d = strcmp(x->name, y->name);
	if (!d)
		d = (x->since > y->since) - (x->since < y->since);
	if (!d)
		d = (int)x->ready - (int)y->ready;
	if (!d)
		d = strcmp(x->reason ? x->reason : "", y->reason ? y->reason : "");
	return d ? d : strcmp(x->message ? x->message : "", y->message ? y->message : "");
}

static int cmp_report(const void *a, const void *b)
{
	const struct kg_input_pod_status *x = *(const struct kg_input_pod_status *const *)a;
	const struct kg_input_pod_status *y = *(const struct kg_input_pod_status *const *)b;
	int d = strcmp(x->ns, y->ns);
	if (!d)
		d = strcmp(x->name, y->name);
	if (!d)
		d = strcmp(x->uid, y->uid);
	if (!d)
		d = (int)x->gone - (int)y->gone;
	return d ? d : kg_value_cmp(&x->status, &y->status);
}

static int cmp_eviction(const void *a, const void *b)
{
	const struct kg_input_eviction *x = *(const struct kg_input_eviction *const *)a;
	const struct kg_input_eviction *y = *(const struct kg_input_eviction *const *)b;
	int d = strcmp(x->ns, y->ns);
	if (!d)
		d = strcmp(x->name, y->name);
	return d ? d : strcmp(x->uid, y->uid);
}

/* Pointers to n items of `size` bytes, sorted; free() it. */
static const void **sorted(
	const void *items, size_t n, size_t size, int (*cmp)(const void *, const void *))
{
	const void **v = kg_alloc((n + 1) * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = (const char *)items + i * size;
	qsort(v, n, sizeof(*v), cmp);
	return v;
}

/* ---- what they did ---- */

/* The input has been applied: it is kept where there were `before` changes and there are more. */
static void note_effect(struct kg_run *r, enum kg_effect_type type, const void *input,
	const struct kg_object *after, size_t before)
{
	struct kg_effects *e = &r->st->effects;
	if (r->nchanges > before) {
		KG_GROW(e->items, e->cap, e->len + 1);
		e->items[e->len++] = (struct kg_effect){
			.type = type, .input = input, .after = after ? kg_object_ref(after) : NULL};
	}
	kg_arena_release(&r->a);
}

static void apply_node(struct kg_run *r, const struct kg_input_node *in)
{
	size_t n = r->nchanges;
	kg_node_register(r, in);
	note_effect(
		r, KG_EFFECT_NODE, in, kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", in->name), n);
}

static void apply_liveness(struct kg_run *r, const struct kg_input_liveness *in)
{
	size_t n = r->nchanges;
	kg_node_liveness(r, in);
	note_effect(r, KG_EFFECT_LIVENESS, in,
		kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", in->name), n);
}

static void apply_report(struct kg_run *r, const struct kg_input_pod_status *in)
{
	size_t n = r->nchanges;
	kg_pod_report(r, in);
	const struct kg_object *pod =
		*in->ns ? kg_snapshot_get(kg_now(r), KG_KIND_POD, in->ns, in->name) : NULL;
	if (pod && strcmp(kg_object_uid(pod), in->uid) != 0)
		pod = NULL; /* its successor */
	note_effect(r, KG_EFFECT_REPORT, in, pod, n);
}

static void apply_eviction(struct kg_run *r, const struct kg_input_eviction *in)
{
	size_t n = r->nchanges;
	const struct kg_object *there = kg_snapshot_get(kg_now(r), KG_KIND_POD, in->ns, in->name);
	struct kg_object *pod = there ? kg_object_ref(there) : NULL;
	kg_evict(r, in);
	note_effect(r, KG_EFFECT_EVICTION, in, pod, n);
	kg_object_unref(pod);
}

static void changed(void *run, const struct kg_object *before, const struct kg_object *after)
{
	struct kg_run *r = run;
	r->nchanges++;
	kg_track_change(r, before, after);
}

static int apply(struct kg_run *r)
{
	const struct kg_inputs *in = r->in;
	effects_clear(&r->st->effects);
	kg_namespace_system(r);
	KG_AUTOFREE const void **nodes =
		sorted(in->nodes, in->nnodes, sizeof(*in->nodes), cmp_node);
	for (size_t i = 0; i < in->nnodes; i++)
		apply_node(r, nodes[i]);
	KG_AUTOFREE const void **live =
		sorted(in->liveness, in->nliveness, sizeof(*in->liveness), cmp_liveness);
	for (size_t i = 0; i < in->nliveness; i++)
		apply_liveness(r, live[i]);
	int rc = kg_desired_apply(r);
	if (rc < 0)
		return rc;
	KG_AUTOFREE const void **pods = sorted(in->pods, in->npods, sizeof(*in->pods), cmp_report);
	for (size_t i = 0; i < in->npods; i++)
		apply_report(r, pods[i]);
	KG_AUTOFREE const void **evictions =
		sorted(in->evictions, in->nevictions, sizeof(*in->evictions), cmp_eviction);
	for (size_t i = 0; i < in->nevictions; i++)
		apply_eviction(r, evictions[i]);
	if (in->cluster) {
		size_t n = r->nchanges;
		kg_cluster_apply(r, in->cluster);
		note_effect(r, KG_EFFECT_CLUSTER, in->cluster, NULL, n);
	}
	return 0;
}

/* ---- the fixpoint ---- */

static int run_key(struct kg_run *r, enum kg_controller c, const char *key)
{
	static void (*const fn[KG_C_COUNT])(struct kg_run *, const char *) = {
		[KG_C_NAMESPACE] = kg_namespace_run,
		[KG_C_NODE] = kg_node_run,
		[KG_C_POD] = kg_pod_run,
		[KG_C_GARBAGE] = kg_garbage_run,
		[KG_C_BELONGING] = kg_belong_run,
		[KG_C_REPLICASET] = kg_replicaset_run,
		[KG_C_REPLICATIONCONTROLLER] = kg_replicationcontroller_run,
		[KG_C_JOB] = kg_job_run,
		[KG_C_BUDGET] = kg_pdb_run,
		[KG_C_QUOTA] = kg_quota_run,
		[KG_C_CLAIM] = kg_claim_run,
		[KG_C_VOLUME] = kg_volume_run,
		[KG_C_CRONJOB] = kg_cronjob_run,
		[KG_C_DAEMONSET] = kg_daemonset_run,
		[KG_C_STATEFULSET] = kg_statefulset_run,
		[KG_C_DEPLOYMENT] = kg_deployment_run,
		[KG_C_SCHEDULER] = kg_scheduler_run,
	};
	r->c = c;
	r->key = key;
	r->refused = NULL;
	kg_map_remove(&r->st->wakes[c], key);
	int rc = 0;
	if (c == KG_C_SERVICE)
		rc = kg_service_run(r, key);
	else if (!kg_cascade_run(r, key))
		fn[c](r, key);
	kg_starved_settle(r);
	kg_arena_release(&r->a);
	return rc;
}

static int run_batch(struct kg_run *r, enum kg_controller c)
{
	/* Keys move over to a map of the batch's own, so that what is enqueued meanwhile waits. */
	struct kg_map batch = r->st->queue[c];
	r->st->queue[c] = r->st->spare;
	r->st->spare = (struct kg_map)KG_MAP_INIT;
	KG_AUTOFREE struct kg_map_entry **keys = kg_map_sorted(&batch);
	int rc = 0;
	for (size_t i = 0; i < batch.count && rc == 0; i++)
		rc = run_key(r, c, keys[i]->key);
	kg_map_clear(&batch);
	kg_map_trim(&batch);
	r->st->spare = batch;
	return rc;
}

static int settle(struct kg_run *r)
{
	for (int batches = 0;; batches++) {
		enum kg_controller c = 0;
		kg_claims_supply(r->st);
		while (c < KG_C_COUNT && r->st->queue[c].count == 0)
			c++;
		if (c == KG_C_COUNT)
			return 0;
		if (batches == MAX_BATCHES)
			return kg_fail(r->err, KG_E_CORRUPT,
				"reconcile does not come to rest: controller %d, first key \"%s\"",
				(int)c,
				r->st->queue[c].entries[0].key ? r->st->queue[c].entries[0].key
							       : "");
		int rc = run_batch(r, c);
		if (rc < 0)
			return rc;
	}
}

/* Does the state describe this snapshot? It does not after a failed run or commit. */
static bool describes(const struct kg_reconcile_state *st, const struct kg_snapshot *s)
{
	if (st->stale)
		return false;
	return st->revision + 1 == s->revision ? st->moved || !st->fresh
					       : st->revision == s->revision && !st->moved;
}

int kg_reconcile(struct kg_reconcile_state *st, struct kg_txn *txn, const struct kg_inputs *in,
	kg_time *wake_at, struct kg_error *err)
{
	const struct kg_snapshot *prev = kg_txn_previous(txn);
	if (!describes(st, prev)) {
		kg_track_clear(st);
		kg_track_build(st, prev);
	}
	struct kg_run r = {.st = st, .txn = txn, .in = in, .now = in->now, .err = err};
	_Alignas(16) char scratch[16384];
	kg_arena_lend(&r.a, scratch, sizeof(scratch));
	r.revision = prev->revision + 1;
	kg_time_format(r.now_text, in->now);
	st->revision = prev->revision;
	st->moved = false;
	st->stale = true; /* until this run has succeeded */
	kg_txn_set_time(txn, in->now);
	kg_txn_on_change(txn, changed, &r);
	int rc = apply(&r);
	if (rc == 0) {
		if (in->full || st->fresh)
			enqueue_all(&r);
		kg_alarms_enqueue(st, r.now);
		rc = settle(&r);
	}
	kg_txn_on_change(txn, NULL, NULL);
	kg_arena_release(&r.a);
	if (rc < 0)
		return rc;
	st->stale = st->fresh = false;
	kg_map_trim(&st->pending);
	for (int c = 0; c < KG_C_COUNT; c++)
		kg_map_trim(&st->queue[c]);
	*wake_at = kg_alarms_next(st);
	return 0;
}
