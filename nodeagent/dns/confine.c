#include "dns/confine.h"

#include "base/mem.h"
#include "confine/confine.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

static const char *const allowed[] = {
	/* files: zones, config, resolv.conf, the lock */
	"open", "openat", "close", "read", "pread64", "readv", "write", "writev", "lseek", "stat",
	"fstat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "fcntl",
	"chdir", "memfd_create", "ftruncate", "fadvise64", "inotify_add_watch", "inotify_rm_watch",
	"inotify_init1", "ioctl", "dup",
	/* sockets */
	"socket", "socketpair", "bind", "connect", "listen", "accept", "accept4", "getsockname",
	"getpeername", "getsockopt", "setsockopt", "shutdown", "recvfrom", "recvmsg", "recvmmsg",
	"sendto", "sendmsg", "sendmmsg",
	/* waiting */
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
	"select", "pselect6", "eventfd2", "pipe", "pipe2", "timerfd_create", "timerfd_settime",
	"timerfd_gettime", "signalfd4", "nanosleep", "clock_nanosleep", "restart_syscall",
	/* time and numbers */
	"clock_gettime", "clock_getres", "gettimeofday", "time", "getrandom", "getpid", "getppid",
	"gettid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo", "getrlimit",
	"prlimit64", "sched_getaffinity",
	/* memory and threads */
	"brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "futex", "futex_time64",
	"sched_yield", "clone", "clone3", "set_robust_list", "get_robust_list", "rseq",
	"set_tid_address", "membarrier", "arch_prctl", "prctl", "exit", "exit_group",
	/* signals: those that it gets, its own abort, and the end of the server before it */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "kill",
	"pidfd_open", "pidfd_send_signal"};

/* ---- what is not allowed ---- */

#define CALLS 512

static char *names[CALLS];
static atomic_bool told[CALLS];

static void refuse(ucontext_t *c)
{
#if defined(__x86_64__)
	c->uc_mcontext.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
	c->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#else
	(void)c; /* the call's own number is what it returns */
#endif
}

/* By what a handler may use. */
static void on_sigsys(int signo, siginfo_t *info, void *context)
{
	static const char before[] = "dns: seccomp: the system call ", after[] = " is refused\n";
	int nr = info->si_syscall;
	const char *name = nr >= 0 && nr < CALLS && names[nr] ? names[nr] : "(unknown)";

	(void)signo;
	refuse(context);
	if (nr >= 0 && nr < CALLS && atomic_exchange(&told[nr], true))
		return;
	(void)!write(2, before, sizeof(before) - 1);
	(void)!write(2, name, strlen(name));
	(void)!write(2, after, sizeof(after) - 1);
}

static int catch (struct kg_error *err)
{
	struct sigaction act = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};

	for (int i = 0; i < CALLS; i++)
		if (!names[i])
			names[i] = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, i);
	return sigaction(SIGSYS, &act, NULL) < 0 ? kg_fail_errno(err, "seccomp: SIGSYS") : 0;
}

int kg_dns_confine(struct kg_error *err)
{
	if (catch (err) < 0)
		return -(int)err->code;
	int rc = kg_seccomp_allow(allowed, KG_ARRAY_LEN(allowed), SCMP_ACT_TRAP, true, err);
	return rc < 0 ? kg_wrap(err, "--no-dns-seccomp goes without") : 0;
}
