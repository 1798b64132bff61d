/*
 * Kubernetes' Events, as `kubectl describe` shows them, derived from what each commit changed: in
 * Kubernetes' words and in the name of the component that would say them there. They are told on
 * the loop, some at a time, behind what nodes wait for; a commit tells at most MAX_OF_COMMIT, and
 * after a backlog that the hub no longer holds the missed ones are not told.
 *
 * So the history is where Events are kept, without a commit of their own: after a start a thread
 * tells those of the newest revisions again, with the same names and times, and only then the loop
 * begins with what is committed from now on. Of a revision read back there is no snapshot: what is
 * told of it is what the change itself says.
 */
#include "kgitd/master.h"
#include "sys/loop.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define STEP          100 /* changes looked at before the loop goes on */
#define MAX_OF_COMMIT 1000
#define DELAY_MS      2
#define TOLD_AGAIN    2000 /* revisions, after a start */
#define TOLD_AT_LEAST 50
#define TELLING_MS    3000

struct kgd_events {
	struct kg_loop *loop;
	struct kg_hub *hub;
	struct kg_api *api;
	struct kg_subscription *sub;
	atomic_bool posted;

	struct kg_store *store;
	pthread_t thread; /* tells the history again */
	atomic_bool stop, telling_again;

	/* the loop's */
	struct kg_timer *timer;
	bool armed;
	uint64_t seen;
	struct kg_commit_event *commit; /* being told, or NULL */
	size_t next;                    /* of its changes */
	size_t told;
};

/* ---- telling ---- */

struct teller {
	struct kgd_events *ev;
	const struct kg_snapshot *snapshot; /* NULL: of a revision read back */
	kg_time time;
	size_t *told;
	struct kg_arena a;
};

/* Whom an Event is about. */
struct who {
	const struct kg_kind *kind; /* NULL: nobody */
	const char *ns, *name, *uid;
};

static struct who who_of(const struct kg_object *obj)
{
	return (struct who){obj->kind, obj->ns, obj->name, kg_object_uid(obj)};
}

struct what {
	const char *type, *reason, *component, *host, *field;
};

static void tell_of(
	struct teller *t, const struct who *who, const struct what *w, const char *message)
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

	if ((*t->told)++ < MAX_OF_COMMIT)
		kg_api_event_add(t->ev->api, &e);
}

static void tell(
	struct teller *t, const struct kg_object *obj, const struct what *w, const char *message)
{
	struct who who = who_of(obj);

	tell_of(t, &who, w, message);
}

static const struct kg_value *at(const struct kg_object *obj, const char *path)
{
	return obj ? kg_at(kg_obj(obj), path) : &kg_null;
}

static const char *text_at(const struct kg_object *obj, const char *path)
{
	return kg_string(at(obj, path), "");
}

static const struct kg_value *condition(const struct kg_object *obj, const char *type)
{
	return kg_find(at(obj, "status.conditions"), "type", type);
}

/* The controlling owner, where it is of that kind and, as far as can be seen, still what it was. */
static struct who owner(struct teller *t, const struct kg_object *obj, enum kg_kind_id kind)
{
	const struct kg_value *refs = at(obj, "metadata.ownerReferences");

	for (uint32_t i = 0; i < kg_len(refs); i++) {
		const struct kg_value *r = &refs->items[i];
		struct who who = {&kg_kinds[kind], obj->ns, kg_string(kg_get(r, "name"), ""),
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
	return (struct who){0};
}

/* ---- containers ---- */

struct container {
	const struct kg_object *pod;
	const char *name, *image, *node;
	const struct kg_value *before, *after; /* its status */
};

static void tell_container(struct teller *t, const struct container *c, const char *type,
	const char *reason, char *text)
{
	struct what w = {
		.type = type,
		.reason = reason,
		.component = "kubelet",
		.host = c->node,
		.field = kg_arena_printf(&t->a, "spec.containers{%s}", c->name),
	};

	tell(t, c->pod, &w, text);
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

static void started(struct teller *t, const struct container *c)
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
	struct teller *t, const struct container *c, const char *reason, const char *message)
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

static void waits(struct teller *t, const struct container *c)
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

static void containers(struct teller *t, const struct kg_object *before,
	const struct kg_object *after, const char *specs, const char *statuses)
{
	const struct kg_value *list = at(after, specs);

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(kg_get(&list->items[i], "name"), "");
		struct container c = {
			.pod = after,
			.name = name,
			.image = kg_string(kg_get(&list->items[i], "image"), ""),
			.node = text_at(after, "spec.nodeName"),
			.before = kg_find(at(before, statuses), "name", name),
			.after = kg_find(at(after, statuses), "name", name),
		};

		started(t, &c);
		waits(t, &c);
	}
}

static void killing(struct teller *t, const struct kg_object *pod)
{
	const struct kg_value *list = at(pod, "spec.containers");

	for (uint32_t i = 0; i < kg_len(list); i++) {
		struct container c = {.pod = pod,
			.name = kg_string(kg_get(&list->items[i], "name"), ""),
			.node = text_at(pod, "spec.nodeName")};

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
		const struct kg_value *wait = kg_at(at(pod, lists[i]), "state.waiting");
		const char *message = kg_string(kg_get(wait, "message"), "");

		if (*message &&
			strcmp(kg_string(kg_get(wait, "reason"), ""), "ContainerCreating") == 0)
			return message;
	}
	return "";
}

static void sandbox(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const char *why = held_up(after);
	bool volume = strncmp(why, "volume ", 7) == 0;
	struct what w = {.type = "Warning",
		.reason = volume ? "FailedMount" : "FailedCreatePodSandBox",
		.component = "kubelet",
		.host = text_at(after, "spec.nodeName")};

	if (!*why || strcmp(why, held_up(before)) == 0)
		return;
	tell(t, after, &w,
		volume ? kg_arena_printf(&t->a, "MountVolume.SetUp failed for %s", why)
		       : kg_arena_printf(&t->a, "Failed to create pod sandbox: %s", why));
}

/* ---- pods ---- */

static void scheduling(
	struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what bound = {"Normal", "Scheduled", "default-scheduler", NULL, NULL};
	const struct what failed = {"Warning", "FailedScheduling", "default-scheduler", NULL, NULL};
	const char *node = text_at(after, "spec.nodeName");
	const struct kg_value *now = condition(after, "PodScheduled");
	const struct kg_value *was = condition(before, "PodScheduled");
	const char *message = kg_string(kg_get(now, "message"), "");

	if (*node && !*text_at(before, "spec.nodeName"))
		tell(t, after, &bound,
			kg_arena_printf(&t->a, "Successfully assigned %s/%s to %s", after->ns,
				after->name, node));
	else if (strcmp(kg_string(kg_get(now, "reason"), ""), "Unschedulable") == 0 &&
		 strcmp(message, kg_string(kg_get(was, "message"), "")) != 0)
		tell(t, after, &failed, message);
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

/* What an owner of pods says of one of them, in its controller's words. */
static void of_owner(
	struct teller *t, const struct kg_object *pod, const char *reason, const char *verb)
{
	struct who o = {0};
	size_t i = 0;

	for (; i < KG_ARRAY_LEN(owners) && !o.kind; i++)
		o = owner(t, pod, owners[i].kind);
	if (!o.kind)
		return;
	const struct what w = {"Normal", reason, owners[i - 1].component, NULL, NULL};
	if (o.kind->id == KG_KIND_STATEFULSET)
		tell_of(t, &o, &w,
			kg_arena_printf(&t->a, "%s Pod %s in StatefulSet %s successful",
				*verb == 'C' ? "create" : "delete", pod->name, o.name));
	else
		tell_of(t, &o, &w, kg_arena_printf(&t->a, "%s pod: %s", verb, pod->name));
}

/* A pod that ended makes room for its successor, as the controllers of sets tell it. */
static void succeeded_by(struct teller *t, const struct kg_object *pod)
{
	struct who set = owner(t, pod, KG_KIND_STATEFULSET), ds = owner(t, pod, KG_KIND_DAEMONSET);
	const char *phase = text_at(pod, "status.phase");
	bool failed = strcmp(phase, "Failed") == 0;
	struct what w = {failed ? "Warning" : "Normal", NULL, NULL, NULL, NULL};

	if (!failed && strcmp(phase, "Succeeded") != 0)
		return;
	if (set.kind) {
		w.reason = failed ? "RecreatingFailedPod" : "RecreatingTerminatedPod";
		w.component = "statefulset-controller";
		tell_of(t, &set, &w,
			kg_arena_printf(&t->a, "StatefulSet %s/%s is recreating %s Pod %s", pod->ns,
				set.name, failed ? "failed" : "terminated", pod->name));
	} else if (ds.kind) {
		w.reason = failed ? "FailedDaemonPod" : "SucceededDaemonPod";
		w.component = "daemonset-controller";
		tell_of(t, &ds, &w,
			kg_arena_printf(&t->a,
				"Found %s daemon pod %s/%s on node %s, will try to %s it",
				failed ? "failed" : "succeeded", pod->ns, pod->name,
				text_at(pod, "spec.nodeName"), failed ? "kill" : "delete"));
	}
}

/* Its end begins. */
static void ending(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what evicted = {
		"Normal", "TaintManagerEviction", "taint-eviction-controller", NULL, NULL};
	const char *why = kg_string(kg_get(condition(after, "DisruptionTarget"), "reason"), "");

	if (strcmp(why, "DeletionByTaintManager") == 0)
		tell(t, after, &evicted,
			kg_arena_printf(
				&t->a, "Marking for deletion Pod %s/%s", after->ns, after->name));
	succeeded_by(t, after ? after : before);
	of_owner(t, after ? after : before, "SuccessfulDelete", "Deleted");
	if (after)
		killing(t, after);
}

static void lost_node(
	struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what w = {"Warning", "NodeNotReady", "node-controller", NULL, NULL};
	const char *node = text_at(after, "spec.nodeName");
	const struct kg_object *n =
		*node && t->snapshot ? kg_snapshot_get(t->snapshot, KG_KIND_NODE, "", node) : NULL;
	const char *was = kg_string(kg_get(condition(before, "Ready"), "status"), "");
	const char *now = kg_string(kg_get(condition(after, "Ready"), "status"), "");

	if (n && strcmp(was, "True") == 0 && strcmp(now, "True") != 0 &&
		strcmp(kg_string(kg_get(condition(n, "Ready"), "status"), ""), "True") != 0)
		tell(t, after, &w, "Node is not ready");
}

static void of_pod(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	if (before && after && strcmp(kg_object_uid(before), kg_object_uid(after)) != 0) {
		of_pod(t, before, NULL); /* another of that name */
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
	sandbox(t, before, after);
	containers(t, before, after, "spec.initContainers", "status.initContainerStatuses");
	containers(t, before, after, "spec.containers", "status.containerStatuses");
}

/* ---- the others ---- */

static void of_rs(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what w = {"Normal", "ScalingReplicaSet", "deployment-controller", NULL, NULL};
	int64_t was = kg_int(at(before, "spec.replicas"), 0);
	int64_t now = kg_int(at(after, "spec.replicas"), 0);
	struct who d = after ? owner(t, after, KG_KIND_DEPLOYMENT) : (struct who){0};

	if (d.kind && was != now)
		tell_of(t, &d, &w,
			kg_arena_printf(&t->a, "Scaled %s replica set %s from %lld to %lld",
				now > was ? "up" : "down", after->name, (long long)was,
				(long long)now));
}

static bool is_true(const struct kg_object *obj, const char *type)
{
	return strcmp(kg_string(kg_get(condition(obj, type), "status"), ""), "True") == 0;
}

/* Its end as a Job tells it and, of a CronJob's, as the CronJob does. */
static void of_job(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what cron = {"Normal", "SuccessfulCreate", "cronjob-controller", NULL, NULL};
	const struct what saw = {"Normal", "SawCompletedJob", "cronjob-controller", NULL, NULL};
	struct what w = {"Normal", "Completed", "job-controller", NULL, NULL};
	const struct what gone = {"Normal", "SuccessfulDelete", "cronjob-controller", NULL, NULL};
	struct who cj = owner(t, after ? after : before, KG_KIND_CRONJOB);

	if (!after) {
		if (cj.kind)
			tell_of(t, &cj, &gone,
				kg_arena_printf(&t->a, "Deleted job %s", before->name));
		return;
	}
	if (!before && cj.kind)
		tell_of(t, &cj, &cron, kg_arena_printf(&t->a, "Created job %s", after->name));
	bool complete = is_true(after, "Complete") && !is_true(before, "Complete");
	bool failed = is_true(after, "Failed") && !is_true(before, "Failed");
	const struct kg_value *c = condition(after, complete ? "Complete" : "Failed");
	if (failed) {
		w.type = "Warning";
		w.reason = kg_string(kg_get(c, "reason"), "");
	}
	if (complete || failed)
		tell(t, after, &w,
			complete ? "Job completed" : kg_string(kg_get(c, "message"), ""));
	if (cj.kind && (complete || failed))
		tell_of(t, &cj, &saw,
			kg_arena_printf(&t->a, "Saw completed job: %s, condition: %s", after->name,
				complete ? "Complete" : "Failed"));
	const struct kg_value *now = condition(after, "Suspended"),
			      *was = condition(before, "Suspended");
	w = (struct what){
		"Normal", kg_string(kg_get(now, "reason"), ""), "job-controller", NULL, NULL};
	if (!kg_is_null(now) && !kg_equal(kg_get(now, "status"), kg_get(was, "status")))
		tell(t, after, &w, kg_string(kg_get(now, "message"), ""));
}

static void of_node(struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct what w = {"Normal", "RegisteredNode", "node-controller", NULL, NULL};
	const char *was = kg_string(kg_get(condition(before, "Ready"), "status"), "");
	const char *now = kg_string(kg_get(condition(after, "Ready"), "status"), "");

	if (!after)
		return;
	if (!before)
		tell(t, after, &w,
			kg_arena_printf(&t->a, "Node %s event: Registered Node %s in Controller",
				after->name, after->name));
	bool ready = strcmp(now, "True") == 0;
	if ((strcmp(was, "True") == 0) == ready)
		return;
	w.reason = ready ? "NodeReady" : "NodeNotReady";
	tell(t, after, &w,
		kg_arena_printf(&t->a, "Node %s status is now: %s", after->name, w.reason));
}

static void of_budget(
	struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct what none = {"Normal", "NoPods", "controllermanager", NULL, NULL};
	const struct what fails = {
		"Warning", "CalculateExpectedPodCountFailed", "controllermanager", NULL, NULL};
	const struct kg_value *now = condition(after, "DisruptionAllowed"),
			      *was = condition(before, "DisruptionAllowed");
	const char *message = kg_string(kg_get(now, "message"), "");

	if (!after)
		return;
	if (kg_int(at(after, "status.expectedPods"), -1) == 0 && !*message &&
		kg_int(at(before, "status.expectedPods"), -1) != 0)
		tell(t, after, &none, "No matching pods found");
	if (*message && strcmp(message, kg_string(kg_get(was, "message"), "")) != 0)
		tell(t, after, &fails,
			kg_arena_printf(&t->a,
				"Failed to calculate the number of expected pods: %s", message));
}

/* Pods that may not come to be. */
static void refusals(
	struct teller *t, const struct kg_object *before, const struct kg_object *after)
{
	struct what w = {"Warning", "FailedCreate", NULL, NULL, NULL};
	const char *now = kg_string(kg_get(condition(after, "ReplicaFailure"), "message"), "");
	const char *was = kg_string(kg_get(condition(before, "ReplicaFailure"), "message"), "");

	for (size_t i = 0; *now && strcmp(now, was) != 0 && i < KG_ARRAY_LEN(owners); i++) {
		if (owners[i].kind != after->kind->id)
			continue;
		w.component = owners[i].component;
		tell(t, after, &w, kg_arena_printf(&t->a, "Error creating: %s", now));
	}
}

static void of_change(struct teller *t, const struct kg_change *c)
{
	const struct kg_object *obj = c->after ? c->after : c->before;

	if (c->quiet)
		return;
	if (c->after)
		refusals(t, c->before, c->after);
	if (obj->kind->id == KG_KIND_POD)
		of_pod(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_REPLICASET)
		of_rs(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_JOB)
		of_job(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_NODE)
		of_node(t, c->before, c->after);
	else if (obj->kind->id == KG_KIND_PODDISRUPTIONBUDGET)
		of_budget(t, c->before, c->after);
}

/* ---- the loop ---- */

/* The commit that is to be told, or NULL: all were. */
static struct kg_commit_event *current(struct kgd_events *ev)
{
	bool gone = false;

	if (ev->commit && ev->next == ev->commit->changes.len) {
		ev->seen = ev->commit->revision;
		kg_commit_event_unref(kg_steal(&ev->commit));
	}
	if (!ev->commit) {
		ev->commit = kg_hub_next(ev->hub, ev->seen, &gone);
		if (gone)
			ev->seen = kg_hub_revision(ev->hub);
		ev->next = ev->told = 0;
	}
	return ev->commit;
}

static void step(void *ctx)
{
	struct kgd_events *ev = ctx;
	const struct kg_commit_event *commit = NULL;
	struct teller t = {.ev = ev, .told = &ev->told};
	size_t n = 0;

	while (n < STEP && (commit = current(ev))) {
		const struct kg_changes *changes = &commit->changes;

		t.snapshot = commit->snapshot;
		t.time = commit->time;

		for (; n < STEP && ev->next < changes->len; n++)
			of_change(&t, &changes->items[ev->next++]);
		n++; /* an empty commit is work, too */
	}
	kg_arena_release(&t.a);
	ev->armed = commit != NULL;
	if (ev->armed)
		kg_timer_set(ev->timer, DELAY_MS);
}

static void start(void *ctx)
{
	struct kgd_events *ev = ctx;

	atomic_store(&ev->posted, false);
	if (atomic_load(&ev->telling_again))
		return; /* its end begins */
	if (!ev->armed)
		kg_timer_set(ev->timer, DELAY_MS);
	ev->armed = true;
}

static void published(void *ctx)
{
	struct kgd_events *ev = ctx;

	if (!atomic_exchange(&ev->posted, true))
		kg_loop_post(ev->loop, start, ev);
}

/* ---- the history, told again ---- */

static int tell_again(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct kgd_events *ev = ctx;
	size_t told = 0;
	struct teller t = {.ev = ev, .time = time, .told = &told};

	(void)revision;
	for (size_t i = 0; i < changes->len; i++)
		of_change(&t, &changes->items[i]);
	kg_arena_release(&t.a);
	return atomic_load(&ev->stop);
}

static void *read_history(void *arg)
{
	struct kgd_events *ev = arg;
	uint64_t oldest = kg_store_oldest(ev->store);
	uint64_t from = ev->seen > TOLD_AGAIN ? ev->seen - TOLD_AGAIN : 0;
	struct kg_error err;

	if (from < oldest)
		from = oldest;
	int rc = 0;
	int64_t until = kg_monotonic_ms() + TELLING_MS;
	for (; rc == 0 && from < ev->seen && !atomic_load(&ev->stop); from++) {
		/* A large cluster's take long: then only the newest. */
		if (kg_monotonic_ms() >= until && ev->seen - from > TOLD_AT_LEAST)
			from = ev->seen - TOLD_AT_LEAST;
		rc = kg_store_changes(
			ev->store, from, from + 1, MAX_OF_COMMIT, tell_again, ev, &err);
		if (rc == -KG_E_TOO_LARGE) /* a storm's are not worth the memory */
			rc = 0;
	}
	if (rc < 0)
		kg_warn("events: what happened before this start is not told: %s", err.msg);
	atomic_store(&ev->telling_again, false);
	if (!atomic_load(&ev->stop))
		published(ev);
	return NULL;
}

struct kgd_events *kgd_events_new(
	struct kg_loop *loop, struct kg_store *store, struct kg_hub *hub, struct kg_api *api)
{
	struct kgd_events *ev = kg_alloc(sizeof(*ev));

	ev->loop = loop;
	ev->hub = hub;
	ev->api = api;
	ev->timer = kg_timer_new(loop, step, ev);
	ev->seen = kg_hub_revision(hub);
	ev->store = store;
	ev->telling_again = true;
	if (pthread_create(&ev->thread, NULL, read_history, ev) != 0)
		abort(); /* as out of memory */
	ev->sub = kg_hub_subscribe(hub, published, ev);
	return ev;
}

void kgd_events_free(struct kgd_events *ev)
{
	if (!ev)
		return;
	atomic_store(&ev->stop, true);
	pthread_join(ev->thread, NULL);
	kg_hub_unsubscribe(ev->sub);
	kg_timer_free(ev->timer);
	kg_commit_event_unref(ev->commit);
	free(ev);
}
