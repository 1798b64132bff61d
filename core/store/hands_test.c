/* Several openers, somebody else's hands in the repository, and what a crash leaves in it. */
#include "store/test_support.h"

#include "base/mem.h"
#include "store/compact.h"
#include "sys/file.h"

#include <dirent.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_lock(void **state)
{
	struct kg_store_options read_only = {.read_only = true};
	struct kg_snapshot *s = NULL;
	struct test_cluster c, other;
	struct kg_store *r;
	struct kg_error e = {0};

	OK(test_open(&c, *state, true, NULL, &err));
	assert_int_equal(test_open(&other, *state, false, NULL, &e), -KG_E_CONFLICT);
	OK(kg_store_open(&r, *state, &read_only, NULL, &err));
	OK(kg_store_load(&s, r, &err));
	assert_true(test_same_snapshot(c.now, s));
	assert_int_equal(kg_store_oldest(r), 0);
	kg_snapshot_unref(s);
	kg_store_close(r);
	test_close(&c);
}

static void test_foreign_commit(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_error e = {0};
	struct test_cluster c;
	char was[41];

	OK(test_open(&c, *state, true, NULL, &err));
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	test_flush(&c);
	memcpy(was, c.now->commit, sizeof(was));
	/* Somebody moves the branch: the writer notices and changes nothing. */
	assert_int_equal(
		TEST_GIT(&out, *state, "update-ref", "refs/kgit/state", "refs/kgit/state~1"), 0);
	test_put_node(&c, "n", 1);
	assert_int_equal(test_commit(&c, &e), -KG_E_CONFLICT);
	assert_int_equal(TEST_GIT(&out, *state, "update-ref", "refs/kgit/state", was), 0);
	/* A failed commit left the trees as they were. */
	test_put_node(&c, "n", 2);
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, 2);
	assert_true(test_reopen(&c));
	assert_true(test_fsck(*state));
	test_close(&c);
}

static void test_packed_refs(void **state)
{
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	test_flush(&c);
	assert_int_equal(TEST_GIT(NULL, *state, "pack-refs", "--all"), 0);
	assert_false(test_exists(*state, "refs/kgit/state"));
	test_put_node(&c, "n", 1);
	OK(test_commit(&c, &err));
	assert_true(test_reopen(&c));
	/* And repacked by hand, while it is open. */
	assert_int_equal(TEST_GIT(NULL, *state, "repack", "-a", "-d", "-q"), 0);
	test_put_node(&c, "n", 2);
	OK(test_commit(&c, &err));
	struct kg_snapshot *s = NULL;
	OK(kg_store_load_at(&s, c.store, 1, &err));
	kg_snapshot_unref(s);
	assert_true(test_reopen(&c));
	assert_true(test_fsck(*state));
	test_close(&c);
}

static void test_lost_ref(void **state)
{
	struct kg_error e = {0};
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	char *dir KG_AUTOFREE = kg_strdup(c.dir);
	test_close(&c);
	char *ref KG_AUTOFREE = kg_asprintf("%s/refs/kgit/state", dir);
	unlink(ref);
	/* Not a new cluster over the old one. */
	assert_int_equal(test_open(&c, dir, true, NULL, &e), -KG_E_CORRUPT);
	test_write(dir, "refs/kgit/state", "");
	assert_int_equal(test_open(&c, dir, true, NULL, &e), -KG_E_CORRUPT);
}

static void test_stale_files(void **state)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	static const char empty_blob[] = "objects/e6/9de29bb2d1d6434b8b29ae775ad8c2e48c5391";
	char *dir = *state;
	struct test_cluster c;

	OK(test_open(&c, dir, true, NULL, &err));
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	test_close(&c);
	char *sub KG_AUTOFREE = kg_asprintf("%s/objects/e6", dir);
	OK(kg_mkdir_p(sub, 0755, &err));
	test_write(dir, empty_blob, "");
	test_write(dir, "refs/kgit/state.lock", "");
	test_write(dir, "refs/heads/main.lock", "x");
	test_write(dir, "refs/heads/other.lock", "of a git that is running");
	test_write(dir, "objects/pack/tmp_kgit_12.pack", "PACK");
	test_write(dir, "objects/pack/pack-0000000000000000000000000000000000000000.idx", "");
	OK(test_open(&c, dir, false, &notes, &err));
	assert_false(test_exists(dir, empty_blob));
	assert_false(test_exists(dir, "refs/kgit/state.lock"));
	assert_false(test_exists(dir, "refs/heads/main.lock"));
	assert_true(test_exists(dir, "refs/heads/other.lock"));
	assert_false(test_exists(dir, "objects/pack/tmp_kgit_12.pack"));
	assert_false(
		test_exists(dir, "objects/pack/pack-0000000000000000000000000000000000000000.idx"));
	assert_non_null(strstr(kg_buf_str(&notes), "removed stale lock"));
	assert_non_null(strstr(kg_buf_str(&notes), "removed empty object"));
	test_put_node(&c, "n", 1);
	OK(test_commit(&c, &err));
	assert_true(test_reopen(&c));
	test_close(&c);
}

/* How many files of objects/pack end so. */
static int count_packs(const char *dir, const char *ending)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/objects/pack", dir);
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name), end = strlen(ending);

		n += len > end && strcmp(e->d_name + len - end, ending) == 0;
	}
	closedir(d);
	return n;
}

/* Somebody packs while a revision's pack is in place and the branch does not lead to it yet. */
static void test_repack_between(void **state)
{
	char *lock KG_AUTOFREE = kg_asprintf("%s/refs/kgit/state.lock", (char *)*state);
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_flush(&c);
	/* As a git has it that packs refs. */
	test_write(*state, "refs/kgit/state.lock", "");
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	for (int i = 0; i < 3000 && !count_packs(*state, ".keep"); i++)
		usleep(10000);
	assert_int_equal(count_packs(*state, ".keep"), 1);
	assert_int_equal(TEST_GIT(NULL, *state, "repack", "-a", "-d", "-q"), 0);
	assert_int_equal(unlink(lock), 0);
	test_flush(&c);
	assert_int_equal(count_packs(*state, ".keep"), 0);
	assert_true(test_fsck(*state));
	assert_true(test_reopen(&c));
	test_close(&c);
}

static char *made_dir(const char *dir, const char *name)
{
	char *path = kg_asprintf("%s/%s", dir, name);

	OK(kg_mkdir_p(path, 0755, &err));
	return path;
}

static void write_keep(const char *dir, const char *name, long pid, const char *host)
{
	char *text KG_AUTOFREE = kg_asprintf("receive-pack %ld on %s\n", pid, host);

	test_write(dir, name, text);
}

/* What pushes leave whose git was killed goes, and what others hold stays. */
static void test_dead_pushes(void **state)
{
	struct kg_compact_options all = {.force = true, .grace_ms = KG_COMPACT_NO_GRACE};
	static const char dead[] = "objects/tmp_objdir-incoming-dead";
	static const char live[] = "objects/tmp_objdir-incoming-live";
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct kg_compact_result result;
	char *dir = *state, host[256] = "";
	const long nobody = 0x7fffffff; /* above any pid */
	struct test_cluster c;

	OK(gethostname(host, sizeof(host) - 1));
	OK(test_open(&c, dir, true, NULL, &err));
	test_close(&c);
	char *d1 KG_AUTOFREE = made_dir(dir, "objects/tmp_objdir-incoming-dead/pack");
	char *d2 KG_AUTOFREE = made_dir(dir, "objects/tmp_objdir-incoming-live/pack");
	write_keep(d1, "pack-1.keep", nobody, host);
	write_keep(d2, "pack-1.keep", getpid(), host);
	write_keep(dir, "objects/pack/pack-1.keep", nobody, host);
	write_keep(dir, "objects/pack/pack-2.keep", getpid(), host);
	write_keep(dir, "objects/pack/pack-3.keep", nobody, "another");
	test_write(dir, "objects/pack/pack-4.keep", "for ever\n");
	test_write(
		dir, "objects/pack/pack-5.keep", "kgitd: its revision comes to the state branch\n");
	test_write(dir, "objects/pack/kgit-12.idx.new", "");
	OK(test_open(&c, dir, false, &notes, &err));
	assert_false(test_exists(dir, dead));
	assert_true(test_exists(dir, live));
	assert_non_null(strstr(kg_buf_str(&notes), "removed unfinished push"));
	assert_false(test_exists(dir, "objects/pack/pack-5.keep"));
	assert_false(test_exists(dir, "objects/pack/kgit-12.idx.new"));
	/* What the journal has may need it until it is in git's files. */
	assert_true(test_exists(dir, "objects/pack/pack-1.keep"));

	/* The same while it is open. */
	write_keep(d2, "pack-1.keep", nobody, host);
	OK(kg_store_compact(&result, c.store, &all, &err));
	assert_false(test_exists(dir, live));
	assert_false(test_exists(dir, "objects/pack/pack-1.keep"));
	for (int i = 2; i < 5; i++) {
		char *keep KG_AUTOFREE = kg_asprintf("objects/pack/pack-%d.keep", i);

		assert_true(test_exists(dir, keep));
	}
	test_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_CASE(test_lock),
		TEST_CASE(test_foreign_commit),
		TEST_CASE(test_packed_refs),
		TEST_CASE(test_lost_ref),
		TEST_CASE(test_stale_files),
		TEST_CASE(test_repack_between),
		TEST_CASE(test_dead_pushes),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
