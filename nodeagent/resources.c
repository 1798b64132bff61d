/* What requests and limits mean for the kernel: the pod's group, /proc/PID/oom_score_adj. */
#include "nodeagent/resources.h"
#include "kinds/amount.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/oci_spec.h"

#include <string.h>

/* The sum of the containers' limits, where each has one; 0. */
static int64_t limit_of_all(const struct kg_value *spec, const char *name)
{
	static const char *const lists[] = {"containers", "initContainers"};

	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *list = kg_get(spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(list); i++)
			if (kg_container_milli(&list->items[i], "limits", name) <= 0)
				return 0;
	}
	return kg_pod_milli(spec, "limits", name);
}

void kg_pod_cgroup_limits(struct kg_cgroup_limits *out, const struct kg_value *pod)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	int64_t cpu = kg_pod_milli(spec, "requests", "cpu");
	int64_t quota = limit_of_all(spec, "cpu"), memory = limit_of_all(spec, "memory");

	*out = (struct kg_cgroup_limits){.cpu_shares = kg_cgroup_shares(cpu > 0 ? cpu : 0)};
	if (quota > 0)
		out->cpu_quota_us = kg_cgroup_quota(quota);
	if (memory > 0)
		out->memory_bytes = memory / 1000;
}

int kg_oom_score(const struct kg_value *pod, const struct kg_value *container, int64_t machine)
{
	const char *qos = kg_pod_qos(kg_get(pod, "spec"));
	if (!strcmp(qos, "Guaranteed"))
		return -997;
	if (!strcmp(qos, "BestEffort"))
		return 1000;
	int64_t request = kg_container_milli(container, "requests", "memory");
	double share = request > 0 && machine > 0 ? (double)request / 1000 / (double)machine : 0;
	int score = 1000 - (int)(1000 * share);
	return score < 3 ? 3 : score > 999 ? 999 : score;
}
