/*
 * A cluster simulated with seeded chance, as sim_test's, for the workloads whose pods are not all
 * alike: StatefulSets, DaemonSets, Jobs, CronJobs. What nodes really run is kept beside the
 * cluster: a lost node goes on running what it ran. After every commit the invariants hold; when
 * chance ends, everything desired is reached.
 */
#include "base/map.h"
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 4, SETS = 2, JOBS = 2 };

struct set {
	int replicas, image, partition, deletion;
};
struct sim {
	struct kg_harness h;
	uint64_t seed;
	bool up[NODES];
	struct kg_map running[NODES]; /* pod key -> uid (owned): what the node really runs */
	struct set sets[SETS];
	int daemon_image, daemon_unavailable;
	int jobs_made;
	struct kg_map succeeded; /* job uid -> how many of its pods were told to have succeeded */
	struct kg_map counted;   /* pod uids among them */
};

static uint64_t chance(struct sim *s, uint64_t n)
{
	return kg_harness_chance(&s->seed, n);
}

static int node_index(const char *name)
{
	return *name ? atoi(name + 5) : -1;
}

static const char *owner_kind(const struct kg_object *obj)
{
	return kg_string(kg_get(kg_owner_ref(obj), "kind"), "");
}

static const char *owner_name(const struct kg_object *obj)
{
	return kg_string(kg_get(kg_owner_ref(obj), "name"), "");
}

static int64_t status_of(const struct kg_object *obj, const char *field)
{
	return kg_int(kg_get(kg_get(kg_obj(obj), "status"), field), 0);
}

/* ---- what nodes really run ---- */

static void forget(struct kg_map *m)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(m, &i));)
		free(e->value);
	kg_map_clear(m);
}

/* A node that is up runs what is bound to it until it has let go of it. */
static void follow(struct sim *s)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	for (int i = 0; i < NODES; i++)
		if (s->up[i])
			forget(&s->running[i]);
	kg_iter_kind(&it, s->h.s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		int i = node_index(kg_pod_node(pod));
		if (i >= 0 && s->up[i] && !kg_pod_terminal(pod))
			free(kg_map_put(&s->running[i], pod->key, kg_strdup(kg_object_uid(pod))));
	}
	kg_iter_release(&it);
}

static void check_nobody_twice(struct sim *s)
{
	struct kg_map all = KG_MAP_INIT;
	for (int i = 0; i < NODES; i++) {
		struct kg_map_entry *e;
		for (size_t k = 0; (e = kg_map_next(&s->running[i], &k));)
			if (strncmp(e->key, "default/set-", 12) == 0)
				assert_null(kg_map_put(&all, e->key, e->value));
	}
	kg_map_release(&all);
}

/* ---- StatefulSets ---- */

static const struct kg_object *set_pod(const struct kg_snapshot *s, int set, int ordinal)
{
	char name[32];
	snprintf(name, sizeof(name), "set-%d-%d", set, ordinal);
	return kg_snapshot_get(s, KG_KIND_POD, "default", name);
}

static bool is_same(const struct kg_object *a, const struct kg_object *b)
{
	return a && b && strcmp(kg_object_uid(a), kg_object_uid(b)) == 0;
}

/* The first set is ordered, the second parallel. */
static void check_set(struct sim *s, int i, const struct kg_snapshot *before)
{
	char name[16];
	snprintf(name, sizeof(name), "set-%d", i);
	const struct kg_object *set = kg_snapshot_get(s->h.s, KG_KIND_STATEFULSET, "default", name);
	if (!set)
		return;
	const char *current = kg_string(kg_at(kg_obj(set), "status.currentRevision"), "");
	const char *update = kg_string(kg_at(kg_obj(set), "status.updateRevision"), "");
	for (int k = 0; k < s->sets[i].replicas; k++) {
		const struct kg_object *pod = set_pod(s->h.s, i, k);
		if (!pod || is_same(pod, set_pod(before, i, k)))
			continue;
		for (int j = 0; i == 0 && j < k; j++) {
			const struct kg_object *lower = set_pod(s->h.s, i, j);
			assert_true(lower && kg_pod_active(lower) && kg_object_ready(lower));
		}
		const char *rev = kg_string(
			kg_get(kg_at(kg_obj(pod), "metadata.labels"), "controller-revision-hash"),
			"");
		assert_string_equal(rev, k < s->sets[i].partition ? current : update);
	}
}

static void push_set(struct sim *s, int i)
{
	static const char *const how[] = {"background", "foreground", "orphan"};
	const struct set *x = &s->sets[i];
	char path[32], text[1000];
	snprintf(path, sizeof(path), "set-%d.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: StatefulSet\n"
		"metadata: {name: set-%d, annotations: {kgit/deletion: %s}}\nspec:\n"
		"  replicas: %d\n  podManagementPolicy: %s\n"
		"  updateStrategy: {rollingUpdate: {partition: %d}}\n"
		"  selector: {matchLabels: {set: s%d}}\n  template:\n"
		"    metadata: {labels: {set: s%d}}\n"
		"    spec: {containers: [{name: c, image: 'i:%d'}]}\n",
		i, how[x->deletion], x->replicas, i ? "Parallel" : "OrderedReady", x->partition, i,
		i, x->image);
	kg_harness_push(&s->h, path, text);
}

static void remove_set(struct sim *s, int i)
{
	char path[32];
	snprintf(path, sizeof(path), "set-%d.yaml", i);
	kg_harness_push(&s->h, path, "");
}

/* ---- the DaemonSet ---- */

static void count_daemons(const struct kg_snapshot *s, int *active, int *available)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	memset(active, 0, NODES * sizeof(*active));
	*available = 0;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		if (strcmp(owner_kind(pod), "DaemonSet") != 0 || !kg_pod_active(pod))
			continue;
		int i = node_index(kg_pod_node(pod));
		if (i >= 0)
			active[i]++;
		*available += kg_object_ready(pod);
	}
	kg_iter_release(&it);
}

static void check_daemons(struct sim *s)
{
	int active[NODES], available;
	count_daemons(s->h.s, active, &available);
	for (int i = 0; i < NODES; i++)
		assert_in_range(active[i], 0, 1);
}

static void push_daemon(struct sim *s)
{
	char text[1000];
	snprintf(text, sizeof(text),
		"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n"
		"  updateStrategy: {rollingUpdate: {maxUnavailable: %d}}\n"
		"  selector: {matchLabels: {app: agent}}\n  template:\n"
		"    metadata: {labels: {app: agent}}\n"
		"    spec: {containers: [{name: c, image: 'i:%d'}]}\n",
		s->daemon_unavailable, s->daemon_image);
	kg_harness_push(&s->h, "agent.yaml", text);
}

/* ---- Jobs ---- */

static void check_job(struct sim *s, const struct kg_object *job)
{
	struct kg_map indexes = KG_MAP_INIT;
	struct kg_object_iter it;
	const struct kg_object *pod;
	int64_t active = 0, told = (intptr_t)kg_map_get(&s->succeeded, kg_object_uid(job));
	kg_iter_index(&it, s->h.s, KG_INDEX_OWNER, kg_object_uid(job));
	while ((pod = kg_iter_next(&it))) {
		const char *index =
			kg_annotation(pod, "batch.kubernetes.io/job-completion-index", NULL);
		assert_null(kg_annotation(pod, "kgit/gone", NULL));
		if (kg_pod_terminal(pod)) /* it was counted in the commit that told of it */
			assert_int_equal(kg_len(kg_at(kg_obj(pod), "metadata.finalizers")), 0);
		if (!kg_pod_active(pod))
			continue;
		active++;
		if (index)
			assert_null(kg_map_put(&indexes, index, s));
	}
	kg_iter_release(&it);
	kg_map_release(&indexes);
	int64_t done = status_of(job, "succeeded");
	int64_t completions = kg_int(kg_at(kg_obj(job), "spec.completions"), 0);
	bool complete = kg_condition_is_true(kg_get(kg_obj(job), "status"), "Complete");
	assert_int_equal(active, status_of(job, "active"));
	assert_true(active <= kg_int(kg_at(kg_obj(job), "spec.parallelism"), 1));
	assert_int_equal(done, told);
	assert_true(!complete || done == completions);
}

static void check_jobs(struct sim *s)
{
	struct kg_object_iter it;
	const struct kg_object *job;
	kg_iter_kind(&it, s->h.s, KG_KIND_JOB, NULL, NULL);
	while ((job = kg_iter_next(&it)))
		check_job(s, job);
	kg_iter_release(&it);
}

/* Another Job in the place of an earlier one: its file goes, and it is pushed under a new name. */
static void push_job(struct sim *s)
{
	int i = (int)chance(s, JOBS), completions = 1 + (int)chance(s, 6);
	char path[32], text[1000];
	snprintf(path, sizeof(path), "job-%d.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: job-%d}\nspec:\n"
		"  completions: %d\n  parallelism: %d\n  backoffLimit: %d\n"
		"  completionMode: %s\n%s  podReplacementPolicy: %s\n"
		"  template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}\n",
		s->jobs_made++, completions, 1 + (int)chance(s, 4), 3 + (int)chance(s, 20),
		i ? "Indexed" : "NonIndexed",
		i && chance(s, 2) ? "  backoffLimitPerIndex: 2\n" : "",
		chance(s, 2) ? "Failed" : "TerminatingOrFailed");
	kg_harness_push(&s->h, path, text);
}

/* ---- all of it ---- */

static void check(struct sim *s, const struct kg_snapshot *before)
{
	follow(s);
	check_nobody_twice(s);
	for (int i = 0; i < SETS; i++)
		check_set(s, i, before);
	check_daemons(s);
	check_jobs(s);
}

static void run(struct sim *s, struct kg_inputs *in)
{
	struct kg_snapshot *before = kg_snapshot_ref(s->h.s);
	struct kg_error err;
	if (kg_harness_run(&s->h, in, &err) < 0)
		fail_msg("reconcile: %s", err.msg);
	check(s, before);
	kg_snapshot_unref(before);
}

static void change(struct sim *s)
{
	struct kg_snapshot *before = kg_snapshot_ref(s->h.s);
	int i = (int)chance(s, SETS);
	switch (chance(s, 4)) {
	case 0:
		s->sets[i].deletion = (int)chance(s, 3);
		s->sets[i].replicas = (int)chance(s, 5);
		s->sets[i].image = (int)chance(s, 3);
		s->sets[i].partition = (int)chance(s, 3);
		push_set(s, i);
		break;
	case 1:
		s->daemon_image = (int)chance(s, 3);
		s->daemon_unavailable = 1 + (int)chance(s, 2);
		push_daemon(s);
		break;
	case 2:
		remove_set(s, i);
		break;
	default:
		push_job(s);
	}
	check(s, before);
	kg_snapshot_unref(before);
}

static void note_success(struct sim *s, const struct kg_object *pod)
{
	const char *job = kg_object_owner_uid(pod);
	if (kg_map_put(&s->counted, kg_object_uid(pod), s))
		return;
	kg_map_put(&s->succeeded, job, (void *)((intptr_t)kg_map_get(&s->succeeded, job) + 1));
}

/* What a node says of a pod of its own; false: nothing. */
static bool report_one(struct sim *s, struct kg_arena *a, const struct kg_object *pod, bool bad,
	struct kg_input_pod_status *out)
{
	bool job = strcmp(owner_kind(pod), "Job") == 0;
	*out = (struct kg_input_pod_status){.node = kg_pod_node(pod),
		.ns = pod->ns,
		.name = pod->name,
		.uid = kg_object_uid(pod),
		.gone = kg_object_deleting(pod)};
	if (out->gone)
		return true;
	if (kg_pod_terminal(pod))
		return false;
	if (bad && chance(s, 2) == 0)
		out->status = kg_v_obj(a, "phase", kg_v_lit("Failed"), (char *)NULL);
	else if (job && kg_object_ready(pod))
		out->status = kg_v_obj(a, "phase", kg_v_lit("Succeeded"), (char *)NULL);
	else if (bad || !kg_object_ready(pod))
		out->status = kg_sim_running(a, pod, !bad, s->h.now);
	else
		return false;
	if (job && strcmp(kg_string(kg_get(&out->status, "phase"), ""), "Succeeded") == 0)
		note_success(s, pod);
	return true;
}

static bool report(struct sim *s, uint64_t odds, bool bad)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *held = kg_snapshot_ref(s->h.s);
	struct kg_input_pod_status *v = NULL;
	size_t n = 0, cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		int i = node_index(kg_pod_node(pod));
		if (i < 0 || !s->up[i] || chance(s, odds) != 0)
			continue;
		KG_GROW(v, cap, n + 1);
		n += report_one(s, &a, pod, bad, &v[n]);
	}
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	if (n)
		run(s, &in);
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
	return n > 0;
}

/* A step in which nothing fails does not take the DaemonSet below what was agreed. */
static bool report_gently(struct sim *s, uint64_t odds)
{
	int active[NODES], before, after;
	count_daemons(s->h.s, active, &before);
	bool any = report(s, odds, false);
	count_daemons(s->h.s, active, &after);
	const struct kg_object *ds = kg_snapshot_get(s->h.s, KG_KIND_DAEMONSET, "default", "agent");
	if (ds && before >= NODES - s->daemon_unavailable)
		assert_true(after >= NODES - s->daemon_unavailable);
	return any;
}

static void set_node(struct sim *s, int i, bool up)
{
	struct kg_snapshot *before = kg_snapshot_ref(s->h.s);
	char name[16];
	snprintf(name, sizeof(name), "node-%d", i);
	s->up[i] = up;
	kg_harness_liveness(&s->h, name, up);
	check(s, before);
	kg_snapshot_unref(before);
}

static void advance(struct sim *s, int64_t ms)
{
	kg_time end = s->h.now + ms;
	while (kg_harness_due(&s->h, end)) {
		struct kg_inputs in = {0};
		run(s, &in);
		assert_true(s->h.wake_at > s->h.now);
	}
}

static void sim_init(struct sim *s, uint64_t seed)
{
	*s = (struct sim){.seed = seed * UINT64_C(0x9e3779b97f4a7c15) + 1, .daemon_unavailable = 1};
	kg_harness_init(&s->h, NULL);
	s->h.check = true;
	kg_harness_nodes(&s->h, NODES, "8", "16Gi");
	for (int i = 0; i < NODES; i++)
		s->up[i] = true;
	kg_harness_push(&s->h, "cron.yaml",
		"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: cron}\nspec:\n"
		"  schedule: '*/7 * * * *'\n  concurrencyPolicy: Forbid\n"
		"  jobTemplate: {spec: {backoffLimit: 20, template: {spec: {restartPolicy: Never,\n"
		"    containers: [{name: c, image: i}]}}}}\n");
}

static void sim_release(struct sim *s)
{
	for (int i = 0; i < NODES; i++) {
		forget(&s->running[i]);
		kg_map_release(&s->running[i]);
	}
	kg_map_release(&s->succeeded);
	kg_map_release(&s->counted);
	kg_harness_release(&s->h);
}

static void one_round(struct sim *s)
{
	int i = (int)chance(s, NODES);
	switch (chance(s, 9)) {
	case 0:
	case 1:
		change(s);
		break;
	case 2:
		report(s, 6, true);
		break;
	case 3:
		set_node(s, i, !s->up[i]);
		break;
	case 4:
		advance(s, (int64_t)chance(s, 400000));
		break;
	default:
		report_gently(s, 2);
	}
	s->h.now += 500;
}

static void check_reached(struct sim *s)
{
	int active[NODES], available;
	struct kg_object_iter it;
	const struct kg_object *obj;
	count_daemons(s->h.s, active, &available);
	if (kg_snapshot_get(s->h.s, KG_KIND_DAEMONSET, "default", "agent"))
		assert_int_equal(available, NODES);
	kg_iter_kind(&it, s->h.s, KG_KIND_STATEFULSET, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		const struct set *x = &s->sets[atoi(obj->name + 4)];
		int64_t update = x->replicas - x->partition;
		assert_int_equal(status_of(obj, "replicas"), x->replicas);
		assert_int_equal(status_of(obj, "readyReplicas"), x->replicas);
		assert_true(status_of(obj, "updatedReplicas") >= update);
	}
	kg_iter_release(&it);
	kg_iter_kind(&it, s->h.s, KG_KIND_JOB, NULL, NULL);
	while ((obj = kg_iter_next(&it))) {
		const struct kg_value *status = kg_get(kg_obj(obj), "status");
		if (strcmp(owner_name(obj), "cron") != 0) /* a CronJob's may have just begun */
			assert_true(kg_condition_is_true(status, "Complete") ||
				    kg_condition_is_true(status, "Failed"));
	}
	kg_iter_release(&it);
}

static void all_reached(struct sim *s)
{
	for (int i = 0; i < NODES; i++)
		if (!s->up[i])
			set_node(s, i, true);
	/* Long enough for the longest back-off between the reports. */
	for (int rounds = 0; rounds < 150; rounds++) {
		advance(s, rounds % 4 ? 2000 : 61000);
		report_gently(s, 1);
	}
	check_reached(s);
}

static uint64_t seeds = 8; /* sim_workloads_test N: more of them */

static void test_simulation(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct sim s;
		sim_init(&s, seed);
		for (int i = 0; i < 150; i++)
			one_round(&s);
		all_reached(&s);
		sim_release(&s);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seeds = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_simulation)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
