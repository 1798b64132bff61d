#include "kgitd/events_private.h"

#include <string.h>

const struct kgd_pod_owner kgd_pod_owners[KGD_POD_OWNERS] = {
	{KG_KIND_REPLICASET, "replicaset-controller"},
	{KG_KIND_REPLICATIONCONTROLLER, "replication-controller"},
	{KG_KIND_DAEMONSET, "daemonset-controller"},
	{KG_KIND_JOB, "job-controller"},
	{KG_KIND_STATEFULSET, "statefulset-controller"},
};

static struct kgd_event_of about(const struct kg_object *obj)
{
	return (struct kgd_event_of){obj->kind, obj->ns, obj->name, kg_object_uid(obj)};
}

void kgd_tell_of(struct kgd_teller *t, const struct kgd_event_of *who,
	const struct kgd_event_what *w, const char *message)
{
	struct kg_api_event e = {
		.type = w->type,
		.reason = w->reason,
		.message = message,
		.component = w->component,
		.host = w->host,
		.api_version = kg_kind_api_version(who->kind),
		.kind = who->kind->kind,
		.ns = *who->ns ? who->ns : NULL,
		.name = who->name,
		.uid = who->uid,
		.field_path = w->field,
		.time = t->time,
	};

	if ((*t->told)++ < t->max)
		kg_api_event_add(t->api, &e);
}

void kgd_tell(struct kgd_teller *t, const struct kg_object *obj, const struct kgd_event_what *w,
	const char *message)
{
	struct kgd_event_of who = about(obj);

	kgd_tell_of(t, &who, w, message);
}

const struct kg_value *kgd_at(const struct kg_object *obj, const char *path)
{
	return obj ? kg_at(kg_obj(obj), path) : &kg_null;
}

const char *kgd_text_at(const struct kg_object *obj, const char *path)
{
	return kg_string(kgd_at(obj, path), "");
}

const struct kg_value *kgd_condition(const struct kg_object *obj, const char *type)
{
	return kg_find(kgd_at(obj, "status.conditions"), "type", type);
}

struct kgd_event_of kgd_event_owner(
	struct kgd_teller *t, const struct kg_object *obj, enum kg_kind_id kind)
{
	const struct kg_value *refs = kgd_at(obj, "metadata.ownerReferences");

	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_value *r = &refs->items[i];
		struct kgd_event_of who = {&kg_kinds[kind], obj->ns,
			kg_string(kg_get(r, "name"), ""), kg_string(kg_get(r, "uid"), "")};

		if (!kg_bool(kg_get(r, "controller"), false) ||
			strcmp(kg_string(kg_get(r, "kind"), ""), kg_kinds[kind].kind) != 0)
			continue;
		if (!t->snapshot)
			return who;
		const struct kg_object *o = kg_snapshot_get(t->snapshot, kind, obj->ns, who.name);

		if (o && strcmp(kg_object_uid(o), who.uid) == 0)
			return who;
	}
	return (struct kgd_event_of){0};
}

/* ---- objects, but for pods ---- */

static void of_rs(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_event_what w = {
		"Normal", "ScalingReplicaSet", "deployment-controller", NULL, NULL};
	int64_t was = kg_int(kgd_at(before, "spec.replicas"), 0);
	int64_t now = kg_int(kgd_at(after, "spec.replicas"), 0);
	struct kgd_event_of d =
		after ? kgd_event_owner(t, after, KG_KIND_DEPLOYMENT) : (struct kgd_event_of){0};

	if (d.kind && was != now)
		kgd_tell_of(t, &d, &w,
			kg_arena_printf(&t->a, "Scaled %s replica set %s from %lld to %lld",
				now > was ? "up" : "down", after->name, (long long)was,
				(long long)now));
}

static bool is_true(const struct kg_object *obj, const char *type)
{
	return strcmp(kg_string(kg_get(kgd_condition(obj, type), "status"), ""), "True") == 0;
}

/* Its end as a Job tells it and, of a CronJob's, as the CronJob does. */
static void of_job(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_event_what cron = {
		"Normal", "SuccessfulCreate", "cronjob-controller", NULL, NULL};
	const struct kgd_event_what saw = {
		"Normal", "SawCompletedJob", "cronjob-controller", NULL, NULL};
	struct kgd_event_what w = {"Normal", "Completed", "job-controller", NULL, NULL};
	const struct kgd_event_what gone = {
		"Normal", "SuccessfulDelete", "cronjob-controller", NULL, NULL};
	struct kgd_event_of cj = kgd_event_owner(t, after ? after : before, KG_KIND_CRONJOB);

	if (!after) {
		if (cj.kind)
			kgd_tell_of(t, &cj, &gone,
				kg_arena_printf(&t->a, "Deleted job %s", before->name));
		return;
	}
	if (!before && cj.kind)
		kgd_tell_of(t, &cj, &cron, kg_arena_printf(&t->a, "Created job %s", after->name));
	bool complete = is_true(after, "Complete") && !is_true(before, "Complete");
	bool failed = is_true(after, "Failed") && !is_true(before, "Failed");
	const struct kg_value *c = kgd_condition(after, complete ? "Complete" : "Failed");
	if (failed) {
		w.type = "Warning";
		w.reason = kg_string(kg_get(c, "reason"), "");
	}
	if (complete || failed)
		kgd_tell(t, after, &w,
			complete ? "Job completed" : kg_string(kg_get(c, "message"), ""));
	if (cj.kind && (complete || failed))
		kgd_tell_of(t, &cj, &saw,
			kg_arena_printf(&t->a, "Saw completed job: %s, condition: %s", after->name,
				complete ? "Complete" : "Failed"));
	const struct kg_value *now = kgd_condition(after, "Suspended"),
			      *was = kgd_condition(before, "Suspended");
	w = (struct kgd_event_what){
		"Normal", kg_string(kg_get(now, "reason"), ""), "job-controller", NULL, NULL};
	if (!kg_is_null(now) && !kg_equal(kg_get(now, "status"), kg_get(was, "status")))
		kgd_tell(t, after, &w, kg_string(kg_get(now, "message"), ""));
}

static void of_node(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct kgd_event_what w = {"Normal", "RegisteredNode", "node-controller", NULL, NULL};
	const char *was = kg_string(kg_get(kgd_condition(before, "Ready"), "status"), "");
	const char *now = kg_string(kg_get(kgd_condition(after, "Ready"), "status"), "");

	if (!after)
		return;
	if (!before)
		kgd_tell(t, after, &w,
			kg_arena_printf(&t->a, "Node %s event: Registered Node %s in Controller",
				after->name, after->name));
	bool ready = strcmp(now, "True") == 0;
	if ((strcmp(was, "True") == 0) == ready)
		return;
	w.reason = ready ? "NodeReady" : "NodeNotReady";
	kgd_tell(t, after, &w,
		kg_arena_printf(&t->a, "Node %s status is now: %s", after->name, w.reason));
}

static void of_budget(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_event_what none = {"Normal", "NoPods", "controllermanager", NULL, NULL};
	const struct kgd_event_what fails = {
		"Warning", "CalculateExpectedPodCountFailed", "controllermanager", NULL, NULL};
	const struct kg_value *now = kgd_condition(after, "DisruptionAllowed"),
			      *was = kgd_condition(before, "DisruptionAllowed");
	const char *message = kg_string(kg_get(now, "message"), "");

	if (!after)
		return;
	if (kg_int(kgd_at(after, "status.expectedPods"), -1) == 0 && !*message &&
		kg_int(kgd_at(before, "status.expectedPods"), -1) != 0)
		kgd_tell(t, after, &none, "No matching pods found");
	if (*message && strcmp(message, kg_string(kg_get(was, "message"), "")) != 0)
		kgd_tell(t, after, &fails,
			kg_arena_printf(&t->a,
				"Failed to calculate the number of expected pods: %s", message));
}

/* Pods that may not come to be. */
static void refusals(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct kgd_event_what w = {"Warning", "FailedCreate", NULL, NULL, NULL};
	const char *now = kg_string(kg_get(kgd_condition(after, "ReplicaFailure"), "message"), "");
	const char *was = kg_string(kg_get(kgd_condition(before, "ReplicaFailure"), "message"), "");

	for (size_t i = 0; *now && strcmp(now, was) != 0 && i < KGD_POD_OWNERS; i++) {
		if (kgd_pod_owners[i].kind != after->kind->id)
			continue;
		w.component = kgd_pod_owners[i].component;
		kgd_tell(t, after, &w, kg_arena_printf(&t->a, "Error creating: %s", now));
	}
}

void kgd_tell_change(struct kgd_teller *t, const struct kg_change *c)
{
	const struct kg_object *obj = c->after ? c->after : c->before;

	if (c->quiet)
		return;
	if (c->after)
		refusals(t, c->before, c->after);
	if (obj->kind->id == KG_KIND_POD)
		kgd_tell_pod(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_REPLICASET)
		of_rs(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_JOB)
		of_job(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_NODE)
		of_node(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
		of_budget(t, c->before, c->after);
}
