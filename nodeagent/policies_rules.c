/* The table's sets and rules, as nft text: always the same ones. */
#include "nodeagent/bridge.h"
#include "nodeagent/policies_plan.h"

#include <netinet/in.h>
#include <string.h>

static const struct kg_nft_set_info sets[KG_POLICY_ALL_SETS] = {
	{"in_pods", 4, 4, false, false},
	{"in_peers", 8, 0, false, false},
	{"in_ports", 16, 0, false, false},
	{"in_ranges", 16, 0, false, true},
	{"out_pods", 4, 4, false, false},
	{"out_peers", 8, 0, false, false},
	{"out_ports", 16, 0, false, false},
	{"out_ranges", 16, 0, false, true},
	{"self", 8, 0, false, false},
};
const struct kg_nft_table kg_policies_table = {"kgit_policies", sets, KG_POLICY_ALL_SETS};

static const char direction[] =
	"	map @_pods { type ipv4_addr : classid; }\n"
	"	set @_peers { typeof meta priority . ip saddr; }\n"
	"	set @_ports { typeof meta priority . ip saddr . meta l4proto . th dport; }\n"
	"	set @_ranges { typeof meta priority . ip saddr . meta l4proto . th dport;"
	" flags interval; }\n"
	"	chain @ {\n"
	"		meta priority . ip $addr @@_peers goto allowed\n"
	"		meta priority . ip $addr . meta l4proto . th dport @@_ports goto allowed\n"
	"		meta priority . ip $addr . meta l4proto . th dport @@_ranges goto allowed\n"
	/* TCP is reset: ICMP answers are limited to about one a second, and the first one is lost
	 * on a pod of the same node, which is still sending as it comes. But a reset that
	 * br_netfilter is involved in is sent with the address of the endpoint, not of the service.
	 */
	"		ct status dnat reject with icmp type admin-prohibited\n"
	"		meta l4proto tcp reject with tcp reset\n"
	"		reject with icmp type admin-prohibited\n"
	"	}\n";

/*
 * A packet has no room for the class but its priority, which the kernel sets from the type of
 * service just before this hook and reads after it: it is set back (rt_tos2priority).
 */
static const char common[] =
	"	set self { type ipv4_addr . ipv4_addr; }\n"
	/* Who began a connection cannot be told from its middle: one that is not known, because a
	 * policy cut it or the table of connections was lost, has to be begun again. */
	"	chain begun {\n"
	"		ct state invalid drop\n"
	"		tcp flags & (fin | syn | rst | ack) != syn reject with tcp reset\n"
	"	}\n"
	"	chain allowed {\n"
	"		meta priority set 0:0\n"
	"		@nh,8,8 & 0x18 == 0x08 meta priority set 0:2\n"
	"		@nh,8,8 & 0x18 == 0x10 meta priority set 0:6\n"
	"		@nh,8,8 & 0x18 == 0x18 meta priority set 0:4\n"
	"	}\n";

static const char forward[] =
	/* Behind the rules of services. What a node's own processes send to its pods, and these to
	 * it, does not come by here, and is always allowed. */
	"	chain forward {\n"
	"		type filter hook forward priority filter + 5\n"
	"		ct state established,related accept\n"
	"		ip saddr . ip daddr @self accept\n"
	"		ip saddr . ip saddr @self jump begun\n"
	"		ip daddr . ip daddr @self jump begun\n"
	"		meta priority set ip saddr map @out_pods jump out\n"
	"		meta priority set ip daddr map @in_pods jump in\n"
	"	}\n";

/* Text where @ stands for the direction's name and $ for the peer's end, s or d. */
static void add_direction(struct kg_buf *out, const char *name, char peer)
{
	for (const char *p = direction; *p; p++) {
		if (*p == '$')
			kg_buf_addc(out, peer);
		else if (*p == '@' && p[1] == '@')
			kg_buf_addc(out, '@');
		else if (*p == '@')
			kg_buf_adds(out, name);
		else
			kg_buf_addc(out, *p);
	}
}

#define BY_BRIDGE "meta ibrname \"" KG_BRIDGE_NAME "\""
#define BY_LINK   "iifname \"kg*\"" /* kg_bridge_veth_name */

const char kg_policies_named_probe[] =
	"table bridge kgit_policies { chain probe { " BY_BRIDGE " drop; }; }\n";

/* A frame from pod to pod within the bridge would pass by all rules, so pods may send to their
 * gateway alone, as they do by themselves (bridge.h). Before any translation of addresses that
 * bridges may do on their own (br_netfilter). */
static void add_bridge(struct kg_buf *out, const struct kg_policies_link *link, const char *clear)
{
	const uint8_t *mac = link->mac;

	kg_buf_addf(out, "table bridge kgit_policies\n%s table bridge kgit_policies\n", clear);
	kg_buf_addf(out,
		"table bridge kgit_policies {\n"
		"	chain prerouting {\n"
		"		type filter hook prerouting priority -300\n"
		"		%s ether daddr != %02x:%02x:%02x:%02x:%02x:%02x drop\n"
		"	}\n}\n",
		link->named ? BY_BRIDGE : BY_LINK, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void kg_policies_rules(struct kg_buf *out, const struct kg_policies_link *link, bool fresh)
{
	const char *clear = fresh ? "delete" : "flush";

	kg_buf_addf(out, "table ip kgit_policies\n%s table ip kgit_policies\n", clear);
	kg_buf_adds(out, "table ip kgit_policies {\n");
	kg_buf_adds(out, common);
	add_direction(out, "in", 's');
	add_direction(out, "out", 'd');
	kg_buf_adds(out, forward);
	kg_buf_adds(out, "}\n");
	add_bridge(out, link, clear);
}

/* ---- for people ---- */

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
	kg_buf_adds(out, protocol == IPPROTO_TCP    ? "tcp"
			 : protocol == IPPROTO_UDP  ? "udp"
			 : protocol == IPPROTO_SCTP ? "sctp"
						    : "any");
}

static void print_box(struct kg_buf *out, const struct kg_nft_elem *e)
{
	if (memcmp(e->key + 4, e->end.addr, 4) != 0) {
		kg_buf_addc(out, '-');
		print_addr(out, e->end.addr);
	}
	kg_buf_adds(out, " . ");
	print_protocol(out, e->key[8]);
	kg_buf_addf(out, " . %u", port_at(e->key + 12));
	if (memcmp(e->key + 12, e->end.port, 2) != 0)
		kg_buf_addf(out, "-%u", port_at(e->end.port));
}

void kg_policy_elem_print(struct kg_buf *out, const struct kg_nft_elem *e)
{
	unsigned set = e->set == KG_POLICY_SELF ? KG_POLICY_SELF : e->set % KG_POLICY_SETS;
	uint32_t id;

	memcpy(&id, set == KG_POLICY_PODS ? e->data : e->key, sizeof(id));
	if (sets[e->set].interval)
		id = ntohl(id);
	kg_buf_addf(out, "%s ", sets[e->set].name);
	if (set == KG_POLICY_SELF || set == KG_POLICY_PODS) {
		print_addr(out, e->key);
		if (set == KG_POLICY_PODS)
			kg_buf_addf(out, " : %08x", id);
		kg_buf_addc(out, '\n');
		return;
	}
	kg_buf_addf(out, "%08x . ", id);
	print_addr(out, e->key + 4);
	if (set == KG_POLICY_RANGES) {
		print_box(out, e);
	} else if (set == KG_POLICY_PORTS) {
		kg_buf_adds(out, " . ");
		print_protocol(out, e->key[8]);
		kg_buf_addf(out, " . %u", port_at(e->key + 12));
	}
	kg_buf_addc(out, '\n');
}
