#include "value/json.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The documents as JSON, one a line; or the fault. */
static void read_all(struct kg_buf *out, const char *text, size_t len)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n;

	kg_buf_clear(out);
	int rc = kg_yaml_parse(&docs, &n, &a, text, len, NULL, &err);
	if (rc < 0) {
		assert_int_equal(rc, -KG_E_INVALID);
		kg_buf_adds(out, err.msg);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct kg_value v = kg_yaml_value(&a, &docs[i]);

		kg_buf_adds(out, i ? "\n" : "");
		kg_json_write(out, &v);
	}
}

static void check(const char *text, const char *want)
{
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;

	read_all(&got, text, strlen(text));
	if (strcmp(kg_buf_str(&got), want) != 0)
		fail_msg("%s\n\ngives: %s\nnot:   %s", text, kg_buf_str(&got), want);
}

static void test_scalars(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"web", "\"web\""},
		{"a: b", "{\"a\":\"b\"}"},
		{"~x", "\"~x\""},
		{"[~, null, Null, NULL, '', nULL]", "[null,null,null,null,\"\",\"nULL\"]"},
		{"[y, Y, yes, Yes, YES, true, True, TRUE, on, On, ON]",
			"[true,true,true,true,true,true,true,true,true,true,true]"},
		{"[n, N, no, No, NO, false, False, FALSE, off, Off, OFF]",
			"[false,false,false,false,false,false,false,false,false,false,false]"},
		{"[yEs, tRUE, oN, 'yes', \"no\"]", "[\"yEs\",\"tRUE\",\"oN\",\"yes\",\"no\"]"},
		{"\xEF\xBB\xBF"
		 "a: b\r\nc: 1\r\n",
			"{\"a\":\"b\",\"c\":1}"},
		{"\xEF\xBB\xBF"
		 "{\"a\": \"\\ud83d\\ude00\"}",
			"{\"a\":\"\xF0\x9F\x98\x80\"}"},
		{"\xEF\xBB\xBF", ""},
		{"[0, 1, -1, +7, 0x1F, -0x1f, 0b101, 0o17, 0644, 1_000, 1__0_, 00]",
			"[0,1,-1,7,31,-31,5,15,420,1000,10,0]"},
		{"[08, 0o8, 0b2, 0xg, 0x, -, +, 1a, _1, 1-1]",
			"[8.0,\"0o8\",\"0b2\",\"0xg\",\"0x\",\"-\",\"+\",\"1a\",\"_1\",\"1-1\"]"},
		{"[9223372036854775807, 9223372036854775808, -9223372036854775808, "
		 "0xFFFFFFFFFFFFFFFF]",
			"[9223372036854775807,9.223372036854776e+18,-9223372036854775808,"
			"1.8446744073709552e+19]"},
		{"[1.5, -1.5, .5, +.5, 5., 1e3, 1E-2, 1.5e+3, 1_0.2_5, .5_0]",
			"[1.5,-1.5,0.5,0.5,5.0,1000.0,0.01,1500.0,10.25,0.5]"},
		{"[1e, ., .e3, 1.2.3, 1e999, 1:30, 10.0.0.1, 0x1.8p3, infinity, ._5]",
			"[\"1e\",\".\",\".e3\",\"1.2.3\",\"1e999\",\"1:30\",\"10.0.0.1\",\"0x1."
			"8p3\","
			"\"infinity\",\"._5\"]"},
		{"[2001-12-14, 2001-12-14t21:59:43.10-05:00, 2001-12-14 21:59:43]",
			"[\"2001-12-14\",\"2001-12-14t21:59:43.10-05:00\",\"2001-12-14 "
			"21:59:43\"]"},
		{"[!!str 5, !!str yes, ! 5, !!int \"5\", !!float 5, !!bool 'no', !!null '', "
		 "!!timestamp 2001-12-14]",
			"[\"5\",\"yes\",\"5\",5,5.0,false,null,\"2001-12-14\"]"},
		{"a: |\n  x\n  y\nb: >-\n  x\n  y\n", "{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}"},
		/* JSON's way with characters beyond U+FFFF, and what only looks like it */
		{"{\"a\": \"\\ud83d\\uDE00!\\ud83d\\ude00\", \"b\": \"\\\\ud83d\\\\ude00\"}",
			"{\"a\":\"\xF0\x9F\x98\x80!\xF0\x9F\x98\x80\",\"b\":"
			"\"\\\\ud83d\\\\ude00\"}"},
		{"a: \\ud83d\\ude00", "{\"a\":\"\\\\ud83d\\\\ude00\"}"},
		{"\"\\x41\\u00e9\\U0001F600\\n\\e\"", "\"A\xC3\xA9\xF0\x9F\x98\x80\\n\\u001b\""},
		{"\xEF\xBB\xBF"
		 "a: 1",
			"{\"a\":1}"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		check(cases[i].text, cases[i].want);
}

static void test_collections(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"# nothing\n", ""},
		{"---\n", ""},
		{"---\n---\n~\n---\nnull\n...\n", ""},
		{"a: 1\n---\n# none\n---\nb: 2\n", "{\"a\":1}\n{\"b\":2}"},
		{"b: 1\na: ~\nc:\n", "{\"b\":1}"},
		{"{\"b\": [1, {\"a\": null}],\n\t\"a\": \"x\\/y\"}",
			"{\"a\":\"x/y\",\"b\":[1,{}]}"},
		{"- - 1\n  - 2\n-\n- a: 1\n  b:\n  - c\n", "[[1,2],null,{\"a\":1,\"b\":[\"c\"]}]"},
		{"1: a\n0x10: b\ntrue: c\n\"\": d\n1.5: e\n",
			"{\"\":\"d\",\"0x10\":\"b\",\"1\":\"a\",\"1.5\":\"e\",\"true\":\"c\"}"},
		{"a: &x {b: 1}\nc: *x\nd: [*x, *x]\n",
			"{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}"},
		{"a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}"},
		{"&k a: 1\nb: *k\n", "{\"a\":1,\"b\":\"a\"}"},
		{"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
		/* merge keys: what is written here wins, then the earlier of a list */
		{"x: &x {a: 1, b: 2}\ny:\n  b: 3\n  <<: *x\n  c: 4\n",
			"{\"x\":{\"a\":1,\"b\":2},\"y\":{\"a\":1,\"b\":3,\"c\":4}}"},
		{"<<: [{a: 1, b: 1}, {b: 2, c: 2}]\nc: 3\n", "{\"a\":1,\"b\":1,\"c\":3}"},
		{"<<: {}\n", "{}"},
		{"\"<<\": 1\n", "{\"<<\":1}"},
		{"a: <<\n", "{\"a\":\"<<\"}"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		check(cases[i].text, cases[i].want);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "3:1: duplicate key \"a\", first at 1:1"},
		{"x:\n  - {k: 1, \"k\": 2}\n", "2:12: duplicate key \"k\", first at 2:6"},
		{"1: a\n'1': b\n", "2:1: duplicate key \"1\", first at 1:1"},
		{"<<: {}\n<<: {}\n", "2:1: duplicate key \"<<\", first at 1:1"},
		{"a: .inf\n", "1:4: .inf: JSON has no such number"},
		{"- -.INF\n", "1:3: -.INF: JSON has no such number"},
		{"a: !!float .nan\n", "1:4: .nan: JSON has no such number"},
		{"a: !foo 1\n", "1:4: tag !foo is not supported"},
		{"a: !!binary aGk=\n", "1:4: tag !!binary is not supported"},
		{"!!set {a}\n", "1:1: tag !!set is not supported here"},
		{"!!str [a]\n", "1:1: tag !!str is not supported here"},
		{"a: !!int x\n", "1:4: \"x\" is not a !!int"},
		{"a: !!int 1.5\n", "1:4: \"1.5\" is not a !!int"},
		{"? [a]\n: 1\n", "1:3: a key must be a scalar, not a list"},
		{"{a: 1}: 1\n", "1:1: a key must be a scalar, not a mapping"},
		{"~: 1\n", "1:1: a key must not be null"},
		{"a: *x\n", "1:4: alias *x: no such anchor before it"},
		{"a: &x 1\n---\nb: *x\n", "3:4: alias *x: no such anchor before it"},
		{"a: &x [*x]\n", "1:8: alias *x within its own anchor"},
		{"<<: 1\n", "1:1: << wants a mapping or a list of mappings"},
		{"<<: [{}, 1]\n", "1:1: << wants a mapping or a list of mappings"},
		{"a: \"x\\0y\"\n", "1:4: NUL within a string"},
		{"a: b\nc: \xFF\n", "2:4: byte 0xff is not UTF-8"},
		{"\xC3\xA9: \xED\xA0\x80\n", "1:4: byte 0xed is not UTF-8"},
		{"a: 1\n\xC3\xA9\x01: 2\n", "2:2: control characters are not allowed (0x1)"},
		{"a: [1\nb: 2\n",
			"2:2: did not find expected ',' or ']' while parsing a flow sequence "
			"that began at 1:4"},
		{"a: 1\n b: 2\n", "2:3: mapping values are not allowed in this context; text with "
				  "\": \" in it "
				  "wants quotes"},
		{"a:\n\t- b\n",
			"2:1: found character that cannot start any token while scanning for "
			"the next token that began at 2:1; YAML is indented with spaces, not tabs"},
		{"\xEF\xBB\xBF"
		 "a: 1\nb: [\n",
			"3:1: did not find expected node content while "
			"parsing a flow node that began at 3:1"},
		{"a: {{ .Values.x }}\n", "1:5: a key must be a scalar, not a mapping; is this a "
					 "template? What is pushed is what it makes"},
		{"{{- if x }}\na: 1\n", "1:3: did not find expected node content while parsing a "
					"flow node that began at 1:3; is this a template? What is "
					"pushed is what it "
					"makes"},
		{"a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> theirs\n",
			"2:1: a merge conflict is left here: resolve it, then commit"},
		{"a:\n  b: 1\n<<<<<<< HEAD\n  c: 1\n=======\n  c: 2\n>>>>>>> theirs\n",
			"3:1: a merge conflict is left here: resolve it, then commit"},
		{"{\"a\": \"\\ud83d\"}",
			"1:10: found invalid Unicode character escape code while parsing a "
			"quoted scalar that began at 1:7"},
		{"a: 'x\n",
			"2:1: found unexpected end of stream while scanning a quoted scalar that "
			"began at 1:4"},
		{"%YAML 3.0\n---\na\n", "1:1: found incompatible YAML document"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		check(cases[i].text, cases[i].want);
	KG_AUTOBUF struct kg_buf got = KG_BUF_INIT;
	read_all(&got, "a: b\nc: \0", 9);
	assert_string_equal(kg_buf_str(&got), "2:4: NUL byte");
}

static void test_positions(void **state)
{
	static const char text[] = "# a comment\n"
				   "kind: Pod\n"
				   "spec: &s\n"
				   "  items:\n"
				   "  - name: \xC3\xA9t\xC3\xA9\n"
				   "    n: 1.10\n"
				   "  - 'q'\n"
				   "--- \n"
				   "b: 1\n";
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	size_t n;

	(void)state;
	assert_int_equal(kg_yaml_parse(&docs, &n, &a, text, strlen(text), NULL, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(docs[1].line, 9);
	const struct kg_yaml_node *root = &docs[0];
	assert_int_equal(root->type, KG_OBJECT);
	assert_int_equal(root->len, 2);
	assert_int_equal(root->line, 2);
	assert_int_equal(root->col, 1);
	assert_int_equal(root->members[1].line, 3);
	const struct kg_yaml_node *items = &root->members[1].value.members[0].value;
	assert_int_equal(items->type, KG_ARRAY);
	assert_int_equal(items->len, 2);
	assert_int_equal(items->line, 5);
	assert_int_equal(items->col, 3);
	const struct kg_yaml_member *number = &items->items[0].members[1];
	assert_string_equal(number->key, "n");
	assert_int_equal(number->line, 6);
	assert_int_equal(number->col, 5);
	assert_int_equal(number->value.col, 8);
	assert_int_equal(number->value.type, KG_FLOAT);
	assert_string_equal(number->value.text, "1.10");
	assert_false(number->value.quoted);
	assert_true(items->items[1].quoted);
	assert_int_equal(items->items[1].col, 5);
}

/* Keys as they were written; many of them, so that finding duplicates must be quick. */
static void test_many_keys(void **state)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_yaml_node *docs;
	struct kg_error err;
	size_t n;

	(void)state;
	for (int i = 0; i < 50000; i++)
		kg_buf_addf(&text, "k%d: 1\n", i * 7 % 50000);
	assert_int_equal(kg_yaml_parse(&docs, &n, &a, text.data, text.len, NULL, &err), 0);
	assert_int_equal(docs[0].len, 50000);
	assert_string_equal(docs[0].members[3].key, "k21");
	kg_buf_adds(&text, "k21: 2\n");
	assert_int_equal(
		kg_yaml_parse(&docs, &n, &a, text.data, text.len, NULL, &err), -KG_E_INVALID);
	assert_string_equal(err.msg, "50001:1: duplicate key \"k21\", first at 4:1");
}

static int parse_limited(
	const char *text, size_t len, const struct kg_yaml_limits *limits, struct kg_error *err)
{
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_yaml_node *docs;
	size_t n;

	return kg_yaml_parse(&docs, &n, &a, text, len, limits, err);
}

static void test_limits(void **state)
{
	static const struct kg_yaml_limits small = {.bytes = 100, .nodes = 10, .depth = 4};
	static const struct {
		const char *text, *want; /* NULL: taken */
	} cases[] = {
		{"[1,2,3,4,5,6,7,8,9]", NULL},
		{"[1,2,3,4,5,6,7,8,9,10]", "1:20: more than 10 values"},
		{"[[[1]]]", NULL},
		{"[[[[1]]]]", "1:5: nested deeper than 4"},
		{"a:\n b:\n  c: 1\n", NULL},
		{"a:\n b:\n  c:\n   d: 1\n", "4:4: nested deeper than 4"},
		{"[&a [1,2],*a]", NULL},
		{"[&a [1,2],*a,*a,*a]", "1:17: more than 10 values"},
		{"[&a [[1]],[*a]]", "1:12: nested deeper than 4"},
		{"[&a ..............................,*a,*a,*a,*a,*a,*a,*a,*a]",
			"1:45: aliases expand to more than 100 bytes"},
		{"012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		 "1"
		 "23456789012345678",
			NULL},
		{"012345678901234567890123456789012345678901234567890123456789012345678901234567890"
		 "1"
		 "2345678901234567890",
			"1:1: the file has 101 bytes, more than 100"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_error err = {0};
		int rc = parse_limited(cases[i].text, strlen(cases[i].text), &small, &err);

		if (cases[i].want && !rc)
			fail_msg("%s was taken", cases[i].text);
		assert_string_equal(err.msg, cases[i].want ? cases[i].want : "");
	}
}

/* What is meant to take long: a megabyte of brackets, dashes, or a tree of aliases. */
static void test_bombs(void **state)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	static const char *const units[] = {"[", "{", "- ", "? ", "[{a: ", "a: {", "&a [", "{? "};
	struct kg_error err;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(units); i++) {
		kg_buf_clear(&text);
		while (text.len < 1 << 20)
			kg_buf_adds(&text, units[i]);
		assert_int_equal(parse_limited(text.data, text.len, NULL, &err), -KG_E_INVALID);
	}
	kg_buf_clear(&text);
	for (int i = 0; i < 100000; i++)
		kg_buf_addf(&text, "%%TAG !a%d! x\xC2\x85", i);
	kg_buf_adds(&text, "---\na: 1\n");
	assert_int_equal(parse_limited(text.data, text.len, NULL, &err), -KG_E_INVALID);
	assert_string_equal(err.msg, "1:407: more than 32 %TAG directives");
	kg_buf_clear(&text);
	kg_buf_adds(&text, "a0: &a0 x\n");
	for (int i = 1; i < 30; i++)
		kg_buf_addf(&text, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1,
			i - 1);
	assert_int_equal(parse_limited(text.data, text.len, NULL, &err), -KG_E_INVALID);
	assert_non_null(strstr(err.msg, "more than 200000 values"));
	kg_buf_clear(&text);
	for (int i = 0; i < 200000; i++)
		kg_buf_adds(&text, "- x\n");
	assert_int_equal(parse_limited(text.data, text.len, NULL, &err), -KG_E_INVALID);
}

static void test_load_wants_one(void **state)
{
	static const char *const cases[] = {
		"", "# none\n", "---\n", "a: 1\n---\nb: 2\n", "a: 1\n---\n~\n"};
	KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
	struct kg_value v;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++)
		assert_int_equal(
			kg_yaml_load(&v, &a, cases[i], strlen(cases[i]), NULL), -KG_E_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars),
		cmocka_unit_test(test_collections),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_load_wants_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
