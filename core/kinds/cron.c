/* Schedules: the grammar is robfig/cron's (which Kubernetes uses), and nearly its words. */
#include "kinds/cron.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { FIELDS = 5, WORD_MAX = 128 };

struct field {
	unsigned min, max;
	const char *const *names; /* of min and on; or NULL */
};
static const char *const month_names[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const day_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};
static const struct field fields[FIELDS] = {
	{0, 59, NULL}, {0, 23, NULL}, {1, 31, NULL}, {1, 12, month_names}, {0, 6, day_names}};

static const char *read_number(
	unsigned *out, struct kg_arena *a, const char *text, const struct field *f)
{
	size_t n = strspn(text, "0123456789");

	for (unsigned i = 0; f && f->names && f->names[i]; i++) {
		if (!strcasecmp(f->names[i], text)) {
			*out = f->min + i;
			return NULL;
		}
	}
	if (!n || text[n] || n > 6)
		return kg_arena_printf(a, "failed to parse int from %s", text);
	*out = (unsigned)strtoul(text, NULL, 10);
	return NULL;
}

/* "*", "N", "N-M" of one range, its step cut off. */
static const char *read_span(unsigned *first, unsigned *last, bool *star, struct kg_arena *a,
	char *text, const struct field *f)
{
	char *hyphen = strchr(text, '-');
	const char *msg;

	*star = !strcmp(text, "*") || !strcmp(text, "?");
	if (*star) {
		*first = f->min;
		*last = f->max;
		return NULL;
	}
	if (hyphen && strchr(hyphen + 1, '-'))
		return kg_arena_printf(a, "too many hyphens: %s", text);
	if (hyphen)
		*hyphen = 0;
	msg = read_number(first, a, text, f);
	if (!msg && hyphen)
		msg = read_number(last, a, hyphen + 1, f);
	else
		*last = *first;
	return msg;
}

static const char *check_span(struct kg_arena *a, unsigned first, unsigned last, unsigned step,
	const char *text, const struct field *f)
{
	if (first < f->min)
		return kg_arena_printf(
			a, "beginning of range (%u) below minimum (%u): %s", first, f->min, text);
	if (last > f->max)
		return kg_arena_printf(
			a, "end of range (%u) above maximum (%u): %s", last, f->max, text);
	if (first > last)
		return kg_arena_printf(a, "beginning of range (%u) beyond end of range (%u): %s",
			first, last, text);
	if (!step)
		return kg_arena_printf(a, "step of range should be a positive number: %s", text);
	return NULL;
}

/* One range of a list: "*", "N", "N-M", each with "/STEP" or without. */
static const char *read_range(
	uint64_t *bits, bool *any, struct kg_arena *a, const char *text, const struct field *f)
{
	char *copy = kg_arena_strdup(a, text), *slash = strchr(copy, '/');
	unsigned first, last, step = 1;
	const char *msg;
	bool star;

	if (slash && strchr(slash + 1, '/'))
		return kg_arena_printf(a, "too many slashes: %s", text);
	if (slash)
		*slash = 0;
	bool single = !strchr(copy, '-');
	msg = read_span(&first, &last, &star, a, copy, f);
	if (!msg && slash)
		msg = read_number(&step, a, slash + 1, NULL);
	if (msg)
		return msg;
	if (slash && single)
		last = f->max; /* "N/STEP" goes on to the end */
	msg = check_span(a, first, last, step, text, f);
	for (unsigned i = first; !msg && i <= last; i += step)
		*bits |= 1ULL << i;
	*any |= star && step == 1;
	return msg;
}

static const char *read_list(
	uint64_t *bits, bool *any, struct kg_arena *a, char *text, const struct field *f)
{
	const char *msg = NULL;
	char *save, *range = strtok_r(text, ",", &save);

	if (!range)
		return kg_arena_printf(a, "failed to parse int from %s", text);
	for (; range && !msg; range = strtok_r(NULL, ",", &save))
		msg = read_range(bits, any, a, range, f);
	return msg;
}

static const char *read_fields(struct kg_cron *out, struct kg_arena *a, const char *text)
{
	char *words[FIELDS], *save, *copy = kg_arena_strdup(a, text);
	uint64_t bits[FIELDS] = {0};
	bool any[FIELDS] = {0};
	const char *msg = NULL;
	size_t n = 0;

	for (char *w = strtok_r(copy, " \t\r\n", &save); w; w = strtok_r(NULL, " \t\r\n", &save)) {
		if (n < FIELDS)
			words[n] = w;
		n++;
	}
	if (n != FIELDS)
		return kg_arena_printf(a, "expected exactly 5 fields, found %zu: [%s]", n, text);
	for (size_t i = 0; i < FIELDS && !msg; i++)
		msg = read_list(&bits[i], &any[i], a, words[i], &fields[i]);
	*out = (struct kg_cron){
		.minutes = bits[0],
		.hours = (uint32_t)bits[1],
		.days = (uint32_t)bits[2],
		.months = (uint32_t)bits[3],
		.weekdays = (uint32_t)bits[4],
		.any_day = any[2],
		.any_weekday = any[4],
	};
	return msg;
}

/* Digits with a point among them or none, as Go's durations have: no exponent, no hexadecimal
 * digits, which strtod takes. NULL: none. */
static const char *read_decimal(double *out, const char *text)
{
	size_t whole = strspn(text, "0123456789");
	size_t part = text[whole] == '.' ? 1 + strspn(text + whole + 1, "0123456789") : 0;
	char digits[64];

	if ((!whole && part < 2) || whole + part >= sizeof(digits))
		return NULL;
	memcpy(digits, text, whole + part);
	digits[whole + part] = 0;
	*out = strtod(digits, NULL);
	return text + whole + part;
}

/* A Go duration of whole seconds and more: "90s", "1h30m", "1.5h". Negative: none. */
static double read_duration(const char *text)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};
	double total = 0;

	if (!*text)
		return -1;
	while (*text) {
		double amount = 0;
		const char *end = read_decimal(&amount, text);
		size_t i;
		if (!end)
			return -1;
		for (i = 0; i < KG_ARRAY_LEN(units); i++) {
			size_t n = strlen(units[i].name);
			if (!strncmp(end, units[i].name, n) && !isalpha((unsigned char)end[n]))
				break;
		}
		if (i == KG_ARRAY_LEN(units))
			return -1;
		total += amount * units[i].seconds;
		text = end + strlen(units[i].name);
	}
	return total;
}

static const char *read_every(struct kg_cron *out, struct kg_arena *a, const char *text)
{
	double s = read_duration(text);

	if (s < 0 || s > 1e9)
		return kg_arena_printf(a,
			"failed to parse duration @every %s: expected one such as 90s or 1h30m",
			text);
	*out = (struct kg_cron){.every_s = s < 1 ? 1 : (int64_t)s};
	return NULL;
}

const char *kg_cron_parse(struct kg_cron *out, struct kg_arena *a, const char *text)
{
	static const struct {
		const char *name, *fields;
	} descriptors[] = {
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{"@midnight", "0 0 * * *"},
		{"@hourly", "0 * * * *"},
	};

	if (strlen(text) > WORD_MAX * FIELDS)
		return "is too long for a schedule";
	if (*text != '@')
		return read_fields(out, a, text);
	for (size_t i = 0; i < KG_ARRAY_LEN(descriptors); i++) {
		if (!strcmp(text, descriptors[i].name))
			return read_fields(out, a, descriptors[i].fields);
	}
	if (!strncmp(text, "@every ", 7))
		return read_every(out, a, text + 7);
	return kg_arena_printf(a, "unrecognized descriptor: %s", text);
}

bool kg_cron_may_be_zone(const char *s)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_0123456789+";

	if (!strcasecmp(s, "Local"))
		return false;
	for (;;) {
		size_t n = strspn(s, letters);
		if (!n || n > 14 || *s == '-' || (n == 1 && *s == '.') ||
			(n == 2 && !strncmp(s, "..", 2)) || (s[n] && s[n] != '/'))
			return false;
		if (!s[n])
			return true;
		s += n + 1;
	}
}
