#include "base/mem.h"
#include "base/quantity.h"

#include <inttypes.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MAX INT64_MAX

static void test_values(void **state)
{
	static const struct {
		const char *text;
		int64_t value, milli;
	} cases[] = {
		{"0", 0, 0},
		{"1", 1, 1000},
		{"+1", 1, 1000},
		{"-1", -1, -1000},
		{"1.5", 2, 1500},
		{"-1.5", -2, -1500},
		{".5", 1, 500},
		{"5.", 5, 5000},
		{"100m", 1, 100},
		{"1500m", 2, 1500},
		{"1u", 1, 1},
		{"2500u", 1, 3},
		{"1n", 1, 1},
		{"1000000n", 1, 1},
		{"1000001n", 1, 2},
		{"3000000000n", 3, 3000},
		{"1k", 1000, 1000000},
		{"2M", 2000000, 2000000000},
		{"1G", 1000000000, 1000000000000},
		{"1T", 1000000000000, 1000000000000000},
		{"1P", 1000000000000000, 1000000000000000000},
		{"1E", 1000000000000000000, MAX},
		{"9E", 9000000000000000000, MAX},
		{"10E", MAX, MAX},
		{"1Ki", 1024, 1024000},
		{"64Mi", 67108864, 67108864000},
		{"1.5Gi", 1610612736, 1610612736000},
		{"0.1Ki", 103, 102400},
		{"1Ti", 1099511627776, 1099511627776000},
		{"1Pi", 1125899906842624, 1125899906842624000},
		{"1Ei", 1152921504606846976, MAX},
		{"7Ei", 8070450532247928832, MAX},
		{"8Ei", MAX, MAX},
		{"-8Ei", -MAX, -MAX},
		{"1e3", 1000, 1000000},
		{"1E3", 1000, 1000000},
		{"1.25e+2", 125, 125000},
		{"12e-1", 2, 1200},
		{"1e-20", 1, 1},
		{"0e5", 0, 0},
		{"1e18", 1000000000000000000, MAX},
		{"1e400", MAX, MAX},
		{"1e-400", 1, 1},
		{"1e99999999999999999999", MAX, MAX},
		{"9223372036854775807", MAX, MAX},
		{"9223372036854775806", MAX - 1, MAX},
		{"9223372036854775808", MAX, MAX},
		{"9223372036854775.807", 9223372036854776, MAX},
		{"9223372036854775.8061", 9223372036854776, MAX},
		{"00000000000000000000001", 1, 1000},
		{"0.0000000000000000000000001", 1, 1},
		{"0.000", 0, 0},
		{"1.00000000000000000000000", 1, 1000},
		{"1.00000000000000000000001", 2, 1001},
		{"123456789012345678901n", 123456789013, 123456789012346},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		int64_t value = -7, milli = -7;

		assert_int_equal(kg_quantity_value(&value, cases[i].text), 0);
		assert_int_equal(kg_quantity_milli(&milli, cases[i].text), 0);
		if (value != cases[i].value || milli != cases[i].milli)
			fail_msg("%s: %" PRId64 ", %" PRId64 " milli", cases[i].text, value, milli);
	}
}

static void test_malformed(void **state)
{
	static const char *const cases[] = {"", " ", "+", "-", ".", "m", "Ki", "1 ", " 1", "1K",
		"1ki", "1mi", "1Mi ", "1 Mi", "1g", "1Kii", "1e", "1e+", "1e1.5", "1e3k", "1e3Ki",
		"1.2.3", "--1", "+-1", "0x10", "1_000", "1,5", "NaN", "inf", "1mm", "1i", "1Gb"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		int64_t v;

		if (!kg_quantity_value(&v, cases[i]) || !kg_quantity_milli(&v, cases[i]))
			fail_msg("\"%s\" was taken", cases[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
