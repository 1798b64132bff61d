/*
 * The remembered state follows every change of the txn: what each kind of object means for which
 * part of it. The same code builds the state from a snapshot, object by object.
 */
#include "reconcile/track.h"
#include "reconcile/adopt.h"
#include "reconcile/belong.h"
#include "reconcile/scheduler.h"
#include "reconcile/summary.h"

#include <stdio.h>
#include <string.h>

/* ---- services ---- */

static void service_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before && !(after && st->released))
		kg_ipam_service(st, before, false);
	if (after)
		kg_ipam_service(st, after, true);
	kg_anchor_follower(st, s, before, after);
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
	       kg_equal(kg_meta(a, "labels"), kg_meta(b, "labels"));
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
			kg_track_account(st, s, before, false);
		if (after)
			kg_track_account(st, s, after, true);
		if (st->pending.count || (after && is_pending(after)))
			kg_enqueue(st, KG_C_SCHEDULER, "");
	}
	if (after && is_pending(after))
		kg_map_put(&st->pending, after->key, st);
	else if (st->pending.count)
		kg_map_remove(&st->pending, after ? after->key : before->key);
	if (before && after && kg_equal(kg_meta(before, "labels"), kg_meta(after, "labels"))) {
		kg_anchor_pod(st, after, true, true);
		return;
	}
	if (before)
		kg_anchor_pod(st, before, false, true);
	if (after)
		kg_anchor_pod(st, after, true, true);
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
		kg_track_node(st, s, before, after);
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
		kg_anchor_follower(st, s, before, after);
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

/* One part of what is remembered is told of all objects of a kind. */
static void tell_kind(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	enum kg_kind_id kind,
	void (*part)(struct kg_reconcile_state *st, const struct kg_object *before,
		const struct kg_object *after))
{
	struct kg_object_iter it;
	const struct kg_object *obj;
	kg_iter_kind(&it, s, kind, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		part(st, NULL, obj);
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
	const struct kg_object *obj;
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		service_track(st, NULL, NULL, obj);
	kg_iter_release(&it);
	for (size_t i = 0; i < KG_ARRAY_LEN(roller_kinds); i++)
		build_kind(st, s, roller_kinds[i].kind);
	kg_iter_kind(&it, s, KG_KIND_PODDISRUPTIONBUDGET, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		kg_anchor_follower(st, NULL, NULL, obj);
	kg_iter_release(&it);
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		if (is_pending(obj))
			kg_map_put(&st->pending, obj->key, st);
		kg_anchor_pod(st, obj, true, false);
		kg_adopt_track(st, NULL, obj);
		kg_claim_track(st, NULL, obj);
	}
	kg_iter_release(&it);
	tell_kind(st, s, KG_KIND_REPLICASET, kg_adopt_track);
	tell_kind(st, s, KG_KIND_PERSISTENTVOLUME, kg_volume_track);
	tell_kind(st, s, KG_KIND_PERSISTENTVOLUMECLAIM, kg_claim_track_volume);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_kinds[k].flags & KG_KF_MANIFEST)
			tell_kind(st, s, k, kg_belong_track);
	kg_iter_kind(&it, s, KG_KIND_RESOURCEQUOTA, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		kg_quota_build(st, s, obj);
	kg_iter_release(&it);
}

void kg_track_clear(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	kg_track_forget_nodes(st);
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
	kg_map_release(&st->demands);
	kg_anchors_forget(st);
	kg_map_release(&st->rollers);
	kg_map_release(&st->pending);
	kg_map_release(&st->spare);
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
