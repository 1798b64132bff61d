/* core/v1: ReplicationController and PodTemplate; policy/v1: PodDisruptionBudget. */
#include "kinds/tables.h"

/* ---- ReplicationController ---- */

static const struct kg_field controller_spec_fields[] = {
	F_INT("replicas", 0, "How many pods there shall be.", R_COUNT, .dflt = "1"),
	F_INT("minReadySeconds", 0, "How long a pod must be ready to be available.", R_COUNT),
	F_ROW("selector", KG_F_STRING, KG_FF_MAP,
		"Labels of the pods that are its own; the template's by default.",
		.check = kg_check_label_value, .check_key = kg_check_label_key),
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What its pods are made of."),
	F_END,
};
static const struct kg_schema controller_spec = {
	.name = "io.k8s.api.core.v1.ReplicationControllerSpec",
	.doc = "What a ReplicationController shall run.",
	.fields = controller_spec_fields,
	.validate = kg_validate_replicationcontroller_spec,
};
static const struct kg_schema controller_condition = {
	.name = "io.k8s.api.core.v1.ReplicationControllerCondition",
	.doc = "Something that is or is not true of a ReplicationController.",
	.fields = kg_fields_workload_condition,
};
static const struct kg_field controller_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("replicas", KG_FF_REQUIRED, "How many pods there are.", R_COUNT),
	F_INT("fullyLabeledReplicas", 0, "How many have all of the template's labels.", R_COUNT),
	F_INT("readyReplicas", 0, "How many are ready.", R_COUNT),
	F_INT("availableReplicas", 0, "How many were ready long enough.", R_COUNT),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &controller_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema controller_status = {
	.name = "io.k8s.api.core.v1.ReplicationControllerStatus",
	.doc = "What was observed of a ReplicationController.",
	.fields = controller_status_fields,
};
static const struct kg_field controller_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", controller_spec, KG_FF_REQUIRED, "What it shall run."),
	F_OBJ("status", controller_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_replicationcontroller = {
	.name = "io.k8s.api.core.v1.ReplicationController",
	.doc = "Keeps a number of equal pods running; the older form of ReplicaSet.",
	.fields = controller_fields,
	.defaults = kg_default_replicationcontroller,
	.validate = kg_validate_any_named,
};

/* ---- PodTemplate ---- */

static const struct kg_field podtemplate_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("template", kg_schema_pod_template, KG_FF_REQUIRED, "What pods are made of."),
	F_END,
};
const struct kg_schema kg_schema_podtemplate = {
	.name = "io.k8s.api.core.v1.PodTemplate",
	.doc = "A template of pods that is kept for later.",
	.fields = podtemplate_fields,
	.validate = kg_validate_any_named,
};

/* ---- PodDisruptionBudget ---- */

static const char *const eviction_policies[] = {"IfHealthyBudget", "AlwaysAllow", NULL};

static const struct kg_field budget_spec_fields[] = {
	F_IOS("minAvailable", 0, "How many pods must stay available: a number or percent.",
		.check = kg_check_percent_or_int),
	F_IOS("maxUnavailable", 0, "How many pods may be missing: a number or percent.",
		.check = kg_check_percent_or_int),
	F_OBJ("selector", kg_schema_label_selector, 0,
		"Which pods it is about; an empty one is all, none is none."),
	F_STR("unhealthyPodEvictionPolicy", 0,
		"IfHealthyBudget (the default) or AlwaysAllow: pods that are not ready.",
		.values = eviction_policies),
	F_END,
};
static const struct kg_schema budget_spec = {
	.name = "io.k8s.api.policy.v1.PodDisruptionBudgetSpec",
	.doc = "How many pods may be evicted at once.",
	.fields = budget_spec_fields,
	.validate = kg_validate_pdb_spec,
};
static const struct kg_field budget_status_fields[] = {
	F_INT("observedGeneration", 0, "The generation it is about."),
	F_INT("disruptionsAllowed", KG_FF_REQUIRED, "How many pods may be evicted now.", R_COUNT),
	F_INT("currentHealthy", KG_FF_REQUIRED, "How many pods are ready.", R_COUNT),
	F_INT("desiredHealthy", KG_FF_REQUIRED, "How many pods must be ready.", R_COUNT),
	F_INT("expectedPods", KG_FF_REQUIRED, "How many pods there shall be.", R_COUNT),
	F_ROW("disruptedPods", KG_F_TIME, KG_FF_MAP,
		"Pods whose eviction was granted, and when, until they are seen to go."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &kg_schema_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema budget_status = {
	.name = "io.k8s.api.policy.v1.PodDisruptionBudgetStatus",
	.doc = "What was observed of a PodDisruptionBudget.",
	.fields = budget_status_fields,
};
static const struct kg_field budget_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", budget_spec, 0, "How many pods may be evicted at once."),
	F_OBJ("status", budget_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_poddisruptionbudget = {
	.name = "io.k8s.api.policy.v1.PodDisruptionBudget",
	.doc = "Keeps evictions from taking too many of some pods at once.",
	.fields = budget_fields,
	.validate = kg_validate_any_named,
};
