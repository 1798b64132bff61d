#include "kinds/rules.h"

#include "base/map.h"
#include "base/utf8.h"
#include "kinds/annotations.h"
#include "kinds/object.h"
#include "value/json.h"

enum { SHOWN = 60, ANNOTATIONS_MAX = 256 * 1024 };

bool kg_rule_one_of(const char *s, const char *const *values)
{
	for (; *values; values++) {
		if (!strcmp(s, *values))
			return true;
	}
	return false;
}

const char *kg_rule_values(struct kg_arena *a, const char *const *values)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	for (size_t i = 0; values[i]; i++)
		kg_buf_addf(&b, "%s\"%s\"", i ? ", " : "", values[i]);
	return kg_arena_strdup(a, kg_buf_str(&b));
}

const char *kg_rule_show(struct kg_arena *a, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	if (kg_is_null(v))
		return "nothing";
	if (v->type == KG_ARRAY || v->type == KG_OBJECT)
		kg_json_write(&b, v);
	else if (v->type != KG_STRING || v->len <= SHOWN)
		kg_json_write(&b, v);
	else
		kg_json_write_string(&b, v->s, kg_utf8_cut(v->s, SHOWN));
	if (b.len > 4 * SHOWN) {
		size_t cut = kg_utf8_cut(b.data, 4 * SHOWN);
		kg_buf_remove(&b, cut, b.len - cut);
		kg_buf_adds(&b, "...");
	} else if (v->type == KG_STRING && v->len > SHOWN) {
		kg_buf_adds(&b, "...");
	}
	return kg_arena_strdup(a, kg_buf_str(&b));
}

void kg_rule_sealed(struct kg_fault_list *f, const struct kg_value *before,
	const struct kg_value *after, const char *path, const char *const *fields)
{
	if (!kg_bool(kg_get(before, "immutable"), false))
		return;
	for (; *fields; fields++) {
		if (!kg_equal(kg_get(before, *fields), kg_get(after, *fields)))
			kg_rule(f, path, *fields,
				"Forbidden: field is immutable when `immutable` is set");
	}
}

void kg_rule_check(struct kg_fault_list *f, kg_check_fn *check, const struct kg_value *v,
	const char *path, const char *sub)
{
	const char *msg = kg_is_null(v) ? NULL : check(f->arena, v);

	if (msg)
		kg_rule(f, path, sub, "Invalid value: %s: %s", kg_rule_show(f->arena, v), msg);
}

/* The text of an item's merge key; empty where a part that has no default is absent. */
static void merge_key(struct kg_buf *out, const struct kg_value *item, const char *keys)
{
	char name[64];

	kg_buf_clear(out);
	for (const char *p = keys; *p;) {
		size_t n = strcspn(p, ",");
		memcpy(name, p, n);
		name[n] = 0;
		const struct kg_value *part = kg_get(item, name);
		if (kg_is_null(part)) {
			kg_buf_clear(out);
			return;
		}
		if (out->len)
			kg_buf_addc(out, '/');
		if (part->type == KG_STRING)
			kg_buf_adds(out, part->s);
		else
			kg_json_write(out, part);
		p += n + (p[n] == ',');
	}
}

void kg_rule_unique(struct kg_fault_list *f, const struct kg_value *list, const char *key,
	const char *path, bool repeats_allowed)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	KG_CLEANUP(kg_map_release) struct kg_map seen = KG_MAP_INIT;
	int first = (int)strcspn(key, ",");

	for (uint32_t i = 0; i < kg_len(list); i++) {
		merge_key(&text, &list->items[i], key);
		if (!text.len)
			continue;
		if (!kg_map_has(&seen, text.data)) {
			kg_map_put(&seen, text.data, (void *)&list->items[i]);
			continue;
		}
		struct kg_value shown = kg_v_lit(text.data);
		const char *sub = kg_arena_printf(f->arena, "[%u].%.*s", i, first, key);
		if (repeats_allowed)
			kg_rule_warn(f, path, sub, "Duplicate value: %s: hides an earlier one",
				kg_rule_show(f->arena, &shown));
		else
			kg_rule(f, path, sub, "Duplicate value: %s",
				kg_rule_show(f->arena, &shown));
	}
}

/* Was a name written that is no string, and so already reported? */
static bool has_odd_name(struct kg_fault_list *f, const char *path)
{
	const char *meta = kg_rule_path(f, path, "metadata");

	return kg_rule_written(f, kg_rule_path(f, meta, "name"));
}

static const struct {
	const char *key;
	const char *values[4]; /* NULL-terminated */
} own_annotations[] = {
#define ROW(id, key, ...) {id, {__VA_ARGS__}},
	KG_MANIFEST_ANNOTATIONS(ROW)
#undef ROW
};
static const char *const system_annotations[] = {
#define ROW(id, key) id,
	KG_SYSTEM_ANNOTATIONS(ROW) NULL
#undef ROW
};

/* A slip in one would be ignored silently. */
static void check_own_annotation(
	struct kg_fault_list *f, const char *path, const struct kg_member *note)
{
	const char *sub = kg_arena_printf(f->arena, "metadata.annotations[%s]", note->key);
	struct kg_suggest near;

	if (strncmp(note->key, "kgit/", 5) != 0 || kg_rule_one_of(note->key, system_annotations))
		return;
	kg_suggest_init(&near, note->key);
	for (size_t i = 0; i < KG_ARRAY_LEN(own_annotations); i++) {
		const char *const *values = own_annotations[i].values;

		kg_suggest_offer(&near, own_annotations[i].key);
		if (strcmp(note->key, own_annotations[i].key) != 0)
			continue;
		if (!kg_rule_one_of(kg_string(&note->value, ""), values))
			kg_rule(f, path, sub, "Unsupported value: %s: supported values: %s",
				kg_rule_show(f->arena, &note->value),
				kg_rule_values(f->arena, values));
		return;
	}
	kg_rule(f, path, sub, "kgit knows no such annotation%s", kg_suggest_text(f->arena, &near));
}

void kg_rule_object_meta(struct kg_fault_list *f, const struct kg_value *object, const char *path,
	kg_check_fn *name_check)
{
	const struct kg_value *meta = kg_get(object, "metadata");
	const struct kg_value *name = kg_get(meta, "name");
	const struct kg_value *annotations = kg_get(meta, "annotations");
	size_t total = 0;

	if (!kg_is_null(kg_get(meta, "generateName")))
		kg_rule(f, path, "metadata.generateName",
			"Forbidden: a file is one object, so it needs a name: use metadata.name");
	else if (kg_is_null(name) && !has_odd_name(f, path))
		kg_rule(f, path, "metadata.name", "Required value: the object's name");
	kg_rule_check(f, name_check, name, path, "metadata.name");
	for (uint32_t i = 0; i < kg_len(annotations); i++) {
		total += strlen(annotations->members[i].key) + annotations->members[i].value.len;
		check_own_annotation(f, path, &annotations->members[i]);
	}
	if (total > ANNOTATIONS_MAX)
		kg_rule(f, path, "metadata.annotations", "Too long: must have at most %d bytes",
			ANNOTATIONS_MAX);
}

/* Were labels written, and none of them is one, which is already reported? */
static bool has_odd_labels(struct kg_fault_list *f, const char *path)
{
	const char *labels = kg_rule_path(f, kg_rule_path(f, path, "selector"), "matchLabels");

	return kg_rule_written_items(f, labels) > 0;
}

void kg_rule_selects_template(
	struct kg_fault_list *f, const struct kg_value *spec, const char *path, const char *kind)
{
	const struct kg_value *selector = kg_get(spec, "selector");
	const struct kg_value *labels = kg_at(spec, "template.metadata.labels");

	if (kg_is_null(selector))
		return;
	if (!kg_len(kg_get(selector, "matchLabels")) &&
		!kg_len(kg_get(selector, "matchExpressions"))) {
		if (!has_odd_labels(f, path))
			kg_rule(f, path, "selector",
				"Invalid value: {}: empty selector is invalid for %s", kind);
	} else if (!kg_selector_matches(selector, labels))
		kg_rule(f, path, "template.metadata.labels",
			"Invalid value: %s: `selector` does not match template `labels`; it asks "
			"for %s",
			kg_rule_show(f->arena, labels), kg_rule_show(f->arena, selector));
}
