/* Rules of PersistentVolumeClaim. */
#include "base/quantity.h"
#include "kinds/tables.h"

static bool has_mode(const struct kg_value *modes, const char *mode)
{
	for (uint32_t i = 0; i < kg_len(modes); i++) {
		if (!strcmp(kg_string(&modes->items[i], ""), mode))
			return true;
	}
	return false;
}

void kg_rule_access_modes(struct kg_fault_list *f, const struct kg_value *spec, const char *path)
{
	const struct kg_value *modes = kg_get(spec, "accessModes");

	if (!kg_len(modes))
		kg_rule(f, path, "accessModes",
			"Required value: at least 1 access mode is required");
	else if (modes->len > 1 && has_mode(modes, "ReadWriteOncePod"))
		kg_rule(f, path, "accessModes",
			"Forbidden: may not use ReadWriteOncePod with other access modes");
}

void kg_validate_claim_spec(struct kg_fault_list *f, const struct kg_value *v, const char *path)
{
	const struct kg_value *size = kg_at(v, "resources.requests.storage");
	int64_t milli;

	kg_rule_access_modes(f, v, path);
	if (kg_is_null(size))
		kg_rule(f, path, "resources.requests.storage",
			"Required value: how much the volume must hold");
	else if (!kg_quantity_milli(&milli, kg_string(size, "")) && !milli)
		kg_rule(f, path, "resources.requests.storage",
			"Invalid value: %s: must be greater than zero",
			kg_rule_show(f->arena, size));
}

void kg_update_claim_spec(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path)
{
	static const struct {
		const char *name;
		bool may_be_set; /* once, where it was open */
	} fixed[] = {
		{"accessModes", false},
		{"selector", false},
		{"volumeMode", false},
		{"volumeName", true},
		{"storageClassName", true},
	};
	const struct kg_value *was = kg_at(before, "resources.requests.storage");
	const struct kg_value *now = kg_at(after, "resources.requests.storage");
	int64_t old_size, new_size;

	for (size_t i = 0; i < KG_ARRAY_LEN(fixed); i++) {
		const struct kg_value *old = kg_get(before, fixed[i].name);
		if (kg_is_null(old) && fixed[i].may_be_set)
			continue;
		if (!kg_equal(old, kg_get(after, fixed[i].name)))
			kg_rule(f, path, fixed[i].name,
				"Forbidden: spec is immutable after creation except "
				"resources.requests for bound claims (it was %s)",
				kg_rule_show(f->arena, old));
	}
	if (!kg_quantity_milli(&old_size, kg_string(was, "")) &&
		!kg_quantity_milli(&new_size, kg_string(now, "")) && new_size < old_size)
		kg_rule(f, path, "resources.requests.storage",
			"Forbidden: field can not be less than previous value (%s)", was->s);
}
