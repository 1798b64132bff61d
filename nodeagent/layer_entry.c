#include "nodeagent/layer_entry.h"

#include "base/mem.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PATH_LIMIT 4000

int kg_layer_root_open(struct kg_layer_root *r, const char *path, struct kg_error *err)
{
	*r = (struct kg_layer_root){.parent_fd = -1};
	r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->fd < 0 ? kg_fail_errno(err, "open %s", path) : 0;
}

static void forget_parent(struct kg_layer_root *r)
{
	kg_closep(&r->parent_fd);
	r->parent_fd = -1;
	free(r->parent);
	r->parent = NULL;
}

void kg_layer_root_close(struct kg_layer_root *r)
{
	forget_parent(r);
	kg_closep(&r->fd);
	for (size_t i = 0; i < r->ndirs; i++)
		free(r->dirs[i].path);
	free(r->dirs);
}

/* Resolved as if the layer were the root directory: absolute links and ".." stay inside. */
static int open_inside(const struct kg_layer_root *r, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, r->fd, *path ? path : ".", &how, sizeof(how));
}

static int make_parents(struct kg_layer_root *r, const char *path, struct kg_error *err)
{
	KG_AUTOFREE char *p = kg_strdup(path);
	for (char *slash = p; slash;) {
		slash = strchr(slash, '/');
		if (slash)
			*slash = '\0';
		KG_AUTOCLOSE int fd = open_inside(r, p, O_PATH | O_DIRECTORY);
		if (fd < 0 && errno == ENOENT) {
			char *base = strrchr(p, '/');
			if (base)
				*base = '\0';
			KG_AUTOCLOSE int up = open_inside(r, base ? p : "", O_PATH | O_DIRECTORY);
			if (base)
				*base = '/';
			const char *name = base ? base + 1 : p;
			if (up < 0 || mkdirat(up, name, 0755) < 0 ||
				fchmodat(up, name, 0755, 0) < 0)
				return kg_fail_errno(err, "make %s", p);
		} else if (fd < 0) {
			return kg_fail_errno(err, "%s", p);
		}
		if (slash)
			*slash++ = '/';
	}
	return 0;
}

/* The directory that holds path's last component, as a borrowed fd. */
static int parent_of(struct kg_layer_root *r, const char *dir, struct kg_error *err)
{
	if (r->parent && !strcmp(r->parent, dir))
		return r->parent_fd;
	forget_parent(r);
	int fd = open_inside(r, dir, O_RDONLY | O_DIRECTORY);
	if (fd < 0 && errno == ENOENT) {
		int rc = make_parents(r, dir, err);
		if (rc < 0)
			return rc;
		fd = open_inside(r, dir, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0)
		return kg_fail_errno(err, "%s", dir);
	r->parent = kg_strdup(dir);
	r->parent_fd = fd;
	return fd;
}

static int remove_at(int dirfd, const char *name)
{
	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		kg_closep(&fd);
		return -1;
	}
	int rc = 0;
	for (struct dirent *e; rc == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			rc = remove_at(fd, e->d_name);
	closedir(d);
	return rc < 0 ? rc : unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* "./usr//bin/x/" -> "usr/bin/x"; refused where a component is "..". */
static int clean_path(struct kg_buf *out, const char *path, struct kg_error *err)
{
	if (!path || strlen(path) > PATH_LIMIT)
		return kg_fail(err, KG_E_INVALID, "an entry's path is missing or too long");
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		if (n == 2 && !strncmp(p, "..", 2))
			return kg_fail(err, KG_E_INVALID, "%s: leaves the layer", path);
		if (n > 255)
			return kg_fail(err, KG_E_INVALID, "%.100s...: name too long", path);
		if (n > 0 && !(n == 1 && *p == '.')) {
			if (out->len)
				kg_buf_addc(out, '/');
			kg_buf_add(out, p, n);
		}
		p += n + (p[n] == '/');
	}
	return 0;
}

/* A whiteout of the layer's own root marks the layer itself; kg_layer_is_opaque tells. */
static int put_whiteout(int dir, const char *name, struct kg_error *err)
{
	if (!strcmp(name, ".wh..wh..opq")) {
		if (fsetxattr(dir, "trusted.overlay.opaque", "y", 1, 0) < 0)
			return kg_fail_errno(err, "mark opaque");
		return 0;
	}
	if (!strncmp(name, ".wh..wh.", 8))
		return 0; /* aufs' own bookkeeping */
	name += 4;
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return kg_fail(err, KG_E_INVALID, "whiteout of \"%s\"", name);
	if (remove_at(dir, name) < 0 || mknodat(dir, name, S_IFCHR, makedev(0, 0)) < 0)
		return kg_fail_errno(err, "whiteout");
	return 0;
}

static bool is_foreign(const void *data, size_t n)
{
	const unsigned char *p = data;
	unsigned char native = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
	return n > EI_CLASS && memcmp(p, ELFMAG, SELFMAG) == 0 && p[EI_CLASS] != native;
}

static int copy_data(
	struct kg_layer_root *r, int fd, struct archive *a, int64_t *left, struct kg_error *err)
{
	const void *p;
	size_t n;
	la_int64_t at, end = 0;
	int rc;
	while ((rc = archive_read_data_block(a, &p, &n, &at)) == ARCHIVE_OK) {
		end = at + (la_int64_t)n;
		if (n > (uint64_t)*left || end > ((la_int64_t)1 << 42))
			return kg_fail(err, KG_E_TOO_LARGE, "the layer is too large");
		*left -= (int64_t)n;
		r->foreign = r->foreign || (at == 0 && is_foreign(p, n));
		while (n > 0) {
			ssize_t w = pwrite(fd, p, n, at);
			if (w < 0 && errno == EINTR)
				continue;
			if (w <= 0)
				return kg_fail_errno(err, "write");
			p = (const char *)p + w;
			n -= (size_t)w;
			at += w;
		}
	}
	if (rc != ARCHIVE_EOF)
		return kg_fail(err, KG_E_INVALID, "%s", archive_error_string(a));
	return 0;
}

static int put_file(struct kg_layer_root *r, int dir, const char *name, struct archive *a,
	struct archive_entry *e, int64_t *left, struct kg_error *err)
{
	KG_AUTOCLOSE int fd =
		openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return kg_fail_errno(err, "create");
	int rc = copy_data(r, fd, a, left, err);
	if (rc < 0)
		return rc;
	/* Sparse to the end: no data block tells the size. */
	struct stat st;
	int64_t size = archive_entry_size(e);
	if (size > ((int64_t)1 << 42))
		return kg_fail(err, KG_E_TOO_LARGE, "the file is too large");
	if (fstat(fd, &st) == 0 && st.st_size < size && ftruncate(fd, size) < 0)
		return kg_fail_errno(err, "truncate");
	return 0;
}

static int put_hardlink(struct kg_layer_root *r, int dir, const char *name, const char *target,
	struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf path = KG_BUF_INIT;
	int rc = clean_path(&path, target, err);
	if (rc < 0)
		return rc;
	if (!path.len)
		return kg_fail(err, KG_E_INVALID, "hard link to the root");
	char *slash = strrchr(path.data, '/');
	if (slash)
		*slash = '\0';
	KG_AUTOCLOSE int from = open_inside(r, slash ? path.data : "", O_PATH | O_DIRECTORY);
	const char *base = slash ? slash + 1 : path.data;
	if (from < 0)
		return kg_fail_errno(err, "hard link to %s", target);
	struct stat a, b;
	if (fstatat(from, base, &a, AT_SYMLINK_NOFOLLOW) == 0 &&
		fstatat(dir, name, &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_dev == b.st_dev &&
		a.st_ino == b.st_ino)
		return 0;
	if (remove_at(dir, name) < 0 || linkat(from, base, dir, name, 0) < 0)
		return kg_fail_errno(err, "hard link to %s", target);
	return 0;
}

static void put_xattrs(int dir, const char *name, struct archive_entry *e)
{
	char path[300];
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
	archive_entry_xattr_reset(e);
	const char *key;
	const void *value;
	size_t n;
	/* trusted.overlay.* would steer overlayfs; labels are the host's. A file system without
	 * user attributes loses them, as with every other unpacker. */
	while (archive_entry_xattr_next(e, &key, &value, &n) == ARCHIVE_OK)
		if (!strcmp(key, "security.capability") || !strncmp(key, "user.", 5))
			(void)lsetxattr(path, key, value, n, 0);
}

static int put_owner(
	int dir, const char *name, struct archive_entry *e, bool link, struct kg_error *err)
{
	uid_t uid = (uid_t)archive_entry_uid(e);
	gid_t gid = (gid_t)archive_entry_gid(e);
	if (fchownat(dir, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return kg_fail_errno(err, "chown");
	if (!link && fchmodat(dir, name, archive_entry_perm(e) & 07777, 0) < 0)
		return kg_fail_errno(err, "chmod");
	put_xattrs(dir, name, e);
	return 0;
}

static int put_node(int dir, const char *name, struct archive_entry *e, struct kg_error *err)
{
	mode_t type = archive_entry_filetype(e);
	dev_t dev = archive_entry_rdev(e);
	if (type == AE_IFCHR && dev == makedev(0, 0))
		return kg_fail(err, KG_E_INVALID, "a device 0/0 in an archive");
	if (mknodat(dir, name, (type & S_IFMT) | 0600, type == AE_IFIFO ? 0 : dev) < 0)
		return kg_fail_errno(err, "mknod");
	return 0;
}

static void note_dir(struct kg_layer_root *r, const char *path, struct archive_entry *e)
{
	KG_GROW(r->dirs, r->cap, r->ndirs + 1);
	r->dirs[r->ndirs++] = (struct kg_layer_dir){
		kg_strdup(path),
		{archive_entry_mtime(e), archive_entry_mtime_nsec(e)},
	};
}

static int put_dir(struct kg_layer_root *r, int dir, const char *name, const char *path,
	struct archive_entry *e, struct kg_error *err)
{
	struct stat st;
	bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (there && !S_ISDIR(st.st_mode)) {
		if (remove_at(dir, name) < 0)
			return kg_fail_errno(err, "replace");
		there = false;
	}
	if (!there && mkdirat(dir, name, 0700) < 0)
		return kg_fail_errno(err, "mkdir");
	note_dir(r, path, e);
	return put_owner(dir, name, e, false, err);
}

static int put_other(struct kg_layer_root *r, int dir, const char *name, struct archive *a,
	struct archive_entry *e, int64_t *left, struct kg_error *err)
{
	mode_t type = archive_entry_filetype(e);
	if (remove_at(dir, name) < 0)
		return kg_fail_errno(err, "replace");
	int rc = 0;
	switch (type) {
	case AE_IFREG:
		rc = put_file(r, dir, name, a, e, left, err);
		break;
	case AE_IFLNK:
		if (symlinkat(archive_entry_symlink(e), dir, name) < 0)
			rc = kg_fail_errno(err, "symlink");
		break;
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		rc = put_node(dir, name, e, err);
		break;
	default:
		return kg_fail(err, KG_E_INVALID, "unknown type of entry");
	}
	if (rc == 0)
		rc = put_owner(dir, name, e, type == AE_IFLNK, err);
	if (rc == 0) {
		struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
			{archive_entry_mtime(e), archive_entry_mtime_nsec(e)}};
		(void)utimensat(dir, name, t, AT_SYMLINK_NOFOLLOW);
	}
	return rc;
}

static int put_root(struct kg_layer_root *r, struct archive_entry *e, struct kg_error *err)
{
	if (archive_entry_filetype(e) != AE_IFDIR)
		return kg_fail(err, KG_E_INVALID, "the layer's root is not a directory");
	if (fchown(r->fd, (uid_t)archive_entry_uid(e), (gid_t)archive_entry_gid(e)) < 0 ||
		fchmod(r->fd, archive_entry_perm(e) & 07777) < 0)
		return kg_fail_errno(err, "root");
	return 0;
}

static int put_at(struct kg_layer_root *r, const char *path, const char *dirname, const char *name,
	struct archive *a, struct archive_entry *e, int64_t *left, struct kg_error *err)
{
	int dir = parent_of(r, dirname, err);
	if (dir < 0)
		return dir;
	if (!strncmp(name, ".wh.", 4))
		return put_whiteout(dir, name, err);
	const char *link = archive_entry_hardlink(e);
	if (link)
		return put_hardlink(r, dir, name, link, err);
	if (archive_entry_filetype(e) == AE_IFDIR)
		return put_dir(r, dir, name, path, e, err);
	return put_other(r, dir, name, a, e, left, err);
}

int kg_layer_entry_put(struct kg_layer_root *r, struct archive *a, struct archive_entry *e,
	int64_t *left, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf path = KG_BUF_INIT;
	int rc = clean_path(&path, archive_entry_pathname(e), err);
	if (rc < 0)
		return rc;
	if (!path.len)
		return put_root(r, e, err);
	KG_AUTOFREE char *dirname = kg_strdup(path.data);
	char *slash = strrchr(dirname, '/');
	*(slash ? slash : dirname) = '\0';
	const char *name = slash ? slash + 1 : path.data;
	rc = put_at(r, path.data, dirname, name, a, e, left, err);
	return rc < 0 ? kg_wrap(err, "%.200s", path.data) : 0;
}

void kg_layer_set_times(struct kg_layer_root *r)
{
	for (size_t i = r->ndirs; i-- > 0;) {
		KG_AUTOCLOSE int fd =
			open_inside(r, r->dirs[i].path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
		struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, r->dirs[i].mtime};
		if (fd >= 0)
			(void)futimens(fd, t);
	}
}
