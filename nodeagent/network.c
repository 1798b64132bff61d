#include "nodeagent/network.h"
#include "base/mem.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/bridge.h"
#include "nodeagent/dns.h"
#include "nodeagent/hostports.h"
#include "nodeagent/netlink.h"
#include "nodeagent/nft.h"
#include "nodeagent/policies.h"
#include "nodeagent/routes.h"
#include "nodeagent/services.h"
#include "sys/loop.h"

#include <pthread.h>
#include <string.h>
#include <sys/epoll.h>

#define RETRY_MS  2000
#define SETTLE_MS 100 /* lets a burst of changes of links end */
#define API_KEY   "default/kubernetes"

struct kg_network {
	struct kg_network_options opts;
	struct kg_loop *loop;
	pthread_t thread;
	/* the thread's own */
	struct kg_services *services;
	struct kg_policies *policies;
	struct kg_dns *dns;     /* or NULL */
	uint64_t held;          /* what is let go when the policies are in force */
	struct kg_timer *timer; /* tries again what failed */
	struct kg_netlink_monitor *monitor;
	struct kg_watch *watch;
	struct kg_timer *settle;
	struct kg_doc *node; /* node.yaml */
	char *master;        /* "a.b.c.d:port", as last told by put_api; or NULL */
	struct kg_doc **nodes;
	size_t nnodes;
	bool services_failing, policies_failing, api_failing, routes_failing;
};

/* One message to the thread. */
struct update {
	struct kg_network *network;
	struct kg_view_diff diff;
	uint64_t held; /* 0: nothing */
	struct kg_doc *node;
	struct kg_doc **nodes;
	size_t nnodes;
};

static void release_docs(struct kg_doc **docs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kg_doc_unref(docs[i]);
	free(docs);
}

static void release_update(struct update *u)
{
	kg_view_diff_release(&u->diff);
	kg_doc_unref(u->node);
	release_docs(u->nodes, u->nnodes);
	free(u);
}

static const char *of_node(const struct kg_network *n, const char *key)
{
	return n->node ? kg_string(kg_get(kg_doc_value(n->node), key), "") : "";
}

/* Once for a row of failures. */
static void told(struct kg_network *n, bool *failing, int rc, const struct kg_error *err)
{
	if (rc < 0)
		kg_timer_set(n->timer, RETRY_MS);
	if (rc < 0 && !*failing && n->opts.on_event)
		n->opts.on_event(n->opts.ctx, err);
	*failing = rc < 0;
}

static void sync_services(struct kg_network *n)
{
	struct kg_services_ranges ranges = {.pods = of_node(n, "podCIDR"),
		.cluster = of_node(n, "clusterCIDR"),
		.services = of_node(n, "serviceCIDR"),
		.node_ip = n->opts.address,
		.master = n->master};
	struct kg_error err;

	if (!*ranges.pods)
		return; /* it has none yet */
	int rc = kg_services_configure(n->services, &ranges, &err);
	if (rc == 0)
		rc = kg_services_commit(n->services, &err);
	if (rc < 0)
		kg_wrap(&err, "services");
	told(n, &n->services_failing, rc, &err);
}

/* What services may be of is told by them. */
static void sync_dns(struct kg_network *n)
{
	static const char *const names[] = {"podCIDR", "clusterCIDR", "serviceCIDR"};
	struct kg_cidr ranges[KG_ARRAY_LEN(names)];
	struct kg_error ignored;

	if (!n->dns)
		return;
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		if (kg_cidr_parse(&ranges[i], of_node(n, names[i]), &ignored) < 0)
			return;
	}
	kg_dns_configure(n->dns, ranges);
	kg_dns_commit(n->dns);
}

static void put_service(struct kg_network *n, const char *key, const struct kg_value *service)
{
	kg_services_put(n->services, key, service);
	if (n->dns)
		kg_dns_put(n->dns, key, service);
}

/* The master, as this node reaches it, whatever the view has under that name. Where that cannot be
 * told now, what was told before stays. */
static void put_api(struct kg_network *n)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (!n->opts.master_url || !n->node)
		return;
	int rc = kg_api_service_map(&v, &arena, kg_doc_value(n->node), n->opts.master_url, &err);
	if (rc == 0) {
		put_service(n, API_KEY, kg_is_null(&v) ? NULL : &v);
		free(n->master);
		n->master = kg_strdup(kg_string(kg_at(&v, "ports.0.endpoints.0"), ""));
	} else {
		kg_wrap(&err, "Service " API_KEY);
	}
	told(n, &n->api_failing, rc, &err);
}

static void sync_routes(struct kg_network *n)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value *items = kg_arena_alloc(&arena, (n->nnodes + 1) * sizeof(*items));
	struct kg_error err;

	for (size_t i = 0; i < n->nnodes; i++)
		items[i] = *kg_doc_value(n->nodes[i]);
	struct kg_value nodes = kg_v_array(&arena, items, n->nnodes);
	int rc = kg_routes_sync(&nodes, n->opts.node, of_node(n, "serviceCIDR"), &err);
	if (rc < 0)
		kg_wrap(&err, "routes");
	told(n, &n->routes_failing, rc, &err);
}

/* Pods wait for it: before all else. */
static void sync_policies(struct kg_network *n)
{
	const char *range = of_node(n, "podCIDR");
	struct kg_error err;

	if (!*range)
		return;
	int rc = kg_policies_configure(n->policies, range, &err);
	if (rc == 0)
		rc = kg_policies_commit(n->policies, &err);
	if (rc < 0)
		kg_wrap(&err, "network policies");
	else
		kg_bridge_let(n->opts.bridge, n->held);
	told(n, &n->policies_failing, rc, &err);
}

static const struct kg_value *value_of(const struct kg_view_item *item)
{
	return item->doc ? kg_doc_value(item->doc) : NULL;
}

static void update_policies(struct kg_network *n, const struct update *u)
{
	const struct kg_view_diff *d = &u->diff;

	if (u->held)
		n->held = u->held;
	if (d->all)
		kg_policies_clear(n->policies);
	for (size_t i = 0; i < d->policies.n; i++)
		kg_policies_put(
			n->policies, d->policies.items[i].key, value_of(&d->policies.items[i]));
	for (size_t i = 0; i < d->peers.n; i++)
		kg_policies_put_peers(
			n->policies, d->peers.items[i].key, value_of(&d->peers.items[i]));
	if (d->node || d->all || d->policies.n || d->peers.n)
		sync_policies(n);
}

static void update_services(struct kg_network *n, const struct kg_view_diff *d)
{
	if (d->all)
		kg_services_clear(n->services);
	if (d->all && n->dns)
		kg_dns_clear(n->dns);
	for (size_t i = 0; i < d->services.n; i++) {
		const struct kg_view_item *s = &d->services.items[i];

		if (!n->opts.master_url || strcmp(s->key, API_KEY) != 0)
			put_service(n, s->key, value_of(s));
	}
	if (d->node || d->all)
		put_api(n);
	if (d->node || d->all || d->services.n) {
		sync_dns(n);
		sync_services(n);
	}
}

static void on_update(void *ctx)
{
	struct update *u = ctx;
	struct kg_network *n = u->network;

	if (u->diff.node) {
		kg_doc_unref(n->node);
		n->node = kg_steal(&u->node);
	}
	if (u->diff.nodes) {
		release_docs(n->nodes, n->nnodes);
		n->nodes = kg_steal(&u->nodes);
		n->nnodes = u->nnodes;
		u->nnodes = 0;
	}
	update_policies(n, u);
	update_services(n, &u->diff);
	if (u->diff.node || u->diff.nodes)
		sync_routes(n);
	release_update(u);
}

static void on_timer(void *ctx)
{
	struct kg_network *n = ctx;

	if (n->policies_failing)
		sync_policies(n);
	bool api = n->api_failing;
	if (api)
		put_api(n);
	if (api && !n->api_failing)
		sync_dns(n);
	if (n->services_failing || (api && !n->api_failing))
		sync_services(n);
	if (n->routes_failing)
		sync_routes(n);
}

/* The bridge first: routes lead by it. */
static void on_settled(void *ctx)
{
	struct kg_network *n = ctx;
	struct kg_error err;
	const char *range = of_node(n, "podCIDR");

	if (!n->node)
		return;
	if (*range && kg_bridge_configure(n->opts.bridge, range, &err) < 0) {
		if (n->opts.on_event)
			n->opts.on_event(n->opts.ctx, &err);
		kg_timer_set(n->settle, RETRY_MS);
	}
	sync_routes(n);
}

static void on_links(void *ctx, uint32_t events)
{
	struct kg_network *n = ctx;

	(void)events;
	if (kg_netlink_monitor_read(n->monitor, KG_BRIDGE_NAME))
		kg_timer_set(n->settle, SETTLE_MS);
}

static int watch_links(struct kg_network *n, struct kg_error *err)
{
	int rc = kg_netlink_monitor_open(&n->monitor, err);

	if (rc < 0)
		return rc;
	n->settle = kg_timer_new(n->loop, on_settled, n);
	n->watch = kg_loop_watch(n->loop, kg_netlink_monitor_fd(n->monitor), EPOLLIN, on_links, n);
	return n->watch ? 0 : kg_fail_errno(err, "watch links");
}

static void on_event(void *ctx, const struct kg_error *err)
{
	struct kg_network *n = ctx;

	if (n->opts.on_event)
		n->opts.on_event(n->opts.ctx, err);
}

/* ---- ports of the node that its pods have ---- */

struct hostport {
	struct kg_network *network;
	char *uid;
	struct kg_doc *pod;
};

static void on_hostport(void *ctx)
{
	struct hostport *p = ctx;
	struct kg_network *n = p->network;

	kg_services_put_pod(n->services, p->uid, p->pod ? kg_doc_value(p->pod) : NULL);
	if (n->node)
		sync_services(n);
	kg_doc_unref(p->pod);
	free(p->uid);
	free(p);
}

static void post_hostport(void *ctx, const char *uid, struct kg_doc *pod)
{
	struct kg_network *n = ctx;
	struct hostport *p = kg_alloc(sizeof(*p));

	*p = (struct hostport){n, kg_strdup(uid), pod ? kg_doc_ref(pod) : NULL};
	kg_loop_post(n->loop, on_hostport, p);
}

static void new_dns(struct kg_network *n, const struct kg_dns_options *opts)
{
	struct kg_dns_options dns = *opts;

	dns.on_event = on_event;
	dns.ctx = n;
	n->dns = kg_dns_new(n->loop, &dns);
}

static void *run(void *ctx)
{
	struct kg_network *n = ctx;

	kg_loop_run(n->loop);
	return NULL;
}

int kg_network_new(
	struct kg_network **out, const struct kg_network_options *opts, struct kg_error *err)
{
	struct kg_network *n = kg_alloc(sizeof(*n));
	struct kg_services_options services = {
		.on_event = on_event, .ctx = n, .memory = opts->memory, .node = opts->node};
	struct kg_policies_options policies = {on_event, n};

	n->opts = *opts;
	n->loop = kg_loop_new();
	n->timer = kg_timer_new(n->loop, on_timer, n);
	int rc = kg_services_new(&n->services, n->loop, &services, err);
	if (rc == 0)
		rc = kg_policies_new(&n->policies, n->loop, &policies, err);
	if (rc == 0)
		rc = watch_links(n, err);
	if (rc == 0 && opts->dns)
		new_dns(n, opts->dns);
	if (rc < 0) {
		kg_services_free(n->services);
		kg_policies_free(n->policies);
		kg_netlink_monitor_close(n->monitor);
		kg_loop_free(n->loop);
		free(n);
		return rc;
	}
	if (pthread_create(&n->thread, NULL, run, n) != 0)
		abort(); /* out of memory */
	kg_hostports_listen(n->opts.hostports, post_hostport, n);
	*out = n;
	return 0;
}

static void stop(void *ctx)
{
	kg_loop_stop(ctx, 0);
}

void kg_network_free(struct kg_network *n)
{
	if (!n)
		return;
	kg_hostports_listen(n->opts.hostports, NULL, NULL);
	kg_loop_post(n->loop, stop, n->loop); /* behind the updates that are on their way */
	pthread_join(n->thread, NULL);
	kg_services_free(n->services);
	kg_policies_free(n->policies);
	kg_dns_free(n->dns);
	kg_watch_free(n->watch);
	kg_netlink_monitor_close(n->monitor);
	kg_loop_free(n->loop);
	kg_doc_unref(n->node);
	release_docs(n->nodes, n->nnodes);
	free(n->master);
	free(n);
}

void kg_network_update(struct kg_network *n, const struct kg_view *view, struct kg_view_diff *diff)
{
	struct update *u;

	if (!diff->node && !diff->nodes && !diff->all && !diff->services.n && !diff->policies.n &&
		!diff->peers.n)
		return;
	u = kg_alloc(sizeof(*u));
	u->network = n;
	u->diff = *diff;
	diff->services = diff->policies = diff->peers = (struct kg_view_list){0};
	if (diff->all || diff->policies.n)
		u->held = kg_bridge_hold(n->opts.bridge);
	if (diff->node)
		u->node = kg_doc_new(kg_view_node(view), NULL, 0);
	if (diff->nodes)
		u->nodes = kg_view_docs(view, KG_VIEW_NODES, &u->nnodes);
	kg_loop_post(n->loop, on_update, u);
}

static void on_find_api(void *ctx)
{
	struct kg_network *n = ctx;

	if (!n->node)
		return; /* its coming will ask */
	put_api(n);
	sync_services(n);
}

void kg_network_find_api(struct kg_network *n)
{
	kg_loop_post(n->loop, on_find_api, n);
}

int kg_network_remove(struct kg_error *err)
{
	struct kg_netlink *nl;
	struct kg_error why;
	int rc = kg_routes_sync(&kg_null, "", NULL, err);
	int more = kg_nft_run("table ip kgit\ndelete table ip kgit\n"
			      "table ip kgit_next\ndelete table ip kgit_next\n"
			      "table ip kgit_policies\ndelete table ip kgit_policies\n"
			      "table bridge kgit_policies\ndelete table bridge kgit_policies\n",
		&why);

	if (more == 0)
		more = kg_netlink_open(&nl, -1, &why);
	if (more == 0) {
		more = kg_link_del(nl, KG_BRIDGE_NAME, &why);
		kg_netlink_close(nl);
	}
	if (rc == 0 && more < 0)
		*err = why;
	return rc < 0 ? rc : more;
}
