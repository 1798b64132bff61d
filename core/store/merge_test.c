/* Packs put together: by hand at chosen moments, and in the background under readers. */
#include "store/private.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "sys/file.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	*state = test_dir();
	test_pack_limit = 1000000;
	return 0;
}

/* How many packs; the path of one (without ending) goes to *one where wanted. */
static size_t packs(const char *dir, char **one)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/objects/pack", dir);
	DIR *d = opendir(path);
	struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len < 5 || strcmp(e->d_name + len - 5, ".pack") != 0)
			continue;
		n++;
		if (one) {
			free(*one);
			*one = kg_asprintf("%s/%.*s", path, (int)len - 5, e->d_name);
		}
	}
	closedir(d);
	return n;
}

/* Commits, each with a pack of its own where `apart`. */
static void commits(struct test_cluster *c, int n, bool apart)
{
	struct test_template t;

	test_template_init(&t, 1);
	for (int i = 0; i < n; i++) {
		char name[32];

		snprintf(name, sizeof(name), "web-%d", (int)c->now->revision);
		test_put_node(c, "node-1", (int)c->now->revision);
		test_put_pod(c, &t, "default", name, "node-1");
		test_set_status(c, "default", name, i);
		OK(test_commit(c, &err));
		if (apart)
			test_flush(c);
	}
	test_template_release(&t);
}

static void live(struct test_cluster *c, int n)
{
	commits(c, n, true);
}

static void check_all(struct test_cluster *c)
{
	struct kg_snapshot *s = NULL;

	assert_true(test_fsck(c->dir));
	for (uint64_t r = 0; r <= c->now->revision; r++) {
		OK(kg_store_load_at(&s, c->store, r, &err));
		assert_int_equal(s->objects[KG_KIND_POD].count, r);
		kg_snapshot_unref(s);
	}
}

static void test_merge(void **state)
{
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 30);
	assert_int_equal(packs(*state, NULL), 31);
	OK(kg_store_merge_packs(c.store, &err));
	assert_int_equal(packs(*state, NULL), 1);
	check_all(&c);
	/* One new pack beside a large one is left alone; several are not. */
	live(&c, 1);
	OK(kg_store_merge_packs(c.store, &err));
	assert_int_equal(packs(*state, NULL), 2);
	live(&c, 5);
	OK(kg_store_merge_packs(c.store, &err));
	assert_in_range(packs(*state, NULL), 1, 2);
	check_all(&c);
	char *dir KG_AUTOFREE = kg_strdup(c.dir);
	test_close(&c);
	OK(test_open(&c, dir, false, NULL, &err));
	check_all(&c);
	test_close(&c);
}

/* Equal objects in several packs, as a template that comes back makes them. */
static void test_duplicates(void **state)
{
	struct test_template t;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	for (int i = 0; i < 6; i++) {
		test_put_pod(&c, &t, "default", "a", NULL);
		OK(test_commit(&c, &err));
		test_flush(&c);
		kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "a");
		OK(test_commit(&c, &err));
		test_flush(&c);
	}
	OK(kg_store_merge_packs(c.store, &err));
	assert_int_equal(packs(*state, NULL), 1);
	assert_true(test_fsck(*state));
	test_template_release(&t);
	test_close(&c);
}

/* git's own packs, full of deltas, of both kinds. */
static void test_deltas(void **state)
{
	struct test_cluster c;

	for (int i = 0; i < 2; i++) {
		char *dir KG_AUTOFREE = kg_asprintf("%s/%d", (char *)*state, i);
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		OK(test_open(&c, dir, true, NULL, &err));
		live(&c, 20);
		assert_int_equal(TEST_GIT(NULL, dir, "-c",
					 i ? "repack.useDeltaBaseOffset=false"
					   : "repack.useDeltaBaseOffset=true",
					 "repack", "-a", "-d", "-q"),
			0);
		live(&c, 20);
		OK(kg_store_merge_packs(c.store, &err));
		assert_in_range(packs(dir, NULL), 1, 2);
		check_all(&c);
		assert_int_equal(TEST_GIT(&out, dir, "gc", "-q"), 0);
		test_close(&c);
	}
}

static void touch(const char *base, const char *ending)
{
	char *path KG_AUTOFREE = kg_asprintf("%s%s", base, ending);

	OK(kg_file_replace(path, "", 0, 0644, &err));
}

static void test_left_alone(void **state)
{
	char *one KG_AUTOFREE = NULL, *bad KG_AUTOFREE = NULL;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct test_cluster c;

	/* One that a push holds. */
	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 10);
	packs(*state, &one);
	touch(one, ".keep");
	OK(kg_store_merge_packs(c.store, &err));
	assert_int_equal(packs(*state, NULL), 2);
	char *pack KG_AUTOFREE = kg_asprintf("%s.pack", one);
	assert_true(kg_path_exists(pack));
	char *keep KG_AUTOFREE = kg_asprintf("%s.keep", one);
	unlink(keep);
	/* One with a flipped bit is neither copied nor removed. */
	live(&c, 5);
	packs(*state, &bad);
	char *bad_pack KG_AUTOFREE = kg_asprintf("%s.pack", bad);
	OK(kg_file_read(&text, bad_pack, 1 << 24, &err));
	text.data[40] ^= 1;
	OK(kg_file_replace(bad_pack, text.data, text.len, 0444, &err));
	OK(kg_store_merge_packs(c.store, &err));
	assert_true(kg_path_exists(bad_pack));
	text.data[40] ^= 1;
	OK(kg_file_replace(bad_pack, text.data, text.len, 0444, &err));
	check_all(&c);
	test_close(&c);
}

/* ---- under readers ---- */

struct reading {
	struct kg_store *store;
	atomic_bool stop;
	atomic_int failures, rounds;
};

static int count(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	*(size_t *)ctx += changes->len;
	return 0;
}

static bool read_once(struct kg_store *s)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_snapshot *snap = NULL;
	struct kg_log_entry *log;
	struct kg_error err = {0};
	uint64_t revision = kg_store_revision(s);
	size_t changes = 0, n;

	int rc = kg_store_load_at(&snap, s, revision / 2, &err);
	kg_snapshot_unref(snap);
	snap = NULL;
	if (rc == 0)
		rc = kg_store_load(&snap, s, &err);
	kg_snapshot_unref(snap);
	if (rc == 0)
		rc = kg_store_changes(
			s, revision > 20 ? revision - 20 : 0, revision, 0, count, &changes, &err);
	if (rc == 0)
		rc = kg_store_log(&log, &n, s, &a, 0, 30, &err);
	if (rc < 0)
		fprintf(stderr, "reader at %llu: %s\n", (unsigned long long)revision, err.msg);
	return rc == 0;
}

static void *read_on(void *arg)
{
	struct reading *r = arg;

	while (!atomic_load(&r->stop) && !atomic_load(&r->failures)) {
		if (!read_once(r->store))
			atomic_fetch_add(&r->failures, 1);
		atomic_fetch_add(&r->rounds, 1);
	}
	return NULL;
}

static void test_readers(void **state)
{
	struct reading r = {0};
	pthread_t threads[3];
	struct test_cluster c;

	test_pack_limit = 5;
	OK(test_open(&c, *state, true, NULL, &err));
	r.store = c.store;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &r), 0);
	/* At least so many commits, and so many that each reader got somewhere. */
	for (int i = 0; (i < 120 || atomic_load(&r.rounds) < 12) && !atomic_load(&r.failures); i++)
		commits(&c, 1, i % 4 == 0);
	atomic_store(&r.stop, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&r.failures), 0);
	assert_in_range(packs(*state, NULL), 1, 100);
	check_all(&c);
	test_close(&c);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, test_end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_merge),
		CASE(test_duplicates),
		CASE(test_deltas),
		CASE(test_left_alone),
		CASE(test_readers),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
