#include "kgitd/confine.h"

#include "base/mem.h"
#include "confine/confine.h"

#include <errno.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* A leak sanitizer looks at its threads as a tracer, at the end. */
#if defined(__SANITIZE_ADDRESS__)
#define KG_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KG_ASAN 1
#endif
#endif

#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
		CLONE_NEWPID | CLONE_NEWNET)
#ifdef __s390x__
#define CLONE_FLAGS 1
#else
#define CLONE_FLAGS 0
#endif

#define INT_BITS 0xffffffffu
#define FAMILY(n)                                                                                  \
	{                                                                                          \
		.call = "socket", .when = KG_ARG_EQ, .value = (n)                                  \
	}
#define IOCTL(n)                                                                                   \
	{                                                                                          \
		.call = "ioctl", .when = KG_ARG_EQ, .arg = 1, .value = (n), .mask = INT_BITS       \
	}
#define NODE(c, n, type)                                                                           \
	{                                                                                          \
		.call = (c), .when = KG_ARG_EQ, .arg = (n), .value = (type), .mask = S_IFMT        \
	}

static const struct kg_seccomp_rule refused[] = {
/* other processes */
#ifndef KG_ASAN
	{.call = "ptrace"},
#endif
	{.call = "process_vm_readv"},
	{.call = "process_vm_writev"},
	{.call = "process_madvise"},
	{.call = "process_mrelease"},
	{.call = "kcmp"},
	{.call = "pidfd_getfd"},
	/* the kernel itself */
	{.call = "init_module"},
	{.call = "finit_module"},
	{.call = "delete_module"},
	{.call = "create_module"},
	{.call = "query_module"},
	{.call = "get_kernel_syms"},
	{.call = "kexec_load"},
	{.call = "kexec_file_load"},
	{.call = "reboot"},
	{.call = "bpf"},
	{.call = "perf_event_open"},
	{.call = "userfaultfd"},
	{.call = "syslog"},
	{.call = "_sysctl"},
	{.call = "sysfs"},
	{.call = "lookup_dcookie"},
	{.call = "nfsservctl"},
	{.call = "acct"},
	{.call = "quotactl"},
	{.call = "quotactl_fd"},
	{.call = "swapon"},
	{.call = "swapoff"},
	/* the machine's ports, descriptors, clock and names */
	{.call = "iopl"},
	{.call = "ioperm"},
	{.call = "modify_ldt"},
	{.call = "vm86"},
	{.call = "vm86old"},
	{.call = "pciconfig_iobase"},
	{.call = "pciconfig_read"},
	{.call = "pciconfig_write"},
	{.call = "s390_pci_mmio_read"},
	{.call = "s390_pci_mmio_write"},
	{.call = "settimeofday"},
	{.call = "stime"},
	{.call = "clock_settime"},
	{.call = "clock_settime64"},
	{.call = "adjtimex"},
	{.call = "clock_adjtime"},
	{.call = "clock_adjtime64"},
	{.call = "sethostname"},
	{.call = "setdomainname"},
	{.call = "vhangup"},
	{.call = "uselib"},
	{.call = "ustat"},
	/* mounts, roots and namespaces */
	{.call = "mount"},
	{.call = "umount"},
	{.call = "umount2"},
	{.call = "pivot_root"},
	{.call = "chroot"},
	{.call = "open_tree"},
	{.call = "move_mount"},
	{.call = "fsopen"},
	{.call = "fsconfig"},
	{.call = "fsmount"},
	{.call = "fspick"},
	{.call = "mount_setattr"},
	{.call = "unshare"},
	{.call = "setns"},
	{.call = "clone", .when = KG_ARG_HAS, .arg = CLONE_FLAGS, .value = NAMESPACES},
	/* files by other roads than their names, and devices */
	{.call = "open_by_handle_at"},
	{.call = "fanotify_init"},
	NODE("mknod", 1, S_IFCHR),
	NODE("mknod", 1, S_IFBLK),
	NODE("mknodat", 2, S_IFCHR),
	NODE("mknodat", 2, S_IFBLK),
	/* keys of the kernel's */
	{.call = "add_key"},
	{.call = "request_key"},
	{.call = "keyctl"},
	/* what a terminal is made to type */
	IOCTL(TIOCSTI),
	IOCTL(0x541c /* TIOCLINUX */),
#ifndef SYS_socketcall
	/* sockets but AF_UNIX, AF_INET, AF_INET6 and AF_NETLINK */
	FAMILY(3),
	FAMILY(4),
	FAMILY(5),
	FAMILY(6),
	FAMILY(7),
	FAMILY(8),
	FAMILY(9),
	FAMILY(11),
	FAMILY(12),
	FAMILY(13),
	FAMILY(14),
	FAMILY(15),
	{.call = "socket", .when = KG_ARG_OVER, .value = AF_NETLINK},
#endif
};

/* It has its flags where no filter sees them; C libraries go on to clone. */
static const struct kg_seccomp_rule unknown[] = {{.call = "clone3", .error = ENOSYS}};

int kgd_confine(struct kg_error *err)
{
	int rc = kg_seccomp_refuse(unknown, KG_ARRAY_LEN(unknown), false, err);

	if (rc == 0)
		rc = kg_seccomp_refuse(refused, KG_ARRAY_LEN(refused), true, err);
	return rc < 0 ? kg_wrap(err, "--no-seccomp goes without") : 0;
}
