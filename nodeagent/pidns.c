#include "nodeagent/pidns.h"

#include "base/mem.h"
#include "confine/confine.h"
#include "nodeagent/netns.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Overview. A helper makes the namespace, whose first process is its child, pins it and ends, so
 * that the child is nobody's of ours: it stays when the agent does not.
 */

#define NOBODY     65534
#define TIMEOUT_MS (10 * 1000)

/* ---- the process itself ---- */

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	return 1;
}

static int fail_usage(void)
{
	fprintf(stderr, "usage: " KG_PIDNS_COMMAND " PATH CGROUP.PROCS...\n");
	return 2;
}

/* Each hierarchy's list of processes, as far as the group is in it. */
static int enter_groups(char **lists)
{
	int entered = 0;

	for (; *lists; lists++) {
		KG_AUTOCLOSE int fd = open(*lists, O_WRONLY | O_CLOEXEC);

		entered += fd >= 0 && write(fd, "0\n", 2) == 2;
	}
	return entered ? 0 : -1;
}

/* Namespaces of its own, and a root that is empty and cannot be written. Who shares its processes
 * may trace it, with CAP_SYS_PTRACE: what it is in must not be the host's. */
static int leave_host(void)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) <
			0 ||
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount(KG_PIDNS_COMMAND, "/proc", "tmpfs",
			MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=1") < 0 ||
		chdir("/proc") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
		umount2(".", MNT_DETACH) < 0)
		return -1;
	return chdir("/");
}

/* No program that it might be made to be has any either. */
static int drop_bounds(void)
{
	for (unsigned long cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return -1;
	return 0;
}

/* To change its user has taken those that were in force. */
static int drop_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return syscall(SYS_capset, &header, none) < 0 ? -1 : 0;
}

static int let_go(void)
{
	/* To end what goes before, and then to do nothing: nor may who traces it have it do more.
	 */
	static const char *const calls[] = {"write", "close", "dup2", "dup3", "pause", "ppoll",
		"rt_sigreturn", "restart_syscall", "exit_group"};
	KG_AUTOCLOSE int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (oom >= 0)
		(void)!write(oom, "-998", 4); /* kubelet's; where it may not be it is the agent's */
	if (leave_host() < 0 || drop_bounds() < 0 || setgroups(0, NULL) < 0 ||
		setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0 ||
		drop_capabilities() < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_DUMPABLE, 0) < 0)
		return -1;
	struct kg_error err;

	if (kg_seccomp_allow(calls, KG_ARRAY_LEN(calls), SCMP_ACT_ERRNO(EPERM), false, &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", err.msg);
	return -1;
}

static _Noreturn void be_first(char **lists, int ready)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	prctl(PR_SET_NAME, KG_PIDNS_COMMAND);
	signal(SIGCHLD, SIG_IGN); /* orphans are buried */
	if (null < 0 || setsid() < 0 || enter_groups(lists) < 0)
		_exit(fail("the first process does not get into its group"));
	if (let_go() < 0 || write(ready, "", 1) != 1)
		_exit(fail("the first process does not let go of its rights"));
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	close(null);
	close(ready);
	/* What somebody in the namespace sends it the kernel drops: nothing is handled. */
	for (;;)
		pause();
}

static int pin(const char *path, pid_t first, int ready)
{
	char source[64], byte;

	snprintf(source, sizeof(source), "/proc/%d/ns/pid", (int)first);
	if (mount(source, path, NULL, MS_BIND, NULL) < 0)
		return fail(path);
	if (read(ready, &byte, 1) == 1)
		return 0;
	umount2(path, MNT_DETACH);
	return 1; /* it has said why */
}

int kg_pidns_main(int argc, char **argv)
{
	int ready[2];

	if (argc < 4)
		return fail_usage();
	if (pipe2(ready, O_CLOEXEC) < 0)
		return fail("pipe");
	if (unshare(CLONE_NEWPID) < 0)
		return fail("unshare");
	pid_t first = fork();
	if (first < 0)
		return fail("fork");
	if (first == 0) {
		close(ready[0]); /* where the helper is gone, to be told of fails */
		be_first(argv + 3, ready[1]);
	}
	close(ready[1]);
	int rc = pin(argv[2], first, ready[0]);
	if (rc != 0) {
		kill(first, SIGKILL);
		waitpid(first, NULL, 0);
	}
	/* Not by what runs at the end of a program: a leak sanitizer starts a process there, which
	 * would be one of the new namespace's. */
	_exit(rc);
}

/* ---- the agent's side ---- */

static int start(
	const char *path, const struct kg_cgroups *groups, const char *cgroup, struct kg_error *err)
{
	const char *argv[4 + KG_ARRAY_LEN(groups->mounts)] = {
		"/proc/self/exe", KG_PIDNS_COMMAND, path};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = TIMEOUT_MS};
	char *lists[KG_ARRAY_LEN(groups->mounts)];

	for (unsigned i = 0; i < groups->nmounts; i++)
		argv[3 + i] = lists[i] =
			kg_asprintf("%s%s/cgroup.procs", groups->mounts[i], cgroup);
	run.spawn.argv = argv;
	int rc = kg_run(&run, NULL, err);
	for (unsigned i = 0; i < groups->nmounts; i++)
		free(lists[i]);
	return rc;
}

int kg_pidns_make(
	const char *path, const struct kg_cgroups *groups, const char *cgroup, struct kg_error *err)
{
	static const struct kg_cgroup_limits least = {.cpu_shares = 2};
	KG_AUTOFREE char *own = kg_asprintf("%s/" KG_PIDNS_COMMAND, cgroup);

	if (kg_ns_is_pinned(path) && kg_cgroup_populated(groups, own))
		return 0;
	/* One without its first process takes no other in. */
	int rc = kg_ns_unpin(path, err);
	if (rc < 0)
		return rc;
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return kg_fail_errno(err, "make %s", path);
	rc = kg_cgroup_make(groups, own, &least, err);
	if (rc == 0) /* else it would stay in the agent's service, and end with it */
		rc = kg_cgroup_make_shelter(groups, own, err);
	if (rc == 0)
		rc = start(path, groups, own, err);
	return rc < 0 ? kg_wrap(err, "shared process namespace") : 0;
}
