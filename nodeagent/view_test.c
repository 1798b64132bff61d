#include "base/mem.h"
#include "fakemaster.h"
#include "nodeagent/view.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kg_http_client *client;

static int set_up(void **state)
{
	struct kg_http_client_options opts = {0};

	(void)state;
	fm_new();
	opts.url = fm_url();
	opts.ca_pem = fm_credential()->ca_pem;
	opts.cert_pem = fm_credential()->cert_pem;
	opts.key_pem = fm_credential()->key_pem;
	client = kg_http_client_new(&opts);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	kg_http_client_free(client);
	fm_free();
	return 0;
}

static struct kg_view *open_view(void)
{
	struct kg_view *v;
	struct kg_error err;

	if (kg_view_open(&v, fm_dir(), &err) < 0)
		fail_msg("%s", err.msg);
	return v;
}

static void pull(struct kg_view *v, const char *commit)
{
	struct kg_error err;

	if (kg_view_pull(v, client, "n1", commit, &err) < 0)
		fail_msg("%s", err.msg);
}

/* What a read says, as text: flags, then services in order. */
static const char *read_view(struct kg_view *v)
{
	static char text[1000];
	struct kg_view_diff d;
	struct kg_error err;
	int rc = kg_view_read(v, &d, &err);

	if (rc < 0) {
		snprintf(text, sizeof(text), "%s", err.msg);
		return text;
	}
	size_t n = (size_t)snprintf(text, sizeof(text), "%s%s%s%s%s", d.node ? "node " : "",
		d.nodes ? "nodes " : "", d.pods ? "pods " : "", d.configmaps ? "configmaps " : "",
		d.all ? "all " : "");
	for (size_t i = 0; i < d.services.n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s ",
			d.services.items[i].doc ? "+" : "-", d.services.items[i].key);
	kg_view_diff_release(&d);
	return text;
}

static void save(struct kg_view *v)
{
	struct kg_error err;

	if (kg_view_save(v, &err) < 0)
		fail_msg("%s", err.msg);
}

static size_t count(const struct kg_view *v, enum kg_view_kind kind)
{
	size_t n;
	struct kg_doc **docs = kg_view_docs(v, kind, &n);

	for (size_t i = 0; i < n; i++)
		kg_doc_unref(docs[i]);
	free(docs);
	return n;
}

static const struct fm_file first[] = {
	{"node.yaml", "name: n1\npodCIDR: 10.244.0.0/24\n"},
	{"nodes/n1.yaml", "name: n1\n"},
	{"nodes/n2.yaml", "name: n2\n"},
	{"pods/default/a.yaml", "metadata:\n  name: a\n"},
	{"pods/default/b.yaml", "metadata:\n  name: b\n"},
	{"configmaps/default/c.yaml", "data:\n  k: v\n"},
	{"services/default/s.yaml", "name: s\n"},
	{"services/other/s.yaml", "name: s\n"},
};

/* What is committed, then what the read must say. */
static const struct {
	struct fm_file file;
	const char *said;
} steps[] = {
	{{"pods/default/a.yaml", "metadata:\n  name: a2\n"}, "pods "},
	{{"pods/default/b.yaml", NULL}, "pods "},
	{{"configmaps/default/c.yaml", "data:\n  k: v2\n"}, "configmaps "},
	{{"services/default/s.yaml", "name: s2\n"}, "+default/s "},
	{{"services/other/s.yaml", NULL}, "-other/s "},
	{{"services/other/t.yaml", "name: t\n"}, "+other/t "},
	{{"nodes/n2.yaml", "name: n2\nready: false\n"}, "nodes "},
	{{"node.yaml", "name: n1\npodCIDR: 10.244.7.0/24\n"}, "node "},
	{{"unknown/x.yaml", "later: true\n"}, ""},
	{{"pods/new/a.yaml", "metadata:\n  name: a\n"}, "pods "},
};

static void test_differences(void **state)
{
	struct kg_view *v = open_view();

	(void)state;
	assert_string_equal(read_view(v), "this node has no view yet");
	pull(v, fm_view(first, KG_ARRAY_LEN(first)));
	assert_string_equal(read_view(v), "node nodes pods configmaps all +default/s +other/s ");
	assert_string_equal(read_view(v), "");
	assert_int_equal(count(v, KG_VIEW_PODS), 2);
	for (size_t i = 0; i < KG_ARRAY_LEN(steps); i++) {
		pull(v, fm_view(&steps[i].file, 1));
		assert_true(fm_heard.objects <= 6); /* never the whole */
		assert_string_equal(read_view(v), steps[i].said);
		if (i % 3 == 0) /* it does not matter when it is written */
			save(v);
	}
	assert_int_equal(count(v, KG_VIEW_PODS), 2);
	assert_int_equal(count(v, KG_VIEW_NODES), 2);
	assert_string_equal(kg_string(kg_get(kg_view_node(v), "podCIDR"), ""), "10.244.7.0/24");
	/* Two commits, one read. */
	fm_view(&steps[0].file, 1);
	pull(v, fm_view(&(struct fm_file){"pods/default/z.yaml", "a: 1\n"}, 1));
	assert_string_equal(read_view(v), "pods ");
	/* Nothing is asked for what is here. */
	unsigned packs = fm_heard.packs;
	pull(v, kg_view_commit(v));
	assert_int_equal(fm_heard.packs, packs);
	kg_view_free(v);
}

static void test_restart(void **state)
{
	struct kg_view *v = open_view();
	struct kg_error err;

	(void)state;
	pull(v, fm_view(first, KG_ARRAY_LEN(first)));
	save(v);
	kg_view_free(v);
	/* What was not saved is not there after a crash; the rest is. */
	v = open_view();
	fm_view(&(struct fm_file){"pods/default/lost.yaml", "a: 1\n"}, 1);
	pull(v, NULL);
	kg_view_free(v);
	fm_view(&(struct fm_file){"pods/default/lost.yaml", NULL}, 1);
	/* Without the master: what was pulled is read whole. */
	v = open_view();
	assert_string_equal(read_view(v), "node nodes pods configmaps all +default/s +other/s ");
	/* A commit that the master no longer has: the present one instead. */
	fm_view(&steps[0].file, 1);
	pull(v, "00112233445566778899aabbccddeeff00112233");
	assert_string_equal(read_view(v), "pods ");
	assert_int_equal(kg_view_pull(v, client, "n1", "../..", &err), -KG_E_BAD_REQUEST);
	/* Another node's view is not ours to pull. */
	assert_true(kg_view_pull(v, client, "n2", NULL, &err) < 0);
	kg_view_free(v);
}

static void test_bad_file(void **state)
{
	struct kg_view *v = open_view();
	struct fm_file bad = {"pods/default/a.yaml", "a: [unclosed\n"};
	struct fm_file good = {"pods/default/a.yaml", "a: 2\n"};

	(void)state;
	pull(v, fm_view(first, KG_ARRAY_LEN(first)));
	read_view(v);
	pull(v, fm_view(&bad, 1));
	assert_non_null(strstr(read_view(v), "view: pods/default/a.yaml: "));
	assert_int_equal(count(v, KG_VIEW_PODS), 2); /* as before */
	fm_view(&(struct fm_file){"services/default/s.yaml", "name: s3\n"}, 1);
	pull(v, fm_view(&good, 1));
	assert_string_equal(read_view(v), "pods +default/s ");
	kg_view_free(v);
}

static void damage(const char *pattern)
{
	KG_AUTOFREE char *command = kg_asprintf("cd %s/view.git && %s", fm_dir(), pattern);

	assert_int_equal(system(command), 0);
}

static void test_broken_repository(void **state)
{
	struct kg_view *v = open_view();
	struct kg_error err;
	struct kg_view_diff d;

	(void)state;
	pull(v, fm_view(first, KG_ARRAY_LEN(first)));
	save(v);
	kg_view_free(v);
	/* What a power cut may leave: found at the start, and the view pulled anew. */
	damage("for f in objects/pack/*; do chmod u+w $f; : >$f; done");
	v = open_view();
	assert_string_equal(kg_view_commit(v), "");
	pull(v, NULL);
	assert_string_equal(read_view(v), "node nodes pods configmaps all +default/s +other/s ");
	/* While it runs: said to be so, reset, and then all of it comes again. */
	save(v);
	damage("rm -rf objects/pack/*");
	kg_view_free(v);
	v = open_view();
	pull(v, NULL);
	read_view(v);
	save(v);
	assert_int_equal(kg_view_reset(v, &err), 0);
	assert_int_equal(kg_view_read(v, &d, &err), -KG_E_NOT_FOUND);
	fm_view(&(struct fm_file){"services/other/s.yaml", NULL}, 1);
	pull(v, NULL);
	assert_string_equal(read_view(v), "node nodes pods configmaps all +default/s ");
	kg_view_free(v);
}

static unsigned count_packs(void)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/view.git/objects/pack", fm_dir());
	DIR *dir = opendir(path);
	struct dirent *e;
	unsigned n = 0;

	while ((e = readdir(dir)))
		n += strstr(e->d_name, ".pack") != NULL;
	closedir(dir);
	return n;
}

/* Packs do not pile up, and differences are still differences. */
static void test_many_pulls(void **state)
{
	struct kg_view *v = open_view();

	(void)state;
	pull(v, fm_view(first, KG_ARRAY_LEN(first)));
	read_view(v);
	for (int i = 0; i < 100; i++) {
		char text[32];

		snprintf(text, sizeof(text), "number: %d\n", i);
		pull(v, fm_view(&(struct fm_file){"services/default/s.yaml", text}, 1));
		assert_string_equal(read_view(v), "+default/s ");
		save(v);
		assert_true(count_packs() <= 34);
	}
	kg_view_free(v);
	v = open_view();
	assert_string_equal(read_view(v), "node nodes pods configmaps all +default/s +other/s ");
	kg_view_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_differences, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bad_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_broken_repository, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_pulls, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
