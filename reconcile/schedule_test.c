#include "reconcile/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BERLIN    "CET-1CEST,M3.5.0,M10.5.0/3"
#define HAVANA    "CST5CDT,M3.2.0/0,M11.1.0/1"
#define BEIRUT    "EET-2EEST,M3.5.0/0,M10.5.0/0"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"

static kg_time at(const char *s)
{
	kg_time t;

	assert_int_equal(kg_time_parse(&t, s), 0);
	return t;
}

static void test_offsets(void **state)
{
	static const struct {
		const char *rule, *utc;
		int64_t offset_s;
	} cases[] = {
		{NULL, "2026-07-01T00:00:00Z", 0},
		{"UTC0", "2026-07-01T00:00:00Z", 0},
		{"<+0545>-5:45", "2026-07-01T00:00:00Z", 5 * 3600 + 45 * 60},
		{BERLIN, "2026-03-29T00:59:59Z", 3600},
		{BERLIN, "2026-03-29T01:00:00Z", 7200},
		{BERLIN, "2026-10-25T00:59:59Z", 7200},
		{BERLIN, "2026-10-25T01:00:00Z", 3600},
		{"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T06:59:59Z", -5 * 3600},
		{"EST5EDT,M3.2.0,M11.1.0", "2026-03-08T07:00:00Z", -4 * 3600},
		/* the southern summer spans the new year */
		{"NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-01-01T00:00:00Z", 13 * 3600},
		{"NZST-12NZDT,M9.5.0,M4.1.0/3", "2026-07-01T00:00:00Z", 12 * 3600},
		/* half an hour of summer; hours before midnight and beyond it */
		{"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2026-01-01T00:00:00Z", 11 * 3600},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -7200},
		{"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -3600},
		{"IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-26T23:59:59Z", 7200},
		{"IST-2IDT,M3.4.4/26,M10.5.0", "2026-03-27T00:00:00Z", 10800},
		{"XXX0YYY,J60,J61", "2028-03-01T02:00:00Z", 3600},
		{"XXX0YYY,59,61", "2028-02-29T01:59:59Z", 0},
		{"XXX0YYY,59,61", "2028-02-29T02:00:00Z", 3600},
	};
	struct kg_zone z;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(kg_zone_parse(&z, cases[i].rule));
		assert_int_equal(kg_zone_offset(&z, at(cases[i].utc) / 1000), cases[i].offset_s);
	}
	static const char *const bad[] = {"C", "CET", "CET-1CEST", "CET-1CEST,M3.5.0",
		"CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/3x", "<CET-1", "CET-1:"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(kg_zone_parse(&z, bad[i]));
}

static void test_next(void **state)
{
	static const struct {
		const char *cron, *zone, *from, *next;
	} cases[] = {
		{"*/15 * * * *", "", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"},
		{"*/15 * * * *", "", "2026-01-01T00:14:59Z", "2026-01-01T00:15:00Z"},
		{"0 0 1 * *", "", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"},
		{"0 12 29 feb *", "", "2026-01-01T00:00:00Z", "2028-02-29T12:00:00Z"},
		{"0 9 * * mon-fri", "", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"},
		{"0 0 13 * fri", "", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
		{"59 23 31 12 *", "", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
		{"@hourly", "", "2026-01-01T00:00:01Z", "2026-01-01T01:00:00Z"},
		{"@every 1h30m", "", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"},
		{"30 6 * * *", BERLIN, "2026-01-01T00:00:00Z", "2026-01-01T05:30:00Z"},
		{"30 6 * * *", BERLIN, "2026-07-01T00:00:00Z", "2026-07-01T04:30:00Z"},
		{"0 0 * * *", "<+0545>-5:45", "2026-01-01T00:00:00Z", "2026-01-01T18:15:00Z"},
		/* skipped on March 29th; due twice on October 25th */
		{"30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-30T00:30:00Z"},
		{"30 2 * * *", BERLIN, "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", BERLIN, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"30 2 * * *", BERLIN, "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"},
		/* midnight is skipped on March 8th, and comes twice on November 1st */
		{"0 0 * * *", HAVANA, "2026-03-07T12:00:00Z", "2026-03-09T04:00:00Z"},
		{"0 0 * * *", HAVANA, "2026-11-01T03:59:00Z", "2026-11-01T04:00:00Z"},
		{"0 0 * * *", HAVANA, "2026-11-01T04:00:00Z", "2026-11-01T05:00:00Z"},
		{"0 0 * * *", HAVANA, "2026-11-01T05:00:00Z", "2026-11-02T05:00:00Z"},
		/* a day without its midnight is a day, and one half an hour shorter, too */
		{"0 12 * * sun", BEIRUT, "2026-03-28T12:00:00Z", "2026-03-29T09:00:00Z"},
		{"5 5 * * *", LORD_HOWE, "2026-10-03T03:00:00Z", "2026-10-03T18:05:00Z"},
		{"15 2 * * *", LORD_HOWE, "2026-10-03T03:00:00Z", "2026-10-04T15:15:00Z"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_cron c;
		struct kg_zone z;
		char got[32];

		assert_null(kg_cron_parse(&c, &a, cases[i].cron));
		assert_true(kg_zone_parse(&z, cases[i].zone));
		kg_time_format(got, kg_schedule_next(&c, &z, at(cases[i].from)));
		assert_string_equal(got, cases[i].next);
		kg_arena_release(&a);
	}
}

static void test_last(void **state)
{
	static const struct {
		const char *cron, *after, *until, *last; /* last NULL: none */
	} cases[] = {
		{"* * * * *", "2020-01-01T00:00:00Z", "2026-01-01T00:00:30Z",
			"2026-01-01T00:00:00Z"},
		{"0 0 * * *", "2020-01-01T00:00:00Z", "2026-01-01T23:59:59Z",
			"2026-01-01T00:00:00Z"},
		{"0 0 1 jan *", "2020-01-01T00:00:00Z", "2025-12-31T00:00:00Z",
			"2025-01-01T00:00:00Z"},
		{"0 0 29 feb *", "2020-01-01T00:00:00Z", "2026-01-01T00:00:00Z",
			"2024-02-29T00:00:00Z"},
		{"0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-01T23:59:59Z", NULL},
		{"0 0 * * *", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z",
			"2026-01-02T00:00:00Z"},
		{"@every 1m", "2026-01-01T00:00:00Z", "2026-01-01T01:00:30Z",
			"2026-01-01T01:00:00Z"},
		{"@every 1m", "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_cron c;
		struct kg_zone z;

		assert_null(kg_cron_parse(&c, &a, cases[i].cron));
		assert_true(kg_zone_parse(&z, NULL));
		kg_time got = kg_schedule_last(&c, &z, at(cases[i].after), at(cases[i].until));
		assert_int_equal(got, cases[i].last ? at(cases[i].last) : KG_TIME_NEVER);
		kg_arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_next), cmocka_unit_test(test_last)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
