/* The agent itself. */
#include "base/log.h"
#include "base/mem.h"
#include "node.h"
#include "nodeagent/agent.h"
#include "nodeagent/bridge.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/dns.h"
#include "nodeagent/hostns.h"
#include "nodeagent/hostports.h"
#include "nodeagent/nodeinfo.h"
#include "nodeagent/pods.h"
#include "nodeagent/podtokens.h"
#include "nodeagent/rundir.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SETTLED_MS 3000
#define DAY_MS     (24LL * 3600 * 1000)
#define RETRY_MS   10000 /* after a renewal that failed, and at least between two */

struct node {
	const struct kgn_options *opts;
	struct kg_loop *loop;
	struct kg_podtokens *tokens;
	struct kg_hostports *hostports;
	struct kg_pods *pods;
	struct kg_agent *agent;
	struct kg_timer *settled;
	struct kg_agent_options agent_opts;
	/* of the node's certificate */
	struct kg_credential *credential;
	struct kg_timer *renewal;
	pthread_t renewer;
	char *ca; /* to be trusted from now on; NULL: as the credential says */
	bool renewing, ending, ready;
	char name[256], address[16];
};

/* ---- the pods, as the agent sees them ---- */

static void apply(void *self, const struct kg_value *pods, const struct kg_value *configmaps)
{
	struct node *n = self;

	kg_pods_apply(n->pods, pods, configmaps);
}

static void report_all(void *self)
{
	struct node *n = self;

	kg_pods_report_all(n->pods);
}

static struct kg_value usage(void *self, struct kg_arena *a)
{
	struct node *n = self;

	return kg_pods_usage(n->pods, a);
}

static int open_log(
	void *self, void **reader, const struct kg_log_request *req, struct kg_error *err)
{
	struct node *n = self;
	struct kg_log_reader *r = NULL;
	int rc = kg_log_open(&r, n->pods, req, err);

	*reader = r;
	return rc;
}

static ssize_t read_log(void *reader, char *buf, size_t max, int wait_ms)
{
	return kg_log_read(reader, buf, max, wait_ms);
}

static void close_log(void *reader)
{
	kg_log_close(reader);
}

static void on_status(void *ctx, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone)
{
	struct node *n = ctx;

	if (n->agent) /* else all is reported when it is there */
		kg_agent_report(n->agent, ns, name, uid, status, gone);
}

/* ---- life ---- */

static void on_settled(void *ctx)
{
	(void)ctx;
	kgn_trim();
}

static void on_ready(void *ctx, const char *pod_cidr)
{
	struct node *n = ctx;

	if (n->ready) /* told before its certificate was renewed */
		return;
	n->ready = true;
	printf("kgit-node ready: node %s, address %s, pods %s, master %s\n", n->name, n->address,
		*pod_cidr ? pod_cidr : "(no range yet)", n->opts->master);
	fflush(stdout);
	kg_timer_set(n->settled, SETTLED_MS);
}

static void on_stop(void *ctx, int signo)
{
	struct node *n = ctx;

	(void)signo;
	kg_loop_stop(n->loop, 0);
}

static int get_credential(struct kg_credential *out, const struct node *n)
{
	struct kg_error err;
	int rc = kg_credential_load(out, n->opts->state, n->name, &err);

	if (rc == -KG_E_NOT_FOUND && n->opts->join)
		rc = kg_join(out, n->opts->state, n->opts->master, n->opts->join, n->name, &err);
	else if (rc == -KG_E_NOT_FOUND)
		return kgn_fail("this node has not joined a cluster yet: --join TOKEN is needed "
				"(kgit token create prints one)");
	return rc < 0 ? kgn_fail("%s", err.msg) : 0;
}

/* ---- the certificate is renewed before it ends ---- */

static void plan_renewal(struct node *n, int64_t soonest_ms)
{
	struct kg_error err;
	kg_time due;

	if (kg_credential_due(&due, n->credential, &err) < 0) {
		kg_error_log("%s", err.msg);
		return;
	}
	int64_t in = n->ca ? 0 : due - kg_realtime_ms();
	kg_timer_set(n->renewal, in < soonest_ms ? soonest_ms : in > DAY_MS ? DAY_MS : in);
}

/* What a renewal is made of, and comes to; the thread's until it posts it. */
struct renewal {
	struct node *n;
	struct kg_credential credential;
	char *ca;          /* not stored yet, or NULL */
	bool trusts, made; /* the CAs are others, the certificate is a new one */
	int rc;
	struct kg_error err;
};

static void renewal_free(struct renewal *r)
{
	kg_credential_release(&r->credential);
	free(r->ca);
	free(r);
}

/* The agent's connections are made anew; pods, rules and routes stay. */
static void use_credential(struct node *n, struct kg_credential *fresh)
{
	struct kg_error err;

	kg_agent_free(n->agent); /* its threads borrow the credential */
	n->agent = NULL;
	kg_credential_release(n->credential);
	*n->credential = *fresh;
	*fresh = (struct kg_credential){0};
	if (kg_agent_new(&n->agent, n->loop, &n->agent_opts, &err) < 0) {
		kg_error_log("%s", err.msg);
		kg_loop_stop(n->loop, 1);
	}
	kg_pods_report_all(n->pods); /* what waited to be sent is lost with the agent */
}

static void renewed(void *ctx)
{
	struct renewal *r = ctx;
	struct node *n = r->n;

	if (n->ending) {
		renewal_free(r);
		return;
	}
	pthread_join(n->renewer, NULL);
	n->renewing = false;
	if (r->rc < 0)
		kg_warn("the node's certificate is not renewed yet: %s", r->err.msg);
	if (r->trusts)
		kg_info("the master's CAs are others from now on");
	if (r->made)
		kg_info("the node's certificate was renewed");
	if (r->trusts || r->made)
		use_credential(n, &r->credential);
	if (!n->ca)
		n->ca = kg_steal(&r->ca); /* what could not be stored is tried again */
	plan_renewal(n, RETRY_MS);
	renewal_free(r);
}

static void *renew(void *arg)
{
	struct renewal *r = arg;
	const char *dir = r->n->opts->state;
	kg_time due = 0;

	if (r->ca && strcmp(r->ca, r->credential.ca_pem) != 0) {
		r->rc = kg_credential_trust(&r->credential, dir, r->ca, &r->err);
		r->trusts = r->rc == 0;
	}
	if (r->rc == 0)
		free(kg_steal(&r->ca));
	if (r->rc == 0)
		r->rc = kg_credential_due(&due, &r->credential, &r->err);
	if (r->rc == 0 && due <= kg_realtime_ms()) {
		r->rc = kg_credential_renew(
			&r->credential, dir, r->n->opts->master, r->n->name, &r->err);
		r->made = r->rc == 0;
	}
	kg_loop_post(r->n->loop, renewed, r);
	return NULL;
}

static void begin_renewal(struct node *n)
{
	struct renewal *r = kg_alloc(sizeof(*r));

	r->n = n;
	r->ca = kg_steal(&n->ca);
	r->credential.ca_pem = kg_strdup(n->credential->ca_pem);
	r->credential.cert_pem = kg_strdup(n->credential->cert_pem);
	r->credential.key_pem = kg_strdup(n->credential->key_pem);
	n->renewing = pthread_create(&n->renewer, NULL, renew, r) == 0;
	if (!n->renewing) {
		renewal_free(r);
		plan_renewal(n, RETRY_MS);
	}
}

static void on_renewal(void *ctx)
{
	struct node *n = ctx;
	struct kg_error err;
	kg_time due = 0;

	if (n->renewing || (!n->ca && (kg_credential_due(&due, n->credential, &err) < 0 ||
					      due > kg_realtime_ms())))
		plan_renewal(n, RETRY_MS);
	else
		begin_renewal(n);
}

/* With the CAs the keys of tokens were replaced, too. */
static void on_ca(void *ctx, const char *ca_pem)
{
	struct node *n = ctx;

	if (n->ca && strcmp(n->ca, ca_pem) == 0)
		return; /* a renewal begins with it soon */
	kg_podtokens_renew(n->tokens);
	free(n->ca);
	n->ca = kg_strdup(ca_pem);
	if (!n->renewing)
		begin_renewal(n);
}

/* What the thread posts is run: it owns memory. */
static void end_renewal(struct node *n)
{
	n->ending = true;
	if (n->renewing) {
		pthread_join(n->renewer, NULL);
		kg_loop_stop(n->loop, 0);
		kg_loop_run(n->loop);
	}
	kg_timer_free(n->renewal);
}

static int serve(struct node *n, struct kg_credential *credential, const struct kg_value *labels,
	struct kg_bridge *bridge)
{
	struct kg_error err;
	const char *resolver = n->opts->cluster_dns;
	char *dns_dir KG_AUTOFREE = kg_asprintf("%s/" KG_DNS_DIR, n->opts->state);
	char *self_dir KG_AUTOFREE = kg_self_dir();
	char *program KG_AUTOFREE = kg_asprintf("%s/kgit-node", self_dir);
	char *helpers KG_AUTOFREE = kg_asprintf("/kgit/%s/" KG_CGROUP_HELPERS, n->name);
	struct kg_cgroups cgroups KG_CLEANUP(kg_cgroups_release) = {0};
	pid_t dns_left = 0;
	struct kg_dns_options dns = {.dir = dns_dir,
		.cgroups = &cgroups,
		.cgroup = helpers,
		.domain = n->opts->cluster_domain,
		.program = program,
		.left = &dns_left,
		.unconfined = n->opts->dns_unconfined,
		.limits = &n->opts->dns};
	struct kg_pods_options pods = {.dir = n->opts->state,
		.node_name = n->name,
		.node_ip = n->address,
		.net = &kg_bridge_podnet,
		.net_self = bridge,
		.tokens = n->tokens,
		.hostports = n->hostports,
		.max_pods = n->opts->max_pods,
		.image_gc = {.high = n->opts->gc_high,
			.low = n->opts->gc_low,
			.min_age_ms = n->opts->gc_ttl},
		.on_status = on_status,
		.ctx = n};
	struct kg_agent_options agent = {.dir = n->opts->state,
		.url = n->opts->master,
		.name = n->name,
		.address = n->address,
		.credential = credential,
		.labels = labels,
		.max_pods = n->opts->max_pods,
		.bridge = bridge,
		.dns = resolver ? NULL : &dns,
		.dns_address = resolver && strcmp(resolver, "none") ? resolver : NULL,
		.dns_domain = n->opts->cluster_domain,
		.pods = {.apply = apply,
			.report_all = report_all,
			.usage = usage,
			.self = n,
			.logs = {open_log, read_log, close_log, n}},
		.tokens = n->tokens,
		.hostports = n->hostports,
		.on_ready = on_ready,
		.on_ca = on_ca,
		.ctx = n};

	if (kg_cgroups_detect(&cgroups, &err) < 0 ||
		kg_pods_new(&n->pods, n->loop, &pods, &err) < 0)
		return kgn_fail("%s", err.msg);
	agent.pods.hugepages = kg_pods_hugepages(n->pods);
	n->agent_opts = agent;
	if (kg_agent_new(&n->agent, n->loop, &agent, &err) < 0) {
		kg_pods_free(n->pods);
		return kgn_fail("%s", err.msg);
	}
	kg_pods_report_all(n->pods);
	n->credential = credential;
	n->renewal = kg_timer_new(n->loop, on_renewal, n);
	plan_renewal(n, 1000);
	int rc = kg_loop_run(n->loop);
	end_renewal(n);
	kg_agent_free(n->agent);
	n->agent = NULL;
	kg_pods_free(n->pods);
	return rc;
}

static int start(struct node *n)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_credential credential KG_CLEANUP(kg_credential_release) = {0};
	struct kg_value labels = kg_v_null();
	struct kg_error err;

	if (n->opts->labels && kg_node_labels_parse(&labels, &arena, n->opts->labels, &err) < 0)
		return kgn_fail("%s", err.msg);
	if (get_credential(&credential, n) != 0)
		return 1;
	struct kg_bridge *bridge = kg_bridge_new();
	kg_bridge_of_node(bridge, inet_addr(n->address));
	n->tokens = kg_podtokens_new();
	n->hostports = kg_hostports_new();
	int rc = serve(n, &credential, &labels, bridge);
	kg_podtokens_free(n->tokens);
	kg_hostports_free(n->hostports);
	kg_bridge_free(bridge);
	free(n->ca);
	return rc;
}

static int set_names(struct node *n)
{
	struct in_addr ignored;

	if (n->opts->name)
		snprintf(n->name, sizeof(n->name), "%s", n->opts->name);
	else if (gethostname(n->name, sizeof(n->name) - 1) < 0)
		return kgn_fail("--name NAME is needed: the host does not say its own: %s",
			strerror(errno));
	if (n->opts->node_ip && (inet_pton(AF_INET, n->opts->node_ip, &ignored) != 1 ||
					strlen(n->opts->node_ip) >= sizeof(n->address)))
		return kgn_fail("--node-ip: \"%s\" is no IPv4 address", n->opts->node_ip);
	if (n->opts->node_ip)
		strcpy(n->address, n->opts->node_ip);
	else
		kg_node_address(n->address, n->opts->master);
	return 0;
}

int kgn_run(const struct kgn_options *o)
{
	struct node n = {.opts = o};

	if (!o->master)
		return 1 + kgn_fail("--master URL is needed; kgit-node --help says more");
	if (strncmp(o->master, "https://", 8) != 0)
		return kgn_fail("--master: expected https://HOST:PORT, got \"%s\"", o->master);
	if (geteuid() != 0)
		return kgn_fail("containers and networks need root");
	KG_AUTOCLOSE int lock = kgn_lock(o->state);
	if (lock < 0)
		return 1;
	struct kg_error err;
	if (kg_hostns_enter(o->state, &err) < 0 || kg_rundir_mount(o->state, &err) < 0)
		return kgn_fail("%s", err.msg);
	if (set_names(&n) != 0 || (o->cluster_dns && kgn_end_dns(o->state) != 0))
		return 1;
	if (kgn_remember_name(o->state, n.name) < 0)
		return 1;
	kg_signals_block();
	n.loop = kg_loop_new();
	n.settled = kg_timer_new(n.loop, on_settled, &n);
	int rc = kg_loop_signal(n.loop, SIGTERM, on_stop, &n);
	if (rc == 0)
		rc = kg_loop_signal(n.loop, SIGINT, on_stop, &n);
	rc = rc < 0 ? kgn_fail("signals cannot be waited for: %s", strerror(errno)) : start(&n);
	kg_timer_free(n.settled);
	kg_loop_free(n.loop);
	if (kgn_count_pods(o->state) == 0) {
		kgn_end_dns(o->state);
		kg_rundir_unmount(o->state, &err); /* something still uses it: it stays */
	}
	return rc;
}
