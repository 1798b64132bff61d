#include "nodeagent/propagation.h"

#include "base/mem.h"
#include "kinds/object.h"
#include "sys/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

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

/* Is the mount at `mount` (n bytes as mountinfo writes them) one that holds the path? */
static bool holds(const char *mount, size_t n, const char *path)
{
	size_t at = 0;

	for (size_t i = 0; i < n; i++, at++) {
		char c = mount[i];
		if (c == '\\' && n - i > 3) {
			c = (char)((mount[i + 1] - '0') * 64 + (mount[i + 2] - '0') * 8 +
				   (mount[i + 3] - '0'));
			i += 3;
		}
		if (path[at] != c)
			return n == 1 && *mount == '/';
	}
	return n == 1 || !path[at] || path[at] == '/';
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

int kg_propagation_of(
	const char *mountinfo, const char *path, bool slave_is_enough, struct kg_error *err)
{
	const char *best = NULL, *best_end = NULL, *at = "";
	size_t n, longest = 0;

	for (const char *line = mountinfo; *line;) {
		const char *end = strchrnul(line, '\n');
		const char *mount = field(line, end, 4, &n);
		/* Of two at one place the later hides the earlier. */
		if (mount && n >= longest && holds(mount, n, path)) {
			best = line;
			best_end = end;
			at = mount;
			longest = n;
		}
		line = *end ? end + 1 : end;
	}
	if (best && (has_tag(best, best_end, "shared:") ||
			    (slave_is_enough && has_tag(best, best_end, "master:"))))
		return 0;
	return kg_fail(err, KG_E_INVALID,
		"path \"%s\" is mounted on \"%.*s\" but it is not a shared%s mount: make it one on "
		"the node (mount --make-rshared), or mount it without mountPropagation",
		path, (int)longest, at, slave_is_enough ? " or slave" : "");
}

static int check(const char *path, bool slave_is_enough, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	KG_AUTOFREE char *real = realpath(path, NULL);
	int rc = kg_file_read(&text, "/proc/self/mountinfo", MOUNTINFO_MAX, err);

	if (rc < 0)
		return rc;
	return kg_propagation_of(kg_buf_str(&text), real ? real : path, slave_is_enough, err);
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
