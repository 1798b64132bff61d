/* Which nodes a DaemonSet's pods belong to; rules and tolerations are Kubernetes'. */
#include "reconcile/daemonset.h"
#include "reconcile/scheduler.h"

#include <string.h>

/* ---- pods ---- */

static bool same_toleration(const struct kg_value *a, const struct kg_value *b)
{
	static const char *const keys[] = {"key", "operator", "value", "effect"};
	for (size_t i = 0; i < KG_ARRAY_LEN(keys); i++)
		if (!kg_equal(kg_get(a, keys[i]), kg_get(b, keys[i])))
			return false;
	return true;
}

static struct kg_value with_toleration(
	struct kg_arena *a, struct kg_value list, const char *key, const char *effect)
{
	struct kg_value t = kg_v_obj(a, "effect", kg_v_lit(effect), "key", kg_v_lit(key),
		"operator", kg_v_lit("Exists"), (char *)NULL);
	for (uint32_t i = 0; i < kg_len(&list); i++) {
		if (!same_toleration(&list.items[i], &t))
			continue;
		struct kg_value *items = kg_arena_alloc(a, list.len * sizeof(*items));
		memcpy(items, list.items, list.len * sizeof(*items));
		items[i] = t;
		return kg_v_array(a, items, list.len);
	}
	return kg_with_item(a, &list, t);
}

struct kg_value kg_daemon_template(
	struct kg_arena *a, const struct kg_value *template, const char *hash)
{
	static const char *const taints[][2] = {
		{"node.kubernetes.io/not-ready", "NoExecute"},
		{"node.kubernetes.io/unreachable", "NoExecute"},
		{"node.kubernetes.io/disk-pressure", "NoSchedule"},
		{"node.kubernetes.io/memory-pressure", "NoSchedule"},
		{"node.kubernetes.io/pid-pressure", "NoSchedule"},
		{"node.kubernetes.io/unschedulable", "NoSchedule"},
		{"node.kubernetes.io/network-unavailable", "NoSchedule"},
	};
	size_t n = KG_ARRAY_LEN(taints);
	struct kg_value list = *kg_at(template, "spec.tolerations");
	if (!kg_bool(kg_at(template, "spec.hostNetwork"), false))
		n--; /* the last is for pods in the node's own network */
	for (size_t i = 0; i < n; i++)
		list = with_toleration(a, list, taints[i][0], taints[i][1]);
	struct kg_value v = kg_with(a, template, "spec.tolerations", list);
	return kg_with_label(a, &v, KG_HASH_LABEL, hash);
}

struct kg_value kg_daemon_pod_for(struct kg_arena *a, struct kg_value pod, const char *node)
{
	struct kg_value name = kg_v_str(a, node);
	struct kg_value field = kg_v_obj(a, "key", kg_v_lit("metadata.name"), "operator",
		kg_v_lit("In"), "values", kg_v_array(a, &name, 1), (char *)NULL);
	struct kg_value term = kg_v_obj(a, "matchFields", kg_v_array(a, &field, 1), (char *)NULL);
	struct kg_value terms =
		kg_v_obj(a, "nodeSelectorTerms", kg_v_array(a, &term, 1), (char *)NULL);
	return kg_with(a, &pod,
		"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", terms);
}

/* The node that a pod was made for. */
static const char *node_of(const struct kg_object *pod)
{
	const char *bound = kg_pod_node(pod);
	if (*bound)
		return bound;
	return kg_string(kg_at(kg_obj(pod), "spec.affinity.nodeAffinity."
					    "requiredDuringSchedulingIgnoredDuringExecution."
					    "nodeSelectorTerms.0.matchFields.0.values.0"),
		"");
}

static int cmp_pod(const void *a, const void *b)
{
	const struct kg_daemon_pod *x = a, *y = b;
	int d = strcmp(x->node, y->node);
	if (d)
		return d;
	bool p = *kg_pod_node(x->obj), q = *kg_pod_node(y->obj);
	if (p != q)
		return p ? -1 : 1; /* those that have their node first */
	kg_time s = kg_object_created(x->obj), t = kg_object_created(y->obj);
	return s != t ? (s < t ? -1 : 1) : strcmp(x->obj->name, y->obj->name);
}

static void sort_pods(struct kg_daemon_sync *x)
{
	kg_list_owned(&x->list, kg_now(x->r), KG_KIND_POD, kg_object_uid(x->ds));
	x->pods = kg_arena_alloc(&x->r->a, (x->list.n + 1) * sizeof(*x->pods));
	for (size_t i = 0; i < x->list.n; i++)
		x->pods[x->npods++] =
			(struct kg_daemon_pod){.obj = x->list.v[i], .node = node_of(x->list.v[i])};
	qsort(x->pods, x->npods, sizeof(*x->pods), cmp_pod);
}

/* ---- nodes ---- */

static bool tolerates(
	const struct kg_value *taints, const struct kg_value *tolerations, bool no_execute)
{
	static const char *const effects[] = {"NoExecute", "NoSchedule"};
	for (uint32_t i = 0; i < kg_len(taints); i++) {
		const struct kg_value *taint = &taints->items[i];
		const char *effect = kg_string(kg_get(taint, "effect"), "");
		bool tolerated = strcmp(effect, effects[0]) != 0 &&
				 (no_execute || strcmp(effect, effects[1]) != 0);
		for (uint32_t k = 0; k < kg_len(tolerations) && !tolerated; k++)
			tolerated = kg_tolerates(&tolerations->items[k], taint);
		if (!tolerated)
			return false;
	}
	return true;
}

static void judge_node(struct kg_daemon_sync *x, struct kg_daemon_node *n)
{
	const struct kg_node_info *info = kg_node_info(x->r->st, n->name);
	const struct kg_value *spec = kg_get(&x->template, "spec");
	const struct kg_value *tolerations = kg_get(spec, "tolerations");
	const char *only = kg_string(kg_get(spec, "nodeName"), "");
	struct kg_pod_class c = {.selector = kg_get(spec, "nodeSelector"),
		.required = kg_at(spec, "affinity.nodeAffinity."
					"requiredDuringSchedulingIgnoredDuringExecution")};
	if (!info || (*only && strcmp(only, n->name) != 0) || !kg_fit_affinity(&c, info))
		return;
	n->should_run = tolerates(info->taints, tolerations, false);
	n->may_stay = n->should_run || tolerates(info->taints, tolerations, true);
}

static bool is_fresh(const struct kg_daemon_sync *x, const struct kg_object *pod)
{
	return strcmp(kg_label(pod, KG_HASH_LABEL, ""), x->hash) == 0;
}

static void judge_pods(struct kg_daemon_sync *x, struct kg_daemon_node *n)
{
	size_t running = 0;
	for (size_t i = n->first; i < n->first + n->npods; i++) {
		const struct kg_object *pod = x->pods[i].obj;
		if (!kg_pod_active(pod))
			continue;
		running++;
		if (is_fresh(x, pod) && !n->fresh)
			n->fresh = pod;
		else if (!is_fresh(x, pod) && !n->old)
			n->old = pod;
	}
	n->fresh_available = n->fresh && kg_pod_available(x->r, n->fresh, x->min_ready_ms);
	n->old_available = n->old && kg_pod_available(x->r, n->old, x->min_ready_ms);
	size_t most = x->surge && n->fresh && n->old ? 2 : 1;
	n->crowded = running > most;
}

static void add_node(struct kg_daemon_sync *x, const char *name, bool there, size_t *pos)
{
	struct kg_daemon_node *n = &x->nodes[x->nnodes++];
	*n = (struct kg_daemon_node){.name = name, .there = there, .first = *pos};
	while (*pos < x->npods && strcmp(x->pods[*pos].node, name) == 0)
		++*pos;
	n->npods = *pos - n->first;
	if (there)
		judge_node(x, n);
	x->desired += n->should_run;
}

void kg_daemon_nodes(struct kg_daemon_sync *x)
{
	struct kg_object_iter it;
	const struct kg_object *node;
	size_t pos = 0;
	sort_pods(x);
	x->nodes = kg_arena_alloc(
		&x->r->a, (x->r->st->nodes.count + x->npods + 1) * sizeof(*x->nodes));
	kg_iter_kind(&it, kg_now(x->r), KG_KIND_NODE, NULL, NULL);
	while ((node = kg_iter_next(&it))) {
		while (pos < x->npods && strcmp(x->pods[pos].node, node->name) < 0)
			add_node(x, x->pods[pos].node, false, &pos);
		add_node(x, kg_arena_strdup(&x->r->a, node->name), true, &pos);
	}
	kg_iter_release(&it);
	while (pos < x->npods)
		add_node(x, x->pods[pos].node, false, &pos);
	const struct kg_value *ru = kg_at(x->spec, "updateStrategy.rollingUpdate");
	x->surge = kg_int_or_percent(kg_get(ru, "maxSurge"), x->desired, true, 0);
	x->unavailable = kg_int_or_percent(kg_get(ru, "maxUnavailable"), x->desired, true, 1);
	if (x->surge == 0 && x->unavailable == 0)
		x->unavailable = 1;
	for (size_t i = 0; i < x->nnodes; i++)
		judge_pods(x, &x->nodes[i]);
}
