#include "kgitd/flags.h"

#include "base/time.h"
#include "store/settings.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

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
	"  --max-object-bytes N         of one file, whatever it is, or directory in it; default "
	"33554432\n"
	"  --max-delta-depth N          of a pushed pack: deltas one upon another; default 250\n"
	"  --max-push-memory N          bytes that git may need to take a push in; default "
	"1073741824\n"
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
	"  --gzip remote|always|never   packs large answers of the API for who takes that; remote, "
	"the\n"
	"                               default, leaves those over the loopback as they are\n"
	"  --allow-origin ORIGIN        pages of this origin, such as http://localhost:8001, may "
	"use "
	"a\n"
	"                               browser's certificate for kgitd; may be given 16 times\n"
	"  --no-seccomp                 without the filter that refuses system calls that neither\n"
	"                               kgitd nor git has a use for\n"
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

static int gzip_flag(enum kg_api_gzip *out, const char *name, const char *value)
{
	static const char *const words[] = {[KG_API_GZIP_REMOTE] = "remote",
		[KG_API_GZIP_ALWAYS] = "always",
		[KG_API_GZIP_NEVER] = "never"};

	for (size_t i = 0; i < KG_ARRAY_LEN(words); i++) {
		if (strcmp(words[i], value) != 0)
			continue;
		*out = (enum kg_api_gzip)i;
		return 0;
	}
	return bad_flag(name, value, "remote, always or never");
}

static int origin_flag(struct kgd_flags *f, const char *name, const char *value)
{
	const char *host = strstr(value, "://");
	size_t n = 0;

	while (f->origins[n])
		n++;
	if (n == KGD_MAX_ORIGINS)
		return bad_flag(name, value, "at most 16 of them");
	if (!host || host == value || !host[3] || strpbrk(host + 3, "/?#@ "))
		return bad_flag(name, value, "SCHEME://HOST or SCHEME://HOST:PORT");
	f->origins[n] = value;
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
	F_OBJECT_BYTES,
	F_DELTA_DEPTH,
	F_PUSH_MEMORY,
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
	F_GZIP,
	F_ORIGIN,
	F_NO_SECCOMP,
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
	{"max-object-bytes", required_argument, NULL, F_OBJECT_BYTES},
	{"max-delta-depth", required_argument, NULL, F_DELTA_DEPTH},
	{"max-push-memory", required_argument, NULL, F_PUSH_MEMORY},
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
	{"gzip", required_argument, NULL, F_GZIP},
	{"max-connections", required_argument, NULL, F_CONNECTIONS},
	{"max-watches", required_argument, NULL, F_WATCHES},
	{"max-lists", required_argument, NULL, F_LISTS},
	{"max-requests", required_argument, NULL, F_REQUESTS},
	{"max-header-bytes", required_argument, NULL, F_HEADER_BYTES},
	{"max-body-bytes", required_argument, NULL, F_BODY_BYTES},
	{"allow-origin", required_argument, NULL, F_ORIGIN},
	{"no-seccomp", no_argument, NULL, F_NO_SECCOMP},
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

static size_t *limit_of(struct kgd_limits *l, int c)
{
	switch (c) {
	case F_PUSH_BYTES:
		return &l->push_bytes;
	case F_OBJECT_BYTES:
		return &l->object_bytes;
	case F_DELTA_DEPTH:
		return &l->delta_depth;
	case F_PUSH_MEMORY:
		return &l->push_memory;
	case F_FILE_BYTES:
		return &l->file_bytes;
	case F_FILES:
		return &l->push_files;
	case F_TEXT_BYTES:
		return &l->text_bytes;
	case F_GIT:
		return &l->git_processes;
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
static int parse_flag(struct kgd_flags *f, int c, const char *name)
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
	case F_GZIP:
		return gzip_flag(&f->gzip, name, optarg) ? 3 : 0;
	case F_ORIGIN:
		return origin_flag(f, name, optarg) ? 3 : 0;
	case F_PUSH_BYTES:
	case F_OBJECT_BYTES:
	case F_DELTA_DEPTH:
	case F_PUSH_MEMORY:
	case F_FILE_BYTES:
	case F_FILES:
	case F_TEXT_BYTES:
	case F_GIT:
	case F_CONNECTIONS:
	case F_WATCHES:
	case F_LISTS:
	case F_REQUESTS:
	case F_HEADER_BYTES:
	case F_BODY_BYTES:
		return count_flag(limit_of(&f->limits, c), name, optarg) ? 3 : 0;
	case F_NO_SECCOMP:
		f->unconfined = true;
		return 0;
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

int kgd_flags_parse(struct kgd_flags *f, int argc, char **argv)
{
	int c, index = 0;

	*f = (struct kgd_flags){
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
			.object_bytes = 32 << 20,
			.delta_depth = 250,
			.push_memory = 1 << 30,
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
