/*
 * Network policies in the packet filter: keeps the table `kgit_policies` (of the families ip and
 * bridge) as the view wants it, change by change, each in one transaction, and mends it when
 * somebody else touches it. Lives on one loop; calls block for as long as the kernel takes.
 *
 * What is forbidden is refused: TCP by a reset, the rest, and what came by a Service, by ICMP
 * "administratively prohibited". Connections that a change forbids are cut soon after it: they are
 * taken out of the kernel's table of connections, and their next packet is judged as a new one's.
 * What is not known (a set of peers that did not come, a policy that opens more than
 * KG_POLICY_CLASS_MAX) opens nothing.
 */
#ifndef KG_NODEAGENT_POLICIES_H
#define KG_NODEAGENT_POLICIES_H

#include "base/err.h"
#include "sys/loop.h"
#include "value/value.h"

struct kg_policies;
struct kg_policies_options {
	/* Told on the loop what went wrong or was mended in the background; err NULL: mended. */
	void (*on_event)(void *ctx, const struct kg_error *err);
	void *ctx;
};
int kg_policies_new(struct kg_policies **out, struct kg_loop *loop,
	const struct kg_policies_options *opts, struct kg_error *err);
void kg_policies_free(struct kg_policies *p); /* the table stays */

/* The node's pod range; before anything else, and again when it changed. Takes effect with the
 * next commit. */
int kg_policies_configure(struct kg_policies *p, const char *pod_cidr, struct kg_error *err);
/* As kg_policies_plan's (policies_plan.h). */
void kg_policies_put(struct kg_policies *p, const char *key, const struct kg_value *policy);
void kg_policies_put_peers(struct kg_policies *p, const char *id, const struct kg_value *peers);
void kg_policies_clear(struct kg_policies *p);
/* Puts what was put since the last commit into effect, in one transaction. The first commit makes
 * the table, or takes over and corrects the one that an earlier run left, which is in force until
 * then. On failure all of it is tried again later by itself. */
int kg_policies_commit(struct kg_policies *p, struct kg_error *err);

#endif
