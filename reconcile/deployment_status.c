/* What a Deployment says of itself: counts, Available, Progressing, with Kubernetes' reasons and
 * messages, which `kubectl rollout status` and `kubectl wait` read. */
#include "reconcile/deployment.h"

#include <string.h>

#define NEW_RS_AVAILABLE "NewReplicaSetAvailable"
#define TIMED_OUT        "ProgressDeadlineExceeded"

void kg_rollout_condition(struct kg_rollout *x, const char *type, const char *status,
	const char *reason, const char *message, bool renew)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *old = kg_condition(&x->status, type);
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), status) == 0;
	bool same_reason = strcmp(kg_string(kg_get(old, "reason"), ""), reason) == 0;
	if (same && same_reason && !renew)
		return;
	struct kg_value now = kg_now_value(x->r);
	struct kg_value since = same ? *kg_get(old, "lastTransitionTime") : now;
	struct kg_value c = kg_v_obj(a, "type", kg_v_lit(type), "status", kg_v_lit(status),
		"reason", kg_v_str(a, reason), "message", kg_v_str(a, message), "lastUpdateTime",
		now, "lastTransitionTime", since, (char *)NULL);
	x->status = kg_with_condition(a, &x->status, c);
}

static bool has_deadline(const struct kg_rollout *x)
{
	int64_t s = kg_int(kg_get(x->spec, "progressDeadlineSeconds"), 0);
	return s > 0 && s != INT32_MAX; /* Kubernetes' way to say: none */
}

static const char *progress_reason(const struct kg_rollout *x)
{
	return kg_string(kg_get(kg_condition(&x->status, "Progressing"), "reason"), "");
}

void kg_rollout_pause_condition(struct kg_rollout *x)
{
	if (!has_deadline(x))
		return;
	bool paused = kg_bool(kg_get(x->spec, "paused"), false);
	const char *reason = progress_reason(x);
	if (strcmp(reason, TIMED_OUT) == 0)
		return;
	bool noted = strcmp(reason, "DeploymentPaused") == 0;
	if (paused && !noted)
		kg_rollout_condition(x, "Progressing", "Unknown", "DeploymentPaused",
			"Deployment is paused", false);
	else if (!paused && noted)
		kg_rollout_condition(x, "Progressing", "Unknown", "DeploymentResumed",
			"Deployment is resumed", false);
}

/* ---- counts ---- */

struct tally {
	int64_t replicas, updated, ready, available, unavailable, terminating;
};

static struct tally tally(const struct kg_rollout *x)
{
	struct tally t = {0};
	int64_t wanted = 0;
	for (size_t i = 0; i < x->all.n; i++) {
		const struct kg_object *rs = x->all.v[i];
		if (x->forgot)
			rs = kg_snapshot_get_key(kg_now(x->r), KG_KIND_REPLICASET, rs->key);
		if (!rs)
			continue;
		t.replicas += kg_rs_status(rs, "replicas");
		t.ready += kg_rs_status(rs, "readyReplicas");
		t.available += kg_rs_status(rs, "availableReplicas");
		t.terminating += kg_rs_status(rs, "terminatingReplicas");
		if (x->newest && strcmp(rs->name, x->newest->name) == 0)
			t.updated = kg_rs_status(rs, "replicas");
		wanted += kg_rs_replicas(rs);
	}
	t.unavailable = wanted > t.available ? wanted - t.available : 0;
	return t;
}

static bool complete(const struct kg_rollout *x, const struct tally *t)
{
	return t->updated == x->replicas && t->replicas == x->replicas &&
	       t->available == x->replicas;
}

bool kg_rollout_complete(const struct kg_rollout *x)
{
	struct tally t = tally(x);
	return complete(x, &t);
}

static struct kg_value count(int64_t n)
{
	return n ? kg_v_int(n) : kg_v_null();
}

static void set_counts(struct kg_rollout *x, const struct tally *t)
{
	struct kg_value conditions = *kg_get(&x->status, "conditions");
	x->status = kg_v_obj(&x->r->a, "observedGeneration", *kg_meta(x->d, "generation"),
		"replicas", count(t->replicas), "updatedReplicas", count(t->updated),
		"readyReplicas", count(t->ready), "availableReplicas", count(t->available),
		"unavailableReplicas", count(t->unavailable), "terminatingReplicas",
		kg_v_int(t->terminating), "collisionCount", count(x->collisions), "conditions",
		conditions, (char *)NULL);
	if (t->available >= x->replicas - x->unavailable)
		kg_rollout_condition(x, "Available", "True", "MinimumReplicasAvailable",
			"Deployment has minimum availability.", false);
	else
		kg_rollout_condition(x, "Available", "False", "MinimumReplicasUnavailable",
			"Deployment does not have minimum availability.", false);
}

/* ---- progress ---- */

static bool progressed(const struct kg_rollout *x, const struct tally *t)
{
	const struct kg_value *old = kg_get(kg_obj(x->d), "status");
	int64_t updated = kg_int(kg_get(old, "updatedReplicas"), 0);
	int64_t old_left = kg_int(kg_get(old, "replicas"), 0) - updated;
	return t->updated > updated || t->replicas - t->updated < old_left ||
	       t->ready > kg_int(kg_get(old, "readyReplicas"), 0) ||
	       t->available > kg_int(kg_get(old, "availableReplicas"), 0);
}

/* When the rollout will have taken too long without progress. */
static kg_time deadline(const struct kg_rollout *x)
{
	kg_time last = kg_time_of(
		kg_get(kg_condition(&x->status, "Progressing"), "lastUpdateTime"), KG_TIME_NEVER);
	if (last == KG_TIME_NEVER)
		return KG_TIME_NEVER;
	return last + kg_int(kg_get(x->spec, "progressDeadlineSeconds"), 600) * 1000;
}

/* False: it is over. */
static bool wake_by_deadline(struct kg_rollout *x)
{
	kg_time due = deadline(x);
	if (due > x->r->now && due != KG_TIME_NEVER)
		kg_wake(x->r, due);
	return due > x->r->now;
}

static void judge(struct kg_rollout *x, const struct tally *t)
{
	struct kg_arena *a = &x->r->a;
	const char *what = x->newest ? "ReplicaSet" : "Deployment";
	const char *name = x->newest ? x->newest->name : x->d->name;
	bool was_complete = strcmp(progress_reason(x), NEW_RS_AVAILABLE) == 0;
	if (was_complete && t->replicas == t->updated)
		return;
	if (complete(x, t)) {
		kg_rollout_condition(x, "Progressing", "True", NEW_RS_AVAILABLE,
			kg_arena_printf(a, "%s \"%s\" has successfully progressed.", what, name),
			false);
	} else if (progressed(x, t)) {
		kg_rollout_condition(x, "Progressing", "True", "ReplicaSetUpdated",
			kg_arena_printf(a, "%s \"%s\" is progressing.", what, name), true);
		wake_by_deadline(x); /* its own word does not bring it back */
	} else if (!was_complete && strcmp(progress_reason(x), TIMED_OUT) != 0) {
		if (wake_by_deadline(x))
			return;
		kg_rollout_condition(x, "Progressing", "False", TIMED_OUT,
			kg_arena_printf(a, "%s \"%s\" has timed out progressing.", what, name),
			false);
	}
}

static struct kg_value without_condition(
	struct kg_arena *a, const struct kg_value *status, const char *type)
{
	const struct kg_value *old = kg_get(status, "conditions");
	struct kg_value *items = kg_arena_alloc(a, (kg_len(old) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(old); i++)
		if (strcmp(kg_string(kg_get(&old->items[i], "type"), ""), type) != 0)
			items[n++] = old->items[i];
	return kg_with_key(a, status, "conditions", n ? kg_v_array(a, items, n) : kg_v_null());
}

/* What one of its ReplicaSets says of pods that may not come to be, the newest's first. */
static void set_failure(struct kg_rollout *x)
{
	const struct kg_value *c = &kg_null;
	if (x->newest)
		c = kg_condition(kg_get(kg_obj(x->newest), "status"), "ReplicaFailure");
	for (size_t i = 0; kg_is_null(c) && i < x->all.n; i++)
		c = kg_condition(kg_get(kg_obj(x->all.v[i]), "status"), "ReplicaFailure");
	if (kg_is_null(c)) {
		if (!kg_is_null(kg_condition(&x->status, "ReplicaFailure")))
			x->status = without_condition(&x->r->a, &x->status, "ReplicaFailure");
		return;
	}
	kg_rollout_condition(x, "ReplicaFailure", "True", kg_string(kg_get(c, "reason"), ""),
		kg_string(kg_get(c, "message"), ""), false);
}

void kg_rollout_put_status(struct kg_rollout *x, bool progress)
{
	struct tally t = tally(x);
	set_counts(x, &t);
	if (!has_deadline(x))
		x->status = without_condition(&x->r->a, &x->status, "Progressing");
	else if (progress)
		judge(x, &t);
	set_failure(x);
	struct kg_value v = kg_with_key(&x->r->a, kg_obj(x->d), "status", x->status);
	kg_put_value(x->r, x->d, &v);
}
