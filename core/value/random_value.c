#include "value/random_value.h"

#include <math.h>

unsigned kg_random_below(struct kg_random *r, unsigned n)
{
	r->state = r->state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(r->state >> 33) % n;
}

static const char *const pieces[] = {"a", "b", "web", " ", "  ", "\n", "\n\n", "\t", ":", ": ", "#",
	" #", "-", "- ", "---", "...", "?", "? ", ",", "[", "]", "{", "}", "&", "*", "!", "|", ">",
	"'", "\"", "%", "@", "`", "\\", "\\n", "/", "=", "<<", "~", "null", "true", "no", "y", "on",
	"0", "1", "12", "0x1f", "0o7", "0b1", "1e3", ".", ".5", ".inf", ".nan", "_", "+", "1:30",
	"2001-01-01", "T10:00:00Z", "\r", "\r\n", "\x01", "\x1b", "\x7f", "\xC2\x85", "\xC2\xA0",
	"\xE2\x80\xA8", "\xEF\xBB\xBF", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
	"\xEF\xBF\xBF", "a run of plain words that some writers of YAML would fold into lines"};

static void random_text(struct kg_buf *b, struct kg_random *r)
{
	unsigned n = kg_random_below(r, 4) ? kg_random_below(r, 4) : kg_random_below(r, 12);

	for (unsigned i = 0; i < n; i++)
		kg_buf_adds(b, pieces[kg_random_below(r, KG_ARRAY_LEN(pieces))]);
	if (!kg_random_below(r, 500)) {
		for (int i = 0; i < 1500; i++)
			kg_buf_addc(b, 'x');
	}
}

static struct kg_value random_string(struct kg_arena *a, struct kg_random *r)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	random_text(&b, r);
	return kg_v_str(a, kg_buf_str(&b));
}

static struct kg_value random_scalar(struct kg_arena *a, struct kg_random *r)
{
	static const int64_t ints[] = {0, 1, -1, 7, 8080, 420, INT64_MAX, INT64_MIN, 1 << 20};
	static const double floats[] = {0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, 1e21,
		123456789.125, 1.7976931348623157e308, 1.0 / 3.0, 1e15, 1e16, 1e17};

	switch (kg_random_below(r, 8)) {
	case 0:
		return kg_v_bool(kg_random_below(r, 2));
	case 1:
		return kg_v_int(ints[kg_random_below(r, KG_ARRAY_LEN(ints))]);
	case 2:
		return kg_v_float(floats[kg_random_below(r, KG_ARRAY_LEN(floats))]);
	default:
		return random_string(a, r);
	}
}

static struct kg_value random_object(struct kg_arena *a, struct kg_random *r, unsigned depth)
{
	struct kg_member members[24];
	unsigned n = kg_random_below(r, 6) ? kg_random_below(r, 5) : kg_random_below(r, 24);

	for (unsigned i = 0; i < n; i++) {
		members[i].key = random_string(a, r).s;
		members[i].value = kg_random_value(a, r, depth - 1);
	}
	return kg_v_object(a, members, n);
}

struct kg_value kg_random_value(struct kg_arena *a, struct kg_random *r, unsigned depth)
{
	struct kg_value items[5];
	unsigned n = kg_random_below(r, 5);

	switch (depth ? kg_random_below(r, 5) : 0) {
	case 0:
	case 1:
		return random_scalar(a, r);
	case 2:
		for (unsigned i = 0; i < n; i++)
			items[i] = kg_random_value(a, r, depth - 1);
		return kg_v_array(a, items, n);
	default:
		return random_object(a, r, depth);
	}
}

struct kg_value kg_random_change(struct kg_arena *a, struct kg_random *r, const struct kg_value *v)
{
	struct kg_value changed = *v;
	unsigned times = kg_random_below(r, 4);

	if (v->type != KG_OBJECT || !kg_random_below(r, 8))
		return kg_random_below(r, 2) ? *v : kg_random_value(a, r, 2);
	for (unsigned i = 0; i < times; i++) {
		unsigned which = changed.len ? kg_random_below(r, changed.len) : 0;
		const struct kg_member *m = changed.len ? &changed.members[which] : NULL;

		if (!m || !kg_random_below(r, 4))
			changed = kg_with_key(
				a, &changed, random_string(a, r).s, kg_random_value(a, r, 2));
		else if (!kg_random_below(r, 3))
			changed = kg_with_key(a, &changed, m->key, kg_null);
		else
			changed =
				kg_with_key(a, &changed, m->key, kg_random_change(a, r, &m->value));
	}
	return changed;
}
