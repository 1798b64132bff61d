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

/* When the last of the nodes that are lost got its taint; 0: none has. */
static kg_time last_eviction(const struct kg_reconcile_state *st)
{
	kg_time last = 0;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->lost, &i));) {
		const struct kg_node_info *n =
			kg_node_info((struct kg_reconcile_state *)st, e->key);
		for (uint32_t k = 0; n && k < kg_len(n->taints); k++) {
			const struct kg_value *t = &n->taints->items[k];
			kg_time at = is_eviction(t) ? kg_time_of(kg_get(t, "timeAdded"), 0) : 0;
			last = at > last ? at : last;
		}
	}
	return last;
}

/* Since when its pods are evicted, KG_TIME_NEVER: not yet. had: the taint that it has, or null. */
static kg_time eviction_since(struct kg_run *r, const struct kg_value *had)
{
	if (most_are_lost(r->st))
		return KG_TIME_NEVER;
	if (!kg_is_null(had))
		return kg_time_of(kg_get(had, "timeAdded"), r->now);
	kg_time last = last_eviction(r->st), due = last ? last + EVICT_EVERY : r->now;
	if (due <= r->now)
		return r->now;
	kg_wake(r, due);
	return KG_TIME_NEVER;
}

static struct kg_value taint(struct kg_run *r, const char *key, const char *effect, kg_time since)
{
	char when[32];
	kg_time_format(when, since);
	return kg_v_obj(&r->a, "key", kg_v_lit(key), "effect", kg_v_lit(effect), "timeAdded",
		kg_v_str(&r->a, when), (char *)NULL);
}

/* The taints of readiness follow the condition; others are left as they are. */
void kg_node_run(struct kg_run *r, const char *key)
{
	const struct kg_object *node = kg_snapshot_get_key(kg_now(r), KG_KIND_NODE, key);
	if (!node)
		return;
	const struct kg_value *ready = kg_condition(kg_get(kg_obj(node), "status"), "Ready");
	const char *status = kg_string(kg_get(ready, "status"), "Unknown");
	const char *want = strcmp(status, "True") == 0    ? NULL
			   : strcmp(status, "False") == 0 ? TAINT_NOT_READY
							  : TAINT_UNREACHABLE;
	const struct kg_value *taints = kg_at(kg_obj(node), "spec.taints"), *evicting = &kg_null;
	struct kg_value *items = kg_arena_alloc(&r->a, (kg_len(taints) + 2) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(taints); i++)
		if (is_eviction(&taints->items[i]))
			evicting = &taints->items[i];
		else if (!kg_node_taint_is_ours(&taints->items[i]))
			items[n++] = taints->items[i];
	if (want) {
		kg_time lost = kg_time_of(kg_get(ready, "lastTransitionTime"), r->now);
		kg_time since = eviction_since(r, evicting);
		items[n++] = taint(r, want, "NoSchedule", lost);
		if (since != KG_TIME_NEVER)
			items[n++] = taint(r, want, "NoExecute", since);
	}
	struct kg_value v = kg_with(
		&r->a, kg_obj(node), "spec.taints", n ? kg_v_array(&r->a, items, n) : kg_v_null());
	kg_put_value(r, node, &v);
}
