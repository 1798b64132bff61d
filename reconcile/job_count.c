/* Pods that ended are counted, each once, and then let go of. */
#include "reconcile/job.h"

#include <string.h>

static bool is_counted(const struct kg_object *pod)
{
	return kg_len(kg_at(kg_obj(pod), "metadata.finalizers")) == 0;
}

static bool is_success(const struct kg_object *pod)
{
	return strcmp(kg_string(kg_at(kg_obj(pod), "status.phase"), ""), "Succeeded") == 0;
}

/* ---- failures of single indexes ---- */

static size_t find_waiting(const struct kg_job_sync *x, int64_t index)
{
	size_t lo = 0, hi = x->nwaiting;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (x->waiting[mid].index < index)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct kg_index_failure *kg_job_waiting(struct kg_job_sync *x, int64_t index)
{
	size_t i = find_waiting(x, index);
	return i < x->nwaiting && x->waiting[i].index == index ? &x->waiting[i] : NULL;
}

void kg_job_forget_waiting(struct kg_job_sync *x, int64_t index)
{
	struct kg_index_failure *f = kg_job_waiting(x, index);
	if (!f)
		return;
	size_t i = (size_t)(f - x->waiting);
	memmove(f, f + 1, (x->nwaiting - i - 1) * sizeof(*f));
	x->nwaiting--;
}

static void add_waiting(struct kg_job_sync *x, struct kg_index_failure f)
{
	size_t i = find_waiting(x, f.index);
	if (i < x->nwaiting && x->waiting[i].index == f.index) {
		x->waiting[i] = f;
		return;
	}
	KG_GROW(x->waiting, x->waiting_cap, x->nwaiting + 1);
	memmove(&x->waiting[i + 1], &x->waiting[i], (x->nwaiting - i) * sizeof(f));
	x->waiting[i] = f;
	x->nwaiting++;
}

static int64_t number(const struct kg_object *pod, const char *key)
{
	return strtoll(kg_annotation(pod, key, "0"), NULL, 10);
}

static void fail_index(
	struct kg_job_sync *x, const struct kg_object *pod, int64_t index, enum kg_pod_failure what)
{
	struct kg_index_failure f = {.index = index, .last = x->r->now};
	f.count = number(pod, "batch.kubernetes.io/job-index-failure-count");
	f.ignored = number(pod, "batch.kubernetes.io/job-index-ignored-failure-count");
	if (what == KG_FAILURE_IGNORE)
		f.ignored++;
	else
		f.count++;
	int64_t limit = kg_int(kg_get(x->spec, "backoffLimitPerIndex"), 0);
	if (what == KG_FAILURE_INDEX || f.count > limit) {
		kg_indexes_add(&x->lost, index);
		kg_job_forget_waiting(x, index);
	} else if (!kg_indexes_has(&x->done, index)) {
		add_waiting(x, f);
	}
}

/* ---- counting ---- */

static void count_success(struct kg_job_sync *x, const struct kg_object *pod)
{
	int64_t index = kg_job_index_of(x, pod);
	x->in_row = 0;
	if (!x->indexed)
		x->succeeded++;
	else if (index >= 0 && kg_indexes_add(&x->done, index))
		x->succeeded++;
	if (x->per_index && index >= 0)
		kg_job_forget_waiting(x, index);
}

static void count_failure(struct kg_job_sync *x, const struct kg_object *pod)
{
	const char *message = NULL;
	int64_t index = kg_job_index_of(x, pod);
	if (x->indexed && index < 0)
		return;
	enum kg_pod_failure what = kg_job_failure(x, pod, &message);
	if (what == KG_FAILURE_JOB && !x->policy_message)
		x->policy_message = message;
	if (x->per_index)
		fail_index(x, pod, index, what);
	if (what == KG_FAILURE_IGNORE)
		return;
	x->failed++;
	x->in_row++;
	x->last_fail = x->r->now;
}

/* Its value points into the pod, which the list holds. */
static void let_go(struct kg_job_sync *x, const struct kg_object *pod)
{
	const struct kg_object *now = kg_snapshot_get_key(kg_now(x->r), KG_KIND_POD, pod->key);
	struct kg_value v = kg_with(&x->r->a, kg_obj(now), "metadata.finalizers", kg_v_null());
	kg_put_value(x->r, now, &v);
}

static bool is_due(const struct kg_job_sync *x, const struct kg_object *pod)
{
	return !is_counted(pod) && kg_job_pod_ended(x, pod);
}

void kg_job_count(struct kg_job_sync *x)
{
	/* Successes first: what failed in the same commit counts as the later. */
	for (size_t i = 0; i < x->pods.n; i++)
		if (is_due(x, x->pods.v[i]) && is_success(x->pods.v[i]))
			count_success(x, x->pods.v[i]);
	for (size_t i = 0; i < x->pods.n; i++)
		if (is_due(x, x->pods.v[i]) && !is_success(x->pods.v[i]))
			count_failure(x, x->pods.v[i]);
	for (size_t i = 0; i < x->pods.n; i++)
		if (is_due(x, x->pods.v[i]))
			let_go(x, x->pods.v[i]);
}
