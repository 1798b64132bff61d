#include "nodeagent/netns.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

struct pin {
	int flag;
	const char *path;
	int error; /* errno */
	const char *step;
};

static const struct {
	int flag;
	const char *name;
} kinds[] = {{CLONE_NEWNET, "net"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}};

static void *unshare_and_mount(void *arg)
{
	struct pin *p = arg;
	char source[64] = "";

	for (size_t i = 0; i < KG_ARRAY_LEN(kinds); i++) {
		if (kinds[i].flag == p->flag)
			snprintf(source, sizeof(source), "/proc/thread-self/ns/%s", kinds[i].name);
	}
	p->step = "unshare";
	if (unshare(p->flag) < 0) {
		p->error = errno;
		return NULL;
	}
	p->step = "mount";
	if (mount(source, p->path, NULL, MS_BIND, NULL) < 0)
		p->error = errno;
	return NULL;
}

bool kg_ns_is_pinned(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

int kg_ns_pin(int clone_flag, const char *path, struct kg_error *err)
{
	struct pin p = {.flag = clone_flag, .path = path};
	pthread_t thread;

	if (kg_ns_is_pinned(path))
		return 0;
	int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return kg_fail_errno(err, "make %s", path);
	close(fd);
	/* A thread of its own, since what is unshared cannot be shared again. */
	errno = pthread_create(&thread, NULL, unshare_and_mount, &p);
	if (errno)
		return kg_fail_errno(err, "thread for a namespace");
	pthread_join(thread, NULL);
	errno = p.error;
	return errno ? kg_fail_errno(err, "pin a namespace at %s: %s", path, p.step) : 0;
}

int kg_netns_create(const char *path, struct kg_error *err)
{
	return kg_ns_pin(CLONE_NEWNET, path, err);
}

int kg_ns_unpin(const char *path, struct kg_error *err)
{
	while (kg_ns_is_pinned(path)) {
		if (umount2(path, MNT_DETACH) < 0)
			return kg_fail_errno(err, "unmount %s", path);
	}
	if (unlink(path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", path);
	return 0;
}
