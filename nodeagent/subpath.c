#include "nodeagent/subpath.h"

#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TRIES 64 /* while somebody renames directories under way */

static int open_beneath(int root, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
	int fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd;
}

static int failed(const char *path, struct kg_error *err)
{
	if (errno == EXDEV || errno == ELOOP)
		return kg_fail(err, KG_E_INVALID, "subPath \"%s\" leads out of its volume", path);
	return kg_fail_errno(err, "subPath \"%s\"", path);
}

/* One that is there is as good; it is opened again by whoever goes on. */
static int make_one(int parent, const char *name, mode_t mode, struct kg_error *err)
{
	if (mkdirat(parent, name, mode & 0777) < 0)
		return errno == EEXIST ? 0 : kg_fail_errno(err, "make %s", name);
	KG_AUTOCLOSE int fd = openat(parent, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, mode) < 0) /* umask */
		return kg_fail_errno(err, "mode of %s", name);
	return 0;
}

/* Every directory on the way, each looked up anew from the volume's own. */
static int make_dirs(int root, const char *path, struct kg_error *err)
{
	KG_AUTOFREE char *so_far = kg_strdup(path);
	struct stat st;

	if (fstat(root, &st) < 0)
		return kg_fail_errno(err, "look at the volume");
	for (char *p = so_far, *end; *p; p = end) {
		p += strspn(p, "/");
		end = p + strcspn(p, "/");
		if (end == p)
			break;
		char was = *end, before = p > so_far ? p[-1] : '/';
		if (p > so_far)
			p[-1] = '\0';
		KG_AUTOCLOSE int parent = open_beneath(
			root, p > so_far && *so_far ? so_far : ".", O_PATH | O_DIRECTORY);
		if (p > so_far)
			p[-1] = before;
		if (parent < 0)
			return failed(path, err);
		*end = '\0';
		int rc = make_one(parent, p, st.st_mode & 07777, err);
		*end = was;
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int make_target(const char *target, bool dir, struct kg_error *err)
{
	if (dir)
		return kg_mkdir_p(target, 0700, err);
	KG_AUTOCLOSE int fd = open(target, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? kg_fail_errno(err, "make %s", target) : 0;
}

int kg_subpath_mount(const char *volume, const char *path, const char *target, struct kg_error *err)
{
	char source[64];
	struct stat st;
	KG_AUTOCLOSE int root = open(volume, O_PATH | O_CLOEXEC);

	if (root < 0)
		return kg_fail_errno(err, "open %s", volume);
	int found = open_beneath(root, path, O_PATH);
	if (found < 0 && errno == ENOENT) {
		int rc = make_dirs(root, path, err);
		if (rc < 0)
			return rc;
		found = open_beneath(root, path, O_PATH);
	}
	KG_AUTOCLOSE int fd = found;
	if (fd < 0 || fstat(fd, &st) < 0)
		return failed(path, err);
	int rc = make_target(target, S_ISDIR(st.st_mode), err);
	if (rc < 0)
		return rc;
	snprintf(source, sizeof(source), "/proc/self/fd/%d", fd);
	if (mount(source, target, NULL, MS_BIND, NULL) < 0 ||
		mount(NULL, target, NULL, MS_PRIVATE, NULL) < 0)
		return kg_fail_errno(err, "mount subPath \"%s\" at %s", path, target);
	return 0;
}

int kg_subpaths_unmount(const char *dir, struct kg_error *err)
{
	DIR *d = opendir(dir);
	int rc = 0;

	if (!d)
		return errno == ENOENT ? 0 : kg_fail_errno(err, "open %s", dir);
	for (struct dirent *e; rc == 0 && (e = readdir(d));) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		if (e->d_name[0] == '.')
			continue;
		while (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (errno != EINVAL) /* nothing is mounted there any more */
			rc = kg_fail_errno(err, "unmount %s", path);
	}
	closedir(d);
	return rc < 0 ? rc : kg_remove_tree(dir, err);
}
