/* The kernel's table of connections, from which flows are forgotten: their next packet is looked at
 * anew. */
#ifndef KG_NODEAGENT_CONNTRACK_H
#define KG_NODEAGENT_CONNTRACK_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>

/* A flow as its first packet was, and where that went in the end. Network order; ports are 0 where
 * the protocol has none. */
struct kg_conntrack_flow {
	in_addr_t src, dst, to;
	in_port_t dst_port, to_port;
	uint8_t protocol;
};
/* Forgets the IPv4 flows of this network namespace that fn says. Blocks for a walk over the table
 * of connections. */
int kg_conntrack_forget_if(bool (*fn)(void *ctx, const struct kg_conntrack_flow *flow), void *ctx,
	struct kg_error *err);

#endif
