/* core/v1: Pod, its spec and its template. */
#include "kinds/tables.h"

static const char *const restart_policies[] = {"Always", "OnFailure", "Never", NULL};
static const char *const dns_policies[] = {
	"ClusterFirst", "ClusterFirstWithHostNet", "Default", "None", NULL};
static const char *const preemption_policies[] = {"PreemptLowerPriority", "Never", NULL};
static const char *const schedulers[] = {"default-scheduler", "most-allocated-scheduler", NULL};
static const char *const systems[] = {"linux", NULL};

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
static const struct kg_schema dns_config = {
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

static const struct kg_field gate_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The gate's name.", .check = kg_check_label_key),
	F_END,
};
static const struct kg_schema gate = {
	.name = "io.k8s.api.core.v1.PodSchedulingGate",
	.doc = "Something that scheduling waits for until it is taken out.",
	.fields = gate_fields,
};
static const struct kg_field readiness_gate_fields[] = {
	F_STR("conditionType", KG_FF_REQUIRED, "The condition's type.",
		.check = kg_check_label_key),
	F_END,
};
static const struct kg_schema readiness_gate = {
	.name = "io.k8s.api.core.v1.PodReadinessGate",
	.doc = "A condition that readiness waits for.",
	.fields = readiness_gate_fields,
};
static const struct kg_field host_alias_fields[] = {
	F_STR("ip", KG_FF_REQUIRED, "The address.", .check = kg_check_ip),
	F_STR("hostnames", KG_FF_LIST, "Its names.", .check = kg_check_dns_subdomain),
	F_END,
};
static const struct kg_schema host_alias = {
	.name = "io.k8s.api.core.v1.HostAlias",
	.doc = "A line of /etc/hosts.",
	.fields = host_alias_fields,
};

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
	F_OBJ("dnsConfig", dns_config, 0, "What is added to resolv.conf."),
	F_BOOL("enableServiceLinks", 0,
		"Without effect: of Services only kubernetes appears as environment variables.",
		.dflt = "true"),
	F_STR("serviceAccountName", 0, "The ServiceAccount it acts as.",
		.check = kg_check_dns_subdomain),
	F_STR("serviceAccount", 0, "The old name of serviceAccountName.",
		.check = kg_check_dns_subdomain),
	F_BOOL("automountServiceAccountToken", 0, "Whether a token of it is mounted."),
	F_OBJ("securityContext", kg_schema_pod_security_context, 0, "Whom its containers run as.",
		.dflt = "{}"),
	F_STR("schedulerName", 0, "Who binds it: default-scheduler or most-allocated-scheduler.",
		.dflt = "\"default-scheduler\"", .values = schedulers),
	F_STR("preemptionPolicy", 0,
		"PreemptLowerPriority, or Never: others do not give way to it.",
		.values = preemption_policies),
	F_OBJ("os", os, 0, "The system it is made for."),
	F_BOOL("hostUsers", 0, "Whether it uses the node's user namespace.",
		.check = kg_check_host_users),
	F_ROW("topologySpreadConstraints", KG_F_OBJECT, KG_FF_LIST,
		"How pods spread over the cluster.", .schema = &kg_schema_spread,
		.merge_key = "topologyKey,whenUnsatisfiable"),
	F_ROW("schedulingGates", KG_F_OBJECT, KG_FF_LIST, "What scheduling waits for.",
		.schema = &gate, .merge_key = "name"),
	F_BOOL("hostPID", 0, "Whether it sees the node's processes."),
	F_BOOL("hostIPC", 0, "Whether it uses the node's IPC namespace."),
	F_BOOL("shareProcessNamespace", 0, "Whether its containers see each other's processes."),
	F_NOBOOL("setHostnameAsFQDN", "Whether its host name is the full one."),
	F_NOWHY("ephemeralContainers", KG_F_ANY, KG_FF_LIST, "Containers added for debugging.",
		"cannot be set on create: ephemeral containers are added to pods that run"),
	F_ROW("imagePullSecrets", KG_F_OBJECT, KG_FF_LIST,
		"Secrets with credentials of registries; its ServiceAccount's by default.",
		.schema = &kg_schema_local_reference),
	F_ROW("hostAliases", KG_F_OBJECT, KG_FF_LIST, "Lines that are added to /etc/hosts.",
		.schema = &host_alias, .merge_key = "ip"),
	F_NOWHY("priority", KG_F_INT, 0, "How important it is.",
		"it is priorityClassName's to say how important a pod is"),
	F_STR("priorityClassName", 0, "The class that says how important it is.",
		.check = kg_check_dns_subdomain),
	F_ROW("readinessGates", KG_F_OBJECT, KG_FF_LIST | KG_FF_UNSUPPORTED,
		"Conditions of others that readiness waits for.", .schema = &readiness_gate),
	F_STR("runtimeClassName", 0, "The container runtime it wants.",
		.check = kg_check_dns_subdomain),
	F_ROW("overhead", KG_F_QUANTITY, KG_FF_MAP,
		"What the runtime needs beside it: its RuntimeClass's, where it is written at all.",
		.check = kg_check_quantity, .check_key = kg_check_resource_name),
	F_NOWHY("resourceClaims", KG_F_ANY, KG_FF_LIST, "Claims of dynamic resources.",
		"kgit has no dynamic resources"),
	F_OBJ("resources", kg_schema_resources, KG_FF_UNSUPPORTED,
		"Resources of the pod as a whole."),
	F_STR("hostnameOverride", KG_FF_UNSUPPORTED,
		"Its host name, whatever the other fields say.", .check = kg_check_dns_subdomain),
	F_NOANY("workloadRef", "The group of pods it is scheduled with."),
	F_NOLIST("evictionResponders", "Who is asked before it is evicted."),
	F_NOANY("schedulingGroup", "The group of pods it is scheduled with."),
	F_END,
};
static const struct kg_schema pod_spec = {
	.name = "io.k8s.api.core.v1.PodSpec",
	.doc = "What runs in a pod and how.",
	.fields = pod_spec_fields,
	.defaults = kg_default_pod_spec,
	.validate = kg_validate_pod_spec,
};

static const struct kg_field pod_template_fields[] = {
	F_OBJ("metadata", kg_schema_template_meta, 0, "Labels and annotations of the pods."),
	F_OBJ("spec", pod_spec, KG_FF_REQUIRED, "What runs in the pods and how."),
	F_END,
};
const struct kg_schema kg_schema_pod_template = {
	.name = "io.k8s.api.core.v1.PodTemplateSpec",
	.doc = "What pods are made of.",
	.fields = pod_template_fields,
	.validate = kg_validate_pod_template,
};

static const struct kg_schema claiming_pod_spec = {
	.name = "io.k8s.api.core.v1.PodSpec",
	.doc = "What runs in a pod and how.",
	.fields = pod_spec_fields,
	.defaults = kg_default_pod_spec,
	.validate = kg_validate_claiming_pod_spec,
};
static const struct kg_field claiming_pod_template_fields[] = {
	F_OBJ("metadata", kg_schema_template_meta, 0, "Labels and annotations of the pods."),
	F_OBJ("spec", claiming_pod_spec, KG_FF_REQUIRED, "What runs in the pods and how."),
	F_END,
};
const struct kg_schema kg_schema_claiming_pod_template = {
	.name = "io.k8s.api.core.v1.PodTemplateSpec",
	.doc = "What pods are made of.",
	.fields = claiming_pod_template_fields,
	.validate = kg_validate_pod_template,
};

static const struct kg_field pod_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", pod_spec, KG_FF_REQUIRED, "What runs in the pod and how."),
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
