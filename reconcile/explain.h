/*
 * Why a pod is where it is, or is nowhere: the scheduler's verdict on every node, its scores by
 * plugin and the node that it chooses, in Kubernetes' words. Pure, by the very code that places
 * pods; costs about what kg_reconcile_state_new costs and then a look at every node.
 */
#ifndef KG_RECONCILE_EXPLAIN_H
#define KG_RECONCILE_EXPLAIN_H

#include "reconcile/reconcile.h"

/* What scores. kg_score_name gives Kubernetes' plugin name, kg_score_weight how much it counts. */
enum kg_score {
	KG_SCORE_TAINTS,       /* TaintToleration: PreferNoSchedule taints */
	KG_SCORE_AFFINITY,     /* NodeAffinity: preferred terms */
	KG_SCORE_RESOURCES,    /* NodeResourcesFit: what is left (or, by profile, taken) */
	KG_SCORE_SPREAD,       /* PodTopologySpread: ScheduleAnyway and the system's defaults */
	KG_SCORE_POD_AFFINITY, /* InterPodAffinity: preferred terms, this pod's and others' */
	KG_SCORE_BALANCE,      /* NodeResourcesBalancedAllocation */
	KG_SCORE_IMAGES,       /* ImageLocality */
	KG_SCORE_COUNT
};
const char *kg_score_name(enum kg_score s);
int kg_score_weight(enum kg_score s);

struct kg_explain_node {
	const char *name;
	bool fits;
	/* Where it does not: the plugin that said so first ("NodeResourcesFit") and its reasons as
	 * they are counted in the message ("Insufficient cpu"); at least one. */
	const char *plugin;
	const char **reasons;
	size_t nreasons;
	/* Where it fits: each 0 to 100 (normalised over the nodes that fit), and the sum of all
	 * times their weights, 0 to 1200. */
	int64_t scores[KG_SCORE_COUNT];
	int64_t total;
	/* Where it would fit if pods of lower priority gave way: their keys "NS/NAME". */
	const char **victims;
	size_t nvictims;
};

struct kg_explain {
	const char *scheduler; /* spec.schedulerName */
	int64_t priority;
	bool gated;          /* spec.schedulingGates: not looked at; no nodes below */
	bool unknown;        /* nobody here answers to that scheduler's name; no nodes below */
	const char *chosen;  /* the node it would go to; NULL: none */
	const char *preempt; /* the node it would make room on; NULL: none, or not needed */
	/* What its condition PodScheduled and the event FailedScheduling say; NULL where it fits.
	 */
	const char *message;
	struct kg_explain_node *nodes; /* those that fit, best first; then the others by name */
	size_t n, nfit;
};

/*
 * How `pod` is placed in the cluster that `s` is. The pod need not be in s; where it is there with
 * a node, what it takes itself is not counted. *out lies in the arena, and borrows from s and pod.
 *
 * A pod that waits: s is the snapshot in question, before is NULL.
 * A pod that was placed: s is the snapshot of the revision that bound it (the first in which its
 * spec.nodeName is set), before the one of that revision's parent: pods that the same revision
 * bound after this one are not counted, and those that it bound earlier are, so that `chosen` is
 * what the scheduler saw and did. (A revision in which pods went may have had several rounds of
 * scheduling; then what a round between the first and the last saw is not to be had again, and
 * `chosen` may be another node than the pod's.) With the parent's snapshot as s and before NULL it
 * is how the pod would have been placed if it alone had come.
 *
 * opts: as kg_reconcile_state_new's (NULL: the defaults).
 * Fails (KG_E_INVALID) where the object is no Pod.
 */
int kg_scheduler_explain(struct kg_explain *out, struct kg_arena *a, const struct kg_snapshot *s,
	const struct kg_snapshot *before, const struct kg_object *pod,
	const struct kg_reconcile_options *opts, struct kg_error *err);

#endif
