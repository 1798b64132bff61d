/*
 * The elements of a class: what its policies' rules open, as single addresses and ports where that
 * is what they say (hash sets, cheap to change), and the rest as disjoint boxes of addresses and
 * ports (nftables does not take overlapping ones).
 */
#include "base/mem.h"
#include "nodeagent/policies_plan.h"

#include <arpa/inet.h>
#include <string.h>

#define WORK_MAX (16 << 20) /* steps after which a class is too large, whatever comes out */

/* A rule's addresses; of one that names peers only the ports that are ranges. */
struct span {
	uint32_t first, last;
	const struct kg_policy_rule *rule;
	bool ranges_only;
};
struct ports {
	struct kg_policy_port *items; /* protocol 0: every one */
	size_t n, cap;
};
struct making {
	struct kg_nft_elems *out;
	unsigned set; /* the direction's first */
	uint32_t id;
	struct span *spans;
	size_t nspans, cap;
	size_t work;
};

static struct kg_nft_elem *add_elem(struct making *m, enum kg_policy_set set, uint32_t addr)
{
	struct kg_nft_elem *e = kg_nft_elems_add(m->out, m->set + set);
	uint32_t id = set == KG_POLICY_RANGES ? htonl(m->id) : m->id, net = htonl(addr);

	memcpy(e->key, &id, 4);
	memcpy(e->key + 4, &net, 4);
	return e;
}

static void put_port(uint8_t *p, uint16_t port)
{
	port = htons(port);
	memcpy(p, &port, 2);
}

static bool is_too_large(const struct making *m)
{
	return m->work >= WORK_MAX || m->out->n > KG_POLICY_CLASS_MAX;
}

/* ---- single ones ---- */

static bool is_range(const struct kg_policy_port *p)
{
	return p->first != p->last;
}

static void add_span(struct making *m, uint32_t first, uint32_t last,
	const struct kg_policy_rule *r, bool ranges_only)
{
	KG_GROW(m->spans, m->cap, m->nspans + 1);
	m->spans[m->nspans++] = (struct span){first, last, r, ranges_only};
}

static void add_peer(
	struct making *m, const struct kg_policy_rule *r, const struct kg_policy_peer *peer)
{
	bool ranges = false;

	if (!r->nports)
		add_elem(m, KG_POLICY_PEERS, peer->addr);
	for (uint32_t i = 0; i < r->nports; i++) {
		const struct kg_policy_port *p = &r->ports[i];

		if (!peer->port && is_range(p)) {
			ranges = true;
			continue;
		}
		struct kg_nft_elem *e = add_elem(m, KG_POLICY_PORTS, peer->addr);
		e->key[8] = p->protocol;
		put_port(e->key + 12, peer->port ? peer->port : p->first);
	}
	if (ranges)
		add_span(m, peer->addr, peer->addr, r, true);
	m->work += r->nports + 1;
}

static void add_rule(
	struct making *m, const struct kg_policy_rule *r, const struct kg_map *all_peers)
{
	if (r->everybody)
		add_span(m, 0, UINT32_MAX, r, false);
	for (uint32_t i = 0; i < r->nblocks; i++)
		add_span(m, r->blocks[i].first, r->blocks[i].last, r, false);
	for (uint32_t i = 0; i < r->npeers; i++) {
		const struct kg_policy_peers *peers = kg_map_get(all_peers, r->peers[i]);

		for (uint32_t k = 0; peers && k < peers->n && !is_too_large(m); k++)
			add_peer(m, r, &peers->peers[k]);
	}
}

/* ---- boxes ---- */

static int compare_ports(const void *a, const void *b)
{
	const struct kg_policy_port *x = a, *y = b;

	if (x->protocol != y->protocol)
		return (int)x->protocol - (int)y->protocol;
	return (int)x->first - (int)y->first;
}

static void add_port(struct ports *to, struct kg_policy_port p)
{
	KG_GROW(to->items, to->cap, to->n + 1);
	to->items[to->n++] = p;
}

/* Disjoint and sorted. */
static void merge_ports(struct ports *p)
{
	size_t n = 0;

	if (p->n)
		qsort(p->items, p->n, sizeof(*p->items), compare_ports);
	for (size_t i = 0; i < p->n; i++) {
		struct kg_policy_port *last = n ? &p->items[n - 1] : NULL;

		if (!last || last->protocol != p->items[i].protocol ||
			p->items[i].first > (uint32_t)last->last + 1)
			p->items[n++] = p->items[i];
		else if (p->items[i].last > last->last)
			last->last = p->items[i].last;
	}
	p->n = n;
}

/* What is open to addresses that lie in all of these spans. */
static void ports_of(struct making *m, struct ports *out, struct span **active, size_t n)
{
	out->n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct kg_policy_rule *r = active[i]->rule;

		if (!r->nports) {
			out->n = 0;
			add_port(out, (struct kg_policy_port){0, 0, UINT16_MAX});
			return;
		}
		for (uint32_t k = 0; k < r->nports; k++) {
			if (!active[i]->ranges_only || is_range(&r->ports[k]))
				add_port(out, r->ports[k]);
		}
		m->work += r->nports + 1;
	}
	merge_ports(out);
}

static bool same_ports(const struct ports *a, const struct ports *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (compare_ports(&a->items[i], &b->items[i]) != 0 ||
			a->items[i].last != b->items[i].last)
			return false;
	}
	return true;
}

static void add_boxes(struct making *m, uint32_t first, uint32_t last, const struct ports *ports)
{
	for (size_t i = 0; i < ports->n; i++) {
		const struct kg_policy_port *p = &ports->items[i];
		struct kg_nft_elem *e = add_elem(m, KG_POLICY_RANGES, first);
		uint32_t end = htonl(last);

		e->key[8] = p->protocol;
		put_port(e->key + 12, p->first);
		memcpy(e->end.addr, &end, 4);
		put_port(e->end.port, p->last);
		e->end.protocol = p->protocol ? p->protocol : UINT8_MAX;
	}
}

static int compare_spans(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

static int compare_edges(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Where something begins, or has just ended; sorted, unique. */
static uint64_t *edges_of(const struct making *m, size_t *n)
{
	uint64_t *edges = kg_alloc((2 * m->nspans + 1) * sizeof(*edges));
	size_t unique = 0;

	for (size_t i = 0; i < m->nspans; i++) {
		edges[2 * i] = m->spans[i].first;
		edges[2 * i + 1] = (uint64_t)m->spans[i].last + 1;
	}
	if (m->nspans)
		qsort(edges, 2 * m->nspans, sizeof(*edges), compare_edges);
	for (size_t i = 0; i < 2 * m->nspans; i++) {
		if (i == 0 || edges[i] != edges[unique - 1])
			edges[unique++] = edges[i];
	}
	*n = unique;
	return edges;
}

struct sweep {
	struct span **active;
	size_t nactive, next; /* next: the first span that has not begun */
	struct ports ports, open;
	uint32_t first, last; /* of the box that is open; open.n 0: none is */
};

static void move_to(struct making *m, struct sweep *s, uint64_t at)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->nactive; i++) {
		if (s->active[i]->last >= at)
			s->active[kept++] = s->active[i];
	}
	m->work += s->nactive;
	s->nactive = kept;
	while (s->next < m->nspans && m->spans[s->next].first <= at)
		s->active[s->nactive++] = &m->spans[s->next++];
}

static void sweep_to(struct making *m, struct sweep *s, uint64_t first, uint64_t next)
{
	move_to(m, s, first);
	ports_of(m, &s->ports, s->active, s->nactive);
	if (s->open.n && (uint64_t)s->last + 1 == first && same_ports(&s->open, &s->ports)) {
		s->last = (uint32_t)(next - 1);
		return;
	}
	add_boxes(m, s->first, s->last, &s->open);
	struct ports done = s->open;
	s->open = s->ports;
	s->ports = done;
	s->first = (uint32_t)first;
	s->last = (uint32_t)(next - 1);
}

static void make_boxes(struct making *m)
{
	struct sweep s = {0};
	size_t n;
	KG_AUTOFREE uint64_t *edges = edges_of(m, &n);

	if (m->nspans)
		qsort(m->spans, m->nspans, sizeof(*m->spans), compare_spans);
	s.active = kg_alloc((m->nspans + 1) * sizeof(*s.active));
	for (size_t i = 0; i + 1 < n && !is_too_large(m); i++)
		sweep_to(m, &s, edges[i], edges[i + 1]);
	add_boxes(m, s.first, s.last, &s.open);
	free(s.active);
	free(s.ports.items);
	free(s.open.items);
}

bool kg_policy_class_elements(struct kg_nft_elems *out, bool *open, enum kg_policy_direction d,
	uint32_t class_id, const struct kg_policy *const *policies, size_t n,
	const struct kg_map *peers)
{
	struct making m = {.out = out, .set = (unsigned)d * KG_POLICY_SETS, .id = class_id};

	*open = false;
	for (size_t i = 0; i < n; i++) {
		const struct kg_policy_rules *of = &policies[i]->of[d];

		for (uint32_t k = 0; k < of->n; k++)
			*open = *open || (of->rules[k].everybody && !of->rules[k].nports);
	}
	for (size_t i = 0; i < n && !*open; i++) {
		for (uint32_t k = 0; k < policies[i]->of[d].n; k++)
			add_rule(&m, &policies[i]->of[d].rules[k], peers);
	}
	if (!is_too_large(&m))
		make_boxes(&m);
	free(m.spans);
	if (is_too_large(&m)) {
		kg_nft_elems_release(out);
		return false;
	}
	kg_nft_elems_sort(out);
	return true;
}
