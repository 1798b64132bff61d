/* What requests and limits mean: QoS class, the pod's group, /proc/PID/oom_score_adj. */
#include "nodeagent/resources.h"
#include "base/quantity.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/env.h"
#include "nodeagent/oci_spec.h"

#include <string.h>

static const struct kg_value *containers(const struct kg_value *pod, int i)
{
	return kg_at(pod, i ? "spec.initContainers" : "spec.containers");
}

const char *kg_pod_qos(const struct kg_value *pod)
{
	static const char *const names[] = {"cpu", "memory"};
	bool any = false, all = true;
	for (int l = 0; l < 2; l++) {
		const struct kg_value *list = containers(pod, l);
		for (uint32_t i = 0; i < kg_len(list); i++) {
			for (size_t n = 0; n < 2; n++) {
				int64_t req =
					kg_resource_milli(&list->items[i], "requests", names[n]);
				int64_t lim =
					kg_resource_milli(&list->items[i], "limits", names[n]);
				any = any || req > 0 || lim > 0;
				all = all && lim > 0 && (req < 0 || req == lim);
			}
		}
	}
	return !any ? "BestEffort" : all ? "Guaranteed" : "Burstable";
}

/* A container without a request asks for its limit. */
static int64_t amount(const struct kg_value *container, const char *list, const char *name)
{
	int64_t v = kg_resource_milli(container, list, name);

	return v < 0 && !strcmp(list, "requests") ? kg_resource_milli(container, "limits", name)
						  : v;
}

static int64_t plus(int64_t a, int64_t b)
{
	return __builtin_add_overflow(a, b, &a) ? INT64_MAX : a;
}

/* The sum over the containers and sidecars, or, where that is more, what an init container needs
 * with the sidecars before it; -1 where want_all and one has none. */
static int64_t pod_sum(
	const struct kg_value *pod, const char *list, const char *name, bool want_all)
{
	const struct kg_value *main = containers(pod, 0), *init = containers(pod, 1);
	int64_t sum = 0, most = 0;

	for (uint32_t i = 0; i < kg_len(init); i++) {
		int64_t v = amount(&init->items[i], list, name);
		if (v <= 0 && want_all)
			return -1;
		v = v > 0 ? v : 0;
		most = plus(sum, v) > most ? plus(sum, v) : most;
		if (!strcmp(kg_string(kg_get(&init->items[i], "restartPolicy"), ""), "Always"))
			sum = plus(sum, v);
	}
	for (uint32_t i = 0; i < kg_len(main); i++) {
		int64_t v = amount(&main->items[i], list, name);
		if (v <= 0 && want_all)
			return -1;
		sum = plus(sum, v > 0 ? v : 0);
	}
	return sum > most ? sum : most;
}

int64_t kg_pod_request(const struct kg_value *pod, const char *name)
{
	const struct kg_value *overhead = kg_at(pod, "spec.overhead");
	int64_t sum = pod_sum(pod, "requests", name, false), more;

	if (overhead->type != KG_OBJECT ||
		kg_quantity_milli(&more, kg_string(kg_get(overhead, name), "0")) < 0)
		more = 0;
	return plus(sum, more);
}

void kg_pod_cgroup_limits(struct kg_cgroup_limits *out, const struct kg_value *pod)
{
	*out = (struct kg_cgroup_limits){0};
	int64_t quota = pod_sum(pod, "limits", "cpu", true);
	int64_t memory = pod_sum(pod, "limits", "memory", true);
	out->cpu_shares = kg_cgroup_shares(pod_sum(pod, "requests", "cpu", false));
	if (quota > 0)
		out->cpu_quota_us = kg_cgroup_quota(quota);
	if (memory > 0)
		out->memory_bytes = memory / 1000;
}

int kg_oom_score(const struct kg_value *pod, const struct kg_value *container, int64_t machine)
{
	const char *qos = kg_pod_qos(pod);
	if (!strcmp(qos, "Guaranteed"))
		return -997;
	if (!strcmp(qos, "BestEffort"))
		return 1000;
	int64_t request = kg_resource_milli(container, "requests", "memory");
	double share = request > 0 && machine > 0 ? (double)request / 1000 / (double)machine : 0;
	int score = 1000 - (int)(1000 * share);
	return score < 3 ? 3 : score > 999 ? 999 : score;
}
