#include "nodeagent/admit.h"

#include "base/mem.h"
#include "kinds/amount.h"
#include "kinds/object.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a node does not name has no bound. */
static int64_t room_for(const struct kg_value *allocatable, const char *name)
{
	const struct kg_value *v = kg_get(allocatable, name);

	if (kg_is_null(v))
		return INT64_MAX;
	return strcmp(name, "cpu") == 0 ? kg_amount_milli(v) : kg_amount_whole(v);
}

static void add_resource(struct kg_admit *a, const struct kg_value *allocatable, const char *name)
{
	if (a->nresources < KG_ADMIT_RESOURCES)
		a->resources[a->nresources++] = (struct kg_admit_resource){
			.name = name, .room = room_for(allocatable, name)};
}

void kg_admit_init(struct kg_admit *a, const char *node, const struct kg_value *labels,
	const struct kg_value *taints, const struct kg_value *allocatable)
{
	static const char *const usual[] = {"cpu", "memory", "ephemeral-storage"};

	*a = (struct kg_admit){.node = node, .labels = labels, .taints = taints};
	for (size_t i = 0; i < KG_ARRAY_LEN(usual); i++)
		add_resource(a, allocatable, usual[i]);
	for (uint32_t i = 0; i < kg_len(allocatable); i++)
		if (kg_hugepages_size(allocatable->members[i].key))
			add_resource(a, allocatable, allocatable->members[i].key);
	a->max_pods = room_for(allocatable, "pods");
}

void kg_admit_release(struct kg_admit *a)
{
	free(a->ports);
	*a = (struct kg_admit){0};
}

int64_t kg_admit_asks(const struct kg_value *pod, const char *resource)
{
	int64_t milli = kg_pod_request(kg_get(pod, "spec"), resource, 0);

	return strcmp(resource, "cpu") == 0 ? milli : kg_amount_of_milli(milli);
}

void kg_admit_count(struct kg_admit *a, const struct kg_value *pod)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	size_t n = kg_host_ports(NULL, 0, spec);

	a->pods++;
	for (size_t i = 0; i < a->nresources; i++) {
		struct kg_admit_resource *r = &a->resources[i];

		r->used = kg_amount_add(r->used, kg_admit_asks(pod, r->name));
	}
	KG_GROW(a->ports, a->ports_cap, a->nports + n + 1);
	kg_host_ports(a->ports + a->nports, n, spec);
	a->nports += n;
}

void kg_admit_recount(struct kg_admit *a)
{
	a->pods = 0;
	a->nports = 0;
	for (size_t i = 0; i < a->nresources; i++)
		a->resources[i].used = 0;
}

/* ---- the judgement ---- */

static bool lacks(
	struct kg_admit_refusal *why, const char *name, int64_t asked, int64_t used, int64_t room)
{
	if (asked <= room - used)
		return false;
	snprintf(why->reason, sizeof(why->reason), "OutOf%s", name);
	snprintf(why->message, sizeof(why->message),
		"Node didn't have enough resource: %s, requested: %" PRId64 ", used: %" PRId64
		", capacity: %" PRId64,
		name, asked, used, room);
	return true;
}

static bool lacks_room(
	const struct kg_admit *a, const struct kg_value *pod, struct kg_admit_refusal *why)
{
	if (lacks(why, "pods", 1, a->pods, a->max_pods))
		return true;
	for (size_t i = 0; i < a->nresources; i++) {
		const struct kg_admit_resource *r = &a->resources[i];
		int64_t asked = kg_admit_asks(pod, r->name);

		if (asked > 0 && lacks(why, r->name, asked, r->used, r->room))
			return true;
	}
	return false;
}

static bool matches_node(const struct kg_admit *a, const struct kg_value *spec)
{
	const struct kg_value *selector = kg_get(spec, "nodeSelector");
	const struct kg_value *required =
		kg_at(spec, "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution");
	const struct kg_value *terms = kg_get(required, "nodeSelectorTerms");

	if (kg_is_null(a->labels))
		return true;
	if (!kg_is_null(selector) && !kg_labels_match_map(selector, a->labels))
		return false;
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (kg_node_term_matches(&terms->items[i], a->node, a->labels))
			return true;
	return kg_is_null(required);
}

static bool ports_free(const struct kg_admit *a, const struct kg_value *spec)
{
	size_t n = kg_host_ports(NULL, 0, spec);
	KG_AUTOFREE struct kg_host_port *mine = kg_alloc((n + 1) * sizeof(*mine));

	kg_host_ports(mine, n, spec);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < a->nports; k++)
			if (kg_host_ports_clash(&mine[i], &a->ports[k]))
				return false;
	return true;
}

/* Of a lost node's taints the master says for how long pods bear them: Kubernetes gives every pod
 * a toleration of them. */
static bool bears_taints(const struct kg_admit *a, const struct kg_value *spec)
{
	for (uint32_t i = 0; i < kg_len(a->taints); i++) {
		const struct kg_value *t = &a->taints->items[i];
		const char *key = kg_string(kg_get(t, "key"), "");
		bool lost = !strcmp(key, "node.kubernetes.io/unreachable") ||
			    !strcmp(key, "node.kubernetes.io/not-ready");

		if (!lost && !strcmp(kg_string(kg_get(t, "effect"), ""), "NoExecute") &&
			!kg_is_tolerated(t, kg_get(spec, "tolerations")))
			return false;
	}
	return true;
}

static bool refuse(struct kg_admit_refusal *why, const char *predicate, const char *text)
{
	snprintf(why->reason, sizeof(why->reason), "%s", predicate);
	snprintf(why->message, sizeof(why->message), "Predicate %s failed: %s", predicate, text);
	return false;
}

bool kg_admit_suits(
	const struct kg_admit *a, const struct kg_value *pod, struct kg_admit_refusal *why)
{
	const struct kg_value *spec = kg_get(pod, "spec");

	if (!matches_node(a, spec))
		return refuse(
			why, "NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
	if (!ports_free(a, spec))
		return refuse(why, "NodePorts",
			"node(s) didn't have free ports for the requested pod ports");
	if (!bears_taints(a, spec))
		return refuse(
			why, "TaintToleration", "node(s) had taints that the pod didn't tolerate");
	return true;
}

bool kg_admit_pod(
	const struct kg_admit *a, const struct kg_value *pod, struct kg_admit_refusal *why)
{
	return !lacks_room(a, pod, why) && kg_admit_suits(a, pod, why);
}
