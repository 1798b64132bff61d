#include "store/ignore.h"

#include "base/mem.h"

#include <ctype.h>
#include <string.h>

struct kg_ignore_rule {
	char *pattern;   /* owned; without '!', leading and trailing slash */
	size_t base_len; /* of the directory it counts from */
	bool negate, dir_only, anchored;
};

/* Steps that one match may take: many stars in one pattern could take forever. */
#define MATCH_BUDGET 100000

void kg_ignore_release(struct kg_ignore *ig)
{
	kg_ignore_pop(ig, 0);
	free(ig->rules);
	*ig = (struct kg_ignore)KG_IGNORE_INIT;
}

void kg_ignore_pop(struct kg_ignore *ig, size_t mark)
{
	while (ig->len > mark)
		free(ig->rules[--ig->len].pattern);
}

/* Trailing blanks do not count unless a backslash stands before them. */
static size_t trim(const char *line, size_t n)
{
	size_t keep = 0;

	for (size_t i = 0; i < n; i++) {
		if (line[i] == '\\' && i + 1 < n)
			keep = ++i + 1;
		else if (line[i] != ' ' && line[i] != '\t')
			keep = i + 1;
	}
	return keep;
}

static void add_rule(struct kg_ignore *ig, size_t base_len, const char *line, size_t n)
{
	struct kg_ignore_rule r = {.base_len = base_len};

	if (n && line[n - 1] == '\r')
		n--;
	n = trim(line, n);
	if (!n || *line == '#')
		return;
	if (*line == '!') {
		r.negate = true;
		line++;
		n--;
	}
	if (n && line[n - 1] == '/') {
		r.dir_only = true;
		n--;
	}
	if (!n)
		return;
	r.anchored = memchr(line, '/', n) != NULL;
	if (*line == '/') {
		line++;
		n--;
	}
	r.pattern = kg_strndup(line, n);
	KG_GROW(ig->rules, ig->cap, ig->len + 1);
	ig->rules[ig->len++] = r;
}

size_t kg_ignore_push(struct kg_ignore *ig, const char *dir, const char *text, size_t len)
{
	size_t mark = ig->len, base_len = strlen(dir);
	const char *end = text + len;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text < end) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		const char *stop = nl ? nl : end;

		add_rule(ig, base_len ? base_len + 1 : 0, text, (size_t)(stop - text));
		text = nl ? nl + 1 : end;
	}
	return mark;
}

/* ---- wildcards ---- */

static bool named_class(const char *name, size_t n, unsigned char c)
{
	static const struct {
		const char *name;
		int (*is)(int);
	} classes[] = {{"alnum", isalnum}, {"alpha", isalpha}, {"blank", isblank},
		{"cntrl", iscntrl}, {"digit", isdigit}, {"graph", isgraph}, {"lower", islower},
		{"print", isprint}, {"punct", ispunct}, {"space", isspace}, {"upper", isupper},
		{"xdigit", isxdigit}};

	for (size_t i = 0; i < KG_ARRAY_LEN(classes); i++)
		if (strlen(classes[i].name) == n && memcmp(classes[i].name, name, n) == 0)
			return classes[i].is(c) != 0;
	return false;
}

/* One character of a bracket expression, escapes taken. */
static unsigned char take_char(const char **p)
{
	if (**p == '\\' && (*p)[1])
		(*p)++;
	return (unsigned char)*(*p)++;
}

/* "[...]" at *p against c; *p is moved to its closing bracket. False for a bracket that does not
 * close, which matches nothing. */
static bool bracket(const char **pp, unsigned char c)
{
	const char *p = *pp + 1;
	bool negate = *p == '!' || *p == '^', hit = false;

	if (negate)
		p++;
	for (bool first = true; *p && (first || *p != ']'); first = false) {
		const char *colon = p[0] == '[' && p[1] == ':' ? strstr(p + 2, ":]") : NULL;

		if (colon) {
			hit |= named_class(p + 2, (size_t)(colon - p - 2), c);
			p = colon + 2;
			continue;
		}
		unsigned char from = take_char(&p), to = from;
		if (*p == '-' && p[1] && p[1] != ']') {
			p++;
			to = take_char(&p);
		}
		hit |= c >= from && c <= to;
	}
	*pp = p;
	return *p == ']' && hit != negate && c != '/';
}

static bool match(const char *p, const char *t, const char *start, int *budget);

/* At a star: "**" between slashes spans directories, any other run of stars does not. */
static bool match_star(const char *p, const char *t, const char *start, int *budget)
{
	bool spans = p[1] == '*' && (p == start || p[-1] == '/') && (p[2] == '/' || !p[2]);

	if (spans && !p[2])
		return *t != '\0';
	if (spans) {
		for (p += 3;; t++) {
			if (match(p, t, start, budget))
				return true;
			t = strchr(t, '/');
			if (!t)
				return false;
		}
	}
	while (*p == '*')
		p++;
	for (;; t++) {
		if (match(p, t, start, budget))
			return true;
		if (!*t || *t == '/')
			return false;
	}
}

static bool match(const char *p, const char *t, const char *start, int *budget)
{
	for (; *p; p++, t++) {
		if (--*budget < 0)
			return false;
		if (*p == '*')
			return match_star(p, t, start, budget);
		if (!*t)
			return false;
		if (*p == '?') {
			if (*t == '/')
				return false;
			continue;
		}
		if (*p == '[') {
			if (!bracket(&p, (unsigned char)*t))
				return false;
			continue;
		}
		if (*p == '\\' && p[1])
			p++;
		if (*p != *t)
			return false;
	}
	return !*t;
}

bool kg_ignore_matches(const struct kg_ignore *ig, const char *path, bool is_dir)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

	for (size_t i = ig->len; i-- > 0;) {
		const struct kg_ignore_rule *r = &ig->rules[i];
		int budget = MATCH_BUDGET;

		if (r->dir_only && !is_dir)
			continue;
		if (match(r->pattern, r->anchored ? path + r->base_len : name, r->pattern, &budget))
			return !r->negate;
	}
	return false;
}
