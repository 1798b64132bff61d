/* core/v1: probes, and what is done at a container's start and stop. */
#include "kinds/tables.h"

static const char *const schemes[] = {"HTTP", "HTTPS", NULL};

static const struct kg_field exec_fields[] = {
	F_STR("command", KG_FF_LIST | KG_FF_REQUIRED, "The command; it succeeds by exiting 0."),
	F_END,
};
static const struct kg_schema exec_action = {
	.name = "io.k8s.api.core.v1.ExecAction",
	.doc = "A command that is run in the container.",
	.fields = exec_fields,
};
static const struct kg_field http_header_fields[] = {
	F_STR("name", KG_FF_REQUIRED, "The header's name.", .check = kg_check_http_header),
	F_STR("value", 0, "Its value."),
	F_END,
};
static const struct kg_schema http_header = {
	.name = "io.k8s.api.core.v1.HTTPHeader",
	.doc = "A header of a probe's request.",
	.fields = http_header_fields,
};
static const struct kg_field http_get_fields[] = {
	F_STR("path", 0, "The path that is asked for.", .dflt = "\"/\""),
	F_IOS("port", KG_FF_REQUIRED, "The port's number or name.", .check = kg_check_port),
	F_STR("host", 0, "The host to connect to; the pod's address by default."),
	F_STR("scheme", 0, "HTTP or HTTPS.", .dflt = "\"HTTP\"", .values = schemes),
	F_NOSTR("protocol", "The version of HTTP."),
	F_ROW("httpHeaders", KG_F_OBJECT, KG_FF_LIST, "Headers that are sent along.",
		.schema = &http_header),
	F_END,
};
static const struct kg_schema http_get = {
	.name = "io.k8s.api.core.v1.HTTPGetAction",
	.doc = "An HTTP GET; it succeeds with a status of 200 to 399.",
	.fields = http_get_fields,
};
static const struct kg_field tcp_socket_fields[] = {
	F_IOS("port", KG_FF_REQUIRED, "The port's number or name.", .check = kg_check_port),
	F_STR("host", 0, "The host to connect to; the pod's address by default."),
	F_END,
};
static const struct kg_schema tcp_socket = {
	.name = "io.k8s.api.core.v1.TCPSocketAction",
	.doc = "A TCP connection; it succeeds where it is accepted.",
	.fields = tcp_socket_fields,
};
static const struct kg_field grpc_fields[] = {
	F_INT("port", KG_FF_REQUIRED, "The port's number.", R_PORT),
	F_STR("service", 0, "The service that is asked for; the server as a whole by default.",
		.dflt = "\"\""),
	F_NOSTR("mode", "How it connects."),
	F_END,
};
static const struct kg_schema grpc = {
	.name = "io.k8s.api.core.v1.GRPCAction",
	.doc = "A gRPC health check, without TLS; it succeeds with SERVING.",
	.fields = grpc_fields,
};
static const struct kg_field probe_fields[] = {
	F_OBJ("exec", exec_action, 0, "A command that is run in the container."),
	F_OBJ("httpGet", http_get, 0, "An HTTP GET."),
	F_OBJ("tcpSocket", tcp_socket, 0, "A TCP connection."),
	F_OBJ("grpc", grpc, 0, "A gRPC health check."),
	F_INT("initialDelaySeconds", 0, "How long after the start the first one is made.", R_COUNT),
	F_INT("timeoutSeconds", 0, "How long an answer may take.", R_COUNT, .dflt = "1"),
	F_INT("periodSeconds", 0, "How often it is made.", R_COUNT, .dflt = "10"),
	F_INT("successThreshold", 0, "Successes in a row that count.", R_COUNT, .dflt = "1"),
	F_INT("failureThreshold", 0, "Failures in a row that count.", R_COUNT, .dflt = "3"),
	F_INT("terminationGracePeriodSeconds", 0,
		"How long the container has to stop after the probe failed.", .min = 1,
		.max = INT64_MAX),
	F_END,
};
#define PROBE_NAME "io.k8s.api.core.v1.Probe"
#define PROBE_DOC  "A check of a container's health."
const struct kg_schema kg_schema_probe = {
	/* startup */
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_liveness_probe,
};
const struct kg_schema kg_schema_liveness_probe = {
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_liveness_probe,
};
const struct kg_schema kg_schema_readiness_probe = {
	.name = PROBE_NAME,
	.doc = PROBE_DOC,
	.fields = probe_fields,
	.defaults = kg_default_probe,
	.validate = kg_validate_readiness_probe,
};

/* ---- lifecycle ---- */

static const struct kg_field sleep_fields[] = {
	F_INT("seconds", KG_FF_REQUIRED, "How long, in seconds.", .min = 0, .max = INT64_MAX),
	F_END,
};
static const struct kg_schema sleep_action = {
	.name = "io.k8s.api.core.v1.SleepAction",
	.doc = "A pause.",
	.fields = sleep_fields,
};
static const struct kg_field handler_fields[] = {
	F_OBJ("exec", exec_action, 0, "A command that is run in the container."),
	F_OBJ("httpGet", http_get, 0, "An HTTP GET."),
	F_OBJ("sleep", sleep_action, 0, "A pause."),
	F_NOWHY("tcpSocket", KG_F_ANY, 0, "Not used any more.",
		"a TCP connection does nothing at a container's start or stop"),
	F_END,
};
static const struct kg_schema handler = {
	.name = "io.k8s.api.core.v1.LifecycleHandler",
	.doc = "Something that is done.",
	.fields = handler_fields,
	.validate = kg_validate_handler,
};
static const struct kg_field lifecycle_fields[] = {
	F_OBJ("postStart", handler, 0, "What is done right after its start."),
	F_OBJ("preStop", handler, 0, "What is done before its stop."),
	F_NOSTR("stopSignal", "The signal that stops it."),
	F_END,
};
const struct kg_schema kg_schema_lifecycle = {
	.name = "io.k8s.api.core.v1.Lifecycle",
	.doc = "What is done after a container's start and before its stop.",
	.fields = lifecycle_fields,
};
