/* The network as the agent keeps it: from a view, and against what happens to links. */
#include "base/mem.h"
#include "fakemaster.h"
#include "nettest.h"
#include "nodeagent/bridge.h"
#include "nodeagent/hostports.h"
#include "nodeagent/netlink.h"
#include "nodeagent/network.h"
#include "sys/file.h"
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
#include <sys/mount.h>
#include <time.h>

static int node, other, pod;
static struct kg_bridge *bridge;
static struct kg_network *network;
static struct kg_hostports *hostports;
static struct kg_view *view;
static struct kg_http_client *client;

static void must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

static void on_event(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	if (err)
		fprintf(stderr, "network: %s\n", err->msg);
}

static void start(void *ctx)
{
	struct kg_network_options opts = {.bridge = bridge,
		.node = "n1",
		.address = "172.30.0.1",
		.master_url = "https://master.invalid:8080",
		.hostports = hostports,
		.on_event = on_event};
	struct kg_error err;

	(void)ctx;
	must(kg_bridge_configure(bridge, "10.244.0.0/24", &err), &err);
	must(kg_network_new(&network, &opts, &err), &err);
}

static void set_up_pod(void *ctx)
{
	struct kg_error err;

	must(kg_bridge_podnet.setup(bridge, ctx, &err), &err);
}

/* A node that keeps nothing: its pods are an address of its own. */
static void set_up_other(void)
{
	struct kg_route back = {
		.dst = inet_addr("10.244.0.0"), .prefix = 24, .gateway = inet_addr("172.30.0.1")};
	struct kg_netlink *nl;
	struct kg_error err;

	must(kg_netlink_open(&nl, other, &err), &err);
	must(kg_addr_set(nl, 1, inet_addr("10.244.1.9"), 32, &err), &err);
	must(kg_route_set(nl, &back, &err), &err);
	kg_netlink_close(nl);
	nt_serve(other, "other", 8080, false);
}

/* What the test's hosts file says, of this test alone. */
static void write_hosts(const char *text)
{
	FILE *f = fopen("/etc/hosts", "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void own_hosts(void)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/hosts", fm_dir());
	struct kg_error err;

	must(kg_file_write(path, "", 0, 0644, &err), &err);
	assert_int_equal(mount(path, "/etc/hosts", NULL, MS_BIND, NULL), 0);
	write_hosts("127.0.0.1 localhost\n");
}

static void put_hostport(int port, const char *uid)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;
	const char *json = kg_arena_printf(&a,
		"{\"podIP\":\"10.244.0.2\",\"metadata\":{\"uid\":\"%s\"},\"spec\":{\"containers\":["
		"{\"ports\":[{\"containerPort\":8080,\"hostPort\":%d}]}]}}",
		uid, port);

	must(kg_json_parse(&v, &a, json, strlen(json), &err), &err);
	struct kg_doc *doc = kg_doc_new(&v, NULL, 0);
	kg_hostports_put(hostports, doc);
	kg_hostports_put(hostports, doc);
	kg_doc_unref(doc);
}

static int set_up(void **state)
{
	struct kg_podnet_pod p = {.uid = "p", .ns = "default", .name = "p", .ip = "10.244.0.2"};
	struct kg_http_client_options opts = {0};
	struct kg_netlink *nl;
	struct kg_error err;

	(void)state;
	must(kg_netlink_open(&nl, -1, &err), &err); /* the master's loopback */
	must(kg_link_up(nl, 1, &err), &err);
	kg_netlink_close(nl);
	fm_new();
	own_hosts();
	opts.url = fm_url();
	opts.ca_pem = fm_credential()->ca_pem;
	opts.cert_pem = fm_credential()->cert_pem;
	opts.key_pem = fm_credential()->key_pem;
	client = kg_http_client_new(&opts);
	must(kg_view_open(&view, fm_dir(), &err), &err);
	node = nt_host("node");
	other = nt_host("other");
	nt_join(node, "172.30.0.1", other, "172.30.0.2");
	set_up_other();
	bridge = kg_bridge_new();
	hostports = kg_hostports_new();
	put_hostport(8080, "early"); /* as of a pod that an earlier run left */
	nt_in(node, start, NULL);
	pod = nt_pod("p", &p.netns);
	nt_in(node, set_up_pod, &p);
	nt_serve(pod, "pod", 8080, false);
	return 0;
}

static void remove_network(void *ctx)
{
	struct kg_error err;

	(void)ctx;
	must(kg_network_remove(&err), &err);
	must(kg_network_remove(&err), &err); /* nothing left is fine */
}

static int tear_down(void **state)
{
	(void)state;
	kg_network_free(network);
	nt_in(node, remove_network, NULL);
	kg_bridge_free(bridge);
	kg_hostports_free(hostports);
	kg_view_free(view);
	kg_http_client_free(client);
	assert_int_equal(umount2("/etc/hosts", MNT_DETACH), 0);
	fm_free();
	return 0;
}

static void move_view(const struct fm_file *files, unsigned n)
{
	struct kg_view_diff d;
	struct kg_error err;

	fm_view(files, n);
	must(kg_view_pull(view, client, "n1", NULL, &err), &err);
	must(kg_view_read(view, &d, &err), &err);
	kg_network_update(network, view, &d);
	kg_view_diff_release(&d);
}

/* Until a connection is told what is expected; ten seconds at most. */
static void await(int from, const char *addr, int port, const char *expected)
{
	struct timespec pause = {.tv_nsec = 10000000};
	const char *got = "";

	for (int i = 0; i < 300; i++) {
		got = nt_who(from, addr, port);
		if (strcmp(got, expected) == 0)
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("%s:%d: %s instead of %s", addr, port, got, expected);
}

static const struct fm_file files[] = {
	{"node.yaml", "name: n1\npodCIDR: 10.244.0.0/24\nclusterCIDR: 10.244.0.0/16\n"
		      "serviceCIDR: 10.96.0.0/16\n"},
	{"nodes/n1.yaml", "name: n1\npodCIDR: 10.244.0.0/24\naddress: 172.30.0.1\n"},
	{"nodes/n2.yaml", "name: n2\npodCIDR: 10.244.1.0/24\naddress: 172.30.0.2\n"},
	{"services/default/s.yaml", "clusterIP: 10.96.0.5\nports:\n- port: 80\n  endpoints:\n"
				    "  - 10.244.1.9:8080\n"},
};

static void test_view(void **state)
{
	struct fm_file moved = {"services/default/s.yaml",
		"clusterIP: 10.96.0.5\nports:\n- port: 80\n  endpoints:\n  - 10.244.0.2:8080\n"};
	struct fm_file gone = {"services/default/s.yaml", NULL};

	(void)state;
	move_view(files, KG_ARRAY_LEN(files));
	await(pod, "10.96.0.5", 80, "other");
	await(node, "10.96.0.5", 80, "other");
	move_view(&moved, 1);
	await(node, "10.96.0.5", 80, "pod");
	move_view(&gone, 1);
	await(node, "10.96.0.5", 80, "refused");
	move_view(&files[3], 1);
	await(pod, "10.96.0.5", 80, "other");
}

/* The Service "kubernetes" leads to the master as soon as his name resolves. */
static void test_api(void **state)
{
	(void)state;
	await(pod, "10.96.0.5", 80, "other"); /* the rest does not wait for it */
	write_hosts("127.0.0.1 localhost\n172.30.0.2 master.invalid\n");
	await(pod, "10.96.0.1", 443, "other");
	await(node, "10.96.0.1", 443, "other");
	/* He moves, and is found again; while his name leads nowhere, it stays as it was. */
	write_hosts("127.0.0.1 localhost\n");
	kg_network_find_api(network);
	await(pod, "10.96.0.1", 443, "other");
	nt_serve(node, "node", 8080, false);
	write_hosts("127.0.0.1 localhost\n172.30.0.1 master.invalid\n");
	kg_network_find_api(network);
	await(pod, "10.96.0.1", 443, "node");
}

/* What the pods say of their ports reaches the packet filter, and outlives a view that comes. */
static void test_hostports(void **state)
{
	(void)state;
	await(node, "172.30.0.1", 8080, "pod");
	put_hostport(81, "later");
	await(node, "172.30.0.1", 81, "pod");
	move_view(files, KG_ARRAY_LEN(files));
	await(node, "172.30.0.1", 81, "pod");
	kg_hostports_remove(hostports, "later");
	kg_hostports_remove(hostports, "later");
	await(node, "172.30.0.1", 81, "refused");
	await(other, "172.30.0.1", 8080, "pod");
	kg_hostports_remove(hostports, "early");
	await(other, "172.30.0.1", 8080, "refused");
}

/* By a program of its own, as an operator would. */
static void run_ip(void *ctx)
{
	if (system(ctx) != 0)
		fail_msg("%s", (const char *)ctx);
}

static const char *const harm[] = {
	"ip link set wire1 down && ip link set wire1 up",
	"ip route del 10.244.1.0/24",
	"ip route replace 10.244.1.0/24 dev lo && ip route del 10.244.1.0/24",
	"ip link del kgit0",
	"ip route flush proto 75",
};

static void test_harm(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(harm); i++) {
		nt_in(node, run_ip, (void *)harm[i]);
		await(pod, "10.244.1.9", 8080, "other");
		await(node, "10.244.0.2", 8080, "pod");
		await(pod, "10.96.0.5", 80, "other");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_hostports),
		cmocka_unit_test(test_api),
		cmocka_unit_test(test_harm),
	};
	nt_start();
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return failed;
}
