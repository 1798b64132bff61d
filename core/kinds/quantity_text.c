/* Canonical text of quantities: the largest suffix that needs no fraction, in the family (decimal,
 * binary, exponent) that was written. What is finer than a nano-unit is rounded up. */
#include "base/quantity.h"
#include "kinds/rules.h"

typedef unsigned __int128 u128;

enum family { DECIMAL, BINARY, EXPONENT };

enum { NANO = -9, MAX_EXP = 40, MAX_DIGITS = 28 };

struct number {
	bool negative;
	u128 mantissa;
	int exp10, exp2;
	enum family family;
};

static const char *take_digits(struct number *n, const char *s)
{
	bool fraction = false;

	for (int digits = 0; (*s >= '0' && *s <= '9') || (*s == '.' && !fraction); s++) {
		if (*s == '.') {
			fraction = true;
			continue;
		}
		if (digits >= MAX_DIGITS) {
			n->exp10 += !fraction;
			continue;
		}
		n->mantissa = n->mantissa * 10 + (unsigned)(*s - '0');
		n->exp10 -= fraction;
		digits += n->mantissa != 0;
	}
	return s;
}

/* The text was accepted by kg_quantity_milli, so only its parts are found here. */
static void parse(struct number *n, const char *s)
{
	*n = (struct number){.negative = *s == '-'};
	if (*s == '-' || *s == '+')
		s++;
	s = take_digits(n, s);
	for (size_t i = 0; i < KG_QUANTITY_SUFFIXES; i++) {
		if (strcmp(s, kg_quantity_suffixes[i].text) != 0)
			continue;
		n->exp10 += kg_quantity_suffixes[i].exp10;
		n->exp2 = kg_quantity_suffixes[i].exp2;
		n->family = n->exp2 ? BINARY : DECIMAL;
		return;
	}
	long exp = strtol(s + 1, NULL, 10);
	n->exp10 += exp > 1000 ? 1000 : exp < -1000 ? -1000 : (int)exp;
	n->family = EXPONENT;
}

/* In nano-units, rounded up; saturates far above anything real. */
static u128 nanos(const struct number *n)
{
	const u128 limit = (u128)INT64_MAX * 1000000000;
	u128 v = n->mantissa;
	bool more = false;

	for (int i = 0; i < n->exp2 && v <= limit; i++)
		v *= 2;
	for (int e = n->exp10 - NANO; e > 0 && v && v <= limit; e--)
		v *= 10;
	for (int e = n->exp10 - NANO; e < 0 && v; e++) {
		more |= v % 10 != 0;
		v /= 10;
	}
	v += more;
	return v > limit ? limit : v;
}

static const char *suffix(int exp10, int exp2)
{
	for (size_t i = 0; i < KG_QUANTITY_SUFFIXES; i++) {
		if (kg_quantity_suffixes[i].exp10 == exp10 && kg_quantity_suffixes[i].exp2 == exp2)
			return kg_quantity_suffixes[i].text;
	}
	return "";
}

const char *kg_quantity_canonical(struct kg_arena *a, const char *text)
{
	int64_t ignored;
	struct number n;

	if (kg_quantity_milli(&ignored, text))
		return NULL;
	parse(&n, text);
	u128 v = nanos(&n);
	const char *sign = n.negative && v ? "-" : "";
	if (n.family == BINARY && v >= (u128)1024 * 1000000000) {
		int exp2 = 0;
		v = (v + 999999999) / 1000000000;
		for (; exp2 < 60 && v % 1024 == 0; exp2 += 10)
			v /= 1024;
		return kg_arena_printf(a, "%s%llu%s", sign, (unsigned long long)v, suffix(0, exp2));
	}
	int exp10 = v ? NANO : 0;
	for (; exp10 < 18 && v && v % 1000 == 0; exp10 += 3)
		v /= 1000;
	/* At most 19 digits are left: above 2^64 nano-units the sum has come out of whole units. */
	for (; v > UINT64_MAX; exp10 += 3)
		v = (v + 999) / 1000;
	if (n.family == EXPONENT && exp10)
		return kg_arena_printf(a, "%s%llue%d", sign, (unsigned long long)v, exp10);
	return kg_arena_printf(a, "%s%llu%s", sign, (unsigned long long)v, suffix(exp10, 0));
}
