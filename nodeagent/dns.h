/*
 * The cluster's names on this node: keeps the files that the node's name server serves (dns_zone.h,
 * dns/server.h), a change of a Service being that of one of many, and the server running. Pods ask
 * it at the bridge's address. Lives on one loop.
 */
#ifndef KG_NODEAGENT_DNS_H
#define KG_NODEAGENT_DNS_H

#include "base/err.h"
#include "dns/limits.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/netlink.h"
#include "sys/loop.h"
#include "value/value.h"

#define KG_CLUSTER_DOMAIN "cluster.local"
#define KG_DNS_DIR        "run/dns" /* below the agent's */

struct kg_dns;
struct kg_dns_options {
	const char *dir;     /* made where it is absent; the server's alone; borrowed */
	const char *domain;  /* borrowed */
	const char *program; /* whose `dns DIR ADDRESS` is the server; borrowed */
	/* The server that a kg_dns of this process left, 0: none. The next one has it for its own
	 * child until it has started another, since somebody must reap it. Borrowed, or NULL. */
	pid_t *left;
	const struct kg_cgroups *cgroups;   /* borrowed; NULL: it stays in the agent's */
	const char *cgroup;                 /* it goes there (kg_cgroup_shelter); borrowed */
	bool unconfined;                    /* without a filter of system calls */
	const struct kg_dns_limits *limits; /* copied; NULL: the default ones */
	/* Told on the loop when the server ended, or could not be started: it is tried again, after
	 * a second, then two, ... a minute. */
	void (*on_event)(void *ctx, const struct kg_error *err);
	void *ctx;
};
struct kg_dns *kg_dns_new(struct kg_loop *loop, const struct kg_dns_options *opts);
void kg_dns_free(struct kg_dns *d); /* the server goes on */

/* The ranges of this node's pods, all pods and services: before anything is served, and again when
 * they changed. */
void kg_dns_configure(struct kg_dns *d, const struct kg_cidr ranges[3]);
/* As those of services.h. */
void kg_dns_put(struct kg_dns *d, const char *key, const struct kg_value *service);
void kg_dns_clear(struct kg_dns *d);
/* Has what was put served soon: what comes within the next 20 ms or so comes with it. */
void kg_dns_commit(struct kg_dns *d);

/* The address of the name server of a node with this range of pods: the bridge's. */
in_addr_t kg_dns_address(const struct kg_cidr *pods);

#endif
