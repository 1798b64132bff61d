/* Rules of Namespace and ConfigMap. */
#include "kinds/tables.h"

enum { CONFIGMAP_MAX = 1024 * 1024 };

struct kg_value kg_default_namespace(struct kg_arena *a, const struct kg_value *v)
{
	const struct kg_value *name = kg_at(v, "metadata.name");
	const struct kg_value *labels = kg_at(v, "metadata.labels");

	if (name->type != KG_STRING)
		return *v;
	return kg_with(a, v, "metadata.labels",
		kg_with_key(a, labels, "kubernetes.io/metadata.name", *name));
}

void kg_validate_namespace(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_label);
}

void kg_validate_configmap(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *data = kg_get(v, "data"), *binary = kg_get(v, "binaryData");
	size_t total = 0;

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	if (!strcmp(kg_string(kg_at(v, "metadata.name"), ""), "kube-root-ca.crt"))
		kg_rule_warn(f, path, "metadata.name",
			"pods see the cluster's own CA under this name, whatever is written here");
	for (uint32_t i = 0; i < kg_len(data); i++)
		total += data->members[i].value.len;
	for (uint32_t i = 0; i < kg_len(binary); i++) {
		const struct kg_member *m = &binary->members[i];
		total += m->value.len / 4 * 3;
		if (!kg_is_null(kg_get(data, m->key)))
			kg_rule(f, path, kg_arena_printf(f->arena, "binaryData[%s]", m->key),
				"Invalid value: \"%s\": duplicate of key present in data", m->key);
	}
	if (total > CONFIGMAP_MAX)
		kg_rule(f, path, "data", "Too long: must have at most %d bytes, has %zu",
			CONFIGMAP_MAX, total);
}

void kg_update_configmap(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const fields[] = {"immutable", "data", "binaryData", NULL};

	kg_rule_sealed(f, before, after, path, fields);
}
