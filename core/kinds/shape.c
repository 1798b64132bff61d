/* The shape of what a peer reports: a walk along the tables, beside that of schema.c, which reads
 * what people write and says where it is wrong. */
#include "schema.h"

#include <string.h>

static const char *check_field(const struct kg_field *f, const struct kg_value *v);

static const char *check_object(const struct kg_schema *s, const struct kg_value *v)
{
	const char *bad = NULL;

	if (v->type != KG_OBJECT)
		return kg_is_null(v) ? NULL : "";
	for (const struct kg_field *f = s->fields; f->name && !bad; f++)
		bad = check_field(f, kg_get(v, f->name));
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
static const char *check_item(const struct kg_field *f, const struct kg_value *v)
{
	const char *bad;

	if (f->type != KG_F_OBJECT)
		return is_scalar(f->type, v) ? NULL : f->name;
	bad = check_object(f->schema, v);
	return bad && !*bad ? f->name : bad;
}

static const char *check_field(const struct kg_field *f, const struct kg_value *v)
{
	const char *bad = NULL;

	if (kg_is_null(v))
		return NULL;
	if (!(f->flags & (KG_FF_LIST | KG_FF_MAP)))
		return check_item(f, v);
	if (v->type != (f->flags & KG_FF_LIST ? KG_ARRAY : KG_OBJECT))
		return f->name;
	for (uint32_t i = 0; i < v->len && !bad; i++)
		bad = check_item(f, v->type == KG_ARRAY ? &v->items[i] : &v->members[i].value);
	return bad;
}

const char *kg_schema_shape(const struct kg_schema *s, const struct kg_value *v)
{
	const char *bad = check_object(s, v);

	return bad && !*bad ? s->name : bad;
}
