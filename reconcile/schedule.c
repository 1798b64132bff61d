/* Cron schedules: from one local minute to the next, whole hours and days skipped. */
#include "reconcile/schedule.h"

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };
#define YEARS5 (INT64_C(5) * 366 * DAY)

struct local {
	unsigned minute, hour, weekday, day, month;
	int64_t second;
};

static struct local local_of(const struct kg_zone *z, int64_t utc_s)
{
	int64_t t = utc_s + kg_zone_offset(z, utc_s), days = t / DAY, rest = t % DAY;
	int64_t shifted = days + 719468, era = shifted / 146097;
	int64_t doe = shifted - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	return (struct local){
		.second = rest % MINUTE,
		.minute = (unsigned)(rest / MINUTE % 60),
		.hour = (unsigned)(rest / HOUR),
		.weekday = (unsigned)((days + 4) % 7),
		.day = (unsigned)(doy - (153 * mp + 2) / 5 + 1),
		.month = (unsigned)(mp < 10 ? mp + 3 : mp - 9),
	};
}

static bool day_matches(const struct kg_cron *c, const struct local *l)
{
	bool day = c->days >> l->day & 1, weekday = c->weekdays >> l->weekday & 1;
	if (!(c->months >> l->month & 1))
		return false;
	return c->any_day || c->any_weekday ? day && weekday : day || weekday;
}

kg_time kg_schedule_next(const struct kg_cron *c, const struct kg_zone *z, kg_time t)
{
	int64_t s = t / 1000, end = s + YEARS5;
	if (c->every_s)
		return (s + c->every_s) * 1000;
	/* Offsets are of whole minutes, today's all. */
	for (s = s / MINUTE * MINUTE + MINUTE; s < end;) {
		struct local l = local_of(z, s);
		int64_t into_hour = (int64_t)l.minute * MINUTE + l.second;
		if (!day_matches(c, &l)) /* but not past midnight, were an hour lost */
			s += (l.hour < 21 ? (int64_t)(22 - l.hour) : 1) * HOUR - into_hour;
		else if (!(c->hours >> l.hour & 1))
			s += HOUR - into_hour;
		else if (!(c->minutes >> l.minute & 1) || l.second)
			s += MINUTE - l.second;
		else
			return s * 1000;
	}
	return KG_TIME_NEVER;
}

kg_time kg_schedule_last(
	const struct kg_cron *c, const struct kg_zone *z, kg_time after, kg_time until)
{
	static const int64_t back_s[] = {HOUR, 25 * HOUR, 32 * DAY, 367 * DAY};
	if (c->every_s) {
		int64_t n = until > after ? (until / 1000 - after / 1000) / c->every_s : 0;
		return n > 0 ? (after / 1000 + n * c->every_s) * 1000 : KG_TIME_NEVER;
	}
	/* The shortest look back that finds one bounds the steps, however long nobody looked. */
	for (size_t i = 0; i <= sizeof(back_s) / sizeof(back_s[0]); i++) {
		bool whole = i == sizeof(back_s) / sizeof(back_s[0]) ||
			     until - back_s[i] * 1000 <= after;
		kg_time from = whole ? after : until - back_s[i] * 1000;
		kg_time last = KG_TIME_NEVER, next = kg_schedule_next(c, z, from);
		for (; next <= until; next = kg_schedule_next(c, z, next))
			last = next;
		if (last != KG_TIME_NEVER || whole)
			return last;
	}
	return KG_TIME_NEVER;
}
