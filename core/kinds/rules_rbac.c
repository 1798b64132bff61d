/* Rules of roles and their bindings. */
#include "kinds/tables.h"

const char *kg_check_path_segment(struct kg_arena *a, const struct kg_value *v)
{
	const char *s = kg_string(v, "");

	(void)a;
	if (!strcmp(s, "."))
		return "may not be '.'";
	if (!strcmp(s, ".."))
		return "may not be '..'";
	if (strchr(s, '/'))
		return "may not contain '/'";
	return strchr(s, '%') ? "may not contain '%'" : NULL;
}

void kg_validate_rbac(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_path_segment);
}

static void validate_rule(
	struct kg_fault_list *f, const struct kg_value *v, const char *path, bool namespaced)
{
	bool groups = kg_len(kg_get(v, "apiGroups")), resources = kg_len(kg_get(v, "resources"));

	if (!kg_len(kg_get(v, "verbs")))
		kg_rule(f, path, "verbs", "Required value: verbs must contain at least one value");
	if (kg_len(kg_get(v, "nonResourceURLs"))) {
		if (namespaced)
			kg_rule_invalid(f, v, path, "nonResourceURLs",
				"namespaced rules cannot apply to non-resource URLs");
		if (groups || resources || kg_len(kg_get(v, "resourceNames")))
			kg_rule_invalid(f, v, path, "nonResourceURLs",
				"rules cannot apply to both regular resources and non-resource "
				"URLs");
		return;
	}
	if (!groups)
		kg_rule(f, path, "apiGroups",
			"Required value: resource rules must supply at least one api group");
	if (!resources)
		kg_rule(f, path, "resources",
			"Required value: resource rules must supply at least one resource");
}

void kg_validate_role_rule(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_rule(f, v, path, true);
}

void kg_validate_clusterrole_rule(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	validate_rule(f, v, path, false);
}

struct kg_value kg_default_subject(struct kg_arena *a, const struct kg_value *v)
{
	const char *kind = kg_string(kg_get(v, "kind"), "");

	if (!kg_is_null(kg_get(v, "apiGroup")) || (strcmp(kind, "User") && strcmp(kind, "Group")))
		return *v;
	return kg_with(a, v, "apiGroup", kg_v_lit("rbac.authorization.k8s.io"));
}

void kg_validate_subject(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *group = kg_get(v, "apiGroup");
	bool account = !strcmp(kg_string(kg_get(v, "kind"), ""), "ServiceAccount");
	const char *expected = account ? "" : "rbac.authorization.k8s.io";

	if (account)
		kg_rule_check(f, kg_check_dns_subdomain, kg_get(v, "name"), path, "name");
	if (!kg_is_null(group) && strcmp(kg_string(group, ""), expected) != 0)
		kg_rule(f, path, "apiGroup", "Unsupported value: %s: supported values: \"%s\"",
			kg_rule_show(f->arena, group), expected);
}

void kg_validate_cluster_subject(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_validate_subject(f, v, path);
	if (!strcmp(kg_string(kg_get(v, "kind"), ""), "ServiceAccount") &&
		kg_is_null(kg_get(v, "namespace")))
		kg_rule(f, path, "namespace", "Required value: the ServiceAccount's namespace");
}
