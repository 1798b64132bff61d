/* What is told of pods, and of pods by their owners. */
#include "kgitd/events_private.h"

#include "kinds/placement.h"

#include <string.h>

/* ---- containers ---- */

struct container {
	const struct kg_object *pod;
	const char *name, *image, *node;
	const struct kg_value *before, *after; /* its status */
};

static void tell_container(struct kgd_teller *t, const struct container *c, const char *type,
	const char *reason, char *text)
{
	struct kgd_what w = {
		.type = type,
		.reason = reason,
		.component = "kubelet",
		.host = c->node,
		.field = kg_arena_printf(&t->a, "spec.containers{%s}", c->name),
	};

	kgd_tell(t, c->pod, &w, text);
}

/* Which run of the container it is: "" where it does not run and never did. */
static const char *instance(const struct kg_value *status)
{
	const char *ended = kg_string(kg_at(status, "state.terminated.containerID"), "");
	const char *last = kg_string(kg_at(status, "lastState.terminated.containerID"), "");

	if (!kg_is_null(kg_at(status, "state.running")))
		return kg_string(kg_get(status, "containerID"), "");
	return *ended ? ended : last;
}

static void started(struct kgd_teller *t, const struct container *c)
{
	const char *now = instance(c->after);

	if (!*now || strcmp(now, instance(c->before)) == 0)
		return;
	tell_container(t, c, "Normal", "Pulled",
		kg_arena_printf(&t->a, "Container image \"%s\" is present on machine", c->image));
	tell_container(t, c, "Normal", "Created",
		kg_arena_printf(&t->a, "Created container: %s", c->name));
	tell_container(
		t, c, "Normal", "Started", kg_arena_printf(&t->a, "Started container %s", c->name));
}

static void pull_failed(
	struct kgd_teller *t, const struct container *c, const char *reason, const char *message)
{
	if (strcmp(reason, "ImagePullBackOff") == 0)
		tell_container(t, c, "Normal", "BackOff",
			kg_arena_printf(&t->a, "Back-off pulling image \"%s\"", c->image));
	else
		tell_container(t, c, "Warning", "Failed",
			kg_arena_printf(
				&t->a, "Failed to pull image \"%s\": %s", c->image, message));
	tell_container(t, c, "Warning", "Failed", kg_arena_printf(&t->a, "Error: %s", reason));
}

/* Reasons of waiting that are no fault: it is on its way. */
static bool is_ordinary(const char *reason)
{
	return !*reason || strcmp(reason, "ContainerCreating") == 0 ||
	       strcmp(reason, "PodInitializing") == 0;
}

static void waits(struct kgd_teller *t, const struct container *c)
{
	const char *reason = kg_string(kg_at(c->after, "state.waiting.reason"), "");
	const char *was = kg_string(kg_at(c->before, "state.waiting.reason"), "");
	const char *message = kg_string(kg_at(c->after, "state.waiting.message"), "");
	bool again = strcmp(instance(c->after), instance(c->before)) != 0;

	if (is_ordinary(reason) || (strcmp(reason, was) == 0 && !again))
		return;
	if (strcmp(reason, "CrashLoopBackOff") == 0)
		tell_container(t, c, "Warning", "BackOff",
			kg_arena_printf(&t->a,
				"Back-off restarting failed container %s in pod %s_%s(%s)", c->name,
				c->pod->name, c->pod->ns, kg_object_uid(c->pod)));
	else if (strcmp(reason, "ErrImagePull") == 0 || strcmp(reason, "ImagePullBackOff") == 0 ||
		 strcmp(reason, "InvalidImageName") == 0)
		pull_failed(t, c, reason, message);
	else
		tell_container(t, c, "Warning", "Failed",
			kg_arena_printf(&t->a, "Error: %s", *message ? message : reason));
}

static void containers(struct kgd_teller *t, const struct kg_object *before,
	const struct kg_object *after, const char *specs, const char *statuses)
{
	const struct kg_value *list = kgd_at(after, specs);

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(kg_get(&list->items[i], "name"), "");
		struct container c = {
			.pod = after,
			.name = name,
			.image = kg_string(kg_get(&list->items[i], "image"), ""),
			.node = kgd_text_at(after, "spec.nodeName"),
			.before = kg_find(kgd_at(before, statuses), "name", name),
			.after = kg_find(kgd_at(after, statuses), "name", name),
		};

		started(t, &c);
		waits(t, &c);
	}
}

static void killing(struct kgd_teller *t, const struct kg_object *pod)
{
	const struct kg_value *list = kgd_at(pod, "spec.containers");

	for (uint32_t i = 0; i < kg_len(list); i++) {
		struct container c = {.pod = pod,
			.name = kg_string(kg_get(&list->items[i], "name"), ""),
			.node = kgd_text_at(pod, "spec.nodeName")};

		tell_container(t, &c, "Normal", "Killing",
			kg_arena_printf(&t->a, "Stopping container %s", c.name));
	}
}

/* What keeps all of a pod from starting, as its first container says it. */
static const char *held_up(const struct kg_object *pod)
{
	static const char *const lists[] = {
		"status.initContainerStatuses.0", "status.containerStatuses.0"};

	for (size_t i = 0; i < KG_ARRAY_LEN(lists); i++) {
		const struct kg_value *wait = kg_at(kgd_at(pod, lists[i]), "state.waiting");
		const char *message = kg_string(kg_get(wait, "message"), "");

		if (*message &&
			strcmp(kg_string(kg_get(wait, "reason"), ""), "ContainerCreating") == 0)
			return message;
	}
	return "";
}

static void sandbox(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const char *why = held_up(after);
	bool volume = strncmp(why, "volume ", 7) == 0;
	struct kgd_what w = {.type = "Warning",
		.reason = volume ? "FailedMount" : "FailedCreatePodSandBox",
		.component = "kubelet",
		.host = kgd_text_at(after, "spec.nodeName")};

	if (!*why || strcmp(why, held_up(before)) == 0)
		return;
	kgd_tell(t, after, &w,
		volume ? kg_arena_printf(&t->a, "MountVolume.SetUp failed for %s", why)
		       : kg_arena_printf(&t->a, "Failed to create pod sandbox: %s", why));
}

/* ---- pods ---- */

static void scheduling(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what bound = {"Normal", "Scheduled", "default-scheduler", NULL, NULL};
	const struct kgd_what failed = {
		"Warning", "FailedScheduling", "default-scheduler", NULL, NULL};
	const char *node = kgd_text_at(after, "spec.nodeName");
	const struct kg_value *now = kgd_condition(after, "PodScheduled");
	const struct kg_value *was = kgd_condition(before, "PodScheduled");
	const char *message = kg_string(kg_get(now, "message"), "");

	if (*node && !*kgd_text_at(before, "spec.nodeName"))
		kgd_tell(t, after, &bound,
			kg_arena_printf(&t->a, "Successfully assigned %s/%s to %s", after->ns,
				after->name, node));
	else if (strcmp(kg_string(kg_get(now, "reason"), ""), "Unschedulable") == 0 &&
		 strcmp(message, kg_string(kg_get(was, "message"), "")) != 0)
		kgd_tell(t, after, &failed, message);
}

static void owner_says(
	struct kgd_teller *t, const struct kg_object *pod, const char *reason, const char *verb)
{
	const char *component;
	struct kgd_who o = kgd_maker(t, pod, &component);

	if (!o.kind)
		return;
	const struct kgd_what w = {"Normal", reason, component, NULL, NULL};
	if (o.kind->id == KG_KIND_STATEFULSET)
		kgd_tell_of(t, &o, &w,
			kg_arena_printf(&t->a, "%s Pod %s in StatefulSet %s successful",
				*verb == 'C' ? "create" : "delete", pod->name, o.name));
	else
		kgd_tell_of(t, &o, &w, kg_arena_printf(&t->a, "%s pod: %s", verb, pod->name));
}

/* What an owner of pods says of one of them, in its controller's words. */
static void of_owner(
	struct kgd_teller *t, const struct kg_object *pod, const char *reason, const char *verb)
{
	uint32_t at = t->place;

	owner_says(t, pod, reason, verb);
	t->place = at + 1; /* also where the owner is gone by now */
}

/* A pod that ended makes room for its successor, as the controllers of sets tell it. */
static void succeeded_by(struct kgd_teller *t, const struct kg_object *pod)
{
	struct kgd_who set = kgd_owner(t, pod, KG_KIND_STATEFULSET),
		       ds = kgd_owner(t, pod, KG_KIND_DAEMONSET);
	const char *phase = kgd_text_at(pod, "status.phase");
	bool failed = strcmp(phase, "Failed") == 0;
	struct kgd_what w = {failed ? "Warning" : "Normal", NULL, NULL, NULL, NULL};
	uint32_t at = t->place;

	if (!failed && strcmp(phase, "Succeeded") != 0)
		return;
	if (set.kind) {
		w.reason = failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod";
		w.component = "statefulset-controller";
		kgd_tell_of(t, &set, &w,
			kg_arena_printf(&t->a, "StatefulSet %s/%s is recreating %s Pod %s", pod->ns,
				set.name, failed ? "failed" : "terminated", pod->name));
	} else if (ds.kind) {
		w.reason = failed ? "FailedDaemonPod" : "SucceededDaemonPod";
		w.component = "daemonset-controller";
		kgd_tell_of(t, &ds, &w,
			kg_arena_printf(&t->a,
				"Found %s daemon pod %s/%s on node %s, will try to %s it",
				failed ? "failed" : "succeeded", pod->ns, pod->name,
				kgd_text_at(pod, "spec.nodeName"), failed ? "kill" : "delete"));
	}
	t->place = at + 1;
}

/* It gives way to another. */
static void preempted(struct kgd_teller *t, const struct kg_object *pod)
{
	const struct kgd_what w = {"Normal", "Preempted", "default-scheduler", NULL, NULL};
	const char *why = kg_string(kg_get(kgd_condition(pod, "DisruptionTarget"), "reason"), "");

	if (strcmp(why, "PreemptionByScheduler") == 0)
		kgd_tell(t, pod, &w,
			kg_arena_printf(&t->a, "Preempted by a pod of higher priority on node %s",
				kgd_text_at(pod, "spec.nodeName")));
}

/* Did its owner's controller end it? Others evict pods, and with an owner that goes, its pods go.
 */
static bool let_go_by_owner(struct kgd_teller *t, const struct kg_object *pod)
{
	const char *component;
	struct kgd_who o = kgd_maker(t, pod, &component);
	const struct kg_object *owner =
		t->snapshot && o.kind ? kg_snapshot_get(t->snapshot, o.kind->id, o.ns, o.name)
				      : NULL;

	if (kg_condition_is_true(kgd_at(pod, "status"), "DisruptionTarget"))
		return false;
	return o.kind && !(owner && kg_object_deleting(owner));
}

/* Its end begins. */
static void ending(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what evicted = {
		"Normal", "TaintManagerEviction", "taint-eviction-controller", NULL, NULL};
	const char *why = kg_string(kg_get(kgd_condition(after, "DisruptionTarget"), "reason"), "");

	if (strcmp(why, "DeletionByTaintManager") == 0)
		kgd_tell(t, after, &evicted,
			kg_arena_printf(
				&t->a, "Marking for deletion Pod %s/%s", after->ns, after->name));
	preempted(t, after);
	succeeded_by(t, after ? after : before);
	if (let_go_by_owner(t, after ? after : before))
		of_owner(t, after ? after : before, "SuccessfulDelete", "Deleted");
	else
		t->place++;
	if (after)
		killing(t, after);
}

static void lost_node(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what w = {"Warning", "NodeNotReady", "node-controller", NULL, NULL};
	const char *node = kgd_text_at(after, "spec.nodeName");
	const struct kg_object *n =
		*node && t->snapshot ? kg_snapshot_get(t->snapshot, KG_KIND_NODE, "", node) : NULL;
	uint32_t at = t->place;

	if (n && !kg_object_ready(n) && kgd_came_true(after, before, "Ready")) /* went */
		kgd_tell(t, after, &w, "Node is not ready");
	t->place = at + 1;
}

/* Its node did not take it in. */
static void rejected(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	static const char prefix[] = KG_POD_REJECTED;
	const char *message = kgd_text_at(after, "status.message");
	struct kgd_what w = {.type = "Warning",
		.reason = kgd_text_at(after, "status.reason"),
		.component = "kubelet",
		.host = kgd_text_at(after, "spec.nodeName")};

	if (strncmp(message, prefix, sizeof(prefix) - 1) == 0 &&
		strcmp(message, kgd_text_at(before, "status.message")) != 0)
		kgd_tell(t, after, &w, message + sizeof(prefix) - 1);
}

void kgd_tell_pod(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	if (before && after && strcmp(kg_object_uid(before), kg_object_uid(after)) != 0) {
		kgd_tell_pod(t, before, NULL); /* another of that name */
		before = NULL;
	}
	bool was_ending = before && kg_object_deleting(before);

	if (!before)
		of_owner(t, after, "SuccessfulCreate", "Created");
	if (!after) {
		if (!was_ending)
			ending(t, before, NULL);
		return;
	}
	scheduling(t, before, after);
	lost_node(t, before, after);
	if (kg_object_deleting(after)) {
		if (!was_ending)
			ending(t, before, after);
		return;
	}
	rejected(t, before, after);
	sandbox(t, before, after);
	containers(t, before, after, "spec.initContainers", "status.initContainerStatuses");
	containers(t, before, after, "spec.containers", "status.containerStatuses");
}
