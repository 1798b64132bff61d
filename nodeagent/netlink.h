/*
 * A small rtnetlink layer: links, IPv4 addresses, routes and neighbours of one network namespace.
 * A kg_netlink is one socket, used by one thread at a time; every call waits for the kernel's
 * acknowledgement. Addresses are in network byte order.
 */
#ifndef KG_NODEAGENT_NETLINK_H
#define KG_NODEAGENT_NETLINK_H

#include "base/err.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KG_ROUTE_PROTOCOL 75 /* what marks our routes in `ip route`: "proto 75" */

struct kg_cidr {
	in_addr_t addr; /* as written, host bits kept */
	unsigned prefix;
};
int kg_cidr_parse(struct kg_cidr *out, const char *s, struct kg_error *err); /* "a.b.c.d/n" */
in_addr_t kg_cidr_mask(unsigned prefix);
bool kg_cidr_has(const struct kg_cidr *c, in_addr_t addr);

struct kg_netlink;
/* netns: an open namespace, or -1 for the caller's own. */
int kg_netlink_open(struct kg_netlink **out, int netns, struct kg_error *err);
void kg_netlink_close(struct kg_netlink *nl);

/* ---- links ---- */
struct kg_link {
	int index;
	int master; /* index, 0: none */
	int peer;   /* IFLA_LINK: of a veth the peer's index in its namespace */
	bool up;
	unsigned mtu;
	uint8_t mac[6];
	char name[16];
};
int kg_link_get(struct kg_link *out, struct kg_netlink *nl, const char *name, struct kg_error *err);
/* Every link of the namespace: a heap array. */
int kg_link_list(struct kg_link **out, size_t *n, struct kg_netlink *nl, struct kg_error *err);
int kg_link_add_bridge(
	struct kg_netlink *nl, const char *name, const uint8_t mac[6], struct kg_error *err);
struct kg_veth {
	const char *name, *peer; /* peer: its name in peer_netns */
	const uint8_t *mac, *peer_mac;
	int peer_netns;
	int master;   /* bridge's index */
	unsigned mtu; /* 0: the kernel's default */
};
/* The host's end is made as a port of the bridge, and up. */
int kg_link_add_veth(struct kg_netlink *nl, const struct kg_veth *veth, struct kg_error *err);
int kg_link_up(struct kg_netlink *nl, int index, struct kg_error *err);
int kg_link_set_master(struct kg_netlink *nl, int index, int master, struct kg_error *err);
int kg_link_set_mtu(struct kg_netlink *nl, int index, unsigned mtu, struct kg_error *err);
int kg_link_set_mac(struct kg_netlink *nl, int index, const uint8_t mac[6], struct kg_error *err);
int kg_link_set_hairpin(struct kg_netlink *nl, int index, struct kg_error *err);
int kg_link_del(struct kg_netlink *nl, const char *name, struct kg_error *err); /* absent: fine */

/* ---- addresses ---- */
int kg_addr_set(
	struct kg_netlink *nl, int index, in_addr_t addr, unsigned prefix, struct kg_error *err);
/* Removes every IPv4 address of the link but this one. */
int kg_addr_keep_only(
	struct kg_netlink *nl, int index, in_addr_t addr, unsigned prefix, struct kg_error *err);
/* The index of the link that has an address; 0: none has it. */
int kg_addr_find(int *index, struct kg_netlink *nl, in_addr_t addr, struct kg_error *err);
/* What the link that has an address takes in one packet; 0: no link has it, or loopback does. */
int kg_addr_mtu(unsigned *mtu, struct kg_netlink *nl, in_addr_t addr, struct kg_error *err);
/* Every IPv4 address of every link: a heap array. */
int kg_addr_list(in_addr_t **out, size_t *n, struct kg_netlink *nl, struct kg_error *err);

/* ---- routes of the main table ---- */
struct kg_route {
	in_addr_t dst;
	unsigned prefix;
	in_addr_t gateway; /* 0: on the link */
	in_addr_t source;  /* preferred source, 0: the kernel's choice */
	int index;         /* of the link; 0: found by the gateway */
	int protocol;      /* KG_ROUTE_PROTOCOL where 0 */
	bool onlink;
};
int kg_route_set(struct kg_netlink *nl, const struct kg_route *route, struct kg_error *err);
int kg_route_del(struct kg_netlink *nl, const struct kg_route *route, struct kg_error *err);
/* Those of KG_ROUTE_PROTOCOL: a heap array. */
int kg_route_list(struct kg_route **out, size_t *n, struct kg_netlink *nl, struct kg_error *err);

/* ---- neighbours: permanent entries ---- */
int kg_neigh_set(struct kg_netlink *nl, int index, in_addr_t addr, const uint8_t mac[6],
	struct kg_error *err);
/* Removes it where it names this mac: another owner's stays. */
int kg_neigh_del(struct kg_netlink *nl, int index, in_addr_t addr, const uint8_t mac[6],
	struct kg_error *err);

/* ---- what happens to links, addresses and routes of the caller's namespace ---- */
struct kg_netlink_monitor;
int kg_netlink_monitor_open(struct kg_netlink_monitor **out, struct kg_error *err);
int kg_netlink_monitor_fd(const struct kg_netlink_monitor *m);
/* Reads what is there. True: something that may have taken routes of ours along, or the link
 * `bridge` itself (the links of pods, ports of it, do not count), or that cannot be told. */
bool kg_netlink_monitor_read(struct kg_netlink_monitor *m, const char *bridge);
void kg_netlink_monitor_close(struct kg_netlink_monitor *m);

#endif
