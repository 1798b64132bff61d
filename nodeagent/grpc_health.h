/*
 * One question of gRPC's health checking protocol (grpc.health.v1.Health/Check) by HTTP/2 in clear
 * text: bytes in, bytes out, no socket and no clock. nghttp2 does the framing; a message of one
 * field each way is all of protobuf that it takes.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md, .../PROTOCOL-HTTP2.md
 */
#ifndef KG_NODEAGENT_GRPC_HEALTH_H
#define KG_NODEAGENT_GRPC_HEALTH_H

#include "base/buf.h"

#include <stdint.h>

/* What is taken of an answer: its message, and all that its server sends before the verdict. */
#define KG_GRPC_MAX_MESSAGE 4096
#define KG_GRPC_MAX_BYTES   (256 << 10)

enum kg_grpc_verdict {
	KG_GRPC_WAITS,   /* for more bytes */
	KG_GRPC_SERVING, /* the call succeeded, and SERVING is the answer */
	KG_GRPC_FAILED,  /* anything else that can be said, or that is no such answer */
};

struct kg_grpc_health;
/* The texts are copied. authority: "address:port". service: "" asks for the server as a whole.
 * timeout_ms: what the server is told that is left; 0: nothing. */
struct kg_grpc_health *kg_grpc_health_new(
	const char *authority, const char *service, int64_t timeout_ms);
void kg_grpc_health_free(struct kg_grpc_health *h); /* NULL is fine */
/* Takes n bytes of the server's, none at the beginning, and adds what is to be sent now. Nothing is
 * taken or added once there is a verdict. */
enum kg_grpc_verdict kg_grpc_health_step(
	struct kg_grpc_health *h, const void *p, size_t n, struct kg_buf *out);

#endif
