/*
 * Services in the packet filter: keeps the table `ip kgit` as the view wants it, change by change,
 * and mends it when somebody else touches it (`nft flush ruleset`). Lives on one loop; calls block
 * for as long as the kernel takes (a change of one service: a fraction of a millisecond).
 */
#ifndef KG_NODEAGENT_SERVICES_H
#define KG_NODEAGENT_SERVICES_H

#include "base/err.h"
#include "sys/loop.h"
#include "value/value.h"

struct kg_services;
struct kg_services_options {
	/* Told on the loop what went wrong or was mended in the background; err NULL: mended. */
	void (*on_event)(void *ctx, const struct kg_error *err);
	void *ctx;
	const char *memory; /* nft_keeper.h; borrowed; or NULL */
	const char *node;   /* this one's name; borrowed; or NULL */
};
int kg_services_new(struct kg_services **out, struct kg_loop *loop,
	const struct kg_services_options *opts, struct kg_error *err);
void kg_services_free(struct kg_services *s); /* the table stays */

struct kg_services_ranges {
	const char *pods, *cluster,
		*services; /* "a.b.c.d/n": this node's pods, all pods, services */
	const char *node_ip;
	const char *master; /* "a.b.c.d:port", as this node reaches it; NULL: it is not known */
};
/* What the rules are about; before anything else, and again when it changed. A pod range of more
 * than 4096 addresses is refused. Takes effect with the next commit. */
int kg_services_configure(
	struct kg_services *s, const struct kg_services_ranges *ranges, struct kg_error *err);
/* A service of the view under a key of its own ("NS/NAME"); NULL removes it. */
void kg_services_put(struct kg_services *s, const char *key, const struct kg_value *service);
/* A pod that has ports of the node; NULL: it has none any more. */
void kg_services_put_pod(struct kg_services *s, const char *uid, const struct kg_value *pod);
/* Removes all but the pods: what is put until the next commit is the whole. */
void kg_services_clear(struct kg_services *s);
/*
 * Puts what was put since the last commit into effect, in one transaction. The first commit makes
 * the table, or takes over and corrects the one that an earlier run left, so that services keep
 * working meanwhile. On failure all of it is tried again later by itself.
 */
int kg_services_commit(struct kg_services *s, struct kg_error *err);

#endif
