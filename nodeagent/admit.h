/*
 * Does the node take in a pod that was bound to it: kubelet's own judgement (its generalFilter),
 * with its reasons and words, whatever bound the pod. Room first (pods, cpu, memory, disk, huge
 * pages, of what the node told the master), then the node's labels, its ports, and taints that
 * drive pods away. A pod that is refused fails for good. Pure; one thread at a time.
 */
#ifndef KG_NODEAGENT_ADMIT_H
#define KG_NODEAGENT_ADMIT_H

#include "kinds/placement.h"

#define KG_ADMIT_RESOURCES 16 /* cpu, memory, ephemeral-storage; a node's sizes of huge pages */

/* What is there and what is taken: begun with 0 pods, told of each that is there. */
struct kg_admit {
	const char *node;              /* borrowed, as the next two */
	const struct kg_value *labels; /* null: not known, nothing is asked of them */
	const struct kg_value *taints;
	int64_t max_pods, pods;
	struct kg_admit_resource {
		const char *name;
		int64_t room, used; /* cpu in thousandths */
	} resources[KG_ADMIT_RESOURCES];
	size_t nresources;
	struct kg_host_port *ports; /* heap */
	size_t nports, ports_cap;
};
/* allocatable: of kg_node_allocatable, borrowed; a resource that it does not name has no bound
 * here. */
void kg_admit_init(struct kg_admit *a, const char *node, const struct kg_value *labels,
	const struct kg_value *taints, const struct kg_value *allocatable);
void kg_admit_release(struct kg_admit *a);
/* A pod that is there and has not ended. */
void kg_admit_count(struct kg_admit *a, const struct kg_value *pod);

struct kg_admit_refusal {
	char reason[40]; /* "OutOfcpu", "NodePorts", ... */
	char message[200];
};
/* Forgets whom it counted. */
void kg_admit_recount(struct kg_admit *a);
/* What a pod asks for of it, as `used` counts. */
int64_t kg_admit_asks(const struct kg_value *pod, const char *resource);

/* True: it may come in (and is to be counted). */
bool kg_admit_pod(
	const struct kg_admit *a, const struct kg_value *pod, struct kg_admit_refusal *why);
/* True: it may, but for room. */
bool kg_admit_suits(
	const struct kg_admit *a, const struct kg_value *pod, struct kg_admit_refusal *why);

#endif
