#include "base/hash.h"
#include "nodeagent/maglev.h"
#include "nodeagent/services_flows.h"
#include "nodeagent/services_plan.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

static struct kg_services_config config;

static int set_up(void **state)
{
	(void)state;
	config.node = inet_addr("172.30.0.1");
	config.master = inet_addr("192.0.2.200");
	config.master_port = htons(80);
	return kg_cidr_parse(&config.pods, "10.244.1.0/29", NULL) +
	       kg_cidr_parse(&config.cluster, "10.244.0.0/16", NULL) +
	       kg_cidr_parse(&config.services, "10.96.0.0/16", NULL);
}

static struct kg_service *parse(const char *json)
{
	struct kg_arena arena = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (kg_json_parse(&v, &arena, json, strlen(json), &err) < 0)
		fail_msg("%s", err.msg);
	struct kg_service *s = kg_service_parse(&v, "here");
	kg_arena_release(&arena);
	return s;
}

static void elements_of(struct kg_nft_elems *out, const char *json)
{
	struct kg_service *s = json ? parse(json) : NULL;

	kg_service_elements(out, s, &config);
	kg_nft_elems_sort(out);
	free(s);
}

#define PLACE(host, node)  "{\"address\":\"192.0.2." host "\",\"nodeName\":\"" node "\"}"
#define THREE_PLACES(host) PLACE(host, "here") "," PLACE(host, "there") "," PLACE(host, "")
#define EXTERNAL(addresses, more, endpoints)                                                       \
	"{\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[" addresses "]" more                        \
	",\"ports\":[{\"port\":80,\"endpoints\":[" endpoints "]}]}"
/* before, after -> what is deleted ("-") and added ("+"); slots to one endpoint are counted:
 * "x16 address" instead of a line each. */
static const struct {
	const char *name, *before, *after, *changes;
} cases[] = {
	{"a service with one endpoint", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"protocol\":\"TCP\",\"port\":80,"
		"\"endpoints\":[\"10.244.1.2:8080\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+slots x16 10.244.1.2 . 8080\n"},
	{"no endpoints, no elements", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[]}]}", ""},
	{"headless", NULL,
		"{\"clusterIP\":\"None\",\"ports\":[{\"port\":80,\"endpoints\":[\"1.2.3.4:1\"]}]}",
		""},
	{"faulty ports and endpoints are left out", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":0,\"endpoints\":[\"1.2.3.4:1\"]}"
		","
		"{\"port\":53,\"protocol\":\"UDP\",\"endpoints\":[\"1.2.3.4\",\"1.2.3.4:x\",\"a:"
		"1\",5,"
		"\"1.2.3.4:65536\",\"10.244.1.3:53\",\"10.244.1.3:53\"]}]}",
		"+services 10.96.0.7 . udp . 53 : goto c16\n"
		"+slots x16 10.244.1.3 . 53\n"},
	{"node port and affinity", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"sessionAffinity\":\"ClientIP\",\"ports\":[{"
		"\"port\":80,"
		"\"nodePort\":30080,\"endpoints\":[\"10.244.1.2:8080\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto ca16\n"
		"+nodeports tcp . 30080 : goto na16\n"
		"+slots x16 10.244.1.2 . 8080\n"
		"+nodeslots x16 10.244.1.2 . 8080\n"},
	{"local policy: only endpoints of this node by the node port", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{"
		"\"port\":80,"
		"\"nodePort\":30080,\"endpoints\":[\"10.244.1.2:8080\",\"10.244.2.2:8080\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+nodeports tcp . 30080 : goto n16\n"
		"+inner_nodeports tcp . 30080 : goto ni16\n"
		"+slots x8 10.244.1.2 . 8080\n"
		"+slots x8 10.244.2.2 . 8080\n"
		"+nodeslots x24 10.244.1.2 . 8080\n"
		"+nodeslots x8 10.244.2.2 . 8080\n"},
	{"local policies: a place that is said counts, not what the address looks like", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"internalTrafficPolicy\":\"Local\",\"places\":[{"
		"\"address\":\"192.0.2.7\",\"nodeName\":\"here\"},{\"address\":\"192.0.2.8\","
		"\"nodeName\":\"there\"},{\"address\":\"10.244.1.2\",\"nodeName\":\"\"}],"
		"\"ports\":[{\"port\":80,\"endpoints\":[\"192.0.2.7:1\",\"192.0.2.8:1\","
		"\"10.244.1.2:1\",\"192.0.2.9:1\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+slots x16 192.0.2.7 . 1\n"},
	{"local policies: of those that say where an address is, one that is here counts", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"internalTrafficPolicy\":\"Local\",\"places\":"
		"[" THREE_PLACES("6") "," THREE_PLACES("7") "],"
							    "\"ports\":[{\"port\":80,\"endpoints\":"
							    "[\"192.0.2.6:1\",\"192.0.2.7:1\","
							    "\"192.0.2.8:1\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+slots x8 192.0.2.6 . 1\n"
		"+slots x8 192.0.2.7 . 1\n"},
	{"local policies: with none that is ready, those that end and serve", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"externalTrafficPolicy\":\"Local\",\"ports\":[{"
		"\"port\":80,\"nodePort\":30080,\"endpoints\":[\"10.244.2.2:1\"],"
		"\"draining\":[\"10.244.1.2:1\",\"10.244.3.2:1\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+nodeports tcp . 30080 : goto n16\n"
		"+inner_nodeports tcp . 30080 : goto ni16\n"
		"+slots x16 10.244.2.2 . 1\n"
		"+nodeslots x16 10.244.1.2 . 1\n"
		"+nodeslots x16 10.244.2.2 . 1\n"},
	{"and not them where one is ready", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"internalTrafficPolicy\":\"Local\",\"ports\":[{"
		"\"port\":80,\"endpoints\":[\"10.244.1.3:1\"],\"draining\":[\"10.244.1.2:1\"]}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+slots x16 10.244.1.3 . 1\n"},
	{"an external address, said twice; one that is a pod's and one that is a service's", NULL,
		EXTERNAL("\"192.0.2.1\",\"10.244.9.9\",\"192.0.2.1\",\"10.96.9.9\",\"::1\"", "",
			"\"10.244.1.2:8080\""),
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+externals 192.0.2.1 . tcp . 80 : goto c16\n"
		"+external_addrs 192.0.2.1\n"
		"+external_ports 192.0.2.1 . tcp . 80\n"
		"+slots x32 10.244.1.2 . 8080\n"},
	{"an external address without endpoints", NULL, EXTERNAL("\"192.0.2.1\"", "", ""),
		"+external_addrs 192.0.2.1\n"
		"+external_ports 192.0.2.1 . tcp . 80\n"},
	{"an external address that is an endpoint, and one that is another port's", NULL,
		EXTERNAL("\"192.0.2.1\",\"192.0.2.2\"", "", "\"192.0.2.1:80\",\"192.0.2.2:81\""),
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+externals 192.0.2.1 . tcp . 80 : goto c16\n"
		"+externals 192.0.2.2 . tcp . 80 : goto c16\n"
		"+external_addrs 192.0.2.1\n"
		"+external_addrs 192.0.2.2\n"
		"+external_ports 192.0.2.2 . tcp . 80\n"
		"+slots x24 192.0.2.1 . 80\n"
		"+slots x24 192.0.2.2 . 81\n"},
	{"the master's address: its port leads to the master", NULL,
		"{\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[\"192.0.2.200\"],\"ports\":["
		"{\"port\":80,\"endpoints\":[\"10.244.1.2:1\"]},{\"port\":81},"
		"{\"port\":80,\"protocol\":\"UDP\"}]}",
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+external_addrs 192.0.2.200\n"
		"+external_ports 192.0.2.200 . tcp . 81\n"
		"+external_ports 192.0.2.200 . udp . 80\n"
		"+slots x16 10.244.1.2 . 1\n"},
	{"local policy: outside only endpoints of this node by the external address", NULL,
		EXTERNAL("\"192.0.2.1\"",
			",\"sessionAffinity\":\"ClientIP\",\"externalTrafficPolicy\":\"Local\"",
			"\"10.244.1.2:8080\",\"10.244.2.2:8080\""),
		"+services 10.96.0.7 . tcp . 80 : goto ca16\n"
		"+externals 192.0.2.1 . tcp . 80 : goto ca16\n"
		"+external_addrs 192.0.2.1\n"
		"+external_ports 192.0.2.1 . tcp . 80\n"
		"+inner_externals 192.0.2.1 . tcp . 80 : goto cia16\n"
		"+slots x32 10.244.1.2 . 8080\n"
		"+slots x16 10.244.2.2 . 8080\n"},
	{"and with none here", NULL,
		EXTERNAL("\"192.0.2.1\"", ",\"externalTrafficPolicy\":\"Local\"",
			"\"10.244.2.2:8080\""),
		"+services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+external_addrs 192.0.2.1\n"
		"+external_ports 192.0.2.1 . tcp . 80\n"
		"+inner_externals 192.0.2.1 . tcp . 80 : goto ci16\n"
		"+slots x32 10.244.2.2 . 8080\n"},
	{"the second endpoint takes half: an element of another value is in both",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[\"10.244.1.2:"
		"8080\"]}]}",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,"
		"\"endpoints\":[\"10.244.1.3:8080\",\"10.244.1.2:8080\"]}]}",
		"-slots x8 10.244.1.2 . 8080\n"
		"+slots x8 10.244.1.3 . 8080\n"},
	{"the last endpoint goes",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[\"10.244.1.2:"
		"8080\"]}]}",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[]}]}",
		"-services 10.96.0.7 . tcp . 80 : goto c16\n"
		"-slots x16 10.244.1.2 . 8080\n"},
	{"affinity is switched on",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[\"10.244.1.2:"
		"8080\"]}]}",
		"{\"clusterIP\":\"10.96.0.7\",\"sessionAffinity\":\"ClientIP\",\"ports\":[{"
		"\"port\":80,"
		"\"endpoints\":[\"10.244.1.2:8080\"]}]}",
		"-services 10.96.0.7 . tcp . 80 : goto c16\n"
		"+services 10.96.0.7 . tcp . 80 : goto ca16\n"},
	{"nothing changed",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[\"10.244.1.2:"
		"8080\"]}]}",
		"{\"clusterIP\":\"10.96.0.7\",\"ports\":[{\"port\":80,\"endpoints\":[\"10.244.1.2:"
		"8080\"]}]}",
		""},
};

/* Lines of elements; slots of one endpoint as one line with their number. */
static void print(struct kg_buf *out, char sign, const struct kg_nft_elems *e)
{
	for (int set = 0; set < KG_SET_COUNT; set++) {
		struct {
			char text[64];
			int n;
		} to[64];
		int nto = 0;

		for (size_t i = 0; i < e->n; i++) {
			KG_AUTOBUF struct kg_buf line = KG_BUF_INIT;
			int k = 0;

			if (e->items[i].set != set)
				continue;
			kg_nft_elem_print(&line, &e->items[i]);
			char *target = strstr(line.data, " : ");
			if (set != KG_SET_SLOTS && set != KG_SET_NODESLOTS) {
				kg_buf_addf(out, "%c%s", sign, line.data);
				continue;
			}
			while (k < nto && strcmp(to[k].text, target + 3) != 0)
				k++;
			if (k == nto) {
				to[nto].n = 0;
				snprintf(to[nto++].text, sizeof(to[0].text), "%s", target + 3);
			}
			to[k].n++;
		}
		for (int k = 0; k < nto; k++)
			kg_buf_addf(out, "%c%s x%d %s", sign, kg_services_table.sets[set].name,
				to[k].n, to[k].text);
	}
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Endpoints come in the order of their slots: lines are compared sorted. */
static void sort_lines(struct kg_buf *text)
{
	char *lines[64], *save = NULL;
	KG_AUTOBUF struct kg_buf sorted = KG_BUF_INIT;
	size_t n = 0;

	for (char *s = strtok_r(text->data, "\n", &save); s; s = strtok_r(NULL, "\n", &save))
		lines[n++] = s;
	if (n)
		qsort(lines, n, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < n; i++)
		kg_buf_addf(&sorted, "%s\n", lines[i]);
	kg_buf_clear(text);
	kg_buf_add(text, sorted.data, sorted.len);
}

static void test_elements(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_nft_elems before = {0}, after = {0}, del = {0}, add = {0};
		KG_AUTOBUF struct kg_buf got = KG_BUF_INIT, want = KG_BUF_INIT;

		elements_of(&before, cases[i].before);
		elements_of(&after, cases[i].after);
		kg_nft_elems_diff(&del, &add, &before, &after);
		print(&got, '-', &del);
		print(&got, '+', &add);
		kg_buf_adds(&want, cases[i].changes);
		if (got.len)
			sort_lines(&got);
		if (want.len)
			sort_lines(&want);
		if (strcmp(kg_buf_str(&got), kg_buf_str(&want)) != 0)
			fail_msg("%s:\n%sexpected:\n%s", cases[i].name, kg_buf_str(&got),
				kg_buf_str(&want));
		kg_nft_elems_release(&before);
		kg_nft_elems_release(&after);
		kg_nft_elems_release(&del);
		kg_nft_elems_release(&add);
	}
}

/* What no master lets in. */
static void test_externals_bound(void **state)
{
	KG_AUTOBUF struct kg_buf json = KG_BUF_INIT;

	(void)state;
	kg_buf_adds(&json, "{\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[\"192.0.2.1\"");
	for (int i = 0; i < 2000; i++)
		kg_buf_addf(&json, ",\"192.0.%d.%d\"", 10 + i / 250, i % 250);
	kg_buf_adds(&json, "],\"ports\":[{\"port\":1}");
	for (int i = 2; i <= 300; i++)
		kg_buf_addf(&json, ",{\"port\":%d}", i);
	kg_buf_adds(&json, "]}");
	KG_AUTOFREE struct kg_service *s = parse(json.data);
	assert_int_equal(s->nports, 300);
	assert_int_equal(s->nexternals, 3);
}

static void test_node_elements(void **state)
{
	struct kg_nft_elems e = {0};
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;

	(void)state;
	kg_services_node_elements(&e, &config);
	print(&got, '+', &e);
	assert_string_equal(got.data, "+hairpin 10.244.1.2 . 10.244.1.2\n"
				      "+hairpin 10.244.1.3 . 10.244.1.3\n"
				      "+hairpin 10.244.1.4 . 10.244.1.4\n"
				      "+hairpin 10.244.1.5 . 10.244.1.5\n"
				      "+hairpin 10.244.1.6 . 10.244.1.6\n");
	kg_nft_elems_release(&e);
}

#define NODE "172.30.0.1"
/* A flow, when a service of UDP port 53 has other endpoints than it had. */
static const struct {
	const char *dst, *to;
	uint16_t dst_port, to_port;
	uint8_t protocol;
	const char *had, *have;
	bool whole, stale;
} flow_cases[] = {
	/* stays where it is led */
	{"10.96.0.7", "10.244.1.2", 53, 53, 17, "1", "12", false, false},
	{NODE, "10.244.1.2", 30053, 53, 17, "1", "12", false, false},
	/* the endpoint is gone; another one; the last one */
	{"10.96.0.7", "10.244.1.2", 53, 53, 17, "12", "2", false, true},
	{"192.0.2.1", "10.244.1.2", 53, 53, 17, "12", "2", false, true},
	{"10.96.0.7", "10.244.1.2", 53, 53, 17, "1", "", false, true},
	{NODE, "10.244.1.2", 30053, 53, 17, "1", "", false, true},
	{"10.96.0.7", "10.244.1.2", 53, 53, 6, "1", "", false, false},
	{"10.96.0.7", "10.244.1.2", 54, 53, 17, "1", "", false, false},
	/* it began before there was one */
	{NODE, NODE, 30053, 30053, 17, "", "1", false, true},
	{"10.96.0.7", "10.96.0.7", 53, 53, 17, "", "1", false, true},
	{"192.0.2.1", "192.0.2.1", 53, 53, 17, "", "1", false, true},
	/* that port of another machine */
	{"192.0.2.9", "192.0.2.9", 30053, 30053, 17, "", "1", false, false},
	/* the name server's */
	{"10.244.1.1", "10.244.1.1", 53, 53, 17, "", "1", true, false},
	/* a service that is gone; what is known of services alone is not all */
	{"10.96.0.8", "10.244.1.2", 53, 53, 17, "", "1", true, true},
	{"10.96.0.8", "10.244.1.2", 53, 53, 17, "", "1", false, false},
	{"192.0.2.9", "192.0.2.9", 53, 53, 17, "", "1", true, false},
};

static void dns_elements(struct kg_nft_elems *out, const char *hosts)
{
	KG_AUTOBUF struct kg_buf endpoints = KG_BUF_INIT, json = KG_BUF_INIT;

	for (const char *p = hosts; *p; p++)
		kg_buf_addf(&endpoints, "%s\"10.244.1.%d:53\"", p > hosts ? "," : "", *p - '0' + 1);
	kg_buf_addf(&json,
		"{\"clusterIP\":\"10.96.0.7\",\"externalIPs\":[\"192.0.2.1\"],\"ports\":["
		"{\"protocol\":\"UDP\",\"port\":53,\"nodePort\":30053,\"endpoints\":[%s]}]}",
		kg_buf_str(&endpoints));
	elements_of(out, json.data);
}

static void test_flows(void **state)
{
	const in_addr_t local[] = {
		inet_addr("127.0.0.1"), inet_addr(NODE), inet_addr("10.244.1.1")};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(flow_cases); i++) {
		struct kg_nft_elems had = {0}, have = {0};
		struct kg_flows flows = {.had = &had,
			.have = &have,
			.config = &config,
			.whole = flow_cases[i].whole,
			.local = local,
			.nlocal = KG_ARRAY_LEN(local)};
		struct kg_conntrack_flow f = {.src = inet_addr("10.244.1.6"),
			.dst = inet_addr(flow_cases[i].dst),
			.to = inet_addr(flow_cases[i].to),
			.dst_port = htons(flow_cases[i].dst_port),
			.to_port = htons(flow_cases[i].to_port),
			.protocol = flow_cases[i].protocol};

		dns_elements(&had, flow_cases[i].had);
		dns_elements(&have, flow_cases[i].have);
		assert_true(kg_nft_elems_have_udp(&have) || !*flow_cases[i].have);
		if (kg_flow_is_stale(&flows, &f) != flow_cases[i].stale)
			fail_msg("case %zu: to %s by %s", i, flow_cases[i].to, flow_cases[i].dst);
		kg_nft_elems_release(&had);
		kg_nft_elems_release(&have);
	}
}

/* Even, and stable: removing one of n backends moves little more than its own slots. */
static void test_maglev(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 4, 5, 10, 30, 100, 500, 1024, 3000};

	(void)state;
	for (size_t c = 0; c < KG_ARRAY_LEN(sizes); c++) {
		static uint64_t hashes[3000];
		static uint16_t table[KG_MAGLEV_MAX], less[KG_MAGLEV_MAX];
		static unsigned count[3000];
		size_t n = sizes[c], size = kg_maglev_size(n), moved = 0;

		assert_true(size >= KG_MAGLEV_MIN && size <= KG_MAGLEV_MAX);
		assert_int_equal(size & (size - 1), 0);
		for (size_t i = 0; i < n; i++)
			hashes[i] = kg_hash64(&i, sizeof(i));
		kg_maglev_fill(table, size, hashes, n);
		memset(count, 0, sizeof(count));
		for (size_t i = 0; i < size; i++)
			count[table[i]]++;
		for (size_t i = 0; i < n; i++)
			assert_in_range(count[i], size / n, size / n + 1);
		if (n == 1)
			continue;
		kg_maglev_fill(less, size, hashes, n - 1); /* without the last */
		for (size_t i = 0; i < size; i++)
			moved += table[i] != n - 1 && table[i] != less[i];
		assert_true(moved <= size / 3);
	}
}

/* The number of rules does not depend on services; the ranges are where they belong. */
static void test_rules(void **state)
{
	KG_AUTOBUF struct kg_buf keep = KG_BUF_INIT, fresh = KG_BUF_INIT;
	static const char *const lines[] = {
		"\t\tip daddr 10.96.0.0/16 ip daddr . meta l4proto . th dport vmap @services\n",
		"\t\tip saddr 10.244.1.0/29 ip daddr != 10.244.0.0/16 oifname != \"kgit0\" "
		"masquerade\n",
		"\tchain ca64 {\n\t\tdnat ip to ip daddr . meta l4proto . th dport . jhash ip "
		"saddr mod 64 "
		"seed 0x6b676974 map @slots\n\t}\n",
		"\tchain cia4096 {\n\t\tdnat ip to ip daddr . meta l4proto . th dport . jhash ip "
		"saddr mod 4096 seed 0x6b676974 offset 32768 map @slots\n\t}\n",
		"\tchain n4096 {\n\t\tdnat ip to meta l4proto . th dport . numgen random mod 4096 "
		"map "
		"@nodeslots\n\t}\n",
	};

	(void)state;
	kg_services_rules(&keep, &config, "kgit", false);
	kg_services_rules(&fresh, &config, "kgit", true);
	assert_non_null(strstr(keep.data, "flush table ip kgit\n"));
	assert_null(strstr(keep.data, "delete table"));
	assert_non_null(strstr(fresh.data, "delete table ip kgit\n"));
	for (size_t i = 0; i < KG_ARRAY_LEN(lines); i++) {
		if (!strstr(keep.data, lines[i]))
			fail_msg("missing: %s", lines[i]);
	}
	assert_null(strchr(keep.data, '%'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_elements),
		cmocka_unit_test(test_externals_bound),
		cmocka_unit_test(test_node_elements),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_maglev),
		cmocka_unit_test(test_rules),
	};
	return cmocka_run_group_tests(tests, set_up, NULL);
}
