/* Endpoints: which pods answer for a Service, and what it says of each. */
#include "reconcile/endpoint.h"

#include <string.h>

bool kg_service_selects(const struct kg_object *svc)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec"), *sel = kg_get(spec, "selector");
	return sel->type == KG_OBJECT && sel->len > 0 &&
	       strcmp(kg_string(kg_get(spec, "type"), ""), "ExternalName") != 0;
}

bool kg_endpoint_answers(const struct kg_value *selector, const struct kg_object *pod)
{
	return pod && !kg_pod_terminal(pod) && *kg_string(kg_status(pod, "podIP"), "") &&
	       kg_labels_match_map(selector, kg_meta(pod, "labels"));
}

/* ---- ports ---- */

/* A target port on this pod: a number, or the container port of that name. 0: the pod has none. */
static int64_t target_port(const struct kg_value *port, const struct kg_object *pod)
{
	const struct kg_value *target = kg_get(port, "targetPort");
	if (target->type == KG_INT)
		return target->i;
	const char *name = kg_string(target, NULL);
	if (!name)
		return kg_int(kg_get(port, "port"), 0);
	const char *protocol = kg_string(kg_get(port, "protocol"), "TCP");
	return kg_pod_named_port(kg_obj(pod), name, protocol);
}

bool kg_endpoint_ports_vary(const struct kg_value *ports)
{
	bool named = false;
	for (uint32_t i = 0; i < kg_len(ports); i++)
		named |= kg_get(&ports->items[i], "targetPort")->type == KG_STRING;
	return named;
}

struct kg_value kg_endpoint_ports(
	struct kg_arena *a, const struct kg_value *ports, const struct kg_object *pod)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		int64_t number = target_port(p, pod);
		if (!number)
			continue;
		const struct kg_value *name = kg_get(p, "name");
		items[n++] = kg_v_obj(a, "name", kg_is_null(name) ? kg_v_lit("") : *name, "port",
			kg_v_int(number), "protocol",
			kg_v_str(a, kg_string(kg_get(p, "protocol"), "TCP")), "appProtocol",
			*kg_get(p, "appProtocol"), (char *)NULL);
	}
	return kg_v_array(a, items, n);
}

/* ---- what it says ---- */

/* What an endpoint says of its pod. */
struct facts {
	const struct kg_object *pod;
	const char *ip, *node, *uid;
	const struct kg_value *hostname;
	bool ready, serving, terminating;
};

static struct facts facts_of(const struct kg_object *svc, const struct kg_object *pod)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	bool serving = kg_object_ready(pod), terminating = kg_object_deleting(pod);
	bool any = kg_bool(kg_spec(svc, "publishNotReadyAddresses"), false);
	bool named = strcmp(kg_string(kg_get(spec, "subdomain"), ""), svc->name) == 0;
	return (struct facts){
		.pod = pod,
		.ip = kg_string(kg_status(pod, "podIP"), ""),
		.node = kg_pod_node(pod),
		.uid = kg_object_uid(pod),
		.hostname = named ? kg_get(spec, "hostname") : &kg_null,
		.ready = any || (serving && !terminating),
		.serving = serving,
		.terminating = terminating,
	};
}

static struct kg_value make(struct kg_arena *a, const struct facts *f)
{
	struct kg_value ip = kg_v_str(a, f->ip);
	struct kg_value conditions = kg_v_obj(a, "ready", kg_v_bool(f->ready), "serving",
		kg_v_bool(f->serving), "terminating", kg_v_bool(f->terminating), (char *)NULL);
	struct kg_value ref =
		kg_v_obj(a, "kind", kg_v_lit("Pod"), "name", kg_v_str(a, f->pod->name), "namespace",
			kg_v_str(a, f->pod->ns), "uid", kg_v_str(a, f->uid), (char *)NULL);
	return kg_v_obj(a, "addresses", kg_v_array(a, &ip, 1), "conditions", conditions, "hostname",
		*f->hostname, "nodeName", kg_v_str(a, f->node), "targetRef", ref, (char *)NULL);
}

static bool is_text(const struct kg_value *v, const char *text)
{
	return strcmp(kg_string(v, ""), text) == 0;
}

static bool is_bool(const struct kg_value *v, bool b)
{
	return v->type == KG_BOOL && v->b == b;
}

/* Is that what make would make? Then it need not be made. */
static bool says(const struct kg_value *endpoint, const struct facts *f)
{
	const struct kg_value *addresses = kg_get(endpoint, "addresses");
	const struct kg_value *conditions = kg_get(endpoint, "conditions");
	const struct kg_value *ref = kg_get(endpoint, "targetRef");
	return kg_len(endpoint) == 4u + !kg_is_null(f->hostname) && kg_len(addresses) == 1 &&
	       kg_len(conditions) == 3 && kg_len(ref) == 4 &&
	       is_text(&addresses->items[0], f->ip) &&
	       is_bool(kg_get(conditions, "ready"), f->ready) &&
	       is_bool(kg_get(conditions, "serving"), f->serving) &&
	       is_bool(kg_get(conditions, "terminating"), f->terminating) &&
	       kg_equal(kg_get(endpoint, "hostname"), f->hostname) &&
	       is_text(kg_get(endpoint, "nodeName"), f->node) &&
	       is_text(kg_get(ref, "kind"), "Pod") && is_text(kg_get(ref, "name"), f->pod->name) &&
	       is_text(kg_get(ref, "namespace"), f->pod->ns) && is_text(kg_get(ref, "uid"), f->uid);
}

struct kg_value kg_endpoint_of(struct kg_arena *a, const struct kg_object *svc,
	const struct kg_object *pod, const struct kg_value *old)
{
	struct facts f = facts_of(svc, pod);
	return old && says(old, &f) ? *old : make(a, &f);
}

const char *kg_endpoint_uid(const struct kg_value *endpoint)
{
	return kg_string(kg_get(kg_get(endpoint, "targetRef"), "uid"), "");
}

const char *kg_endpoint_name(const struct kg_value *endpoint)
{
	return kg_string(kg_get(kg_get(endpoint, "targetRef"), "name"), "");
}
