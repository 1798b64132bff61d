#include "nodeagent/oci_spec.h"

#include "kinds/amount.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/caps.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/env.h"
#include "nodeagent/resources.h"
#include "nodeagent/seccomp.h"
#include "nodeagent/user.h"
#include "nodeagent/volumes.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PIDS_LIMIT   16384
#define OVERLAY_PAGE 4000

struct list {
	struct kg_value items[128];
	size_t len;
};
struct build {
	struct kg_arena *a;
	const struct kg_spec_in *in;
	const struct kg_value *security; /* the container's */
	bool privileged;
	struct kg_env own; /* envFrom and env */
	struct kg_env env; /* with the image's */
	struct kg_user user;
	const char *caps[KG_CAPS_MAX];
	size_t ncaps;
};

static void push(struct list *l, struct kg_value v)
{
	if (l->len < KG_ARRAY_LEN(l->items))
		l->items[l->len++] = v;
}

static struct kg_value strings(struct kg_arena *a, const char *const *s, size_t n)
{
	struct kg_value *v = kg_arena_alloc(a, (n + 1) * sizeof(*v));
	for (size_t i = 0; i < n; i++)
		v[i] = kg_v_lit(s[i]);
	return kg_v_array(a, v, n);
}

void kg_spec_host_read(struct kg_spec_host *host)
{
	*host = (struct kg_spec_host){0};
	for (int c = 0; c < 64; c++)
		if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
			host->capabilities |= UINT64_C(1) << c;
	FILE *f = fopen("/proc/self/oom_score_adj", "re");
	if (f && fscanf(f, "%d", &host->oom_score_adj) != 1)
		host->oom_score_adj = 0;
	if (f)
		fclose(f);
	host->memory_bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
}

bool kg_pod_host_network(const struct kg_value *pod)
{
	return kg_bool(kg_at(pod, "spec.hostNetwork"), false);
}

bool kg_pod_host_ipc(const struct kg_value *pod)
{
	return kg_bool(kg_at(pod, "spec.hostIPC"), false);
}

bool kg_pod_shares_pid(const struct kg_value *pod)
{
	return kg_bool(kg_at(pod, "spec.shareProcessNamespace"), false);
}

const char *kg_pod_hostname(struct kg_arena *a, const struct kg_value *pod)
{
	const char *name = kg_string(kg_at(pod, "spec.hostname"), "");
	if (!*name)
		name = kg_string(kg_at(pod, "metadata.name"), "");
	size_t n = strlen(name);
	if (n > 63)
		n = 63;
	while (n > 0 && (name[n - 1] == '-' || name[n - 1] == '.'))
		n--;
	return kg_arena_strndup(a, name, n);
}

/* ---- the process ---- */

static void image_env(struct build *b)
{
	const struct kg_value *list = kg_array(kg_get(&b->in->image->config, "Env"));
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *s = kg_string(&list->items[i], ""), *eq = strchr(s, '=');
		if (eq && eq != s)
			kg_env_set(&b->env, kg_arena_strndup(b->a, s, (size_t)(eq - s)), eq + 1);
	}
}

/* Where the API is, as Kubernetes has it of the Service "kubernetes" in every container. */
static void api_env(struct build *b)
{
	const char *ip = kg_api_address(b->in->configmaps);
	if (!ip)
		return;
	const char *url = kg_arena_printf(b->a, "tcp://%s:443", ip);
	const char *const vars[][2] = {
		{"KUBERNETES_PORT", url},
		{"KUBERNETES_PORT_443_TCP", url},
		{"KUBERNETES_PORT_443_TCP_ADDR", ip},
		{"KUBERNETES_PORT_443_TCP_PORT", "443"},
		{"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
		{"KUBERNETES_SERVICE_HOST", ip},
		{"KUBERNETES_SERVICE_PORT", "443"},
		{"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(vars); i++)
		kg_env_set(&b->own, vars[i][0], vars[i][1]);
}

static int make_own_env(struct build *b, struct kg_error *err)
{
	struct kg_env_source src = {
		b->in->pod, b->in->container, b->in->configmaps, b->in->node_name};
	api_env(b);
	return kg_env_of_container(&b->own, b->a, &src, err);
}

static int make_env(struct build *b, struct kg_error *err)
{
	int rc = make_own_env(b, err);
	if (rc < 0)
		return rc;
	kg_env_set(&b->env, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	kg_env_set(&b->env, "HOSTNAME", kg_pod_hostname(b->a, b->in->pod));
	image_env(b);
	for (size_t i = 0; i < b->own.len; i++)
		kg_env_set(&b->env, b->own.vars[i].name, b->own.vars[i].value);
	if (!kg_env_get(&b->env, "HOME"))
		kg_env_set(&b->env, "HOME", b->user.home);
	return 0;
}

static struct kg_value env_value(struct build *b)
{
	struct kg_value *v = kg_arena_alloc(b->a, (b->env.len + 1) * sizeof(*v));
	for (size_t i = 0; i < b->env.len; i++)
		v[i] = kg_v_strf(b->a, "%s=%s", b->env.vars[i].name, b->env.vars[i].value);
	return kg_v_array(b->a, v, b->env.len);
}

static void add_args(struct build *b, struct list *out, const struct kg_value *list, bool expand)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *s = kg_string(&list->items[i], "");
		push(out, kg_v_lit(expand ? kg_env_expand(b->a, s, &b->own) : s));
	}
}

static int make_args(struct kg_value *out, struct build *b, struct kg_error *err)
{
	const struct kg_value *command = kg_get(b->in->container, "command");
	const struct kg_value *args = kg_get(b->in->container, "args");
	const struct kg_value *config = &b->in->image->config;
	const struct kg_value *entry = kg_array(kg_get(config, "Entrypoint"));
	const struct kg_value *cmd = kg_array(kg_get(config, "Cmd"));
	size_t total = kg_len(command) + kg_len(args) + kg_len(entry) + kg_len(cmd);
	struct list l = {.len = 0};
	if (total > KG_ARRAY_LEN(l.items))
		return kg_fail(err, KG_E_INVALID, "more than %zu arguments", KG_ARRAY_LEN(l.items));
	if (kg_len(command) > 0)
		add_args(b, &l, command, true);
	else
		add_args(b, &l, entry, false);
	if (kg_len(args) > 0)
		add_args(b, &l, args, true);
	else if (kg_len(command) == 0)
		add_args(b, &l, cmd, false);
	if (l.len == 0)
		return kg_fail(err, KG_E_INVALID, "no command specified");
	*out = kg_v_array(b->a, l.items, l.len);
	return 0;
}

static const struct kg_value *security_field(const struct build *b, const char *name)
{
	const struct kg_value *v = kg_get(b->security, name);
	return kg_is_null(v) ? kg_get(kg_at(b->in->pod, "spec.securityContext"), name) : v;
}

static int make_user(struct build *b, struct kg_error *err)
{
	const struct kg_value *uid = security_field(b, "runAsUser");
	const struct kg_value *gid = security_field(b, "runAsGroup");
	char spec[32];
	const char *name = kg_string(kg_get(&b->in->image->config, "User"), "");
	if (uid->type == KG_INT) {
		snprintf(spec, sizeof(spec), "%u", (unsigned)uid->i);
		name = spec;
	}
	int rc = kg_user_lookup(&b->user, b->in->image, name, err);
	if (rc < 0)
		return rc;
	if (gid->type == KG_INT)
		b->user.gid = (uint32_t)gid->i;
	if (kg_bool(security_field(b, "runAsNonRoot"), false)) {
		if (!b->user.numeric)
			return kg_fail(err, KG_E_INVALID,
				"container has runAsNonRoot and image has non-numeric user (%s), "
				"cannot "
				"verify user is non-root",
				name);
		if (b->user.uid == 0)
			return kg_fail(err, KG_E_INVALID,
				"container has runAsNonRoot and %s will run as root",
				uid->type == KG_INT ? "runAsUser" : "image");
	}
	const struct kg_value *pod = kg_at(b->in->pod, "spec.securityContext");
	const struct kg_value *more = kg_get(pod, "supplementalGroups");
	for (uint32_t i = 0; i < kg_len(more); i++)
		kg_user_add_group(&b->user, (uint32_t)kg_int(&more->items[i], 0));
	if (kg_get(pod, "fsGroup")->type == KG_INT)
		kg_user_add_group(&b->user, (uint32_t)kg_get(pod, "fsGroup")->i);
	return 0;
}

static struct kg_value user_value(struct build *b)
{
	struct list groups = {.len = 0};
	for (unsigned i = 0; i < b->user.ngroups; i++)
		push(&groups, kg_v_int(b->user.groups[i]));
	struct kg_value more = kg_v_array(b->a, groups.items, groups.len);
	return kg_v_obj(b->a, "uid", kg_v_int(b->user.uid), "gid", kg_v_int(b->user.gid),
		"additionalGids", groups.len ? more : kg_v_null(), (char *)NULL);
}

static struct kg_value caps_value(struct build *b)
{
	struct kg_value v = strings(b->a, b->caps, b->ncaps);
	return kg_v_obj(b->a, "bounding", v, "effective", v, "permitted", v, (char *)NULL);
}

/* Raising one's score is free, lowering it below our own needs a capability. */
static struct kg_value oom_value(struct build *b)
{
	const struct kg_spec_host *h = b->in->host;
	int score = kg_oom_score(b->in->pod, b->in->container, h->memory_bytes);
	bool may = h->capabilities & (UINT64_C(1) << CAP_SYS_RESOURCE);
	return score >= h->oom_score_adj || may ? kg_v_int(score) : kg_v_null();
}

static int make_process(struct kg_value *out, struct build *b, struct kg_error *err)
{
	struct kg_value args;
	int rc = make_user(b, err);
	if (rc == 0)
		rc = make_env(b, err);
	if (rc == 0)
		rc = make_args(&args, b, err);
	if (rc < 0)
		return rc;
	const char *cwd = kg_string(kg_get(b->in->container, "workingDir"), "");
	if (!*cwd)
		cwd = kg_string(kg_get(&b->in->image->config, "WorkingDir"), "");
	bool escalate = kg_bool(kg_get(b->security, "allowPrivilegeEscalation"), b->privileged);
	*out = kg_v_obj(b->a, "args", args, "env", env_value(b), "user", user_value(b), "cwd",
		kg_v_lit(*cwd == '/' ? cwd : "/"), "capabilities", caps_value(b), "noNewPrivileges",
		kg_v_bool(!escalate), "oomScoreAdj", oom_value(b), "terminal",
		kg_bool(kg_get(b->in->container, "tty"), false) ? kg_v_bool(true) : kg_v_null(),
		(char *)NULL);
	return 0;
}

/* ---- mounts ---- */

static struct kg_value mount_of(struct kg_arena *a, const char *to, const char *type,
	const char *source, const char *const *options, size_t n)
{
	return kg_v_obj(a, "destination", kg_v_str(a, to), "type", kg_v_lit(type), "source",
		kg_v_str(a, source), "options", strings(a, options, n), (char *)NULL);
}
#define MOUNT(a, to, type, source, ...)                                                            \
	mount_of(a, to, type, source, (const char *const[]){__VA_ARGS__},                          \
		KG_ARRAY_LEN(((const char *const[]){__VA_ARGS__})))

static void bind(struct build *b, struct list *l, const char *from, const char *to, bool ro)
{
	push(l, MOUNT(b->a, to, "bind", from, "rbind", "rprivate", ro ? "ro" : "rw"));
}

static int root_mount(struct build *b, struct list *l, struct kg_error *err)
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
	push(l, MOUNT(b->a, "/", "overlay", "overlay",
			kg_arena_strndup(b->a, lower.data, lower.len), upper, work));
	return 0;
}

static void usual_mounts(struct build *b, struct list *l)
{
	struct kg_arena *a = b->a;
	push(l, MOUNT(a, "/proc", "proc", "proc", "nosuid", "noexec", "nodev"));
	push(l, MOUNT(a, "/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755",
			"size=65536k"));
	push(l, MOUNT(a, "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance",
			"ptmxmode=0666", "mode=0620", "gid=5"));
	push(l, MOUNT(a, "/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"));
	push(l, MOUNT(a, "/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev",
			b->privileged ? "rw" : "ro"));
	push(l, MOUNT(a, "/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev",
			"relatime", b->privileged ? "rw" : "ro"));
	if (kg_pod_host_ipc(b->in->pod))
		bind(b, l, "/dev/shm", "/dev/shm", false);
	else if (b->in->shm)
		bind(b, l, b->in->shm, "/dev/shm", false);
	else
		push(l, MOUNT(a, "/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev",
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
static bool user_mounts(const struct build *b, const char *path)
{
	return !kg_is_null(kg_find(kg_get(b->in->container, "volumeMounts"), "mountPath", path));
}

static void file_mounts(struct build *b, struct list *l)
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

/* Where the whole of a volume lies. */
static int volume_dir(const char **out, struct kg_arena *a, const struct kg_spec_in *in,
	const struct kg_value *volume, struct kg_error *err)
{
	struct kg_volume_source src = {.pod = in->pod, .objects = in->configmaps};
	const char *name = kg_string(kg_get(volume, "name"), "");

	*out = kg_volume_is_host(volume) ? kg_volume_host_path(a, in->node_dir, &src, volume)
					 : kg_volume_path(a, in->pod_dir, in->run_dir, name);
	return *out ? 0 : kg_volume_unbound(volume, err);
}

/* Outer ones first. */
static int volume_mounts(struct build *b, struct list *l, struct kg_error *err)
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
			bind(b, l, from, to, ro);
			placed++;
		}
	}
	return 0;
}

static int make_mounts(struct kg_value *out, struct build *b, struct kg_error *err)
{
	struct list l = {.len = 0};
	int rc = root_mount(b, &l, err);
	if (rc < 0)
		return rc;
	usual_mounts(b, &l);
	file_mounts(b, &l);
	rc = volume_mounts(b, &l, err);
	*out = kg_v_array(b->a, l.items, l.len);
	return rc;
}

/* ---- linux ---- */

static struct kg_value namespace_of(struct kg_arena *a, const char *type, const char *path)
{
	return kg_v_obj(a, "type", kg_v_lit(type), "path", kg_v_str(a, path), (char *)NULL);
}

static struct kg_value make_namespaces(struct build *b)
{
	struct list l = {.len = 0};
	if (!kg_bool(kg_at(b->in->pod, "spec.hostPID"), false))
		push(&l, namespace_of(b->a, "pid", b->in->pidns));
	push(&l, namespace_of(b->a, "mount", NULL));
	if (!kg_pod_host_ipc(b->in->pod))
		push(&l, namespace_of(b->a, "ipc", b->in->ipcns));
	if (b->in->netns) {
		push(&l, namespace_of(b->a, "network", b->in->netns));
		push(&l, namespace_of(b->a, "uts", NULL));
	}
	if (b->in->host->cgroup_v2)
		push(&l, namespace_of(b->a, "cgroup", NULL));
	return kg_v_array(b->a, l.items, l.len);
}

static struct kg_value make_resources(struct build *b)
{
	struct kg_arena *a = b->a;
	const struct kg_value *c = b->in->container;
	int64_t request = kg_container_milli(c, "requests", "cpu");
	int64_t cpu = kg_container_milli(c, "limits", "cpu");
	int64_t memory = kg_container_milli(c, "limits", "memory");
	if (request < 0)
		request = cpu > 0 ? cpu : 0;
	struct kg_value cpus = kg_v_obj(a, "shares", kg_v_int((int64_t)kg_cgroup_shares(request)),
		"quota", cpu > 0 ? kg_v_int(kg_cgroup_quota(cpu)) : kg_v_null(), "period",
		cpu > 0 ? kg_v_int(100000) : kg_v_null(), (char *)NULL);
	struct kg_value device = kg_v_obj(
		a, "allow", kg_v_bool(b->privileged), "access", kg_v_lit("rwm"), (char *)NULL);
	struct kg_value mem = kg_v_obj(a, "limit", kg_v_int(memory / 1000), (char *)NULL);
	struct kg_value oom = kg_v_obj(a, "memory.oom.group", kg_v_lit("1"), (char *)NULL);
	return kg_v_obj(a, "cpu", cpus, "memory", memory > 0 ? mem : kg_v_null(), "pids",
		kg_v_obj(a, "limit", kg_v_int(PIDS_LIMIT), (char *)NULL), "devices",
		kg_v_array(a, &device, 1), "unified",
		b->in->host->cgroup_v2 && memory > 0 ? oom : kg_v_null(), (char *)NULL);
}

static struct kg_value make_seccomp(struct build *b)
{
	const struct kg_value *profile = security_field(b, "seccompProfile");
	if (b->privileged || !strcmp(kg_string(kg_get(profile, "type"), ""), "Unconfined"))
		return kg_v_null();
	return kg_seccomp_default(b->a, b->caps, b->ncaps, b->in->image->native);
}

static struct kg_value make_linux(struct build *b)
{
	static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts",
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware"};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	struct kg_arena *a = b->a;
	struct kg_value hide = strings(a, masked, KG_ARRAY_LEN(masked));
	struct kg_value fix = strings(a, readonly, KG_ARRAY_LEN(readonly));
	/* Low ports and ping are for everybody in a network of one's own. */
	struct kg_value sysctl = kg_v_obj(a, "net.ipv4.ip_unprivileged_port_start", kg_v_lit("0"),
		"net.ipv4.ping_group_range", kg_v_lit("0 2147483647"), (char *)NULL);
	return kg_v_obj(a, "namespaces", make_namespaces(b), "resources", make_resources(b),
		"cgroupsPath", kg_v_str(a, b->in->cgroup), "seccomp", make_seccomp(b),
		"maskedPaths", b->privileged ? kg_v_null() : hide, "readonlyPaths",
		b->privileged ? kg_v_null() : fix, "sysctl", b->in->netns ? sysctl : kg_v_null(),
		(char *)NULL);
}

static int make_spec(struct kg_value *out, struct build *b, struct kg_error *err)
{
	struct kg_arena *a = b->a;
	struct kg_value process, mounts;
	int rc = make_process(&process, b, err);
	if (rc == 0)
		rc = make_mounts(&mounts, b, err);
	if (rc < 0)
		return rc;
	bool ro = kg_bool(kg_get(b->security, "readOnlyRootFilesystem"), false);
	*out = kg_v_obj(a, "ociVersion", kg_v_lit("1.0.2"), "process", process, "root",
		kg_v_obj(a, "path", kg_v_lit("rootfs"), "readonly", kg_v_bool(ro), (char *)NULL),
		"hostname", b->in->netns ? kg_v_lit(kg_pod_hostname(a, b->in->pod)) : kg_v_null(),
		"mounts", mounts, "linux", make_linux(b), (char *)NULL);
	return 0;
}

int kg_oci_spec(
	struct kg_value *out, struct kg_arena *a, const struct kg_spec_in *in, struct kg_error *err)
{
	struct build b = {.a = a, .in = in};
	b.security = kg_get(in->container, "securityContext");
	b.privileged = kg_bool(kg_get(b.security, "privileged"), false);
	b.ncaps = kg_caps_of(b.caps, b.security, in->host->capabilities);
	int rc = make_spec(out, &b, err);
	kg_env_release(&b.own);
	kg_env_release(&b.env);
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

static int sub_path(
	const char **out, struct build *b, const struct kg_value *mount, struct kg_error *err)
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

static int subpaths(struct kg_spec_subpath *out, size_t *n, struct build *b, struct kg_error *err)
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
	struct build b = {.a = a, .in = in};
	bool any = false;

	*n = 0;
	for (uint32_t i = 0; i < kg_len(mounts); i++)
		any = any || is_sub(&mounts->items[i]);
	int rc = any ? make_own_env(&b, err) : 0;
	if (rc == 0 && any)
		rc = subpaths(out, n, &b, err);
	kg_env_release(&b.own);
	return rc;
}
