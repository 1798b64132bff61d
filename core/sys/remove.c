/*
 * Removal of a tree that a stranger (a container) may have made: links are not followed, mounts
 * not entered, and depth costs neither stack nor fds, because what lies too deep is moved to the
 * top and removed from there.
 */
#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_DEPTH 40

struct removal {
	const char *path; /* for messages */
	int top;
	unsigned moved;
	bool again; /* something was moved to the top */
};

static int open_beneath(int dirfd, const char *name)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH};

	return (int)syscall(SYS_openat2, dirfd, name, &how, sizeof(how));
}

static int remove_entry(
	struct removal *r, int dirfd, const char *name, int depth, struct kg_error *err);

/* Takes fd over. Entries may be skipped by a directory that changes under readdir: read again
 * until nothing was found. */
static int clear_dir(struct removal *r, int fd, int depth, struct kg_error *err)
{
	DIR *dir = fdopendir(fd);
	bool found = true;
	int rc = 0;

	if (!dir) {
		rc = kg_fail_errno(err, "read %s", r->path);
		close(fd);
		return rc;
	}
	while (found && rc == 0) {
		struct dirent *e;

		found = false;
		rewinddir(dir);
		while (rc == 0 && (errno = 0, e = readdir(dir))) {
			if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
				continue;
			found = true;
			rc = remove_entry(r, dirfd(dir), e->d_name, depth, err);
		}
		if (rc == 0 && errno)
			rc = kg_fail_errno(err, "read %s", r->path);
	}
	closedir(dir);
	return rc;
}

static int move_up(struct removal *r, int dirfd, const char *name, struct kg_error *err)
{
	char to[64];

	snprintf(to, sizeof(to), ".removed-%d-%u", (int)getpid(), r->moved++);
	if (renameat(dirfd, name, r->top, to) < 0)
		return kg_fail_errno(err, "move %s up in %s", name, r->path);
	r->again = true;
	return 0;
}

static int remove_entry(
	struct removal *r, int dirfd, const char *name, int depth, struct kg_error *err)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return kg_fail_errno(err, "remove %s in %s", name, r->path);
	if (unlinkat(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return kg_fail_errno(err, "remove %s in %s", name, r->path);
	if (depth >= MAX_DEPTH)
		return move_up(r, dirfd, name, err);
	int fd = open_beneath(dirfd, name);
	if (fd < 0)
		return kg_fail_errno(err, "enter %s in %s", name, r->path);
	int rc = clear_dir(r, fd, depth + 1, err);
	if (rc == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		rc = kg_fail_errno(err, "remove %s in %s", name, r->path);
	return rc;
}

/* Through its parent, so that a path that is itself a mount is refused. */
static int open_top(const char *path)
{
	KG_AUTOFREE char *copy = kg_strdup(path);
	size_t n = strlen(copy);

	while (n > 1 && copy[n - 1] == '/')
		copy[--n] = '\0';
	char *slash = strrchr(copy, '/');
	const char *parent = slash ? (slash == copy ? "/" : copy) : ".";
	if (slash && slash != copy)
		*slash = '\0';
	KG_AUTOCLOSE int dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -1 : open_beneath(dir, slash ? slash + 1 : copy);
}

int kg_remove_tree(const char *path, struct kg_error *err)
{
	struct removal r = {.path = path};

	if (unlink(path) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return kg_fail_errno(err, "remove %s", path);
	KG_AUTOCLOSE int top = open_top(path);
	if (top < 0)
		return kg_fail_errno(err, "open %s", path);
	r.top = top;
	do {
		int fd = open_beneath(top, ".");

		r.again = false;
		if (fd < 0)
			return kg_fail_errno(err, "open %s", path);
		int rc = clear_dir(&r, fd, 0, err);
		if (rc < 0)
			return rc;
	} while (r.again);
	if (rmdir(path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", path);
	return 0;
}
