/* What was before: read back, replayed change by change, and past what is kept. */
#include "store/test_support.h"

#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int count_one(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	(void)changes;
	return ++*(int *)ctx;
}

static void test_history(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_snapshot *s = NULL;
	struct kg_log_entry *log;
	struct test_template t;
	struct test_cluster c;
	struct kg_error e;
	int calls = 0;
	size_t n;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	test_live(&c, &t);
	/* 2 nodes; 40 pods and a map; 2 pods and a node; 2 pods and a map; a pod */
	assert_int_equal(test_changes_hold(&c, 5), 2 + 41 + 3 + 3 + 1);
	OK(kg_store_changes(c.store, 0, 5, 0, count_one, &calls, &err));
	assert_int_equal(calls, 1);
	OK(kg_store_changes(c.store, 5, 5, 0, count_one, &calls, &err));
	assert_int_equal(calls, 1);
	assert_int_equal(kg_store_load_at(&s, c.store, 6, &e), -KG_E_NOT_FOUND);
	assert_int_equal(kg_store_changes(c.store, 4, 9, 0, count_one, &(int){0}, &e), 0);
	OK(kg_store_log(&log, &n, c.store, &a, 0, 2, &err));
	assert_int_equal(n, 2);
	assert_int_equal(log[0].revision, 5);
	assert_int_equal(log[1].revision, 4);
	assert_int_equal(log[0].time, c.now->time);
	assert_string_equal(log[0].subject, "1 changes");
	assert_string_equal(log[0].body, "in a test");
	assert_string_equal(log[0].author, "kgit <kgit@" TEST_CLUSTER ">");
	OK(kg_store_log(&log, &n, c.store, &a, 3, 100, &err));
	assert_int_equal(n, 4);
	assert_string_equal(log[3].subject, "A new cluster");
	/* The side file is a cache. */
	for (int i = 0; i < 4; i++) {
		static const char zeros[80] = "kgitrev1";
		static const char *const broken[] = {
			"", "kgitrev1", "garbage of some length", zeros};
		char *path KG_AUTOFREE = kg_asprintf("%s/kgit/revisions", (char *)*state);

		OK(kg_file_replace(
			path, broken[i], i == 3 ? sizeof(zeros) : strlen(broken[i]), 0644, &err));
		assert_true(test_reopen(&c));
		OK(kg_store_load_at(&s, c.store, 2, &err));
		assert_int_equal(s->revision, 2);
		assert_int_equal(s->objects[KG_KIND_POD].count, 40);
		kg_snapshot_unref(s);
	}
	test_template_release(&t);
	test_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_CASE(test_history),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
