/* The machine's own control groups, whichever version they are of: as root. */
#include "nodeagent/cgroup.h"

#include "base/mem.h"
#include "sys/file.h"
#include "value/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY (32 << 20)

static struct kg_cgroups groups;
static char *top, *pod; /* of this test alone */

static int set_up(void **state)
{
	struct kg_error err;

	(void)state;
	top = kg_asprintf("/kgit-cgroup-test-%d", (int)getpid());
	pod = kg_asprintf("%s/pod", top);
	return kg_cgroups_detect(&groups, &err);
}

static int tear_down(void **state)
{
	struct kg_error err;

	(void)state;
	int rc = kg_cgroup_remove(&groups, top, &err);
	kg_cgroups_release(&groups);
	free(top);
	free(pod);
	return rc;
}

/* The first line of the pod's file; "": there is none. */
static const char *read_back(const char *controller, const char *file)
{
	static char line[100];
	KG_AUTOFREE char *path =
		groups.v2 ? kg_asprintf("%s%s/%s", groups.mounts[0], pod, file)
			  : kg_asprintf("/sys/fs/cgroup/%s%s/%s", controller, pod, file);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	if (kg_file_read(&b, path, 4096, NULL) < 0)
		return "";
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(kg_buf_str(&b), "\n"), kg_buf_str(&b));
	return line;
}

static void make(const struct kg_cgroup_limits *limits)
{
	struct kg_error err;

	if (kg_cgroup_make(&groups, pod, limits, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_limits(void **state)
{
	static const struct kg_cgroup_limits limits = {
		.cpu_shares = 512, .cpu_quota_us = 50000, .memory_bytes = MEMORY};
	static const struct {
		bool v2;
		const char *controller, *file, *want;
	} files[] = {{false, "cpu", "cpu.shares", "512"},
		{false, "cpu", "cpu.cfs_quota_us", "50000"},
		{false, "memory", "memory.limit_in_bytes", "33554432"},
		{true, "cpu", "cpu.weight", "20"}, {true, "cpu", "cpu.max", "50000 100000"},
		{true, "memory", "memory.max", "33554432"}};

	(void)state;
	for (int twice = 0; twice < 2; twice++) {
		make(&limits);
		for (size_t i = 0; i < KG_ARRAY_LEN(files); i++)
			if (files[i].v2 == groups.v2)
				assert_string_equal(read_back(files[i].controller, files[i].file),
					files[i].want);
	}
	/* Where the kernel knows of swap, what has a limit of memory does not go round it. */
	const char *swap = read_back("memory", "memory.swap.max");
	if (*swap)
		assert_string_equal(swap, "0");
}

static void test_controllers(void **state)
{
	(void)state;
	assert_true(kg_cgroup_has(&groups, "memory"));
	assert_true(kg_cgroup_has(&groups, "pids"));
	assert_false(kg_cgroup_has(&groups, "mem"));
	assert_false(kg_cgroup_has(&groups, "none"));
}

/* A child is not to stay where the test ends before it ends the child. */
static void end_with_test(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(98);
}

/* Starts a process that is in the pod's group before it does anything. */
static pid_t start(void (*fn)(void))
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		end_with_test();
		if (read(ready[0], &byte, 1) == 1)
			fn();
		_exit(99);
	}
	for (unsigned i = 0; i < groups.nmounts; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s%s/cgroup.procs", groups.mounts[i], pod);
		KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
		char text[16];
		int n = snprintf(text, sizeof(text), "%d", (int)pid);
		if (fd >= 0) /* version 1: only where there are limits */
			assert_int_equal(write(fd, text, (size_t)n), n);
	}
	assert_int_equal(write(ready[1], "x", 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void takes_too_much(void)
{
	size_t n = (size_t)MEMORY * 4;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED; /* not swapped by version 1 either */
	char *p = mmap(NULL, n, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p != MAP_FAILED)
		memset(p, 1, n);
}

static void stays(void)
{
	for (;;)
		pause();
}

static void wait_killed(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	make(&(struct kg_cgroup_limits){.memory_bytes = MEMORY});
	assert_false(kg_cgroup_oom_killed(&groups, pod));
	wait_killed(start(takes_too_much));
	assert_true(kg_cgroup_oom_killed(&groups, pod));
}

static void test_kill(void **state)
{
	struct kg_error err;

	(void)state;
	make(&(struct kg_cgroup_limits){.memory_bytes = MEMORY, .cpu_shares = 2});
	assert_false(kg_cgroup_populated(&groups, pod));
	pid_t pid = start(stays);
	assert_true(kg_cgroup_populated(&groups, pod));
	assert_false(kg_cgroup_populated(&groups, top));
	assert_true(kg_cgroup_kill(&groups, top) >= 1);
	wait_killed(pid);
	assert_int_equal(kg_cgroup_remove(&groups, pod, &err), 0);
	assert_string_equal(read_back("memory", "cgroup.procs"), "");
	assert_int_equal(kg_cgroup_remove(&groups, pod, &err), 0);
	assert_int_equal(kg_cgroup_kill(&groups, pod), 0);
	assert_false(kg_cgroup_populated(&groups, pod));
}

/* Where a service manager sees the process; "": there is none to see it. */
static void services_group(char *out, size_t size, pid_t pid)
{
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/cgroup", (int)pid);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	assert_int_equal(kg_file_read(&b, path, 65536, NULL), 0);
	const char *mark = groups.v2 ? "0::" : ":name=systemd:";
	const char *line = strstr(kg_buf_str(&b), mark);
	*out = '\0';
	if (line)
		snprintf(out, size, "%.*s", (int)strcspn(line, "\n") - (int)strlen(mark),
			line + strlen(mark));
}

static void test_shelter(void **state)
{
	char before[300], after[300];
	struct kg_error err;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		end_with_test();
		stays();
	}
	services_group(before, sizeof(before), pid);
	if (kg_cgroup_shelter(&groups, pod, pid, &err) < 0)
		fail_msg("%s", err.msg);
	services_group(after, sizeof(after), pid);
	bool moves = groups.v2 || access("/sys/fs/cgroup/systemd", W_OK) == 0;
	assert_string_not_equal(before, pod);
	assert_string_equal(after, moves ? pod : before);
	assert_int_equal(kill(pid, SIGKILL), 0);
	wait_killed(pid);
	/* Of one that has ended there is nothing to be told. */
	assert_int_equal(kg_cgroup_shelter(&groups, pod, pid, &err), 0);
	assert_int_equal(kg_cgroup_remove(&groups, pod, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controllers),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_kill),
		cmocka_unit_test(test_shelter),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
