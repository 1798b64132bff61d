/*
 * Does a node take a pod: cordon, name, taints, selectors and affinity, ports, room. A node that
 * does not answer has a taint that says so, and so needs no rule of its own.
 */
#include "reconcile/scheduler.h"

#include <string.h>

/* ---- node selectors ---- */

bool kg_node_selector_matches(const struct kg_value *term, const struct kg_node_info *n)
{
	return kg_node_term_matches(term, n->name, n->labels);
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
	return kg_is_tolerated(&taint, c->tolerations);
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
			 !kg_is_tolerated(&n->taints->items[i], c->tolerations);
	return count;
}

/* ---- room ---- */

static bool ports_are_free(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	for (size_t i = 0; i < c->nports; i++)
		for (size_t k = 0; k < n->nports; k++)
			if (kg_host_ports_clash(&c->ports[i], &n->ports[k]))
				return false;
	return true;
}

enum kg_misfit kg_fit_room(const struct kg_pod_class *c, const struct kg_node_info *n)
{
	if (c->nports && !ports_are_free(c, n))
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
		[KG_MISFIT_USED] = "VolumeRestrictions",
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
