/* Columns of Service, EndpointSlice and Endpoints. */
#include "kinds/columns.h"

enum { SHOWN = 3 };

static struct kg_value cell_type(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return *kg_at(kg_obj(obj), "spec.type");
}

static struct kg_value cell_cluster_ip(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *first = kg_at(kg_obj(obj), "spec.clusterIPs.0");

	(void)a, (void)now;
	return kg_cell_or_none(kg_is_null(first) ? kg_at(kg_obj(obj), "spec.clusterIP") : first);
}

static void add_strings(struct kg_buf *b, const struct kg_value *list)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		kg_buf_addf(b, "%s%s", b->len ? "," : "", kg_string(&list->items[i], ""));
}

static struct kg_value cell_external_ip(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const char *type = kg_string(kg_at(kg_obj(obj), "spec.type"), "");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	(void)now;
	if (!strcmp(type, "ExternalName"))
		return *kg_at(kg_obj(obj), "spec.externalName");
	add_strings(&b, kg_at(kg_obj(obj), "spec.externalIPs"));
	if (!b.len && !strcmp(type, "LoadBalancer"))
		return kg_v_lit("<pending>");
	return b.len ? kg_v_strn(a, b.data, b.len) : kg_v_lit("<none>");
}

static struct kg_value cell_ports(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *ports = kg_at(kg_obj(obj), "spec.ports");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	(void)now;
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		int64_t node = kg_int(kg_get(p, "nodePort"), 0);

		kg_buf_addf(&b, "%s%lld", i ? "," : "", (long long)kg_int(kg_get(p, "port"), 0));
		if (node > 0)
			kg_buf_addf(&b, ":%lld", (long long)node);
		kg_buf_addf(&b, "/%s", kg_string(kg_get(p, "protocol"), "TCP"));
	}
	return b.len ? kg_v_strn(a, b.data, b.len) : kg_v_lit("<none>");
}

static struct kg_value cell_selector(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_labels(a, kg_at(kg_obj(obj), "spec.selector"));
}

const struct kg_column kg_columns_service[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Type", "string", 0, cell_type,
		"ClusterIP, NodePort, LoadBalancer or ExternalName."),
	KG_COLUMN("Cluster-IP", "string", 0, cell_cluster_ip,
		"Its address; None for a headless one."),
	KG_COLUMN(
		"External-IP", "string", 0, cell_external_ip, "Further addresses that lead to it."),
	KG_COLUMN("Port(s)", "string", 0, cell_ports, "Its ports, and those of the nodes."),
	KG_COLUMN_AGE,
	KG_COLUMN("Selector", "string", 1, cell_selector, "Labels of the pods that serve it."),
	{.name = NULL},
};

/* ---- endpoints: the first three, and how many more there are ---- */

struct shown {
	struct kg_buf text;
	int count;
};

static void show(struct shown *s, const char *text)
{
	if (s->count++ < SHOWN)
		kg_buf_addf(&s->text, "%s%s", s->text.len ? "," : "", text);
}

static struct kg_value shown_end(struct kg_arena *a, struct shown *s, const char *none)
{
	if (s->count > SHOWN)
		kg_buf_addf(&s->text, " + %d more...", s->count - SHOWN);
	struct kg_value v = s->text.len ? kg_v_strn(a, s->text.data, s->text.len) : kg_v_lit(none);
	kg_buf_release(&s->text);
	return v;
}

static struct kg_value cell_slice_ports(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *ports = kg_get(kg_obj(obj), "ports");
	struct shown s = {0};

	(void)now;
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *port = kg_get(&ports->items[i], "port");
		show(&s, port->type == KG_INT ? kg_arena_printf(a, "%lld", (long long)port->i)
					      : kg_string(kg_get(&ports->items[i], "name"), "*"));
	}
	return shown_end(a, &s, "<unset>");
}

static struct kg_value cell_slice_endpoints(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *endpoints = kg_get(kg_obj(obj), "endpoints");
	struct shown s = {0};

	(void)now;
	for (uint32_t i = 0; i < kg_len(endpoints); i++) {
		const struct kg_value *list = kg_get(&endpoints->items[i], "addresses");
		for (uint32_t j = 0; j < kg_len(list); j++)
			show(&s, kg_string(&list->items[j], ""));
	}
	return shown_end(a, &s, "<unset>");
}

static struct kg_value cell_address_type(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return *kg_get(kg_obj(obj), "addressType");
}

const struct kg_column kg_columns_endpointslice[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("AddressType", "string", 0, cell_address_type, "IPv4, IPv6 or FQDN."),
	KG_COLUMN("Ports", "string", 0, cell_slice_ports, "The endpoints' ports."),
	KG_COLUMN("Endpoints", "string", 0, cell_slice_endpoints, "The endpoints' addresses."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

static void show_subset(struct shown *s, struct kg_arena *a, const struct kg_value *subset)
{
	const struct kg_value *addresses = kg_get(subset, "addresses");
	const struct kg_value *ports = kg_get(subset, "ports");

	for (uint32_t p = 0; p == 0 || p < kg_len(ports); p++) {
		for (uint32_t i = 0; i < kg_len(addresses); i++) {
			const char *ip = kg_string(kg_get(&addresses->items[i], "ip"), "");
			if (!kg_len(ports))
				show(s, ip);
			else
				show(s, kg_arena_printf(a,
						strchr(ip, ':') ? "[%s]:%lld" : "%s:%lld", ip,
						(long long)kg_int(
							kg_get(&ports->items[p], "port"), 0)));
		}
	}
}

static struct kg_value cell_endpoints(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *subsets = kg_get(kg_obj(obj), "subsets");
	struct shown s = {0};

	(void)now;
	for (uint32_t i = 0; i < kg_len(subsets); i++)
		show_subset(&s, a, &subsets->items[i]);
	return shown_end(a, &s, "<none>");
}

const struct kg_column kg_columns_endpoints[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Endpoints", "string", 0, cell_endpoints, "The endpoints' addresses and ports."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
