/* The checks of the baseline level. */
#include "reconcile/security.h"

#include <string.h>

/* ---- AppArmor ---- */

static bool bad_apparmor(const struct kg_value *of)
{
	const struct kg_value *v = kg_look_context(of, "appArmorProfile");
	return !kg_is_null(v) &&
	       !kg_texts_allow(kg_string(kg_get(v, "type"), ""), kg_security_profiles);
}

/* `KEY="VALUE"` of annotations that ask for another profile. */
static struct kg_texts bad_apparmor_notes(const struct kg_look *l)
{
	static const char prefix[] = "container.apparmor.security.beta.kubernetes.io/";
	const struct kg_value *notes = kg_get(l->meta, "annotations");
	struct kg_texts t = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(notes); i++) {
		const char *key = notes->members[i].key;
		const char *v = kg_string(&notes->members[i].value, "");
		if (!strncmp(key, prefix, sizeof(prefix) - 1) && *v &&
			strcmp(v, "runtime/default") != 0 && strncmp(v, "localhost/", 10) != 0)
			kg_texts_add(&t, "%s=\"%s\"", key, v);
	}
	kg_texts_sort(&t);
	return t;
}

const char *kg_check_apparmor(struct kg_look *l)
{
	struct kg_texts values = kg_look_types(l, "appArmorProfile", kg_security_profiles);
	struct kg_texts notes = bad_apparmor_notes(l), who = {.a = l->a};
	const char *setters = kg_look_setters(l, bad_apparmor);
	if (setters)
		kg_texts_add(&who, "%s", setters);
	if (notes.n)
		kg_texts_add(&who, "annotation%s", notes.n > 1 ? "s" : "");
	for (size_t i = 0; i < notes.n; i++)
		kg_texts_add(&values, "%s", notes.v[i]);
	return who.n ? kg_arena_printf(l->a,
			       "forbidden AppArmor profile%s (%s must not set AppArmor profile "
			       "type to %s)",
			       values.n > 1 ? "s" : "", kg_texts_joined(&who, " and "),
			       kg_texts_quoted(&values))
		     : NULL;
}

/* ---- capabilities ---- */

const char *kg_check_capabilities(struct kg_look *l)
{
	static const char *const ok[] = {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID",
		"KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID",
		"SYS_CHROOT", NULL};
	struct kg_texts who, what = kg_look_capabilities(l, ok, &who);
	return what.n ? kg_arena_printf(l->a,
				"non-default capabilities (%s must not include %s in "
				"securityContext.capabilities.add)",
				kg_texts_named(&who), kg_texts_quoted(&what))
		      : NULL;
}

/* ---- what is the host's ---- */

const char *kg_check_host_namespaces(struct kg_look *l)
{
	static const char *const fields[] = {"hostNetwork", "hostPID", "hostIPC"};
	struct kg_texts t = {.a = l->a};
	for (size_t i = 0; i < KG_ARRAY_LEN(fields); i++)
		if (kg_bool(kg_get(l->spec, fields[i]), false))
			kg_texts_add(&t, "%s=true", fields[i]);
	return t.n ? kg_arena_printf(l->a, "host namespaces (%s)", kg_texts_joined(&t, ", "))
		   : NULL;
}

const char *kg_check_host_path(struct kg_look *l)
{
	const struct kg_value *volumes = kg_get(l->spec, "volumes");
	struct kg_texts t = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(volumes); i++)
		if (!kg_is_null(kg_get(&volumes->items[i], "hostPath")))
			kg_texts_add(&t, "%s", kg_string(kg_get(&volumes->items[i], "name"), ""));
	return t.n ? kg_arena_printf(l->a, "hostPath volumes (volume%s %s)", t.n > 1 ? "s" : "",
			     kg_texts_quoted(&t))
		   : NULL;
}

const char *kg_check_host_ports(struct kg_look *l)
{
	struct kg_texts who = {.a = l->a}, ports = {.a = l->a};
	const struct kg_value *c;
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++) {
		const struct kg_value *list = kg_get(c, "ports");
		bool any = false;
		for (uint32_t k = 0; k < kg_len(list); k++) {
			int64_t p = kg_int(kg_get(&list->items[k], "hostPort"), 0);
			if (p)
				kg_texts_once(&ports, kg_arena_printf(l->a, "%lld", (long long)p));
			any |= p != 0;
		}
		if (any)
			kg_texts_add(&who, "%s", kg_string(kg_get(c, "name"), ""));
	}
	kg_texts_sort(&ports);
	return who.n ? kg_arena_printf(l->a, "hostPort (%s use%s hostPort%s %s)",
			       kg_texts_named(&who), who.n > 1 ? "" : "s", ports.n > 1 ? "s" : "",
			       kg_texts_joined(&ports, ", "))
		     : NULL;
}

/* A probe or a hook that goes elsewhere than to its own pod. */
static void add_hosts(struct kg_texts *hosts, const struct kg_value *handler)
{
	static const char *const ways[] = {"httpGet", "tcpSocket"};
	for (size_t i = 0; i < KG_ARRAY_LEN(ways); i++) {
		const char *host = kg_string(kg_get(kg_get(handler, ways[i]), "host"), "");
		if (*host)
			kg_texts_once(hosts, host);
	}
}

const char *kg_check_host_probes(struct kg_look *l)
{
	static const char *const handlers[] = {"livenessProbe", "readinessProbe", "startupProbe",
		"lifecycle.postStart", "lifecycle.preStop"};
	struct kg_texts who = {.a = l->a}, hosts = {.a = l->a};
	const struct kg_value *c;
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++) {
		struct kg_texts own = {.a = l->a};
		for (size_t k = 0; k < KG_ARRAY_LEN(handlers); k++)
			add_hosts(&own, kg_at(c, handlers[k]));
		if (own.n)
			kg_texts_once(&who, kg_string(kg_get(c, "name"), ""));
		for (size_t k = 0; k < own.n; k++)
			kg_texts_once(&hosts, own.v[k]);
	}
	kg_texts_sort(&who);
	kg_texts_sort(&hosts);
	return who.n ? kg_arena_printf(l->a,
			       "probe or lifecycle host (%s use%s probe or lifecycle host%s %s)",
			       kg_texts_named(&who), who.n > 1 ? "" : "s", hosts.n > 1 ? "s" : "",
			       kg_texts_quoted(&hosts))
		     : NULL;
}

/* ---- containers' own ---- */

static bool is_privileged(const struct kg_value *c)
{
	return kg_bool(kg_look_context(c, "privileged"), false);
}

const char *kg_check_privileged(struct kg_look *l)
{
	return kg_look_if_any(
		l, is_privileged, "privileged", "must not set securityContext.privileged=true");
}

static bool unmasks(const struct kg_value *c)
{
	return strcmp(kg_string(kg_look_context(c, "procMount"), "Default"), "Default") != 0;
}

const char *kg_check_proc_mount(struct kg_look *l)
{
	if (l->version >= 35 && kg_look_is_mapped(l))
		return NULL;
	return kg_look_if_any(
		l, unmasks, "procMount", "must not set securityContext.procMount to \"Unmasked\"");
}

/* ---- SELinux ---- */

/* container_engine_t came with 1.31. */
static const char *const selinux_types[] = {
	"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t", NULL};

static bool bad_selinux_of(const struct kg_value *of, bool old)
{
	const struct kg_value *o = kg_look_context(of, "seLinuxOptions");
	const char *type = kg_string(kg_get(o, "type"), "");
	return !kg_texts_allow(type, selinux_types) || (old && !strcmp(type, selinux_types[4])) ||
	       *kg_string(kg_get(o, "user"), "") || *kg_string(kg_get(o, "role"), "");
}

static bool bad_selinux(const struct kg_value *of)
{
	return bad_selinux_of(of, false);
}

static bool bad_selinux_before(const struct kg_value *of)
{
	return bad_selinux_of(of, true);
}

/* What of the options is set that may not be, of pod and containers together. */
static const char *selinux_data(struct kg_look *l)
{
	struct kg_texts types = kg_look_types(l, "seLinuxOptions", selinux_types),
			data = {.a = l->a};
	const struct kg_value *c = l->spec;
	bool user = false, role = false;
	for (uint32_t i = 0; c; c = kg_look_container(l, i++)) {
		const struct kg_value *o = kg_look_context(c, "seLinuxOptions");
		user |= *kg_string(kg_get(o, "user"), "") != 0;
		role |= *kg_string(kg_get(o, "role"), "") != 0;
		if (l->version < 31 && !strcmp(kg_string(kg_get(o, "type"), ""), selinux_types[4]))
			kg_texts_once(&types, selinux_types[4]);
	}
	kg_texts_sort(&types);
	if (types.n)
		kg_texts_add(&data, "type%s %s", types.n > 1 ? "s" : "", kg_texts_quoted(&types));
	if (user)
		kg_texts_add(&data, "user may not be set");
	if (role)
		kg_texts_add(&data, "role may not be set");
	return kg_texts_joined(&data, "; ");
}

const char *kg_check_selinux(struct kg_look *l)
{
	const char *who = kg_look_setters(l, l->version < 31 ? bad_selinux_before : bad_selinux);
	return who ? kg_arena_printf(l->a,
			     "seLinuxOptions (%s set forbidden securityContext.seLinuxOptions: %s)",
			     who, selinux_data(l))
		   : NULL;
}

/* ---- seccomp ---- */

static bool bad_seccomp(const struct kg_value *of)
{
	const struct kg_value *v = kg_look_context(of, "seccompProfile");
	return !kg_is_null(v) &&
	       !kg_texts_allow(kg_string(kg_get(v, "type"), ""), kg_security_profiles);
}

static void add_seccomp_note(struct kg_texts *t, const struct kg_look *l, const char *key)
{
	const char *v = kg_string(kg_get(kg_get(l->meta, "annotations"), key), NULL);
	if (v && strcmp(v, "runtime/default") != 0 && strcmp(v, "docker/default") != 0 &&
		strncmp(v, "localhost/", 10) != 0)
		kg_texts_add(t, "%s=\"%s\"", key, v);
}

/* Before there was a field. */
static const char *check_seccomp_notes(struct kg_look *l)
{
	struct kg_texts t = {.a = l->a};
	const struct kg_value *c;
	add_seccomp_note(&t, l, "seccomp.security.alpha.kubernetes.io/pod");
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++)
		add_seccomp_note(&t, l,
			kg_arena_printf(l->a, "container.seccomp.security.alpha.kubernetes.io/%s",
				kg_string(kg_get(c, "name"), "")));
	kg_texts_sort(&t);
	return t.n ? kg_arena_printf(l->a, "seccompProfile (forbidden annotation%s %s)",
			     t.n > 1 ? "s" : "", kg_texts_joined(&t, ", "))
		   : NULL;
}

const char *kg_check_seccomp(struct kg_look *l)
{
	if (l->version < 19)
		return check_seccomp_notes(l);
	struct kg_texts values = kg_look_types(l, "seccompProfile", kg_security_profiles);
	const char *who = kg_look_setters(l, bad_seccomp);
	return who ? kg_arena_printf(l->a,
			     "seccompProfile (%s must not set securityContext.seccompProfile.type "
			     "to %s)",
			     who, kg_texts_quoted(&values))
		   : NULL;
}

/* ---- sysctls ---- */

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
		{"net.ipv4.tcp_wmem", 32}, {"net.ipv4.tcp_slow_start_after_idle", 37},
		{"net.ipv4.tcp_notsent_lowat", 37}};
	for (size_t i = 0; i < KG_ARRAY_LEN(safe); i++)
		if (!strcmp(safe[i].name, name))
			return version >= safe[i].since;
	return false;
}

const char *kg_check_sysctls(struct kg_look *l)
{
	const struct kg_value *list = kg_look_context(l->spec, "sysctls");
	struct kg_texts t = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(list); i++) {
		const char *name = kg_string(kg_get(&list->items[i], "name"), "");
		if (!sysctl_allowed(name, l->version))
			kg_texts_add(&t, "%s", name);
	}
	return t.n ? kg_arena_printf(l->a, "forbidden sysctls (%s)", kg_texts_joined(&t, ", "))
		   : NULL;
}
