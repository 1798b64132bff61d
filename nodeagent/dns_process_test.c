/* The node's name server as a process: one after the other, confined, started again. */
#include "dns/confine.h"
#include "dns_testing.h"
#include "sys/file.h"
#include "sys/spawn.h"
#include "value/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t who(void)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/pid", dt.own_dir);
	struct flock has = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	KG_AUTOCLOSE int fd = open(path, O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_GETLK, &has), 0);
	return has.l_type == F_UNLCK ? 0 : has.l_pid;
}

static pid_t before;

static bool another(void)
{
	assert_true(dt_serves()); /* no question is lost */
	return who() != 0 && who() != before;
}

static void gives_way_to_the_next(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	dt.ended = 0;
	kg_dns_free(dt.dns);
	assert_true(dt_serves());
	dt_start();
	dt_run_until(another, "the next server");
	assert_int_equal(dt.ended, 0);
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

	dt_must(kg_file_read(&text, path, 1 << 16, &err), &err);
	const char *pending = strstr(kg_buf_str(&text), "ShdPnd:");
	assert_non_null(pending);
	return strtoull(pending + 7, NULL, 16) & 1ULL << (SIGTERM - 1);
}

/* Those whom the old one has not taken in yet are answered, too. */
static void resets_no_connection(void **state)
{
	uint8_t query[512 + 2];
	int fds[16];
	size_t n = dt_query(query + 2, "ns.dns.cluster.local", ns_t_a);

	(void)state;
	query[0] = (uint8_t)(n >> 8);
	query[1] = (uint8_t)n;
	before = who();
	assert_int_equal(kill(before, SIGSTOP), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++) {
		assert_true((fds[i] = dt_open(SOCK_STREAM, DT_SERVER, DT_SERVER)) >= 0);
		if (i % 2) /* the others ask later */
			assert_int_equal(send(fds[i], query, n + 2, 0), n + 2);
	}
	kg_dns_free(dt.dns);
	dt_start();
	dt_run_until(is_told_to_end, "a word to the old server");
	/* What comes now is the new one's. */
	KG_AUTOCLOSE int late = dt_open(SOCK_STREAM, DT_SERVER, DT_SERVER);
	assert_int_equal(send(late, query, n + 2, 0), n + 2);
	assert_int_equal(kill(before, SIGCONT), 0);
	dt_run_until(another, "the next server");
	assert_true(dt_read_tcp(late) > 12);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++) {
		if (i % 2 == 0)
			assert_int_equal(send(fds[i], query, n + 2, MSG_NOSIGNAL), n + 2);
		assert_true(dt_read_tcp(fds[i]) > 12);
		close(fds[i]);
	}
}

/* Its limits are the agent's options. */
static void has_limits(void **state)
{
	int fds[4];

	(void)state;
	dt.limits.of_pod = KG_ARRAY_LEN(fds);
	before = who();
	kg_dns_free(dt.dns);
	dt_start();
	dt_run_until(another, "the next server");
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++)
		assert_true((fds[i] = dt_open(SOCK_STREAM, "127.1.1.1", DT_SERVER)) >= 0);
	assert_true(dt_is_refused("127.1.1.1"));
	assert_int_equal(dt_ask_by_tcp("127.1.1.2"), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(fds); i++)
		close(fds[i]);
	kg_dns_limits_default(&dt.limits);
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
	dt_must(kg_file_read(&text, path, 1 << 16, &err), &err);
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

static const char *procs; /* the list of what is in a group */

static bool is_sheltered(void)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_error err;

	dt_must(kg_file_read(&text, procs, 100, &err), &err);
	return atoi(kg_buf_str(&text)) == who();
}

static bool cannot_be_sheltered(void)
{
	return dt.ended > 0;
}

/* Where it cannot leave the agent's group, that is told, and tried again. */
static void is_sheltered_later(void **state)
{
	KG_AUTOFREE char *mount = kg_asprintf("%s/systemd", dt.own_dir);
	KG_AUTOFREE char *list = kg_asprintf("%s/helpers/cgroup.procs", mount);
	struct kg_cgroups groups = {.mounts = {mount}, .nmounts = 1};
	struct kg_error err;

	(void)state;
	dt_must(kg_mkdir_p(mount, 0755, &err), &err);
	before = who();
	kg_dns_free(dt.dns);
	dt.cgroups = &groups;
	dt.ended = 0;
	dt_start();
	dt_run_until(cannot_be_sheltered, "a word of it");
	dt_run_until(another, "the next server");
	procs = list;
	dt_write(procs, "");
	dt_run_until(is_sheltered, "a second try");
	assert_int_equal(dt.ended, 1);
	kg_dns_free(dt.dns);
	dt.cgroups = NULL;
	before = who();
	dt_start();
	dt_run_until(another, "one without a group");
	dt_must(kg_remove_tree(mount, &err), &err);
}

static bool failed_three_times(void)
{
	return dt.ended >= 3;
}

/* One that cannot start is tried less and less often. */
static void backs_off(void **state)
{
	static const char name[] = "/bin/false";
	char good[sizeof(dt.program)];
	int64_t began = kg_monotonic_ms();

	(void)state;
	memcpy(good, dt.program, sizeof(good));
	memcpy(dt.program, name, sizeof(name));
	kg_dns_free(dt.dns);
	dt.ended = 0;
	dt_start();
	dt_run_until(failed_three_times, "the third failure");
	assert_true(kg_monotonic_ms() - began >= 2900); /* one second, then two */
	memcpy(dt.program, good, sizeof(dt.program));
	kg_dns_free(dt.dns);
	before = dt.left = who();
	dt_start();
	dt_run_until(another, "a server that can");
}

/* As an agent that is made anew with all its threads, in the same process. */
static void is_reaped_by_the_next(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	dt.ended = 0;
	kg_dns_free(dt.dns);
	kg_loop_free(dt.loop);
	assert_int_equal(dt.left, before);
	dt_loop_new();
	dt_start();
	dt_run_until(another, "the next server");
	dt_run_until(is_reaped, "the end of the one before");
	assert_int_equal(dt.ended, 0);
}

/* One that has nothing to serve leaves the other where it is. */
static void stays_where_the_next_cannot_serve(void **state)
{
	const char *argv[] = {dt.program, "dns", dt.own_dir, DT_SERVER, NULL};
	KG_AUTOFREE char *config = kg_asprintf("%s/config.json", dt.own_dir);
	struct kg_spawn spawn = KG_SPAWN_INIT;
	KG_AUTOBUF struct kg_buf was = KG_BUF_INIT;
	struct kg_error err;
	pid_t next;
	int status;

	(void)state;
	before = who();
	assert_true(before > 0);
	dt_must(kg_file_read(&was, config, 1 << 20, &err), &err);
	dt_write(config, "{");
	spawn.argv = argv;
	dt_must(kg_spawn(&next, &spawn, &err), &err);
	/* No connection is the next one's meanwhile, which would end it. */
	do
		assert_int_equal(dt_ask_by_tcp(DT_SERVER), 0);
	while (waitpid(next, &status, WNOHANG) == 0);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	assert_int_equal(who(), before);
	assert_true(dt_serves());
	dt_write(config, kg_buf_str(&was));
}

static bool forwards_now(void)
{
	return dt_ask_by(SOCK_DGRAM, DT_SERVER, "db.example", ns_t_a, 200) == 0;
}

/* While the old one waits for an answer, all questions are the new one's. */
static void takes_all_questions_at_once(void **state)
{
	KG_AUTOCLOSE int mute = -1;

	(void)state;
	dt_silence(&mute);
	before = who();
	assert_true(before > 0);
	kg_dns_free(dt.dns);
	dt_start();
	dt_run_until(another, "the next server");
	for (int i = 0; i < 40; i++)
		assert_int_equal(
			dt_ask_by(SOCK_DGRAM, DT_SERVER, "ns.dns.cluster.local", ns_t_a, 1000), 0);
	dt_write("/etc/resolv.conf", "# back again\nnameserver " DT_UPSTREAM "\n");
	dt_run_until(forwards_now, "the resolver again");
}

static bool is_back(void)
{
	return dt.ended > 0 && who() != 0 && who() != before && dt_serves();
}

static void is_started_again(void **state)
{
	(void)state;
	before = who();
	assert_true(before > 0);
	dt.ended = 0;
	assert_int_equal(kill(before, SIGKILL), 0);
	dt_run_until(is_back, "a server again");
	assert_int_equal(dt.ended, 1);
}

static bool is_another(void)
{
	return who() != 0 && who() != before && dt_serves();
}

static void put_many(bool there, int n)
{
	for (int i = 0; i < n; i++) {
		KG_AUTOFREE char *key = kg_asprintf("shop/s%d", i);
		KG_AUTOFREE char *json = kg_asprintf("{\"name\": \"s%d\", \"namespace\": \"shop\", "
						     "\"clusterIP\": \"10.96.1.1\"}",
			i);

		dt_put(key, there ? json : NULL);
	}
	kg_dns_commit(dt.dns);
}

static int64_t longest;

/* Is the last of many known? Whatever is read, the others are answered. */
static bool knows_the_last(void)
{
	int64_t began = kg_monotonic_ms();

	assert_true(dt_serves());
	int64_t took = kg_monotonic_ms() - began;
	longest = took > longest ? took : longest;
	return dt_is("s4999.shop.svc.cluster.local", "10.96.1.1");
}

static bool knows_none(void)
{
	return dt_ask("s0.shop.svc.cluster.local", ns_t_a) == ns_r_nxdomain &&
	       dt_ask("s4999.shop.svc.cluster.local", ns_t_a) == ns_r_nxdomain;
}

static void answers_while_it_reads(void **state)
{
	(void)state;
	longest = 0;
	put_many(true, 5000);
	int64_t took = -kg_monotonic_ms();
	dt_run_until(knows_the_last, "the last of 5,000 Services");
	took += kg_monotonic_ms();
	put_many(false, 5000);
	dt_run_until(knows_none, "the end of all of them");
	fprintf(stderr, "the longest wait for an answer: %d of %d ms\n", (int)longest, (int)took);
	assert_true(longest * 2 < took || longest < 100);
}

/* Nanoseconds on a CPU. */
static uint64_t cpu_of(pid_t pid)
{
	clockid_t clock;
	struct timespec t;

	assert_int_equal(clock_getcpuclockid(pid, &clock), 0);
	assert_int_equal(clock_gettime(clock, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int turn;

static bool knows_the_change(void)
{
	KG_AUTOFREE char *ip = kg_asprintf("10.97.0.%d", turn);

	return dt_is("s4999.shop.svc.cluster.local", ip);
}

/* One Service of many changes, again and again: what that costs the server and the agent. */
static void reads_what_changed_alone(void **state)
{
	uint64_t few = 0, many = 0;

	(void)state;
	for (int n = 50; n <= 5000; n *= 100) {
		uint64_t own = cpu_of(getpid());

		put_many(true, n);
		for (turn = 1; turn <= 20; turn++) {
			KG_AUTOFREE char *json =
				kg_asprintf("{\"name\": \"s4999\", \"namespace\": \"shop\", "
					    "\"clusterIP\": \"10.97.0.%d\"}",
					turn);

			dt_put("shop/s4999", json);
			kg_dns_commit(dt.dns);
			dt_run_until(knows_the_change, "the change");
			if (turn == 3) { /* all the others are read */
				many = -cpu_of(who());
				own = -cpu_of(getpid());
			}
		}
		many += cpu_of(who());
		own += cpu_of(getpid());
		fprintf(stderr,
			"%d Services: a change takes %d us of the server, %d of the agent\n", n,
			(int)(many / 17000), (int)(own / 17000));
		few = n == 50 ? many : few;
	}
	put_many(false, 5000);
	dt_run_until(knows_none, "the end of all of them");
	assert_true(many < few * 10 || many < 17 * UINT64_C(5000000));
}

static bool last_is_known(void)
{
	return dt_is("s399.shop.svc.cluster.local", "10.96.1.1");
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
	full.rlim_cur = 16; /* a part of one Service has more */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
	put_many(true, 400);
	assert_int_equal(kill(before, SIGKILL), 0);
	dt_run_until(is_another, "a server with what was known before");
	assert_int_equal(dt_ask("s399.shop.svc.cluster.local", ns_t_a), ns_r_nxdomain);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	dt_run_until(last_is_known, "what could not be written");
	put_many(false, 400);
}

static int run(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_way_to_the_next),
		cmocka_unit_test(resets_no_connection),
		cmocka_unit_test(has_limits),
		cmocka_unit_test(is_confined),
		cmocka_unit_test(is_sheltered_later),
		cmocka_unit_test(backs_off),
		cmocka_unit_test(is_reaped_by_the_next),
		cmocka_unit_test(stays_where_the_next_cannot_serve),
		cmocka_unit_test(takes_all_questions_at_once),
		cmocka_unit_test(is_started_again),
		cmocka_unit_test(answers_while_it_reads),
		cmocka_unit_test(reads_what_changed_alone),
		cmocka_unit_test(is_started_on_a_full_disk),
	};

	return cmocka_run_group_tests(tests, dt_set_up, dt_tear_down);
}

int main(int argc, char **argv)
{
	return dt_main(argc, argv, run);
}
