/* Rules of StatefulSet, DaemonSet and PodDisruptionBudget. */
#include "kinds/tables.h"

/* ---- StatefulSet ---- */

void kg_validate_statefulset_strategy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *unavailable = kg_at(v, "rollingUpdate.maxUnavailable");
	bool percent;

	if (!strcmp(kg_string(kg_get(v, "type"), ""), "OnDelete"))
		kg_rule_invalid(f, v, path, "rollingUpdate",
			"only allowed for updateStrategy 'RollingUpdate'");
	if (kg_is_null(unavailable))
		return;
	if (!kg_rule_amount(unavailable, &percent))
		kg_rule_invalid(f, v, path, "rollingUpdate.maxUnavailable", "cannot be 0");
	kg_rule_at_most_all(f, unavailable, path, "rollingUpdate.maxUnavailable");
}

void kg_validate_claim_template(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_object_meta(f, v, path, kg_check_dns_label);
	kg_rule_class_annotations(f, v, path);
}

static void validate_claim_names(
	struct kg_fault_list *f, const struct kg_value *claims, const char *path)
{
	for (uint32_t i = 0; i < kg_len(claims); i++) {
		const struct kg_value *name = kg_at(&claims->items[i], "metadata.name");
		for (uint32_t k = 0; k < i && !kg_is_null(name); k++) {
			if (!kg_equal(name, kg_at(&claims->items[k], "metadata.name")))
				continue;
			kg_rule(f, path,
				kg_arena_printf(
					f->arena, "volumeClaimTemplates[%u].metadata.name", i),
				"Duplicate value: %s", kg_rule_show(f->arena, name));
			break;
		}
	}
}

void kg_validate_statefulset_spec(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *claims = kg_get(v, "volumeClaimTemplates");

	kg_rule_workload_template(f, v, path, "statefulset", "StatefulSet");
	validate_claim_names(f, claims, path);
	kg_rule_mounts(
		f, kg_at(v, "template.spec"), claims, kg_rule_path(f, path, "template.spec"));
}

void kg_update_statefulset_spec(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const char *const fixed[] = {
		"selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"};

	for (size_t i = 0; i < KG_ARRAY_LEN(fixed); i++) {
		if (!kg_equal(kg_get(before, fixed[i]), kg_get(after, fixed[i])))
			kg_rule(f, path, fixed[i],
				"Forbidden: updates to statefulset spec for fields other than "
				"'replicas', 'ordinals', 'template', 'updateStrategy', "
				"'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "
				"and 'minReadySeconds' are forbidden");
	}
}

/* ---- DaemonSet ---- */

void kg_validate_daemonset_strategy(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *rolling = kg_get(v, "rollingUpdate");
	const struct kg_value *unavailable = kg_get(rolling, "maxUnavailable");
	const struct kg_value *surge = kg_get(rolling, "maxSurge");
	bool percent;

	if (kg_is_null(rolling) || strcmp(kg_string(kg_get(v, "type"), ""), "RollingUpdate") != 0)
		return;
	bool missing = kg_rule_amount(unavailable, &percent) != 0;
	bool more = kg_rule_amount(surge, &percent) != 0;
	kg_rule_at_most_all(f, unavailable, path, "rollingUpdate.maxUnavailable");
	kg_rule_at_most_all(f, surge, path, "rollingUpdate.maxSurge");
	if (missing && more)
		kg_rule_invalid(f, v, path, "rollingUpdate.maxSurge",
			"may not be set when maxUnavailable is non-zero");
	else if (!missing && !more)
		kg_rule(f, path, "rollingUpdate.maxUnavailable",
			"Required value: cannot be 0 when maxSurge is 0");
}

void kg_validate_daemonset_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	kg_rule_workload_template(f, v, path, "daemonset", "DaemonSet");
}

/* ---- PodDisruptionBudget ---- */

void kg_validate_pdb_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	static const char *const amounts[] = {"minAvailable", "maxUnavailable"};

	if (!kg_is_null(kg_get(v, amounts[0])) && !kg_is_null(kg_get(v, amounts[1])))
		kg_rule(f, path, "",
			"Invalid value: minAvailable and maxUnavailable cannot be both set");
	for (size_t i = 0; i < KG_ARRAY_LEN(amounts); i++)
		kg_rule_at_most_all(f, kg_get(v, amounts[i]), path, amounts[i]);
}
