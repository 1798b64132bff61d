/* networking.k8s.io/v1: NetworkPolicy, Ingress and IngressClass. */
#include "kinds/tables.h"

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};
static const char *const policy_types[] = {"Ingress", "Egress", NULL};
static const char *const ingress_path_types[] = {"Exact", "Prefix", "ImplementationSpecific", NULL};
static const char *const parameter_scopes[] = {"Cluster", "Namespace", NULL};

/* ---- NetworkPolicy ---- */

static const struct kg_field policy_port_fields[] = {
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_IOS("port", 0, "The port's number or name; all by default.", .check = kg_check_port),
	F_INT("endPort", 0, "The last of a range of ports.", R_PORT),
	F_END,
};
static const struct kg_schema policy_port = {
	.name = "io.k8s.api.networking.v1.NetworkPolicyPort",
	.doc = "Ports that are open.",
	.fields = policy_port_fields,
	.validate = kg_validate_policy_port,
};
static const struct kg_field ip_block_fields[] = {
	F_STR("cidr", KG_FF_REQUIRED, "The block, e.g. 192.0.2.0/24.", .check = kg_check_cidr),
	F_STR("except", KG_FF_LIST, "Blocks within it that are left out.", .check = kg_check_cidr),
	F_END,
};
static const struct kg_schema ip_block = {
	.name = "io.k8s.api.networking.v1.IPBlock",
	.doc = "A block of addresses.",
	.fields = ip_block_fields,
	.validate = kg_validate_ip_block,
};
static const struct kg_field peer_fields[] = {
	F_OBJ("podSelector", kg_schema_label_selector, 0, "Pods."),
	F_OBJ("namespaceSelector", kg_schema_label_selector, 0, "Namespaces of the pods."),
	F_OBJ("ipBlock", ip_block, 0, "Addresses."),
	F_END,
};
static const struct kg_schema peer = {
	.name = "io.k8s.api.networking.v1.NetworkPolicyPeer",
	.doc = "Whom pods may speak with.",
	.fields = peer_fields,
	.validate = kg_validate_policy_peer,
};
static const struct kg_field ingress_rule_fields[] = {
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Ports that are open; all by default.",
		.schema = &policy_port),
	F_ROW("from", KG_F_OBJECT, KG_FF_LIST, "Who may connect; everybody by default.",
		.schema = &peer),
	F_END,
};
static const struct kg_schema ingress_rule = {
	.name = "io.k8s.api.networking.v1.NetworkPolicyIngressRule",
	.doc = "Who may connect to the pods.",
	.fields = ingress_rule_fields,
};
static const struct kg_field egress_rule_fields[] = {
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Ports that are open; all by default.",
		.schema = &policy_port),
	F_ROW("to", KG_F_OBJECT, KG_FF_LIST, "Where to; everywhere by default.", .schema = &peer),
	F_END,
};
static const struct kg_schema egress_rule = {
	.name = "io.k8s.api.networking.v1.NetworkPolicyEgressRule",
	.doc = "Where the pods may connect to.",
	.fields = egress_rule_fields,
};
static const struct kg_field policy_spec_fields[] = {
	F_OBJ("podSelector", kg_schema_label_selector, 0,
		"Which pods it is about; an empty one: all.", .dflt = "{}"),
	F_ROW("ingress", KG_F_OBJECT, KG_FF_LIST, "Who may connect to them.",
		.schema = &ingress_rule),
	F_ROW("egress", KG_F_OBJECT, KG_FF_LIST, "Where they may connect to.",
		.schema = &egress_rule),
	F_STR("policyTypes", KG_FF_LIST, "Ingress, Egress: what it restricts.",
		.values = policy_types),
	F_END,
};
static const struct kg_schema policy_spec = {
	.name = "io.k8s.api.networking.v1.NetworkPolicySpec",
	.doc = "Whom some pods may speak with.",
	.fields = policy_spec_fields,
	.defaults = kg_default_policy_spec,
	.validate = kg_validate_policy_spec,
};
static const struct kg_field policy_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", policy_spec, 0, "Whom some pods may speak with."),
	F_END,
};
const struct kg_schema kg_schema_networkpolicy = {
	.name = "io.k8s.api.networking.v1.NetworkPolicy",
	.doc = "Restricts whom pods may speak with.",
	.fields = policy_fields,
	.validate = kg_validate_any_named,
};

/* ---- Ingress ---- */

static const struct kg_field backend_port_fields[] = {
	F_STR("name", 0, "The Service port's name.", .check = kg_check_port_name),
	F_INT("number", 0, "The Service port's number.", R_PORT),
	F_END,
};
static const struct kg_schema backend_port = {
	.name = "io.k8s.api.networking.v1.ServiceBackendPort",
	.doc = "A port of a Service: its name or number.",
	.fields = backend_port_fields,
};
static const struct kg_field backend_service_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The Service's name.", .check = kg_check_dns1035_label),
	F_OBJ("port", backend_port, 0, "The Service's port."),
	F_END,
};
static const struct kg_schema backend_service = {
	.name = "io.k8s.api.networking.v1.IngressServiceBackend",
	.doc = "A Service that answers.",
	.fields = backend_service_fields,
	.validate = kg_validate_backend_service,
};
static const struct kg_field typed_reference_fields[] = {
	F_STR("apiGroup", 0, "The object's group.", .check = kg_check_dns_subdomain),
	F_STR("kind", KG_FF_REQUIRED, "The object's kind."),
	F_STR("name", KG_FF_REQUIRED, "The object's name."),
	F_END,
};
static const struct kg_schema typed_reference = {
	.name = "io.k8s.api.core.v1.TypedLocalObjectReference",
	.doc = "Names an object of the same namespace.",
	.fields = typed_reference_fields,
};
static const struct kg_field backend_fields[] = {
	F_OBJ("service", backend_service, 0, "A Service that answers."),
	F_OBJ("resource", typed_reference, 0, "Another object that answers."),
	F_END,
};
static const struct kg_schema backend = {
	.name = "io.k8s.api.networking.v1.IngressBackend",
	.doc = "What answers.",
	.fields = backend_fields,
	.validate = kg_validate_backend,
};
static const struct kg_field http_path_fields[] = {
	F_STR("path", 0, "The path, e.g. /api."),
	F_STR("pathType", KG_FF_REQUIRED, "Exact, Prefix or ImplementationSpecific.",
		.values = ingress_path_types),
	F_OBJ("backend", backend, KG_FF_REQUIRED, "What answers."),
	F_END,
};
static const struct kg_schema http_path = {
	.name = "io.k8s.api.networking.v1.HTTPIngressPath",
	.doc = "A path and what answers.",
	.fields = http_path_fields,
	.validate = kg_validate_http_path,
};
static const struct kg_field http_rule_fields[] = {
	F_ROW("paths", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED, "Paths and what answers.",
		.schema = &http_path),
	F_END,
};
static const struct kg_schema http_rule = {
	.name = "io.k8s.api.networking.v1.HTTPIngressRuleValue",
	.doc = "Paths and what answers.",
	.fields = http_rule_fields,
};
static const struct kg_field host_rule_fields[] = {
	F_STR("host", 0, "The host; all by default.", .check = kg_check_ingress_host),
	F_OBJ("http", http_rule, 0, "Paths and what answers."),
	F_END,
};
static const struct kg_schema host_rule = {
	.name = "io.k8s.api.networking.v1.IngressRule",
	.doc = "A host, its paths and what answers.",
	.fields = host_rule_fields,
};
static const struct kg_field ingress_tls_fields[] = {
	F_STR("hosts", KG_FF_LIST, "Hosts that the certificate is for.",
		.check = kg_check_ingress_host),
	F_STR("secretName", 0, "The Secret with key and certificate.",
		.check = kg_check_dns_subdomain),
	F_END,
};
static const struct kg_schema ingress_tls = {
	.name = "io.k8s.api.networking.v1.IngressTLS",
	.doc = "Hosts and the Secret with their certificate.",
	.fields = ingress_tls_fields,
};
static const struct kg_field ingress_spec_fields[] = {
	F_STR("ingressClassName", 0, "The IngressClass.", .check = kg_check_dns_subdomain),
	F_OBJ("defaultBackend", backend, 0, "What answers where no rule fits."),
	F_ROW("rules", KG_F_OBJECT, KG_FF_LIST, "Hosts, paths and what answers.",
		.schema = &host_rule),
	F_ROW("tls", KG_F_OBJECT, KG_FF_LIST, "Certificates of hosts.", .schema = &ingress_tls),
	F_END,
};
static const struct kg_schema ingress_spec = {
	.name = "io.k8s.api.networking.v1.IngressSpec",
	.doc = "What HTTP requests from outside lead to.",
	.fields = ingress_spec_fields,
	.validate = kg_validate_ingress_spec,
};
static const struct kg_field ingress_status_fields[] = {
	F_ANY("loadBalancer", 0, "Addresses of a load balancer."),
	F_END,
};
static const struct kg_schema ingress_status = {
	.name = "io.k8s.api.networking.v1.IngressStatus",
	.doc = "What was observed of an Ingress.",
	.fields = ingress_status_fields,
};
static const struct kg_field ingress_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", ingress_spec, KG_FF_REQUIRED, "What requests lead to."),
	F_OBJ("status", ingress_status, KG_FF_STATUS, "What was observed of it."),
	F_END,
};
const struct kg_schema kg_schema_ingress = {
	.name = "io.k8s.api.networking.v1.Ingress",
	.doc = "Leads HTTP requests from outside to Services.",
	.fields = ingress_fields,
	.validate = kg_validate_ingress,
};

/* ---- IngressClass ---- */

static const struct kg_field class_parameters_fields[] = {
	F_STR("apiGroup", 0, "The object's group.", .check = kg_check_dns_subdomain),
	F_STR("kind", KG_FF_REQUIRED, "The object's kind.", .check = kg_check_path_segment),
	F_STR("name", KG_FF_REQUIRED, "The object's name.", .check = kg_check_path_segment),
	F_STR("scope", 0, "Cluster or Namespace.", .dflt = "\"Cluster\"",
		.values = parameter_scopes),
	F_STR("namespace", 0, "The object's namespace.", .check = kg_check_dns_label),
	F_END,
};
static const struct kg_schema class_parameters = {
	.name = "io.k8s.api.networking.v1.IngressClassParametersReference",
	.doc = "Names an object with settings.",
	.fields = class_parameters_fields,
	.validate = kg_validate_class_parameters,
};
static const struct kg_field class_spec_fields[] = {
	F_STR("controller", KG_FF_REQUIRED | KG_FF_IMMUTABLE,
		"Who acts on its Ingresses, e.g. example.com/controller.",
		.check = kg_check_prefixed_path),
	F_OBJ("parameters", class_parameters, 0, "An object with settings."),
	F_END,
};
static const struct kg_schema class_spec = {
	.name = "io.k8s.api.networking.v1.IngressClassSpec",
	.doc = "Who acts on Ingresses.",
	.fields = class_spec_fields,
};
static const struct kg_field class_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", class_spec, KG_FF_REQUIRED, "Who acts on its Ingresses."),
	F_END,
};
const struct kg_schema kg_schema_ingressclass = {
	.name = "io.k8s.api.networking.v1.IngressClass",
	.doc = "A kind of Ingresses.",
	.fields = class_fields,
	.validate = kg_validate_ingressclass,
};
