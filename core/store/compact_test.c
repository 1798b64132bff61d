/* Compaction: what goes and what stays. */
#include "store/compact_test_support.h"
#include "store/hidden.h"
#include "store/pack.h"
#include "store/shallow.h"

#include "base/hash.h"
#include "sys/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- packs alone ---- */

static void test_packs(void **state)
{
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 150);
	struct kg_compact_result r = compact_all(&c, 0);
	assert_int_equal(r.dropped, 0);
	assert_true(r.packs_after <= 2);
	assert_true(r.bytes_after < r.bytes_before * 3 / 4);
	assert_true(test_fsck(*state));
	compact_check_readable(&c, 0);
	assert_int_equal(
		compact_count_lines(*state, (const char *[]){"rev-list", "refs/kgit/state", NULL}),
		151);
	/* Nothing is left to do, and done again it is the same. */
	struct kg_compact_options o = {.now = TEST_TIME};
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.bytes_after, r.bytes_before);
	r = compact_all(&c, 0);
	assert_int_equal(r.bytes_after, r.bytes_before);
	compact_fill(&c, 200);
	compact_all(&c, 0);
	compact_reopen(&c);
	compact_check_readable(&c, 0);
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* ---- the horizon ---- */

static void test_drop(void **state)
{
	char *clone KG_AUTOFREE = kg_asprintf("%s/clone", (char *)*state);
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", (char *)*state);
	char *url KG_AUTOFREE = kg_asprintf("file://%s", repo);
	struct test_cluster c;
	char old[41], oldest[41];

	OK(test_open(&c, repo, true, NULL, &err));
	compact_fill(&c, 100);
	compact_commit_of(old, &c, 80);
	compact_commit_of(oldest, &c, 81);
	struct kg_compact_result r = compact_all(&c, 20);
	assert_int_equal(r.oldest, 81);
	assert_int_equal(r.dropped, 81);
	assert_true(r.objects_gone > 80 * 4);
	assert_false(compact_has_object(repo, old));
	assert_true(compact_has_object(repo, oldest));
	compact_check_readable(&c, 81);
	assert_true(test_fsck(repo));
	assert_int_equal(
		compact_count_lines(repo, (const char *[]){"rev-list", "refs/kgit/state", NULL}),
		20);
	/* Others can have it. */
	assert_int_equal(TEST_GIT(NULL, *state, "init", "-q", "--bare", clone), 0);
	assert_int_equal(TEST_GIT(NULL, clone, "fetch", "-q", "--update-shallow", url,
				 "+refs/kgit/state:refs/heads/state"),
		0);
	assert_true(test_fsck(clone));
	compact_reopen(&c);
	compact_check_readable(&c, 81);
	compact_fill(&c, 130);
	compact_check_readable(&c, 81);
	/* The next one takes the place of the first. */
	assert_int_equal(compact_all(&c, 20).oldest, 111);
	compact_check_readable(&c, 111);
	assert_true(test_fsck(repo));
	struct kg_shallow s;
	OK(kg_shallow_read(&s, repo, &err));
	assert_int_equal(s.n, 1);
	kg_shallow_release(&s);
	assert_false(compact_has_object(repo, oldest));
	compact_reopen(&c);
	compact_check_readable(&c, 111);
	test_close(&c);
}

static void test_age(void **state)
{
	struct kg_compact_options o = compact_now_and_all(0);
	struct kg_compact_result r;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 50);
	/* A revision is 1,234 ms after the one before it; times of commits are whole seconds. */
	o.now = c.now->time;
	o.age_ms = 1234 * 10 + 1000;
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_in_range(r.oldest, 38, 41);
	compact_check_readable(&c, r.oldest);
	/* The head stays, however old it is. */
	o.now += 1000000000;
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 50);
	compact_check_readable(&c, 50);
	assert_true(test_fsck(*state));
	compact_fill(&c, 60);
	compact_check_readable(&c, 50);
	test_close(&c);
}

/* A few more than the limit are no reason to walk over everything. */
static void test_not_due(void **state)
{
	struct kg_compact_options o = compact_now_and_all(90);
	struct kg_compact_result r;
	struct test_cluster c;

	o.force = false;
	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 95);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 0);
	compact_fill(&c, 110);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 21);
	compact_check_readable(&c, 21);
	test_close(&c);
}

/* ---- grace ---- */

static void make_older(const char *path)
{
	struct timespec t[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = time(NULL) - 7200}};

	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void make_all_older(const char *repo)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", repo);
	char *shallow KG_AUTOFREE = kg_asprintf("%s/shallow", repo);
	DIR *d = opendir(packs);
	struct dirent *e;

	assert_non_null(d);
	while ((e = readdir(d))) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", packs, e->d_name);

		if (e->d_name[0] != '.')
			make_older(path);
	}
	closedir(d);
	make_older(shallow);
}

static void test_grace(void **state)
{
	struct kg_compact_options o = compact_now_and_all(10);
	struct kg_compact_result r;
	struct test_cluster c;
	char old[41];

	o.grace_ms = 0;
	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 50);
	compact_commit_of(old, &c, 3);
	/* Nobody reads it any more, but it is there. */
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 41);
	assert_int_equal(r.objects_gone, 0);
	assert_true(compact_has_object(*state, old));
	compact_check_readable(&c, 41);
	assert_true(test_fsck(*state));
	/* The horizon waits for the one before it. */
	compact_fill(&c, 70);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 41);
	compact_reopen(&c);
	compact_check_readable(&c, 41);
	make_all_older(*state);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_true(r.objects_gone > 0);
	assert_false(compact_has_object(*state, old));
	compact_check_readable(&c, 41);
	assert_true(test_fsck(*state));
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 61);
	test_close(&c);
}

/* ---- crashes ---- */

/* Packs hidden by a compaction that was killed are there again after the start. */
static void test_hidden(void **state)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", (char *)*state);
	char *left KG_AUTOFREE = kg_asprintf("%s/kgit/compact/pack", (char *)*state);
	char *orphan KG_AUTOFREE = kg_asprintf("%s/hidden-pack-x.idx", packs);
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct test_cluster c;
	struct dirent *e;

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 20);
	test_close(&c);
	DIR *d = opendir(packs);
	assert_non_null(d);
	while ((e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n == 50 && strcmp(e->d_name + 45, ".pack") == 0) {
			char *name KG_AUTOFREE = kg_strndup(e->d_name, 45);

			OK(kg_pack_hide(packs, name, &err));
		}
	}
	closedir(d);
	/* A pack without its index is half of one, and old halves are removed. */
	make_older(packs);
	OK(kg_mkdir_p(left, 0755, &err));
	OK(kg_file_write(orphan, "x", 1, 0644, &err));
	OK(test_open(&c, *state, false, &notes, &err));
	assert_non_null(strstr(kg_buf_str(&notes), "back"));
	assert_false(compact_any_hidden(*state));
	assert_false(kg_path_exists(left));
	compact_check_readable(&c, 0);
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* The boundary was written, and then the power went. */
static void test_boundary_alone(void **state)
{
	char *cache KG_AUTOFREE = kg_asprintf("%s/kgit/revisions", (char *)*state);
	unsigned char id[20];
	struct test_cluster c;
	struct kg_shallow s = {0};
	char boundary[41];

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 30);
	compact_commit_of(boundary, &c, 20);
	assert_int_equal(kg_unhex(id, 20, boundary), 0);
	kg_shallow_add(&s, id);
	OK(kg_shallow_write(*state, &s, &err));
	kg_shallow_release(&s);
	compact_reopen(&c);
	compact_check_readable(&c, 20);
	/* The same without the cache. */
	test_flush(&c);
	assert_int_equal(unlink(cache), 0);
	compact_reopen(&c);
	compact_check_readable(&c, 20);
	compact_all(&c, 0);
	compact_check_readable(&c, 20);
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* ---- what leads nowhere ---- */

/* A commit whose parent is not there, loose or in a pack. */
static void make_orphan(const char *repo, bool packed)
{
	static const char text[] = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
				   "parent 0123456789012345678901234567890123456789\n"
				   "author a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n";
	char *file KG_AUTOFREE = kg_asprintf("%s/objects/pack/pack-%040d.pack", repo, 7);
	char *index_file KG_AUTOFREE = kg_asprintf("%s/objects/pack/pack-%040d.idx", repo, 7);
	const struct kg_buf *pack, *index;
	unsigned char id[20];

	if (!packed) {
		OK(kg_file_write(file, text, strlen(text), 0644, &err));
		assert_int_equal(TEST_GIT(NULL, repo, "hash-object", "-w", "--literally", "-t",
					 "commit", file),
			0);
		assert_int_equal(unlink(file), 0);
		return;
	}
	struct kg_pack *p = kg_pack_new();
	kg_pack_add(p, KG_PACK_COMMIT, text, strlen(text), id);
	kg_pack_finish(p, &pack, &index, id);
	OK(kg_file_write(file, pack->data, pack->len, 0644, &err));
	OK(kg_file_write(index_file, index->data, index->len, 0644, &err));
	kg_pack_free(p);
}

/* Nothing needs an object whose parent went before it: a young one holds up nobody. */
static void broken_link(void **state, bool packed)
{
	char *shallow KG_AUTOFREE = kg_asprintf("%s/shallow", (char *)*state);
	struct kg_compact_options o = compact_now_and_all(10);
	struct kg_compact_result r;
	struct test_cluster c;

	o.grace_ms = 0;
	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 50);
	OK(kg_store_compact(&r, c.store, &o, &err));
	make_all_older(*state);
	make_orphan(*state, packed);
	make_older(shallow);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_true(r.objects_gone > 0);
	compact_check_readable(&c, 41);
	test_close(&c);
}

static void test_broken_link_loose(void **state)
{
	broken_link(state, false);
}

static void test_broken_link_packed(void **state)
{
	broken_link(state, true);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, compact_setup, compact_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_packs),
		CASE(test_drop),
		CASE(test_age),
		CASE(test_not_due),
		CASE(test_grace),
		CASE(test_hidden),
		CASE(test_boundary_alone),
		CASE(test_broken_link_loose),
		CASE(test_broken_link_packed),
	};

	kg_kinds_init();
	test_template_init(&compact_template, 1);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	test_template_release(&compact_template);
	return rc;
}
