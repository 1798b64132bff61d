/* The journal's file by itself, and the store on top of it: crashes, readers, a full disk. */
#include "store/journal.h"
#include "store/private.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "sys/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_MS 3600000
#define SMALL   (512u << 10) /* two halves of 256 KiB */
#define BLOCK   4096

static int setup(void **state)
{
	*state = test_dir();
	test_linger_ms = 0;
	test_journal_size = 1 << 20;
	test_pack_limit = 1000000;
	return 0;
}

/* ---- the file ---- */

/* What a replay gave: revisions from `first` on, each whole. */
struct replayed {
	int64_t first, last;
	bool wrong;
};

/* A pack of n bytes, told by the revision. */
static void make_pack(struct kg_buf *b, uint64_t revision, size_t n)
{
	unsigned char sum[20];

	kg_buf_clear(b);
	for (size_t i = 0; i < n - 20; i++)
		kg_buf_addc(b, (char)(revision * 31 + i));
	kg_sha1(sum, b->data, b->len);
	kg_buf_add(b, sum, 20);
}

static struct kg_append make_append(struct kg_buf *pack, uint64_t revision, size_t n)
{
	struct kg_append a = {.epoch = 1, .revision = revision, .pack_len = n};

	make_pack(pack, revision, n);
	a.pack = pack->data;
	memcpy(a.pack_id, pack->data + n - 20, 20);
	memset(a.commit, (int)revision, 20);
	memset(a.parent, (int)revision - 1, 20);
	return a;
}

static int replayed(void *ctx, const struct kg_append *a, struct kg_error *err)
{
	struct replayed *r = ctx;
	struct kg_buf pack KG_AUTOBUF = KG_BUF_INIT;
	struct kg_append want = make_append(&pack, a->revision, a->pack_len);

	(void)err;
	if (r->first < 0)
		r->first = (int64_t)a->revision;
	else if ((int64_t)a->revision != r->last + 1)
		r->wrong = true;
	r->last = (int64_t)a->revision;
	if (memcmp(want.pack, a->pack, a->pack_len) != 0 ||
		memcmp(want.commit, a->commit, 20) != 0 ||
		memcmp(want.parent, a->parent, 20) != 0 ||
		memcmp(want.pack_id, a->pack_id, 20) != 0 || a->epoch != 1)
		r->wrong = true;
	return 0;
}

static int try_open(struct kg_journal **j, const char *dir, int64_t after, struct replayed *r,
	struct kg_error *err)
{
	*r = (struct replayed){.first = -1, .last = -1};
	return kg_journal_open(j, dir, SMALL, after, replayed, r, NULL, err);
}

static struct replayed open_journal(struct kg_journal **j, const char *dir, int64_t after)
{
	struct replayed r;

	OK(try_open(j, dir, after, &r, &err));
	assert_false(r.wrong);
	return r;
}

static int put(struct kg_journal *j, uint64_t revision, size_t n, int64_t stored)
{
	struct kg_buf pack KG_AUTOBUF = KG_BUF_INIT;
	struct kg_append a = make_append(&pack, revision, n);
	struct kg_error err;
	bool lost;

	return kg_journal_append(j, &a, stored, &lost, &err);
}

static void test_records(void **state)
{
	struct kg_journal *j;
	struct replayed r = open_journal(&j, *state, -1);

	assert_int_equal(r.first, -1);
	/* Sizes around a block's. */
	static const size_t sizes[] = {20, 21, 3975, 3976, 3977, 8072, 8073, 20000};
	for (size_t i = 0; i < KG_ARRAY_LEN(sizes); i++)
		assert_int_equal(put(j, i, sizes[i], -1), 0);
	kg_journal_free(j);
	r = open_journal(&j, *state, -1);
	assert_int_equal(r.first, 0);
	assert_int_equal(r.last, 7);
	/* It goes on where it ended. */
	assert_int_equal(put(j, 8, 100, 7), 0);
	kg_journal_free(j);
	r = open_journal(&j, *state, 5);
	assert_int_equal(r.first, 6);
	assert_int_equal(r.last, 8);
	OK(kg_journal_clear(j, &err));
	kg_journal_free(j);
	r = open_journal(&j, *state, -1);
	assert_int_equal(r.first, -1);
	/* After a clear the old records do not come back behind the new ones. */
	assert_int_equal(put(j, 0, 20, -1), 0);
	kg_journal_free(j);
	r = open_journal(&j, *state, -1);
	assert_int_equal(r.last, 0);
	kg_journal_free(j);
}

/* Round and round: a half is written over when git has what it holds, and not before. */
static void test_halves(void **state)
{
	struct kg_journal *j;
	struct replayed r = open_journal(&j, *state, -1);
	const size_t n = 50000; /* 13 blocks of 64: four a half */
	uint64_t rev = 0;

	assert_false(kg_journal_fits(j, 256u << 10));
	assert_true(kg_journal_fits(j, (256u << 10) - 120));
	for (; rev < 8; rev++)
		assert_int_equal(put(j, rev, n, -1), 0);
	assert_false(kg_journal_has_room(j, n, 2));
	assert_int_equal(put(j, rev, n, 2), -KG_E_NO_SPACE);
	assert_true(kg_journal_has_room(j, n, 3));
	for (; rev < 12; rev++)
		assert_int_equal(put(j, rev, n, 3), 0);
	assert_int_equal(put(j, rev, n, 6), -KG_E_NO_SPACE);
	kg_journal_free(j);
	r = open_journal(&j, *state, 3);
	assert_int_equal(r.first, 4);
	assert_int_equal(r.last, 11);
	assert_int_equal(put(j, rev, n, 6), -KG_E_NO_SPACE);
	for (; rev < 100; rev++) {
		assert_int_equal(put(j, rev, rev % 3 ? n : 200, (int64_t)rev - 1), 0);
		kg_journal_free(j);
		r = open_journal(&j, *state, (int64_t)rev - 1);
		assert_int_equal(r.first, rev);
		assert_int_equal(r.last, rev);
	}
	kg_journal_free(j);
}

static void flip(const char *dir, off_t at)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/journal", dir);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x10;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* Every byte of a record counts: with one that is wrong it ends the records. */
static void test_torn(void **state)
{
	struct kg_journal *j;
	struct replayed r = open_journal(&j, *state, -1);
	struct kg_error e;

	for (uint64_t rev = 0; rev < 3; rev++)
		assert_int_equal(put(j, rev, 300, -1), 0);
	kg_journal_free(j);
	for (off_t at = 0; at < 420; at++) {
		flip(*state, 2 * BLOCK + at);
		r = open_journal(&j, *state, -1);
		assert_int_equal(r.last, 1);
		kg_journal_free(j);
		flip(*state, 2 * BLOCK + at);
	}
	/* One in the middle is not the end of a write that was cut off. */
	for (off_t at = 0; at < 420; at += 7) {
		flip(*state, BLOCK + at);
		assert_int_equal(try_open(&j, *state, -1, &r, &e), -KG_E_CORRUPT);
		assert_non_null(strstr(e.msg, "damaged at byte 4096"));
		/* Unless git has what is behind. */
		r = open_journal(&j, *state, 2);
		assert_int_equal(r.first, -1);
		kg_journal_free(j);
		flip(*state, BLOCK + at);
	}
	/* A write that was cut off is written over. */
	flip(*state, 2 * BLOCK);
	r = open_journal(&j, *state, -1);
	assert_int_equal(put(j, 2, 5000, -1), 0);
	assert_int_equal(put(j, 3, 40, -1), 0);
	kg_journal_free(j);
	r = open_journal(&j, *state, -1);
	assert_int_equal(r.last, 3);
	kg_journal_free(j);
}

/* ---- the store ---- */

static void change(struct test_cluster *c, int pods)
{
	struct test_template t;

	test_template_init(&t, 1);
	test_put_node(c, "node-1", (int)c->now->revision);
	for (int i = 0; i < pods; i++) {
		char name[40];

		snprintf(
			name, sizeof(name), "web-%llu-%d", (unsigned long long)c->now->revision, i);
		test_put_pod(c, &t, "default", name, "node-1");
		test_set_status(c, "default", name, i);
	}
	test_template_release(&t);
}

static void live(struct test_cluster *c, int commits)
{
	for (int i = 0; i < commits; i++) {
		change(c, 1);
		OK(test_commit(c, &err));
	}
}

/* A process that makes commits, which stay in the journal, and dies. `push`: the last one moves
 * main, which does not follow. */
static void crash(const char *dir, int commits, bool push)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct test_cluster c;
		char main_commit[41];

		test_linger_ms = LONG_MS;
		OK(test_open(&c, dir, true, NULL, &err));
		memcpy(main_commit, c.now->commit, sizeof(main_commit));
		live(&c, commits);
		if (push) {
			test_put_node(&c, "n", 0);
			OK(test_commit_push(&c, main_commit, &err));
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void state_ref(const char *dir, char out[41])
{
	struct kg_buf b KG_AUTOBUF = KG_BUF_INIT;

	assert_int_equal(TEST_GIT(&b, dir, "rev-parse", "refs/kgit/state"), 0);
	snprintf(out, 41, "%s", kg_buf_str(&b));
}

static int count(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	*(size_t *)ctx += changes->len;
	return 0;
}

/* Revisions can be loaded, and the history is whole. */
static void check_all(struct test_cluster *c)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_log_entry *log;
	size_t n, changes = 0;

	OK(kg_store_log(&log, &n, c->store, &a, 0, 10000, &err));
	assert_int_equal(n, c->now->revision + 1);
	for (uint64_t r = 0; r <= c->now->revision; r += 1 + c->now->revision / 30) {
		struct kg_snapshot *s = NULL;

		OK(kg_store_load_at(&s, c->store, r, &err));
		assert_string_equal(s->commit, log[c->now->revision - r].commit);
		kg_snapshot_unref(s);
	}
	OK(kg_store_changes(c->store, 0, c->now->revision, 0, count, &changes, &err));
	assert_true(changes >= c->now->revision);
}

/* ... and git agrees once the store is closed: before, its thread may merge packs under git's
 * hands, of which fsck makes an error. */
static void check_and_close(struct test_cluster *c)
{
	char *dir KG_AUTOFREE = kg_strdup(c->dir);

	check_all(c);
	test_close(c);
	assert_true(test_fsck(dir));
}

static void test_replay(void **state)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	struct test_cluster c;
	char ref[41];

	crash(*state, 10, false);
	OK(test_open(&c, *state, false, &notes, &err));
	assert_int_equal(c.now->revision, 10);
	assert_non_null(strstr(kg_buf_str(&notes), "revisions 1 to 10 came from the journal"));
	/* Opened means that git has it too. */
	state_ref(*state, ref);
	assert_string_equal(ref, c.now->commit);
	check_all(&c);
	live(&c, 3);
	test_close(&c);
	kg_buf_clear(&notes);
	OK(test_open(&c, *state, false, &notes, &err));
	assert_int_equal(c.now->revision, 13);
	assert_string_equal(kg_buf_str(&notes), "");
	test_close(&c);
	/* Again and again, and main. */
	for (int i = 1; i <= 3; i++)
		crash(*state, 5, i == 3);
	OK(test_open(&c, *state, false, &notes, &err));
	assert_int_equal(c.now->revision, 29);
	OK(kg_store_get_main(c.store, ref, &err));
	assert_string_equal(ref, c.now->main_commit);
	assert_true(*ref);
	check_and_close(&c);
}

/* What git's files do not have is there for everybody who reads through the store. */
static void test_readers_see_it(void **state)
{
	struct test_cluster c;
	char ref[41];

	test_linger_ms = LONG_MS;
	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 20);
	state_ref(*state, ref);
	assert_string_not_equal(ref, c.now->commit);
	check_all(&c);
	struct kg_snapshot *s = NULL;
	OK(kg_store_load(&s, c.store, &err));
	assert_true(test_same_snapshot(s, c.now));
	kg_snapshot_unref(s);
	/* Main never gets ahead of it. */
	test_put_node(&c, "n", 0);
	OK(test_commit_push(&c, c.now->commit, &err));
	OK(kg_store_set_main(c.store, "", c.now->main_commit, &err));
	state_ref(*state, ref);
	assert_string_equal(ref, c.now->commit);
	check_and_close(&c);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By itself, with nobody in a hurry. */
static void wait_for_git(const char *dir, const struct test_cluster *c)
{
	char ref[41] = "";

	for (int i = 0; i < 10000 && strcmp(ref, c->now->commit) != 0; i++)
		state_ref(dir, ref);
	assert_string_equal(ref, c->now->commit);
}

/* The first one after a silence is there soon, the next ones wait for each other. */
static void test_stream_gathers(void **state)
{
	struct test_cluster c;

	test_linger_ms = 1000;
	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 1);
	wait_for_git(*state, &c);
	int64_t since = now_ms();
	live(&c, 3);
	wait_for_git(*state, &c);
	assert_true(now_ms() - since > 500);
	check_and_close(&c);
}

/* Some pods that say so many bytes each. */
static void say_much(struct test_cluster *c, int pods, size_t n)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *text = kg_arena_alloc(&a, n + 1);

	change(c, pods);
	memset(text, 'x', n);
	for (int i = 0; i < pods; i++) {
		char name[40];

		snprintf(
			name, sizeof(name), "web-%llu-%d", (unsigned long long)c->now->revision, i);
		const struct kg_object *pod =
			kg_snapshot_get(kg_txn_snapshot(test_txn(c)), KG_KIND_POD, "default", name);
		struct kg_value v =
			kg_with(&a, kg_obj(pod), "status.message", kg_v_strn(&a, text, n));
		kg_txn_put(test_txn(c), kg_object_with(pod, &v));
	}
}

/* Git's files do not wait for more once there is much, which would fill the journal. */
static void test_much_goes_at_once(void **state)
{
	char before[41], ref[41];
	struct test_cluster c;

	test_linger_ms = LONG_MS;
	test_journal_size = 64u << 20;
	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 1);
	state_ref(*state, before);
	for (int i = 0; i < 6; i++) {
		say_much(&c, 4, 300000);
		OK(test_commit(&c, &err));
	}
	for (int i = 0; i < 10000; i++) {
		state_ref(*state, ref);
		if (strcmp(ref, before) != 0)
			break;
	}
	assert_string_not_equal(ref, before);
	check_and_close(&c);
}

/* Many times the journal's size, in records of all sizes, also larger than a half. */
static void test_round_and_round(void **state)
{
	struct test_cluster c;

	test_journal_size = SMALL;
	OK(test_open(&c, *state, true, NULL, &err));
	for (int i = 0; i < 150; i++) {
		change(&c, i == 140 ? 1500 : i % 10 == 9 ? 100 : 5);
		OK(test_commit(&c, &err));
	}
	check_and_close(&c);
	crash(*state, 3, false);
	OK(test_open(&c, *state, false, NULL, &err));
	assert_int_equal(c.now->revision, 153);
	test_close(&c);
	assert_true(test_fsck(*state));
}

/* Hands in the repository while the journal has more. */
static void test_contradiction(void **state)
{
	char *journal KG_AUTOFREE = kg_asprintf("%s/kgit/journal", (char *)*state);
	struct kg_error e = {0};
	struct test_cluster c;
	char was[41], ref[41];

	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 3);
	test_close(&c);
	crash(*state, 3, false);
	state_ref(*state, was);
	assert_int_equal(
		TEST_GIT(NULL, *state, "update-ref", "refs/kgit/state", "refs/kgit/state~2"), 0);
	assert_int_equal(test_open(&c, *state, false, NULL, &e), -KG_E_CORRUPT);
	assert_non_null(strstr(e.msg, "the journal has revision 4"));
	/* As the message says: the ref back ... */
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/kgit/state", was), 0);
	OK(test_open(&c, *state, false, NULL, &err));
	assert_int_equal(c.now->revision, 6);
	test_close(&c);
	crash(*state, 1, false);
	state_ref(*state, was);
	assert_int_equal(
		TEST_GIT(NULL, *state, "update-ref", "refs/kgit/state", "refs/kgit/state~1"), 0);
	assert_int_equal(test_open(&c, *state, false, NULL, &e), -KG_E_CORRUPT);
	/* ... or without the journal. */
	unlink(journal);
	OK(test_open(&c, *state, false, NULL, &err));
	assert_int_equal(c.now->revision, 5);
	live(&c, 1);
	check_all(&c);
	/* While it is open: what was acknowledged is not given up. */
	state_ref(*state, ref);
	test_flush(&c);
	state_ref(*state, was);
	assert_int_equal(
		TEST_GIT(NULL, *state, "update-ref", "refs/kgit/state", "refs/kgit/state~1"), 0);
	change(&c, 1);
	assert_int_equal(test_commit(&c, &e), -KG_E_CONFLICT);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/kgit/state", was), 0);
	live(&c, 1);
	check_and_close(&c);
}

/* A repository of a kgit without a journal gets one; one without room for it does without. */
static void test_without(void **state)
{
	char *journal KG_AUTOFREE = kg_asprintf("%s/kgit/journal", (char *)*state);
	struct test_cluster c;
	char ref[41];

	test_journal_size = KG_STORE_NO_JOURNAL;
	OK(test_open(&c, *state, true, NULL, &err));
	live(&c, 3);
	assert_false(kg_path_exists(journal));
	state_ref(*state, ref);
	assert_string_equal(ref, c.now->commit);
	test_close(&c);
	test_journal_size = 1 << 20;
	OK(test_open(&c, *state, false, NULL, &err));
	assert_true(kg_path_exists(journal));
	live(&c, 3);
	check_and_close(&c);
}

/* A disk that is full: the journal takes what it can, then commits fail, readers do not; with
 * room again everything goes on, in the same process or in the next. */
static void test_no_space(void **state)
{
	char *dir = *state;
	struct kg_error e = {0};
	struct test_cluster c;
	int rc = 0;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=8m") < 0) {
		print_message("SKIPPED: cannot mount a tmpfs here\n");
		skip();
	}
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", dir);
	char *ballast KG_AUTOFREE = kg_asprintf("%s/ballast", dir);
	struct kg_buf zeros KG_AUTOBUF = KG_BUF_INIT;
	test_journal_size = SMALL;
	OK(test_open(&c, repo, true, NULL, &err));
	live(&c, 3);
	/* Then the list of revisions needs another block, too, soon. */
	while (c.now->revision < 200) {
		change(&c, 5);
		OK(test_commit(&c, &err));
	}
	test_flush(&c);
	/* Takes all there is. */
	kg_buf_reserve(&zeros, 9 << 20);
	int fd = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	while (write(fd, zeros.data, 4096) == 4096)
		;
	close(fd);
	uint64_t full = c.now->revision;
	for (int i = 0; rc == 0 && i < 1000; i++) {
		change(&c, 5);
		rc = test_commit(&c, &e);
	}
	assert_int_equal(rc, -KG_E_NO_SPACE);
	uint64_t last = c.now->revision;
	assert_true(last > full + 10);
	assert_int_equal(kg_store_flush(c.store, 10000, &e), -KG_E_NO_SPACE);
	for (uint64_t r = 0; r <= last; r += 5) {
		struct kg_snapshot *s = NULL;

		OK(kg_store_load_at(&s, c.store, r, &err));
		kg_snapshot_unref(s);
	}
	/* The next start serves as well. */
	test_close(&c);
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	OK(test_open(&c, repo, false, &notes, &err));
	assert_int_equal(c.now->revision, last);
	assert_non_null(strstr(kg_buf_str(&notes), "git's files are behind"));
	change(&c, 5);
	assert_int_equal(test_commit(&c, &e), -KG_E_NO_SPACE);
	unlink(ballast);
	change(&c, 5);
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, last + 1);
	test_flush(&c);
	check_and_close(&c);
	assert_int_equal(umount(dir), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, test_end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_records),
		CASE(test_halves),
		CASE(test_torn),
		CASE(test_replay),
		CASE(test_readers_see_it),
		CASE(test_stream_gathers),
		CASE(test_much_goes_at_once),
		CASE(test_round_and_round),
		CASE(test_contradiction),
		CASE(test_without),
		CASE(test_no_space),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
