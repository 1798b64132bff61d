#include "nodeagent/policy.h"
#include "nodeagent/netlink.h"

#include <arpa/inet.h>
#include <string.h>

static bool parse_addr(uint32_t *out, const char *s)
{
	struct in_addr a;

	if (inet_pton(AF_INET, s, &a) != 1)
		return false;
	*out = ntohl(a.s_addr);
	return true;
}

static int compare_addrs(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void parse_pods(struct kg_policy *p, const struct kg_value *list)
{
	uint32_t n = 0, unique = 0;

	p->pods = kg_arena_alloc(&p->arena, (kg_len(list) + 1) * sizeof(*p->pods));
	for (uint32_t i = 0; i < kg_len(list); i++)
		n += parse_addr(&p->pods[n], kg_string(&list->items[i], ""));
	if (n)
		qsort(p->pods, n, sizeof(*p->pods), compare_addrs);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || p->pods[i] != p->pods[unique - 1])
			p->pods[unique++] = p->pods[i];
	}
	p->npods = unique;
}

/* ---- rules ---- */

static int protocol_of(const char *name)
{
	if (strcmp(name, "TCP") == 0)
		return IPPROTO_TCP;
	if (strcmp(name, "UDP") == 0)
		return IPPROTO_UDP;
	return strcmp(name, "SCTP") == 0 ? IPPROTO_SCTP : -1;
}

static bool parse_port(struct kg_policy_port *out, const struct kg_value *v)
{
	int protocol = protocol_of(kg_string(kg_get(v, "protocol"), "TCP"));
	int64_t first = kg_int(kg_get(v, "port"), 0);
	int64_t last = kg_int(kg_get(v, "endPort"), first);

	if (protocol < 0 || first < 0 || last < first || last > 65535 ||
		(!kg_is_null(kg_get(v, "port")) && first < 1))
		return false;
	out->protocol = (uint8_t)protocol;
	out->first = (uint16_t)first;
	out->last = first ? (uint16_t)last : UINT16_MAX;
	return true;
}

static bool parse_range(struct kg_policy_block *out, const char *s)
{
	struct kg_cidr c;

	if (kg_cidr_parse(&c, s, NULL) < 0)
		return false;
	uint32_t mask = ntohl(kg_cidr_mask(c.prefix));
	out->first = ntohl(c.addr) & mask;
	out->last = out->first | ~mask;
	return true;
}

static int compare_blocks(const void *a, const void *b)
{
	const struct kg_policy_block *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* The block without its exceptions: what is left between them. Returns how many; at most one more
 * than there are exceptions. */
static uint32_t parse_block(
	struct kg_policy_block *out, struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *list = kg_array(kg_get(v, "except"));
	struct kg_policy_block all, *except = kg_arena_alloc(a, (list->len + 1) * sizeof(*except));
	uint32_t n = 0, left = 0;

	if (!parse_range(&all, kg_string(kg_get(v, "cidr"), "")))
		return 0;
	for (uint32_t i = 0; i < kg_len(list); i++)
		n += parse_range(&except[n], kg_string(&list->items[i], ""));
	if (n)
		qsort(except, n, sizeof(*except), compare_blocks);
	uint64_t at = all.first; /* not yet decided from here on */
	for (uint32_t i = 0; i < n && at <= all.last; i++) {
		if (except[i].first > all.last)
			break;
		if (except[i].first > at)
			out[left++] = (struct kg_policy_block){(uint32_t)at, except[i].first - 1};
		if ((uint64_t)except[i].last + 1 > at)
			at = (uint64_t)except[i].last + 1;
	}
	if (at <= all.last)
		out[left++] = (struct kg_policy_block){(uint32_t)at, all.last};
	return left;
}

static void parse_blocks(
	struct kg_policy_rule *r, struct kg_arena *a, const struct kg_value *blocks)
{
	size_t most = 0;

	for (uint32_t i = 0; i < kg_len(blocks); i++)
		most += kg_len(kg_get(&blocks->items[i], "except")) + 1;
	r->blocks = kg_arena_alloc(a, (most + 1) * sizeof(*r->blocks));
	for (uint32_t i = 0; i < kg_len(blocks); i++)
		r->nblocks += parse_block(r->blocks + r->nblocks, a, &blocks->items[i]);
}

/* False where it opens nothing. */
static bool parse_rule(struct kg_policy_rule *r, struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *ports = kg_array(kg_get(v, "ports"));
	const struct kg_value *peers = kg_array(kg_get(v, "peers"));
	const struct kg_value *blocks = kg_array(kg_get(v, "blocks"));

	r->everybody = kg_is_null(kg_get(v, "peers")) && kg_is_null(kg_get(v, "blocks"));
	r->ports = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*r->ports));
	for (uint32_t i = 0; i < kg_len(ports); i++)
		r->nports += parse_port(&r->ports[r->nports], &ports->items[i]);
	if (!kg_is_null(kg_get(v, "ports")) && !r->nports)
		return false;
	r->peers = kg_arena_alloc(a, (kg_len(peers) + 1) * sizeof(*r->peers));
	for (uint32_t i = 0; i < kg_len(peers); i++)
		r->peers[r->npeers++] = kg_arena_strdup(a, kg_string(&peers->items[i], ""));
	parse_blocks(r, a, blocks);
	return r->everybody || r->npeers || r->nblocks;
}

struct kg_policy *kg_policy_parse(const struct kg_value *v)
{
	static const char *const names[] = {"ingress", "egress"};
	struct kg_policy *p = kg_alloc(sizeof(*p));

	parse_pods(p, kg_array(kg_get(v, "pods")));
	for (int d = 0; d < KG_POLICY_DIRECTIONS; d++) {
		const struct kg_value *list = kg_get(v, names[d]);
		struct kg_policy_rules *of = &p->of[d];

		of->restricts = !kg_is_null(list);
		list = kg_array(list);
		of->rules = kg_arena_alloc(&p->arena, (kg_len(list) + 1) * sizeof(*of->rules));
		for (uint32_t i = 0; i < kg_len(list); i++) {
			struct kg_policy_rule r = {0};

			if (parse_rule(&r, &p->arena, &list->items[i]))
				of->rules[of->n++] = r;
		}
	}
	return p;
}

void kg_policy_free(struct kg_policy *p)
{
	if (!p)
		return;
	kg_arena_release(&p->arena);
	free(p);
}

/* ---- peers ---- */

static bool parse_peer(struct kg_policy_peer *out, const char *s)
{
	const char *colon = strchr(s, ':');
	size_t n = colon ? (size_t)(colon - s) : strlen(s);
	char addr[INET_ADDRSTRLEN], *end;
	unsigned long port = 0;

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, s, n);
	addr[n] = '\0';
	if (colon) {
		port = strtoul(colon + 1, &end, 10);
		if (*end || port == 0 || port > UINT16_MAX)
			return false;
	}
	out->port = (uint16_t)port;
	return parse_addr(&out->addr, addr);
}

static int compare_peers(const void *a, const void *b)
{
	const struct kg_policy_peer *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->port - (int)y->port;
}

struct kg_policy_peers *kg_policy_peers_parse(const struct kg_value *v)
{
	const struct kg_value *list = kg_array(kg_get(v, "addresses"));
	struct kg_policy_peers *p = kg_alloc(sizeof(*p) + (kg_len(list) + 1) * sizeof(p->peers[0]));
	uint32_t n = 0;

	for (uint32_t i = 0; i < kg_len(list); i++)
		n += parse_peer(&p->peers[n], kg_string(&list->items[i], ""));
	if (n)
		qsort(p->peers, n, sizeof(p->peers[0]), compare_peers);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || compare_peers(&p->peers[i], &p->peers[p->n - 1]) != 0)
			p->peers[p->n++] = p->peers[i];
	}
	return p;
}
