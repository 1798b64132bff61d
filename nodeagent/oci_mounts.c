/* What is mounted in a container, and the paths within volumes that are. */
#include "kinds/object.h"
#include "nodeagent/oci_private.h"
#include "nodeagent/volumes.h"

#include <string.h>

#define OVERLAY_PAGE 4000

static struct kg_value mount_of(struct kg_arena *a, const char *to, const char *type,
	const char *source, const char *const *options, size_t n)
{
	return kg_v_obj(a, "destination", kg_v_str(a, to), "type", kg_v_lit(type), "source",
		kg_v_str(a, source), "options", kg_spec_strings(a, options, n), (char *)NULL);
}
#define MOUNT(a, to, type, source, ...)                                                            \
	mount_of(a, to, type, source, (const char *const[]){__VA_ARGS__},                          \
		KG_ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void bind_as(struct kg_spec_build *b, struct kg_spec_list *l, const char *from,
	const char *to, bool ro, const char *propagation)
{
	kg_spec_push(l, MOUNT(b->a, to, "bind", from, "rbind", propagation, ro ? "ro" : "rw"));
}

static void bind(
	struct kg_spec_build *b, struct kg_spec_list *l, const char *from, const char *to, bool ro)
{
	bind_as(b, l, from, to, ro, "rprivate");
}

static int root_mount(struct kg_spec_build *b, struct kg_spec_list *l, struct kg_error *err)
{
	const struct kg_image *im = b->in->image;
	KG_AUTOBUF struct kg_buf lower = KG_BUF_INIT;
	kg_buf_adds(&lower, "lowerdir=");
	for (size_t i = 0; i < im->nlayers; i++)
		kg_buf_addf(&lower, "../l/%s:", im->layers[i]);
	kg_buf_adds(&lower, "../l/" KG_IMAGE_BASE);
	char *upper = kg_arena_printf(b->a, "upperdir=%s", b->in->upper);
	char *work = kg_arena_printf(b->a, "workdir=%s", b->in->work);
	if (lower.len + strlen(upper) + strlen(work) > OVERLAY_PAGE)
		return kg_fail(
			err, KG_E_TOO_LARGE, "the image has too many layers (%zu)", im->nlayers);
	kg_spec_push(l, MOUNT(b->a, "/", "overlay", "overlay",
				kg_arena_strndup(b->a, lower.data, lower.len), upper, work));
	return 0;
}

static void usual_mounts(struct kg_spec_build *b, struct kg_spec_list *l)
{
	struct kg_arena *a = b->a;
	kg_spec_push(l, MOUNT(a, "/proc", "proc", "proc", "nosuid", "noexec", "nodev"));
	kg_spec_push(l, MOUNT(a, "/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755",
				"size=65536k"));
	kg_spec_push(l, MOUNT(a, "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
				"ptmxmode=0666", "mode=0620", "gid=5"));
	kg_spec_push(l, MOUNT(a, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"));
	kg_spec_push(l, MOUNT(a, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev",
				b->privileged ? "rw" : "ro"));
	kg_spec_push(l, MOUNT(a, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev",
				"relatime", b->privileged ? "rw" : "ro"));
	if (kg_pod_host_ipc(b->in->pod))
		bind(b, l, "/dev/shm", "/dev/shm", false);
	else if (b->in->shm)
		bind(b, l, b->in->shm, "/dev/shm", false);
	else
		kg_spec_push(l, MOUNT(a, "/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev",
					"mode=1777", "size=65536k"));
}

static int depth(const char *path)
{
	int n = 0;
	for (; *path; path++)
		n += *path == '/' && path[1];
	return n;
}

/* A mount of the user's stands in for ours at the same place. */
static bool user_mounts(const struct kg_spec_build *b, const char *path)
{
	return !kg_is_null(kg_find(kg_get(b->in->container, "volumeMounts"), "mountPath", path));
}

static void file_mounts(struct kg_spec_build *b, struct kg_spec_list *l)
{
	static const char *const names[] = {"hosts", "hostname", "resolv.conf"};
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		char *to = kg_arena_printf(b->a, "/etc/%s", names[i]);
		if (!user_mounts(b, to))
			bind(b, l, kg_arena_printf(b->a, "%s/%s", b->in->files_dir, names[i]), to,
				false);
	}
	const char *term = kg_string(
		kg_get(b->in->container, "terminationMessagePath"), "/dev/termination-log");
	if (*term == '/' && b->in->term_log)
		bind(b, l, b->in->term_log, term, false);
}

/* Does it mount a path within the volume, and not the whole? */
static bool is_sub(const struct kg_value *mount)
{
	return *kg_string(kg_get(mount, "subPath"), "") ||
	       *kg_string(kg_get(mount, "subPathExpr"), "");
}

static const char *sub_target(const struct kg_spec_in *in, struct kg_arena *a, uint32_t i)
{
	return kg_arena_printf(a, "%s/%u", in->sub_dir ? in->sub_dir : "", i);
}

/* How what is mounted later passes into a mount, and out of it. */
static const char *propagation(const struct kg_value *mount)
{
	static const char *const options[] = {[KG_PROPAGATION_NONE] = "rprivate",
		[KG_PROPAGATION_IN] = "rslave",
		[KG_PROPAGATION_BOTH] = "rshared"};

	return options[kg_mount_propagation(mount)];
}

/* Where the whole of a volume lies. */
static int volume_dir(const char **out, struct kg_arena *a, const struct kg_spec_in *in,
	const struct kg_value *volume, struct kg_error *err)
{
	struct kg_volume_source src = {.pod = in->pod, .objects = in->configmaps};
	const char *name = kg_string(kg_get(volume, "name"), "");

	*out = kg_volume_is_host(volume) ? kg_volume_host_path(a, in->node_dir, &src, volume)
					 : kg_volume_path(a, in->pod_dir, in->run_dir, name);
	return *out ? 0 : kg_volume_unbound(&src, volume, err);
}

/* Outer ones first. */
static int volume_mounts(struct kg_spec_build *b, struct kg_spec_list *l, struct kg_error *err)
{
	const struct kg_value *mounts = kg_get(b->in->container, "volumeMounts");
	const struct kg_value *volumes = kg_at(b->in->pod, "spec.volumes");
	if (kg_len(mounts) > KG_SPEC_MOUNTS)
		return kg_fail(err, KG_E_INVALID, "more than %d volume mounts", KG_SPEC_MOUNTS);
	uint32_t placed = 0;
	for (int d = 0; placed < kg_len(mounts); d++) {
		for (uint32_t i = 0; i < kg_len(mounts); i++) {
			const struct kg_value *m = &mounts->items[i];
			const char *name = kg_string(kg_get(m, "name"), "");
			const char *to = kg_string(kg_get(m, "mountPath"), "");
			const struct kg_value *v = kg_find(volumes, "name", name);
			if (kg_is_null(v))
				return kg_fail(err, KG_E_INVALID, "no volume \"%s\"", name);
			if (depth(to) != d)
				continue;
			bool ro = kg_bool(kg_get(m, "readOnly"), false) ||
				  kg_volume_is_projection(v) || kg_volume_is_read_only(v);
			const char *from;
			int rc = volume_dir(&from, b->a, b->in, v, err);
			if (rc < 0)
				return rc;
			if (is_sub(m))
				from = sub_target(b->in, b->a, i);
			bind_as(b, l, from, to, ro, propagation(m));
			placed++;
		}
	}
	return 0;
}

int kg_spec_mounts(struct kg_value *out, struct kg_spec_build *b, struct kg_error *err)
{
	struct kg_spec_list l = {.len = 0};
	int rc = root_mount(b, &l, err);
	if (rc < 0)
		return rc;
	usual_mounts(b, &l);
	file_mounts(b, &l);
	rc = volume_mounts(b, &l, err);
	*out = kg_v_array(b->a, l.items, l.len);
	return rc;
}

/* ---- paths within volumes ---- */

/* What kubelet says of a path that it has put the variables into. */
static int check_path(const char *path, struct kg_error *err)
{
	if (*path == '/')
		return kg_fail(err, KG_E_INVALID, "subPath \"%s\" is not relative", path);
	for (const char *p = path; p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return kg_fail(err, KG_E_INVALID, "subPath \"%s\" contains '..'", path);
	return 0;
}

static int sub_path(const char **out, struct kg_spec_build *b, const struct kg_value *mount,
	struct kg_error *err)
{
	const char *expr = kg_string(kg_get(mount, "subPathExpr"), "");
	const char *missing = NULL;

	*out = kg_string(kg_get(mount, "subPath"), "");
	if (*expr)
		*out = kg_env_expand_all(b->a, expr, &b->own, &missing);
	if (missing)
		return kg_fail(err, KG_E_INVALID,
			"cannot expand subPathExpr \"%s\": missing value for \"%s\"", expr,
			missing);
	return check_path(*out, err);
}

static int subpaths(
	struct kg_spec_subpath *out, size_t *n, struct kg_spec_build *b, struct kg_error *err)
{
	const struct kg_value *mounts = kg_get(b->in->container, "volumeMounts");
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < kg_len(mounts) && i < KG_SPEC_MOUNTS; i++) {
		const struct kg_value *m = &mounts->items[i];
		const char *name = kg_string(kg_get(m, "name"), "");
		const struct kg_value *v = kg_find(kg_at(b->in->pod, "spec.volumes"), "name", name);
		struct kg_spec_subpath *s = &out[*n];
		if (!is_sub(m) || kg_is_null(v))
			continue;
		s->target = sub_target(b->in, b->a, i);
		rc = volume_dir(&s->volume, b->a, b->in, v, err);
		if (rc == 0)
			rc = sub_path(&s->path, b, m, err);
		/* Variables that are empty, or ".": the whole. */
		if (rc == 0 && !*s->path)
			s->path = ".";
		*n += rc == 0;
	}
	return rc;
}

int kg_oci_subpaths(struct kg_spec_subpath *out, size_t *n, struct kg_arena *a,
	const struct kg_spec_in *in, struct kg_error *err)
{
	const struct kg_value *mounts = kg_get(in->container, "volumeMounts");
	struct kg_spec_build b = {.a = a, .in = in};
	bool any = false;

	*n = 0;
	for (uint32_t i = 0; i < kg_len(mounts); i++)
		any = any || is_sub(&mounts->items[i]);
	int rc = any ? kg_spec_own_env(&b, err) : 0;
	if (rc == 0 && any)
		rc = subpaths(out, n, &b, err);
	kg_env_release(&b.own);
	return rc;
}

/* The whole of the container's tree must be open to what its mounts are: runc makes all of it a
 * slave first otherwise, or leaves it so. */
const char *kg_spec_root_propagation(const struct kg_value *container)
{
	const struct kg_value *mounts = kg_get(container, "volumeMounts");
	enum kg_propagation most = KG_PROPAGATION_NONE;

	for (uint32_t i = 0; i < kg_len(mounts); i++) {
		enum kg_propagation p = kg_mount_propagation(&mounts->items[i]);
		most = p > most ? p : most;
	}
	return most == KG_PROPAGATION_BOTH ? "rshared"
	       : most == KG_PROPAGATION_IN ? "rslave"
					   : NULL;
}
