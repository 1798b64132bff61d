/* The checks of the restricted level, beside or instead of those of baseline. */
#include "reconcile/security.h"

#include <string.h>

static bool escalates(const struct kg_value *c)
{
	return kg_bool(kg_look_context(c, "allowPrivilegeEscalation"), true);
}

const char *kg_check_escalation(struct kg_look *l)
{
	return kg_look_if_any(l, escalates, "allowPrivilegeEscalation != false",
		"must set securityContext.allowPrivilegeEscalation=false");
}

static bool keeps_capabilities(const struct kg_value *c)
{
	const struct kg_value *drop = kg_get(kg_look_context(c, "capabilities"), "drop");
	for (uint32_t i = 0; i < kg_len(drop); i++)
		if (!strcmp(kg_string(&drop->items[i], ""), "ALL"))
			return false;
	return true;
}

const char *kg_check_capabilities_restricted(struct kg_look *l)
{
	static const char *const ok[] = {"NET_BIND_SERVICE", NULL};
	struct kg_texts who, what = kg_look_capabilities(l, ok, &who);
	struct kg_texts keep = kg_look_bad(l, keeps_capabilities), all = {.a = l->a};
	if (keep.n)
		kg_texts_add(&all, "%s must set securityContext.capabilities.drop=[\"ALL\"]",
			kg_texts_named(&keep));
	if (what.n)
		kg_texts_add(&all, "%s must not include %s in securityContext.capabilities.add",
			kg_texts_named(&who), kg_texts_quoted(&what));
	return all.n ? kg_arena_printf(
			       l->a, "unrestricted capabilities (%s)", kg_texts_joined(&all, "; "))
		     : NULL;
}

const char *kg_check_proc_mount_restricted(struct kg_look *l)
{
	struct kg_look strict = *l;
	strict.version = 0; /* a user namespace does not excuse it here */
	return kg_check_proc_mount(&strict);
}

const char *kg_check_volumes(struct kg_look *l)
{
	static const char *const ok[] = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
		"image", "persistentVolumeClaim", "projected", "secret", "name", NULL};
	const struct kg_value *volumes = kg_get(l->spec, "volumes");
	struct kg_texts who = {.a = l->a}, what = {.a = l->a};
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *v = &volumes->items[i];
		for (uint32_t k = 0; k < kg_len(v); k++) {
			if (kg_texts_allow(v->members[k].key, ok))
				continue;
			kg_texts_add(&who, "%s", kg_string(kg_get(v, "name"), ""));
			kg_texts_once(&what, v->members[k].key);
			break;
		}
	}
	kg_texts_sort(&what);
	return who.n ? kg_arena_printf(l->a,
			       "restricted volume types (volume%s %s use%s restricted volume "
			       "type%s %s)",
			       who.n > 1 ? "s" : "", kg_texts_quoted(&who), who.n > 1 ? "" : "s",
			       what.n > 1 ? "s" : "", kg_texts_quoted(&what))
		     : NULL;
}

static bool may_be_root(const struct kg_value *of)
{
	return !kg_bool(kg_look_context(of, "runAsNonRoot"), true);
}

static bool says_nothing_of_root(const struct kg_value *c)
{
	return kg_is_null(kg_look_context(c, "runAsNonRoot"));
}

const char *kg_check_non_root(struct kg_look *l)
{
	if (l->version >= 35 && kg_look_is_mapped(l))
		return NULL;
	const char *who = kg_look_setters(l, may_be_root);
	if (who)
		return kg_arena_printf(l->a,
			"runAsNonRoot != true (%s must not set securityContext.runAsNonRoot=false)",
			who);
	if (kg_bool(kg_look_context(l->spec, "runAsNonRoot"), false))
		return NULL;
	struct kg_texts t = kg_look_bad(l, says_nothing_of_root);
	return t.n ? kg_arena_printf(l->a,
			     "runAsNonRoot != true (pod or %s must set "
			     "securityContext.runAsNonRoot=true)",
			     kg_texts_named(&t))
		   : NULL;
}

static bool is_root(const struct kg_value *of)
{
	return kg_int(kg_look_context(of, "runAsUser"), -1) == 0;
}

const char *kg_check_user(struct kg_look *l)
{
	if (l->version >= 35 && kg_look_is_mapped(l))
		return NULL;
	const char *who = kg_look_setters(l, is_root);
	return who ? kg_arena_printf(l->a, "runAsUser=0 (%s must not set runAsUser=0)", who) : NULL;
}

static bool says_nothing_of_seccomp(const struct kg_value *c)
{
	return kg_is_null(kg_look_context(c, "seccompProfile"));
}

const char *kg_check_seccomp_restricted(struct kg_look *l)
{
	const char *bad = kg_check_seccomp(l);
	if (bad || !says_nothing_of_seccomp(l->spec))
		return bad;
	struct kg_texts t = kg_look_bad(l, says_nothing_of_seccomp);
	return t.n ? kg_arena_printf(l->a,
			     "seccompProfile (pod or %s must set "
			     "securityContext.seccompProfile.type to \"RuntimeDefault\" or "
			     "\"Localhost\")",
			     kg_texts_named(&t))
		   : NULL;
}
