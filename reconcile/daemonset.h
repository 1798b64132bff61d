/* Between the DaemonSet's files: one sync of one DaemonSet. */
#ifndef KG_RECONCILE_DAEMONSET_H
#define KG_RECONCILE_DAEMONSET_H

#include "reconcile/workload.h"

/* One node, or one that pods of the DaemonSet name and that is not there. */
struct kg_daemon_node {
	const char *name;
	bool there;
	bool should_run, may_stay;
	size_t first, npods; /* of `pods`: those for this node, bound first, oldest first */
	/* The oldest running pod of the current template and of another; NULL: none. */
	const struct kg_object *fresh, *old;
	bool fresh_available, old_available;
	bool crowded; /* more running pods than there may be: cleaned up first */
	bool make;    /* a pod shall be made */
};

struct kg_daemon_pod {
	struct kg_object *obj; /* of `list` */
	const char *node;
	bool remove;
};

struct kg_daemon_sync {
	struct kg_run *r;
	struct kg_object *ds; /* held */
	const struct kg_value *spec;
	struct kg_value template; /* with what all its pods get beside it */
	const char *hash;         /* of the current revision */
	struct kg_revisions revisions;
	struct kg_list list;
	struct kg_daemon_pod *pods; /* by node, then whether bound, then age */
	size_t npods;
	struct kg_daemon_node *nodes; /* by name */
	size_t nnodes;
	int64_t desired, min_ready_ms, created;
	int64_t surge, unavailable; /* of a rolling update */
	bool rolling;
};

/* daemonset_nodes.c */
/* The template with the tolerations and the label that its pods get. */
struct kg_value kg_daemon_template(
	struct kg_arena *a, const struct kg_value *template, const char *hash);
/* Which nodes there are, whether they should have a pod, and which have one. */
void kg_daemon_nodes(struct kg_daemon_sync *x);
/* The pod's value for a node: bound to it by affinity. */
struct kg_value kg_daemon_pod_for(struct kg_arena *a, struct kg_value pod, const char *node);

/* daemonset_update.c */
/* Marks pods to remove and nodes to make one for, one step of a rolling update further. */
void kg_daemon_roll(struct kg_daemon_sync *x);

#endif
