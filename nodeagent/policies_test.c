/* Network policies on two nodes, each a network namespace: who reaches whom, from everywhere. */
#include "base/mem.h"
#include "nettwo.h"
#include "nodeagent/bridge.h"
#include "nodeagent/netlink.h"
#include "nodeagent/policies.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DENIED "denied"
/* A connection as the others see it: what came by a Service is denied by ICMP. */
static const char *ask(int from, const char *addr, int port, bool udp)
{
	const char *got = nt_ask(from, addr, port, udp);

	return strcmp(got, "refused") == 0 || strcmp(got, "No route to host") == 0 ? DENIED : got;
}

static struct kg_policies *policies_a, *policies_b;

static struct kg_policies **policies_of(const struct nt_node *n)
{
	return n == &nt_a ? &policies_a : &policies_b;
}

static void on_services(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	if (err)
		fail_msg("%s", err->msg);
}

static void open_policies(void *ctx)
{
	struct nt_node *n = ctx;
	struct kg_policies_options opts = {nt_mended, n};
	struct kg_error err;

	kg_policies_free(*policies_of(n));
	nt_must(kg_policies_new(policies_of(n), n->loop, &opts, &err), &err);
	nt_must(kg_policies_configure(*policies_of(n), n->cidr, &err), &err);
}

static void set_sysctl(const char *name, const char *value)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/sys/%s", name);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(value, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void start_policies(void *ctx)
{
	struct nt_node *n = ctx;
	struct kg_error err;

	set_sysctl("net/ipv4/icmp_ratelimit", "0"); /* else most denials take a second */
	open_policies(n);
	nt_must(kg_policies_commit(*policies_of(n), &err), &err);
}

static int set_up(void **state)
{
	static const char service[] =
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"protocol\":\"TCP\",\"port\":80,"
		"\"nodePort\":30080,\"endpoints\":[\"10.244.0.2:8080\"]}]}";

	(void)state;
	nt_two_start(on_services);
	nt_in(nt_a.ns, start_policies, &nt_a);
	nt_in(nt_b.ns, start_policies, &nt_b);
	nt_put_service(&nt_a, "default/a1", service);
	nt_put_service(&nt_b, "default/a1", service);
	nt_serve(nt_client, "world", 80, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_policies_free(policies_a);
	kg_policies_free(policies_b);
	nt_two_end();
	return 0;
}

struct putting {
	struct nt_node *node;
	const char *policy, *peers; /* of the policy default/p and of the peers x; NULL: none */
};

static struct kg_value *parse(struct kg_value *v, struct kg_arena *arena, const char *json)
{
	struct kg_error err;

	if (!json)
		return NULL;
	nt_must(kg_json_parse(v, arena, json, strlen(json), &err), &err);
	return v;
}

static void do_put(void *ctx)
{
	struct putting *p = ctx;
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	kg_policies_put(*policies_of(p->node), "default/p", parse(&v, &arena, p->policy));
	kg_policies_put_peers(*policies_of(p->node), "x", parse(&v, &arena, p->peers));
	nt_must(kg_policies_commit(*policies_of(p->node), &err), &err);
	kg_arena_release(&arena);
}

static void put(struct nt_node *n, const char *policy, const char *peers)
{
	struct putting p = {n, policy, peers};

	nt_in(n->ns, do_put, &p);
}

static const char *who(int from, const char *addr, int port)
{
	return nt_who(from, addr, port);
}

/* What each of those who ask is told by a1's port 8080 and by its Service. */
struct answers {
	const char *a2, *b1, *client;
};

/* What came by a Service is denied after a second: not each time. */
static bool is_too_slow(const char *what, const char *want, bool service)
{
	return service && strcmp(want, DENIED) == 0 && strcmp(what, "deny") != 0;
}

static void assert_answers(const char *what, const struct answers *want)
{
	const struct {
		int ns;
		const char *name, *want;
	} froms[] = {{nt_a2, "a2", want->a2}, {nt_b1, "b1", want->b1}};
	static const struct {
		const char *addr;
		int port;
	} ways[] = {{"10.244.0.2", 8080}, {"10.96.0.7", 80}, {"172.30.0.1", 30080}};

	for (size_t i = 0; i < KG_ARRAY_LEN(froms); i++) {
		/* By another node's NodePort it has that of its own node as its address. */
		for (size_t k = 0; k < (froms[i].ns == nt_b1 ? 2 : KG_ARRAY_LEN(ways)); k++) {
			if (is_too_slow(what, froms[i].want, k > 0))
				continue;
			const char *got = ask(froms[i].ns, ways[k].addr, ways[k].port, false);

			if (strncmp(got, froms[i].want, strlen(froms[i].want)) != 0)
				fail_msg("%s: %s to %s:%d: %s instead of %s", what, froms[i].name,
					ways[k].addr, ways[k].port, got, froms[i].want);
		}
	}
	const char *got = is_too_slow(what, want->client, true)
				  ? DENIED
				  : ask(nt_client, "192.168.7.1", 30080, false);
	if (strncmp(got, want->client, strlen(want->client)) != 0)
		fail_msg("%s: client: %s instead of %s", what, got, want->client);
	/* The node itself, as probes do; the pod itself, by its Service. */
	assert_string_equal(nt_who(nt_a.ns, "10.244.0.2", 8080), "a1");
	assert_string_equal(nt_who(nt_a.ns, "10.96.0.7", 80), "a1");
	assert_string_equal(nt_who(nt_a.ns, "127.0.0.1", 30080), "a1");
	assert_string_equal(nt_who(nt_a1, "10.96.0.7", 80), "a1");
}

#define A1 "{\"pods\":[\"10.244.0.2\"]"
#define X  "{\"addresses\":[\"10.244.1.2\"]}"

static void test_ingress(void **state)
{
	static const struct {
		const char *name, *policy, *peers;
		struct answers want;
	} cases[] = {
		{"none", NULL, NULL, {"a1", "a1", "a1"}},
		{"deny", A1 ",\"ingress\":[]}", NULL, {DENIED, DENIED, DENIED}},
		{"egress only", A1 ",\"egress\":[]}", NULL, {"a1", "a1", "a1"}},
		{"peer of the other node", A1 ",\"ingress\":[{\"peers\":[\"x\"]}]}", X,
			{DENIED, "a1", DENIED}},
		{"peer of the same node", A1 ",\"ingress\":[{\"peers\":[\"x\"]}]}",
			"{\"addresses\":[\"10.244.0.3\"]}", {"a1", DENIED, DENIED}},
		{"another port", A1 ",\"ingress\":[{\"ports\":[{\"port\":8081}]}]}", X,
			{DENIED, DENIED, DENIED}},
		{"peer and port",
			A1 ",\"ingress\":[{\"peers\":[\"x\"],\"ports\":[{\"port\":8080}]}]}", X,
			{DENIED, "a1", DENIED}},
		{"range of ports",
			A1 ",\"ingress\":[{\"peers\":[\"x\"],\"ports\":[{\"port\":8000,"
			   "\"endPort\":8080}]}]}",
			X, {DENIED, "a1", DENIED}},
		{"range of ports beside it",
			A1 ",\"ingress\":[{\"peers\":[\"x\"],\"ports\":[{\"port\":8081,"
			   "\"endPort\":8090}]}]}",
			X, {DENIED, DENIED, DENIED}},
		{"block",
			A1 ",\"ingress\":[{\"blocks\":[{\"cidr\":\"0.0.0.0/0\",\"except\":["
			   "\"10.244.1.0/24\"]}],\"ports\":[{\"port\":8080}]}]}",
			NULL, {"a1", DENIED, "a1"}},
		{"everybody", A1 ",\"ingress\":[{}]}", NULL, {"a1", "a1", "a1"}},
		{"wrong protocol",
			A1 ",\"ingress\":[{\"ports\":[{\"protocol\":\"UDP\",\"port\":8080}]}]}",
			NULL, {DENIED, DENIED, DENIED}},
		{"none again", NULL, NULL, {"a1", "a1", "a1"}},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		put(&nt_a, cases[i].policy, cases[i].peers);
		assert_answers(cases[i].name, &cases[i].want);
	}
}

static void test_egress(void **state)
{
	(void)state;
	put(&nt_a,
		A1 ",\"egress\":[{\"peers\":[\"x\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":"
		   "8080},{\"protocol\":\"UDP\",\"port\":8053}]}]}",
		X);
	assert_string_equal(who(nt_a1, "10.244.1.2", 8080), "b1");
	assert_string_equal(ask(nt_a1, "10.244.1.2", 8081, false), DENIED);
	assert_string_equal(ask(nt_a1, "10.244.0.3", 8080, false), DENIED);
	assert_string_equal(ask(nt_a1, "192.168.7.2", 80, false), DENIED);
	assert_string_equal(ask(nt_a1, "10.244.1.2", 8053, true), "b1 10.244.0.2");
	assert_string_equal(ask(nt_a1, "10.244.0.3", 8053, true), DENIED);
	/* Answers pass. */
	assert_string_equal(who(nt_a2, "10.244.0.2", 8080), "a1");
	assert_string_equal(who(nt_b1, "10.96.0.7", 80), "a1");
	/* The set says the port. */
	put(&nt_a, A1 ",\"egress\":[{\"peers\":[\"x\"],\"ports\":[{\"protocol\":\"TCP\"}]}]}",
		"{\"addresses\":[\"10.244.0.3:8081\"]}");
	assert_string_equal(who(nt_a1, "10.244.0.3", 8081), "a2");
	assert_string_equal(ask(nt_a1, "10.244.0.3", 8080, false), DENIED);
	/* The world, but not the cluster. */
	put(&nt_a,
		A1 ",\"egress\":[{\"blocks\":[{\"cidr\":\"0.0.0.0/0\",\"except\":["
		   "\"10.0.0.0/8\"]}]}]}",
		NULL);
	assert_string_equal(ask(nt_a1, "192.168.7.2", 80, false), "world 192.168.7.1");
	assert_string_equal(ask(nt_a1, "10.244.0.3", 8080, false), DENIED);
	put(&nt_a, NULL, NULL);
}

/* Both ends have a say. */
static void test_both_nodes(void **state)
{
	(void)state;
	put(&nt_a, A1 ",\"ingress\":[{\"peers\":[\"x\"]}]}", X);
	put(&nt_b, "{\"pods\":[\"10.244.1.2\"],\"egress\":[]}", NULL);
	assert_string_equal(ask(nt_b1, "10.244.0.2", 8080, false), DENIED);
	assert_string_equal(ask(nt_b1, "10.96.0.7", 80, false), DENIED);
	put(&nt_b, "{\"pods\":[\"10.244.1.2\"],\"egress\":[{\"peers\":[\"x\"]}]}",
		"{\"addresses\":[\"10.244.0.2\"]}");
	assert_string_equal(who(nt_b1, "10.244.0.2", 8080), "a1");
	assert_string_equal(who(nt_b1, "10.96.0.7", 80), "a1");
	put(&nt_a, NULL, NULL);
	put(&nt_b, NULL, NULL);
}

/* ---- connections that are there ---- */

struct dialling {
	const char *addr;
	int port, fd;
};

static void dial(void *ctx)
{
	struct dialling *d = ctx;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)d->port)};
	struct timeval wait = {3, 0};

	inet_pton(AF_INET, d->addr, &to.sin_addr);
	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(d->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(d->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(d->fd, (void *)&to, sizeof(to)) < 0)
		fail_msg("%s:%d: %s", d->addr, d->port, strerror(errno));
}

static void start_listening(void *ctx)
{
	struct dialling *d = ctx;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)d->port)};

	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(d->fd, (void *)&at, sizeof(at)) < 0 || listen(d->fd, 8) < 0)
		fail_msg("listen: %s", strerror(errno));
}

static bool passes(int from, int to)
{
	char byte = 'x';
	struct pollfd p = {to, POLLIN, 0};

	return send(from, &byte, 1, MSG_NOSIGNAL) == 1 && poll(&p, 1, 3000) == 1 &&
	       recv(to, &byte, 1, 0) == 1;
}

static void stop(void *ctx)
{
	kg_loop_stop(ctx, 0);
}

/* Long enough for the timer that cuts connections. */
static void run_for_a_moment(void *ctx)
{
	struct nt_node *n = ctx;
	struct kg_timer *timer = kg_timer_new(n->loop, stop, n->loop);

	kg_timer_set(timer, 200);
	kg_loop_run(n->loop);
	kg_timer_free(timer);
}

static void test_cut(void **state)
{
	struct dialling server = {.port = 9000}, kept = {"10.244.0.2", 9000, -1},
			lost = {"10.244.0.2", 9000, -1}, pushed = {"10.244.0.2", 9000, -1};
	int ends[3];

	(void)state;
	nt_in(nt_a1, start_listening, &server);
	nt_in(nt_b1, dial, &kept);
	ends[0] = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
	nt_in(nt_a2, dial, &lost);
	ends[1] = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
	nt_in(nt_a2, dial, &pushed);
	ends[2] = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(
		passes(kept.fd, ends[0]) && passes(lost.fd, ends[1]) && passes(pushed.fd, ends[2]));
	put(&nt_a, A1 ",\"ingress\":[{\"peers\":[\"x\"]}]}", X);
	nt_in(nt_a.ns, run_for_a_moment, &nt_a);
	assert_true(passes(kept.fd, ends[0]) && passes(ends[0], kept.fd));
	assert_false(passes(lost.fd, ends[1]));
	/* Nor does it come alive again by what the server says first. */
	assert_false(passes(ends[2], pushed.fd));
	put(&nt_a, NULL, NULL);
	close(server.fd);
	close(kept.fd);
	close(lost.fd);
	close(pushed.fd);
	for (int i = 0; i < 3; i++)
		close(ends[i]);
}

/* ---- around the rules ---- */

struct frame {
	uint8_t to[6];
	uint16_t ifindex_of_eth0;
	bool sent;
};

/* A datagram to a2, straight to its link address, past the host's routing. */
static void send_frame(void *ctx)
{
	struct frame *f = ctx;
	uint8_t packet[sizeof(struct iphdr) + sizeof(struct udphdr) + 1] = {0};
	struct iphdr *ip = (void *)packet;
	struct udphdr *udp = (void *)(packet + sizeof(*ip));
	struct sockaddr_ll to = {.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex("eth0"),
		.sll_halen = 6};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));

	memcpy(to.sll_addr, f->to, 6);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(sizeof(packet));
	ip->ttl = 8;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = inet_addr("10.244.0.2");
	ip->daddr = inet_addr("10.244.0.3");
	uint32_t sum = 0;
	for (size_t i = 0; i < sizeof(*ip); i += 2)
		sum += (uint32_t)packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xFFFF) + (sum >> 16);
	ip->check = htons((uint16_t) ~(sum + (sum >> 16)));
	udp->dest = htons(7777);
	udp->source = htons(7777);
	udp->len = htons(sizeof(*udp) + 1);
	f->sent = sendto(fd, packet, sizeof(packet), 0, (void *)&to, sizeof(to)) ==
		  (ssize_t)sizeof(packet);
	close(fd);
}

static void link_address(void *ctx)
{
	struct frame *f = ctx;
	struct kg_netlink *nl;
	struct kg_link link;
	struct kg_error err;

	nt_must(kg_netlink_open(&nl, -1, &err), &err);
	nt_must(kg_link_get(&link, nl, "eth0", &err), &err);
	kg_netlink_close(nl);
	memcpy(f->to, link.mac, 6);
}

static void bind_udp(void *ctx)
{
	struct dialling *d = ctx;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)d->port)};

	d->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(d->fd, (void *)&at, sizeof(at)) < 0)
		fail_msg("bind: %s", strerror(errno));
}

static void test_frames(void **state)
{
	struct dialling at = {.port = 7777};
	struct frame f = {0};

	(void)state;
	put(&nt_a, "{\"pods\":[\"10.244.0.3\"],\"ingress\":[]}", NULL);
	nt_in(nt_a2, bind_udp, &at);
	nt_in(nt_a2, link_address, &f);
	nt_in(nt_a1, send_frame, &f);
	assert_true(f.sent);
	struct pollfd p = {at.fd, POLLIN, 0};
	assert_int_equal(poll(&p, 1, 300), 0);
	close(at.fd);
	put(&nt_a, NULL, NULL);
}

/* Where bridges hand what they pass on to the packet filter (br_netfilter), and where not. */
static void call_filter(void *ctx)
{
	if (access("/proc/sys/net/bridge", F_OK) == 0)
		set_sysctl("net/bridge/bridge-nf-call-iptables", ctx);
}

static void test_bridge_filter(void **state)
{
	static char values[][2] = {"0", "1"};

	for (size_t i = 0; i < KG_ARRAY_LEN(values); i++) {
		nt_in(nt_a.ns, call_filter, values[i]);
		test_ingress(state);
		test_egress(state);
		test_frames(state);
	}
}

/* ---- others, and an agent that starts again ---- */

#define MANY                                                                                       \
	A1 ",\"ingress\":[{\"peers\":[\"x\"],\"ports\":[{\"port\":8080},{\"port\":9000,"           \
	   "\"endPort\":"                                                                          \
	   "9010}]},{\"blocks\":[{\"cidr\":\"10.9.0.0/16\"}]}],\"egress\":[{\"peers\":[\"x\"]}]}"

static void test_mended(void **state)
{
	static const char *const foreign[] = {
		"flush ruleset",
		"flush map ip kgit_policies in_pods",
		"flush set ip kgit_policies in_ports",
		"flush set ip kgit_policies in_ranges",
		"flush chain ip kgit_policies forward",
		"insert rule ip kgit_policies in accept",
		"delete table bridge kgit_policies",
		"delete table ip kgit_policies",
	};
	const struct answers want = {DENIED, "a1", DENIED};

	(void)state;
	put(&nt_a, MANY, X);
	for (size_t i = 0; i < KG_ARRAY_LEN(foreign); i++) {
		nt_a.mended = 0;
		nt_nft(nt_a.ns, foreign[i]);
		nt_run_loop(&nt_a); /* stops when mended */
		assert_int_equal(nt_a.mended, 1);
		nt_in(nt_a.ns, run_for_a_moment, &nt_a); /* services too */
		assert_answers(foreign[i], &want);
	}
}

/* The table as text can be read again: administrators keep their rules so. */
static void test_text(void **state)
{
	(void)state;
	nt_nft(nt_a.ns, "list table ip kgit_policies >/tmp/kgit-policies-test.nft");
	nt_nft(nt_client, "-f /tmp/kgit-policies-test.nft");
	nt_nft(nt_client, "flush ruleset");
	unlink("/tmp/kgit-policies-test.nft");
}

static void commit_only(void *ctx)
{
	struct nt_node *n = ctx;
	struct kg_error err;

	nt_must(kg_policies_commit(*policies_of(n), &err), &err);
}

static void test_restart(void **state)
{
	const struct answers want = {DENIED, "a1", DENIED}, open = {"a1", "a1", "a1"};

	(void)state;
	put(&nt_a, MANY, X);
	nt_in(nt_a.ns, open_policies, &nt_a);
	assert_answers("still the old table's", &want);
	put(&nt_a, MANY, X);
	assert_answers("taken over", &want);
	nt_in(nt_a.ns, open_policies, &nt_a);
	nt_in(nt_a.ns, commit_only, &nt_a);
	assert_answers("what an earlier run had goes", &open);
}

/* A pod waits for its policies. */
static void test_held(void **state)
{
	struct nt_setup p = {
		&nt_a, {.uid = "h", .ns = "default", .name = "h", .ip = "10.244.0.9"}, 0, {0}};

	(void)state;
	nt_pod("h", &p.pod.netns);
	uint64_t first = kg_bridge_hold(nt_a.bridge), second = kg_bridge_hold(nt_a.bridge);
	kg_bridge_let(nt_a.bridge, first);
	nt_set_up_pod(&p);
	assert_int_equal(p.rc, -KG_E_UNAVAILABLE);
	assert_non_null(strstr(p.err.msg, "network policies"));
	kg_bridge_let(nt_a.bridge, second);
	nt_set_up_pod(&p);
	nt_must(p.rc, &p.err);
}

/* ---- cost ---- */

static void put_number(int i, int variant)
{
	struct kg_arena arena = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf policy = KG_BUF_INIT, peers = KG_BUF_INIT;
	char key[32];
	struct kg_value v;

	kg_buf_addf(&policy,
		"{\"pods\":[\"10.244.0.%d\"],\"ingress\":[{\"peers\":[\"s%d\"],\"ports\":["
		"{\"port\":80},{\"port\":443}]},{\"blocks\":[{\"cidr\":\"172.16.%d.0/24\"}]}]}",
		10 + i % 240, i, i % 256);
	kg_buf_adds(&peers, "{\"addresses\":[");
	for (int k = 0; k < 10; k++)
		kg_buf_addf(&peers, "%s\"10.244.%d.%d\"", k ? "," : "", 1 + (i * 10 + k) / 250,
			(i * 10 + k) % 250);
	if (variant)
		kg_buf_addf(&peers, ",\"10.244.99.%d\"", variant);
	kg_buf_adds(&peers, "]}");
	snprintf(key, sizeof(key), "bench/p%d", i);
	kg_policies_put(policies_a, key, parse(&v, &arena, policy.data));
	snprintf(key, sizeof(key), "s%d", i);
	kg_policies_put_peers(policies_a, key, parse(&v, &arena, peers.data));
	kg_arena_release(&arena);
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
	nt_must(kg_policies_commit(policies_a, &err), &err);
	double load = nt_ms_since(&t);
	for (int i = 0; i < 20; i++) {
		clock_gettime(CLOCK_MONOTONIC, &t);
		put_number(i, 1 + i);
		nt_must(kg_policies_commit(policies_a, &err), &err);
		double took = nt_ms_since(&t);
		best = took < best ? took : best;
	}
	print_message(
		"%d policies: loaded in %.0f ms, a peer came in %.3f ms\n", *count, load, best);
	assert_true(best < 50);
}

static void test_many(void **state)
{
	int counts[] = {10, 100, 1000};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(counts); i++) {
		nt_in(nt_a.ns, open_policies, &nt_a);
		nt_in(nt_a.ns, measure, &counts[i]);
	}
	nt_in(nt_a.ns, open_policies, &nt_a);
	nt_in(nt_a.ns, commit_only, &nt_a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ingress),
		cmocka_unit_test(test_egress),
		cmocka_unit_test(test_both_nodes),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_bridge_filter),
		cmocka_unit_test(test_mended),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_many),
	};
	nt_start();
	int failed = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return failed;
}
