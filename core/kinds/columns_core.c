/* Columns of Node, Namespace, ConfigMap, Event, Lease and what is used. */
#include "base/quantity.h"
#include "kinds/columns.h"

#include <ctype.h>

/* ---- Node ---- */

static struct kg_value cell_node_status(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const char *text = "Unknown";

	(void)now;
	if (!kg_is_null(kg_object_condition(obj, "Ready")))
		text = kg_object_ready(obj) ? "Ready" : "NotReady";
	if (kg_bool(kg_at(kg_obj(obj), "spec.unschedulable"), false))
		return kg_v_strf(a, "%s,SchedulingDisabled", text);
	return kg_v_lit(text);
}

static struct kg_value cell_roles(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	static const char prefix[] = "node-role.kubernetes.io/";
	const struct kg_value *labels = kg_at(kg_obj(obj), "metadata.labels");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	(void)now;
	for (uint32_t i = 0; i < kg_len(labels); i++) {
		const struct kg_member *m = &labels->members[i];
		const char *role = NULL;
		if (!strncmp(m->key, prefix, sizeof(prefix) - 1))
			role = m->key + sizeof(prefix) - 1;
		else if (!strcmp(m->key, "kubernetes.io/role"))
			role = kg_string(&m->value, "");
		if (role && *role)
			kg_buf_addf(&b, "%s%s", b.len ? "," : "", role);
	}
	return b.len ? kg_v_strn(a, b.data, b.len) : kg_v_lit("<none>");
}

KG_TEXT_CELL(cell_version, "status.nodeInfo.kubeletVersion", "")

static struct kg_value node_address(const struct kg_object *obj, const char *type)
{
	return kg_cell_or_none(
		kg_get(kg_find(kg_at(kg_obj(obj), "status.addresses"), "type", type), "address"));
}

static struct kg_value cell_internal_ip(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return node_address(obj, "InternalIP");
}

static struct kg_value cell_external_ip(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return node_address(obj, "ExternalIP");
}

static struct kg_value node_info(const struct kg_object *obj, const char *key)
{
	const struct kg_value *v = kg_get(kg_at(kg_obj(obj), "status.nodeInfo"), key);

	return v->type == KG_STRING && v->len ? *v : kg_v_lit("<unknown>");
}

static struct kg_value cell_os(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return node_info(obj, "osImage");
}

static struct kg_value cell_kernel(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return node_info(obj, "kernelVersion");
}

static struct kg_value cell_runtime(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return node_info(obj, "containerRuntimeVersion");
}

const struct kg_column kg_columns_node[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Status", "string", 0, cell_node_status, "The status of the node"),
	KG_COLUMN("Roles", "string", 0, cell_roles, "The roles of the node"),
	KG_COLUMN_AGE,
	KG_COLUMN("Version", "string", 0, cell_version, "Version of the node agent."),
	KG_COLUMN("Internal-IP", "string", 1, cell_internal_ip, "Its address."),
	KG_COLUMN("External-IP", "string", 1, cell_external_ip, "Its address from outside."),
	KG_COLUMN("OS-Image", "string", 1, cell_os, "Name of the system."),
	KG_COLUMN("Kernel-Version", "string", 1, cell_kernel, "Version of the kernel."),
	KG_COLUMN("Container-Runtime", "string", 1, cell_runtime,
		"Version of the container runtime."),
	{.name = NULL},
};

/* ---- Namespace, ConfigMap ---- */

KG_TEXT_CELL(cell_phase, "status.phase", "Active")

static struct kg_value cell_data(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_int((int64_t)kg_len(kg_get(kg_obj(obj), "data")) +
			kg_len(kg_get(kg_obj(obj), "binaryData")));
}

const struct kg_column kg_columns_namespace[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Status", "string", 0, cell_phase, "The status of the namespace"),
	KG_COLUMN_AGE,
	{.name = NULL},
};

const struct kg_column kg_columns_configmap[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Data", "string", 0, cell_data, "How many keys it has."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- Event, in the core group's form and in that of events.k8s.io ---- */

static const struct kg_value *either(
	const struct kg_value *event, const char *core, const char *newer)
{
	const struct kg_value *v = kg_at(event, core);

	return kg_is_null(v) ? kg_at(event, newer) : v;
}

static const struct kg_value *first_time(const struct kg_value *event)
{
	const struct kg_value *first = either(event, "firstTimestamp", "deprecatedFirstTimestamp");

	return kg_is_null(first) ? kg_get(event, "eventTime") : first;
}

static struct kg_value cell_first_seen(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	return kg_cell_since(a, first_time(kg_obj(obj)), now);
}

static struct kg_value cell_last_seen(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *event = kg_obj(obj);
	const struct kg_value *last = kg_at(event, "series.lastObservedTime");

	if (kg_is_null(last))
		last = either(event, "lastTimestamp", "deprecatedLastTimestamp");
	return kg_cell_since(a, kg_is_null(last) ? first_time(event) : last, now);
}

static struct kg_value cell_count(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	int64_t series = kg_int(kg_at(kg_obj(obj), "series.count"), 0);
	int64_t count = kg_int(either(kg_obj(obj), "count", "deprecatedCount"), 0);

	(void)a, (void)now;
	return kg_v_int(series ? series : count ? count : 1);
}

static struct kg_value cell_object(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *on = either(kg_obj(obj), "involvedObject", "regarding");
	const char *name = kg_string(kg_get(on, "name"), "");
	char *kind = kg_arena_strdup(a, kg_string(kg_get(on, "kind"), ""));

	(void)now;
	for (char *p = kind; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return *name ? kg_v_strf(a, "%s/%s", kind, name) : kg_v_str(a, kind);
}

static struct kg_value cell_source(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *event = kg_obj(obj);
	const char *host = kg_string(either(event, "source.host", "deprecatedSource.host"), "");
	const char *component =
		kg_string(either(event, "source.component", "deprecatedSource.component"),
			kg_string(either(event, "reportingComponent", "reportingController"), ""));

	(void)now;
	return *host ? kg_v_strf(a, "%s, %s", component, host) : kg_v_str(a, component);
}

static struct kg_value cell_message(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const char *s = kg_string(either(kg_obj(obj), "message", "note"), "");
	size_t n;

	(void)now;
	s += strspn(s, " \t\r\n");
	for (n = strlen(s); n && strchr(" \t\r\n", s[n - 1]);)
		n--;
	return kg_v_strn(a, s, n);
}

KG_TEXT_CELL(cell_event_type, "type", "")
KG_TEXT_CELL(cell_reason, "reason", "")

static struct kg_value cell_subobject(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_lit(kg_string(
		either(kg_obj(obj), "involvedObject.fieldPath", "regarding.fieldPath"), ""));
}
KG_TEXT_CELL(cell_holder, "spec.holderIdentity", "")

#define EVENT_COLUMNS                                                                              \
	KG_COLUMN("Last Seen", "string", 0, cell_last_seen, "When it last happened."),             \
		KG_COLUMN("Type", "string", 0, cell_event_type, "Normal or Warning."),             \
		KG_COLUMN("Reason", "string", 0, cell_reason, "What happened, in one word."),      \
		KG_COLUMN("Object", "string", 0, cell_object, "The object it happened to."),       \
		KG_COLUMN("Subobject", "string", 1, cell_subobject, "The part of the object."),    \
		KG_COLUMN("Source", "string", 1, cell_source, "Where it is from."),                \
		KG_COLUMN("Message", "string", 0, cell_message, "What happened, for people."),     \
		KG_COLUMN("First Seen", "string", 1, cell_first_seen, "When it first happened."),  \
		KG_COLUMN("Count", "string", 1, cell_count, "How often it happened."),             \
		{.name = "Name",                                                                   \
			.type = "string",                                                          \
			.format = "name",                                                          \
			.doc = NAME_DOC,                                                           \
			.priority = 1,                                                             \
			.cell = kg_cell_name},                                                     \
		{.name = NULL},

const struct kg_column kg_columns_event[] = {EVENT_COLUMNS};
const struct kg_column kg_columns_event_v1[] = {EVENT_COLUMNS};

const struct kg_column kg_columns_lease[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Holder", "string", 0, cell_holder, "Who holds it."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- what is used ---- */

/* The sum over a pod's containers, in thousandths; of a node what is said of itself. */
static int64_t used_milli(const struct kg_object *obj, const char *what)
{
	const struct kg_value *v = kg_obj(obj), *all = kg_array(kg_get(v, "containers"));
	int64_t sum = 0, n;

	if (kg_quantity_milli(&n, kg_string(kg_get(kg_get(v, "usage"), what), "0")) == 0)
		sum = n;
	for (uint32_t i = 0; i < kg_len(all); i++)
		if (kg_quantity_milli(
			    &n, kg_string(kg_get(kg_get(&all->items[i], "usage"), what), "0")) == 0)
			sum += n;
	return sum;
}

static struct kg_value cell_used_cpu(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_v_str(a, kg_arena_printf(a, "%lldm", (long long)used_milli(obj, "cpu")));
}

static struct kg_value cell_used_memory(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_v_str(
		a, kg_arena_printf(a, "%lldKi", (long long)(used_milli(obj, "memory") / 1024000)));
}
KG_TEXT_CELL(cell_window, "window", "")

#define METRICS_COLUMNS                                                                            \
	KG_COLUMN_NAME, KG_COLUMN("cpu", "string", 0, cell_used_cpu, "Of a CPU that is used."),    \
		KG_COLUMN("memory", "string", 0, cell_used_memory, "Memory that is used."),        \
		KG_COLUMN("Window", "string", 0, cell_window, "The time over which that was."),    \
		{.name = NULL},

const struct kg_column kg_columns_node_metrics[] = {METRICS_COLUMNS};
const struct kg_column kg_columns_pod_metrics[] = {METRICS_COLUMNS};
