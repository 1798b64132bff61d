#include "reconcile/semantics_cases.h"

#define JOB(more, pod)                                                                             \
	"push {apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {" more                 \
	", template: {spec: {restartPolicy: Never" pod ", containers: [{name: c, image: one}]}}}}"

const struct kg_semantics_case kg_semantics_jobs[] = {
	{"one pod", KG_STEPS(JOB("completions: 1", ""), "pods j- 1", "is Job j status.active 1",
			    "ready *", "is Job j status.ready 1", "succeeded *",
			    "is Job j status.conditions SuccessCriteriaMet True CompletionsReached",
			    "is Job j status.conditions Complete True CompletionsReached",
			    "is Job j status.succeeded 1", "is Job j status.active null")},
	{"back-off: 10, 20, 40 seconds, and none after a success",
		KG_STEPS(JOB("completions: 2, backoffLimit: 9", ""), "failed *",
			"is Job j status.active null", "wait 8", "is Job j status.active null",
			"wait 3", "is Job j status.active 1", "failed *", "wait 18",
			"is Job j status.active null", "wait 3", "is Job j status.active 1",
			"failed *", "wait 38", "is Job j status.active null", "wait 3",
			"is Job j status.active 1", "succeeded *", "is Job j status.active 1",
			"failed *", "wait 8", "is Job j status.active null", "wait 3",
			"is Job j status.active 1", "is Job j status.failed 4")},
	{"too many failures",
		KG_STEPS(JOB("completions: 3, parallelism: 3, backoffLimit: 1", ""), "failed *",
			"is Job j status.failed 3",
			"is Job j status.conditions FailureTarget True BackoffLimitExceeded",
			"is Job j status.conditions Failed True BackoffLimitExceeded")},
	{"failed: those that run are stopped and count as failed",
		KG_STEPS(JOB("completions: 3, parallelism: 3, activeDeadlineSeconds: 10", ""),
			"ready *", "wait 10", "going j- 3",
			"is Job j status.conditions FailureTarget True DeadlineExceeded",
			"is Job j status.terminating 3", "gone *", "is Job j status.failed 3",
			"is Job j status.conditions Failed True DeadlineExceeded")},
	{"a pool: one success, and no pods are made any more",
		KG_STEPS(JOB("parallelism: 3", ""), "ready *", "pods j- 3", "succeeded *",
			"is Job j status.succeeded 3",
			"is Job j status.conditions Complete True CompletionsReached")},
	{"suspended and resumed: the time begins anew, stopped pods are no failures",
		KG_STEPS(JOB("completions: 1, activeDeadlineSeconds: 60", ""), "ready *", "wait 50",
			JOB("completions: 1, activeDeadlineSeconds: 60, suspend: true", ""),
			"going j- 1", "is Job j status.conditions Suspended True JobSuspended",
			"is Job j status.startTime null", "gone *", "is Job j status.failed null",
			"wait 50", JOB("completions: 1, activeDeadlineSeconds: 60", ""),
			"pods j- 1", "is Job j status.conditions Suspended False JobResumed",
			"wait 50", "is Job j status.active 1", "wait 20",
			"is Job j status.conditions FailureTarget True DeadlineExceeded")},
	{"podReplacementPolicy Failed: a successor when the pod has ended",
		KG_STEPS(JOB("completions: 1, podReplacementPolicy: Failed", ""), "ready *",
			"evict j-", "is Job j status.terminating 1", "pods j- 0", "gone *",
			"wait 20", "pods j- 1", "is Job j status.failed 1")},
	{"index after index, each with its number; a failed one is tried again",
		KG_STEPS(JOB("completions: 3, parallelism: 2, completionMode: Indexed", ""),
			"pods j-0 1", "pods j-1 1", "pods j-2 0", "succeeded j-0", "pods j-2 1",
			"succeeded j-2", "failed j-1", "wait 11",
			"is Job j status.completedIndexes '0,2'", "pods j-1 2", "succeeded j-1",
			"is Job j status.completedIndexes 0-2",
			"is Job j status.conditions Complete True CompletionsReached")},
	{"back-off of each index, and more failed indexes than may be",
		KG_STEPS(JOB("completions: 3, parallelism: 3, completionMode: Indexed, "
			     "backoffLimitPerIndex: 1, maxFailedIndexes: 1",
				 ""),
			"failed j-0", "is Job j status.failedIndexes ''", "wait 11", "failed j-0",
			"is Job j status.failedIndexes '0'", "is Job j status.active 2",
			"failed j-1", "wait 11", "failed j-1",
			"is Job j status.failedIndexes '0,1'",
			"is Job j status.conditions FailureTarget True MaxFailedIndexesExceeded",
			"gone *",
			"is Job j status.conditions Failed True MaxFailedIndexesExceeded")},
	{"some indexes failed for good, the others succeeded",
		KG_STEPS(JOB("completions: 2, parallelism: 2, completionMode: Indexed, "
			     "backoffLimitPerIndex: 0",
				 ""),
			"failed j-0", "succeeded j-1", "is Job j status.failedIndexes '0'",
			"is Job j status.completedIndexes '1'",
			"is Job j status.conditions Failed True FailedIndexes")},
	{"successPolicy: the others are stopped and do not count as failed",
		KG_STEPS(JOB("completions: 3, parallelism: 3, completionMode: Indexed, "
			     "successPolicy: "
			     "{rules: [{succeededIndexes: 0-1, succeededCount: 1}]}",
				 ""),
			"ready *", "succeeded j-1",
			"is Job j status.conditions SuccessCriteriaMet True SuccessPolicy",
			"going j- 2", "gone *",
			"is Job j status.conditions Complete True SuccessPolicy",
			"is Job j status.failed null", "is Job j status.succeeded 1")},
	{"podFailurePolicy: ignored failures do not count, others fail the Job at once",
		KG_STEPS(JOB("completions: 1, backoffLimit: 0, podFailurePolicy: {rules: [{action: "
			     "Ignore, "
			     "onPodConditions: [{type: DisruptionTarget}]}, {action: FailJob, "
			     "onExitCodes: "
			     "{operator: In, values: [1]}}]}",
				 ""),
			"ready *", "evict j-", "going j- 1", "is Job j status.failed null",
			"failed *", "gone *", "is Job j status.failed null", "wait 11", "pods j- 1",
			"failed *",
			"is Job j status.conditions FailureTarget True PodFailurePolicy")},
	{"more completions and parallelism for one that runs",
		KG_STEPS(JOB("completions: 2, parallelism: 2, completionMode: Indexed", ""),
			"succeeded j-0",
			JOB("completions: 4, parallelism: 4, completionMode: Indexed", ""),
			"pods j-3 1", "is Job j status.active 3",
			JOB("completions: 2, parallelism: 2, completionMode: Indexed", ""),
			"is Job j status.active 1", "gone *", "succeeded j-1",
			"is Job j status.failed null",
			"is Job j status.conditions Complete True CompletionsReached")},
	{"kept for so long", KG_STEPS(JOB("completions: 1, ttlSecondsAfterFinished: 30", ""),
				     "ready *", "succeeded *", "pods j- 1", "wait 20", "pods j- 1",
				     "wait 20", "gone *", "pods j- 0")},
	{0},
};

#define CRON(schedule, more)                                                                       \
	"push {apiVersion: batch/v1, kind: CronJob, metadata: {name: c}, spec: {schedule: "        \
	"\"" schedule "\"" more                                                                    \
	", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, "   \
	"image: one}]}}}}}}"
/* 2026-01-01T00:00:00Z, when the course begins, is minute 29453760 */
#define WEB(replicas)                                                                              \
	"{apiVersion: apps/v1, kind: Deployment, metadata: {name: w}, spec: {replicas: " replicas  \
	", selector: {matchLabels: {a: w}}, template: {metadata: {labels: {a: w}}, spec: "         \
	"{containers: [{name: c, image: one, resources: {requests: {cpu: 100m}}}]}}}}"
#define QUOTA(hard)                                                                                \
	"\n---\n{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {" hard    \
	"}}}"
#define BUDGET(spec)                                                                               \
	"\n---\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: "    \
	"{" spec ", selector: {matchLabels: {a: w}}}}"
#define WEB_BUDGET                                                                                 \
	"\n---\n{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: web}, spec: "  \
	"{minAvailable: 1, selector: {matchExpressions: [{key: a, operator: In, values: [w]}]}}}"
#define WEB_SERVICE(label)                                                                         \
	"\n---\n{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: "          \
	"{a: " label "}, ports: [{port: 80}]}}"

const struct kg_semantics_case kg_semantics_others[] = {
	{"each minute; jobs beside each other",
		KG_STEPS(CRON("* * * * *", ""), "wait 50", "none Job c-29453760", "wait 20",
			"is Job c-29453761 status.active 1", "wait 60",
			"is Job c-29453762 status.active 1", "pods c- 2",
			"is CronJob c status.lastScheduleTime '2026-01-01T00:02:00Z'")},
	{"every so often counts from the last time",
		KG_STEPS(CRON("@every 90s", ""), "wait 80", "pods c- 0", "wait 11", "pods c- 1",
			"wait 90", "pods c- 2")},
	{"Forbid waits for the last one, then makes up for the latest that was missed",
		KG_STEPS(CRON("* * * * *", ", concurrencyPolicy: Forbid"), "wait 70", "pods c- 1",
			"wait 130", "pods c- 1", "ready *", "succeeded *",
			"is Job c-29453763 status.active 1", "none Job c-29453762")},
	{"Replace", KG_STEPS(CRON("* * * * *", ", concurrencyPolicy: Replace"), "wait 70",
			    "wait 60", "none Job c-29453761", "is Job c-29453762 status.active 1")},
	{"too late for the starting deadline",
		KG_STEPS(CRON("*/5 * * * *", ", startingDeadlineSeconds: 20, suspend: true"),
			"wait 330", CRON("*/5 * * * *", ", startingDeadlineSeconds: 20"),
			"pods c- 0", "wait 290", "is Job c-29453770 status.active 1")},
	{"resumed: what was missed is made up for once",
		KG_STEPS(CRON("* * * * *", ", suspend: true"), "wait 7300", CRON("* * * * *", ""),
			"pods c- 1")},
	{"as many finished jobs as the limits, the newest",
		KG_STEPS(CRON("* * * * *",
				 ", successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0"),
			"wait 70", "succeeded *", "wait 60", "succeeded *", "none Job c-29453761",
			"is Job c-29453762 status.succeeded 1", "is CronJob c status.active null")},
	{"a budget of numbers and of percentages, rounded up",
		KG_STEPS("push " WEB("7") BUDGET("maxUnavailable: 30%"), "ready *",
			"is PodDisruptionBudget b status.desiredHealthy 4",
			"is PodDisruptionBudget b status.disruptionsAllowed 3",
			"is PodDisruptionBudget b status.conditions DisruptionAllowed True "
			"SufficientPods",
			"push " WEB("7") BUDGET("minAvailable: 30%"),
			"is PodDisruptionBudget b status.desiredHealthy 3",
			"is PodDisruptionBudget b status.disruptionsAllowed 4",
			"push " WEB("7") BUDGET("minAvailable: 7"), "denied w-",
			"is PodDisruptionBudget b status.conditions DisruptionAllowed False "
			"InsufficientPods",
			"push " WEB("7") BUDGET("maxUnavailable: 100%"),
			"is PodDisruptionBudget b status.disruptionsAllowed 7",
			"push " WEB("7") BUDGET("minAvailable: 9"),
			"is PodDisruptionBudget b status.expectedPods 7",
			"is PodDisruptionBudget b status.disruptionsAllowed 0")},
	{"a budget of pods that nothing scales",
		KG_STEPS("push {apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: "
			 "{selector: "
			 "{matchLabels: {a: w}}, template: {metadata: {labels: {a: w}}, spec: "
			 "{containers: "
			 "[{name: c, image: one}]}}}}" BUDGET("maxUnavailable: 1"),
			"ready *",
			"is PodDisruptionBudget b status.conditions DisruptionAllowed False "
			"SyncFailed",
			"is PodDisruptionBudget b status.conditions.0.message "
			"daemonsets.apps does not implement the scale subresource",
			"denied d-")},
	{"a budget that any pod may be of, and a Service of its name that comes, changes and goes",
		KG_STEPS("push " WEB("2") WEB_BUDGET WEB_SERVICE("w"), "ready *",
			"is PodDisruptionBudget web status.currentHealthy 2",
			"push " WEB("2") WEB_BUDGET WEB_SERVICE("x"), "unready *",
			"is PodDisruptionBudget web status.currentHealthy 0", "ready *",
			"is PodDisruptionBudget web status.currentHealthy 2",
			"push " WEB("2") WEB_BUDGET, "unready *",
			"is PodDisruptionBudget web status.currentHealthy 0",
			"push " WEB("2") WEB_SERVICE("w"), "ready *",
			"none PodDisruptionBudget web")},
	{"an eviction of a pod that does not run yet, or that ended, asks no budget",
		KG_STEPS("push " WEB("2") BUDGET("maxUnavailable: 0"), "evict w-", "ready *",
			"denied w-")},
	{"a quota counts what a lost node never lets go of until twice its grace has passed",
		KG_STEPS("push " WEB("3") QUOTA("pods: 3, requests.cpu: 1, count/pods: 9"),
			"ready *", "lost node-1", "wait 310", "going * 1", "pods w- 2",
			"is Deployment w status.conditions ReplicaFailure True FailedCreate",
			"is ResourceQuota q status.used {count/pods: '3', pods: '3', "
			"requests.cpu: 300m}",
			"wait 30", "pods w- 2", "wait 30", "pods w- 3", "going * 1",
			"is ResourceQuota q status.used {count/pods: '4', pods: '3', "
			"requests.cpu: 300m}",
			"push " WEB("3") QUOTA("pods: 3, requests.cpu: 2, count/pods: 9"),
			"is ResourceQuota q status.used {count/pods: '4', pods: '3', "
			"requests.cpu: 300m}",
			"push " WEB("3"), "going * 1",
			"push " WEB("3") QUOTA("pods: 3, requests.cpu: 2, count/pods: 9"),
			"is ResourceQuota q status.used {count/pods: '4', pods: '3', "
			"requests.cpu: 300m}",
			"back node-1", "gone *",
			"is ResourceQuota q status.used {count/pods: '3', pods: '3', "
			"requests.cpu: 300m}",
			"push " WEB("4") QUOTA("pods: 3, requests.cpu: 2, count/pods: 9"),
			"pods w- 3")},
	{"a node is lost, and its pods go when their tolerations end",
		KG_STEPS("push " WEB("3"), "ready *", "lost node-1", "wait 100", "going * 0",
			"wait 300", "going * 1", "pods w- 3")},
	{0},
};
