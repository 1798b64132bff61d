/*
 * The remembered state follows every change of the txn: allocators, nodes' sums, pending pods,
 * which services a pod belongs to. The same code
 * builds the state from a snapshot, object by object.
 */
#include "reconcile/adopt.h"
#include "reconcile/belong.h"
#include "reconcile/scheduler.h"
#include "reconcile/workload.h"

#include <stdio.h>
#include <string.h>

/* ---- nodes ---- */

struct kg_node_info *kg_node_info(struct kg_reconcile_state *st, const char *name)
{
	return kg_map_get(&st->nodes, name);
}

static void node_info_free(struct kg_node_info *n)
{
	kg_object_unref(n->obj);
	free(n->name);
	free(n->taken);
	free(n);
}

void kg_track_count(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_node_info *n, const struct kg_object *pod, bool on)
{
	struct kg_demand d;
	kg_demand_of(st, &d, pod);
	int64_t sign = on ? 1 : -1;
	for (int i = 0; i < KG_RES_MAX; i++)
		n->used[i] += sign * d.req[i];
	n->score_cpu += sign * d.score_cpu;
	n->score_mem += sign * d.score_mem;
	n->pods += sign;
	kg_sched_pod(st, s, n, pod, on);
}

static void pod_account(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *pod, bool on)
{
	struct kg_node_info *n = kg_node_info(st, kg_pod_node(pod));
	if (!n)
		return;
	uint32_t ip;
	const char *text = kg_string(kg_get(kg_get(kg_obj(pod), "status"), "podIP"), "");
	if (n->has_cidr && *text && kg_ip_parse(&ip, text) == 0 &&
		ip - n->cidr < UINT32_C(1) << (32 - n->prefix))
		kg_ipam_pod(n, ip - n->cidr, on);
	if (kg_pod_terminal(pod)) {
		if (!on) /* its address is free for another */
			kg_sched_touch(st->sched, n->slot);
		return;
	}
	kg_track_count(st, s, n, pod, on);
}

static void node_recount(
	struct kg_reconcile_state *st, struct kg_node_info *n, const struct kg_snapshot *s)
{
	free(n->taken);
	n->taken = NULL;
	n->ntaken = 0;
	kg_sched_node_recount(st, n);
	n->pods = n->score_cpu = n->score_mem = 0;
	memset(n->used, 0, sizeof(n->used));
	struct kg_ip_range r;
	n->has_cidr =
		kg_ip_range_parse(&r, kg_string(kg_at(kg_obj(n->obj), "spec.podCIDR"), "")) == 0;
	if (n->has_cidr) {
		n->cidr = r.first;
		n->prefix = r.prefix;
		n->taken = kg_bits_new(r.size);
	}
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, s, KG_INDEX_NODE, n->name);
	while ((pod = kg_iter_next(&it)))
		if (pod->kind->id == KG_KIND_POD)
			pod_account(st, s, pod, true);
	kg_iter_release(&it);
}

static void images_track(
	struct kg_sched *sc, const struct kg_object *before, const struct kg_object *after)
{
	if (before && after &&
		kg_equal(kg_at(kg_obj(before), "status.images"),
			kg_at(kg_obj(after), "status.images")))
		return;
	if (before)
		kg_images_track(sc, before, false);
	if (after)
		kg_images_track(sc, after, true);
	sc->images_version++; /* each counts by the part of the nodes that has it */
}

static void node_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before)
		kg_ipam_node(st, before, false);
	if (!after) {
		images_track(st->sched, before, NULL);
		kg_map_remove(&st->lost, before->name);
		struct kg_node_info *old = kg_map_remove(&st->nodes, before->name);
		if (old) {
			kg_sched_node_gone(st, old);
			node_info_free(old);
		}
		return;
	}
	kg_ipam_node(st, after, true);
	struct kg_node_info *n = kg_node_info(st, after->name);
	bool anew = !n || !before ||
		    !kg_equal(kg_at(kg_obj(before), "spec.podCIDR"),
			    kg_at(kg_obj(after), "spec.podCIDR"));
	if (!n) {
		n = kg_alloc(sizeof(*n));
		n->name = kg_strdup(after->name);
		n->hash = kg_hash64(n->name, strlen(n->name));
		n->slot = UINT32_MAX;
		kg_map_put(&st->nodes, n->name, n);
	}
	kg_object_unref(n->obj);
	n->obj = kg_object_ref(after);
	const struct kg_value *spec = kg_get(kg_obj(after), "spec");
	n->ready = kg_condition_is_true(kg_get(kg_obj(after), "status"), "Ready");
	if (n->ready)
		kg_map_remove(&st->lost, n->name);
	else
		kg_map_put(&st->lost, n->name, st);
	n->unschedulable = kg_bool(kg_get(spec, "unschedulable"), false);
	n->taints = kg_get(spec, "taints");
	n->tainted = kg_len(n->taints) > 0;
	n->labels = kg_get(kg_get(kg_obj(after), "metadata"), "labels");
	images_track(st->sched, before, after);
	kg_sched_node(st, n);
	/* A new resource name changes what pods ask for: their sums are made anew. */
	int names = 0, after_names = 0;
	for (int i = KG_RES_FIXED; i < KG_RES_MAX; i++)
		names += st->res_name[i] != NULL;
	kg_demand_node(st, n);
	for (int i = KG_RES_FIXED; i < KG_RES_MAX; i++)
		after_names += st->res_name[i] != NULL;
	if (names != after_names) {
		struct kg_map_entry *e;
		for (size_t i = 0; (e = kg_map_next(&st->nodes, &i));)
			node_recount(st, e->value, s);
	} else if (anew) {
		node_recount(st, n, s);
	}
}

/* ---- services and the pods behind them ---- */

static void anchor_key(struct kg_buf *out, const char *ns, const char *label, const char *value)
{
	kg_buf_clear(out);
	kg_buf_adds(out, ns);
	kg_buf_addc(out, '\x01');
	kg_buf_adds(out, label);
	kg_buf_addc(out, '\x01');
	kg_buf_adds(out, value);
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
	const struct kg_value *sel = kg_at(kg_obj(obj), "spec.selector");
	if (obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
		sel = kg_get(sel, "matchLabels");
	return sel->type == KG_OBJECT && sel->len ? sel : &kg_null;
}

static struct kg_map *followers(struct kg_anchor *an, const struct kg_object *obj)
{
	return obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET ? &an->budgets : &an->services;
}

static void key_of(struct kg_buf *out, const struct kg_object *obj, const struct kg_value *pairs)
{
	anchor_key(out, obj->ns, pairs->members[0].key, kg_string(&pairs->members[0].value, ""));
}

/* It is anchored at its selector's first pair; a pod is found by any of its labels. */
static void anchor_join(
	struct kg_reconcile_state *st, const struct kg_object *obj, bool remember_unfilled)
{
	const struct kg_value *pairs = pairs_of(obj);
	if (kg_is_null(pairs))
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	key_of(&key, obj, pairs);
	struct kg_anchor *an = kg_map_get(&st->anchors, key.data);
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
	const struct kg_value *labels = kg_get(kg_get(kg_obj(pod), "metadata"), "labels");
	for (uint32_t k = 0; k < (labels->type == KG_OBJECT ? labels->len : 0); k++) {
		anchor_key(key, pod->ns, labels->members[k].key,
			kg_string(&labels->members[k].value, ""));
		struct kg_anchor *an = kg_map_get(&st->unfilled, key->data);
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
	key_of(&key, obj, pairs);
	struct kg_anchor *an = kg_map_get(&st->anchors, key.data);
	if (!an)
		return;
	kg_map_remove(followers(an, obj), obj->key);
	if (an->services.count || an->budgets.count)
		return;
	kg_map_remove(&st->anchors, key.data);
	kg_map_remove(&st->unfilled, key.data);
	anchor_free(an);
}

/* s NULL: the pods are yet to be told. */
static void follower_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before && after &&
		kg_equal(kg_at(kg_obj(before), "spec.selector"),
			kg_at(kg_obj(after), "spec.selector")))
		return;
	if (before)
		anchor_leave(st, before);
	if (after)
		anchor_join(st, after, s != NULL);
}

static void budget_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	follower_track(st, s, before, after);
	if (before)
		kg_map_remove(&st->wide, before->key);
	if (after && kg_is_null(pairs_of(after)))
		kg_map_put(&st->wide, after->key, st);
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
		anchor_key(
			&key, ns, labels->members[k].key, kg_string(&labels->members[k].value, ""));
		struct kg_anchor *an = kg_map_get(&st->anchors, key.data);
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
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	kg_track_fill(st, s);
	key_of(&key, pdb, pairs);
	struct kg_anchor *an = kg_map_get(&st->anchors, key.data);
	return an ? &an->pods : NULL;
}

static void service_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before && !(after && st->released))
		kg_ipam_service(st, before, false);
	if (after)
		kg_ipam_service(st, after, true);
	follower_track(st, s, before, after);
}

static void pod_anchor(
	struct kg_reconcile_state *st, const struct kg_object *pod, bool on, bool enqueue)
{
	const struct kg_value *labels = kg_get(kg_get(kg_obj(pod), "metadata"), "labels");
	if (enqueue && st->wide.count)
		enqueue_wide(st, pod->ns);
	if (st->anchors.count == 0 || labels->type != KG_OBJECT)
		return;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	for (uint32_t k = 0; k < labels->len; k++) {
		anchor_key(&key, pod->ns, labels->members[k].key,
			kg_string(&labels->members[k].value, ""));
		struct kg_anchor *an = kg_map_get(&st->anchors, key.data);
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

/* ---- pods ---- */

static bool accounted_alike(const struct kg_object *a, const struct kg_object *b)
{
	const struct kg_value *x = kg_get(kg_obj(a), "status"), *y = kg_get(kg_obj(b), "status");
	return strcmp(kg_pod_node(a), kg_pod_node(b)) == 0 &&
	       kg_object_deleting(a) == kg_object_deleting(b) &&
	       kg_pod_terminal(a) == kg_pod_terminal(b) &&
	       kg_equal(kg_get(x, "podIP"), kg_get(y, "podIP")) &&
	       kg_equal(kg_get(kg_obj(a), "spec"), kg_get(kg_obj(b), "spec")) &&
	       kg_equal(kg_get(kg_get(kg_obj(a), "metadata"), "labels"),
		       kg_get(kg_get(kg_obj(b), "metadata"), "labels"));
}

static bool is_pending(const struct kg_object *pod)
{
	return !*kg_pod_node(pod) && kg_pod_active(pod);
}

static void pod_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (!before || !after || !accounted_alike(before, after)) {
		if (before)
			pod_account(st, s, before, false);
		if (after)
			pod_account(st, s, after, true);
		if (st->pending.count || (after && is_pending(after)))
			kg_enqueue(st, KG_C_SCHEDULER, "");
	}
	if (after && is_pending(after))
		kg_map_put(&st->pending, after->key, st);
	else if (st->pending.count)
		kg_map_remove(&st->pending, after ? after->key : before->key);
	if (before && after &&
		kg_equal(kg_at(kg_obj(before), "metadata.labels"),
			kg_at(kg_obj(after), "metadata.labels"))) {
		pod_anchor(st, after, true, true);
		return;
	}
	if (before)
		pod_anchor(st, before, false, true);
	if (after)
		pod_anchor(st, after, true, true);
}

/* ---- what rolls with its configuration ---- */

static const struct {
	enum kg_kind_id kind;
	enum kg_controller c;
} roller_kinds[] = {{KG_KIND_DEPLOYMENT, KG_C_DEPLOYMENT}, {KG_KIND_DAEMONSET, KG_C_DAEMONSET},
	{KG_KIND_STATEFULSET, KG_C_STATEFULSET}};

static void roller_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after)
{
	const struct kg_object *obj = after ? after : before;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	size_t i = 0;
	while (roller_kinds[i].kind != obj->kind->id)
		i++;
	kg_buf_addf(&key, "%zu %s", i, obj->key);
	if (after && kg_rolls_on_config(after))
		kg_map_put(&st->rollers, key.data, st);
	else if (st->rollers.count)
		kg_map_remove(&st->rollers, key.data);
}

void kg_track_rollers(struct kg_reconcile_state *st, const char *ns)
{
	struct kg_map_entry *e;
	size_t n = strlen(ns);
	for (size_t i = 0; (e = kg_map_next(&st->rollers, &i));)
		if (strncmp(e->key + 2, ns, n) == 0 && e->key[n + 2] == '/')
			kg_enqueue(st, roller_kinds[e->key[0] - '0'].c, e->key + 2);
}

/* ---- all kinds ---- */

static void track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	switch ((after ? after : before)->kind->id) {
	case KG_KIND_NODE:
		node_track(st, s, before, after);
		break;
	case KG_KIND_POD:
		kg_adopt_track(st, before, after);
		kg_claim_track(st, before, after);
		pod_track(st, s, before, after);
		break;
	case KG_KIND_REPLICASET:
		kg_adopt_track(st, before, after);
		break;
	case KG_KIND_SERVICE:
		service_track(st, s, before, after);
		break;
	case KG_KIND_DEPLOYMENT:
	case KG_KIND_STATEFULSET:
	case KG_KIND_DAEMONSET:
		roller_track(st, before, after);
		break;
	case KG_KIND_PODDISRUPTIONBUDGET:
		budget_track(st, s, before, after);
		break;
	case KG_KIND_NAMESPACE:
		kg_sched_namespace(st);
		if (st->pending.count) /* terms of affinity may speak of others now */
			kg_enqueue(st, KG_C_SCHEDULER, "");
		break;
	case KG_KIND_PERSISTENTVOLUME:
		kg_volume_track(st, before, after);
		if (st->pending.count)
			kg_enqueue(st, KG_C_SCHEDULER, "");
		break;
	case KG_KIND_PERSISTENTVOLUMECLAIM:
		kg_claim_track_volume(st, before, after);
		__attribute__((fallthrough));
	case KG_KIND_STORAGECLASS:
	case KG_KIND_PRIORITYCLASS:
		if (st->pending.count)
			kg_enqueue(st, KG_C_SCHEDULER, "");
		break;
	default:
		break;
	}
}

void kg_track_change(void *run, const struct kg_object *before, const struct kg_object *after)
{
	struct kg_run *r = run;
	r->st->moved = true;
	kg_belong_track(r->st, before, after);
	kg_quota_track(r->st, kg_now(r), before, after);
	track(r->st, kg_now(r), before, after);
	kg_concerns(r, before, after);
}

static void build_kind(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, enum kg_kind_id kind)
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_kind(&it, s, kind, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		track(st, s, NULL, obj);
	kg_iter_release(&it);
}

void kg_track_build(struct kg_reconcile_state *st, const struct kg_snapshot *s)
{
	st->revision = s->revision;
	st->moved = st->stale = st->released = false;
	st->fresh = true;
	st->service_ips = kg_bits_new(st->service_range.size);
	kg_bit_set(st->service_ips, 1, true); /* the API's own */
	st->node_ports = kg_bits_new((uint32_t)(st->node_port_max - st->node_port_min + 1));
	st->ncidrs = st->pod_range.size / 256 ? st->pod_range.size / 256 : 1;
	st->node_cidrs = kg_bits_new(st->ncidrs);
	kg_sched_new(st);
	build_kind(st, s, KG_KIND_NODE); /* counts the pods of each */
	/* Then pods need only be found by their labels and, if they wait, be remembered. */
	struct kg_object_iter it;
	const struct kg_object *svc, *pod;
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		service_track(st, NULL, NULL, svc);
	kg_iter_release(&it);
	for (size_t i = 0; i < KG_ARRAY_LEN(roller_kinds); i++)
		build_kind(st, s, roller_kinds[i].kind);
	kg_iter_kind(&it, s, KG_KIND_PODDISRUPTIONBUDGET, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		budget_track(st, NULL, NULL, svc);
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		if (is_pending(pod))
			kg_map_put(&st->pending, pod->key, st);
		pod_anchor(st, pod, true, false);
		kg_adopt_track(st, NULL, pod);
		kg_claim_track(st, NULL, pod);
	}
	kg_iter_release(&it);
	build_kind(st, s, KG_KIND_REPLICASET);
	kg_iter_kind(&it, s, KG_KIND_PERSISTENTVOLUME, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		kg_volume_track(st, NULL, svc);
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_PERSISTENTVOLUMECLAIM, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		kg_claim_track_volume(st, NULL, svc);
	kg_iter_release(&it);
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if (!(kg_kinds[k].flags & KG_KF_MANIFEST))
			continue;
		kg_iter_kind(&it, s, k, NULL, NULL);
		while ((svc = kg_iter_next(&it)))
			kg_belong_track(st, NULL, svc);
		kg_iter_release(&it);
	}
	kg_iter_kind(&it, s, KG_KIND_RESOURCEQUOTA, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		kg_quota_build(st, s, svc);
	kg_iter_release(&it);
}

void kg_track_clear(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->nodes, &i));) {
		struct kg_node_info *n = e->value;
		free(n->ports);
		free(n->levels);
		node_info_free(n);
	}
	kg_sched_free(st);
	kg_quota_clear(st);
	kg_sets_release(&st->orphans[0]);
	kg_sets_release(&st->orphans[1]);
	kg_sets_release(&st->belongings);
	kg_sets_release(&st->claimants);
	kg_sets_release(&st->claims);
	kg_map_release(&st->supplied);
	kg_pmap_release(&st->volumes);
	kg_alarms_release(&st->alarms);
	kg_slices_forget_all(st);
	for (size_t i = 0; (e = kg_map_next(&st->demands, &i));)
		free(e->value);
	for (size_t i = 0; (e = kg_map_next(&st->anchors, &i));) {
		anchor_free(e->value);
	}
	kg_map_release(&st->nodes);
	kg_map_release(&st->demands);
	kg_map_release(&st->anchors);
	kg_map_release(&st->unfilled);
	kg_map_release(&st->wide);
	kg_map_release(&st->rollers);
	kg_map_release(&st->lost);
	kg_map_release(&st->pending);
	for (int c = 0; c < KG_C_COUNT; c++) {
		kg_map_release(&st->queue[c]);
		kg_map_release(&st->wakes[c]);
	}
	for (int i = 0; i < KG_RES_MAX; i++) {
		free(st->res_name[i]);
		st->res_name[i] = NULL;
	}
	free(st->service_ips);
	free(st->node_ports);
	free(st->node_cidrs);
	st->service_ips = st->node_ports = st->node_cidrs = NULL;
}
