/* Making values. */
#include "value/internal.h"
#include "value/value.h"

#include <assert.h>
#include <math.h>

struct kg_value kg_v_null(void)
{
	return kg_null;
}

struct kg_value kg_v_bool(bool b)
{
	return (struct kg_value){.type = KG_BOOL, .b = b};
}

struct kg_value kg_v_int(int64_t i)
{
	return (struct kg_value){.type = KG_INT, .i = i};
}

struct kg_value kg_v_float(double f)
{
	assert(isfinite(f)); /* JSON has no other */
	return (struct kg_value){.type = KG_FLOAT, .f = f};
}

static uint32_t checked_len(size_t n)
{
	assert(n < UINT32_MAX);
	return (uint32_t)n;
}

struct kg_value kg_v_strn(struct kg_arena *a, const char *s, size_t n)
{
	if (!s)
		return kg_null;
	char *copy = kg_arena_alloc(a, n + 1);
	if (n)
		memcpy(copy, s, n);
	return (struct kg_value){.type = KG_STRING, .len = checked_len(n), .s = copy};
}

struct kg_value kg_v_str(struct kg_arena *a, const char *s)
{
	return s ? kg_v_strn(a, s, strlen(s)) : kg_null;
}

struct kg_value kg_v_lit(const char *literal)
{
	if (!literal)
		return kg_null;
	return (struct kg_value){
		.type = KG_STRING, .len = checked_len(strlen(literal)), .s = literal};
}

struct kg_value kg_v_strf(struct kg_arena *a, const char *fmt, ...)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	va_list ap;

	va_start(ap, fmt);
	kg_buf_addv(&b, fmt, ap);
	va_end(ap);
	return kg_v_strn(a, kg_buf_str(&b), b.len);
}

struct kg_value kg_v_array(struct kg_arena *a, const struct kg_value *items, size_t n)
{
	struct kg_value *copy = NULL;

	if (n) {
		copy = kg_arena_alloc(a, n * sizeof(*copy));
		memcpy(copy, items, n * sizeof(*copy));
	}
	return (struct kg_value){.type = KG_ARRAY, .len = checked_len(n), .items = copy};
}

/* Stable: of equal keys the one given last stays last. */
static void sort_members(struct kg_member *m, struct kg_member *spare, size_t n)
{
	if (n <= 12) {
		for (size_t i = 1; i < n; i++) {
			struct kg_member x = m[i];
			size_t k = i;

			for (; k > 0 && kg_key_cmp(m[k - 1].key, x.key) > 0; k--)
				m[k] = m[k - 1];
			m[k] = x;
		}
		return;
	}
	size_t half = n / 2;
	sort_members(m, spare, half);
	sort_members(m + half, spare, n - half);
	memcpy(spare, m, half * sizeof(*m));
	for (size_t i = 0, j = half, k = 0; i < half; k++) {
		if (j < n && kg_key_cmp(m[j].key, spare[i].key) < 0)
			m[k] = m[j++];
		else
			m[k] = spare[i++];
	}
}

struct kg_value kg_object_from(struct kg_member *m, size_t n, bool keep_nulls)
{
	bool sorted = true;
	size_t kept = 0;

	for (size_t i = 1; i < n && sorted; i++)
		sorted = kg_key_cmp(m[i - 1].key, m[i].key) < 0;
	if (!sorted) {
		KG_AUTOFREE struct kg_member *spare = n > 12 ? kg_alloc(n / 2 * sizeof(*m)) : NULL;
		sort_members(m, spare, n);
	}
	for (size_t i = 0; i < n; i++) {
		if (!sorted && i + 1 < n && !strcmp(m[i].key, m[i + 1].key))
			continue;
		if (keep_nulls || m[i].value.type != KG_NULL)
			m[kept++] = m[i];
	}
	return (struct kg_value){
		.type = KG_OBJECT, .len = checked_len(kept), .members = kept ? m : NULL};
}

struct kg_value kg_v_object(struct kg_arena *a, const struct kg_member *members, size_t n)
{
	struct kg_member *copy = NULL;

	if (n) {
		copy = kg_arena_alloc(a, n * sizeof(*copy));
		memcpy(copy, members, n * sizeof(*copy));
	}
	return kg_object_from(copy, n, false);
}

struct kg_value kg_v_obj(struct kg_arena *a, ...)
{
	va_list ap, count;
	size_t n = 0;

	va_start(ap, a);
	va_copy(count, ap);
	for (; va_arg(count, const char *); n++)
		(void)va_arg(count, struct kg_value);
	va_end(count);
	struct kg_member *members = n ? kg_arena_alloc(a, n * sizeof(*members)) : NULL;
	for (size_t i = 0; i < n; i++) {
		members[i].key = va_arg(ap, const char *);
		members[i].value = va_arg(ap, struct kg_value);
	}
	va_end(ap);
	return kg_object_from(members, n, false);
}

/* ---- changing ---- */

static struct kg_value member_put(struct kg_arena *a, const struct kg_value *obj, const char *key,
	size_t n, struct kg_value v)
{
	struct kg_value empty = {.type = KG_OBJECT};
	bool found, removes = v.type == KG_NULL;

	if (obj->type != KG_OBJECT)
		obj = &empty;
	uint32_t at = kg_member_search(obj, key, n, &found);
	if (removes && !found)
		return *obj;
	if (removes && obj->len == 1)
		return empty;
	size_t len = removes ? obj->len - 1 : obj->len + !found;
	struct kg_member *m = kg_arena_alloc(a, len * sizeof(*m));
	size_t tail = obj->len - at - found;
	if (at)
		memcpy(m, obj->members, at * sizeof(*m));
	if (tail)
		memcpy(m + at + !removes, obj->members + at + found, tail * sizeof(*m));
	if (!removes) {
		m[at].key = found ? obj->members[at].key : kg_key_intern(a, key, n);
		m[at].value = v;
	}
	return (struct kg_value){.type = KG_OBJECT, .len = checked_len(len), .members = m};
}

struct kg_value kg_with(
	struct kg_arena *a, const struct kg_value *obj, const char *path, struct kg_value v)
{
	size_t n = strcspn(path, ".");

	if (path[n]) {
		const struct kg_value *child = &kg_null;
		bool found = false;
		uint32_t at = 0;

		if (obj->type == KG_OBJECT)
			at = kg_member_search(obj, path, n, &found);
		if (found)
			child = &obj->members[at].value;
		if (v.type == KG_NULL && child->type != KG_OBJECT)
			return obj->type == KG_OBJECT ? *obj : (struct kg_value){.type = KG_OBJECT};
		v = kg_with(a, child, path + n + 1, v);
	}
	return member_put(a, obj, path, n, v);
}

struct kg_value kg_with_key(
	struct kg_arena *a, const struct kg_value *obj, const char *key, struct kg_value v)
{
	return member_put(a, obj, key, strlen(key), v);
}

struct kg_value kg_with_item(struct kg_arena *a, const struct kg_value *array, struct kg_value v)
{
	size_t n = array->type == KG_ARRAY ? array->len : 0;
	struct kg_value *items = kg_arena_alloc(a, (n + 1) * sizeof(*items));

	if (n)
		memcpy(items, array->items, n * sizeof(*items));
	items[n] = v;
	return (struct kg_value){.type = KG_ARRAY, .len = checked_len(n + 1), .items = items};
}

struct kg_value kg_deep_copy(struct kg_arena *a, const struct kg_value *v)
{
	struct kg_value copy = *v;

	if (v->type == KG_STRING)
		return kg_v_strn(a, v->s, v->len);
	if (v->type == KG_ARRAY && v->len) {
		struct kg_value *items = kg_arena_alloc(a, v->len * sizeof(*items));

		for (uint32_t i = 0; i < v->len; i++)
			items[i] = kg_deep_copy(a, &v->items[i]);
		copy.items = items;
	} else if (v->type == KG_OBJECT && v->len) {
		struct kg_member *m = kg_arena_alloc(a, v->len * sizeof(*m));

		for (uint32_t i = 0; i < v->len; i++) {
			m[i].key = kg_key_intern(a, v->members[i].key, strlen(v->members[i].key));
			m[i].value = kg_deep_copy(a, &v->members[i].value);
		}
		copy.members = m;
	}
	return copy;
}
