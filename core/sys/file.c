#include "sys/file.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int kg_file_read(struct kg_buf *out, const char *path, size_t max, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (fstat(fd, &st) < 0)
		return kg_fail_errno(err, "stat %s", path);
	kg_buf_clear(out);
	if (st.st_size > 0 && (size_t)st.st_size <= max)
		kg_buf_reserve(out, (size_t)st.st_size + 1);
	for (;;) {
		char chunk[16384];
		ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return kg_fail_errno(err, "read %s", path);
		if (n == 0)
			return 0;
		if (out->len + (size_t)n > max)
			return kg_fail(
				err, KG_E_TOO_LARGE, "%s has more than %zu bytes", path, max);
		kg_buf_add(out, chunk, (size_t)n);
	}
}

int kg_write_all(int fd, const void *p, size_t n, struct kg_error *err)
{
	const char *s = p;

	while (n) {
		ssize_t w = write(fd, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return kg_fail_errno(err, "write");
		s += w;
		n -= (size_t)w;
	}
	return 0;
}

int kg_sync_dir(const char *path, struct kg_error *err)
{
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return kg_fail_errno(err, "open %s", path);
	if (fsync(fd) < 0)
		return kg_fail_errno(err, "sync %s", path);
	return 0;
}

static int sync_parent(const char *path, struct kg_error *err)
{
	const char *slash = strrchr(path, '/');
	KG_AUTOFREE char *dir = NULL;

	if (!slash)
		dir = kg_strdup(".");
	else
		dir = kg_strndup(path, slash == path ? 1 : (size_t)(slash - path));
	return kg_sync_dir(dir, err);
}

static int open_temporary(char **tmp, const char *path, mode_t mode, struct kg_error *err)
{
	static atomic_uint counter;

	for (;;) {
		free(*tmp);
		*tmp = kg_asprintf(
			"%s.tmp-%d-%u", path, (int)getpid(), atomic_fetch_add(&counter, 1));
		int fd = open(*tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return kg_fail_errno(err, "make %s", *tmp);
	}
}

static int fill(int fd, const char *tmp, const void *p, size_t n, mode_t mode, bool sync,
	struct kg_error *err)
{
	int rc = kg_write_all(fd, p, n, err);

	if (rc < 0)
		return kg_wrap(err, "%s", tmp);
	if (fchmod(fd, mode) < 0)
		return kg_fail_errno(err, "chmod %s", tmp);
	if (sync && fsync(fd) < 0)
		return kg_fail_errno(err, "sync %s", tmp);
	return 0;
}

static int put(
	const char *path, const void *p, size_t n, mode_t mode, bool sync, struct kg_error *err)
{
	KG_AUTOFREE char *tmp = NULL;
	KG_AUTOCLOSE int fd = open_temporary(&tmp, path, mode, err);

	if (fd < 0)
		return fd;
	int rc = fill(fd, tmp, p, n, mode, sync, err);
	if (rc == 0 && rename(tmp, path) < 0)
		rc = kg_fail_errno(err, "rename %s", tmp);
	if (rc < 0)
		unlink(tmp);
	else if (sync)
		rc = sync_parent(path, err);
	return rc;
}

int kg_file_write(const char *path, const void *p, size_t n, mode_t mode, struct kg_error *err)
{
	return put(path, p, n, mode, true, err);
}

int kg_file_replace(const char *path, const void *p, size_t n, mode_t mode, struct kg_error *err)
{
	return put(path, p, n, mode, false, err);
}

int kg_mkdir_p(const char *path, mode_t mode, struct kg_error *err)
{
	KG_AUTOFREE char *part = kg_strdup(path);
	struct stat st;

	for (char *s = part; *s; s++) {
		if (*s != '/' || s == part)
			continue;
		*s = '\0';
		if (mkdir(part, mode) < 0 && errno != EEXIST)
			return kg_fail_errno(err, "mkdir %s", part);
		*s = '/';
	}
	if (mkdir(part, mode) < 0 && errno != EEXIST)
		return kg_fail_errno(err, "mkdir %s", part);
	if (stat(part, &st) < 0)
		return kg_fail_errno(err, "stat %s", part);
	if (!S_ISDIR(st.st_mode))
		return kg_fail(err, KG_E_EXISTS, "%s is not a directory", part);
	return 0;
}

bool kg_path_exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

char *kg_self_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (n <= 0)
		return kg_strdup(".");
	path[n] = '\0';
	char *slash = strrchr(path, '/');
	if (slash && slash != path)
		*slash = '\0';
	return kg_strdup(path);
}
