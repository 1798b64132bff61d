/*
 * Who goes so that a critical pod may come in: kubelet's preemption. A pod is critical by its
 * priority (system-cluster-critical and above); those go that are not, or whose priority is less.
 * Of these as few as will do and of the lowest class of service (BestEffort before Burstable before
 * Guaranteed), those first that come nearest to what is short. Pure.
 */
#ifndef KG_NODEAGENT_PREEMPT_H
#define KG_NODEAGENT_PREEMPT_H

#include "nodeagent/admit.h"

/* goes[i]: of the n pods that node has counted. False, and nobody goes: the pod is not critical,
 * would not suit the node with all its room either, or all who may go would not be enough. */
bool kg_preempt(bool *goes, const struct kg_admit *node, const struct kg_value *pod,
	const struct kg_value *const *there, size_t n);

#endif
