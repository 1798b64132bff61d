#include "value/json.h"
#include "value/random_value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_parse(void **state)
{
	static const struct {
		const char *text, *want; /* as written by kg_json_write */
	} cases[] = {
		{"null", "null"},
		{" true ", "true"},
		{"\"\"", "\"\""},
		{"[]", "[]"},
		{"{}", "{}"},
		{"{\"b\":1,\"a\":[2,{\"c\":null}],\"n\":null}", "{\"a\":[2,{}],\"b\":1}"},
		{"[null]", "[null]"},
		{"0", "0"},
		{"-0", "0"},
		{"1.0", "1.0"},
		{"1e3", "1000.0"},
		{"0.1", "0.1"},
		{"1e21", "1.0e+21"},
		{"-1.5e-7", "-1.5e-07"},
		{"9223372036854775807", "9223372036854775807"},
		{"-9223372036854775808", "-9223372036854775808"},
		{"9223372036854775808", "9.223372036854776e+18"},
		{"[\"9999999999999999999 \\\" 1\",-9999999999999999999,5,1.5,12345678901234567890]",
			"[\"9999999999999999999 \\\" 1\",-1.0e+19,5,1.5,1.2345678901234567e+19]"},
		{"\"\\u00e9\\ud83d\\ude00\\/\\b\\f\\n\\r\\t\\u0001\\\"\\\\\"",
			"\"\xC3\xA9\xF0\x9F\x98\x80/\\b\\f\\n\\r\\t\\u0001\\\"\\\\\""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_value v;
		struct kg_error err;

		if (kg_json_parse(&v, &a, cases[i].text, strlen(cases[i].text), &err) < 0)
			fail_msg("%s: %s", cases[i].text, err.msg);
		kg_json_write(&b, &v);
		assert_string_equal(kg_buf_str(&b), cases[i].want);
	}
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *position;
	} cases[] = {
		{"", "1:"},
		{"{", "1:1: "},
		{"[1,]", "1:4: "},
		{"{\"a\":1,\n \"a\":2}", "2:"},
		{"{} x", "1:"},
		{"{}{}", "1:"},
		{"'a'", "1:"},
		{"\"\\u0000\"", "1:"},
		{"\"\xFF\"", "1:"},
		{"01", "1:"},
		{"1e999", "1:"},
		{"[99999999999999999999,1e999]", "1:"},
		{"nul", "1:"},
		{"\"a", "1:"},
		{"{\"a\"}", "1:"},
		{"{1:2}", "1:"},
		{"NaN", "1:"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_v_int(7);
		struct kg_error err;
		int rc = kg_json_parse(&v, &a, cases[i].text, strlen(cases[i].text), &err);

		if (rc != -KG_E_BAD_REQUEST || v.i != 7)
			fail_msg("%s: %d", cases[i].text, rc);
		if (strncmp(err.msg, cases[i].position, strlen(cases[i].position)) != 0)
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
}

static void test_depth(void **state)
{
	char text[4001];

	(void)state;
	for (int depth = 100; depth <= 2000; depth += 1900) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v;
		struct kg_error err;

		memset(text, '[', (size_t)depth);
		memset(text + depth, ']', (size_t)depth);
		int rc = kg_json_parse(&v, &a, text, 2 * (size_t)depth, &err);
		assert_int_equal(rc, depth == 100 ? 0 : -KG_E_BAD_REQUEST);
		if (rc)
			assert_string_equal(err.msg, "1:101: nested deeper than 100");
	}
	static const char quoted[] =
		"[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\""
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]";
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v;
	assert_int_equal(kg_json_parse(&v, &a, quoted, strlen(quoted), NULL), 0);
}

/* What is not UTF-8 leaves as U+FFFD, so that a reader of a list gets the rest of it. */
static void test_write_string(void **state)
{
	static const struct {
		const char *s, *want;
	} cases[] = {
		{"plain text of more than eight bytes", "\"plain text of more than eight bytes\""},
		{"1234567\"", "\"1234567\\\"\""},
		{"12345678\\", "\"12345678\\\\\""},
		{"\x7f<>&", "\"\x7f<>&\""},
		{"a\x1f", "\"a\\u001f\""},
		{"12345\xC3\xA9"
		 "6789",
			"\"12345\xC3\xA9"
			"6789\""},
		{"a\xFF"
		 "b\xC3",
			"\"a\xEF\xBF\xBD"
			"b\xEF\xBF\xBD\""},
		{"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
		{"\xC0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

		kg_json_write_string(&b, cases[i].s, strlen(cases[i].s));
		assert_string_equal(kg_buf_str(&b), cases[i].want);
	}
}

static void test_pretty(void **state)
{
	static const char text[] = "{\"a\":[1,{\"b\":\"c\"},[]],\"d\":{}}";
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value v;

	(void)state;
	assert_int_equal(kg_json_parse(&v, &a, text, strlen(text), NULL), 0);
	kg_json_write_pretty(&b, &v);
	assert_string_equal(kg_buf_str(&b), "{\n"
					    "    \"a\": [\n"
					    "        1,\n"
					    "        {\n"
					    "            \"b\": \"c\"\n"
					    "        },\n"
					    "        []\n"
					    "    ],\n"
					    "    \"d\": {}\n"
					    "}");
}

static void test_round_trip(void **state)
{
	struct kg_random r = {.state = 11};

	(void)state;
	for (int i = 0; i < 3000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_random_value(&a, &r, 5), back;

		for (int pretty = 0; pretty < 2; pretty++) {
			KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
			struct kg_error err;

			if (pretty)
				kg_json_write_pretty(&b, &v);
			else
				kg_json_write(&b, &v);
			if (kg_json_parse(&back, &a, b.data, b.len, &err) < 0)
				fail_msg("%s\n%s", err.msg, b.data);
			if (!kg_equal(&v, &back))
				fail_msg("%s", b.data);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_write_string),
		cmocka_unit_test(test_pretty),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
