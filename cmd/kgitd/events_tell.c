/* What is told of a change: the common words, and those of the smaller controllers. */
#include "kgitd/events_private.h"

#include "reconcile/reconcile.h"

#include <string.h>

/* More than most changes tell. */
#define PLACES 64

static struct kgd_who who_of(const struct kg_object *obj)
{
	return (struct kgd_who){obj->kind, obj->ns, obj->name, kg_object_uid(obj)};
}

void kgd_tell_of(struct kgd_teller *t, const struct kgd_who *who, const struct kgd_what *w,
	const char *message)
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
		.order = t->nth * PLACES + t->place++,
	};

	t->emit(t->ctx, &e);
}

void kgd_tell(struct kgd_teller *t, const struct kg_object *obj, const struct kgd_what *w,
	const char *message)
{
	struct kgd_who who = who_of(obj);

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
	return kg_condition(kgd_at(obj, "status"), type);
}

struct kgd_who kgd_owner(struct kgd_teller *t, const struct kg_object *obj, enum kg_kind_id kind)
{
	const struct kg_value *refs = kgd_at(obj, "metadata.ownerReferences");

	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_value *r = &refs->items[i];
		struct kgd_who who = {&kg_kinds[kind], obj->ns, kg_string(kg_get(r, "name"), ""),
			kg_string(kg_get(r, "uid"), "")};

		if (!kg_bool(kg_get(r, "controller"), false) ||
			strcmp(kg_string(kg_get(r, "kind"), ""), kg_kinds[kind].kind) != 0)
			continue;
		if (!t->snapshot)
			return who;
		const struct kg_object *o = kg_snapshot_get(t->snapshot, kind, obj->ns, who.name);

		if (o && strcmp(kg_object_uid(o), who.uid) == 0)
			return who;
	}
	return (struct kgd_who){0};
}

static const struct {
	enum kg_kind_id kind;
	const char *component;
} owners[] = {
	{KG_KIND_REPLICASET, "replicaset-controller"},
	{KG_KIND_REPLICATIONCONTROLLER, "replication-controller"},
	{KG_KIND_DAEMONSET, "daemonset-controller"},
	{KG_KIND_JOB, "job-controller"},
	{KG_KIND_STATEFULSET, "statefulset-controller"},
};

struct kgd_who kgd_maker(struct kgd_teller *t, const struct kg_object *pod, const char **component)
{
	struct kgd_who o = {0};

	*component = NULL;
	for (size_t i = 0; i < KG_ARRAY_LEN(owners) && !o.kind; i++) {
		o = kgd_owner(t, pod, owners[i].kind);
		*component = owners[i].component;
	}
	return o;
}

bool kgd_came_true(const struct kg_object *before, const struct kg_object *after, const char *type)
{
	return kg_condition_is_true(kgd_at(after, "status"), type) &&
	       !kg_condition_is_true(kgd_at(before, "status"), type);
}

/* ---- the others ---- */

static void of_rs(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what w = {
		"Normal", "ScalingReplicaSet", "deployment-controller", NULL, NULL};
	int64_t was = kg_int(kgd_at(before, "spec.replicas"), 0);
	int64_t now = kg_int(kgd_at(after, "spec.replicas"), 0);
	struct kgd_who d = after ? kgd_owner(t, after, KG_KIND_DEPLOYMENT) : (struct kgd_who){0};

	if (d.kind && was != now)
		kgd_tell_of(t, &d, &w,
			kg_arena_printf(&t->a, "Scaled %s replica set %s from %lld to %lld",
				now > was ? "up" : "down", after->name, (long long)was,
				(long long)now));
}

static void of_node(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct kgd_what w = {"Normal", "RegisteredNode", "node-controller", NULL, NULL};

	if (!after)
		return;
	bool was = before && kg_object_ready(before), ready = kg_object_ready(after);
	if (!before)
		kgd_tell(t, after, &w,
			kg_arena_printf(&t->a, "Node %s event: Registered Node %s in Controller",
				after->name, after->name));
	if (was == ready)
		return;
	w.reason = ready ? "NodeReady" : "NodeNotReady";
	kgd_tell(t, after, &w,
		kg_arena_printf(&t->a, "Node %s status is now: %s", after->name, w.reason));
}

static void of_budget(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what none = {"Normal", "NoPods", "controllermanager", NULL, NULL};
	const struct kgd_what fails = {
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

/* `pods "db-0" is forbidden: ...`: the name, where it is of such a resource; or NULL. */
static const char *refused_name(struct kg_arena *a, const char *message, const char *resource)
{
	size_t n = strlen(resource);

	if (strncmp(message, resource, n) != 0 || strncmp(message + n, " \"", 2) != 0)
		return NULL;
	return kg_arena_strndup(a, message + n + 2, strcspn(message + n + 2, "\""));
}

static const char *refused_words(
	struct kgd_teller *t, const struct kg_object *owner, const char *message)
{
	const char *pod = refused_name(&t->a, message, "pods");
	const char *claim = refused_name(&t->a, message, "persistentvolumeclaims");

	if (owner->kind->id == KG_KIND_STATEFULSET && pod)
		return kg_arena_printf(&t->a, "create Pod %s in StatefulSet %s failed error: %s",
			pod, owner->name, message);
	if (owner->kind->id == KG_KIND_STATEFULSET && claim) {
		const char *of = kg_stateful_claim_pod(owner, claim);
		return kg_arena_printf(&t->a,
			"create Claim %s for Pod %s in StatefulSet %s failed error: %s", claim,
			of ? of : "", owner->name, message);
	}
	return kg_arena_printf(&t->a, "Error creating: %s", message);
}

/* Pods that may not come to be. */
static void refusals(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct kgd_what w = {"Warning", "FailedCreate", NULL, NULL, NULL};
	const char *now = kg_string(kg_get(kgd_condition(after, "ReplicaFailure"), "message"), "");
	const char *was = kg_string(kg_get(kgd_condition(before, "ReplicaFailure"), "message"), "");

	for (size_t i = 0; *now && strcmp(now, was) != 0 && i < KG_ARRAY_LEN(owners); i++) {
		if (owners[i].kind != after->kind->id)
			continue;
		w.component = owners[i].component;
		kgd_tell(t, after, &w, refused_words(t, after, now));
	}
}

/* A ReplicaSet that may not come to be. */
static void of_deployment(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	static const char reason[] = "ReplicaSetCreateError";
	const struct kgd_what w = {"Warning", reason, "deployment-controller", NULL, NULL};
	const struct kg_value *now = kgd_condition(after, "Progressing");

	if (strcmp(kg_string(kg_get(now, "reason"), ""), reason) == 0 &&
		!kg_equal(kg_get(now, "message"),
			kg_get(kgd_condition(before, "Progressing"), "message")))
		kgd_tell(t, after, &w, kg_string(kg_get(now, "message"), ""));
}

void kgd_tell_change(struct kgd_teller *t, const struct kg_change *c)
{
	static const struct {
		enum kg_kind_id kind;
		void (*tell)(struct kgd_teller *t, const struct kg_object *before,
			const struct kg_object *after);
	} kinds[] = {
		{KG_KIND_POD, kgd_tell_pod},
		{KG_KIND_REPLICASET, of_rs},
		{KG_KIND_DEPLOYMENT, of_deployment},
		{KG_KIND_JOB, kgd_tell_job},
		{KG_KIND_CRONJOB, kgd_tell_cronjob},
		{KG_KIND_NODE, of_node},
		{KG_KIND_PODDISRUPTIONBUDGET, of_budget},
		{KG_KIND_PERSISTENTVOLUMECLAIM, kgd_tell_claim},
	};
	const struct kg_object *obj = kg_change_object(c);

	if (c->quiet)
		return;
	t->place = 0;
	if (c->after)
		refusals(t, c->before, c->after);
	for (size_t i = 0; i < KG_ARRAY_LEN(kinds); i++)
		if (kinds[i].kind == obj->kind->id)
			kinds[i].tell(t, c->before, c->after);
	t->nth++;
}
