/* The claims that each pod of a StatefulSet gets: made once, named TEMPLATE-SET-ORDINAL, and kept
 * when the pod goes. */
#include "reconcile/statefulset.h"

#include <string.h>

static void make_claim(
	struct kg_stateful_sync *x, const struct kg_value *template, const char *name)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_kind *kind = &kg_kinds[KG_KIND_PERSISTENTVOLUMECLAIM];
	if (kg_snapshot_get(kg_now(x->r), kind->id, x->set->ns, name))
		return;
	struct kg_value labels = *kg_at(template, "metadata.labels");
	const struct kg_value *match = kg_at(x->spec, "selector.matchLabels");
	for (uint32_t i = 0; i < kg_len(match); i++) {
		if (labels.type != KG_OBJECT)
			labels = kg_v_object(a, NULL, 0);
		labels = kg_with_key(a, &labels, match->members[i].key, match->members[i].value);
	}
	struct kg_value meta = kg_v_obj(a, "labels", labels, "annotations",
		*kg_at(template, "metadata.annotations"), (char *)NULL);
	struct kg_value v = kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit(kind->kind),
		"metadata", meta, "spec", *kg_get(template, "spec"), (char *)NULL);
	v = kg_birth(x->r, kind, x->set->ns, name, &v);
	v = kg_claim_newborn(x->r, v);
	struct kg_object_spec spec = {.kind = kind, .ns = x->set->ns, .name = name, .value = &v};
	kg_txn_put(x->r->txn, kg_object_new(&spec));
}

struct kg_value kg_stateful_claims(
	struct kg_stateful_sync *x, struct kg_value pod, const char *ordinal)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *templates = kg_get(x->spec, "volumeClaimTemplates");
	const struct kg_value *old = kg_at(&pod, "spec.volumes");
	uint32_t n = 0, nt = kg_len(templates);
	if (!nt)
		return pod;
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + nt) * sizeof(*items));
	for (uint32_t i = 0; i < nt; i++) {
		const struct kg_value *t = &templates->items[i];
		const char *volume = kg_string(kg_at(t, "metadata.name"), "");
		const char *name = kg_arena_printf(a, "%s-%s-%s", volume, x->set->name, ordinal);
		make_claim(x, t, name);
		struct kg_value source = kg_v_obj(a, "claimName", kg_v_lit(name), (char *)NULL);
		items[n++] = kg_v_obj(
			a, "name", kg_v_lit(volume), "persistentVolumeClaim", source, (char *)NULL);
	}
	for (uint32_t i = 0; i < kg_len(old); i++) {
		const char *name = kg_string(kg_get(&old->items[i], "name"), "");
		bool replaced = false;
		for (uint32_t k = 0; k < nt && !replaced; k++)
			replaced = strcmp(name, kg_string(kg_get(&items[k], "name"), "")) == 0;
		if (!replaced)
			items[n++] = old->items[i];
	}
	return kg_with(a, &pod, "spec.volumes", kg_v_array(a, items, n));
}
