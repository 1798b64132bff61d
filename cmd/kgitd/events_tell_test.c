/* What is told of courses of events: a step, then the Events that it must bring, in Kubernetes'
 * words. A step is "push YAML", "wait SECONDS", "succeeded", "failed" or "evict" (all pods). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "kgitd/events_private.h"

#include "reconcile/harness.h"
#include "reconcile/simulate.h"

#include <string.h>

#define JOB_SPEC "template: {spec: {restartPolicy: Never, containers: [{name: c, image: one}]}}"
#define CRON(schedule, more)                                                                       \
	"push {apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: "        \
	"\"" schedule "\"" more ", jobTemplate: {spec: {" JOB_SPEC "}}}}"
#define JOB(more)                                                                                  \
	"push {apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {" more JOB_SPEC "}}"
#define QUOTA(what)                                                                                \
	"\n---\n{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {" what    \
	"}}}"
#define SET SET_NAMED("db")
#define SET_NAMED(name)                                                                            \
	"push {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: " name                     \
	"}, spec: {selector: "                                                                     \
	"{matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: "        \
	"[{name: c, image: one}]}}, volumeClaimTemplates: [{metadata: {name: data}, spec: "        \
	"{accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: "  \
	"1Gi}}}}]}}"
#define CLASS(provisioner, mode)                                                                   \
	"\n---\n{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast}, "      \
	"provisioner: " provisioner ", volumeBindingMode: " mode "}"
#define WEB WEB_OF("")
#define WEB_OF(more)                                                                               \
	"push {apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {" more           \
	"selector: "                                                                               \
	"{matchLabels: {a: w}}, template: {metadata: {labels: {a: w}}, spec: {containers: "        \
	"[{name: c, image: one}]}}}}"

struct told {
	const char *step, *events; /* those of interest: one that begins so must be told, each
				      ended by \n; "-" before one: it must not */
};
/* 2026-01-01T00:00:00Z, when it begins, is minute 29453760. */
static const struct {
	const char *name;
	struct told steps[6];
} courses[] = {
	{"a schedule",
		{{CRON("* * * * *", ""), NULL},
			{"wait 61", "Normal SuccessfulCreate CronJob/c cronjob-controller: Created "
				    "job c-29453761\n-Warning TooManyMissedTimes\n"},
			{"succeeded", "Normal SawCompletedJob CronJob/c cronjob-controller: Saw "
				      "completed job: c-29453761, condition: Complete\n"
				      "Normal Completed Job/c-29453761 job-controller: Job "
				      "completed\n"}}},
	{"a Job that is still there",
		{{CRON("* * * * *", ", concurrencyPolicy: Forbid"), NULL}, {"wait 61", NULL},
			{"wait 60", "Normal JobAlreadyActive CronJob/c cronjob-controller: Not "
				    "starting job because prior execution is running and "
				    "concurrency policy is Forbid\n"},
			{"wait 30", "-Normal JobAlreadyActive\n"},
			{"wait 30", "Normal JobAlreadyActive\n"}}},
	{"too late",
		{{CRON("*/5 * * * *", ", startingDeadlineSeconds: 20, suspend: true"), NULL},
			{"wait 330", "-Warning MissSchedule\n"},
			{CRON("*/5 * * * *", ", startingDeadlineSeconds: 20"),
				"Warning MissSchedule CronJob/c cronjob-controller: Missed "
				"scheduled time to start a job: Thu, 01 Jan 2026 00:05:00 +0000\n"},
			{"wait 20", "-Warning MissSchedule\n"},
			{"wait 260", "Normal SuccessfulCreate CronJob/c\n-Warning "
				     "MissSchedule\n"}}},
	{"too many",
		{{CRON("* * * * *", ", suspend: true"), NULL}, {"wait 7300", NULL},
			{CRON("* * * * *", ""),
				"Warning TooManyMissedTimes CronJob/c cronjob-controller: too many "
				"missed start times. Set or decrease .spec.startingDeadlineSeconds "
				"or check clock skew\nNormal SuccessfulCreate CronJob/c\n"}}},
	{"not so many, by the starting deadline",
		{{CRON("* * * * *", ", suspend: true, startingDeadlineSeconds: 600"), NULL},
			{"wait 7300", NULL},
			{CRON("* * * * *", ", startingDeadlineSeconds: 600"),
				"-Warning TooManyMissedTimes\nNormal SuccessfulCreate "
				"CronJob/c\n"}}},
	{"none is kept",
		{{CRON("* * * * *", ", successfulJobsHistoryLimit: 0"), NULL},
			{"wait 61", "Normal SuccessfulCreate CronJob/c\n"},
			{"succeeded", "Normal SuccessfulDelete CronJob/c cronjob-controller: "
				      "Deleted job c-29453761\n"}}},
	{"no Job more by the quota",
		{{CRON("* * * * *", "") QUOTA("count/jobs.batch: 0"), NULL},
			{"wait 61", "Warning FailedCreate CronJob/c cronjob-controller: Error "
				    "creating job: jobs.batch \"c-29453761\" is forbidden: "
				    "exceeded quota: q, requested: count/jobs.batch=1, used: "
				    "count/jobs.batch=0, limited: count/jobs.batch=0\n"}}},
	{"a Job that is suspended",
		{{JOB("suspend: true, "), "Normal Suspended Job/j job-controller: Job suspended\n"},
			{JOB("suspend: false, "), "Normal Resumed Job/j job-controller: Job "
						  "resumed\n"},
			{"failed", "-Warning BackoffLimitExceeded\n"}}},
	{"a Job that fails",
		{{JOB("backoffLimit: 0, "), "Normal SuccessfulCreate Job/j job-controller: Created "
					    "pod: j-\n"},
			{"failed", "Warning BackoffLimitExceeded Job/j job-controller: Job has "
				   "reached the specified backoff limit\n"}}},
	{"a StatefulSet's claims",
		{{SET CLASS("kgit.dev/local-path", "WaitForFirstConsumer"),
			"Normal SuccessfulCreate StatefulSet/db statefulset-controller: create "
			"Claim data-db-0 Pod db-0 in StatefulSet db success\n"
			"Normal SuccessfulCreate StatefulSet/db statefulset-controller: create Pod "
			"db-0 in StatefulSet db successful\n"
			"Normal ProvisioningSucceeded PersistentVolumeClaim/data-db-0 "
			"kgit.dev/local-path: Successfully provisioned volume pvc-\n"}}},
	{"claims that wait",
		{{"push {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: "
		  "{accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: "
		  "{storage: 1Gi}}}}" CLASS("kgit.dev/local-path", "WaitForFirstConsumer"),
			"Normal WaitForFirstConsumer PersistentVolumeClaim/a "
			"persistentvolume-controller: waiting for first consumer to be created "
			"before binding\n"}}},
	{"a claim of no class",
		{{"push {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, spec: "
		  "{accessModes: [ReadWriteOnce], storageClassName: \"\", resources: {requests: "
		  "{storage: 1Gi}}}}",
			"Normal FailedBinding PersistentVolumeClaim/a persistentvolume-controller: "
			"no persistent volumes available for this claim and no storage class is "
			"set\n"}}},
	{"a StatefulSet over its quota",
		{{SET CLASS("kgit.dev/local-path", "WaitForFirstConsumer") QUOTA("pods: 0"),
			"Warning FailedCreate StatefulSet/db statefulset-controller: create Pod "
			"db-0 in StatefulSet db failed error: pods \"db-0\" is forbidden: exceeded "
			"quota: q,\n"}}},
	{"a StatefulSet's claim over the quota",
		{{SET CLASS("kgit.dev/local-path", "WaitForFirstConsumer")
				QUOTA("requests.storage: 1Mi"),
			"Warning FailedCreate StatefulSet/db statefulset-controller: create Claim "
			"data-db-0 for Pod db-0 in StatefulSet db failed error: "
			"persistentvolumeclaims \"data-db-0\" is forbidden: exceeded quota: "
			"q,\n"}}},
	{"a claim over the quota, of a set whose name is in its template's",
		{{SET_NAMED("a") CLASS("kgit.dev/local-path", "WaitForFirstConsumer")
				QUOTA("requests.storage: 1Mi"),
			"Warning FailedCreate StatefulSet/a statefulset-controller: create Claim "
			"data-a-0 for Pod a-0 in StatefulSet a failed error: \n"}}},
	{"a ReplicaSet over the quota",
		{{WEB QUOTA("count/replicasets.apps: 0"),
			"Warning ReplicaSetCreateError Deployment/w deployment-controller: Failed "
			"to create new replica set \"w-\n"}}},
	{"pods over the quota",
		{{WEB QUOTA("pods: 0"),
			"Normal ScalingReplicaSet Deployment/w deployment-controller: Scaled up "
			"replica set w-\nWarning FailedCreate ReplicaSet/w-\n"}}},
	{"pods that are evicted, and one that its controller lets go",
		{{WEB, "Normal SuccessfulCreate ReplicaSet/w-\n"},
			{"evict", "-Normal SuccessfulDelete\nNormal SuccessfulCreate "
				  "ReplicaSet/w-\n"},
			{WEB_OF("replicas: 0, "), "Normal SuccessfulDelete ReplicaSet/w-\n"}}},
	{"a pod that goes with its owners",
		{{WEB, NULL}, {"push {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}",
				      "-Normal SuccessfulDelete\n"}}},
};

struct course {
	struct kg_harness h;
	struct kg_buf told;
};

static void emit(void *ctx, const struct kg_api_event *e)
{
	struct course *c = ctx;
	kg_buf_addf(&c->told, "%s %s %s/%s %s: %s\n", e->type, e->reason, e->kind, e->name,
		e->component, e->message);
}

static void number(void *ctx, const struct kg_api_event *e)
{
	struct kg_buf *told = ctx;
	kg_buf_addf(told, "%s %s %s/%s %s: %s #%u\n", e->type, e->reason, e->kind, e->name,
		e->component, e->message, e->order);
}

static char *numbered(struct course *c, const struct kg_snapshot *s)
{
	struct kg_buf told = KG_BUF_INIT;
	struct kgd_teller t = {.emit = number, .ctx = &told, .snapshot = s, .time = c->h.now};
	for (size_t i = 0; i < c->h.last.len; i++)
		kgd_tell_change(&t, &c->h.last.items[i]);
	kg_arena_release(&t.a);
	return kg_buf_steal(&told);
}

/* What is told with and without the state after it has the same place: after a start names are
 * what they were. */
static void places_are_the_changes(struct course *c)
{
	char *with KG_AUTOFREE = numbered(c, c->h.s), *without KG_AUTOFREE = numbered(c, NULL);
	long last = -1;

	for (const char *line = without, *end; *line; line = end) {
		end = strchr(line, '\n') + 1;
		const char *hash = end;
		while (*hash != '#')
			hash--;
		long order = strtol(hash + 1, NULL, 10);
		assert_true(order > last);
		last = order;
		if (memmem(with, strlen(with), line, (size_t)(hash - line)) &&
			!memmem(with, strlen(with), line, (size_t)(end - line)))
			fail_msg("%.*stold in another place with the state:\n%s", (int)(end - line),
				line, with);
	}
}

static void collect(struct course *c)
{
	places_are_the_changes(c);
	struct kgd_teller t = {.emit = emit, .ctx = c, .snapshot = c->h.s, .time = c->h.now};
	for (size_t i = 0; i < c->h.last.len; i++)
		kgd_tell_change(&t, &c->h.last.items[i]);
	kg_arena_release(&t.a);
}

static bool says(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	const char *what = ctx;
	st->status = kg_sim_succeeded(a, pod, KG_HARNESS_START);
	if (!strcmp(what, "failed"))
		st->status = kg_with_key(a, &st->status, "phase", kg_v_lit("Failed"));
	return true;
}

static void evict_all(struct course *c)
{
	struct kg_input_eviction e[8];
	struct kg_snapshot *held = kg_snapshot_ref(c->h.s);
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_error err;
	size_t n = 0;

	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)) && n < KG_ARRAY_LEN(e))
		e[n++] = (struct kg_input_eviction){.ns = pod->ns, .name = pod->name, .uid = ""};
	kg_iter_release(&it);
	struct kg_inputs in = {.evictions = e, .nevictions = n};
	assert_int_equal(kg_harness_run(&c->h, &in, &err), 0);
	kg_snapshot_unref(held);
}

static void play(struct course *c, const char *step)
{
	struct kg_error err;
	c->h.now += 1000;
	if (!strncmp(step, "push ", 5)) {
		kg_harness_push(&c->h, "main.yaml", step + 5);
	} else if (!strcmp(step, "evict")) {
		evict_all(c);
	} else if (strncmp(step, "wait ", 5) != 0) {
		kg_harness_report(&c->h, says, (void *)step);
	} else {
		kg_time end = c->h.now + strtoll(step + 5, NULL, 10) * 1000 - 1000;
		while (c->h.now < end) {
			struct kg_inputs in = {0};
			c->h.now = c->h.wake_at < end ? c->h.wake_at : end;
			assert_int_equal(kg_harness_run(&c->h, &in, &err), 0);
			collect(c);
		}
		return;
	}
	collect(c);
}

static bool was_told(const struct kg_buf *told, const char *what, size_t n)
{
	for (const char *line = kg_buf_str(told); *line; line = strchr(line, '\n') + 1)
		if (!strncmp(line, what, n))
			return true;
	return false;
}

static void each_step_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(courses); i++) {
		struct course c = {0};
		kg_harness_init(&c.h, NULL);
		kg_harness_nodes(&c.h, 2, "8", "16Gi");
		for (const struct told *s = courses[i].steps; s->step; s++) {
			kg_buf_clear(&c.told);
			play(&c, s->step);
			for (const char *p = s->events; p && *p; p = strchr(p, '\n') + 1) {
				bool absent = *p == '-';
				size_t n = strcspn(p + absent, "\n");
				if (was_told(&c.told, p + absent, n) == absent)
					fail_msg("%s: %.60s: %s%.*s; told was:\n%s",
						courses[i].name, s->step, absent ? "not " : "",
						(int)n, p + absent, kg_buf_str(&c.told));
			}
		}
		kg_buf_release(&c.told);
		kg_harness_release(&c.h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_step_is_told)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
