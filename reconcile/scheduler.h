/* Between the scheduler's files: what a node must be for pods of one class. */
#ifndef KG_RECONCILE_SCHEDULER_H
#define KG_RECONCILE_SCHEDULER_H

#include "reconcile/internal.h"

/* Why a node does not take a pod; the texts are Kubernetes'. */
enum kg_misfit {
	KG_FIT,
	KG_MISFIT_NODE_NAME,
	KG_MISFIT_UNSCHEDULABLE,
	KG_MISFIT_NOT_READY,
	KG_MISFIT_TAINT,
	KG_MISFIT_AFFINITY,
	KG_MISFIT_PORTS,
	KG_MISFIT_PODS,
	KG_MISFIT_ADDRESS,
	KG_MISFIT_RESOURCES,
};

/* Pods that ask for the same: all of one template and owner, or a single one. */
struct kg_pod_class {
	const struct kg_value *spec; /* borrowed from the first pod */
	const char *node_name;       /* the node that the manifest names, or "" */
	struct kg_demand demand;
	bool host_network, host_ports;
	/* Parts of spec, looked up once; &kg_null where absent. */
	const struct kg_value *tolerations, *selector, *required, *preferred;
};

/* What does not change while pods are bound. *taint is set for KG_MISFIT_TAINT. */
enum kg_misfit kg_fit_static(
	const struct kg_pod_class *c, const struct kg_node_info *n, const struct kg_value **taint);
/* What does: room. */
enum kg_misfit kg_fit_room(
	const struct kg_pod_class *c, const struct kg_node_info *n, const struct kg_snapshot *s);
bool kg_node_selector_matches(const struct kg_value *term, const struct kg_node_info *n);
/* Preferred affinity's weights, and how many PreferNoSchedule taints are not tolerated. */
int64_t kg_fit_preference(const struct kg_pod_class *c, const struct kg_node_info *n);
int64_t kg_fit_soft_taints(const struct kg_pod_class *c, const struct kg_node_info *n);

#endif
