/* Writing JSON. It serves every list and watch, so that text is copied eight bytes at a time. */
#include "value/json.h"

#include "base/utf8.h"
#include "value/internal.h"

/* Bytes that JSON cannot hold as they are, and those that begin UTF-8 sequences to be checked:
 * the high bit of each such byte of the word is set (and perhaps that of a byte above one). */
static uint64_t special_bytes(uint64_t w)
{
	const uint64_t ones = 0x0101010101010101u, high = ones * 0x80;
	uint64_t quote = w ^ (ones * '"'), backslash = w ^ (ones * '\\');

	return (w | (w - ones * 0x20) | (quote - ones) | (backslash - ones)) & high;
}

static bool is_special(unsigned char c)
{
	return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

/* One special character at s; returns the bytes it took. */
static size_t write_special(struct kg_buf *out, const char *s, size_t n)
{
	unsigned char c = (unsigned char)*s;
	uint32_t cp;

	if (c >= 0x80) {
		unsigned len = kg_utf8_next(s, n, &cp);

		if (!len) {
			kg_buf_adds(out, "\xEF\xBF\xBD"); /* U+FFFD for what is not UTF-8 */
			return 1;
		}
		kg_buf_add(out, s, len);
		return len;
	}
	static const char short_names[0x60] = {['\b'] = 'b',
		['\f'] = 'f',
		['\n'] = 'n',
		['\r'] = 'r',
		['\t'] = 't',
		['"'] = '"',
		['\\'] = '\\'};
	if (short_names[c]) {
		char pair[2] = {'\\', short_names[c]};

		kg_buf_add(out, pair, 2);
	} else {
		kg_buf_addf(out, "\\u%04x", c);
	}
	return 1;
}

void kg_json_write_string(struct kg_buf *out, const char *s, size_t n)
{
	size_t i = 0;

	kg_buf_reserve(out, n + 2);
	out->data[out->len++] = '"';
	while (i < n) {
		kg_buf_reserve(out, n - i + 1);
		char *to = out->data + out->len;
		size_t from = i;
		uint64_t w;

		while (n - i >= 8) {
			memcpy(&w, s + i, 8);
			if (special_bytes(w))
				break;
			memcpy(to + (i - from), &w, 8);
			i += 8;
		}
		while (i < n && !is_special((unsigned char)s[i])) {
			to[i - from] = s[i];
			i++;
		}
		out->len += i - from;
		if (i < n)
			i += write_special(out, s + i, n - i);
	}
	kg_buf_addc(out, '"');
}

static void write_scalar(struct kg_buf *out, const struct kg_value *v)
{
	char text[40];

	switch ((enum kg_type)v->type) {
	case KG_BOOL:
		if (v->b)
			kg_buf_add(out, "true", 4);
		else
			kg_buf_add(out, "false", 5);
		return;
	case KG_INT:
		kg_buf_add(out, text, kg_int_text(text, v->i));
		return;
	case KG_FLOAT:
		kg_buf_add(out, text, kg_float_text(text, v->f));
		return;
	case KG_STRING:
		kg_json_write_string(out, v->s, v->len);
		return;
	default:
		kg_buf_add(out, "null", 4);
	}
}

void kg_json_write(struct kg_buf *out, const struct kg_value *v)
{
	if (v->type == KG_ARRAY) {
		kg_buf_addc(out, '[');
		for (uint32_t i = 0; i < v->len; i++) {
			if (i)
				kg_buf_addc(out, ',');
			kg_json_write(out, &v->items[i]);
		}
		kg_buf_addc(out, ']');
	} else if (v->type == KG_OBJECT) {
		kg_buf_addc(out, '{');
		for (uint32_t i = 0; i < v->len; i++) {
			const struct kg_member *m = &v->members[i];

			if (i)
				kg_buf_addc(out, ',');
			kg_json_write_string(out, m->key, strlen(m->key));
			kg_buf_addc(out, ':');
			kg_json_write(out, &m->value);
		}
		kg_buf_addc(out, '}');
	} else {
		write_scalar(out, v);
	}
}

static void newline(struct kg_buf *out, unsigned depth)
{
	size_t n = (size_t)depth * 4;

	kg_buf_addc(out, '\n');
	kg_buf_reserve(out, n);
	memset(out->data + out->len, ' ', n);
	out->len += n;
	out->data[out->len] = '\0';
}

static void write_pretty(struct kg_buf *out, const struct kg_value *v, unsigned depth)
{
	bool object = v->type == KG_OBJECT;

	if (!kg_len(v)) {
		kg_json_write(out, v);
		return;
	}
	kg_buf_addc(out, object ? '{' : '[');
	for (uint32_t i = 0; i < v->len; i++) {
		if (i)
			kg_buf_addc(out, ',');
		newline(out, depth + 1);
		if (object) {
			kg_json_write_string(out, v->members[i].key, strlen(v->members[i].key));
			kg_buf_adds(out, ": ");
		}
		write_pretty(out, object ? &v->members[i].value : &v->items[i], depth + 1);
	}
	newline(out, depth);
	kg_buf_addc(out, object ? '}' : ']');
}

void kg_json_write_pretty(struct kg_buf *out, const struct kg_value *v)
{
	write_pretty(out, v, 0);
}
