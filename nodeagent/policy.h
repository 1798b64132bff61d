/*
 * A NetworkPolicy as a node is told of it, in few bytes: which of the node's pods it is about, and
 * who may speak with them. The master has resolved all that is said by labels and names:
 *
 *   policies/NS/NAME.yaml
 *     pods: [10.244.0.5]            those of this node that it selects
 *     ingress:                      absent: says nothing of that direction; so is egress
 *     - peers: [ID, ...]            sets of addresses; absent with blocks: everybody
 *       blocks: [{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]
 *       ports: [{protocol: TCP, port: 80, endPort: 90}]   absent: all, of whatever protocol
 *   peers/ID.yaml
 *     addresses: [10.244.1.7]       or 10.244.1.7:8080, where a port's name says which
 *
 * Pure. Addresses and ports are in the host's order here.
 */
#ifndef KG_NODEAGENT_POLICY_H
#define KG_NODEAGENT_POLICY_H

#include "value/value.h"

enum kg_policy_direction { KG_POLICY_IN, KG_POLICY_OUT, KG_POLICY_DIRECTIONS };

struct kg_policy_port {
	uint8_t protocol;     /* IPPROTO_TCP, ... */
	uint16_t first, last; /* first 0: every port */
};
struct kg_policy_block {
	uint32_t first, last;
};
struct kg_policy_rule {
	bool everybody;
	uint32_t nports, npeers, nblocks; /* nports 0: everything */
	struct kg_policy_port *ports;
	const char **peers; /* ids */
	struct kg_policy_block *blocks;
};
struct kg_policy_rules {
	bool restricts; /* it isolates in this direction */
	uint32_t n;
	struct kg_policy_rule *rules;
};
struct kg_policy {
	struct kg_arena arena; /* all that is in it */
	uint32_t npods;
	uint32_t *pods; /* sorted, unique */
	struct kg_policy_rules of[KG_POLICY_DIRECTIONS];
};
/* What cannot be understood opens nothing: the master has validated it. */
struct kg_policy *kg_policy_parse(const struct kg_value *v);
void kg_policy_free(struct kg_policy *p);

struct kg_policy_peer {
	uint32_t addr;
	uint16_t port; /* 0: what the rule says */
};
struct kg_policy_peers {
	uint32_t n;
	struct kg_policy_peer peers[]; /* sorted, unique */
};
struct kg_policy_peers *kg_policy_peers_parse(const struct kg_value *v); /* one heap block */

#endif
