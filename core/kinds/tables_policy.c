/* scheduling.k8s.io/v1 PriorityClass; core/v1: ResourceQuota and LimitRange; node.k8s.io/v1
 * RuntimeClass. */
#include "kinds/tables.h"

static const char *const preemption_policies[] = {"PreemptLowerPriority", "Never", NULL};
static const char *const scopes[] = {"Terminating", "NotTerminating", "BestEffort", "NotBestEffort",
	"PriorityClass", "CrossNamespacePodAffinity", NULL};
static const char *const scope_operators[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
static const char *const limit_types[] = {"Pod", "Container", "PersistentVolumeClaim", NULL};

/* ---- PriorityClass ---- */

static const struct kg_field priority_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_INT("value", 0, "The pods' priority; more is more important.", R_INT32, .dflt = "0"),
	F_BOOL("globalDefault", 0, "Whether pods that name no class are of this one."),
	F_STR("description", 0, "What it is for."),
	F_STR("preemptionPolicy", 0, "PreemptLowerPriority, or Never: others do not give way.",
		.dflt = "\"PreemptLowerPriority\"", .values = preemption_policies),
	F_END,
};
const struct kg_schema kg_schema_priorityclass = {
	.name = "io.k8s.api.scheduling.v1.PriorityClass",
	.doc = "How important pods are.",
	.fields = priority_fields,
	.validate = kg_validate_priorityclass,
	.update = kg_update_priorityclass,
};

/* ---- ResourceQuota ---- */

static const struct kg_field scope_requirement_fields[] = {
	F_STR("scopeName", KG_FF_REQUIRED, "The scope.", .values = scopes),
	F_STR("operator", KG_FF_REQUIRED, "In, NotIn, Exists or DoesNotExist.",
		.values = scope_operators),
	F_STR("values", KG_FF_LIST, "The values for In and NotIn."),
	F_END,
};
static const struct kg_schema scope_requirement = {
	.name = "io.k8s.api.core.v1.ScopedResourceSelectorRequirement",
	.doc = "One condition on what a quota counts.",
	.fields = scope_requirement_fields,
	.validate = kg_validate_scope_requirement,
};
static const struct kg_field scope_selector_fields[] = {
	F_ROW("matchExpressions", KG_F_OBJECT, KG_FF_LIST, "Conditions that must all hold.",
		.schema = &scope_requirement),
	F_END,
};
static const struct kg_schema scope_selector = {
	.name = "io.k8s.api.core.v1.ScopeSelector",
	.doc = "What a quota counts.",
	.fields = scope_selector_fields,
};
static const struct kg_field quota_spec_fields[] = {
	F_ROW("hard", KG_F_QUANTITY, KG_FF_MAP, "How much there may be of each resource.",
		.check = kg_check_quantity, .check_key = kg_check_quota_resource),
	F_STR("scopes", KG_FF_LIST | KG_FF_IMMUTABLE, "What is counted; all by default.",
		.values = scopes),
	F_OBJ("scopeSelector", scope_selector, 0, "What is counted; all by default."),
	F_END,
};
static const struct kg_schema quota_spec = {
	.name = "io.k8s.api.core.v1.ResourceQuotaSpec",
	.doc = "How much a namespace may use.",
	.fields = quota_spec_fields,
	.validate = kg_validate_quota_spec,
};
static const struct kg_field quota_status_fields[] = {
	F_ROW("hard", KG_F_QUANTITY, KG_FF_MAP, "How much there may be of each resource."),
	F_ROW("used", KG_F_QUANTITY, KG_FF_MAP, "How much is used of each resource."),
	F_END,
};
static const struct kg_schema quota_status = {
	.name = "io.k8s.api.core.v1.ResourceQuotaStatus",
	.doc = "How much a namespace uses.",
	.fields = quota_status_fields,
};
static const struct kg_field quota_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", quota_spec, 0, "How much the namespace may use."),
	F_OBJ("status", quota_status, KG_FF_STATUS, "How much it uses."),
	F_END,
};
const struct kg_schema kg_schema_resourcequota = {
	.name = "io.k8s.api.core.v1.ResourceQuota",
	.doc = "Bounds what a namespace may use in sum.",
	.fields = quota_fields,
	.validate = kg_validate_any_named,
};

/* ---- LimitRange ---- */

#define F_RESOURCES(n, d)                                                                          \
	F_ROW(n, KG_F_QUANTITY, KG_FF_MAP, d, .check = kg_check_quantity,                          \
		.check_key = kg_check_limit_resource)
static const struct kg_field limit_fields[] = {
	F_STR("type", KG_FF_REQUIRED, "Pod, Container or PersistentVolumeClaim.",
		.values = limit_types),
	F_RESOURCES("max", "The most that one may have."),
	F_RESOURCES("min", "The least that one must have."),
	F_RESOURCES("default", "A container's limits, where it names none."),
	F_RESOURCES("defaultRequest", "A container's requests, where it names none."),
	F_RESOURCES("maxLimitRequestRatio", "How many times its request a limit may be."),
	F_END,
};
static const struct kg_schema limit = {
	.name = "io.k8s.api.core.v1.LimitRangeItem",
	.doc = "Bounds of one type.",
	.fields = limit_fields,
	.defaults = kg_default_limit,
	.validate = kg_validate_limit,
};
static const struct kg_field limit_spec_fields[] = {
	F_ROW("limits", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED, "The bounds of each type.",
		.schema = &limit, .merge_key = "type"),
	F_END,
};
static const struct kg_schema limit_spec = {
	.name = "io.k8s.api.core.v1.LimitRangeSpec",
	.doc = "Bounds of single objects.",
	.fields = limit_spec_fields,
};
static const struct kg_field limitrange_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", limit_spec, KG_FF_REQUIRED, "The bounds."),
	F_END,
};
const struct kg_schema kg_schema_limitrange = {
	.name = "io.k8s.api.core.v1.LimitRange",
	.doc = "Bounds what single pods, containers and claims of a namespace may ask for.",
	.fields = limitrange_fields,
	.validate = kg_validate_any_named,
};

/* ---- RuntimeClass ---- */

static const struct kg_field overhead_fields[] = {
	F_ROW("podFixed", KG_F_QUANTITY, KG_FF_MAP, "What each pod needs beside its containers.",
		.check = kg_check_quantity, .check_key = kg_check_resource_name),
	F_END,
};
static const struct kg_schema overhead = {
	.name = "io.k8s.api.node.v1.Overhead",
	.doc = "What the runtime itself needs.",
	.fields = overhead_fields,
};
static const struct kg_field runtime_scheduling_fields[] = {
	F_ROW("nodeSelector", KG_F_STRING, KG_FF_MAP, "Labels of the nodes that have it.",
		.check = kg_check_label_value, .check_key = kg_check_label_key),
	F_ROW("tolerations", KG_F_OBJECT, KG_FF_LIST, "Taints of nodes that have it.",
		.schema = &kg_schema_toleration),
	F_END,
};
static const struct kg_schema runtime_scheduling = {
	.name = "io.k8s.api.node.v1.Scheduling",
	.doc = "Which nodes have a runtime.",
	.fields = runtime_scheduling_fields,
};
/* What nodes have. */
static const char *const handlers[] = {"runc", NULL};
static const struct kg_field runtime_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_STR("handler", KG_FF_REQUIRED | KG_FF_IMMUTABLE, "The runtime's name on the nodes.",
		.check = kg_check_dns_label, .values = handlers),
	F_OBJ("overhead", overhead, 0, "What the runtime itself needs."),
	F_OBJ("scheduling", runtime_scheduling, 0, "Which nodes have it."),
	F_END,
};
const struct kg_schema kg_schema_runtimeclass = {
	.name = "io.k8s.api.node.v1.RuntimeClass",
	.doc = "A way of running containers.",
	.fields = runtime_fields,
	.validate = kg_validate_any_named,
};
