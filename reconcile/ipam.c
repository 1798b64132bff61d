/*
 * Addresses and node ports. The bitmaps follow the snapshot (track.c); an allocation only chooses,
 * the put of the object that holds it claims it. A choice begins where the uid's hash says, so it
 * does not depend on what else came and went, and an address just freed is not soon used again.
 */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

int kg_ip_parse(uint32_t *out, const char *s)
{
	uint32_t ip = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t b = 0;
		int digits = 0;
		if (i && *s++ != '.')
			return -1;
		for (; digits < 3 && *s >= '0' && *s <= '9'; digits++)
			b = b * 10 + (uint32_t)(*s++ - '0');
		if (!digits || b > 255)
			return -1;
		ip = ip << 8 | b;
	}
	if (*s)
		return -1;
	*out = ip;
	return 0;
}

void kg_ip_format(char out[16], uint32_t ip)
{
	char *at = out;
	for (int shift = 24; shift >= 0; shift -= 8) {
		uint32_t b = ip >> shift & 255;
		if (b >= 100)
			*at++ = (char)('0' + b / 100);
		if (b >= 10)
			*at++ = (char)('0' + b / 10 % 10);
		*at++ = (char)('0' + b % 10);
		*at++ = shift ? '.' : '\0';
	}
}

int kg_ip_range_parse(struct kg_ip_range *out, const char *cidr)
{
	const char *slash = strchr(cidr, '/');
	char addr[16];
	uint32_t ip;
	if (!slash || (size_t)(slash - cidr) >= sizeof(addr))
		return -1;
	memcpy(addr, cidr, (size_t)(slash - cidr));
	addr[slash - cidr] = '\0';
	char *end;
	unsigned long prefix = strtoul(slash + 1, &end, 10);
	if (kg_ip_parse(&ip, addr) < 0 || end == slash + 1 || *end || prefix < 8 || prefix > 30)
		return -1;
	out->prefix = (unsigned)prefix;
	out->size = UINT32_C(1) << (32 - prefix);
	out->first = ip & ~(out->size - 1);
	return 0;
}

void kg_bit_set(uint64_t *map, uint32_t i, bool on)
{
	if (on)
		map[i / 64] |= UINT64_C(1) << (i % 64);
	else
		map[i / 64] &= ~(UINT64_C(1) << (i % 64));
}

uint64_t *kg_bits_new(uint32_t n)
{
	return kg_alloc(((size_t)n + 63) / 64 * sizeof(uint64_t));
}

uint32_t kg_bit_free(const uint64_t *map, uint32_t lo, uint32_t hi, uint32_t start)
{
	for (uint32_t k = 0; lo < hi && k < hi - lo; k++) {
		uint32_t i = lo + (start - lo + k) % (hi - lo);
		if (!kg_bit(map, i))
			return i;
	}
	return UINT32_MAX;
}

/* ---- services ---- */

static bool service_offset(const struct kg_reconcile_state *st, uint32_t *i, const char *ip)
{
	uint32_t addr;
	if (kg_ip_parse(&addr, ip) < 0 || addr - st->service_range.first >= st->service_range.size)
		return false;
	*i = addr - st->service_range.first;
	return true;
}

void kg_ipam_service(struct kg_reconcile_state *st, const struct kg_object *svc, bool on)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	uint32_t i;
	if (service_offset(st, &i, kg_string(kg_get(spec, "clusterIP"), "")))
		kg_bit_set(st->service_ips, i, on);
	const struct kg_value *ports = kg_get(spec, "ports");
	for (uint32_t k = 0; k < kg_len(ports); k++) {
		int64_t p = kg_int(kg_get(&ports->items[k], "nodePort"), 0);
		if (p >= st->node_port_min && p <= st->node_port_max)
			kg_bit_set(st->node_ports, (uint32_t)(p - st->node_port_min), on);
	}
}

bool kg_ipam_service_ip(char out[16], struct kg_reconcile_state *st, const char *uid)
{
	uint32_t size = st->service_range.size;
	/* The lower band is left to addresses that users choose, as Kubernetes does, while the
	 * upper one has room. Never the network's own, the API's (1) or the broadcast address. */
	uint32_t band = size / 16 < 16 ? 16 : size / 16;
	band = band > 256 ? 256 : band;
	if (band >= size - 1)
		band = 2;
	uint32_t start = band + (uint32_t)(kg_hash64(uid, strlen(uid)) % (size - 1 - band));
	uint32_t i = kg_bit_free(st->service_ips, band, size - 1, start);
	if (i == UINT32_MAX)
		i = kg_bit_free(st->service_ips, 2, band, 2);
	if (i == UINT32_MAX)
		return false;
	kg_ip_format(out, st->service_range.first + i);
	return true;
}

int kg_ipam_node_port(struct kg_reconcile_state *st, const char *uid, unsigned index)
{
	uint32_t n = (uint32_t)(st->node_port_max - st->node_port_min + 1);
	char what[64];
	int len = snprintf(what, sizeof(what), "%s#%u", uid, index);
	uint32_t start = (uint32_t)(kg_hash64(what, (size_t)len) % n);
	uint32_t i = kg_bit_free(st->node_ports, 0, n, start);
	return i == UINT32_MAX ? 0 : st->node_port_min + (int)i;
}

void kg_ipam_recount(struct kg_reconcile_state *st, const struct kg_snapshot *s)
{
	uint32_t ports = (uint32_t)(st->node_port_max - st->node_port_min + 1);
	memset(st->service_ips, 0, ((size_t)st->service_range.size + 63) / 64 * 8);
	memset(st->node_ports, 0, ((size_t)ports + 63) / 64 * 8);
	kg_bit_set(st->service_ips, 1, true); /* the API's own */
	struct kg_object_iter it;
	const struct kg_object *svc;
	kg_iter_kind(&it, s, KG_KIND_SERVICE, NULL, NULL);
	while ((svc = kg_iter_next(&it)))
		kg_ipam_service(st, svc, true);
	kg_iter_release(&it);
}

int kg_ipam_check(struct kg_reconcile_state *st, const char *ns, const char *name,
	const struct kg_value *v, struct kg_error *err)
{
	const char *ip = kg_string(kg_at(v, "spec.clusterIP"), "");
	uint32_t i;
	if (*ip && strcmp(ip, "None") != 0) {
		if (!service_offset(st, &i, ip))
			return kg_fail(err, KG_E_INVALID,
				"Service %s/%s: spec.clusterIP: %s is not in the range of services",
				ns, name, ip);
		if (kg_bit(st->service_ips, i))
			return kg_fail(err, KG_E_INVALID,
				"Service %s/%s: spec.clusterIP: %s is already allocated", ns, name,
				ip);
	}
	const struct kg_value *ports = kg_at(v, "spec.ports");
	for (uint32_t k = 0; k < kg_len(ports); k++) {
		int64_t p = kg_int(kg_get(&ports->items[k], "nodePort"), 0);
		if (!p)
			continue;
		if (p < st->node_port_min || p > st->node_port_max)
			return kg_fail(err, KG_E_INVALID,
				"Service %s/%s: spec.ports[%u].nodePort: %lld is not in %d-%d", ns,
				name, k, (long long)p, st->node_port_min, st->node_port_max);
		if (kg_bit(st->node_ports, (uint32_t)(p - st->node_port_min)))
			return kg_fail(err, KG_E_INVALID,
				"Service %s/%s: spec.ports[%u].nodePort: %lld is already allocated",
				ns, name, k, (long long)p);
	}
	return 0;
}

/* ---- nodes and their pods ---- */

void kg_ipam_node(struct kg_reconcile_state *st, const struct kg_object *node, bool on)
{
	struct kg_ip_range r;
	const char *cidr = kg_string(kg_at(kg_obj(node), "spec.podCIDR"), "");
	if (kg_ip_range_parse(&r, cidr) == 0 &&
		r.first - st->pod_range.first < st->pod_range.size) {
		uint32_t i = (r.first - st->pod_range.first) / 256;
		if (i < st->ncidrs)
			kg_bit_set(st->node_cidrs, i, on);
	}
}

bool kg_ipam_node_cidr(char out[32], struct kg_reconcile_state *st)
{
	uint32_t i = kg_bit_free(st->node_cidrs, 0, st->ncidrs, 0);
	if (i == UINT32_MAX)
		return false;
	char ip[16];
	kg_ip_format(ip, st->pod_range.first + i * 256);
	snprintf(out, 32, "%s/%u", ip, st->pod_range.prefix > 24 ? st->pod_range.prefix : 24);
	return true;
}

/* Of a range: .0 is the network, .1 the node's bridge, the last the broadcast address. */
static uint32_t pod_ip_free(const struct kg_node_info *n, const char *uid)
{
	if (!n->has_cidr)
		return UINT32_MAX;
	uint32_t size = UINT32_C(1) << (32 - n->prefix);
	uint32_t start = 2 + (uint32_t)(kg_hash64(uid, strlen(uid)) % (size - 3));
	return kg_bit_free(n->taken, 2, size - 1, start);
}

bool kg_ipam_pod_room(const struct kg_node_info *n)
{
	return n->has_cidr && n->ntaken < (UINT32_C(1) << (32 - n->prefix)) - 3;
}

void kg_ipam_pod(struct kg_node_info *n, uint32_t index, bool on)
{
	if (kg_bit(n->taken, index) == on)
		return;
	kg_bit_set(n->taken, index, on);
	n->ntaken += on ? 1 : -1;
}

bool kg_ipam_pod_ip(char out[16], const struct kg_node_info *n, const char *uid)
{
	uint32_t i = pod_ip_free(n, uid);
	if (i == UINT32_MAX)
		return false;
	kg_ip_format(out, n->cidr + i);
	return true;
}
