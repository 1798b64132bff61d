#include "base/time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	uint64_t ns;
} units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\xC2\xB5s", 1000}, /* U+00B5 micro sign */
	{"\xCE\xBCs", 1000}, /* U+03BC Greek mu */
	{"ms", 1000000},
	{"s", 1000000000},
	{"m", UINT64_C(60) * 1000000000},
	{"h", UINT64_C(3600) * 1000000000},
};

struct decimal {
	uint64_t whole, fraction, scale; /* whole + fraction / scale */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool take_decimal(const char **s, struct decimal *d)
{
	bool digits = false;

	*d = (struct decimal){.scale = 1};
	for (; is_digit(**s); (*s)++) {
		if (d->whole > (UINT64_C(1) << 63) / 10)
			return false;
		d->whole = d->whole * 10 + (uint64_t)(**s - '0');
		digits = true;
	}
	if (**s != '.')
		return digits;
	(*s)++;
	for (; is_digit(**s); (*s)++) {
		digits = true;
		if (d->scale < UINT64_C(100000000000000000)) {
			d->fraction = d->fraction * 10 + (uint64_t)(**s - '0');
			d->scale *= 10;
		}
	}
	return digits;
}

static uint64_t take_unit(const char **s)
{
	size_t n = 0;

	while ((*s)[n] && (*s)[n] != '.' && !is_digit((*s)[n]))
		n++;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == n && !strncmp(*s, units[i].name, n)) {
			*s += n;
			return units[i].ns;
		}
	}
	return 0;
}

int kg_duration_parse(int64_t *out_ms, const char *s)
{
	const unsigned __int128 limit = (unsigned __int128)INT64_MAX * 1000000;
	unsigned __int128 total = 0;
	bool negative = *s == '-', first = true;

	if (*s == '-' || *s == '+')
		s++;
	if (!*s)
		return -1;
	while (*s) {
		struct decimal d;
		uint64_t unit = 0;

		if (!take_decimal(&s, &d))
			return -1;
		if (*s)
			unit = take_unit(&s);
		else if (first)
			unit = 1000000000; /* plain seconds */
		if (!unit)
			return -1;
		total += (unsigned __int128)d.whole * unit +
			 (unsigned __int128)d.fraction * unit / d.scale;
		if (total > limit)
			return -1;
		first = false;
	}
	int64_t ms = (int64_t)(total / 1000000);
	*out_ms = negative ? -ms : ms;
	return 0;
}

void kg_duration_human(char out[24], int64_t ms)
{
	enum { DAY_H = 24, YEAR_H = 24 * 365 };
	long long s = ms / 1000, m = s / 60, h = m / 60;
	long long major, minor = 0;
	const char *units2;

	if (s < 0) {
		/* Clocks differ by a second or so; more than that is somebody's mistake. */
		snprintf(out, 24, "%s", s < -1 ? "<invalid>" : "0s");
		return;
	}
	if (s < 120) {
		major = s, units2 = "s";
	} else if (m < 10) {
		major = m, minor = s % 60, units2 = "ms";
	} else if (m < 180) {
		major = m, units2 = "m";
	} else if (h < 8) {
		major = h, minor = m % 60, units2 = "hm";
	} else if (h < 48) {
		major = h, units2 = "h";
	} else if (h < 8 * DAY_H) {
		major = h / DAY_H, minor = h % DAY_H, units2 = "dh";
	} else if (h < 2 * YEAR_H) {
		major = h / DAY_H, units2 = "d";
	} else if (h < 8 * YEAR_H) {
		major = h / YEAR_H, minor = h / DAY_H % 365, units2 = "yd";
	} else {
		major = h / YEAR_H, units2 = "y";
	}
	if (minor)
		snprintf(out, 24, "%lld%c%lld%c", major, units2[0], minor % 1000, units2[1]);
	else
		snprintf(out, 24, "%lld%c", major, units2[0]);
}
