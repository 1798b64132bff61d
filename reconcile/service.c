/* Services: their addresses and node ports. (Which pods answer is endpointslice.c.) */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

/* ---- addresses ---- */

static int allocate_ports(struct kg_run *r, const struct kg_object *svc, struct kg_value *spec)
{
	const struct kg_value *ports = kg_get(spec, "ports");
	const char *type = kg_string(kg_get(spec, "type"), "ClusterIP");
	bool wants = strcmp(type, "NodePort") == 0 ||
		     (strcmp(type, "LoadBalancer") == 0 &&
			     kg_bool(kg_get(spec, "allocateLoadBalancerNodePorts"), true));
	if (!wants || kg_len(ports) == 0)
		return 0;
	struct kg_value *items = kg_arena_alloc(&r->a, ports->len * sizeof(*items));
	int *fresh = kg_arena_alloc(&r->a, ports->len * sizeof(*fresh));
	size_t nfresh = 0;
	int rc = 0;
	for (uint32_t i = 0; i < ports->len; i++) {
		items[i] = ports->items[i];
		if (kg_int(kg_get(&items[i], "nodePort"), 0))
			continue;
		int p = kg_ipam_node_port(r->st, kg_object_uid(svc), i);
		if (!p) {
			rc = kg_fail(
				r->err, KG_E_INVALID, "Service %s: no node port is free", svc->key);
			break;
		}
		/* Held until the put, so that the next port of this service is another. */
		kg_bit_set(r->st->node_ports, (uint32_t)(p - r->st->node_port_min), true);
		fresh[nfresh++] = p;
		items[i] = kg_with_key(&r->a, &items[i], "nodePort", kg_v_int(p));
	}
	for (size_t i = 0; i < nfresh; i++)
		kg_bit_set(r->st->node_ports, (uint32_t)(fresh[i] - r->st->node_port_min), false);
	*spec = kg_with_key(&r->a, spec, "ports", kg_v_array(&r->a, items, ports->len));
	return rc;
}

static int allocate(struct kg_run *r, const struct kg_object *svc)
{
	struct kg_value spec = *kg_get(kg_obj(svc), "spec");
	if (strcmp(kg_string(kg_get(&spec, "type"), ""), "ExternalName") == 0)
		return 0;
	if (kg_is_null(kg_get(&spec, "clusterIP"))) {
		char ip[16];
		if (!kg_ipam_service_ip(ip, r->st, kg_object_uid(svc)))
			return kg_fail(r->err, KG_E_INVALID,
				"Service %s: no cluster address is free", svc->key);
		spec = kg_with_key(&r->a, &spec, "clusterIP", kg_v_str(&r->a, ip));
	}
	struct kg_value ip = *kg_get(&spec, "clusterIP"), family = kg_v_lit("IPv4");
	if (kg_is_null(kg_get(&spec, "clusterIPs")))
		spec = kg_with_key(&r->a, &spec, "clusterIPs", kg_v_array(&r->a, &ip, 1));
	if (kg_is_null(kg_get(&spec, "ipFamilies")))
		spec = kg_with_key(&r->a, &spec, "ipFamilies", kg_v_array(&r->a, &family, 1));
	if (kg_is_null(kg_get(&spec, "ipFamilyPolicy")))
		spec = kg_with_key(&r->a, &spec, "ipFamilyPolicy", kg_v_lit("SingleStack"));
	int rc = allocate_ports(r, svc, &spec);
	if (rc < 0)
		return rc;
	struct kg_value v = kg_with_key(&r->a, kg_obj(svc), "spec", spec);
	kg_put_value(r, svc, &v);
	return 0;
}

int kg_service_run(struct kg_run *r, const char *key)
{
	kg_mirror_sync(r, key);
	const struct kg_object *svc = kg_snapshot_get_key(kg_now(r), KG_KIND_SERVICE, key);
	if (!svc)
		return 0;
	int rc = allocate(r, svc);
	if (rc < 0)
		return rc;
	KG_AUTOLIST struct kg_list self = {0};
	kg_list_add(&self, kg_snapshot_get_key(kg_now(r), KG_KIND_SERVICE, key));
	kg_slices_sync(r, self.v[0]);
	return 0;
}
