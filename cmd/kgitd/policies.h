/*
 * NetworkPolicies as nodes are told of them: for each node the policies that select its own pods
 * (policies/NS/NAME.yaml), labels and names resolved, and the sets of peers that these name
 * (peers/ID.yaml). What the files say is nodeagent/policy.h's. Kept from commit to commit: a change
 * costs what it concerns. One thread at a time.
 *
 *  - A peer that selects every pod of every namespace is the cluster's pod range: it changes with
 *    no pod. Pods in the host's network are neither selected nor peers.
 *  - Where pods that a policy selects have different numbers for a port's name, there is one file
 *    for each of them: NAME~HASH.yaml.
 *  - A port's name together with an ipBlock opens nothing outwards: no pod says what it means.
 */
#ifndef KGITD_POLICIES_H
#define KGITD_POLICIES_H

#include "kgitd/peers.h"

struct kgd_policies;
struct kgd_policies *kgd_policies_new(const struct kg_snapshot *s, const char *pod_cidr);
void kgd_policies_free(struct kgd_policies *p);
/* Takes a change over, with the snapshot after it (or a later one, whose changes come, too). mark
 * is called for each node whose view may be another now, and with a namespace (the node NULL) for
 * all nodes of its pods. */
void kgd_policies_note(struct kgd_policies *p, const struct kg_snapshot *s,
	const struct kg_change *c, void (*mark)(void *ctx, const char *node, const char *ns),
	void *ctx);

/* As kgd_peers_pending and kgd_peers_publish. */
bool kgd_policies_pending(const struct kgd_policies *p);
void kgd_policies_publish(
	struct kgd_policies *p, void (*changed)(void *ctx, const char *id), void *ctx);

/* Calls add for each file of a node, in any order: the path is moved, the value lives for the
 * call; of a set of peers there is a text (moved) instead. */
void kgd_policies_of_node(struct kgd_policies *p, const struct kg_snapshot *s, const char *node,
	void (*add)(void *ctx, char *path, const struct kg_value *value, struct kgd_text *text),
	void *ctx);

#endif
