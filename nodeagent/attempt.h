/*
 * One attempt at something in or at a container, for probes and lifecycle hooks: a command in it,
 * an HTTP GET, a TCP connection, a gRPC health check, a pause. On the loop: sockets do not block,
 * commands are children, no thread an attempt. Pods with a network of their own are reached by
 * their address from the node.
 */
#ifndef KG_NODEAGENT_ATTEMPT_H
#define KG_NODEAGENT_ATTEMPT_H

#include "nodeagent/probe_grpc.h"
#include "nodeagent/probe_http.h"
#include "nodeagent/runtime.h"

/* Whom it is made at. Read when it begins, and not kept. */
struct kg_attempt_target {
	const struct kg_value *container; /* its part of the pod's spec, for named ports */
	const char *ip;                   /* the pod's, or 127.0.0.1 with hostNetwork */
	const struct kg_runtime *runtime;
	void *runtime_self;
	const struct kg_runtime_container *c;
};
struct kg_attempt {
	struct kg_loop *loop;
	struct kg_timer *timer;
	struct kg_child *child;
	pid_t pid;
	struct kg_probe_conn *conn;
	struct kg_probe_grpc *grpc;
	bool pauses; /* the timer's end is the attempt's success */
	void (*done)(void *ctx, bool ok);
	void *ctx;
};

/* done is called once for each attempt, later, from the loop; it may begin another or release. */
void kg_attempt_init(
	struct kg_attempt *a, struct kg_loop *loop, void (*done)(void *ctx, bool ok), void *ctx);
/* what: a Probe or a LifecycleHandler (exec, httpGet, tcpSocket, grpc or sleep). timeout_ms <= 0:
 * it may take as long as it takes. One at a time. */
void kg_attempt_begin(struct kg_attempt *a, const struct kg_attempt_target *t,
	const struct kg_value *what, int64_t timeout_ms);
/* Its command is killed; done is not called. Fine where none is made. */
void kg_attempt_cancel(struct kg_attempt *a);
void kg_attempt_release(struct kg_attempt *a); /* of zeroes is fine */

#endif
