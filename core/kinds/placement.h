/*
 * What pods ask of nodes, by Kubernetes' rules, of the objects alone: the scheduler and the node
 * that takes a pod in judge by the same. Pure; any thread.
 */
#ifndef KG_KINDS_PLACEMENT_H
#define KG_KINDS_PLACEMENT_H

#include "value/value.h"

/* How a pod's status.message begins that its node did not take in: kubelet's words. */
#define KG_POD_REJECTED "Pod was rejected: "

/* That of system-cluster-critical: a pod of this or more is critical; users' classes have less. */
#define KG_PRIORITY_CRITICAL INT64_C(2000000000)
/* That of a class that every cluster has; false: it is none of them. */
bool kg_priority_built_in(int64_t *priority, const char *class_name);

bool kg_tolerates(const struct kg_value *toleration, const struct kg_value *taint);
/* Does one of them? */
bool kg_is_tolerated(const struct kg_value *taint, const struct kg_value *tolerations);
/* The first of the taints that is not tolerated; of those that keep pods away (hard), or of those
 * of effect PreferNoSchedule. NULL: none. */
const struct kg_value *kg_untolerated(
	const struct kg_value *taints, const struct kg_value *tolerations, bool hard);

/* A NodeSelectorTerm, of a node of that name and labels. */
bool kg_node_term_matches(
	const struct kg_value *term, const char *node, const struct kg_value *labels);

/* A port of the node that a pod takes. */
struct kg_host_port {
	uint16_t port;
	char protocol;    /* its first letter */
	uint64_t address; /* hash of its text; 0: every address */
};
/* Those that a pod asks for: the number of them, and at most max in out. */
size_t kg_host_ports(struct kg_host_port *out, size_t max, const struct kg_value *pod_spec);
/* Can two pods not have them both? */
bool kg_host_ports_clash(const struct kg_host_port *a, const struct kg_host_port *b);

#endif
