#include "kinds/columns.h"

#include <stdio.h>

struct kg_value kg_cell_name(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_v_str(a, obj->name);
}

struct kg_value kg_cell_since(struct kg_arena *a, const struct kg_value *time, kg_time now)
{
	kg_time then;
	char text[24];

	if (kg_time_parse(&then, kg_string(time, "")))
		return kg_v_lit("<unknown>");
	kg_duration_human(text, now - then);
	return kg_v_str(a, text);
}

struct kg_value kg_cell_age(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	return kg_cell_since(a, kg_at(kg_obj(obj), "metadata.creationTimestamp"), now);
}

struct kg_value kg_cell_created(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *created = kg_at(kg_obj(obj), "metadata.creationTimestamp");

	(void)a, (void)now;
	return kg_is_null(created) ? kg_v_lit("<unknown>") : *created;
}

struct kg_value kg_cell_or_none(const struct kg_value *v)
{
	return v->type == KG_STRING && v->len ? *v : kg_v_lit("<none>");
}

struct kg_value kg_cell_int(const struct kg_value *v)
{
	return kg_v_int(kg_int(v, 0));
}

static struct kg_value text_or_none(struct kg_arena *a, const struct kg_buf *b)
{
	return b->len ? kg_v_strn(a, b->data, b->len) : kg_v_lit("<none>");
}

struct kg_value kg_cell_labels(struct kg_arena *a, const struct kg_value *map)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(map); i++)
		kg_buf_addf(&b, "%s%s=%s", i ? "," : "", map->members[i].key,
			kg_string(&map->members[i].value, ""));
	return text_or_none(a, &b);
}

static void add_values(struct kg_buf *b, const struct kg_value *values)
{
	kg_buf_addc(b, '(');
	for (uint32_t i = 0; i < kg_len(values); i++)
		kg_buf_addf(b, "%s%s", i ? "," : "", kg_string(&values->items[i], ""));
	kg_buf_addc(b, ')');
}

static void add_requirement(struct kg_buf *b, const struct kg_value *e)
{
	const char *key = kg_string(kg_get(e, "key"), "");
	const char *op = kg_string(kg_get(e, "operator"), "");

	if (b->len)
		kg_buf_addc(b, ',');
	if (!strcmp(op, "DoesNotExist"))
		kg_buf_addc(b, '!');
	kg_buf_adds(b, key);
	if (!strcmp(op, "In") || !strcmp(op, "NotIn")) {
		kg_buf_adds(b, !strcmp(op, "In") ? " in " : " notin ");
		add_values(b, kg_get(e, "values"));
	}
}

struct kg_value kg_cell_selector(struct kg_arena *a, const struct kg_value *selector)
{
	const struct kg_value *map = kg_get(selector, "matchLabels");
	const struct kg_value *expressions = kg_get(selector, "matchExpressions");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(map); i++)
		kg_buf_addf(&b, "%s%s=%s", i ? "," : "", map->members[i].key,
			kg_string(&map->members[i].value, ""));
	for (uint32_t i = 0; i < kg_len(expressions); i++)
		add_requirement(&b, &expressions->items[i]);
	return text_or_none(a, &b);
}

struct kg_value kg_cell_joined(struct kg_arena *a, const struct kg_value *list, const char *key)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (uint32_t i = 0; i < kg_len(list); i++)
		kg_buf_addf(&b, "%s%s", i ? "," : "", kg_string(kg_get(&list->items[i], key), ""));
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

struct kg_value kg_cell_containers(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, kg_at(kg_obj(obj), "spec.template.spec.containers"), "name");
}

struct kg_value kg_cell_images(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_joined(a, kg_at(kg_obj(obj), "spec.template.spec.containers"), "image");
}

struct kg_value kg_cell_workload_selector(
	struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)now;
	return kg_cell_selector(a, kg_at(kg_obj(obj), "spec.selector"));
}
