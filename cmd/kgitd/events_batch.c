/* What is told of Jobs and CronJobs. */
#include "kgitd/events_private.h"

#include "kinds/annotations.h"
#include "reconcile/reconcile.h"
#include "reconcile/schedule.h"

#include <string.h>

static const char cron_controller[] = "cronjob-controller";

/* ---- Jobs ---- */

/* A CronJob's, as the CronJob tells it. */
static void of_schedule(struct kgd_teller *t, const struct kgd_who *cj,
	const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_object *job = after ? after : before;
	bool complete = kgd_came_true(before, after, "Complete");
	bool over = complete || kgd_came_true(before, after, "Failed");
	struct kgd_what w = {"Normal", NULL, cron_controller, NULL, NULL};

	if (!before || !after) {
		w.reason = after ? "SuccessfulCreate" : "SuccessfulDelete";
		kgd_tell_of(t, cj, &w,
			kg_arena_printf(
				&t->a, "%s job %s", after ? "Created" : "Deleted", job->name));
	}
	if (!after || !over)
		return;
	w.reason = "SawCompletedJob";
	kgd_tell_of(t, cj, &w,
		kg_arena_printf(&t->a, "Saw completed job: %s, condition: %s", job->name,
			complete ? "Complete" : "Failed"));
}

static void suspended(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kg_value *now = kgd_condition(after, "Suspended");
	const struct kg_value *was = kgd_condition(before, "Suspended");
	bool is = kg_condition_is_true(kgd_at(after, "status"), "Suspended");
	const struct kgd_what w = {
		"Normal", is ? "Suspended" : "Resumed", "job-controller", NULL, NULL};

	if (!kg_is_null(now) && !kg_equal(kg_get(now, "status"), kg_get(was, "status")))
		kgd_tell(t, after, &w, is ? "Job suspended" : "Job resumed");
}

void kgd_tell_job(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const struct kgd_what done = {"Normal", "Completed", "job-controller", NULL, NULL};
	struct kgd_who cj = kgd_owner(t, after ? after : before, KG_KIND_CRONJOB);
	uint32_t at = t->place;
	const struct kg_value *c = kgd_condition(after, "Failed");
	const struct kgd_what failed = {
		"Warning", kg_string(kg_get(c, "reason"), ""), "job-controller", NULL, NULL};

	if (cj.kind)
		of_schedule(t, &cj, before, after);
	t->place = at + 2; /* also where the CronJob is gone by now */
	if (!after)
		return;
	if (kgd_came_true(before, after, "Complete"))
		kgd_tell(t, after, &done, "Job completed");
	else if (kgd_came_true(before, after, "Failed"))
		kgd_tell(t, after, &failed, kg_string(kg_get(c, "message"), ""));
	suspended(t, before, after);
}

/* ---- CronJobs ---- */

#define MANY 100

/* By Kubernetes' rough count: how often the first pause of the schedule fits in. */
static bool missed_many(
	const struct kg_cron *cron, const struct kg_zone *zone, kg_time after, kg_time now)
{
	kg_time first = kg_schedule_next(cron, zone, after);
	kg_time second = first > now ? KG_TIME_NEVER : kg_schedule_next(cron, zone, first);

	return second <= now && (now - first) / (second - first) + 1 > MANY;
}

/* A Job was made for the latest of too many times. */
static void made_up_for(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	static const char last[] = "status.lastScheduleTime";
	const struct kgd_what w = {"Warning", "TooManyMissedTimes", cron_controller, NULL, NULL};
	const struct kg_value *deadline = kgd_at(after, "spec.startingDeadlineSeconds");
	const struct kg_value *was = kgd_at(before, last);
	struct kg_cron cron;
	struct kg_zone zone;
	kg_time from;

	if (!before || kg_equal(was, kgd_at(after, last)) ||
		kg_time_parse(&from, *kg_string(was, "")
					     ? kg_string(was, "")
					     : kgd_text_at(after, "metadata.creationTimestamp")))
		return;
	if (!kg_is_null(deadline)) {
		int64_t s = kg_int(deadline, 0);
		kg_time earliest = s < t->time / 1000 ? t->time - s * 1000 : 0;
		from = from > earliest ? from : earliest;
	}
	const char *rule =
		kg_string(kg_get(kgd_at(after, "metadata.annotations"), KG_ZONE_ANNOTATION), NULL);
	if (kg_cron_parse(&cron, &t->a, kgd_text_at(after, "spec.schedule")) ||
		!kg_zone_parse(&zone, rule) || !missed_many(&cron, &zone, from, t->time))
		return;
	kgd_tell(t, after, &w,
		"too many missed start times. Set or decrease .spec.startingDeadlineSeconds or "
		"check clock skew");
}

/* A time of the schedule at which no Job was made. */
static void skipped(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	const char *now =
		kg_string(kg_get(kgd_at(after, "metadata.annotations"), KG_SKIPPED_ANNOTATION), "");
	const char *was = kg_string(
		kg_get(kgd_at(before, "metadata.annotations"), KG_SKIPPED_ANNOTATION), "");
	const char *reason = strchr(now, ' ');
	const char *message = reason ? strchr(reason + 1, ' ') : NULL;

	if (!message || strcmp(now, was) == 0)
		return;
	struct kgd_what w = {.type = "Warning", .component = cron_controller};
	w.reason = kg_arena_strndup(&t->a, reason + 1, (size_t)(message - reason - 1));
	if (strcmp(w.reason, "JobAlreadyActive") == 0)
		w.type = "Normal";
	kgd_tell(t, after, &w, message + 1);
}

void kgd_tell_cronjob(
	struct kgd_teller *t, const struct kg_object *before, const struct kg_object *after)
{
	if (!after)
		return;
	made_up_for(t, before, after);
	skipped(t, before, after);
}
