#include "nodeagent/bridge.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "nodeagent/netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define POD_LINK "eth0"
#define HELD_MS  5000

struct kg_bridge {
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t let_go;
	uint64_t held, let;
	bool configured;
	struct kg_cidr range;
	in_addr_t gateway, node;
	unsigned mtu; /* 0: what the kernel gives */
	uint8_t mac[6];
};

/* What setup works with: sockets of both namespaces and a copy of the configuration. */
struct work {
	struct kg_netlink *host, *pod;
	struct kg_cidr range;
	in_addr_t gateway;
	unsigned mtu;
	uint8_t bridge_mac[6];
	struct kg_link bridge;
	char veth[16];
	uint8_t host_mac[6], pod_mac[6];
	in_addr_t ip;
	int netns;
};

struct kg_bridge *kg_bridge_new(void)
{
	struct kg_bridge *b = kg_alloc(sizeof(*b));

	pthread_condattr_t attr;

	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->let_go, &attr);
	pthread_condattr_destroy(&attr);
	return b;
}

void kg_bridge_of_node(struct kg_bridge *b, in_addr_t node)
{
	pthread_mutex_lock(&b->lock);
	b->node = node;
	pthread_mutex_unlock(&b->lock);
}

void kg_bridge_free(struct kg_bridge *b)
{
	if (!b)
		return;
	pthread_cond_destroy(&b->let_go);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

uint64_t kg_bridge_hold(struct kg_bridge *b)
{
	pthread_mutex_lock(&b->lock);
	uint64_t held = ++b->held;
	pthread_mutex_unlock(&b->lock);
	return held;
}

void kg_bridge_let(struct kg_bridge *b, uint64_t held)
{
	pthread_mutex_lock(&b->lock);
	if (held > b->let)
		b->let = held;
	pthread_cond_broadcast(&b->let_go);
	pthread_mutex_unlock(&b->lock);
}

static int await_let_go(struct kg_bridge *b, struct kg_error *err)
{
	struct timespec at;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += HELD_MS / 1000;
	pthread_mutex_lock(&b->lock);
	uint64_t held = b->held;
	while (b->let < held && rc == 0)
		rc = pthread_cond_timedwait(&b->let_go, &b->lock, &at);
	bool let_go = b->let >= held;
	pthread_mutex_unlock(&b->lock);
	return let_go ? 0
		      : kg_fail(err, KG_E_UNAVAILABLE,
				"the network policies of this node are not in force yet");
}

/* A locally administered unicast address. */
static void make_mac(uint8_t mac[6], const char *kind, const void *p, size_t n)
{
	unsigned char digest[32];
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	kg_buf_adds(&text, kind);
	kg_buf_add(&text, p, n);
	kg_sha256(digest, text.data, text.len);
	memcpy(mac, digest, 6);
	mac[0] = (uint8_t)((mac[0] & 0xFC) | 0x02);
}

void kg_bridge_mac(uint8_t mac[6], const struct kg_cidr *range)
{
	in_addr_t gateway = htonl(ntohl(range->addr & kg_cidr_mask(range->prefix)) + 1);

	make_mac(mac, "bridge", &gateway, sizeof(gateway));
}

void kg_bridge_veth_name(char out[16], const char *uid)
{
	unsigned char digest[32];
	char hex[13];

	kg_sha256(digest, uid, strlen(uid));
	kg_hex(hex, digest, 6);
	snprintf(out, 16, "kg%.12s", hex);
}

static int sysctl(const char *path, const char *value, struct kg_error *err)
{
	char now[16] = "";
	KG_AUTOCLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (read(fd, now, sizeof(now) - 1) > 0 && strncmp(now, value, strlen(value)) == 0 &&
		now[strlen(value)] == '\n')
		return 0; /* so that a read-only /proc that has it already is fine */
	if (pwrite(fd, value, strlen(value), 0) < 0)
		return kg_fail_errno(err, "set %s to %s", path, value);
	return 0;
}

static int set_sysctls(struct kg_error *err)
{
	static const struct {
		const char *path, *value;
	} wanted[] = {
		{"/proc/sys/net/ipv4/ip_forward", "1"},
		/* Replies to what a local process sent to 127.0.0.1:NODEPORT come in here. */
		{"/proc/sys/net/ipv4/conf/" KG_BRIDGE_NAME "/route_localnet", "1"},
		/* Pods go through the gateway even where they share the bridge: no advice to the
		 * contrary. A link's own setting counts only where that for all is off; it is on
		 * for each of the others. */
		{"/proc/sys/net/ipv4/conf/all/send_redirects", "0"},
		{"/proc/sys/net/ipv4/conf/" KG_BRIDGE_NAME "/send_redirects", "0"},
		{"/proc/sys/net/ipv4/conf/" KG_BRIDGE_NAME "/rp_filter", "2"},
	};
	static const char ipv6[] = "/proc/sys/net/ipv6/conf/" KG_BRIDGE_NAME "/disable_ipv6";

	for (size_t i = 0; i < KG_ARRAY_LEN(wanted); i++) {
		int rc = sysctl(wanted[i].path, wanted[i].value, err);

		if (rc < 0)
			return rc;
	}
	return access(ipv6, F_OK) == 0 ? sysctl(ipv6, "1", err) : 0;
}

static int set_mtu(
	struct kg_netlink *nl, const struct kg_link *link, unsigned mtu, struct kg_error *err)
{
	return mtu && link->mtu != mtu ? kg_link_set_mtu(nl, link->index, mtu, err) : 0;
}

static int make_bridge(
	struct kg_netlink *nl, struct kg_bridge *b, struct kg_link *out, struct kg_error *err)
{
	int rc = kg_link_add_bridge(nl, KG_BRIDGE_NAME, b->mac, err);

	if (rc == 0)
		rc = kg_link_get(out, nl, KG_BRIDGE_NAME, err);
	if (rc == 0 && memcmp(out->mac, b->mac, 6) != 0) { /* an earlier range's */
		rc = kg_link_set_mac(nl, out->index, b->mac, err);
		memcpy(out->mac, b->mac, 6);
	}
	if (rc == 0 && b->node)
		rc = kg_addr_mtu(&b->mtu, nl, b->node, err);
	if (rc == 0)
		rc = set_mtu(nl, out, b->mtu, err);
	if (rc == 0)
		rc = kg_link_up(nl, out->index, err);
	if (rc == 0)
		rc = kg_addr_set(nl, out->index, b->gateway, b->range.prefix, err);
	if (rc == 0)
		rc = kg_addr_keep_only(nl, out->index, b->gateway, b->range.prefix, err);
	return rc == 0 ? set_sysctls(err) : rc;
}

/* "kg" and twelve hex digits. */
static bool is_pod_link(const char *name)
{
	return strncmp(name, "kg", 2) == 0 && strlen(name) == 14 &&
	       strspn(name + 2, "0123456789abcdef") == 12;
}

/* Where the bridge was removed under the pods: their links are put into the new one. */
static int attach_pods(struct kg_netlink *nl, int bridge, struct kg_error *err)
{
	struct kg_link *links = NULL;
	size_t n = 0;
	int rc = kg_link_list(&links, &n, nl, err);

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (!is_pod_link(links[i].name) || links[i].master == bridge)
			continue;
		rc = kg_link_set_master(nl, links[i].index, bridge, err);
		if (rc == 0)
			rc = kg_link_set_hairpin(nl, links[i].index, err);
	}
	free(links);
	return rc;
}

int kg_bridge_configure(struct kg_bridge *b, const char *pod_cidr, struct kg_error *err)
{
	struct kg_netlink *nl = NULL;
	struct kg_cidr range;
	struct kg_link link;
	int rc = kg_cidr_parse(&range, pod_cidr, err);

	if (rc < 0)
		return rc;
	if (range.prefix > 30)
		return kg_fail(err, KG_E_INVALID, "pod range %s is too small", pod_cidr);
	rc = kg_netlink_open(&nl, -1, err);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&b->lock);
	range.addr &= kg_cidr_mask(range.prefix);
	b->range = range;
	b->gateway = htonl(ntohl(range.addr) + 1);
	kg_bridge_mac(b->mac, &range);
	rc = make_bridge(nl, b, &link, err);
	b->configured = rc == 0;
	pthread_mutex_unlock(&b->lock);
	if (rc == 0)
		rc = attach_pods(nl, link.index, err);
	kg_netlink_close(nl);
	return rc < 0 ? kg_wrap(err, "pod network") : 0;
}

/* The bridge may have been removed under us: it is made again, the ports by whoever sets them up.
 */
static int find_bridge(struct work *w, struct kg_bridge *b, struct kg_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&b->lock);
	if (!b->configured) {
		rc = kg_fail(err, KG_E_UNAVAILABLE, "the node has no pod range yet");
	} else {
		w->range = b->range;
		w->gateway = b->gateway;
		memcpy(w->bridge_mac, b->mac, 6);
		rc = kg_link_get(&w->bridge, w->host, KG_BRIDGE_NAME, err);
		if (rc == -KG_E_NOT_FOUND)
			rc = make_bridge(w->host, b, &w->bridge, err);
		w->mtu = b->mtu;
	}
	pthread_mutex_unlock(&b->lock);
	return rc;
}

static int make_veth(struct work *w, struct kg_error *err)
{
	struct kg_veth veth = {.name = w->veth,
		.peer = POD_LINK,
		.mac = w->host_mac,
		.peer_mac = w->pod_mac,
		.peer_netns = w->netns,
		.master = w->bridge.index,
		.mtu = w->mtu};

	return kg_link_add_veth(w->host, &veth, err);
}

/* Both ends, whatever was there: one whose other end is not the pod's link is made anew. */
static int ensure_veth(
	struct work *w, struct kg_link *host, struct kg_link *pod, struct kg_error *err)
{
	struct kg_error ignored;
	int have_host = kg_link_get(host, w->host, w->veth, &ignored);
	int have_pod = kg_link_get(pod, w->pod, POD_LINK, &ignored), rc = 0;

	if (have_host == 0 && have_pod == 0 && pod->peer == host->index &&
		memcmp(pod->mac, w->pod_mac, 6) == 0)
		return host->master == w->bridge.index && host->up
			       ? 0
			       : kg_link_set_master(w->host, host->index, w->bridge.index, err);
	if (have_host == 0)
		rc = kg_link_del(w->host, w->veth, err);
	if (rc == 0 && have_pod == 0)
		rc = kg_link_del(w->pod, POD_LINK, err);
	if (rc == 0)
		rc = make_veth(w, err);
	if (rc == 0)
		rc = kg_link_get(host, w->host, w->veth, err);
	return rc == 0 ? kg_link_get(pod, w->pod, POD_LINK, err) : rc;
}

static int configure_pod(struct work *w, int index, struct kg_error *err)
{
	struct kg_route gateway = {.dst = w->gateway, .prefix = 32, .index = index};
	struct kg_route any = {.gateway = w->gateway, .index = index};
	int rc = kg_link_up(w->pod, 1, err); /* loopback, the first link of every namespace */

	if (rc == 0)
		rc = kg_addr_set(w->pod, index, w->ip, 32, err);
	if (rc == 0)
		rc = kg_addr_keep_only(w->pod, index, w->ip, 32, err);
	if (rc == 0)
		rc = kg_link_up(w->pod, index, err);
	if (rc == 0)
		rc = kg_neigh_set(w->pod, index, w->gateway, w->bridge_mac, err);
	if (rc == 0)
		rc = kg_route_set(w->pod, &gateway, err);
	return rc == 0 ? kg_route_set(w->pod, &any, err) : rc;
}

static int set_up(
	struct work *w, struct kg_bridge *b, const struct kg_podnet_pod *pod, struct kg_error *err)
{
	struct kg_link host = {0}, inner = {0};
	int rc = find_bridge(w, b, err);

	if (rc < 0)
		return rc;
	if (!kg_cidr_has(&w->range, w->ip) || w->ip == w->gateway)
		return kg_fail(err, KG_E_INVALID, "%s is not a pod address of this node", pod->ip);
	rc = kg_netlink_open(&w->pod, w->netns, err);
	if (rc == 0)
		rc = ensure_veth(w, &host, &inner, err);
	if (rc == 0)
		rc = set_mtu(w->host, &host, w->mtu, err);
	if (rc == 0)
		rc = set_mtu(w->pod, &inner, w->mtu, err);
	if (rc == 0)
		rc = kg_link_set_hairpin(w->host, host.index, err);
	if (rc == 0)
		rc = configure_pod(w, inner.index, err);
	return rc == 0 ? kg_neigh_set(w->host, w->bridge.index, w->ip, w->pod_mac, err) : rc;
}

static int prepare(struct work *w, const struct kg_podnet_pod *pod, struct kg_error *err)
{
	w->netns = -1;
	if (inet_pton(AF_INET, pod->ip ? pod->ip : "", &w->ip) != 1)
		return kg_fail(
			err, KG_E_INVALID, "pod address \"%s\" is none", pod->ip ? pod->ip : "");
	kg_bridge_veth_name(w->veth, pod->uid);
	make_mac(w->host_mac, "host", pod->uid, strlen(pod->uid));
	make_mac(w->pod_mac, "pod", pod->uid, strlen(pod->uid));
	return kg_netlink_open(&w->host, -1, err);
}

static void release(struct work *w)
{
	kg_netlink_close(w->host);
	kg_netlink_close(w->pod);
	kg_closep(&w->netns);
}

static int setup(void *self, const struct kg_podnet_pod *pod, struct kg_error *err)
{
	struct work w = {0};
	int rc = prepare(&w, pod, err);

	if (rc == 0)
		rc = await_let_go(self, err);
	if (rc == 0) {
		w.netns = open(pod->netns, O_RDONLY | O_CLOEXEC);
		rc = w.netns < 0 ? kg_fail_errno(err, "open %s", pod->netns)
				 : set_up(&w, self, pod, err);
	}
	release(&w);
	return rc < 0 ? kg_wrap(err, "network of pod %s/%s", pod->ns, pod->name) : 0;
}

/* The neighbour entry goes only if it is this pod's: the address may have a new owner. */
static int teardown(void *self, const struct kg_podnet_pod *pod, struct kg_error *err)
{
	struct kg_link bridge;
	struct kg_netlink *nl = NULL;
	char veth[16];
	in_addr_t ip = 0;
	uint8_t mac[6];

	(void)self;
	kg_bridge_veth_name(veth, pod->uid);
	make_mac(mac, "pod", pod->uid, strlen(pod->uid));
	int rc = kg_netlink_open(&nl, -1, err);
	if (rc == 0)
		rc = kg_link_del(nl, veth, err);
	if (rc == 0 && pod->ip && inet_pton(AF_INET, pod->ip, &ip) == 1 &&
		kg_link_get(&bridge, nl, KG_BRIDGE_NAME, NULL) == 0)
		rc = kg_neigh_del(nl, bridge.index, ip, mac, err);
	kg_netlink_close(nl);
	return rc < 0 ? kg_wrap(err, "network of pod %s/%s", pod->ns, pod->name) : 0;
}

const struct kg_podnet kg_bridge_podnet = {.setup = setup, .teardown = teardown};
