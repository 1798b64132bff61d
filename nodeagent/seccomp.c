/*
 * What docker and containerd allow by default: everything but what reaches beyond the container or
 * has a history of holes (mount, unshare, setns, keyctl, bpf, kexec, modules, clocks, io_uring).
 * clone is allowed without the flags that make namespaces; clone3 hides its flags in memory, so it
 * is answered with ENOSYS and C libraries fall back to clone.
 *
 * The calls are those of moby/profiles' seccomp/default.json as of June 2026. Like it, it leaves
 * open what a filter cannot look at: socketcall, by which programs of 32-bit x86 and of s390 make
 * sockets, has its arguments in memory, so that they reach every address family. (moby refused it
 * for a week, and took that back: old 32-bit programs know no other way.) The profile of an image
 * without such programs is that of the machine's own architecture alone, under which the way
 * there, int 0x80, is killed.
 */
#include "nodeagent/seccomp.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <seccomp.h>
#include <string.h>

/* clang-format off */
static const char *const allowed[] = {
	"_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "bind", "brk",
	"cachestat", "capget", "capset", "chdir", "chmod", "chown", "chown32", "clock_adjtime",
	"clock_adjtime64", "clock_getres", "clock_getres_time64", "clock_gettime",
	"clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64", "close", "close_range",
	"connect", "copy_file_range", "creat", "dup", "dup2", "dup3", "epoll_create",
	"epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
	"epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group",
	"faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_mark",
	"fchdir", "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl",
	"fcntl64", "fdatasync", "fgetxattr", "flistxattr", "flock", "fork", "fremovexattr",
	"fsetxattr", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64", "fsync", "ftruncate",
	"ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
	"futex_wake", "futimesat", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
	"getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid",
	"getgid32", "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp",
	"getpid", "getppid", "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid",
	"getresuid32", "getrlimit", "getrusage", "getsid", "getsockname", "getsockopt", "gettid",
	"gettimeofday", "getuid", "getuid32", "getxattr", "getxattrat", "inotify_add_watch",
	"inotify_init", "inotify_init1", "inotify_rm_watch", "io_cancel", "io_destroy",
	"io_getevents", "io_pgetevents", "io_pgetevents_time64", "io_setup", "io_submit", "ioctl",
	"ioprio_get", "ioprio_set", "ipc", "kill", "landlock_add_rule", "landlock_create_ruleset",
	"landlock_restrict_self", "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen",
	"listmount", "listxattr", "listxattrat", "llistxattr", "lremovexattr", "lseek", "lsetxattr",
	"lstat", "lstat64", "madvise", "map_shadow_stack", "membarrier", "memfd_create",
	"memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2",
	"mlockall", "mmap", "mmap2", "mprotect", "mq_getsetattr", "mq_notify", "mq_open",
	"mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend", "mq_timedsend_time64",
	"mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync", "munlock",
	"munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "openat",
	"openat2", "pause", "pidfd_open", "pidfd_send_signal", "pipe", "pipe2", "pkey_alloc",
	"pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64", "prctl", "pread64", "preadv",
	"preadv2", "prlimit64", "process_mrelease", "process_vm_readv", "process_vm_writev",
	"pselect6", "pselect6_time64", "ptrace", "pwrite64", "pwritev", "pwritev2", "read",
	"readahead", "readlink", "readlinkat", "readv", "recv", "recvfrom", "recvmmsg",
	"recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename",
	"renameat", "renameat2", "restart_syscall", "rmdir", "rseq", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
	"rt_sigtimedwait", "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max",
	"sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam",
	"sched_getscheduler", "sched_rr_get_interval", "sched_rr_get_interval_time64",
	"sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
	"seccomp", "select", "semctl", "semget", "semop", "semtimedop", "semtimedop_time64", "send",
	"sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "set_robust_list",
	"set_thread_area", "set_tid_address", "setfsgid", "setfsgid32", "setfsuid", "setfsuid32",
	"setgid", "setgid32", "setgroups", "setgroups32", "setitimer", "setpgid", "setpriority",
	"setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32",
	"setreuid", "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid", "setuid32",
	"setxattr", "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown",
	"sigaltstack", "signalfd", "signalfd4", "sigprocmask", "sigreturn", "socketcall",
	"socketpair", "splice", "stat", "stat64", "statfs", "statfs64",
	"statmount", "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs",
	"sysinfo", "tee", "tgkill", "time", "timer_create", "timer_delete", "timer_getoverrun",
	"timer_gettime", "timer_gettime64", "timer_settime", "timer_settime64", "timerfd_create",
	"timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64", "times",
	"tkill", "truncate", "truncate64", "ugetrlimit", "umask", "uname", "unlink", "unlinkat",
	"uretprobe", "utime", "utimensat", "utimensat_time64", "utimes", "vfork", "vmsplice",
	"wait4", "waitid", "waitpid", "write", "writev",
};
/* clang-format on */

/* Calls that a capability opens. */
static const struct {
	const char *cap;
	const char *const names[14];
} by_cap[] = {
	{"CAP_DAC_READ_SEARCH", {"open_by_handle_at"}},
	{"CAP_SYS_ADMIN", {"bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount",
				  "fsopen", "fspick", "lookup_dcookie", "mount", "mount_setattr",
				  "move_mount", "open_tree"}},
	{"CAP_SYS_ADMIN", {"perf_event_open", "quotactl", "quotactl_fd", "setdomainname",
				  "sethostname", "setns", "syslog", "umount", "umount2", "unshare",
				  "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr"}},
	{"CAP_SYS_BOOT", {"reboot"}},
	{"CAP_SYS_CHROOT", {"chroot"}},
	{"CAP_SYS_MODULE", {"delete_module", "finit_module", "init_module"}},
	{"CAP_SYS_PACCT", {"acct"}},
	{"CAP_SYS_PTRACE", {"kcmp", "pidfd_getfd", "process_madvise"}},
	{"CAP_SYS_RAWIO", {"ioperm", "iopl"}},
	{"CAP_SYS_TIME", {"clock_settime", "clock_settime64", "settimeofday", "stime"}},
	{"CAP_SYS_TTY_CONFIG", {"vhangup"}},
	{"CAP_SYS_NICE", {"get_mempolicy", "mbind", "set_mempolicy", "set_mempolicy_home_node"}},
	{"CAP_SYSLOG", {"syslog"}},
	{"CAP_BPF", {"bpf"}},
	{"CAP_PERFMON", {"perf_event_open"}},
};

#define ARM_CALLS                                                                                  \
	"arm_fadvise64_64", "arm_sync_file_range", "breakpoint", "cacheflush", "set_tls",          \
		"sync_file_range2"
#define S390_CALLS "s390_pci_mmio_read", "s390_pci_mmio_write", "s390_runtime_instr"

/* What machines differ in. */
static const struct machine {
	uint32_t token;             /* libseccomp's */
	const char *const archs[4]; /* whose programs it runs, its own first; x32 nothing uses */
	const char *const calls[7]; /* that it has and others do not */
	int flags;                  /* which argument of clone they are */
} machines[] = {
	{SCMP_ARCH_X86_64, {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86"}, {"arch_prctl", "modify_ldt"}, 0},
	{SCMP_ARCH_X86, {"SCMP_ARCH_X86"}, {"modify_ldt"}, 0},
	{SCMP_ARCH_AARCH64, {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"}, {ARM_CALLS}, 0},
	{SCMP_ARCH_ARM, {"SCMP_ARCH_ARM"}, {ARM_CALLS}, 0},
	{SCMP_ARCH_S390X, {"SCMP_ARCH_S390X", "SCMP_ARCH_S390"}, {S390_CALLS}, 1},
	{SCMP_ARCH_S390, {"SCMP_ARCH_S390"}, {S390_CALLS}, 1},
	{SCMP_ARCH_PPC64LE, {"SCMP_ARCH_PPC64LE"}, {"swapcontext", "sync_file_range2"}, 0},
	{SCMP_ARCH_RISCV64, {"SCMP_ARCH_RISCV64"}, {"riscv_flush_icache", "riscv_hwprobe"}, 0},
	{SCMP_ARCH_MIPSEL64, {"SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64N32"},
		{"cacheflush", "cachectl"}, 0},
	{SCMP_ARCH_MIPSEL, {"SCMP_ARCH_MIPSEL"}, {"cacheflush", "cachectl"}, 0},
};

#if !defined(__x86_64__) && !defined(__i386__) && !defined(__aarch64__) && !defined(__arm__) &&    \
	!defined(__s390__) && !(defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)) &&           \
	!(defined(__riscv) && __riscv_xlen == 64) && !(defined(__mips__) && defined(_MIPSEL))
#error "say what the seccomp profile of this machine's containers is"
#endif

static const struct machine *machine_of(uint32_t token)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(machines); i++)
		if (machines[i].token == token)
			return &machines[i];
	return NULL;
}

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
#define NAMESPACE_FLAGS 0x7e020000

static bool has(const char *const *caps, size_t n, const char *cap)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(caps[i], cap))
			return true;
	return false;
}

struct names {
	struct kg_value *items;
	size_t len;
};

static void add_name(struct names *out, const char *name)
{
	int nr = seccomp_syscall_resolve_name(name);
	if (nr != __NR_SCMP_ERROR)
		out->items[out->len++] = kg_v_lit(name);
}

static struct kg_value rule(struct kg_arena *a, struct kg_value names, const char *action,
	struct kg_value args, struct kg_value errno_ret)
{
	return kg_v_obj(a, "names", names, "action", kg_v_lit(action), "args", args, "errnoRet",
		errno_ret, (char *)NULL);
}

static struct kg_value one_name(struct kg_arena *a, const char *name)
{
	struct kg_value v = kg_v_lit(name);
	return kg_v_array(a, &v, 1);
}

static struct kg_value one_arg(
	struct kg_arena *a, int index, int64_t value, int64_t two, const char *op)
{
	struct kg_value v = kg_v_obj(a, "index", kg_v_int(index), "value", kg_v_int(value),
		"valueTwo", kg_v_int(two), "op", kg_v_lit(op), (char *)NULL);
	return kg_v_array(a, &v, 1);
}

static struct kg_value architectures(struct kg_arena *a, const struct machine *m, bool native)
{
	struct kg_value items[KG_ARRAY_LEN(m->archs)];
	size_t n = 0;

	for (; n < KG_ARRAY_LEN(m->archs) && m->archs[n] && (!native || n < 1); n++)
		items[n] = kg_v_lit(m->archs[n]);
	return kg_v_array(a, items, n);
}

static void add_names(struct names *out, const char *const *names, size_t most)
{
	for (size_t i = 0; i < most && names[i]; i++)
		add_name(out, names[i]);
}

/* AF_VSOCK (40) speaks to the hypervisor, AF_ALG (38) to the kernel's ciphers, which have a
 * history; everything else is a plain socket. The kernel takes the family as an int: a rule that
 * compares all 64 bits ("over 40") lets either pass with a bit of the upper half set. */
static const struct {
	int64_t mask, family;
} families[] = {
	{0xffffffe0, 0},                                      /* to 31 */
	{0xfffffffc, 32},                                     /* to 35 */
	{0xfffffffe, 36},                                     /* and 37 */
	{0xffffffff, 39}, {0xffffffff, 41}, {0xfffffffe, 42}, /* and 43 */
	{0xfffffffe, 44},                                     /* and 45, Linux's last */
};

/* Of personality(2). */
static const int64_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};

static size_t socket_rules(struct kg_arena *a, struct kg_value *rules)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(families); i++)
		rules[i] = rule(a, one_name(a, "socket"), "SCMP_ACT_ALLOW",
			one_arg(a, 0, families[i].mask, families[i].family, "SCMP_CMP_MASKED_EQ"),
			kg_v_null());
	return KG_ARRAY_LEN(families);
}

struct kg_value kg_seccomp_of(
	uint32_t token, struct kg_arena *a, const char *const *caps, size_t ncaps, bool native)
{
	const struct machine *m = machine_of(token);
	struct names n = {kg_arena_alloc(a, (KG_ARRAY_LEN(allowed) + 100) * sizeof(*n.items)), 0};
	/* The names, and clone and clone3. */
	struct kg_value rules[3 + KG_ARRAY_LEN(personalities) + KG_ARRAY_LEN(families)];
	struct kg_value none = kg_v_null();
	size_t nrules = 0;

	assert(m);
	add_names(&n, allowed, KG_ARRAY_LEN(allowed));
	add_names(&n, m->calls, KG_ARRAY_LEN(m->calls));
	for (size_t i = 0; i < KG_ARRAY_LEN(by_cap); i++)
		if (has(caps, ncaps, by_cap[i].cap))
			add_names(&n, by_cap[i].names, KG_ARRAY_LEN(by_cap[i].names));
	rules[nrules++] = rule(a, kg_v_array(a, n.items, n.len), "SCMP_ACT_ALLOW", none, none);
	for (size_t i = 0; i < KG_ARRAY_LEN(personalities); i++)
		rules[nrules++] = rule(a, one_name(a, "personality"), "SCMP_ACT_ALLOW",
			one_arg(a, 0, personalities[i], 0, "SCMP_CMP_EQ"), none);
	if (!has(caps, ncaps, "CAP_SYS_ADMIN")) {
		rules[nrules++] = rule(a, one_name(a, "clone"), "SCMP_ACT_ALLOW",
			one_arg(a, m->flags, NAMESPACE_FLAGS, 0, "SCMP_CMP_MASKED_EQ"), none);
		rules[nrules++] =
			rule(a, one_name(a, "clone3"), "SCMP_ACT_ERRNO", none, kg_v_int(ENOSYS));
	}
	nrules += socket_rules(a, rules + nrules);
	return kg_v_obj(a, "defaultAction", kg_v_lit("SCMP_ACT_ERRNO"), "defaultErrnoRet",
		kg_v_int(EPERM), "architectures", architectures(a, m, native), "syscalls",
		kg_v_array(a, rules, nrules), (char *)NULL);
}

struct kg_value kg_seccomp_default(
	struct kg_arena *a, const char *const *caps, size_t ncaps, bool native)
{
	return kg_seccomp_of(seccomp_arch_native(), a, caps, ncaps, native);
}
