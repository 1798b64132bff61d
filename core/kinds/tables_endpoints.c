/* EndpointSlice and Endpoints: the addresses that answer for a Service. */
#include "kinds/tables.h"

static const char *const protocols[] = {"TCP", "UDP", "SCTP", NULL};

/* ---- discovery.k8s.io/v1 EndpointSlice ---- */

static const struct kg_field endpoint_conditions_fields[] = {
	F_BOOL("ready", 0, "Whether it takes new connections; true where not given."),
	F_BOOL("serving", 0, "Whether it is ready, terminating or not."),
	F_BOOL("terminating", 0, "Whether it is being stopped."),
	F_END,
};
static const struct kg_schema endpoint_conditions = {
	.name = "io.k8s.api.discovery.v1.EndpointConditions",
	.doc = "The state of an endpoint.",
	.fields = endpoint_conditions_fields,
};
static const struct kg_field endpoint_fields[] = {
	F_STR("addresses", KG_FF_LIST | KG_FF_REQUIRED,
		"The endpoint's addresses, which are all of the same.",
		.check = kg_check_endpoint_ip),
	F_OBJ("conditions", endpoint_conditions, 0, "Its state."),
	F_STR("hostname", 0, "Its host name.", .check = kg_check_dns_label),
	F_STR("nodeName", 0, "Its node.", .check = kg_check_dns_subdomain),
	F_OBJ("targetRef", kg_schema_object_reference, 0, "What it is of, a Pod say."),
	F_STR("zone", 0, "Its zone."),
	F_NOANY("hints", "Who should use it."),
	F_ROW("deprecatedTopology", KG_F_STRING, KG_FF_MAP | KG_FF_STATUS, "Not used any more."),
	F_END,
};
static const struct kg_schema endpoint = {
	.name = "io.k8s.api.discovery.v1.Endpoint",
	.doc = "Something that serves a Service, most often a pod.",
	.fields = endpoint_fields,
	.validate = kg_validate_endpoint,
};
static const struct kg_field slice_port_fields[] = {
	F_STR("name", 0, "The name of the Service's port that leads to it.", .dflt = "\"\"",
		.check = kg_check_label_or_empty),
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_INT("port", 0, "The port's number.", R_PORT),
	F_STR("appProtocol", 0, "What is spoken on it.", .check = kg_check_label_key),
	F_END,
};
static const struct kg_schema slice_port = {
	.name = "io.k8s.api.discovery.v1.EndpointPort",
	.doc = "A port of all endpoints of a slice.",
	.fields = slice_port_fields,
};
static const struct kg_field slice_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_STR("addressType", KG_FF_REQUIRED | KG_FF_IMMUTABLE, "IPv4.",
		.check = kg_check_address_type),
	F_ROW("endpoints", KG_F_OBJECT, KG_FF_LIST, "The endpoints.", .schema = &endpoint),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Their ports.", .schema = &slice_port),
	F_END,
};
const struct kg_schema kg_schema_endpointslice = {
	.name = "io.k8s.api.discovery.v1.EndpointSlice",
	.doc = "What serves the Service that the label kubernetes.io/service-name names.",
	.fields = slice_fields,
	.validate = kg_validate_endpointslice,
};

/* ---- Endpoints ---- */

static const struct kg_field endpoint_address_fields[] = {
	F_STR("ip", KG_FF_REQUIRED, "The address.", .check = kg_check_endpoint_ip),
	F_STR("hostname", 0, "The host name.", .check = kg_check_label_or_empty),
	F_STR("nodeName", 0, "The node.", .check = kg_check_dns_subdomain),
	F_OBJ("targetRef", kg_schema_object_reference, 0, "What it is of, a Pod say."),
	F_END,
};
static const struct kg_schema endpoint_address = {
	.name = "io.k8s.api.core.v1.EndpointAddress",
	.doc = "Something that serves a Service, most often a pod.",
	.fields = endpoint_address_fields,
};
static const struct kg_field endpoint_port_fields[] = {
	F_STR("name", 0, "The name of the Service's port that leads to it.",
		.check = kg_check_label_or_empty),
	F_INT("port", KG_FF_REQUIRED, "The port's number.", R_PORT),
	F_STR("protocol", 0, "TCP, UDP or SCTP.", .dflt = "\"TCP\"", .values = protocols),
	F_STR("appProtocol", 0, "What is spoken on it.", .check = kg_check_label_key),
	F_END,
};
static const struct kg_schema endpoint_port = {
	.name = "io.k8s.api.core.v1.EndpointPort",
	.doc = "A port of endpoints.",
	.fields = endpoint_port_fields,
};
static const struct kg_field subset_fields[] = {
	F_ROW("addresses", KG_F_OBJECT, KG_FF_LIST, "Those that are ready.",
		.schema = &endpoint_address),
	F_ROW("notReadyAddresses", KG_F_OBJECT, KG_FF_LIST, "Those that are not.",
		.schema = &endpoint_address),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Their ports.", .schema = &endpoint_port),
	F_END,
};
static const struct kg_schema subset = {
	.name = "io.k8s.api.core.v1.EndpointSubset",
	.doc = "Addresses that have the same ports.",
	.fields = subset_fields,
	.validate = kg_validate_endpoint_subset,
};
static const struct kg_field endpoints_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("subsets", KG_F_OBJECT, KG_FF_LIST, "The endpoints.", .schema = &subset),
	F_END,
};
const struct kg_schema kg_schema_endpoints = {
	.name = "io.k8s.api.core.v1.Endpoints",
	.doc = "What serves the Service of its name, in the older form.",
	.fields = endpoints_fields,
	.validate = kg_validate_endpoints,
};
