/* kgit-node: the agent of a node, and what its operator does with a node's state. */
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/time.h"
#include "dns/server.h"
#include "node.h"
#include "nodeagent/dns.h"
#include "nodeagent/dns_zone.h"
#include "nodeagent/pidns.h"
#include "sys/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"Usage: kgit-node --state DIR --master URL [--join TOKEN] [--name NAME]\n"
	"       kgit-node image import --state DIR SOURCE [NAME]\n"
	"       kgit-node image list --state DIR\n"
	"       kgit-node reset --state DIR\n"
	"\n"
	"Runs what a kgit master binds to this node. The first start needs a join token\n"
	"(kgit token create prints one); later ones use the node's own credential in DIR/pki.\n"
	"SIGTERM ends the agent and leaves the containers running; the next start finds them.\n"
	"\n"
	"  --state DIR        all of the node's state: credential, images, pods\n"
	"  --master URL       https://HOST:PORT of kgitd\n"
	"  --join TOKEN       join the cluster whose CA the token pins\n"
	"  --name NAME        the node's name (default: the host's)\n"
	"  --node-ip ADDRESS  the address by which other nodes reach this one (default: the one\n"
	"                     that leads to the master)\n"
	"  --labels K=V,...   labels of the node; of kubernetes.io and k8s.io those alone that a\n"
	"                     kubelet may set (others: a Node manifest in main)\n"
	"  --max-pods N       default 250\n"
	"  --image-gc-high-threshold PERCENT   a disk as full as that has unused images removed,\n"
	"  --image-gc-low-threshold PERCENT    until it is no fuller than that (85, 80), none "
	"that\n"
	"  --minimum-image-ttl-duration TIME   is there for less than that (2m)\n"
	"  --cluster-dns ADDRESS|none\n"
	"                     the name server of pods (default: one that runs on this node)\n"
	"  --cluster-domain DOMAIN\n"
	"                     where the names of Services are (default cluster.local)\n"
	"  --dns-max-questions N, --dns-max-forwarded N   questions that the name server waits "
	"for\n"
	"                     at once (4096), and of these by others than the cluster's (2048)\n"
	"  --dns-max-connections N, --dns-max-connections-of-pod N, --dns-idle-timeout TIME\n"
	"                     its connections by TCP (256; 32 of one pod; 10s)\n"
	"  --no-dns-seccomp   the name server without its filter of system calls\n"
	"  --verbose          log more\n"
	"  --help, --version\n"
	"\n"
	"image import takes oci:DIR[:NAME], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME] or "
	"a\n"
	"path; image list prints what is there. reset removes the pods of a stopped agent with "
	"all\n"
	"that belongs to them, and the node's bridge, rules and routes; credential and images "
	"stay.\n";

int kgn_fail(const char *fmt, ...)
{
	va_list ap;

	fputs("kgit-node: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

int kgn_lock(const char *state)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/lock", state);
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		kgn_fail("%s: %s", path, strerror(errno));
		return -1;
	}
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		if (errno == EAGAIN || errno == EACCES)
			kgn_fail("another kgit-node works on %s: stop it first", state);
		else
			kgn_fail("%s: it cannot be locked: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

#define DNS_LIMIT 256

static const struct option flags[] = {
	{"state", required_argument, NULL, 's'},
	{"master", required_argument, NULL, 'm'},
	{"join", required_argument, NULL, 'j'},
	{"name", required_argument, NULL, 'n'},
	{"node-ip", required_argument, NULL, 'i'},
	{"labels", required_argument, NULL, 'l'},
	{"max-pods", required_argument, NULL, 'p'},
	{"image-gc-high-threshold", required_argument, NULL, 'H'},
	{"image-gc-low-threshold", required_argument, NULL, 'L'},
	{"minimum-image-ttl-duration", required_argument, NULL, 'T'},
	{"cluster-dns", required_argument, NULL, 'd'},
	{"cluster-domain", required_argument, NULL, 'D'},
	{"dns-max-questions", required_argument, NULL, DNS_LIMIT},
	{"dns-max-forwarded", required_argument, NULL, DNS_LIMIT},
	{"dns-max-connections", required_argument, NULL, DNS_LIMIT},
	{"dns-max-connections-of-pod", required_argument, NULL, DNS_LIMIT},
	{"dns-idle-timeout", required_argument, NULL, DNS_LIMIT},
	{"no-dns-seccomp", no_argument, NULL, 'S'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0},
};

static bool parse_number(unsigned *out, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*out = (unsigned)n;
	return *text && !*end && n <= 1000000;
}

static bool parse_count(unsigned *out, const char *text)
{
	return parse_number(out, text) && *out > 0 && *out <= 10000;
}

static bool parse_percent(unsigned *out, const char *text)
{
	return parse_count(out, text) && *out <= 100;
}

static const char *parse_dns(const char *text)
{
	struct in_addr ignored;

	if (strcmp(text, "none") == 0 || inet_pton(AF_INET, text, &ignored) == 1)
		return text;
	kgn_fail("--cluster-dns: expected an IPv4 address or none, got \"%s\"", text);
	return NULL;
}

static const char *parse_domain(const char *text)
{
	size_t n = strlen(text);

	if (kg_dns_is_name(text) && n < 200 && text[n - 1] != '.')
		return text;
	kgn_fail("--cluster-domain: expected a domain, like cluster.local, got \"%s\"", text);
	return NULL;
}

static bool parse_dns_limit(struct kg_dns_limits *limits, const char *name, const char *text)
{
	const struct kg_dns_limit *l = kg_dns_limit_table;
	unsigned n = 0;
	int64_t value = -1;

	while (strcmp(l->name, name) != 0) /* each flag of that kind is one */
		l++;
	if (l->is_time ? kg_duration_parse(&value, text) < 0 : !parse_number(&n, text))
		value = -1;
	else if (!l->is_time)
		value = n;
	if (kg_dns_limit_set(limits, l, value))
		return true;
	if (l->is_time)
		kgn_fail("--%s: expected a time from %ums to %us, got \"%s\"", name, l->min,
			l->max / 1000, text);
	else
		kgn_fail("--%s: expected a number from %u to %u, got \"%s\"", name, l->min, l->max,
			text);
	return false;
}

/* 0: go on; otherwise the exit code plus one. */
static int parse(struct kgn_options *o, int argc, char **argv)
{
	int c, which;

	while ((c = getopt_long(argc, argv, "", flags, &which)) != -1) {
		switch (c) {
		case DNS_LIMIT:
			if (!parse_dns_limit(&o->dns, flags[which].name, optarg))
				return 2;
			break;
		case 's':
			o->state = optarg;
			break;
		case 'm':
			o->master = optarg;
			break;
		case 'j':
			o->join = optarg;
			break;
		case 'n':
			o->name = optarg;
			break;
		case 'i':
			o->node_ip = optarg;
			break;
		case 'l':
			o->labels = optarg;
			break;
		case 'p':
			if (!parse_count(&o->max_pods, optarg))
				return 1 + kgn_fail("--max-pods: expected a number from 1 to "
						    "10000, got \"%s\"",
						   optarg);
			break;
		case 'H':
		case 'L':
			if (!parse_percent(c == 'H' ? &o->gc_high : &o->gc_low, optarg))
				return 1 + kgn_fail("--image-gc-%s-threshold: expected a number "
						    "from 1 to 100, got \"%s\"",
						   c == 'H' ? "high" : "low", optarg);
			break;
		case 'T':
			if (kg_duration_parse(&o->gc_ttl, optarg) < 0 || o->gc_ttl < 0)
				return 1 + kgn_fail("--minimum-image-ttl-duration: expected a time "
						    "like 2m or 90s, got \"%s\"",
						   optarg);
			break;
		case 'd':
			if (!(o->cluster_dns = parse_dns(optarg)))
				return 2;
			break;
		case 'D':
			if (!(o->cluster_domain = parse_domain(optarg)))
				return 2;
			break;
		case 'S':
			o->dns_unconfined = true;
			break;
		case 'v':
			kg_log_set_level(KG_LOG_DEBUG);
			break;
		case 'h':
			fputs(help, stdout);
			return 1;
		case 'V':
			puts("kgit-node " KGIT_VERSION);
			return 1;
		default:
			return 1 + 2;
		}
	}
	if (o->gc_low >= o->gc_high && o->gc_high < 100)
		return 1 + kgn_fail("--image-gc-low-threshold must be lower than "
				    "--image-gc-high-threshold");
	o->args = argv + optind;
	return 0;
}

/* The state directory as a whole path: mounts and sockets below it are named by it. */
static char *make_state(const char *state)
{
	struct kg_error err;
	char whole[PATH_MAX];

	if (kg_mkdir_p(state, 0700, &err) < 0) {
		kgn_fail("%s", err.msg);
		return NULL;
	}
	if (!realpath(state, whole)) {
		kgn_fail("--state %s: %s", state, strerror(errno));
		return NULL;
	}
	return kg_strdup(whole);
}

int main(int argc, char **argv)
{
	struct kgn_options o = {
		.cluster_domain = KG_CLUSTER_DOMAIN, .gc_high = 85, .gc_low = 80, .gc_ttl = 120000};

	kg_dns_limits_default(&o.dns);
	/* What the agent starts for pods (pidns.h). */
	if (argc > 2 && strcmp(argv[1], KG_PIDNS_COMMAND) == 0)
		return kg_pidns_main(argc, argv);
	/* What the agent starts for itself (dns.h). */
	if ((argc == 4 || argc == 5) && strcmp(argv[1], "dns") == 0)
		return kg_dns_serve(
			argv[2], argv[3], !argv[4] || strcmp(argv[4], KG_DNS_UNCONFINED) != 0);
	int rc = parse(&o, argc, argv);

	/* Little memory is worth more here than threads that never wait for each other. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 128 << 10);
	mallopt(M_MMAP_THRESHOLD, 128 << 10);
	if (rc)
		return rc - 1;
	if (!o.state)
		return 1 + kgn_fail("--state DIR is needed; kgit-node --help says more");
	KG_AUTOFREE char *state = make_state(o.state);
	if (!state)
		return 1;
	o.state = state;
	if (!o.args[0])
		return kgn_run(&o);
	if (strcmp(o.args[0], "image") == 0)
		return kgn_image(&o);
	if (strcmp(o.args[0], "reset") == 0 && !o.args[1])
		return kgn_reset(&o);
	return 1 + kgn_fail("unknown command \"%s\"; kgit-node --help says more", o.args[0]);
}
