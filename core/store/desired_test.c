/* Objects of main's own files, and files that are none of kgit's. */
#include "store/test_support.h"

#include "store/settings.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A commit of one manifest on main, pushed by nobody. */
static void make_main(const char *dir, const char *text, char id[41], const char *parent)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	char *work KG_AUTOFREE = kg_asprintf("%s/work", dir);
	char *index KG_AUTOFREE = kg_asprintf("--git-dir=%s", dir);

	OK(kg_mkdir_p(work, 0755, &err));
	test_write(work, "web.yaml", text);
	char *tree_arg KG_AUTOFREE = kg_asprintf("--work-tree=%s", work);
	assert_int_equal(TEST_GIT(NULL, dir, index, tree_arg, "add", "-A", "."), 0);
	assert_int_equal(TEST_GIT(&out, dir, index, "write-tree"), 0);
	out.data[40] = '\0';
	char tree[41];
	memcpy(tree, out.data, 41);
	kg_buf_clear(&out);
	if (parent)
		assert_int_equal(
			TEST_GIT(&out, dir, "commit-tree", "-m", "m", "-p", parent, tree), 0);
	else
		assert_int_equal(TEST_GIT(&out, dir, "commit-tree", "-m", "m", tree), 0);
	memcpy(id, out.data, 40);
	id[40] = '\0';
	OK(kg_remove_tree(work, &err));
}

static const char page[] = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: page\n"
			   "data:\n  text: %s\n";

/* Puts the manifest's object as reconcile would. */
static void put_desired(struct test_cluster *c, const char *text, const char *uid)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_manifest *m;
	size_t n;

	kg_faults_init(&faults, &a);
	kg_manifest_read(&m, &n, &a, "web.yaml", text, strlen(text), NULL, &faults);
	assert_int_equal(kg_faults_errors(&faults), 0);
	assert_int_equal(n, 1);
	struct kg_doc *base = kg_doc_new(&m->value, NULL, 0);
	struct kg_value v = kg_with(&a, &m->value, "metadata.uid", kg_v_str(&a, uid));
	struct kg_object_spec spec = {.kind = m->kind,
		.ns = m->ns,
		.name = m->name,
		.value = &v,
		.base = base,
		.source = "web.yaml"};
	kg_txn_put(test_txn(c), kg_object_new(&spec));
	kg_doc_unref(base);
	kg_faults_release(&faults);
}

/* Very many files that are none of kgit's are warned of, and refuse nothing. */
static void test_strays(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *dir = *state, *strays KG_AUTOFREE = kg_asprintf("%s/work/.kgit", dir), id[41];
	struct kg_buf said KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list faults;
	struct test_cluster c;

	OK(test_open(&c, dir, true, NULL, &err));
	OK(kg_mkdir_p(strays, 0755, &err));
	for (int i = 1000; i < 2005; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		test_write(strays, name, "");
	}
	test_write(strays, "settings.yaml", "{}\n");
	make_main(dir, "# nothing\n", id, NULL);
	kg_faults_init(&faults, &a);
	OK(kg_store_settings_strays(&faults, c.store, id, NULL, &err));
	assert_int_equal(faults.len, 1000);
	assert_int_equal(kg_faults_errors(&faults), 0);
	kg_fault_format(&said, &faults.items[7]);
	assert_string_equal(kg_buf_str(&said), ".kgit/1007:1:1: warning: is not read: kgit's "
					       "settings are .kgit/settings.yaml");
	kg_faults_release(&faults);
	test_close(&c);
}

static void test_desired(void **state)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	char first[41], second[41], stray[41], now[41];
	char *one KG_AUTOFREE = kg_asprintf(page, "one"),
		  *two KG_AUTOFREE = kg_asprintf(page, "two");
	char *dir = *state;
	struct test_cluster c;

	OK(test_open(&c, dir, true, NULL, &err));
	make_main(dir, one, first, NULL);
	put_desired(&c, one, "u-1");
	OK(test_commit_push(&c, first, &err));
	OK(kg_store_set_main(c.store, "", first, &err));
	const struct kg_object *obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_string_equal(obj->source, "web.yaml");
	assert_true(test_reopen(&c));
	assert_int_equal(TEST_GIT(&out, dir, "show", "refs/kgit/state:desired/web.yaml"), 0);
	assert_string_equal(kg_buf_str(&out), one);
	/* The manifest changes and the record's patch does not: the revision must all the same. */
	make_main(dir, two, second, first);
	put_desired(&c, two, "u-1");
	OK(test_commit_push(&c, second, &err));
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_int_equal(obj->revision, 2);
	/* A crash before main was moved: it is moved at the next start. */
	assert_true(test_reopen(&c));
	OK(kg_store_get_main(c.store, now, &err));
	assert_string_equal(now, second);
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_string_equal(kg_string(kg_at(kg_obj(obj), "data.text"), ""), "two");
	assert_int_equal(obj->revision, 2);
	assert_int_equal(test_changes_hold(&c, 2), 2);
	/* A quiet change: defined at another place, the same value, so the same revision. */
	struct kg_object_spec moved = {.kind = obj->kind,
		.ns = obj->ns,
		.name = obj->name,
		.value = kg_obj(obj),
		.base = obj->base,
		.source = "web.yaml",
		.source_index = 3};
	kg_txn_put(test_txn(&c), kg_object_new(&moved));
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, 3);
	assert_true(test_reopen(&c));
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_int_equal(obj->revision, 2);
	assert_int_equal(obj->source_index, 3);
	/* main moved past admission. */
	make_main(dir, "kind: Nonsense\n", stray, second);
	assert_int_equal(TEST_GIT(NULL, dir, "update-ref", "refs/heads/main", stray), 0);
	test_close(&c);
	OK(test_open(&c, dir, false, &notes, &err));
	OK(kg_store_get_main(c.store, now, &err));
	assert_string_equal(now, second);
	kg_buf_clear(&out);
	char *refused KG_AUTOFREE = kg_asprintf("refs/kgit/refused/%s", stray);
	assert_int_equal(TEST_GIT(&out, dir, "rev-parse", refused), 0);
	assert_non_null(strstr(kg_buf_str(&out), stray));
	assert_non_null(strstr(kg_buf_str(&notes), "past admission"));
	bool is = false;
	OK(kg_store_is_ancestor(&is, c.store, first, second, NULL, &err));
	assert_true(is);
	OK(kg_store_is_ancestor(&is, c.store, second, first, NULL, &err));
	assert_false(is);
	/* Compare and swap. */
	struct kg_error e = {0};
	assert_int_equal(kg_store_set_main(c.store, first, stray, &e), -KG_E_CONFLICT);
	/* The state branch holds the pushed commits as second parents. */
	kg_buf_clear(&out);
	assert_int_equal(TEST_GIT(&out, dir, "rev-parse", "refs/kgit/state~1^2"), 0);
	assert_non_null(strstr(kg_buf_str(&out), second));
	char *index KG_AUTOFREE = kg_asprintf("%s/index", dir);
	unlink(index);
	assert_true(test_fsck(dir));
	test_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_CASE(test_strays),
		TEST_CASE(test_desired),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
