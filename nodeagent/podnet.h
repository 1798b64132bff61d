/*
 * Pod networks: what gives a pod its network namespace an address. The embedded one is a bridge
 * and veth pairs (bridge.c); another (CNI) can stand in. Calls block and come from worker
 * threads, for different pods at once.
 */
#ifndef KG_NODEAGENT_PODNET_H
#define KG_NODEAGENT_PODNET_H

#include "base/err.h"

struct kg_podnet_pod {
	const char *uid, *ns, *name;
	const char *ip;    /* assigned by the master: "10.244.1.5" */
	const char *netns; /* path of the pinned network namespace, made and pinned by netns.c */
};
struct kg_podnet {
	/* Idempotent: makes what is missing, mends what differs. Loopback is brought up, too. */
	int (*setup)(void *self, const struct kg_podnet_pod *pod, struct kg_error *err);
	/* Idempotent; fine for a pod that was never set up. The namespace itself is the caller's.
	 */
	int (*teardown)(void *self, const struct kg_podnet_pod *pod, struct kg_error *err);
};

#endif
