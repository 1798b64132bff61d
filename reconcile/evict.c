/* Evictions: asked for, and granted where every PodDisruptionBudget of the pod allows one more. */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

static bool covers(const struct kg_object *budget, const struct kg_object *pod)
{
	return kg_selector_matches(
		kg_at(kg_obj(budget), "spec.selector"), kg_at(kg_obj(pod), "metadata.labels"));
}

static int64_t allowed(const struct kg_object *budget)
{
	return kg_int(kg_at(kg_obj(budget), "status.disruptionsAllowed"), 0);
}

/* The first one that forbids it; NULL: none. */
static const struct kg_object *forbidden_by(struct kg_run *r, const struct kg_object *pod)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *budget;

	kg_iter_kind(&it, kg_now(r), KG_KIND_PODDISRUPTIONBUDGET, pod->ns, NULL);
	while ((budget = kg_iter_next(&it)))
		if (covers(budget, pod) && allowed(budget) < 1)
			return budget;
	return NULL;
}

/* So that another eviction of the same commit sees it; the controller counts anew afterwards. */
static void spend(struct kg_run *r, const struct kg_object *pod)
{
	struct kg_object *found[16];
	struct kg_object_iter it;
	const struct kg_object *budget;
	size_t n = 0;

	kg_iter_kind(&it, kg_now(r), KG_KIND_PODDISRUPTIONBUDGET, pod->ns, NULL);
	while ((budget = kg_iter_next(&it)) && n < KG_ARRAY_LEN(found))
		if (covers(budget, pod))
			found[n++] = kg_object_ref(budget);
	kg_iter_release(&it);
	for (size_t i = 0; i < n; i++) {
		struct kg_value v = kg_with(&r->a, kg_obj(found[i]), "status.disruptionsAllowed",
			kg_v_int(allowed(found[i]) - 1));
		kg_put_value(r, found[i], &v);
		kg_object_unref(found[i]);
	}
}

void kg_evict(struct kg_run *r, const struct kg_input_eviction *in)
{
	const struct kg_object *pod = kg_snapshot_get(kg_now(r), KG_KIND_POD, in->ns, in->name);

	char ignored[256], *why = in->why ? *in->why : ignored;

	*why = '\0';
	if (!pod || (*in->uid && strcmp(kg_object_uid(pod), in->uid) != 0)) {
		snprintf(why, sizeof(ignored), "there is no pod \"%.150s\" any more", in->name);
		return;
	}
	if (kg_object_deleting(pod))
		return;
	/* What does not run does not count as disrupted. */
	bool counts = !kg_pod_terminal(pod) && *kg_pod_node(pod) && kg_pod_ready(pod);
	const struct kg_object *budget = counts ? forbidden_by(r, pod) : NULL;
	if (budget) {
		snprintf(why, sizeof(ignored),
			"Cannot evict pod as it would violate the pod's disruption budget %.150s",
			budget->name);
		return;
	}
	struct kg_object *held = kg_object_ref(pod);
	if (counts)
		spend(r, held);
	kg_pod_evict(r, held, "EvictionByEvictionAPI", "Eviction API: evicting");
	kg_object_unref(held);
}
