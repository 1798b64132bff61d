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

/* The pod's only budget, a new reference; NULL: none. *n: how many there are. */
static struct kg_object *budget_of(struct kg_run *r, const struct kg_object *pod, size_t *n)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *budget;
	struct kg_object *found = NULL;

	*n = 0;
	kg_iter_kind(&it, kg_now(r), KG_KIND_PODDISRUPTIONBUDGET, pod->ns, NULL);
	while ((budget = kg_iter_next(&it)))
		if (covers(budget, pod) && (*n)++ == 0)
			found = kg_object_ref(budget);
	return found;
}

/* So that another eviction of the same commit sees it; the controller counts anew afterwards. */
static void spend(struct kg_run *r, const struct kg_object *budget)
{
	struct kg_value v = kg_with(
		&r->a, kg_obj(budget), "status.disruptionsAllowed", kg_v_int(allowed(budget) - 1));

	kg_put_value(r, budget, &v);
}

/* A pod that runs and is not healthy is none of those that the budget keeps: it may go where the
 * budget says so, or where there are enough healthy ones. */
static bool is_spared(const struct kg_object *budget, const struct kg_object *pod)
{
	const char *policy =
		kg_string(kg_at(kg_obj(budget), "spec.unhealthyPodEvictionPolicy"), "");
	int64_t healthy = kg_int(kg_at(kg_obj(budget), "status.currentHealthy"), 0);
	int64_t wanted = kg_int(kg_at(kg_obj(budget), "status.desiredHealthy"), 0);
	if (kg_pod_ready(pod))
		return false;
	return strcmp(policy, "AlwaysAllow") == 0 || (wanted > 0 && healthy >= wanted);
}

static bool is_pending(const struct kg_object *pod)
{
	return strcmp(kg_string(kg_at(kg_obj(pod), "status.phase"), ""), "Pending") == 0;
}

static void grant(struct kg_run *r, const struct kg_object *pod, char why[256])
{
	size_t n = 0;
	/* What does not run is not disrupted. */
	bool counts = !kg_pod_terminal(pod) && !is_pending(pod);
	struct kg_object *budget = counts ? budget_of(r, pod, &n) : NULL;
	bool spared = budget && is_spared(budget, pod);

	if (n > 1)
		snprintf(why, 256,
			"This pod has more than one PodDisruptionBudget, which the eviction "
			"subresource does not support.");
	else if (budget && !spared && allowed(budget) < 1)
		snprintf(why, 256,
			"Cannot evict pod as it would violate the pod's disruption budget %.150s",
			budget->name);
	else if (budget && !spared)
		spend(r, budget);
	kg_object_unref(budget);
	if (!*why)
		kg_pod_evict(r, pod, "EvictionByEvictionAPI", "Eviction API: evicting");
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
	struct kg_object *held = kg_object_ref(pod);
	grant(r, held, why);
	kg_object_unref(held);
}
