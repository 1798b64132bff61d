/* The text of a file before libyaml sees it. */
#include "value/internal.h"

#include "base/utf8.h"
#include "value/json.h"
#include "value/yaml_parser.h"

#include <ctype.h>

yaml_mark_t kg_yaml_mark_of(const char *text, size_t offset)
{
	yaml_mark_t m = {.index = offset};

	for (size_t i = 0; i < offset; i++) {
		if (text[i] == '\n') {
			m.line++;
			m.column = 0;
		} else {
			m.column += ((unsigned char)text[i] & 0xC0) != 0x80;
		}
	}
	return m;
}

/* After CR, LF, or the last byte of U+0085, U+2028 or U+2029 (or of some other character). */
static bool begins_line(const char *text, size_t i)
{
	return !i || strchr("\r\n\x85\xA8\xA9", text[i - 1]);
}

int kg_yaml_check_text(struct kg_yaml_parser *p, const char *text, size_t len)
{
	enum { MAX_TAGS = 32 }; /* libyaml compares each with all before it */
	unsigned tags = 0;

	for (size_t i = 0; i < len;) {
		uint32_t cp;
		unsigned n = kg_utf8_next(text + i, len - i, &cp);

		if (!n)
			return kg_yaml_fail_at(p, kg_yaml_mark_of(text, i),
				"byte 0x%02x is not UTF-8", (unsigned char)text[i]);
		if (!cp)
			return kg_yaml_fail_at(p, kg_yaml_mark_of(text, i), "NUL byte");
		if (cp == '%' && begins_line(text, i) && len - i > 4 &&
			!memcmp(text + i, "%TAG", 4) && ++tags > MAX_TAGS)
			return kg_yaml_fail_at(p, kg_yaml_mark_of(text, i),
				"more than %d %%TAG directives", MAX_TAGS);
		i += n;
	}
	return 0;
}

bool kg_yaml_has_bom(const char *text, size_t len)
{
	return len >= KG_YAML_BOM && !memcmp(text, "\xEF\xBB\xBF", KG_YAML_BOM);
}

/* ---- what is likely behind a fault ---- */

/* "<<<<<<< HEAD" or ">>>>>>> other": a marker that git leaves where a merge stopped. */
static bool is_conflict(const char *line, size_t len)
{
	return len > 8 && line[7] == ' ' &&
	       (!memcmp(line, "<<<<<<<", 7) || !memcmp(line, ">>>>>>>", 7));
}

/* The offset of the first such line, or len. */
static size_t find_conflict(const char *text, size_t len)
{
	for (size_t i = 0; i < len;) {
		const char *end = memchr(text + i, '\n', len - i);

		if (is_conflict(text + i, len - i))
			return i;
		i = end ? (size_t)(end - text) + 1 : len;
	}
	return len;
}

/* Marks count characters, so the line is looked for. */
static const char *line_of(const char *text, const char *end, size_t line)
{
	for (; line > 0 && text < end; line--) {
		const char *next = memchr(text, '\n', (size_t)(end - text));

		text = next ? next + 1 : end;
	}
	return text;
}

static const char *hint_for(const char *text, size_t len, yaml_mark_t at, const char *what)
{
	const char *begin = line_of(text, text + len, at.line);
	const char *next = memchr(begin, '\n', (size_t)(text + len - begin));
	size_t n = (size_t)((next ? next : text + len) - begin);

	if (strncmp(what, "found character that cannot start", 33) == 0 &&
		memchr(begin, '\t', n < at.column + 1 ? n : at.column + 1))
		return "; YAML is indented with spaces, not tabs";
	if (memmem(begin, n, "{{", 2))
		return "; is this a template? What is pushed is what it makes";
	if (strncmp(what, "mapping values", 14) == 0)
		return "; text with \": \" in it wants quotes";
	return "";
}

int kg_yaml_fail_syntax(struct kg_yaml_parser *p, yaml_mark_t at, const char *what)
{
	const char *text = (const char *)p->yaml.input.string.start;
	size_t len = (size_t)((const char *)p->yaml.input.string.end - text);
	size_t conflict = find_conflict(text, len);

	if (conflict < len)
		return kg_yaml_fail_at(p, kg_yaml_mark_of(text, conflict),
			"a merge conflict is left here: resolve it, then commit");
	return kg_yaml_fail_at(p, at, "%s%s", what, hint_for(text, len, at, what));
}

/* ---- JSON's escapes beyond U+FFFF ---- */

/* The value of \uXXXX at s, or 0. */
static uint32_t escape_at(const char *s, size_t n)
{
	uint32_t v = 0;

	if (n < 6 || s[0] != '\\' || s[1] != 'u')
		return 0;
	for (size_t i = 2; i < 6; i++) {
		unsigned char c = (unsigned char)s[i];

		if (!isxdigit(c))
			return 0;
		v = v << 4 | (uint32_t)(isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
	}
	return v;
}

/* The character that two escapes at s make, or 0. */
static uint32_t pair_at(const char *s, size_t n)
{
	uint32_t high = escape_at(s, n);

	if (high < 0xD800 || high > 0xDBFF)
		return 0;
	uint32_t low = escape_at(s + 6, n - 6);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

static bool is_json(const char *text, size_t len)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v;

	return kg_json_parse(&v, &a, text, len, NULL) == 0;
}

bool kg_yaml_join_surrogates(struct kg_buf *out, const char *text, size_t len)
{
	size_t copied = 0;

	for (size_t i = 0; i < len; i++) {
		const char *backslash = memchr(text + i, '\\', len - i);

		if (!backslash)
			break;
		i = (size_t)(backslash - text);
		uint32_t cp = pair_at(text + i, len - i);
		if (!cp) {
			i++; /* with what is escaped */
			continue;
		}
		if (!out->len && !is_json(text, len))
			return false;
		kg_buf_add(out, text + copied, i - copied);
		kg_buf_addf(out, "\\U%08X", cp);
		copied = i + 12;
		i = copied - 1;
	}
	if (!copied)
		return false;
	kg_buf_add(out, text + copied, len - copied);
	return true;
}
