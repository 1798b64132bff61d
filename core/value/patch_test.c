#include "value/random_value.h"
#include "value/testing.h"

static void test_make(void **state)
{
	static const struct {
		const char *from, *to, *patch;
	} cases[] = {
		{"{}", "{}", "null"},
		{"{\"a\":1}", "{\"a\":1}", "null"},
		{"{\"a\":1}", "{\"a\":2}", "{\"a\":2}"},
		{"{\"a\":1,\"b\":2}", "{\"b\":2}", "{\"a\":null}"},
		{"{\"b\":2}", "{\"a\":1,\"b\":2,\"c\":[]}", "{\"a\":1,\"c\":[]}"},
		{"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1}}", "{\"a\":{\"c\":null}}"},
		{"{\"a\":{\"b\":1}}", "{\"a\":{}}", "{\"a\":{\"b\":null}}"},
		{"{\"a\":{\"b\":1}}", "{\"a\":7}", "{\"a\":7}"},
		{"{\"a\":7}", "{\"a\":{}}", "{\"a\":{}}"},
		{"{\"a\":[1,2]}", "{\"a\":[1,3]}", "{\"a\":[1,3]}"},
		{"{\"a\":[{\"b\":1}]}", "{\"a\":[{\"b\":1}]}", "null"},
		{"[1]", "{\"a\":1}", "{\"a\":1}"},
		{"{\"a\":1}", "\"x\"", "\"x\""},
		{"1", "1.0", "1.0"},
	};
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value from = kg_test_json(&a, cases[i].from),
				to = kg_test_json(&a, cases[i].to);
		struct kg_value patch = kg_patch_make(&a, &from, &to);
		struct kg_value applied = kg_patch_apply(&a, &from, &patch);

		kg_assert_json(&patch, cases[i].patch);
		kg_assert_json(&applied, cases[i].to);
	}
}

/* RFC 7386, appendix A, as far as objects and this room's own rule for null go. */
static void test_apply(void **state)
{
	struct kg_member null_a = {"a", {0}}, null_c = {"c", {0}}, bb_null = {"bb", {0}};
	struct kg_value remove_a = {.type = KG_OBJECT, .len = 1, .members = &null_a};
	struct kg_value remove_c = {.type = KG_OBJECT, .len = 1, .members = &null_c};
	struct kg_value remove_bb = {.type = KG_OBJECT, .len = 1, .members = &bb_null};
	struct kg_member inner = {"b", remove_c}, nested = {"a", remove_bb};
	struct kg_value b_c = {.type = KG_OBJECT, .len = 1, .members = &inner};
	struct kg_value a_bb = {.type = KG_OBJECT, .len = 1, .members = &nested};
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	const struct {
		const char *base;
		const struct kg_value *patch;
		const char *want;
	} cases[] = {
		{"{\"a\":\"b\"}", &remove_a, "{}"},
		{"{\"a\":\"b\",\"b\":\"c\"}", &remove_a, "{\"b\":\"c\"}"},
		{"{\"b\":\"c\"}", &remove_a, "{\"b\":\"c\"}"},
		{"{\"b\":{\"c\":1,\"d\":2}}", &b_c, "{\"b\":{\"d\":2}}"},
		{"{\"b\":[1]}", &b_c, "{\"b\":{}}"},
		{"{}", &a_bb, "{\"a\":{}}"},
		{"[1,2]", &a_bb, "{\"a\":{}}"},
		{"\"foo\"", &kg_null, "\"foo\""},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value base = kg_test_json(&a, cases[i].base);
		struct kg_value got = kg_patch_apply(&a, &base, cases[i].patch);

		kg_assert_json(&got, cases[i].want);
	}
}

/* What did not change is the same memory. */
static void test_sharing(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value base = kg_test_json(&a, "{\"spec\":{\"x\":[1]},\"status\":{\"n\":1}}");
	struct kg_value patch = kg_test_json(&a, "{\"status\":{\"n\":2}}");

	(void)state;
	struct kg_value got = kg_patch_apply(&a, &base, &patch);
	assert_ptr_equal(kg_get(&got, "spec")->members, kg_get(&base, "spec")->members);
	struct kg_value back = kg_patch_make(&a, &base, &got);
	assert_true(kg_equal(&back, &patch));
}

static void test_law(void **state)
{
	struct kg_random r = {.state = 1};

	(void)state;
	for (int i = 0; i < 5000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value x = kg_random_value(&a, &r, 4);
		struct kg_value y =
			i % 5 ? kg_random_change(&a, &r, &x) : kg_random_value(&a, &r, 4);
		struct kg_value patch = kg_patch_make(&a, &x, &y);
		struct kg_value got = kg_patch_apply(&a, &x, &patch);

		if (!kg_equal(&got, &y))
			fail_msg("pair %d", i);
		assert_int_equal(kg_is_null(&patch), kg_equal(&x, &y));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_law),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
