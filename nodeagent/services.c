#include "nodeagent/services.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/conntrack.h"
#include "nodeagent/nft.h"
#include "nodeagent/services_plan.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define REPAIR_MS    20 /* lets a burst of foreign changes end */
#define RETRY_MS     500
#define RETRY_MAX_MS 30000
#define CHUNK        16384 /* elements of a transaction where atomicity is not needed */

struct kg_services {
	struct kg_services_options opts;
	struct kg_nft *nft;
	struct kg_nft_monitor *monitor;
	struct kg_watch *watch;
	struct kg_timer *timer; /* to resync */
	int64_t retry_ms;
	struct kg_services_config config;
	bool configured, resync; /* resync: the kernel's state is to be read and corrected */
	bool corrected;          /* the last resync found something to correct */
	uint64_t fingerprint;    /* of the rules as we made them */
	struct kg_map services;  /* key -> struct kg_service */
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

/* ---- the whole ---- */

static void desired(struct kg_nft_elems *out, const struct kg_services *s)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&s->services, &i));)
		kg_service_elements(out, e->value, &s->config);
	kg_services_node_elements(out, &s->config);
	kg_nft_elems_sort(out);
}

static int install_rules(struct kg_services *s, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	int rc = -1;

	/* The first time what is there is an earlier run's, and its elements stay; later it is
	 * somebody's whose additions must not. */
	if (!s->fingerprint) {
		kg_services_rules(&text, &s->config, false);
		rc = kg_nft_run(text.data, err);
	}
	if (rc < 0) {
		kg_buf_clear(&text);
		kg_services_rules(&text, &s->config, true);
		rc = kg_nft_run(text.data, err);
	}
	kg_nft_monitor_read(s->monitor); /* that was us */
	s->corrected = true;
	return rc == 0 ? kg_nft_fingerprint(&s->fingerprint, s->nft, err) : rc;
}

/* In pieces, so that ten thousand services do not need one message of many megabytes. */
static int change_in_pieces(struct kg_services *s, struct kg_nft_elems *del,
	struct kg_nft_elems *add, struct kg_error *err)
{
	struct kg_nft_elems none = {0};
	int rc = 0;

	if (del->n + add->n <= CHUNK)
		return kg_nft_change(s->nft, del, add, err);
	for (size_t i = 0; i < del->n && rc == 0; i += CHUNK) {
		struct kg_nft_elems part = {
			del->items + i, del->n - i < CHUNK ? del->n - i : CHUNK, 0};
		rc = kg_nft_change(s->nft, &part, &none, err);
	}
	for (size_t i = 0; i < add->n && rc == 0; i += CHUNK) {
		struct kg_nft_elems part = {
			add->items + i, add->n - i < CHUNK ? add->n - i : CHUNK, 0};
		rc = kg_nft_change(s->nft, &none, &part, err);
	}
	return rc;
}

static int correct(struct kg_services *s, struct kg_error *err)
{
	struct kg_nft_elems have = {0}, want = {0}, del = {0}, add = {0};
	int rc = kg_nft_dump(&have, s->nft, err);

	if (rc == 0) {
		kg_nft_elems_sort(&have);
		desired(&want, s);
		kg_nft_elems_diff(&del, &add, &have, &want);
		s->corrected = s->corrected || del.n || add.n;
		rc = change_in_pieces(s, &del, &add, err);
	}
	bool large = want.n > CHUNK;
	kg_nft_elems_release(&have);
	kg_nft_elems_release(&want);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	if (large)
		malloc_trim(0);
	return rc;
}

static int resync(struct kg_services *s, struct kg_error *err)
{
	uint64_t now = 0;
	int rc = kg_nft_fingerprint(&now, s->nft, err);

	forget_pending(s);
	s->corrected = false;
	if (rc == 0 && (now != s->fingerprint || !now))
		rc = install_rules(s, err);
	if (rc == 0)
		rc = correct(s, err);
	s->resync = rc < 0;
	if (rc < 0) {
		kg_timer_set(s->timer, s->retry_ms);
		s->retry_ms = s->retry_ms * 2 < RETRY_MAX_MS ? s->retry_ms * 2 : RETRY_MAX_MS;
		return rc;
	}
	s->retry_ms = RETRY_MS;
	kg_timer_set(s->timer, -1);
	return 0;
}

static void on_timer(void *ctx)
{
	struct kg_services *s = ctx;
	struct kg_error err;

	if (!s->configured)
		return;
	int rc = resync(s, &err);
	if (s->opts.on_event && (rc < 0 || s->corrected))
		s->opts.on_event(s->opts.ctx, rc < 0 ? &err : NULL);
}

static void on_monitor(void *ctx, uint32_t events)
{
	struct kg_services *s = ctx;

	(void)events;
	if (kg_nft_monitor_read(s->monitor) && s->configured && !s->resync) {
		s->resync = true;
		kg_timer_set(s->timer, REPAIR_MS);
	}
}

/* ---- life ---- */

int kg_services_new(struct kg_services **out, struct kg_loop *loop,
	const struct kg_services_options *opts, struct kg_error *err)
{
	struct kg_services *s = kg_alloc(sizeof(*s));
	int rc = kg_nft_open(&s->nft, err);

	s->opts = *opts;
	s->retry_ms = RETRY_MS;
	s->resync = true;
	if (rc == 0)
		rc = kg_nft_monitor_open(&s->monitor, s->nft, err);
	if (rc == 0) {
		s->timer = kg_timer_new(loop, on_timer, s);
		s->watch =
			kg_loop_watch(loop, kg_nft_monitor_fd(s->monitor), EPOLLIN, on_monitor, s);
		if (!s->watch)
			rc = kg_fail_errno(err, "watch nftables' changes");
	}
	if (rc < 0) {
		kg_services_free(s);
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
	kg_watch_free(s->watch);
	kg_timer_free(s->timer);
	kg_nft_monitor_close(s->monitor);
	kg_nft_close(s->nft);
	for (size_t i = 0; (e = kg_map_next(&s->services, &i));)
		free(e->value);
	kg_map_release(&s->services);
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
	if (s->configured && memcmp(&c, &s->config, sizeof(c)) == 0)
		return 0;
	rc = allow_loopback_answers(c.node, err);
	if (rc < 0)
		return rc;
	s->config = c;
	s->configured = s->resync = true;
	s->fingerprint = 0;
	return 0;
}

void kg_services_put(struct kg_services *s, const char *key, const struct kg_value *value)
{
	struct kg_service *new = value ? kg_service_parse(value) : NULL;
	struct kg_service *old =
		new ? kg_map_put(&s->services, key, new) : kg_map_remove(&s->services, key);

	if (s->resync || kg_map_has(&s->pending, key) || (!old && !new))
		free(old);
	else
		kg_map_put(&s->pending, key, old ? old : &no_service);
}

void kg_services_clear(struct kg_services *s)
{
	struct kg_map_entry **all = kg_map_sorted(&s->services);
	size_t n = s->services.count;

	for (size_t i = 0; i < n; i++) {
		KG_AUTOFREE char *key = kg_strdup(all[i]->key);

		kg_services_put(s, key, NULL);
	}
	free(all);
}

/* All that goes and all that comes are compared at once: a port may pass from one service to
 * another. */
static int change_pending(struct kg_services *s, struct kg_error *err)
{
	struct kg_nft_elems have = {0}, want = {0}, del = {0}, add = {0};
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
		kg_service_elements(&have, e->value, &s->config);
		kg_service_elements(&want, kg_map_get(&s->services, e->key), &s->config);
	}
	kg_nft_elems_sort(&have);
	kg_nft_elems_sort(&want);
	kg_nft_elems_diff(&del, &add, &have, &want);
	int rc = kg_nft_change(s->nft, &del, &add, err);
	kg_nft_elems_release(&have);
	kg_nft_elems_release(&want);
	kg_nft_elems_release(&del);
	kg_nft_elems_release(&add);
	return rc;
}

static bool has_endpoint(
	const struct kg_service *s, const struct kg_service_port *of, const struct kg_endpoint *e)
{
	for (uint32_t i = 0; s && i < s->nports; i++) {
		const struct kg_service_port *p = &s->ports[i];

		if (p->protocol != of->protocol || p->port != of->port)
			continue;
		for (uint32_t k = 0; k < p->nendpoints; k++) {
			if (p->endpoints[k].addr == e->addr && p->endpoints[k].port == e->port)
				return true;
		}
	}
	return false;
}

/* The UDP endpoints that the services of this commit lost. */
static size_t lost_udp(struct kg_endpoint **out, const struct kg_services *s)
{
	struct kg_map_entry *e;
	size_t n = 0, cap = 0;

	for (size_t i = 0; (e = kg_map_next(&s->pending, &i));) {
		const struct kg_service *old = e->value, *new = kg_map_get(&s->services, e->key);

		for (uint32_t k = 0; k < old->nports; k++) {
			const struct kg_service_port *p = &old->ports[k];

			for (uint32_t m = 0; p->protocol == IPPROTO_UDP && m < p->nendpoints; m++) {
				if (has_endpoint(new, p, &p->endpoints[m]))
					continue;
				KG_GROW(*out, cap, n + 1);
				(*out)[n++] = p->endpoints[m];
			}
		}
	}
	return n;
}

/* What is done already stays done where this fails: flows end by themselves in the end. */
static int forget_flows(struct kg_services *s, struct kg_error *err)
{
	struct kg_endpoint *lost = NULL;
	size_t n = lost_udp(&lost, s);
	int rc = n ? kg_conntrack_forget_udp(lost, n, err) : 0;

	free(lost);
	return rc;
}

int kg_services_commit(struct kg_services *s, struct kg_error *err)
{
	if (!s->configured)
		return kg_fail(err, KG_E_UNAVAILABLE, "the node has no pod range yet");
	if (!s->resync && change_pending(s, err) == 0) {
		int rc = forget_flows(s, err);

		forget_pending(s);
		return rc;
	}
	/* Not what we thought it was (a change by somebody that is just being told): read it. */
	s->resync = true;
	return resync(s, err);
}
