/*
 * Time zones by their rules. Unresolved: a zone whose future is a list rather than a rule (Morocco,
 * whose clocks follow Ramadan) is taken by the rule at the list's end.
 */
#include "reconcile/schedule.h"

#include <stdlib.h>
#include <string.h>

enum { DAY = 86400 };

/* ---- reading ---- */

static const char *skip_name(const char *s)
{
	if (*s == '<') {
		const char *end = strchr(s, '>');
		return end ? end + 1 : NULL;
	}
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return n >= 3 ? s + n : NULL;
}

/* [+-]hh[:mm[:ss]] as seconds. */
static const char *read_time(int64_t *out, const char *s)
{
	int64_t sign = *s == '-' ? -1 : 1, unit = 3600;
	*out = 0;
	if (*s == '-' || *s == '+')
		s++;
	for (;; unit /= 60) {
		size_t n = strspn(s, "0123456789");
		if (!n || n > 3)
			return NULL;
		*out += sign * unit * strtoll(s, NULL, 10);
		s += n;
		if (*s != ':' || unit == 1)
			return s;
		s++;
	}
}

static const char *read_number(int *out, const char *s, int min, int max)
{
	size_t n = strspn(s, "0123456789");
	if (!n || n > 3)
		return NULL;
	*out = (int)strtol(s, NULL, 10);
	return *out >= min && *out <= max ? s + n : NULL;
}

static const char *read_day(struct kg_zone_change *c, const char *s)
{
	if (*s == 'J') {
		c->kind = 'J';
		return read_number(&c->day, s + 1, 1, 365);
	}
	if (*s != 'M') {
		c->kind = 'D';
		return read_number(&c->day, s, 0, 365);
	}
	c->kind = 'M';
	s = read_number(&c->month, s + 1, 1, 12);
	s = s && *s == '.' ? read_number(&c->week, s + 1, 1, 5) : NULL;
	return s && *s == '.' ? read_number(&c->day, s + 1, 0, 6) : NULL;
}

static const char *read_change(struct kg_zone_change *c, const char *s)
{
	c->time_s = 2 * 3600;
	if (*s != ',' || !(s = read_day(c, s + 1)))
		return NULL;
	return *s == '/' ? read_time(&c->time_s, s + 1) : s;
}

bool kg_zone_parse(struct kg_zone *z, const char *s)
{
	int64_t west;
	*z = (struct kg_zone){0};
	if (!s || !*s)
		return true;
	if (!(s = skip_name(s)) || !(s = read_time(&west, s)))
		return false;
	z->std_s = z->dst_s = -west;
	if (!*s)
		return true;
	z->has_dst = true;
	z->dst_s = z->std_s + 3600;
	if (!(s = skip_name(s)))
		return false;
	if (*s && *s != ',') {
		if (!(s = read_time(&west, s)))
			return false;
		z->dst_s = -west;
	}
	if (!(s = read_change(&z->start, s)) || !(s = read_change(&z->end, s)))
		return false;
	return !*s;
}

/* ---- the calendar ---- */

static bool is_leap(int64_t y)
{
	return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Days from 1970-01-01 to January 1st of the year. */
static int64_t days_to_year(int64_t y)
{
	int64_t p = y - 1;
	return p * 365 + p / 4 - p / 100 + p / 400 - 719162;
}

static int64_t year_of(int64_t utc_s)
{
	int64_t days = utc_s / DAY, y = 1970 + days / 366;
	while (days_to_year(y + 1) <= days)
		y++;
	return y;
}

static int64_t day_of_month(int64_t y, const struct kg_zone_change *c)
{
	static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	int64_t first = days_to_year(y) + before[c->month - 1] + (c->month > 2 && is_leap(y));
	int64_t length = before[c->month] - before[c->month - 1] + (c->month == 2 && is_leap(y));
	int64_t weekday = (first % 7 + 11) % 7; /* 1970-01-01 was a Thursday */
	int64_t day = (c->day - weekday + 7) % 7 + (int64_t)(c->week - 1) * 7;
	while (day >= length)
		day -= 7;
	return first + day;
}

/* The local time of the change, as if local were UTC. */
static int64_t change_at(int64_t y, const struct kg_zone_change *c)
{
	int64_t day;
	if (c->kind == 'M')
		day = day_of_month(y, c);
	else if (c->kind == 'J') /* February 29th is never counted */
		day = days_to_year(y) + c->day - 1 + (is_leap(y) && c->day >= 60);
	else
		day = days_to_year(y) + c->day;
	return day * DAY + c->time_s;
}

int64_t kg_zone_offset(const struct kg_zone *z, int64_t utc_s)
{
	if (!z->has_dst)
		return z->std_s;
	int64_t y = year_of(utc_s + z->std_s);
	int64_t start = change_at(y, &z->start) - z->std_s;
	int64_t end = change_at(y, &z->end) - z->dst_s;
	bool dst = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
	return dst ? z->dst_s : z->std_s;
}
