#include "value/value.h"
#include "value/internal.h"

#include <stdio.h>

const struct kg_value kg_null = {0};

/* The n bytes at s, which has no NUL there, against the NUL-terminated key. Names of fields mostly
 * differ in their first bytes: a call of strncmp costs more than the loop. */
static inline int key_cmp(const char *s, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i] != key[i])
			return (unsigned char)s[i] < (unsigned char)key[i] ? -1 : 1;
	}
	return key[n] ? -1 : 0;
}

/*
 * Names of fields lie in memory once, those that callers write among them, as the linker makes one
 * of equal literals: so bytes are looked at only of what is absent, or a user's own name. The
 * member with this very key, of the first few; NULL: none.
 */
static inline const struct kg_member *member_at(const struct kg_value *object, const char *key)
{
	enum { MOST = 32 };
	const struct kg_member *m = object->members;
	uint32_t left = object->len < MOST ? object->len : MOST;

	for (; left >= 4; left -= 4, m += 4) {
		if (m[0].key == key)
			return &m[0];
		if (m[1].key == key)
			return &m[1];
		if (m[2].key == key)
			return &m[2];
		if (m[3].key == key)
			return &m[3];
	}
	for (; left; left--, m++) {
		if (m->key == key)
			return m;
	}
	return NULL;
}

uint32_t kg_member_search(const struct kg_value *object, const char *key, size_t n, bool *found)
{
	const struct kg_member *same = key[n] ? NULL : member_at(object, key);
	uint32_t low = 0, high = object->len;

	*found = same;
	if (same)
		return (uint32_t)(same - object->members);
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int d = key_cmp(key, n, object->members[mid].key);

		if (!d) {
			*found = true;
			return mid;
		}
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Up to so many members are looked at one after the other. */
enum { FEW = 6 };

static const struct kg_value *get_n(const struct kg_value *v, const char *key, size_t n)
{
	bool found;

	if (v->type != KG_OBJECT)
		return &kg_null;
	if (v->len > FEW) {
		uint32_t i = kg_member_search(v, key, n, &found);
		return found ? &v->members[i].value : &kg_null;
	}
	for (uint32_t i = 0; i < v->len; i++) {
		if (!key_cmp(key, n, v->members[i].key))
			return &v->members[i].value;
	}
	return &kg_null;
}

/* By its bytes. Of few members it is seen soon that there is none: they are in order. */
static const struct kg_value *get_text(const struct kg_value *v, const char *key)
{
	enum { MOST = 16 };

	if (v->len > MOST)
		return get_n(v, key, strlen(key));
	for (uint32_t i = 0; i < v->len; i++) {
		int d = kg_key_cmp(v->members[i].key, key);

		if (d >= 0)
			return d ? &kg_null : &v->members[i].value;
	}
	return &kg_null;
}

const struct kg_value *kg_get(const struct kg_value *v, const char *key)
{
	if (v->type != KG_OBJECT)
		return &kg_null;
	const struct kg_member *m = member_at(v, key);
	return m ? &m->value : get_text(v, key);
}

static const struct kg_value *item_n(const struct kg_value *array, const char *digits, size_t n)
{
	uint64_t i = 0;

	if (n == 0 || n > 9)
		return &kg_null;
	for (size_t k = 0; k < n; k++) {
		if (digits[k] < '0' || digits[k] > '9')
			return &kg_null;
		i = i * 10 + (uint64_t)(digits[k] - '0');
	}
	return i < array->len ? &array->items[i] : &kg_null;
}

const struct kg_value *kg_at(const struct kg_value *v, const char *path)
{
	for (;;) {
		size_t n = 0;

		while (path[n] && path[n] != '.')
			n++;
		v = v->type == KG_ARRAY ? item_n(v, path, n) : get_n(v, path, n);
		if (!path[n] || v->type == KG_NULL)
			return v;
		path += n + 1;
	}
}

const char *kg_string(const struct kg_value *v, const char *dflt)
{
	return v->type == KG_STRING ? v->s : dflt;
}

int64_t kg_int(const struct kg_value *v, int64_t dflt)
{
	return v->type == KG_INT ? v->i : dflt;
}

bool kg_bool(const struct kg_value *v, bool dflt)
{
	return v->type == KG_BOOL ? v->b : dflt;
}

const struct kg_value *kg_array(const struct kg_value *v)
{
	return v->type == KG_ARRAY ? v : &kg_null;
}

uint32_t kg_len(const struct kg_value *v)
{
	return v->type == KG_ARRAY || v->type == KG_OBJECT ? v->len : 0;
}

const struct kg_value *kg_find(const struct kg_value *array, const char *key, const char *name)
{
	size_t n = strlen(name);

	for (uint32_t i = 0; i < kg_len(array) && array->type == KG_ARRAY; i++) {
		const struct kg_value *v = kg_get(&array->items[i], key);

		if (v->type == KG_STRING && v->len == n && !memcmp(v->s, name, n))
			return &array->items[i];
	}
	return &kg_null;
}

/* The same bits are equal, and versions of an object share most. (A bool is fewer.) */
static inline bool is_same(const struct kg_value *a, const struct kg_value *b)
{
	return a->type >= KG_INT && a->type == b->type && a->len == b->len && a->i == b->i;
}

static bool members_equal(const struct kg_value *a, const struct kg_value *b)
{
	for (uint32_t i = 0; i < a->len; i++) {
		const struct kg_member *x = &a->members[i], *y = &b->members[i];

		if (x->key != y->key && strcmp(x->key, y->key) != 0)
			return false;
		if (!is_same(&x->value, &y->value) && !kg_equal(&x->value, &y->value))
			return false;
	}
	return true;
}

bool kg_equal(const struct kg_value *a, const struct kg_value *b)
{
	if (a->type != b->type || a->len != b->len)
		return false;
	switch ((enum kg_type)a->type) {
	case KG_NULL:
		return true;
	case KG_BOOL:
		return a->b == b->b;
	case KG_INT:
		return a->i == b->i;
	case KG_FLOAT:
		return !memcmp(&a->f, &b->f, sizeof(a->f)); /* 0.0 and -0.0 are written apart */
	case KG_STRING:
		return a->s == b->s || !memcmp(a->s, b->s, a->len);
	case KG_ARRAY:
		if (a->items == b->items)
			return true;
		for (uint32_t i = 0; i < a->len; i++) {
			if (!is_same(&a->items[i], &b->items[i]) &&
				!kg_equal(&a->items[i], &b->items[i]))
				return false;
		}
		return true;
	case KG_OBJECT:
		return a->members == b->members || members_equal(a, b);
	}
	return false;
}

static int float_cmp(double a, double b)
{
	if (a != b)
		return a < b ? -1 : 1;
	return (int)(__builtin_signbit(b) != 0) - (int)(__builtin_signbit(a) != 0);
}

static int string_cmp(const struct kg_value *a, const struct kg_value *b)
{
	uint32_t n = a->len < b->len ? a->len : b->len;
	int d = n ? memcmp(a->s, b->s, n) : 0;

	return d ? d : (a->len > b->len) - (a->len < b->len);
}

int kg_value_cmp(const struct kg_value *a, const struct kg_value *b)
{
	int d = 0;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	switch ((enum kg_type)a->type) {
	case KG_NULL:
		return 0;
	case KG_BOOL:
		return (int)a->b - (int)b->b;
	case KG_INT:
		return (a->i > b->i) - (a->i < b->i);
	case KG_FLOAT:
		return float_cmp(a->f, b->f);
	case KG_STRING:
		return string_cmp(a, b);
	case KG_ARRAY:
		for (uint32_t i = 0; i < a->len && i < b->len && !d; i++)
			d = kg_value_cmp(&a->items[i], &b->items[i]);
		break;
	case KG_OBJECT:
		for (uint32_t i = 0; i < a->len && i < b->len && !d; i++) {
			d = strcmp(a->members[i].key, b->members[i].key);
			if (!d)
				d = kg_value_cmp(&a->members[i].value, &b->members[i].value);
		}
		break;
	}
	return d ? d : (a->len > b->len) - (a->len < b->len);
}

size_t kg_float_text(char out[40], double f)
{
	char digits[40], *exponent;
	int n = 0;

	for (int precision = 15; precision <= 17; precision++) {
		n = snprintf(digits, sizeof(digits), "%.*g", precision, f);
		if (strtod(digits, NULL) == f)
			break;
	}
	/* %g leaves the point out of whole numbers; its exponents are signed. */
	if (strchr(digits, '.')) {
		memcpy(out, digits, (size_t)n + 1);
		return (size_t)n;
	}
	exponent = strchr(digits, 'e');
	size_t head = exponent ? (size_t)(exponent - digits) : (size_t)n;
	return (size_t)snprintf(out, 40, "%.*s.0%.8s", (int)head, digits, digits + head);
}

bool kg_is_printable(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
		return false;
	/* Unicode's own line ends, the byte order mark, and non-characters. */
	return cp != 0x2028 && cp != 0x2029 && cp != 0xFEFF && cp != 0xFFFE && cp != 0xFFFF;
}
