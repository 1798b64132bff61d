/* core/v1: Namespace, ConfigMap, Service, and references. */
#include "kinds/tables.h"

/* ---- Namespace ---- */

static const struct kg_field namespace_spec_fields[] = {
	F_STR("finalizers", KG_FF_LIST | KG_FF_STATUS, "What must be done before it goes."),
	F_END,
};
static const struct kg_schema namespace_spec = {
	.name = "io.k8s.api.core.v1.NamespaceSpec",
	.doc = "Settings of a namespace.",
	.fields = namespace_spec_fields,
};
static const struct kg_schema namespace_condition = {
	.name = "io.k8s.api.core.v1.NamespaceCondition",
	.doc = "Something that is or is not true of a namespace.",
	.fields = kg_fields_workload_condition,
};
static const struct kg_field namespace_status_fields[] = {
	F_STR("phase", 0, "Active or Terminating."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &namespace_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema namespace_status = {
	.name = "io.k8s.api.core.v1.NamespaceStatus",
	.doc = "What was observed of a namespace.",
	.fields = namespace_status_fields,
};
static const struct kg_field namespace_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", namespace_spec, 0, "Settings of the namespace."),
	F_OBJ("status", namespace_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_namespace = {
	.name = "io.k8s.api.core.v1.Namespace",
	.doc = "A room of names: objects in different namespaces can have the same name.",
	.fields = namespace_fields,
	.defaults = kg_default_namespace,
	.validate = kg_validate_namespace,
};

/* ---- ConfigMap ---- */

static const struct kg_field configmap_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("data", KG_F_STRING, KG_FF_MAP, "Keys and texts.", .check_key = kg_check_config_key),
	F_ROW("binaryData", KG_F_BYTES, KG_FF_MAP, "Keys and bytes, in base64.",
		.check_key = kg_check_config_key),
	F_BOOL("immutable", 0, "Whether its data may not change any more."),
	F_END,
};
const struct kg_schema kg_schema_configmap = {
	.name = "io.k8s.api.core.v1.ConfigMap",
	.doc = "Texts that pods read as files or environment variables.",
	.fields = configmap_fields,
	.validate = kg_validate_configmap,
	.update = kg_update_configmap,
};

/* ---- Service ---- */

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const service_types[] = {
	"ClusterIP", "NodePort", "LoadBalancer", "ExternalName", NULL};
static const char *const affinities[] = {"None", "ClientIP", NULL};
static const char *const external_policies[] = {"Cluster", "Local", NULL};
static const char *const internal_policies[] = {"Cluster", "Local", NULL};
static const char *const families[] = {"IPv4", NULL};
static const char *const family_policies[] = {"SingleStack", "PreferDualStack", NULL};

static const struct kg_field service_port_fields[] = {
	F_STR("name", 0, "The port's name; needed where there are several.",
		.check = kg_check_dns_label),
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_INT("port", KG_FF_REQUIRED, "The Service's port, 1 to 65535.", R_PORT),
	F_IOS("targetPort", 0, "The pods' port: its number or name; by default the same as port.",
		.check = kg_check_port),
	F_INT("nodePort", 0, "The port of every node, 30000 to 32767.", .min = 0, .max = 65535),
	F_STR("appProtocol", 0, "What is spoken on the port; a hint.", .check = kg_check_label_key),
	F_END,
};
static const struct kg_schema service_port = {
	.name = "io.k8s.api.core.v1.ServicePort",
	.doc = "A port of a Service.",
	.fields = service_port_fields,
	.defaults = kg_default_service_port,
};
static const struct kg_field client_ip_fields[] = {
	F_INT("timeoutSeconds", 0, "How long a client stays with its pod.", .min = 1, .max = 86400,
		.dflt = "10800"),
	F_END,
};
static const struct kg_schema client_ip = {
	.name = "io.k8s.api.core.v1.ClientIPConfig",
	.doc = "Settings of ClientIP affinity.",
	.fields = client_ip_fields,
};
static const struct kg_field affinity_config_fields[] = {
	F_OBJ("clientIP", client_ip, 0, "Settings of ClientIP affinity.", .dflt = "{}"),
	F_END,
};
static const struct kg_schema affinity_config = {
	.name = "io.k8s.api.core.v1.SessionAffinityConfig",
	.doc = "Settings of session affinity.",
	.fields = affinity_config_fields,
};
static const struct kg_field service_spec_fields[] = {
	F_STR("type", 0, "ClusterIP, NodePort, LoadBalancer or ExternalName.",
		.dflt = "\"ClusterIP\"", .values = service_types),
	F_ROW("selector", KG_F_STRING, KG_FF_MAP, "Labels of the pods that serve it.",
		.check = kg_check_label_value, .check_key = kg_check_label_key),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Its ports.", .schema = &service_port,
		.merge_key = "port,protocol"),
	F_STR("clusterIP", 0, "Its address, chosen where not given; None for a headless one.",
		.check = kg_check_cluster_ip),
	F_STR("clusterIPs", KG_FF_LIST, "Its addresses; the first is clusterIP.",
		.check = kg_check_cluster_ip),
	F_STR("sessionAffinity", 0, "None, or ClientIP: a client stays with its pod.",
		.dflt = "\"None\"", .values = affinities),
	F_OBJ("sessionAffinityConfig", affinity_config, 0, "Settings of session affinity."),
	F_STR("externalTrafficPolicy", 0,
		"Cluster, or Local, those of the node: which pods a node's port and externalIPs "
		"lead to.",
		.values = external_policies),
	F_STR("internalTrafficPolicy", 0,
		"Which pods its address leads to: Cluster, or Local, those of the node.",
		.values = internal_policies),
	F_BOOL("publishNotReadyAddresses", 0, "Whether pods serve that are not ready."),
	F_STR("ipFamilies", KG_FF_LIST, "IPv4.", .values = families),
	F_STR("ipFamilyPolicy", 0, "SingleStack or PreferDualStack.", .values = family_policies),
	F_STR("externalIPs", KG_FF_LIST,
		"Further addresses that lead to it, on every node that what is sent there comes "
		"by; routing it to nodes is up to you.",
		.check = kg_check_endpoint_ip),
	F_STR("externalName", 0, "The name that it is an alias of, with type ExternalName."),
	F_STR("loadBalancerIP", 0, "The load balancer's address.", .check = kg_check_ip),
	F_STR("loadBalancerSourceRanges", KG_FF_LIST, "Who may use the load balancer.",
		.check = kg_check_cidr),
	F_STR("loadBalancerClass", 0, "Which load balancer serves it.",
		.check = kg_check_label_key),
	F_BOOL("allocateLoadBalancerNodePorts", 0,
		"Whether a LoadBalancer has ports of the nodes, too; true by default."),
	F_NOINT("healthCheckNodePort", "The port of a load balancer's health check."),
	F_NOSTR("trafficDistribution", "Which pods are preferred."),
	F_END,
};
static const struct kg_schema service_spec = {
	.name = "io.k8s.api.core.v1.ServiceSpec",
	.doc = "What a Service leads to and how.",
	.fields = service_spec_fields,
	.defaults = kg_default_service_spec,
	.validate = kg_validate_service_spec,
	.update = kg_update_service_spec,
};
static const struct kg_field service_status_fields[] = {
	F_ANY("loadBalancer", 0, "Addresses of a load balancer."),
	F_ROW("conditions", KG_F_OBJECT, KG_FF_LIST, "What is true of it.",
		.schema = &kg_schema_condition, .merge_key = "type"),
	F_END,
};
static const struct kg_schema service_status = {
	.name = "io.k8s.api.core.v1.ServiceStatus",
	.doc = "What was observed of a Service.",
	.fields = service_status_fields,
};
static const struct kg_field service_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", service_spec, KG_FF_REQUIRED, "What it leads to and how."),
	F_OBJ("status", service_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_service = {
	.name = "io.k8s.api.core.v1.Service",
	.doc = "One address for the pods that a selector finds.",
	.fields = service_fields,
	.validate = kg_validate_service,
};

/* ---- references ---- */

static const struct kg_field object_reference_fields[] = {
	F_STR("apiVersion", 0, "API version of the object."),
	F_STR("kind", 0, "Kind of the object."),
	F_STR("namespace", 0, "Namespace of the object."),
	F_STR("name", 0, "Name of the object."),
	F_STR("uid", 0, "UID of the object."),
	F_STR("resourceVersion", 0, "The revision that is meant."),
	F_STR("fieldPath", 0, "The part that is meant, e.g. spec.containers{web}."),
	F_END,
};
const struct kg_schema kg_schema_object_reference = {
	.name = "io.k8s.api.core.v1.ObjectReference",
	.doc = "Names another object.",
	.fields = object_reference_fields,
};
