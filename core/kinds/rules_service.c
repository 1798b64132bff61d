/* Rules of Service. */
#include "kinds/object.h"
#include "kinds/tables.h"

#include <arpa/inet.h>

enum { NODE_PORT_FIRST = 30000, NODE_PORT_LAST = 32767 };

struct kg_value kg_default_service_port(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *target = kg_get(v, "targetPort");
	struct kg_value out = *v;

	if (kg_is_null(target) || (target->type == KG_INT && !target->i))
		out = kg_with(a, &out, "targetPort", *kg_get(v, "port"));
	if (kg_get(v, "nodePort")->type == KG_INT && !kg_int(kg_get(v, "nodePort"), 0))
		out = kg_with(a, &out, "nodePort", kg_v_null());
	return out;
}

static bool is_type(const struct kg_value *spec, const char *type)
{
	return !strcmp(kg_string(kg_get(spec, "type"), ""), type);
}

static bool has_node_ports(const struct kg_value *spec)
{
	return is_type(spec, "NodePort") || is_type(spec, "LoadBalancer");
}

/* Reached from outside: by ports of the nodes, or addresses of its own. */
static bool is_external(const struct kg_value *spec)
{
	return has_node_ports(spec) ||
	       (is_type(spec, "ClusterIP") && kg_len(kg_get(spec, "externalIPs")));
}

static void set_default(
	struct kg_value *spec, struct kg_arena *a, const char *field, struct kg_value v)
{
	if (kg_is_null(kg_get(spec, field)))
		*spec = kg_with(a, spec, field, v);
}

struct kg_value kg_default_service_spec(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *ip = kg_get(v, "clusterIP"), *ips = kg_get(v, "clusterIPs");
	struct kg_value out = *v;

	if (!kg_is_null(ip) && !kg_len(ips))
		out = kg_with(a, &out, "clusterIPs", kg_v_array(a, ip, 1));
	else if (kg_is_null(ip) && kg_len(ips))
		out = kg_with(a, &out, "clusterIP", ips->items[0]);
	if (is_external(v))
		set_default(&out, a, "externalTrafficPolicy", kg_v_lit("Cluster"));
	if (is_type(v, "LoadBalancer"))
		set_default(&out, a, "allocateLoadBalancerNodePorts", kg_v_bool(true));
	if (!is_type(v, "ExternalName")) {
		struct kg_value family = kg_v_lit("IPv4");
		set_default(&out, a, "internalTrafficPolicy", kg_v_lit("Cluster"));
		set_default(&out, a, "ipFamilies", kg_v_array(a, &family, 1));
		set_default(&out, a, "ipFamilyPolicy", kg_v_lit("SingleStack"));
	}
	if (!strcmp(kg_string(kg_get(v, "sessionAffinity"), ""), "ClientIP") &&
		kg_is_null(kg_get(v, "sessionAffinityConfig")))
		out = kg_with(
			a, &out, "sessionAffinityConfig.clientIP.timeoutSeconds", kg_v_int(10800));
	return out;
}

const char *kg_check_cluster_ip(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");
	struct in_addr address;

	(void)a;
	if (!strcmp(s, "None") || inet_pton(AF_INET, s, &address) == 1)
		return NULL;
	return "must be None or an IPv4 address, e.g. 10.96.0.20";
}

static void validate_ports(struct kg_fault_list *f, const struct kg_value *spec, const char *path)
{
	const struct kg_value *ports = kg_get(spec, "ports");
	bool headless = !strcmp(kg_string(kg_get(spec, "clusterIP"), ""), "None");
	bool node_port = has_node_ports(spec);

	if (!kg_len(ports) && !headless && !is_type(spec, "ExternalName"))
		kg_rule(f, path, "ports",
			"Required value: a Service needs a port, unless its clusterIP is None");
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *port = &ports->items[i], *node = kg_get(port, "nodePort");

		if (ports->len > 1 && port->type == KG_OBJECT && kg_is_null(kg_get(port, "name")))
			kg_rule(f, path, kg_arena_printf(f->arena, "ports[%u].name", i),
				"Required value: a Service of several ports needs a name for each");
		if (kg_is_null(node))
			continue;
		const char *sub = kg_arena_printf(f->arena, "ports[%u].nodePort", i);
		if (!node_port)
			kg_rule(f, path, sub, "Forbidden: may not be used when `type` is '%s'",
				kg_string(kg_get(spec, "type"), ""));
		else if (kg_int(node, 0) < NODE_PORT_FIRST || kg_int(node, 0) > NODE_PORT_LAST)
			kg_rule(f, path, sub,
				"Invalid value: %lld: provided port is not in the valid range. The "
				"range of valid ports is %d-%d",
				(long long)node->i, NODE_PORT_FIRST, NODE_PORT_LAST);
	}
	kg_rule_unique(f, ports, "name", kg_rule_path(f, path, "ports"), false);
	kg_rule_unique(f, ports, "nodePort,protocol", kg_rule_path(f, path, "ports"), false);
}

static void validate_addresses(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path)
{
	const struct kg_value *ip = kg_get(spec, "clusterIP"), *ips = kg_get(spec, "clusterIPs");

	if (!strcmp(kg_string(ip, ""), "None") && has_node_ports(spec))
		kg_rule(f, path, "clusterIP",
			"Invalid value: \"None\": may not be set to 'None' for %s services",
			kg_string(kg_get(spec, "type"), ""));
	if (kg_len(ips) > 1)
		kg_rule(f, path, "clusterIPs",
			"Invalid value: %s: a single-stack Service has one address",
			kg_rule_show(f->arena, ips));
	if (kg_len(ips) && !kg_is_null(&ips->items[0]) && !kg_equal(ip, &ips->items[0]))
		kg_rule(f, path, "clusterIPs[0]",
			"Invalid value: %s: first value must match `clusterIP`",
			kg_rule_show(f->arena, &ips->items[0]));
}

static void validate_external_ips(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path)
{
	bool headless = !strcmp(kg_string(kg_get(spec, "clusterIP"), ""), "None");
	uint32_t addresses = kg_len(kg_get(spec, "externalIPs"));
	uint32_t ports = kg_len(kg_get(spec, "ports"));

	if ((uint64_t)addresses * ports > KG_MAX_WAYS_IN)
		kg_rule(f, path, "externalIPs",
			"Too many: %u addresses times %u ports: must be at most %d together",
			addresses, ports, KG_MAX_WAYS_IN);
	if (addresses && (headless || is_type(spec, "ExternalName")))
		kg_rule_warn(f, path, "externalIPs", "has no effect where %s",
			headless ? "`clusterIP` is 'None'" : "`type` is 'ExternalName'");
}

static void validate_external_name(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const none[] = {"clusterIP", "ipFamilies", "ipFamilyPolicy"};
	const char *name = kg_string(kg_get(v, "externalName"), "");

	if (!is_type(v, "ExternalName")) {
		if (*name)
			kg_rule_warn(f, path, "externalName",
				"has no effect unless `type` is 'ExternalName'");
		return;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(none); i++)
		if (!kg_is_null(kg_get(v, none[i])))
			kg_rule(f, path, none[i],
				"Forbidden: may not be set for ExternalName services");
	if (!*name) {
		kg_rule(f, path, "externalName",
			"Required value: the name that an ExternalName service is an alias of");
		return;
	}
	/* A dot at its end says that it is fully qualified. */
	size_t n = strlen(name);
	struct kg_value bare = kg_v_strn(f->arena, name, n - (name[n - 1] == '.'));
	const char *fault = kg_check_dns_subdomain(f->arena, &bare);
	if (fault)
		kg_rule(f, path, "externalName", "Invalid value: \"%s\": %s", name, fault);
}

static void validate_load_balancer(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const only[] = {
		"loadBalancerClass", "loadBalancerSourceRanges", "allocateLoadBalancerNodePorts"};

	if (is_type(v, "LoadBalancer")) {
		kg_rule_warn(f, path, "type",
			"kgit has no load balancers: no address is given to it, it is reached by "
			"its node ports%s",
			kg_len(kg_get(v, "loadBalancerSourceRanges"))
				? ", which loadBalancerSourceRanges do not restrict"
				: "");
		return;
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(only); i++)
		if (!kg_is_null(kg_get(v, only[i])))
			kg_rule(f, path, only[i],
				"Forbidden: may only be used when `type` is 'LoadBalancer'");
	if (!kg_is_null(kg_get(v, "loadBalancerIP")))
		kg_rule_warn(
			f, path, "loadBalancerIP", "has no effect unless `type` is 'LoadBalancer'");
}

void kg_validate_service_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	bool sticky = !strcmp(kg_string(kg_get(v, "sessionAffinity"), ""), "ClientIP");

	validate_ports(f, v, path);
	validate_addresses(f, v, path);
	validate_external_ips(f, v, path);
	validate_external_name(f, v, path);
	validate_load_balancer(f, v, path);
	if (!is_external(v) && !kg_is_null(kg_get(v, "externalTrafficPolicy")))
		kg_rule(f, path, "externalTrafficPolicy",
			"Invalid value: %s: may only be set for externally-accessible services",
			kg_rule_show(f->arena, kg_get(v, "externalTrafficPolicy")));
	if (!sticky && !kg_is_null(kg_get(v, "sessionAffinityConfig")))
		kg_rule(f, path, "sessionAffinityConfig",
			"Forbidden: must not be set when session affinity is None");
}

/* (Its address is admission's matter, which knows the one that was chosen.) */
void kg_update_service_spec(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char field[] = "loadBalancerClass";
	const struct kg_value *old = kg_get(before, field), *new = kg_get(after, field);

	if (is_type(before, "LoadBalancer") && is_type(after, "LoadBalancer") &&
		!kg_equal(old, new))
		kg_rule(f, path, field, "Invalid value: %s: may not change once set (it was %s)",
			kg_rule_show(f->arena, new), kg_rule_show(f->arena, old));
}

void kg_validate_service(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *md = kg_get(v, "metadata");

	kg_rule_object_meta(f, v, path, kg_check_dns1035_label);
	if (!strcmp(kg_string(kg_get(md, "name"), ""), "kubernetes") &&
		!strcmp(kg_string(kg_get(md, "namespace"), "default"), "default"))
		kg_rule_warn(f, path, "metadata.name",
			"in the namespace default this is the API's own Service, which every node "
			"makes; this one is reached by nobody");
}
