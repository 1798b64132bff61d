#include "nodeagent/services_plan.h"
#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/maglev.h"

#include <arpa/inet.h>
#include <string.h>

static int protocol_of(const char *name)
{
	static const struct {
		const char *name;
		int number;
	} known[] = {{"TCP", IPPROTO_TCP}, {"UDP", IPPROTO_UDP}, {"SCTP", IPPROTO_SCTP}};

	for (size_t i = 0; i < KG_ARRAY_LEN(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return known[i].number;
	}
	return -1;
}

static in_port_t port_of(const struct kg_value *v)
{
	int64_t port = kg_int(v, 0);

	return port > 0 && port < 65536 ? htons((uint16_t)port) : 0;
}

/* "10.244.0.5:8080" */
static bool parse_endpoint(struct kg_endpoint *out, const char *s)
{
	const char *colon = strrchr(s, ':');
	char addr[INET_ADDRSTRLEN], *end;

	if (!colon || (size_t)(colon - s) >= sizeof(addr))
		return false;
	memcpy(addr, s, (size_t)(colon - s));
	addr[colon - s] = '\0';
	unsigned long port = strtoul(colon + 1, &end, 10);
	if (*end || port == 0 || port > 65535)
		return false;
	out->port = htons((uint16_t)port);
	return inet_pton(AF_INET, addr, &out->addr) == 1;
}

static int compare_endpoints(const void *a, const void *b)
{
	const struct kg_endpoint *x = a, *y = b;

	if (x->addr != y->addr)
		return ntohl(x->addr) < ntohl(y->addr) ? -1 : 1;
	return ntohs(x->port) - ntohs(y->port);
}

static uint32_t parse_endpoints(struct kg_endpoint *out, const struct kg_value *list)
{
	uint32_t n = 0, unique = 0;

	for (uint32_t i = 0; i < kg_len(list); i++)
		n += parse_endpoint(&out[n], kg_string(&list->items[i], ""));
	if (n)
		qsort(out, n, sizeof(*out), compare_endpoints);
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || compare_endpoints(&out[i], &out[unique - 1]) != 0)
			out[unique++] = out[i];
	}
	return unique;
}

/* What a service says of where the endpoints of an address are. */
struct places {
	struct kg_endpoint *v; /* heap; sorted, one for each address */
	uint32_t n;
};

/* Of two for one address the one that is here comes first. */
static int compare_places(const void *a, const void *b)
{
	const struct kg_endpoint *x = a, *y = b;
	int order = compare_endpoints(x, y);

	return order ? order : y->here - x->here;
}

static struct places parse_places(const struct kg_value *list, const char *node)
{
	struct places p = {.v = kg_alloc((kg_len(list) + 1) * sizeof(*p.v))};

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *address = kg_string(kg_get(&list->items[i], "address"), "");
		const char *name = kg_string(kg_get(&list->items[i], "nodeName"), "");

		p.v[p.n].here = *node && strcmp(name, node) == 0 ? 1 : -1;
		p.n += inet_pton(AF_INET, address, &p.v[p.n].addr) == 1;
	}
	if (p.n)
		qsort(p.v, p.n, sizeof(*p.v), compare_places);
	uint32_t unique = 0;
	for (uint32_t i = 0; i < p.n; i++)
		if (i == 0 || p.v[i].addr != p.v[unique - 1].addr)
			p.v[unique++] = p.v[i];
	p.n = unique;
	return p;
}

static struct kg_endpoint *parse_list(uint32_t *n, const struct kg_value *list,
	const struct places *places, struct kg_endpoint **space)
{
	struct kg_endpoint *out = *space;

	*n = parse_endpoints(out, list);
	for (uint32_t i = 0; i < *n; i++) {
		const struct kg_endpoint key = {.addr = out[i].addr};
		const struct kg_endpoint *at =
			bsearch(&key, places->v, places->n, sizeof(*places->v), compare_endpoints);

		out[i].here = at ? at->here : 0;
	}
	*space += *n;
	return out;
}

static bool parse_port(struct kg_service_port *out, const struct kg_value *v, in_addr_t addr)
{
	int protocol = protocol_of(kg_string(kg_get(v, "protocol"), "TCP"));

	out->addr = addr;
	out->protocol = (uint8_t)protocol;
	out->port = port_of(kg_get(v, "port"));
	out->node_port = port_of(kg_get(v, "nodePort"));
	return protocol >= 0 && out->port;
}

struct kg_service *kg_service_parse(const struct kg_value *v, const char *node)
{
	const struct kg_value *ports = kg_get(v, "ports");
	uint32_t nports = kg_len(ports);
	size_t nendpoints = 0;
	in_addr_t addr;

	if (inet_pton(AF_INET, kg_string(kg_get(v, "clusterIP"), ""), &addr) != 1)
		return NULL;
	for (uint32_t i = 0; i < nports; i++)
		nendpoints += kg_len(kg_get(&ports->items[i], "endpoints")) +
			      kg_len(kg_get(&ports->items[i], "draining"));
	size_t size = sizeof(struct kg_service) + nports * sizeof(struct kg_service_port);
	struct kg_service *s = kg_alloc(size + nendpoints * sizeof(struct kg_endpoint));
	struct kg_endpoint *space = (struct kg_endpoint *)((char *)s + size);
	s->affinity = strcmp(kg_string(kg_get(v, "sessionAffinity"), ""), "ClientIP") == 0;
	s->local = strcmp(kg_string(kg_get(v, "externalTrafficPolicy"), ""), "Local") == 0;
	s->inner_local = strcmp(kg_string(kg_get(v, "internalTrafficPolicy"), ""), "Local") == 0;
	struct places places = parse_places(kg_get(v, "places"), node);
	for (uint32_t i = 0; i < nports; i++) {
		const struct kg_value *port = &ports->items[i];
		struct kg_service_port *p = &s->ports[s->nports];

		if (!parse_port(p, port, addr))
			continue;
		p->endpoints =
			parse_list(&p->nendpoints, kg_get(port, "endpoints"), &places, &space);
		p->draining = parse_list(&p->ndraining, kg_get(port, "draining"), &places, &space);
		s->nports++;
	}
	free(places.v);
	return s;
}

/* ---- elements of a service ---- */

static void put_protocol(uint8_t *p, uint8_t protocol)
{
	p[0] = protocol;
}

static void put_port(uint8_t *p, in_port_t port)
{
	memcpy(p, &port, 2);
}

static void put_addr(uint8_t *p, in_addr_t addr)
{
	memcpy(p, &addr, 4);
}

/* The key of a service port, without a slot: of a node port where it has one of its own. Returns
 * its length. */
static size_t put_key(uint8_t *key, const struct kg_service_port *port, bool node)
{
	size_t n = 0;

	if (!node) {
		put_addr(key, port->addr);
		n = 4;
	}
	put_protocol(key + n, port->protocol);
	put_port(key + n + 4, node ? port->node_port : port->port);
	return n + 8;
}

static void name_chain(char chain[8], bool node, bool affinity, size_t size)
{
	KG_AUTOBUF struct kg_buf name = KG_BUF_INIT;

	kg_buf_addf(&name, "%s%s%zu", node ? "n" : "c", affinity ? "a" : "", size);
	memcpy(chain, name.data, name.len);
}

static void emit(struct kg_nft_elems *out, const struct kg_service_port *port, bool node,
	bool affinity, const struct kg_endpoint *endpoints, size_t n)
{
	if (!n)
		return;
	if (n > KG_MAGLEV_MAX)
		n = KG_MAGLEV_MAX;
	size_t size = kg_maglev_size(n);
	KG_AUTOFREE uint16_t *table = kg_alloc(size * sizeof(*table));
	KG_AUTOFREE uint64_t *hashes = kg_alloc(n * sizeof(*hashes));
	for (size_t i = 0; i < n; i++) {
		uint8_t id[6];

		put_addr(id, endpoints[i].addr);
		put_port(id + 4, endpoints[i].port);
		hashes[i] = kg_hash64(id, sizeof(id));
	}
	kg_maglev_fill(table, size, hashes, n);
	struct kg_nft_elem *e = kg_nft_elems_add(out, node ? KG_SET_NODEPORTS : KG_SET_SERVICES);
	put_key(e->key, port, node);
	name_chain(e->chain, node, affinity, size);
	for (uint32_t slot = 0; slot < size; slot++) {
		const struct kg_endpoint *to = &endpoints[table[slot]];

		e = kg_nft_elems_add(out, node ? KG_SET_NODESLOTS : KG_SET_SLOTS);
		size_t at = put_key(e->key, port, node);
		memcpy(e->key + at, &slot, sizeof(slot));
		put_addr(e->data, to->addr);
		put_port(e->data + 4, to->port);
	}
}

static size_t pick_local(struct kg_endpoint *out, const struct kg_endpoint *from, uint32_t n,
	const struct kg_services_config *config)
{
	size_t picked = 0;

	for (uint32_t i = 0; i < n; i++) {
		in_addr_t addr = from[i].addr;
		bool near = addr == config->node || kg_cidr_has(&config->pods, addr);

		if (from[i].here ? from[i].here > 0 : near)
			out[picked++] = from[i];
	}
	return picked;
}

/* To all of its endpoints, or to those of this node: to such as are on their way out where there
 * are no others. */
static void emit_port(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_service_port *port, bool node, const struct kg_services_config *config)
{
	size_t n = 0;

	if (node ? !s->local : !s->inner_local) {
		emit(out, port, node, s->affinity, port->endpoints, port->nendpoints);
		return;
	}
	size_t most = (size_t)port->nendpoints + port->ndraining + 1;
	KG_AUTOFREE struct kg_endpoint *local = kg_alloc(most * sizeof(*local));
	n = pick_local(local, port->endpoints, port->nendpoints, config);
	if (!n)
		n = pick_local(local, port->draining, port->ndraining, config);
	emit(out, port, node, s->affinity, local, n);
}

void kg_service_elements(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_services_config *config)
{
	if (s && s->pod) {
		kg_service_pod_elements(out, s);
		return;
	}
	for (uint32_t i = 0; s && i < s->nports; i++) {
		const struct kg_service_port *port = &s->ports[i];

		emit_port(out, s, port, false, config);
		if (port->node_port)
			emit_port(out, s, port, true, config);
	}
}

void kg_services_node_elements(struct kg_nft_elems *out, const struct kg_services_config *config)
{
	uint32_t first = ntohl(config->pods.addr & kg_cidr_mask(config->pods.prefix));
	uint32_t count = (uint32_t)1 << (32 - config->pods.prefix);

	for (uint32_t i = 2; i + 1 < count; i++) { /* without network, gateway and broadcast */
		struct kg_nft_elem *e = kg_nft_elems_add(out, KG_SET_HAIRPIN);

		put_addr(e->key, htonl(first + i));
		put_addr(e->key + 4, htonl(first + i));
	}
}
