#include "kinds/rules.h"

void kg_rule_immutable(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *field)
{
	const struct kg_value *old = kg_get(before, field), *new = kg_get(after, field);

	if (!kg_equal(old, new))
		kg_rule(f, path, field,
			"Invalid value: %s: field is immutable (it was %s); an object of another "
			"name can have it",
			kg_rule_show(f->arena, new), kg_rule_show(f->arena, old));
}

void kg_schema_check_update(const struct kg_schema *s, const struct kg_value *before,
	const struct kg_value *after, const char *path, struct kg_fault_list *faults)
{
	if (kg_equal(before, after))
		return;
	for (const struct kg_field *f = s->fields; f->name; f++) {
		const struct kg_value *old = kg_get(before, f->name);
		const struct kg_value *new = kg_get(after, f->name);

		if (f->flags & KG_FF_STATUS)
			continue;
		if (f->flags & KG_FF_IMMUTABLE) {
			kg_rule_immutable(faults, before, after, path, f->name);
			continue;
		}
		if (f->type == KG_F_OBJECT && !(f->flags & (KG_FF_LIST | KG_FF_MAP)))
			kg_schema_check_update(f->schema, old, new,
				kg_rule_path(faults, path, "%s", f->name), faults);
	}
	if (s->update)
		s->update(faults, before, after, path);
}
