/* kgitd: the master. Starts what it is made of in order, runs the loop, ends it in reverse. */
#include "auth/accounts.h"
#include "base/log.h"
#include "http/limiter.h"
#include "kgitd/compact.h"
#include "kgitd/confine.h"
#include "kgitd/flags.h"
#include "kgitd/git_child.h"
#include "kgitd/join.h"
#include "kgitd/master.h"
#include "kgitd/metrics.h"
#include "sys/file.h"
#include "sys/zone.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define END_WAIT_MS 5000 /* for pushes and fetches that are under way */
#define END_LOOK_MS 20
#define RENEW_MS    (24LL * 3600 * 1000)

struct renewal {
	struct kgd_master *m;
	struct kg_timer *timer;
};

/* ---- what the api asks ---- */

static bool api_lease(void *ctx, const char *node, struct kg_api_lease *out)
{
	struct kgd_master *m = ctx;

	out->duration_s = (int)(kgd_nodes_grace_ms(m->nodes) / 1000);
	return kgd_nodes_lease(m->nodes, node, &out->acquired, &out->renewed);
}

static bool api_usage(void *ctx, const char *node, struct kg_api_usage *out)
{
	struct kgd_master *m = ctx;

	out->said = kgd_nodes_used(m->nodes, node, &out->at);
	return out->said != NULL;
}

/* ---- starting ---- */

static int open_state(struct kgd_master *m, const struct kgd_flags *f, struct kg_error *err)
{
	int rc = kg_mkdir_p(f->state, 0700, err);

	if (rc < 0)
		return rc;
	m->dir = realpath(f->state, NULL);
	if (!m->dir)
		return kg_fail_errno(err, "%s", f->state);
	m->repo = kg_asprintf("%s/cluster.git", m->dir);
	char *tokens KG_AUTOFREE = kg_asprintf("%s/tokens", m->dir);
	return kg_tokens_open(&m->tokens, tokens, err);
}

/* A line of the log for each. */
static void tell_recovered(char *notes)
{
	char *at = NULL;

	for (char *line = strtok_r(notes, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
		kg_warn("recovered: %s", line);
}

static int open_store(struct kgd_master *m, struct kg_error *err)
{
	struct kg_store_options opts = {.create = true, .now = kg_realtime_ms()};
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct kg_snapshot *head;
	int rc = kg_store_open(&m->store, m->repo, &opts, &notes, err);

	if (notes.len)
		tell_recovered(notes.data);
	if (rc == 0)
		rc = kgd_setup_repo(m, err);
	if (rc == 0)
		rc = kg_store_load(&head, m->store, err);
	if (rc < 0)
		return kg_wrap(err, "%s", m->repo);
	m->hub = kg_hub_new(head, 0);
	kg_snapshot_unref(head);
	return 0;
}

/* HOST:PORT that clients are told: a wildcard is of no use to them. */
static char *advertised(const struct kgd_flags *f, int port)
{
	const char *address = f->advertise ? f->advertise : f->listen;
	const char *colon = strrchr(address, ':');
	size_t n = colon ? (size_t)(colon - address) : strlen(address);

	if (f->advertise && colon)
		return kg_strdup(address);
	if (n == 0 || strncmp(address, "0.0.0.0", n) == 0 || strncmp(address, "[::]", n) == 0)
		return kg_asprintf("127.0.0.1:%d", port);
	return kg_asprintf("%.*s:%d", (int)n, address, port);
}

static void cluster_of(struct kg_input_cluster *out, char service[16], const struct kgd_master *m)
{
	*out = (struct kg_input_cluster){.ca = kgd_authority(m)->bundle_pem,
		.address = m->address,
		.service = kgd_api_address(service, m->service_cidr) ? service : NULL};
}

void kgd_tell_cluster(struct kgd_master *m)
{
	struct kg_input_cluster cluster;
	char service[16];

	cluster_of(&cluster, service, m);
	kgd_writer_set_cluster(m->writer, &cluster);
}

static int start_writer(struct kgd_master *m, const struct kgd_flags *f, struct kg_error *err)
{
	int port = atoi(strrchr(f->listen, ':') + 1);
	struct kg_input_cluster cluster;
	char service[16];

	m->address = advertised(f, port);
	cluster_of(&cluster, service, m);
	m->reconcile = (struct kg_reconcile_options){
		.pod_cidr = f->pod_cidr,
		.service_cidr = f->service_cidr,
		.node_port_min = 30000,
		.node_port_max = 32767,
		.eviction_timeout_ms = f->eviction_ms,
		.zone = kg_zone_rule,
	};
	struct kgd_writer_options opts = {
		.store = m->store,
		.hub = m->hub,
		.reconcile = m->reconcile,
		.cluster = port ? &cluster : NULL, /* else told when it is known */
		.hold_main = kgd_main_hold,
		.ctx = m,
	};

	return kgd_writer_start(&m->writer, &opts, err);
}

static int start_compaction(struct kgd_master *m, const struct kgd_flags *f, struct kg_error *err)
{
	struct kg_snapshot *head = kg_hub_snapshot(m->hub);
	struct kgd_compact_options opts = {
		.store = m->store,
		.head = head->time,
		.revisions = f->keep_revisions,
		.age_ms = f->keep_age_ms,
		.every_ms = f->compact_every_ms,
		.grace_ms = f->compact_grace_ms,
	};

	kg_snapshot_unref(head);
	return kgd_compact_start(&m->compact, &opts, err);
}

static int open_audit(struct kgd_master *m, const struct kgd_flags *f, struct kg_error *err)
{
	struct kgd_audit_options opts = f->audit;

	opts.hub = m->hub;
	return kgd_audit_open(&m->audit, &opts, err);
}

static void api_judged(void *ctx, struct kg_http_req *req, const struct kg_user *user,
	const struct kg_attributes *what, const struct kg_error *why)
{
	struct kgd_master *m = ctx;

	kgd_audit_request(m->audit, req, user, what, why);
}

static void make_nodes(struct kgd_master *m, const struct kgd_flags *f)
{
	struct kgd_nodes_options opts = {
		.loop = m->loop,
		.hub = m->hub,
		.writer = m->writer,
		.grace_ms = f->grace_ms,
		.service_cidr = f->service_cidr,
		.pod_cidr = f->pod_cidr,
		.ca_pem = kgd_authority(m)->bundle_pem,
	};

	m->nodes = kgd_nodes_new(&opts);
	m->logs = kgd_logs_new(m->loop, m->nodes);
}

static void make_api(struct kgd_master *m, enum kg_api_gzip gzip)
{
	struct kg_api_options opts = {
		.hub = m->hub,
		.history = &kg_api_store_history,
		.history_self = m->store,
		.auth = m->auth,
		.accounts = m->accounts,
		.log_route = kgd_logs_route,
		.judged = api_judged,
		.lease = api_lease,
		.usage = api_usage,
		.max_lists = m->limits.lists,
		.max_watches = m->limits.watches,
		.gzip = gzip,
		.checks = kgd_checks,
		.nchecks = KGD_NCHECKS,
		.metrics = kgd_metrics,
		.ctx = m,
		.server_address = m->address,
	};

	m->probes = kgd_probes_new();
	m->limiter = kg_limiter_new((double)m->limits.requests, 0);
	m->api = kg_api_new(&opts);
}

/* Begun ones, too; the flags take no more than a day. */
static unsigned seconds(int64_t ms)
{
	return (unsigned)((ms + 999) / 1000);
}

static int start_http(struct kgd_master *m, const struct kgd_flags *f, const char *cert,
	const char *key, struct kg_error *err)
{
	struct kg_http_server_options opts = {
		.listen = f->listen,
		.cert_pem = cert,
		.key_pem = key,
		.client_ca_pem = kgd_authority(m)->bundle_pem,
		.max_connections = (unsigned)m->limits.connections,
		.max_header = m->limits.header_bytes,
		.max_body = m->limits.body_bytes,
		.max_websocket = m->limits.websocket_bytes,
		.max_websocket_rate = m->limits.websocket_rate,
		.header_timeout_s = seconds(m->limits.header_ms),
		.body_timeout_s = seconds(m->limits.body_ms),
		.idle_timeout_s = seconds(m->limits.idle_ms),
		.close_timeout_s = seconds(m->limits.close_ms),
		.router = kgd_route,
		.ctx = m,
	};
	int rc = kg_http_server_new(&m->http, &opts, err);

	if (rc < 0)
		return rc;
	/* With port 0 it is known only now. */
	free(m->address);
	m->address = advertised(f, kg_http_server_port(m->http));
	kgd_tell_cluster(m);
	return 0;
}

static int start(struct kgd_master *m, const struct kgd_flags *f, struct kgd_strays **strays,
	struct kg_error *err)
{
	char *cert KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL;
	int rc = open_state(m, f, err);

	m->named = f->advertise ? f->advertise : f->listen;
	m->service_cidr = f->service_cidr;
	m->limits = f->limits;
	m->origins = f->origins;
	m->node_cert_ms = f->node_cert_ms;
	m->accept_unsigned = f->accept_unsigned;
	m->loop = kg_loop_new();
	if (rc == 0)
		rc = kgd_setup_pki(m, &cert, &key, err);
	if (rc == 0)
		rc = open_store(m, err);
	if (rc == 0)
		rc = start_writer(m, f, err);
	if (rc == 0)
		rc = start_compaction(m, f, err);
	if (rc < 0)
		return rc;
	rc = kgd_identity_start(m, &f->identity, err);
	if (rc == 0)
		rc = open_audit(m, f, err);
	if (rc < 0)
		return rc;
	make_nodes(m, f);
	make_api(m, f->gzip);
	m->events = kgd_events_new(m->loop, m->store, m->hub, m->api);
	m->trim = kgd_trim_new(m);
	m->history = kgd_history_new(m);
	m->pushes = kgd_pushes_new(m);
	rc = kgd_hooks_new(&m->hooks, m, err);
	if (rc == 0)
		rc = kgd_strays_new(strays, m, err);
	if (rc == 0)
		rc = start_http(m, f, cert, key, err);
	if (rc == 0)
		rc = kgd_setup_kubeconfig(m, err);
	return rc;
}

/* What was posted while the loop was ending is still run: it owns memory. */
static void run_posts(struct kg_loop *loop)
{
	kg_loop_stop(loop, 0);
	kg_loop_run(loop);
}

/* First those who ask, then what answers them. */
static void stop(struct kgd_master *m, struct kgd_strays *strays)
{
	kgd_logs_stop(m->logs);
	kgd_history_stop(m->history);
	kg_http_server_free(m->http);
	kgd_hooks_free(m->hooks);
	kgd_compact_stop(m->compact);
	kgd_writer_stop(m->writer);
	if (m->loop)
		run_posts(m->loop);
	kgd_strays_free(strays);
	kgd_events_free(m->events);
	kgd_trim_free(m->trim);
	kgd_history_free(m->history);
	kgd_pushes_free(m->pushes);
	kg_api_free(m->api);
	kgd_logs_free(m->logs);
	kgd_nodes_free(m->nodes);
	kgd_audit_close(m->audit);
	kgd_identity_stop(m);
	kgd_node_keys_forget();
	kg_tokens_free(m->tokens);
	kg_hub_free(m->hub);
	kg_store_close(m->store);
	kg_loop_free(m->loop);
	free(m->probes);
	kg_limiter_free(m->limiter);
	free(m->dir);
	free(m->repo);
	kgd_authority_free(kgd_authority(m));
	free(m->address);
}

/* ---- the end ---- */

struct ending {
	struct kgd_master *m;
	struct kg_timer *timer;
	int64_t deadline;
};

/* Pushes and fetches that are under way need the loop: it ends after them, or when time is up. */
static void end(void *ctx)
{
	struct ending *e = ctx;

	if (kgd_git_active() == 0 || kg_monotonic_ms() >= e->deadline)
		kg_loop_stop(e->m->loop, 0);
	else
		kg_timer_set(e->timer, END_LOOK_MS);
}

static void on_signal(void *ctx, int signo)
{
	struct ending *e = ctx;

	if (!atomic_exchange(&e->m->stopping, true)) {
		kg_info("signal %d: stopping; what runs on the nodes goes on", signo);
		e->deadline = kg_monotonic_ms() + END_WAIT_MS;
	} else {
		e->deadline = 0; /* asked twice: at once */
	}
	end(e);
}

/* Certificates are renewed while kgitd runs, too. */
static void renew(void *ctx)
{
	struct renewal *r = ctx;
	struct kg_error err;

	if (kgd_ca_renew(r->m, &err) < 0)
		kg_error_log("renew certificates: %s", err.msg);
	kg_timer_set(r->timer, RENEW_MS);
}

static void say_ready(const struct kgd_master *m)
{
	malloc_trim(0);
	printf("kgitd ready at https://%s, revision %llu; export KUBECONFIG=%s/admin.kubeconfig\n",
		m->address, (unsigned long long)kg_hub_revision(m->hub), m->dir);
	fflush(stdout);
}

static int run(struct kgd_master *m)
{
	struct ending e = {.m = m};
	struct renewal r = {.m = m};

	e.timer = kg_timer_new(m->loop, end, &e);
	r.timer = kg_timer_new(m->loop, renew, &r);
	kg_timer_set(r.timer, RENEW_MS);
	int rc = kg_loop_signal(m->loop, SIGTERM, on_signal, &e);
	if (rc == 0)
		rc = kg_loop_signal(m->loop, SIGINT, on_signal, &e);
	if (rc < 0) {
		kg_error_log("signals cannot be waited for: %s", strerror(errno));
		rc = 1;
	} else {
		say_ready(m);
		rc = kg_loop_run(m->loop);
	}
	kg_timer_free(e.timer);
	kg_timer_free(r.timer);
	return rc;
}

int main(int argc, char **argv)
{
	struct kgd_master m = {0};
	struct kgd_strays *strays = NULL;
	struct kg_error err;
	struct kgd_flags f;
	int rc = kgd_flags_parse(&f, argc, argv);

	if (rc)
		return rc - 1;
	if (f.verbose)
		kg_log_set_level(KG_LOG_DEBUG);
	/* Few threads allocate much; an arena for each would cost memory for nothing. What is large
	 * is the system's own: it would scatter what is small and stays. Both thresholds would grow
	 * with what is freed, and of an arena's end malloc_trim() gives nothing back. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 256 << 10);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	umask(0022);
	kg_signals_block();
	kg_kinds_init();
	rc = f.unconfined ? 0 : kgd_confine(&err);
	if (rc == 0)
		rc = start(&m, &f, &strays, &err);
	if (rc < 0) {
		kg_error_log("%s", err.msg);
		stop(&m, strays);
		return 1;
	}
	rc = run(&m);
	stop(&m, strays);
	return rc;
}
