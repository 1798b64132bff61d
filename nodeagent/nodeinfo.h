/* What a node says of itself when it registers. Reads /proc and /etc; blocks little. */
#ifndef KG_NODEAGENT_NODEINFO_H
#define KG_NODEAGENT_NODEINFO_H

#include "base/err.h"
#include "nodeagent/hugepages.h"
#include "value/value.h"

/* The address by which other nodes reach this one: the local end of a connection to the master;
 * where that is loopback, the one that leads to the world; else that of any link; else loopback. */
void kg_node_address(char out[16], const char *master_url);
/* {cpu, memory, ephemeral-storage, pods, hugepages-SIZE...}: what of this machine is for pods,
 * which the memory that is set aside for huge pages is not. */
struct kg_value kg_node_allocatable(
	struct kg_arena *a, unsigned max_pods, const struct kg_hugepages *pages);
/* {"labels": {...}, "status": {addresses, capacity, allocatable, nodeInfo}}; labels: an object of
 * the user's, or null. */
struct kg_value kg_node_registration(struct kg_arena *a, const char *name, const char *address,
	const struct kg_value *labels, unsigned max_pods, const struct kg_hugepages *pages);
/* "a=b,c=d" as an object; KG_E_FORBIDDEN where a node may not set one (kinds/node_labels.h). */
int kg_node_labels_parse(
	struct kg_value *out, struct kg_arena *a, const char *text, struct kg_error *err);

#endif
