/* Services on two nodes, each a network namespace: what a client is told, from everywhere. */
#include "base/mem.h"
#include "nettest.h"
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
#include <time.h>
#include <unistd.h>

static void must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

/* A node: its namespace, and services living on a loop that the test runs when it waits. */
struct node {
	const char *name, *cidr, *address;
	int ns;
	struct kg_bridge *bridge;
	struct kg_loop *loop;
	struct kg_services *services;
	int mended;
};
static struct node a = {.name = "a", .cidr = "10.244.0.0/24", .address = "172.30.0.1"},
		   b = {.name = "b", .cidr = "10.244.1.0/24", .address = "172.30.0.2"};
static int client; /* outside of the cluster, beside node a */
static int a1, a2, b1;

static void on_event(void *ctx, const struct kg_error *err)
{
	struct node *n = ctx;

	if (err)
		fail_msg("%s", err->msg);
	n->mended++;
	kg_loop_stop(n->loop, 0);
}

static void start_node(void *ctx)
{
	static const char nodes[] =
		"[{\"name\":\"a\",\"podCIDR\":\"10.244.0.0/24\",\"address\":\"172.30.0.1\"},"
		"{\"name\":\"b\",\"podCIDR\":\"10.244.1.0/24\",\"address\":\"172.30.0.2\"}]";
	struct node *n = ctx;
	struct kg_services_ranges ranges = {n->cidr, "10.244.0.0/16", "10.96.0.0/16", n->address};
	struct kg_services_options opts = {on_event, n};
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	n->bridge = kg_bridge_new();
	n->loop = kg_loop_new();
	must(kg_bridge_configure(n->bridge, n->cidr, &err), &err);
	must(kg_json_parse(&v, &arena, nodes, strlen(nodes), &err), &err);
	must(kg_routes_sync(&v, n->name, "10.96.0.0/16", &err), &err);
	kg_arena_release(&arena);
	must(kg_services_new(&n->services, n->loop, &opts, &err), &err);
	must(kg_services_configure(n->services, &ranges, &err), &err);
	must(kg_services_commit(n->services, &err), &err);
}

struct pod {
	struct node *node;
	struct kg_podnet_pod pod;
};

static void set_up_pod(void *ctx)
{
	struct pod *p = ctx;
	struct kg_error err;

	must(kg_bridge_podnet.setup(p->node->bridge, &p->pod, &err), &err);
}

static int make_pod(struct node *node, const char *name, const char *ip)
{
	struct pod p = {node, {.uid = name, .ns = "default", .name = name, .ip = ip}};
	int ns = nt_pod(name, &p.pod.netns);

	nt_in(node->ns, set_up_pod, &p);
	nt_serve(ns, name, 8080, false);
	nt_serve(ns, name, 8053, true);
	return ns;
}

struct putting {
	struct node *node;
	const char *key, *json;
};

static void put(void *ctx)
{
	struct putting *p = ctx;
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (p->json)
		must(kg_json_parse(&v, &arena, p->json, strlen(p->json), &err), &err);
	kg_services_put(p->node->services, p->key, p->json ? &v : NULL);
	must(kg_services_commit(p->node->services, &err), &err);
	kg_arena_release(&arena);
}

static void put_everywhere(const char *key, const char *json)
{
	struct putting on_a = {&a, key, json}, on_b = {&b, key, json};

	nt_in(a.ns, put, &on_a);
	nt_in(b.ns, put, &on_b);
}

static void add_default_route(int ns, const char *gateway)
{
	struct kg_netlink *nl;
	struct kg_error err;
	struct kg_route route = {.gateway = inet_addr(gateway)};

	must(kg_netlink_open(&nl, ns, &err), &err);
	must(kg_route_set(nl, &route, &err), &err);
	kg_netlink_close(nl);
}

static int set_up(void **state)
{
	(void)state;
	a.ns = nt_host("node-a");
	b.ns = nt_host("node-b");
	client = nt_host("client");
	nt_join(a.ns, "172.30.0.1", b.ns, "172.30.0.2");
	nt_join(a.ns, "192.168.7.1", client, "192.168.7.2");
	add_default_route(client, "192.168.7.1");
	nt_in(a.ns, start_node, &a);
	nt_in(b.ns, start_node, &b);
	a1 = make_pod(&a, "a1", "10.244.0.2");
	a2 = make_pod(&a, "a2", "10.244.0.3");
	b1 = make_pod(&b, "b1", "10.244.1.2");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_services_free(a.services);
	kg_services_free(b.services);
	kg_loop_free(a.loop);
	kg_loop_free(b.loop);
	kg_bridge_free(a.bridge);
	kg_bridge_free(b.bridge);
	return 0;
}

#define SERVICE(ip, more, ports) "{\"clusterIP\":\"" ip "\"" more ",\"ports\":[" ports "]}"
#define TCP(port, node_port, endpoints)                                                            \
	"{\"protocol\":\"TCP\",\"port\":" port ",\"nodePort\":" node_port                          \
	",\"endpoints\":[" endpoints "]}"

static void test_cluster_ip(void **state)
{
	(void)state;
	put_everywhere(
		"default/a1", SERVICE("10.96.0.7", "", TCP("80", "0", "\"10.244.0.2:8080\"")));
	put_everywhere("default/b1",
		SERVICE("10.96.0.8", "",
			TCP("80", "0",
				"\"10.244.1.2:8080\"") ",{\"protocol\":\"UDP\",\"port\":53,"
						       "\"endpoints\":[\"10.244.1.2:8053\"]}"));
	/* From a pod: of the same node, of another, to itself; the source is the pod's. */
	assert_string_equal(nt_ask(a2, "10.96.0.7", 80, false), "a1 10.244.0.3");
	assert_string_equal(nt_ask(b1, "10.96.0.7", 80, false), "a1 10.244.1.2");
	assert_string_equal(nt_ask(a2, "10.96.0.8", 80, false), "b1 10.244.0.3");
	assert_string_equal(nt_ask(a1, "10.96.0.7", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_ask(b1, "10.96.0.8", 53, true), "b1 10.244.1.1");
	assert_string_equal(nt_ask(a1, "10.96.0.8", 53, true), "b1 10.244.0.2");
	/* From the hosts, which have no default route. */
	assert_string_equal(nt_ask(a.ns, "10.96.0.7", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_ask(a.ns, "10.96.0.8", 80, false), "b1 10.244.0.1");
	assert_string_equal(nt_ask(b.ns, "10.96.0.7", 80, false), "a1 10.244.1.1");
}

static void test_refused(void **state)
{
	(void)state;
	put_everywhere("default/none", SERVICE("10.96.0.9", "", TCP("80", "0", "")));
	assert_string_equal(nt_ask(a2, "10.96.0.9", 80, false), "refused");
	assert_string_equal(nt_ask(a.ns, "10.96.0.9", 80, false), "refused");
	assert_string_equal(nt_ask(a2, "10.96.0.9", 81, false), "refused");  /* no such port */
	assert_string_equal(nt_ask(a2, "10.96.77.1", 80, false), "refused"); /* no such service */
	put_everywhere(
		"default/none", SERVICE("10.96.0.9", "", TCP("80", "0", "\"10.244.0.3:8080\"")));
	assert_string_equal(nt_who(a1, "10.96.0.9", 80), "a2");
	put_everywhere("default/none", NULL);
	assert_string_equal(nt_ask(a1, "10.96.0.9", 80, false), "refused");
}

static void test_node_port(void **state)
{
	(void)state;
	put_everywhere(
		"default/np", SERVICE("10.96.0.10", "", TCP("80", "30080", "\"10.244.1.2:8080\"")));
	/* The endpoint is on b: from outside by a, whose address it sees. */
	assert_string_equal(nt_ask(client, "192.168.7.1", 30080, false), "b1 172.30.0.1");
	assert_string_equal(
		nt_ask(client, "172.30.0.2", 30080, false), "timeout"); /* no way back */
	assert_string_equal(nt_who(a1, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(a1, "172.30.0.2", 30080), "b1");
	assert_string_equal(nt_who(b1, "172.30.0.2", 30080), "b1"); /* to itself */
	assert_string_equal(nt_who(a.ns, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(a.ns, "172.30.0.2", 30080), "b1");
	assert_string_equal(nt_who(a.ns, "127.0.0.1", 30080), "b1");
	assert_string_equal(nt_who(b.ns, "127.0.0.1", 30080), "b1");
	assert_string_equal(nt_ask(client, "192.168.7.1", 30081, false), "refused");
	/* Local: no endpoint on a; with one on a the client's address is kept. */
	put_everywhere("default/np", SERVICE("10.96.0.10", ",\"externalTrafficPolicy\":\"Local\"",
					     TCP("80", "30080", "\"10.244.1.2:8080\"")));
	assert_string_equal(nt_ask(client, "192.168.7.1", 30080, false), "refused");
	put_everywhere("default/np",
		SERVICE("10.96.0.10", ",\"externalTrafficPolicy\":\"Local\"",
			TCP("80", "30080", "\"10.244.1.2:8080\",\"10.244.0.2:8080\"")));
	assert_string_equal(nt_ask(client, "192.168.7.1", 30080, false), "a1 192.168.7.2");
	assert_string_equal(nt_who(b.ns, "127.0.0.1", 30080), "b1");
	put_everywhere("default/np", NULL);
	assert_string_equal(nt_ask(client, "192.168.7.1", 30080, false), "refused");
}

static void test_balance_and_affinity(void **state)
{
	int n[3] = {0};
	char first[16];

	(void)state;
	put_everywhere("default/three",
		SERVICE("10.96.0.11", "",
			TCP("80", "0",
				"\"10.244.0.2:8080\",\"10.244.0.3:8080\",\"10.244.1.2:8080\"")));
	for (int i = 0; i < 90; i++) {
		const char *who = nt_who(a1, "10.96.0.11", 80);

		n[0] += strcmp(who, "a1") == 0;
		n[1] += strcmp(who, "a2") == 0;
		n[2] += strcmp(who, "b1") == 0;
	}
	assert_int_equal(n[0] + n[1] + n[2], 90);
	assert_true(n[0] > 5 && n[1] > 5 && n[2] > 5);
	put_everywhere("default/three",
		SERVICE("10.96.0.11", ",\"sessionAffinity\":\"ClientIP\"",
			TCP("80", "0",
				"\"10.244.0.2:8080\",\"10.244.0.3:8080\",\"10.244.1.2:8080\"")));
	snprintf(first, sizeof(first), "%s", nt_who(a1, "10.96.0.11", 80));
	for (int i = 0; i < 10; i++)
		assert_string_equal(nt_who(a1, "10.96.0.11", 80), first);
}

/* A UDP client that goes on from the same port is not left with an endpoint that is gone. */
static void test_udp_flow_moves(void **state)
{
	(void)state;
	put_everywhere("default/dns",
		SERVICE("10.96.0.53", "",
			"{\"protocol\":\"UDP\",\"port\":53,\"endpoints\":[\"10.244.1.2:8053\"]}"));
	assert_string_equal(nt_ask_from(a1, "10.96.0.53", 53, 5353), "b1 10.244.0.2");
	put_everywhere("default/dns",
		SERVICE("10.96.0.53", "",
			"{\"protocol\":\"UDP\",\"port\":53,\"endpoints\":[\"10.244.0.3:8053\"]}"));
	assert_string_equal(nt_ask_from(a1, "10.96.0.53", 53, 5353), "a2 10.244.0.2");
	put_everywhere("default/dns", NULL);
	assert_string_equal(nt_ask_from(a1, "10.96.0.53", 53, 5353), "refused");
}

/* Two services exchange their ports in one commit; a port passes to another service. */
static void test_ports_change_hands(void **state)
{
	(void)state;
	put_everywhere(
		"default/x", SERVICE("10.96.0.20", "", TCP("80", "0", "\"10.244.0.2:8080\"")));
	struct putting y = {
		&a, "default/y", SERVICE("10.96.0.20", "", TCP("80", "0", "\"10.244.0.3:8080\""))};
	kg_services_put(a.services, "default/x", NULL);
	nt_in(a.ns, put, &y);
	assert_string_equal(nt_who(a1, "10.96.0.20", 80), "a2");
	kg_services_put(a.services, "default/y", NULL);
	y.key = "default/x";
	y.json = SERVICE("10.96.0.20", "", TCP("80", "0", "\"10.244.0.2:8080\""));
	nt_in(a.ns, put, &y);
	assert_string_equal(nt_who(a2, "10.96.0.20", 80), "a1");
	/* Put twice before one commit: only the last counts. */
	kg_services_put(a.services, "default/x", NULL);
	nt_in(a.ns, put, &y);
	assert_string_equal(nt_who(a2, "10.96.0.20", 80), "a1");
	/* Claimed twice, which the master does not let happen: one of them has it. */
	y.key = "default/z";
	nt_in(a.ns, put, &y);
	assert_string_equal(nt_who(a2, "10.96.0.20", 80), "a1");
	kg_services_put(a.services, "default/z", NULL);
	y.key = "default/x";
	nt_in(a.ns, put, &y);
	assert_string_equal(nt_who(a2, "10.96.0.20", 80), "a1");
}

/* Pods reach the world outside by their node's address. */
static void test_masquerade(void **state)
{
	(void)state;
	nt_serve(client, "world", 80, false);
	assert_string_equal(nt_ask(a1, "192.168.7.2", 80, false), "world 192.168.7.1");
}

/* By another process: that is how others' changes are told from ours. */
static void nft_elsewhere(void *ctx)
{
	char command[300];

	snprintf(command, sizeof(command), "nft %s", (const char *)ctx);
	if (system(command) != 0) /* NOLINT: the test's own text */
		fail_msg("%s", command);
}

static void run_loop(void *ctx)
{
	struct node *n = ctx;

	kg_loop_run(n->loop);
}

static const char *const foreign[] = {
	"flush ruleset",
	"delete element ip kgit services '{ 10.96.0.7 . tcp . 80 }'",
	"flush map ip kgit slots",
	"flush chain ip kgit prerouting",
	"insert rule ip kgit forward drop",
	"'add chain ip kgit evil { type filter hook forward priority -5; policy drop; }'",
	"delete table ip kgit",
};

static void test_mended(void **state)
{
	(void)state;
	nt_in(a.ns, nft_elsewhere, (void *)"add table ip others");
	for (size_t i = 0; i < KG_ARRAY_LEN(foreign); i++) {
		a.mended = 0;
		nt_in(a.ns, nft_elsewhere, (void *)foreign[i]);
		nt_in(a.ns, run_loop, &a); /* stops when mended */
		assert_int_equal(a.mended, 1);
		assert_string_equal(nt_ask(a2, "10.96.0.7", 80, false), "a1 10.244.0.3");
		assert_string_equal(nt_ask(b1, "10.96.0.7", 80, false), "a1 10.244.1.2");
		assert_string_equal(nt_ask(a2, "10.96.0.9", 80, false), "refused");
	}
	/* Nobody else's table was touched, and a change of theirs wakes nobody. */
	nt_in(a.ns, nft_elsewhere, (void *)"add table ip others");
	nt_in(a.ns, nft_elsewhere, (void *)"add chain ip others theirs");
	nt_in(a.ns, nft_elsewhere,
		(void *)"delete element ip kgit services '{ 10.96.0.7 . tcp . 80 }'");
	nt_in(a.ns, run_loop, &a);
	nt_in(a.ns, nft_elsewhere, (void *)"list chain ip others theirs >/dev/null");
	assert_int_equal(a.mended, 2);
}

/* A new run takes over the table: what stays the same keeps working throughout, what an earlier run
 * had and is no longer wanted goes. */
static void start_again(void *ctx)
{
	struct node *n = ctx;
	struct kg_services_ranges ranges = {n->cidr, "10.244.0.0/16", "10.96.0.0/16", n->address};
	struct kg_services_options opts = {on_event, n};
	struct kg_error err;

	kg_services_free(n->services);
	must(kg_services_new(&n->services, n->loop, &opts, &err), &err);
	must(kg_services_configure(n->services, &ranges, &err), &err);
}

static void test_restart(void **state)
{
	struct putting only = {
		&a, "default/a1", SERVICE("10.96.0.7", "", TCP("80", "0", "\"10.244.0.2:8080\""))};

	(void)state;
	nt_in(a.ns, start_again, &a);
	assert_string_equal(nt_who(a2, "10.96.0.7", 80), "a1"); /* still the old table's */
	nt_in(a.ns, put, &only);
	assert_string_equal(nt_who(a2, "10.96.0.7", 80), "a1");
	assert_string_equal(nt_who(a2, "10.96.0.11", 80), "refused");
}

static double ms_since(const struct timespec *t)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - t->tv_sec) * 1e3 + (double)(now.tv_nsec - t->tv_nsec) / 1e6;
}

static void put_number(int i, int variant)
{
	char json[300], key[32];
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	snprintf(key, sizeof(key), "bench/s%d", i);
	snprintf(json, sizeof(json),
		SERVICE("10.96.%d.%d", "", TCP("80", "0", "\"10.244.0.%d:80\",\"10.244.1.%d:80\"")),
		100 + i / 250, i % 250 + 1, 10 + variant, i % 200 + 2);
	must(kg_json_parse(&v, &arena, json, strlen(json), &err), &err);
	kg_services_put(a.services, key, &v);
	kg_arena_release(&arena);
}

static long resident_kb(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	long total, resident = 0;

	if (fscanf(f, "%ld %ld", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return resident * 4;
}

static void measure(void *ctx)
{
	int *count = ctx;
	struct timespec t;
	struct kg_error err;
	double best = 1e9;

	clock_gettime(CLOCK_MONOTONIC, &t);
	for (int i = 0; i < *count; i++)
		put_number(i, 0);
	must(kg_services_commit(a.services, &err), &err);
	double load = ms_since(&t);
	for (int i = 0; i < 20; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		put_number(i, 1 + i);
		must(kg_services_commit(a.services, &err), &err);
		double took = ms_since(&t);
		best = took < best ? took : best;
	}
	print_message("%d services: loaded in %.0f ms, one endpoint changed in %.3f ms, %ld KB "
		      "resident\n",
		*count, load, best, resident_kb());
	assert_true(best < 20);
}

static void test_many(void **state)
{
	int counts[] = {1000, 10000};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(counts); i++) {
		nt_in(a.ns, start_again, &a);
		nt_in(a.ns, measure, &counts[i]);
	}
	nt_in(a.ns, start_again, &a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster_ip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_node_port),
		cmocka_unit_test(test_balance_and_affinity),
		cmocka_unit_test(test_udp_flow_moves),
		cmocka_unit_test(test_ports_change_hands),
		cmocka_unit_test(test_masquerade),
		cmocka_unit_test(test_mended),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_many),
	};
	nt_start();
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return failed;
}
