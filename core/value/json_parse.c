/* Reading JSON: jansson parses, its tree is then copied into the arena. */
#include "value/internal.h"
#include "value/json.h"

#include <errno.h>
#include <jansson.h>

enum { MAX_DEPTH = 100 };

struct span {
	size_t begin, end;
};

/* The next number from *pos on that is written as an integer, outside strings. */
static bool next_integer(const char *text, size_t len, size_t *pos, struct span *s)
{
	bool in_string = false;

	for (size_t i = *pos; i < len; i++) {
		char c = text[i];

		if (in_string) {
			i += c == '\\';
			in_string = c != '"';
			continue;
		}
		in_string = c == '"';
		if (c != '-' && (c < '0' || c > '9'))
			continue;
		size_t end = i + strspn(text + i, "+-.eE0123456789");
		size_t integer = i + (c == '-') + strspn(text + i + (c == '-'), "0123456789");
		*s = (struct span){.begin = i, .end = end};
		*pos = i = end;
		if (integer == end)
			return true;
		i--;
	}
	return false;
}

static bool fits(const char *digits)
{
	errno = 0;
	(void)strtoll(digits, NULL, 10);
	return errno != ERANGE;
}

/* The text with a fraction added to integers beyond int64, which jansson would refuse. */
static void widen(struct kg_buf *out, const char *bytes, size_t len)
{
	KG_AUTOFREE char *text = kg_alloc(len + 1); /* ends with a NUL */
	size_t pos = 0, copied = 0;
	struct span s;

	memcpy(text, bytes, len);
	while (next_integer(text, len, &pos, &s)) {
		if (fits(text + s.begin))
			continue;
		kg_buf_add(out, text + copied, s.end - copied);
		kg_buf_adds(out, ".0");
		copied = s.end;
	}
	kg_buf_add(out, text + copied, len - copied);
}

/* Fails where brackets nest deeper than MAX_DEPTH. Other faults are jansson's to find. */
static int check_depth(const char *text, size_t len, struct kg_error *err)
{
	int depth = 0, line = 1, col = 0;
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		col++;
		if (c == '\n') {
			line++;
			col = 0;
		} else if (in_string) {
			if (c == '\\') {
				i++;
				col++;
			}
			in_string = c != '"';
		} else if (c == '"') {
			in_string = true;
		} else if (c == ']' || c == '}') {
			depth--;
		} else if ((c == '[' || c == '{') && ++depth > MAX_DEPTH) {
			return kg_fail(err, KG_E_BAD_REQUEST, "%d:%d: nested deeper than %d", line,
				col, MAX_DEPTH);
		}
	}
	return 0;
}

static struct kg_value convert(struct kg_arena *a, json_t *j);

static struct kg_value convert_array(struct kg_arena *a, json_t *j)
{
	size_t n = json_array_size(j);
	struct kg_value *items = n ? kg_arena_alloc(a, n * sizeof(*items)) : NULL;

	for (size_t i = 0; i < n; i++)
		items[i] = convert(a, json_array_get(j, i));
	return (struct kg_value){.type = KG_ARRAY, .len = (uint32_t)n, .items = items};
}

static struct kg_value convert_object(struct kg_arena *a, json_t *j)
{
	size_t n = json_object_size(j), k = 0;
	struct kg_member *members = n ? kg_arena_alloc(a, n * sizeof(*members)) : NULL;

	for (void *i = json_object_iter(j); i; i = json_object_iter_next(j, i)) {
		const char *key = json_object_iter_key(i);

		members[k].key = kg_key_intern(a, key, strlen(key));
		members[k++].value = convert(a, json_object_iter_value(i));
	}
	return kg_object_from(members, k, false);
}

static struct kg_value convert(struct kg_arena *a, json_t *j)
{
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		return convert_object(a, j);
	case JSON_ARRAY:
		return convert_array(a, j);
	case JSON_STRING:
		return kg_v_strn(a, json_string_value(j), json_string_length(j));
	case JSON_INTEGER:
		return kg_v_int(json_integer_value(j));
	case JSON_REAL:
		return kg_v_float(json_real_value(j));
	case JSON_TRUE:
	case JSON_FALSE:
		return kg_v_bool(json_is_true(j));
	case JSON_NULL:
		break;
	}
	return kg_null;
}

int kg_json_parse(struct kg_value *out, struct kg_arena *a, const char *text, size_t len,
	struct kg_error *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	json_error_t fault;

	if (check_depth(text, len, err) < 0)
		return -KG_E_BAD_REQUEST;
	KG_CLEANUP(json_decrefp) json_t *j = json_loadb(text, len, flags, &fault);
	if (!j && json_error_code(&fault) == json_error_numeric_overflow) {
		KG_AUTOBUF struct kg_buf wide = KG_BUF_INIT;

		widen(&wide, text, len);
		j = json_loadb(kg_buf_str(&wide), wide.len, flags, &fault);
	}
	if (!j)
		return kg_fail(
			err, KG_E_BAD_REQUEST, "%d:%d: %s", fault.line, fault.column, fault.text);
	*out = convert(a, j);
	return 0;
}
