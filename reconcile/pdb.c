/* PodDisruptionBudgets: how many of their pods are healthy, and how many may be evicted now. What
 * evicts (drains, preemption, the eviction of a user) asks status.disruptionsAllowed. */
#include "reconcile/workload.h"

#include <string.h>

struct budget {
	struct kg_run *r;
	const struct kg_object *pdb;
	const struct kg_value *spec, *selector;
	int64_t pods, healthy;
	int64_t scale;        /* of all owners of its pods */
	struct kg_map owners; /* uids that were counted */
	const char *fault;    /* why it cannot be said how many pods there shall be; or NULL */
};

/* ---- how many there shall be ---- */

/* What has a scale: the owner itself or, of a Deployment's ReplicaSet, the Deployment. */
static const struct kg_object *scaled_owner(struct kg_run *r, const struct kg_object *obj)
{
	const struct kg_value *ref = kg_owner_ref(obj);
	const struct kg_kind *kind = kg_kind_by_api(
		kg_string(kg_get(ref, "apiVersion"), ""), kg_string(kg_get(ref, "kind"), ""));
	if (!kind || !kg_owner_exists(kg_now(r), obj))
		return NULL;
	const struct kg_object *owner =
		kg_snapshot_get(kg_now(r), kind->id, obj->ns, kg_string(kg_get(ref, "name"), ""));
	const struct kg_object *above =
		owner && kind->id == KG_KIND_REPLICASET ? scaled_owner(r, owner) : NULL;
	return above && above->kind->id == KG_KIND_DEPLOYMENT ? above : owner;
}

static bool has_scale(const struct kg_kind *kind)
{
	return kind->id == KG_KIND_DEPLOYMENT || kind->id == KG_KIND_REPLICASET ||
	       kind->id == KG_KIND_REPLICATIONCONTROLLER || kind->id == KG_KIND_STATEFULSET;
}

static void count_owner(struct budget *b, const struct kg_object *pod)
{
	const struct kg_object *owner = scaled_owner(b->r, pod);
	if (!owner || kg_map_put(&b->owners, kg_object_uid(owner), b))
		return;
	if (has_scale(owner->kind))
		b->scale += kg_int(kg_at(kg_obj(owner), "spec.replicas"), 1);
	else
		b->fault = kg_arena_printf(&b->r->a, "%s does not implement the scale subresource",
			owner->kind->resource);
}

/* ---- its pods ---- */

static void count_pod(struct budget *b, const struct kg_object *pod, bool by_scale)
{
	if (!kg_selector_matches(b->selector, kg_at(kg_obj(pod), "metadata.labels")))
		return;
	b->pods++;
	b->healthy += !kg_object_deleting(pod) && kg_pod_ready(pod);
	if (by_scale)
		count_owner(b, pod);
}

static void count_pods(struct budget *b, bool by_scale)
{
	const struct kg_map *near_by = kg_track_budget_pods(b->r->st, kg_now(b->r), b->pdb);
	const struct kg_object *pod;
	if (kg_is_null(b->selector))
		return; /* no selector is no pod */
	if (near_by) {
		KG_AUTOFREE struct kg_map_entry **keys = kg_map_sorted(near_by);
		for (size_t i = 0; i < near_by->count; i++)
			if ((pod = kg_snapshot_get_key(kg_now(b->r), KG_KIND_POD, keys[i]->key)))
				count_pod(b, pod, by_scale);
		return;
	}
	struct kg_object_iter it;
	kg_iter_kind(&it, kg_now(b->r), KG_KIND_POD, b->pdb->ns, NULL);
	while ((pod = kg_iter_next(&it)))
		count_pod(b, pod, by_scale);
	kg_iter_release(&it);
}

/* ---- status ---- */

static struct kg_value condition(
	struct budget *b, const char *status, const char *reason, const char *message)
{
	struct kg_arena *a = &b->r->a;
	const struct kg_value *old =
		kg_condition(kg_get(kg_obj(b->pdb), "status"), "DisruptionAllowed");
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), status) == 0;
	return kg_v_obj(a, "type", kg_v_lit("DisruptionAllowed"), "status", kg_v_lit(status),
		"reason", kg_v_lit(reason), "message", kg_v_str(a, message), "lastTransitionTime",
		same ? *kg_get(old, "lastTransitionTime") : kg_now_value(b->r),
		"observedGeneration", kg_v_int(kg_generation(b->pdb)), (char *)NULL);
}

static void put_status(struct budget *b, int64_t expected, int64_t desired)
{
	struct kg_arena *a = &b->r->a;
	int64_t allowed = expected > 0 ? b->healthy - desired : 0;
	struct kg_value c;
	if (b->fault) {
		allowed = 0;
		c = condition(b, "False", "SyncFailed", b->fault);
	} else if (allowed > 0) {
		c = condition(b, "True", "SufficientPods", "");
	} else {
		allowed = 0;
		c = condition(b, "False", "InsufficientPods", "");
	}
	struct kg_value st = kg_v_obj(a, "conditions", kg_v_array(a, &c, 1), "currentHealthy",
		kg_v_int(b->healthy), "desiredHealthy", kg_v_int(desired), "disruptionsAllowed",
		kg_v_int(allowed), "expectedPods", kg_v_int(expected), "observedGeneration",
		kg_v_int(kg_generation(b->pdb)), (char *)NULL);
	struct kg_value v = kg_with_key(a, kg_obj(b->pdb), "status", st);
	kg_put_value(b->r, b->pdb, &v);
}

void kg_pdb_run(struct kg_run *r, const char *key)
{
	const struct kg_object *pdb =
		kg_snapshot_get_key(kg_now(r), KG_KIND_PODDISRUPTIONBUDGET, key);
	if (!pdb)
		return;
	struct budget b = {.r = r, .pdb = pdb, .owners = KG_MAP_INIT};
	b.spec = kg_get(kg_obj(pdb), "spec");
	b.selector = kg_get(b.spec, "selector");
	const struct kg_value *min = kg_get(b.spec, "minAvailable");
	const struct kg_value *max = kg_get(b.spec, "maxUnavailable");
	bool by_scale = !kg_is_null(max) || min->type == KG_STRING;
	count_pods(&b, by_scale);
	int64_t expected = by_scale ? b.scale : b.pods, desired = 0;
	if (!kg_is_null(max))
		desired = expected - kg_int_or_percent(max, expected, true, 0);
	else if (!kg_is_null(min))
		desired = kg_int_or_percent(min, expected, true, 0);
	kg_map_release(&b.owners);
	put_status(&b, expected, desired < 0 ? 0 : desired);
}
