#include "kgit/test_case.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/kgit-test-case.XXXXXX";

static void put(const char *name, const char *text)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	struct kg_error err;

	if (text)
		assert_int_equal(kg_file_replace(path, text, strlen(text), 0600, &err), 0);
	else
		unlink(path);
}

static int set_up(void **state)
{
	struct kg_error err;
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	KG_AUTOFREE char *main = kg_asprintf("%s/manifests", dir);
	return kg_mkdir_p(main, 0700, &err);
}

static int tear_down(void **state)
{
	struct kg_error err;
	(void)state;
	return kg_remove_tree(dir, &err);
}

#define NODES "- name: n1\n"

static const struct {
	const char *nodes, *steps, *want; /* want: the faults, DIR left out; "": none */
} cases[] = {
	{NULL, NULL, ""},
	{NODES, NULL, ""},
	{"[]", NULL, ""},
	{NODES,
		"- push: manifests\n- settle: true\n- play: 2\n- advance: 60\n- lost: [n1]\n"
		"- ready: ['*']\n- exited: {code: 0, pods: [web-]}\n"
		"- taint: {node: n1, taints: [{key: a, effect: NoSchedule}]}\n",
		""},
	{"- nam: x\n", NULL,
		"nodes.yaml:1:3: unknown field \"nam\", did you mean \"name\"?\n"
		"nodes.yaml:1:3: name: Required value: The node's name.\n"},
	{"items: []\n", NULL, "nodes.yaml:1:1: expected a list\n"},
	{"- name: [\n", NULL,
		"nodes.yaml:2:1: did not find expected node content while parsing a flow node that "
		"began at 2:1\n"},
	{"- name: n1\n- name: n1\n", NULL,
		"nodes.yaml:2:3: name: the node \"n1\" is there twice\n"},
	{"- name: n1\n  taints: [{key: a, effect: NoSchedul}]\n", NULL,
		"nodes.yaml:2:29: taints[0].effect: Unsupported value: \"NoSchedul\": supported "
		"values: \"NoSchedule\", \"PreferNoSchedule\", \"NoExecute\", did you mean "
		"\"NoSchedule\"?\n"},
	{"- name: n1\n  status: {capacity: 3}\n", NULL,
		"nodes.yaml:2:11: status: Invalid value: {\"capacity\":3}: capacity is not as a "
		"Node's status has it\n"},
	{NODES, "a: b\n", "steps.yaml:1:1: expected a list\n"},
	{NODES, "", "steps.yaml:1:1: expected a list\n"},
	{NODES, "- pusch: manifests\n",
		"steps.yaml:1:3: unknown field \"pusch\", did you mean \"push\"?\n"},
	{NODES, "- push: nowhere\n", "steps.yaml:1:9: push: there is no directory DIR/nowhere\n"},
	{NODES, "- push: [manifests]\n", "steps.yaml:1:9: push: expected a string, got a list\n"},
	{NODES, "- push:\n", "steps.yaml:1:3: push: expected something, got nothing\n"},
	{NODES, "- settle: true\n  play: 3\n",
		"steps.yaml:1:3: a step is one thing; give each a list item of its own\n"},
	{NODES, "- {}\n", "steps.yaml:1:3: expected a step, as in `- push: manifests`\n"},
	{NODES, "- settle: false\n", "steps.yaml:1:11: settle: expected true\n"},
	{NODES, "- settle\n",
		"steps.yaml:1:3: expected a mapping (fields, one a line), got the string "
		"\"settle\"\n"},
	{NODES, "- advance: -1\n",
		"steps.yaml:1:12: advance: Invalid value: -1: must be between 0 and 316224000, "
		"inclusive\n"},
	{NODES, "- lost: [n1, n2]\n", "steps.yaml:1:14: nodes.yaml has no node \"n2\"\n"},
	{NULL, "- back: [n1]\n", "steps.yaml:1:10: nodes.yaml has no node \"n1\"\n"},
	{NODES, "- ready: []\n", "steps.yaml:1:3: ready: expected something, got nothing\n"},
	{NODES, "- taint: {node: n2, taints: []}\n",
		"steps.yaml:1:17: taint.node: nodes.yaml has no node \"n2\"\n"},
};

/* As kgit test prints them, the directory's name replaced. */
static void faults_text(struct kg_buf *out, const struct kg_fault_list *faults)
{
	for (size_t i = 0; i < faults->len; i++) {
		struct kg_buf line KG_AUTOBUF = KG_BUF_INIT;
		const char *at, *rest;

		kg_fault_format(&line, &faults->items[i]);
		rest = kg_buf_str(&line) + strlen(dir) + 1;
		while ((at = strstr(rest, dir))) {
			kg_buf_add(out, rest, (size_t)(at - rest));
			kg_buf_adds(out, "DIR");
			rest = at + strlen(dir);
		}
		kg_buf_addf(out, "%s\n", rest);
	}
}

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_fault_list faults;
		struct kgit_case c;
		struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

		put("nodes.yaml", cases[i].nodes);
		put("steps.yaml", cases[i].steps);
		kg_faults_init(&faults, &a);
		kgit_case_read(&c, &a, dir, &faults);
		faults_text(&text, &faults);
		assert_string_equal(kg_buf_str(&text), cases[i].want);
		if (!faults.len)
			assert_true(kg_len(&c.steps) > 0);
		kg_faults_release(&faults);
		kg_arena_release(&a);
	}
}

/* said: what is before and after the file's path, which is left out where both are empty. */
static void hold(const char *text, bool update, int rc, const char *before, const char *after)
{
	struct kg_buf got KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	KG_AUTOFREE char *said =
		*after ? kg_asprintf("%s%s/want/1-push.yaml%s", before, dir, after) : kg_strdup("");
	struct kg_error err;

	kg_buf_adds(&got, text);
	assert_int_equal(kgit_want_hold(&out, dir, "1-push.yaml", &got, update, &err), rc);
	assert_string_equal(kg_buf_str(&out), said);
}

static void test_want(void **state)
{
	char settle[] = "2-settle.yaml", push[] = "1-push.yaml";
	char *none[] = {settle}, *all[] = {push};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	KG_AUTOFREE char *said = kg_asprintf(
		"%s/want/1-push.yaml is of no step: kgit test --update removes it\n", dir);
	struct kg_error err;

	(void)state;
	hold("a\nb\n", false, 1, "", " is not there: kgit test --update makes it\n");
	hold("a\nb\n", true, 1, "", "");
	hold("a\nb\n", true, 0, "", "");
	hold("a\nb\n", false, 0, "", "");
	hold("a\nc\n", false, 1, "--- ", "\n+++ what came out\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n");
	put("want/notes.yaml", "mine\n");
	assert_int_equal(kgit_want_stale(&out, dir, all, 1, false, &err), 0);
	assert_int_equal(out.len, 0);
	assert_int_equal(kgit_want_stale(&out, dir, none, 1, false, &err), 1);
	assert_string_equal(kg_buf_str(&out), said);
	assert_int_equal(kgit_want_stale(&out, dir, none, 1, true, &err), 1);
	assert_int_equal(kgit_want_stale(&out, dir, none, 1, true, &err), 0);
	hold("a\n", false, 1, "", " is not there: kgit test --update makes it\n");
}

/* None is none; what cannot be read is no such answer. */
static void test_want_unread(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	KG_AUTOFREE char *nowhere = kg_asprintf("%s/nowhere", dir);
	KG_AUTOFREE char *odd = kg_asprintf("%s/odd", dir);
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_mkdir_p(odd, 0700, &err), 0);
	put("odd/want", "no directory\n");
	assert_int_equal(kgit_want_stale(&out, nowhere, NULL, 0, false, &err), 0);
	assert_true(kgit_want_stale(&out, odd, NULL, 0, false, &err) < 0);
	assert_non_null(strstr(err.msg, "odd/want"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_want),
		cmocka_unit_test(test_want_unread),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
