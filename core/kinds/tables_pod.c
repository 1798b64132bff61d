/* core/v1: Pod, its spec and its template. */
#include "kinds/tables.h"

static const char *const node_operators[] = {
	"In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt", NULL};
static const char *const field_operators[] = {"In", "NotIn", NULL};
static const char *const toleration_operators[] = {"Exists", "Equal", NULL};
static const char *const taint_effects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute", NULL};
static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};
static const char *const dns_policies[] = {
	"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", NULL};
static const char *const preemption_policies[] = {"PreemptLowerPriority", "Never", NULL};
static const char *const schedulers[] = {"default-scheduler", NULL};
static const char *const systems[] = {"linux", NULL};

/* ---- affinity and tolerations ---- */

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
static const struct kg_field affinity_fields[] = {
	F_OBJ("nodeAffinity", node_affinity, 0, "Which nodes the pod may or should run on."),
	F_NOANY("podAffinity", "Which pods it should be near to."),
	F_NOANY("podAntiAffinity", "Which pods it should be away from."),
	F_END,
};
const struct kg_schema kg_schema_affinity = {
	.name = "io.k8s.api.core.v1.Affinity",
	.doc = "Where a pod may or should run.",
	.fields = affinity_fields,
};
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

/* ---- DNS ---- */

static const struct kg_field dns_option_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The option's name."),
	F_STR("value", 0, "Its value."),
	F_END,
};
static const struct kg_schema dns_option = {
	.name = "io.k8s.api.core.v1.PodDNSConfigOption",
	.doc = "An option of the resolver.",
	.fields = dns_option_fields,
};
static const struct kg_field dns_config_fields[] = {
	F_STR("nameservers", KG_FF_LIST, "Addresses of name servers.", .check = kg_check_ip),
	F_STR("searches", KG_FF_LIST, "Domains that short names are looked up in."),
	F_ROW("options", KG_F_OBJECT, KG_FF_LIST, "Options of the resolver.",
		.schema = &dns_option),
	F_END,
};
const struct kg_schema kg_schema_dns_config = {
	.name = "io.k8s.api.core.v1.PodDNSConfig",
	.doc = "What is added to the pod's resolv.conf.",
	.fields = dns_config_fields,
};
static const struct kg_field os_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "linux.", .values = systems),
	F_END,
};
static const struct kg_schema os = {
	.name = "io.k8s.api.core.v1.PodOS",
	.doc = "The system a pod is made for.",
	.fields = os_fields,
};

/* ---- the pod ---- */

static const struct kg_field pod_spec_fields[] = {
	F_ROW("containers", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED,
		"The programs that run in the pod.", .schema = &kg_schema_container,
		.merge_key = "name"),
	F_ROW("initContainers", KG_F_OBJECT, KG_FF_LIST,
		"Programs that run one after the other before the containers start.",
		.schema = &kg_schema_init_container, .merge_key = "name"),
	F_ROW("volumes", KG_F_OBJECT, KG_FF_LIST, "Directories that containers can mount.",
		.schema = &kg_schema_volume, .merge_key = "name"),
	F_STR("restartPolicy", 0, "Always, OnFailure or Never.", .dflt = "\"Always\"",
		.values = restart_policies),
	F_INT("terminationGracePeriodSeconds", 0, "How long it has to stop, in seconds.", .min = 0,
		.max = INT64_MAX, .dflt = "30"),
	F_INT("activeDeadlineSeconds", 0, "How long it may run, in seconds.", R_POSITIVE),
	F_ROW("nodeSelector", KG_F_STRING, KG_FF_MAP, "Labels that its node must have.",
		.check = kg_check_label_value, .check_key = kg_check_label_key),
	F_STR("nodeName", 0, "The node it runs on; decided by the scheduler where not given.",
		.check = kg_check_dns_subdomain),
	F_OBJ("affinity", kg_schema_affinity, 0, "Where it may or should run."),
	F_ROW("tolerations", KG_F_OBJECT, KG_FF_LIST, "Taints of nodes that do not keep it away.",
		.schema = &kg_schema_toleration),
	F_BOOL("hostNetwork", 0, "Whether it uses the node's network."),
	F_STR("hostname", 0, "Its host name; the pod's name by default.",
		.check = kg_check_dns_label),
	F_STR("subdomain", 0, "The headless Service below which its name is found.",
		.check = kg_check_dns_label),
	F_STR("dnsPolicy", 0, "How names are looked up.", .dflt = "\"ClusterFirst\"",
		.values = dns_policies),
	F_OBJ("dnsConfig", kg_schema_dns_config, 0, "What is added to resolv.conf."),
	F_BOOL("enableServiceLinks", 0, "Whether Services appear as environment variables.",
		.dflt = "true"),
	F_STR("serviceAccountName", 0, "The ServiceAccount it acts as.",
		.check = kg_check_dns_subdomain),
	F_STR("serviceAccount", 0, "The old name of serviceAccountName.",
		.check = kg_check_dns_subdomain),
	F_BOOL("automountServiceAccountToken", 0, "Whether a token of it is mounted."),
	F_OBJ("securityContext", kg_schema_pod_security_context, 0, "Whom its containers run as.",
		.dflt = "{}"),
	F_STR("schedulerName", 0, "Who binds it: default-scheduler.",
		.dflt = "\"default-scheduler\"", .values = schedulers),
	F_STR("preemptionPolicy", 0, "Whether others give way to it; none do in kgit.",
		.values = preemption_policies),
	F_OBJ("os", os, 0, "The system it is made for."),
	F_BOOL("hostUsers", 0, "Whether it uses the node's user namespace.",
		.check = kg_check_host_users),
	F_NOBOOL("hostPID", "Whether it sees the node's processes."),
	F_NOBOOL("hostIPC", "Whether it uses the node's IPC namespace."),
	F_NOBOOL("shareProcessNamespace", "Whether its containers see each other's processes."),
	F_NOBOOL("setHostnameAsFQDN", "Whether its host name is the full one."),
	F_NOLIST("ephemeralContainers", "Containers added for debugging."),
	F_NOLIST("imagePullSecrets", "Secrets with credentials of registries."),
	F_NOLIST("hostAliases", "Lines that are added to /etc/hosts."),
	F_NOINT("priority", "How important it is."),
	F_NOSTR("priorityClassName", "The class that says how important it is."),
	F_NOLIST("readinessGates", "Conditions of others that readiness waits for."),
	F_NOSTR("runtimeClassName", "The container runtime it wants."),
	F_NO("overhead", KG_F_QUANTITY, KG_FF_MAP, "What the runtime needs beside it."),
	F_NOLIST("topologySpreadConstraints", "How pods spread over the cluster."),
	F_NOLIST("schedulingGates", "What scheduling waits for."),
	F_NOLIST("resourceClaims", "Claims of dynamic resources."),
	F_NOANY("resources", "Resources of the pod as a whole."),
	F_NOSTR("hostnameOverride", "Its host name, whatever the other fields say."),
	F_NOANY("workloadRef", "The group of pods it is scheduled with."),
	F_END,
};
const struct kg_schema kg_schema_pod_spec = {
	.name = "io.k8s.api.core.v1.PodSpec",
	.doc = "What runs in a pod and how.",
	.fields = pod_spec_fields,
	.defaults = kg_default_pod_spec,
	.validate = kg_validate_pod_spec,
};

static const struct kg_field pod_template_fields[] = {
	F_OBJ("metadata", kg_schema_object_meta, 0, "Labels and annotations of the pods."),
	F_OBJ("spec", kg_schema_pod_spec, KG_FF_REQUIRED, "What runs in the pods and how."),
	F_END,
};
const struct kg_schema kg_schema_pod_template = {
	.name = "io.k8s.api.core.v1.PodTemplateSpec",
	.doc = "What pods are made of.",
	.fields = pod_template_fields,
};

static const struct kg_schema claiming_pod_spec = {
	.name = "io.k8s.api.core.v1.PodSpec",
	.doc = "What runs in a pod and how.",
	.fields = pod_spec_fields,
	.defaults = kg_default_pod_spec,
	.validate = kg_validate_claiming_pod_spec,
};
static const struct kg_field claiming_pod_template_fields[] = {
	F_OBJ("metadata", kg_schema_object_meta, 0, "Labels and annotations of the pods."),
	F_OBJ("spec", claiming_pod_spec, KG_FF_REQUIRED, "What runs in the pods and how."),
	F_END,
};
const struct kg_schema kg_schema_claiming_pod_template = {
	.name = "io.k8s.api.core.v1.PodTemplateSpec",
	.doc = "What pods are made of.",
	.fields = claiming_pod_template_fields,
};

static const struct kg_field pod_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", kg_schema_pod_spec, KG_FF_REQUIRED, "What runs in the pod and how."),
	F_OBJ("status", kg_schema_pod_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_pod = {
	.name = "io.k8s.api.core.v1.Pod",
	.doc = "A group of containers that run together on one node with one address.",
	.fields = pod_fields,
	.validate = kg_validate_pod,
	.update = kg_update_pod,
};
