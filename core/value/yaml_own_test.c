#include "value/random_value.h"
#include "value/yaml.h"
#include "value/yaml_own.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Whether the quick reader takes it; then libyaml must read the same. */
static bool taken(const char *text, size_t len)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value own, any;
	struct kg_error err;

	if (!kg_yaml_read_own(&own, &a, text, len))
		return false;
	if (kg_yaml_load_any(&any, &a, text, len, &err) < 0)
		fail_msg("taken, but %s:\n%s", err.msg, text);
	if (!kg_equal(&own, &any))
		fail_msg("read otherwise:\n%s", text);
	return true;
}

static void test_taken(void **state)
{
	static const char *const texts[] = {
		"a: b\n",
		"a:\n- b\n- c: 1\n  d: null\n- - x\n  - y\nb: []\nc: {}\n",
		"- a\n- |\n  x\n\n  y\n- \"q\\n\\u20AC\\x85\\\"\"\n",
		"a: |-\n  x\nb: |+\n  y\n\n\nc: |2\n    z\n",
		"a: |\n\n  x\n\n\n",
		"a: |-\n  x\n\n\nb: 1\n",
		"a:\n  b:\n    c: true\n  d: 1.5\ne: ~\n",
		"\"a: b\": \"\"\n\"null\": x\n",
		"1: y\n:z: z\n?x: -y\n",
		"[]\n",
		"{}\n",
		"null\n",
		"\"x\"\n",
		"\xC3\xA9: \xF0\x9F\x98\x80\n",
		"a: b:c#d\nb: -x\nc: ?x\nd: :x\n",
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++) {
		if (!taken(texts[i], strlen(texts[i])))
			fail_msg("not taken:\n%s", texts[i]);
	}
}

static void test_left(void **state)
{
	static const char *const texts[] = {"", "a", "a: b", "a: 'b'\n", "a: b # c\n",
		"# c\na: b\n", "a:  b\n", "a : b\n", "a: b \n", "a:\tb\n", "a: b\r\n", "a:\n",
		"a: \n", "a:\n\n  b: c\n", "b: 1\na: 2\n", "a: 1\na: 2\n", "a:\n   b: c\n",
		"a:\n b: c\n", "a:\n  - b\n", "a: b\n  c\n", "a: b\n- c\n", "- a\nb: c\n",
		"- a\n b\n", "- a\n  b\n", "-\n", "- \n", "--- a\n", "a: &x b\n", "a: *x\n",
		"a: !x b\n", "a: [b]\n", "a: {b: c}\n", "<<: b\n", "null: b\n", "~: b\n",
		".inf: b\n", "a: .nan\n", "a: -\n", "a: - b\n", "a: >\n  x\n", "a: |\n",
		"a: |\nb: c\n", "a: |3\n   x\n", "a: |1\n x\n", "a: |\n   x\n  y\n",
		"a: |\n  x\n y: 1\n", "|\n  x\n", "a: |\n  x\n# c\n", "a: \"\\uD83D\\uDE00\"\n",
		"a: \"\\0\"\n", "a: \"\\x00\"\n", "a: \"b\n  c\"\n", "a: \"b\" c\n", "? a\n: b\n",
		"%TAG ! x\n",
		("\xEF\xBB\xBF"
		 "a: b\n"),
		"a: \xFF\n", "a: \xC2\x85\n", "a: x\n...\n", "a: \xC3\xA9%TAG\n", "a: b: c\n",
		"a: b:\n", "a\n  b: c\n", "a\nb\n", "x: |\n  \n  y\n"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++) {
		if (taken(texts[i], strlen(texts[i])))
			fail_msg("taken:\n%s", texts[i]);
	}
	assert_false(taken("a: b\0c\n", 7));
}

/* All that the writer writes, and much that is near it. */
static void test_random(void **state)
{
	static const char bytes[] = " \n:-#\"'|+2?&*![]{},.%<~0anx\\\t\r\xC3\xA9\x85";
	struct kg_random r = {.state = 5};
	size_t near = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		struct kg_value v = kg_random_value(&a, &r, 5), back;

		kg_yaml_write(&b, &v);
		if (kg_yaml_read_own(&back, &a, b.data, b.len))
			assert_true(kg_equal(&v, &back));
		else if (!strstr(b.data, "? ") && !strchr(b.data, '%'))
			fail_msg("not taken:\n%s", b.data);
		for (int k = 0; k < 20; k++) {
			size_t at = kg_random_below(&r, (unsigned)b.len);
			char was = b.data[at];

			b.data[at] = bytes[kg_random_below(&r, sizeof(bytes) - 1)];
			near += taken(b.data, b.len);
			if (kg_random_below(&r, 4))
				b.data[at] = was;
		}
	}
	assert_true(near > 1000);
}

/* A line of the text is moved, doubled or left out, or its indent changes. */
static void test_lines(void **state)
{
	struct kg_random r = {.state = 9};

	(void)state;
	for (int i = 0; i < 4000; i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT, changed = KG_BUF_INIT;
		struct kg_value v = kg_random_value(&a, &r, 6);

		kg_yaml_write(&b, &v);
		for (char *s = b.data; *s;) {
			size_t n = strcspn(s, "\n") + 1, blanks = strspn(s, " ");
			unsigned what = kg_random_below(&r, 24);

			if (what == 0)
				kg_buf_add(&changed, s, n);
			if (what == 1 && blanks >= 2)
				kg_buf_add(&changed, s + 2, n - 2);
			else if (what == 2)
				kg_buf_addf(&changed, "  %.*s", (int)n, s);
			else if (what == 3)
				kg_buf_addf(&changed, "%.*s- %.*s", (int)blanks, s,
					(int)(n - blanks), s + blanks);
			else if (what == 4)
				kg_buf_addc(&changed, '\n');
			else if (what != 5)
				kg_buf_add(&changed, s, n);
			s += n;
		}
		(void)taken(kg_buf_str(&changed), changed.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_left),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
