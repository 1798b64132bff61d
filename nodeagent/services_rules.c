/* The rules, as nft text: their number does not depend on that of the services. */
#include "nodeagent/bridge.h"
#include "nodeagent/dns.h"
#include "nodeagent/maglev.h"
#include "nodeagent/services_plan.h"

#include <arpa/inet.h>
#include <string.h>

#define NODE_PORTS "30000-32767"

static const char sets[] =
	"	map services { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	"	map nodeports { type inet_proto . inet_service : verdict; }\n"
	"	map slots { typeof ip daddr . meta l4proto . th dport . numgen random mod 65536"
	" : ip daddr . th dport; }\n"
	"	map nodeslots { typeof meta l4proto . th dport . numgen random mod 65536"
	" : ip daddr . th dport; }\n"
	"	map externals { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	"	set external_ports { type ipv4_addr . inet_proto . inet_service; }\n"
	"	set external_addrs { type ipv4_addr; }\n"
	"	map inner_nodeports { type inet_proto . inet_service : verdict; }\n"
	"	map inner_externals { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	"	set hairpin { type ipv4_addr . ipv4_addr; }\n"
	/* Not by typeof: libnftables cannot read a map of this one again. */
	"	map hostports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
	"	map hostaddrs { type ipv4_addr . inet_proto . inet_service"
	" : ipv4_addr . inet_service; }\n";

static void add_cidr(struct kg_buf *out, const struct kg_cidr *c)
{
	char text[INET_ADDRSTRLEN];
	in_addr_t addr = c->addr & kg_cidr_mask(c->prefix);

	inet_ntop(AF_INET, &addr, text, sizeof(text));
	kg_buf_addf(out, "%s/%u", text, c->prefix);
}

/* Text where @P, @C and @S stand for the three ranges, and @B for the bridge's address. */
static void add_rules(struct kg_buf *out, const struct kg_services_config *c, const char *text)
{
	struct kg_cidr bridge = {.addr = kg_dns_address(&c->pods), .prefix = 32};

	for (; *text; text++) {
		if (*text != '@' || !text[1] || !strchr("PCSB", text[1])) {
			kg_buf_addc(out, *text);
			continue;
		}
		text++;
		add_cidr(out, *text == 'P'   ? &c->pods
			      : *text == 'C' ? &c->cluster
			      : *text == 'S' ? &c->services
					     : &bridge);
	}
}

void kg_services_chain_name(char out[8], bool node, bool inner, bool affinity, size_t size)
{
	KG_AUTOBUF struct kg_buf name = KG_BUF_INIT;

	kg_buf_addf(
		&name, "%s%s%s%zu", node ? "n" : "c", inner ? "i" : "", affinity ? "a" : "", size);
	memcpy(out, name.data, name.len);
}

/* One chain a table size, and a way to pick the slot. */
static void add_slot_chain(struct kg_buf *out, bool node, bool inner, bool affinity, size_t size)
{
	char name[8] = "";

	kg_services_chain_name(name, node, inner, affinity, size);
	kg_buf_addf(out, "	chain %s {\n		dnat ip to %smeta l4proto . th dport . ",
		name, node ? "" : "ip daddr . ");
	if (affinity)
		kg_buf_addf(out, "jhash ip saddr mod %zu seed 0x6b676974", size);
	else
		kg_buf_addf(out, "numgen random mod %zu", size);
	if (inner)
		kg_buf_addf(out, " offset %d", KG_SLOTS_INNER);
	kg_buf_addf(out, " map @%s\n	}\n", node ? "nodeslots" : "slots");
}

static const char base_chains[] =
	/* 127.0.0.1:NODEPORT needs route_localnet; nobody on the wire may use it. */
	"	chain raw {\n"
	"		type filter hook prerouting priority raw\n"
	"		iifname != \"lo\" ip daddr 127.0.0.0/8 drop\n"
	"		iifname != \"lo\" ip saddr 127.0.0.0/8 drop\n"
	"	}\n"
	"	chain here {\n"
	"		dnat ip to ip daddr . meta l4proto . th dport map @hostaddrs\n"
	"		dnat ip to meta l4proto . th dport map @hostports\n"
	"		ip saddr @C meta l4proto . th dport vmap @inner_nodeports\n"
	"		fib saddr type local meta l4proto . th dport vmap @inner_nodeports\n"
	"		meta l4proto . th dport vmap @nodeports\n"
	"	}\n"
	"	chain external {\n"
	"		ip saddr @C ip daddr . meta l4proto . th dport vmap @inner_externals\n"
	"		fib saddr type local ip daddr . meta l4proto . th dport"
	" vmap @inner_externals\n"
	"		ip daddr . meta l4proto . th dport vmap @externals\n"
	"	}\n"
	"	chain translate {\n"
	"		ip daddr @S ip daddr . meta l4proto . th dport vmap @services\n"
	/* Who has port 53 of the node does not take pods' names away. */
	"		ip daddr @B meta l4proto { tcp, udp } th dport 53 return\n"
	"		ip daddr @external_addrs jump external\n"
	"		fib daddr type local jump here\n"
	"	}\n"
	"	chain prerouting {\n"
	"		type nat hook prerouting priority dstnat\n"
	"		jump translate\n"
	"	}\n"
	"	chain output {\n"
	"		type nat hook output priority -100\n"
	"		jump translate\n"
	"	}\n"
	"	chain outer_source {\n"
	"		ip daddr != @P masquerade\n"
	"	}\n"
	"	chain postrouting {\n"
	"		type nat hook postrouting priority srcnat\n"
	/* A pod that reached itself through a service must not see its own address. */
	"		ct status dnat ip saddr . ip daddr @hairpin masquerade\n"
	/* Nobody else can answer to the node's loopback. */
	"		ct status dnat ip saddr 127.0.0.0/8 masquerade\n"
	/* What somebody outside of the cluster sends by a service to where no pod is, and no way to
	 * them perhaps, must come back through here. */
	"		ct status dnat ct original ip daddr @S ip saddr != @C ip daddr != @C"
	" oifname != \"lo\" masquerade\n"
	/* What came by a node port or an external address must come back through this node. */
	"		ct status dnat ct original ip daddr != @S meta l4proto { tcp, udp, sctp }"
	" ct original proto-dst " NODE_PORTS " jump outer_source\n"
	"		ct status dnat ct original ip daddr @external_addrs jump outer_source\n"
	"		ip saddr @P ip daddr != @C oifname != \"" KG_BRIDGE_NAME "\" masquerade\n"
	"	}\n"
	/* What nobody translated has no endpoint, or is no service. TCP is reset, because ICMP
	 * answers are limited to about one a second. A connection to an external address may have
	 * begun before that was one, and what was translated may have led to what is one as well:
	 * the node's own address, of a pod in its network. */
	"	chain nobody {\n"
	"		meta l4proto tcp reject with tcp reset\n"
	"		reject\n"
	"	}\n"
	"	chain forward {\n"
	"		type filter hook forward priority filter\n"
	"		ip daddr @S goto nobody\n"
	"		ct status dnat return\n"
	"		ct state new ip daddr . meta l4proto . th dport @external_ports"
	" goto nobody\n"
	"	}\n"
	"	chain local {\n"
	"		type filter hook output priority filter\n"
	"		ip daddr @S goto nobody\n"
	"		ct status dnat return\n"
	"		ct state new ip daddr . meta l4proto . th dport @external_ports"
	" goto nobody\n"
	"	}\n"
	"	chain arrived {\n"
	"		type filter hook input priority filter\n"
	"		ct status dnat return\n"
	"		ct state new ip daddr . meta l4proto . th dport @external_ports"
	" goto nobody\n"
	"	}\n";

void kg_services_rules(
	struct kg_buf *out, const struct kg_services_config *config, const char *table, bool fresh)
{
	kg_buf_addf(out, "table ip %s\n%s table ip %s\ntable ip %s {\n", table,
		fresh ? "delete" : "flush", table, table);
	kg_buf_adds(out, sets);
	for (size_t size = KG_MAGLEV_MIN; size <= KG_MAGLEV_MAX; size *= 2) {
		for (int kind = 0; kind < 8; kind++)
			add_slot_chain(out, kind & 1, kind & 2, kind & 4, size);
	}
	add_rules(out, config, base_chains);
	kg_buf_adds(out, "}\n");
}
