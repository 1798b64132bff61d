/* Rules of where pods may and should run. */
#include "kinds/tables.h"

void kg_validate_toleration(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *op = kg_string(kg_get(v, "operator"), "Equal");
	const struct kg_value *value = kg_get(v, "value");
	bool exists = !strcmp(op, "Exists");

	if (kg_is_null(kg_get(v, "key")) && !exists)
		kg_rule(f, path, "operator",
			"Invalid value: \"%s\": operator must be Exists when `key` is empty, which "
			"means \"match all values and all keys\"",
			op);
	if (exists && !kg_is_null(value))
		kg_rule(f, path, "operator",
			"Invalid value: %s: value must be empty when `operator` is 'Exists'",
			kg_rule_show(f->arena, value));
	if (!exists)
		kg_rule_check(f, kg_check_label_value, value, path, "value");
	if (!kg_is_null(kg_get(v, "tolerationSeconds")) &&
		strcmp(kg_string(kg_get(v, "effect"), ""), "NoExecute") != 0)
		kg_rule(f, path, "effect",
			"Invalid value: \"%s\": effect must be 'NoExecute' when "
			"`tolerationSeconds` is set",
			kg_string(kg_get(v, "effect"), ""));
}

void kg_validate_node_expression(
	struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const char *op = kg_string(kg_get(v, "operator"), "");
	uint32_t n = kg_len(kg_get(v, "values"));

	if ((!strcmp(op, "In") || !strcmp(op, "NotIn")) && !n)
		kg_rule(f, path, "values",
			"Required value: must be specified when `operator` is 'In' or 'NotIn'");
	else if ((!strcmp(op, "Exists") || !strcmp(op, "DoesNotExist")) && n)
		kg_rule(f, path, "values",
			"Forbidden: may not be specified when `operator` is 'Exists' or "
			"'DoesNotExist'");
	else if ((!strcmp(op, "Gt") || !strcmp(op, "Lt")) && n != 1)
		kg_rule(f, path, "values",
			"Required value: must be specified single value when `operator` is 'Lt' "
			"or 'Gt'");
}

void kg_validate_node_field(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *key = kg_get(v, "key"), *values = kg_get(v, "values");

	if (strcmp(kg_string(key, "metadata.name"), "metadata.name") != 0)
		kg_rule(f, path, "key",
			"Invalid value: %s: not a valid field selector key: only metadata.name is",
			kg_rule_show(f->arena, key));
	if (kg_len(values) != 1)
		kg_rule(f, path, "values",
			"Required value: must be only one value when `operator` is 'In' or 'NotIn' "
			"for node field selector");
}

/* ---- pods ---- */

static bool lists(const struct kg_value *list, const struct kg_value *s)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		if (kg_equal(&list->items[i], s))
			return true;
	}
	return false;
}

/* Label keys whose values are the pod's own join the selector, so there must be one, and it must
 * not speak of them already. */
static void validate_keys(struct kg_fault_list *f, const struct kg_value *v, const char *path,
	const char *field, bool may_repeat)
{
	const struct kg_value *keys = kg_get(v, field);
	const struct kg_value *selector = kg_get(v, "labelSelector");
	const struct kg_value *expressions = kg_get(selector, "matchExpressions");

	if (kg_len(keys) && kg_is_null(selector))
		kg_rule(f, path, field,
			"Forbidden: must not be specified when labelSelector is not set");
	for (uint32_t i = 0; !may_repeat && i < kg_len(keys); i++) {
		const char *key = kg_string(&keys->items[i], "");
		if (kg_is_null(kg_get(kg_get(selector, "matchLabels"), key)) &&
			kg_is_null(kg_find(expressions, "key", key)))
			continue;
		kg_rule(f, path, kg_arena_printf(f->arena, "%s[%u]", field, i),
			"Invalid value: \"%s\": exists in both %s and labelSelector", key, field);
	}
}

void kg_validate_affinity_term(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *match = kg_get(v, "matchLabelKeys");
	const struct kg_value *mismatch = kg_get(v, "mismatchLabelKeys");

	validate_keys(f, v, path, "matchLabelKeys", false);
	validate_keys(f, v, path, "mismatchLabelKeys", true);
	for (uint32_t i = 0; i < kg_len(match); i++) {
		if (lists(mismatch, &match->items[i]))
			kg_rule(f, path, kg_arena_printf(f->arena, "matchLabelKeys[%u]", i),
				"Invalid value: %s: exists in both matchLabelKeys and "
				"mismatchLabelKeys",
				kg_rule_show(f->arena, &match->items[i]));
	}
}

void kg_validate_spread(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	if (kg_is_null(kg_get(v, "labelSelector")))
		kg_rule_warn(f, path, "labelSelector", "without it no pod is counted");
	if (!strcmp(kg_string(kg_get(v, "whenUnsatisfiable"), ""), "ScheduleAnyway"))
		kg_rule_invalid(f, v, path, "minDomains",
			"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
			"ScheduleAnyway");
	validate_keys(f, v, path, "matchLabelKeys", false);
}
