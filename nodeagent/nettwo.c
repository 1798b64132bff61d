#include "nettwo.h"
#include "nodeagent/bridge.h"
#include "nodeagent/netlink.h"
#include "nodeagent/routes.h"
#include "nodeagent/services.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct nt_node nt_a = {.name = "a", .cidr = "10.244.0.0/24", .address = "172.30.0.1"},
	       nt_b = {.name = "b", .cidr = "10.244.1.0/24", .address = "172.30.0.2"};
int nt_client, nt_a1, nt_a2, nt_b1;

static void (*told)(void *ctx, const struct kg_error *err);

void nt_must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

void nt_mended(void *ctx, const struct kg_error *err)
{
	struct nt_node *n = ctx;

	if (err)
		fail_msg("%s", err->msg);
	n->mended++;
	kg_loop_stop(n->loop, 0);
}

static void run_loop(void *ctx)
{
	struct nt_node *n = ctx;

	kg_loop_run(n->loop);
}

void nt_run_loop(struct nt_node *n)
{
	nt_in(n->ns, run_loop, n);
}

static void open_services(void *ctx)
{
	struct nt_node *n = ctx;
	struct kg_services_ranges ranges = {.pods = n->cidr,
		.cluster = "10.244.0.0/16",
		.services = "10.96.0.0/16",
		.node_ip = n->address};
	struct kg_services_options opts = {
		.on_event = told, .ctx = n, .node = n->name, .memory = n->memory};
	struct kg_error err;

	kg_services_free(n->services);
	nt_must(kg_services_new(&n->services, n->loop, &opts, &err), &err);
	nt_must(kg_services_configure(n->services, &ranges, &err), &err);
}

static void close_services(void *ctx)
{
	struct nt_node *n = ctx;

	kg_services_free(n->services);
	n->services = NULL;
}

void nt_close_services(struct nt_node *n)
{
	nt_in(n->ns, close_services, n);
}

void nt_open_services(struct nt_node *n)
{
	nt_in(n->ns, open_services, n);
}

struct putting {
	struct nt_node *node;
	const char *key, *json;
};

static void put(void *ctx)
{
	struct putting *p = ctx;
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (p->json)
		nt_must(kg_json_parse(&v, &arena, p->json, strlen(p->json), &err), &err);
	kg_services_put(p->node->services, p->key, p->json ? &v : NULL);
	nt_must(kg_services_commit(p->node->services, &err), &err);
	kg_arena_release(&arena);
}

void nt_put_service(struct nt_node *n, const char *key, const char *json)
{
	struct putting p = {n, key, json};

	nt_in(n->ns, put, &p);
}

static void run_nft(void *ctx)
{
	char command[300];

	snprintf(command, sizeof(command), "nft %s", (const char *)ctx);
	if (system(command) != 0) /* NOLINT: the test's own text */
		fail_msg("%s", command);
}

void nt_nft(int ns, const char *text)
{
	nt_in(ns, run_nft, (void *)text);
}

/* ---- making it ---- */

static void start_node(void *ctx)
{
	static const char nodes[] =
		"[{\"name\":\"a\",\"podCIDR\":\"10.244.0.0/24\",\"address\":\"172.30.0.1\"},"
		"{\"name\":\"b\",\"podCIDR\":\"10.244.1.0/24\",\"address\":\"172.30.0.2\"}]";
	struct nt_node *n = ctx;
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	n->bridge = kg_bridge_new();
	n->loop = kg_loop_new();
	nt_must(kg_bridge_configure(n->bridge, n->cidr, &err), &err);
	nt_must(kg_json_parse(&v, &arena, nodes, strlen(nodes), &err), &err);
	nt_must(kg_routes_sync(&v, n->name, "10.96.0.0/16", &err), &err);
	kg_arena_release(&arena);
	open_services(n);
	nt_must(kg_services_commit(n->services, &err), &err);
}

static void set_up_pod(void *ctx)
{
	struct nt_setup *s = ctx;

	s->rc = kg_bridge_podnet.setup(s->node->bridge, &s->pod, &s->err);
}

void nt_set_up_pod(struct nt_setup *s)
{
	nt_in(s->node->ns, set_up_pod, s);
}

static int make_pod(struct nt_node *node, const char *name, const char *ip)
{
	struct nt_setup s = {
		.node = node, .pod = {.uid = name, .ns = "default", .name = name, .ip = ip}};
	int ns = nt_pod(name, &s.pod.netns);

	nt_set_up_pod(&s);
	nt_must(s.rc, &s.err);
	nt_serve(ns, name, 8080, false);
	nt_serve(ns, name, 8081, false);
	nt_serve(ns, name, 8053, true);
	return ns;
}

static void add_default_route(int ns, const char *gateway)
{
	struct kg_netlink *nl;
	struct kg_error err;
	struct kg_route route = {.gateway = inet_addr(gateway)};

	nt_must(kg_netlink_open(&nl, ns, &err), &err);
	nt_must(kg_route_set(nl, &route, &err), &err);
	kg_netlink_close(nl);
}

void nt_two_start(void (*on_services)(void *ctx, const struct kg_error *err))
{
	told = on_services;
	nt_a.ns = nt_host("node-a");
	nt_b.ns = nt_host("node-b");
	nt_client = nt_host("client");
	nt_join(nt_a.ns, "172.30.0.1", nt_b.ns, "172.30.0.2");
	nt_join(nt_a.ns, "192.168.7.1", nt_client, "192.168.7.2");
	add_default_route(nt_client, "192.168.7.1");
	nt_in(nt_a.ns, start_node, &nt_a);
	nt_in(nt_b.ns, start_node, &nt_b);
	nt_a1 = make_pod(&nt_a, "a1", "10.244.0.2");
	nt_a2 = make_pod(&nt_a, "a2", "10.244.0.3");
	nt_b1 = make_pod(&nt_b, "b1", "10.244.1.2");
}

static void end_node(struct nt_node *n)
{
	kg_services_free(n->services);
	kg_loop_free(n->loop);
	kg_bridge_free(n->bridge);
}

void nt_two_end(void)
{
	end_node(&nt_a);
	end_node(&nt_b);
}

double nt_ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) * 1e3 + (double)(now.tv_nsec - t->tv_nsec) / 1e6;
}
