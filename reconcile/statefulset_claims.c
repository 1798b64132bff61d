/* The claims that each pod of a StatefulSet gets: made once, named TEMPLATE-SET-ORDINAL, and kept
 * when the pod goes, unless persistentVolumeClaimRetentionPolicy says otherwise. */
#include "reconcile/statefulset.h"
#include "reconcile/volume.h"

#include <string.h>

/* False where the claim may not come to be, or is on its way out: its successor is waited for. */
static bool make_claim(
	struct kg_stateful_sync *x, const struct kg_value *template, const char *name)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_object *there =
		kg_snapshot_get(kg_now(x->r), KG_KIND_PERSISTENTVOLUMECLAIM, x->set->ns, name);
	if (there)
		return !kg_object_deleting(there);
	struct kg_value v = kg_claim_of_template(a, template);
	struct kg_value labels = *kg_at(&v, "metadata.labels");
	const struct kg_value *match = kg_at(x->spec, "selector.matchLabels");
	for (uint32_t i = 0; i < kg_len(match); i++) {
		if (labels.type != KG_OBJECT)
			labels = kg_v_object(a, NULL, 0);
		labels = kg_with_key(a, &labels, match->members[i].key, match->members[i].value);
	}
	v = kg_with(a, &v, "metadata.labels", labels);
	const char *why = kg_claim_make(x->r, x->set->ns, name, &v);
	if (why)
		x->r->refused = why;
	return !why;
}

bool kg_stateful_claims(struct kg_stateful_sync *x, struct kg_value *pod, const char *ordinal)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *templates = kg_get(x->spec, "volumeClaimTemplates");
	const struct kg_value *old = kg_at(pod, "spec.volumes");
	uint32_t n = 0, nt = kg_len(templates);
	if (!nt)
		return true;
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + nt) * sizeof(*items));
	for (uint32_t i = 0; i < nt; i++) {
		const struct kg_value *t = &templates->items[i];
		const char *volume = kg_string(kg_at(t, "metadata.name"), "");
		const char *name = kg_arena_printf(a, "%s-%s-%s", volume, x->set->name, ordinal);
		if (!make_claim(x, t, name))
			return false;
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
	*pod = kg_with(a, pod, "spec.volumes", kg_v_array(a, items, n));
	return true;
}

/* ---- those that are there ---- */

const char *kg_stateful_claim_pod(const struct kg_object *set, const char *claim)
{
	const struct kg_value *templates = kg_at(kg_obj(set), "spec.volumeClaimTemplates");
	for (uint32_t i = 0; i < kg_len(templates); i++) {
		const char *t = kg_string(kg_at(&templates->items[i], "metadata.name"), "");
		size_t n = strlen(t);
		if (strncmp(claim, t, n) == 0 && claim[n] == '-' &&
			kg_stateful_ordinal(set, claim + n + 1) >= 0)
			return claim + n + 1;
	}
	return NULL;
}

/* The ordinal of the pod that a claim of the set's is for; -1: it is none of them. */
static int64_t ordinal_of(const struct kg_object *set, const struct kg_object *claim)
{
	bool others = claim->source || *kg_object_owner_uid(claim);
	const char *pod = others ? NULL : kg_stateful_claim_pod(set, claim->name);
	return pod ? kg_stateful_ordinal(set, pod) : -1;
}

static bool deletes(const struct kg_object *set, const char *when)
{
	const struct kg_value *policy =
		kg_at(kg_obj(set), "spec.persistentVolumeClaimRetentionPolicy");
	return strcmp(kg_string(kg_get(policy, when), "Retain"), "Delete") == 0;
}

static void list_claims(struct kg_list *l, struct kg_run *r, const struct kg_object *set)
{
	struct kg_object_iter it;
	const struct kg_object *claim;
	kg_iter_kind(&it, kg_now(r), KG_KIND_PERSISTENTVOLUMECLAIM, set->ns, NULL);
	while ((claim = kg_iter_next(&it)))
		if (!kg_object_deleting(claim) && ordinal_of(set, claim) >= 0)
			kg_list_add(l, claim);
	kg_iter_release(&it);
}

void kg_stateful_forget_claims(struct kg_run *r, const struct kg_object *set)
{
	KG_AUTOLIST struct kg_list l = {0};
	if (!deletes(set, "whenDeleted"))
		return;
	list_claims(&l, r, set);
	for (size_t i = 0; i < l.n; i++)
		kg_claim_undefine(r, l.v[i]);
}

/* Claims of pods that were scaled away, where they are to go; and those that a pod waits for. */
void kg_stateful_keep_claims(struct kg_stateful_sync *x)
{
	const struct kg_value *templates = kg_get(x->spec, "volumeClaimTemplates");
	KG_AUTOLIST struct kg_list l = {0};
	if (!kg_len(templates))
		return;
	for (size_t i = 0; i < x->n; i++) {
		const struct kg_object *pod = x->replicas[i];
		for (uint32_t k = 0; pod && !*kg_pod_node(pod) && k < templates->len; k++)
			make_claim(x, &templates->items[k],
				kg_arena_printf(&x->r->a, "%s-%s",
					kg_string(kg_at(&templates->items[k], "metadata.name"), ""),
					pod->name));
	}
	if (!deletes(x->set, "whenScaled"))
		return;
	list_claims(&l, x->r, x->set);
	for (size_t i = 0; i < l.n; i++) {
		int64_t k = ordinal_of(x->set, l.v[i]);
		const char *pod = kg_arena_printf(&x->r->a, "%s-%lld", x->set->name, (long long)k);
		bool wanted = k >= x->start && k < x->start + (int64_t)x->n;
		if (!wanted && !kg_snapshot_get(kg_now(x->r), KG_KIND_POD, x->set->ns, pod))
			kg_claim_undefine(x->r, l.v[i]);
	}
}
