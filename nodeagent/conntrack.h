/* The kernel's table of connections, from which flows are forgotten: their next packet is looked at
 * anew. */
#ifndef KG_NODEAGENT_CONNTRACK_H
#define KG_NODEAGENT_CONNTRACK_H

#include "nodeagent/services_plan.h"

/* UDP has no end: a flow that was translated to an endpoint stays translated as long as the client
 * goes on sending, also when the endpoint is gone. Forgets the translated UDP flows of this
 * network namespace that go to one of the endpoints. Blocks for a walk over the table of
 * connections, as does the other. */
int kg_conntrack_forget_udp(const struct kg_endpoint *endpoints, size_t n, struct kg_error *err);

/* A flow as its first packet was, and where that went in the end. Network order; ports are 0 where
 * the protocol has none. */
struct kg_conntrack_flow {
	in_addr_t src, dst, to;
	in_port_t dst_port, to_port;
	uint8_t protocol;
};
/* Forgets the IPv4 flows of this network namespace that fn says. */
int kg_conntrack_forget_if(bool (*fn)(void *ctx, const struct kg_conntrack_flow *flow), void *ctx,
	struct kg_error *err);

#endif
