/* core/v1: where pods may and should run: affinity, spread, tolerations. */
#include "kinds/tables.h"

static const char *const node_operators[] = {
	"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", NULL};
static const char *const field_operators[] = {"In", "NotIn", NULL};
static const char *const toleration_operators[] = {"Exists", "Equal", NULL};
static const char *const taint_effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
static const char *const unsatisfiable[] = {"DoNotSchedule", "ScheduleAnyway", NULL};
static const char *const inclusion_policies[] = {"Honor", "Ignore", NULL};

/* ---- nodes ---- */

static const struct kg_field node_expression_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The node's label that is looked at.",
		.check = kg_check_label_key),
	F_STR("operator", KG_FF_REQUIRED, "In, NotIn, Exists, DoesNotExist, Gt or Lt.",
		.values = node_operators),
	F_STR("values", KG_FF_LIST, "The values it is compared with.",
		.check = kg_check_label_value),
	F_END,
};
static const struct kg_schema node_expression = {
	.name = "io.k8s.api.core.v1.NodeSelectorRequirement",
	.doc = "One condition on a node.",
	.fields = node_expression_fields,
	.validate = kg_validate_node_expression,
};
static const struct kg_field node_field_fields[] = {
	F_STR("key", KG_FF_REQUIRED, "The node's field: metadata.name."),
	F_STR("operator", KG_FF_REQUIRED, "In or NotIn.", .values = field_operators),
	F_STR("values", KG_FF_LIST, "The value it is compared with."),
	F_END,
};
static const struct kg_schema node_field = {
	.name = "io.k8s.api.core.v1.NodeSelectorRequirement",
	.doc = "One condition on a node.",
	.fields = node_field_fields,
	.validate = kg_validate_node_field,
};
static const struct kg_field node_term_fields[] = {
	F_ROW("matchExpressions", KG_F_OBJECT, KG_FF_LIST, "Conditions on the node's labels.",
		.schema = &node_expression),
	F_ROW("matchFields", KG_F_OBJECT, KG_FF_LIST, "Conditions on the node's fields.",
		.schema = &node_field),
	F_END,
};
static const struct kg_schema node_term = {
	.name = "io.k8s.api.core.v1.NodeSelectorTerm",
	.doc = "Conditions that must all hold; an empty one selects no node.",
	.fields = node_term_fields,
};
static const struct kg_field node_selector_fields[] = {
	F_ROW("nodeSelectorTerms", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED,
		"Terms of which one must hold.", .schema = &node_term),
	F_END,
};
const struct kg_schema kg_schema_node_selector = {
	.name = "io.k8s.api.core.v1.NodeSelector",
	.doc = "Which nodes a pod may run on.",
	.fields = node_selector_fields,
};
static const struct kg_field preferred_fields[] = {
	F_INT("weight", KG_FF_REQUIRED, "How much it counts, 1 to 100.", .min = 1, .max = 100),
	F_OBJ("preference", node_term, KG_FF_REQUIRED, "The conditions."),
	F_END,
};
static const struct kg_schema preferred = {
	.name = "io.k8s.api.core.v1.PreferredSchedulingTerm",
	.doc = "Nodes that are preferred.",
	.fields = preferred_fields,
};
static const struct kg_field node_affinity_fields[] = {
	F_OBJ("requiredDuringSchedulingIgnoredDuringExecution", kg_schema_node_selector, 0,
		"Which nodes the pod may run on."),
	F_ROW("preferredDuringSchedulingIgnoredDuringExecution", KG_F_OBJECT, KG_FF_LIST,
		"Which nodes are preferred.", .schema = &preferred),
	F_END,
};
static const struct kg_schema node_affinity = {
	.name = "io.k8s.api.core.v1.NodeAffinity",
	.doc = "Which nodes a pod may or should run on.",
	.fields = node_affinity_fields,
};
/* ---- pods ---- */

static const struct kg_field affinity_term_fields[] = {
	F_OBJ("labelSelector", kg_schema_label_selector, 0, "The pods; none where there is none."),
	F_STR("topologyKey", KG_FF_REQUIRED, "The nodes' label whose value is what is near.",
		.check = kg_check_label_key),
	F_STR("namespaces", KG_FF_LIST, "The pods' namespaces; the pod's own by default.",
		.check = kg_check_dns_label),
	F_OBJ("namespaceSelector", kg_schema_label_selector, 0,
		"Further namespaces, by their labels; an empty one selects all."),
	F_STR("matchLabelKeys", KG_FF_LIST, "Labels whose values are the pod's own.",
		.check = kg_check_label_key),
	F_STR("mismatchLabelKeys", KG_FF_LIST, "Labels whose values are not the pod's own.",
		.check = kg_check_label_key),
	F_END,
};
static const struct kg_schema affinity_term = {
	.name = "io.k8s.api.core.v1.PodAffinityTerm",
	.doc = "Some pods, and what counts as near them.",
	.fields = affinity_term_fields,
	.validate = kg_validate_affinity_term,
};
static const struct kg_field weighted_term_fields[] = {
	F_INT("weight", KG_FF_REQUIRED, "How much it counts, 1 to 100.", .min = 1, .max = 100),
	F_OBJ("podAffinityTerm", affinity_term, KG_FF_REQUIRED, "The pods."),
	F_END,
};
static const struct kg_schema weighted_term = {
	.name = "io.k8s.api.core.v1.WeightedPodAffinityTerm",
	.doc = "Pods that it should be near to or away from.",
	.fields = weighted_term_fields,
};
static const struct kg_field pod_affinity_fields[] = {
	F_ROW("requiredDuringSchedulingIgnoredDuringExecution", KG_F_OBJECT, KG_FF_LIST,
		"Pods that it must be near to, or away from.", .schema = &affinity_term),
	F_ROW("preferredDuringSchedulingIgnoredDuringExecution", KG_F_OBJECT, KG_FF_LIST,
		"Pods that it should be near to, or away from.", .schema = &weighted_term),
	F_END,
};
static const struct kg_schema pod_affinity = {
	.name = "io.k8s.api.core.v1.PodAffinity",
	.doc = "Which pods it must or should be near to.",
	.fields = pod_affinity_fields,
};
static const struct kg_schema pod_anti_affinity = {
	.name = "io.k8s.api.core.v1.PodAntiAffinity",
	.doc = "Which pods it must or should be away from.",
	.fields = pod_affinity_fields,
};
static const struct kg_field affinity_fields[] = {
	F_OBJ("nodeAffinity", node_affinity, 0, "Which nodes the pod may or should run on."),
	F_OBJ("podAffinity", pod_affinity, 0, "Which pods it should be near to."),
	F_OBJ("podAntiAffinity", pod_anti_affinity, 0, "Which pods it should be away from."),
	F_END,
};
const struct kg_schema kg_schema_affinity = {
	.name = "io.k8s.api.core.v1.Affinity",
	.doc = "Where a pod may or should run.",
	.fields = affinity_fields,
};
static const struct kg_field spread_fields[] = {
	F_INT("maxSkew", KG_FF_REQUIRED, "How uneven the pods may be spread, at least 1.",
		R_POSITIVE),
	F_STR("topologyKey", KG_FF_REQUIRED, "The nodes' label over whose values they spread.",
		.check = kg_check_label_key),
	F_STR("whenUnsatisfiable", KG_FF_REQUIRED, "DoNotSchedule or ScheduleAnyway.",
		.values = unsatisfiable),
	F_OBJ("labelSelector", kg_schema_label_selector, 0, "The pods that are counted."),
	F_INT("minDomains", 0, "How many values there must be, at least 1.", R_POSITIVE),
	F_STR("nodeAffinityPolicy", 0, "Honor (the default) or Ignore: the pod's node affinity.",
		.values = inclusion_policies),
	F_STR("nodeTaintsPolicy", 0, "Honor or Ignore (the default): the nodes' taints.",
		.values = inclusion_policies),
	F_STR("matchLabelKeys", KG_FF_LIST, "Labels whose values are the pod's own.",
		.check = kg_check_label_key),
	F_END,
};
const struct kg_schema kg_schema_spread = {
	.name = "io.k8s.api.core.v1.TopologySpreadConstraint",
	.doc = "How pods spread over the cluster.",
	.fields = spread_fields,
	.validate = kg_validate_spread,
};

/* ---- tolerations ---- */

static const struct kg_field toleration_fields[] = {
	F_STR("key", 0, "The taint's key; all where it is empty.", .check = kg_check_label_key),
	F_STR("operator", 0, "Exists or Equal (the default).", .values = toleration_operators),
	F_STR("value", 0, "The taint's value, for Equal."),
	F_STR("effect", 0, "The taint's effect; all where it is empty.", .values = taint_effects),
	F_INT("tolerationSeconds", 0, "For how long NoExecute is tolerated.", .min = INT64_MIN,
		.max = INT64_MAX),
	F_END,
};
const struct kg_schema kg_schema_toleration = {
	.name = "io.k8s.api.core.v1.Toleration",
	.doc = "A taint of nodes that does not keep the pod away.",
	.fields = toleration_fields,
	.validate = kg_validate_toleration,
};
