/* Several openers, somebody else's hands in the repository, and what a crash leaves in it. */
#include "store/test_support.h"

#include "base/mem.h"
#include "store/compact.h"
#include "store/private.h"
#include "store/refs.h"
#include "sys/file.h"

#include <dirent.h>
#include <fcntl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
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
	/* As a git has it that packs refs, for as long as this takes. */
	kg_ref_set_lock_wait(600000);
	test_write(*state, "refs/kgit/state.lock", "");
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	for (int i = 0; i < 3000 && !count_packs(*state, ".keep"); i++)
		usleep(10000);
	assert_int_equal(count_packs(*state, ".keep"), 1);
	assert_int_equal(TEST_GIT(NULL, *state, "repack", "-a", "-d", "-q"), 0);
	assert_int_equal(count_packs(*state, ".keep"), 1);
	assert_int_equal(unlink(lock), 0);
	kg_ref_set_lock_wait(KG_REF_LOCK_WAIT_MS);
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

static void make_old(const char *dir, const char *name, time_t seconds)
{
	struct timespec then = {.tv_sec = time(NULL) - seconds};
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	OK(utimensat(AT_FDCWD, path, (struct timespec[]){then, then}, AT_SYMLINK_NOFOLLOW));
}

static char *compact_once(struct test_cluster *c)
{
	struct kg_buf notes = KG_BUF_INIT;
	struct kg_compact_options o = {.notes = &notes};
	struct kg_compact_result r;

	OK(kg_store_compact(&r, c->store, &o, &err));
	kg_buf_addc(&notes, '\n');
	return notes.data;
}

static const struct slow {
	const char *label, *name, *file; /* the quarantine, and what is in it */
	time_t age, file_age;            /* hours: of the quarantine, of all in it */
	bool held;                       /* by a process that is there */
	bool goes;                       /* once the clock is known to be right for an hour */
} slow[] = {
	{"a pack that comes in", "tmp_objdir-incoming-1", "tmp_pack_1", 24 * 365 * 50, 0, 0, 0},
	{"one that came an hour ago", "tmp_objdir-incoming-2", "pack-1.pack", 2, 2, true, false},
	{"of old, held", "tmp_objdir-incoming-3", "pack-1.pack", 24 * 365 * 50, 24 * 365 * 50, 1,
		0},
	{"nobody's", "tmp_objdir-incoming-4", "tmp_pack_1", 2, 2, false, true},
	{"nobody's, of before the boot", "tmp_objdir-incoming-5", "tmp_pack_1", 24 * 365 * 50,
		24 * 365 * 50, false, true},
	{"nobody's, as git before 2.35 has it", "incoming-6", "tmp_pack_1", 2, 2, false, true},
	{"as git before 2.35 has it", "incoming-7", "tmp_pack_1", 2, 0, false, false},
};

static void make_slow(const char *dir, const struct slow *t)
{
	char *pack KG_AUTOFREE = kg_asprintf("objects/%s/pack", t->name), host[256] = "";
	char *top KG_AUTOFREE = kg_asprintf("objects/%s", t->name);
	char *file KG_AUTOFREE = kg_asprintf("%s/%s", pack, t->file);
	char *keep KG_AUTOFREE = kg_asprintf("%s/pack-1.keep", pack);
	char *path KG_AUTOFREE = made_dir(dir, pack);

	assert_true(kg_path_exists(path));
	OK(gethostname(host, sizeof(host) - 1));
	test_write(dir, file, "PACK");
	make_old(dir, file, t->file_age * 3600);
	if (t->held) {
		write_keep(dir, keep, getpid(), host);
		make_old(dir, keep, t->file_age * 3600);
	}
	make_old(dir, pack, t->age * 3600);
	make_old(dir, top, t->age * 3600);
}

/* A push may take hours, and the clock may be set while it does. */
static void test_slow_pushes(void **state)
{
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(slow); i++)
		make_slow(*state, &slow[i]);
	char *first KG_AUTOFREE = compact_once(&c);
	assert_string_equal(first, "\n");
	c.store->steady.since -= 2 * 3600;
	char *then KG_AUTOFREE = compact_once(&c);
	for (size_t i = 0; i < KG_ARRAY_LEN(slow); i++) {
		char *path KG_AUTOFREE = kg_asprintf("objects/%s", slow[i].name);
		char *line KG_AUTOFREE =
			kg_asprintf("removed unfinished push %s/%s\n", (char *)*state, path);

		if (test_exists(*state, path) == slow[i].goes ||
			(strstr(then, line) != NULL) != slow[i].goes)
			fail_msg(
				"%s: %s, %s", slow[i].label, slow[i].goes ? "stays" : "goes", then);
	}
	test_close(&c);
}

/* What cannot be looked at is told, and compaction goes on. */
static void test_unreadable_push(void **state)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/objects/tmp_objdir-incoming-1", (char *)*state);
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	OK(mkdir(path, 0700));
	char *pack KG_AUTOFREE = kg_asprintf("%s/pack", path);
	OK(symlink("pack", pack)); /* ELOOP, for root as well */
	char *notes KG_AUTOFREE = compact_once(&c);
	assert_non_null(strstr(notes, "what unfinished pushes left cannot be removed: "));
	assert_non_null(strstr(notes, "tmp_objdir-incoming-1"));
	test_close(&c);
}

static void test_steady(void **state)
{
	static const struct {
		int64_t wall, up;
		bool steady;
	} looks[] = {
		{1000, 50, false},
		{4000, 3050, false},
		{4601, 3651, true},
		{4662, 3711, true},   /* a second is no step */
		{94662, 3771, false}, /* forward */
		{98000, 7109, false},
		{98300, 7409, true},
		{8000, 7469, false}, /* backward */
		{11602, 11070, true},
	};
	struct kg_steady c = {0};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(looks); i++)
		if (kg_steady(&c, looks[i].wall, looks[i].up, 3600) != looks[i].steady)
			fail_msg("look %zu", i);
}

/* What may be a ref's name is what git says, and what may not reaches no file. */
static void test_ref_names(void **state)
{
	static const char *const names[] = {"refs/heads/a", "refs/heads/a/b", "refs/tags/v1.0",
		"refs/x/@", "refs/heads/@{", "refs/heads/a@{b", "refs/heads/@", "refs/heads/a b",
		"refs/heads/..", "refs/heads/../../../secret", "refs/heads/a..b", "refs/heads/.a",
		"refs/heads/a/.b", "refs/heads/a.", "refs/heads/a./b", "refs/heads/a.lock",
		"refs/heads/a.lock/b", "refs/heads/", "refs/heads//a", "refs/heads/a/", "refs//a",
		"refs/heads/a~1", "refs/heads/a^", "refs/heads/a:b", "refs/heads/a?",
		"refs/heads/a*", "refs/heads/*", "refs/heads/[a", "refs/heads/a\\b",
		"refs/heads/a\x01", "refs/heads/a\x7f", "refs/heads/\xc3\xa4", "refs/heads/-a",
		"refs/heads/\xff"};
	static const char *const never[] = {"", "HEAD", "refs", "refs/", "refs/a", "/refs/heads/a",
		"../secret", "secret", "heads/a"};
	char name[400] = "refs/heads/";

	assert_int_equal(TEST_GIT(NULL, *state, "init", "-q", "--bare"), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		bool git = TEST_GIT(NULL, *state, "check-ref-format", names[i]) == 0;

		if ((kg_ref_check_format(*state, names[i], &(struct kg_error){0}) == 0) != git)
			fail_msg("%zu, %s: git says %s", i, names[i], git ? "yes" : "no");
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(never); i++)
		if (kg_ref_check_format(*state, never[i], &(struct kg_error){0}) != -KG_E_INVALID)
			fail_msg("%s", never[i]);
	memset(name + 11, 'a', 250); /* with ".lock" it is 255 */
	OK(kg_ref_check_format(*state, name, &err));
	name[11 + 250] = 'a';
	assert_int_equal(kg_ref_check_format(*state, name, &(struct kg_error){0}), -KG_E_INVALID);
}

/* A file that is no ref is not told of, and one that blocks is not opened. */
static void test_no_ref(void **state)
{
	char *fifo KG_AUTOFREE = kg_asprintf("%s/refs/fifo", (char *)*state), now[41];
	struct kg_error e = {0};

	char *refs KG_AUTOFREE = made_dir(*state, "refs");
	test_write(refs, "secret", "what nobody may know");
	assert_int_equal(kg_ref_read(now, *state, "refs/secret", &e), -KG_E_CORRUPT);
	assert_null(strstr(e.msg, "nobody"));
	OK(mkfifo(fifo, 0600));
	assert_int_equal(kg_ref_read(now, *state, "refs/fifo", &e), -KG_E_CORRUPT);
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
		TEST_CASE(test_slow_pushes),
		TEST_CASE(test_unreadable_push),
		TEST_CASE(test_steady),
		TEST_CASE(test_ref_names),
		TEST_CASE(test_no_ref),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
