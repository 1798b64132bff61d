/* Services on two nodes, each a network namespace: what a client is told, from everywhere. */
#include "base/mem.h"
#include "nettwo.h"
#include "nodeagent/services.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void put_everywhere(const char *key, const char *json)
{
	nt_put_service(&nt_a, key, json);
	nt_put_service(&nt_b, key, json);
}

static int set_up(void **state)
{
	(void)state;
	nt_two_start(nt_mended);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	nt_two_end();
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
	assert_string_equal(nt_ask(nt_a2, "10.96.0.7", 80, false), "a1 10.244.0.3");
	assert_string_equal(nt_ask(nt_b1, "10.96.0.7", 80, false), "a1 10.244.1.2");
	assert_string_equal(nt_ask(nt_a2, "10.96.0.8", 80, false), "b1 10.244.0.3");
	assert_string_equal(nt_ask(nt_a1, "10.96.0.7", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_ask(nt_b1, "10.96.0.8", 53, true), "b1 10.244.1.1");
	assert_string_equal(nt_ask(nt_a1, "10.96.0.8", 53, true), "b1 10.244.0.2");
	/* internalTrafficPolicy: Local leads to the node's own pods, or nowhere. */
	put_everywhere("default/in", SERVICE("10.96.0.6", ",\"internalTrafficPolicy\":\"Local\"",
					     TCP("80", "30086", "\"10.244.0.2:8080\"")));
	assert_string_equal(nt_ask(nt_a2, "10.96.0.6", 80, false), "a1 10.244.0.3");
	assert_string_equal(nt_ask(nt_b1, "10.96.0.6", 80, false), "refused");
	assert_string_equal(nt_who(nt_b.ns, "127.0.0.1", 30086), "a1");
	put_everywhere("default/in", NULL);
	/* From the hosts, which have no default route. */
	assert_string_equal(nt_ask(nt_a.ns, "10.96.0.7", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_ask(nt_a.ns, "10.96.0.8", 80, false), "b1 10.244.0.1");
	assert_string_equal(nt_ask(nt_b.ns, "10.96.0.7", 80, false), "a1 10.244.1.1");
}

static void test_refused(void **state)
{
	(void)state;
	put_everywhere("default/none", SERVICE("10.96.0.9", "", TCP("80", "0", "")));
	assert_string_equal(nt_ask(nt_a2, "10.96.0.9", 80, false), "refused");
	assert_string_equal(nt_ask(nt_a.ns, "10.96.0.9", 80, false), "refused");
	assert_string_equal(nt_ask(nt_a2, "10.96.0.9", 81, false), "refused"); /* no such port */
	assert_string_equal(
		nt_ask(nt_a2, "10.96.77.1", 80, false), "refused"); /* no such service */
	put_everywhere(
		"default/none", SERVICE("10.96.0.9", "", TCP("80", "0", "\"10.244.0.3:8080\"")));
	assert_string_equal(nt_who(nt_a1, "10.96.0.9", 80), "a2");
	put_everywhere("default/none", NULL);
	assert_string_equal(nt_ask(nt_a1, "10.96.0.9", 80, false), "refused");
}

static void test_node_port(void **state)
{
	(void)state;
	put_everywhere(
		"default/np", SERVICE("10.96.0.10", "", TCP("80", "30080", "\"10.244.1.2:8080\"")));
	/* The endpoint is on b: from outside by a, whose address it sees. */
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 30080, false), "b1 172.30.0.1");
	assert_string_equal(
		nt_ask(nt_client, "172.30.0.2", 30080, false), "timeout"); /* no way back */
	assert_string_equal(nt_who(nt_a1, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(nt_a1, "172.30.0.2", 30080), "b1");
	assert_string_equal(nt_who(nt_b1, "172.30.0.2", 30080), "b1"); /* to itself */
	assert_string_equal(nt_who(nt_a.ns, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(nt_a.ns, "172.30.0.2", 30080), "b1");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 30080), "b1");
	assert_string_equal(nt_who(nt_b.ns, "127.0.0.1", 30080), "b1");
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 30081, false), "refused");
	/* Local: no endpoint on a; with one on a the client's address is kept. */
	put_everywhere("default/np", SERVICE("10.96.0.10", ",\"externalTrafficPolicy\":\"Local\"",
					     TCP("80", "30080", "\"10.244.1.2:8080\"")));
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 30080, false), "refused");
	/* But pods and the node itself are led to all. */
	assert_string_equal(nt_who(nt_a1, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(nt_a.ns, "172.30.0.1", 30080), "b1");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 30080), "b1");
	put_everywhere("default/np",
		SERVICE("10.96.0.10", ",\"externalTrafficPolicy\":\"Local\"",
			TCP("80", "30080", "\"10.244.1.2:8080\",\"10.244.0.2:8080\"")));
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 30080, false), "a1 192.168.7.2");
	put_everywhere("default/np", NULL);
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 30080, false), "refused");
}

#define EXTERNAL ",\"externalIPs\":[\"192.168.7.1\",\"198.51.100.7\"]"
#define LOCAL    ",\"externalTrafficPolicy\":\"Local\""

static bool is_one_of(const char *who, const char *a, const char *b)
{
	return !strcmp(who, a) || !strcmp(who, b);
}

/* Addresses of no pod and no cluster: one that is node a's own, one that is routed to it. */
static void test_external_ips(void **state)
{
	(void)state;
	put_everywhere("default/ext",
		SERVICE("10.96.0.40", EXTERNAL, TCP("80", "0", "\"10.244.1.2:8080\"")));
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 80, false), "b1 172.30.0.1");
	assert_string_equal(nt_ask(nt_client, "198.51.100.7", 80, false), "b1 172.30.0.1");
	assert_string_equal(nt_who(nt_a1, "198.51.100.7", 80), "b1");
	assert_string_equal(nt_who(nt_a.ns, "192.168.7.1", 80), "b1");
	assert_string_equal(nt_ask(nt_b1, "198.51.100.7", 80, false), "b1 10.244.1.1"); /* itself */
	/* A pod of the node sees who asks. */
	put_everywhere("default/ext",
		SERVICE("10.96.0.40", EXTERNAL, TCP("80", "0", "\"10.244.0.2:8080\"")));
	assert_string_equal(nt_ask(nt_client, "198.51.100.7", 80, false), "a1 192.168.7.2");
	/* Local: outside to the node's own alone, inside to all. */
	put_everywhere("default/ext",
		SERVICE("10.96.0.40", EXTERNAL LOCAL, TCP("80", "0", "\"10.244.1.2:8080\"")));
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 80, false), "refused");
	assert_string_equal(nt_who(nt_a1, "198.51.100.7", 80), "b1");
	assert_string_equal(nt_who(nt_a.ns, "192.168.7.1", 80), "b1");
	/* None: refused, also where something else of the node listens. */
	nt_serve(nt_a.ns, "node", 99, false);
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 99), "node");
	put_everywhere("default/ext", SERVICE("10.96.0.40", EXTERNAL, TCP("99", "0", "")));
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 99), "refused");
	assert_string_equal(nt_who(nt_a.ns, "192.168.7.1", 99), "refused");
	assert_string_equal(nt_who(nt_a1, "192.168.7.1", 99), "refused");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 99), "node");
	/* Or of another machine. */
	nt_serve(nt_client, "world", 99, false);
	assert_string_equal(nt_who(nt_a1, "192.168.7.2", 99), "world");
	put_everywhere("default/ext2",
		SERVICE("10.96.0.44", ",\"externalIPs\":[\"192.168.7.2\"]", TCP("99", "0", "")));
	assert_string_equal(nt_who(nt_a1, "192.168.7.2", 99), "refused");
	assert_string_equal(nt_who(nt_a.ns, "192.168.7.2", 99), "refused");
	put_everywhere("default/ext2", NULL);
	put_everywhere("default/ext", NULL);
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 99), "node");
}

static void asks(int ns, const char *addr, int port, const char *a, const char *b)
{
	for (int i = 0; i < 6; i++) {
		const char *who = nt_who(ns, addr, port);

		if (!is_one_of(who, a, b))
			fail_msg("by %s:%d: %s", addr, port, who);
	}
}

/* Endpoints that are external addresses and ports as well: pods in the nodes' network. */
static void test_external_is_endpoint(void **state)
{
	const int from[] = {nt_a.ns, nt_a1, nt_b.ns, nt_b1};

	(void)state;
	nt_serve(nt_a.ns, "on-a", 443, false);
	nt_serve(nt_b.ns, "on-b", 443, false);
	put_everywhere("default/ingress",
		SERVICE("10.96.0.45", ",\"externalIPs\":[\"172.30.0.1\",\"172.30.0.2\"]",
			TCP("443", "0", "\"172.30.0.1:443\",\"172.30.0.2:443\"")));
	for (size_t i = 0; i < KG_ARRAY_LEN(from); i++) {
		asks(from[i], "10.96.0.45", 443, "on-a", "on-b");
		asks(from[i], "172.30.0.1", 443, "on-a", "on-b");
		asks(from[i], "172.30.0.2", 443, "on-a", "on-b");
	}
	asks(nt_client, "172.30.0.1", 443, "on-a", "on-b");
	/* Another has that address and port, and no endpoint: who asks for that one is refused, and
	 * whom another node led there cannot be told from them. */
	put_everywhere("default/ingress",
		SERVICE("10.96.0.45", "", TCP("443", "30443", "\"172.30.0.1:443\"")));
	put_everywhere("default/none",
		SERVICE("10.96.0.46", ",\"externalIPs\":[\"172.30.0.1\"]", TCP("443", "0", "")));
	for (size_t i = 0; i < KG_ARRAY_LEN(from); i++) {
		bool there = from[i] == nt_b.ns || from[i] == nt_b1;

		assert_string_equal(nt_who(from[i], "10.96.0.45", 443), there ? "refused" : "on-a");
		assert_string_equal(nt_who(from[i], "172.30.0.1", 30443), "on-a");
		assert_string_equal(nt_who(from[i], "172.30.0.1", 443), "refused");
	}
	put_everywhere("default/ingress", NULL);
	put_everywhere("default/none", NULL);
	assert_int_equal(nt_a.mended, 0);
}

/* Who has the same address and port has what the other leaves. */
static void test_external_shared(void **state)
{
	static const char *const both =
		SERVICE("10.96.0.41", EXTERNAL, TCP("80", "0", "\"10.244.0.2:8080\""));

	(void)state;
	put_everywhere("default/ext1", both);
	put_everywhere("default/ext2",
		SERVICE("10.96.0.42", EXTERNAL, TCP("80", "0", "\"10.244.0.3:8080\"")));
	assert_true(is_one_of(nt_who(nt_client, "198.51.100.7", 80), "a1", "a2"));
	put_everywhere("default/ext1", NULL);
	assert_string_equal(nt_who(nt_client, "198.51.100.7", 80), "a2");
	assert_string_equal(nt_who(nt_client, "198.51.100.7", 80), "a2");
	put_everywhere("default/ext1", both);
	put_everywhere("default/ext2",
		SERVICE("10.96.0.42", EXTERNAL, TCP("81", "0", "\"10.244.0.3:8080\"")));
	assert_string_equal(nt_who(nt_client, "198.51.100.7", 80), "a1");
	assert_string_equal(nt_who(nt_client, "198.51.100.7", 81), "a2");
	/* Of two that go at once a third one has the port. */
	put_everywhere("default/ext3",
		SERVICE("10.96.0.47", EXTERNAL, TCP("81", "0", "\"10.244.0.2:8080\"")));
	kg_services_put(nt_a.services, "default/ext1", NULL);
	nt_put_service(&nt_a, "default/ext2", NULL);
	assert_string_equal(nt_who(nt_client, "198.51.100.7", 81), "a1");
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 81), "a1");
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 80), "refused");
	put_everywhere("default/ext3", NULL);
	assert_int_equal(nt_a.mended, 0); /* never by reading all of it */
	put_everywhere("default/ext1", NULL);
	put_everywhere("default/ext2", NULL);
}

#define UDP(endpoints)                                                                             \
	SERVICE("10.96.0.43", EXTERNAL,                                                            \
		"{\"protocol\":\"UDP\",\"port\":54,\"nodePort\":30054,\"endpoints\":[" endpoints   \
		"]}")

/* Who went on asking while nobody answered is heard by whom comes; also where an agent finds that
 * when it starts. */
static void test_udp_flow_waits(void **state)
{
	(void)state;
	put_everywhere("default/udp", UDP(""));
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5354), "refused");
	put_everywhere("default/udp", UDP("\"10.244.0.2:8053\""));
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5354), "a1 192.168.7.2");
	put_everywhere("default/udp", NULL);
	/* 198.51.100.7 leads out of the node, for all it knows. */
	nt_ask_from(nt_a1, "198.51.100.7", 54, 5354);
	put_everywhere("default/udp", UDP("\"10.244.0.3:8053\""));
	assert_string_equal(nt_ask_from(nt_a1, "198.51.100.7", 54, 5354), "a2 10.244.0.2");
	nt_open_services(&nt_a);
	nt_put_service(&nt_a, "default/udp", UDP("\"10.244.1.2:8053\""));
	assert_string_equal(nt_ask_from(nt_a1, "198.51.100.7", 54, 5354), "b1 172.30.0.1");
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5354), "b1 172.30.0.1");
	put_everywhere("default/udp", NULL);
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5354), "refused");
}

/* While no file can be opened. */
static void commit_starved(void)
{
	struct rlimit had, none;
	struct kg_error err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
	none = had;
	none.rlim_cur = 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	int rc = kg_services_commit(nt_a.services, &err);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &had), 0);
	assert_true(rc < 0);
	assert_non_null(strstr(err.msg, "list the node's addresses"));
}

static void commit(void *ctx)
{
	struct kg_error err;

	(void)ctx;
	nt_must(kg_services_commit(nt_a.services, &err), &err);
}

static void put_udp_starved(void *ctx)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	nt_must(kg_json_parse(&v, &arena, ctx, strlen(ctx), &err), &err);
	kg_services_put(nt_a.services, "default/udp", &v);
	commit_starved();
}

/* Flows that could not be forgotten are so with the next commit, whatever that is about. */
static void test_udp_flow_later(void **state)
{
	static char moved[] = UDP("\"10.244.0.3:8053\"");

	(void)state;
	put_everywhere("default/udp", UDP("\"10.244.0.2:8053\""));
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5355), "a1 192.168.7.2");
	nt_in(nt_a.ns, put_udp_starved, moved);
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5355), "a1 192.168.7.2");
	nt_in(nt_a.ns, commit, NULL);
	assert_string_equal(nt_ask_from(nt_client, "172.30.0.1", 30054, 5355), "a2 192.168.7.2");
	put_everywhere("default/udp", NULL);
}

#define POD_PORTS(uid, ports)                                                                      \
	"{\"podIP\":\"10.244.0.2\",\"metadata\":{\"uid\":\"" uid                                   \
	"\"},\"spec\":{\"containers\":[{\"ports\":[" ports "]}]}}"

static void put_pod(void *ctx)
{
	const char *const *p = ctx;
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (p[1])
		nt_must(kg_json_parse(&v, &arena, p[1], strlen(p[1]), &err), &err);
	kg_services_put_pod(nt_a.services, p[0], p[1] ? &v : NULL);
	nt_must(kg_services_commit(nt_a.services, &err), &err);
}

static void host_ports(const char *uid, const char *json)
{
	const char *const args[] = {uid, json};

	nt_in(nt_a.ns, put_pod, (void *)args);
}

/* Ports of node a that pod a1 has: from outside, from the nodes, from its neighbour, from itself.
 */
static void test_host_ports(void **state)
{
	(void)state;
	host_ports("u1", POD_PORTS("u1", "{\"containerPort\":8080,\"hostPort\":80},"
					 "{\"containerPort\":8080,\"hostPort\":82,"
					 "\"hostIP\":\"172.30.0.1\"},"
					 "{\"containerPort\":8080,\"hostPort\":83,"
					 "\"hostIP\":\"127.0.0.1\"},"
					 "{\"containerPort\":8080,\"hostPort\":84,"
					 "\"hostIP\":\"fd00::1\"},"
					 "{\"containerPort\":8053,\"hostPort\":53,"
					 "\"protocol\":\"UDP\"}"));
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 80, false), "a1 192.168.7.2");
	assert_string_equal(nt_ask(nt_client, "172.30.0.1", 80, false), "a1 192.168.7.2");
	assert_string_equal(nt_ask(nt_client, "192.168.7.1", 53, true), "a1 192.168.7.2");
	assert_string_equal(nt_ask(nt_b.ns, "172.30.0.1", 80, false), "a1 172.30.0.2");
	assert_string_equal(nt_ask(nt_b1, "172.30.0.1", 80, false), "a1 172.30.0.2");
	assert_string_equal(nt_ask(nt_a2, "172.30.0.1", 80, false), "a1 10.244.0.3");
	assert_string_equal(nt_ask(nt_a1, "172.30.0.1", 80, false), "a1 10.244.0.1");
	assert_string_equal(nt_who(nt_a.ns, "172.30.0.1", 80), "a1");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 80), "a1");
	assert_string_equal(nt_ask(nt_a.ns, "127.0.0.1", 53, true), "a1 10.244.0.1");
	/* Not of the name server's address. */
	assert_string_equal(nt_ask(nt_a1, "10.244.0.1", 53, true), "refused");
	assert_string_equal(nt_who(nt_a1, "10.244.0.1", 80), "a1");
	/* hostIP; and on this node alone. */
	assert_string_equal(nt_who(nt_client, "172.30.0.1", 82), "a1");
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 82), "refused");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 83), "a1");
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 83), "refused");
	assert_string_equal(nt_who(nt_a.ns, "172.30.0.1", 84), "refused");
	assert_string_equal(nt_who(nt_b.ns, "172.30.0.2", 80), "refused");
	/* Rules that are made anew, and what the view says of services, leave them. */
	kg_services_clear(nt_a.services);
	host_ports("u0", NULL);
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 80), "a1");
	/* Another one comes for the same port before this one has gone. */
	host_ports("u2", POD_PORTS("u2", "{\"containerPort\":8081,\"hostPort\":80}"));
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 80), "a1");
	host_ports("u1", NULL);
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 80), "a1");
	assert_string_equal(nt_who(nt_client, "172.30.0.1", 82), "refused");
	assert_string_equal(nt_ask_from(nt_client, "192.168.7.1", 53, 5353), "refused");
	/* Who went on asking while nobody had the port is heard by whom has it now. */
	host_ports("u1", POD_PORTS("u1", "{\"containerPort\":8053,\"hostPort\":53,"
					 "\"protocol\":\"UDP\"}"));
	assert_string_equal(nt_ask_from(nt_client, "192.168.7.1", 53, 5353), "a1 192.168.7.2");
	host_ports("u1", NULL);
	host_ports("u2", NULL);
	assert_string_equal(nt_who(nt_client, "192.168.7.1", 80), "refused");
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
		const char *who = nt_who(nt_a1, "10.96.0.11", 80);

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
	snprintf(first, sizeof(first), "%s", nt_who(nt_a1, "10.96.0.11", 80));
	for (int i = 0; i < 10; i++)
		assert_string_equal(nt_who(nt_a1, "10.96.0.11", 80), first);
}

/* A UDP client that goes on from the same port is not left with an endpoint that is gone. */
static void test_udp_flow_moves(void **state)
{
	(void)state;
	put_everywhere("default/dns",
		SERVICE("10.96.0.53", "",
			"{\"protocol\":\"UDP\",\"port\":53,\"endpoints\":[\"10.244.1.2:8053\"]}"));
	assert_string_equal(nt_ask_from(nt_a1, "10.96.0.53", 53, 5353), "b1 10.244.0.2");
	put_everywhere("default/dns",
		SERVICE("10.96.0.53", "",
			"{\"protocol\":\"UDP\",\"port\":53,\"endpoints\":[\"10.244.0.3:8053\"]}"));
	assert_string_equal(nt_ask_from(nt_a1, "10.96.0.53", 53, 5353), "a2 10.244.0.2");
	put_everywhere("default/dns", NULL);
	assert_string_equal(nt_ask_from(nt_a1, "10.96.0.53", 53, 5353), "refused");
}

/* Two services exchange their ports in one commit; a port passes to another service. */
static void test_ports_change_hands(void **state)
{
	static const char on_a1[] =
		SERVICE("10.96.0.20", "", TCP("80", "0", "\"10.244.0.2:8080\""));
	static const char on_a2[] =
		SERVICE("10.96.0.20", "", TCP("80", "0", "\"10.244.0.3:8080\""));

	(void)state;
	put_everywhere("default/x", on_a1);
	kg_services_put(nt_a.services, "default/x", NULL);
	nt_put_service(&nt_a, "default/y", on_a2);
	assert_string_equal(nt_who(nt_a1, "10.96.0.20", 80), "a2");
	kg_services_put(nt_a.services, "default/y", NULL);
	nt_put_service(&nt_a, "default/x", on_a1);
	assert_string_equal(nt_who(nt_a2, "10.96.0.20", 80), "a1");
	/* Put twice before one commit: only the last counts. */
	kg_services_put(nt_a.services, "default/x", NULL);
	nt_put_service(&nt_a, "default/x", on_a1);
	assert_string_equal(nt_who(nt_a2, "10.96.0.20", 80), "a1");
	/* Claimed twice, which the master does not let happen: one of them has it. */
	nt_put_service(&nt_a, "default/z", on_a1);
	assert_string_equal(nt_who(nt_a2, "10.96.0.20", 80), "a1");
	kg_services_put(nt_a.services, "default/z", NULL);
	nt_put_service(&nt_a, "default/x", on_a1);
	assert_string_equal(nt_who(nt_a2, "10.96.0.20", 80), "a1");
}

/* Pods reach the world outside by their node's address. */
static void test_masquerade(void **state)
{
	(void)state;
	nt_serve(nt_client, "world", 80, false);
	assert_string_equal(nt_ask(nt_a1, "192.168.7.2", 80, false), "world 192.168.7.1");
}

/* An endpoint that is no pod: it is asked by the node, from the address that it has there. */
static void test_outside_endpoint(void **state)
{
	(void)state;
	nt_serve(nt_client, "world", 90, false);
	nt_put_service(&nt_a, "default/out",
		SERVICE("10.96.0.30", "", TCP("80", "30090", "\"192.168.7.2:90\"")));
	assert_string_equal(nt_ask(nt_a1, "10.96.0.30", 80, false), "world 192.168.7.1");
	assert_string_equal(nt_ask(nt_a.ns, "10.96.0.30", 80, false), "world 192.168.7.1");
	assert_string_equal(nt_ask(nt_b.ns, "172.30.0.1", 30090, false), "world 192.168.7.1");
	/* Asked by somebody outside, whom it has no way to: as kube-proxy has it. */
	nt_serve(nt_b.ns, "machine", 91, false);
	nt_put_service(&nt_a, "default/out",
		SERVICE("10.96.0.30", "", TCP("80", "0", "\"172.30.0.2:91\"")));
	assert_string_equal(nt_ask(nt_client, "10.96.0.30", 80, false), "machine 172.30.0.1");
	/* One that is the node itself. */
	nt_serve(nt_a.ns, "node", 91, false);
	nt_put_service(&nt_a, "default/out",
		SERVICE("10.96.0.30", "", TCP("80", "0", "\"172.30.0.1:91\"")));
	assert_string_equal(nt_who(nt_a.ns, "10.96.0.30", 80), "node");
	assert_string_equal(nt_ask(nt_a1, "10.96.0.30", 80, false), "node 10.244.0.2");
	nt_put_service(&nt_a, "default/out", NULL);
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
	nt_nft(nt_a.ns, "add table ip others");
	for (size_t i = 0; i < KG_ARRAY_LEN(foreign); i++) {
		nt_a.mended = 0;
		nt_nft(nt_a.ns, foreign[i]);
		nt_run_loop(&nt_a); /* stops when mended */
		assert_int_equal(nt_a.mended, 1);
		assert_string_equal(nt_ask(nt_a2, "10.96.0.7", 80, false), "a1 10.244.0.3");
		assert_string_equal(nt_ask(nt_b1, "10.96.0.7", 80, false), "a1 10.244.1.2");
		assert_string_equal(nt_ask(nt_a2, "10.96.0.9", 80, false), "refused");
	}
	/* Nobody else's table was touched, and a change of theirs wakes nobody. */
	nt_nft(nt_a.ns, "add table ip others");
	nt_nft(nt_a.ns, "add chain ip others theirs");
	nt_nft(nt_a.ns, "delete element ip kgit services '{ 10.96.0.7 . tcp . 80 }'");
	nt_run_loop(&nt_a);
	nt_nft(nt_a.ns, "list chain ip others theirs >/dev/null");
	assert_int_equal(nt_a.mended, 2);
}

/* A new run takes over the table: what stays the same keeps working throughout, what an earlier run
 * had and is no longer wanted goes. */
static void test_restart(void **state)
{
	(void)state;
	nt_open_services(&nt_a);
	assert_string_equal(nt_who(nt_a2, "10.96.0.7", 80), "a1"); /* still the old table's */
	nt_put_service(&nt_a, "default/a1",
		SERVICE("10.96.0.7", "", TCP("80", "0", "\"10.244.0.2:8080\"")));
	assert_string_equal(nt_who(nt_a2, "10.96.0.7", 80), "a1");
	assert_string_equal(nt_who(nt_a2, "10.96.0.11", 80), "refused");
}

/* A service of n endpoints, of which variant says one. */
static void put_number(int i, int n, int variant)
{
	KG_AUTOBUF struct kg_buf endpoints = KG_BUF_INIT, json = KG_BUF_INIT;
	char key[32];
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	snprintf(key, sizeof(key), "bench/s%d", i);
	kg_buf_addf(&endpoints, "\"10.244.0.%d:80\"", 10 + variant);
	for (int k = 1; k < n; k++)
		kg_buf_addf(&endpoints, ",\"10.244.%d.%d:80\"", k, i % 200 + 2);
	kg_buf_addf(&json, SERVICE("10.96.%d.%d", "", TCP("80", "0", "%s")), 100 + i / 250,
		i % 250 + 1, endpoints.data);
	nt_must(kg_json_parse(&v, &arena, json.data, json.len, &err), &err);
	kg_services_put(nt_a.services, key, &v);
}

static void put_all(void *ctx)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	static const char json[] = SERVICE("10.96.0.7", "", TCP("80", "0", "\"10.244.0.2:8080\""));
	struct kg_value v;
	struct kg_error err;

	(void)ctx;
	for (int i = 0; i < 2000; i++)
		put_number(i, 2, 0);
	nt_must(kg_json_parse(&v, &arena, json, strlen(json), &err), &err);
	kg_services_put(nt_a.services, "default/a1", &v);
	nt_must(kg_services_commit(nt_a.services, &err), &err);
}

/* Connection after connection, until nobody listens: 0, or 1 where one did not get through. */
static int ask_on(int alive)
{
	struct pollfd end = {.fd = alive};

	while (poll(&end, 1, 0) == 0) {
		const char *who = nt_who(nt_a2, "10.96.0.7", 80);

		if (strcmp(who, "a1") != 0) {
			fprintf(stderr, "in between: %s\n", who);
			return 1;
		}
	}
	return 0;
}

/* Rules that have to be made anew: libnftables cannot read the old ones, so the table goes. Yet
 * there is no moment without. */
static void test_new_rules(void **state)
{
	int alive[2], status;

	(void)state;
	nt_open_services(&nt_a);
	nt_in(nt_a.ns, put_all, NULL);
	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	pid_t asker = fork();
	if (asker == 0) {
		close(alive[1]);
		_exit(ask_on(alive[0]));
	}
	close(alive[0]);
	for (int i = 0; i < 3; i++) {
		nt_open_services(&nt_a);
		nt_in(nt_a.ns, put_all, NULL);
	}
	close(alive[1]);
	assert_int_equal(waitpid(asker, &status, 0), asker);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	nt_nft(nt_a.ns, "list tables | grep -qx 'table ip kgit'");
	nt_nft(nt_a.ns, "list tables | { ! grep next; }");
	/* What an earlier run left of it goes, too. */
	nt_nft(nt_a.ns, "add table ip kgit_next");
	nt_open_services(&nt_a);
	nt_in(nt_a.ns, put_all, NULL);
	nt_nft(nt_a.ns, "list tables | { ! grep next; }");
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

static const char *file_of(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s%s", nt_a.memory, name);
	return path;
}

static void put_left(const char *on)
{
	KG_AUTOFREE char *json =
		kg_asprintf(SERVICE("10.96.0.60", "", TCP("80", "0", "\"%s:8080\"")), on);

	nt_put_service(&nt_a, "default/left", json);
}

/* What an agent leaves to the next one: it is believed as long as nobody changed anything since. */
static void test_left(void **state)
{
	char memory[] = "/tmp/kgit-services-XXXXXX";
	KG_AUTOCLOSE int fd = mkstemp(memory);

	(void)state;
	assert_true(fd >= 0);
	nt_a.memory = memory;
	nt_open_services(&nt_a);
	put_left("10.244.0.2");
	assert_int_equal(access(file_of(".elements"), F_OK), -1);
	nt_open_services(&nt_a);
	assert_int_equal(access(file_of(".elements"), F_OK), 0);
	put_left("10.244.0.3");
	assert_int_equal(access(file_of(".elements"), F_OK), -1);
	assert_string_equal(nt_who(nt_a1, "10.96.0.60", 80), "a2");
	/* Somebody else did, when nobody looked; and before it was read. */
	for (int late = 0; late < 2; late++) {
		if (late)
			nt_open_services(&nt_a);
		else
			nt_close_services(&nt_a);
		nt_nft(nt_a.ns, "delete element ip kgit services '{ 10.96.0.60 . tcp . 80 }'");
		assert_string_equal(nt_who(nt_a1, "10.96.0.60", 80), "refused");
		if (!late)
			nt_open_services(&nt_a);
		put_left("10.244.0.3");
		assert_string_equal(nt_who(nt_a1, "10.96.0.60", 80), "a2");
	}
	/* A file that is none. */
	nt_close_services(&nt_a);
	assert_int_equal(truncate(file_of(".elements"), 100), 0);
	nt_open_services(&nt_a);
	put_left("10.244.1.2");
	assert_string_equal(nt_who(nt_a1, "10.96.0.60", 80), "b1");
	/* What was put and is not there yet is not said to be. */
	kg_services_put(nt_a.services, "default/left", NULL);
	nt_close_services(&nt_a);
	assert_int_equal(access(file_of(".elements"), F_OK), -1);
	nt_open_services(&nt_a);
	put_left("10.244.0.2");
	assert_string_equal(nt_who(nt_a2, "10.96.0.60", 80), "a1");
	nt_close_services(&nt_a);
	unlink(file_of(".elements"));
	unlink(memory);
	nt_a.memory = NULL;
	nt_open_services(&nt_a);
}

struct many {
	int services, endpoints;
};

static void put_many(const struct many *many)
{
	for (int i = 0; i < many->services; i++)
		put_number(i, many->endpoints, 0);
}

static void measure(void *ctx)
{
	const struct many *many = ctx;
	struct timespec t;
	struct kg_error err;
	double best = 1e9;

	put_many(many);
	clock_gettime(CLOCK_MONOTONIC, &t);
	nt_must(kg_services_commit(nt_a.services, &err), &err);
	double load = nt_ms_since(&t);
	for (int i = 0; i < 20; i++) {
		put_number(i, many->endpoints, 1 + i);
		clock_gettime(CLOCK_MONOTONIC, &t);
		nt_must(kg_services_commit(nt_a.services, &err), &err);
		double took = nt_ms_since(&t);
		best = took < best ? took : best;
		put_number(i, many->endpoints, 0);
	}
	nt_must(kg_services_commit(nt_a.services, &err), &err);
	print_message("%d services of %d: loaded in %.0f ms, one endpoint changed in %.3f ms, %ld "
		      "KB resident\n",
		many->services, many->endpoints, load, best, resident_kb());
	assert_true(best < 20);
}

static void measure_restart(void *ctx)
{
	const struct many *many = ctx;
	struct timespec t;
	struct kg_error err;

	put_many(many);
	clock_gettime(CLOCK_MONOTONIC, &t);
	nt_must(kg_services_commit(nt_a.services, &err), &err);
	print_message("and taken over by another agent in %.0f ms\n", nt_ms_since(&t));
}

static void test_many(void **state)
{
	struct many counts[] = {{1000, 2}, {10000, 2}, {5000, 10}};
	char memory[] = "/tmp/kgit-services-XXXXXX";
	KG_AUTOCLOSE int fd = mkstemp(memory);

	(void)state;
	assert_true(fd >= 0);
	nt_a.memory = memory;
	for (size_t i = 0; i < KG_ARRAY_LEN(counts); i++) {
		nt_open_services(&nt_a);
		nt_in(nt_a.ns, measure, &counts[i]);
		nt_open_services(&nt_a);
		nt_in(nt_a.ns, measure_restart, &counts[i]);
	}
	nt_close_services(&nt_a);
	unlink(file_of(".elements"));
	unlink(memory);
	nt_a.memory = NULL;
	nt_open_services(&nt_a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster_ip),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_node_port),
		cmocka_unit_test(test_external_ips),
		cmocka_unit_test(test_external_is_endpoint),
		cmocka_unit_test(test_external_shared),
		cmocka_unit_test(test_balance_and_affinity),
		cmocka_unit_test(test_udp_flow_moves),
		cmocka_unit_test(test_ports_change_hands),
		cmocka_unit_test(test_masquerade),
		cmocka_unit_test(test_outside_endpoint),
		cmocka_unit_test(test_mended),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_host_ports),
		cmocka_unit_test(test_udp_flow_waits),
		cmocka_unit_test(test_udp_flow_later),
		cmocka_unit_test(test_new_rules),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_many),
	};
	nt_start();
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return failed;
}
