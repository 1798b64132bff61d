/* The node's name server, a process of its own, as the agent keeps it. This program is the server,
 * too, as kgit-node is. */
#include "base/mem.h"
#include "dns/confine.h"
#include "dns/server.h"
#include "nettest.h"
#include "nodeagent/dns.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SERVER   "127.1.0.1"
#define UPSTREAM "127.2.0.1"
#define MANY     100

static char dir[] = "/tmp/kgit-dns-XXXXXX";
static char *own_dir, *up_dir, *resolv_conf, program[4096];
static struct kg_loop *loop;
static struct kg_dns *dns;
static pid_t upstream;

static void must(int rc, const struct kg_error *err)
{
	if (rc < 0)
		fail_msg("%s", err->msg);
}

/* ---- an asker ---- */

static uint8_t answer[65536];
static ns_msg msg;

static size_t make_query(uint8_t *out, const char *name, int type)
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

static int open_to(int type, const char *from, const char *to)
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

static ssize_t read_some(int fd, void *p, size_t n, int wait_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	if (poll(&ready, 1, wait_ms) != 1)
		return -1;
	return recv(fd, p, n, 0);
}

static ssize_t read_tcp(int fd)
{
	size_t have = 0, want = 2;

	while (have < want) {
		ssize_t n = read_some(fd, answer + have, want - have, 5000);

		if (n <= 0)
			return -1;
		have += (size_t)n;
		if (have == 2)
			want = 2 + ((size_t)answer[0] << 8 | answer[1]);
	}
	memmove(answer, answer + 2, have - 2);
	return (ssize_t)have - 2;
}

/* The rcode; -1: no answer. */
static int ask_by(int type, const char *from, const char *name, int rrtype, int wait_ms)
{
	uint8_t query[512 + 2];
	size_t n = make_query(query + 2, name, rrtype);
	KG_AUTOCLOSE int fd = open_to(type, from, SERVER);
	ssize_t len = -1;

	if (fd < 0)
		return -1;
	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	if (type == SOCK_DGRAM && send(fd, query + 2, n, 0) == (ssize_t)n)
		len = read_some(fd, answer, sizeof(answer), wait_ms);
	else if (type == SOCK_STREAM && send(fd, query, n + 2, MSG_NOSIGNAL) > 0)
		len = read_tcp(fd);
	if (len < 0)
		return -1;
	assert_int_equal(ns_initparse(answer, (int)len, &msg), 0);
	assert_memory_equal(answer, query + 2, 2);
	return ns_msg_getflag(msg, ns_f_rcode);
}

static int ask(const char *name, int rrtype)
{
	return ask_by(SOCK_DGRAM, SERVER, name, rrtype, 5000);
}

/* The last record of the answer, as text: "10.96.0.7" of an A. */
static const char *last_address(void)
{
	static char text[INET_ADDRSTRLEN];
	ns_rr rr;

	if (ns_msg_count(msg, ns_s_an) == 0 ||
		ns_parserr(&msg, ns_s_an, ns_msg_count(msg, ns_s_an) - 1, &rr) < 0 ||
		ns_rr_type(rr) != ns_t_a)
		return "";
	return inet_ntop(AF_INET, ns_rr_rdata(rr), text, sizeof(text));
}

static bool is(const char *name, const char *address)
{
	return ask(name, ns_t_a) == 0 && strcmp(last_address(), address) == 0;
}

/* ---- the loop ---- */

static bool (*wanted)(void);
static struct kg_timer *poller;
static int tries;

static void look(void *ctx)
{
	(void)ctx;
	if (wanted() || --tries == 0)
		kg_loop_stop(loop, 0);
	else
		kg_timer_set(poller, 5);
}

static void run_until(bool (*fn)(void), const char *what)
{
	wanted = fn;
	tries = 4000;
	kg_timer_set(poller, 0);
	kg_loop_run(loop);
	if (tries == 0)
		fail_msg("waited in vain: %s", what);
}

static void put(const char *key, const char *json)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (json)
		must(kg_json_parse(&v, &a, json, strlen(json), &err), &err);
	kg_dns_put(dns, key, json ? &v : NULL);
}

static void put_web(const char *ip)
{
	KG_AUTOFREE char *json = kg_asprintf(
		"{\"name\": \"web\", \"namespace\": \"shop\", \"clusterIP\": \"%s\"}", ip);

	put("shop/web", json);
	kg_dns_commit(dns);
}

/* ---- the fixture ---- */

static int ended; /* times the server did */
static pid_t left;

static void on_event(void *ctx, const struct kg_error *err)
{
	(void)ctx;
	fprintf(stderr, "dns: %s\n", err->msg);
	ended++;
}

static struct kg_dns_limits limits;

static void start_dns(void)
{
	struct kg_dns_options opts = {.dir = own_dir,
		.domain = KG_CLUSTER_DOMAIN,
		.program = program,
		.left = &left,
		.limits = &limits,
		.on_event = on_event};
	struct kg_cidr ranges[3];
	struct kg_error err;

	must(kg_cidr_parse(&ranges[0], "127.1.0.0/24", &err), &err);
	must(kg_cidr_parse(&ranges[1], "127.1.0.0/16", &err), &err);
	must(kg_cidr_parse(&ranges[2], "10.96.0.0/12", &err), &err);
	dns = kg_dns_new(loop, &opts);
	kg_dns_configure(dns, ranges);
}

static void write_text(const char *path, const char *text)
{
	struct kg_error err;

	must(kg_file_replace(path, text, strlen(text), 0644, &err), &err);
}

/* Another server of the same kind, with a zone of its own: the host's resolver. */
static void start_upstream(void)
{
	const char *argv[] = {program, "dns", up_dir, UPSTREAM, NULL};
	struct kg_spawn spawn = KG_SPAWN_INIT;
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", up_dir);
	KG_AUTOFREE char *zone = kg_asprintf("%s/test.zone", up_dir);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;

	must(kg_mkdir_p(up_dir, 0755, &err), &err);
	kg_buf_adds(&text, "$ORIGIN example.\n$TTL 60\n@ SOA ns hostmaster 1 1 1 1 1\n@ NS ns\n"
			   "db A 192.0.2.9\n");
	for (int i = 0; i < MANY; i++)
		kg_buf_addf(&text, "many A 192.0.2.%d\n", i);
	write_text(zone, kg_buf_str(&text));
	write_text(config, "{\"ranges\": [\"127.0.0.0/8\"], \"zones\": [{\"name\": \"example.\", "
			   "\"file\": \"test.zone\"}]}");
	spawn.argv = argv;
	must(kg_spawn(&upstream, &spawn, &err), &err);
}

static bool serves(void)
{
	return is("ns.dns.cluster.local", SERVER);
}

static bool forwards(void)
{
	return is("db.example", "192.0.2.9");
}

static int set_up(void **state)
{
	ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	struct kg_netlink *nl;
	struct kg_error err;

	(void)state;
	assert_true(n > 0);
	program[n] = '\0';
	assert_non_null(mkdtemp(dir));
	own_dir = kg_asprintf("%s/own", dir);
	up_dir = kg_asprintf("%s/up", dir);
	resolv_conf = kg_asprintf("%s/etc", dir);
	must(kg_netlink_open(&nl, -1, &err), &err);
	must(kg_link_up(nl, 1, &err), &err);
	kg_netlink_close(nl);
	/* All of a directory, so that the file can be replaced as a resolver's manager does. */
	must(kg_mkdir_p(resolv_conf, 0755, &err), &err);
	assert_int_equal(mount(resolv_conf, "/etc", NULL, MS_BIND, NULL), 0);
	write_text("/etc/resolv.conf", "nameserver " UPSTREAM "\n");
	start_upstream();
	kg_dns_limits_default(&limits);
	loop = kg_loop_new();
	poller = kg_timer_new(loop, look, NULL);
	start_dns();
	run_until(serves, "the server");
	run_until(forwards, "the upstream");
	return 0;
}

static int tear_down(void **state)
{
	struct kg_error err;

	(void)state;
	kg_dns_free(dns);
	kg_timer_free(poller);
	kg_loop_free(loop);
	must(kg_dns_end(own_dir, &err), &err);
	must(kg_dns_end(own_dir, &err), &err); /* none is fine */
	kill(upstream, SIGTERM);
	assert_int_equal(waitpid(upstream, NULL, 0), upstream);
	assert_int_equal(umount2("/etc", MNT_DETACH), 0);
	must(kg_remove_tree(dir, &err), &err);
	free(own_dir);
	free(up_dir);
	free(resolv_conf);
	return 0;
}

/* ---- what is asked ---- */

static bool web_is_7(void)
{
	return is("web.shop.svc.cluster.local", "10.96.0.7");
}

static bool web_is_8(void)
{
	return is("web.shop.svc.cluster.local", "10.96.0.8");
}

static bool web_is_unknown(void)
{
	return ask("web.shop.svc.cluster.local", ns_t_a) == ns_r_nxdomain;
}

static void knows_services(void **state)
{
	(void)state;
	put_web("10.96.0.7");
	run_until(web_is_7, "a Service");
	assert_true(is("WEB.shop.svc.Cluster.Local", "10.96.0.7"));
	assert_int_equal(ask("web.shop.svc.cluster.local", ns_t_aaaa), 0);
	assert_int_equal(ns_msg_count(msg, ns_s_an), 0);
	assert_int_equal(ask("7.0.96.10.in-addr.arpa", ns_t_ptr), 0);
	assert_int_equal(ns_msg_count(msg, ns_s_an), 1);
	assert_int_equal(ask("8.0.96.10.in-addr.arpa", ns_t_ptr), ns_r_nxdomain);
	assert_int_equal(ask("nothing.shop.svc.cluster.local", ns_t_a), ns_r_nxdomain);
	assert_int_equal(ask("shop.svc.cluster.local", ns_t_a), 0);
	put_web("10.96.0.8");
	run_until(web_is_8, "its new address");
	put("shop/web", NULL);
	kg_dns_commit(dns);
	run_until(web_is_unknown, "its end");
}

static void asks_the_hosts_resolver(void **state)
{
	(void)state;
	assert_true(forwards());
	assert_int_equal(ask("nothing.example", ns_t_a), ns_r_nxdomain);
	assert_int_equal(ask("many.example", ns_t_a), 0);
	assert_int_equal(ns_msg_getflag(msg, ns_f_tc), 1);
	assert_in_range(ns_msg_count(msg, ns_s_an), 20, 40);
	assert_int_equal(ask_by(SOCK_STREAM, SERVER, "many.example", ns_t_a, 0), 0);
	assert_int_equal(ns_msg_getflag(msg, ns_f_tc), 0);
	assert_int_equal(ns_msg_count(msg, ns_s_an), MANY);
}

static bool external(void)
{
	return is("out.shop.svc.cluster.local", "192.0.2.9") && ns_msg_count(msg, ns_s_an) == 2;
}

static void follows_external_names(void **state)
{
	(void)state;
	put("shop/out",
		"{\"name\": \"out\", \"namespace\": \"shop\", \"externalName\": \"db.example\"}");
	kg_dns_commit(dns);
	run_until(external, "an ExternalName");
}

static bool has_no_upstream(void)
{
	return ask("db.example", ns_t_a) == ns_r_servfail;
}

static void follows_resolv_conf(void **state)
{
	(void)state;
	write_text("/etc/resolv.conf", "search example\n");
	run_until(has_no_upstream, "no resolver");
	assert_true(serves());
	put_web("10.96.0.7"); /* the zones are read while there is none */
	run_until(web_is_7, "a Service");
	write_text("/etc/resolv.conf", "# back\nnameserver " UPSTREAM "\n");
	run_until(forwards, "the resolver again");
	run_until(external, "an ExternalName again");
}

static void answers_who_may_ask(void **state)
{
	(void)state;
	assert_int_equal(ask_by(SOCK_DGRAM, "127.1.9.9", "ns.dns.cluster.local", ns_t_a, 5000), 0);
	assert_int_equal(ask_by(SOCK_DGRAM, "127.3.0.1", "ns.dns.cluster.local", ns_t_a, 200), -1);
	assert_int_equal(ask_by(SOCK_STREAM, "127.3.0.1", "ns.dns.cluster.local", ns_t_a, 0), -1);
}

static bool is_refused(const char *from)
{
	KG_AUTOCLOSE int fd = open_to(SOCK_STREAM, from, SERVER);
	struct pollfd closed = {.fd = fd, .events = POLLIN};
	char byte;

	assert_true(fd >= 0);
	return poll(&closed, 1, 5000) == 1 && recv(fd, &byte, 1, 0) <= 0;
}

static int ask_by_tcp(const char *from)
{
	return ask_by(SOCK_STREAM, from, "ns.dns.cluster.local", ns_t_a, 0);
}

static void bounds_connections(void **state)
{
	int fds[8][32];
	char from[16], byte;

	(void)state;
	for (int i = 0; i < 8; i++) {
		snprintf(from, sizeof(from), "127.1.1.%d", i);
		for (int k = 0; k < 32; k++) {
			fds[i][k] = open_to(SOCK_STREAM, from, SERVER);
			assert_true(fds[i][k] >= 0);
		}
		assert_true(is_refused(from)); /* one has no more than its share */
		assert_true(i == 7 || ask_by_tcp("127.1.2.1") == 0);
	}
	assert_true(is_refused("127.1.2.1"));
	assert_true(serves()); /* by UDP */
	/* A length that nothing asked can have ends a connection, and makes room. */
	assert_int_equal(send(fds[0][0], "\xff\xff", 2, MSG_NOSIGNAL), 2);
	assert_int_equal(read_some(fds[0][0], &byte, 1, 5000), 0);
	assert_int_equal(ask_by_tcp("127.1.2.1"), 0);
	for (int i = 0; i < 8; i++)
		for (int k = 0; k < 32; k++)
			close(fds[i][k]);
}

/* Several questions in one segment, and one byte by byte. */
static void reads_a_stream(void **state)
{
	uint8_t queries[1200];
	size_t len = 0;
	KG_AUTOCLOSE int fd = open_to(SOCK_STREAM, SERVER, SERVER);

	(void)state;
	for (int i = 0; i < 3; i++) {
		size_t n = make_query(queries + len + 2, "ns.dns.cluster.local", ns_t_a);

		queries[len] = 0;
		queries[len + 1] = (uint8_t)n;
		len += n + 2;
	}
	assert_int_equal(send(fd, queries, len, MSG_NOSIGNAL), len);
	for (int i = 0; i < 3; i++)
		assert_true(read_tcp(fd) > 12);
	for (size_t i = 0; i < len / 3; i++)
		assert_int_equal(send(fd, queries + i, 1, MSG_NOSIGNAL), 1);
	assert_true(read_tcp(fd) > 12);
}

static void keeps_what_it_knew(void **state)
{
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", own_dir);
	KG_AUTOBUF struct kg_buf before = KG_BUF_INIT;
	struct kg_error err;

	(void)state;
	must(kg_file_read(&before, config, 1 << 20, &err), &err);
	write_text(config, "{");
	assert_true(serves());
	write_text(config, "{\"zones\": [{\"name\": \"cluster.local.\", \"file\": \"absent\"}]}");
	assert_true(serves());
	write_text(config, kg_buf_str(&before));
	put_web("10.96.0.7");
	run_until(web_is_7, "a Service after that");
}

static void is_not_ended_by_one_name(void **state)
{
	(void)state;
	put("shop/long",
		"{\"name\": \"long\", \"namespace\": \"shop\", \"externalName\": "
		"\"0123456789012345678901234567890123456789012345678901234567890123.example\"}");
	put_web("10.96.0.8");
	run_until(web_is_8, "a Service beside it");
}

/* ---- one server after the other ---- */

static pid_t who(void)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/pid", own_dir);
	struct flock has = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	KG_AUTOCLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_GETLK, &has), 0);
	return has.l_type == F_UNLCK ? 0 : has.l_pid;
}

static pid_t before;

static bool another(void)
{
	assert_true(serves()); /* no question is lost */
	return who() != 0 && who() != before;
}

static void gives_way_to_the_next(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	ended = 0;
	kg_dns_free(dns);
	assert_true(serves());
	start_dns();
	run_until(another, "the next server");
	assert_int_equal(ended, 0);
}

static bool is_reaped(void)
{
	return kill(before, 0) < 0 && errno == ESRCH;
}

static bool is_told_to_end(void)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/status", (int)before);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;

	must(kg_file_read(&text, path, 1 << 16, &err), &err);
	const char *pending = strstr(kg_buf_str(&text), "ShdPnd:");
	assert_non_null(pending);
	return strtoull(pending + 7, NULL, 16) & 1ULL << (SIGTERM - 1);
}

/* Those whom the old one has not taken in yet are answered, too. */
static void resets_no_connection(void **state)
{
	uint8_t query[512 + 2];
	int fds[16];
	size_t n = make_query(query + 2, "ns.dns.cluster.local", ns_t_a);

	(void)state;
	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	before = who();
	assert_int_equal(kill(before, SIGSTOP), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++) {
		assert_true((fds[i] = open_to(SOCK_STREAM, SERVER, SERVER)) >= 0);
		if (i % 2) /* the others ask later */
			assert_int_equal(send(fds[i], query, n + 2, 0), n + 2);
	}
	kg_dns_free(dns);
	start_dns();
	run_until(is_told_to_end, "a word to the old server");
	/* What comes now is the new one's. */
	KG_AUTOCLOSE int late = open_to(SOCK_STREAM, SERVER, SERVER);
	assert_int_equal(send(late, query, n + 2, 0), n + 2);
	assert_int_equal(kill(before, SIGCONT), 0);
	run_until(another, "the next server");
	assert_true(read_tcp(late) > 12);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++) {
		if (i % 2 == 0)
			assert_int_equal(send(fds[i], query, n + 2, MSG_NOSIGNAL), n + 2);
		assert_true(read_tcp(fds[i]) > 12);
		close(fds[i]);
	}
}

/* Its limits are the agent's options. */
static void has_limits(void **state)
{
	int fds[4];

	(void)state;
	limits.of_pod = KG_ARRAY_LEN(fds);
	before = who();
	kg_dns_free(dns);
	start_dns();
	run_until(another, "the next server");
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++)
		assert_true((fds[i] = open_to(SOCK_STREAM, "127.1.1.1", SERVER)) >= 0);
	assert_true(is_refused("127.1.1.1"));
	assert_int_equal(ask_by_tcp("127.1.1.2"), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++)
		close(fds[i]);
	kg_dns_limits_default(&limits);
}

/* It runs under its filter; what that does not allow is refused by name. */
static void is_confined(void **state)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/status", (int)who());
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	char said[200] = "";
	struct kg_error err;
	int out[2], status;

	(void)state;
	must(kg_file_read(&text, path, 1 << 16, &err), &err);
	assert_non_null(strstr(kg_buf_str(&text), "\nSeccomp:\t2\n"));
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid_t child = fork();
	if (child == 0) {
		dup2(out[1], 2);
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || kg_dns_confine(&err) < 0)
			_exit(2);
		bool refused = ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 && errno == EPERM;
		_exit(refused && getpid() > 0 ? 0 : 1);
	}
	close(out[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(read(out[0], said, sizeof(said) - 1) > 0);
	close(out[0]);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_string_equal(said, "dns: seccomp: the system call ptrace is refused\n");
}

static bool failed_three_times(void)
{
	return ended >= 3;
}

/* One that cannot start is tried less and less often. */
static void backs_off(void **state)
{
	static const char name[] = "/bin/false";
	char good[sizeof(program)];
	int64_t began = kg_monotonic_ms();

	(void)state;
	memcpy(good, program, sizeof(good));
	memcpy(program, name, sizeof(name));
	kg_dns_free(dns);
	ended = 0;
	start_dns();
	run_until(failed_three_times, "the third failure");
	assert_true(kg_monotonic_ms() - began >= 2900); /* one second, then two */
	memcpy(program, good, sizeof(program));
	kg_dns_free(dns);
	left = who();
	start_dns();
	run_until(serves, "a server that can");
}

/* As an agent that is made anew with all its threads, in the same process. */
static void is_reaped_by_the_next(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	ended = 0;
	kg_dns_free(dns);
	kg_loop_free(loop);
	assert_int_equal(left, before);
	loop = kg_loop_new();
	poller = kg_timer_new(loop, look, NULL);
	start_dns();
	run_until(another, "the next server");
	run_until(is_reaped, "the end of the one before");
	assert_int_equal(ended, 0);
}

/* One that has nothing to serve leaves the other where it is. */
static void stays_where_the_next_cannot_serve(void **state)
{
	const char *argv[] = {program, "dns", own_dir, SERVER, NULL};
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", own_dir);
	struct kg_spawn spawn = KG_SPAWN_INIT;
	KG_AUTOBUF struct kg_buf was = KG_BUF_INIT;
	struct kg_error err;
	pid_t next;
	int status;

	(void)state;
	before = who();
	assert_true(before > 0);
	must(kg_file_read(&was, config, 1 << 20, &err), &err);
	write_text(config, "{");
	spawn.argv = argv;
	must(kg_spawn(&next, &spawn, &err), &err);
	/* No connection is the next one's meanwhile, which would end it. */
	do
		assert_int_equal(ask_by_tcp(SERVER), 0);
	while (waitpid(next, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_int_equal(who(), before);
	assert_true(serves());
	write_text(config, kg_buf_str(&was));
}

static bool forwards_now(void)
{
	return ask_by(SOCK_DGRAM, SERVER, "db.example", ns_t_a, 200) == 0;
}

/* From now on a resolver is asked that never answers. */
static void silence(int *mute)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
	KG_AUTOCLOSE int asker = open_to(SOCK_DGRAM, SERVER, SERVER);
	uint8_t query[512];
	size_t n = make_query(query, "never.example", ns_t_a);

	*mute = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	in.sin_addr.s_addr = inet_addr("127.2.0.9");
	assert_int_equal(bind(*mute, (struct sockaddr *)&in, sizeof(in)), 0);
	write_text("/etc/resolv.conf", "# mute\nnameserver 127.2.0.9\n");
	/* The file is looked at once a second: until then the other one is asked. */
	do
		assert_int_equal(send(asker, query, n, 0), n);
	while (read_some(*mute, answer, sizeof(answer), 200) <= 0);
}

/* While the old one waits for an answer, all questions are the new one's. */
static void takes_all_questions_at_once(void **state)
{
	KG_AUTOCLOSE int mute = -1;

	(void)state;
	silence(&mute);
	before = who();
	assert_true(before > 0);
	kg_dns_free(dns);
	start_dns();
	run_until(another, "the next server");
	for (int i = 0; i < 40; i++)
		assert_int_equal(
			ask_by(SOCK_DGRAM, SERVER, "ns.dns.cluster.local", ns_t_a, 1000), 0);
	write_text("/etc/resolv.conf", "# back again\nnameserver " UPSTREAM "\n");
	run_until(forwards_now, "the resolver again");
}

static bool is_back(void)
{
	return ended > 0 && who() != 0 && who() != before && serves();
}

static void is_started_again(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	ended = 0;
	assert_int_equal(kill(before, SIGKILL), 0);
	run_until(is_back, "a server again");
	assert_int_equal(ended, 1);
}

static bool is_another(void)
{
	return who() != 0 && who() != before && serves();
}

static void put_many(bool there, int n)
{
	for (int i = 0; i < n; i++) {
		KG_AUTOFREE char *key = kg_asprintf("shop/s%d", i);
		KG_AUTOFREE char *json = kg_asprintf("{\"name\": \"s%d\", \"namespace\": \"shop\", "
						     "\"clusterIP\": \"10.96.1.1\"}",
			i);

		put(key, there ? json : NULL);
	}
	kg_dns_commit(dns);
}

static int64_t longest;

/* Is the last of many known? Whatever is read, the others are answered. */
static bool knows_the_last(void)
{
	int64_t began = kg_monotonic_ms();

	assert_true(serves());
	int64_t took = kg_monotonic_ms() - began;
	longest = took > longest ? took : longest;
	return is("s4999.shop.svc.cluster.local", "10.96.1.1");
}

static void answers_while_it_reads(void **state)
{
	(void)state;
	longest = 0;
	put_many(true, 5000);
	int64_t took = -kg_monotonic_ms();
	run_until(knows_the_last, "the last of 5,000 Services");
	took += kg_monotonic_ms();
	put_many(false, 5000);
	fprintf(stderr, "the longest wait for an answer: %d of %d ms\n", (int)longest, (int)took);
	assert_true(longest * 2 < took);
}

static bool last_is_known(void)
{
	return is("s399.shop.svc.cluster.local", "10.96.1.1");
}

/* What was written last is served where nothing can be written. */
static void is_started_on_a_full_disk(void **state)
{
	struct rlimit was, full;

	(void)state;
	before = who();
	assert_true(before > 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	full = was;
	full.rlim_cur = 8192;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	put_many(true, 400);
	assert_int_equal(kill(before, SIGKILL), 0);
	run_until(is_another, "a server with what was known before");
	assert_int_equal(ask("s399.shop.svc.cluster.local", ns_t_a), ns_r_nxdomain);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	run_until(last_is_known, "what could not be written");
	put_many(false, 400);
}

/* As many questions as somebody likes to ask whom nobody answers. */
static void knows_services_whatever_else_is_asked(void **state)
{
	KG_AUTOCLOSE int mute = -1;
	int rcode = -1;

	(void)state;
	silence(&mute);
	for (int i = 0; i < 8192 && rcode != ns_r_refused; i++) {
		char name[64];

		/* No faster than they are taken. */
		snprintf(name, sizeof(name), "n%d.example", i);
		rcode = ask_by(SOCK_DGRAM, SERVER, name, ns_t_a, i % 64 ? 0 : 5);
		assert_true(i % 64 || serves());
	}
	assert_int_equal(rcode, ns_r_refused);
	assert_true(serves());
	write_text("/etc/resolv.conf", "# back at last\nnameserver " UPSTREAM "\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_services),
		cmocka_unit_test(asks_the_hosts_resolver),
		cmocka_unit_test(follows_external_names),
		cmocka_unit_test(follows_resolv_conf),
		cmocka_unit_test(answers_who_may_ask),
		cmocka_unit_test(bounds_connections),
		cmocka_unit_test(reads_a_stream),
		cmocka_unit_test(keeps_what_it_knew),
		cmocka_unit_test(is_not_ended_by_one_name),
		cmocka_unit_test(gives_way_to_the_next),
		cmocka_unit_test(resets_no_connection),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(is_confined),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(answers_while_it_reads),
		cmocka_unit_test(is_reaped_by_the_next),
		cmocka_unit_test(stays_where_the_next_cannot_serve),
		cmocka_unit_test(takes_all_questions_at_once),
		cmocka_unit_test(is_started_again),
		cmocka_unit_test(is_started_on_a_full_disk),
		cmocka_unit_test(knows_services_whatever_else_is_asked),
	};

	if (argc == 4 && strcmp(argv[1], "dns") == 0)
		return kg_dns_serve(argv[2], argv[3], true);
	nt_start();
	int rc = cmocka_run_group_tests(tests, set_up, tear_down);
	nt_end();
	return rc;
}
