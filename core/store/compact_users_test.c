/* Compaction: what users have. */
#include "store/compact_test_support.h"
#include "store/shallow.h"

#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A commit of one file on top of `parent` ("" for none), which no ref names. */
static void make_commit(char out[41], const char *repo, const char *text, const char *parent)
{
	char *file KG_AUTOFREE = kg_asprintf("%s/file", repo);
	struct kg_buf hex KG_AUTOBUF = KG_BUF_INIT;
	char blob[41], tree[41];

	OK(kg_file_write(file, text, strlen(text), 0644, &err));
	assert_int_equal(TEST_GIT(&hex, repo, "hash-object", "-w", file), 0);
	snprintf(blob, sizeof(blob), "%.40s", kg_buf_str(&hex));
	assert_int_equal(unlink(file), 0);
	char *index KG_AUTOFREE = kg_asprintf("100644,%s,notes.txt", blob);
	assert_int_equal(TEST_GIT(NULL, repo, "read-tree", "--empty"), 0);
	assert_int_equal(TEST_GIT(NULL, repo, "update-index", "--add", "--cacheinfo", index), 0);
	kg_buf_clear(&hex);
	assert_int_equal(TEST_GIT(&hex, repo, "write-tree"), 0);
	snprintf(tree, sizeof(tree), "%.40s", kg_buf_str(&hex));
	kg_buf_clear(&hex);
	assert_int_equal(
		*parent ? TEST_GIT(&hex, repo, "commit-tree", "-m", text, "-p", parent, tree)
			: TEST_GIT(&hex, repo, "commit-tree", "-m", text, tree),
		0);
	snprintf(out, 41, "%.40s", kg_buf_str(&hex));
}

/* The loose objects as a pack, as a push leaves them. */
static void pack_loose(const char *repo)
{
	assert_int_equal(TEST_GIT(NULL, repo, "repack", "-q", "-d", "--unpack-unreachable=now"), 0);
}

static void test_users(void **state)
{
	static const char *const branches[] = {
		"refs/heads/topic", "refs/kgit/refused/x", "refs/tags/v1", "refs/heads/first"};
	char main_[3][41], side[4][41], state_commit[41];
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	make_commit(main_[0], *state, "one", "");
	make_commit(main_[1], *state, "two", main_[0]);
	make_commit(main_[2], *state, "forced", "");
	for (int i = 0; i < 3; i++) {
		char text[16];

		snprintf(text, sizeof(text), "side %d", i);
		make_commit(side[i], *state, text, "");
		assert_int_equal(TEST_GIT(NULL, *state, "update-ref", branches[i], side[i]), 0);
	}
	compact_fill(&c, 5);
	for (int i = 0; i < 3; i++) {
		compact_set_value(&c, 1000 + i);
		OK(test_commit_push(&c, main_[i], &err));
		OK(kg_store_set_main(c.store, i ? main_[i - 1] : "", main_[i], &err));
		compact_fill(&c, c.now->revision + 5);
	}
	/* Somebody keeps an old state as a branch of his own. */
	compact_commit_of(state_commit, &c, 10);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", branches[3], state_commit), 0);
	pack_loose(*state);
	compact_fill(&c, 60);
	compact_all(&c, 10);
	compact_check_readable(&c, 51);
	assert_true(test_fsck(*state));
	for (int i = 0; i < 3; i++)
		assert_true(compact_has_object(*state, side[i]));
	assert_true(compact_has_object(*state, main_[2]));
	assert_true(compact_has_object(*state, state_commit));
	assert_int_equal(compact_count_lines(*state, (const char *[]){"rev-list", "--first-parent",
							     state_commit, NULL}),
		11);
	/* Reached by the history that went, and by nothing else. */
	compact_fill(&c, 100);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "-d", branches[3]), 0);
	compact_all(&c, 10);
	assert_false(compact_has_object(*state, state_commit));
	assert_true(compact_has_object(*state, main_[2]));
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* A file of so many bytes: zeros, or what does not get smaller. */
static void write_large(const char *path, size_t size, bool zeros)
{
	char *bytes KG_AUTOFREE = kg_alloc(size);
	uint32_t random = 1;

	for (size_t i = 0; !zeros && i < size; i++) {
		random = random * 1664525u + 1013904223u;
		bytes[i] = (char)(random >> 24);
	}
	OK(kg_file_write(path, bytes, size, 0644, &err));
}

/* Large files of a user's, whole and as a delta, whose entries are copied. */
static void test_large(void **state)
{
	static const size_t sizes[] = {(1u << 20) + 1, 3000000, 20000000, 9000000};
	char *path KG_AUTOFREE = kg_asprintf("%s/large", (char *)*state);
	char ids[5][41], commit[41];
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < 5; i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		/* The last is like the one before, but for its end. */
		write_large(path, i < 4 ? sizes[i] : sizes[3] + 10, i == 2);
		assert_int_equal(TEST_GIT(&out, *state, "hash-object", "-w", path), 0);
		memcpy(ids[i], kg_buf_str(&out), 40);
		ids[i][40] = '\0';
	}
	assert_int_equal(unlink(path), 0);
	make_commit(commit, *state, "small", "");
	for (size_t i = 0; i < 5; i++) {
		char ref[40];

		snprintf(ref, sizeof(ref), "refs/tags/large-%zu", i);
		assert_int_equal(TEST_GIT(NULL, *state, "update-ref", ref, ids[i]), 0);
	}
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/heads/small", commit), 0);
	pack_loose(*state);
	compact_fill(&c, 30);
	compact_all(&c, 10);
	for (size_t i = 0; i < 5; i++)
		assert_true(compact_has_object(*state, ids[i]));
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* A branch between two horizons keeps the older of them. */
static void test_branch_between(void **state)
{
	struct test_cluster c;
	char between[41];

	OK(test_open(&c, *state, true, NULL, &err));
	compact_fill(&c, 50);
	compact_all(&c, 20);
	compact_commit_of(between, &c, 40);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/heads/old", between), 0);
	compact_fill(&c, 80);
	assert_int_equal(compact_all(&c, 10).oldest, 71);
	assert_true(test_fsck(*state));
	assert_int_equal(
		compact_count_lines(*state, (const char *[]){"rev-list", "refs/heads/old", NULL}),
		10);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "-d", "refs/heads/old"), 0);
	compact_fill(&c, 100);
	compact_all(&c, 10);
	assert_false(compact_has_object(*state, between));
	assert_true(test_fsck(*state));
	struct kg_shallow s;
	OK(kg_shallow_read(&s, *state, &err));
	assert_int_equal(s.n, 1);
	kg_shallow_release(&s);
	test_close(&c);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, compact_setup, compact_teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_users),
		CASE(test_large),
		CASE(test_branch_between),
	};

	kg_kinds_init();
	test_template_init(&compact_template, 1);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	test_template_release(&compact_template);
	return rc;
}
