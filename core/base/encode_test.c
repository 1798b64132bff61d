#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_hex(void **state)
{
	unsigned char bytes[3] = {0x00, 0xAB, 0xFF}, back[3];
	char text[7];

	(void)state;
	kg_hex(text, bytes, 3);
	assert_string_equal(text, "00abff");
	assert_int_equal(kg_unhex(back, 3, "00aBFf"), 0);
	assert_memory_equal(back, bytes, 3);
	static const char *const malformed[] = {"", "00abf", "00abff0", "00abfg", "0", " 0abff"};
	for (size_t i = 0; i < KG_ARRAY_LEN(malformed); i++)
		assert_int_equal(kg_unhex(back, 3, malformed[i]), -1);
}

/* Python's uuid.uuid5 gives the same. */
static void test_uuid5(void **state)
{
	static const char dns[] = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
	char text[37];

	(void)state;
	kg_uuid5(text, dns, "python.org");
	assert_string_equal(text, "886313e1-3b8a-5372-9b90-0c9aee199e5d");
	kg_uuid5(text, dns, "");
	assert_string_equal(text, "4ebd0208-8328-5d69-8c44-ec50939c0967");
}

static void test_base64(void **state)
{
	/* RFC 4648, section 10 */
	static const char *const cases[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}, {"\xFB\xFF", "+/8="}};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		size_t n, len = strlen(cases[i][0]);
		KG_AUTOFREE char *text = kg_base64_encode(cases[i][0], len);
		assert_string_equal(text, cases[i][1]);
		KG_AUTOFREE unsigned char *back = kg_base64_decode(text, strlen(text), &n);
		assert_non_null(back);
		assert_int_equal(n, len);
		assert_string_equal((char *)back, cases[i][0]);
	}
}

static void test_base64_malformed(void **state)
{
	static const char *const cases[] = {"Z", "Zg", "Zg=", "Zg===", "=",
		"====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-_", "Z=8="};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		size_t n;

		if (kg_base64_decode(cases[i], strlen(cases[i]), &n))
			fail_msg("%s was taken", cases[i]);
	}
}

static void test_base64url(void **state)
{
	static const char *const cases[][2] = {
		{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"\xFB\xFF", "-_8"}};
	static const char *const malformed[] = {
		"Z", "Zg==", "Zm9vZ", "+_8", "-/8", "Zh", "Zm9v\n", "Zm 9"};
	size_t n;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *text = kg_base64url_encode(cases[i][0], strlen(cases[i][0]));
		assert_string_equal(text, cases[i][1]);
		KG_AUTOFREE unsigned char *back = kg_base64url_decode(text, strlen(text), &n);
		assert_non_null(back);
		assert_string_equal((char *)back, cases[i][0]);
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(malformed); i++)
		if (kg_base64url_decode(malformed[i], strlen(malformed[i]), &n))
			fail_msg("%s was taken", malformed[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_uuid5),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_base64_malformed),
		cmocka_unit_test(test_base64url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
