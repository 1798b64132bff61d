#include "value/random_value.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_round_trip(struct kg_arena *a, const struct kg_value *v)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT, again = KG_BUF_INIT;
	struct kg_value back;
	struct kg_error err;

	kg_yaml_write(&b, v);
	if (kg_yaml_load(&back, a, b.data, b.len, &err) < 0)
		fail_msg("%s\n%s", err.msg, b.data);
	if (!kg_equal(v, &back))
		fail_msg("not what was written:\n%s", b.data);
	kg_yaml_write(&again, &back);
	assert_string_equal(again.data, b.data);
	assert_int_equal(b.data[b.len - 1], '\n');
}

static void test_strings(void **state)
{
	static const struct {
		const char *s, *want;
	} cases[] = {
		/* plain */
		{"web", "web"},
		{"nginx:1.25", "nginx:1.25"},
		{"10.0.0.1", "10.0.0.1"},
		{"10.0.0.0/24", "10.0.0.0/24"},
		{"100m", "100m"},
		{"64Mi", "64Mi"},
		{"-c", "-c"},
		{"--verbose", "--verbose"},
		{"a b", "a b"},
		{"a#b", "a#b"},
		{"a,b", "a,b"},
		{"x[0]", "x[0]"},
		{"it's", "it's"},
		{"say \"x\"", "say \"x\""},
		{"a\\b", "a\\b"},
		{"::1", "::1"},
		{"http://x/", "http://x/"},
		{"1.2.3", "1.2.3"},
		{"v1", "v1"},
		{"?x", "?x"},
		{":x", ":x"},
		{"Running", "Running"},
		{"nope", "nope"},
		{"0/1", "0/1"},
		{"2001-01-01-x", "2001-01-01-x"},
		{"\xC3\xA9", "\xC3\xA9"},
		{"yEs", "yEs"},
		{"1e3x", "1e3x"},
		{"0xg", "0xg"},
		{"$(X)", "$(X)"},
		{"(x)", "(x)"},
		{"<", "<"},
		{"a ? b", "a ? b"},
		{"a - b", "a - b"},
		{"..", ".."},
		{"a=b", "a=b"},
		{"a:b", "a:b"},
		{"yes-1", "yes-1"},
		{"registry.example.com/web@sha256:0a", "registry.example.com/web@sha256:0a"},
		{"x!y&z*|>%`'\"{}[],", "x!y&z*|>%`'\"{}[],"},
		{"a\x7F", "\"a\\x7F\""},
		{"nulls", "nulls"},
		{"falsey", "falsey"},
		/* a reader would take them for something else */
		{"", "\"\""},
		{"~", "\"~\""},
		{"null", "\"null\""},
		{"NULL", "\"NULL\""},
		{"true", "\"true\""},
		{"True", "\"True\""},
		{"yes", "\"yes\""},
		{"No", "\"No\""},
		{"on", "\"on\""},
		{"OFF", "\"OFF\""},
		{"y", "\"y\""},
		{"N", "\"N\""},
		{"=", "\"=\""},
		{"<<", "\"<<\""},
		{"1", "\"1\""},
		{"-1", "\"-1\""},
		{"+1", "\"+1\""},
		{"1.10", "\"1.10\""},
		{"1e3", "\"1e3\""},
		{"1_000", "\"1_000\""},
		{"0x1F", "\"0x1F\""},
		{"0o17", "\"0o17\""},
		{"0b11", "\"0b11\""},
		{"0644", "\"0644\""},
		{"08", "\"08\""},
		{".5", "\".5\""},
		{"5.", "\"5.\""},
		{".inf", "\".inf\""},
		{"-.INF", "\"-.INF\""},
		{".NaN", "\".NaN\""},
		{"1:30", "\"1:30\""},
		{"8080:80", "\"8080:80\""},
		{"190:20:30.15", "\"190:20:30.15\""},
		{"2001-01-01", "\"2001-01-01\""},
		{"2026-11-26T04:28:06Z", "\"2026-11-26T04:28:06Z\""},
		{"2001-12-14 21:59:43.10 -5", "\"2001-12-14 21:59:43.10 -5\""},
		{"123e4567", "\"123e4567\""},
		{"1e999", "\"1e999\""},
		{"12345678901234567890", "\"12345678901234567890\""},
		/* or not read */
		{" x", "\" x\""},
		{"x ", "\"x \""},
		{"x:", "\"x:\""},
		{"a: b", "\"a: b\""},
		{"a #b", "\"a #b\""},
		{"#x", "\"#x\""},
		{"- x", "\"- x\""},
		{"-", "\"-\""},
		{"? x", "\"? x\""},
		{":", "\":\""},
		{": x", "\": x\""},
		{"---", "\"---\""},
		{"--- x", "\"--- x\""},
		{"...", "\"...\""},
		{",x", "\",x\""},
		{"[x", "\"[x\""},
		{"]", "\"]\""},
		{"{x", "\"{x\""},
		{"}", "\"}\""},
		{"&x", "\"&x\""},
		{"*", "\"*\""},
		{"!x", "\"!x\""},
		{"|", "\"|\""},
		{">", "\">\""},
		{"'x'", "\"'x'\""},
		{"\"x\"", "\"\\\"x\\\"\""},
		{"%x", "\"%x\""},
		{"@x", "\"@x\""},
		{"`x", "\"`x\""},
		{"a\tb", "\"a\\tb\""},
		{"\r", "\"\\r\""},
		{"\x01\x1b", "\"\\x01\\e\""},
		{"\x7f", "\"\\x7F\""},
		{"\xC2\x85", "\"\\x85\""},
		{"\xE2\x80\xA8", "\"\\u2028\""},
		{"\xEF\xBB\xBF", "\"\\uFEFF\""},
		{"\n", "\"\\n\""},
		{"a\r\nb", "\"a\\r\\nb\""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_value v = kg_v_lit(cases[i].s);
		struct kg_member m = {cases[i].s, v};

		kg_yaml_write(&b, &v);
		b.data[b.len - 1] = '\0';
		assert_string_equal(b.data, cases[i].want);
		assert_round_trip(&a, &v);
		struct kg_value object = kg_v_object(&a, &m, 1);
		assert_round_trip(&a, &object);
		struct kg_value array = kg_v_array(&a, &object, 1);
		assert_round_trip(&a, &array);
	}
}

/* A program's output may be anything; what is written is YAML all the same. */
static void test_not_utf8(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value v = kg_v_lit("a\xFF\nb\xC3"), back;

	(void)state;
	kg_yaml_write(&b, &v);
	assert_string_equal(b.data, "\"a\xEF\xBF\xBD\\nb\xEF\xBF\xBD\"\n");
	assert_int_equal(kg_yaml_load(&back, &a, b.data, b.len, NULL), 0);
	assert_string_equal(back.s, "a\xEF\xBF\xBD\nb\xEF\xBF\xBD");
}

static void test_literals(void **state)
{
	static const struct {
		const char *s, *want;
	} cases[] = {
		{"a\nb\n", "k: |\n  a\n  b\n"},
		{"a\nb", "k: |-\n  a\n  b\n"},
		{"a\n\n", "k: |+\n  a\n\n"},
		{"a\n\n\nb\n", "k: |\n  a\n\n\n  b\n"},
		{"\na\n", "k: |\n\n  a\n"},
		{"  a\nb\n", "k: |2\n    a\n  b\n"},
		{"\n\n a", "k: |2-\n\n\n   a\n"},
		{"\ta\n\n", "k: |2+\n  \ta\n\n"},
		{"a\n  b\n\tc\n", "k: |\n  a\n    b\n  \tc\n"},
		{"# a: [\n--- \n", "k: |\n  # a: [\n  --- \n"},
		{"\xC3\xA9\n", "k: |\n  \xC3\xA9\n"},
		/* what a literal block cannot hold, or not well */
		{"\n\n", "k: \"\\n\\n\"\n"},
		{"a\n \nb", "k: \"a\\n \\nb\"\n"},
		{"a\n  ", "k: \"a\\n  \"\n"},
		{"a\r\nb", "k: \"a\\r\\nb\"\n"},
		{"a\n\x01", "k: \"a\\n\\x01\"\n"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_value v = kg_v_obj(&a, "k", kg_v_lit(cases[i].s), (char *)NULL);

		kg_yaml_write(&b, &v);
		assert_string_equal(b.data, cases[i].want);
		assert_round_trip(&a, &v);
		struct kg_value items[] = {v, kg_v_lit(cases[i].s), kg_v_array(&a, &v, 1)};
		v = kg_v_array(&a, items, 3);
		assert_round_trip(&a, &v);
		v = kg_v_array(&a, &v, 1);
		assert_round_trip(&a, &v);
	}
}

static void test_shape(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value args[] = {kg_v_lit("-c"), kg_v_lit("a\nb\n"), kg_v_int(5)};
	struct kg_value c = kg_v_obj(&a, "name", kg_v_lit("web"), "args", kg_v_array(&a, args, 3),
		"env", kg_v_array(&a, NULL, 0), (char *)NULL);
	struct kg_value list = kg_v_array(&a, args, 1);
	struct kg_value mixed[] = {c, list, kg_v_array(&a, &list, 1), kg_v_bool(true), kg_null};
	struct kg_value v = kg_v_obj(&a, "kind", kg_v_lit("Pod"), "f", kg_v_float(1e20), "spec",
		kg_v_obj(&a, "containers", kg_v_array(&a, mixed, 5), "x",
			kg_v_obj(&a, (char *)NULL), (char *)NULL),
		(char *)NULL);

	(void)state;
	kg_yaml_write(&b, &v);
	assert_string_equal(b.data, "f: 1.0e+20\n"
				    "kind: Pod\n"
				    "spec:\n"
				    "  containers:\n"
				    "  - args:\n"
				    "    - -c\n"
				    "    - |\n"
				    "      a\n"
				    "      b\n"
				    "    - 5\n"
				    "    env: []\n"
				    "    name: web\n"
				    "  - - -c\n"
				    "  - - - -c\n"
				    "  - true\n"
				    "  - null\n"
				    "  x: {}\n");
	assert_round_trip(&a, &v);
}

/* Keys beyond what readers look ahead for, with each kind of value. */
static void test_long_keys(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value list = kg_v_array(&a, (struct kg_value[]){kg_v_int(1)}, 1);
	struct kg_value values[] = {kg_v_int(1), kg_v_lit("a\n"), list,
		kg_v_obj(&a, "a", list, (char *)NULL), kg_v_array(&a, NULL, 0)};
	static const size_t lengths[] = {790, 800, 801, 1023, 1024, 5000};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(lengths); i++) {
		for (size_t k = 0; k < KG_ARRAY_LEN(values); k++) {
			char *key = kg_arena_alloc(&a, lengths[i] + 1);

			memset(key, 'k', lengths[i]);
			struct kg_value v =
				kg_v_obj(&a, key, values[k], "z", kg_v_int(1), (char *)NULL);
			assert_round_trip(&a, &v);
			struct kg_value outer = kg_v_obj(&a, "o", v, (char *)NULL);
			v = kg_v_array(&a, &outer, 1);
			assert_round_trip(&a, &v);
		}
	}
}

/* A patch's nulls are written and, by kg_yaml_load, kept. */
static void test_nulls(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_value x = kg_v_obj(&a, "a", kg_v_int(1), "b", kg_v_int(1), (char *)NULL);
	struct kg_value y = kg_v_obj(&a, "b", kg_v_int(1), (char *)NULL);
	struct kg_value patch = kg_patch_make(&a, &x, &y), back;

	(void)state;
	kg_yaml_write(&b, &patch);
	assert_string_equal(b.data, "a: null\n");
	assert_int_equal(kg_yaml_load(&back, &a, b.data, b.len, NULL), 0);
	assert_true(kg_equal(&back, &patch));
	assert_round_trip(&a, &kg_null);
}

static void test_random(void **state)
{
	struct kg_random r = {.state = 21};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_random_value(&a, &r, 5);
		struct kg_value w = kg_random_change(&a, &r, &v);
		struct kg_value patch = kg_patch_make(&a, &v, &w);

		assert_round_trip(&a, &v);
		assert_round_trip(&a, &patch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_long_keys),
		cmocka_unit_test(test_nulls),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
