/* The shape of what a peer reports: a walk along the tables, beside that of schema.c, which reads
 * what people write and says where it is wrong. */
#include "schema.h"

#include <string.h>

static const char *check_field(
	const struct kg_field *f, const struct kg_value *v, const struct kg_value *known);

/* Is it the very same memory: what was looked at already. */
static bool is_known(const struct kg_value *v, const struct kg_value *known)
{
	return v->type == known->type && v->len && v->len == known->len && v->items == known->items;
}

/* Names are most often the tables' own. */
static const struct kg_field *find_field(const struct kg_schema *s, const char *name)
{
	const struct kg_field *f = s->fields;

	while (f->name && f->name != name)
		f++;
	if (f->name)
		return f;
	for (f = s->fields; f->name && strcmp(f->name, name) != 0; f++)
		;
	return f->name ? f : NULL;
}

static const char *check_object(
	const struct kg_schema *s, const struct kg_value *v, const struct kg_value *known)
{
	const char *bad = NULL;

	if (v->type != KG_OBJECT)
		return kg_is_null(v) ? NULL : "";
	for (uint32_t i = 0; i < v->len && !bad; i++) {
		const struct kg_member *m = &v->members[i];
		const struct kg_field *f = m->value.type ? find_field(s, m->key) : NULL;
		/* Of scalars nothing can be known. */
		bool large = known->type == KG_OBJECT && m->value.type > KG_STRING;

		if (f)
			bad = check_field(f, &m->value, large ? kg_get(known, m->key) : &kg_null);
	}
	return bad;
}

static bool is_scalar(enum kg_field_type type, const struct kg_value *v)
{
	switch (type) {
	case KG_F_STRING:
	case KG_F_TIME:
	case KG_F_BYTES:
		return v->type == KG_STRING;
	case KG_F_INT:
		return v->type == KG_INT;
	case KG_F_BOOL:
		return v->type == KG_BOOL;
	case KG_F_QUANTITY:
	case KG_F_INT_OR_STRING:
		return v->type == KG_STRING || v->type == KG_INT || v->type == KG_FLOAT;
	default:
		return true;
	}
}

/* One of a field's type. */
static const char *check_item(
	const struct kg_field *f, const struct kg_value *v, const struct kg_value *known)
{
	const char *bad;

	if (f->type != KG_F_OBJECT)
		return is_scalar(f->type, v) ? NULL : f->name;
	bad = check_object(f->schema, v, known);
	return bad && !*bad ? f->name : bad;
}

static const char *check_field(
	const struct kg_field *f, const struct kg_value *v, const struct kg_value *known)
{
	const char *bad = NULL;

	if (kg_is_null(v) || is_known(v, known))
		return NULL;
	if (!(f->flags & (KG_FF_LIST | KG_FF_MAP)))
		return check_item(f, v, known);
	if (v->type != (f->flags & KG_FF_LIST ? KG_ARRAY : KG_OBJECT))
		return f->name;
	for (uint32_t i = 0; i < v->len && !bad; i++)
		bad = check_item(
			f, v->type == KG_ARRAY ? &v->items[i] : &v->members[i].value, &kg_null);
	return bad;
}

const char *kg_schema_shape(
	const struct kg_schema *s, const struct kg_value *v, const struct kg_value *known)
{
	const char *bad = check_object(s, v, known);

	return bad && !*bad ? s->name : bad;
}
