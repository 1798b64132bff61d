/* apps/v1: Deployment and ReplicaSet. */
#include "kinds/tables.h"

static const char *const strategy_types[] = {"RollingUpdate", "Recreate", NULL};

static const struct kg_field condition_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "Available, Progressing or ReplicaFailure."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastUpdateTime", 0, "When it was last set."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
const struct kg_field kg_fields_workload_condition[] = {
	F_STR("type", KG_FF_REQUIRED, "What it is about, in one word."),
	F_STR("status", KG_FF_REQUIRED, "True, False or Unknown."),
	F_STR("reason", 0, "Why, in one word."),
	F_STR("message", 0, "Why, for people."),
	F_TIME("lastTransitionTime", 0, "When it last changed."),
	F_END,
};
static const struct kg_schema deployment_condition = {
	.name = "io.k8s.api.apps.v1.DeploymentCondition",
	.doc = "Something that is or is not true of a Deployment.",
	.fields = condition_fields,
};
static const struct kg_schema replicaset_condition = {
	.name = "io.k8s.api.apps.v1.ReplicaSetCondition",
	.doc = "Something that is or is not true of a ReplicaSet.",
	.fields = kg_fields_workload_condition,
};

/* ---- Deployment ---- */

static const struct kg_field rolling_update_fields[] = {
	F_IOS("maxUnavailable", 0, "How many pods may be missing meanwhile: a number or percent.",
		.dflt = "\"25%\"", .check = kg_check_percent_or_int),
	F_IOS("maxSurge", 0, "How many pods may be there beyond replicas: a number or percent.",
		.dflt = "\"25%\"", .check = kg_check_percent_or_int),
	F_END,
};
static const struct kg_schema rolling_update = {
	.name = "io.k8s.api.apps.v1.RollingUpdateDeployment",
	.doc = "How fast pods are replaced.",
	.fields = rolling_update_fields,
};
static struct kg_value default_strategy(struct kg_arena *a, const struct kg_value *v)
{
	struct kg_value quarter = kg_v_lit("25%");

	if (strcmp(kg_string(kg_get(v, "type"), ""), "RollingUpdate") != 0 ||
		!kg_is_null(kg_get(v, "rollingUpdate")))
		return *v;
	return kg_with(a, v, "rollingUpdate",
		kg_v_obj(a, "maxSurge", quarter, "maxUnavailable", quarter, (char *)NULL));
}
static const struct kg_field strategy_fields[] = {
	F_STR("type", 0, "RollingUpdate or Recreate.", .dflt = "\"RollingUpdate\"",
		.values = strategy_types),
	F_OBJ("rollingUpdate", rolling_update, 0, "How fast pods are replaced."),
	F_END,
};
static const struct kg_schema strategy = {
	.name = "io.k8s.api.apps.v1.DeploymentStrategy",
	.doc = "How pods of an old template give way to those of a new one.",
	.fields = strategy_fields,
	.defaults = default_strategy,
	.validate = kg_validate_deployment_strategy,
};
static const struct kg_field deployment_spec_fields[] = {
	F_INT("replicas", 0, "How many pods there shall be.", R_COUNT, .dflt = "1"),
	F_OBJ("selector", kg_schema_label_selector, KG_FF_REQUIRED | KG_FF_IMMUTABLE,
		"Which pods are its own; it must match the template's labels."),
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What its pods are made of."),
	F_OBJ("strategy", strategy, 0, "How pods are replaced.", .dflt = "{}"),
	F_INT("minReadySeconds", 0, "How long a pod must be ready to be available.", R_COUNT),
	F_INT("revisionHistoryLimit", 0, "How many old ReplicaSets are kept.", R_COUNT,
		.dflt = "10"),
	F_BOOL("paused", 0, "Whether a new template does not start a rollout."),
	F_INT("progressDeadlineSeconds", 0, "How long a rollout may make no progress.", R_COUNT,
		.dflt = "600"),
	F_END,
};
static const struct kg_schema deployment_spec = {
	.name = "io.k8s.api.apps.v1.DeploymentSpec",
	.doc = "What a Deployment shall run.",
	.fields = deployment_spec_fields,
	.validate = kg_validate_deployment_spec,
};
static const struct kg_field deployment_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("replicas", 0, "How many pods there are.", R_COUNT),
	F_INT("updatedReplicas", 0, "How many are of the current template.", R_COUNT),
	F_INT("readyReplicas", 0, "How many are ready.", R_COUNT),
	F_INT("availableReplicas", 0, "How many were ready long enough.", R_COUNT),
	F_INT("unavailableReplicas", 0, "How many are still missing.", R_COUNT),
	F_INT("terminatingReplicas", 0, "How many are being stopped.", R_COUNT),
	F_INT("collisionCount", 0, "How often a ReplicaSet's name was taken.", R_COUNT),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &deployment_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema deployment_status = {
	.name = "io.k8s.api.apps.v1.DeploymentStatus",
	.doc = "What was observed of a Deployment.",
	.fields = deployment_status_fields,
};
static const struct kg_field deployment_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", deployment_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", deployment_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_deployment = {
	.name = "io.k8s.api.apps.v1.Deployment",
	.doc = "Keeps a number of equal pods running and replaces them step by step.",
	.fields = deployment_fields,
	.validate = kg_validate_any_named,
};

/* ---- ReplicaSet ---- */

static const struct kg_field replicaset_spec_fields[] = {
	F_INT("replicas", 0, "How many pods there shall be.", R_COUNT, .dflt = "1"),
	F_INT("minReadySeconds", 0, "How long a pod must be ready to be available.", R_COUNT),
	F_OBJ("selector", kg_schema_label_selector, KG_FF_REQUIRED | KG_FF_IMMUTABLE,
		"Which pods are its own; it must match the template's labels."),
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What its pods are made of."),
	F_END,
};
static const struct kg_schema replicaset_spec = {
	.name = "io.k8s.api.apps.v1.ReplicaSetSpec",
	.doc = "What a ReplicaSet shall run.",
	.fields = replicaset_spec_fields,
	.validate = kg_validate_replicaset_spec,
};
static const struct kg_field replicaset_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("replicas", KG_FF_REQUIRED, "How many pods there are.", R_COUNT),
	F_INT("fullyLabeledReplicas", 0, "How many have all of the template's labels.", R_COUNT),
	F_INT("readyReplicas", 0, "How many are ready.", R_COUNT),
	F_INT("availableReplicas", 0, "How many were ready long enough.", R_COUNT),
	F_INT("terminatingReplicas", 0, "How many are being stopped.", R_COUNT),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &replicaset_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema replicaset_status = {
	.name = "io.k8s.api.apps.v1.ReplicaSetStatus",
	.doc = "What was observed of a ReplicaSet.",
	.fields = replicaset_status_fields,
};
static const struct kg_field replicaset_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", replicaset_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", replicaset_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_replicaset = {
	.name = "io.k8s.api.apps.v1.ReplicaSet",
	.doc = "Keeps a number of equal pods running.",
	.fields = replicaset_fields,
	.validate = kg_validate_any_named,
};
