/* The checks of the Pod Security Standards, in the order and the words of Kubernetes'. */
#include "reconcile/podpolicy.h"

#include <string.h>

struct look {
	struct kg_arena *a;
	const struct kg_value *meta, *spec;
	int version;
};

typedef const char *check_fn(struct look *l); /* "reason (detail)"; NULL: passes */
typedef bool container_fn(const struct kg_value *container);

static bool is_one_of(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

static const struct kg_value *context(const struct kg_value *of, const char *field)
{
	return kg_get(kg_get(of, "securityContext"), field);
}

/* Containers that start the pod first. */
static const struct kg_value *container_at(const struct look *l, uint32_t i)
{
	const struct kg_value *init = kg_get(l->spec, "initContainers"),
			      *cs = kg_get(l->spec, "containers");
	if (i < kg_len(init))
		return &init->items[i];
	i -= kg_len(init);
	return i < kg_len(cs) ? &cs->items[i] : NULL;
}

static const char *quoted(const struct kg_texts *t)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < t->n; i++)
		kg_buf_addf(&b, "%s\"%s\"", i ? ", " : "", t->v[i]);
	return kg_arena_strndup(t->a, kg_buf_str(&b), b.len);
}

/* `container "a"`, `containers "a", "b"`. */
static const char *named(const struct kg_texts *t)
{
	return kg_arena_printf(t->a, "container%s %s", t->n > 1 ? "s" : "", quoted(t));
}

static void add_name(struct kg_texts *t, const struct kg_value *c)
{
	kg_texts_add(t, "%s", kg_string(kg_get(c, "name"), ""));
}

static void add_once(struct kg_texts *t, const char *s)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->v[i], s))
			return;
	kg_texts_add(t, "%s", s);
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void sort(struct kg_texts *t)
{
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), cmp_text);
}

static struct kg_texts bad_containers(struct look *l, container_fn *bad)
{
	struct kg_texts t = {.a = l->a};
	const struct kg_value *c;
	for (uint32_t i = 0; (c = container_at(l, i)); i++)
		if (bad(c))
			add_name(&t, c);
	return t;
}

static const char *if_any(struct look *l, container_fn *bad, const char *reason, const char *what)
{
	struct kg_texts t = bad_containers(l, bad);
	return t.n ? kg_arena_printf(l->a, "%s (%s %s)", reason, named(&t), what) : NULL;
}

/* ---- baseline ---- */

static bool apparmor_allowed(const char *type)
{
	static const char *const ok[] = {"", "RuntimeDefault", "Localhost", NULL};
	return is_one_of(type, ok);
}

static bool bad_apparmor(const struct kg_value *of)
{
	return !apparmor_allowed(kg_string(kg_get(context(of, "appArmorProfile"), "type"), ""));
}

static const char *check_apparmor(struct look *l)
{
	static const char prefix[] = "container.apparmor.security.beta.kubernetes.io/";
	const struct kg_value *notes = kg_get(l->meta, "annotations");
	struct kg_texts out = {.a = l->a}, setters = bad_containers(l, bad_apparmor),
			notes_bad = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(notes); i++) {
		const char *v = kg_string(&notes->members[i].value, "");
		if (!strncmp(notes->members[i].key, prefix, sizeof(prefix) - 1) && *v &&
			strcmp(v, "runtime/default") != 0 && strncmp(v, "localhost/", 10) != 0)
			kg_texts_add(&notes_bad, "%s=\"%s\"", notes->members[i].key, v);
	}
	for (size_t i = 0; i < notes_bad.n; i++)
		kg_texts_add(&out, "annotation \"%.*s\"%s", (int)strcspn(notes_bad.v[i], "="),
			notes_bad.v[i], strchr(notes_bad.v[i], '='));
	if (bad_apparmor(l->spec))
		kg_texts_add(&out, "pod must not set AppArmor profile type to \"%s\"",
			kg_string(kg_get(context(l->spec, "appArmorProfile"), "type"), ""));
	if (setters.n)
		kg_texts_add(&out, "%s must not set AppArmor profile type to \"Unconfined\"",
			named(&setters));
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < out.n; i++)
		kg_buf_addf(&b, "%s%s", i ? ", " : "", out.v[i]);
	return out.n ? kg_arena_printf(l->a, "forbidden AppArmor profile%s (%s)",
			       out.n > 1 ? "s" : "", b.data)
		     : NULL;
}

/* What containers add of what `ok` does not hold: who in *who. */
static struct kg_texts added_capabilities(
	struct look *l, const char *const *ok, struct kg_texts *who)
{
	struct kg_texts what = {.a = l->a};
	const struct kg_value *c;
	*who = (struct kg_texts){.a = l->a};
	for (uint32_t i = 0; (c = container_at(l, i)); i++) {
		const struct kg_value *add = kg_get(context(c, "capabilities"), "add");
		size_t before = what.n;
		bool any = false;
		for (uint32_t k = 0; k < kg_len(add); k++) {
			const char *s = kg_string(&add->items[k], "");
			if (is_one_of(s, ok))
				continue;
			add_once(&what, s);
			any = true;
		}
		if (any || what.n > before)
			add_name(who, c);
	}
	sort(&what);
	return what;
}

static const char *check_capabilities(struct look *l)
{
	static const char *const ok[] = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID",
		"KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
		"SYS_CHROOT", NULL};
	struct kg_texts who, what = added_capabilities(l, ok, &who);
	return what.n ? kg_arena_printf(l->a,
				"non-default capabilities (%s must not include %s in "
				"securityContext.capabilities.add)",
				named(&who), quoted(&what))
		      : NULL;
}

static const char *check_host_namespaces(struct look *l)
{
	static const char *const fields[] = {"hostNetwork", "hostPID", "hostIPC"};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < KG_ARRAY_LEN(fields); i++)
		if (kg_bool(kg_get(l->spec, fields[i]), false))
			kg_buf_addf(&b, "%s%s=true", b.len ? ", " : "", fields[i]);
	return b.len ? kg_arena_printf(l->a, "host namespaces (%s)", b.data) : NULL;
}

static const char *check_host_path(struct look *l)
{
	const struct kg_value *volumes = kg_get(l->spec, "volumes");
	struct kg_texts t = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (!kg_is_null(kg_get(&volumes->items[i], "hostPath")))
			add_name(&t, &volumes->items[i]);
	return t.n ? kg_arena_printf(
			     l->a, "hostPath volumes (volume%s %s)", t.n > 1 ? "s" : "", quoted(&t))
		   : NULL;
}

static const char *check_host_ports(struct look *l)
{
	struct kg_texts who = {.a = l->a}, ports = {.a = l->a};
	const struct kg_value *c;
	for (uint32_t i = 0; (c = container_at(l, i)); i++) {
		const struct kg_value *list = kg_get(c, "ports");
		bool any = false;
		for (uint32_t k = 0; k < kg_len(list); k++) {
			int64_t p = kg_int(kg_get(&list->items[k], "hostPort"), 0);
			if (p)
				add_once(&ports, kg_arena_printf(l->a, "%lld", (long long)p));
			any |= p != 0;
		}
		if (any)
			add_name(&who, c);
	}
	sort(&ports);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < ports.n; i++)
		kg_buf_addf(&b, "%s%s", i ? ", " : "", ports.v[i]);
	return who.n ? kg_arena_printf(l->a, "hostPort (%s use%s hostPort%s %s)", named(&who),
			       who.n > 1 ? "" : "s", ports.n > 1 ? "s" : "", b.data)
		     : NULL;
}

static bool is_privileged(const struct kg_value *c)
{
	return kg_bool(context(c, "privileged"), false);
}

static const char *check_privileged(struct look *l)
{
	return if_any(
		l, is_privileged, "privileged", "must not set securityContext.privileged=true");
}

static bool unmasks(const struct kg_value *c)
{
	return strcmp(kg_string(context(c, "procMount"), "Default"), "Default") != 0;
}

static const char *check_proc_mount(struct look *l)
{
	return if_any(
		l, unmasks, "procMount", "must not set securityContext.procMount to \"Unmasked\"");
}

static bool bad_selinux(const struct kg_value *of)
{
	static const char *const ok[] = {"", "container_t", "container_init_t", "container_kvm_t",
		"container_engine_t", NULL};
	const struct kg_value *o = context(of, "seLinuxOptions");
	return !is_one_of(kg_string(kg_get(o, "type"), ""), ok) ||
	       *kg_string(kg_get(o, "user"), "") || *kg_string(kg_get(o, "role"), "");
}

static const char *check_selinux(struct look *l)
{
	struct kg_texts t = bad_containers(l, bad_selinux);
	bool pod = bad_selinux(l->spec);
	if (!pod && !t.n)
		return NULL;
	return kg_arena_printf(l->a,
		"seLinuxOptions (%s%s%s set forbidden securityContext.seLinuxOptions)",
		pod ? "pod" : "", pod && t.n ? " and " : "", t.n ? named(&t) : "");
}

static const char *seccomp_of(const struct kg_value *of)
{
	return kg_string(kg_get(context(of, "seccompProfile"), "type"), "");
}

static bool bad_seccomp(const struct kg_value *of)
{
	static const char *const ok[] = {"", "RuntimeDefault", "Localhost", NULL};
	return !is_one_of(seccomp_of(of), ok);
}

/* Who says outright what may not be: "pod and containers ..."; NULL: nobody. */
static const char *setters(struct look *l, container_fn *bad)
{
	struct kg_texts t = bad_containers(l, bad);
	bool pod = bad(l->spec);
	if (!pod && !t.n)
		return NULL;
	return kg_arena_printf(
		l->a, "%s%s%s", pod ? "pod" : "", pod && t.n ? " and " : "", t.n ? named(&t) : "");
}

static const char *check_seccomp(struct look *l)
{
	const char *who = l->version >= 19 ? setters(l, bad_seccomp) : NULL;
	return who ? kg_arena_printf(l->a,
			     "seccompProfile (%s must not set securityContext.seccompProfile.type "
			     "to \"Unconfined\")",
			     who)
		   : NULL;
}

static bool sysctl_allowed(const char *name, int version)
{
	static const struct {
		const char *name;
		int since;
	} safe[] = {{"kernel.shm_rmid_forced", 0}, {"net.ipv4.ip_local_port_range", 0},
		{"net.ipv4.tcp_syncookies", 0}, {"net.ipv4.ping_group_range", 0},
		{"net.ipv4.ip_unprivileged_port_start", 0},
		{"net.ipv4.ip_local_reserved_ports", 27}, {"net.ipv4.tcp_keepalive_time", 29},
		{"net.ipv4.tcp_fin_timeout", 29}, {"net.ipv4.tcp_keepalive_intvl", 29},
		{"net.ipv4.tcp_keepalive_probes", 29}, {"net.ipv4.tcp_rmem", 32},
		{"net.ipv4.tcp_wmem", 32}};
	for (size_t i = 0; i < KG_ARRAY_LEN(safe); i++)
		if (!strcmp(safe[i].name, name))
			return version >= safe[i].since;
	return false;
}

static const char *check_sysctls(struct look *l)
{
	const struct kg_value *list = context(l->spec, "sysctls");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(kg_get(&list->items[i], "name"), "");
		if (!sysctl_allowed(name, l->version))
			kg_buf_addf(&b, "%s%s", b.len ? ", " : "", name);
	}
	return b.len ? kg_arena_printf(l->a, "forbidden sysctls (%s)", b.data) : NULL;
}

/* ---- restricted ---- */

static bool escalates(const struct kg_value *c)
{
	return kg_bool(context(c, "allowPrivilegeEscalation"), true);
}

static const char *check_escalation(struct look *l)
{
	return if_any(l, escalates, "allowPrivilegeEscalation != false",
		"must set securityContext.allowPrivilegeEscalation=false");
}

static bool keeps_capabilities(const struct kg_value *c)
{
	const struct kg_value *drop = kg_get(context(c, "capabilities"), "drop");
	for (uint32_t i = 0; i < kg_len(drop); i++)
		if (!strcmp(kg_string(&drop->items[i], ""), "ALL"))
			return false;
	return true;
}

static const char *check_capabilities_restricted(struct look *l)
{
	static const char *const ok[] = {"NET_BIND_SERVICE", NULL};
	if (l->version < 22)
		return check_capabilities(l);
	struct kg_texts who, what = added_capabilities(l, ok, &who);
	struct kg_texts keep = bad_containers(l, keeps_capabilities);
	const char *first = "", *second = "";
	if (keep.n)
		first = kg_arena_printf(l->a,
			"%s must set securityContext.capabilities.drop=[\"ALL\"]", named(&keep));
	if (what.n)
		second = kg_arena_printf(l->a,
			"%s must not include %s in securityContext.capabilities.add", named(&who),
			quoted(&what));
	if (!keep.n && !what.n)
		return NULL;
	return kg_arena_printf(l->a, "unrestricted capabilities (%s%s%s)", first,
		keep.n && what.n ? "; " : "", second);
}

static const char *check_volumes(struct look *l)
{
	static const char *const ok[] = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
		"persistentVolumeClaim", "projected", "secret", "name", NULL};
	const struct kg_value *volumes = kg_get(l->spec, "volumes");
	struct kg_texts who = {.a = l->a}, what = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *v = &volumes->items[i];
		for (uint32_t k = 0; k < kg_len(v); k++) {
			if (is_one_of(v->members[k].key, ok))
				continue;
			add_name(&who, v);
			add_once(&what, v->members[k].key);
			break;
		}
	}
	sort(&what);
	return who.n ? kg_arena_printf(l->a,
			       "restricted volume types (volume%s %s use%s restricted volume "
			       "type%s %s)",
			       who.n > 1 ? "s" : "", quoted(&who), who.n > 1 ? "" : "s",
			       what.n > 1 ? "s" : "", quoted(&what))
		     : NULL;
}

static bool may_be_root(const struct kg_value *of)
{
	const struct kg_value *v = context(of, "runAsNonRoot");
	return v->type == KG_BOOL && !v->b;
}

static bool says_nothing_of_root(const struct kg_value *c)
{
	return kg_is_null(context(c, "runAsNonRoot"));
}

static const char *check_non_root(struct look *l)
{
	const char *who = setters(l, may_be_root);
	if (who)
		return kg_arena_printf(l->a,
			"runAsNonRoot != true (%s must not set securityContext.runAsNonRoot=false)",
			who);
	if (kg_bool(context(l->spec, "runAsNonRoot"), false))
		return NULL;
	struct kg_texts t = bad_containers(l, says_nothing_of_root);
	return t.n ? kg_arena_printf(l->a,
			     "runAsNonRoot != true (pod or %s must set "
			     "securityContext.runAsNonRoot=true)",
			     named(&t))
		   : NULL;
}

static bool is_root(const struct kg_value *of)
{
	return kg_int(context(of, "runAsUser"), -1) == 0;
}

static const char *check_user(struct look *l)
{
	const char *who = l->version >= 23 ? setters(l, is_root) : NULL;
	return who ? kg_arena_printf(l->a, "runAsUser=0 (%s must not set runAsUser=0)", who) : NULL;
}

static bool says_nothing_of_seccomp(const struct kg_value *c)
{
	return !*seccomp_of(c);
}

static const char *check_seccomp_restricted(struct look *l)
{
	const char *bad = check_seccomp(l);
	if (bad || l->version < 19 || *seccomp_of(l->spec))
		return bad;
	struct kg_texts t = bad_containers(l, says_nothing_of_seccomp);
	return t.n ? kg_arena_printf(l->a,
			     "seccompProfile (pod or %s must set "
			     "securityContext.seccompProfile.type to \"RuntimeDefault\" or "
			     "\"Localhost\")",
			     named(&t))
		   : NULL;
}

/* ---- all of a level ---- */

const char *kg_security_check(struct kg_arena *a, int level, int version,
	const struct kg_value *meta, const struct kg_value *spec)
{
	static const struct {
		check_fn *check;
		bool baseline, restricted; /* where a stricter one stands in, not restricted */
	} checks[] = {
		{check_apparmor, true, true},
		{check_capabilities, true, false},
		{check_host_namespaces, true, true},
		{check_host_path, true, false},
		{check_host_ports, true, true},
		{check_privileged, true, true},
		{check_proc_mount, true, true},
		{check_selinux, true, true},
		{check_seccomp, true, false},
		{check_sysctls, true, true},
		{check_escalation, false, true},
		{check_capabilities_restricted, false, true},
		{check_volumes, false, true},
		{check_non_root, false, true},
		{check_user, false, true},
		{check_seccomp_restricted, false, true},
	};
	struct look l = {.a = a, .meta = meta, .spec = spec, .version = version};
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < KG_ARRAY_LEN(checks); i++) {
		if (!(level == 1 ? checks[i].baseline : checks[i].restricted))
			continue;
		const char *bad = checks[i].check(&l);
		if (bad)
			kg_buf_addf(&b, "%s%s", b.len ? ", " : "", bad);
	}
	return b.len ? kg_arena_strndup(a, b.data, b.len) : NULL;
}
