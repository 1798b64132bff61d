/* The status of a pod as Kubernetes shows it: phase, conditions, container statuses. Pure. */
#ifndef KG_NODEAGENT_STATUS_H
#define KG_NODEAGENT_STATUS_H

#include "nodeagent/podstate.h"

/*
 * before: the status last made (lastTransitionTime of conditions that stay is taken from it); or
 * &kg_null. now is shown, now_mono compared with the state's times.
 */
struct kg_value kg_pod_status(struct kg_arena *a, const struct kg_pstate *pod,
	const struct kg_value *before, kg_time now, int64_t now_mono);

#endif
