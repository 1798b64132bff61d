#include "kgit/fields.h"
#include "kgit/kgit.h"
#include "value/testing.h"

static void test_lines(void **state)
{
	static const struct {
		const char *before, *after, *line;
	} cases[] = {
		{"null", "a: 1\n", "created"},
		{"a: 1\n", "null", "deleted"},
		{"null", "spec: {nodeName: n1}\n", "created, bound to node n1"},
		{"spec: {replicas: 3}\n", "spec: {replicas: 10}\n", "spec.replicas 3 -> 10"},
		{"metadata: {resourceVersion: '1'}\n", "metadata: {resourceVersion: '2'}\n",
			"nothing"},
		{"status: {phase: Pending}\n", "status: {phase: Running, podIP: 10.0.0.1}\n",
			"status.phase Pending -> Running, status.podIP none -> 10.0.0.1"},
		/* What is desired is the news, not what follows from it. */
		{"{spec: {a: 1}, status: {n: 1}}\n", "{spec: {a: 2}, status: {n: 2}}\n",
			"spec.a 1 -> 2"},
		{"status: {conditions: [{type: Ready, status: 'False'}]}\n",
			"status: {conditions: [{type: Ready, status: 'True', "
			"lastTransitionTime: t}]}\n",
			"status.conditions[Ready].status False -> True"},
		{"status: {conditions: [{type: Ready, lastTransitionTime: s}]}\n",
			"status: {conditions: [{type: Ready, lastTransitionTime: t}]}\n",
			"status.conditions[Ready].lastTransitionTime s -> t"},
		{"spec: {containers: [{name: a, image: x}, {name: b}]}\n",
			"spec: {containers: [{name: a, image: z}, {name: c}]}\n",
			"spec.containers[a].image x -> z, spec.containers[b] removed, "
			"spec.containers[c] added"},
		{"spec: {args: [a, b]}\n", "spec: {args: [a]}\n",
			"spec.args [\"a\",\"b\"] -> [\"a\"]"},
		{"status: {containerStatuses: [{name: m, state: {waiting: {reason: W}}}]}\n",
			"status: {containerStatuses: [{name: m, state: {terminated: {reason: "
			"Error, "
			"exitCode: 3}}}]}\n",
			"status.containerStatuses[m].state waiting (W) -> terminated (Error, 3)"},
		{"data: {t: ''}\n", "data: {t: 'a b'}\n", "data.t \"\" -> \"a b\""},
		{"data: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1}\n",
			"data: {a: 2, b: 2, c: 2, d: 2, e: 2, f: 2}\n",
			"data.a 1 -> 2, data.b 1 -> 2, data.c 1 -> 2, data.d 1 -> 2, and 2 more"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
		struct kg_value before = kg_test_yaml(&a, cases[i].before);
		struct kg_value after = kg_test_yaml(&a, cases[i].after);

		kgit_fields_write(&out, &before, &after);
		assert_string_equal(kg_buf_str(&out), cases[i].line);
	}
}

static void test_long_text(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value before = kg_test_yaml(&a, "data: {t: a}\n");
	char text[1000] = "data: {t: '";

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(text, "\xc3\xa4");
	strcat(text, "'}\n");
	struct kg_value after = kg_test_yaml(&a, text);
	kgit_fields_write(&out, &before, &after);
	assert_true(out.len < 100);
	/* Not cut within a character: '"' and whole ones. */
	const char *end = strstr(kg_buf_str(&out), "...");
	assert_non_null(end);
	assert_int_equal((unsigned char)end[-1], 0xa4);
}

static void test_diffs(void **state)
{
	static const struct {
		const char *before, *after, *diff;
	} cases[] = {
		{"", "", ""},
		{"a\nb\n", "a\nb\n", ""},
		{"", "a\n", "@@ -0,0 +1,1 @@\n+a\n"},
		{"a\n", "", "@@ -1,1 +0,0 @@\n-a\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n", "1\n2\n3\n4\nx\n6\n7\n8\n",
			"@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"},
		{"a\nb\nc\nd\n", "b\nc\ne\nd\n", "@@ -1,4 +1,4 @@\n-a\n b\n c\n+e\n d\n"},
		{"x\n1\n2\n3\n4\n5\n6\n7\ny\n", "X\n1\n2\n3\n4\n5\n6\n7\nY\n",
			"@@ -1,4 +1,4 @@\n-x\n+X\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n "
			"7\n-y\n+Y\n"},
		{"no end", "no end\nmore", "@@ -1,1 +1,2 @@\n-no end\n+no end\n+more\n"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		kgit_text_diff(&out, cases[i].before, cases[i].after);
		assert_string_equal(kg_buf_str(&out), cases[i].diff);
	}
}

/* Too much for a table: lines that each has once show what is where. */
static void test_large_edits(void **state)
{
	struct kg_buf before KG_AUTOBUF = KG_BUF_INIT, after KG_AUTOBUF = KG_BUF_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	for (int i = 0; i < 30000; i++) {
		kg_buf_addf(&before, "---\nname: a%d\n", i);
		/* The second is another, the middle is gone, the last but one is there twice. */
		if (i == 1)
			kg_buf_adds(&after, "---\nname: b\n");
		else if (i != 15000)
			kg_buf_addf(&after, "---\nname: a%d\n", i);
		if (i == 29998)
			kg_buf_addf(&after, "---\nname: a%d\n", i);
	}
	kgit_text_diff(&out, before.data, after.data);
	assert_string_equal(kg_buf_str(&out),
		"@@ -1,7 +1,7 @@\n ---\n name: a0\n ---\n-name: a1\n+name: b\n ---\n name: a2\n"
		" ---\n"
		"@@ -29999,8 +29999,6 @@\n ---\n name: a14999\n ---\n-name: a15000\n----\n"
		" name: a15001\n ---\n name: a15002\n"
		"@@ -59994,6 +59992,8 @@\n name: a29996\n ---\n name: a29997\n+---\n"
		"+name: a29998\n ---\n name: a29998\n ---\n");
}

/* And without such lines: replaced as a whole. */
static void test_large_diff(void **state)
{
	struct kg_buf before KG_AUTOBUF = KG_BUF_INIT, after KG_AUTOBUF = KG_BUF_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		kg_buf_addf(&before, "a%d\n", i);
		kg_buf_addf(&after, "b%d\n", i);
	}
	kgit_text_diff(&out, before.data, after.data);
	assert_int_equal(strncmp(out.data, "@@ -1,20000 +1,20000 @@\n-a0\n", 28), 0);
	assert_non_null(strstr(out.data, "\n-a19999\n+b0\n"));
}

/* What others wrote tells the terminal nothing. */
static void test_plain(void **state)
{
	static const struct {
		const char *text, *plain;
	} cases[] = {
		{"a line\n\ttwo, ä €\n", "a line\n\ttwo, ä €\n"},
		{"\033[31mred\033[0m\a", " [31mred [0m "},
		{"back\r\bover\x7f", "back  over "},
		{"\xc2\x9b"
		 "31m \xc2\xa0",
			" 31m \xc2\xa0"},
		{"\xc2", "\xc2"},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		kgit_plain_add(&out, cases[i].text, strlen(cases[i].text));
		assert_string_equal(kg_buf_str(&out), cases[i].plain);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_diffs),
		cmocka_unit_test(test_large_edits),
		cmocka_unit_test(test_large_diff),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
