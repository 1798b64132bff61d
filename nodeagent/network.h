/* The node's part in the cluster's network: policies, services and routes, kept by a thread of its
 * own with a loop of its own, so that neither pods nor pulls wait for the packet filter. */
#ifndef KG_NODEAGENT_NETWORK_H
#define KG_NODEAGENT_NETWORK_H

#include "nodeagent/view.h"

struct kg_network;
struct kg_bridge;
struct kg_hostports;
struct kg_dns_options;
struct kg_network_options {
	struct kg_bridge *bridge; /* borrowed; made again where somebody removes it */
	const char *node;         /* borrowed */
	const char *address;
	const char *memory;             /* nft_keeper.h, for services; borrowed; or NULL */
	const char *master_url;         /* where the Service "kubernetes" leads; or NULL */
	struct kg_hostports *hostports; /* borrowed; or NULL */
	/* Of the node's name server, but for on_event, which is that below; copied. NULL: none. */
	const struct kg_dns_options *dns;
	/* Told on the network's thread: what failed and is tried again, or, err NULL, that
	 * somebody else's change of the packet filter was mended. What takes routes or the bridge
	 * away (a link that went down and came back) is mended without a word. */
	void (*on_event)(void *ctx, const struct kg_error *err);
	void *ctx;
};
int kg_network_new(
	struct kg_network **out, const struct kg_network_options *opts, struct kg_error *err);
void kg_network_free(struct kg_network *n); /* rules, routes and the name server stay */

/* What changed of the view; the lists of diff are taken over. From when it returns no pod of the
 * bridge is set up before the policies are in force. Any one thread. */
void kg_network_update(struct kg_network *n, const struct kg_view *view, struct kg_view_diff *diff);

/* Looks up the master's address again: it may be another one. Any thread. */
void kg_network_find_api(struct kg_network *n);

/* Removes bridge, rules and routes. What is absent is fine; the first error is returned. */
int kg_network_remove(struct kg_error *err);

#endif
