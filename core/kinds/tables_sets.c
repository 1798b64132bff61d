/* apps/v1: StatefulSet, DaemonSet and ControllerRevision. */
#include "kinds/tables.h"

static const char *const management_policies[] = {"OrderedReady", "Parallel", NULL};
static const char *const strategy_types[] = {"RollingUpdate", "OnDelete", NULL};
static const char *const retention_policies[] = {"Retain", "Delete", NULL};

/* ---- StatefulSet ---- */

static const struct kg_field stateful_rolling_fields[] = {
	F_INT("partition", 0, "Pods from this ordinal on are updated.", R_COUNT, .dflt = "0"),
	F_IOS("maxUnavailable", 0, "How many pods may be missing meanwhile: a number or percent.",
		.check = kg_check_percent_or_int),
	F_END,
};
static const struct kg_schema stateful_rolling = {
	.name = "io.k8s.api.apps.v1.RollingUpdateStatefulSetStrategy",
	.doc = "How pods are replaced, from the highest ordinal down.",
	.fields = stateful_rolling_fields,
};
static struct kg_value default_stateful_strategy(struct kg_arena *a, const struct kg_value *v)
{
	if (strcmp(kg_string(kg_get(v, "type"), ""), "RollingUpdate") != 0 ||
		!kg_is_null(kg_get(v, "rollingUpdate")))
		return *v;
	return kg_with(a, v, "rollingUpdate.partition", kg_v_int(0));
}
static const struct kg_field stateful_strategy_fields[] = {
	F_STR("type", 0, "RollingUpdate, or OnDelete: when a pod is deleted.",
		.dflt = "\"RollingUpdate\"", .values = strategy_types),
	F_OBJ("rollingUpdate", stateful_rolling, 0, "How pods are replaced."),
	F_END,
};
static const struct kg_schema stateful_strategy = {
	.name = "io.k8s.api.apps.v1.StatefulSetUpdateStrategy",
	.doc = "How pods of an old template give way to those of a new one.",
	.fields = stateful_strategy_fields,
	.defaults = default_stateful_strategy,
	.validate = kg_validate_statefulset_strategy,
};
static const struct kg_field retention_fields[] = {
	F_STR("whenDeleted", 0, "Retain or Delete: claims when the StatefulSet is deleted.",
		.dflt = "\"Retain\"", .values = retention_policies),
	F_STR("whenScaled", 0, "Retain or Delete: claims of pods that are scaled away.",
		.dflt = "\"Retain\"", .values = retention_policies),
	F_END,
};
static const struct kg_schema retention = {
	.name = "io.k8s.api.apps.v1.StatefulSetPersistentVolumeClaimRetentionPolicy",
	.doc = "What becomes of claims whose pod is gone.",
	.fields = retention_fields,
};
static const struct kg_field ordinals_fields[] = {
	F_INT("start", 0, "The first pod's ordinal.", R_COUNT),
	F_END,
};
static const struct kg_schema ordinals = {
	.name = "io.k8s.api.apps.v1.StatefulSetOrdinals",
	.doc = "How pods are numbered.",
	.fields = ordinals_fields,
};
static const struct kg_field statefulset_spec_fields[] = {
	F_INT("replicas", 0, "How many pods there shall be.", R_COUNT, .dflt = "1"),
	F_OBJ("selector", kg_schema_label_selector, KG_FF_REQUIRED,
		"Which pods are its own; it must match the template's labels."),
	F_OBJ("template", kg_schema_claiming_pod_template, KG_FF_REQUIRED,
		"What its pods are made of."),
	F_ROW("volumeClaimTemplates", KG_F_OBJECT, KG_FF_LIST,
		"Claims that each pod gets of its own.", .schema = &kg_schema_claim_template),
	F_STR("serviceName", 0, "The headless Service below which its pods' names are found.",
		.check = kg_check_dns_label),
	F_STR("podManagementPolicy", 0, "OrderedReady: one after the other; or Parallel.",
		.dflt = "\"OrderedReady\"", .values = management_policies),
	F_OBJ("updateStrategy", stateful_strategy, 0, "How pods are replaced.", .dflt = "{}"),
	F_INT("revisionHistoryLimit", 0, "How many old revisions are kept.", R_COUNT, .dflt = "10"),
	F_INT("minReadySeconds", 0, "How long a pod must be ready to be available.", R_COUNT),
	F_OBJ("persistentVolumeClaimRetentionPolicy", retention, 0,
		"What becomes of claims whose pod is gone.", .dflt = "{}"),
	F_OBJ("ordinals", ordinals, 0, "How pods are numbered."),
	F_END,
};
static const struct kg_schema statefulset_spec = {
	.name = "io.k8s.api.apps.v1.StatefulSetSpec",
	.doc = "What a StatefulSet shall run.",
	.fields = statefulset_spec_fields,
	.validate = kg_validate_statefulset_spec,
	.update = kg_update_statefulset_spec,
};
static const struct kg_schema statefulset_condition = {
	.name = "io.k8s.api.apps.v1.StatefulSetCondition",
	.doc = "Something that is or is not true of a StatefulSet.",
	.fields = kg_fields_workload_condition,
};
static const struct kg_field statefulset_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("replicas", KG_FF_REQUIRED, "How many pods there are.", R_COUNT),
	F_INT("readyReplicas", 0, "How many are ready.", R_COUNT),
	F_INT("currentReplicas", 0, "How many are of currentRevision.", R_COUNT),
	F_INT("updatedReplicas", 0, "How many are of updateRevision.", R_COUNT),
	F_INT("availableReplicas", 0, "How many were ready long enough.", R_COUNT),
	F_STR("currentRevision", 0, "The revision of the pods that are not updated yet."),
	F_STR("updateRevision", 0, "The revision of the pods that are."),
	F_INT("collisionCount", 0, "How often a revision's name was taken.", R_COUNT),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &statefulset_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema statefulset_status = {
	.name = "io.k8s.api.apps.v1.StatefulSetStatus",
	.doc = "What was observed of a StatefulSet.",
	.fields = statefulset_status_fields,
};
static const struct kg_field statefulset_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", statefulset_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", statefulset_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_statefulset = {
	.name = "io.k8s.api.apps.v1.StatefulSet",
	.doc = "Keeps pods running that have stable names and claims of their own.",
	.fields = statefulset_fields,
	.validate = kg_validate_any_named,
};

/* ---- DaemonSet ---- */

static const struct kg_field daemon_rolling_fields[] = {
	F_IOS("maxUnavailable", 0, "On how many nodes its pod may be missing meanwhile.",
		.dflt = "1", .check = kg_check_percent_or_int),
	F_IOS("maxSurge", 0, "On how many nodes the new pod may run beside the old one.",
		.dflt = "0", .check = kg_check_percent_or_int),
	F_END,
};
static const struct kg_schema daemon_rolling = {
	.name = "io.k8s.api.apps.v1.RollingUpdateDaemonSet",
	.doc = "How fast pods are replaced.",
	.fields = daemon_rolling_fields,
};
static struct kg_value default_daemon_strategy(struct kg_arena *a, const struct kg_value *v)
{
	if (strcmp(kg_string(kg_get(v, "type"), ""), "RollingUpdate") != 0 ||
		!kg_is_null(kg_get(v, "rollingUpdate")))
		return *v;
	return kg_with(a, v, "rollingUpdate",
		kg_v_obj(a, "maxSurge", kg_v_int(0), "maxUnavailable", kg_v_int(1), (char *)NULL));
}
static const struct kg_field daemon_strategy_fields[] = {
	F_STR("type", 0, "RollingUpdate, or OnDelete: when a pod is deleted.",
		.dflt = "\"RollingUpdate\"", .values = strategy_types),
	F_OBJ("rollingUpdate", daemon_rolling, 0, "How fast pods are replaced."),
	F_END,
};
static const struct kg_schema daemon_strategy = {
	.name = "io.k8s.api.apps.v1.DaemonSetUpdateStrategy",
	.doc = "How pods of an old template give way to those of a new one.",
	.fields = daemon_strategy_fields,
	.defaults = default_daemon_strategy,
	.validate = kg_validate_daemonset_strategy,
};
static const struct kg_field daemonset_spec_fields[] = {
	F_OBJ("selector", kg_schema_label_selector, KG_FF_REQUIRED | KG_FF_IMMUTABLE,
		"Which pods are its own; it must match the template's labels."),
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What its pods are made of."),
	F_OBJ("updateStrategy", daemon_strategy, 0, "How pods are replaced.", .dflt = "{}"),
	F_INT("minReadySeconds", 0, "How long a pod must be ready to be available.", R_COUNT),
	F_INT("revisionHistoryLimit", 0, "How many old revisions are kept.", R_COUNT, .dflt = "10"),
	F_END,
};
static const struct kg_schema daemonset_spec = {
	.name = "io.k8s.api.apps.v1.DaemonSetSpec",
	.doc = "What a DaemonSet shall run.",
	.fields = daemonset_spec_fields,
	.validate = kg_validate_daemonset_spec,
};
static const struct kg_schema daemonset_condition = {
	.name = "io.k8s.api.apps.v1.DaemonSetCondition",
	.doc = "Something that is or is not true of a DaemonSet.",
	.fields = kg_fields_workload_condition,
};
static const struct kg_field daemonset_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("currentNumberScheduled", KG_FF_REQUIRED, "Nodes that have its pod and should.",
		R_COUNT),
	F_INT("numberMisscheduled", KG_FF_REQUIRED, "Nodes that have its pod and should not.",
		R_COUNT),
	F_INT("desiredNumberScheduled", KG_FF_REQUIRED, "Nodes that should have its pod.", R_COUNT),
	F_INT("numberReady", KG_FF_REQUIRED, "Nodes where its pod is ready.", R_COUNT),
	F_INT("updatedNumberScheduled", 0, "Nodes whose pod is of the current template.", R_COUNT),
	F_INT("numberAvailable", 0, "Nodes whose pod was ready long enough.", R_COUNT),
	F_INT("numberUnavailable", 0, "Nodes that should have an available pod and do not.",
		R_COUNT),
	F_INT("collisionCount", 0, "How often a revision's name was taken.", R_COUNT),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &daemonset_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema daemonset_status = {
	.name = "io.k8s.api.apps.v1.DaemonSetStatus",
	.doc = "What was observed of a DaemonSet.",
	.fields = daemonset_status_fields,
};
static const struct kg_field daemonset_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", daemonset_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", daemonset_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_daemonset = {
	.name = "io.k8s.api.apps.v1.DaemonSet",
	.doc = "Runs a pod on every node that it fits.",
	.fields = daemonset_fields,
	.validate = kg_validate_any_named,
};

/* ---- ControllerRevision: made by the system ---- */

static const struct kg_field controllerrevision_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ANY("data", KG_FF_IMMUTABLE, "The state that is kept: a patch of its owner."),
	F_INT("revision", KG_FF_REQUIRED, "Its number among its owner's revisions.", .min = 0,
		.max = INT64_MAX),
	F_END,
};
const struct kg_schema kg_schema_controllerrevision = {
	.name = "io.k8s.api.apps.v1.ControllerRevision",
	.doc = "An earlier or the current state of a StatefulSet or DaemonSet.",
	.fields = controllerrevision_fields,
};
