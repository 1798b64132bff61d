/* When a Job ends, and what it says of itself; reasons and messages are Kubernetes'. */
#include "reconcile/job.h"

#include <string.h>

bool kg_job_condition_is(const struct kg_job_sync *x, const char *type)
{
	return kg_condition_is_true(&x->status, type);
}

void kg_job_condition(struct kg_job_sync *x, const char *type, const char *status,
	const char *reason, const char *message)
{
	struct kg_arena *a = &x->r->a;
	const struct kg_value *old = kg_condition(&x->status, type);
	if (strcmp(kg_string(kg_get(old, "status"), ""), status) == 0)
		return;
	struct kg_value now = kg_now_value(x->r);
	struct kg_value c = kg_v_obj(a, "type", kg_v_lit(type), "status", kg_v_lit(status),
		"reason", kg_v_str(a, reason), "message", kg_v_str(a, message), "lastProbeTime",
		now, "lastTransitionTime", now, (char *)NULL);
	x->status = kg_with_condition(a, &x->status, c);
}

/* ---- reasons to end ---- */

static bool fail(struct kg_job_sync *x, const char *reason, const char *message)
{
	kg_job_condition(x, "FailureTarget", "True", reason, message);
	return true;
}

static bool succeed(struct kg_job_sync *x, const char *reason, const char *message)
{
	kg_job_condition(x, "SuccessCriteriaMet", "True", reason, message);
	return true;
}

static int64_t restarts(const struct kg_object *pod)
{
	static const char *const lists[] = {
		"status.initContainerStatuses", "status.containerStatuses"};
	int64_t n = 0;
	for (size_t l = 0; l < 2; l++) {
		const struct kg_value *list = kg_at(kg_obj(pod), lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++)
			n += kg_int(kg_get(&list->items[i], "restartCount"), 0);
	}
	return n;
}

/* With restartPolicy OnFailure it is the restarts of containers that count, too. */
static bool past_limit(const struct kg_job_sync *x)
{
	int64_t limit = kg_int(kg_get(x->spec, "backoffLimit"), 6), n = 0;
	if (x->failed > limit)
		return true;
	if (strcmp(kg_string(kg_at(x->spec, "template.spec.restartPolicy"), ""), "OnFailure") != 0)
		return false;
	for (size_t i = 0; i < x->pods.n; i++)
		if (kg_pod_active(x->pods.v[i]))
			n += restarts(x->pods.v[i]);
	return limit == 0 ? n > 0 : n >= limit;
}

static bool past_deadline(struct kg_job_sync *x)
{
	const struct kg_value *deadline = kg_get(x->spec, "activeDeadlineSeconds");
	kg_time start = kg_time_of(kg_get(&x->status, "startTime"), KG_TIME_NEVER);
	if (kg_is_null(deadline) || x->suspended)
		return false;
	if (start == KG_TIME_NEVER) /* it starts in this run */
		start = x->r->now;
	kg_time due = start + kg_seconds(deadline, 0);
	if (due <= x->r->now)
		return true;
	kg_wake(x->r, due);
	return false;
}

static bool indexes_failed(struct kg_job_sync *x)
{
	int64_t lost = kg_indexes_count(&x->lost);
	const struct kg_value *max = kg_get(x->spec, "maxFailedIndexes");
	if (!x->per_index || !lost)
		return false;
	if (!kg_is_null(max) && lost > kg_int(max, 0))
		return fail(x, "MaxFailedIndexesExceeded",
			"Job has exceeded the specified maximal number of failed indexes");
	if (x->succeeded + lost >= x->completions)
		return fail(x, "FailedIndexes", "Job has failed indexes");
	return false;
}

static bool completed(struct kg_job_sync *x)
{
	int rule = kg_job_success(x);
	if (rule >= 0)
		return succeed(x, "SuccessPolicy",
			kg_arena_printf(&x->r->a, "Matched rules at index %d", rule));
	bool all = x->completions < 0 ? x->succeeded > 0 && x->active == 0
				      : x->succeeded >= x->completions;
	if (x->completions < 0 && x->only_failed && x->terminating)
		all = false;
	return all && succeed(x, "CompletionsReached", "Reached expected number of succeeded pods");
}

bool kg_job_judge(struct kg_job_sync *x)
{
	if (kg_job_condition_is(x, "SuccessCriteriaMet") || kg_job_condition_is(x, "FailureTarget"))
		return true;
	/* Of several reasons in one commit a failure counts, as in Kubernetes' one sync. */
	if (x->policy_message)
		return fail(x, "PodFailurePolicy", x->policy_message);
	if (past_limit(x))
		return fail(
			x, "BackoffLimitExceeded", "Job has reached the specified backoff limit");
	if (past_deadline(x))
		return fail(x, "DeadlineExceeded", "Job was active longer than specified deadline");
	return indexes_failed(x) || completed(x);
}

void kg_job_end(struct kg_job_sync *x)
{
	if (x->active || x->terminating)
		return;
	bool won = kg_job_condition_is(x, "SuccessCriteriaMet");
	const struct kg_value *c =
		kg_condition(&x->status, won ? "SuccessCriteriaMet" : "FailureTarget");
	kg_job_condition(x, won ? "Complete" : "Failed", "True", kg_string(kg_get(c, "reason"), ""),
		kg_string(kg_get(c, "message"), ""));
	if (won)
		x->status = kg_with_key(&x->r->a, &x->status, "completionTime", kg_now_value(x->r));
}

/* ---- what is written ---- */

static const char *indexes_text(struct kg_job_sync *x, const struct kg_indexes *set)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_indexes_write(&b, set);
	return kg_arena_strdup(&x->r->a, kg_buf_str(&b));
}

static const char *backoff_text(const struct kg_job_sync *x)
{
	return x->in_row ? kg_arena_printf(&x->r->a, "%lld@%lld", (long long)x->in_row,
				   (long long)x->last_fail)
			 : NULL;
}

static const char *waiting_text(const struct kg_job_sync *x)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < x->nwaiting; i++)
		kg_buf_addf(&b, "%s%lld:%lld:%lld@%lld", i ? "," : "",
			(long long)x->waiting[i].index, (long long)x->waiting[i].count,
			(long long)x->waiting[i].ignored, (long long)x->waiting[i].last);
	return b.len ? kg_arena_strdup(&x->r->a, kg_buf_str(&b)) : NULL;
}

static struct kg_value note(
	struct kg_job_sync *x, struct kg_value v, const char *key, const char *text)
{
	if (!text && !kg_annotation(x->job, key, NULL))
		return v;
	return kg_with_annotation(&x->r->a, &v, key, text);
}

void kg_job_put_status(struct kg_job_sync *x)
{
	struct kg_arena *a = &x->r->a;
	struct kg_value st = x->status;
	st = kg_with_key(a, &st, "active", kg_count_or_null(x->active));
	st = kg_with_key(a, &st, "ready", kg_v_int(x->ready));
	st = kg_with_key(a, &st, "terminating", kg_v_int(x->terminating));
	st = kg_with_key(a, &st, "succeeded", kg_count_or_null(x->succeeded));
	st = kg_with_key(a, &st, "failed", kg_count_or_null(x->failed));
	if (x->indexed && x->done.n)
		st = kg_with_key(
			a, &st, "completedIndexes", kg_v_str(a, indexes_text(x, &x->done)));
	if (x->per_index)
		st = kg_with_key(a, &st, "failedIndexes", kg_v_str(a, indexes_text(x, &x->lost)));
	struct kg_value v = kg_with_key(a, kg_obj(x->job), "status", st);
	if (x->created)
		v = kg_with_created(x->r, &v, x->created);
	bool ended = kg_job_condition_is(x, "Complete") || kg_job_condition_is(x, "Failed");
	v = note(x, v, KG_BACKOFF_ANNOTATION, ended ? NULL : backoff_text(x));
	v = note(x, v, KG_INDEX_FAILURES_ANNOTATION, ended ? NULL : waiting_text(x));
	kg_put_value(x->r, x->job, &v);
}
