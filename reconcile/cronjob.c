/*
 * CronJobs: a Job for each time of their schedule, named by it ("NAME-" and the minutes since
 * 1970), so that none is made twice. The zone's rule is read once, when the CronJob is defined or
 * changed, and kept with it: what was decided can be decided again anywhere.
 */
#include "reconcile/podpolicy.h"
#include "reconcile/schedule.h"
#include "reconcile/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cron_sync {
	struct kg_run *r;
	struct kg_object *cj; /* held */
	const struct kg_value *spec;
	struct kg_value status;
	struct kg_list jobs;
	struct kg_cron cron;
	struct kg_zone zone;
	const char *skipped; /* KG_SKIPPED_ANNOTATION as it shall be; NULL: none */
};

bool kg_zone_find(char rule[KG_ZONE_RULE_SIZE], kg_zone_fn *ask, void *ctx, const char *zone)
{
	struct kg_zone parsed;
	*rule = '\0';
	return strcmp(zone, "UTC") == 0 ||
	       (ask && ask(ctx, zone, rule) && kg_zone_parse(&parsed, rule));
}

int kg_cronjob_zone(struct kg_run *r, const char *ns, const char *name, struct kg_value *v)
{
	const char *zone = kg_string(kg_at(v, "spec.timeZone"), NULL);
	char rule[KG_ZONE_RULE_SIZE];
	if (!zone)
		return 0;
	if (!kg_zone_find(rule, r->st->zone, r->st->zone_ctx, zone))
		return kg_fail(r->err, KG_E_INVALID,
			"CronJob %s/%s: spec.timeZone: unknown time zone %s", ns, name, zone);
	if (*rule)
		*v = kg_with_annotation(&r->a, v, KG_ZONE_ANNOTATION, rule);
	return 0;
}

/* ---- its Jobs ---- */

static bool is_finished(const struct kg_object *job)
{
	const struct kg_value *status = kg_get(kg_obj(job), "status");
	return kg_condition_is_true(status, "Complete") || kg_condition_is_true(status, "Failed");
}

static bool has_failed(const struct kg_object *job)
{
	return kg_condition_is_true(kg_get(kg_obj(job), "status"), "Failed");
}

static bool is_over(const struct kg_object *job, bool failed)
{
	return is_finished(job) && has_failed(job) == failed;
}

static int cmp_age(const void *a, const void *b)
{
	const struct kg_object *x = *(struct kg_object *const *)a;
	const struct kg_object *y = *(struct kg_object *const *)b;
	kg_time s = kg_object_created(x), t = kg_object_created(y);
	return s != t ? (s < t ? -1 : 1) : strcmp(x->name, y->name);
}

static void forget_old(struct cron_sync *x, bool failed, const char *limit_field, int64_t dflt)
{
	int64_t keep = kg_int(kg_get(x->spec, limit_field), dflt), n = 0;
	for (size_t i = 0; i < x->jobs.n; i++)
		n += is_over(x->jobs.v[i], failed);
	for (size_t i = 0; i < x->jobs.n && n > keep; i++) {
		if (!is_over(x->jobs.v[i], failed))
			continue;
		kg_delete_object(x->r, x->jobs.v[i]);
		n--;
	}
}

/* RFC 3339, as in the CronJob's zone. */
static const char *zoned_text(const struct cron_sync *x, kg_time due)
{
	int64_t offset = kg_zone_offset(&x->zone, due / 1000), minutes = llabs(offset) / 60;
	char when[32];
	kg_time_format(when, due + offset * 1000);
	if (!offset)
		return kg_arena_strdup(&x->r->a, when);
	return kg_arena_printf(&x->r->a, "%.19s%c%02lld:%02lld", when, offset < 0 ? '-' : '+',
		(long long)(minutes / 60), (long long)(minutes % 60));
}

/* False where a quota does not take one more. */
static bool make_job(struct cron_sync *x, kg_time due)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_kind *kind = &kg_kinds[KG_KIND_JOB];
	const struct kg_value *template = kg_get(x->spec, "jobTemplate");
	const char *name = kg_arena_printf(a, "%s-%lld", x->cj->name, (long long)(due / 1000 / 60));
	if (kg_snapshot_get(kg_now(x->r), KG_KIND_JOB, x->cj->ns, name))
		return true; /* it was made before, or is somebody else's */
	const struct kg_value *meta = kg_get(template, "metadata"),
			      *labels = kg_get(meta, "labels");
	if (kg_is_null(labels)) /* a Job's are its pods' by default */
		labels = kg_at(template, "spec.template.metadata.labels");
	struct kg_value m =
		kg_v_obj(a, "labels", *labels, "annotations", *kg_get(meta, "annotations"),
			"ownerReferences", kg_make_owner_ref(a, x->cj), (char *)NULL);
	struct kg_value v = kg_v_obj(a, "apiVersion", kg_v_lit("batch/v1"), "kind", kg_v_lit("Job"),
		"metadata", m, "spec", *kg_get(template, "spec"), "status", kg_v_object(a, NULL, 0),
		(char *)NULL);
	v = kg_with_annotation(
		a, &v, "batch.kubernetes.io/cronjob-scheduled-timestamp", zoned_text(x, due));
	v = kg_birth(x->r, kind, x->cj->ns, name, &v);
	v = kg_job_generate(a, &v);
	x->r->refused = kg_quota_forbids(x->r, kind, x->cj->ns, name, &v);
	if (x->r->refused)
		return false; /* it is due until there is room, or the next is */
	struct kg_object_spec spec = {.kind = kind, .ns = x->cj->ns, .name = name, .value = &v};
	kg_txn_put(x->r->txn, kg_object_new(&spec));
	return true;
}

/* ---- when ---- */

static size_t count_active(const struct cron_sync *x)
{
	size_t n = 0;
	for (size_t i = 0; i < x->jobs.n; i++)
		n += !is_finished(x->jobs.v[i]);
	return n;
}

static kg_time last_time(const struct cron_sync *x)
{
	return kg_time_of(kg_get(&x->status, "lastScheduleTime"), kg_object_created(x->cj));
}

/* The time that a Job is due for now, or KG_TIME_NEVER. */
static kg_time due_time(const struct cron_sync *x)
{
	kg_time after = last_time(x);
	const struct kg_value *deadline = kg_get(x->spec, "startingDeadlineSeconds");
	if (!kg_is_null(deadline)) {
		kg_time earliest = x->r->now - kg_seconds(deadline, 0) - 1;
		after = after > earliest ? after : earliest;
	}
	return kg_schedule_last(&x->cron, &x->zone, after, x->r->now);
}

static void skip(struct cron_sync *x, kg_time due, const char *reason, const char *message)
{
	char when[32];
	kg_time_format(when, due);
	x->skipped = kg_arena_printf(&x->r->a, "%s %s %s", when, reason, message);
}

/* A time that is too long ago to begin at. */
static void note_missed(struct cron_sync *x)
{
	kg_time missed = kg_schedule_last(&x->cron, &x->zone, last_time(x), x->r->now);
	char when[48];
	kg_time_format(when, missed == KG_TIME_NEVER ? 0 : missed);
	bool noted = x->skipped && strncmp(x->skipped, when, strlen(when)) == 0;
	if (missed == KG_TIME_NEVER || noted) /* there was another reason, or it was told */
		return;
	kg_time_format_rfc1123(when, missed);
	skip(x, missed, "MissSchedule",
		kg_arena_printf(&x->r->a, "Missed scheduled time to start a job: %s", when));
}

/* A CronJob that runs every so often counts from the last time that it was due. */
static kg_time wake_time(const struct cron_sync *x)
{
	kg_time from = x->r->now;
	if (x->cron.every_s) {
		kg_time last = last_time(x);
		kg_time due = kg_schedule_last(&x->cron, &x->zone, last, from);
		from = due == KG_TIME_NEVER ? last : due;
	}
	return kg_schedule_next(&x->cron, &x->zone, from);
}

static void run_due(struct cron_sync *x)
{
	const char *policy = kg_string(kg_get(x->spec, "concurrencyPolicy"), "Allow");
	kg_time due = due_time(x);
	char when[32];
	if (due == KG_TIME_NEVER) {
		note_missed(x);
		return;
	}
	bool busy = count_active(x) > 0;
	if (busy && strcmp(policy, "Forbid") == 0) { /* until the other has ended */
		skip(x, due, "JobAlreadyActive",
			"Not starting job because prior execution is running and concurrency "
			"policy is Forbid");
		return;
	}
	for (size_t i = 0; busy && i < x->jobs.n; i++)
		if (strcmp(policy, "Replace") == 0 && !is_finished(x->jobs.v[i]))
			kg_delete_object(x->r, x->jobs.v[i]);
	if (!make_job(x, due)) {
		skip(x, due, "FailedCreate",
			kg_arena_printf(&x->r->a, "Error creating job: %s", x->r->refused));
		return;
	}
	x->skipped = NULL;
	kg_time_format(when, due);
	x->status = kg_with_key(&x->r->a, &x->status, "lastScheduleTime", kg_v_str(&x->r->a, when));
}

/* ---- status ---- */

static struct kg_value reference(struct kg_arena *a, const struct kg_object *job)
{
	return kg_v_obj(a, "apiVersion", kg_v_lit("batch/v1"), "kind", kg_v_lit("Job"), "name",
		kg_v_str(a, job->name), "namespace", kg_v_str(a, job->ns), "uid",
		kg_v_str(a, kg_object_uid(job)), (char *)NULL);
}

static void put_status(struct cron_sync *x)
{
	struct kg_arena *a = &x->r->a;
	KG_AUTOLIST struct kg_list now = {0};
	kg_list_owned(&now, kg_now(x->r), KG_KIND_JOB, kg_object_uid(x->cj));
	struct kg_value *active = kg_arena_alloc(a, (now.n + 1) * sizeof(*active));
	const char *last = kg_string(kg_get(&x->status, "lastSuccessfulTime"), "");
	size_t n = 0;
	for (size_t i = 0; i < now.n; i++) {
		const char *end = kg_string(kg_at(kg_obj(now.v[i]), "status.completionTime"), "");
		if (!is_finished(now.v[i]))
			active[n++] = reference(a, now.v[i]);
		else if (!has_failed(now.v[i]) && strcmp(end, last) > 0)
			last = end;
	}
	x->status =
		kg_with_key(a, &x->status, "active", n ? kg_v_array(a, active, n) : kg_v_null());
	x->status = kg_with_key(
		a, &x->status, "lastSuccessfulTime", *last ? kg_v_str(a, last) : kg_v_null());
	struct kg_value v = kg_with_key(a, kg_obj(x->cj), "status", x->status);
	if (x->skipped || kg_annotation(x->cj, KG_SKIPPED_ANNOTATION, NULL))
		v = kg_with_annotation(a, &v, KG_SKIPPED_ANNOTATION, x->skipped);
	kg_put_value(x->r, x->cj, &v);
}

/* ---- one sync ---- */

static void sync_release(struct cron_sync *x)
{
	kg_list_release(&x->jobs);
	kg_object_unref(x->cj);
}

void kg_cronjob_run(struct kg_run *r, const char *key)
{
	const struct kg_object *cj = kg_snapshot_get_key(kg_now(r), KG_KIND_CRONJOB, key);
	if (!cj || kg_reap_orphan(r, cj))
		return;
	KG_CLEANUP(sync_release) struct cron_sync x = {.r = r, .cj = kg_object_ref(cj)};
	x.spec = kg_get(kg_obj(cj), "spec");
	x.status = *kg_get(kg_obj(cj), "status");
	x.skipped = kg_annotation(cj, KG_SKIPPED_ANNOTATION, NULL);
	if (x.status.type != KG_OBJECT)
		x.status = kg_v_object(&r->a, NULL, 0);
	kg_list_owned(&x.jobs, kg_now(r), KG_KIND_JOB, kg_object_uid(cj));
	if (x.jobs.n)
		qsort(x.jobs.v, x.jobs.n, sizeof(*x.jobs.v), cmp_age);
	forget_old(&x, false, "successfulJobsHistoryLimit", 3);
	forget_old(&x, true, "failedJobsHistoryLimit", 1);
	bool known = !kg_cron_parse(&x.cron, &r->a, kg_string(kg_get(x.spec, "schedule"), "")) &&
		     kg_zone_parse(&x.zone, kg_annotation(cj, KG_ZONE_ANNOTATION, NULL));
	if (known && !kg_bool(kg_get(x.spec, "suspend"), false)) {
		run_due(&x);
		kg_time next = wake_time(&x);
		if (next != KG_TIME_NEVER)
			kg_wake(r, next);
	}
	put_status(&x);
}
