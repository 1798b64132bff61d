/* Compaction: what happens beside it. */
#include "store/compact_test_support.h"

#include "sys/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- pushes at the same time ---- */

struct beside {
	struct test_cluster *c;
	struct kg_compact_options o;
	int rc;
	struct kg_error err;
};

static void *compact_beside(void *arg)
{
	struct beside *b = arg;
	struct kg_compact_result r;

	b->rc = kg_store_compact(&r, b->c->store, &b->o, &b->err);
	return NULL;
}

/* A push that saw an object which is about to go, and ends when it is hidden. */
static void push_beside(void **state, bool uses)
{
	char *quarantine KG_AUTOFREE =
		kg_asprintf("%s/objects/tmp_objdir-incoming-1", (char *)*state);
	char doomed[41], pushed[41];
	struct test_cluster c;
	pthread_t thread;

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 40);
	compact_commit_of(doomed, &c, 5);
	struct beside b = {.c = &c, .o = compact_now_and_all(10)};
	assert_int_equal(mkdir(quarantine, 0755), 0);
	assert_int_equal(pthread_create(&thread, NULL, compact_beside, &b), 0);
	/* The quarantine keeps it waiting from then on. */
	for (int i = 0; !compact_any_hidden(*state) && i < 60000; i++)
		usleep(1000);
	assert_true(compact_any_hidden(*state));
	if (uses) {
		/* commit-tree looks whether the parent is there, so it is written by hand. */
		struct kg_buf hex KG_AUTOBUF = KG_BUF_INIT;
		char *file KG_AUTOFREE = kg_asprintf("%s/commit", (char *)*state);
		char *text KG_AUTOFREE =
			kg_asprintf("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent %s\n"
				    "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nx\n",
				doomed);

		OK(kg_file_write(file, text, strlen(text), 0644, &err));
		assert_int_equal(TEST_GIT(&hex, *state, "hash-object", "-w", "--literally", "-t",
					 "commit", file),
			0);
		snprintf(pushed, sizeof(pushed), "%.40s", kg_buf_str(&hex));
		assert_int_equal(
			TEST_GIT(NULL, *state, "hash-object", "-w", "-t", "tree", "/dev/null"), 0);
	}
	assert_int_equal(rmdir(quarantine), 0);
	pthread_join(thread, NULL);
	assert_int_equal(b.rc, uses ? -KG_E_CONFLICT : 0);
	assert_int_equal(compact_has_object(*state, doomed), uses);
	assert_false(compact_any_hidden(*state));
	if (uses)
		assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/heads/x", pushed), 0);
	assert_true(test_fsck(*state));
	compact_check_readable(&c, 31);
	test_close(&c);
}

static void test_push_that_needs(void **state)
{
	push_beside(state, true);
}

static void test_push_that_does_not(void **state)
{
	push_beside(state, false);
}

/* ---- beside the writer ---- */

struct storm {
	struct kg_store *store;
	atomic_bool stop;
	atomic_int rounds, failed;
};

static void *compact_all_the_time(void *arg)
{
	struct kg_compact_options o = compact_now_and_all(30);
	struct storm *s = arg;

	while (!atomic_load(&s->stop)) {
		struct kg_compact_result r;
		struct kg_error err = {0};

		if (kg_store_compact(&r, s->store, &o, &err) < 0) {
			fprintf(stderr, "%s\n", err.msg);
			atomic_fetch_add(&s->failed, 1);
		}
		atomic_fetch_add(&s->rounds, 1);
	}
	return NULL;
}

/* Values come back whose objects are on their way out. */
static void test_beside_writer(void **state)
{
	struct test_cluster c;
	pthread_t thread;

	test_pack_limit = 16;
	OK(test_open(&c, *state, true, NULL, &err));
	struct storm s = {.store = c.store};
	atomic_init(&s.stop, false);
	atomic_init(&s.rounds, 0);
	atomic_init(&s.failed, 0);
	assert_int_equal(pthread_create(&thread, NULL, compact_all_the_time, &s), 0);
	for (int i = 0; i < 600 || atomic_load(&s.rounds) < 4; i++) {
		compact_set_value(&c, i % 45);
		if (i % 10 == 0)
			test_put_pod(
				&c, &compact_template, "default", i % 20 ? "a" : "b", "node-1");
		OK(test_commit(&c, &err));
		if (i % 5 == 0)
			test_flush(&c);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&s.failed), 0);
	test_flush(&c);
	assert_true(test_fsck(*state));
	compact_check_readable(&c, kg_store_oldest(c.store));
	compact_reopen(&c);
	compact_check_readable(&c, kg_store_oldest(c.store));
	test_close(&c);
}

static void test_cancel(void **state)
{
	struct kg_compact_options o = compact_now_and_all(10);
	struct kg_compact_result r;
	struct kg_error e = {0};
	struct test_cluster c;
	int p[2];

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 40);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "", 1), 1);
	o.cancel = p[0];
	assert_int_equal(kg_store_compact(&r, c.store, &o, &e), -KG_E_UNAVAILABLE);
	close(p[0]);
	close(p[1]);
	assert_true(test_fsck(*state));
	compact_check_readable(&c, 31);
	compact_all(&c, 10);
	compact_check_readable(&c, 31);
	test_close(&c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, compact_setup, compact_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_push_that_needs),
		CASE(test_push_that_does_not),
		CASE(test_beside_writer),
		CASE(test_cancel),
	};

	kg_kinds_init();
	test_template_init(&compact_template, 1);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	test_template_release(&compact_template);
	return rc;
}
