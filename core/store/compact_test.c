/* Compaction: what goes, what stays, and what happens beside it. */
#include "store/compact.h"
#include "store/hidden.h"
#include "store/private.h"
#include "store/shallow.h"
#include "store/test_support.h"

#include "base/hash.h"
#include "sys/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct kg_error err = {0};                                                         \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

static int setup(void **state)
{
	*state = test_dir();
	test_pack_limit = 1000000;
	return 0;
}

static int teardown(void **state)
{
	test_dir_remove(*state);
	return 0;
}

static struct test_template template;

static void set_value(struct test_cluster *c, int value)
{
	char text[80];

	snprintf(text, sizeof(text), "value %d", value);
	test_put_configmap(c, "default", "value", text);
}

/* Revisions up to `to`: each another value, some of them a pod. */
static void fill(struct test_cluster *c, uint64_t to)
{
	while (c->now->revision < to) {
		uint64_t r = c->now->revision;
		char pod[32];

		set_value(c, (int)r);
		snprintf(pod, sizeof(pod), "web-%d", (int)(r % 50));
		if (r % 3 == 0)
			test_put_pod(c, &template, "default", pod, "node-1");
		OK(test_commit(c, &err));
		if (r % 7 == 0)
			test_flush(c);
	}
}

static struct kg_compact_options now_and_all(uint64_t revisions)
{
	return (struct kg_compact_options){.revisions = revisions,
		.now = TEST_TIME,
		.grace_ms = KG_COMPACT_NO_GRACE,
		.force = true};
}

static struct kg_compact_result compact(struct test_cluster *c, uint64_t revisions)
{
	struct kg_compact_options o = now_and_all(revisions);
	struct kg_compact_result result;

	OK(kg_store_compact(&result, c->store, &o, &err));
	return result;
}

static size_t count_lines(const char *dir, const char *const *args)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	size_t n = 0;

	assert_int_equal(test_git(&out, dir, args), 0);
	for (size_t i = 0; i < out.len; i++)
		n += out.data[i] == '\n';
	return n;
}

static bool has_object(const char *dir, const char *hex)
{
	return TEST_GIT(NULL, dir, "cat-file", "-e", hex) == 0;
}

static void commit_of(char out[41], struct test_cluster *c, uint64_t revision)
{
	struct kg_snapshot *s = NULL;

	OK(kg_store_load_at(&s, c->store, revision, &err));
	memcpy(out, s->commit, 41);
	kg_snapshot_unref(s);
}

static int count_changes(
	void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	*(size_t *)ctx += changes->len;
	return 0;
}

/* Everything from the oldest on can be read, and nothing before. */
static void check_readable(struct test_cluster *c, uint64_t oldest)
{
	struct kg_snapshot *s = NULL;
	struct kg_error e = {0};
	size_t n = 0;

	assert_int_equal(kg_store_oldest(c->store), oldest);
	for (uint64_t r = oldest; r <= c->now->revision; r++) {
		OK(kg_store_load_at(&s, c->store, r, &err));
		assert_int_equal(s->revision, r);
		kg_snapshot_unref(s);
	}
	OK(kg_store_changes(c->store, oldest, c->now->revision, 0, count_changes, &n, &err));
	assert_true(n >= c->now->revision - oldest);
	if (oldest == 0)
		return;
	assert_int_equal(kg_store_load_at(&s, c->store, oldest - 1, &e), -KG_E_GONE);
	char *want KG_AUTOFREE = kg_asprintf("the oldest that is kept is %d", (int)oldest);
	assert_non_null(strstr(e.msg, want));
	assert_int_equal(kg_store_changes(c->store, oldest - 1, oldest, 0, count_changes, &n, &e),
		-KG_E_GONE);
}

static void reopen(struct test_cluster *c)
{
	char *dir KG_AUTOFREE = kg_strdup(c->dir);

	test_close(c);
	OK(test_open(c, dir, false, NULL, &err));
}

/* ---- packs alone ---- */

static void test_packs(void **state)
{
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 150);
	struct kg_compact_result r = compact(&c, 0);
	assert_int_equal(r.dropped, 0);
	assert_true(r.packs_after <= 2);
	assert_true(r.bytes_after < r.bytes_before * 3 / 4);
	assert_true(test_fsck(*state));
	check_readable(&c, 0);
	assert_int_equal(
		count_lines(*state, (const char *[]){"rev-list", "refs/kgit/state", NULL}), 151);
	/* Nothing is left to do, and done again it is the same. */
	struct kg_compact_options o = {.now = TEST_TIME};
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.bytes_after, r.bytes_before);
	r = compact(&c, 0);
	assert_int_equal(r.bytes_after, r.bytes_before);
	fill(&c, 200);
	compact(&c, 0);
	reopen(&c);
	check_readable(&c, 0);
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
	fill(&c, 100);
	commit_of(old, &c, 80);
	commit_of(oldest, &c, 81);
	struct kg_compact_result r = compact(&c, 20);
	assert_int_equal(r.oldest, 81);
	assert_int_equal(r.dropped, 81);
	assert_true(r.objects_gone > 80 * 4);
	assert_false(has_object(repo, old));
	assert_true(has_object(repo, oldest));
	check_readable(&c, 81);
	assert_true(test_fsck(repo));
	assert_int_equal(
		count_lines(repo, (const char *[]){"rev-list", "refs/kgit/state", NULL}), 20);
	/* Others can have it. */
	assert_int_equal(TEST_GIT(NULL, *state, "init", "-q", "--bare", clone), 0);
	assert_int_equal(TEST_GIT(NULL, clone, "fetch", "-q", "--update-shallow", url,
				 "+refs/kgit/state:refs/heads/state"),
		0);
	assert_true(test_fsck(clone));
	reopen(&c);
	check_readable(&c, 81);
	fill(&c, 130);
	check_readable(&c, 81);
	/* The next one takes the place of the first. */
	assert_int_equal(compact(&c, 20).oldest, 111);
	check_readable(&c, 111);
	assert_true(test_fsck(repo));
	struct kg_shallow s;
	OK(kg_shallow_read(&s, repo, &err));
	assert_int_equal(s.n, 1);
	kg_shallow_release(&s);
	assert_false(has_object(repo, oldest));
	reopen(&c);
	check_readable(&c, 111);
	test_close(&c);
}

static void test_age(void **state)
{
	struct kg_compact_options o = now_and_all(0);
	struct kg_compact_result r;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 50);
	/* A revision is 1,234 ms after the one before it; times of commits are whole seconds. */
	o.now = c.now->time;
	o.age_ms = 1234 * 10 + 1000;
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_in_range(r.oldest, 38, 41);
	check_readable(&c, r.oldest);
	/* The head stays, however old it is. */
	o.now += 1000000000;
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 50);
	check_readable(&c, 50);
	assert_true(test_fsck(*state));
	fill(&c, 60);
	check_readable(&c, 50);
	test_close(&c);
}

/* A few more than the limit are no reason to walk over everything. */
static void test_not_due(void **state)
{
	struct kg_compact_options o = now_and_all(90);
	struct kg_compact_result r;
	struct test_cluster c;

	o.force = false;
	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 95);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 0);
	fill(&c, 110);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 21);
	check_readable(&c, 21);
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
	struct kg_compact_options o = now_and_all(10);
	struct kg_compact_result r;
	struct test_cluster c;
	char old[41];

	o.grace_ms = 0;
	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 50);
	commit_of(old, &c, 3);
	/* Nobody reads it any more, but it is there. */
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 41);
	assert_int_equal(r.objects_gone, 0);
	assert_true(has_object(*state, old));
	check_readable(&c, 41);
	assert_true(test_fsck(*state));
	/* The horizon waits for the one before it. */
	fill(&c, 70);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 41);
	reopen(&c);
	check_readable(&c, 41);
	make_all_older(*state);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_true(r.objects_gone > 0);
	assert_false(has_object(*state, old));
	check_readable(&c, 41);
	assert_true(test_fsck(*state));
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_int_equal(r.oldest, 61);
	test_close(&c);
}

/* ---- what users have ---- */

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
	fill(&c, 5);
	for (int i = 0; i < 3; i++) {
		set_value(&c, 1000 + i);
		OK(test_commit_push(&c, main_[i], &err));
		OK(kg_store_set_main(c.store, i ? main_[i - 1] : "", main_[i], &err));
		fill(&c, c.now->revision + 5);
	}
	/* Somebody keeps an old state as a branch of his own. */
	commit_of(state_commit, &c, 10);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", branches[3], state_commit), 0);
	pack_loose(*state);
	fill(&c, 60);
	compact(&c, 10);
	check_readable(&c, 51);
	assert_true(test_fsck(*state));
	for (int i = 0; i < 3; i++)
		assert_true(has_object(*state, side[i]));
	assert_true(has_object(*state, main_[2]));
	assert_true(has_object(*state, state_commit));
	assert_int_equal(count_lines(*state, (const char *[]){"rev-list", "--first-parent",
						     state_commit, NULL}),
		11);
	/* Reached by the history that went, and by nothing else. */
	fill(&c, 100);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "-d", branches[3]), 0);
	compact(&c, 10);
	assert_false(has_object(*state, state_commit));
	assert_true(has_object(*state, main_[2]));
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
	fill(&c, 30);
	compact(&c, 10);
	for (size_t i = 0; i < 5; i++)
		assert_true(has_object(*state, ids[i]));
	assert_true(test_fsck(*state));
	test_close(&c);
}

/* A branch between two horizons keeps the older of them. */
static void test_branch_between(void **state)
{
	struct test_cluster c;
	char between[41];

	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 50);
	compact(&c, 20);
	commit_of(between, &c, 40);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/heads/old", between), 0);
	fill(&c, 80);
	assert_int_equal(compact(&c, 10).oldest, 71);
	assert_true(test_fsck(*state));
	assert_int_equal(
		count_lines(*state, (const char *[]){"rev-list", "refs/heads/old", NULL}), 10);
	assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "-d", "refs/heads/old"), 0);
	fill(&c, 100);
	compact(&c, 10);
	assert_false(has_object(*state, between));
	assert_true(test_fsck(*state));
	struct kg_shallow s;
	OK(kg_shallow_read(&s, *state, &err));
	assert_int_equal(s.n, 1);
	kg_shallow_release(&s);
	test_close(&c);
}

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

static bool any_hidden(const char *repo)
{
	char *packs KG_AUTOFREE = kg_asprintf("%s/objects/pack", repo);
	DIR *d = opendir(packs);
	struct dirent *e;
	bool found = false;

	assert_non_null(d);
	while ((e = readdir(d)))
		found |= strncmp(e->d_name, "hidden-", 7) == 0;
	closedir(d);
	return found;
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
	fill(&c, 40);
	commit_of(doomed, &c, 5);
	struct beside b = {.c = &c, .o = now_and_all(10)};
	assert_int_equal(mkdir(quarantine, 0755), 0);
	assert_int_equal(pthread_create(&thread, NULL, compact_beside, &b), 0);
	/* The quarantine keeps it waiting from then on. */
	for (int i = 0; !any_hidden(*state) && i < 60000; i++)
		usleep(1000);
	assert_true(any_hidden(*state));
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
	assert_int_equal(has_object(*state, doomed), uses);
	assert_false(any_hidden(*state));
	if (uses)
		assert_int_equal(TEST_GIT(NULL, *state, "update-ref", "refs/heads/x", pushed), 0);
	assert_true(test_fsck(*state));
	check_readable(&c, 31);
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
	struct kg_compact_options o = now_and_all(30);
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
		set_value(&c, i % 45);
		if (i % 10 == 0)
			test_put_pod(&c, &template, "default", i % 20 ? "a" : "b", "node-1");
		OK(test_commit(&c, &err));
		if (i % 5 == 0)
			test_flush(&c);
	}
	atomic_store(&s.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&s.failed), 0);
	test_flush(&c);
	assert_true(test_fsck(*state));
	check_readable(&c, kg_store_oldest(c.store));
	reopen(&c);
	check_readable(&c, kg_store_oldest(c.store));
	test_close(&c);
}

static void test_cancel(void **state)
{
	struct kg_compact_options o = now_and_all(10);
	struct kg_compact_result r;
	struct kg_error e = {0};
	struct test_cluster c;
	int p[2];

	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 40);
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_int_equal(write(p[1], "", 1), 1);
	o.cancel = p[0];
	assert_int_equal(kg_store_compact(&r, c.store, &o, &e), -KG_E_UNAVAILABLE);
	close(p[0]);
	close(p[1]);
	assert_true(test_fsck(*state));
	check_readable(&c, 31);
	compact(&c, 10);
	check_readable(&c, 31);
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
	fill(&c, 20);
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
	assert_false(any_hidden(*state));
	assert_false(kg_path_exists(left));
	check_readable(&c, 0);
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
	fill(&c, 30);
	commit_of(boundary, &c, 20);
	assert_int_equal(kg_unhex(id, 20, boundary), 0);
	kg_shallow_add(&s, id);
	OK(kg_shallow_write(*state, &s, &err));
	kg_shallow_release(&s);
	reopen(&c);
	check_readable(&c, 20);
	/* The same without the cache. */
	test_flush(&c);
	assert_int_equal(unlink(cache), 0);
	reopen(&c);
	check_readable(&c, 20);
	compact(&c, 0);
	check_readable(&c, 20);
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
	struct kg_compact_options o = now_and_all(10);
	struct kg_compact_result r;
	struct test_cluster c;

	o.grace_ms = 0;
	OK(test_open(&c, *state, true, NULL, &err));
	fill(&c, 50);
	OK(kg_store_compact(&r, c.store, &o, &err));
	make_all_older(*state);
	make_orphan(*state, packed);
	make_older(shallow);
	OK(kg_store_compact(&r, c.store, &o, &err));
	assert_true(r.objects_gone > 0);
	check_readable(&c, 41);
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
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_packs),
		CASE(test_drop),
		CASE(test_age),
		CASE(test_not_due),
		CASE(test_grace),
		CASE(test_users),
		CASE(test_large),
		CASE(test_branch_between),
		CASE(test_push_that_needs),
		CASE(test_push_that_does_not),
		CASE(test_beside_writer),
		CASE(test_cancel),
		CASE(test_hidden),
		CASE(test_boundary_alone),
		CASE(test_broken_link_loose),
		CASE(test_broken_link_packed),
	};

	kg_kinds_init();
	test_template_init(&template, 1);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	test_template_release(&template);
	return rc;
}
