#include "nodeagent/services.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/conntrack.h"
#include "nodeagent/nft_keeper.h"
#include "nodeagent/services_flows.h"
#include "nodeagent/services_plan.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct kg_services {
	struct kg_services_options opts;
	struct kg_nft_keeper *keeper;
	struct kg_services_config config;
	bool configured;
	struct kg_map services; /* key -> struct kg_service */
	struct kg_map outer;    /* of these those that have externalIPs; borrowed */
	/* key -> what the last commit had of it (none: &no_service); the old ones are owned */
	struct kg_map pending;
};

static struct kg_service no_service;

static void forget_pending(struct kg_services *s)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
		if (e->value != &no_service)
			free(e->value);
	}
	kg_map_clear(&s->pending);
}

/* ---- flows of UDP that go where nothing leads any more ---- */

static size_t find_addresses(in_addr_t **out, struct kg_error *err)
{
	struct ifaddrs *all;
	size_t n = 0, cap = 0;

	if (getifaddrs(&all) < 0) {
		kg_fail_errno(err, "list the node's addresses");
		return 0;
	}
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		KG_GROW(*out, cap, n + 1);
		memcpy(&(*out)[n++], &((const struct sockaddr_in *)i->ifa_addr)->sin_addr,
			sizeof(**out));
	}
	freeifaddrs(all);
	return n;
}

static bool is_stale(void *ctx, const struct kg_conntrack_flow *f)
{
	return kg_flow_is_stale(ctx, f);
}

static int forget_flows(struct kg_services *s, const struct kg_nft_elems *had,
	const struct kg_nft_elems *have, bool whole, struct kg_error *err)
{
	struct kg_flows flows = {.had = had, .have = have, .config = &s->config, .whole = whole};
	KG_AUTOFREE in_addr_t *local = NULL;

	flows.nlocal = find_addresses(&local, err);
	if (!flows.nlocal)
		return -(int)err->code;
	flows.local = local;
	return kg_conntrack_forget_if(is_stale, &flows, err);
}

static bool has_udp(const struct kg_service *s)
{
	for (uint32_t i = 0; i < s->nports; i++)
		if (s->ports[i].protocol == IPPROTO_UDP)
			return true;
	return false;
}

/* Where it is not known what was there before: an agent that starts, a table that somebody else
 * had emptied. */
static int forget_all_flows(struct kg_services *s, struct kg_error *err)
{
	struct kg_nft_elems none = {0}, have = {0};
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&s->services, &i));)
		if (has_udp(e->value))
			kg_service_elements(&have, e->value, &s->config);
	kg_nft_elems_sort(&have);
	int rc = forget_flows(s, &none, &have, true, err);
	kg_nft_elems_release(&have);
	return rc;
}

/* ---- the whole ---- */

static void on_event(void *ctx, const struct kg_error *err)
{
	struct kg_services *s = ctx;
	struct kg_error failed;

	if (!err && forget_all_flows(s, &failed) < 0)
		err = &failed;
	if (s->opts.on_event)
		s->opts.on_event(s->opts.ctx, err);
}

/* Before each reading of the whole: what differs since the last commit is in it. */
static void desired(void *ctx, struct kg_nft_elems *out)
{
	struct kg_services *s = ctx;
	struct kg_map_entry *e;

	forget_pending(s);
	for (size_t i = 0; (e = kg_map_next(&s->services, &i));)
		kg_service_elements(out, e->value, &s->config);
	kg_services_node_elements(out, &s->config);
}

static void rules(void *ctx, struct kg_buf *out, const char *table, bool fresh)
{
	struct kg_services *s = ctx;

	kg_services_rules(out, &s->config, table, fresh);
}

/* ---- life ---- */

int kg_services_new(struct kg_services **out, struct kg_loop *loop,
	const struct kg_services_options *opts, struct kg_error *err)
{
	struct kg_services *s = kg_alloc(sizeof(*s));
	struct kg_nft_keeper_options keeper = {.table = &kg_services_table,
		.rules = rules,
		.desired = desired,
		.on_event = on_event,
		.ctx = s,
		.in_pieces = true,
		.stand_in = &kg_services_stand_in,
		.memory = opts->memory};

	s->opts = *opts;
	int rc = kg_nft_keeper_new(&s->keeper, loop, &keeper, err);
	if (rc < 0) {
		free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void kg_services_free(struct kg_services *s)
{
	struct kg_map_entry *e;

	if (!s)
		return;
	if (s->configured && s->pending.count == 0)
		kg_nft_keeper_leave(s->keeper);
	kg_nft_keeper_free(s->keeper);
	for (size_t i = 0; (e = kg_map_next(&s->services, &i));)
		free(e->value);
	kg_map_release(&s->services);
	kg_map_release(&s->outer);
	forget_pending(s);
	kg_map_release(&s->pending);
	free(s);
}

/* Answers to what 127.0.0.1 sent to a pod of another node come in by the node's own link. */
static int allow_loopback_answers(in_addr_t node, struct kg_error *err)
{
	struct kg_netlink *nl;
	char name[IF_NAMESIZE], path[80];
	int index = 0;
	int rc = kg_netlink_open(&nl, -1, err);

	if (rc < 0)
		return rc;
	rc = kg_addr_find(&index, nl, node, err);
	kg_netlink_close(nl);
	if (rc < 0 || index <= 1 || !if_indextoname((unsigned)index, name))
		return rc; /* no link has it, or loopback does */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/route_localnet", name);
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return kg_fail_errno(err, "set %s", path);
	return 0;
}

int kg_services_configure(
	struct kg_services *s, const struct kg_services_ranges *r, struct kg_error *err)
{
	struct kg_services_config c;

	memset(&c, 0, sizeof(c)); /* compared as bytes below */
	int rc = kg_cidr_parse(&c.pods, r->pods, err);
	if (rc == 0)
		rc = kg_cidr_parse(&c.cluster, r->cluster, err);
	if (rc == 0)
		rc = kg_cidr_parse(&c.services, r->services, err);
	if (rc < 0)
		return rc;
	if (c.pods.prefix < 20)
		return kg_fail(
			err, KG_E_INVALID, "pod range %s has more than 4096 addresses", r->pods);
	if (inet_pton(AF_INET, r->node_ip, &c.node) != 1)
		return kg_fail(err, KG_E_INVALID, "node address \"%s\" is none", r->node_ip);
	struct kg_endpoint master;
	if (r->master && kg_endpoint_parse(&master, r->master)) {
		c.master = master.addr;
		c.master_port = master.port;
	}
	if (s->configured && memcmp(&c, &s->config, sizeof(c)) == 0)
		return 0;
	rc = allow_loopback_answers(c.node, err);
	if (rc < 0)
		return rc;
	s->config = c;
	s->configured = true;
	kg_nft_keeper_reset(s->keeper);
	return 0;
}

static void put(struct kg_services *s, const char *key, struct kg_service *new)
{
	struct kg_service *old =
		new ? kg_map_put(&s->services, key, new) : kg_map_remove(&s->services, key);

	if (new &&new->nexternals)
		kg_map_put(&s->outer, key, new);
	else if (old && old->nexternals)
		kg_map_remove(&s->outer, key);

	if (!kg_nft_keeper_in_step(s->keeper) || kg_map_has(&s->pending, key) || (!old && !new))
		free(old);
	else
		kg_map_put(&s->pending, key, old ? old : &no_service);
}

void kg_services_put(struct kg_services *s, const char *key, const struct kg_value *value)
{
	const char *node = s->opts.node ? s->opts.node : "";

	put(s, key, value ? kg_service_parse(value, node) : NULL);
}

void kg_services_put_pod(struct kg_services *s, const char *uid, const struct kg_value *pod)
{
	KG_AUTOFREE char *key = kg_asprintf(":%s", uid); /* no service's */

	put(s, key, pod ? kg_service_of_pod(pod) : NULL);
}

void kg_services_clear(struct kg_services *s)
{
	struct kg_map_entry **all = kg_map_sorted(&s->services);
	size_t n = s->services.count;

	for (size_t i = 0; i < n; i++) {
		KG_AUTOFREE char *key = kg_strdup(all[i]->key);

		if (*key != ':')
			kg_services_put(s, key, NULL);
	}
	free(all);
}

static bool has_address(const struct kg_service *s, in_addr_t addr)
{
	for (uint32_t i = 0; i < s->nexternals; i++)
		if (s->externals[i] == addr)
			return true;
	return false;
}

static bool has_port(const struct kg_service *s, const struct kg_service_port *port)
{
	for (uint32_t i = 0; i < s->nports; i++)
		if (s->ports[i].port == port->port && s->ports[i].protocol == port->protocol)
			return true;
	return false;
}

enum sharing { NOTHING, AN_ADDRESS, A_PORT };

static enum sharing sharing_of(const struct kg_service *a, const struct kg_service *b)
{
	bool address = false, port = false;

	for (uint32_t i = 0; a && !address && i < a->nexternals; i++)
		address = has_address(b, a->externals[i]);
	for (uint32_t i = 0; address && !port && i < a->nports; i++)
		port = has_port(b, &a->ports[i]);
	return port ? A_PORT : address ? AN_ADDRESS : NOTHING;
}

/* What others have of what e has or had: what it gives up is not gone. */
static void add_sharers(struct kg_services *s, const struct kg_map_entry *e,
	struct kg_nft_elems *have, struct kg_nft_elems *want)
{
	const struct kg_service *old = e->value, *new = kg_map_get(&s->services, e->key);
	struct kg_map_entry *other;

	if (!old->nexternals && !(new &&new->nexternals))
		return;
	for (size_t i = 0; (other = kg_map_next(&s->outer, &i));) {
		enum sharing was = sharing_of(old, other->value);
		enum sharing is = sharing_of(new, other->value);

		if (kg_map_has(&s->pending, other->key) || (!was && !is))
			continue;
		void (*add)(struct kg_nft_elems *, const struct kg_service *,
			const struct kg_services_config *) = was == A_PORT || is == A_PORT
								     ? kg_service_elements
								     : kg_service_shared_elements;
		add(have, other->value, &s->config);
		add(want, other->value, &s->config);
	}
}

/* All pods where one changes: a port that one gives up may be another's as well, who came while it
 * was on its way out. */
static void add_pods(struct kg_services *s, struct kg_nft_elems *have, struct kg_nft_elems *want)
{
	struct kg_map_entry *e;
	bool any = false;

	for (size_t i = 0; !any && (e = kg_map_next(&s->pending, &i));)
		any = *e->key == ':';
	for (size_t i = 0; any && (e = kg_map_next(&s->services, &i));) {
		if (*e->key != ':' || kg_map_has(&s->pending, e->key))
			continue;
		kg_service_elements(have, e->value, &s->config);
		kg_service_elements(want, e->value, &s->config);
	}
}

/* All that goes and all that comes are compared at once: a port may pass from one service to
 * another. What is done stays done where flows cannot be forgotten: they end by themselves. */
static int change_pending(struct kg_services *s, struct kg_error *err)
{
	struct kg_nft_elems have = {0}, want = {0}, del = {0}, add = {0};
	struct kg_map_entry *e;

	add_pods(s, &have, &want);
	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
		add_sharers(s, e, &have, &want);
		kg_service_elements(&have, e->value, &s->config);
		kg_service_elements(&want, kg_map_get(&s->services, e->key), &s->config);
	}
	kg_nft_elems_sort(&have);
	kg_nft_elems_sort(&want);
	kg_nft_elems_diff(&del, &add, &have, &want);
	int rc = kg_nft_keeper_change(s->keeper, &del, &add, err);
	if (rc == 0 && (kg_nft_elems_have_udp(&del) || kg_nft_elems_have_udp(&add)))
		rc = forget_flows(s, &have, &want, false, err);
	kg_nft_elems_release(&have);
	kg_nft_elems_release(&want);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	return rc;
}

int kg_services_commit(struct kg_services *s, struct kg_error *err)
{
	if (!s->configured)
		return kg_fail(err, KG_E_UNAVAILABLE, "the node has no pod range yet");
	if (!kg_nft_keeper_in_step(s->keeper)) {
		int rc = kg_nft_keeper_sync(s->keeper, err);
		return rc == 0 ? forget_all_flows(s, err) : rc;
	}
	int rc = change_pending(s, err);
	forget_pending(s);
	return rc;
}
