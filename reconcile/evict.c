/* Evictions: asked for, and granted where every PodDisruptionBudget of the pod allows one more. */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

static bool covers(const struct kg_object *budget, const struct kg_object *pod)
{
	return kg_selector_matches(
		kg_at(kg_obj(budget), "spec.selector"), kg_at(kg_obj(pod), "metadata.labels"));
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

/* A pod that runs and is not healthy is none of those that the budget keeps: it may go where the
 * budget says so, or where there are enough healthy ones. */
static bool is_spared(const struct kg_object *budget, const struct kg_object *pod,
	const struct kg_budget_counts *c)
{
	const char *policy =
		kg_string(kg_at(kg_obj(budget), "spec.unhealthyPodEvictionPolicy"), "");
	if (kg_object_ready(pod))
		return false;
	return strcmp(policy, "AlwaysAllow") == 0 || (c->desired > 0 && c->healthy >= c->desired);
}

/* Counted anew: what this commit made of the budget, its pods and their owners counts already, and
 * so does what it has evicted so far. */
static void ask(struct kg_run *r, const struct kg_object *budget, const struct kg_object *pod,
	char why[256])
{
	static const char violates[] =
		"Cannot evict pod as it would violate the pod's disruption budget.";
	struct kg_budget_counts c = kg_pdb_count(r, budget);

	if (is_spared(budget, pod, &c) || c.allowed > 0)
		return;
	if (c.fault)
		snprintf(why, 256,
			"%s The disruption budget %.40s does not allow evicting pods because it "
			"failed sync: %.40s",
			violates, budget->name, c.fault);
	else
		snprintf(why, 256,
			"%s The disruption budget %.100s needs %lld healthy pods and has %lld "
			"currently",
			violates, budget->name, (long long)c.desired, (long long)c.healthy);
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

	if (n > 1)
		snprintf(why, 256,
			"This pod has more than one PodDisruptionBudget, which the eviction "
			"subresource does not support.");
	else if (budget)
		ask(r, budget, pod, why);
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
