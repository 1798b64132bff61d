/* Nodes: registration, their pod ranges, and what liveness says of them. */
#include "reconcile/internal.h"

#include <string.h>

#define TAINT_UNREACHABLE "node.kubernetes.io/unreachable"
#define TAINT_NOT_READY   "node.kubernetes.io/not-ready"

static struct kg_value ready_condition(struct kg_run *r, const char *status, const char *reason,
	const char *message, kg_time since)
{
	char when[32];
	kg_time_format(when, since);
	return kg_v_obj(&r->a, "type", kg_v_lit("Ready"), "status", kg_v_lit(status), "reason",
		kg_v_str(&r->a, reason), "message", kg_v_str(&r->a, message), "lastTransitionTime",
		kg_v_str(&r->a, when), "lastHeartbeatTime", kg_v_str(&r->a, when), (char *)NULL);
}

static struct kg_value labels_of(struct kg_run *r, const struct kg_input_node *in)
{
	struct kg_value labels = in->labels;
	if (labels.type != KG_OBJECT)
		labels = kg_v_object(&r->a, NULL, 0);
	return kg_with_key(&r->a, &labels, "kubernetes.io/hostname", kg_v_str(&r->a, in->name));
}

static struct kg_value new_node(struct kg_run *r, const struct kg_input_node *in)
{
	struct kg_value v = kg_v_obj(&r->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Node"),
		"metadata", kg_v_object(&r->a, NULL, 0), "spec", kg_v_object(&r->a, NULL, 0),
		(char *)NULL);
	v = kg_birth(r, &kg_kinds[KG_KIND_NODE], "", in->name, &v);
	char cidr[32];
	if (kg_ipam_node_cidr(cidr, r->st)) {
		struct kg_value c = kg_v_str(&r->a, cidr);
		v = kg_with(&r->a, &v, "spec.podCIDR", c);
		v = kg_with(&r->a, &v, "spec.podCIDRs", kg_v_array(&r->a, &c, 1));
	}
	return v;
}

void kg_node_register(struct kg_run *r, const struct kg_input_node *in)
{
	const struct kg_object *old = kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", in->name);
	struct kg_value v = old ? *kg_obj(old) : new_node(r, in);
	struct kg_value status =
		in->status.type == KG_OBJECT ? in->status : kg_v_object(&r->a, NULL, 0);
	const struct kg_value *conditions = kg_at(&v, "status.conditions");
	struct kg_value merged = kg_with_key(&r->a, &status, "conditions", *conditions);
	const struct kg_value *said = kg_get(&status, "conditions");
	for (uint32_t i = 0; i < kg_len(said); i++)
		if (strcmp(kg_string(kg_get(&said->items[i], "type"), ""), "Ready") != 0)
			merged = kg_with_condition(&r->a, &merged, said->items[i]);
	if (kg_is_null(kg_condition(&merged, "Ready")))
		merged = kg_with_condition(&r->a, &merged,
			ready_condition(r, "Unknown", "NodeStatusNeverUpdated",
				"The node has not been heard of yet.", r->now));
	v = kg_with_key(&r->a, &v, "status", merged);
	v = kg_node_relabel(r, old, v, labels_of(r, in));
	if (old) {
		kg_put_value(r, old, &v);
		return;
	}
	struct kg_object_spec spec = {
		.kind = &kg_kinds[KG_KIND_NODE], .ns = "", .name = in->name, .value = &v};
	kg_txn_put(r->txn, kg_object_new(&spec));
}

void kg_node_liveness(struct kg_run *r, const struct kg_input_liveness *in)
{
	const struct kg_object *node = kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", in->name);
	if (!node)
		return;
	const struct kg_value *old = kg_condition(kg_get(kg_obj(node), "status"), "Ready");
	const char *reason = in->reason  ? in->reason
			     : in->ready ? "KubeletReady"
					 : "NodeStatusUnknown";
	const char *status = in->ready                                  ? "True"
			     : strcmp(reason, "NodeStatusUnknown") == 0 ? "Unknown"
									: "False";
	const char *message = in->message ? in->message
			      : in->ready ? "The node answers."
					  : "The node stopped answering.";
	if (strcmp(kg_string(kg_get(old, "status"), ""), status) == 0 &&
		strcmp(kg_string(kg_get(old, "reason"), ""), reason) == 0)
		return;
	kg_time since = in->since && in->since < r->now ? in->since : r->now;
	struct kg_value st = kg_with_condition(&r->a, kg_get(kg_obj(node), "status"),
		ready_condition(r, status, reason, message, since));
	struct kg_value v = kg_with_key(&r->a, kg_obj(node), "status", st);
	kg_put_value(r, node, &v);
}

bool kg_node_taint_is_ours(const struct kg_value *taint)
{
	const char *key = kg_string(kg_get(taint, "key"), "");
	return strcmp(key, TAINT_UNREACHABLE) == 0 || strcmp(key, TAINT_NOT_READY) == 0;
}

/* ---- taints ---- */

/* A lost node's pods are evicted from the moment that it has the NoExecute taint, which one node
 * gets each EVICT_EVERY; and none as long as most nodes are lost, since then it is rather the
 * network, or the master. Numbers are those of Kubernetes' node lifecycle controller. */
#define EVICT_EVERY INT64_C(10000)

static bool most_are_lost(const struct kg_reconcile_state *st)
{
	size_t lost = st->lost.count, all = st->nodes.count;
	return lost == all || (lost > 2 && lost * 100 >= all * 55);
}

static bool is_eviction(const struct kg_value *taint)
{
	return kg_node_taint_is_ours(taint) &&
	       strcmp(kg_string(kg_get(taint, "effect"), ""), "NoExecute") == 0;
}

static struct kg_value taint(struct kg_run *r, const char *key, const char *effect, kg_time since)
{
	char when[32];
	kg_time_format(when, since);
	return kg_v_obj(&r->a, "key", kg_v_lit(key), "effect", kg_v_lit(effect), "timeAdded",
		kg_v_str(&r->a, when), (char *)NULL);
}

static const struct kg_value *eviction_of(const struct kg_value *taints)
{
	for (uint32_t i = 0; i < kg_len(taints); i++)
		if (is_eviction(&taints->items[i]))
			return &taints->items[i];
	return &kg_null;
}

static void evict(struct kg_run *r, const struct kg_node_info *n)
{
	const struct kg_value *taints = kg_at(kg_obj(n->obj), "spec.taints"), *any = &kg_null;
	for (uint32_t i = 0; i < kg_len(taints); i++)
		if (kg_node_taint_is_ours(&taints->items[i]))
			any = &taints->items[i];
	if (kg_is_null(any))
		return; /* it has yet to be run itself */
	const char *key = kg_string(kg_get(any, "key"), "");
	struct kg_value v = kg_with(&r->a, kg_obj(n->obj), "spec.taints",
		kg_with_item(&r->a, taints, taint(r, key, "NoExecute", r->now)));
	kg_put_value(r, n->obj, &v);
}

/* The next of the nodes that are lost, by name, gets its taint, or is waited for. */
static void run_lost(struct kg_run *r)
{
	const struct kg_node_info *next = NULL;
	bool stop = most_are_lost(r->st);
	kg_time last = 0;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&r->st->lost, &i));) {
		const struct kg_node_info *n = kg_node_info(r->st, e->key);
		const struct kg_value *t = n ? eviction_of(n->taints) : &kg_null;
		kg_time at = kg_time_of(kg_get(t, "timeAdded"), 0);
		last = at > last ? at : last;
		if (n && stop && !kg_is_null(t))
			kg_enqueue(r->st, KG_C_NODE, n->obj->key);
		else if (n && kg_is_null(t) && (!next || strcmp(n->name, next->name) < 0))
			next = n;
	}
	if (stop || !next)
		return;
	if (last && last + EVICT_EVERY > r->now)
		kg_wake(r, last + EVICT_EVERY);
	else
		evict(r, next);
}

/* The taints of readiness follow the condition; others are left as they are. */
void kg_node_run(struct kg_run *r, const char *key)
{
	if (strcmp(key, KG_LOST_NODES) == 0) {
		run_lost(r);
		return;
	}
	const struct kg_object *node = kg_snapshot_get_key(kg_now(r), KG_KIND_NODE, key);
	if (!node)
		return;
	const struct kg_value *ready = kg_condition(kg_get(kg_obj(node), "status"), "Ready");
	const char *status = kg_string(kg_get(ready, "status"), "Unknown");
	const char *want = strcmp(status, "True") == 0    ? NULL
			   : strcmp(status, "False") == 0 ? TAINT_NOT_READY
							  : TAINT_UNREACHABLE;
	const struct kg_value *taints = kg_at(kg_obj(node), "spec.taints");
	struct kg_value *items = kg_arena_alloc(&r->a, (kg_len(taints) + 2) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(taints); i++)
		if (!kg_node_taint_is_ours(&taints->items[i]))
			items[n++] = taints->items[i];
	if (want) {
		const struct kg_value *since = kg_get(eviction_of(taints), "timeAdded");
		kg_time lost = kg_time_of(kg_get(ready, "lastTransitionTime"), r->now);
		items[n++] = taint(r, want, "NoSchedule", lost);
		if (!kg_is_null(since) && !most_are_lost(r->st))
			items[n++] = taint(r, want, "NoExecute", kg_time_of(since, r->now));
		kg_enqueue(r->st, KG_C_NODE, KG_LOST_NODES);
	}
	struct kg_value v = kg_with(
		&r->a, kg_obj(node), "spec.taints", n ? kg_v_array(&r->a, items, n) : kg_v_null());
	kg_put_value(r, node, &v);
}
