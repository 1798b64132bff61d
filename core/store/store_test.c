#include "store/test_support.h"

#include "base/hash.h"
#include "store/settings.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void test_create(void **state)
{
	struct test_cluster c;
	char main_commit[41];

	OK(test_open(&c, *state, true, NULL, &err));
	assert_int_equal(c.now->revision, 0);
	assert_int_equal(c.now->time, TEST_TIME);
	assert_string_equal(c.now->cluster_id, TEST_CLUSTER);
	assert_int_equal(kg_store_revision(c.store), 0);
	assert_int_equal(kg_store_oldest(c.store), 0);
	OK(kg_store_get_main(c.store, main_commit, &err));
	assert_string_equal(main_commit, "");
	assert_true(test_reopen(&c));
	assert_true(test_fsck(*state));
	test_close(&c);
}

static void test_not_a_store(void **state)
{
	struct test_cluster c;
	struct kg_error e = {0};

	assert_int_equal(test_open(&c, *state, false, NULL, &e), -KG_E_NOT_FOUND);
}

static void test_deterministic(void **state)
{
	char first[41] = "";

	for (int i = 0; i < 2; i++) {
		char *dir KG_AUTOFREE = kg_asprintf("%s/%d", (char *)*state, i);
		struct test_template t;
		struct test_cluster c;

		OK(test_open(&c, dir, true, NULL, &err));
		test_template_init(&t, 1);
		for (int k = 0; k < 50; k++) {
			char name[16];

			/* The order within a commit does not matter. */
			snprintf(name, sizeof(name), "web-%02d", i ? k : 49 - k);
			test_put_pod(&c, &t, "default", name, k % 2 ? "n1" : "n2");
		}
		for (int k = 0; k < 50; k++) {
			char name[16];

			snprintf(name, sizeof(name), "web-%02d", k);
			test_put_pod(&c, &t, "default", name, k % 2 ? "n1" : "n2");
		}
		OK(test_commit(&c, &err));
		if (i)
			assert_string_equal(first, c.now->commit);
		memcpy(first, c.now->commit, sizeof(first));
		test_template_release(&t);
		test_close(&c);
	}
}

static const char log_format[] =
	"--format=%s|%an|%cn|%(trailers:key=Kgit-Revision,valueonly,separator=)";

static void test_commit_and_load(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct test_template t;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	test_live(&c, &t);
	assert_int_equal(kg_store_revision(c.store), 5);
	const struct kg_object *pod = kg_snapshot_get(c.now, KG_KIND_POD, "default", "web-2");
	assert_int_equal(pod->revision, 5);
	pod = kg_snapshot_get(c.now, KG_KIND_POD, "default", "web-5");
	assert_int_equal(pod->revision, 2);
	assert_true(test_reopen(&c));
	/* And it goes on from there. */
	test_set_status(&c, "default", "web-2", 2);
	OK(test_commit(&c, &err));
	assert_true(test_reopen(&c));
	assert_true(test_fsck(*state));
	assert_int_equal(TEST_GIT(&out, *state, "log", log_format, "-2", "refs/kgit/state"), 0);
	assert_string_equal(kg_buf_str(&out), "1 changes|kgit|kgitd|6\n1 changes|kgit|kgitd|5\n");
	test_template_release(&t);
	test_close(&c);
}

/* The last pod of a template takes the template with it. */
static void test_templates(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct test_template t, t2;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	test_template_init(&t2, 2);
	test_put_pod(&c, &t, "default", "a", NULL);
	test_put_pod(&c, &t, "default", "b", NULL);
	OK(test_commit(&c, &err));
	test_put_pod(&c, &t2, "default", "a", NULL);
	OK(test_commit(&c, &err));
	assert_true(test_reopen(&c));
	assert_int_equal(
		TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state", "templates/"),
		0);
	char *both KG_AUTOFREE =
		strcmp(t.id, t2.id) < 0
			? kg_asprintf("templates/%s.yaml\ntemplates/%s.yaml\n", t.id, t2.id)
			: kg_asprintf("templates/%s.yaml\ntemplates/%s.yaml\n", t2.id, t.id);
	assert_string_equal(kg_buf_str(&out), both);
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "b");
	OK(test_commit(&c, &err));
	test_flush(&c);
	kg_buf_clear(&out);
	assert_int_equal(
		TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state", "templates/"),
		0);
	char *one KG_AUTOFREE = kg_asprintf("templates/%s.yaml\n", t2.id);
	assert_string_equal(kg_buf_str(&out), one);
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "a");
	OK(test_commit(&c, &err));
	test_flush(&c);
	kg_buf_clear(&out);
	/* No empty directories. */
	assert_int_equal(TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state"), 0);
	assert_string_equal(kg_buf_str(&out), "clock.yaml\ncluster.yaml\nformat\n");
	assert_true(test_reopen(&c));
	test_template_release(&t);
	test_template_release(&t2);
	test_close(&c);
}

/* ---- names, sizes, space ---- */

static void test_bad_names(void **state)
{
	static const char *const names[] = {"..", "a/b", ".git", ""};
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v = kg_v_obj(&a, "kind", kg_v_lit("ConfigMap"), (char *)NULL);
		struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_CONFIGMAP],
			.ns = "default",
			.name = names[i],
			.value = &v};
		struct kg_error e = {0};

		kg_txn_put(test_txn(&c), kg_object_new(&spec));
		assert_int_equal(test_commit(&c, &e), -KG_E_INVALID);
	}
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	assert_true(test_reopen(&c));
	test_close(&c);
}

/* A disk that fills up: nothing is acknowledged that is not there, and once there is room again
 * the same store goes on. */
static void test_no_space(void **state)
{
	char *dir = *state;
	struct test_template t;
	struct test_cluster c;
	struct kg_error e = {0};
	int rc = 0;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0) {
		print_message("SKIPPED: cannot mount a tmpfs here\n");
		skip();
	}
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", dir);
	char *ballast KG_AUTOFREE = kg_asprintf("%s/ballast", dir);
	char block[64 << 10];
	memset(block, 'x', sizeof(block));
	OK(kg_file_replace(ballast, block, sizeof(block), 0644, &err));
	OK(test_open(&c, repo, true, NULL, &err));
	test_template_init(&t, 1);
	uint64_t last = 0;
	for (int i = 0; rc == 0 && i < 1000; i++) {
		for (int k = 0; k < 50; k++) {
			char name[32];

			snprintf(name, sizeof(name), "web-%d-%d", i, k);
			test_put_pod(&c, &t, "default", name, "node-1");
		}
		last = c.now->revision;
		rc = test_commit(&c, &e);
	}
	assert_int_equal(rc, -KG_E_NO_SPACE);
	assert_int_equal(kg_store_revision(c.store), last);
	assert_true(test_fsck(repo));
	unlink(ballast);
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, last + 1);
	assert_true(test_reopen(&c));
	assert_true(test_fsck(repo));
	test_template_release(&t);
	test_close(&c);
	assert_int_equal(umount(dir), 0);
}

static void test_config(void **state)
{
	struct test_cluster c;
	static const char *const wanted[][2] = {{"receive.fsckObjects", "true\n"},
		{"receive.unpackLimit", "1\n"}, {"gc.auto", "0\n"},
		{"core.fsync", "committed,reference\n"}, {"receive.autogc", "false\n"},
		{"core.bigFileThreshold", "32m\n"},
		{"receive.procReceiveRefs", "refs/heads/main\nrefs/kgit\n"}};

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(wanted); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		assert_int_equal(TEST_GIT(&out, *state, "config", "--get-all", wanted[i][0]), 0);
		assert_string_equal(kg_buf_str(&out), wanted[i][1]);
	}
	/* A backup is a clone, put back. */
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	char *clone KG_AUTOFREE = kg_asprintf("%s/clone", (char *)*state);
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	test_flush(&c);
	assert_int_equal(TEST_GIT(NULL, *state, "clone", "-q", "--mirror", *state, clone), 0);
	struct test_cluster back;
	OK(test_open(&back, clone, false, &notes, &err));
	assert_true(test_same_snapshot(c.now, back.now));
	assert_non_null(strstr(kg_buf_str(&notes), "of git's settings"));
	for (size_t i = 0; i < KG_ARRAY_LEN(wanted); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		assert_int_equal(TEST_GIT(&out, clone, "config", "--get-all", wanted[i][0]), 0);
		assert_string_equal(kg_buf_str(&out), wanted[i][1]);
	}
	test_put_node(&back, "n", 1);
	OK(test_commit(&back, &err));
	assert_true(test_reopen(&back));
	test_close(&back);
	char *head KG_AUTOFREE = test_read(*state, "HEAD");
	assert_string_equal(head, "ref: refs/heads/main\n");
	test_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_CASE(test_create),
		TEST_CASE(test_not_a_store),
		TEST_CASE(test_deterministic),
		TEST_CASE(test_commit_and_load),
		TEST_CASE(test_templates),
		TEST_CASE(test_bad_names),
		TEST_CASE(test_no_space),
		TEST_CASE(test_config),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
