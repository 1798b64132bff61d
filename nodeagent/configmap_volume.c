#include "base/hash.h"
#include "nodeagent/volumes.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 4096

struct file {
	const char *path; /* relative; checked */
	const char *data;
	size_t len;
	mode_t mode;
};
struct payload {
	struct file *files;
	size_t len, cap;
	struct kg_arena arena;
};

static void release(struct payload *p)
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

static int add_file(struct payload *p, const char *path, const struct kg_value *text,
	const struct kg_value *binary, mode_t mode, struct kg_error *err)
{
	if (!path_ok(path))
		return kg_fail(err, KG_E_INVALID, "\"%s\" is not a path within a volume", path);
	if (p->len == MAX_FILES)
		return kg_fail(err, KG_E_TOO_LARGE, "more than %d files", MAX_FILES);
	struct file f = {.path = path, .mode = mode};
	if (text->type == KG_STRING) {
		f.data = text->s;
		f.len = text->len;
	} else {
		KG_AUTOFREE unsigned char *raw =
			kg_base64_decode(kg_string(binary, ""), binary->len, &f.len);
		if (!raw)
			return kg_fail(err, KG_E_INVALID, "%s: not base64", path);
		f.data = kg_arena_strndup(&p->arena, (const char *)raw, f.len);
	}
	KG_GROW(p->files, p->cap, p->len + 1);
	p->files[p->len++] = f;
	return 0;
}

static int add_items(struct payload *p, const struct kg_value *source, const struct kg_value *map,
	mode_t mode, struct kg_error *err)
{
	const struct kg_value *items = kg_get(source, "items");
	for (uint32_t i = 0; i < kg_len(items); i++) {
		const struct kg_value *it = &items->items[i];
		const char *key = kg_string(kg_get(it, "key"), "");
		const struct kg_value *text = kg_get(kg_get(map, "data"), key);
		const struct kg_value *bin = kg_get(kg_get(map, "binaryData"), key);
		if (kg_is_null(text) && kg_is_null(bin)) {
			if (kg_bool(kg_get(source, "optional"), false))
				continue;
			return kg_fail(err, KG_E_NOT_FOUND,
				"configmap \"%s\" references non-existent config key: %s",
				kg_string(kg_get(source, "name"), ""), key);
		}
		mode_t m = (mode_t)kg_int(kg_get(it, "mode"), mode);
		int rc = add_file(p, kg_string(kg_get(it, "path"), ""), text, bin, m, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int add_all(struct payload *p, const struct kg_value *map, mode_t mode, struct kg_error *err)
{
	const struct kg_value *data = kg_get(map, "data"), *bin = kg_get(map, "binaryData");
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < kg_len(data); i++)
		rc = add_file(
			p, data->members[i].key, &data->members[i].value, &kg_null, mode, err);
	for (uint32_t i = 0; rc == 0 && i < kg_len(bin); i++)
		rc = add_file(p, bin->members[i].key, &kg_null, &bin->members[i].value, mode, err);
	return rc;
}

/* "..HEX" of all that is in it: the same content is the same directory. */
static void payload_name(char out[24], const struct payload *p, int64_t fs_group)
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

static int write_file(const char *dir, const struct file *f, int64_t fs_group, struct kg_error *err)
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
	KG_AUTOFREE char *tmp = kg_asprintf("%s/..tmp_%s", dir, name);
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

static int put_links(const char *dir, const struct payload *p, struct kg_error *err)
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

static int write_payload(
	const char *dir, const struct payload *p, int64_t fs_group, struct kg_error *err)
{
	char name[24], have[64] = "";
	payload_name(name, p, fs_group);
	KG_AUTOFREE char *data = kg_asprintf("%s/..data", dir);
	ssize_t n = readlink(data, have, sizeof(have) - 1);
	if (n >= 0 && (size_t)n == strlen(name) && !strncmp(have, name, (size_t)n))
		return 0;
	KG_AUTOFREE char *sub = kg_asprintf("%s/%s", dir, name);
	int rc = kg_mkdir_p(sub, 0755, err);
	for (size_t i = 0; rc == 0 && i < p->len; i++)
		rc = write_file(sub, &p->files[i], fs_group, err);
	if (rc == 0)
		rc = put_link(dir, "..data", name, err);
	if (rc == 0)
		rc = put_links(dir, p, err);
	if (rc == 0)
		tidy(dir, name);
	return rc;
}

int kg_volume_write_configmap(const char *dir, const struct kg_value *source,
	const struct kg_value *map, int64_t fs_group, struct kg_error *err)
{
	struct payload p KG_CLEANUP(release) = {0};
	mode_t mode = (mode_t)kg_int(kg_get(source, "defaultMode"), 0644);
	if (kg_is_null(map) && !kg_bool(kg_get(source, "optional"), false))
		return kg_fail(err, KG_E_NOT_FOUND, "configmap \"%s\" not found",
			kg_string(kg_get(source, "name"), ""));
	int rc = kg_mkdir_p(dir, 0755, err);
	if (rc == 0 && kg_len(kg_get(source, "items")) > 0)
		rc = add_items(&p, source, map, mode, err);
	else if (rc == 0)
		rc = add_all(&p, map, mode, err);
	return rc < 0 ? rc : write_payload(dir, &p, fs_group, err);
}
