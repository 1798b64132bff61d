/* Policies and peers in, what changes in the packet filter out; and every answer of the plan
 * against the elements that it gave. */
#include "base/mem.h"
#include "nodeagent/policies_plan.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Numbers of classes in the order in which a case sees them: A, B, ... */
static uint32_t seen[26];
static size_t nseen;

static char letter(uint32_t id)
{
	for (size_t i = 0; i < nseen; i++) {
		if (seen[i] == id)
			return (char)('A' + i);
	}
	assert_true(nseen < KG_ARRAY_LEN(seen));
	seen[nseen++] = id;
	return (char)('A' + nseen - 1);
}

static void print(struct kg_buf *out, char sign, const struct kg_nft_elems *elems)
{
	for (size_t i = 0; i < elems->n; i++) {
		KG_AUTOBUF struct kg_buf line = KG_BUF_INIT;
		uint32_t id;
		char hex[9];

		kg_policy_elem_print(&line, &elems->items[i]);
		memcpy(&id,
			elems->items[i].set % KG_POLICY_SETS == KG_POLICY_PODS
				? elems->items[i].data
				: elems->items[i].key,
			4);
		if (kg_policies_table.sets[elems->items[i].set].interval)
			id = ntohl(id);
		snprintf(hex, sizeof(hex), "%08x", id);
		char *at = elems->items[i].set == KG_POLICY_SELF ? NULL : strstr(line.data, hex);
		kg_buf_addc(out, sign);
		if (at) {
			kg_buf_add(out, line.data, (size_t)(at - line.data));
			kg_buf_addc(out, letter(id));
			kg_buf_adds(out, at + 8);
		} else {
			kg_buf_adds(out, line.data);
		}
	}
}

/* "p NS/NAME JSON" puts a policy, "s ID JSON" a set of peers, without JSON they are removed;
 * lines. */
static void put(struct kg_policies_plan *plan, const char *script)
{
	KG_AUTOFREE char *text = kg_strdup(script);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *what = strsep(&line, " "), *key = strsep(&line, " ");
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v;
		struct kg_error err;

		if (!key)
			continue;
		if (line && kg_json_parse(&v, &a, line, strlen(line), &err) < 0)
			fail_msg("%s: %s", line, err.msg);
		if (*what == 'p')
			kg_policies_plan_policy(plan, key, line ? &v : NULL);
		else
			kg_policies_plan_peers(plan, key, line ? &v : NULL);
	}
}

/* The elements as the kernel would have them after each change. */
static struct kg_nft_elems kernel;

static void apply(const struct kg_nft_elems *del, const struct kg_nft_elems *add)
{
	for (size_t i = 0; i < del->n; i++) {
		const struct kg_nft_elem *e = kg_nft_elems_find(&kernel, &del->items[i]);

		assert_non_null(e);
		assert_memory_equal(e, &del->items[i], sizeof(*e));
		memmove((struct kg_nft_elem *)e, e + 1,
			(size_t)(kernel.items + --kernel.n - e) * sizeof(*e));
	}
	for (size_t i = 0; i < add->n; i++)
		assert_null(kg_nft_elems_find(&kernel, &add->items[i]));
	kg_nft_elems_copy(&kernel, add);
	kg_nft_elems_sort(&kernel);
}

static void assert_whole(const struct kg_policies_plan *plan)
{
	struct kg_nft_elems all = {0};

	kg_policies_plan_all(plan, &all);
	kg_nft_elems_sort(&all);
	assert_int_equal(all.n, kernel.n);
	if (all.n)
		assert_memory_equal(all.items, kernel.items, all.n * sizeof(all.items[0]));
	kg_nft_elems_release(&all);
}

static void commit(struct kg_policies_plan *plan, struct kg_buf *out)
{
	struct kg_nft_elems del = {0}, add = {0};

	kg_policies_plan_commit(plan, &del, &add);
	print(out, '-', &del);
	print(out, '+', &add);
	apply(&del, &add);
	assert_whole(plan);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
}

#define POD  "\"pods\":[\"10.1.0.2\"]"
#define SELF "+self 10.1.0.2\n"

static const struct {
	const char *name, *before, *put, *changes;
} cases[] = {
	{"default deny", NULL, "p d/deny {" POD ",\"ingress\":[],\"egress\":[]}",
		"+in_pods 10.1.0.2 : A\n+out_pods 10.1.0.2 : A\n" SELF},
	{"ports of a peer", "s x {\"addresses\":[\"10.1.0.9\"]}",
		"p d/a {" POD ",\"ingress\":[{\"peers\":[\"x\"],\"ports\":[{\"protocol\":\"TCP\","
		"\"port\":80},{\"protocol\":\"UDP\",\"port\":53}]}]}",
		"+in_pods 10.1.0.2 : A\n+in_ports A . 10.1.0.9 . tcp . 80\n"
		"+in_ports A . 10.1.0.9 . udp . 53\n" SELF},
	{"all ports of a peer, which moves",
		"s x {\"addresses\":[\"10.1.0.9\"]}\n"
		"p d/a {" POD ",\"egress\":[{\"peers\":[\"x\"]}]}",
		"s x {\"addresses\":[\"10.1.0.8\",\"10.1.0.7\"]}",
		"-out_peers A . 10.1.0.9\n+out_peers A . 10.1.0.7\n+out_peers A . 10.1.0.8\n"},
	{"peers that are not known are nobody", NULL,
		"p d/a {" POD ",\"ingress\":[{\"peers\":[\"x\"]}]}",
		"+in_pods 10.1.0.2 : A\n" SELF},
	{"ports that peers say by themselves",
		"s x {\"addresses\":[\"10.1.0.9:8080\",\"10.1.0.8:81\"]}",
		"p d/a {" POD ",\"egress\":[{\"peers\":[\"x\"],\"ports\":[{\"protocol\":\"TCP\"}]}]"
		"}",
		"+out_pods 10.1.0.2 : A\n+out_ports A . 10.1.0.8 . tcp . 81\n"
		"+out_ports A . 10.1.0.9 . tcp . 8080\n" SELF},
	{"a block with exceptions", NULL,
		"p d/a {" POD ",\"egress\":[{\"blocks\":[{\"cidr\":\"10.0.0.0/8\",\"except\":["
		"\"10.0.0.0/16\",\"10.2.0.0/16\",\"10.2.3.0/24\"]}]}]}",
		"+out_pods 10.1.0.2 : A\n"
		"+out_ranges A . 10.1.0.0-10.1.255.255 . any . 0-65535\n"
		"+out_ranges A . 10.3.0.0-10.255.255.255 . any . 0-65535\n" SELF},
	{"blocks and ranges that overlap", "s x {\"addresses\":[\"10.1.0.9\"]}",
		"p d/a {" POD ",\"ingress\":[{\"blocks\":[{\"cidr\":\"10.1.0.0/24\"}],\"ports\":["
		"{\"protocol\":\"TCP\",\"port\":80,\"endPort\":90}]},"
		"{\"peers\":[\"x\"],\"ports\":[{\"protocol\":\"TCP\",\"port\":85,\"endPort\":99},"
		"{\"protocol\":\"TCP\",\"port\":22}]},"
		"{\"ports\":[{\"protocol\":\"UDP\"}]}]}",
		"+in_pods 10.1.0.2 : A\n+in_ports A . 10.1.0.9 . tcp . 22\n"
		"+in_ranges A . 0.0.0.0-10.0.255.255 . udp . 0-65535\n"
		"+in_ranges A . 10.1.0.0-10.1.0.8 . tcp . 80-90\n"
		"+in_ranges A . 10.1.0.0-10.1.0.8 . udp . 0-65535\n"
		"+in_ranges A . 10.1.0.9 . tcp . 80-99\n"
		"+in_ranges A . 10.1.0.9 . udp . 0-65535\n"
		"+in_ranges A . 10.1.0.10-10.1.0.255 . tcp . 80-90\n"
		"+in_ranges A . 10.1.0.10-10.1.0.255 . udp . 0-65535\n"
		"+in_ranges A . 10.1.1.0-255.255.255.255 . udp . 0-65535\n" SELF},
	{"neighbours that are open alike are one", NULL,
		"p d/a {" POD ",\"ingress\":[{\"blocks\":[{\"cidr\":\"10.0.0.0/25\"},"
		"{\"cidr\":\"10.0.0.128/25\"},{\"cidr\":\"10.0.0.64/26\"}]}]}",
		"+in_pods 10.1.0.2 : A\n+in_ranges A . 10.0.0.0-10.0.0.255 . any . 0-65535\n" SELF},
	{"everybody: not isolated", "p d/deny {" POD ",\"ingress\":[]}",
		"p d/all {" POD ",\"ingress\":[{}]}", "-in_pods 10.1.0.2 : A\n-self 10.1.0.2\n"},
	{"everybody on a port", NULL,
		"p d/a {" POD ",\"ingress\":[{\"ports\":[{\"protocol\":\"TCP\",\"port\":80}]}]}",
		"+in_pods 10.1.0.2 : A\n+in_ranges A . 0.0.0.0-255.255.255.255 . tcp . 80\n" SELF},
	{"pods of the same policies share a class",
		"s x {\"addresses\":[\"10.1.0.9\"]}\n"
		"p d/a {" POD ",\"ingress\":[{\"peers\":[\"x\"]}]}",
		"p d/a {\"pods\":[\"10.1.0.2\",\"10.1.0.3\"],\"ingress\":[{\"peers\":[\"x\"]}]}",
		"+in_pods 10.1.0.3 : A\n+self 10.1.0.3\n"},
	{"a second policy adds to the first",
		"s x {\"addresses\":[\"10.1.0.9\"]}\ns y {\"addresses\":[\"10.1.0.8\"]}\n"
		"p d/a {" POD ",\"ingress\":[{\"peers\":[\"x\"]}]}",
		"p d/b {" POD ",\"ingress\":[{\"peers\":[\"y\"]}]}",
		"-in_pods 10.1.0.2 : A\n-in_peers A . 10.1.0.9\n"
		"+in_pods 10.1.0.2 : B\n+in_peers B . 10.1.0.8\n+in_peers B . 10.1.0.9\n"},
	{"a policy that changes", "p d/a {" POD ",\"ingress\":[]}", "p d/a {" POD ",\"egress\":[]}",
		"-in_pods 10.1.0.2 : A\n+out_pods 10.1.0.2 : A\n"},
	{"a policy that goes",
		"s x {\"addresses\":[\"10.1.0.9\"]}\n"
		"p d/a {" POD ",\"ingress\":[{\"peers\":[\"x\"]}]}",
		"p d/a", "-in_pods 10.1.0.2 : A\n-in_peers A . 10.1.0.9\n-self 10.1.0.2\n"},
	{"put twice before a commit", "p d/a {" POD ",\"ingress\":[]}",
		"p d/a\np d/a {" POD ",\"ingress\":[]}", ""},
	{"what cannot be understood opens nothing", "s x {\"addresses\":[\"::1\",\"1.2.3\",7]}",
		"p d/a {\"pods\":[\"10.1.0.2\",\"x\",5],\"ingress\":[{\"peers\":[\"x\"]},"
		"{\"ports\":[{\"protocol\":\"ICMP\"}]},{\"ports\":[{\"port\":70000}]},"
		"{\"blocks\":[{\"cidr\":\"fd00::/8\"},{\"cidr\":\"1.2.3.4\"}]},{\"blocks\":5}]}",
		"+in_pods 10.1.0.2 : A\n" SELF},
};

static void test_changes(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_policies_plan *plan = kg_policies_plan_new();
		KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;

		nseen = kernel.n = 0;
		if (cases[i].before)
			put(plan, cases[i].before);
		commit(plan, &out);
		kg_buf_clear(&out);
		nseen = 0;
		put(plan, cases[i].put);
		commit(plan, &out);
		if (strcmp(kg_buf_str(&out), cases[i].changes) != 0)
			fail_msg("%s: got\n%s\nexpected\n%s", cases[i].name, kg_buf_str(&out),
				cases[i].changes);
		/* All gone: nothing stays behind. */
		kg_policies_plan_clear(plan);
		commit(plan, &out);
		assert_int_equal(kernel.n, 0);
		kg_policies_plan_free(plan);
	}
}

/* ---- any policies, in any order ---- */

static uint32_t chance(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*seed >> 33) % n;
}

static void random_ports(struct kg_buf *b, uint64_t *seed)
{
	uint32_t n = chance(seed, 3);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = 1 + chance(seed, 20);

		kg_buf_addf(b, "%s{\"protocol\":\"%s\"", i ? "," : ",\"ports\":[",
			chance(seed, 2) ? "TCP" : "UDP");
		if (chance(seed, 4))
			kg_buf_addf(b, ",\"port\":%u,\"endPort\":%u", first,
				first + (chance(seed, 2) ? chance(seed, 10) : 0));
		kg_buf_adds(b, i + 1 < n ? "}" : "}]");
	}
}

static void random_rule(struct kg_buf *b, uint64_t *seed)
{
	kg_buf_adds(b, "{\"x\":0");
	if (chance(seed, 2))
		kg_buf_addf(b, ",\"peers\":[\"s%u\",\"s%u\"]", chance(seed, 4), chance(seed, 4));
	if (chance(seed, 2))
		kg_buf_addf(b,
			",\"blocks\":[{\"cidr\":\"10.1.0.%u/%u\",\"except\":[\"10.1.0.%u/31\"]}]",
			chance(seed, 32), 26 + chance(seed, 5), chance(seed, 32));
	random_ports(b, seed);
	kg_buf_addc(b, '}');
}

static void random_step(struct kg_buf *b, uint64_t *seed)
{
	static const char *const directions[] = {"ingress", "egress"};

	if (chance(seed, 3) == 0) {
		kg_buf_addf(b, "s s%u {\"addresses\":[\"10.1.0.%u\",\"10.1.0.%u\"]}\n",
			chance(seed, 4), chance(seed, 32), chance(seed, 32));
		return;
	}
	kg_buf_addf(b, "p d/p%u", chance(seed, 5));
	if (chance(seed, 5) == 0) {
		kg_buf_addc(b, '\n');
		return;
	}
	kg_buf_addf(
		b, " {\"pods\":[\"10.1.0.%u\",\"10.1.0.%u\"]", chance(seed, 8), chance(seed, 8));
	for (int d = 0; d < 2; d++) {
		uint32_t n = chance(seed, 3);

		if (chance(seed, 3) == 0)
			continue;
		kg_buf_addf(b, ",\"%s\":[", directions[d]);
		for (uint32_t i = 0; i < n; i++) {
			random_rule(b, seed);
			kg_buf_adds(b, i + 1 < n ? "," : "");
		}
		kg_buf_addc(b, ']');
	}
	kg_buf_adds(b, "}\n");
}

/* What a rule says, read straight from it. */
static bool rule_opens(const struct kg_value *r, const struct kg_map *sets, const char *addr,
	const struct kg_policy_flow *f)
{
	const struct kg_value *peers = kg_get(r, "peers"), *ports = kg_get(r, "ports");
	const struct kg_value *block = kg_at(r, "blocks.0");
	bool peer = kg_is_null(peers) && kg_is_null(block), port = kg_is_null(ports);
	unsigned at, bits, hole, last = (unsigned)strtoul(strrchr(addr, '.') + 1, NULL, 10);

	for (uint32_t i = 0; i < kg_len(peers); i++) {
		const struct kg_value *set = kg_map_get(sets, kg_string(&peers->items[i], ""));
		const struct kg_value *list = set ? kg_get(set, "addresses") : &kg_null;
		for (uint32_t k = 0; k < kg_len(list); k++)
			peer = peer || strcmp(kg_string(&list->items[k], ""), addr) == 0;
	}
	if (!kg_is_null(block)) {
		sscanf(kg_string(kg_get(block, "cidr"), ""), "10.1.0.%u/%u", &at, &bits);
		sscanf(kg_string(kg_at(block, "except.0"), ""), "10.1.0.%u", &hole);
		peer = peer || (last >> (32 - bits) == at >> (32 - bits) && last / 2 != hole / 2);
	}
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		bool tcp = strcmp(kg_string(kg_get(p, "protocol"), ""), "TCP") == 0;

		port = port || (f->protocol == (tcp ? IPPROTO_TCP : IPPROTO_UDP) &&
				       f->port >= kg_int(kg_get(p, "port"), 0) &&
				       f->port <= kg_int(kg_get(p, "endPort"), 65535));
	}
	return peer && port;
}

static bool truth(const struct kg_map *policies, const struct kg_map *sets,
	const struct kg_policy_flow *f, const char *src, const char *dst)
{
	static const char *const directions[] = {"ingress", "egress"};
	const char *ends[] = {dst, src}, *peers[] = {src, dst};
	struct kg_map_entry *e;
	bool allowed = true;

	for (int d = 0; d < 2; d++) {
		bool isolated = false, opened = false;

		for (size_t i = 0; (e = kg_map_next(policies, &i));) {
			const struct kg_value *p = e->value, *rules = kg_get(p, directions[d]);
			const struct kg_value *pods = kg_get(p, "pods");

			if (kg_is_null(rules) ||
				(strcmp(kg_string(&pods->items[0], ""), ends[d]) != 0 &&
					strcmp(kg_string(&pods->items[1], ""), ends[d]) != 0))
				continue;
			isolated = true;
			for (uint32_t k = 0; k < kg_len(rules); k++)
				opened = opened || rule_opens(&rules->items[k], sets, peers[d], f);
		}
		allowed = allowed && (!isolated || opened);
	}
	return allowed || f->src == f->dst;
}

/* Keeps what the script says beside the plan. */
static void remember(
	struct kg_map *policies, struct kg_map *sets, struct kg_arena *a, const char *script)
{
	KG_AUTOFREE char *text = kg_strdup(script);
	char *rest = text, *line;

	while ((line = strsep(&rest, "\n"))) {
		char *what = strsep(&line, " "), *key = strsep(&line, " ");
		struct kg_value *v = kg_arena_alloc(a, sizeof(*v));

		if (!key)
			continue;
		struct kg_map *to = *what == 'p' ? policies : sets;
		if (!line)
			kg_map_remove(to, key);
		else if (kg_json_parse(v, a, line, strlen(line), NULL) == 0)
			kg_map_put(to, key, v);
	}
}

static void compare_all(const struct kg_policies_plan *plan, const struct kg_map *policies,
	const struct kg_map *sets)
{
	for (uint32_t i = 0; i < 8 * 32 * 2; i++) {
		char pod[32], other[32];
		uint32_t p = i % 8, o = i / 8 % 32;
		bool out = i / 256;

		snprintf(pod, sizeof(pod), "10.1.0.%u", p);
		snprintf(other, sizeof(other), "10.1.0.%u", o);
		for (uint16_t port = 1; port < 32; port += 3) {
			struct kg_policy_flow f = {.src = 0x0A010000 + (out ? p : o),
				.dst = 0x0A010000 + (out ? o : p),
				.protocol = port % 2 ? IPPROTO_TCP : IPPROTO_UDP,
				.port = port};

			if (kg_policies_plan_allows(plan, &f) !=
				truth(policies, sets, &f, out ? pod : other, out ? other : pod))
				fail_msg("%s -> %s : %u", out ? pod : other, out ? other : pod,
					port);
		}
	}
}

/* No two boxes of a class share a point: nftables would refuse them. */
static void assert_disjoint(void)
{
	for (size_t i = 0; i < kernel.n; i++) {
		const struct kg_nft_elem *a = &kernel.items[i];

		for (size_t k = i + 1; k < kernel.n; k++) {
			const struct kg_nft_elem *b = &kernel.items[k];

			if (!kg_policies_table.sets[a->set].interval || a->set != b->set ||
				memcmp(a->key, b->key, 4) != 0)
				continue;
			assert_false(memcmp(a->end.addr, b->key + 4, 4) >= 0 &&
				     memcmp(b->end.addr, a->key + 4, 4) >= 0 &&
				     a->end.protocol >= b->key[8] && b->end.protocol >= a->key[8] &&
				     memcmp(a->end.port, b->key + 12, 2) >= 0 &&
				     memcmp(b->end.port, a->key + 12, 2) >= 0);
		}
	}
}

static void test_any(void **state)
{
	(void)state;
	for (uint64_t run = 1; run <= 12; run++) {
		struct kg_policies_plan *plan = kg_policies_plan_new();
		struct kg_map policies = KG_MAP_INIT, sets = KG_MAP_INIT;
		struct kg_arena a = KG_ARENA_INIT;
		uint64_t seed = run;

		kernel.n = 0;
		for (int step = 0; step < 20; step++) {
			KG_AUTOBUF struct kg_buf script = KG_BUF_INIT, out = KG_BUF_INIT;

			nseen = 0;
			for (uint32_t i = 0; i <= chance(&seed, 3); i++)
				random_step(&script, &seed);
			put(plan, kg_buf_str(&script));
			remember(&policies, &sets, &a, kg_buf_str(&script));
			commit(plan, &out);
			assert_disjoint();
			compare_all(plan, &policies, &sets);
		}
		kg_policies_plan_free(plan);
		kg_map_release(&policies);
		kg_map_release(&sets);
		kg_arena_release(&a);
	}
}

/* A product of many blocks and ports is bounded, and what is above opens nothing. */
static void test_too_much(void **state)
{
	struct kg_policies_plan *plan = kg_policies_plan_new();
	KG_AUTOBUF struct kg_buf script = KG_BUF_INIT, out = KG_BUF_INIT;
	struct kg_policy_flow f = {0x01000001, 0x0A010002, IPPROTO_TCP, 1};

	(void)state;
	kg_buf_adds(&script, "p d/a {" POD ",\"ingress\":[{\"blocks\":[");
	for (unsigned i = 0; i < 1000; i++)
		kg_buf_addf(
			&script, "%s{\"cidr\":\"1.%u.%u.0/25\"}", i ? "," : "", i / 250, i % 250);
	kg_buf_adds(&script, "],\"ports\":[");
	for (unsigned i = 0; i < 1000; i++)
		kg_buf_addf(&script, "%s{\"port\":%u}", i ? "," : "", 1 + 2 * i);
	kg_buf_adds(&script, "]}]}");
	nseen = kernel.n = 0;
	put(plan, script.data);
	commit(plan, &out);
	assert_string_equal(out.data, "+in_pods 10.1.0.2 : A\n" SELF);
	assert_int_equal(kg_policies_plan_overfull(plan), 1);
	assert_false(kg_policies_plan_allows(plan, &f));
	kg_policies_plan_free(plan);
}

static double ms_between(const struct timespec *a, const struct timespec *b)
{
	return (double)(b->tv_sec - a->tv_sec) * 1e3 + (double)(b->tv_nsec - a->tv_nsec) / 1e6;
}

/* So is one of peers and ports, which is given up as soon as it is too large. */
static void test_too_many_peers(void **state)
{
	struct kg_policies_plan *plan = kg_policies_plan_new();
	KG_AUTOBUF struct kg_buf script = KG_BUF_INIT;
	struct kg_nft_elems del = {0}, add = {0};
	struct timespec a, b;

	(void)state;
	kg_buf_adds(&script, "p d/a {" POD ",\"ingress\":[{\"peers\":[\"s\"],\"ports\":[");
	for (unsigned i = 0; i < 200; i++)
		kg_buf_addf(&script, "%s{\"port\":%u}", i ? "," : "", 1 + 2 * i);
	kg_buf_adds(&script, "]}]}\ns s {\"addresses\":[");
	for (unsigned i = 0; i < 50000; i++)
		kg_buf_addf(&script, "%s\"10.%u.%u.9\"", i ? "," : "", 2 + i / 250, i % 250);
	kg_buf_adds(&script, "]}\n");
	put(plan, script.data);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	kg_policies_plan_commit(plan, &del, &add);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	print_message("ten million elements, %.0f ms of CPU\n", ms_between(&a, &b));
	assert_true(ms_between(&a, &b) < 200);
	assert_int_equal(kg_policies_plan_overfull(plan), 1);
	assert_int_equal(add.n, 2); /* the pod alone */
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	kg_policies_plan_free(plan);
}

/* A thousand policies of a pod each, ten peers and two ports; one pod's peer moves. */
static void test_cost(void **state)
{
	struct kg_policies_plan *plan = kg_policies_plan_new();
	KG_AUTOBUF struct kg_buf script = KG_BUF_INIT;
	struct kg_nft_elems del = {0}, add = {0};
	struct timespec a, b;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		kg_buf_addf(&script, "s s%u {\"addresses\":[", i);
		for (unsigned k = 0; k < 10; k++)
			kg_buf_addf(
				&script, "%s\"10.2.%u.%u\"", k ? "," : "", i / 25, i % 25 * 10 + k);
		kg_buf_addf(&script,
			"]}\np d/p%u {\"pods\":[\"10.1.%u.%u\"],\"ingress\":[{\"peers\":[\"s%u\"],"
			"\"ports\":[{\"port\":80},{\"port\":443}]}]}\n",
			i, i / 250, i % 250, i);
	}
	put(plan, script.data);
	kg_policies_plan_commit(plan, &del, &add);
	assert_int_equal(add.n, 22000);
	del.n = add.n = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (int i = 0; i < 100; i++) {
		put(plan, i % 2 ? "s s7 {\"addresses\":[\"10.2.0.70\"]}"
				: "s s7 {\"addresses\":[\"10.2.0.70\",\"10.9.9.9\"]}");
		kg_policies_plan_commit(plan, &del, &add);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	double us = ms_between(&a, &b) * 1e3 / 100;
	print_message("1000 policies: a peer that comes or goes, %.1f us of CPU\n", us);
	assert_true(us < 5000);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	kg_policies_plan_free(plan);
}

static int tear_down(void **state)
{
	(void)state;
	kg_nft_elems_release(&kernel);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_any),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_too_many_peers),
		cmocka_unit_test(test_cost),
	};
	return cmocka_run_group_tests(tests, NULL, tear_down);
}
