#include "nodeagent/agent.h"
#include "base/log.h"
#include "base/mem.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/bridge.h"
#include "nodeagent/dns.h"
#include "nodeagent/follow.h"
#include "nodeagent/network.h"
#include "nodeagent/nodeinfo.h"
#include "nodeagent/podtokens.h"
#include "nodeagent/puller.h"
#include "nodeagent/report.h"
#include "nodeagent/resolv.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define MAX_PODS 250
#define IDLE_MS  35000
#define USAGE_MS 8000 /* before the reporter says by itself that the node lives */

struct kg_agent {
	struct kg_agent_options opts;
	struct kg_loop *loop;
	struct kg_view *view; /* the puller's */
	struct kg_network *network;
	char *memory; /* of the network's rules */
	struct kg_reporter *reporter;
	struct kg_logstreams *logs;
	struct kg_puller *puller;
	struct kg_follower *follower;
	struct kg_timer *usage;
	atomic_bool started; /* all of the above are there */
	bool ready;          /* the puller's */
	/* Messages on their way to the loop name this; the last one frees it. */
	struct kg_agent_gate *gate;
};

/* Lets a message find out whether the agent is still there: both live on the loop's thread. */
struct kg_agent_gate {
	atomic_int refs;
	struct kg_agent *agent; /* NULL: gone */
};

static struct kg_agent_gate *gate_ref(struct kg_agent_gate *g)
{
	atomic_fetch_add(&g->refs, 1);
	return g;
}

static void gate_unref(struct kg_agent_gate *g)
{
	if (atomic_fetch_sub(&g->refs, 1) == 1)
		free(g);
}

/* ---- to the loop ---- */

struct message {
	struct kg_agent_gate *gate;
	struct kg_doc **pods, **configmaps;
	size_t npods, nconfigmaps;
	bool apply, report_all;
	char *ready; /* the pod range, where it is ready now */
	char *ca;    /* where it is another one */
};

static struct kg_value as_array(struct kg_arena *a, struct kg_doc **docs, size_t n)
{
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		items[i] = *kg_doc_value(docs[i]);
	return kg_v_array(a, items, n);
}

static void release_docs(struct kg_doc **docs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		kg_doc_unref(docs[i]);
	free(docs);
}

static void on_message(void *ctx)
{
	struct message *m = ctx;
	struct kg_agent *a = m->gate->agent;
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	if (a && m->apply) {
		struct kg_value pods = as_array(&arena, m->pods, m->npods);
		struct kg_value configmaps = as_array(&arena, m->configmaps, m->nconfigmaps);

		a->opts.pods.apply(a->opts.pods.self, &pods, &configmaps);
	}
	if (a && m->report_all)
		a->opts.pods.report_all(a->opts.pods.self);
	if (a && m->ready && a->opts.on_ready)
		a->opts.on_ready(a->opts.ctx, m->ready);
	/* Last: it may end the agent. */
	if (a && m->ca && a->opts.on_ca)
		a->opts.on_ca(a->opts.ctx, m->ca);
	release_docs(m->pods, m->npods);
	release_docs(m->configmaps, m->nconfigmaps);
	gate_unref(m->gate);
	free(m->ready);
	free(m->ca);
	free(m);
}

static struct message *new_message(struct kg_agent *a)
{
	struct message *m = kg_alloc(sizeof(*m));

	m->gate = gate_ref(a->gate);
	return m;
}

/* ---- the view; on the puller's thread ---- */

static void add_doc(struct message *m, const struct kg_value *v)
{
	if (kg_is_null(v))
		return;
	m->configmaps = kg_realloc(m->configmaps, (m->nconfigmaps + 1) * sizeof(*m->configmaps));
	m->configmaps[m->nconfigmaps++] = kg_doc_new(v, NULL, 0);
}

static void add_dns(struct message *m, const struct kg_agent *a, const struct kg_value *node)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *address = a->opts.dns_address;
	char own[INET_ADDRSTRLEN];
	struct kg_error ignored;
	struct kg_cidr pods;

	if (!address && a->opts.dns &&
		kg_cidr_parse(&pods, kg_string(kg_get(node, "podCIDR"), ""), &ignored) == 0) {
		in_addr_t bridge = kg_dns_address(&pods);

		address = inet_ntop(AF_INET, &bridge, own, sizeof(own));
	}
	if (!address)
		return;
	struct kg_value dns = kg_cluster_dns(&arena, address, a->opts.dns_domain);
	add_doc(m, &dns);
}

/* By what the node judges pods that are bound to it; an older master does not say. */
static void add_node(struct message *m, const struct kg_value *node)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	if (kg_is_null(kg_get(node, "labels")))
		return;
	struct kg_value object = kg_v_obj(&arena, "kind", kg_v_lit("Node"), "metadata",
		kg_v_obj(&arena, "labels", *kg_get(node, "labels"), (char *)NULL), "spec",
		kg_v_obj(&arena, "taints", *kg_get(node, "taints"), (char *)NULL), (char *)NULL);

	add_doc(m, &object);
}

/* What is the cluster's own, in front: nobody's object takes its place. */
static void add_system(struct message *m, const struct kg_agent *a)
{
	const struct kg_view *v = a->view;
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value ca = kg_api_root_ca(&arena, kg_view_node(v));
	struct kg_value service = kg_api_service(&arena, kg_view_node(v));

	add_doc(m, &ca);
	add_doc(m, &service);
	add_node(m, kg_view_node(v));
	add_dns(m, a, kg_view_node(v));
}

/* What pods name: ConfigMaps, Secrets and volumes, one list. */
static void add_named(struct message *m, const struct kg_view *v, enum kg_view_kind kind)
{
	size_t n;
	struct kg_doc **docs KG_AUTOFREE = kg_view_docs(v, kind, &n);

	m->configmaps =
		kg_realloc(m->configmaps, (m->nconfigmaps + n + 1) * sizeof(*m->configmaps));
	for (size_t i = 0; i < n; i++)
		m->configmaps[m->nconfigmaps++] = docs[i];
}

static int apply_view(void *ctx, struct kg_view_diff *diff, struct kg_error *err)
{
	struct kg_agent *a = ctx;
	const char *range = kg_string(kg_get(kg_view_node(a->view), "podCIDR"), "");
	struct message *m;
	int rc = 0;

	/* With the bridge a pod can have its network, and must not before its policies are there:
	 * held until those of kg_network_update are. */
	if (a->opts.bridge && diff->all)
		kg_bridge_hold(a->opts.bridge);
	/* Pods need the bridge, and not the rest. */
	if (a->opts.bridge && diff->node && *range)
		rc = kg_bridge_configure(a->opts.bridge, range, err);
	m = new_message(a);
	m->apply = diff->pods || diff->configmaps || diff->node;
	if (m->apply) {
		m->pods = kg_view_docs(a->view, KG_VIEW_PODS, &m->npods);
		add_system(m, a);
		add_named(m, a->view, KG_VIEW_CONFIGMAPS);
		add_named(m, a->view, KG_VIEW_SECRETS);
		add_named(m, a->view, KG_VIEW_VOLUMES);
	}
	const char *ca = kg_string(kg_get(kg_view_node(a->view), "ca"), NULL);
	if (ca && strcmp(ca, a->opts.credential->ca_pem) != 0)
		m->ca = kg_strdup(ca);
	/* Before the pods, which wait for their policies. */
	if (a->network)
		kg_network_update(a->network, a->view, diff);
	kg_loop_post(a->loop, on_message, m);
	return rc;
}

static void on_pulled(void *ctx)
{
	struct kg_agent *a = ctx;

	if (a->ready)
		return;
	struct message *m = new_message(a);
	m->ready = kg_strdup(kg_string(kg_get(kg_view_node(a->view), "podCIDR"), ""));
	kg_loop_post(a->loop, on_message, m);
	a->ready = true;
}

/* ---- what the threads say ---- */

static void tell(const char *what, const struct kg_error *err)
{
	if (err)
		kg_warn("%s: %s", what, err->msg);
	else
		kg_info("%s: works again", what);
}

static void pull_state(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	tell("view", err);
}

static void follow_state(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	tell("master", err);
}

static void network_event(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	if (err)
		kg_warn("network: %s", err->msg);
	else
		kg_info("network: mended what another program changed in the packet filter");
}

static void report_state(void *ctx, const struct kg_error *err)
{
	struct kg_agent *a = ctx;

	tell("status", err);
	if (err && err->code == KG_E_NOT_FOUND && atomic_load(&a->started))
		kg_follower_restart(a->follower); /* the master forgot this node */
}

static struct kg_value registration(void *ctx, struct kg_arena *arena)
{
	static const struct kg_hugepages none;
	struct kg_agent *a = ctx;

	return kg_node_registration(arena, a->opts.name, a->opts.address,
		a->opts.labels ? a->opts.labels : &kg_null, a->opts.max_pods,
		a->opts.pods.hugepages ? a->opts.pods.hugepages : &none);
}

static void on_registered(void *ctx, bool again)
{
	struct kg_agent *a = ctx;

	if (again) {
		struct message *m = new_message(a);

		m->report_all = true;
		kg_loop_post(a->loop, on_message, m);
	}
	/* The master may have been found elsewhere. */
	if (again && a->network)
		kg_network_find_api(a->network);
	kg_reporter_kick(a->reporter);
}

static void on_view(void *ctx, const char *commit)
{
	struct kg_agent *a = ctx;

	kg_puller_want(a->puller, commit);
}

static void on_log(void *ctx, const struct kg_value *request)
{
	struct kg_agent *a = ctx;

	kg_logstreams_start(a->logs, request, kg_realtime_ms());
}

static void on_log_end(void *ctx, const char *id)
{
	struct kg_agent *a = ctx;

	kg_logstreams_cancel(a->logs, id);
}

/* ---- life ---- */

static void look_at_usage(void *ctx)
{
	struct kg_agent *a = ctx;
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = a->opts.pods.usage(a->opts.pods.self, &arena);

	if (!kg_is_null(&v))
		kg_reporter_usage(a->reporter, &v);
	kg_timer_set(a->usage, a->opts.usage_ms);
}

static void start(struct kg_agent *a)
{
	struct kg_http_client_options http = {.url = a->opts.url,
		.ca_pem = a->opts.credential->ca_pem,
		.cert_pem = a->opts.credential->cert_pem,
		.key_pem = a->opts.credential->key_pem};
	struct kg_reporter_options reporter = {
		.http = http, .node = a->opts.name, .on_state = report_state, .ctx = a};
	struct kg_logstreams_options logs = {
		.http = http, .node = a->opts.name, .source = a->opts.pods.logs};
	struct kg_puller_options puller = {.http = http,
		.node = a->opts.name,
		.view = a->view,
		.apply = apply_view,
		.done = on_pulled,
		.state = pull_state,
		.ctx = a};
	struct kg_follower_options follower = {.http = http,
		.node = a->opts.name,
		.idle_ms = a->opts.idle_ms,
		.registration = registration,
		.registered = on_registered,
		.view = on_view,
		.log = on_log,
		.log_end = on_log_end,
		.state = follow_state,
		.ctx = a};

	if (a->opts.tokens)
		kg_podtokens_start(a->opts.tokens, &http, a->opts.name);
	a->reporter = kg_reporter_new(&reporter);
	a->logs = kg_logstreams_new(&logs);
	a->puller = kg_puller_new(&puller);
	a->follower = kg_follower_new(&follower);
	if (a->opts.pods.usage) {
		a->usage = kg_timer_new(a->loop, look_at_usage, a);
		kg_timer_set(a->usage, 0);
	}
	atomic_store(&a->started, true);
}

int kg_agent_new(struct kg_agent **out, struct kg_loop *loop, const struct kg_agent_options *opts,
	struct kg_error *err)
{
	struct kg_agent *a = kg_alloc(sizeof(*a));
	struct kg_network_options network = {.bridge = opts->bridge,
		.node = opts->name,
		.address = opts->address,
		.master_url = opts->url,
		.hostports = opts->hostports,
		.dns = opts->dns,
		.on_event = network_event};
	a->memory = kg_asprintf("%s/run/services.rules", opts->dir);
	network.memory = a->memory;
	int rc = kg_view_open(&a->view, opts->dir, err);

	a->opts = *opts;
	a->opts.max_pods = opts->max_pods ? opts->max_pods : MAX_PODS;
	a->opts.idle_ms = opts->idle_ms ? opts->idle_ms : IDLE_MS;
	a->opts.usage_ms = opts->usage_ms ? opts->usage_ms : USAGE_MS;
	a->loop = loop;
	if (rc == 0 && opts->bridge)
		rc = kg_network_new(&a->network, &network, err);
	if (rc < 0) {
		kg_view_free(a->view);
		free(a->memory);
		free(a);
		return rc;
	}
	a->gate = kg_alloc(sizeof(*a->gate));
	a->gate->refs = 1;
	a->gate->agent = a;
	start(a);
	*out = a;
	return 0;
}

void kg_agent_free(struct kg_agent *a)
{
	if (!a)
		return;
	kg_timer_free(a->usage);
	kg_podtokens_stop(a->opts.tokens);
	kg_follower_free(a->follower);
	kg_puller_free(a->puller);
	kg_logstreams_free(a->logs);
	kg_reporter_free(a->reporter);
	kg_network_free(a->network);
	kg_view_free(a->view);
	a->gate->agent = NULL;
	gate_unref(a->gate);
	free(a->memory);
	free(a);
}

void kg_agent_report(struct kg_agent *a, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone)
{
	kg_reporter_put(a->reporter, ns, name, uid, status, gone);
}
