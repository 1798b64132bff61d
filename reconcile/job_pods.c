/* As many active pods as a Job shall have now: made where the back-off allows it, removed where
 * there are too many. */
#include "reconcile/job.h"

#include <stdio.h>
#include <string.h>

#define BACKOFF_FIRST INT64_C(10000)
#define BACKOFF_MAX   INT64_C(360000)
/* Pods made in one commit: the next of them follow a moment later. */
#define MAKE_MAX 10000

/* ---- removing ---- */

static void remove_pod(struct kg_job_sync *x, const struct kg_object *pod, bool counted)
{
	const struct kg_object *now = kg_snapshot_get_key(kg_now(x->r), KG_KIND_POD, pod->key);
	if (!counted) { /* let go of before, so that it is not counted as a failure */
		struct kg_value v =
			kg_with(&x->r->a, kg_obj(now), "metadata.finalizers", kg_v_null());
		kg_put_value(x->r, now, &v);
		now = kg_snapshot_get_key(kg_now(x->r), KG_KIND_POD, pod->key);
	}
	kg_pod_delete(x->r, now);
	now = kg_snapshot_get_key(kg_now(x->r), KG_KIND_POD, pod->key);
	x->active--;
	x->ready -= kg_object_ready(pod);
	x->terminating += now && !kg_pod_terminal(now);
}

void kg_job_stop(struct kg_job_sync *x, bool counted)
{
	for (size_t i = 0; i < x->pods.n; i++)
		if (kg_pod_active(x->pods.v[i]))
			remove_pod(x, x->pods.v[i], counted);
}

struct candidate {
	const struct kg_object *pod;
	int64_t index;
	bool surplus; /* its index is done, or another pod has it */
	int order;    /* waiting, not ready, ready */
};

static int cmp_candidate(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	if (x->surplus != y->surplus)
		return x->surplus ? -1 : 1;
	if (x->order != y->order)
		return x->order - y->order;
	if (x->index != y->index) /* the highest goes first */
		return x->index > y->index ? -1 : 1;
	kg_time s = kg_object_created(x->pod), t = kg_object_created(y->pod);
	if (s != t)
		return s > t ? -1 : 1;
	return strcmp(x->pod->name, y->pod->name);
}

static int order_of(const struct kg_object *pod)
{
	return !*kg_pod_node(pod) ? 0 : kg_object_ready(pod) ? 2 : 1;
}

/* Active pods of indexes that need none are surplus; fills `taken` with the others' indexes. */
static size_t candidates(
	struct kg_job_sync *x, struct candidate *out, struct kg_indexes *taken, size_t *surplus)
{
	size_t n = 0;
	*surplus = 0;
	for (size_t i = 0; i < x->pods.n; i++) {
		const struct kg_object *pod = x->pods.v[i];
		int64_t index = kg_job_index_of(x, pod);
		if (!kg_pod_active(pod))
			continue;
		bool extra = x->indexed && (index < 0 || kg_indexes_has(&x->done, index) ||
						   kg_indexes_has(&x->lost, index) ||
						   !kg_indexes_add(taken, index));
		*surplus += extra;
		out[n++] = (struct candidate){
			.pod = pod, .index = index, .surplus = extra, .order = order_of(pod)};
	}
	return n;
}

/* ---- making ---- */

static struct kg_value with_index_env(struct kg_arena *a, const struct kg_value *containers)
{
	struct kg_value path =
		kg_v_obj(a, "fieldPath", kg_v_lit("metadata.annotations['" KG_JOB_INDEX "']"),
			"apiVersion", kg_v_lit("v1"), (char *)NULL);
	struct kg_value env = kg_v_obj(a, "name", kg_v_lit("JOB_COMPLETION_INDEX"), "valueFrom",
		kg_v_obj(a, "fieldRef", path, (char *)NULL), (char *)NULL);
	struct kg_value *items = kg_arena_alloc(a, (kg_len(containers) + 1) * sizeof(*items));
	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *old = kg_get(&containers->items[i], "env");
		bool has = !kg_is_null(kg_find(old, "name", "JOB_COMPLETION_INDEX"));
		items[i] = containers->items[i];
		if (!has)
			items[i] = kg_with_key(a, &items[i], "env", kg_with_item(a, old, env));
	}
	return kg_v_array(a, items, kg_len(containers));
}

/* The template with what all pods of the Job get beside it. */
static struct kg_value effective_template(struct kg_job_sync *x)
{
	struct kg_arena *a = &x->r->a;
	struct kg_value v = *kg_get(x->spec, "template");
	struct kg_value tracking = kg_v_lit("batch.kubernetes.io/job-tracking");
	v = kg_with(a, &v, "metadata.finalizers", kg_v_array(a, &tracking, 1));
	if (!x->indexed)
		return v;
	static const char *const lists[] = {"spec.initContainers", "spec.containers"};
	for (size_t i = 0; i < 2; i++)
		if (kg_len(kg_at(&v, lists[i])))
			v = kg_with(a, &v, lists[i], with_index_env(a, kg_at(&v, lists[i])));
	return v;
}

static struct kg_value with_index(struct kg_job_sync *x, struct kg_value v, int64_t index)
{
	struct kg_arena *a = &x->r->a;
	const char *text = kg_arena_printf(a, "%lld", (long long)index);
	v = kg_with_annotation(a, &v, KG_JOB_INDEX, text);
	v = kg_with_label(a, &v, KG_JOB_INDEX, text);
	v = kg_with(
		a, &v, "metadata.generateName", kg_v_strf(a, "%.*s-%s-", 50, x->job->name, text));
	v = kg_with(a, &v, "spec.hostname", kg_v_strf(a, "%s-%s", x->job->name, text));
	if (!x->per_index)
		return v;
	struct kg_index_failure *f = kg_job_waiting(x, index);
	v = kg_with_annotation(a, &v, "batch.kubernetes.io/job-index-failure-count",
		kg_arena_printf(a, "%lld", f ? (long long)f->count : 0));
	if (f && f->ignored)
		v = kg_with_annotation(a, &v, "batch.kubernetes.io/job-index-ignored-failure-count",
			kg_arena_printf(a, "%lld", (long long)f->ignored));
	kg_job_forget_waiting(x, index);
	return v;
}

static int64_t backoff(int64_t failures)
{
	int64_t ms = BACKOFF_FIRST;
	for (int64_t i = 1; i < failures && ms < BACKOFF_MAX; i++)
		ms *= 2;
	return failures <= 0 ? 0 : ms < BACKOFF_MAX ? ms : BACKOFF_MAX;
}

struct maker {
	struct kg_mould mould;
	struct kg_value pod;
};

/* False where the pod may not come to be. */
static bool make(struct kg_job_sync *x, struct maker *m, int64_t index)
{
	char name[300];
	int64_t before = x->created;
	struct kg_value v = m->pod;
	const char *stem = x->job->name;
	if (index >= 0) {
		v = with_index(x, v, index);
		stem = kg_arena_printf(&x->r->a, "%.50s-%lld", stem, (long long)index);
	}
	kg_pod_name(name, x->r, x->job, stem, &x->created);
	if (!kg_mould_put(&m->mould, x->r, x->job->ns, name, &v)) {
		x->created = before;
		return false;
	}
	x->active++;
	return true;
}

/* Whether an index may be tried (again) now; where it must wait the Job is woken. */
static bool may_try(struct kg_job_sync *x, int64_t index)
{
	struct kg_index_failure *f = x->per_index ? kg_job_waiting(x, index) : NULL;
	kg_time due = f ? f->last + backoff(f->count + f->ignored) : 0;
	if (due <= x->r->now)
		return true;
	kg_wake(x->r, due);
	return false;
}

/* The lowest indexes that have no pod. */
static void make_indexed(
	struct kg_job_sync *x, struct maker *m, int64_t count, struct kg_indexes *taken)
{
	for (size_t i = 0; x->only_failed && i < x->pods.n; i++) {
		int64_t index = kg_job_index_of(x, x->pods.v[i]);
		if (index >= 0 && kg_object_deleting(x->pods.v[i]) &&
			!kg_pod_terminal(x->pods.v[i]))
			kg_indexes_add(taken, index);
	}
	for (int64_t i = 0; i < x->completions && count > 0; i++) {
		int64_t free = kg_indexes_gap(
			&x->lost, kg_indexes_gap(&x->done, kg_indexes_gap(taken, i)));
		if (free > i) {
			i = free - 1; /* which another set may hold */
			continue;
		}
		if (!may_try(x, i))
			continue;
		if (!make(x, m, i))
			return;
		count--;
	}
}

static void add_pods(struct kg_job_sync *x, int64_t count, struct kg_indexes *taken)
{
	KG_CLEANUP(kg_mould_release) struct kg_mould mould = {0};
	struct kg_value template = effective_template(x);
	kg_mould_make(&mould, x->r, &template, NULL);
	struct maker m = {.mould = mould};
	m.pod = kg_mould_pod(
		&mould, x->r, x->job, kg_arena_printf(&x->r->a, "%.57s-", x->job->name));
	if (count > MAKE_MAX) {
		count = MAKE_MAX;
		kg_wake(x->r, x->r->now + 1);
	}
	if (x->indexed)
		make_indexed(x, &m, count, taken);
	else
		for (; count > 0 && make(x, &m, -1); count--)
			;
}

static int64_t wanted(const struct kg_job_sync *x)
{
	if (x->completions < 0)
		return x->succeeded ? x->active : x->parallelism;
	int64_t left = x->completions - x->succeeded - kg_indexes_count(&x->lost);
	left = left < 0 ? 0 : left;
	return left < x->parallelism ? left : x->parallelism;
}

void kg_job_manage(struct kg_job_sync *x)
{
	struct kg_arena *a = &x->r->a;
	KG_CLEANUP(kg_indexes_release) struct kg_indexes taken = {0};
	struct candidate *c = kg_arena_alloc(a, (x->pods.n + 1) * sizeof(*c));
	size_t surplus, n = candidates(x, c, &taken, &surplus);
	int64_t want = wanted(x), excess = x->active - want;
	if (excess < (int64_t)surplus)
		excess = (int64_t)surplus;
	if (excess > 0 && n) {
		qsort(c, n, sizeof(*c), cmp_candidate);
		for (int64_t i = 0; i < excess; i++)
			remove_pod(x, c[i].pod, false);
		if (!surplus)
			return;
	}
	int64_t more = want - x->active - (x->only_failed ? x->terminating : 0);
	if (more <= 0)
		return;
	kg_time due = x->last_fail + backoff(x->in_row);
	if (!x->per_index && x->in_row && due > x->r->now)
		kg_wake(x->r, due);
	else
		add_pods(x, more, &taken);
}
