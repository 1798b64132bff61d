/* batch/v1: Job and CronJob. */
#include "kinds/tables.h"

static const char *const completion_modes[] = {"NonIndexed", "Indexed", NULL};
static const char *const replacement_policies[] = {"TerminatingOrFailed", "Failed", NULL};
static const char *const managers[] = {"kubernetes.io/job-controller", NULL};
static const char *const actions[] = {"Count", "FailIndex", "FailJob", "Ignore", NULL};
static const char *const exit_operators[] = {"In", "NotIn", NULL};
static const char *const statuses[] = {"False", "True", "Unknown", NULL};
static const char *const concurrency_policies[] = {"Allow", "Forbid", "Replace", NULL};

/* ---- what failures and successes mean ---- */

static const struct kg_field exit_codes_fields[] = {
	F_STR("containerName", 0, "The container that is looked at; all by default."),
	F_STR("operator", KG_FF_REQUIRED, "In or NotIn.", .values = exit_operators),
	F_INT("values", KG_FF_LIST, "Exit codes, in ascending order.", R_INT32),
	F_END,
};
static const struct kg_schema exit_codes = {
	.name = "io.k8s.api.batch.v1.PodFailurePolicyOnExitCodesRequirement",
	.doc = "Exit codes of containers that a rule is about.",
	.fields = exit_codes_fields,
	.validate = kg_validate_exit_codes,
};
static const struct kg_field pod_condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "The condition's type, e.g. DisruptionTarget.",
		.check = kg_check_label_key),
	F_STR("status", 0, "True, False or Unknown.", .dflt = "\"True\"", .values = statuses),
	F_END,
};
static const struct kg_schema pod_condition = {
	.name = "io.k8s.api.batch.v1.PodFailurePolicyOnPodConditionsPattern",
	.doc = "A condition of the pod that a rule is about.",
	.fields = pod_condition_fields,
};
static const struct kg_field failure_rule_fields[] = {
	F_STR("action", KG_FF_REQUIRED, "FailJob, FailIndex, Ignore or Count.", .values = actions),
	F_OBJ("onExitCodes", exit_codes, 0, "Exit codes that it is about."),
	F_ROW("onPodConditions", KG_F_OBJECT, KG_FF_LIST, "Conditions that it is about.",
		.schema = &pod_condition),
	F_END,
};
static const struct kg_schema failure_rule = {
	.name = "io.k8s.api.batch.v1.PodFailurePolicyRule",
	.doc = "What some failures of pods lead to.",
	.fields = failure_rule_fields,
	.validate = kg_validate_failure_rule,
};
static const struct kg_field failure_policy_fields[] = {
	F_ROW("rules", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED,
		"Rules, of which the first that fits counts.", .schema = &failure_rule),
	F_END,
};
static const struct kg_schema failure_policy = {
	.name = "io.k8s.api.batch.v1.PodFailurePolicy",
	.doc = "What failures of pods lead to.",
	.fields = failure_policy_fields,
};
static const struct kg_field success_rule_fields[] = {
	F_STR("succeededIndexes", 0, "Indexes that must have succeeded, e.g. 0,2-5."),
	F_INT("succeededCount", 0, "How many indexes must have succeeded.", R_POSITIVE),
	F_END,
};
static const struct kg_schema success_rule = {
	.name = "io.k8s.api.batch.v1.SuccessPolicyRule",
	.doc = "When the Job has succeeded.",
	.fields = success_rule_fields,
	.validate = kg_validate_success_rule,
};
static const struct kg_field success_policy_fields[] = {
	F_ROW("rules", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED, "Rules, of which one must hold.",
		.schema = &success_rule),
	F_END,
};
static const struct kg_schema success_policy = {
	.name = "io.k8s.api.batch.v1.SuccessPolicy",
	.doc = "When an indexed Job has succeeded.",
	.fields = success_policy_fields,
};

/* ---- Job ---- */

static const struct kg_field job_spec_fields[] = {
	F_INT("parallelism", 0, "How many pods may run at a time.", R_COUNT),
	F_INT("completions", 0, "How many pods must succeed.", R_COUNT),
	F_INT("activeDeadlineSeconds", 0, "How long it may run, in seconds.", .min = 0,
		.max = INT64_MAX),
	F_INT("backoffLimit", 0, "How many failures there may be.", R_COUNT),
	F_INT("backoffLimitPerIndex", 0, "How many failures an index may have.", R_COUNT),
	F_INT("maxFailedIndexes", 0, "How many indexes may fail.", R_COUNT),
	F_OBJ("selector", kg_schema_label_selector, 0,
		"Which pods are its own; chosen by the system unless manualSelector is true."),
	F_BOOL("manualSelector", 0, "Whether the selector is the manifest's."),
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What its pods are made of."),
	F_INT("ttlSecondsAfterFinished", 0, "How long it is kept when it has finished.", R_COUNT),
	F_STR("completionMode", 0, "NonIndexed, or Indexed: each pod has a number.",
		.dflt = "\"NonIndexed\"", .values = completion_modes),
	F_BOOL("suspend", 0, "Whether it has no pods for now.", .dflt = "false"),
	F_OBJ("podFailurePolicy", failure_policy, 0, "What failures of pods lead to."),
	F_OBJ("successPolicy", success_policy, 0, "When an indexed Job has succeeded."),
	F_STR("podReplacementPolicy", 0,
		"TerminatingOrFailed or Failed: when a pod's successor is made.",
		.values = replacement_policies),
	F_NOANY("scheduling", "How its pods are scheduled together."),
	F_STR("managedBy", 0, "Who acts on it: kubernetes.io/job-controller.", .values = managers),
	F_END,
};
static const struct kg_schema job_spec = {
	.name = "io.k8s.api.batch.v1.JobSpec",
	.doc = "What a Job shall run.",
	.fields = job_spec_fields,
	.defaults = kg_default_job_spec,
	.validate = kg_validate_job_spec,
	.update = kg_update_job_spec,
};
static const struct kg_field job_condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "Complete, Failed, Suspended, FailureTarget, ..."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastProbeTime", 0, "When it was last looked at."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
static const struct kg_schema job_condition = {
	.name = "io.k8s.api.batch.v1.JobCondition",
	.doc = "Something that is or is not true of a Job.",
	.fields = job_condition_fields,
};
static const struct kg_field uncounted_fields[] = {
	F_STR("succeeded", KG_FF_LIST, "UIDs of pods that succeeded."),
	F_STR("failed", KG_FF_LIST, "UIDs of pods that failed."),
	F_END,
};
static const struct kg_schema uncounted = {
	.name = "io.k8s.api.batch.v1.UncountedTerminatedPods",
	.doc = "Pods that ended and are not counted yet.",
	.fields = uncounted_fields,
};
static const struct kg_field job_status_fields[] = {
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &job_condition, .merge_key = "type"),
	F_TIME("startTime", 0, "When it was started."),
	F_TIME("completionTime", 0, "When it had succeeded."),
	F_INT("active", 0, "How many pods are pending or running.", R_COUNT),
	F_INT("ready", 0, "How many pods are ready.", R_COUNT),
	F_INT("succeeded", 0, "How many pods succeeded.", R_COUNT),
	F_INT("failed", 0, "How many pods failed.", R_COUNT),
	F_INT("terminating", 0, "How many pods are being stopped.", R_COUNT),
	F_STR("completedIndexes", 0, "Indexes that succeeded, e.g. 0,2-5."),
	F_STR("failedIndexes", 0, "Indexes that failed, e.g. 0,2-5."),
	F_OBJ("uncountedTerminatedPods", uncounted, 0, "Pods that are not counted yet."),
	F_END,
};
static const struct kg_schema job_status = {
	.name = "io.k8s.api.batch.v1.JobStatus",
	.doc = "What was observed of a Job.",
	.fields = job_status_fields,
};
static const struct kg_field job_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", job_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", job_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_job = {
	.name = "io.k8s.api.batch.v1.Job",
	.doc = "Runs pods until enough of them have succeeded.",
	.fields = job_fields,
	.defaults = kg_default_job,
	.validate = kg_validate_job,
};

/* ---- CronJob ---- */

static const struct kg_schema cronjob_job_spec = {
	.name = "io.k8s.api.batch.v1.JobSpec",
	.doc = "What a Job shall run.",
	.fields = job_spec_fields,
	.defaults = kg_default_job_spec,
	.validate = kg_validate_cronjob_job_spec,
};
static const struct kg_field job_template_fields[] = {
	F_OBJ("metadata", kg_schema_template_meta, 0, "Labels and annotations of the Jobs."),
	F_OBJ("spec", cronjob_job_spec, KG_FF_REQUIRED, "What the Jobs shall run."),
	F_END,
};
static const struct kg_schema job_template = {
	.name = "io.k8s.api.batch.v1.JobTemplateSpec",
	.doc = "What Jobs are made of.",
	.fields = job_template_fields,
};
static const struct kg_field cronjob_spec_fields[] = {
	F_STR("schedule", KG_FF_REQUIRED, "When Jobs are made: minute, hour, day, month, weekday."),
	F_STR("timeZone", 0, "The time zone of the schedule, e.g. Europe/Berlin; UTC by default."),
	F_INT("startingDeadlineSeconds", 0, "How late a Job may be made, in seconds.", .min = 0,
		.max = INT64_MAX),
	F_STR("concurrencyPolicy", 0, "Allow, Forbid or Replace: when the last Job still runs.",
		.dflt = "\"Allow\"", .values = concurrency_policies),
	F_BOOL("suspend", 0, "Whether no Jobs are made for now.", .dflt = "false"),
	F_OBJ("jobTemplate", job_template, KG_FF_REQUIRED, "What its Jobs are made of."),
	F_INT("successfulJobsHistoryLimit", 0, "How many Jobs that succeeded are kept.", R_COUNT,
		.dflt = "3"),
	F_INT("failedJobsHistoryLimit", 0, "How many Jobs that failed are kept.", R_COUNT,
		.dflt = "1"),
	F_END,
};
static const struct kg_schema cronjob_spec = {
	.name = "io.k8s.api.batch.v1.CronJobSpec",
	.doc = "When a CronJob makes which Jobs.",
	.fields = cronjob_spec_fields,
	.validate = kg_validate_cronjob_spec,
};
static const struct kg_field cronjob_status_fields[] = {
	F_ROW("active", KG_F_OBJECT, KG_FF_LIST, "Its Jobs that run.",
		.schema = &kg_schema_object_reference),
	F_TIME("lastScheduleTime", 0, "When a Job was last due and made."),
	F_TIME("lastSuccessfulTime", 0, "When a Job last succeeded."),
	F_END,
};
static const struct kg_schema cronjob_status = {
	.name = "io.k8s.api.batch.v1.CronJobStatus",
	.doc = "What was observed of a CronJob.",
	.fields = cronjob_status_fields,
};
static const struct kg_field cronjob_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", cronjob_spec, KG_FF_REQUIRED, "When it makes which Jobs."),
	F_OBJ("status", cronjob_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_cronjob = {
	.name = "io.k8s.api.batch.v1.CronJob",
	.doc = "Makes Jobs by a schedule.",
	.fields = cronjob_fields,
	.validate = kg_validate_cronjob,
};
