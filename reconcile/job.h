/* Between the Job's files: one sync of one Job. */
#ifndef KG_RECONCILE_JOB_H
#define KG_RECONCILE_JOB_H

#include "reconcile/indexes.h"
#include "reconcile/workload.h"

#define KG_JOB_INDEX "batch.kubernetes.io/job-completion-index"

/* An index that failed and waits to be tried again (backoffLimitPerIndex). */
struct kg_index_failure {
	int64_t index, count, ignored;
	kg_time last;
};

struct kg_job_sync {
	struct kg_run *r;
	struct kg_object *job; /* held */
	const struct kg_value *spec;
	struct kg_value status; /* being made; begins as the old one */
	struct kg_list pods;    /* its own, as they were when the sync began */
	bool indexed, per_index, suspended;
	bool only_failed;    /* a pod counts, and is replaced, only when it has ended */
	int64_t completions; /* -1: none given */
	int64_t parallelism;
	int64_t active, ready, terminating, succeeded, failed;
	struct kg_indexes done, lost; /* completion indexes that succeeded and that failed */
	int64_t created;
	int64_t in_row;                   /* failures since the last success */
	kg_time last_fail;                /* of the last of them */
	struct kg_index_failure *waiting; /* by index */
	size_t nwaiting, waiting_cap;
	const char *policy_message; /* a rule of podFailurePolicy says that the Job fails */
};

/* The pod's completion index, -1: none that the Job has. */
int64_t kg_job_index_of(const struct kg_job_sync *x, const struct kg_object *pod);
/* Ended, or on its way so that it counts as ended. */
bool kg_job_pod_ended(const struct kg_job_sync *x, const struct kg_object *pod);

/* job_count.c */
/* Counts pods that ended and were not counted, and lets go of them. */
void kg_job_count(struct kg_job_sync *x);
/* The failure of an index that waits, or NULL. */
struct kg_index_failure *kg_job_waiting(struct kg_job_sync *x, int64_t index);
void kg_job_forget_waiting(struct kg_job_sync *x, int64_t index);

/* job_policy.c */
enum kg_pod_failure { KG_FAILURE_COUNT, KG_FAILURE_IGNORE, KG_FAILURE_INDEX, KG_FAILURE_JOB };
/* What podFailurePolicy makes of a failed pod; message (arena) where it fails the Job. */
enum kg_pod_failure kg_job_failure(
	struct kg_job_sync *x, const struct kg_object *pod, const char **message);
/* The rule of successPolicy that is met, or -1. */
int kg_job_success(const struct kg_job_sync *x);

/* job_pods.c */
/* Makes and removes pods until there are as many active ones as there shall be. */
void kg_job_manage(struct kg_job_sync *x);
/* Deletes every active pod; counted: they then count as failed. */
void kg_job_stop(struct kg_job_sync *x, bool counted);

/* job_status.c */
void kg_job_condition(struct kg_job_sync *x, const char *type, const char *status,
	const char *reason, const char *message);
/* Whether the Job shall end now, said by a condition SuccessCriteriaMet or FailureTarget. */
bool kg_job_judge(struct kg_job_sync *x);
/* The last condition, once no pod is left. */
void kg_job_end(struct kg_job_sync *x);
void kg_job_put_status(struct kg_job_sync *x);
bool kg_job_condition_is(const struct kg_job_sync *x, const char *type);

#endif
