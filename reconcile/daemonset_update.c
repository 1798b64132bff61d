/* A rolling update, a step at a time: old pods give way within maxUnavailable or, with maxSurge,
 * once the new one beside them is available. Nodes take their turn by name. */
#include "reconcile/daemonset.h"

static void remove_pod(struct kg_daemon_sync *x, const struct kg_object *pod)
{
	for (size_t i = 0; i < x->npods; i++)
		if (x->pods[i].obj == pod)
			x->pods[i].remove = true;
}

static void replace(struct kg_daemon_sync *x)
{
	int64_t missing = 0;
	for (size_t i = 0; i < x->nnodes; i++) {
		const struct kg_daemon_node *n = &x->nodes[i];
		/* Whoever has no available pod counts; an old one that is not available may be
		 * replaced at no cost. */
		bool available = n->fresh ? n->fresh_available : n->old && n->old_available;
		missing += (n->should_run || n->fresh || n->old) && !available;
	}
	for (size_t i = 0; i < x->nnodes; i++) {
		const struct kg_daemon_node *n = &x->nodes[i];
		if (!n->old || n->fresh || n->crowded)
			continue;
		if (n->old_available && missing >= x->unavailable)
			continue;
		missing += n->old_available;
		remove_pod(x, n->old);
	}
}

static void surge(struct kg_daemon_sync *x)
{
	int64_t surged = 0;
	for (size_t i = 0; i < x->nnodes; i++)
		surged += x->nodes[i].crowded ||
			  (x->nodes[i].fresh && x->nodes[i].old && !x->nodes[i].fresh_available);
	for (size_t i = 0; i < x->nnodes; i++) {
		struct kg_daemon_node *n = &x->nodes[i];
		if (!n->old || n->crowded)
			continue;
		if (n->fresh) {
			if (n->fresh_available || !kg_object_ready(n->old))
				remove_pod(x, n->old);
			continue;
		}
		if (!n->should_run || (n->old_available && surged >= x->surge))
			continue;
		surged += n->old_available;
		n->make = true;
	}
}

void kg_daemon_roll(struct kg_daemon_sync *x)
{
	if (x->surge > 0)
		surge(x);
	else
		replace(x);
}
