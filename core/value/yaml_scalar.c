#include "value/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

static bool is_any(const char *s, const char *const *words)
{
	for (; *words; words++) {
		if (**words == *s && !strcmp(s, *words))
			return true;
	}
	return false;
}

static const char *const trues[] = {
	"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", NULL};
static const char *const falses[] = {
	"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF", NULL};
static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
static const char *const not_finite[] = {".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf",
	"+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", NULL};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* What strspn counts, with a table that is not made anew for each text. */
enum span { DIGITS = 1, DIGITS_ = 2, HEX_ = 4, NUMBER = 8 };

static size_t span(const char *s, enum span of)
{
	enum { D = DIGITS | DIGITS_ | HEX_ | NUMBER, H = HEX_ | NUMBER };
	static const unsigned char in[256] = {['0'] = D,
		['1'] = D,
		['2'] = D,
		['3'] = D,
		['4'] = D,
		['5'] = D,
		['6'] = D,
		['7'] = D,
		['8'] = D,
		['9'] = D,
		['a'] = H,
		['b'] = H,
		['c'] = H,
		['d'] = H,
		['e'] = H,
		['f'] = H,
		['A'] = H,
		['B'] = H,
		['C'] = H,
		['D'] = H,
		['E'] = H,
		['F'] = H,
		['_'] = DIGITS_ | HEX_ | NUMBER,
		['x'] = NUMBER,
		['X'] = NUMBER,
		['o'] = NUMBER,
		['O'] = NUMBER,
		['.'] = NUMBER,
		['+'] = NUMBER,
		['-'] = NUMBER};
	size_t n = 0;

	while (in[(unsigned char)s[n]] & of)
		n++;
	return n;
}

/* ---- numbers, without underscores ---- */

static unsigned radix_of(const char **s)
{
	if ((*s)[0] != '0' || !(*s)[1])
		return 10;
	char c = (char)((*s)[1] | 0x20);
	unsigned radix = c == 'x' ? 16 : c == 'b' ? 2 : c == 'o' ? 8 : 0;
	if (radix) {
		*s += 2;
		return radix;
	}
	*s += 1;
	return 8;
}

static int digit_of(char c, unsigned radix)
{
	int d = is_digit(c) ? c - '0' : isalpha((unsigned char)c) ? (c | 0x20) - 'a' + 10 : 99;

	return d < (int)radix ? d : -1;
}

/* Decimal, 0x, 0b, 0o and leading-zero octal integers. Beyond int64 they become floats. */
static bool parse_integer(struct kg_value *out, const char *s)
{
	bool negative = *s == '-', overflow = false;
	uint64_t u = 0;
	double f = 0;

	if (*s == '-' || *s == '+')
		s++;
	unsigned radix = radix_of(&s);
	const char *digits = s;
	if (!*s)
		return false;
	for (; *s; s++) {
		int d = digit_of(*s, radix);

		if (d < 0)
			return false;
		overflow |= __builtin_mul_overflow(u, radix, &u);
		overflow |= __builtin_add_overflow(u, (unsigned)d, &u);
		f = f * radix + d;
	}
	if (!overflow && u <= (uint64_t)INT64_MAX + negative) {
		*out = kg_v_int(negative ? (int64_t)(0 - u) : (int64_t)u);
		return true;
	}
	if (radix == 10)
		f = strtod(digits, NULL); /* rounds once */
	if (!isfinite(f))
		return false;
	*out = kg_v_float(negative ? -f : f);
	return true;
}

/* [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)? */
static bool is_float(const char *s)
{
	if (*s == '-' || *s == '+')
		s++;
	size_t whole = span(s, DIGITS);
	s += whole;
	if (*s == '.') {
		size_t fraction = span(s + 1, DIGITS);

		if (!whole && !fraction)
			return false;
		s += 1 + fraction;
	} else if (!whole) {
		return false;
	}
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		size_t exponent = span(s, DIGITS);
		if (!exponent)
			return false;
		s += exponent;
	}
	return !*s;
}

static bool parse_float(struct kg_value *out, const char *s)
{
	if (!is_float(s))
		return false;
	double f = strtod(s, NULL);
	if (!isfinite(f))
		return false; /* go-yaml leaves 1e999 a string */
	*out = kg_v_float(f);
	return true;
}

/* go-yaml strips underscores of what begins with a digit or sign, but takes ".5_0" as Go does. */
static bool is_misplaced(const char *s, const char *underscore)
{
	return *s == '.' && (!is_digit(underscore[-1]) || !is_digit(underscore[1]));
}

static bool parse_number(struct kg_value *out, const char *text, size_t n)
{
	const char *s = text;
	char small[64], *plain = small;
	KG_AUTOFREE char *large = NULL;
	size_t len = 0;

	if (!is_digit(*s) && *s != '-' && *s != '+' && *s != '.')
		return false;
	if (s[span(s, NUMBER)])
		return false;
	if (n >= sizeof(small))
		plain = large = kg_alloc(n + 1);
	for (; *s; s++) {
		if (*s != '_')
			plain[len++] = *s;
		else if (is_misplaced(text, s))
			return false;
	}
	plain[len] = '\0';
	return parse_integer(out, plain) || parse_float(out, plain);
}

enum kg_yaml_number kg_yaml_resolve(struct kg_value *out, const char *s, size_t n)
{
	*out = (struct kg_value){.type = KG_STRING, .len = (uint32_t)n, .s = s};
	if (n <= 5 && (!n || strchr("yYnNtTfFoO~.+-", *s))) {
		if (is_any(s, nulls))
			*out = kg_null;
		else if (is_any(s, trues))
			*out = kg_v_bool(true);
		else if (is_any(s, falses))
			*out = kg_v_bool(false);
		else if (is_any(s, not_finite))
			return KG_YAML_NOT_FINITE;
		if (out->type != KG_STRING)
			return KG_YAML_FINITE;
	}
	(void)parse_number(out, s, n);
	return KG_YAML_FINITE;
}

/* ---- what some reader may not take for a string ---- */

/* Digits with underscores, at most one point, and an exponent. */
static bool like_float(const char *s)
{
	s += span(s, DIGITS_);
	if (*s == '.')
		s += 1 + span(s + 1, DIGITS_);
	if (*s == 'e' || *s == 'E') {
		s++;
		if (*s == '-' || *s == '+')
			s++;
		s += span(s, DIGITS_);
	}
	return !*s;
}

static bool like_prefixed(const char *s)
{
	if (s[0] != '0' || !strchr("xXoObB", s[1]) || !s[1])
		return false;
	s += 2;
	return !s[span(s, HEX_)];
}

/* 190:20:30.15, which YAML 1.1 reads to the base of 60. */
static bool like_sexagesimal(const char *s)
{
	size_t n = span(s, DIGITS_);

	if (!n || s[n] != ':')
		return false;
	s += n;
	while (*s == ':') {
		n = span(s + 1, DIGITS_);
		if (!n)
			return false;
		s += 1 + n;
	}
	if (*s == '.')
		s += 1 + span(s + 1, DIGITS_);
	return !*s;
}

static bool like_timestamp(const char *s)
{
	if (span(s, DIGITS) != 4 || s[4] != '-')
		return false;
	s += 5;
	size_t month = span(s, DIGITS);
	if (month < 1 || month > 2 || s[month] != '-')
		return false;
	s += month + 1;
	size_t day = span(s, DIGITS);
	if (day < 1 || day > 2)
		return false;
	s += day;
	return !*s || (strchr("Tt \t", *s) && (is_digit(s[1]) || strchr(" \t", s[1])));
}

bool kg_yaml_ambiguous(const char *s, size_t n)
{
	struct kg_value v;

	/* Of what looks like something these are the most. */
	if (is_digit(*s) && like_timestamp(s))
		return true;
	if (kg_yaml_resolve(&v, s, n) == KG_YAML_NOT_FINITE || v.type != KG_STRING)
		return true;
	if (!strcmp(s, "<<") || !strcmp(s, "="))
		return true;
	if (*s == '+' || *s == '-')
		s++;
	if (!is_digit(*s) && *s != '.')
		return false;
	return like_float(s) || like_prefixed(s) || like_sexagesimal(s) || like_timestamp(s);
}
