/* PodDisruptionBudgets: how many of their pods are healthy, and how many may be evicted now. */
#include "reconcile/workload.h"

#include <string.h>

struct budget {
	struct kg_run *r;
	const struct kg_object *pdb;
	const struct kg_value *selector;
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
			kg_kind_resource(owner->kind));
}

/* ---- its pods ---- */

static void count_pod(struct budget *b, const struct kg_object *pod, bool by_scale)
{
	if (!kg_selector_matches(b->selector, kg_at(kg_obj(pod), "metadata.labels")))
		return;
	b->pods++;
	b->healthy += !kg_object_deleting(pod) && kg_object_ready(pod);
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

static struct kg_value condition(struct kg_run *r, const struct kg_object *pdb, const char *status,
	const char *reason, const char *message)
{
	struct kg_arena *a = &r->a;
	const struct kg_value *old =
		kg_condition(kg_get(kg_obj(pdb), "status"), "DisruptionAllowed");
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), status) == 0;
	return kg_v_obj(a, "type", kg_v_lit("DisruptionAllowed"), "status", kg_v_lit(status),
		"reason", kg_v_lit(reason), "message", kg_v_str(a, message), "lastTransitionTime",
		same ? *kg_get(old, "lastTransitionTime") : kg_now_value(r), "observedGeneration",
		kg_v_int(kg_generation(pdb)), (char *)NULL);
}

struct kg_budget_counts kg_pdb_count(struct kg_run *r, const struct kg_object *pdb)
{
	struct budget b = {.r = r, .pdb = pdb, .owners = KG_MAP_INIT};
	const struct kg_value *spec = kg_get(kg_obj(pdb), "spec");
	const struct kg_value *min = kg_get(spec, "minAvailable");
	const struct kg_value *max = kg_get(spec, "maxUnavailable");
	bool by_scale = !kg_is_null(max) || min->type == KG_STRING;

	b.selector = kg_get(spec, "selector");
	count_pods(&b, by_scale);
	kg_map_release(&b.owners);
	struct kg_budget_counts c = {.expected = by_scale ? b.scale : b.pods, .healthy = b.healthy};
	if (!kg_is_null(max))
		c.desired = c.expected - kg_int_or_percent(max, c.expected, true, 0);
	else if (!kg_is_null(min))
		c.desired = kg_int_or_percent(min, c.expected, true, 0);
	c.desired = c.desired < 0 ? 0 : c.desired;
	c.fault = b.fault;
	if (!c.fault && c.expected > 0 && c.healthy > c.desired)
		c.allowed = c.healthy - c.desired;
	return c;
}

/* Where it cannot be said how many pods there shall be, none may be evicted; the counts stay as
 * they were last, and so does the generation that they are of. */
static struct kg_value failed_status(struct kg_arena *a, const struct kg_object *pdb)
{
	static const char *const counts[] = {
		"currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods"};
	struct kg_value st = *kg_get(kg_obj(pdb), "status");
	for (size_t i = 0; i < KG_ARRAY_LEN(counts); i++)
		if (kg_is_null(kg_get(&st, counts[i])))
			st = kg_with_key(a, &st, counts[i], kg_v_int(0));
	return kg_with_key(a, &st, "disruptionsAllowed", kg_v_int(0));
}

void kg_pdb_run(struct kg_run *r, const char *key)
{
	const struct kg_object *pdb =
		kg_snapshot_get_key(kg_now(r), KG_KIND_PODDISRUPTIONBUDGET, key);
	if (!pdb)
		return;
	struct kg_arena *a = &r->a;
	struct kg_budget_counts n = kg_pdb_count(r, pdb);
	struct kg_value c = n.fault         ? condition(r, pdb, "False", "SyncFailed", n.fault)
			    : n.allowed > 0 ? condition(r, pdb, "True", "SufficientPods", "")
					    : condition(r, pdb, "False", "InsufficientPods", "");
	struct kg_value st =
		n.fault ? failed_status(a, pdb)
			: kg_v_obj(a, "currentHealthy", kg_v_int(n.healthy), "desiredHealthy",
				  kg_v_int(n.desired), "disruptionsAllowed", kg_v_int(n.allowed),
				  "expectedPods", kg_v_int(n.expected), "observedGeneration",
				  kg_v_int(kg_generation(pdb)), (char *)NULL);
	st = kg_with_key(a, &st, "conditions", kg_v_array(a, &c, 1));
	struct kg_value v = kg_with_key(a, kg_obj(pdb), "status", st);
	kg_put_value(r, pdb, &v);
}
