/* A Deployment's size changed in the middle of a rollout: its ReplicaSets share the change in
 * proportion to their sizes, the largest taking what rounding leaves over. */
#include "reconcile/deployment.h"

#include <string.h>

bool kg_rollout_is_scaling(const struct kg_rollout *x)
{
	for (size_t i = 0; i < x->all.n; i++) {
		const char *noted = kg_annotation(x->all.v[i], KG_DESIRED_ANNOTATION, NULL);
		if (kg_rs_replicas(x->all.v[i]) > 0 && noted &&
			strtoll(noted, NULL, 10) != x->replicas)
			return true;
	}
	return false;
}

static size_t active(const struct kg_rollout *x, struct kg_object **out)
{
	size_t n = 0;
	for (size_t i = 0; i < x->all.n; i++)
		if (kg_rs_replicas(x->all.v[i]) > 0)
			out[n++] = x->all.v[i];
	return n;
}

/* The only active one or, where none is, the newest. NULL: there are several. */
static struct kg_object *active_or_latest(
	const struct kg_rollout *x, struct kg_object **act, size_t nact)
{
	if (nact > 1)
		return NULL;
	if (nact == 1)
		return act[0];
	if (x->newest)
		return x->newest;
	return x->all.n ? x->all.v[x->all.n - 1] : NULL;
}

static bool saturated(const struct kg_rollout *x)
{
	const struct kg_object *rs = x->newest;
	return rs && kg_rs_replicas(rs) == x->replicas &&
	       strtoll(kg_annotation(rs, KG_DESIRED_ANNOTATION, "-1"), NULL, 10) == x->replicas &&
	       kg_rs_status(rs, "availableReplicas") == x->replicas;
}

/* Larger first; of equals the older (growing: the newer) first. `all` is oldest first. */
static void by_size(struct kg_object **v, size_t n, bool newer_first)
{
	for (size_t i = 1; i < n; i++)
		for (size_t k = i; k > 0; k--) {
			int64_t p = kg_rs_replicas(v[k - 1]), q = kg_rs_replicas(v[k]);
			if (p > q || (p == q && !newer_first))
				break;
			struct kg_object *t = v[k - 1];
			v[k - 1] = v[k];
			v[k] = t;
		}
}

static int64_t share(
	const struct kg_rollout *x, const struct kg_object *rs, int64_t to_add, int64_t added)
{
	int64_t have = kg_rs_replicas(rs);
	if (have == 0 || to_add == added)
		return 0;
	int64_t fraction = -have;
	if (x->replicas > 0) {
		int64_t max = x->replicas + x->surge;
		const char *noted = kg_annotation(rs, KG_MAX_ANNOTATION, NULL);
		int64_t before = noted ? strtoll(noted, NULL, 10)
				       : kg_int(kg_get(&x->status, "replicas"), 0);
		before = before > 0 ? before : max;
		fraction = (have * max * 2 + before) / (before * 2) - have; /* to the nearest */
	}
	int64_t allowed = to_add - added;
	if (to_add > 0)
		return fraction < allowed ? fraction : allowed;
	return fraction > allowed ? fraction : allowed;
}

static void proportional(struct kg_rollout *x, struct kg_object **act, size_t n)
{
	int64_t have = 0, added = 0;
	for (size_t i = 0; i < n; i++)
		have += kg_rs_replicas(act[i]);
	int64_t to_add = (x->replicas > 0 ? x->replicas + x->surge : 0) - have;
	by_size(act, n, to_add > 0);
	int64_t *size = kg_arena_alloc(&x->r->a, n * sizeof(*size));
	for (size_t i = 0; i < n; i++) {
		int64_t s = to_add ? share(x, act[i], to_add, added) : 0;
		size[i] = kg_rs_replicas(act[i]) + s;
		added += s;
	}
	if (n && to_add)
		size[0] += to_add - added;
	for (size_t i = 0; i < n; i++)
		kg_rollout_scale(x, act[i], size[i] < 0 ? 0 : size[i]);
}

void kg_rollout_rescale(struct kg_rollout *x)
{
	struct kg_object **act =
		kg_arena_alloc(&x->r->a, (x->all.n + 1) * sizeof(struct kg_object *));
	size_t n = active(x, act);
	struct kg_object *one = active_or_latest(x, act, n);
	if (one) {
		kg_rollout_scale(x, one, x->replicas);
		return;
	}
	if (saturated(x)) {
		for (size_t i = 0; i < n; i++)
			if (act[i] != x->newest)
				kg_rollout_scale(x, act[i], 0);
		return;
	}
	if (strcmp(kg_string(kg_at(x->spec, "strategy.type"), "RollingUpdate"), "RollingUpdate") ==
		0)
		proportional(x, act, n);
}
