/*
 * Runs kgitd and all that it starts, and lets something go wrong at the N-th write-side system
 * call.
 *
 *   crash_inject [--who kgitd|git] [--at N] [--do kill|killall|EIO|ENOSPC|cut=DIR] [--pipes]
 *                [--armed] --log FILE -- PROGRAM ARG...
 *
 * Calls count from SIGUSR1 on (--armed: from the start), over all processes and threads together,
 * in the order in which they come: of PROGRAM itself (--who kgitd), or of what it starts (git and
 * the hooks). Only those on files count, with --pipes those on pipes and sockets too. At call N,
 * instead of the call:
 *
 *   kill         SIGKILL to its process
 *   killall      SIGKILL to every process
 *   EIO, ENOSPC  the call fails with that
 *   cut=DIR      the power goes: what was not synced to DIR's ext4 is gone; then as killall
 *
 * FILE gets a line a call, "N WHO COMMAND CALL PATH", the injected one with " INJECTED" at its end.
 * The first line is "pid PID", of PROGRAM. Ends when nothing runs any more, with PROGRAM's status.
 *
 * How: a seccomp filter, inherited by all, stops the calls for this tracer and lets the others run
 * at full speed; static programs are caught as well as what libc does by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
int main(void)
{
	fprintf(stderr, "SKIPPED: crash_inject knows x86-64 only\n");
	return 77;
}
#else

#define MAX_TRACEES       512

/* linux/fs/ext4: the journal is not flushed, so what was not synced is gone after a remount. */
#define EXT4_IOC_SHUTDOWN _IOR('X', 125, __u32)
#define NO_LOG_FLUSH      2

/* What the arguments of a call say about where it writes. */
enum where { FD, PATH, AT_PATH, AT_FLAGS, FLAGS };
static const struct call {
	long nr;
	const char *name;
	enum where where;
} calls[] = {
	{SYS_write, "write", FD},
	{SYS_pwrite64, "pwrite64", FD},
	{SYS_writev, "writev", FD},
	{SYS_pwritev, "pwritev", FD},
	{SYS_pwritev2, "pwritev2", FD},
	{SYS_copy_file_range, "copy_file_range", FD},
	{SYS_fallocate, "fallocate", FD},
	{SYS_ftruncate, "ftruncate", FD},
	{SYS_fsync, "fsync", FD},
	{SYS_fdatasync, "fdatasync", FD},
	{SYS_fchmod, "fchmod", FD},
	{SYS_open, "open", FLAGS},
	{SYS_openat, "openat", AT_FLAGS},
	{SYS_creat, "creat", PATH},
	{SYS_rename, "rename", PATH},
	{SYS_renameat, "renameat", AT_PATH},
	{SYS_renameat2, "renameat2", AT_PATH},
	{SYS_unlink, "unlink", PATH},
	{SYS_unlinkat, "unlinkat", AT_PATH},
	{SYS_rmdir, "rmdir", PATH},
	{SYS_mkdir, "mkdir", PATH},
	{SYS_mkdirat, "mkdirat", AT_PATH},
	{SYS_chmod, "chmod", PATH},
	{SYS_link, "link", PATH},
	{SYS_linkat, "linkat", AT_PATH},
	{SYS_symlink, "symlink", PATH},
	{SYS_symlinkat, "symlinkat", PATH},
	{SYS_truncate, "truncate", PATH},
};
#define NCALLS            (sizeof(calls) / sizeof(calls[0]))

enum action { NOTHING, KILL, KILL_ALL, FAIL, CUT };

static struct {
	bool git, pipes;
	unsigned long at;
	enum action action;
	int error;
	const char *cut;
	FILE *log;
	pid_t main;
	unsigned long n;
	pid_t tracees[MAX_TRACEES];
	size_t ntracees;
} run = {.git = false};

static volatile sig_atomic_t armed;

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static void arm(int signo)
{
	(void)signo;
	armed = 1;
}

/* ---- the tracees ---- */

static void remember(pid_t tid)
{
	for (size_t i = 0; i < run.ntracees; i++)
		if (run.tracees[i] == tid)
			return;
	if (run.ntracees < MAX_TRACEES)
		run.tracees[run.ntracees++] = tid;
}

static void forget(pid_t tid)
{
	for (size_t i = 0; i < run.ntracees; i++)
		if (run.tracees[i] == tid)
			run.tracees[i--] = run.tracees[--run.ntracees];
}

static void kill_all(void)
{
	for (size_t i = 0; i < run.ntracees; i++)
		kill(run.tracees[i], SIGKILL);
}

static pid_t process_of(pid_t tid)
{
	char path[64], line[128];
	int tgid = tid;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	if (f)
		fclose(f);
	return tgid;
}

static void command_of(char out[32], pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)tid);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(out, 32, f))
		snprintf(out, 32, "?");
	out[strcspn(out, "\n ")] = '\0';
	if (f)
		fclose(f);
}

/* ---- one call ---- */

static void read_text(char *out, size_t size, pid_t tid, unsigned long at)
{
	struct iovec local = {.iov_base = out, .iov_len = size - 1};
	struct iovec remote = {.iov_base = (void *)at, .iov_len = size - 1};
	ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);

	/* Less is readable where the text lies at the end of a mapping. */
	for (; n < 0 && remote.iov_len > 16; local.iov_len = remote.iov_len)
		remote.iov_len /= 2, n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

static bool is_device(const char *path)
{
	return strcmp(path, "/dev/null") == 0 || strncmp(path, "/dev/tty", 8) == 0 ||
	       strncmp(path, "/dev/pts/", 9) == 0;
}

/* Fills path; false: the call writes nothing, or not to a file. */
static bool is_write(
	char *path, size_t size, pid_t tid, const struct call *c, const struct user_regs_struct *r)
{
	char link[64];
	unsigned long flags;
	ssize_t n;

	switch (c->where) {
	case FD:
		snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)tid, (int)r->rdi);
		n = readlink(link, path, size - 1);
		path[n > 0 ? n : 0] = '\0';
		return run.pipes || (*path == '/' && !is_device(path));
	case PATH:
		read_text(path, size, tid, r->rdi);
		return true;
	case AT_PATH:
		read_text(path, size, tid, r->rsi);
		return true;
	case FLAGS:
	case AT_FLAGS:
		flags = c->where == FLAGS ? r->rsi : r->rdx;
		read_text(path, size, tid, c->where == FLAGS ? r->rdi : r->rsi);
		return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) && !is_device(path);
	}
	return false;
}

static void cut_power(void)
{
	__u32 flags = NO_LOG_FLUSH;
	int fd = open(run.cut, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &flags) < 0)
		fprintf(run.log, "no power cut: %s\n", strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void inject(pid_t tid, pid_t process, struct user_regs_struct *r)
{
	switch (run.action) {
	case NOTHING:
		break;
	case KILL:
		kill(process, SIGKILL);
		break;
	case CUT:
		cut_power();
		kill_all();
		break;
	case KILL_ALL:
		kill_all();
		break;
	case FAIL:
		/* A call whose number is -1 is skipped; its result is what the register holds. */
		r->orig_rax = (unsigned long)-1L;
		r->rax = (unsigned long)-(long)run.error;
		ptrace(PTRACE_SETREGS, tid, NULL, r);
		break;
	}
}

static void stopped_at_call(pid_t tid)
{
	struct user_regs_struct r;
	const struct call *c = NULL;
	char path[512], command[32];

	if (!armed || ptrace(PTRACE_GETREGS, tid, NULL, &r) < 0)
		return;
	for (size_t i = 0; i < NCALLS; i++)
		if (calls[i].nr == (long)r.orig_rax)
			c = &calls[i];
	pid_t process = process_of(tid);
	if (!c || (process != run.main) != run.git || !is_write(path, sizeof(path), tid, c, &r))
		return;
	bool now = ++run.n == run.at && run.action != NOTHING;
	command_of(command, tid);
	fprintf(run.log, "%lu %s %s %s %s%s\n", run.n, run.git ? "git" : "kgitd", command, c->name,
		path, now ? " INJECTED" : "");
	fflush(run.log);
	if (now)
		inject(tid, process, &r);
}

/* ---- the tracer ---- */

/* The status of a stop as waitpid gives it. */
static void stopped(pid_t tid, int status)
{
	int signo = WSTOPSIG(status), event = status >> 16;

	remember(tid);
	if (event == PTRACE_EVENT_SECCOMP)
		stopped_at_call(tid);
	/* Events are no signals; of a stop by SIGSTOP it is not told. */
	ptrace(PTRACE_CONT, tid, NULL, event ? 0 : (long)signo);
}

static int trace(void)
{
	int status, result = 0;
	pid_t tid;

	for (;;) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return result;
		if (WIFSTOPPED(status)) {
			stopped(tid, status);
			continue;
		}
		forget(tid);
		if (tid == run.main)
			result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	}
}

/* ---- the start ---- */

static void filter(void)
{
	struct sock_filter prog[NCALLS + 5];
	size_t n = 0;

	prog[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	prog[n++] = (struct sock_filter)BPF_JUMP(
		BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, NCALLS + 1);
	prog[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < NCALLS; i++)
		prog[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			(unsigned)calls[i].nr, (unsigned char)(NCALLS - i), 0);
	prog[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
	struct sock_fprog all = {.len = (unsigned short)n, .filter = prog};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &all) < 0)
		die("seccomp");
}

static void start(char **argv)
{
	int status;

	run.main = fork();
	if (run.main < 0)
		die("fork");
	if (run.main == 0) {
		raise(SIGSTOP);
		filter();
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (waitpid(run.main, &status, WUNTRACED) < 0 || !WIFSTOPPED(status))
		die("the program's stop");
	if (ptrace(PTRACE_SEIZE, run.main, NULL,
		    PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
			    PTRACE_O_TRACEVFORK | PTRACE_O_TRACESECCOMP) < 0)
		die("ptrace");
	remember(run.main);
	fprintf(run.log, "pid %d\n", (int)run.main);
	fflush(run.log);
	kill(run.main, SIGCONT);
}

static int set_action(const char *text)
{
	static const struct {
		const char *name;
		enum action action;
		int error;
	} names[] = {{"kill", KILL, 0}, {"killall", KILL_ALL, 0}, {"EIO", FAIL, EIO},
		{"ENOSPC", FAIL, ENOSPC}};

	if (strncmp(text, "cut=", 4) == 0) {
		run.action = CUT;
		run.cut = text + 4;
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i].name) != 0)
			continue;
		run.action = names[i].action;
		run.error = names[i].error;
		return 0;
	}
	return -1;
}

static void usage(void)
{
	fprintf(stderr,
		"usage: crash_inject [--who kgitd|git] [--at N] [--do "
		"kill|killall|EIO|ENOSPC|cut=DIR] [--pipes] [--armed] --log FILE -- PROGRAM "
		"ARG...\n");
	exit(2);
}

static char **parse(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";

		if (strcmp(argv[i], "--pipes") == 0) {
			run.pipes = true;
			continue;
		}
		if (strcmp(argv[i], "--armed") == 0) {
			armed = 1;
			continue;
		}
		if (strcmp(argv[i], "--who") == 0)
			run.git = strcmp(value, "git") == 0;
		else if (strcmp(argv[i], "--at") == 0)
			run.at = strtoul(value, NULL, 10);
		else if (strcmp(argv[i], "--log") == 0)
			run.log = fopen(value, "we");
		else if (strcmp(argv[i], "--do") != 0 || set_action(value) < 0)
			usage();
		i++;
	}
	if (i + 1 >= argc || !run.log)
		usage();
	return argv + i + 1;
}

int main(int argc, char **argv)
{
	char **program = parse(argc, argv);
	struct sigaction sa = {.sa_handler = arm};

	sigaction(SIGUSR1, &sa, NULL);
	start(program);
	return trace();
}

#endif
