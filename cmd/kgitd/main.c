/* kgitd: the master. Starts what it is made of in order, runs the loop, ends it in reverse. */
#include "auth/accounts.h"
#include "base/log.h"
#include "http/limiter.h"
#include "kgitd/audit.h"
#include "kgitd/compact.h"
#include "kgitd/git_child.h"
#include "kgitd/identity.h"
#include "kgitd/join.h"
#include "kgitd/master.h"
#include "kgitd/metrics.h"
#include "store/settings.h"
#include "sys/file.h"
#include "sys/zone.h"

#include <getopt.h>
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
	const char *named;
};

struct flags {
	const char *state, *listen, *advertise, *pod_cidr, *service_cidr;
	int64_t grace_ms, eviction_ms;
	size_t keep_revisions;
	int64_t keep_age_ms, compact_every_ms, compact_grace_ms;
	bool verbose, accept_unsigned;
	int64_t node_cert_ms;
	struct kgd_limits limits;
	struct kgd_identity_options identity;
	struct kgd_audit_options audit;
};

static const char usage[] =
	"usage: kgitd --state DIR [options]\n"
	"\n"
	"The master: holds the cluster's repository, admits pushes, schedules, and serves the "
	"API.\n"
	"\n"
	"  --state DIR                  where everything is kept; made at the first start\n"
	"  --listen HOST:PORT           default 127.0.0.1:6443\n"
	"  --advertise HOST:PORT        what kubeconfig and clones name; default: --listen's\n"
	"  --pod-cidr CIDR              pods' addresses; each node gets a /24; default "
	"10.244.0.0/16\n"
	"  --service-cidr CIDR          services' addresses; default 10.96.0.0/16\n"
	"  --node-monitor-grace TIME    silence after which a node is lost; default 40s\n"
	"  --pod-eviction-timeout TIME  then its pods are replaced after; default 5m\n"
	"  --keep-revisions N           of the history, where main's .kgit/settings.yaml does not "
	"say;\n"
	"                               default 100000\n"
	"  --keep-age TIME              likewise, such as 30d; default forever\n"
	"  --compact-every TIME         looks so often for what is past that; default 1m\n"
	"  --compact-grace TIME         such objects stay so long for who still reads them; "
	"default 1h\n"
	"  --max-push-bytes N           of one push; default 1073741824\n"
	"  --max-manifest-bytes N       of one file; default 4194304\n"
	"  --max-manifests N            files in main; default 200000\n"
	"  --max-text-bytes N           of all manifests that a push changes; default 536870912\n"
	"  --max-git-processes N        pushes and fetches at once; default 64\n"
	"  --service-account-issuer URL names who made ServiceAccounts' tokens; default\n"
	"                               https://kubernetes.default.svc.cluster.local\n"
	"  --oidc-issuer-url URL        takes the ID tokens of this OpenID Connect issuer\n"
	"  --oidc-client-id ID          that are for this client\n"
	"  --oidc-username-claim NAME   whose claim is the user's name; default sub\n"
	"  --oidc-username-prefix TEXT  before it; default \"URL#\", none for email; - is none\n"
	"  --oidc-groups-claim NAME     whose claim lists groups; default: none\n"
	"  --oidc-groups-prefix TEXT    before each; default none\n"
	"  --oidc-jwks FILE|URL         the issuer's keys; default: as it says itself\n"
	"  --oidc-ca-file FILE          trusted for that; default: the machine's CAs\n"
	"  --auth-webhook URL           shows tokens that nobody here knows to this server\n"
	"  --auth-webhook-ca FILE       trusted for that; default: the machine's CAs\n"
	"  --audit-log FILE             who asked for what, and the verdict: a JSON object a line\n"
	"  --audit-log-max-bytes N      then it is renamed FILE.1; default 104857600\n"
	"  --audit-log-max-files N      so many of those are kept; default 10\n"
	"  --node-cert-lifetime TIME    of nodes' certificates, which they renew in time; default "
	"8760h\n"
	"  --accept-unsigned            whatever allowed_signers in main's .kgit/settings.yaml "
	"says: for\n"
	"                               when every key is lost\n"
	"  --max-connections N          default 12000; near it those idle for longest are closed\n"
	"  --max-watches N              open at once; default 11000\n"
	"  --max-lists N                long lists sent at once, of one user half; default 64\n"
	"  --max-requests N             a second, of one user who is not in system:masters;\n"
	"                               default 5000, twice that at once\n"
	"  --max-header-bytes N         of one request; default 32768\n"
	"  --max-body-bytes N           of one request that is no push; default 1048576\n"
	"  --verbose                    log more\n"
	"  --version, --help\n"
	"\n"
	"DIR/admin.kubeconfig is the admin's credential, for kgit and kubectl:\n"
	"  export KUBECONFIG=DIR/admin.kubeconfig\n";

static int bad_flag(const char *name, const char *value, const char *expected)
{
	fprintf(stderr, "kgitd: --%s: expected %s, got \"%s\"\n", name, expected, value);
	return 2;
}

static int count_flag(size_t *out, const char *name, const char *value)
{
	char *end;
	unsigned long long n = strtoull(value, &end, 10);

	if (end == value || *end || n == 0)
		return bad_flag(name, value, "a number above 0");
	*out = (size_t)n;
	return 0;
}

static int time_flag(int64_t *out, const char *name, const char *value)
{
	if (kg_duration_parse(out, value) < 0 || *out <= 0)
		return bad_flag(name, value, "a time such as 40s or 5m");
	return 0;
}

static int age_flag(int64_t *out, const char *name, const char *value)
{
	if (kg_settings_age(out, value) < 0)
		return bad_flag(name, value, "a time such as 30d or 12h, or forever");
	return 0;
}

enum {
	F_STATE = 256,
	F_LISTEN,
	F_ADVERTISE,
	F_POD_CIDR,
	F_SERVICE_CIDR,
	F_GRACE,
	F_EVICTION,
	F_KEEP,
	F_KEEP_AGE,
	F_COMPACT_EVERY,
	F_COMPACT_GRACE,
	F_PUSH_BYTES,
	F_FILE_BYTES,
	F_FILES,
	F_TEXT_BYTES,
	F_GIT,
	F_CONNECTIONS,
	F_WATCHES,
	F_LISTS,
	F_REQUESTS,
	F_HEADER_BYTES,
	F_BODY_BYTES,
	F_ACCOUNT_ISSUER,
	F_OIDC_ISSUER,
	F_OIDC_CLIENT,
	F_OIDC_NAME,
	F_OIDC_NAME_PREFIX,
	F_OIDC_GROUPS,
	F_OIDC_GROUPS_PREFIX,
	F_OIDC_JWKS,
	F_OIDC_CA,
	F_WEBHOOK,
	F_WEBHOOK_CA,
	F_AUDIT,
	F_AUDIT_BYTES,
	F_AUDIT_FILES,
	F_NODE_CERT,
	F_UNSIGNED,
	F_VERBOSE,
	F_VERSION,
	F_HELP
};

static const struct option options[] = {
	{"state", required_argument, NULL, F_STATE},
	{"listen", required_argument, NULL, F_LISTEN},
	{"advertise", required_argument, NULL, F_ADVERTISE},
	{"pod-cidr", required_argument, NULL, F_POD_CIDR},
	{"service-cidr", required_argument, NULL, F_SERVICE_CIDR},
	{"node-monitor-grace", required_argument, NULL, F_GRACE},
	{"pod-eviction-timeout", required_argument, NULL, F_EVICTION},
	{"keep-revisions", required_argument, NULL, F_KEEP},
	{"keep-age", required_argument, NULL, F_KEEP_AGE},
	{"compact-every", required_argument, NULL, F_COMPACT_EVERY},
	{"compact-grace", required_argument, NULL, F_COMPACT_GRACE},
	{"max-push-bytes", required_argument, NULL, F_PUSH_BYTES},
	{"max-manifest-bytes", required_argument, NULL, F_FILE_BYTES},
	{"max-manifests", required_argument, NULL, F_FILES},
	{"max-text-bytes", required_argument, NULL, F_TEXT_BYTES},
	{"max-git-processes", required_argument, NULL, F_GIT},
	{"service-account-issuer", required_argument, NULL, F_ACCOUNT_ISSUER},
	{"oidc-issuer-url", required_argument, NULL, F_OIDC_ISSUER},
	{"oidc-client-id", required_argument, NULL, F_OIDC_CLIENT},
	{"oidc-username-claim", required_argument, NULL, F_OIDC_NAME},
	{"oidc-username-prefix", required_argument, NULL, F_OIDC_NAME_PREFIX},
	{"oidc-groups-claim", required_argument, NULL, F_OIDC_GROUPS},
	{"oidc-groups-prefix", required_argument, NULL, F_OIDC_GROUPS_PREFIX},
	{"oidc-jwks", required_argument, NULL, F_OIDC_JWKS},
	{"oidc-ca-file", required_argument, NULL, F_OIDC_CA},
	{"auth-webhook", required_argument, NULL, F_WEBHOOK},
	{"auth-webhook-ca", required_argument, NULL, F_WEBHOOK_CA},
	{"audit-log", required_argument, NULL, F_AUDIT},
	{"audit-log-max-bytes", required_argument, NULL, F_AUDIT_BYTES},
	{"audit-log-max-files", required_argument, NULL, F_AUDIT_FILES},
	{"node-cert-lifetime", required_argument, NULL, F_NODE_CERT},
	{"accept-unsigned", no_argument, NULL, F_UNSIGNED},
	{"max-connections", required_argument, NULL, F_CONNECTIONS},
	{"max-watches", required_argument, NULL, F_WATCHES},
	{"max-lists", required_argument, NULL, F_LISTS},
	{"max-requests", required_argument, NULL, F_REQUESTS},
	{"max-header-bytes", required_argument, NULL, F_HEADER_BYTES},
	{"max-body-bytes", required_argument, NULL, F_BODY_BYTES},
	{"verbose", no_argument, NULL, F_VERBOSE},
	{"version", no_argument, NULL, F_VERSION},
	{"help", no_argument, NULL, F_HELP},
	{0},
};

static bool parse_identity_flag(struct kgd_identity_options *o, int c)
{
	const char **const texts[] = {
		[0] = &o->account_issuer,
		[F_OIDC_ISSUER - F_ACCOUNT_ISSUER] = &o->oidc.issuer_url,
		[F_OIDC_CLIENT - F_ACCOUNT_ISSUER] = &o->oidc.client_id,
		[F_OIDC_NAME - F_ACCOUNT_ISSUER] = &o->oidc.username_claim,
		[F_OIDC_NAME_PREFIX - F_ACCOUNT_ISSUER] = &o->oidc.username_prefix,
		[F_OIDC_GROUPS - F_ACCOUNT_ISSUER] = &o->oidc.groups_claim,
		[F_OIDC_GROUPS_PREFIX - F_ACCOUNT_ISSUER] = &o->oidc.groups_prefix,
		[F_OIDC_JWKS - F_ACCOUNT_ISSUER] = &o->oidc.jwks,
		[F_OIDC_CA - F_ACCOUNT_ISSUER] = &o->oidc.ca_file,
		[F_WEBHOOK - F_ACCOUNT_ISSUER] = &o->webhook.url,
		[F_WEBHOOK_CA - F_ACCOUNT_ISSUER] = &o->webhook.ca_file,
	};

	if (c < F_ACCOUNT_ISSUER || c > F_WEBHOOK_CA)
		return false;
	*texts[c - F_ACCOUNT_ISSUER] = optarg;
	return true;
}

static size_t *http_limit(struct kgd_limits *l, int c)
{
	switch (c) {
	case F_CONNECTIONS:
		return &l->connections;
	case F_WATCHES:
		return &l->watches;
	case F_LISTS:
		return &l->lists;
	case F_REQUESTS:
		return &l->requests;
	case F_HEADER_BYTES:
		return &l->header_bytes;
	default:
		return &l->body_bytes;
	}
}

/* 0: go on. Above 0: exit with that less one. */
static int parse_flag(struct flags *f, int c, const char *name)
{
	switch (c) {
	case F_STATE:
		f->state = optarg;
		return 0;
	case F_LISTEN:
		f->listen = optarg;
		return 0;
	case F_ADVERTISE:
		f->advertise = optarg;
		return 0;
	case F_POD_CIDR:
		f->pod_cidr = optarg;
		return 0;
	case F_SERVICE_CIDR:
		f->service_cidr = optarg;
		return 0;
	case F_GRACE:
		return time_flag(&f->grace_ms, name, optarg) ? 3 : 0;
	case F_EVICTION:
		return time_flag(&f->eviction_ms, name, optarg) ? 3 : 0;
	case F_KEEP:
		return count_flag(&f->keep_revisions, name, optarg) ? 3 : 0;
	case F_KEEP_AGE:
		return age_flag(&f->keep_age_ms, name, optarg) ? 3 : 0;
	case F_COMPACT_EVERY:
		return time_flag(&f->compact_every_ms, name, optarg) ? 3 : 0;
	case F_COMPACT_GRACE:
		return time_flag(&f->compact_grace_ms, name, optarg) ? 3 : 0;
	case F_PUSH_BYTES:
		return count_flag(&f->limits.push_bytes, name, optarg) ? 3 : 0;
	case F_FILE_BYTES:
		return count_flag(&f->limits.file_bytes, name, optarg) ? 3 : 0;
	case F_FILES:
		return count_flag(&f->limits.push_files, name, optarg) ? 3 : 0;
	case F_TEXT_BYTES:
		return count_flag(&f->limits.text_bytes, name, optarg) ? 3 : 0;
	case F_GIT:
		return count_flag(&f->limits.git_processes, name, optarg) ? 3 : 0;
	case F_AUDIT:
		f->audit.path = optarg;
		return 0;
	case F_AUDIT_BYTES:
		return count_flag(&f->audit.max_bytes, name, optarg) ? 3 : 0;
	case F_AUDIT_FILES:
		return count_flag(&f->audit.max_files, name, optarg) ? 3 : 0;
	case F_NODE_CERT:
		return time_flag(&f->node_cert_ms, name, optarg) ? 3 : 0;
	case F_UNSIGNED:
		f->accept_unsigned = true;
		return 0;
	case F_CONNECTIONS:
	case F_WATCHES:
	case F_LISTS:
	case F_REQUESTS:
	case F_HEADER_BYTES:
	case F_BODY_BYTES:
		return count_flag(http_limit(&f->limits, c), name, optarg) ? 3 : 0;
	case F_VERBOSE:
		f->verbose = true;
		return 0;
	case F_VERSION:
		printf("kgitd %s\n", KGIT_VERSION);
		return 1;
	case F_HELP:
		fputs(usage, stdout);
		return 1;
	default:
		if (parse_identity_flag(&f->identity, c))
			return 0;
		fputs("kgitd --help lists the flags\n", stderr);
		return 3;
	}
}

static int parse_flags(struct flags *f, int argc, char **argv)
{
	int c, index = 0;

	*f = (struct flags){
		.listen = "127.0.0.1:6443",
		.pod_cidr = "10.244.0.0/16",
		.service_cidr = "10.96.0.0/16",
		.grace_ms = 40000,
		.audit = {.max_files = 10},
		.node_cert_ms = 365LL * 24 * 3600 * 1000,
		.eviction_ms = 300000,
		.keep_revisions = 100000,
		.keep_age_ms = INT64_MAX,
		.compact_every_ms = 60000,
		.compact_grace_ms = 3600000,
		.identity = {.account_issuer = "https://kubernetes.default.svc.cluster.local"},
		.limits = {.push_bytes = 1 << 30,
			.push_files = 200000,
			.file_bytes = 4 << 20,
			.text_bytes = 512 << 20,
			.git_processes = 64,
			.connections = 12000,
			.watches = 11000,
			.lists = 64,
			.requests = 5000,
			.header_bytes = 32768,
			.body_bytes = 1 << 20},
	};
	while ((c = getopt_long(argc, argv, "h", options, &index)) != -1) {
		int rc = parse_flag(f, c == 'h' ? F_HELP : c, options[index].name);
		if (rc)
			return rc;
	}
	if (optind < argc) {
		fprintf(stderr, "kgitd: unexpected \"%s\"; kgitd --help lists the flags\n",
			argv[optind]);
		return 3;
	}
	if (!strrchr(f->listen, ':'))
		return bad_flag("listen", f->listen, "HOST:PORT") + 1;
	if (!f->state) {
		fputs("kgitd: --state DIR is needed; kgitd --help lists the flags\n", stderr);
		return 3;
	}
	return 0;
}

/* ---- what the api asks ---- */

static bool api_lease(void *ctx, const char *node, struct kg_api_lease *out)
{
	struct kgd_master *m = ctx;

	out->duration_s = (int)(kgd_nodes_grace_ms(m->nodes) / 1000);
	return kgd_nodes_lease(m->nodes, node, &out->acquired, &out->renewed);
}

/* ---- starting ---- */

static int open_state(struct kgd_master *m, const struct flags *f, struct kg_error *err)
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

static int open_store(struct kgd_master *m, struct kg_error *err)
{
	struct kg_store_options opts = {.create = true, .now = kg_realtime_ms()};
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct kg_snapshot *head;
	int rc = kg_store_open(&m->store, m->repo, &opts, &notes, err);

	if (notes.len)
		kg_warn("recovered:\n%s", kg_buf_str(&notes));
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

static int start_writer(struct kgd_master *m, const struct flags *f, struct kg_error *err)
{
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
		.hold_main = kgd_main_hold,
		.ctx = m,
	};

	return kgd_writer_start(&m->writer, &opts, err);
}

static int start_compaction(struct kgd_master *m, const struct flags *f, struct kg_error *err)
{
	struct kgd_compact_options opts = {
		.store = m->store,
		.revisions = f->keep_revisions,
		.age_ms = f->keep_age_ms,
		.every_ms = f->compact_every_ms,
		.grace_ms = f->compact_grace_ms,
	};

	return kgd_compact_start(&m->compact, &opts, err);
}

static int open_audit(struct kgd_master *m, const struct flags *f, struct kg_error *err)
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

static void make_nodes(struct kgd_master *m, const struct flags *f)
{
	struct kgd_nodes_options opts = {
		.loop = m->loop,
		.hub = m->hub,
		.writer = m->writer,
		.grace_ms = f->grace_ms,
		.service_cidr = f->service_cidr,
		.pod_cidr = f->pod_cidr,
	};

	m->nodes = kgd_nodes_new(&opts);
	m->logs = kgd_logs_new(m->loop, m->nodes);
}

static void make_api(struct kgd_master *m)
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
		.max_lists = m->limits.lists,
		.max_watches = m->limits.watches,
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

/* HOST:PORT that clients are told: a wildcard is of no use to them. */
static char *advertised(const struct flags *f, int port)
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

static int start_http(struct kgd_master *m, const struct flags *f, const char *cert,
	const char *key, struct kg_error *err)
{
	struct kg_http_server_options opts = {
		.listen = f->listen,
		.cert_pem = cert,
		.key_pem = key,
		.client_ca_pem = m->ca_pem,
		.max_connections = (unsigned)m->limits.connections,
		.max_header = m->limits.header_bytes,
		.max_body = m->limits.body_bytes,
		.router = kgd_route,
		.ctx = m,
	};
	int rc = kg_http_server_new(&m->http, &opts, err);

	if (rc < 0)
		return rc;
	/* With port 0 it is known only now. */
	free(m->address);
	m->address = advertised(f, kg_http_server_port(m->http));
	return 0;
}

static int start(struct kgd_master *m, const struct flags *f, struct kgd_strays **strays,
	struct kg_error *err)
{
	char *cert KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL;
	const char *named = f->advertise ? f->advertise : f->listen;
	int rc = open_state(m, f, err);

	m->limits = f->limits;
	m->node_cert_ms = f->node_cert_ms;
	m->accept_unsigned = f->accept_unsigned;
	m->loop = kg_loop_new();
	if (rc == 0)
		rc = kgd_setup_pki(m, named, &cert, &key, err);
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
	m->address = advertised(f, atoi(strrchr(f->listen, ':') + 1));
	make_api(m);
	m->events = kgd_events_new(m->loop, m->store, m->hub, m->api);
	m->trim = kgd_trim_new(m->loop, m->hub);
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
	free(m->ca_pem);
	free(m->ca_key_pem);
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
	char *cert KG_AUTOFREE = NULL, *key KG_AUTOFREE = NULL;
	struct kg_error err;
	int rc = kgd_setup_pki(r->m, r->named, &cert, &key, &err);

	if (rc == 0)
		rc = kg_http_server_set_cert(r->m->http, cert, key, &err);
	if (rc == 0)
		rc = kgd_setup_kubeconfig(r->m, &err);
	if (rc == 0)
		rc = kg_accounts_rotate(r->m->accounts, kg_realtime_ms(), &err);
	if (rc < 0)
		kg_error_log("renew certificates: %s", err.msg);
	kg_timer_set(r->timer, RENEW_MS);
}

static int run(struct kgd_master *m, const struct flags *f)
{
	struct ending e = {.m = m};
	struct renewal r = {.m = m, .named = f->advertise ? f->advertise : f->listen};

	e.timer = kg_timer_new(m->loop, end, &e);
	r.timer = kg_timer_new(m->loop, renew, &r);
	kg_timer_set(r.timer, RENEW_MS);
	kg_loop_signal(m->loop, SIGTERM, on_signal, &e);
	kg_loop_signal(m->loop, SIGINT, on_signal, &e);
	malloc_trim(0);
	printf("kgitd ready at https://%s, revision %llu; export KUBECONFIG=%s/admin.kubeconfig\n",
		m->address, (unsigned long long)kg_hub_revision(m->hub), m->dir);
	fflush(stdout);
	int rc = kg_loop_run(m->loop);
	kg_timer_free(e.timer);
	kg_timer_free(r.timer);
	return rc;
}

int main(int argc, char **argv)
{
	struct kgd_master m = {0};
	struct kgd_strays *strays = NULL;
	struct kg_error err;
	struct flags f;
	int rc = parse_flags(&f, argc, argv);

	if (rc)
		return rc - 1;
	if (f.verbose)
		kg_log_set_level(KG_LOG_DEBUG);
	/* Few threads allocate much; an arena for each would cost memory for nothing. */
	mallopt(M_ARENA_MAX, 2);
	umask(0022);
	kg_signals_block();
	kg_kinds_init();
	rc = start(&m, &f, &strays, &err);
	if (rc < 0) {
		kg_error_log("%s", err.msg);
		stop(&m, strays);
		return 1;
	}
	rc = run(&m, &f);
	stop(&m, strays);
	return rc;
}
