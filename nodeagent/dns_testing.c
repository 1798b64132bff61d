#include "dns_testing.h"

#include "dns/server.h"
#include "nettest.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/testing.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct dt dt;
static char dir[] = "/tmp/kgit-dns-XXXXXX";
static char *up_dir, *resolv_conf;
static pid_t upstream;

void dt_must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

/* ---- an asker ---- */

size_t dt_query(uint8_t *out, const char *name, int type)
{
	static uint16_t id;
	int n;

	id++;
	memcpy(out, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
	memcpy(out, &id, 2);
	n = ns_name_compress(name, out + 12, 400, NULL, NULL);
	assert_true(n > 0);
	out[12 + n] = 0;
	out[13 + n] = (uint8_t)type;
	memcpy(out + 14 + n, "\0\1", 2);
	return (size_t)n + 16;
}

int dt_open(int type, const char *from, const char *to)
{
	struct sockaddr_in in = {.sin_family = AF_INET}, peer = {.sin_family = AF_INET};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	in.sin_addr.s_addr = inet_addr(from);
	peer.sin_addr.s_addr = inet_addr(to);
	peer.sin_port = htons(53);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	if (connect(fd, (struct sockaddr *)&peer, sizeof(peer)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

ssize_t dt_read(int fd, void *p, size_t n, int wait_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	if (poll(&ready, 1, wait_ms) != 1)
		return -1;
	return recv(fd, p, n, 0);
}

ssize_t dt_read_tcp(int fd)
{
	size_t have = 0, want = 2;

	while (have < want) {
		ssize_t n = dt_read(fd, dt.answer + have, want - have, 5000);

		if (n <= 0)
			return -1;
		have += (size_t)n;
		if (have == 2)
			want = 2 + ((size_t)dt.answer[0] << 8 | dt.answer[1]);
	}
	memmove(dt.answer, dt.answer + 2, have - 2);
	return (ssize_t)have - 2;
}

/* The rcode; -1: no answer. */
int dt_ask_by(int type, const char *from, const char *name, int rrtype, int wait_ms)
{
	uint8_t query[512 + 2];
	size_t n = dt_query(query + 2, name, rrtype);
	KG_AUTOCLOSE int fd = dt_open(type, from, DT_SERVER);
	ssize_t len = -1;

	if (fd < 0)
		return -1;
	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	if (type == SOCK_DGRAM && send(fd, query + 2, n, 0) == (ssize_t)n)
		len = dt_read(fd, dt.answer, sizeof(dt.answer), wait_ms);
	else if (type == SOCK_STREAM && send(fd, query, n + 2, MSG_NOSIGNAL) > 0)
		len = dt_read_tcp(fd);
	if (len < 0)
		return -1;
	assert_int_equal(ns_initparse(dt.answer, (int)len, &dt.msg), 0);
	assert_memory_equal(dt.answer, query + 2, 2);
	return ns_msg_getflag(dt.msg, ns_f_rcode);
}

int dt_ask(const char *name, int rrtype)
{
	return dt_ask_by(SOCK_DGRAM, DT_SERVER, name, rrtype, 5000);
}

/* The last record of the answer, as text: "10.96.0.7" of an A. */
static const char *last_address(void)
{
	static char text[INET_ADDRSTRLEN];
	ns_rr rr;

	if (ns_msg_count(dt.msg, ns_s_an) == 0 ||
		ns_parserr(&dt.msg, ns_s_an, ns_msg_count(dt.msg, ns_s_an) - 1, &rr) < 0 ||
		ns_rr_type(rr) != ns_t_a)
		return "";
	return inet_ntop(AF_INET, ns_rr_rdata(rr), text, sizeof(text));
}

bool dt_is(const char *name, const char *address)
{
	return dt_ask(name, ns_t_a) == 0 && strcmp(last_address(), address) == 0;
}

/* ---- the loop ---- */

static bool (*wanted)(void);
static struct kg_timer *poller;
static int tries;

static void look(void *ctx)
{
	(void)ctx;
	if (wanted() || --tries == 0)
		kg_loop_stop(dt.loop, 0);
	else
		kg_timer_set(poller, 5);
}

void dt_loop_new(void)
{
	dt.loop = kg_loop_new();
	poller = kg_timer_new(dt.loop, look, NULL);
}

void dt_run_until(bool (*fn)(void), const char *what)
{
	wanted = fn;
	tries = 4000;
	kg_timer_set(poller, 0);
	kg_loop_run(dt.loop);
	if (tries == 0)
		fail_msg("waited in vain: %s", what);
}

void dt_put(const char *key, const char *json)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = json ? kg_test_json(&a, json) : kg_v_null();

	kg_dns_put(dt.dns, key, json ? &v : NULL);
}

void dt_put_web(const char *ip)
{
	KG_AUTOFREE char *json = kg_asprintf(
		"{\"name\": \"web\", \"namespace\": \"shop\", \"clusterIP\": \"%s\"}", ip);

	dt_put("shop/web", json);
	kg_dns_commit(dt.dns);
}

/* ---- the fixture ---- */

static void on_event(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	fprintf(stderr, "dns: %s\n", err->msg);
	dt.ended++;
}

void dt_start(void)
{
	struct kg_dns_options opts = {.dir = dt.own_dir,
		.domain = KG_CLUSTER_DOMAIN,
		.program = dt.program,
		.left = &dt.left,
		.cgroups = dt.cgroups,
		.cgroup = "/helpers",
		.limits = &dt.limits,
		.on_event = on_event};
	struct kg_cidr ranges[3];
	struct kg_error err;

	dt_must(kg_cidr_parse(&ranges[0], "127.1.0.0/24", &err), &err);
	dt_must(kg_cidr_parse(&ranges[1], "127.1.0.0/16", &err), &err);
	dt_must(kg_cidr_parse(&ranges[2], "10.96.0.0/12", &err), &err);
	dt.dns = kg_dns_new(dt.loop, &opts);
	kg_dns_configure(dt.dns, ranges);
}

void dt_write(const char *path, const char *text)
{
	struct kg_error err;

	dt_must(kg_file_replace(path, text, strlen(text), 0644, &err), &err);
}

/* Another server of the same kind, with a zone of its own: the host's resolver. */
static void start_upstream(void)
{
	const char *argv[] = {dt.program, "dns", up_dir, DT_UPSTREAM, NULL};
	struct kg_spawn spawn = KG_SPAWN_INIT;
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", up_dir);
	KG_AUTOFREE char *part = kg_asprintf("%s/part-256", up_dir);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;

	dt_must(kg_mkdir_p(up_dir, 0755, &err), &err);
	kg_buf_adds(&text, "example. SOA ns hostmaster 1 1 1 1 1\nexample. NS ns\n"
			   "db A 192.0.2.9\n");
	for (int i = 0; i < DT_MANY; i++)
		kg_buf_addf(&text, "many A 192.0.2.%d\n", i);
	dt_write(part, kg_buf_str(&text));
	dt_write(config, "{\"ranges\": [\"127.0.0.0/8\"], \"zones\": [\"example.\"]}");
	spawn.argv = argv;
	dt_must(kg_spawn(&upstream, &spawn, &err), &err);
}

bool dt_serves(void)
{
	return dt_is("ns.dns.cluster.local", DT_SERVER);
}

bool dt_forwards(void)
{
	return dt_is("db.example", "192.0.2.9");
}

int dt_set_up(void **state)
{
	ssize_t n = readlink("/proc/self/exe", dt.program, sizeof(dt.program) - 1);
	struct kg_netlink *nl;
	struct kg_error err;

	(void)state;
	assert_true(n > 0);
	dt.program[n] = '\0';
	assert_non_null(mkdtemp(dir));
	dt.own_dir = kg_asprintf("%s/own", dir);
	up_dir = kg_asprintf("%s/up", dir);
	resolv_conf = kg_asprintf("%s/etc", dir);
	dt_must(kg_netlink_open(&nl, -1, &err), &err);
	dt_must(kg_link_up(nl, 1, &err), &err);
	kg_netlink_close(nl);
	/* All of a directory, so that the file can be replaced as a resolver's manager does. */
	dt_must(kg_mkdir_p(resolv_conf, 0755, &err), &err);
	assert_int_equal(mount(resolv_conf, "/etc", NULL, MS_BIND, NULL), 0);
	dt_write("/etc/resolv.conf", "nameserver " DT_UPSTREAM "\n");
	start_upstream();
	kg_dns_limits_default(&dt.limits);
	dt_loop_new();
	dt_start();
	dt_run_until(dt_serves, "the server");
	dt_run_until(dt_forwards, "the upstream");
	return 0;
}

int dt_tear_down(void **state)
{
	struct kg_error err;

	(void)state;
	kg_dns_free(dt.dns);
	kg_timer_free(poller);
	kg_loop_free(dt.loop);
	dt_must(kg_dns_end(dt.own_dir, &err), &err);
	dt_must(kg_dns_end(dt.own_dir, &err), &err); /* none is fine */
	kill(upstream, SIGTERM);
	assert_int_equal(waitpid(upstream, NULL, 0), upstream);
	assert_int_equal(umount2("/etc", MNT_DETACH), 0);
	dt_must(kg_remove_tree(dir, &err), &err);
	free(dt.own_dir);
	free(up_dir);
	free(resolv_conf);
	return 0;
}

bool dt_is_refused(const char *from)
{
	KG_AUTOCLOSE int fd = dt_open(SOCK_STREAM, from, DT_SERVER);
	struct pollfd closed = {.fd = fd, .events = POLLIN};
	char byte;

	assert_true(fd >= 0);
	return poll(&closed, 1, 5000) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

int dt_ask_by_tcp(const char *from)
{
	return dt_ask_by(SOCK_STREAM, from, "ns.dns.cluster.local", ns_t_a, 0);
}

/* From now on a resolver is asked that never answers. */
void dt_silence(int *mute)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
	KG_AUTOCLOSE int asker = dt_open(SOCK_DGRAM, DT_SERVER, DT_SERVER);
	uint8_t query[512];
	size_t n = dt_query(query, "never.example", ns_t_a);

	*mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in.sin_addr.s_addr = inet_addr("127.2.0.9");
	assert_int_equal(bind(*mute, (struct sockaddr *)&in, sizeof(in)), 0);
	dt_write("/etc/resolv.conf", "# mute\nnameserver 127.2.0.9\n");
	/* The file is looked at once a second: until then the other one is asked. */
	do
		assert_int_equal(send(asker, query, n, 0), n);
	while (dt_read(*mute, dt.answer, sizeof(dt.answer), 200) <= 0);
}

int dt_main(int argc, char **argv, int (*run)(void))
{
	if (argc == 4 && strcmp(argv[1], "dns") == 0)
		return kg_dns_serve(argv[2], argv[3], true);
	nt_start();
	int rc = run();

	nt_end();
	return rc;
}
