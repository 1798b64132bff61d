/*
 * Reading what kg_yaml_write wrote, without libyaml: a reader of exactly that subset. It accepts
 * no text that libyaml would read as anything else, and gives up on all that it does not know,
 * which then is libyaml's to read or to refuse.
 *
 *   - block collections, two spaces a level, lists at the indent of their key; keys ascending
 *   - plain and double-quoted scalars of one line; `|` blocks; [] and {}
 *   - no empty line, comment, tab or trailing space but within a block of text
 *
 * The text is copied once; strings are made in place, their NULs where delimiters were.
 */
#include "value/yaml_own.h"

#include "base/utf8.h"
#include "value/internal.h"
#include "value/yaml_scalar.h"

enum {
	INDENT = 2,
	LONGEST = 16 << 20, /* bytes, and so nodes: well within what kg_yaml_load allows */
	DEEPEST = 60,
	LONGEST_KEY = 800, /* libyaml looks ahead for 1024 */
	STACK = 64
};

struct own {
	char *at;      /* of a node: its first byte; of a scalar's end: its newline */
	char *end;     /* a NUL, after a newline */
	size_t column; /* where the node at `at` begins */
	struct kg_arena *arena;
	/* Children of the collections that are still open; items have no key. */
	struct kg_member *stack;
	size_t n, cap;
	struct kg_member few[STACK];
};

static bool read_item(struct own *r, struct kg_value *out, size_t column, unsigned depth);
static bool read_object(
	struct own *r, struct kg_value *out, const char *key, size_t column, unsigned depth);

/* ---- lines ---- */

/* To the first byte of the line that is no space. */
static void begin_line(struct own *r)
{
	const char *begin = r->at;

	while (*r->at == ' ')
		r->at++;
	r->column = (size_t)(r->at - begin);
}

static void next_line(struct own *r)
{
	r->at++;
	begin_line(r);
}

static bool at_end(const struct own *r)
{
	return r->at == r->end;
}

static bool at_item(const struct own *r)
{
	return r->at[0] == '-' && r->at[1] == ' ';
}

static bool at_colon(const char *s)
{
	return s[0] == ':' && (s[1] == ' ' || s[1] == '\n');
}

/* ---- characters ---- */

static bool is_ascii(char c)
{
	return c >= 0x20 && c < 0x7F;
}

/* Past what no scalar of one line has to look at: printable ASCII but : # " and the backslash. */
static char *skip_ordinary(char *s)
{
	static const bool ordinary[256] = {[' ' ... '!'] = true,
		['$' ... '9'] = true,
		[';' ... '['] = true,
		[']' ... '~'] = true};

	while (ordinary[(unsigned char)*s])
		s++;
	return s;
}

/* The length of the printable character beyond ASCII, or 0. */
static size_t wide(const struct own *r, const char *s)
{
	uint32_t cp;
	unsigned n = kg_utf8_next(s, (size_t)(r->end - s), &cp);

	/* To one who takes the character's last byte for the end of a line, a directive. */
	return n > 1 && kg_is_printable(cp) && s[n] != '%' ? n : 0;
}

static size_t printable(const struct own *r, const char *s)
{
	return is_ascii(*s) ? 1 : wide(r, s);
}

/* ---- plain scalars ---- */

static bool begins_plain(const char *s)
{
	if (!*s || strchr(" ,[]{}#&*!|>'\"%@`", *s) || !strncmp(s, "...", 3))
		return false;
	return !strchr("-?:", *s) || (s[1] != ' ' && s[1] != '\n' && strncmp(s, "---", 3) != 0);
}

/* Where the plain scalar here ends: at a newline, or at a key's colon. NULL: it is none. */
static char *plain_end(const struct own *r)
{
	char *s = r->at;

	if (!begins_plain(s))
		return NULL;
	for (s = skip_ordinary(s); *s != '\n' && !at_colon(s); s = skip_ordinary(s)) {
		size_t n = *s == '#' && s[-1] == ' ' ? 0 : printable(r, s);

		if (!n)
			return NULL;
		s += n;
	}
	return s > r->at && s[-1] != ' ' ? s : NULL;
}

/* ---- quoted scalars ---- */

static char *put_utf8(char *to, uint32_t cp)
{
	if (cp < 0x80) {
		*to++ = (char)cp;
	} else if (cp < 0x800) {
		*to++ = (char)(0xC0 | cp >> 6);
		*to++ = (char)(0x80 | (cp & 0x3F));
	} else {
		*to++ = (char)(0xE0 | cp >> 12);
		*to++ = (char)(0x80 | (cp >> 6 & 0x3F));
		*to++ = (char)(0x80 | (cp & 0x3F));
	}
	return to;
}

/* n hex digits that are a character: not NUL, no half of a pair. */
static bool read_hex(uint32_t *out, const char *s, unsigned n)
{
	uint32_t v = 0;

	for (; n > 0; n--, s++) {
		if (*s >= '0' && *s <= '9')
			v = v << 4 | (uint32_t)(*s - '0');
		else if (*s >= 'A' && *s <= 'F')
			v = v << 4 | (uint32_t)(*s - 'A' + 10);
		else
			return false;
	}
	*out = v;
	return v && (v < 0xD800 || v > 0xDFFF);
}

/* The escape at *from; both pointers move behind it. */
static bool unescape(char **to, char **from)
{
	static const char names[128] = {['a'] = '\a',
		['b'] = '\b',
		['t'] = '\t',
		['n'] = '\n',
		['v'] = '\v',
		['f'] = '\f',
		['r'] = '\r',
		['e'] = 0x1B,
		['"'] = '"',
		['\\'] = '\\'};
	unsigned char c = (unsigned char)(*from)[1];
	unsigned digits = c == 'x' ? 2 : c == 'u' ? 4 : 0;
	uint32_t cp;

	if (digits) {
		if (!read_hex(&cp, *from + 2, digits))
			return false;
		*to = put_utf8(*to, cp);
	} else {
		if (c >= sizeof(names) || !names[c])
			return false;
		*(*to)++ = names[c];
	}
	*from += 2 + digits;
	return true;
}

static bool read_quoted(struct own *r, struct kg_value *out)
{
	char *begin = r->at + 1, *from = skip_ordinary(begin), *to = from;

	while (*from != '"') {
		if (*from == '\\') {
			if (!unescape(&to, &from))
				return false;
			continue;
		}
		size_t n = printable(r, from);
		if (!n)
			return false;
		if (to != from)
			memmove(to, from, n);
		to += n;
		from += n;
	}
	*to = '\0'; /* the closing quote, or before it */
	*out = (struct kg_value){.type = KG_STRING, .len = (uint32_t)(to - begin), .s = begin};
	r->at = from + 1;
	return true;
}

/* ---- scalars and keys ---- */

enum token { NONE, SCALAR, KEY };

static bool is_key(const char *s, size_t n)
{
	struct kg_value v;

	/* As nearly all keys begin. */
	if (*s >= 'a' && *s <= 'z' && *s != 'n')
		return true;
	return strcmp(s, "<<") != 0 && kg_yaml_resolve(&v, s, n) == KG_YAML_FINITE &&
	       v.type != KG_NULL;
}

static enum token read_plain(struct own *r, struct kg_value *out)
{
	char *s = r->at, *end = plain_end(r);

	if (!end)
		return NONE;
	size_t n = (size_t)(end - s);
	bool key = *end == ':';
	*end = '\0';
	r->at = end + key;
	if (!key)
		return kg_yaml_resolve(out, s, n) == KG_YAML_FINITE ? SCALAR : NONE;
	*out = (struct kg_value){.type = KG_STRING, .len = (uint32_t)n, .s = s};
	return is_key(s, n) ? KEY : NONE;
}

/* After a scalar `at` is at its newline, after a key behind its colon. */
static enum token read_token(struct own *r, struct kg_value *out)
{
	const char *s = r->at;
	bool list = s[0] == '[' && s[1] == ']';

	if (*s == '"') {
		if (!read_quoted(r, out))
			return NONE;
		bool key = at_colon(r->at);
		if (key && r->at - s > LONGEST_KEY)
			return NONE;
		r->at += key;
		return key ? KEY : *r->at == '\n' ? SCALAR : NONE;
	}
	if (list || (s[0] == '{' && s[1] == '}')) {
		*out = (struct kg_value){.type = list ? KG_ARRAY : KG_OBJECT};
		r->at += 2;
		return *r->at == '\n' ? SCALAR : NONE;
	}
	enum token token = read_plain(r, out);
	return token == KEY && out->len > LONGEST_KEY ? NONE : token;
}

/* ---- blocks of text ---- */

/* The content of the line, moved to `to`; `at` is then at its newline. */
static char *take_text(struct own *r, char *to)
{
	while (*r->at != '\n') {
		size_t n = *r->at == '\t' ? 1 : printable(r, r->at);

		if (!n)
			return NULL;
		memmove(to, r->at, n);
		to += n;
		r->at += n;
	}
	return to;
}

static bool is_indented(const char *s, size_t indent)
{
	size_t n = 0;

	while (n < indent && s[n] == ' ')
		n++;
	return n == indent;
}

/* The lines, each so far indented or empty. Newlines wait for what comes after them. */
static char *take_lines(struct own *r, char *to, size_t indent, bool told, size_t *breaks)
{
	bool any = false;

	*breaks = 0;
	for (; !at_end(r); r->at++) {
		if (*r->at == '\n') {
			++*breaks;
			continue;
		}
		if (!is_indented(r->at, indent))
			break;
		r->at += indent;
		/* Where the header does not tell the indent the first line shows it. */
		if (*r->at == '\n' || (!any && !told && (*r->at == ' ' || *r->at == '\t')))
			return NULL;
		for (; *breaks > 0; --*breaks)
			*to++ = '\n';
		to = take_text(r, to);
		if (!to)
			return NULL;
		any = true;
		*breaks = 1;
	}
	return any ? to : NULL;
}

/* `at` is then at the beginning of the line behind the block. */
static bool read_literal(struct own *r, struct kg_value *out, size_t indent)
{
	char *s = r->at, *to = s, chomp = 0;
	size_t breaks;
	bool told = s[1] == '0' + INDENT;

	r->at += 1 + told;
	if (*r->at == '-' || *r->at == '+')
		chomp = *r->at++;
	if (*r->at++ != '\n')
		return false;
	to = take_lines(r, to, indent, told, &breaks);
	if (!to)
		return false;
	for (size_t i = chomp == '+' ? breaks : chomp != '-'; i > 0; i--)
		*to++ = '\n';
	*to = '\0'; /* what was read was longer */
	*out = (struct kg_value){.type = KG_STRING, .len = (uint32_t)(to - s), .s = s};
	return true;
}

/* ---- collections ---- */

static void push(struct own *r, const char *key, const struct kg_value *v)
{
	if (r->n == r->cap) {
		struct kg_member *old = r->stack == r->few ? NULL : r->stack;
		struct kg_member *m = kg_realloc(old, r->cap * 2 * sizeof(*m));

		if (!old)
			memcpy(m, r->few, sizeof(r->few));
		r->stack = m;
		r->cap *= 2;
	}
	r->stack[r->n++] = (struct kg_member){.key = key, .value = *v};
}

static struct kg_value take_object(struct own *r, size_t base)
{
	size_t n = r->n - base;
	struct kg_member *m = kg_arena_alloc(r->arena, n * sizeof(*m));

	memcpy(m, r->stack + base, n * sizeof(*m));
	r->n = base;
	return (struct kg_value){.type = KG_OBJECT, .len = (uint32_t)n, .members = m};
}

static struct kg_value take_array(struct own *r, size_t base)
{
	size_t n = r->n - base;
	struct kg_value *items = kg_arena_alloc(r->arena, n * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		items[i] = r->stack[base + i].value;
	r->n = base;
	return (struct kg_value){.type = KG_ARRAY, .len = (uint32_t)n, .items = items};
}

/* At the dash of the first item. */
static bool read_array(struct own *r, struct kg_value *out, size_t column, unsigned depth)
{
	size_t base = r->n;

	do {
		struct kg_value item;

		r->at += 2;
		if (!read_item(r, &item, column + INDENT, depth + 1))
			return false;
		push(r, NULL, &item);
	} while (!at_end(r) && r->column == column && at_item(r));
	*out = take_array(r, base);
	return at_end(r) || r->column <= column;
}

/* A collection that begins on the line after its key, which is at `column`. */
static bool read_below(struct own *r, struct kg_value *out, size_t column, unsigned depth)
{
	struct kg_value key;

	next_line(r);
	if (at_item(r))
		return r->column == column && depth <= DEEPEST && read_array(r, out, column, depth);
	return r->column == column + INDENT && depth <= DEEPEST && read_token(r, &key) == KEY &&
	       read_object(r, out, key.s, column + INDENT, depth);
}

/* Behind the colon of its key. */
static bool read_member(struct own *r, struct kg_value *out, size_t column, unsigned depth)
{
	if (*r->at == '\n')
		return read_below(r, out, column, depth);
	r->at++;
	if (*r->at == '|') {
		if (!read_literal(r, out, column + INDENT))
			return false;
		begin_line(r);
		return true;
	}
	if (read_token(r, out) != SCALAR)
		return false;
	next_line(r);
	return true;
}

/* Behind the colon of its first key, which is at `column`. */
static bool read_object(
	struct own *r, struct kg_value *out, const char *key, size_t column, unsigned depth)
{
	size_t base = r->n;
	struct kg_value next;

	for (;;) {
		const char *known = kg_key_find(key, strlen(key));
		struct kg_value v;

		if (!read_member(r, &v, column, depth + 1))
			return false;
		push(r, known ? known : key, &v);
		if (at_end(r) || r->column < column)
			break;
		if (r->column > column || read_token(r, &next) != KEY || strcmp(key, next.s) >= 0)
			return false;
		key = next.s;
	}
	*out = take_object(r, base);
	return true;
}

/* The root, or what is behind a dash. */
static bool read_item(struct own *r, struct kg_value *out, size_t column, unsigned depth)
{
	if (depth > DEEPEST)
		return false;
	if (at_item(r))
		return read_array(r, out, column, depth);
	if (*r->at == '|') {
		if (!column || !read_literal(r, out, column))
			return false;
		begin_line(r);
		return true;
	}
	switch (read_token(r, out)) {
	case KEY:
		return read_object(r, out, out->s, column, depth);
	case SCALAR:
		next_line(r);
		return true;
	case NONE:
		break;
	}
	return false;
}

bool kg_yaml_read_own(struct kg_value *out, struct kg_arena *a, const char *text, size_t len)
{
	if (!len || len > LONGEST || text[len - 1] != '\n' || memchr(text, '\0', len))
		return false;
	char *copy = kg_arena_strndup(a, text, len);
	struct own r = {.at = copy, .end = copy + len, .arena = a, .cap = STACK};
	r.stack = r.few;
	bool ok = read_item(&r, out, 0, 1) && at_end(&r);
	if (r.stack != r.few)
		free(r.stack);
	return ok;
}
