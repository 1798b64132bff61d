/*
 * What the services of a view mean to the packet filter: elements of twelve sets of the table
 * `ip kgit`, and the rules that look them up. Pure; services.c does it.
 *
 *   services         (address . protocol . port)         -> goto the chain of its table's size
 *   nodeports        (protocol . port)                   -> likewise
 *   externals        (address . protocol . port)         -> likewise: externalIPs
 *   external_ports   (address . protocol . port)            all of these, also such as lead
 * nowhere: what is not translated is rejected; not such as are an endpoint themselves
 *   external_addrs   address
 *   inner_nodeports  as nodeports and externals, for clients that are pods or the node itself,
 *   inner_externals  where others are led to the node's own endpoints alone
 *   slots            (address . protocol . port . slot)  -> (endpoint address . port)
 *   nodeslots        (protocol . port . slot)            -> likewise
 *   hairpin          (address . the same address)           of the node's own pods
 *   hostports        (protocol . port)                   -> (pod's address . port): hostPort
 *   hostaddrs        (address . protocol . port)         -> likewise, with hostIP
 *
 * The chains differ in the number of slots and in what picks the slot: chance, or, with session
 * affinity, a hash of the client's address; for inner clients slots count from KG_SLOTS_INNER. A
 * service without endpoints has no elements but external_*: what is still addressed to these,
 * or to the service range, behind the translation is rejected.
 *
 * Several services may have the same external address and port: they share what comes by it, as it
 * happens. One within the ranges of services and pods is nobody's.
 */
#ifndef KG_NODEAGENT_SERVICES_PLAN_H
#define KG_NODEAGENT_SERVICES_PLAN_H

#include "base/buf.h"
#include "base/err.h"
#include "nodeagent/netlink.h"
#include "nodeagent/nft_elems.h"
#include "value/value.h"

enum kg_nft_set {
	KG_SET_SERVICES,
	KG_SET_NODEPORTS,
	KG_SET_SLOTS,
	KG_SET_NODESLOTS,
	KG_SET_HAIRPIN,
	KG_SET_HOSTPORTS,
	KG_SET_HOSTADDRS,
	KG_SET_EXTERNALS,
	KG_SET_EXTERNAL_PORTS,
	KG_SET_EXTERNAL_ADDRS,
	KG_SET_INNER_NODEPORTS,
	KG_SET_INNER_EXTERNALS,
	KG_SET_COUNT,
};
#define KG_SLOTS_INNER 32768
extern const struct kg_nft_table kg_services_table; /* its sets by enum kg_nft_set */
/* The same under another name, for a table that stands in for that one (nft_keeper.h). */
extern const struct kg_nft_table kg_services_stand_in;
void kg_nft_elem_print(struct kg_buf *out, const struct kg_nft_elem *e); /* a line, for people */

struct kg_endpoint {
	in_addr_t addr;
	in_port_t port; /* both in network order */
	/* 1: it is on this node, -1: it is not, whatever its address is; 0: its address says it. */
	int8_t here;
};
struct kg_service_port {
	in_addr_t addr;
	uint8_t protocol;          /* IPPROTO_TCP, ... */
	in_port_t port, node_port; /* network order; node_port 0: none */
	uint32_t nendpoints, ndraining;
	struct kg_endpoint *endpoints; /* sorted, unique */
	/* Likewise, on their way out: where only this node's count, and it has none of those. */
	struct kg_endpoint *draining;
};
/* A service in few bytes; one heap block. */
struct kg_service {
	/* sessionAffinity: ClientIP; externalTrafficPolicy: Local; internalTrafficPolicy: Local */
	bool affinity, local, inner_local;
	/* A pod's hostPorts: addr is the hostIP or 0, port the hostPort, the endpoint the pod. */
	bool pod;
	uint32_t nports, nexternals;
	in_addr_t *externals; /* externalIPs */
	struct kg_service_port ports[];
};
/* From services/NS/NAME.yaml of a view. What cannot be understood (an address that is none) is
 * left out: the master has validated it. NULL for a headless one. node: this one's name. */
struct kg_service *kg_service_parse(const struct kg_value *v, const char *node);

/* "10.244.0.5:8080" */
bool kg_endpoint_parse(struct kg_endpoint *out, const char *s);

/* Of a pod of the view; NULL where it has no address. services_pod.c. */
struct kg_service *kg_service_of_pod(const struct kg_value *pod);
void kg_service_pod_elements(struct kg_nft_elems *out, const struct kg_service *pod);

struct kg_services_config {
	struct kg_cidr pods; /* this node's */
	struct kg_cidr cluster, services;
	in_addr_t node;
	/* The master as this node reaches it; 0: unknown. No external address leads it elsewhere:
	 * nobody could undo that. */
	in_addr_t master;
	in_port_t master_port;
};
/* Appends the elements of one service (NULL: none). */
void kg_service_elements(struct kg_nft_elems *out, const struct kg_service *service,
	const struct kg_services_config *config);
/* The chain that an element's verdict goes to. */
void kg_services_chain_name(char out[8], bool node, bool inner, bool affinity, size_t size);
/* Appends those of it that services of other ports may have as well: external_addrs. */
void kg_service_shared_elements(struct kg_nft_elems *out, const struct kg_service *service,
	const struct kg_services_config *config);
/* Appends those of the node itself: hairpin. */
void kg_services_node_elements(struct kg_nft_elems *out, const struct kg_services_config *config);

/* The table's rules as nft text, one transaction: replaces the rules and keeps the elements, or,
 * with fresh, replaces the whole table. */
void kg_services_rules(
	struct kg_buf *out, const struct kg_services_config *config, const char *table, bool fresh);

#endif
