#include "reconcile/ephemeral.h"

#include "reconcile/podpolicy.h"
#include "reconcile/volume.h"

/* The claim, as it would begin, but for what makes it one's own. */
static struct kg_value claim_for(
	struct kg_arena *a, const struct kg_object *pod, const struct kg_value *volume)
{
	const struct kg_value *template = kg_at(volume, "ephemeral.volumeClaimTemplate");
	struct kg_value v = kg_claim_of_template(a, template);
	return kg_with(a, &v, "metadata.ownerReferences", kg_make_owner_ref(a, pod));
}

/* The volume of the pod's that asks for a claim of that key of its own; NULL: none does. */
static const struct kg_value *volume_of(const struct kg_object *pod, const char *key)
{
	const struct kg_value *volumes = kg_spec(pod, "volumes");
	char own[KG_KEY_SIZE];
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (kg_volume_is_ephemeral(&volumes->items[i]) &&
			kg_claim_key(own, pod, &volumes->items[i]) && strcmp(own, key) == 0)
			return &volumes->items[i];
	return NULL;
}

void kg_ephemeral_make(struct kg_run *r, const char *key)
{
	const struct kg_map *pods = kg_sets_get(&r->st->claimants, key);
	const struct kg_object *first = NULL;
	struct kg_map_entry *e;
	/* Of several pods with volumes that come to one name the first by name has it. */
	for (size_t i = 0; pods && (e = kg_map_next(pods, &i));) {
		const struct kg_object *pod = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, e->key);
		if (pod && kg_pod_active(pod) && volume_of(pod, key) &&
			(!first || strcmp(pod->key, first->key) < 0))
			first = pod;
	}
	if (!first)
		return;
	struct kg_value claim = claim_for(&r->a, first, volume_of(first, key));
	r->refused = kg_claim_make(r, first->ns, strchr(key, '/') + 1, &claim);
}

const char *kg_ephemeral_missing(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_arena *a, const struct kg_object *pod, const struct kg_value *volume,
	const char *name)
{
	struct kg_value claim = claim_for(a, pod, volume);
	claim = kg_claim_newborn(a, s, claim);
	const char *why = kg_claim_forbidden(st, s, a, pod->ns, name, &claim);
	return why ? why
		   : kg_arena_printf(a,
			     "waiting for ephemeral volume controller to create the "
			     "persistentvolumeclaim \"%s\"",
			     name);
}
