/*
 * Does a node take a pod: cordon, name, taints, selectors and affinity, ports, room. A node that
 * does not answer has a taint that says so, and so needs no rule of its own.
 */
#include "reconcile/scheduler.h"

#include <errno.h>
#include <string.h>

static bool numeric_compare(const char *have, const char *want, bool greater)
{
	char *e1, *e2;
	errno = 0;
	long long a = strtoll(have, &e1, 10), b = strtoll(want, &e2, 10);
	if (errno || !*have || *e1 || !*want || *e2)
		return false;
	return greater ? a > b : a < b;
}

/* ---- taints ---- */

bool kg_tolerates(const struct kg_value *t, const struct kg_value *taint)
{
	const char *effect = kg_string(kg_get(t, "effect"), "");
	const char *key = kg_string(kg_get(t, "key"), "");
	const char *op = kg_string(kg_get(t, "operator"), "Equal");
	bool exists = strcmp(op, "Exists") == 0;
	if (*effect && strcmp(effect, kg_string(kg_get(taint, "effect"), "")) != 0)
		return false;
	if (*key && strcmp(key, kg_string(kg_get(taint, "key"), "")) != 0)
		return false;
	if (!*key && !exists)
		return false;
	const char *want = kg_string(kg_get(t, "value"), "");
	const char *have = kg_string(kg_get(taint, "value"), "");
	if (strcmp(op, "Lt") == 0 || strcmp(op, "Gt") == 0)
		return numeric_compare(have, want, op[0] == 'G');
	return exists || strcmp(want, have) == 0;
}

static bool tolerated(const struct kg_value *taint, const struct kg_value *tolerations)
{
	for (uint32_t k = 0; k < kg_len(tolerations); k++)
		if (kg_tolerates(&tolerations->items[k], taint))
			return true;
	return false;
}

const struct kg_value *kg_untolerated(
	const struct kg_value *taints, const struct kg_value *tolerations, bool hard)
{
	for (uint32_t i = 0; i < kg_len(taints); i++) {
		const struct kg_value *taint = &taints->items[i];
		bool soft = strcmp(kg_string(kg_get(taint, "effect"), ""), "PreferNoSchedule") == 0;
		if (soft != hard && !tolerated(taint, tolerations))
			return taint;
	}
	return NULL;
}

/* ---- node selectors ---- */

static bool has_value(const struct kg_value *values, const char *v)
{
	for (uint32_t i = 0; i < kg_len(values); i++)
		if (strcmp(kg_string(&values->items[i], ""), v) == 0)
			return true;
	return false;
}

/* v NULL: the node has no such label. */
static bool expression_matches(const struct kg_value *e, const char *v)
{
	const char *op = kg_string(kg_get(e, "operator"), "");
	const struct kg_value *values = kg_get(e, "values");
	if (strcmp(op, "In") == 0)
		return v && has_value(values, v);
	if (strcmp(op, "NotIn") == 0)
		return !v || !has_value(values, v);
	if (strcmp(op, "Exists") == 0)
		return v != NULL;
	if (strcmp(op, "DoesNotExist") == 0)
		return v == NULL;
	if (strcmp(op, "Gt") == 0 || strcmp(op, "Lt") == 0)
		return v && kg_len(values) == 1 &&
		       numeric_compare(v, kg_string(&values->items[0], ""), op[0] == 'G');
	return false;
}

bool kg_node_selector_matches(const struct kg_value *term, const struct kg_node_info *n)
{
	const struct kg_value *es = kg_get(term, "matchExpressions");
	const struct kg_value *fs = kg_get(term, "matchFields");
	if (kg_len(es) == 0 && kg_len(fs) == 0)
		return false; /* an empty term matches nothing */
	for (uint32_t i = 0; i < kg_len(es); i++) {
		const struct kg_value *e = &es->items[i];
		const char *v = kg_string(kg_get(n->labels, kg_string(kg_get(e, "key"), "")), NULL);
		if (!expression_matches(e, v))
			return false;
	}
	for (uint32_t i = 0; i < kg_len(fs); i++) {
		bool name =
			strcmp(kg_string(kg_get(&fs->items[i], "key"), ""), "metadata.name") == 0;
		if (!name || !expression_matches(&fs->items[i], n->name))
			return false;
	}
	return true;
}

bool kg_fit_affinity(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (!kg_is_null(c->selector) && !kg_labels_match_map(c->selector, n->labels))
		return false;
	if (kg_is_null(c->required))
		return true;
	const struct kg_value *terms = kg_get(c->required, "nodeSelectorTerms");
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (kg_node_selector_matches(&terms->items[i], n))
			return true;
	return false;
}

/* Each selector is {nodeSelectorTerms: [...]}. */
bool kg_fit_volumes(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	for (size_t i = 0; i < c->nvolumes; i++) {
		const struct kg_value *terms = kg_get(&c->volumes[i], "nodeSelectorTerms");
		bool any = false;
		for (uint32_t k = 0; k < kg_len(terms) && !any; k++)
			any = kg_node_selector_matches(&terms->items[k], n);
		if (!any)
			return false;
	}
	return true;
}

bool kg_fit_taints(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	return !n->tainted || !kg_untolerated(n->taints, c->tolerations, true);
}

/* A cordoned node takes those that tolerate the taint that Kubernetes gives it. */
static bool tolerates_cordon(const struct kg_pod_class *c)
{
	static const struct kg_member members[] = {
		{"effect", {.type = KG_STRING, .len = 10, .s = "NoSchedule"}},
		{"key", {.type = KG_STRING, .len = 32, .s = "node.kubernetes.io/unschedulable"}},
	};
	static const struct kg_value taint = {
		.type = KG_OBJECT, .len = KG_ARRAY_LEN(members), .members = members};
	return tolerated(&taint, c->tolerations);
}

enum kg_misfit kg_fit_static(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (n->unschedulable && !tolerates_cordon(c))
		return KG_MISFIT_UNSCHEDULABLE;
	if (*c->node_name && strcmp(c->node_name, n->name) != 0)
		return KG_MISFIT_NODE_NAME;
	bool affine = kg_fit_affinity(c, n);
	if (!affine && c->by_name)
		return KG_MISFIT_NOT_NAMED;
	if (!kg_fit_taints(c, n))
		return KG_MISFIT_TAINT;
	return affine ? KG_FIT : KG_MISFIT_AFFINITY;
}

int64_t kg_fit_preference(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	const struct kg_value *terms = c->preferred;
	int64_t sum = 0;
	for (uint32_t i = 0; i < kg_len(terms); i++) {
		const struct kg_value *t = &terms->items[i];
		if (kg_node_selector_matches(kg_get(t, "preference"), n))
			sum += kg_int(kg_get(t, "weight"), 0);
	}
	return sum;
}

int64_t kg_fit_soft_taints(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	int64_t count = 0;
	for (uint32_t i = 0; n->tainted && i < kg_len(n->taints); i++)
		count += strcmp(kg_string(kg_get(&n->taints->items[i], "effect"), ""),
				 "PreferNoSchedule") == 0 &&
			 !tolerated(&n->taints->items[i], c->tolerations);
	return count;
}

/* ---- room ---- */

bool kg_fit_ports(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	for (size_t i = 0; i < c->nports; i++)
		for (size_t k = 0; k < n->nports; k++) {
			const struct kg_host_port *p = &c->ports[i], *q = &n->ports[k];
			if (p->port == q->port && p->protocol == q->protocol &&
				(!p->address || !q->address || p->address == q->address))
				return false;
		}
	return true;
}

enum kg_misfit kg_fit_room(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (c->nports && !kg_fit_ports(c, n))
		return KG_MISFIT_PORTS;
	if (n->pods >= n->max_pods || c->demand.unknown)
		return KG_MISFIT_RESOURCES;
	for (int i = 0; i < KG_RES_MAX; i++)
		if (c->demand.req[i] && c->demand.req[i] > n->alloc[i] - n->used[i])
			return KG_MISFIT_RESOURCES;
	return c->host_network || kg_ipam_pod_room(n) ? KG_FIT : KG_MISFIT_ADDRESS;
}

/* ---- words ---- */

const char *kg_misfit_plugin(enum kg_misfit m)
{
	static const char *const names[KG_MISFIT_COUNT] = {
		[KG_MISFIT_UNSCHEDULABLE] = "NodeUnschedulable",
		[KG_MISFIT_NODE_NAME] = "NodeName",
		[KG_MISFIT_TAINT] = "TaintToleration",
		[KG_MISFIT_AFFINITY] = "NodeAffinity",
		[KG_MISFIT_NOT_NAMED] = "NodeAffinity",
		[KG_MISFIT_PORTS] = "NodePorts",
		[KG_MISFIT_RESOURCES] = "NodeResourcesFit",
		[KG_MISFIT_ADDRESS] = "NodeAddresses",
		[KG_MISFIT_VOLUME] = "VolumeBinding",
		[KG_MISFIT_CLAIM] = "VolumeBinding",
		[KG_MISFIT_SPREAD] = "PodTopologySpread",
		[KG_MISFIT_SPREAD_LABEL] = "PodTopologySpread",
		[KG_MISFIT_POD_AFFINITY] = "InterPodAffinity",
		[KG_MISFIT_POD_ANTI] = "InterPodAffinity",
		[KG_MISFIT_EXISTING_ANTI] = "InterPodAffinity",
	};
	return names[m];
}

bool kg_misfit_is_final(enum kg_misfit m)
{
	return m <= KG_MISFIT_NOT_NAMED || m == KG_MISFIT_VOLUME || m == KG_MISFIT_CLAIM ||
	       m == KG_MISFIT_SPREAD_LABEL || m == KG_MISFIT_POD_AFFINITY;
}
