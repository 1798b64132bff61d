/* What the filter refuses, and what it leaves, in a process of its own. */
#include "kgitd/confine.h"

#include "base/mem.h"
#include "sys/spawn.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool fails(long rc, int error)
{
	return rc == -1 && errno == error;
}

static bool opens(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Each is refused by the filter, whoever asks and whatever the arguments. */
static const char *refused(void)
{
	static const long calls[] = {SYS_process_vm_readv, SYS_init_module, SYS_kexec_load,
		SYS_reboot, SYS_bpf, SYS_perf_event_open, SYS_mount, SYS_umount2, SYS_pivot_root,
		SYS_chroot, SYS_unshare, SYS_setns, SYS_open_by_handle_at, SYS_add_key, SYS_keyctl,
		SYS_settimeofday, SYS_swapon};
	static char said[32];

	for (size_t i = 0; i < KG_ARRAY_LEN(calls); i++) {
		snprintf(said, sizeof(said), "call %ld", calls[i]);
		if (!fails(syscall(calls[i], -1L, -1L, -1L, -1L, -1L), EPERM))
			return said;
	}
	return NULL;
}

static const char *refused_by_argument(void)
{
	int flags[] = {CLONE_NEWUSER, CLONE_NEWNET | CLONE_NEWPID};

	for (size_t i = 0; i < KG_ARRAY_LEN(flags); i++)
		if (!fails(syscall(SYS_clone, flags[i] | SIGCHLD, NULL, NULL, NULL, NULL), EPERM))
			return "clone into a namespace";
	if (!fails(syscall(SYS_clone3, NULL, 0L), ENOSYS))
		return "clone3";
	for (int family = 3; family < 64; family++)
		if (family != AF_INET6 && family != AF_NETLINK &&
			!fails(socket(family, SOCK_RAW, 0), EPERM))
			return "another family";
	/* The kernel looks at the lower half alone. */
	if (!fails(ioctl(0, TIOCSTI, "x"), EPERM) ||
		!fails(syscall(SYS_ioctl, 0L, (long)TIOCSTI | 1L << 32, "x"), EPERM))
		return "TIOCSTI";
	if (!fails(mknod("/dev/shm/kgit-none", S_IFCHR | 0600, 259), EPERM) ||
		!fails(mknodat(AT_FDCWD, "/dev/shm/kgit-none", S_IFBLK | 0600, 259), EPERM))
		return "a device";
	return NULL;
}

static void *thread(void *arg)
{
	return arg;
}

static const char *left(void)
{
	char path[] = "/tmp/kgit-confine-XXXXXX";
	struct kg_run run = {.spawn = KG_SPAWN_INIT};
	const char *git[] = {"git", "--version", NULL};
	/* It is inherited. */
	const char *unshare_[] = {"unshare", "--user", "true", NULL};
	struct kg_error err;
	pthread_t t;

	if (!opens(AF_UNIX) || !opens(AF_INET) || !opens(AF_NETLINK))
		return "a socket";
	if (pthread_create(&t, NULL, thread, NULL) != 0 || pthread_join(t, NULL) != 0)
		return "a thread";
	if (!mkdtemp(path))
		return "a directory";
	KG_AUTOFREE char *fifo = kg_asprintf("%s/fifo", path);
	if (mkfifo(fifo, 0600) < 0 || unlink(fifo) < 0 || rmdir(path) < 0)
		return "a fifo";
	run.spawn.argv = git;
	if (kg_run(&run, NULL, &err) < 0)
		return "git";
	run.spawn.argv = unshare_;
	if (kg_run(&run, NULL, &err) == 0 || !strstr(err.msg, "Operation not permitted"))
		return "unshare";
	return NULL;
}

static void says(const char *(*look)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct kg_error err;
		const char *what = NULL;

		if (kgd_confine(&err) < 0)
			fprintf(stderr, "%s\n", err.msg);
		else if ((what = look()) != NULL)
			fprintf(stderr, "not as it should be: %s (%s)\n", what, strerror(errno));
		else
			_exit(0);
		_exit(1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void test_refused(void **state)
{
	(void)state;
	says(refused);
}

static void test_arguments(void **state)
{
	(void)state;
	says(refused_by_argument);
}

static void test_left(void **state)
{
	(void)state;
	says(left);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
