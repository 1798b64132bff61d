#include "base/mem.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *script, *input, *output,
		*error; /* error: what its text must hold; NULL: none */
	int rc, status;
} runs[] = {
	{"echo hello", NULL, "hello\n", NULL, 0, 0},
	{"cat", "some input", "some input", NULL, 0, 0},
	{"exit 3", "never read", "", "sh exited with 3", -KG_E_IO, 3},
	{"echo oops >&2; exit 1", NULL, "", "sh exited with 1: oops", -KG_E_IO, 1},
	{"kill -9 $$", NULL, "", "killed by signal 9", -KG_E_IO, -1},
	{"echo $KGIT_TEST_VAR; ls /proc/self/fd | wc -l", NULL, "value\n4\n", NULL, 0, 0},
	/* What a grandchild holds open is not waited for. */
	{"sleep 1 & echo done", NULL, "done\n", NULL, 0, 0},
	/* And not what it goes on to write. */
	{"for i in 1 2 3 4; do cat /dev/zero >&2 & done", NULL, "", NULL, 0, 0},
	{"trap '' TERM; sleep 20", NULL, "", "did not end in time", -KG_E_TIMEOUT, -1},
	{"head -c 2000000 /dev/zero", NULL, NULL, "wrote more than", -KG_E_TOO_LARGE, 0},
};

/* What it may have of its own is bounded, also for what it starts; what it reads of files is not.
 */
static void test_most_data(void **state)
{
	const char *argv[] = {
		"sh", "-c", "sh -c 'ulimit -d'; dd if=/dev/zero of=/dev/null bs=64M count=1", NULL};
	KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &out};
	struct kg_error err = {0};
	int status;

	(void)state;
	run.spawn.argv = argv;
	assert_int_equal(kg_run(&run, &status, &err), 0);
	kg_buf_clear(&out);
	run.spawn.most_data = 32 << 20;
	assert_int_equal(kg_run(&run, &status, &err), -KG_E_IO);
	assert_string_equal(kg_buf_str(&out), "32768\n");
	assert_non_null(strstr(err.msg, "memory exhausted"));
}

static void test_run(void **state)
{
	/* Neither inherited, though not close-on-exec. */
	int leak = open("/dev/null", O_RDONLY);

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(runs); i++) {
		KG_AUTOBUF struct kg_buf in = KG_BUF_INIT, out = KG_BUF_INIT;
		const char *argv[] = {"sh", "-c", runs[i].script, NULL};
		const char *env[] = {"KGIT_TEST_VAR=value", NULL};
		struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &out, .max_output = 1000000};
		struct kg_error err = {0};
		int status;

		run.spawn.argv = argv;
		run.spawn.env = env;
		if (runs[i].rc == -KG_E_TIMEOUT)
			run.timeout_ms = 100;
		if (runs[i].input) {
			kg_buf_adds(&in, runs[i].input);
			run.input = &in;
		}
		assert_int_equal(kg_run(&run, &status, &err), runs[i].rc);
		if (runs[i].output)
			assert_string_equal(kg_buf_str(&out), runs[i].output);
		if (runs[i].error)
			assert_non_null(strstr(err.msg, runs[i].error));
		if (runs[i].status >= 0 && runs[i].rc != -KG_E_TOO_LARGE)
			assert_int_equal(WEXITSTATUS(status), runs[i].status);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
	close(leak);
}

static void test_large_input(void **state)
{
	KG_AUTOBUF struct kg_buf in = KG_BUF_INIT, out = KG_BUF_INIT;
	const char *argv[] = {"cat", NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .input = &in, .output = &out};
	struct kg_error err;

	(void)state;
	for (int i = 0; i < 300000; i++)
		kg_buf_addf(&in, "%d\n", i);
	run.spawn.argv = argv;
	assert_int_equal(kg_run(&run, NULL, &err), 0);
	assert_int_equal(out.len, in.len);
	assert_memory_equal(out.data, in.data, in.len);
}

static void test_failures(void **state)
{
	const char *absent[] = {"kgit-no-such-program", NULL};
	const char *directory[] = {"/", NULL};
	const char *yes[] = {"true", NULL};
	struct kg_spawn s = KG_SPAWN_INIT;
	struct kg_error err;
	pid_t pid;

	(void)state;
	s.argv = absent;
	assert_int_equal(kg_spawn(&pid, &s, &err), -KG_E_NOT_FOUND);
	s.argv = directory;
	assert_int_equal(kg_spawn(&pid, &s, &err), -KG_E_IO);
	assert_non_null(strstr(err.msg, "execute"));
	s.argv = yes;
	s.cwd = "/kgit-no-such-directory";
	assert_int_equal(kg_spawn(&pid, &s, &err), -KG_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "chdir"));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* 0 and 1 exchanged, a further fd kept at its number, a session of its own, signals as at birth. */
static void test_fds(void **state)
{
	const char *argv[] = {"sh", "-c",
		"read line <&0; echo got $line; echo kept >&$KEPT;"
		"grep -q 'SigBlk:.*0000000000000000' /proc/self/status && echo unblocked",
		NULL};
	int in[2], out[2], kept[2], status;
	char text[100] = "", var[32];
	struct kg_spawn s = KG_SPAWN_INIT;
	struct kg_error err;
	pid_t pid;

	(void)state;
	kg_signals_block();
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(kept, O_CLOEXEC), 0);
	snprintf(var, sizeof(var), "KEPT=%d", kept[1]);
	const char *env[] = {var, "PATH=/usr/bin:/bin", NULL};
	int keep[] = {kept[1], -1};
	s.argv = argv;
	s.env = env;
	s.clean_env = true;
	s.in = in[0];
	s.out = out[1];
	s.keep = keep;
	s.new_session = true;
	assert_int_equal(kg_spawn(&pid, &s, &err), 0);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(write(in[1], "line\n", 5), 5);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(read(out[0], text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "got line\nunblocked\n");
	assert_int_equal(read(kept[0], text, sizeof(text)), 5);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
		close(kept[i]);
	}
}

/* The cost of a child must not grow with its parent: 1 GiB of touched memory here. */
static void test_fast(void **state)
{
	size_t size = (size_t)1 << 30;
	char *big = mmap(NULL, size, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	const char *argv[] = {"/bin/true", NULL};
	struct kg_spawn s = KG_SPAWN_INIT;
	struct kg_error err;
	int64_t best = INT64_MAX;
	pid_t pid;

	(void)state;
	if (big == MAP_FAILED)
		skip();
	s.argv = argv;
	for (int i = 0; i < 20; i++) {
		int64_t began = kg_monotonic_ms();

		assert_int_equal(kg_spawn(&pid, &s, &err), 0);
		int64_t took = kg_monotonic_ms() - began;
		best = took < best ? took : best;
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	munmap(big, size);
	assert_true(best <= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run),
		cmocka_unit_test(test_most_data),
		cmocka_unit_test(test_large_input),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_fds),
		cmocka_unit_test(test_fast),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
