/* A service of a view, parsed. */
#include "base/mem.h"
#include "kinds/object.h"
#include "nodeagent/services_plan.h"

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

bool kg_endpoint_parse(struct kg_endpoint *out, const char *s)
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
		n += kg_endpoint_parse(&out[n], kg_string(&list->items[i], ""));
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

/* Addresses of its own outside of the cluster, each once; no more than the master lets in. */
static uint32_t parse_externals(in_addr_t *out, const struct kg_value *list, uint32_t nports)
{
	uint32_t n = 0, most = nports ? KG_MAX_WAYS_IN / nports : 0;

	for (uint32_t i = 0; n < most && i < kg_len(list); i++) {
		in_addr_t addr;
		uint32_t k = 0;

		if (inet_pton(AF_INET, kg_string(&list->items[i], ""), &addr) != 1)
			continue;
		while (k < n && out[k] != addr)
			k++;
		out[k] = addr;
		n += k == n;
	}
	return n;
}

struct kg_service *kg_service_parse(const struct kg_value *v, const char *node)
{
	const struct kg_value *ports = kg_get(v, "ports"), *externals = kg_get(v, "externalIPs");
	uint32_t nports = kg_len(ports);
	size_t nendpoints = 0;
	in_addr_t addr;

	if (inet_pton(AF_INET, kg_string(kg_get(v, "clusterIP"), ""), &addr) != 1)
		return NULL;
	for (uint32_t i = 0; i < nports; i++)
		nendpoints += kg_len(kg_get(&ports->items[i], "endpoints")) +
			      kg_len(kg_get(&ports->items[i], "draining"));
	size_t size = sizeof(struct kg_service) + nports * sizeof(struct kg_service_port);
	struct kg_service *s = kg_alloc(size + nendpoints * sizeof(struct kg_endpoint) +
					kg_len(externals) * sizeof(in_addr_t));
	struct kg_endpoint *space = (struct kg_endpoint *)((char *)s + size);
	s->externals = (in_addr_t *)(space + nendpoints);
	s->nexternals = parse_externals(s->externals, externals, nports);
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
