#include "base/mem.h"
#include "base/time.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parse_and_format(void **state)
{
	static const struct {
		const char *text;
		kg_time t;
		const char *seconds, *micro; /* NULL: as text */
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0, NULL, "1970-01-01T00:00:00.000000Z"},
		{"2026-11-26T04:28:06Z", 1795667286000, NULL, "2026-11-26T04:28:06.000000Z"},
		{"2026-11-26T04:28:06.5Z", 1795667286500, "2026-11-26T04:28:06Z",
			"2026-11-26T04:28:06.500000Z"},
		{"2026-11-26T04:28:06.123999999Z", 1795667286123, "2026-11-26T04:28:06Z",
			"2026-11-26T04:28:06.123000Z"},
		{"2026-11-26T06:58:06+02:30", 1795667286000, "2026-11-26T04:28:06Z",
			"2026-11-26T04:28:06.000000Z"},
		{"2026-11-25T20:28:06-08:00", 1795667286000, "2026-11-26T04:28:06Z",
			"2026-11-26T04:28:06.000000Z"},
		{"2000-02-29T23:59:59Z", 951868799000, NULL, "2000-02-29T23:59:59.000000Z"},
		{"1969-12-31T23:59:59.999Z", -1, "1969-12-31T23:59:59Z",
			"1969-12-31T23:59:59.999000Z"},
		{"1900-03-01T00:00:00Z", -2203891200000, NULL, "1900-03-01T00:00:00.000000Z"},
		{"0001-01-01T00:00:00Z", -62135596800000, NULL, "0001-01-01T00:00:00.000000Z"},
		{"9999-12-31T23:59:59Z", 253402300799000, NULL, "9999-12-31T23:59:59.000000Z"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		char seconds[32], micro[40];
		kg_time t = 42;

		assert_int_equal(kg_time_parse(&t, cases[i].text), 0);
		if (t != cases[i].t)
			fail_msg("%s: %" PRId64, cases[i].text, t);
		kg_time_format(seconds, t);
		kg_time_format_micro(micro, t);
		assert_string_equal(seconds, cases[i].seconds ? cases[i].seconds : cases[i].text);
		assert_string_equal(micro, cases[i].micro);
	}
}

static void test_rfc1123(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"1970-01-01T00:00:00Z", "Thu, 01 Jan 1970 00:00:00 +0000"},
		{"2026-11-26T04:28:06.5Z", "Thu, 26 Nov 2026 04:28:06 +0000"},
		{"1969-12-31T23:59:59.999Z", "Wed, 31 Dec 1969 23:59:59 +0000"},
		{"2000-02-29T23:59:59Z", "Tue, 29 Feb 2000 23:59:59 +0000"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		char out[48];
		kg_time t;

		assert_int_equal(kg_time_parse(&t, cases[i].text), 0);
		kg_time_format_rfc1123(out, t);
		assert_string_equal(out, cases[i].want);
	}
}

static void test_parse_malformed(void **state)
{
	static const char *const cases[] = {"", "2026", "2026-11-26", "2026-11-26T04:28:06",
		"2026-11-26 04:28:06Z", "2026-11-26t04:28:06z", "2026-13-26T04:28:06Z",
		"2026-00-26T04:28:06Z", "2026-11-31T04:28:06Z", "2026-02-29T04:28:06Z",
		"1900-02-29T00:00:00Z", "2026-11-00T04:28:06Z", "2026-11-26T24:00:00Z",
		"2026-11-26T04:60:06Z", "2026-11-26T04:28:60Z", "2026-11-26T04:28:06.Z",
		"2026-11-26T04:28:06+2:00", "2026-11-26T04:28:06+24:00", "2026-11-26T04:28:06+0200",
		"2026-11-26T04:28:06Zx", "+026-11-26T04:28:06Z", "2026-1-26T04:28:06Z"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		kg_time t;

		if (!kg_time_parse(&t, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
	}
}

/* Every day of eight centuries, against the C library. */
static void test_against_libc(void **state)
{
	char got[32], want[32];

	(void)state;
	for (int64_t day = -150000; day < 150000; day++) {
		time_t s = (time_t)(day * 86400 + 3723);
		kg_time back;
		struct tm tm;

		gmtime_r(&s, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		kg_time_format(got, (kg_time)s * 1000);
		assert_string_equal(got, want);
		assert_int_equal(kg_time_parse(&back, got), 0);
		assert_true(back == (kg_time)s * 1000);
	}
}

static void test_extremes(void **state)
{
	char seconds[32], micro[40];

	(void)state;
	kg_time_format(seconds, KG_TIME_NEVER);
	assert_string_equal(seconds, "292278994-08-17T07:12:55Z");
	kg_time_format_micro(micro, INT64_MIN);
	assert_string_equal(micro, "-292275055-05-16T16:47:04.192000Z");
}

static void test_duration(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{"0", 0},
		{"0s", 0},
		{"90s", 90000},
		{"90", 90000},
		{"1.5", 1500},
		{"1h30m", 5400000},
		{"250ms", 250},
		{"1.5h", 5400000},
		{"2h45m30.5s", 9930500},
		{"-10s", -10000},
		{"+5m", 300000},
		{".5s", 500},
		{"1.s", 1000},
		{"1500us", 1},
		{"1500\xC2\xB5s", 1},
		{"1500\xCE\xBCs", 1},
		{"999999ns", 0},
		{"1000000ns", 1},
		{"600us600us", 1},
		{"2562047h47m16.854775807s", 9223372036854},
		{"0.3333333333333333333h", 1200000 - 1},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		int64_t ms = 42;

		assert_int_equal(kg_duration_parse(&ms, cases[i].text), 0);
		if (ms != cases[i].ms)
			fail_msg("%s: %" PRId64, cases[i].text, ms);
	}
}

static void test_duration_malformed(void **state)
{
	static const char *const cases[] = {"", "+", "-", "s", ".", ".s", "1h30", "1 h", " 1h",
		"1h ", "1d", "1w", "1e3s", "1x", "--1s", "1hs", "9999999999999999999999h",
		"9223372036854775807h", "1\xC2s"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		int64_t ms;

		if (!kg_duration_parse(&ms, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
	}
}

#define S INT64_C(1000)
#define M (60 * S)
#define H (60 * M)
#define D (24 * H)
#define Y (365 * D)

static void test_human(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{-5 * S, "<invalid>"},
		{-2 * S, "<invalid>"},
		{-1 * S, "0s"},
		{-1, "0s"},
		{0, "0s"},
		{5 * S, "5s"},
		{119 * S + 999, "119s"},
		{2 * M, "2m"},
		{2 * M + 30 * S, "2m30s"},
		{9 * M + 59 * S, "9m59s"},
		{10 * M + 30 * S, "10m"},
		{179 * M, "179m"},
		{3 * H, "3h"},
		{3 * H + 5 * M, "3h5m"},
		{7 * H + 59 * M, "7h59m"},
		{8 * H + 5 * M, "8h"},
		{47 * H, "47h"},
		{2 * D, "2d"},
		{3 * D + 4 * H, "3d4h"},
		{7 * D + 23 * H, "7d23h"},
		{8 * D + 4 * H, "8d"},
		{2 * Y - H, "729d"},
		{2 * Y, "2y"},
		{2 * Y + 3 * D, "2y3d"},
		{7 * Y + 364 * D, "7y364d"},
		{8 * Y + 3 * D, "8y"},
		{INT64_MAX, "292471208y"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		char text[24];

		kg_duration_human(text, cases[i].ms);
		assert_string_equal(text, cases[i].text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_rfc1123),
		cmocka_unit_test(test_parse_malformed),
		cmocka_unit_test(test_against_libc),
		cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_duration_malformed),
		cmocka_unit_test(test_human),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
