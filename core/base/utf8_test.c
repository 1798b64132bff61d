#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *text;
	unsigned len; /* 0: malformed */
	uint32_t cp;
} sequences[] = {
	{"a", 1, 'a'},
	{"\x7F", 1, 0x7F},
	{"\xC2\x80", 2, 0x80},
	{"\xDF\xBFz", 2, 0x7FF},
	{"\xE0\xA0\x80", 3, 0x800},
	{"\xED\x9F\xBF", 3, 0xD7FF},
	{"\xEE\x80\x80", 3, 0xE000},
	{"\xEF\xBF\xBF", 3, 0xFFFF},
	{"\xF0\x90\x80\x80", 4, 0x10000},
	{"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
	{"\x80", 0, 0},     /* begins in the middle */
	{"\xC0\x80", 0, 0}, /* overlong */
	{"\xC1\xBF", 0, 0},
	{"\xE0\x9F\xBF", 0, 0},
	{"\xF0\x8F\xBF\xBF", 0, 0},
	{"\xED\xA0\x80", 0, 0},     /* a surrogate */
	{"\xF4\x90\x80\x80", 0, 0}, /* beyond U+10FFFF */
	{"\xF5\x80\x80\x80", 0, 0},
	{"\xFF", 0, 0},
	{"\xE2\x82", 0, 0}, /* cut off */
	{"\xE2(\xA1", 0, 0},
};

static void test_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		const char *s = sequences[i].text;
		uint32_t cp = 0;

		assert_int_equal(kg_utf8_next(s, strlen(s), &cp), sequences[i].len);
		assert_int_equal(cp, sequences[i].cp);
	}
}

static void test_cut(void **state)
{
	const char *s = "ab\xE2\x82\xAC!";
	static const size_t want[] = {0, 1, 2, 2, 2, 5, 6};

	(void)state;
	for (size_t n = 0; n < 7; n++)
		assert_int_equal(kg_utf8_cut(s, n), want[n]);
	assert_int_equal(kg_utf8_cut("\x80\x80", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
