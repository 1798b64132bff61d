/*
 * Decoding: a parsed document becomes a value of its schema. One pass over what was written
 * (types, unknown fields), one over what was not (defaults, required fields), then the type's own
 * defaults and rules. A value that cannot be used leaves a null in its place, so that indices in
 * paths stay true; the rules of the type that holds it are then not run where they would only
 * repeat the fault in other words.
 *
 * As in Kubernetes' own decoding null is the same as absent, and so are an empty string, list or
 * map, none of which its JSON form keeps.
 */
#include "base/hash.h"
#include "base/time.h"
#include "kinds/rules.h"
#include "value/json.h"

#include <assert.h>
#include <stdio.h>

enum { MAX_FIELDS = 128 };

struct decoder {
	struct kg_arena *a;
	struct kg_fault_list *faults;
	struct kg_buf path;
	bool secret; /* within a KG_FF_SECRET */
};

static bool decode_object(struct kg_value *out, struct decoder *d, const struct kg_schema *s,
	const struct kg_yaml_node *node);

/* ---- paths and faults ---- */

static size_t enter(struct decoder *d, const char *name)
{
	size_t mark = d->path.len;

	if (mark)
		kg_buf_addc(&d->path, '.');
	kg_buf_adds(&d->path, name);
	return mark;
}

static size_t enter_item(struct decoder *d, uint32_t i)
{
	size_t mark = d->path.len;

	kg_buf_addf(&d->path, "[%u]", i);
	return mark;
}

static size_t enter_key(struct decoder *d, const char *key)
{
	size_t mark = d->path.len;

	kg_buf_addf(&d->path, "[%s]", key);
	return mark;
}

static void leave(struct decoder *d, size_t mark)
{
	kg_buf_remove(&d->path, mark, d->path.len - mark);
}

static const char *here(const struct decoder *d)
{
	return kg_buf_str(&d->path);
}

#define FAULT(d, node, ...)                                                                        \
	kg_fault_add_at((d)->faults, (node)->line, (node)->col, here(d), __VA_ARGS__)

static const char *shown(const struct decoder *d, const struct kg_value *v)
{
	return d->secret ? "<secret contents redacted>" : kg_rule_show(d->a, v);
}

static const char *found(struct decoder *d, const struct kg_yaml_node *node)
{
	static const char *const kinds[] = {[KG_BOOL] = "a boolean",
		[KG_INT] = "an integer",
		[KG_FLOAT] = "a number",
		[KG_STRING] = "a string"};

	if (d->secret && node->type >= KG_BOOL && node->type <= KG_STRING)
		return kinds[node->type];
	switch (node->type) {
	case KG_NULL:
		return "nothing";
	case KG_BOOL:
		return kg_arena_printf(d->a, "the boolean %s", node->text);
	case KG_INT:
		return kg_arena_printf(d->a, "the integer %s", node->text);
	case KG_FLOAT:
		return kg_arena_printf(d->a, "the number %s", node->text);
	case KG_STRING:
		return kg_arena_printf(d->a, "the string %s", kg_rule_show(d->a, &node->scalar));
	case KG_ARRAY:
		return "a list";
	default:
		return "a mapping";
	}
}

static bool mismatch(struct decoder *d, const struct kg_yaml_node *node, const char *expected)
{
	const char *hint = "";

	if (!strcmp(expected, "a string") && node->type >= KG_BOOL && node->type <= KG_FLOAT)
		hint = d->secret
			       ? "; in quotes it is one"
			       : kg_arena_printf(d->a, "; in quotes it is one: \"%s\"", node->text);
	FAULT(d, node, "expected %s, got %s%s", expected, found(d, node), hint);
	return false;
}

static void run_check(struct decoder *d, kg_check_fn *check, const struct kg_value *v,
	uint32_t line, uint32_t col)
{
	const char *msg = check ? check(d->a, v) : NULL;

	if (msg)
		kg_fault_add_at(
			d->faults, line, col, here(d), "Invalid value: %s: %s", shown(d, v), msg);
}

/* ---- scalars ---- */

static bool decode_string(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	if (node->type != KG_STRING)
		return mismatch(d, node, "a string");
	*out = node->scalar;
	if (f->values && node->scalar.len && !kg_rule_one_of(out->s, f->values)) {
		struct kg_suggest near;
		kg_suggest_init(&near, out->s);
		for (const char *const *v = f->values; *v; v++)
			kg_suggest_offer(&near, *v);
		FAULT(d, node, "Unsupported value: %s: supported values: %s%s", shown(d, out),
			kg_rule_values(d->a, f->values), kg_suggest_text(d->a, &near));
	}
	return true;
}

static void check_range(
	struct decoder *d, const struct kg_field *f, int64_t i, const struct kg_yaml_node *node)
{
	if (f->max <= f->min || (i >= f->min && i <= f->max))
		return;
	if (f->max < INT32_MAX)
		FAULT(d, node, "Invalid value: %lld: must be between %lld and %lld, inclusive",
			(long long)i, (long long)f->min, (long long)f->max);
	else if (i < f->min)
		FAULT(d, node, "Invalid value: %lld: must be greater than or equal to %lld",
			(long long)i, (long long)f->min);
	else
		FAULT(d, node, "Invalid value: %lld: must be less than or equal to %lld",
			(long long)i, (long long)f->max);
}

static bool integral(struct kg_value *out, const struct kg_yaml_node *node)
{
	const double exact = 9007199254740992.0;

	if (node->type == KG_INT) {
		*out = node->scalar;
		return true;
	}
	if (node->type != KG_FLOAT || !(node->scalar.f >= -exact && node->scalar.f <= exact))
		return false;
	*out = kg_v_int((int64_t)node->scalar.f);
	return (double)out->i == node->scalar.f;
}

static bool decode_int(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	if (!integral(out, node))
		return mismatch(d, node, "an integer");
	check_range(d, f, out->i, node);
	return true;
}

static bool decode_int_or_string(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	if (node->type == KG_STRING)
		*out = node->scalar;
	else if (!integral(out, node))
		return mismatch(d, node, "an integer or a string");
	else
		check_range(d, f, out->i, node);
	return true;
}

static bool decode_quantity(
	struct kg_value *out, struct decoder *d, const struct kg_yaml_node *node)
{
	const char *text = node->text;

	if (node->type == KG_STRING)
		text = node->scalar.s;
	else if (node->type != KG_INT && node->type != KG_FLOAT)
		return mismatch(d, node, "a quantity such as 100m, 1.5 or 64Mi");
	const char *canonical = kg_quantity_canonical(d->a, text);
	if (!canonical) {
		FAULT(d, node, "Invalid value: %s: expected a quantity such as 100m, 1.5 or 64Mi",
			kg_rule_show(d->a, &node->scalar));
		return false;
	}
	*out = kg_v_lit(canonical);
	return true;
}

static bool decode_time(struct kg_value *out, struct decoder *d, const struct kg_yaml_node *node)
{
	kg_time t;

	if (node->type != KG_STRING || kg_time_parse(&t, node->scalar.s))
		return mismatch(d, node, "a time such as 2026-11-26T04:28:06Z");
	*out = node->scalar;
	return true;
}

static bool decode_bytes(struct kg_value *out, struct decoder *d, const struct kg_yaml_node *node)
{
	size_t n;

	if (node->type != KG_STRING)
		return mismatch(d, node, "a string");
	KG_AUTOFREE unsigned char *bytes = kg_base64_decode(node->scalar.s, node->scalar.len, &n);
	if (!bytes) {
		FAULT(d, node, "Invalid value: %s: expected base64", shown(d, &node->scalar));
		return false;
	}
	*out = node->scalar;
	return true;
}

/* ---- one value of a field's type, then lists and maps of them ---- */

static bool decode_typed(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	switch (f->type) {
	case KG_F_STRING:
		return decode_string(out, d, f, node);
	case KG_F_INT:
		return decode_int(out, d, f, node);
	case KG_F_BOOL:
		*out = node->scalar;
		return node->type == KG_BOOL || mismatch(d, node, "true or false");
	case KG_F_QUANTITY:
		return decode_quantity(out, d, node);
	case KG_F_INT_OR_STRING:
		return decode_int_or_string(out, d, f, node);
	case KG_F_TIME:
		return decode_time(out, d, node);
	case KG_F_BYTES:
		return decode_bytes(out, d, node);
	case KG_F_OBJECT:
		if (node->type != KG_OBJECT)
			return mismatch(d, node, "a mapping (fields, one a line)");
		return decode_object(out, d, f->schema, node);
	case KG_F_ANY:
		*out = kg_yaml_value(d->a, node);
		return true;
	}
	return false;
}

static bool decode_item(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	*out = kg_null;
	bool ok = decode_typed(out, d, f, node);
	if (!ok && f->type != KG_F_OBJECT)
		*out = kg_null;
	if (ok && !(out->type == KG_STRING && !out->len && !(f->flags & (KG_FF_LIST | KG_FF_MAP))))
		run_check(d, f->check, out, node->line, node->col);
	return ok;
}

static bool decode_list(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	bool ok = true;

	if (node->type != KG_ARRAY)
		return mismatch(d, node, "a list (items that begin with '- ')");
	struct kg_value *items = kg_arena_alloc(d->a, node->len * sizeof(*items));
	for (uint32_t i = 0; i < node->len; i++) {
		size_t mark = enter_item(d, i);
		if (!decode_item(&items[i], d, f, &node->items[i]))
			ok = false;
		leave(d, mark);
	}
	*out = kg_v_array(d->a, items, node->len);
	if (f->merge_key)
		kg_rule_unique(d->faults, out, f->merge_key, here(d), f->flags & KG_FF_REPEATS);
	return ok;
}

static bool decode_map(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	uint32_t n = 0;
	bool ok = true;

	if (node->type != KG_OBJECT)
		return mismatch(d, node, "a mapping (key: value)");
	struct kg_member *members = kg_arena_alloc(d->a, node->len * sizeof(*members));
	for (uint32_t i = 0; i < node->len; i++) {
		const struct kg_yaml_member *m = &node->members[i];
		struct kg_value key = kg_v_lit(m->key);
		bool secret = d->secret;
		d->secret = false; /* keys are none */
		run_check(d, f->check_key, &key, m->line, m->col);
		d->secret = secret;
		if (m->value.type == KG_NULL && f->type == KG_F_STRING) {
			/* Kubernetes reads a null among strings as the empty string. */
			members[n++] = (struct kg_member){m->key, kg_v_lit("")};
			continue;
		}
		size_t mark = enter_key(d, m->key);
		if (!decode_item(&members[n].value, d, f, &m->value))
			ok = false;
		else
			members[n++].key = m->key;
		leave(d, mark);
	}
	*out = kg_v_object(d->a, members, n);
	return ok;
}

/* ---- objects ---- */

static bool is_zero(const struct kg_yaml_node *node)
{
	switch (node->type) {
	case KG_NULL:
		return true;
	case KG_BOOL:
		return !node->scalar.b;
	case KG_INT:
		return !node->scalar.i;
	case KG_STRING:
		return !node->scalar.len;
	case KG_ARRAY:
		return !node->len;
	default:
		return false;
	}
}

static bool counts_as_absent(const struct kg_field *f, const struct kg_value *v)
{
	if (f->flags & (KG_FF_LIST | KG_FF_MAP))
		return !kg_len(v);
	return v->type == KG_STRING && !v->len;
}

/* True where the field may be used; *out is null where it counts as absent. */
static bool decode_field(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_member *m)
{
	bool ok, secret = d->secret;

	*out = kg_null;
	if ((f->flags & KG_FF_STATUS) || m->value.type == KG_NULL)
		return true;
	size_t mark = enter(d, f->name);
	d->secret |= (f->flags & KG_FF_SECRET) != 0;
	if (f->flags & KG_FF_UNSUPPORTED) {
		ok = is_zero(&m->value);
		if (!ok)
			kg_fault_add_at(d->faults, m->line, m->col, here(d), "Forbidden: %s",
				f->why ? f->why
				       : "kgit does not support this field yet; ignoring it "
					 "would not do what it asks for");
	} else if (f->flags & KG_FF_LIST) {
		ok = decode_list(out, d, f, &m->value);
	} else if (f->flags & KG_FF_MAP) {
		ok = decode_map(out, d, f, &m->value);
	} else {
		ok = decode_item(out, d, f, &m->value);
	}
	d->secret = secret;
	leave(d, mark);
	if (ok && counts_as_absent(f, out))
		*out = kg_null;
	return ok;
}

static const struct kg_field *find_field(const struct kg_schema *s, const char *name)
{
	for (const struct kg_field *f = s->fields; f->name; f++) {
		if (!strcmp(f->name, name))
			return f;
	}
	return NULL;
}

static void unknown_field(
	struct decoder *d, const struct kg_schema *s, const struct kg_yaml_member *m)
{
	struct kg_value name = kg_v_lit(m->key);
	const char *shown = kg_rule_show(d->a, &name);
	struct kg_suggest near;

	kg_suggest_init(&near, m->key);
	for (const struct kg_field *f = s->fields; f->name; f++)
		kg_suggest_offer(&near, f->name);
	kg_fault_add_at(d->faults, m->line, m->col, here(d), "unknown field %s%s", shown,
		kg_suggest_text(d->a, &near));
}

static struct kg_value make_default(
	struct decoder *d, const struct kg_field *f, const struct kg_yaml_node *node)
{
	const char *text = f->dflt;
	struct kg_value v = kg_null;
	struct kg_error err;

	if (f->type == KG_F_OBJECT && !(f->flags & (KG_FF_LIST | KG_FF_MAP)) &&
		!strcmp(text, "{}")) {
		const struct kg_yaml_node empty = {
			.type = KG_OBJECT, .line = node->line, .col = node->col};
		size_t mark = enter(d, f->name);
		decode_object(&v, d, f->schema, &empty);
		leave(d, mark);
		return v;
	}
	if (*text == '"' && !strchr(text, '\\'))
		return kg_v_strn(d->a, text + 1, strlen(text) - 2);
	int failed = kg_json_parse(&v, d->a, text, strlen(text), &err);
	assert(!failed);
	(void)failed;
	return v;
}

static void absent_field(struct kg_value *out, struct decoder *d, const struct kg_field *f,
	const struct kg_yaml_node *node)
{
	*out = kg_null;
	if (f->flags & (KG_FF_STATUS | KG_FF_UNSUPPORTED))
		return;
	if (f->dflt) {
		*out = make_default(d, f, node);
	} else if (f->flags & (KG_FF_REQUIRED | KG_FF_NONEMPTY)) {
		size_t mark = enter(d, f->name);
		FAULT(d, node, "Required value: %s", f->doc);
		leave(d, mark);
	}
}

/* Would the type's rules mistake an unusable value of this field for an absent one? Of structures
 * they would (one of several must be there); of plain values they take no notice. */
static bool rules_need(const struct kg_field *f)
{
	bool plural = f->flags & (KG_FF_LIST | KG_FF_MAP);

	if (f->flags & KG_FF_UNSUPPORTED)
		return (f->type == KG_F_ANY || f->type == KG_F_OBJECT) && !plural;
	return plural || f->type == KG_F_OBJECT;
}

static bool decode_object(struct kg_value *out, struct decoder *d, const struct kg_schema *s,
	const struct kg_yaml_node *node)
{
	bool state[MAX_FIELDS] = {0}, ok = true;
	size_t n = 0, nfields = 0;

	for (const struct kg_field *f = s->fields; f->name; f++)
		nfields++;
	assert(nfields <= MAX_FIELDS);
	struct kg_member *members = kg_arena_alloc(d->a, (node->len + nfields) * sizeof(*members));
	for (uint32_t i = 0; i < node->len; i++) {
		const struct kg_yaml_member *m = &node->members[i];
		const struct kg_field *f = find_field(s, m->key);
		if (!f) {
			unknown_field(d, s, m);
			continue;
		}
		struct kg_value v;
		bool usable = decode_field(&v, d, f, m);
		ok &= usable || !rules_need(f);
		state[f - s->fields] = !usable || !kg_is_null(&v);
		members[n++] = (struct kg_member){f->name, v};
	}
	for (size_t i = 0; i < nfields; i++) {
		const struct kg_field *f = &s->fields[i];
		if (state[i])
			continue;
		/* A later member of the same key wins, so this replaces a null seen above. */
		members[n].key = f->name;
		absent_field(&members[n++].value, d, f, node);
	}
	*out = kg_v_object(d->a, members, n);
	if (s->defaults)
		*out = s->defaults(d->a, out);
	if (s->validate && ok)
		s->validate(d->faults, out, here(d));
	/* Faults inside an object are its own: what holds it can still be judged. */
	return true;
}

struct kg_value kg_schema_decode(const struct kg_schema *s, const struct kg_yaml_node *node,
	struct kg_arena *a, struct kg_fault_list *faults)
{
	struct decoder d = {.a = a, .faults = faults};
	const struct kg_yaml_node *root = faults->root;
	struct kg_value v = kg_null;

	faults->root = node;
	if (node->type != KG_OBJECT)
		mismatch(&d, node, "a mapping (fields, one a line)");
	else
		decode_object(&v, &d, s, node);
	faults->root = root;
	kg_buf_release(&d.path);
	return v;
}
