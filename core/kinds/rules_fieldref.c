/* Rules of references to a pod's own fields and resources: of variables and of files. */
#include "kinds/tables.h"

/* What stands between the brackets of metadata.labels['key'] and metadata.annotations['key']; NULL
 * where that is not what path is. */
static const char *subscript(struct kg_arena *a, const char *path)
{
	static const char *const maps[] = {"metadata.labels['", "metadata.annotations['"};
	size_t n = strlen(path);

	for (size_t i = 0; i < KG_ARRAY_LEN(maps); i++) {
		size_t head = strlen(maps[i]);
		if (n > head + 2 && !strncmp(path, maps[i], head) && !strcmp(path + n - 2, "']"))
			return kg_arena_printf(a, "%.*s", (int)(n - head - 2), path + head);
	}
	return NULL;
}

static void validate_key(struct kg_fault_list *f, const char *key, const char *path)
{
	struct kg_value v = kg_v_lit(key);
	const char *bad = kg_check_label_key(f->arena, &v);

	if (bad)
		kg_rule(f, path, "fieldPath", "Invalid value: %s: %s", kg_rule_show(f->arena, &v),
			bad);
}

void kg_validate_field_ref(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const in_volumes[] = {"metadata.annotations", "metadata.labels",
		"metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels['KEY']",
		"metadata.annotations['KEY']", NULL};
	static const char *const in_env[] = {"metadata.name", "metadata.namespace", "metadata.uid",
		"metadata.labels['KEY']", "metadata.annotations['KEY']", "spec.nodeName",
		"spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP",
		"status.podIPs", NULL};
	/* A file of a volume may be a whole map; a variable may be more of the pod's status. */
	const char *const *fields = strstr(path, ".valueFrom") ? in_env : in_volumes;
	const struct kg_value *field = kg_get(v, "fieldPath");
	const char *s = kg_string(field, "");
	const char *key = subscript(f->arena, s);
	const char *version = kg_string(kg_get(v, "apiVersion"), "v1");

	if (key)
		validate_key(f, key, path);
	else if (*s && !kg_rule_one_of(s, fields))
		kg_rule(f, path, "fieldPath", "Unsupported value: %s: supported values: %s",
			kg_rule_show(f->arena, field), kg_rule_values(f->arena, fields));
	if (strcmp(version, "v1") != 0)
		kg_rule(f, path, "apiVersion", "Unsupported value: %s: supported values: \"v1\"",
			kg_rule_show(f->arena, kg_get(v, "apiVersion")));
}

void kg_validate_resource_ref(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const of_cpu[] = {"0", "1m", "1", NULL};
	static const char *const of_bytes[] = {"0", "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki",
		"1Mi", "1Gi", "1Ti", "1Pi", "1Ei", NULL};
	const char *resource = kg_string(kg_get(v, "resource"), "");
	const struct kg_value *divisor = kg_get(v, "divisor");
	bool cpu = !strcmp(resource, "limits.cpu") || !strcmp(resource, "requests.cpu");
	const char *const *units = cpu ? of_cpu : of_bytes;

	if (!kg_is_null(divisor) && !kg_rule_one_of(kg_string(divisor, ""), units))
		kg_rule(f, path, "divisor", "Invalid value: %s: of %s only these are supported: %s",
			kg_rule_show(f->arena, divisor), resource,
			kg_rule_values(f->arena, units + 1));
}
