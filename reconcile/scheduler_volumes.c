/* Where a pod's volumes are: its claims, the volumes that they are bound to, and for claims that
 * are bound only when the pod has a node, where their class can make volumes. */
#include "reconcile/scheduler.h"

#include <string.h>

/* allowedTopologies as a node selector; null where the class allows all. */
static struct kg_value allowed(struct kg_arena *a, const struct kg_object *class)
{
	const struct kg_value *topologies = kg_get(kg_obj(class), "allowedTopologies");
	uint32_t n = kg_len(topologies);
	if (!n)
		return kg_v_null();
	struct kg_value *terms = kg_arena_alloc(a, n * sizeof(*terms));
	for (uint32_t i = 0; i < n; i++) {
		const struct kg_value *es = kg_get(&topologies->items[i], "matchLabelExpressions");
		struct kg_value *out = kg_arena_alloc(a, (kg_len(es) + 1) * sizeof(*out));
		for (uint32_t k = 0; k < kg_len(es); k++)
			out[k] = kg_with_key(a, &es->items[k], "operator", kg_v_lit("In"));
		terms[i] = kg_v_obj(
			a, "matchExpressions", kg_v_array(a, out, kg_len(es)), (char *)NULL);
	}
	return kg_v_obj(a, "nodeSelectorTerms", kg_v_array(a, terms, n), (char *)NULL);
}

/* Where volumes are that could be bound to the claim; no term where none is. */
static struct kg_value free_volumes(
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_object *claim)
{
	struct kg_value terms = kg_v_array(a, NULL, 0);
	struct kg_object_iter it;
	const struct kg_object *pv;
	bool anywhere = false;
	kg_iter_kind(&it, s, KG_KIND_PERSISTENTVOLUME, NULL, NULL);
	while (!anywhere && (pv = kg_iter_next(&it))) {
		if (!kg_volume_fits(pv, claim))
			continue;
		const struct kg_value *required = kg_at(kg_obj(pv), "spec.nodeAffinity.required");
		const struct kg_value *more = kg_get(required, "nodeSelectorTerms");
		anywhere = kg_is_null(required);
		for (uint32_t i = 0; i < kg_len(more); i++)
			terms = kg_with_item(a, &terms, more->items[i]);
	}
	kg_iter_release(&it);
	return anywhere ? kg_v_null() : kg_v_obj(a, "nodeSelectorTerms", terms, (char *)NULL);
}

#define UNBOUND "pod has unbound immediate PersistentVolumeClaims"

/* The volume that a claim names, which it may not have got. */
static const char *named_volume(struct kg_value *out, const struct kg_snapshot *s,
	struct kg_arena *a, const struct kg_object *claim, const char *name)
{
	const struct kg_object *pv = kg_snapshot_get(s, KG_KIND_PERSISTENTVOLUME, "", name);
	if (!pv)
		return kg_arena_printf(a, "persistentvolume \"%s\" not found", name);
	*out = *kg_at(kg_obj(pv), "spec.nodeAffinity.required");
	return strcmp(kg_string(kg_at(kg_obj(claim), "status.phase"), ""), "Pending") == 0 ? UNBOUND
											   : NULL;
}

/* The selector of one claim's place into *out (null: anywhere); or why there is none. */
static const char *place_of(struct kg_value *out, bool *unbound, const struct kg_snapshot *s,
	struct kg_arena *a, const char *ns, const char *name)
{
	const struct kg_object *pvc = kg_snapshot_get(s, KG_KIND_PERSISTENTVOLUMECLAIM, ns, name);
	*out = kg_v_null();
	if (!pvc || kg_object_deleting(pvc))
		return kg_arena_printf(a,
			pvc ? "persistentvolumeclaim \"%s\" is being deleted"
			    : "persistentvolumeclaim \"%s\" not found",
			name);
	const struct kg_value *spec = kg_get(kg_obj(pvc), "spec");
	const char *volume = kg_string(kg_get(spec, "volumeName"), "");
	if (*volume)
		return named_volume(out, s, a, pvc, volume);
	const struct kg_object *class = kg_snapshot_get(
		s, KG_KIND_STORAGECLASS, "", kg_string(kg_get(spec, "storageClassName"), ""));
	const char *mode =
		class ? kg_string(kg_get(kg_obj(class), "volumeBindingMode"), "Immediate")
		      : "Immediate";
	if (strcmp(mode, "WaitForFirstConsumer") != 0)
		return UNBOUND;
	*unbound = true;
	/* What nobody makes must be there already. */
	if (strcmp(kg_string(kg_get(kg_obj(class), "provisioner"), ""),
		    "kubernetes.io/no-provisioner") == 0)
		*out = free_volumes(s, a, pvc);
	else
		*out = allowed(a, class);
	return NULL;
}

void kg_class_volumes(struct kg_pod_class *c, const struct kg_snapshot *s, struct kg_arena *a)
{
	const struct kg_value *volumes = kg_get(c->spec, "volumes");
	struct kg_value *out = kg_arena_alloc(a, (kg_len(volumes) + 1) * sizeof(*out));
	for (uint32_t i = 0; i < kg_len(volumes) && !c->unclaimed; i++) {
		const struct kg_value *v = &volumes->items[i];
		const char *claim =
			kg_string(kg_get(kg_get(v, "persistentVolumeClaim"), "claimName"), NULL);
		if (!kg_is_null(kg_get(v, "ephemeral")))
			claim = kg_arena_printf(
				a, "%s-%s", c->pod->name, kg_string(kg_get(v, "name"), ""));
		if (!claim)
			continue;
		c->unclaimed = place_of(&out[c->nvolumes], &c->unbound, s, a, c->pod->ns, claim);
		if (!c->unclaimed && !kg_is_null(&out[c->nvolumes]))
			c->nvolumes++;
	}
	c->volumes = out;
}
