/* Pods after their creation: what nodes report of them, how they go, and what a lost node does to
 * them. */
#include "reconcile/internal.h"

#include <string.h>

struct kg_value kg_pod_new_status(struct kg_arena *a, const struct kg_value *spec)
{
	return kg_v_obj(a, "phase", kg_v_lit("Pending"), "qosClass", kg_v_lit(kg_pod_qos(spec)),
		(char *)NULL);
}

bool kg_pod_waits_failed(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	kg_time due = kg_object_created(pod) + KG_FAILED_PAUSE;
	if (strcmp(kg_string(kg_get(status, "phase"), ""), "Failed") != 0 ||
		strncmp(kg_string(kg_get(status, "message"), ""), KG_POD_REJECTED,
			strlen(KG_POD_REJECTED)) != 0 ||
		due <= r->now)
		return false;
	kg_wake(r, due);
	return true;
}

/* ---- deletion ---- */

/* A pod that was not there before this run: no node has heard of it. */
static bool is_unheard_of(struct kg_run *r, const struct kg_object *pod)
{
	const struct kg_object *old =
		kg_snapshot_get_key(kg_txn_previous(r->txn), KG_KIND_POD, pod->key);
	return !old || strcmp(kg_object_uid(old), kg_object_uid(pod)) != 0 || !*kg_pod_node(old);
}

static bool may_vanish(struct kg_run *r, const struct kg_object *pod)
{
	const char *node = kg_pod_node(pod);
	return !*node || is_unheard_of(r, pod) ||
	       !kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", node);
}

/* The pod is gone for good; where its manifest came back meanwhile, its successor begins. */
static void vanish(struct kg_run *r, const struct kg_object *pod)
{
	if (kg_job_holds(r, pod))
		return;
	struct kg_object *held = kg_object_ref(pod);
	bool again = held->source && kg_object_deleting(held);
	kg_delete_object(r, held);
	if (again)
		kg_desired_create(r, held->kind, held->ns, held->name, held->base, held->source,
			held->source_index);
	kg_object_unref(held);
}

static struct kg_value tombstone(struct kg_run *r, const struct kg_object *pod)
{
	struct kg_value v = *kg_obj(pod);
	if (kg_object_deleting(pod))
		return v;
	int64_t grace = kg_seconds(kg_at(&v, "spec.terminationGracePeriodSeconds"), 30);
	char when[32];
	kg_time_format(when, r->now + grace);
	v = kg_with(&r->a, &v, "metadata.deletionTimestamp", kg_v_str(&r->a, when));
	return kg_with(&r->a, &v, "metadata.deletionGracePeriodSeconds", kg_v_int(grace / 1000));
}

void kg_pod_evict(
	struct kg_run *r, const struct kg_object *pod, const char *reason, const char *message)
{
	if (may_vanish(r, pod)) {
		kg_pod_delete(r, pod);
		return;
	}
	struct kg_value v = tombstone(r, pod);
	struct kg_value c = kg_v_obj(&r->a, "type", kg_v_lit("DisruptionTarget"), "status",
		kg_v_lit("True"), "lastTransitionTime", kg_now_value(r), "reason",
		kg_v_str(&r->a, reason), "message", kg_v_str(&r->a, message), (char *)NULL);
	struct kg_value st = kg_with_condition(&r->a, kg_get(&v, "status"), c);
	v = kg_with_key(&r->a, &v, "status", st);
	/* One that is in main still: when it is gone, its successor begins. */
	kg_put_value(r, pod, &v);
}

void kg_pod_delete(struct kg_run *r, const struct kg_object *pod)
{
	if (may_vanish(r, pod)) {
		if (kg_job_holds(r, pod))
			return;
		struct kg_object *held = kg_object_ref(pod);
		kg_delete_object(r, held);
		kg_object_unref(held);
		return;
	}
	struct kg_value v = tombstone(r, pod);
	/* A tombstone stands alone: its manifest is no longer in main. */
	struct kg_object_spec spec = {
		.kind = pod->kind, .ns = pod->ns, .name = pod->name, .value = &v, .old = pod};
	if (pod->template_id[0]) {
		spec.base = pod->base;
		spec.template_id = pod->template_id;
	}
	kg_txn_put(r->txn, kg_object_new(&spec));
}

/* ---- reports ---- */

/* Conditions as the node reports them; a transition time that it leaves out is kept or is now. */
static struct kg_value merge_conditions(
	struct kg_run *r, const struct kg_value *old, const struct kg_value *status)
{
	const struct kg_value *reported = kg_get(status, "conditions");
	struct kg_value out = *old;
	for (uint32_t i = 0; i < kg_len(reported); i++) {
		struct kg_value c = reported->items[i];
		const char *type = kg_string(kg_get(&c, "type"), "");
		if (c.type != KG_OBJECT || !*type || strcmp(type, "PodScheduled") == 0)
			continue;
		const struct kg_value *was = kg_condition(&out, type);
		if (kg_is_null(kg_get(&c, "lastTransitionTime"))) {
			const struct kg_value *t = kg_get(was, "lastTransitionTime");
			bool same = kg_equal(kg_get(was, "status"), kg_get(&c, "status"));
			c = kg_with_key(&r->a, &c, "lastTransitionTime",
				same && !kg_is_null(t) ? *t : kg_now_value(r));
		}
		out = kg_with_condition(&r->a, &out, c);
	}
	return *kg_get(&out, "conditions");
}

static struct kg_value merge_status(
	struct kg_run *r, const struct kg_value *old, const struct kg_value *reported)
{
	/* What the system decides of a status; the rest is the node's. */
	static const char *const decided[] = {"podIP", "podIPs", "hostIP", "hostIPs", "qosClass"};
	struct kg_value v = *reported;
	for (size_t i = 0; i < KG_ARRAY_LEN(decided); i++)
		v = kg_with_key(&r->a, &v, decided[i], *kg_get(old, decided[i]));
	if (kg_is_null(kg_get(&v, "phase")))
		v = kg_with_key(&r->a, &v, "phase", *kg_get(old, "phase"));
	return kg_with_key(&r->a, &v, "conditions", merge_conditions(r, old, reported));
}

void kg_pod_report(struct kg_run *r, const struct kg_input_pod_status *in)
{
	if (!*in->ns) {
		kg_volume_report(r, in);
		return;
	}
	const struct kg_object *pod = kg_snapshot_get(kg_now(r), KG_KIND_POD, in->ns, in->name);
	if (!pod || strcmp(kg_object_uid(pod), in->uid) != 0 ||
		strcmp(kg_pod_node(pod), in->node) != 0)
		return;
	if (in->gone && kg_object_deleting(pod)) {
		vanish(r, pod);
		return;
	}
	if (in->status.type != KG_OBJECT)
		return;
	const struct kg_value *old = kg_get(kg_obj(pod), "status");
	/* A finished pod stays finished. */
	if (kg_pod_terminal(pod) && !kg_equal(kg_get(old, "phase"), kg_get(&in->status, "phase")))
		return;
	struct kg_value v =
		kg_with_key(&r->a, kg_obj(pod), "status", merge_status(r, old, &in->status));
	kg_put_value(r, pod, &v);
}

/* ---- the pod on its node ---- */

#define LOST_REASON "NodeNotReady"

static struct kg_value set_ready(struct kg_run *r, const struct kg_object *pod, bool ready,
	const char *reason, const char *message)
{
	struct kg_value c = kg_v_obj(&r->a, "type", kg_v_lit("Ready"), "status",
		kg_v_lit(ready ? "True" : "False"), "lastTransitionTime", kg_now_value(r), "reason",
		kg_v_str(&r->a, reason), "message", kg_v_str(&r->a, message), (char *)NULL);
	struct kg_value st = kg_with_condition(&r->a, kg_get(kg_obj(pod), "status"), c);
	return kg_with_key(&r->a, kg_obj(pod), "status", st);
}

/* A pod on a lost node is not ready, whatever its node last said; when the node is back, it is
 * what its containers are. */
static void follow_node(struct kg_run *r, const struct kg_object *pod, bool node_ready)
{
	const struct kg_value *status = kg_get(kg_obj(pod), "status");
	const struct kg_value *ready = kg_condition(status, "Ready");
	bool marked = strcmp(kg_string(kg_get(ready, "reason"), ""), LOST_REASON) == 0;
	struct kg_value v;
	if (!node_ready && kg_condition_is_true(status, "Ready"))
		v = set_ready(r, pod, false, LOST_REASON, "The node does not answer.");
	else if (node_ready && marked && !kg_object_deleting(pod) &&
		 kg_condition_is_true(status, "ContainersReady"))
		v = set_ready(r, pod, true, NULL, NULL);
	else
		return;
	kg_put_value(r, pod, &v);
}

/* When a pod must leave a node that has NoExecute taints; KG_TIME_NEVER: it may stay. */
static kg_time eviction_time(
	struct kg_run *r, const struct kg_object *pod, const struct kg_object *node)
{
	const struct kg_value *taints = kg_spec(node, "taints");
	const struct kg_value *tolerations = kg_spec(pod, "tolerations");
	kg_time due = KG_TIME_NEVER;
	for (uint32_t i = 0; i < kg_len(taints); i++) {
		const struct kg_value *taint = &taints->items[i];
		if (strcmp(kg_string(kg_get(taint, "effect"), ""), "NoExecute") != 0)
			continue;
		const char *key = kg_string(kg_get(taint, "key"), "");
		/* Kubernetes gives every pod these tolerations; here the timeout is the cluster's.
		 */
		bool lost = strcmp(key, "node.kubernetes.io/unreachable") == 0 ||
			    strcmp(key, "node.kubernetes.io/not-ready") == 0;
		int64_t wait = lost ? r->st->eviction_timeout_ms : 0;
		/* The first that fits says for how long. */
		uint32_t k = 0;
		while (k < kg_len(tolerations) && !kg_tolerates(&tolerations->items[k], taint))
			k++;
		if (k < kg_len(tolerations)) {
			const struct kg_value *s =
				kg_get(&tolerations->items[k], "tolerationSeconds");
			if (kg_is_null(s))
				continue;
			wait = kg_seconds(s, 0);
		}
		kg_time since = kg_time_of(kg_get(taint, "timeAdded"), r->now);
		if (since + wait < due)
			due = since + wait;
	}
	return due;
}

/* Whoever taints a lost node so says that nothing runs there any more: nobody waits for it. */
static bool is_out_of_service(const struct kg_object *pod, const struct kg_object *node)
{
	const struct kg_value *taints = kg_spec(node, "taints");
	const struct kg_value *tolerations = kg_spec(pod, "tolerations");
	const struct kg_value *taint = kg_find(taints, "key", "node.kubernetes.io/out-of-service");
	if (kg_is_null(taint) || kg_object_ready(node))
		return false;
	for (uint32_t k = 0; k < kg_len(tolerations); k++)
		if (kg_tolerates(&tolerations->items[k], taint))
			return false;
	return true;
}

void kg_pod_run(struct kg_run *r, const char *key)
{
	const struct kg_object *pod = kg_snapshot_get_key(kg_now(r), KG_KIND_POD, key);
	if (!pod)
		return;
	const char *name = kg_pod_node(pod);
	const struct kg_object *node =
		*name ? kg_snapshot_get(kg_now(r), KG_KIND_NODE, "", name) : NULL;
	if (kg_object_deleting(pod)) {
		kg_quota_see_out(r, pod);
		if (!node || is_out_of_service(pod, node) || kg_job_let_go(pod))
			vanish(r, pod);
		else
			follow_node(r, pod, kg_object_ready(node));
		return;
	}
	if (!kg_owner_exists(kg_now(r), pod)) {
		kg_pod_delete(r, pod);
		return;
	}
	if (!node || kg_pod_terminal(pod))
		return;
	kg_time due = eviction_time(r, pod, node);
	if (due <= r->now) {
		kg_pod_evict(r, pod, "DeletionByTaintManager",
			"Taint manager: deleting due to NoExecute taint");
		return;
	}
	if (due != KG_TIME_NEVER)
		kg_wake(r, due);
	follow_node(r, pod, kg_object_ready(node));
}
