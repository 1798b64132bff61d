/* DaemonSets, by Kubernetes' rules: a pod for every node that it fits, bound to it by an affinity
 * to its name, so that the scheduler decides and explains as for every other pod. */
#include "reconcile/daemonset.h"
#include "reconcile/adopt.h"

#include <string.h>

/* ---- who stays ---- */

static bool is_failed(const struct kg_object *pod)
{
	return kg_pod_terminal(pod) && !kg_object_deleting(pod);
}

static void remove_failed(struct kg_daemon_sync *x, struct kg_daemon_pod *p)
{
	kg_time due = kg_object_created(p->obj) + KG_FAILED_PAUSE;
	if (due <= x->r->now)
		p->remove = true;
	else
		kg_wake(x->r, due);
}

/* No pod is there that runs or may still run. */
static bool is_free(const struct kg_daemon_sync *x, const struct kg_daemon_node *n)
{
	for (size_t i = n->first; i < n->first + n->npods; i++)
		if (!kg_pod_terminal(x->pods[i].obj) || !kg_object_deleting(x->pods[i].obj))
			return false;
	return true;
}

/* Of pods that are too many on their node the oldest stays, of each template where two may be. */
static void manage_node(struct kg_daemon_sync *x, struct kg_daemon_node *n)
{
	n->make = n->should_run && is_free(x, n);
	for (size_t i = n->first; i < n->first + n->npods; i++) {
		struct kg_daemon_pod *p = &x->pods[i];
		if (!n->may_stay)
			p->remove = !kg_object_deleting(p->obj);
		else if (is_failed(p->obj))
			remove_failed(x, p);
		else if (!n->crowded || !kg_pod_active(p->obj))
			continue;
		else if (x->surge)
			p->remove = p->obj != n->fresh && p->obj != n->old;
		else
			p->remove = n->fresh && n->old ? p->obj != n->fresh
						       : p->obj != n->fresh && p->obj != n->old;
	}
}

/* ---- doing ---- */

static void apply(struct kg_daemon_sync *x)
{
	KG_CLEANUP(kg_mould_release) struct kg_mould mould = {0};
	struct kg_value pod = kg_v_null();
	for (size_t i = 0; i < x->npods; i++)
		if (x->pods[i].remove)
			kg_pod_delete(x->r, x->pods[i].obj);
	for (size_t i = 0; i < x->nnodes; i++) {
		char name[300];
		if (!x->nodes[i].make)
			continue;
		if (!mould.base) {
			kg_mould_make(&mould, x->r, &x->template, NULL);
			pod = kg_mould_pod(&mould, x->r, x->ds,
				kg_arena_printf(&x->r->a, "%.57s-", x->ds->name));
		}
		struct kg_value v = kg_daemon_pod_for(&x->r->a, pod, x->nodes[i].name);
		int64_t before = x->created;
		kg_pod_name(name, x->r, x->ds, x->ds->name, &x->created);
		if (kg_mould_put(&mould, x->r, x->ds->ns, name, &v))
			continue;
		x->created = before;
		x->nodes[i].make = false;
	}
}

static void forget_revisions(struct kg_daemon_sync *x)
{
	KG_CLEANUP(kg_map_release) struct kg_map live = KG_MAP_INIT;
	for (size_t i = 0; i < x->npods; i++)
		kg_map_put(&live,
			kg_arena_printf(&x->r->a, "%.242s-%s", x->ds->name,
				kg_label(x->pods[i].obj, KG_HASH_LABEL, "")),
			x);
	kg_revisions_forget(
		&x->revisions, x->r, &live, kg_int(kg_get(x->spec, "revisionHistoryLimit"), 10));
}

/* ---- status ---- */

struct tally {
	int64_t current, misplaced, ready, available, updated;
};

/* The pod that speaks for its node: the oldest, of those that are not on their way out. */
static const struct kg_object *speaker(
	const struct kg_daemon_sync *x, const struct kg_daemon_node *n)
{
	for (size_t i = n->first; i < n->first + n->npods; i++)
		if (kg_pod_active(x->pods[i].obj))
			return x->pods[i].obj;
	return n->npods ? x->pods[n->first].obj : NULL;
}

static struct tally count(struct kg_daemon_sync *x)
{
	struct tally t = {0};
	for (size_t i = 0; i < x->nnodes; i++) {
		const struct kg_daemon_node *n = &x->nodes[i];
		if (!n->should_run) {
			t.misplaced += n->there && n->npods > 0;
			continue;
		}
		if (n->npods == 0 && !n->make)
			continue;
		t.current++;
		const struct kg_object *pod = speaker(x, n);
		t.updated += !pod || strcmp(kg_label(pod, KG_HASH_LABEL, ""), x->hash) == 0;
		t.ready += pod && kg_object_ready(pod);
		t.available += pod && kg_pod_available(x->r, pod, x->min_ready_ms);
	}
	return t;
}

static void put_status(struct kg_daemon_sync *x)
{
	struct kg_arena *a = &x->r->a;
	struct tally t = count(x);
	const struct kg_value *old = kg_get(kg_obj(x->ds), "status");
	struct kg_value st = kg_v_obj(a, "observedGeneration", kg_v_int(kg_generation(x->ds)),
		"currentNumberScheduled", kg_v_int(t.current), "numberMisscheduled",
		kg_v_int(t.misplaced), "desiredNumberScheduled", kg_v_int(x->desired),
		"numberReady", kg_v_int(t.ready), "updatedNumberScheduled",
		kg_count_or_null(t.updated), "numberAvailable", kg_count_or_null(t.available),
		"numberUnavailable", kg_count_or_null(x->desired - t.available), "collisionCount",
		kg_count_or_null(x->revisions.collisions), "conditions", *kg_get(old, "conditions"),
		(char *)NULL);
	struct kg_value v = kg_with_key(a, kg_obj(x->ds), "status", st);
	if (x->created)
		v = kg_with_created(x->r, &v, x->created);
	kg_put_value(x->r, x->ds, &v);
}

/* ---- one sync ---- */

static void sync_release(struct kg_daemon_sync *x)
{
	kg_revisions_release(&x->revisions);
	kg_list_release(&x->list);
	kg_object_unref(x->ds);
}

static void begin(struct kg_daemon_sync *x, struct kg_run *r, const struct kg_object *ds)
{
	*x = (struct kg_daemon_sync){.r = r, .ds = kg_object_ref(ds)};
	x->spec = kg_get(kg_obj(ds), "spec");
	x->created = kg_pods_created(ds);
	x->min_ready_ms = kg_int(kg_get(x->spec, "minReadySeconds"), 0) * 1000;
	x->revisions.collisions = kg_int(kg_at(kg_obj(ds), "status.collisionCount"), 0);
	x->rolling = strcmp(kg_string(kg_at(x->spec, "updateStrategy.type"), "RollingUpdate"),
			     "RollingUpdate") == 0;
	kg_revisions_sync(&x->revisions, r, ds, KG_HASH_LABEL);
	x->hash = kg_label(x->revisions.current, KG_HASH_LABEL, "");
	struct kg_value template = kg_owner_template(r, ds);
	x->template = kg_daemon_template(&r->a, &template, x->hash);
	kg_adopt(r, ds, NULL, NULL);
	kg_daemon_nodes(x);
}

void kg_daemonset_run(struct kg_run *r, const char *key)
{
	const struct kg_object *ds = kg_snapshot_get_key(kg_now(r), KG_KIND_DAEMONSET, key);
	if (!ds || kg_reap_orphan(r, ds))
		return;
	KG_CLEANUP(sync_release) struct kg_daemon_sync x;
	begin(&x, r, ds);
	for (size_t i = 0; i < x.nnodes; i++)
		manage_node(&x, &x.nodes[i]);
	if (x.rolling)
		kg_daemon_roll(&x);
	apply(&x);
	forget_revisions(&x);
	put_status(&x);
}
