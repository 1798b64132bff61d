#include "value/random_value.h"
#include "value/testing.h"

static int arena_setup(void **state)
{
	*state = kg_alloc(sizeof(struct kg_arena));
	return 0;
}

static int arena_teardown(void **state)
{
	kg_arena_release(*state);
	free(*state);
	return 0;
}

static void test_node_is_16_bytes(void **state)
{
	(void)state;
	assert_int_equal(sizeof(struct kg_value), 16);
	assert_int_equal(sizeof(struct kg_member), 24);
}

static void test_reading(void **state)
{
	struct kg_arena *a = *state;
	struct kg_value v =
		kg_test_json(a, "{\"spec\":{\"n\":3,\"on\":true,\"f\":1.5,\"containers\":["
				"{\"name\":\"a\"},{\"name\":\"b\",\"x.y\":1},7]},"
				"\"a.b\":\"dotted\",\"spe\":1,\"specs\":2}");

	assert_int_equal(kg_int(kg_at(&v, "spec.n"), -1), 3);
	assert_int_equal(kg_int(kg_at(&v, "spec.on"), -1), -1);
	assert_int_equal(kg_int(kg_at(&v, "spec.f"), -1), -1);
	assert_true(kg_bool(kg_at(&v, "spec.on"), false));
	assert_true(kg_bool(kg_at(&v, "spec.n"), true));
	assert_string_equal(kg_string(kg_at(&v, "spec.containers.1.name"), ""), "b");
	assert_null(kg_string(kg_at(&v, "spec.containers.1"), NULL));
	assert_int_equal(kg_len(kg_at(&v, "spec.containers")), 3);
	assert_int_equal(kg_len(kg_at(&v, "spec.n")), 0);
	assert_int_equal(kg_len(kg_get(&v, "a.b")), 0);
	static const char *const absent[] = {"x", "spec.x", "spec.n.x", "spec.containers.3",
		"spec.containers.", "spec.containers.-1", "spec.containers.1x", "a.b", "", ".",
		"spec.", "spec.containers.99999999999999999999", "spec.containers.2.name", "s"};
	for (size_t i = 0; i < KG_ARRAY_LEN(absent); i++) {
		if (!kg_is_null(kg_at(&v, absent[i])))
			fail_msg("\"%s\" is there", absent[i]);
	}
	assert_string_equal(kg_string(kg_get(&v, "a.b"), ""), "dotted");
	assert_ptr_equal(kg_get(&kg_null, "x"), &kg_null);
	const struct kg_value *b = kg_find(kg_at(&v, "spec.containers"), "name", "b");
	assert_int_equal(kg_int(kg_get(b, "x.y"), 0), 1);
	assert_true(kg_is_null(kg_find(kg_at(&v, "spec.containers"), "name", "c")));
	assert_true(kg_is_null(kg_find(&v, "name", "c")));
}

static void test_making(void **state)
{
	struct kg_arena *a = *state;
	struct kg_member members[] = {{"b", kg_v_int(1)}, {"c", kg_null}, {"a", kg_v_lit("x")},
		{"b", kg_v_int(2)}, {"ab", kg_v_bool(true)}, {"d", kg_v_int(1)}, {"d", kg_null}};

	struct kg_value v = kg_v_object(a, members, KG_ARRAY_LEN(members));
	kg_assert_json(&v, "{\"a\":\"x\",\"ab\":true,\"b\":2}");
	v = kg_v_obj(a, "z", kg_v_strf(a, "%s-%d", "web", 1), "e", kg_v_array(a, NULL, 0), "n",
		kg_null, "f", kg_v_float(2), "s", kg_v_str(a, NULL), (char *)NULL);
	kg_assert_json(&v, "{\"e\":[],\"f\":2.0,\"z\":\"web-1\"}");
	v = kg_v_obj(a, (char *)NULL);
	kg_assert_json(&v, "{}");
	v = kg_v_strn(a, "abc", 2);
	kg_assert_json(&v, "\"ab\"");
	assert_int_equal(v.s[2], '\0');
}

/* Many members, some twice: sorted, and the last of equals kept. */
/* By the member's own text, by a copy, and between two: in objects of every size. */
static void test_get(void **state)
{
	struct kg_arena *a = *state;
	struct kg_member members[40];

	for (size_t n = 0; n < KG_ARRAY_LEN(members); n++) {
		char *key = kg_arena_printf(a, "key-%02zu", n * 2);

		members[n] = (struct kg_member){key, kg_v_int((int64_t)n)};
		struct kg_value v = kg_v_object(a, members, n + 1);
		for (size_t i = 0; i <= 2 * n + 2; i++) {
			const char *copy = kg_arena_printf(a, "key-%02zu", i);
			int64_t want = i % 2 || i > 2 * n ? -1 : (int64_t)i / 2;

			assert_int_equal(kg_int(kg_get(&v, copy), -1), want);
			assert_int_equal(kg_int(kg_at(&v, copy), -1), want);
			if (want >= 0)
				assert_int_equal(kg_int(kg_get(&v, members[want].key), -1), want);
			struct kg_value with = kg_with_key(a, &v, copy, kg_v_int(100));
			assert_int_equal(with.len, n + 1 + (want < 0));
			assert_int_equal(kg_int(kg_get(&with, copy), -1), 100);
		}
		assert_ptr_equal(kg_get(&v, ""), &kg_null);
		assert_ptr_equal(kg_get(&v, "key"), &kg_null);
		assert_ptr_equal(kg_get(&v, "key-000"), &kg_null);
		assert_ptr_equal(kg_get(&v, "zero"), &kg_null);
		/* A path whose beginning only is the key's text. */
		members[n].key = "key-98.more";
		v = kg_v_object(a, members, n + 1);
		struct kg_value with = kg_with(a, &v, members[n].key, kg_v_int(1));
		assert_int_equal(kg_int(kg_get(kg_get(&with, "key-98"), "more"), 0), 1);
		assert_int_equal(kg_int(kg_get(&with, members[n].key), -1), n);
		members[n].key = key;
	}
}

static void test_large_object(void **state)
{
	enum { N = 1000 };
	struct kg_arena *a = *state;
	struct kg_member members[N];

	for (int i = 0; i < N; i++) {
		members[i].key = kg_arena_printf(a, "k%d", (i * 7919) % 600);
		members[i].value = kg_v_int(i);
	}
	struct kg_value v = kg_v_object(a, members, N);
	assert_int_equal(v.len, 600);
	for (uint32_t i = 1; i < v.len; i++)
		assert_true(strcmp(v.members[i - 1].key, v.members[i].key) < 0);
	for (int i = N - 600; i < N; i++)
		assert_int_equal(kg_int(kg_get(&v, members[i].key), -1), i);
}

static void test_with(void **state)
{
	static const struct {
		const char *before, *path, *value, *after;
	} cases[] = {
		{"{}", "a", "1", "{\"a\":1}"},
		{"{\"b\":2}", "a", "1", "{\"a\":1,\"b\":2}"},
		{"{\"b\":2}", "c", "1", "{\"b\":2,\"c\":1}"},
		{"{\"a\":0,\"b\":2}", "a", "[]", "{\"a\":[],\"b\":2}"},
		{"{\"a\":0,\"b\":2}", "a", "null", "{\"b\":2}"},
		{"{\"a\":0}", "a", "null", "{}"},
		{"{\"a\":0}", "b", "null", "{\"a\":0}"},
		{"{}", "a.b.c", "1", "{\"a\":{\"b\":{\"c\":1}}}"},
		{"{\"a\":{\"x\":1}}", "a.b", "1", "{\"a\":{\"b\":1,\"x\":1}}"},
		{"{\"a\":{\"x\":1}}", "a.x", "null", "{\"a\":{}}"},
		{"{\"a\":{\"x\":1}}", "b.x.y", "null", "{\"a\":{\"x\":1}}"},
		{"{\"a\":5}", "a.b", "1", "{\"a\":{\"b\":1}}"},
		{"{\"ab\":5}", "a", "1", "{\"a\":1,\"ab\":5}"},
		{"null", "a", "1", "{\"a\":1}"},
		{"[1]", "0", "2", "{\"0\":2}"},
	};
	struct kg_arena *a = *state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value before = kg_test_json(a, cases[i].before);
		struct kg_value value = kg_test_json(a, cases[i].value);
		struct kg_value after = kg_with(a, &before, cases[i].path, value);

		kg_assert_json(&after, cases[i].after);
		kg_assert_json(&before, cases[i].before);
	}
	struct kg_value v = kg_test_json(a, "{\"a.b\":1,\"c\":[1]}");
	v = kg_with_key(a, &v, "a.b", kg_v_int(2));
	v = kg_with_key(a, &v, "d.e", kg_v_int(3));
	struct kg_value items = kg_with_item(a, kg_get(&v, "c"), kg_v_int(2));
	v = kg_with(a, &v, "c", items);
	kg_assert_json(&v, "{\"a.b\":2,\"c\":[1,2],\"d.e\":3}");
	v = kg_with_item(a, &kg_null, kg_v_int(1));
	kg_assert_json(&v, "[1]");
}

static void test_equal_and_order(void **state)
{
	/* In their order, each different from all others. */
	static const char *const sorted[] = {"null", "false", "true", "-5", "1", "-2.5", "-0.0",
		"0.0", "1.0", "\"\"", "\"a\"", "\"ab\"", "\"b\"", "[]", "[null]", "[1]", "[1,2]",
		"[2]", "[[]]", "[{}]", "{}", "{\"a\":1}", "{\"a\":1,\"b\":1}", "{\"a\":2}",
		"{\"b\":1}"};
	struct kg_arena *a = *state;

	for (size_t i = 0; i < KG_ARRAY_LEN(sorted); i++) {
		for (size_t k = 0; k < KG_ARRAY_LEN(sorted); k++) {
			struct kg_value x = kg_test_json(a, sorted[i]),
					y = kg_test_json(a, sorted[k]);
			int d = kg_value_cmp(&x, &y);

			if (kg_equal(&x, &y) != (i == k) || (i < k) != (d < 0) ||
				(i > k) != (d > 0))
				fail_msg("%s and %s: %d", sorted[i], sorted[k], d);
		}
	}
}

static void test_deep_copy(void **state)
{
	struct kg_arena *a = *state, inner = KG_ARENA_INIT;
	struct kg_random r = {.state = 5};

	for (int i = 0; i < 200; i++) {
		struct kg_value v = kg_random_value(&inner, &r, 4);
		struct kg_value copy = kg_deep_copy(a, &v);
		KG_AUTOBUF struct kg_buf before = KG_BUF_INIT;

		assert_true(kg_equal(&v, &copy));
		kg_json_write(&before, &v);
		kg_arena_release(&inner);
		kg_assert_json(&copy, kg_buf_str(&before));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_is_16_bytes),
		cmocka_unit_test_setup_teardown(test_reading, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_making, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_get, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_large_object, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_with, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_equal_and_order, arena_setup, arena_teardown),
		cmocka_unit_test_setup_teardown(test_deep_copy, arena_setup, arena_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
