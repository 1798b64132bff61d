#include "value/internal.h"
#include "value/value.h"

#include <assert.h>

/* ---- making ---- */

static bool diff(struct kg_arena *a, const struct kg_value *from, const struct kg_value *to,
	struct kg_value *patch);

struct changes {
	struct kg_member *members; /* made with the first change */
	uint32_t len;
};

static void changes_add(struct kg_arena *a, struct changes *c, size_t most, const char *key,
	const struct kg_value *v)
{
	if (!c->members)
		c->members = kg_arena_alloc(a, most * sizeof(*c->members));
	c->members[c->len++] = (struct kg_member){.key = key, .value = *v};
}

static bool diff_objects(struct kg_arena *a, const struct kg_value *from, const struct kg_value *to,
	struct kg_value *patch)
{
	struct changes c = {0};
	uint32_t i = 0, j = 0;

	if (from->members == to->members && from->len == to->len)
		return false;
	while (i < from->len || j < to->len) {
		const struct kg_member *x = i < from->len ? &from->members[i] : NULL;
		const struct kg_member *y = j < to->len ? &to->members[j] : NULL;
		size_t most = (from->len - i) + (to->len - j);
		struct kg_value v;
		int d = !x ? 1 : !y ? -1 : x->key == y->key ? 0 : strcmp(x->key, y->key);

		if (d < 0)
			changes_add(a, &c, most, x->key, &kg_null);
		else if (d > 0)
			changes_add(a, &c, most, y->key, &y->value);
		else if (diff(a, &x->value, &y->value, &v))
			changes_add(a, &c, most, y->key, &v);
		i += d <= 0;
		j += d >= 0;
	}
	*patch = (struct kg_value){.type = KG_OBJECT, .len = c.len, .members = c.members};
	return c.len != 0;
}

/* Whether they differ, and then the patch. */
static bool diff(struct kg_arena *a, const struct kg_value *from, const struct kg_value *to,
	struct kg_value *patch)
{
	if (from->type == KG_OBJECT && to->type == KG_OBJECT)
		return diff_objects(a, from, to, patch);
	if (kg_equal(from, to))
		return false;
	*patch = *to;
	return true;
}

struct kg_value kg_patch_make(
	struct kg_arena *a, const struct kg_value *from, const struct kg_value *to)
{
	struct kg_value patch;

	return diff(a, from, to, &patch) ? patch : kg_null;
}

/* ---- applying ---- */

static bool holds_null(const struct kg_value *object)
{
	for (uint32_t i = 0; i < object->len; i++) {
		const struct kg_value *v = &object->members[i].value;

		if (v->type == KG_NULL || (v->type == KG_OBJECT && holds_null(v)))
			return true;
	}
	return false;
}

static struct kg_value without_nulls(struct kg_arena *a, const struct kg_value *v)
{
	if (v->type != KG_OBJECT || !holds_null(v))
		return *v;
	struct kg_member *m = kg_arena_alloc(a, v->len * sizeof(*m));
	uint32_t n = 0;
	for (uint32_t i = 0; i < v->len; i++) {
		if (v->members[i].value.type == KG_NULL)
			continue;
		m[n].key = v->members[i].key;
		m[n++].value = without_nulls(a, &v->members[i].value);
	}
	return (struct kg_value){.type = KG_OBJECT, .len = n, .members = n ? m : NULL};
}

static struct kg_value merge(
	struct kg_arena *a, const struct kg_value *base, const struct kg_value *patch)
{
	if (patch->type != KG_OBJECT)
		return *patch;
	if (base->type != KG_OBJECT)
		return without_nulls(a, patch);
	if (!patch->len)
		return *base;
	struct kg_member *m = kg_arena_alloc(a, ((size_t)base->len + patch->len) * sizeof(*m));
	uint32_t i = 0, j = 0, n = 0;
	while (i < base->len || j < patch->len) {
		const struct kg_member *x = i < base->len ? &base->members[i] : NULL;
		const struct kg_member *y = j < patch->len ? &patch->members[j] : NULL;
		int d = !x ? 1 : !y ? -1 : x->key == y->key ? 0 : strcmp(x->key, y->key);

		if (d < 0)
			m[n++] = *x;
		else if (y->value.type != KG_NULL)
			m[n++] = (struct kg_member){.key = d ? y->key : x->key,
				.value = merge(a, d ? &kg_null : &x->value, &y->value)};
		i += d <= 0;
		j += d >= 0;
	}
	return (struct kg_value){.type = KG_OBJECT, .len = n, .members = n ? m : NULL};
}

struct kg_value kg_patch_apply(
	struct kg_arena *a, const struct kg_value *base, const struct kg_value *patch)
{
	/* Of the whole, null is "no change", as kg_patch_make says it. */
	return patch->type == KG_NULL ? *base : merge(a, base, patch);
}
