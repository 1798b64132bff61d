/*
 * Which pods have ports of the node (hostPort): told by the pods, heard by the network's thread.
 * Pods that use the node's network, or have no such ports, are nothing here. Any thread.
 */
#ifndef KG_NODEAGENT_HOSTPORTS_H
#define KG_NODEAGENT_HOSTPORTS_H

#include "value/value.h"

struct kg_hostports;
struct kg_hostports *kg_hostports_new(void);
void kg_hostports_free(struct kg_hostports *h);

/* From its sandbox on (a pod of the view, with podIP) until that goes; each is idempotent. */
void kg_hostports_put(struct kg_hostports *h, struct kg_doc *pod);
void kg_hostports_remove(struct kg_hostports *h, const char *uid);

/* Told at once of each pod that is there, and from then on of each change, in order; pod NULL: it
 * is gone. Whoever is told takes no time and does not call back. fn NULL: no more, and none is
 * under way. */
void kg_hostports_listen(struct kg_hostports *h,
	void (*fn)(void *ctx, const char *uid, struct kg_doc *pod), void *ctx);

#endif
