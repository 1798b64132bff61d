/*
 * A cluster for tests of the packet filter: nodes a and b, each a network namespace with a bridge,
 * routes and services, pods a1 and a2 on a and b1 on b that serve their names on TCP 8080 and 8081
 * and UDP 8053, and a client outside, behind a. What fails, fails the test. Services and what the
 * test adds live on the node's loop, which runs only in nt_run_loop.
 */
#ifndef KG_NODEAGENT_NETTWO_H
#define KG_NODEAGENT_NETTWO_H

#include "nettest.h"
#include "nodeagent/podnet.h"
#include "sys/loop.h"

#include <time.h>

struct kg_bridge;
struct kg_services;
struct nt_node {
	const char *name, *cidr, *address;
	int ns;
	struct kg_bridge *bridge;
	struct kg_loop *loop;
	struct kg_services *services;
	const char *memory; /* kg_services_options'; NULL: each start makes the rules anew */
	int mended;         /* counted by nt_mended */
};
extern struct nt_node nt_a, nt_b;
extern int nt_client, nt_a1, nt_a2, nt_b1; /* namespaces */

/* on_services: what services tell, with the node as ctx. */
void nt_two_start(void (*on_services)(void *ctx, const struct kg_error *err));
void nt_two_end(void);

void nt_must(int rc, const struct kg_error *err);
/* For what tells what was mended: counts, and ends the node's loop. ctx: the node. */
void nt_mended(void *ctx, const struct kg_error *err);
void nt_run_loop(struct nt_node *n); /* until it is ended */
/* As an agent that starts again: what was put is forgotten, the table stays. */
void nt_open_services(struct nt_node *n);
void nt_close_services(struct nt_node *n); /* as one that ends */
/* And commits; json NULL: removed. */
void nt_put_service(struct nt_node *n, const char *key, const char *json);
/* By another process: that is how others' changes are told from ours. */
void nt_nft(int ns, const char *text);

struct nt_setup {
	struct nt_node *node;
	struct kg_podnet_pod pod;
	int rc;
	struct kg_error err;
};
void nt_set_up_pod(struct nt_setup *s); /* on its node; fills rc and err */

double nt_ms_since(const struct timespec *t); /* of CLOCK_MONOTONIC */

#endif
