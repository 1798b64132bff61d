/* One gRPC health check (grpc_health.h) over a connection of its own. On the loop; never blocks. */
#ifndef KG_NODEAGENT_PROBE_GRPC_H
#define KG_NODEAGENT_PROBE_GRPC_H

#include "sys/loop.h"

struct kg_probe_grpc;
/*
 * The texts are copied. host: an IP address. service: "" asks for the server as a whole.
 * timeout_ms: what the server is told that is left; the caller ends the check when it is up. done
 * is called once, later, and may free it. NULL where host or port is malformed or no connection
 * could be begun.
 */
struct kg_probe_grpc *kg_probe_grpc_new(struct kg_loop *loop, const char *host, int port,
	const char *service, int64_t timeout_ms, void (*done)(void *ctx, bool ok), void *ctx);
void kg_probe_grpc_free(struct kg_probe_grpc *g); /* NULL is fine */

#endif
