#include "nodeagent/propagation.h"

#include "base/mem.h"
#include "kinds/object.h"
#include "sys/file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MOUNTINFO_MAX (64 << 20)

/* The n-th field of a line, counted from 0; NULL: it has fewer. */
static const char *field(const char *line, const char *end, int n, size_t *len)
{
	for (; n > 0; n--) {
		line = memchr(line, ' ', (size_t)(end - line));
		if (!line)
			return NULL;
		line++;
	}
	const char *space = memchr(line, ' ', (size_t)(end - line));
	*len = (size_t)((space ? space : end) - line);
	return line;
}

/* "shared:N", "master:N", ... lie between the sixth field and a lone '-'. */
static bool has_tag(const char *line, const char *end, const char *tag)
{
	size_t n;

	for (int i = 6;; i++) {
		const char *f = field(line, end, i, &n);
		if (!f || (n == 1 && *f == '-'))
			return false;
		if (n > strlen(tag) && !memcmp(f, tag, strlen(tag)))
			return true;
	}
}

/* The line of a mount, and where that ends; NULL: it is not there. */
static const char *line_of(const char *mountinfo, uint64_t id, const char **end)
{
	for (const char *line = mountinfo; *line; line = **end ? *end + 1 : *end) {
		*end = strchrnul(line, '\n');
		if (strtoull(line, NULL, 10) == id)
			return line;
	}
	return NULL;
}

int kg_propagation_of(const char *mountinfo, uint64_t id, const char *path, bool slave_is_enough,
	struct kg_error *err)
{
	const char *end, *line = line_of(mountinfo, id, &end);
	size_t n = 0;
	const char *at = line ? field(line, end, 4, &n) : NULL;

	if (!at)
		return kg_fail(err, KG_E_INVALID,
			"path \"%s\": its mount, %llu, is none that the node has", path,
			(unsigned long long)id);
	if (has_tag(line, end, "shared:") || (slave_is_enough && has_tag(line, end, "master:")))
		return 0;
	return kg_fail(err, KG_E_INVALID,
		"path \"%s\" is mounted on \"%.*s\" but it is not a shared%s mount: make it one on "
		"the node (mount --make-rshared), or mount it without mountPropagation",
		path, (int)n, at, slave_is_enough ? " or slave" : "");
}

static int check(const char *path, bool slave_is_enough, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct statx st;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0)
		return kg_fail_errno(err, "%s", path);
	if (!(st.stx_mask & STATX_MNT_ID))
		return kg_fail(err, KG_E_UNSUPPORTED,
			"mountPropagation needs Linux 5.8 or later, which tells the mount of %s",
			path);
	int rc = kg_file_read(&text, "/proc/self/mountinfo", MOUNTINFO_MAX, err);
	if (rc < 0)
		return rc;
	return kg_propagation_of(kg_buf_str(&text), st.stx_mnt_id, path, slave_is_enough, err);
}

int kg_propagation_check(const char *node_dir, const struct kg_volume_source *src,
	const struct kg_value *container, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *mounts = kg_get(container, "volumeMounts");
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < kg_len(mounts); i++) {
		enum kg_propagation p = kg_mount_propagation(&mounts->items[i]);
		const struct kg_value *volume = kg_find(kg_at(src->pod, "spec.volumes"), "name",
			kg_string(kg_get(&mounts->items[i], "name"), ""));
		if (p == KG_PROPAGATION_NONE || !kg_volume_is_host(volume))
			continue;
		const char *path = kg_volume_host_path(&a, node_dir, src, volume);
		rc = path ? check(path, p == KG_PROPAGATION_IN, err)
			  : kg_volume_unbound(src, volume, err);
	}
	return rc;
}
