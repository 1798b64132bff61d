#include "nodeagent/services_plan.h"
#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/maglev.h"

#include <arpa/inet.h>
#include <string.h>

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

/* A way in to a port of a service. */
struct door {
	unsigned set; /* that has it */
	in_addr_t addr;
	in_port_t port;
	uint8_t protocol;
	bool node;  /* a port of the node: whatever the address */
	bool inner; /* for clients within the cluster, beside another for those outside */
	bool affinity;
};

/* Without a slot. Returns its length. */
static size_t put_key(uint8_t *key, const struct door *door)
{
	size_t n = 0;

	if (!door->node) {
		put_addr(key, door->addr);
		n = 4;
	}
	put_protocol(key + n, door->protocol);
	put_port(key + n + 4, door->port);
	return n + 8;
}

static void emit(struct kg_nft_elems *out, const struct door *door,
	const struct kg_endpoint *endpoints, size_t n)
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
	struct kg_nft_elem *e = kg_nft_elems_add(out, door->set);
	put_key(e->key, door);
	kg_services_chain_name(e->chain, door->node, door->inner, door->affinity, size);
	for (uint32_t i = 0; i < size; i++) {
		const struct kg_endpoint *to = &endpoints[table[i]];
		uint32_t slot = i + (door->inner ? KG_SLOTS_INNER : 0);

		e = kg_nft_elems_add(out, door->node ? KG_SET_NODESLOTS : KG_SET_SLOTS);
		size_t at = put_key(e->key, door);
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

/* To those of this node: to such as are on their way out where there are no others. Are they all
 * that there are? */
static bool emit_local(struct kg_nft_elems *out, const struct door *door,
	const struct kg_service_port *port, const struct kg_services_config *config)
{
	size_t most = (size_t)port->nendpoints + port->ndraining + 1;
	KG_AUTOFREE struct kg_endpoint *local = kg_alloc(most * sizeof(*local));
	size_t n = pick_local(local, port->endpoints, port->nendpoints, config);
	bool all = n == port->nendpoints;

	if (!n)
		n = pick_local(local, port->draining, port->ndraining, config);
	emit(out, door, local, n);
	return all;
}

/* By the cluster's own address. */
static void emit_inner(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_service_port *port, const struct kg_services_config *config)
{
	struct door door = {.set = KG_SET_SERVICES,
		.addr = port->addr,
		.port = port->port,
		.protocol = port->protocol,
		.affinity = s->affinity};

	if (s->inner_local)
		emit_local(out, &door, port, config);
	else
		emit(out, &door, port->endpoints, port->nendpoints);
}

/* Where the policy is Local, that is so for those outside of the cluster: who is within it is led
 * to all endpoints, as kube-proxy has it. */
static void emit_outer(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_service_port *port, struct door door, enum kg_nft_set inner,
	const struct kg_services_config *config)
{
	if (!s->local) {
		emit(out, &door, port->endpoints, port->nendpoints);
		return;
	}
	if (emit_local(out, &door, port, config))
		return;
	door.set = inner;
	door.inner = true;
	emit(out, &door, port->endpoints, port->nendpoints);
}

static void emit_node_port(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_service_port *port, const struct kg_services_config *config)
{
	struct door door = {.set = KG_SET_NODEPORTS,
		.port = port->node_port,
		.protocol = port->protocol,
		.node = true,
		.affinity = s->affinity};

	emit_outer(out, s, port, door, KG_SET_INNER_NODEPORTS, config);
}

static bool is_outside(in_addr_t addr, const struct kg_services_config *config)
{
	return !kg_cidr_has(&config->services, addr) && !kg_cidr_has(&config->cluster, addr);
}

static bool has_endpoint(const struct kg_endpoint *list, uint32_t n, in_addr_t addr, in_port_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (list[i].addr == addr && list[i].port == port)
			return true;
	return false;
}

static bool is_master(const struct door *door, const struct kg_services_config *config)
{
	return door->protocol == IPPROTO_TCP && config->master && door->addr == config->master &&
	       door->port == config->master_port;
}

/* One that is an endpoint itself may be left untranslated: that is not rejected. */
static void emit_external(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_service_port *port, in_addr_t addr, const struct kg_services_config *config)
{
	struct door door = {.set = KG_SET_EXTERNALS,
		.addr = addr,
		.port = port->port,
		.protocol = port->protocol,
		.affinity = s->affinity};

	if (!is_outside(addr, config) || is_master(&door, config))
		return;
	if (!has_endpoint(port->endpoints, port->nendpoints, addr, port->port) &&
		!has_endpoint(port->draining, port->ndraining, addr, port->port))
		put_key(kg_nft_elems_add(out, KG_SET_EXTERNAL_PORTS)->key, &door);
	emit_outer(out, s, port, door, KG_SET_INNER_EXTERNALS, config);
}

void kg_service_shared_elements(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_services_config *config)
{
	for (uint32_t i = 0; s && i < s->nexternals; i++)
		if (is_outside(s->externals[i], config))
			put_addr(
				kg_nft_elems_add(out, KG_SET_EXTERNAL_ADDRS)->key, s->externals[i]);
}

void kg_service_elements(struct kg_nft_elems *out, const struct kg_service *s,
	const struct kg_services_config *config)
{
	if (s && s->pod) {
		kg_service_pod_elements(out, s);
		return;
	}
	kg_service_shared_elements(out, s, config);
	for (uint32_t i = 0; s && i < s->nports; i++) {
		const struct kg_service_port *port = &s->ports[i];

		emit_inner(out, s, port, config);
		if (port->node_port)
			emit_node_port(out, s, port, config);
		for (uint32_t k = 0; k < s->nexternals; k++)
			emit_external(out, s, port, s->externals[k], config);
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
