#include "nodeagent/services_flows.h"
#include "nodeagent/dns.h"

#include <arpa/inet.h>
#include <string.h>

/* Where the protocol is in a set's keys; -1: they have none. */
static int protocol_at(unsigned set)
{
	const struct kg_nft_set_info *info = &kg_services_table.sets[set];
	bool slots = set == KG_SET_SLOTS || set == KG_SET_NODESLOTS;

	if (set == KG_SET_HAIRPIN || set == KG_SET_EXTERNAL_ADDRS)
		return -1;
	return info->key_len - (slots ? 12 : 8);
}

bool kg_nft_elems_have_udp(const struct kg_nft_elems *e)
{
	for (size_t i = 0; i < e->n; i++) {
		int at = protocol_at(e->items[i].set);

		if (at >= 0 && e->items[i].key[at] == IPPROTO_UDP)
			return true;
	}
	return false;
}

/* The first that is not before set and key, whose other bytes are zero. */
static size_t find_first(const struct kg_nft_elems *e, const struct kg_nft_elem *key)
{
	size_t low = 0, high = e->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct kg_nft_elem *at = &e->items[mid];
		int order = at->set != key->set ? at->set - key->set
						: memcmp(at->key, key->key, sizeof(at->key));

		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

enum leads { NOWHERE, ELSEWHERE, THERE };

/* Where the elements of a set would lead a flow. */
static enum leads leads(
	const struct kg_nft_elems *e, unsigned set, const struct kg_conntrack_flow *f)
{
	struct kg_nft_elem key = {.set = (uint8_t)set};
	size_t n = (size_t)protocol_at(set);
	enum leads found = NOWHERE;

	if (n)
		memcpy(key.key, &f->dst, 4);
	key.key[n] = f->protocol;
	memcpy(key.key + n + 4, &f->dst_port, 2);
	n += 8;
	for (size_t i = find_first(e, &key); i < e->n; i++) {
		const struct kg_nft_elem *at = &e->items[i];

		if (at->set != set || memcmp(at->key, key.key, n) != 0)
			break;
		if (!memcmp(at->data, &f->to, 4) && !memcmp(at->data + 4, &f->to_port, 2))
			return THERE;
		found = ELSEWHERE;
	}
	return found;
}

static bool is_local(const struct kg_flows *flows, in_addr_t addr)
{
	for (size_t i = 0; i < flows->nlocal; i++)
		if (flows->local[i] == addr)
			return true;
	return false;
}

bool kg_flow_is_stale(const struct kg_flows *flows, const struct kg_conntrack_flow *f)
{
	static const struct {
		enum kg_nft_set set;
		bool node; /* whatever the address, as long as it is the node's */
	} ways[] = {{KG_SET_SLOTS, false}, {KG_SET_HOSTADDRS, false}, {KG_SET_NODESLOTS, true},
		{KG_SET_HOSTPORTS, true}};
	const struct kg_services_config *config = flows->config;
	bool local = is_local(flows, f->dst), known = false;

	if (f->protocol != IPPROTO_UDP ||
		(f->dst == kg_dns_address(&config->pods) && f->dst_port == htons(53)))
		return false;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (ways[i].node && !local)
			continue;
		enum leads now = leads(flows->have, ways[i].set, f);

		if (now == THERE)
			return false;
		known = known || now == ELSEWHERE || leads(flows->had, ways[i].set, f) != NOWHERE;
	}
	return known || (flows->whole && kg_cidr_has(&config->services, f->dst));
}
