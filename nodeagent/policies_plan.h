/*
 * What the network policies of a view mean to the packet filter: elements of nine sets of the
 * table `ip kgit_policies`, and the rules, always the same ones, that look them up. Pure;
 * policies.c does it.
 *
 * Pods that the same policies select form a class; a class has a number. For each direction:
 *
 *   in_pods    address -> class                         the node's pods that are isolated
 *   in_peers   (class . address)                        who may use every port
 *   in_ports   (class . address . protocol . port)
 *   in_ranges  (class . addresses . protocols . ports)  what blocks, everybody and ranges of ports
 *                                                       open, made disjoint
 *   self       (address . the same address)             pods may always speak with themselves
 *
 * and the same with out_. A pod that moves is one element; an address that joins a set of peers is
 * one for each class, and each port, that names the set. Not bounded by the number of policies,
 * pods or namespaces of the cluster, only by what the node's own isolated pods name.
 */
#ifndef KG_NODEAGENT_POLICIES_PLAN_H
#define KG_NODEAGENT_POLICIES_PLAN_H

#include "base/buf.h"
#include "base/map.h"
#include "nodeagent/nft_elems.h"
#include "nodeagent/policy.h"

enum kg_policy_set {
	KG_POLICY_PODS, /* of IN; those of OUT follow the four of IN */
	KG_POLICY_PEERS,
	KG_POLICY_PORTS,
	KG_POLICY_RANGES,
	KG_POLICY_SETS, /* of a direction */
	KG_POLICY_SELF = 2 * KG_POLICY_SETS,
	KG_POLICY_ALL_SETS,
};
extern const struct kg_nft_table kg_policies_table;
void kg_policy_elem_print(struct kg_buf *out, const struct kg_nft_elem *e); /* a line, for people */

/* A class whose policies open more than this opens nothing (kg_policies_plan_overfull). */
#define KG_POLICY_CLASS_MAX 262144

struct kg_policies_plan;
struct kg_policies_plan *kg_policies_plan_new(void);
void kg_policies_plan_free(struct kg_policies_plan *plan);
/* A policy of the view under a key of its own, a set of peers under its id; NULL removes it. Peers
 * that are named but not there are nobody. */
void kg_policies_plan_policy(
	struct kg_policies_plan *plan, const char *key, const struct kg_value *policy);
void kg_policies_plan_peers(
	struct kg_policies_plan *plan, const char *id, const struct kg_value *peers);
/* Removes all: what is put until the next commit is the whole. */
void kg_policies_plan_clear(struct kg_policies_plan *plan);
/* Makes what was put the plan, and appends the elements that this deletes and adds, sorted. The
 * cost is that of the pods and classes concerned. */
void kg_policies_plan_commit(
	struct kg_policies_plan *plan, struct kg_nft_elems *del, struct kg_nft_elems *add);
/* Appends all elements of the plan. */
void kg_policies_plan_all(const struct kg_policies_plan *plan, struct kg_nft_elems *out);
/* How many classes are too large to be put into effect and therefore let nobody pass. */
size_t kg_policies_plan_overfull(const struct kg_policies_plan *plan);

/* May a connection be made, as the packet filter would say? Host's order. */
struct kg_policy_flow {
	uint32_t src, dst;
	uint8_t protocol;
	uint16_t port; /* the destination's */
};
bool kg_policies_plan_allows(
	const struct kg_policies_plan *plan, const struct kg_policy_flow *flow);

/* Appends the elements of the class of these policies in one direction, sorted; peers: id -> struct
 * kg_policy_peers. *open: everything is allowed, there are none. False: they are too many. */
bool kg_policy_class_elements(struct kg_nft_elems *out, bool *open, enum kg_policy_direction d,
	uint32_t class_id, const struct kg_policy *const *policies, size_t n,
	const struct kg_map *peers);

struct kg_policies_link { /* of the pods' bridge */
	uint8_t mac[6];
	bool named; /* the kernel can tell by which bridge a frame came (nft_meta_bridge) */
};
/* Text for kg_nft_check that says so. */
extern const char kg_policies_named_probe[];
/* The table's rules as nft text (see kg_nft_keeper_options.rules). */
void kg_policies_rules(struct kg_buf *out, const struct kg_policies_link *link, bool fresh);

#endif
