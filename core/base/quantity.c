#include "base/quantity.h"

#include <stdbool.h>
#include <string.h>

/* mantissa * 10^exp10 * 2^exp2; more says that digits beyond the mantissa were not all zero. */
struct number {
	bool negative, more;
	unsigned __int128 mantissa; /* at most 19 digits, so that 2^60 times it still fits */
	int exp10, exp2;
};

enum { MAX_DIGITS = 19, MAX_EXP = 1000 };

const struct kg_quantity_suffix kg_quantity_suffixes[KG_QUANTITY_SUFFIXES] = {
	{"n", -9, 0},
	{"u", -6, 0},
	{"m", -3, 0},
	{"", 0, 0},
	{"k", 3, 0},
	{"M", 6, 0},
	{"G", 9, 0},
	{"T", 12, 0},
	{"P", 15, 0},
	{"E", 18, 0},
	{"Ki", 0, 10},
	{"Mi", 0, 20},
	{"Gi", 0, 30},
	{"Ti", 0, 40},
	{"Pi", 0, 50},
	{"Ei", 0, 60},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_digits(const char **s, struct number *n)
{
	bool any = false, fraction = false;
	int digits = 0;

	for (; is_digit(**s) || (**s == '.' && !fraction); (*s)++) {
		if (**s == '.') {
			fraction = true;
			continue;
		}
		unsigned digit = (unsigned)(**s - '0');
		any = true;
		if (digits < MAX_DIGITS) {
			n->mantissa = n->mantissa * 10 + digit;
			digits += n->mantissa != 0;
			n->exp10 -= fraction;
		} else {
			n->more |= digit != 0;
			n->exp10 += !fraction;
		}
		if (n->exp10 > MAX_EXP || n->exp10 < -MAX_EXP)
			return false;
	}
	return any;
}

static bool take_exponent(const char *s, struct number *n)
{
	int exp = 0;

	if (*s != 'e' && *s != 'E')
		return false;
	s++;
	bool negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	if (!*s)
		return false;
	for (; is_digit(*s); s++) {
		if (exp < MAX_EXP)
			exp = exp * 10 + (*s - '0');
	}
	n->exp10 += negative ? -exp : exp;
	return !*s;
}

static bool parse(struct number *n, const char *s)
{
	*n = (struct number){.negative = *s == '-'};
	if (*s == '-' || *s == '+')
		s++;
	if (!take_digits(&s, n))
		return false;
	for (size_t i = 0; i < KG_QUANTITY_SUFFIXES; i++) {
		if (!strcmp(s, kg_quantity_suffixes[i].text)) {
			n->exp10 += kg_quantity_suffixes[i].exp10;
			n->exp2 = kg_quantity_suffixes[i].exp2;
			return true;
		}
	}
	return take_exponent(s, n);
}

static int scaled(int64_t *out, const char *s, int exp10)
{
	struct number n;

	if (!parse(&n, s))
		return -1;
	unsigned __int128 v = n.mantissa << n.exp2;
	bool more = n.more;
	int exp = n.exp10 + exp10;
	for (; exp > 0 && v && v <= INT64_MAX; exp--)
		v *= 10;
	for (; exp < 0 && v; exp++) {
		more |= v % 10 != 0;
		v /= 10;
	}
	v += more;
	int64_t result = v > INT64_MAX ? INT64_MAX : (int64_t)v;
	*out = n.negative ? -result : result;
	return 0;
}

int kg_quantity_milli(int64_t *out, const char *s)
{
	return scaled(out, s, 3);
}

int kg_quantity_value(int64_t *out, const char *s)
{
	return scaled(out, s, 0);
}
