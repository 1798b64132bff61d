/* The sets, and their elements as text. */
#include "nodeagent/services_plan.h"

#include <arpa/inet.h>
#include <string.h>

static const struct kg_nft_set_info sets[KG_SET_COUNT] = {
	[KG_SET_SERVICES] = {"services", 12, 0, true, false},
	[KG_SET_NODEPORTS] = {"nodeports", 8, 0, true, false},
	[KG_SET_SLOTS] = {"slots", 16, 8, false, false},
	[KG_SET_NODESLOTS] = {"nodeslots", 12, 8, false, false},
	[KG_SET_HAIRPIN] = {"hairpin", 8, 0, false, false},
	[KG_SET_HOSTPORTS] = {"hostports", 8, 8, false, false},
	[KG_SET_HOSTADDRS] = {"hostaddrs", 12, 8, false, false},
	[KG_SET_EXTERNALS] = {"externals", 12, 0, true, false},
	[KG_SET_EXTERNAL_PORTS] = {"external_ports", 12, 0, false, false},
	[KG_SET_EXTERNAL_ADDRS] = {"external_addrs", 4, 0, false, false},
	[KG_SET_INNER_NODEPORTS] = {"inner_nodeports", 8, 0, true, false},
	[KG_SET_INNER_EXTERNALS] = {"inner_externals", 12, 0, true, false},
};
const struct kg_nft_table kg_services_table = {"kgit", sets, KG_SET_COUNT};
const struct kg_nft_table kg_services_stand_in = {"kgit_next", sets, KG_SET_COUNT};

static void print_addr(struct kg_buf *out, const uint8_t *p)
{
	kg_buf_addf(out, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static unsigned port_at(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void print_protocol(struct kg_buf *out, uint8_t protocol)
{
	if (protocol == IPPROTO_TCP)
		kg_buf_adds(out, "tcp");
	else if (protocol == IPPROTO_UDP)
		kg_buf_adds(out, "udp");
	else
		kg_buf_addf(out, "%u", protocol);
}

void kg_nft_elem_print(struct kg_buf *out, const struct kg_nft_elem *e)
{
	const uint8_t *key = e->key;
	bool host = e->set == KG_SET_HOSTPORTS || e->set == KG_SET_HOSTADDRS;
	bool node = e->set == KG_SET_NODEPORTS || e->set == KG_SET_NODESLOTS ||
		    e->set == KG_SET_INNER_NODEPORTS || e->set == KG_SET_HOSTPORTS;
	uint32_t slot = 0;

	kg_buf_addf(out, "%s ", sets[e->set].name);
	if (!node)
		print_addr(out, key);
	if (e->set == KG_SET_EXTERNAL_ADDRS) {
		kg_buf_addc(out, '\n');
		return;
	}
	if (!node) {
		kg_buf_adds(out, " . ");
		key += 4;
	}
	if (e->set == KG_SET_HAIRPIN) {
		print_addr(out, key);
		kg_buf_addc(out, '\n');
		return;
	}
	print_protocol(out, key[0]);
	kg_buf_addf(out, " . %u", port_at(key + 4));
	if (sets[e->set].verdict) {
		kg_buf_addf(out, " : goto %s\n", e->chain);
		return;
	}
	if (!sets[e->set].data_len) {
		kg_buf_addc(out, '\n');
		return;
	}
	if (!host)
		memcpy(&slot, key + 8, sizeof(slot));
	if (host)
		kg_buf_adds(out, " : ");
	else
		kg_buf_addf(out, " . %u : ", slot);
	print_addr(out, e->data);
	kg_buf_addf(out, " . %u\n", port_at(e->data + 4));
}
