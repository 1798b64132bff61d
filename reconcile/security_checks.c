/* All checks of a level, in order, and what they share. */
#include "reconcile/security.h"

#include <string.h>

const char *const kg_security_profiles[] = {"RuntimeDefault", "Localhost", NULL};

/* ---- texts ---- */

bool kg_texts_allow(const char *s, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(s, *list))
			return true;
	return false;
}

void kg_texts_once(struct kg_texts *t, const char *s)
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

void kg_texts_sort(struct kg_texts *t)
{
	if (t->n)
		qsort(t->v, t->n, sizeof(*t->v), cmp_text);
}

const char *kg_texts_joined(const struct kg_texts *t, const char *between)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < t->n; i++)
		kg_buf_addf(&b, "%s%s", i ? between : "", t->v[i]);
	return kg_arena_strndup(t->a, kg_buf_str(&b), b.len);
}

const char *kg_texts_quoted(const struct kg_texts *t)
{
	return kg_arena_printf(t->a, "\"%s\"", kg_texts_joined(t, "\", \""));
}

const char *kg_texts_named(const struct kg_texts *t)
{
	return kg_arena_printf(t->a, "container%s %s", t->n > 1 ? "s" : "", kg_texts_quoted(t));
}

/* ---- looking ---- */

const struct kg_value *kg_look_context(const struct kg_value *of, const char *field)
{
	return kg_get(kg_get(of, "securityContext"), field);
}

const struct kg_value *kg_look_container(const struct kg_look *l, uint32_t i)
{
	const struct kg_value *init = kg_get(l->spec, "initContainers"),
			      *cs = kg_get(l->spec, "containers");
	if (i < kg_len(init))
		return &init->items[i];
	i -= kg_len(init);
	return i < kg_len(cs) ? &cs->items[i] : NULL;
}

bool kg_look_is_mapped(const struct kg_look *l)
{
	return !kg_bool(kg_get(l->spec, "hostUsers"), true);
}

struct kg_texts kg_look_bad(struct kg_look *l, kg_security_bad_fn *bad)
{
	struct kg_texts t = {.a = l->a};
	const struct kg_value *c;
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++)
		if (bad(c))
			kg_texts_add(&t, "%s", kg_string(kg_get(c, "name"), ""));
	return t;
}

const char *kg_look_if_any(
	struct kg_look *l, kg_security_bad_fn *bad, const char *reason, const char *what)
{
	struct kg_texts t = kg_look_bad(l, bad);
	return t.n ? kg_arena_printf(l->a, "%s (%s %s)", reason, kg_texts_named(&t), what) : NULL;
}

const char *kg_look_setters(struct kg_look *l, kg_security_bad_fn *bad)
{
	struct kg_texts t = kg_look_bad(l, bad), who = {.a = l->a};
	if (bad(l->spec))
		kg_texts_add(&who, "pod");
	if (t.n)
		kg_texts_add(&who, "%s", kg_texts_named(&t));
	return who.n ? kg_texts_joined(&who, " and ") : NULL;
}

struct kg_texts kg_look_capabilities(struct kg_look *l, const char *const *ok, struct kg_texts *who)
{
	struct kg_texts what = {.a = l->a};
	const struct kg_value *c;
	*who = (struct kg_texts){.a = l->a};
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++) {
		const struct kg_value *add = kg_get(kg_look_context(c, "capabilities"), "add");
		bool any = false;
		for (uint32_t k = 0; k < kg_len(add); k++) {
			const char *s = kg_string(&add->items[k], "");
			if (kg_texts_allow(s, ok))
				continue;
			kg_texts_once(&what, s);
			any = true;
		}
		if (any)
			kg_texts_add(who, "%s", kg_string(kg_get(c, "name"), ""));
	}
	kg_texts_sort(&what);
	return what;
}

static void add_type(
	struct kg_texts *t, const struct kg_value *of, const char *field, const char *const *ok)
{
	const struct kg_value *v = kg_look_context(of, field);
	const char *type = kg_string(kg_get(v, "type"), "");
	if (!kg_is_null(v) && !kg_texts_allow(type, ok))
		kg_texts_once(t, type);
}

struct kg_texts kg_look_types(struct kg_look *l, const char *field, const char *const *ok)
{
	struct kg_texts t = {.a = l->a};
	const struct kg_value *c;
	add_type(&t, l->spec, field, ok);
	for (uint32_t i = 0; (c = kg_look_container(l, i)); i++)
		add_type(&t, c, field, ok);
	kg_texts_sort(&t);
	return t;
}

/* ---- all of a level ---- */

#define ALWAYS INT32_MAX

/* Baseline's come first; each by the name that Kubernetes has for it. */
static const struct {
	kg_security_check_fn *check;
	bool restricted; /* of that level alone */
	int since;       /* version */
	int until;       /* from that version on a stricter one stands in, where it is restricted */
} checks[] = {
	{kg_check_apparmor, false, 0, ALWAYS},
	{kg_check_capabilities, false, 0, 22},
	{kg_check_host_namespaces, false, 0, ALWAYS},
	{kg_check_host_path, false, 0, 0},
	{kg_check_host_ports, false, 0, ALWAYS},
	{kg_check_host_probes, false, 34, ALWAYS},
	{kg_check_privileged, false, 0, ALWAYS},
	{kg_check_proc_mount, false, 0, 35},
	{kg_check_selinux, false, 0, ALWAYS},
	{kg_check_seccomp, false, 0, 19},
	{kg_check_sysctls, false, 0, ALWAYS},
	{kg_check_escalation, true, 8, ALWAYS},
	{kg_check_capabilities_restricted, true, 22, ALWAYS},
	{kg_check_proc_mount_restricted, true, 35, ALWAYS},
	{kg_check_volumes, true, 0, ALWAYS},
	{kg_check_non_root, true, 0, ALWAYS},
	{kg_check_user, true, 23, ALWAYS},
	{kg_check_seccomp_restricted, true, 19, ALWAYS},
};

struct kg_texts kg_security_faults(struct kg_arena *a, int level, int version,
	const struct kg_value *meta, const struct kg_value *spec)
{
	struct kg_look l = {.a = a, .meta = meta, .spec = spec, .version = version};
	struct kg_texts t = {.a = a};
	for (size_t i = 0; i < KG_ARRAY_LEN(checks); i++) {
		bool asked = level == 1 ? !checks[i].restricted
					: checks[i].until == ALWAYS || version < checks[i].until;
		const char *bad = asked && version >= checks[i].since ? checks[i].check(&l) : NULL;
		if (bad)
			kg_texts_add(&t, "%s", bad);
	}
	return t;
}
