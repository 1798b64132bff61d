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
	bool flows_due; /* those of UDP could not be forgotten: the next commit tries again */
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

static int find_addresses(in_addr_t **out, size_t *n, struct kg_error *err)
{
	struct ifaddrs *all;
	size_t cap = 0;

	*out = NULL;
	*n = 0;
	if (getifaddrs(&all) < 0)
		return kg_fail_errno(err, "list the node's addresses");
	for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET)
			continue;
		KG_GROW(*out, cap, *n + 1);
		memcpy(&(*out)[(*n)++], &((const struct sockaddr_in *)i->ifa_addr)->sin_addr,
			sizeof(**out));
	}
	freeifaddrs(all);
	return 0;
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

	int rc = find_addresses(&local, &flows.nlocal, err);
	flows.local = local;
	if (rc == 0)
		rc = kg_conntrack_forget_if(is_stale, &flows, err);
	s->flows_due = rc < 0;
	return rc;
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

static void put(struct kg_services *s, const char *key, struct kg_service *now)
{
	struct kg_service *before =
		now ? kg_map_put(&s->services, key, now) : kg_map_remove(&s->services, key);

	if (now && now->nexternals)
		kg_map_put(&s->outer, key, now);
	else if (before && before->nexternals)
		kg_map_remove(&s->outer, key);

	if (!kg_nft_keeper_in_step(s->keeper) || kg_map_has(&s->pending, key) || (!before && !now))
		free(before);
	else
		kg_map_put(&s->pending, key, before ? before : &no_service);
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

enum { WAY_SIZE = 24 };

/* An address, or with its protocol and port, as a key. */
static void way_of(char out[WAY_SIZE], in_addr_t addr, const struct kg_service_port *port)
{
	if (port)
		snprintf(out, WAY_SIZE, "%08x.%u.%u", addr, port->protocol, port->port);
	else
		snprintf(out, WAY_SIZE, "%08x", addr);
}

/* By which external addresses, and which of their ports, it is reached. */
static void add_ways(struct kg_map *ways, const struct kg_service *s)
{
	char way[WAY_SIZE];

	for (uint32_t i = 0; s && i < s->nexternals; i++) {
		way_of(way, s->externals[i], NULL);
		kg_map_put(ways, way, NULL);
		for (uint32_t k = 0; k < s->nports; k++) {
			way_of(way, s->externals[i], &s->ports[k]);
			kg_map_put(ways, way, NULL);
		}
	}
}

static bool has_one_of(const struct kg_map *ways, const struct kg_service *s, bool ports)
{
	char way[WAY_SIZE];

	for (uint32_t i = 0; i < s->nexternals; i++) {
		for (uint32_t k = 0; k < (ports ? s->nports : 1); k++) {
			way_of(way, s->externals[i], ports ? &s->ports[k] : NULL);
			if (kg_map_has(ways, way))
				return true;
		}
	}
	return false;
}

/* What others have of what pending ones have or had: what these give up is not gone. */
static void add_sharers(struct kg_services *s, struct kg_nft_elems *have, struct kg_nft_elems *want)
{
	KG_CLEANUP(kg_map_release) struct kg_map ways = KG_MAP_INIT;
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
		add_ways(&ways, e->value);
		add_ways(&ways, kg_map_get(&s->services, e->key));
	}
	for (size_t i = 0; ways.count && (e = kg_map_next(&s->outer, &i));) {
		if (kg_map_has(&s->pending, e->key) || !has_one_of(&ways, e->value, false))
			continue;
		if (has_one_of(&ways, e->value, true)) {
			kg_service_elements(have, e->value, &s->config);
			kg_service_elements(want, e->value, &s->config);
		} else {
			kg_service_shared_elements(have, e->value, &s->config);
			kg_service_shared_elements(want, e->value, &s->config);
		}
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
 * another. What is done stays done where flows cannot be forgotten. */
static int change_pending(struct kg_services *s, struct kg_error *err)
{
	struct kg_nft_elems have = {0}, want = {0}, del = {0}, add = {0};
	struct kg_map_entry *e;

	add_pods(s, &have, &want);
	add_sharers(s, &have, &want);
	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
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
	bool due = s->flows_due;
	int rc = change_pending(s, err);
	forget_pending(s);
	if (due && rc == 0)
		rc = forget_all_flows(s, err);
	return rc;
}
