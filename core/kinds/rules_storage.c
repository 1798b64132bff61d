/* Rules of PersistentVolume and StorageClass. */
#include "base/quantity.h"
#include "kinds/tables.h"

#include <ctype.h>

enum { PARAMETERS_MAX = 512, PARAMETERS_SIZE_MAX = 256 * 1024 };

const char *kg_check_no_backsteps(struct kg_arena *a, const struct kg_value *v)
{
	(void)a;
	for (const char *p = kg_string(v, ""); p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL) {
		if (!strncmp(p, "..", 2) && (!p[2] || p[2] == '/'))
			return "must not contain '..'";
	}
	return NULL;
}

/* A qualified name; letters may be of either case. */
const char *kg_check_provisioner(struct kg_arena *a, const struct kg_value *v)
{
	char *lower = kg_arena_strdup(a, kg_string(v, ""));

	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	struct kg_value name = kg_v_lit(lower);
	return kg_check_label_key(a, &name);
}

void kg_validate_volume_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *size = kg_at(v, "capacity.storage");
	bool host = !kg_is_null(kg_get(v, "hostPath")), local = !kg_is_null(kg_get(v, "local"));
	int64_t milli;

	kg_rule_access_modes(f, v, path);
	if (kg_is_null(size) && !kg_is_null(kg_get(v, "capacity")))
		kg_rule(f, path, "capacity.storage", "Required value: how much it holds");
	else if (!kg_quantity_milli(&milli, kg_string(size, "")) && !milli)
		kg_rule_invalid(f, v, path, "capacity.storage", "must be greater than zero");
	if (kg_len(kg_get(v, "capacity")) > 1 && !kg_is_null(size))
		kg_rule(f, path, "capacity",
			"Unsupported value: %s: supported values: \"storage\" alone",
			kg_rule_show(f->arena, kg_get(v, "capacity")));
	if (host && local)
		kg_rule(f, path, "local", "Forbidden: may not specify more than 1 volume type");
	else if (!host && !local)
		kg_rule(f, path, "",
			"Required value: must specify a volume type: hostPath or local");
	if (local && kg_is_null(kg_at(v, "nodeAffinity.required")))
		kg_rule(f, path, "nodeAffinity",
			"Required value: Local volume requires node affinity");
	else if (!kg_is_null(kg_get(v, "nodeAffinity")) &&
		 kg_is_null(kg_at(v, "nodeAffinity.required")))
		kg_rule(f, path, "nodeAffinity.required",
			"Required value: must specify required node constraints");
	if (!strcmp(kg_string(kg_get(v, "persistentVolumeReclaimPolicy"), ""), "Delete") && host &&
		!strcmp(kg_string(kg_at(v, "hostPath.path"), ""), "/"))
		kg_rule(f, path, "persistentVolumeReclaimPolicy",
			"Forbidden: may not be 'Delete' for a hostPath mount of '/'");
}

void kg_update_volume_spec(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const sources[] = {"hostPath", "local"};

	for (size_t i = 0; i < KG_ARRAY_LEN(sources); i++) {
		if (!kg_equal(kg_get(before, sources[i]), kg_get(after, sources[i])))
			kg_rule(f, path, sources[i],
				"Forbidden: spec.persistentvolumesource is immutable after "
				"creation");
	}
	kg_rule_immutable(f, before, after, path, "volumeMode");
	if (!kg_is_null(kg_get(before, "nodeAffinity")))
		kg_rule_immutable(f, before, after, path, "nodeAffinity");
}

/* A directory is made where a pod is: not before there is one. */
static void validate_provisioner(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *who = kg_string(kg_get(v, "provisioner"), "");
	const char *mode = kg_string(kg_get(v, "volumeBindingMode"), "Immediate");
	const char *dir = kg_string(kg_at(v, "parameters.path"), "/");

	if (!strcmp(who, "kgit.dev/local-path")) {
		if (strcmp(mode, "WaitForFirstConsumer") != 0)
			kg_rule(f, path, "volumeBindingMode",
				"Invalid value: \"%s\": kgit.dev/local-path needs "
				"WaitForFirstConsumer: a volume is made on the node of the pod",
				mode);
		if (*dir != '/')
			kg_rule(f, path, "parameters[path]",
				"Invalid value: \"%s\": must be an absolute path", dir);
	} else if (*who && strcmp(who, "kubernetes.io/no-provisioner") != 0) {
		kg_rule_warn(f, path, "provisioner",
			"nothing in kgit provisions volumes as %s; kgit.dev/local-path and "
			"kubernetes.io/no-provisioner work",
			who);
	}
}

void kg_validate_with_class(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	kg_rule_class_annotations(f, v, path);
}

void kg_validate_storageclass(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *parameters = kg_get(v, "parameters");
	size_t total = 0;

	kg_rule_object_meta(f, v, path, kg_check_dns_subdomain);
	kg_rule_default_annotation(f, v, path);
	validate_provisioner(f, v, path);
	if (kg_len(parameters) > PARAMETERS_MAX)
		kg_rule(f, path, "parameters", "Too many: %u: must have at most %d items",
			parameters->len, PARAMETERS_MAX);
	for (uint32_t i = 0; i < kg_len(parameters); i++) {
		const struct kg_member *m = &parameters->members[i];
		if (!*m->key)
			kg_rule(f, path, "parameters",
				"Invalid value: \"\": field can not be empty");
		total += strlen(m->key) + m->value.len;
	}
	if (total > PARAMETERS_SIZE_MAX)
		kg_rule(f, path, "parameters", "Too long: must have at most %d bytes",
			PARAMETERS_SIZE_MAX);
}

void kg_update_storageclass(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const fixed[] = {"parameters", "provisioner"};

	for (size_t i = 0; i < KG_ARRAY_LEN(fixed); i++) {
		if (!kg_equal(kg_get(before, fixed[i]), kg_get(after, fixed[i])))
			kg_rule(f, path, fixed[i], "Forbidden: updates to %s are forbidden.",
				fixed[i]);
	}
}
