/* What only the system makes: EndpointSlice, Endpoints, Event, Lease. */
#include "kinds/tables.h"

/* ---- discovery.k8s.io/v1 EndpointSlice ---- */

static const struct kg_field endpoint_conditions_fields[] = {
	F_BOOL("ready", 0, "Whether it takes new connections."),
	F_BOOL("serving", 0, "Whether it is ready, terminating or not."),
	F_BOOL("terminating", 0, "Whether its pod is being stopped."),
	F_END,
};
static const struct kg_schema endpoint_conditions = {
	.name = "io.k8s.api.discovery.v1.EndpointConditions",
	.doc = "The state of an endpoint.",
	.fields = endpoint_conditions_fields,
};
static const struct kg_field endpoint_fields[] = {
	F_STR("addresses", KG_FF_LIST | KG_FF_REQUIRED, "Its addresses."),
	F_OBJ("conditions", endpoint_conditions, 0, "Its state."),
	F_STR("hostname", 0, "Its host name."),
	F_STR("nodeName", 0, "Its node."),
	F_OBJ("targetRef", kg_schema_object_reference, 0, "Its pod."),
	F_STR("zone", 0, "Its zone."),
	F_ANY("hints", 0, "Who should use it."),
	F_ROW("deprecatedTopology", KG_F_STRING, KG_FF_MAP, "Not used any more."),
	F_END,
};
static const struct kg_schema endpoint = {
	.name = "io.k8s.api.discovery.v1.Endpoint",
	.doc = "A pod that serves a Service.",
	.fields = endpoint_fields,
};
static const struct kg_field slice_port_fields[] = {
	F_STR("name", 0, "The port's name."),
	F_STR("protocol", 0, "TCP, UDP or SCTP."),
	F_INT("port", 0, "The port's number.", R_PORT),
	F_STR("appProtocol", 0, "What is spoken on it."),
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
	F_STR("addressType", KG_FF_REQUIRED | KG_FF_IMMUTABLE, "IPv4, IPv6 or FQDN."),
	F_ROW("endpoints", KG_F_OBJECT, KG_FF_LIST | KG_FF_REQUIRED, "The endpoints.",
		.schema = &endpoint),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Their ports.", .schema = &slice_port),
	F_END,
};
const struct kg_schema kg_schema_endpointslice = {
	.name = "io.k8s.api.discovery.v1.EndpointSlice",
	.doc = "The pods that serve a Service.",
	.fields = slice_fields,
};

/* ---- Endpoints ---- */

static const struct kg_field endpoint_address_fields[] = {
	F_STR("ip", KG_FF_REQUIRED, "The address."),
	F_STR("hostname", 0, "The host name."),
	F_STR("nodeName", 0, "The node."),
	F_OBJ("targetRef", kg_schema_object_reference, 0, "The pod."),
	F_END,
};
static const struct kg_schema endpoint_address = {
	.name = "io.k8s.api.core.v1.EndpointAddress",
	.doc = "A pod that serves a Service.",
	.fields = endpoint_address_fields,
};
static const struct kg_field endpoint_port_fields[] = {
	F_STR("name", 0, "The port's name."),
	F_INT("port", KG_FF_REQUIRED, "The port's number.", R_PORT),
	F_STR("protocol", 0, "TCP, UDP or SCTP."),
	F_STR("appProtocol", 0, "What is spoken on it."),
	F_END,
};
static const struct kg_schema endpoint_port = {
	.name = "io.k8s.api.core.v1.EndpointPort",
	.doc = "A port of endpoints.",
	.fields = endpoint_port_fields,
};
static const struct kg_field subset_fields[] = {
	F_ROW("addresses", KG_F_OBJECT, KG_FF_LIST, "Pods that are ready.",
		.schema = &endpoint_address),
	F_ROW("notReadyAddresses", KG_F_OBJECT, KG_FF_LIST, "Pods that are not.",
		.schema = &endpoint_address),
	F_ROW("ports", KG_F_OBJECT, KG_FF_LIST, "Their ports.", .schema = &endpoint_port),
	F_END,
};
static const struct kg_schema subset = {
	.name = "io.k8s.api.core.v1.EndpointSubset",
	.doc = "Addresses that have the same ports.",
	.fields = subset_fields,
};
static const struct kg_field endpoints_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_ROW("subsets", KG_F_OBJECT, KG_FF_LIST, "The endpoints.", .schema = &subset),
	F_END,
};
const struct kg_schema kg_schema_endpoints = {
	.name = "io.k8s.api.core.v1.Endpoints",
	.doc = "The pods that serve a Service, in the older form.",
	.fields = endpoints_fields,
};

/* ---- Event ---- */

static const struct kg_field event_source_fields[] = {
	F_STR("component", 0, "Which part of the system it is from."),
	F_STR("host", 0, "The node it is from."),
	F_END,
};
static const struct kg_schema event_source = {
	.name = "io.k8s.api.core.v1.EventSource",
	.doc = "Where an event is from.",
	.fields = event_source_fields,
};
static const struct kg_field event_series_fields[] = {
	F_INT("count", 0, "How often it happened.", R_COUNT),
	F_TIME("lastObservedTime", 0, "When it last happened."),
	F_END,
};
static const struct kg_schema event_series = {
	.name = "io.k8s.api.core.v1.EventSeries",
	.doc = "An event that happened again and again.",
	.fields = event_series_fields,
};
static const struct kg_field event_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("involvedObject", kg_schema_object_reference, KG_FF_REQUIRED,
		"The object it happened to."),
	F_STR("reason", 0, "What happened, in one word."),
	F_STR("message", 0, "What happened, for people."),
	F_STR("type", 0, "Normal or Warning."),
	F_OBJ("source", event_source, 0, "Where it is from."),
	F_TIME("firstTimestamp", 0, "When it first happened."),
	F_TIME("lastTimestamp", 0, "When it last happened."),
	F_INT("count", 0, "How often it happened.", R_COUNT),
	F_TIME("eventTime", 0, "When it first happened, to the microsecond."),
	F_OBJ("series", event_series, 0, "How often it happened, in the newer form."),
	F_STR("action", 0, "What was being done."),
	F_OBJ("related", kg_schema_object_reference, 0, "Another object it is about."),
	F_STR("reportingComponent", 0, "Which part of the system it is from."),
	F_STR("reportingInstance", 0, "Which instance of it."),
	F_END,
};
const struct kg_schema kg_schema_event = {
	.name = "io.k8s.api.core.v1.Event",
	.doc = "Something that happened to an object.",
	.fields = event_fields,
};

/* ---- events.k8s.io/v1 Event ---- */

static const struct kg_field event_v1_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_TIME("eventTime", KG_FF_REQUIRED, "When it first happened, to the microsecond."),
	F_OBJ("series", event_series, 0, "How often it happened."),
	F_STR("reportingController", 0, "Which part of the system it is from."),
	F_STR("reportingInstance", 0, "Which instance of it."),
	F_STR("action", 0, "What was being done."),
	F_STR("reason", 0, "What happened, in one word."),
	F_OBJ("regarding", kg_schema_object_reference, 0, "The object it happened to."),
	F_OBJ("related", kg_schema_object_reference, 0, "Another object it is about."),
	F_STR("note", 0, "What happened, for people."),
	F_STR("type", 0, "Normal or Warning."),
	F_OBJ("deprecatedSource", event_source, 0, "Where it is from, in the older form."),
	F_TIME("deprecatedFirstTimestamp", 0, "When it first happened, in the older form."),
	F_TIME("deprecatedLastTimestamp", 0, "When it last happened, in the older form."),
	F_INT("deprecatedCount", 0, "How often it happened, in the older form.", R_COUNT),
	F_END,
};
const struct kg_schema kg_schema_event_v1 = {
	.name = "io.k8s.api.events.v1.Event",
	.doc = "Something that happened to an object.",
	.fields = event_v1_fields,
};

/* ---- coordination.k8s.io/v1 Lease ---- */

static const struct kg_field lease_spec_fields[] = {
	F_STR("holderIdentity", 0, "Who holds it."),
	F_INT("leaseDurationSeconds", 0, "How long it holds without being renewed.", R_COUNT),
	F_INT("leaseTransitions", 0, "How often it changed hands.", R_COUNT),
	F_TIME("acquireTime", 0, "When it was taken."),
	F_TIME("renewTime", 0, "When it was last renewed."),
	F_STR("strategy", 0, "How the next holder is chosen."),
	F_STR("preferredHolder", 0, "Who should be the next holder."),
	F_END,
};
static const struct kg_schema lease_spec = {
	.name = "io.k8s.api.coordination.v1.LeaseSpec",
	.doc = "Who holds a lease and since when.",
	.fields = lease_spec_fields,
};
static const struct kg_field lease_fields[] = {
	F_TYPE_META,
	F_METADATA,
	F_OBJ("spec", lease_spec, 0, "Who holds it and since when."),
	F_END,
};
const struct kg_schema kg_schema_lease = {
	.name = "io.k8s.api.coordination.v1.Lease",
	.doc = "A node's sign of life.",
	.fields = lease_fields,
};
