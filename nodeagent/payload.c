#include "nodeagent/payload.h"

#include "base/buf.h"
#include "base/hash.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 4096

void kg_payload_release(struct kg_payload *p)
{
	free(p->files);
	kg_arena_release(&p->arena);
}

static bool path_ok(const char *path)
{
	if (!*path || *path == '/' || strlen(path) > 1000)
		return false;
	for (const char *p = path; *p; p += strspn(p, "/")) {
		size_t n = strcspn(p, "/");
		if (n == 0 || n > 255 || (n >= 2 && p[0] == '.' && p[1] == '.') ||
			(n == 1 && *p == '.'))
			return false;
		p += n;
	}
	return true;
}

static struct kg_payload_file *find(struct kg_payload *p, const char *path)
{
	for (size_t i = 0; i < p->len; i++)
		if (!strcmp(p->files[i].path, path))
			return &p->files[i];
	return NULL;
}

int kg_payload_add(struct kg_payload *p, const char *path, const char *data, size_t len,
	mode_t mode, struct kg_error *err)
{
	struct kg_payload_file *f = find(p, path);
	if (!path_ok(path))
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a path within a volume", path);
	if (p->len == MAX_FILES)
		return kg_fail(err, KG_E_TOO_LARGE, "more than %d files", MAX_FILES);
	if (!f) {
		KG_GROW(p->files, p->cap, p->len + 1);
		f = &p->files[p->len++];
	}
	*f = (struct kg_payload_file){.path = kg_arena_strdup(&p->arena, path),
		.data = kg_arena_strndup(&p->arena, data, len),
		.len = len,
		.mode = mode};
	return 0;
}

/* "..HEX" of all that is in it: the same content is the same directory. */
static void payload_name(char out[24], const struct kg_payload *p, int64_t fs_group)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	kg_buf_addf(&b, "%lld\n", (long long)fs_group);
	for (size_t i = 0; i < p->len; i++) {
		kg_buf_addf(&b, "%s %o %zu\n", p->files[i].path, p->files[i].mode, p->files[i].len);
		kg_buf_add(&b, p->files[i].data, p->files[i].len);
	}
	unsigned char d[32];
	kg_sha256(d, kg_buf_str(&b), b.len);
	memcpy(out, "..", 2);
	kg_hex(out + 2, d, 8);
}

static int write_file(
	const char *dir, const struct kg_payload_file *f, int64_t fs_group, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, f->path);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	int rc = kg_mkdir_p(path, 0755, err);
	*slash = '/';
	if (rc < 0)
		return rc;
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return kg_fail_errno(err, "%s", path);
	rc = kg_write_all(fd, f->data, f->len, err);
	/* With fsGroup the group may read what the owner may, as kubelet has it. */
	mode_t mode = f->mode;
	if (fs_group >= 0) {
		mode |= (mode & 0400) >> 3;
		if (rc == 0 && fchown(fd, (uid_t)-1, (gid_t)fs_group) < 0)
			rc = kg_fail_errno(err, "chown %s", path);
	}
	if (rc == 0 && fchmod(fd, mode) < 0)
		rc = kg_fail_errno(err, "chmod %s", path);
	return rc;
}

/* A link that takes the place of whatever has its name, in one step. */
static int put_link(const char *dir, const char *name, const char *target, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	KG_AUTOFREE char *tmp = kg_asprintf("%s/..tmp", dir); /* names are as long as can be */
	char have[1100];
	ssize_t n = readlink(path, have, sizeof(have) - 1);
	if (n >= 0) {
		have[n] = '\0';
		if (!strcmp(have, target))
			return 0;
	}
	if (unlink(tmp) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", tmp);
	if (symlink(target, tmp) < 0 || rename(tmp, path) < 0)
		return kg_fail_errno(err, "link %s", path);
	return 0;
}

static int put_links(const char *dir, const struct kg_payload *p, struct kg_error *err)
{
	for (size_t i = 0; i < p->len; i++) {
		char name[256], target[300];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p->files[i].path, "/"),
			p->files[i].path);
		snprintf(target, sizeof(target), "..data/%s", name);
		int rc = put_link(dir, name, target, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Links to files that are no more, and directories of earlier contents. */
static void tidy(const char *dir, const char *current)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; d && (e = readdir(d));) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, e->d_name);
		struct kg_error ignored; /* tried again with the next change */
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
			!strcmp(e->d_name, "..data") || !strcmp(e->d_name, current))
			continue;
		if (!strncmp(e->d_name, "..", 2))
			kg_remove_tree(path, &ignored);
		else if (access(path, F_OK) < 0)
			unlink(path);
	}
	if (d)
		closedir(d);
}

static int write_files(const char *dir, const char *name, const struct kg_payload *p,
	int64_t fs_group, struct kg_error *err)
{
	KG_AUTOFREE char *sub = kg_asprintf("%s/%s", dir, name);
	int rc = kg_mkdir_p(sub, 0755, err);
	for (size_t i = 0; rc == 0 && i < p->len; i++)
		rc = write_file(sub, &p->files[i], fs_group, err);
	return rc < 0 ? rc : put_link(dir, "..data", name, err);
}

/* Nothing is synced: after a power cut a file may be there without what was in it. */
static bool holds(const char *sub, const struct kg_payload *p)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < p->len; i++) {
		const struct kg_payload_file *f = &p->files[i];
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", sub, f->path);
		if (kg_file_read(&b, path, f->len, NULL) < 0 || b.len != f->len ||
			memcmp(kg_buf_str(&b), f->data, f->len) != 0)
			return false;
	}
	return true;
}

static bool is_there(const char *dir, const char *name, const struct kg_payload *p)
{
	char have[64] = "";
	KG_AUTOFREE char *data = kg_asprintf("%s/..data", dir);
	return readlink(data, have, sizeof(have) - 1) >= 0 && !strcmp(have, name) && holds(data, p);
}

int kg_payload_write(
	const char *dir, const struct kg_payload *p, int64_t fs_group, struct kg_error *err)
{
	char name[24];
	int rc = 0;
	payload_name(name, p, fs_group);
	if (!is_there(dir, name, p))
		rc = write_files(dir, name, p, fs_group, err);
	/* Also where the files are there: whoever wrote them may have ended before these. */
	if (rc == 0)
		rc = put_links(dir, p, err);
	if (rc == 0)
		tidy(dir, name);
	return rc;
}
