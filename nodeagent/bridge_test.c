#include "base/mem.h"
#include "nettest.h"
#include "nodeagent/bridge.h"
#include "nodeagent/netlink.h"
#include "nodeagent/netns.h"
#include "nodeagent/routes.h"
#include "sys/loop.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

struct node {
	int ns;
	struct kg_bridge *bridge;
	const char *cidr;
	const char *nodes; /* JSON, for routes */
	const char *name;
};

static void configure(void *ctx)
{
	struct node *n = ctx;
	struct kg_error err;

	must(kg_bridge_configure(n->bridge, n->cidr, &err), &err);
}

static void sync_routes(void *ctx)
{
	struct node *n = ctx;
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	must(kg_json_parse(&v, &arena, n->nodes, strlen(n->nodes), &err), &err);
	must(kg_routes_sync(&v, n->name, "10.96.0.0/16", &err), &err);
	kg_arena_release(&arena);
}

struct pod {
	struct node *node;
	struct kg_podnet_pod pod;
	int ns;
};

static void set_up_pod(void *ctx)
{
	struct pod *p = ctx;
	struct kg_error err;

	must(kg_bridge_podnet.setup(p->node->bridge, &p->pod, &err), &err);
}

static void tear_down_pod(void *ctx)
{
	struct pod *p = ctx;
	struct kg_error err;

	must(kg_bridge_podnet.teardown(p->node->bridge, &p->pod, &err), &err);
}

static void make_pod(struct pod *p, struct node *node, const char *uid, const char *ip)
{
	*p = (struct pod){
		.node = node, .pod = {.uid = uid, .ns = "default", .name = uid, .ip = ip}};
	p->ns = nt_pod(uid, &p->pod.netns);
	nt_in(node->ns, set_up_pod, p);
}

static struct node node_a = {.cidr = "10.244.0.0/24", .name = "a"},
		   node_b = {.cidr = "10.244.1.0/24", .name = "b"};
static struct pod a1, a2, b1;
static const char both[] =
	"[{\"name\":\"a\",\"podCIDR\":\"10.244.0.0/24\",\"address\":\"172.30.0.1\"},"
	"{\"name\":\"b\",\"podCIDR\":\"10.244.1.0/24\",\"address\":\"172.30.0.2\"},"
	"{\"name\":\"new\"}]";

static int set_up(void **state)
{
	(void)state;
	node_a.ns = nt_host("node-a");
	node_b.ns = nt_host("node-b");
	node_a.bridge = kg_bridge_new();
	node_b.bridge = kg_bridge_new();
	nt_join(node_a.ns, "172.30.0.1", node_b.ns, "172.30.0.2");
	nt_in(node_a.ns, configure, &node_a);
	nt_in(node_b.ns, configure, &node_b);
	make_pod(&a1, &node_a, "pod-a1", "10.244.0.2");
	make_pod(&a2, &node_a, "pod-a2", "10.244.0.3");
	make_pod(&b1, &node_b, "pod-b1", "10.244.1.2");
	nt_serve(a1.ns, "a1", 80, false);
	nt_serve(a2.ns, "a2", 80, false);
	nt_serve(b1.ns, "b1", 80, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_bridge_free(node_a.bridge);
	kg_bridge_free(node_b.bridge);
	return 0;
}

static void set_uplink_mtu(void *ctx)
{
	struct kg_netlink *nl = NULL;
	struct kg_error err;
	int index = 0;

	must(kg_netlink_open(&nl, -1, &err), &err);
	must(kg_addr_find(&index, nl, inet_addr("172.30.0.1"), &err), &err);
	must(kg_link_set_mtu(nl, index, *(unsigned *)ctx, &err), &err);
	kg_netlink_close(nl);
}

static void read_mtu(void *ctx)
{
	struct kg_netlink *nl = NULL;
	struct kg_link link;
	struct kg_error err;

	must(kg_netlink_open(&nl, -1, &err), &err);
	must(kg_link_get(&link, nl, "eth0", &err), &err);
	*(unsigned *)ctx = link.mtu;
	kg_netlink_close(nl);
}

/* Pods send what the node's link takes: one that is new, and one that is set up again. */
static void test_mtu(void **state)
{
	static unsigned mtus[] = {1400, 9000, 1500};

	(void)state;
	kg_bridge_of_node(node_a.bridge, inet_addr("172.30.0.1"));
	for (size_t i = 0; i < KG_ARRAY_LEN(mtus); i++) {
		unsigned old = 0, new = 0;
		struct pod fresh;

		nt_in(node_a.ns, set_uplink_mtu, &mtus[i]);
		nt_in(node_a.ns, configure, &node_a);
		nt_in(node_a.ns, set_up_pod, &a1);
		make_pod(&fresh, &node_a, i ? i > 1 ? "pod-m3" : "pod-m2" : "pod-m1", "10.244.0.9");
		nt_in(a1.ns, read_mtu, &old);
		nt_in(fresh.ns, read_mtu, &new);
		assert_int_equal(old, mtus[i]);
		assert_int_equal(new, mtus[i]);
		assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 80, false), "a1 10.244.0.3");
		nt_in(node_a.ns, tear_down_pod, &fresh);
	}
}

static void test_one_node(void **state)
{
	(void)state;
	assert_string_equal(nt_ask(node_a.ns, "10.244.0.2", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 80, false), "a1 10.244.0.3");
	assert_string_equal(nt_ask(a2.ns, "10.244.0.3", 80, false), "a2 10.244.0.3");
	assert_string_equal(nt_ask(a2.ns, "127.0.0.1", 80, false), "a2 127.0.0.1");
	assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 81, false), "refused");
}

static void test_two_nodes(void **state)
{
	(void)state;
	node_a.nodes = node_b.nodes = both;
	nt_in(node_a.ns, sync_routes, &node_a);
	nt_in(node_b.ns, sync_routes, &node_b);
	assert_string_equal(nt_ask(a1.ns, "10.244.1.2", 80, false), "b1 10.244.0.2");
	assert_string_equal(nt_ask(b1.ns, "10.244.0.3", 80, false), "a2 10.244.1.2");
	/* Twice is once, and what is no longer wanted goes. */
	nt_in(node_a.ns, sync_routes, &node_a);
	struct kg_netlink *nl;
	struct kg_route *routes;
	struct kg_error err;
	size_t n;
	must(kg_netlink_open(&nl, node_a.ns, &err), &err);
	must(kg_route_list(&routes, &n, nl, &err), &err);
	assert_int_equal(n, 2); /* b's pods, and the services */
	free(routes);
	node_a.nodes = "[]";
	nt_in(node_a.ns, sync_routes, &node_a);
	must(kg_route_list(&routes, &n, nl, &err), &err);
	assert_int_equal(n, 1);
	free(routes);
	kg_netlink_close(nl);
	node_a.nodes = both;
	nt_in(node_a.ns, sync_routes, &node_a);
	assert_string_equal(nt_ask(a1.ns, "10.244.1.2", 80, false), "b1 10.244.0.2");
}

static void del_bridge(void *ctx)
{
	struct kg_netlink *nl;
	struct kg_error err;

	must(kg_netlink_open(&nl, -1, &err), &err);
	must(kg_link_del(nl, ctx, &err), &err);
	kg_netlink_close(nl);
}

/* Whatever somebody removed, setting up again mends it. */
static void test_mended(void **state)
{
	char veth[16];

	(void)state;
	nt_in(node_a.ns, set_up_pod, &a1);
	assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 80, false), "a1 10.244.0.3");
	kg_bridge_veth_name(veth, "pod-a1");
	nt_in(node_a.ns, del_bridge, veth);
	nt_in(node_a.ns, set_up_pod, &a1);
	assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 80, false), "a1 10.244.0.3");
	nt_in(node_a.ns, del_bridge, (void *)KG_BRIDGE_NAME);
	nt_in(node_a.ns, set_up_pod, &a1);
	nt_in(node_a.ns, set_up_pod, &a2);
	assert_string_equal(nt_ask(a2.ns, "10.244.0.2", 80, false), "a1 10.244.0.3");
	nt_in(node_a.ns, sync_routes, &node_a);
}

/* An address given to another pod at once answers at once; the first pod's late teardown does not
 * take its neighbour entry away. */
static void test_address_reused(void **state)
{
	struct pod old, new;

	(void)state;
	make_pod(&old, &node_a, "pod-old", "10.244.0.9");
	nt_serve(old.ns, "old", 80, false);
	assert_string_equal(nt_who(a1.ns, "10.244.0.9", 80), "old");
	nt_in(node_a.ns, tear_down_pod, &old);
	assert_string_not_equal(nt_who(node_a.ns, "10.244.0.2", 80), "old");
	make_pod(&new, &node_a, "pod-new", "10.244.0.9");
	nt_serve(new.ns, "new", 80, false);
	assert_string_equal(nt_who(a1.ns, "10.244.0.9", 80), "new");
	nt_in(node_a.ns, tear_down_pod, &old);
	nt_in(node_a.ns, tear_down_pod, &old);
	assert_string_equal(nt_who(a1.ns, "10.244.0.9", 80), "new");
	nt_in(node_a.ns, tear_down_pod, &new);
}

struct failing {
	struct kg_bridge *bridge;
	struct kg_podnet_pod pod;
	int rc;
};

static void try_setup(void *ctx)
{
	struct failing *f = ctx;
	struct kg_error err;

	f->rc = kg_bridge_podnet.setup(f->bridge, &f->pod, &err);
}

static void test_refusals(void **state)
{
	struct kg_bridge *fresh = kg_bridge_new();
	struct kg_podnet_pod pod = a1.pod;
	struct failing f = {fresh, pod, 0};
	struct kg_error err;

	(void)state;
	nt_in(node_a.ns, try_setup, &f);
	assert_int_equal(f.rc, -KG_E_UNAVAILABLE);
	f.bridge = node_a.bridge;
	f.pod.ip = "10.244.7.2";
	nt_in(node_a.ns, try_setup, &f);
	assert_int_equal(f.rc, -KG_E_INVALID);
	f.pod.ip = "";
	nt_in(node_a.ns, try_setup, &f);
	assert_int_equal(f.rc, -KG_E_INVALID);
	f.pod = a1.pod;
	f.pod.netns = "/nowhere";
	nt_in(node_a.ns, try_setup, &f);
	assert_int_equal(f.rc, -KG_E_NOT_FOUND);
	assert_int_equal(kg_bridge_configure(fresh, "10.0.0.0", &err), -KG_E_INVALID);
	assert_int_equal(kg_bridge_configure(fresh, "10.0.0.0/31", &err), -KG_E_INVALID);
	kg_bridge_free(fresh);
}

/* Pods set up by several workers at once, in a time that is bounded and printed. */
static struct pod crowd[24];

static void *set_up_some(void *ctx)
{
	for (struct pod *p = ctx; p < crowd + KG_ARRAY_LEN(crowd); p += 4)
		nt_in(node_b.ns, set_up_pod, p);
	return NULL;
}

static void test_many_at_once(void **state)
{
	static char names[KG_ARRAY_LEN(crowd)][2][24];
	pthread_t threads[4];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(crowd); i++) {
		snprintf(names[i][0], sizeof(names[i][0]), "crowd-%zu", i);
		snprintf(names[i][1], sizeof(names[i][1]), "10.244.1.%zu", i + 20);
		crowd[i] = (struct pod){.node = &node_b,
			.pod = {.uid = names[i][0],
				.ns = "d",
				.name = names[i][0],
				.ip = names[i][1]}};
		crowd[i].ns = nt_pod(names[i][0], &crowd[i].pod.netns);
	}
	int64_t began = kg_monotonic_ms();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, set_up_some, &crowd[i]), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	print_message("%zu pods in %d ms\n", KG_ARRAY_LEN(crowd), (int)(kg_monotonic_ms() - began));
	nt_serve(crowd[23].ns, "last", 80, false);
	assert_string_equal(nt_who(a1.ns, "10.244.1.43", 80), "last");
	began = kg_monotonic_ms();
	for (size_t i = 0; i < KG_ARRAY_LEN(crowd); i++)
		nt_in(node_b.ns, tear_down_pod, &crowd[i]);
	print_message("removed in %d ms\n", (int)(kg_monotonic_ms() - began));
}

static void test_namespaces(void **state)
{
	struct kg_error err;
	const char *path;
	char before[64], after[64];
	ssize_t n = readlink("/proc/thread-self/ns/net", before, sizeof(before) - 1);

	(void)state;
	nt_pod("pinned", &path);
	assert_true(kg_ns_is_pinned(path));
	must(kg_netns_create(path, &err), &err); /* kept */
	assert_int_equal(readlink("/proc/thread-self/ns/net", after, sizeof(after) - 1), n);
	assert_memory_equal(before, after, n);
	char *uts = kg_asprintf("%s-uts", path), *ipc = kg_asprintf("%s-ipc", path);
	must(kg_ns_pin(CLONE_NEWUTS, uts, &err), &err);
	must(kg_ns_pin(CLONE_NEWIPC, ipc, &err), &err);
	assert_true(kg_ns_is_pinned(uts) && kg_ns_is_pinned(ipc));
	must(kg_ns_unpin(uts, &err), &err);
	must(kg_ns_unpin(uts, &err), &err);
	must(kg_ns_unpin(ipc, &err), &err);
	assert_int_equal(access(uts, F_OK), -1);
	assert_int_equal(kg_ns_pin(CLONE_NEWNET, "/nowhere/ns", &err), -KG_E_NOT_FOUND);
	free(uts);
	free(ipc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_namespaces),
		cmocka_unit_test(test_one_node),
		cmocka_unit_test(test_mtu),
		cmocka_unit_test(test_two_nodes),
		cmocka_unit_test(test_mended),
		cmocka_unit_test(test_address_reused),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_many_at_once),
	};
	nt_start();
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return failed;
}
