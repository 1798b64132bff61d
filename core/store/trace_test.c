#include "store/compact.h"
#include "store/test_support.h"
#include "store/trace.h"

#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- against every snapshot that there was ---- */

#define REVISIONS 150
#define NAMES     60 /* enough for directories to be split and put together again */

static struct kg_snapshot *snapshots[REVISIONS + 1];

static unsigned next_random(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static void change(struct test_cluster *c, const struct test_template *t, unsigned *seed)
{
	char name[32];
	unsigned n = next_random(seed) % NAMES;
	unsigned what = next_random(seed) % 4;

	snprintf(name, sizeof(name), "pod-%u", n);
	bool there = kg_snapshot_get(kg_txn_snapshot(test_txn(c)), KG_KIND_POD, "default", name);
	if (!there)
		test_put_pod(c, t, "default", name, n % 2 ? "node-1" : NULL);
	else if (what == 0)
		kg_txn_delete(test_txn(c), KG_KIND_POD, "default", name);
	else if (n % 2)
		test_set_status(c, "default", name, (int)next_random(seed));
	else
		test_put_configmap(c, "default", name, what == 1 ? "one" : "two");
}

static void make_history(struct test_cluster *c, const struct test_template *t)
{
	unsigned seed = 7;

	snapshots[0] = kg_snapshot_ref(c->now);
	for (int r = 1; r <= REVISIONS; r++) {
		test_txn(c);
		for (unsigned k = next_random(&seed) % 8; k > 0; k--)
			change(c, t, &seed);
		OK(test_commit(c, &err));
		snapshots[r] = kg_snapshot_ref(c->now);
	}
}

static void drop_history(void)
{
	for (int r = 0; r <= REVISIONS; r++)
		kg_snapshot_unref(snapshots[r]);
}

static const struct kg_object *at(int revision, const char *name)
{
	return kg_snapshot_get(snapshots[revision], KG_KIND_POD, "default", name);
}

static bool equal(const struct kg_object *a, const struct kg_object *b)
{
	if (!a || !b)
		return a == b;
	return a->revision == b->revision && kg_equal(kg_obj(a), kg_obj(b));
}

/* The whole history, asked for in pieces, is that of the snapshots. */
static void check_name(struct kg_store *store, const char *name, size_t limit, size_t budget)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_trace_options opts = {.limit = limit, .budget = budget, .namesakes = true};
	int r = REVISIONS;

	do {
		struct kg_trace trace KG_CLEANUP(kg_trace_release);

		OK(kg_store_trace(
			&trace, store, &a, &kg_kinds[KG_KIND_POD], "default", name, &opts, &err));
		for (size_t i = 0; i < trace.n; i++) {
			const struct kg_trace_step *s = &trace.steps[i];

			while (r > 0 && equal(at(r, name), at(r - 1, name)))
				r--;
			assert_int_equal(s->commit.revision, r);
			assert_true(equal(s->object, at(r, name)));
			assert_int_equal(s->commit.time, snapshots[r]->time);
			r--;
		}
		if (trace.n)
			assert_true(equal(trace.before, at(r, name)));
		assert_false(trace.cut);
		opts.from = trace.next;
	} while (opts.from);
	while (r > 0 && equal(at(r, name), at(r - 1, name)))
		r--;
	assert_int_equal(r, 0);
}

static void test_against_snapshots(void **state)
{
	struct test_template t;
	struct test_cluster c;
	char name[32];

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	make_history(&c, &t);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		check_name(c.store, name, 1000, 1000);
		check_name(c.store, name, 1 + (size_t)i % 3, 2 + (size_t)i % 7);
	}
	check_name(c.store, "never-there", 10, 20);
	drop_history();
	test_template_release(&t);
	test_close(&c);
}

/* Down to the horizon it is as before, and then says so. */
static void check_cut(struct kg_store *store, const char *name, int oldest)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_trace_options opts = {.limit = 1000, .budget = 1000, .namesakes = true};
	struct kg_trace trace KG_CLEANUP(kg_trace_release);
	int r = REVISIONS;

	OK(kg_store_trace(&trace, store, &a, &kg_kinds[KG_KIND_POD], "default", name, &opts, &err));
	for (size_t i = 0; i < trace.n; i++) {
		while (equal(at(r, name), at(r - 1, name)))
			r--;
		assert_true(r >= oldest);
		assert_int_equal(trace.steps[i].commit.revision, r);
		assert_true(equal(trace.steps[i].object, at(r, name)));
		r--;
	}
	for (; r > oldest; r--)
		assert_true(equal(at(r, name), at(r - 1, name)));
	assert_true(trace.cut);
	assert_int_equal(trace.next, 0);
}

static void test_horizon(void **state)
{
	struct kg_compact_options opts = {
		.revisions = 50, .grace_ms = KG_COMPACT_NO_GRACE, .force = true};
	struct kg_compact_result result;
	struct test_template t;
	struct test_cluster c;
	char name[32];

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	make_history(&c, &t);
	test_flush(&c);
	OK(kg_store_compact(&result, c.store, &opts, &err));
	assert_true(result.oldest > 0);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "pod-%d", i);
		check_cut(c.store, name, (int)result.oldest);
	}
	check_cut(c.store, "never-there", (int)result.oldest);
	drop_history();
	test_template_release(&t);
	test_close(&c);
}

/* Without namesakes it ends at the creation. */
static void test_one_life(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_trace_options opts = {.limit = 100, .budget = 100};
	struct kg_trace trace;
	struct test_template t;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	test_put_pod(&c, &t, "default", "web", "node-1");
	OK(test_commit(&c, &err)); /* 1 */
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "web");
	OK(test_commit(&c, &err)); /* 2 */
	test_put_pod(&c, &t, "default", "web", "node-1");
	OK(test_commit(&c, &err)); /* 3 */
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "web");
	OK(test_commit(&c, &err)); /* 4 */
	OK(kg_store_trace(
		&trace, c.store, &a, &kg_kinds[KG_KIND_POD], "default", "web", &opts, &err));
	assert_int_equal(trace.n, 2);
	assert_int_equal(trace.steps[0].commit.revision, 4);
	assert_null(trace.steps[0].object);
	assert_int_equal(trace.steps[1].commit.revision, 3);
	assert_non_null(trace.steps[1].object);
	assert_null(trace.before);
	assert_int_equal(trace.next, 0);
	assert_string_equal(trace.steps[0].commit.subject, "1 changes");
	kg_trace_release(&trace);
	opts.from = 1000;
	struct kg_error err;
	assert_int_equal(kg_store_trace(&trace, c.store, &a, &kg_kinds[KG_KIND_POD], "default",
				 "web", &opts, &err),
		-KG_E_NOT_FOUND);
	test_template_release(&t);
	test_close(&c);
}

/* ---- blame ---- */

#define GIT(...) assert_int_equal(TEST_GIT(NULL, work, __VA_ARGS__), 0)

static void head(char out[41], const char *work)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;

	assert_int_equal(TEST_GIT(&text, work, "rev-parse", "HEAD"), 0);
	snprintf(out, 41, "%.40s", text.data);
}

/* "NAME: TEXT" into the file, committed by that name. */
static void commit_file(const char *work, const char *file, const char *text, const char *subject)
{
	char *command KG_AUTOFREE = kg_asprintf(
		"mkdir -p $(dirname %s/%s) && printf '%s' >%s/%s", work, file, text, work, file);

	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a test's own words */
	GIT("add", "-A");
	GIT("commit", "-q", "-m", subject);
}

static void assert_blame(
	struct kg_store *store, const char *commit, const char *path, const char *subject)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_blame b;

	OK(kg_store_blame(&b, store, &a, commit, path, 100, &err));
	assert_string_equal(b.subject, subject);
	assert_string_equal(b.author, "t <t@example.com>");
	assert_true(b.time > 0);
}

static void test_blame(void **state)
{
	char *work KG_AUTOFREE = kg_asprintf("%s/work", (char *)*state);
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", (char *)*state);
	static const char manifest[] =
		"\\n---\\napiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: "
		"b}\\n";
	struct test_cluster c;
	char tip[41];

	OK(test_open(&c, repo, true, NULL, &err));
	assert_int_equal(TEST_GIT(NULL, *state, "init", "-q", "-b", "main", "work"), 0);
	commit_file(work, "a/x.yaml", "one", "first");
	commit_file(work, "b.yaml", manifest, "b is there");
	GIT("checkout", "-q", "-b", "side");
	commit_file(work, "a/x.yaml", "two", "x on the side");
	GIT("checkout", "-q", "main");
	commit_file(work, "c.yaml", "", "c");
	GIT("merge", "-q", "--no-edit", "-m", "the merge", "side");
	GIT("mv", "c.yaml", "d.yaml");
	GIT("commit", "-q", "-m", "moved");
	head(tip, work);
	GIT("push", "-q", repo, "main:refs/heads/other");
	assert_blame(c.store, tip, "a/x.yaml", "x on the side");
	assert_blame(c.store, tip, "b.yaml", "b is there");
	assert_blame(c.store, tip, "d.yaml", "moved");
	assert_blame(c.store, tip, NULL, "moved");

	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_blame b;
	uint32_t line;
	assert_int_equal(
		kg_store_blame(&b, c.store, &a, tip, "c.yaml", 100, NULL), -KG_E_NOT_FOUND);
	OK(kg_store_line(
		&line, c.store, tip, "b.yaml", &kg_kinds[KG_KIND_CONFIGMAP], "default", "b", &err));
	assert_int_equal(line, 3);
	OK(kg_store_line(
		&line, c.store, tip, "b.yaml", &kg_kinds[KG_KIND_CONFIGMAP], "default", "c", &err));
	assert_int_equal(line, 0);
	test_close(&c);
}

/* git takes any date that fits in 64 bits. */
static void test_blame_dates(void **state)
{
	static const struct {
		const char *date;
		kg_time time;
	} cases[] = {
		{"0", 0},
		{"1700000000", INT64_C(1700000000000)},
		{"253402300799", INT64_C(253402300799000)},
		{"9223372036854775807", INT64_C(253402300799000)},
		{"-9223372036854775807", 0},
	};
	char *file KG_AUTOFREE = kg_asprintf("%s/commit", (char *)*state);
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", (char *)*state);
	struct test_cluster c;

	OK(test_open(&c, repo, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_buf hex KG_AUTOBUF = KG_BUF_INIT;
		char *text KG_AUTOFREE =
			kg_asprintf("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n"
				    "author a <a@b> %s +0000\ncommitter a <a@b> 1 +0000\n\nx\n",
				cases[i].date);
		struct kg_blame b;

		OK(kg_file_write(file, text, strlen(text), 0644, &err));
		assert_int_equal(TEST_GIT(&hex, repo, "hash-object", "-w", "--literally", "-t",
					 "commit", file),
			0);
		hex.data[40] = '\0';
		OK(kg_store_blame(&b, c.store, &a, hex.data, NULL, 1, &err));
		assert_true(b.time == cases[i].time);
	}
	test_close(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_CASE(test_against_snapshots),
		TEST_CASE(test_horizon),
		TEST_CASE(test_one_life),
		TEST_CASE(test_blame),
		TEST_CASE(test_blame_dates),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
