#include "kinds/cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ALL(n) ((1ULL << (n)) - 1)

static const struct {
	const char *text;
	struct kg_cron cron;
} good[] = {
	{"* * * * *", {ALL(60), ALL(24), ALL(31) << 1, ALL(12) << 1, ALL(7), true, true, 0}},
	{"0 * * * *", {1, ALL(24), ALL(31) << 1, ALL(12) << 1, ALL(7), true, true, 0}},
	{"@hourly", {1, ALL(24), ALL(31) << 1, ALL(12) << 1, ALL(7), true, true, 0}},
	{"@weekly", {1, 1, ALL(31) << 1, ALL(12) << 1, 1, true, false, 0}},
	{"@yearly", {1, 1, 2, 2, ALL(7), false, true, 0}},
	{"1,3-5 2/10 */16 feb,Mar-APR mon",
		{1 << 1 | 1 << 3 | 1 << 4 | 1 << 5, 1 << 2 | 1 << 12 | 1 << 22, 1 << 1 | 1 << 17,
			1 << 2 | 1 << 3 | 1 << 4, 2, false, false, 0}},
	{"59 23 31 12 6", {1ULL << 59, 1 << 23, 1U << 31, 1 << 12, 1 << 6, false, false, 0}},
	{"  0\t0  ? * ?  ", {1, 1, ALL(31) << 1, ALL(12) << 1, ALL(7), true, true, 0}},
	{"*/1 10-20/5 * * *", {ALL(60), 1 << 10 | 1 << 15 | 1 << 20, ALL(31) << 1, ALL(12) << 1,
				      ALL(7), true, true, 0}},
	{"@every 90s", {.every_s = 90}},
	{"@every 1h30m5s", {.every_s = 5405}},
	{"@every 1.5h", {.every_s = 5400}},
	{"@every 1.m.5h", {.every_s = 1860}},
	{"@every 10ms", {.every_s = 1}},
};

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(good); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		const struct kg_cron *want = &good[i].cron;
		struct kg_cron got;
		const char *msg = kg_cron_parse(&got, &a, good[i].text);

		if (msg)
			fail_msg("\"%s\": %s", good[i].text, msg);
		if (got.minutes != want->minutes || got.hours != want->hours ||
			got.days != want->days || got.months != want->months ||
			got.weekdays != want->weekdays || got.any_day != want->any_day ||
			got.any_weekday != want->any_weekday || got.every_s != want->every_s)
			fail_msg("\"%s\": minutes %llx hours %x days %x months %x weekdays %x any "
				 "%d %d every %lld",
				good[i].text, (unsigned long long)got.minutes, got.hours, got.days,
				got.months, got.weekdays, got.any_day, got.any_weekday,
				(long long)got.every_s);
		kg_arena_release(&a);
	}
}

static void test_bad(void **state)
{
	static const char *const texts[] = {"", " ", "*", "* * * * * *", "a * * * *", ", * * * *",
		"1, * * *", "- * * * *", "1- * * * *", "-1 * * * *", "/ * * * *", "*/ * * * *",
		"1/-1 * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 0 *",
		"* * * 13 *", "* * * * 7", "* * * * sunday", "mon * * * *", "5-1 * * * *",
		"99999999999 * * * *", "@", "@dayly", "@every", "@every ", "@every 5", "@every -5s",
		"@every 5x", "@every 1e3s", "@every 0x10s", "@every .s", "@every infs",
		"@every 1h30", "@every 99999999999h"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_cron got;

		if (!kg_cron_parse(&got, &a, texts[i]))
			fail_msg("\"%s\" was taken", texts[i]);
		kg_arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
