#include "base/time.h"

#include <stdbool.h>
#include <stdio.h>

enum { MS_PER_DAY = 86400000 };

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
	unsigned ms_of_day;
};

/* The proleptic Gregorian calendar in eras of 400 years that begin on March 1st. */
static int64_t days_from_civil(int64_t year, unsigned month, unsigned day)
{
	year -= month <= 2;
	int64_t era = (year >= 0 ? year : year - 399) / 400;
	unsigned year_of_era = (unsigned)(year - era * 400);
	unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + (int64_t)day_of_era - 719468;
}

static struct civil civil_from_time(kg_time t)
{
	int64_t days = t / MS_PER_DAY;
	int64_t rest = t % MS_PER_DAY;

	if (rest < 0) {
		rest += MS_PER_DAY;
		days--;
	}
	days += 719468;
	int64_t era = (days >= 0 ? days : days - 146096) / 146097;
	unsigned doe = (unsigned)(days - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned shifted = (5 * doy + 2) / 153;
	unsigned month = shifted < 10 ? shifted + 3 : shifted - 9;

	return (struct civil){
		.year = (int64_t)yoe + era * 400 + (month <= 2),
		.month = month,
		.day = doy - (153 * shifted + 2) / 5 + 1,
		.ms_of_day = (unsigned)rest,
	};
}

static char *put_two(char *at, unsigned n, char after)
{
	at[0] = (char)('0' + n / 10);
	at[1] = (char)('0' + n % 10);
	at[2] = after;
	return at + 3;
}

/* Every commit says many times. */
void kg_time_format(char out[32], kg_time t)
{
	struct civil c = civil_from_time(t);
	unsigned s = c.ms_of_day / 1000;

	if (c.year >= 0 && c.year <= 9999) {
		unsigned year = (unsigned)c.year;

		(void)put_two(out, year / 100, '\0');
		char *at = put_two(out + 2, year % 100, '-');
		at = put_two(at, c.month, '-');
		at = put_two(at, c.day, 'T');
		at = put_two(at, s / 3600, ':');
		at = put_two(at, s / 60 % 60, ':');
		*put_two(at, s % 60, 'Z') = '\0';
		return;
	}
	snprintf(out, 32, "%04lld-%02u-%02uT%02u:%02u:%02uZ", (long long)c.year, c.month % 100,
		c.day % 100, s / 3600 % 100, s / 60 % 60, s % 60);
}

void kg_time_format_micro(char out[40], kg_time t)
{
	struct civil c = civil_from_time(t);
	unsigned s = c.ms_of_day / 1000;

	snprintf(out, 40, "%04lld-%02u-%02uT%02u:%02u:%02u.%03u000Z", (long long)c.year,
		c.month % 100, c.day % 100, s / 3600 % 100, s / 60 % 60, s % 60,
		c.ms_of_day % 1000);
}

void kg_time_format_rfc1123(char out[48], kg_time t)
{
	static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct civil c = civil_from_time(t);
	unsigned s = c.ms_of_day / 1000;
	int64_t day = (t - c.ms_of_day) / MS_PER_DAY;

	snprintf(out, 48, "%s, %02u %s %04lld %02u:%02u:%02u +0000", days[(day % 7 + 7) % 7],
		c.day % 100, months[(c.month - 1) % 12], (long long)c.year, s / 3600 % 100,
		s / 60 % 60, s % 60);
}

/* Exactly n digits at *s. */
static bool take_digits(const char **s, int n, unsigned *out)
{
	*out = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*out = *out * 10 + (unsigned)(**s - '0');
	}
	return true;
}

static bool take(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

static unsigned days_in_month(unsigned year, unsigned month)
{
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month == 2)
		return leap ? 29 : 28;
	return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool take_date(const char **s, int64_t *days)
{
	unsigned year, month, day;

	if (!take_digits(s, 4, &year) || !take(s, '-') || !take_digits(s, 2, &month) ||
		!take(s, '-') || !take_digits(s, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	*days = days_from_civil(year, month, day);
	return true;
}

/* ".5" and longer; what is finer than a millisecond is cut off. */
static bool take_fraction(const char **s, unsigned *ms)
{
	unsigned scale = 100;

	*ms = 0;
	if (!take(s, '.'))
		return true;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		*ms += (unsigned)(**s - '0') * scale;
		scale /= 10;
	}
	return true;
}

static bool take_zone(const char **s, int *offset_s)
{
	unsigned hour, minute;

	*offset_s = 0;
	if (take(s, 'Z'))
		return true;
	int sign = **s == '-' ? -1 : 1;
	if (!take(s, '+') && !take(s, '-'))
		return false;
	if (!take_digits(s, 2, &hour) || !take(s, ':') || !take_digits(s, 2, &minute))
		return false;
	if (hour > 23 || minute > 59)
		return false;
	*offset_s = sign * (int)(hour * 3600 + minute * 60);
	return true;
}

int kg_time_parse(kg_time *out, const char *s)
{
	int64_t days;
	unsigned hour, minute, second, ms;
	int offset_s;

	if (!take_date(&s, &days) || !take(&s, 'T') || !take_digits(&s, 2, &hour) ||
		!take(&s, ':') || !take_digits(&s, 2, &minute) || !take(&s, ':') ||
		!take_digits(&s, 2, &second))
		return -1;
	if (hour > 23 || minute > 59 || second > 59)
		return -1;
	if (!take_fraction(&s, &ms) || !take_zone(&s, &offset_s) || *s)
		return -1;
	int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset_s;
	*out = seconds * 1000 + ms;
	return 0;
}
