#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "kgit/yaml_edit.h"

#include <string.h>

struct row {
	const char *before, *after; /* after NULL: refused */
	struct kgit_step path[6];
	size_t n;
	unsigned doc;
	int64_t number; /* the value: a number, or */
	const char *string;
};

#define KEY(k)                                                                                     \
	{                                                                                          \
		.key = (k)                                                                         \
	}
#define ITEM(i)                                                                                    \
	{                                                                                          \
		.index = (i)                                                                       \
	}

static const struct row rows[] = {
	{"spec:\n  replicas: 3 # three\n  a: 1\n", "spec:\n  replicas: 5 # three\n  a: 1\n",
		{KEY("spec"), KEY("replicas")}, 2, 0, 5, NULL},
	{"spec: {replicas: 3, a: 1}\n", "spec: {replicas: 5, a: 1}\n",
		{KEY("spec"), KEY("replicas")}, 2, 0, 5, NULL},
	{"# head\nspec:\n\n  a: 1\n", "# head\nspec:\n\n  replicas: 5\n  a: 1\n",
		{KEY("spec"), KEY("replicas")}, 2, 0, 5, NULL},
	{"spec: {}\n", "spec: {replicas: 5}\n", {KEY("spec"), KEY("replicas")}, 2, 0, 5, NULL},
	{"spec: {a: 1}\n", "spec: {replicas: 5, a: 1}\n", {KEY("spec"), KEY("replicas")}, 2, 0, 5,
		NULL},
	{"{\"spec\": {\"a\": 1}}\n", "{\"spec\": {\"replicas\": 5, \"a\": 1}}\n",
		{KEY("spec"), KEY("replicas")}, 2, 0, 5, NULL},
	{"a: 1\n---\nspec:\n- image: 'x:1'\n  name: c\n",
		"a: 1\n---\nspec:\n- image: \"y:2\"\n  name: c\n",
		{KEY("spec"), ITEM(0), KEY("image")}, 3, 1, 0, "y:2"},
	{"spec:\n- image: x:1   # old\n", "spec:\n- image: reg.io/y@sha256:ab   # old\n",
		{KEY("spec"), ITEM(0), KEY("image")}, 3, 0, 0, "reg.io/y@sha256:ab"},
	{"spec:\n- name: c\n  x: 1\n", "spec:\n- image: y:2\n  name: c\n  x: 1\n",
		{KEY("spec"), ITEM(0), KEY("image")}, 3, 0, 0, "y:2"},
	{"m:\n  a: ü\n", "m:\n  notes: {k/a.b: \"on\"}\n  a: ü\n",
		{KEY("m"), KEY("notes"), KEY("k/a.b")}, 3, 0, 0, "on"},
	{"m: {ü: 1, b: 2}\n", "m: {ü: 1, b: 5}\n", {KEY("m"), KEY("b")}, 2, 0, 5, NULL},
	{"\xEF\xBB\xBF"
	 "m: {a: 1, b: 2}\n",
		"\xEF\xBB\xBF"
		"m: {a: 1, b: 5}\n",
		{KEY("m"), KEY("b")}, 2, 0, 5, NULL},
	{"\xEF\xBB\xBF"
	 "m:\n  b: 2\n",
		"\xEF\xBB\xBF"
		"m:\n  b: 5\n",
		{KEY("m"), KEY("b")}, 2, 0, 5, NULL},
	{"m: &x 3\nn: *x\n", NULL, {KEY("m")}, 1, 0, 5, NULL},
	{"m: |\n  text\n", NULL, {KEY("m")}, 1, 0, 0, "y"},
	{"m:\n", NULL, {KEY("m"), KEY("a")}, 2, 0, 5, NULL},
	{"m: {a: 1}\n", NULL, {KEY("m")}, 1, 0, 5, NULL},
};

static void test_set(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
		struct kg_value v = r->string ? kg_v_lit(r->string) : kg_v_int(r->number);
		struct kg_yaml_node *docs;
		struct kg_error err;
		size_t n;

		assert_int_equal(
			kg_yaml_parse(&docs, &n, &a, r->before, strlen(r->before), NULL, &err), 0);
		int rc = kgit_yaml_set(
			&out, r->before, strlen(r->before), &docs[r->doc], r->path, r->n, &v, &err);
		if (!r->after) {
			assert_int_equal(rc, -KG_E_UNSUPPORTED);
			assert_non_null(strstr(err.msg, "by hand"));
			continue;
		}
		if (rc < 0)
			fail_msg("row %zu: %s", i, err.msg);
		assert_string_equal(kg_buf_str(&out), r->after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_set)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
