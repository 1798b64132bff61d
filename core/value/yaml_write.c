/*
 * Writing canonical YAML. Lists stand at the indent of their key, as kubectl prints them; text of
 * several lines is a literal block. A plain scalar is one that any reader of YAML 1.1 or 1.2 gives
 * back as the same string; every other is double-quoted.
 */
#include "value/internal.h"

#include "base/utf8.h"
#include "value/yaml.h"
#include "value/yaml_scalar.h"

enum { INDENT = 2, LONGEST_SIMPLE_KEY = 800 };

/* ---- which style ---- */

/* Whether all is printable, but for newlines and tabs where they are `also` allowed. */
static bool all_printable(const char *s, size_t n, const char *also)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)s[i];
		uint32_t cp;

		if (c >= 0x20 && c < 0x7F) {
			i++;
			continue;
		}
		unsigned len = kg_utf8_next(s + i, n - i, &cp);
		if (!len || (!kg_is_printable(cp) && !(cp && cp < 0x20 && strchr(also, (int)cp))))
			return false;
		i += len;
	}
	return true;
}

static bool begins_plain(const char *s, size_t n)
{
	if (strchr("-?:", s[0]))
		return n > 1 && s[1] != ' ' && strncmp(s, "---", 3) != 0;
	return !strchr(" ,[]{}#&*!|>'\"%@`", s[0]) && strncmp(s, "...", 3) != 0;
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

/* Most texts are seen to be plain at a glance: a letter, then nothing but ASCII without spaces.
 * Short ones could be words like "yes" or "Null". */
static bool is_simple(const char *s, size_t n)
{
	unsigned wrong = 0;

	if (!n || !is_letter(s[0]) || s[n - 1] == ':')
		return false;
	if (n <= 5 && strchr("yYnNtTfFoO", s[0]))
		return false;
	for (size_t i = 1; i < n; i++)
		wrong |= (unsigned char)(s[i] - '!') > '~' - '!';
	return !wrong;
}

static bool is_plain(const char *s, size_t n)
{
	if (!n || !begins_plain(s, n) || s[n - 1] == ' ' || s[n - 1] == ':')
		return false;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] == ' ' && s[i - 1] == ':') || (s[i] == '#' && s[i - 1] == ' '))
			return false;
	}
	return all_printable(s, n, "") && !kg_yaml_ambiguous(s, n);
}

/* Several lines, none of which is blank but not empty. */
static bool is_literal(const char *s, size_t n)
{
	bool any_text = false;

	if (!memchr(s, '\n', n) || !all_printable(s, n, "\n\t"))
		return false;
	for (size_t i = 0, end; i < n; i = end + 1) {
		const char *newline = memchr(s + i, '\n', n - i);

		end = newline ? (size_t)(newline - s) : n;
		size_t blank = 0;
		while (i + blank < end && (s[i + blank] == ' ' || s[i + blank] == '\t'))
			blank++;
		if (blank && i + blank == end)
			return false;
		any_text |= end > i;
	}
	return any_text;
}

/* ---- scalars ---- */

static void write_escape(struct kg_buf *out, uint32_t cp)
{
	static const char names[0x20] = {['\a'] = 'a',
		['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\v'] = 'v',
		['\f'] = 'f',
		['\r'] = 'r',
		[0x1B] = 'e'};

	if (cp < 0x20 && names[cp])
		kg_buf_addf(out, "\\%c", names[cp]);
	else if (cp < 0x100)
		kg_buf_addf(out, "\\x%02X", cp);
	else
		kg_buf_addf(out, "\\u%04X", cp);
}

/* How many bytes are ASCII that is quoted as it is. */
static size_t easy_prefix(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i] >= ' ' && s[i] < 0x7F && s[i] != '"' && s[i] != '\\')
		i++;
	return i;
}

static void write_quoted(struct kg_buf *out, const char *s, size_t n)
{
	kg_buf_addc(out, '"');
	for (size_t i = 0; i < n;) {
		size_t easy = easy_prefix(s + i, n - i);
		uint32_t cp;

		kg_buf_add(out, s + i, easy);
		i += easy;
		if (i == n)
			break;
		unsigned len = kg_utf8_next(s + i, n - i, &cp);
		if (!len) {
			kg_buf_adds(out, "\xEF\xBF\xBD"); /* U+FFFD for what is not UTF-8 */
			i++;
			continue;
		}
		if (cp == '"' || cp == '\\')
			kg_buf_addc(out, '\\');
		if (kg_is_printable(cp))
			kg_buf_add(out, s + i, len);
		else
			write_escape(out, cp);
		i += len;
	}
	kg_buf_addc(out, '"');
}

static void indent(struct kg_buf *out, unsigned n)
{
	kg_buf_reserve(out, n);
	memset(out->data + out->len, ' ', n);
	out->len += n;
	out->data[out->len] = '\0';
}

static void write_literal(struct kg_buf *out, const char *s, size_t n, unsigned at)
{
	size_t first = strspn(s, "\n");

	kg_buf_addc(out, '|');
	if (s[first] == ' ' || s[first] == '\t')
		kg_buf_addc(out, '0' + INDENT); /* the first line does not show the indent */
	if (s[n - 1] != '\n')
		kg_buf_addc(out, '-');
	else if (s[n - 2] == '\n')
		kg_buf_addc(out, '+');
	for (size_t i = 0; i < n;) {
		const char *newline = memchr(s + i, '\n', n - i);
		size_t end = newline ? (size_t)(newline - s) : n;

		kg_buf_addc(out, '\n');
		if (end > i) {
			indent(out, at);
			kg_buf_add(out, s + i, end - i);
		}
		i = end + 1;
	}
}

/* Lines of a literal block are indented by `at`; 0: it is to be one line. */
static void write_string(struct kg_buf *out, const char *s, size_t n, unsigned at)
{
	if (is_simple(s, n))
		kg_buf_add(out, s, n);
	else if (at && is_literal(s, n))
		write_literal(out, s, n, at);
	else if (is_plain(s, n))
		kg_buf_add(out, s, n);
	else
		write_quoted(out, s, n);
}

/* And what is empty; `at` as for write_string. */
static void write_scalar(struct kg_buf *out, const struct kg_value *v, unsigned at)
{
	char text[40];

	switch ((enum kg_type)v->type) {
	case KG_BOOL:
		kg_buf_adds(out, v->b ? "true" : "false");
		return;
	case KG_INT:
		kg_buf_add(out, text, kg_int_text(text, v->i));
		return;
	case KG_FLOAT:
		kg_buf_add(out, text, kg_float_text(text, v->f));
		return;
	case KG_STRING:
		write_string(out, v->s, v->len, at);
		return;
	case KG_ARRAY:
		kg_buf_adds(out, "[]");
		return;
	case KG_OBJECT:
		kg_buf_adds(out, "{}");
		return;
	case KG_NULL:
		break;
	}
	kg_buf_adds(out, "null");
}

/* ---- collections: each writes its first line where it is and ends without a newline ---- */

static void write_object(struct kg_buf *out, const struct kg_value *v, unsigned at);
static void write_array(struct kg_buf *out, const struct kg_value *v, unsigned at);

static bool is_scalar(const struct kg_value *v)
{
	return v->type < KG_ARRAY || !v->len;
}

static void write_key(struct kg_buf *out, const char *key)
{
	size_t n = strlen(key), before = out->len;

	write_string(out, key, n, 0);
	if (out->len - before <= LONGEST_SIMPLE_KEY) {
		kg_buf_addc(out, ':');
		return;
	}
	/* Too long for readers to look ahead. */
	out->len = before;
	kg_buf_adds(out, "? ");
	write_quoted(out, key, n);
	kg_buf_addc(out, '\n');
}

static void write_member(struct kg_buf *out, const struct kg_member *m, unsigned at)
{
	const struct kg_value *v = &m->value;

	write_key(out, m->key);
	if (out->data[out->len - 1] == '\n') {
		indent(out, at);
		kg_buf_addc(out, ':');
	}
	if (is_scalar(v)) {
		kg_buf_addc(out, ' ');
		write_scalar(out, v, at + INDENT);
	} else {
		unsigned inner = v->type == KG_ARRAY ? at : at + INDENT;

		kg_buf_addc(out, '\n');
		indent(out, inner);
		if (v->type == KG_ARRAY)
			write_array(out, v, inner);
		else
			write_object(out, v, inner);
	}
}

static void write_object(struct kg_buf *out, const struct kg_value *v, unsigned at)
{
	for (uint32_t i = 0; i < v->len; i++) {
		if (i) {
			kg_buf_addc(out, '\n');
			indent(out, at);
		}
		write_member(out, &v->members[i], at);
	}
}

static void write_array(struct kg_buf *out, const struct kg_value *v, unsigned at)
{
	for (uint32_t i = 0; i < v->len; i++) {
		const struct kg_value *item = &v->items[i];

		if (i) {
			kg_buf_addc(out, '\n');
			indent(out, at);
		}
		kg_buf_adds(out, "- ");
		if (is_scalar(item))
			write_scalar(out, item, at + INDENT);
		else if (item->type == KG_ARRAY)
			write_array(out, item, at + INDENT);
		else
			write_object(out, item, at + INDENT);
	}
}

void kg_yaml_write(struct kg_buf *out, const struct kg_value *v)
{
	if (is_scalar(v))
		write_scalar(out, v, 0);
	else if (v->type == KG_ARRAY)
		write_array(out, v, 0);
	else
		write_object(out, v, 0);
	kg_buf_addc(out, '\n');
}
