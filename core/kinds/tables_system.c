/* What only the system makes: Event, Lease, NodeMetrics, PodMetrics. */
#include "kinds/tables.h"

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

/* ---- metrics.k8s.io/v1beta1 NodeMetrics, PodMetrics ---- */

#define USAGE_ROW                                                                                  \
	F_ROW("usage", KG_F_QUANTITY, KG_FF_MAP,                                                   \
		"What is used: cpu, of one CPU on average over the window; memory, but for what "  \
		"could be dropped at once.")
#define SAMPLE_ROWS                                                                                \
	F_TIME("timestamp", 0, "When that was."),                                                  \
		F_STR("window", 0, "The time up to then over which it was.")

static const struct kg_field node_metrics_fields[] = {
	F_TYPE_META,
	F_METADATA,
	SAMPLE_ROWS,
	USAGE_ROW,
	F_END,
};
const struct kg_schema kg_schema_node_metrics = {
	.name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.NodeMetrics",
	.doc = "What is used of a node.",
	.fields = node_metrics_fields,
};
static const struct kg_field container_metrics_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "Which container."),
	USAGE_ROW,
	F_END,
};
static const struct kg_schema container_metrics = {
	.name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.ContainerMetrics",
	.doc = "What a container uses.",
	.fields = container_metrics_fields,
};
static const struct kg_field pod_metrics_fields[] = {
	F_TYPE_META,
	F_METADATA,
	SAMPLE_ROWS,
	F_OBJ("containers", container_metrics, KG_FF_LIST, "What its containers use."),
	F_END,
};
const struct kg_schema kg_schema_pod_metrics = {
	.name = "io.k8s.metrics.pkg.apis.metrics.v1beta1.PodMetrics",
	.doc = "What a pod uses.",
	.fields = pod_metrics_fields,
};
