/* Columns of NetworkPolicy, Ingress and IngressClass. */
#include "kinds/columns.h"

enum { HOSTS_SHOWN = 3 };

static struct kg_value cell_pods(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_selector(a, kg_at(kg_obj(obj), "spec.podSelector"));
}

const struct kg_column kg_columns_networkpolicy[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Pod-Selector", "string", 0, cell_pods, "Which pods it is about."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- Ingress ---- */

static struct kg_value cell_class(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_cell_or_none(kg_at(kg_obj(obj), "spec.ingressClassName"));
}

static struct kg_value cell_hosts(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *rules = kg_at(kg_obj(obj), "spec.rules");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	uint32_t n = 0;

	(void)now;
	for (uint32_t i = 0; i < kg_len(rules); i++) {
		const char *host = kg_string(kg_get(&rules->items[i], "host"), "");
		if (*host && n++ < HOSTS_SHOWN)
			kg_buf_addf(&b, "%s%s", b.len ? "," : "", host);
	}
	if (!n)
		return kg_v_lit("*");
	if (n > HOSTS_SHOWN)
		kg_buf_addf(&b, " + %u more...", n - HOSTS_SHOWN);
	return kg_v_strn(a, b.data, b.len);
}

static struct kg_value cell_address(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *list = kg_at(kg_obj(obj), "status.loadBalancer.ingress");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	(void)now;
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const struct kg_value *ip = kg_get(&list->items[i], "ip");
		kg_buf_addf(&b, "%s%s", b.len ? "," : "",
			kg_string(ip, kg_string(kg_get(&list->items[i], "hostname"), "")));
	}
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

static struct kg_value cell_ports(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_v_lit(kg_len(kg_at(kg_obj(obj), "spec.tls")) ? "80, 443" : "80");
}

const struct kg_column kg_columns_ingress[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Class", "string", 0, cell_class, "Its IngressClass."),
	KG_COLUMN("Hosts", "string", 0, cell_hosts, "Hosts that it is about."),
	KG_COLUMN("Address", "string", 0, cell_address, "Where it is reached."),
	KG_COLUMN("Ports", "string", 0, cell_ports, "Ports where it is reached."),
	KG_COLUMN_AGE,
	{.name = NULL},
};

/* ---- IngressClass ---- */

KG_TEXT_CELL(cell_controller, "spec.controller", "")

static struct kg_value cell_parameters(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *p = kg_at(kg_obj(obj), "spec.parameters");
	const char *group = kg_string(kg_get(p, "apiGroup"), "");

	(void)now;
	if (kg_is_null(p))
		return kg_v_lit("<none>");
	return kg_v_strf(a, "%s%s%s/%s", kg_string(kg_get(p, "kind"), ""), *group ? "." : "", group,
		kg_string(kg_get(p, "name"), ""));
}

const struct kg_column kg_columns_ingressclass[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Controller", "string", 0, cell_controller, "Who acts on its Ingresses."),
	KG_COLUMN("Parameters", "string", 0, cell_parameters, "An object with settings."),
	KG_COLUMN_AGE,
	{.name = NULL},
};
