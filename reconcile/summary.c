#include "reconcile/summary.h"

#include "kinds/amount.h"
#include "kinds/endpoints.h"
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

static bool is_true(const struct kg_object *obj, const char *type)
{
	return kg_condition_is_true(kg_get(kg_obj(obj), "status"), type);
}

static void set_reason(struct kg_summary *out, const struct kg_value *from)
{
	const char *reason = kg_string(kg_get(from, "reason"), "");
	const char *message = kg_string(kg_get(from, "message"), "");

	if (*message)
		snprintf(out->reason, sizeof(out->reason), "%s%s%s", reason, *reason ? ": " : "",
			message);
	else
		snprintf(out->reason, sizeof(out->reason), "%s", reason);
}

/* The STATUS that kubectl shows, from the kind's own table. */
static void pod_state(char *out, size_t n, const struct kg_object *pod)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	for (const struct kg_column *c = pod->kind->columns; c->name; c++) {
		if (strcmp(c->name, "Status") != 0 || !c->cell)
			continue;
		struct kg_value v = c->cell(&a, pod, 0);
		snprintf(out, n, "%s", kg_string(&v, ""));
		return;
	}
}

/* The first container that waits or ended badly says most. */
static void pod_reason(struct kg_summary *out, const struct kg_object *pod)
{
	static const char *const lists[] = {
		"status.initContainerStatuses", "status.containerStatuses"};

	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *list = kg_at(kg_obj(pod), lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++) {
			const struct kg_value *waiting = kg_at(&list->items[i], "state.waiting");
			const struct kg_value *ended = kg_at(&list->items[i], "state.terminated");
			const struct kg_value *which = kg_is_null(waiting) ? ended : waiting;

			if (strcmp(kg_string(kg_get(which, "reason"), ""), "Completed") == 0)
				continue;
			set_reason(out, which);
			if (*out->reason)
				return;
		}
	}
	const struct kg_value *scheduled = kg_object_condition(pod, "PodScheduled");
	const struct kg_value *ready = kg_object_condition(pod, "Ready");
	set_reason(
		out, !kg_is_null(scheduled) && !is_true(pod, "PodScheduled") ? scheduled : ready);
}

static void summarize_pod(struct kg_summary *out, const struct kg_object *pod)
{
	const char *phase = kg_string(kg_at(kg_obj(pod), "status.phase"), "Pending");

	out->counts = true;
	out->ready = kg_object_ready(pod) || strcmp(phase, "Succeeded") == 0;
	if (kg_object_deleting(pod))
		out->ready = false;
	pod_state(out->state, sizeof(out->state), pod);
	if (!out->ready)
		pod_reason(out, pod);
}

static void summarize_deployment(struct kg_summary *out, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj), *st = kg_get(v, "status");
	int64_t want = kg_int(kg_at(v, "spec.replicas"), 1);
	int64_t have = kg_int(kg_get(st, "replicas"), 0);
	int64_t updated = kg_int(kg_get(st, "updatedReplicas"), 0);
	int64_t available = kg_int(kg_get(st, "availableReplicas"), 0);
	bool observed = kg_int(kg_get(st, "observedGeneration"), 0) >=
			kg_int(kg_at(v, "metadata.generation"), 0);

	out->counts = true;
	out->ready = observed && have == want && updated == want && available == want;
	snprintf(out->state, sizeof(out->state), "%lld/%lld ready",
		(long long)kg_int(kg_get(st, "readyReplicas"), 0), (long long)want);
	if (out->ready)
		return;
	const struct kg_value *progressing = kg_object_condition(obj, "Progressing");
	if (!kg_is_null(progressing) && !is_true(obj, "Progressing"))
		set_reason(out, progressing);
	else
		snprintf(out->reason, sizeof(out->reason), "%lld of %lld updated, %lld available",
			(long long)updated, (long long)want, (long long)available);
}

static void summarize_replicaset(struct kg_summary *out, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj);
	int64_t want = kg_int(kg_at(v, "spec.replicas"), 1);
	int64_t ready = kg_int(kg_at(v, "status.readyReplicas"), 0);

	out->counts = true;
	out->ready = ready == want && kg_int(kg_at(v, "status.replicas"), 0) == want;
	snprintf(out->state, sizeof(out->state), "%lld/%lld ready", (long long)ready,
		(long long)want);
}

static bool is_observed(const struct kg_object *obj)
{
	return kg_int(kg_at(kg_obj(obj), "status.observedGeneration"), 0) >=
	       kg_int(kg_at(kg_obj(obj), "metadata.generation"), 0);
}

static long long number(const struct kg_object *obj, const char *path, int64_t dflt)
{
	return kg_int(kg_at(kg_obj(obj), path), dflt);
}

/* As `kubectl rollout status` judges it. */
static void summarize_statefulset(struct kg_summary *out, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj);
	long long want = number(obj, "spec.replicas", 1);
	long long updated = number(obj, "status.updatedReplicas", 0);
	long long partition = number(obj, "spec.updateStrategy.rollingUpdate.partition", 0);
	bool rolling = strcmp(kg_string(kg_at(v, "spec.updateStrategy.type"), ""), "OnDelete") != 0;
	long long update = !rolling || partition > want ? 0 : want - partition;

	out->counts = true;
	out->ready = is_observed(obj) && number(obj, "status.replicas", 0) == want &&
		     number(obj, "status.readyReplicas", 0) == want &&
		     number(obj, "status.availableReplicas", 0) == want && updated >= update;
	snprintf(out->state, sizeof(out->state), "%lld/%lld ready",
		number(obj, "status.readyReplicas", 0), want);
	if (!out->ready)
		snprintf(out->reason, sizeof(out->reason), "%lld of %lld updated, %lld available",
			updated, update, number(obj, "status.availableReplicas", 0));
}

static void summarize_daemonset(struct kg_summary *out, const struct kg_object *obj)
{
	long long want = number(obj, "status.desiredNumberScheduled", 0);
	long long updated = number(obj, "status.updatedNumberScheduled", 0);
	long long available = number(obj, "status.numberAvailable", 0);
	bool rolling = strcmp(kg_string(kg_at(kg_obj(obj), "spec.updateStrategy.type"), ""),
			       "OnDelete") != 0;

	out->counts = true;
	out->ready = is_observed(obj) && available >= want && (!rolling || updated >= want);
	snprintf(out->state, sizeof(out->state), "%lld/%lld ready",
		number(obj, "status.numberReady", 0), want);
	if (!out->ready)
		snprintf(out->reason, sizeof(out->reason), "%lld of %lld updated, %lld available",
			updated, want, available);
}

/* A Job is ready when it is complete, or is not to run for now. */
static void summarize_job(struct kg_summary *out, const struct kg_object *obj)
{
	long long parallel = number(obj, "spec.parallelism", 1);
	long long want = number(obj, "spec.completions", 1);
	const struct kg_value *failed = kg_object_condition(obj, "Failed");

	out->counts = true;
	out->ready = is_true(obj, "Complete") || is_true(obj, "Suspended");
	snprintf(out->state, sizeof(out->state), "%lld/%lld completed%s",
		number(obj, "status.succeeded", 0), want,
		is_true(obj, "Suspended") ? ", suspended" : "");
	if (out->ready)
		return;
	if (is_true(obj, "Failed"))
		set_reason(out, failed);
	else
		snprintf(out->reason, sizeof(out->reason), "%lld of %lld active, %lld failed",
			number(obj, "status.active", 0), parallel, number(obj, "status.failed", 0));
}

static void summarize_cronjob(struct kg_summary *out, const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj);
	const char *last = kg_string(kg_at(v, "status.lastScheduleTime"), "never");

	snprintf(out->state, sizeof(out->state), "%u active, last %s",
		kg_len(kg_at(v, "status.active")),
		kg_bool(kg_at(v, "spec.suspend"), false) ? "suspended" : last);
}

static void summarize_budget(struct kg_summary *out, const struct kg_object *obj)
{
	snprintf(out->state, sizeof(out->state), "%lld may be evicted, %lld/%lld healthy",
		number(obj, "status.disruptionsAllowed", 0),
		number(obj, "status.currentHealthy", 0), number(obj, "status.expectedPods", 0));
}

static void summarize_service(
	struct kg_summary *out, const struct kg_snapshot *s, const struct kg_object *obj)
{
	const char *ip = kg_string(kg_at(kg_obj(obj), "spec.clusterIP"), "");
	struct kg_object_iter it;
	const struct kg_object *slice;
	unsigned ready = 0;

	if (!strcmp(kg_string(kg_at(kg_obj(obj), "spec.type"), ""), "ExternalName")) {
		snprintf(out->state, sizeof(out->state), "alias of %.50s",
			kg_string(kg_at(kg_obj(obj), "spec.externalName"), ""));
		return;
	}
	kg_iter_slices(&it, s, obj->ns, obj->name);
	while ((slice = kg_iter_next(&it))) {
		const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");
		for (uint32_t i = 0; i < kg_len(eps); i++)
			ready += kg_endpoint_is_ready(&eps->items[i]);
	}
	kg_iter_release(&it);
	snprintf(out->state, sizeof(out->state), "%s, %u endpoint%s", ip, ready,
		ready == 1 ? "" : "s");
}

static void summarize_node(struct kg_summary *out, const struct kg_object *obj)
{
	const struct kg_value *ready = kg_object_condition(obj, "Ready");

	out->ready = kg_object_ready(obj);
	snprintf(out->state, sizeof(out->state), "%s%s", out->ready ? "Ready" : "NotReady",
		kg_bool(kg_at(kg_obj(obj), "spec.unschedulable"), false) ? ",SchedulingDisabled"
									 : "");
	if (!out->ready)
		set_reason(out, ready);
}

static void summarize_claim(struct kg_summary *out, const struct kg_object *claim)
{
	const char *phase = kg_string(kg_at(kg_obj(claim), "status.phase"), "Pending");
	const char *volume = kg_string(kg_at(kg_obj(claim), "spec.volumeName"), "");
	snprintf(out->state, sizeof(out->state), "%.20s%s%.40s", phase, *volume ? " " : "", volume);
}

static void summarize_volume(struct kg_summary *out, const struct kg_object *pv)
{
	const struct kg_value *ref = kg_at(kg_obj(pv), "spec.claimRef");
	const char *phase = kg_string(kg_at(kg_obj(pv), "status.phase"), "Pending");
	const char *claim = kg_string(kg_get(ref, "name"), "");
	snprintf(out->state, sizeof(out->state), "%.12s%s%.20s%s%.25s", phase, *claim ? " " : "",
		kg_string(kg_get(ref, "namespace"), ""), *claim ? "/" : "", claim);
}

/* The resources of which nothing is left. */
static void summarize_quota(struct kg_summary *out, const struct kg_object *quota)
{
	const struct kg_value *used = kg_at(kg_obj(quota), "status.used");
	const struct kg_value *hard = kg_at(kg_obj(quota), "spec.hard");
	size_t full = 0;
	for (uint32_t i = 0; i < kg_len(hard); i++) {
		const struct kg_member *m = &hard->members[i];
		full += kg_amount_milli(kg_get(used, m->key)) >= kg_amount_milli(&m->value);
	}
	snprintf(out->state, sizeof(out->state), "%zu of %u used up", full, kg_len(hard));
}

/* What is still in a namespace that goes. */
static void content_reason(
	struct kg_summary *out, const struct kg_snapshot *s, const struct kg_object *ns)
{
	const struct kg_object *first = NULL, *obj;
	size_t n = 0;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		if (!(kg_kinds[k].flags & KG_KF_NAMESPACED) || kg_kinds[k].flags & KG_KF_SYNTHETIC)
			continue;
		struct kg_object_iter it KG_CLEANUP(kg_iter_release);
		kg_iter_kind(&it, s, (enum kg_kind_id)k, ns->name, NULL);
		for (; (obj = kg_iter_next(&it)); n++)
			first = first ? first : obj;
	}
	if (n > 1)
		snprintf(out->reason, sizeof(out->reason), "waits for %s %s and %zu more",
			first->kind->kind, first->name, n - 1);
	else if (n)
		snprintf(out->reason, sizeof(out->reason), "waits for %s %s", first->kind->kind,
			first->name);
}

/* What main defines no more and is still there. */
static void summarize_leaving(
	struct kg_summary *out, const struct kg_snapshot *s, const struct kg_object *obj)
{
	const struct kg_value *held = kg_at(kg_obj(obj), "metadata.finalizers");
	struct kg_buf names KG_AUTOBUF = KG_BUF_INIT;

	snprintf(out->state, sizeof(out->state), "Terminating");
	if (obj->kind->id == KG_KIND_NAMESPACE) {
		content_reason(out, s, obj);
		return;
	}
	for (uint32_t i = 0; i < kg_len(held); i++)
		kg_buf_addf(&names, "%s%s", i ? ", " : "", kg_string(&held->items[i], ""));
	if (names.len)
		snprintf(out->reason, sizeof(out->reason),
			"until its manifest is pushed without the finalizers %s",
			kg_buf_str(&names));
}

void kg_summarize(struct kg_summary *out, const struct kg_snapshot *s, const struct kg_object *obj)
{
	*out = (struct kg_summary){.ready = true};
	switch (obj->kind->id) {
	case KG_KIND_POD:
		summarize_pod(out, obj);
		break;
	case KG_KIND_DEPLOYMENT:
		summarize_deployment(out, obj);
		break;
	case KG_KIND_REPLICASET:
	case KG_KIND_REPLICATIONCONTROLLER:
		summarize_replicaset(out, obj);
		break;
	case KG_KIND_STATEFULSET:
		summarize_statefulset(out, obj);
		break;
	case KG_KIND_DAEMONSET:
		summarize_daemonset(out, obj);
		break;
	case KG_KIND_JOB:
		summarize_job(out, obj);
		break;
	case KG_KIND_CRONJOB:
		summarize_cronjob(out, obj);
		break;
	case KG_KIND_PODDISRUPTIONBUDGET:
		summarize_budget(out, obj);
		break;
	case KG_KIND_SERVICE:
		summarize_service(out, s, obj);
		break;
	case KG_KIND_NODE:
		summarize_node(out, obj);
		break;
	case KG_KIND_PERSISTENTVOLUMECLAIM:
		summarize_claim(out, obj);
		break;
	case KG_KIND_PERSISTENTVOLUME:
		summarize_volume(out, obj);
		break;
	case KG_KIND_RESOURCEQUOTA:
		summarize_quota(out, obj);
		break;
	default:
		break;
	}
	if (!*out->state && kg_object_deleting(obj))
		summarize_leaving(out, s, obj);
	/* Pods that may not come to be. */
	const struct kg_value *refused = kg_object_condition(obj, "ReplicaFailure");
	if (!out->ready && !*out->reason && !kg_is_null(refused))
		set_reason(out, refused);
}

bool kg_is_owned(const struct kg_snapshot *s, const struct kg_object *obj)
{
	return kg_owner(s, obj);
}

bool kg_all_ready(const struct kg_snapshot *s)
{
	const struct kg_object *obj;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it KG_CLEANUP(kg_iter_release);

		kg_iter_kind(&it, s, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it))) {
			struct kg_summary sum;

			/* What is owned is judged by its owner: an old pod on its way out does not
			 * hold up a rollout that is complete. */
			if (*kg_object_owner_uid(obj))
				continue;
			kg_summarize(&sum, s, obj);
			if (sum.counts && !sum.ready)
				return false;
		}
	}
	return true;
}

bool kg_is_rolling(const struct kg_object *obj)
{
	const struct kg_value *v = kg_obj(obj), *st = kg_get(v, "status");
	int64_t want = kg_int(kg_at(v, "spec.replicas"), 1);
	int64_t updated = kg_int(kg_get(st, "updatedReplicas"), 0);
	const char *type = kg_string(kg_at(v, "spec.updateStrategy.type"), "");

	if (strcmp(type, "OnDelete") == 0 || kg_bool(kg_at(v, "spec.paused"), false))
		return false;
	if (obj->kind->id == KG_KIND_DAEMONSET) {
		want = kg_int(kg_get(st, "desiredNumberScheduled"), 0);
		updated = kg_int(kg_get(st, "updatedNumberScheduled"), 0);
	}
	/* Surging, all of the new ones may be there at once, and the old ones still. */
	if (obj->kind->id == KG_KIND_DEPLOYMENT && kg_int(kg_get(st, "replicas"), 0) > updated)
		return true;
	return updated < want - kg_int(kg_at(v, "spec.updateStrategy.rollingUpdate.partition"), 0);
}
