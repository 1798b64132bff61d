/*
 * UDP has no end: a flow goes on to where its first packet was led for as long as the client goes
 * on sending, also when that endpoint is gone, or when nobody was there to lead it. Which flows
 * those are, so that they can be forgotten (conntrack.h). Pure.
 */
#ifndef KG_NODEAGENT_SERVICES_FLOWS_H
#define KG_NODEAGENT_SERVICES_FLOWS_H

#include "nodeagent/conntrack.h"
#include "nodeagent/services_plan.h"

struct kg_flows {
	/* Elements that were and that are there, sorted: all of each way in that either names. */
	const struct kg_nft_elems *had, *have;
	const struct kg_services_config *config;
	bool whole; /* have is all that there is of UDP: no other service address leads anywhere */
	const in_addr_t *local; /* addresses of the node */
	size_t nlocal;
};
/* Does it go where it would not be led now? */
bool kg_flow_is_stale(const struct kg_flows *flows, const struct kg_conntrack_flow *f);

/* Is one of them about UDP? */
bool kg_nft_elems_have_udp(const struct kg_nft_elems *e);

#endif
