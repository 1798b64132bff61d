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

/* The name of the only part that differs, its values in *old and *new; NULL: several do, or none.
 */
static const char *only_difference(
	struct kg_arena *a, const struct kg_value **old, const struct kg_value **new)
{
	const struct kg_value *was = *old, *is = *new;
	const char *found = NULL;

	if (was->type == KG_ARRAY && is->type == KG_ARRAY && was->len == is->len) {
		for (uint32_t i = 0; i < is->len; i++) {
			if (kg_equal(&was->items[i], &is->items[i]))
				continue;
			if (found)
				return NULL;
			found = kg_arena_printf(a, "[%u]", i);
			*old = &was->items[i];
			*new = &is->items[i];
		}
		return found;
	}
	if (was->type != KG_OBJECT || is->type != KG_OBJECT)
		return NULL;
	for (uint32_t i = 0; i < is->len + was->len; i++) {
		bool mine = i < is->len;
		const char *key = mine ? is->members[i].key : was->members[i - is->len].key;
		const struct kg_value *o = kg_get(was, key), *n = kg_get(is, key);
		if (kg_equal(o, n) || (!mine && !kg_is_null(n)))
			continue;
		if (found)
			return NULL;
		found = key;
		*old = o;
		*new = n;
	}
	return found;
}

void kg_rule_immutable_part(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *field)
{
	const struct kg_value *old = kg_get(before, field), *new = kg_get(after, field);
	const char *where = kg_rule_path(f, path, "%s", field), *part;

	if (kg_equal(old, new))
		return;
	while ((part = only_difference(f->arena, &old, &new)))
		where = *part == '[' ? kg_arena_printf(f->arena, "%s%s", where, part)
				     : kg_rule_path(f, where, "%s", part);
	kg_rule(f, where, "",
		"Invalid value: %s: field is immutable (it was %s); an object of another name can "
		"have it",
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
