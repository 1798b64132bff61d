/* A pod gets its node and its address; or says why it has none. */
#include "reconcile/scheduler.h"

#include <string.h>

static const char *node_address(const struct kg_node_info *n)
{
	const struct kg_value *as = kg_status(n->obj, "addresses");
	return kg_string(kg_get(kg_find(as, "type", "InternalIP"), "address"), NULL);
}

static struct kg_value one_ip(struct kg_arena *a, struct kg_value ip)
{
	if (kg_is_null(&ip))
		return ip;
	struct kg_value o = kg_v_obj(a, "ip", ip, (char *)NULL);
	return kg_v_array(a, &o, 1);
}

bool kg_bind(struct kg_run *r, const struct kg_object *pod, const struct kg_pod_class *c,
	const struct kg_node_info *n)
{
	struct kg_arena *a = &r->a;
	struct kg_value host = kg_v_str(a, node_address(n)), ip = host;
	char text[16];
	if (!c->host_network) {
		if (!kg_ipam_pod_ip(text, n, kg_object_uid(pod)))
			return false;
		ip = kg_v_str(a, text);
	}
	struct kg_value scheduled = kg_v_obj(a, "type", kg_v_lit("PodScheduled"), "status",
		kg_v_lit("True"), "lastTransitionTime", kg_now_value(r), (char *)NULL);
	struct kg_value st = *kg_get(kg_obj(pod), "status");
	st = kg_with_condition(a, &st, scheduled);
	struct kg_value v = kg_v_obj(a, "conditions", *kg_get(&st, "conditions"), "hostIP", host,
		"hostIPs", one_ip(a, host), "phase", *kg_get(&st, "phase"), "podIP", ip, "podIPs",
		one_ip(a, ip), "qosClass", *kg_get(&st, "qosClass"), (char *)NULL);
	v = kg_with_key(a, kg_obj(pod), "status", v);
	struct kg_value spec =
		kg_with_key(a, kg_get(kg_obj(pod), "spec"), "nodeName", kg_v_str(a, n->name));
	v = kg_with_key(a, &v, "spec", spec);
	bool put = kg_txn_put(r->txn, kg_object_with(pod, &v));
	if (c->unbound)
		kg_claims_follow(r, pod);
	return put;
}

void kg_say_waiting(struct kg_run *r, const struct kg_object *pod, const char *reason,
	const char *message, const char *nominated)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	const struct kg_value *old = kg_condition(status, "PodScheduled");
	bool same = strcmp(kg_string(kg_get(old, "status"), ""), "False") == 0;
	struct kg_value c = kg_v_obj(&r->a, "type", kg_v_lit("PodScheduled"), "status",
		kg_v_lit("False"), "reason", kg_v_lit(reason), "message", kg_v_str(&r->a, message),
		"lastTransitionTime", same ? *kg_get(old, "lastTransitionTime") : kg_now_value(r),
		(char *)NULL);
	struct kg_value st = kg_with_condition(&r->a, status, c);
	if (nominated)
		st = kg_with_key(&r->a, &st, "nominatedNodeName",
			*nominated ? kg_v_str(&r->a, nominated) : kg_v_null());
	struct kg_value v = kg_with_key(&r->a, kg_obj(pod), "status", st);
	kg_put_value(r, pod, &v);
}
