/*
 * Jobs, by Kubernetes' rules. A pod carries the finalizer batch.kubernetes.io/job-tracking until
 * its end was counted, so each counts once; since counting and letting go are one commit here,
 * nobody sees a pod that ended and was not counted.
 *
 * ttlSecondsAfterFinished of a Job whose manifest is in main removes its pods alone: deleting the
 * Job would make it run again, since main still wants it. A Job that a CronJob made goes whole.
 */
#include "reconcile/job.h"
#include "reconcile/adopt.h"

#include <string.h>

#define TRACKING "batch.kubernetes.io/job-tracking"
#define GONE     "kgit/gone" /* within one run: nothing of the pod is left */

static bool is_tracked(const struct kg_object *pod)
{
	const struct kg_value *f = kg_at(kg_obj(pod), "metadata.finalizers");
	for (uint32_t i = 0; i < kg_len(f); i++)
		if (strcmp(kg_string(&f->items[i], ""), TRACKING) == 0)
			return true;
	return false;
}

bool kg_job_holds(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_value *ref = kg_owner_ref(pod);
	if (strcmp(kg_string(kg_get(ref, "kind"), ""), "Job") != 0 || !is_tracked(pod) ||
		!kg_owner_exists(kg_now(r), pod))
		return false;
	struct kg_value v = kg_with_annotation(&r->a, kg_obj(pod), GONE, "true");
	if (!kg_object_deleting(pod))
		v = kg_with(&r->a, &v, "metadata.deletionTimestamp", kg_now_value(r));
	if (!kg_pod_terminal(pod))
		v = kg_with(&r->a, &v, "status.phase", kg_v_lit("Failed"));
	kg_put_value(r, pod, &v);
	return true;
}

bool kg_job_let_go(const struct kg_object *pod)
{
	return kg_annotation(pod, GONE, NULL) != NULL;
}

struct kg_value kg_job_generate(struct kg_arena *a, const struct kg_value *job)
{
	static const char *const uid_keys[] = {
		"batch.kubernetes.io/controller-uid", "controller-uid"};
	static const char *const name_keys[] = {"batch.kubernetes.io/job-name", "job-name"};
	if (kg_bool(kg_at(job, "spec.manualSelector"), false))
		return *job;
	struct kg_value uid = *kg_at(job, "metadata.uid"), name = *kg_at(job, "metadata.name");
	struct kg_value template = *kg_at(job, "spec.template");
	struct kg_value labels = *kg_at(&template, "metadata.labels");
	for (size_t i = 0; i < 2; i++) {
		labels = kg_with_key(a, &labels, uid_keys[i], uid);
		labels = kg_with_key(a, &labels, name_keys[i], name);
	}
	template = kg_with(a, &template, "metadata.labels", labels);
	struct kg_value match = kg_with_key(a, &kg_null, uid_keys[0], uid);
	struct kg_value v = kg_with(a, job, "spec.template", template);
	return kg_with(a, &v, "spec.selector", kg_v_obj(a, "matchLabels", match, (char *)NULL));
}

int64_t kg_job_index_of(const struct kg_job_sync *x, const struct kg_object *pod)
{
	const char *s = kg_annotation(pod, KG_JOB_INDEX, NULL);
	char *end;
	if (!x->indexed || !s)
		return -1;
	int64_t i = strtoll(s, &end, 10);
	return end != s && !*end && i >= 0 && i < x->completions ? i : -1;
}

bool kg_job_pod_ended(const struct kg_job_sync *x, const struct kg_object *pod)
{
	return kg_pod_terminal(pod) || (kg_object_deleting(pod) && !x->only_failed);
}

/* ---- one sync ---- */

static void sync_release(struct kg_job_sync *x)
{
	kg_list_release(&x->pods);
	kg_indexes_release(&x->done);
	kg_indexes_release(&x->lost);
	kg_object_unref(x->job);
	free(x->waiting);
}

static void read_backoff(struct kg_job_sync *x)
{
	const char *s = kg_annotation(x->job, KG_BACKOFF_ANNOTATION, "");
	char *end;
	x->in_row = strtoll(s, &end, 10);
	if (*end == '@')
		x->last_fail = strtoll(end + 1, NULL, 10);
	s = kg_annotation(x->job, KG_INDEX_FAILURES_ANNOTATION, "");
	while (*s >= '0' && *s <= '9') {
		struct kg_index_failure f = {.index = strtoll(s, &end, 10)};
		if (*end == ':')
			f.count = strtoll(end + 1, &end, 10);
		if (*end == ':')
			f.ignored = strtoll(end + 1, &end, 10);
		if (*end == '@')
			f.last = strtoll(end + 1, &end, 10);
		KG_GROW(x->waiting, x->waiting_cap, x->nwaiting + 1);
		x->waiting[x->nwaiting++] = f;
		s = *end == ',' ? end + 1 : "";
	}
}

static void begin(struct kg_job_sync *x, struct kg_run *r, const struct kg_object *job)
{
	*x = (struct kg_job_sync){.r = r, .job = kg_object_ref(job)};
	x->spec = kg_get(kg_obj(job), "spec");
	x->status = *kg_get(kg_obj(job), "status");
	if (x->status.type != KG_OBJECT)
		x->status = kg_v_object(&r->a, NULL, 0);
	x->indexed = strcmp(kg_string(kg_get(x->spec, "completionMode"), ""), "Indexed") == 0;
	x->per_index = x->indexed && !kg_is_null(kg_get(x->spec, "backoffLimitPerIndex"));
	x->only_failed =
		strcmp(kg_string(kg_get(x->spec, "podReplacementPolicy"), ""), "Failed") == 0;
	x->suspended = kg_bool(kg_get(x->spec, "suspend"), false);
	x->completions = kg_int(kg_get(x->spec, "completions"), -1);
	x->parallelism = kg_int(kg_get(x->spec, "parallelism"), 1);
	x->succeeded = kg_int(kg_get(&x->status, "succeeded"), 0);
	x->failed = kg_int(kg_get(&x->status, "failed"), 0);
	x->created = kg_pods_created(job);
	if (x->indexed) {
		const char *done = kg_string(kg_get(&x->status, "completedIndexes"), "");
		const char *lost = kg_string(kg_get(&x->status, "failedIndexes"), "");
		kg_indexes_parse(&x->done, done, x->completions);
		kg_indexes_parse(&x->lost, lost, x->completions);
		x->succeeded = kg_indexes_count(&x->done);
	}
	read_backoff(x);
	kg_adopt(r, job, NULL, TRACKING);
	kg_list_owned(&x->pods, kg_now(r), KG_KIND_POD, kg_object_uid(job));
	for (size_t i = 0; i < x->pods.n; i++) {
		const struct kg_object *pod = x->pods.v[i];
		bool going = kg_object_deleting(pod) && !kg_job_let_go(pod);
		x->active += kg_pod_active(pod);
		x->ready += kg_pod_active(pod) && kg_object_ready(pod);
		x->terminating += going && !kg_pod_terminal(pod);
	}
}

/* What its nodes let go of goes, now that it was counted. */
static void forget_gone(struct kg_job_sync *x)
{
	for (size_t i = 0; i < x->pods.n; i++)
		if (kg_job_let_go(x->pods.v[i]))
			kg_delete_object(x->r, x->pods.v[i]);
}

static void start_or_suspend(struct kg_job_sync *x)
{
	struct kg_arena *a = &x->r->a;
	bool noted = kg_job_condition_is(x, "Suspended");
	if (x->suspended) {
		kg_job_condition(x, "Suspended", "True", "JobSuspended", "Job suspended");
		x->status = kg_with_key(a, &x->status, "startTime", kg_v_null());
		return;
	}
	if (noted)
		kg_job_condition(x, "Suspended", "False", "JobResumed", "Job resumed");
	if (noted || kg_is_null(kg_get(&x->status, "startTime")))
		x->status = kg_with_key(a, &x->status, "startTime", kg_now_value(x->r));
}

static void run_on(struct kg_job_sync *x)
{
	kg_job_count(x);
	forget_gone(x);
	if (kg_job_judge(x)) {
		/* What runs on when it has succeeded did not fail. */
		kg_job_stop(x, !kg_job_condition_is(x, "SuccessCriteriaMet"));
		kg_job_end(x);
		return;
	}
	start_or_suspend(x);
	if (x->suspended)
		kg_job_stop(x, false);
	else
		kg_job_manage(x);
}

/* ---- after its end ---- */

static kg_time ended_at(const struct kg_job_sync *x)
{
	const char *type = kg_job_condition_is(x, "Complete") ? "Complete" : "Failed";
	return kg_time_of(
		kg_get(kg_condition(&x->status, type), "lastTransitionTime"), KG_TIME_NEVER);
}

static void expire(struct kg_job_sync *x)
{
	const struct kg_value *ttl = kg_get(x->spec, "ttlSecondsAfterFinished");
	kg_time end = ended_at(x);
	if (kg_is_null(ttl) || end == KG_TIME_NEVER)
		return;
	if (end + kg_seconds(ttl, 0) > x->r->now) {
		kg_wake(x->r, end + kg_seconds(ttl, 0));
		return;
	}
	if (!x->job->source) {
		kg_delete_object(x->r, x->job);
		return;
	}
	for (size_t i = 0; i < x->pods.n; i++)
		if (!kg_object_deleting(x->pods.v[i]))
			kg_pod_delete(x->r, x->pods.v[i]);
}

void kg_job_run(struct kg_run *r, const char *key)
{
	const struct kg_object *job = kg_snapshot_get_key(kg_now(r), KG_KIND_JOB, key);
	if (!job || kg_reap_orphan(r, job))
		return;
	KG_CLEANUP(sync_release) struct kg_job_sync x;
	begin(&x, r, job);
	if (kg_job_condition_is(&x, "Complete") || kg_job_condition_is(&x, "Failed")) {
		forget_gone(&x);
		expire(&x);
		return;
	}
	run_on(&x);
	kg_job_put_status(&x);
}
