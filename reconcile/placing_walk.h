/*
 * For tests: where a pod goes, by a plain walk. Every node is looked at, every pod is read for
 * every count, nothing is remembered. Only what one node is by itself (fit.c, scheduler_score.c)
 * and what a pod asks for (scheduler_class.c) is shared with the scheduler.
 */
#ifndef KG_RECONCILE_PLACING_WALK_H
#define KG_RECONCILE_PLACING_WALK_H

#include "reconcile/reconcile.h"

/* Of affinity. */
#define HARD_LIST "requiredDuringSchedulingIgnoredDuringExecution"
#define SOFT_LIST "preferredDuringSchedulingIgnoredDuringExecution"

#define KG_WALK_NODES 64 /* at most */
#define KG_WALK_NAME  64

/* The node for the pod in the cluster s; "": none. */
void kg_walk(char node[KG_WALK_NAME], const struct kg_reconcile_options *opts,
	const struct kg_snapshot *s, const struct kg_object *pod);

#endif
