#include "kgitd/flags.h"

#include "base/time.h"
#include "store/settings.h"

#include <errno.h>
#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
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
	"  --node-monitor-grace TIME    silence after which a node is lost; they speak every\n"
	"                               10s; default 40s\n"
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
	"  --header-timeout TIME        of a request's header, and of TLS before; default 20s, "
	"and\n"
	"                               at most 24h, as all four of connections\n"
	"  --body-timeout TIME          then of one that is no push to be whole; default 2m\n"
	"  --idle-timeout TIME          of a connection that asks for nothing; default 75s\n"
	"  --max-websocket-bytes N      that the client of a WebSocket, who has nothing to say,\n"
	"                               says at once; default 1048576\n"
	"  --max-websocket-rate N       and so many more each second; default 4096\n"
	"  --close-timeout TIME         for it to close when it is told to; default 10s\n"
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

#define HOUR_MS INT64_C(3600000)
#define DAY_MS  (24 * HOUR_MS)
#define YEAR_MS (365 * DAY_MS)

static int bad_flag(const char *name, const char *value, const char *expected)
{
	fprintf(stderr, "kgitd: --%s: expected %s, got \"%s\"\n", name, expected, value);
	return 2;
}

/* strtoull takes "-1" and turns it round. */
static int count_flag(size_t *out, const char *name, const char *value, int64_t most)
{
	bool digits = *value && !value[strspn(value, "0123456789")];
	char expected[64];

	errno = 0;
	unsigned long long n = strtoull(value, NULL, 10);
	if (digits && !errno && n > 0 && n <= (unsigned long long)most) {
		*out = (size_t)n;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a number from 1 to %lld", (long long)most);
	return bad_flag(name, value, expected);
}

static int time_flag(int64_t *out, const char *name, const char *value, int64_t most)
{
	int64_t ms = 0;
	char expected[80];

	if (kg_duration_parse(&ms, value) == 0 && ms > 0 && ms <= most) {
		*out = ms;
		return 0;
	}
	snprintf(expected, sizeof(expected), "a time such as 40s or 5m, at most %lldh",
		(long long)(most / HOUR_MS));
	return bad_flag(name, value, expected);
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

static int origin_flag(const char **origins, const char *name, const char *value)
{
	const char *host = strstr(value, "://");
	size_t n = 0;

	while (origins[n])
		n++;
	if (n == KGD_MAX_ORIGINS)
		return bad_flag(name, value, "at most 16 of them");
	if (!host || host == value || !host[3] || strpbrk(host + 3, "/?#@ "))
		return bad_flag(name, value, "SCHEME://HOST or SCHEME://HOST:PORT");
	origins[n] = value;
	return 0;
}

/* ---- the table ---- */

enum type { TEXT, COUNT, TIME, AGE, GZIP, ORIGIN, SET /* and what has no value: */, VERSION, HELP };

#define AT(field)           offsetof(struct kgd_flags, field), 0
#define UP_TO(limit, field) offsetof(struct kgd_flags, field), (limit)

static const struct flag {
	const char *name;
	enum type type;
	size_t at;    /* of what it sets */
	int64_t most; /* of a number or a time; 0: what fits, and 100 years */
} table[] = {
	{"state", TEXT, AT(state)},
	{"listen", TEXT, AT(listen)},
	{"advertise", TEXT, AT(advertise)},
	{"pod-cidr", TEXT, AT(pod_cidr)},
	{"service-cidr", TEXT, AT(service_cidr)},
	{"node-monitor-grace", TIME, UP_TO(YEAR_MS, grace_ms)},
	{"pod-eviction-timeout", TIME, AT(eviction_ms)},
	{"keep-revisions", COUNT, AT(keep_revisions)},
	{"keep-age", AGE, AT(keep_age_ms)},
	{"compact-every", TIME, AT(compact_every_ms)},
	{"compact-grace", TIME, AT(compact_grace_ms)},
	{"max-push-bytes", COUNT, AT(limits.push_bytes)},
	{"max-object-bytes", COUNT, AT(limits.object_bytes)},
	{"max-delta-depth", COUNT, AT(limits.delta_depth)},
	{"max-push-memory", COUNT, AT(limits.push_memory)},
	{"max-manifest-bytes", COUNT, AT(limits.file_bytes)},
	{"max-manifests", COUNT, AT(limits.push_files)},
	{"max-text-bytes", COUNT, AT(limits.text_bytes)},
	{"max-git-processes", COUNT, AT(limits.git_processes)},
	{"service-account-issuer", TEXT, AT(identity.account_issuer)},
	{"oidc-issuer-url", TEXT, AT(identity.oidc.issuer_url)},
	{"oidc-client-id", TEXT, AT(identity.oidc.client_id)},
	{"oidc-username-claim", TEXT, AT(identity.oidc.username_claim)},
	{"oidc-username-prefix", TEXT, AT(identity.oidc.username_prefix)},
	{"oidc-groups-claim", TEXT, AT(identity.oidc.groups_claim)},
	{"oidc-groups-prefix", TEXT, AT(identity.oidc.groups_prefix)},
	{"oidc-jwks", TEXT, AT(identity.oidc.jwks)},
	{"oidc-ca-file", TEXT, AT(identity.oidc.ca_file)},
	{"auth-webhook", TEXT, AT(identity.webhook.url)},
	{"auth-webhook-ca", TEXT, AT(identity.webhook.ca_file)},
	{"audit-log", TEXT, AT(audit.path)},
	{"audit-log-max-bytes", COUNT, AT(audit.max_bytes)},
	{"audit-log-max-files", COUNT, AT(audit.max_files)},
	{"node-cert-lifetime", TIME, AT(node_cert_ms)},
	{"accept-unsigned", SET, AT(accept_unsigned)},
	{"gzip", GZIP, AT(gzip)},
	{"max-connections", COUNT, UP_TO(1000000, limits.connections)},
	{"max-watches", COUNT, AT(limits.watches)},
	{"max-lists", COUNT, AT(limits.lists)},
	{"max-requests", COUNT, AT(limits.requests)},
	{"max-header-bytes", COUNT, AT(limits.header_bytes)},
	{"max-body-bytes", COUNT, AT(limits.body_bytes)},
	{"header-timeout", TIME, UP_TO(DAY_MS, limits.header_ms)},
	{"body-timeout", TIME, UP_TO(DAY_MS, limits.body_ms)},
	{"idle-timeout", TIME, UP_TO(DAY_MS, limits.idle_ms)},
	{"max-websocket-bytes", COUNT, AT(limits.websocket_bytes)},
	{"max-websocket-rate", COUNT, AT(limits.websocket_rate)},
	{"close-timeout", TIME, UP_TO(DAY_MS, limits.close_ms)},
	{"allow-origin", ORIGIN, AT(origins)},
	{"no-seccomp", SET, AT(unconfined)},
	{"verbose", SET, AT(verbose)},
	{.name = "version", .type = VERSION},
	{.name = "help", .type = HELP},
};
#define NFLAGS KG_ARRAY_LEN(table)

static int set_value(struct kgd_flags *f, const struct flag *flag, const char *value)
{
	void *out = (char *)f + flag->at;

	switch (flag->type) {
	case COUNT:
		return count_flag(out, flag->name, value, flag->most ? flag->most : INT64_MAX);
	case TIME:
		return time_flag(out, flag->name, value, flag->most ? flag->most : 100 * YEAR_MS);
	case AGE:
		return age_flag(out, flag->name, value);
	case GZIP:
		return gzip_flag(out, flag->name, value);
	case ORIGIN:
		return origin_flag(out, flag->name, value);
	case SET:
		*(bool *)out = true;
		return 0;
	default:
		*(const char **)out = value;
		return 0;
	}
}

/* 0: go on. Above 0: exit with that less one. */
static int parse_flag(struct kgd_flags *f, const struct flag *flag)
{
	if (!flag) {
		fputs("kgitd --help lists the flags\n", stderr);
		return 3;
	}
	if (flag->type == VERSION)
		printf("kgitd %s\n", KGIT_VERSION);
	else if (flag->type == HELP)
		fputs(usage, stdout);
	else
		return set_value(f, flag, optarg) ? 3 : 0;
	return 1;
}

static int parse_all(struct kgd_flags *f, int argc, char **argv)
{
	struct option options[NFLAGS + 1] = {0};
	const struct flag *help = &table[NFLAGS - 1];
	int c, index = 0, rc = 0;

	for (size_t i = 0; i < NFLAGS; i++)
		options[i] = (struct option){.name = table[i].name,
			.has_arg = table[i].type < SET ? required_argument : no_argument};
	while (rc == 0 && (c = getopt_long(argc, argv, "h", options, &index)) != -1)
		rc = parse_flag(f, c == 0 ? &table[index] : c == 'h' ? help : NULL);
	return rc;
}

int kgd_flags_parse(struct kgd_flags *f, int argc, char **argv)
{
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
			.body_bytes = 1 << 20,
			.header_ms = 20000,
			.body_ms = 120000,
			.idle_ms = 75000,
			.websocket_bytes = 1 << 20,
			.websocket_rate = 4096,
			.close_ms = 10000},
	};
	int rc = parse_all(f, argc, argv);
	if (rc)
		return rc;
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
