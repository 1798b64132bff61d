/* UDP has no end: a flow that was translated to an endpoint stays translated as long as the client
 * goes on sending, also when the endpoint is gone. */
#ifndef KG_NODEAGENT_CONNTRACK_H
#define KG_NODEAGENT_CONNTRACK_H

#include "nodeagent/services_plan.h"

/* Forgets the translated UDP flows of this network namespace that go to one of the endpoints; their
 * next packet is translated anew. Blocks for a walk over the table of connections. */
int kg_conntrack_forget_udp(const struct kg_endpoint *endpoints, size_t n, struct kg_error *err);

#endif
