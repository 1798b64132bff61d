#include "nodeagent/oci_private.h"

#include "kinds/amount.h"
#include "nodeagent/apiaccess.h"
#include "nodeagent/cgroup.h"
#include "nodeagent/resources.h"
#include "nodeagent/seccomp.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PIDS_LIMIT 16384

struct kg_value kg_spec_strings(struct kg_arena *a, const char *const *s, size_t n)
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

static void image_env(struct kg_spec_build *b)
{
	const struct kg_value *list = kg_array(kg_get(&b->in->image->config, "Env"));
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *s = kg_string(&list->items[i], ""), *eq = strchr(s, '=');
		if (eq && eq != s)
			kg_env_set(&b->env, kg_arena_strndup(b->a, s, (size_t)(eq - s)), eq + 1);
	}
}

/* Where the API is, as Kubernetes has it of the Service "kubernetes" in every container. */
static void api_env(struct kg_spec_build *b)
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

int kg_spec_own_env(struct kg_spec_build *b, struct kg_error *err)
{
	struct kg_env_source src = {
		b->in->pod, b->in->container, b->in->configmaps, b->in->node_name};
	api_env(b);
	return kg_env_of_container(&b->own, b->a, &src, err);
}

static int make_env(struct kg_spec_build *b, struct kg_error *err)
{
	int rc = kg_spec_own_env(b, err);
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

static struct kg_value env_value(struct kg_spec_build *b)
{
	struct kg_value *v = kg_arena_alloc(b->a, (b->env.len + 1) * sizeof(*v));
	for (size_t i = 0; i < b->env.len; i++)
		v[i] = kg_v_strf(b->a, "%s=%s", b->env.vars[i].name, b->env.vars[i].value);
	return kg_v_array(b->a, v, b->env.len);
}

static void add_args(
	struct kg_spec_build *b, struct kg_spec_list *out, const struct kg_value *list, bool expand)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *s = kg_string(&list->items[i], "");
		kg_spec_push(out, kg_v_lit(expand ? kg_env_expand(b->a, s, &b->own) : s));
	}
}

static int make_args(struct kg_value *out, struct kg_spec_build *b, struct kg_error *err)
{
	const struct kg_value *command = kg_get(b->in->container, "command");
	const struct kg_value *args = kg_get(b->in->container, "args");
	const struct kg_value *config = &b->in->image->config;
	const struct kg_value *entry = kg_array(kg_get(config, "Entrypoint"));
	const struct kg_value *cmd = kg_array(kg_get(config, "Cmd"));
	size_t total = kg_len(command) + kg_len(args) + kg_len(entry) + kg_len(cmd);
	struct kg_spec_list l = {.len = 0};
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

static const struct kg_value *security_field(const struct kg_spec_build *b, const char *name)
{
	const struct kg_value *v = kg_get(b->security, name);
	return kg_is_null(v) ? kg_get(kg_at(b->in->pod, "spec.securityContext"), name) : v;
}

static int make_user(struct kg_spec_build *b, struct kg_error *err)
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

static struct kg_value user_value(struct kg_spec_build *b)
{
	struct kg_spec_list groups = {.len = 0};
	for (unsigned i = 0; i < b->user.ngroups; i++)
		kg_spec_push(&groups, kg_v_int(b->user.groups[i]));
	struct kg_value more = kg_v_array(b->a, groups.items, groups.len);
	return kg_v_obj(b->a, "uid", kg_v_int(b->user.uid), "gid", kg_v_int(b->user.gid),
		"additionalGids", groups.len ? more : kg_v_null(), (char *)NULL);
}

static struct kg_value caps_value(struct kg_spec_build *b)
{
	struct kg_value v = kg_spec_strings(b->a, b->caps, b->ncaps);
	return kg_v_obj(b->a, "bounding", v, "effective", v, "permitted", v, (char *)NULL);
}

/* Raising one's score is free, lowering it below our own needs a capability. */
static struct kg_value oom_value(struct kg_spec_build *b)
{
	const struct kg_spec_host *h = b->in->host;
	int score = kg_oom_score(b->in->pod, b->in->container, h->memory_bytes);
	bool may = h->capabilities & (UINT64_C(1) << CAP_SYS_RESOURCE);
	return score >= h->oom_score_adj || may ? kg_v_int(score) : kg_v_null();
}

static int make_process(struct kg_value *out, struct kg_spec_build *b, struct kg_error *err)
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
	/* As kubelet has it: only where it is forbidden (programs that are setuid, or have
	 * capabilities of their own, are images' everyday). */
	bool escalate = kg_bool(kg_get(b->security, "allowPrivilegeEscalation"), true);
	*out = kg_v_obj(b->a, "args", args, "env", env_value(b), "user", user_value(b), "cwd",
		kg_v_lit(*cwd == '/' ? cwd : "/"), "capabilities", caps_value(b), "noNewPrivileges",
		kg_v_bool(!escalate), "oomScoreAdj", oom_value(b), "terminal",
		kg_bool(kg_get(b->in->container, "tty"), false) ? kg_v_bool(true) : kg_v_null(),
		(char *)NULL);
	return 0;
}

/* ---- linux ---- */

static struct kg_value namespace_of(struct kg_arena *a, const char *type, const char *path)
{
	return kg_v_obj(a, "type", kg_v_lit(type), "path", kg_v_str(a, path), (char *)NULL);
}

static struct kg_value make_namespaces(struct kg_spec_build *b)
{
	struct kg_spec_list l = {.len = 0};
	if (!kg_bool(kg_at(b->in->pod, "spec.hostPID"), false))
		kg_spec_push(&l, namespace_of(b->a, "pid", b->in->pidns));
	kg_spec_push(&l, namespace_of(b->a, "mount", NULL));
	if (!kg_pod_host_ipc(b->in->pod))
		kg_spec_push(&l, namespace_of(b->a, "ipc", b->in->ipcns));
	if (b->in->netns) {
		kg_spec_push(&l, namespace_of(b->a, "network", b->in->netns));
		kg_spec_push(&l, namespace_of(b->a, "uts", NULL));
	}
	if (b->in->host->cgroup_v2)
		kg_spec_push(&l, namespace_of(b->a, "cgroup", NULL));
	return kg_v_array(b->a, l.items, l.len);
}

/* None but what it may use, of every size there is. */
static struct kg_value make_page_limits(struct kg_spec_build *b)
{
	const struct kg_hugepages *h = &b->in->host->hugepages;
	struct kg_value items[KG_HUGEPAGES_SIZES];

	for (size_t i = 0; i < h->n; i++) {
		int64_t milli =
			kg_container_milli(b->in->container, "limits", h->sizes[i].resource);

		items[i] = kg_v_obj(b->a, "pageSize", kg_v_str(b->a, h->sizes[i].group), "limit",
			kg_v_int(milli > 0 ? milli / 1000 : 0), (char *)NULL);
	}
	return h->n ? kg_v_array(b->a, items, h->n) : kg_v_null();
}

static struct kg_value make_resources(struct kg_spec_build *b)
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
		kg_v_array(a, &device, 1), "hugepageLimits", make_page_limits(b), "unified",
		b->in->host->cgroup_v2 && memory > 0 ? oom : kg_v_null(), (char *)NULL);
}

static struct kg_value make_seccomp(struct kg_spec_build *b)
{
	const struct kg_value *profile = security_field(b, "seccompProfile");
	if (b->privileged || !strcmp(kg_string(kg_get(profile, "type"), ""), "Unconfined"))
		return kg_v_null();
	return kg_seccomp_default(b->a, b->caps, b->ncaps, b->in->image->native);
}

static struct kg_value make_linux(struct kg_spec_build *b)
{
	static const char *const masked[] = {"/proc/acpi", "/proc/asound", "/proc/interrupts",
		"/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug",
		"/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
		"/sys/devices/virtual/powercap", "/sys/firmware"};
	static const char *const readonly[] = {
		"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
	struct kg_arena *a = b->a;
	struct kg_value hide = kg_spec_strings(a, masked, KG_ARRAY_LEN(masked));
	struct kg_value fix = kg_spec_strings(a, readonly, KG_ARRAY_LEN(readonly));
	/* Low ports and ping are for everybody in a network of one's own. */
	struct kg_value sysctl = kg_v_obj(a, "net.ipv4.ip_unprivileged_port_start", kg_v_lit("0"),
		"net.ipv4.ping_group_range", kg_v_lit("0 2147483647"), (char *)NULL);
	const char *propagation = kg_spec_root_propagation(b->in->container);
	return kg_v_obj(a, "namespaces", make_namespaces(b), "resources", make_resources(b),
		"rootfsPropagation", propagation ? kg_v_lit(propagation) : kg_v_null(),
		"cgroupsPath", kg_v_str(a, b->in->cgroup), "seccomp", make_seccomp(b),
		"maskedPaths", b->privileged ? kg_v_null() : hide, "readonlyPaths",
		b->privileged ? kg_v_null() : fix, "sysctl", b->in->netns ? sysctl : kg_v_null(),
		(char *)NULL);
}

static int make_spec(struct kg_value *out, struct kg_spec_build *b, struct kg_error *err)
{
	struct kg_arena *a = b->a;
	struct kg_value process, mounts;
	int rc = make_process(&process, b, err);
	if (rc == 0)
		rc = kg_spec_mounts(&mounts, b, err);
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
	struct kg_spec_build b = {.a = a, .in = in};
	b.security = kg_get(in->container, "securityContext");
	b.privileged = kg_bool(kg_get(b.security, "privileged"), false);
	b.ncaps = kg_caps_of(b.caps, b.security, in->host->capabilities);
	int rc = make_spec(out, &b, err);
	kg_env_release(&b.own);
	kg_env_release(&b.env);
	return rc;
}
