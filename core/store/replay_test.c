/* Revisions made again in memory: the same ids as the store's, and what differs where they are not.
 * And the format before this one, which is read and left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "store/replay.h"
#include "store/test_support.h"

#include <stdio.h>
#include <string.h>

/* The same commit to the store, and to a replay, with another text in `inputs` where it is given.
 */
static void commit_both(struct test_cluster *c, struct kg_replay *r, const char *inputs)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value reconciler = kg_v_obj(
		&a, "number", kg_v_int(3), "podCIDR", kg_v_lit("10.0.0.0/8"), (char *)NULL);
	struct kg_changes changes;
	struct kg_snapshot *next;
	struct kg_error err;

	kg_txn_finish(test_txn(c), &next, &changes);
	c->txn = NULL;
	struct kg_store_commit commit = {.next = next,
		.prev = c->now,
		.changes = &changes,
		.message = "words\n",
		.inputs = "nodes:\n- name: a\n",
		.reconciler = &reconciler};
	assert_int_equal(kg_store_commit(c->store, &commit, &err), 0);
	if (inputs)
		commit.inputs = inputs;
	assert_int_equal(kg_replay_commit(r, &commit, &err), 0);
	kg_changes_release(&changes);
	kg_snapshot_unref(c->now);
	c->now = next;
}

static void note(void *ctx, const char *path, const char *recorded, const char *recomputed)
{
	kg_buf_addf(
		ctx, "%s|%s|%s\n", path, recorded ? recorded : "-", recomputed ? recomputed : "-");
}

static void test_replay(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf diff KG_AUTOBUF = KG_BUF_INIT;
	struct kg_store_revision rev;
	struct test_cluster c;
	struct kg_replay *r;
	struct kg_error err;
	char *dir = test_dir(), tree[41];
	size_t n;

	(void)state;
	assert_int_equal(test_open(&c, dir, true, NULL, &err), 0);
	for (int i = 0; i < 40; i++) { /* more than one level of trees */
		char name[16];

		snprintf(name, sizeof(name), "node-%d", i);
		test_put_node(&c, name, 0);
	}
	assert_int_equal(test_commit(&c, &err), 0);
	assert_int_equal(kg_replay_new(&r, c.store, 1, &err), 0);
	for (int i = 0; i < 3; i++) {
		test_put_node(&c, "node-3", i + 1);
		test_put_configmap(&c, "default", "map", i ? "two" : "one");
		commit_both(&c, r, NULL);
		assert_int_equal(
			kg_store_revision_read(&rev, c.store, &a, c.now->revision, &err), 0);
		/* c.now has the replay's id by now. */
		assert_string_equal(rev.commit, c.now->commit);
		assert_string_equal(rev.text, kg_replay_text(r));
		kg_replay_tree(r, tree);
		assert_string_equal(rev.tree, tree);
		assert_int_equal(kg_replay_diff(&n, r, 10, note, &diff, &err), 0);
		assert_int_equal(n, 0);
	}
	assert_int_equal(rev.format, 2);
	assert_string_equal(rev.inputs, "nodes:\n- name: a\n");
	assert_int_equal(kg_int(kg_get(&rev.reconciler, "number"), 0), 3);

	test_put_configmap(&c, "default", "map", "three");
	commit_both(&c, r, "nodes:\n- name: b\n");
	assert_int_equal(kg_replay_diff(&n, r, 10, note, &diff, &err), 0);
	assert_int_equal(n, 1);
	assert_string_equal(diff.data, "inputs.yaml|nodes:\n- name: a\n|nodes:\n- name: b\n\n");
	kg_replay_free(r);
	test_close(&c);
	test_dir_remove(dir);
}

/* What is not the reconciler's own is found by its path. */
static void test_diff(void **state)
{
	struct kg_buf diff KG_AUTOBUF = KG_BUF_INIT;
	struct test_cluster c;
	struct kg_replay *r;
	struct kg_error err;
	char *dir = test_dir();
	size_t n;

	(void)state;
	assert_int_equal(test_open(&c, dir, true, NULL, &err), 0);
	test_put_node(&c, "a", 0);
	assert_int_equal(test_commit(&c, &err), 0);
	assert_int_equal(kg_replay_new(&r, c.store, 1, &err), 0);
	/* The store goes one way, the replay another. */
	struct kg_snapshot *one = kg_snapshot_ref(c.now);
	test_put_configmap(&c, "default", "here", "x");
	assert_int_equal(test_commit(&c, &err), 0);
	struct kg_txn *txn = kg_txn_new(one);
	struct kg_changes changes;
	struct kg_snapshot *next;
	kg_txn_delete(txn, KG_KIND_NODE, "", "a");
	kg_txn_finish(txn, &next, &changes);
	struct kg_store_commit commit = {
		.next = next, .prev = one, .changes = &changes, .message = "other\n"};
	assert_int_equal(kg_replay_commit(r, &commit, &err), 0);
	assert_int_equal(kg_replay_diff(&n, r, 2, note, &diff, &err), 0);
	assert_true(n > 2);
	assert_non_null(strstr(diff.data, "decided/configmaps/default/here.yaml|"));
	kg_buf_clear(&diff);
	assert_int_equal(kg_replay_diff(&n, r, 10, note, &diff, &err), 0);
	assert_non_null(strstr(diff.data, "decided/nodes/a.yaml|"));
	assert_non_null(strstr(diff.data, "observed/"));
	assert_int_equal(kg_replay_new(&r, c.store, 9, &err), -KG_E_NOT_FOUND);
	kg_changes_release(&changes);
	kg_snapshot_unref(next);
	kg_snapshot_unref(one);
	kg_replay_free(r);
	test_close(&c);
	test_dir_remove(dir);
}

/* The head made one of format 1, by git alone. */
static void make_old(const char *dir)
{
	char *script =
		kg_asprintf("set -e; cd %s; one=$(echo 1 | git hash-object -w --stdin); "
			    "head=$(git rev-parse refs/kgit/state); "
			    "tree=$(git ls-tree $head | sed \"s/blob [0-9a-f]*\\tformat/blob "
			    "$one\\tformat/\" | "
			    "git mktree); "
			    "git update-ref refs/kgit/state $(git cat-file commit $head | "
			    "sed \"1s/.*/tree $tree/\" | git hash-object -t commit -w --stdin)",
			dir);

	assert_int_equal(system(script), 0);
	free(script);
}

static void test_format_1(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_store_revision rev;
	struct test_cluster c;
	struct kg_error err;
	char *dir = test_dir();

	(void)state;
	test_journal_size = KG_STORE_NO_JOURNAL;
	assert_int_equal(test_open(&c, dir, true, NULL, &err), 0);
	test_put_node(&c, "a", 0);
	assert_int_equal(test_commit(&c, &err), 0);
	test_close(&c);
	make_old(dir);
	assert_int_equal(test_open(&c, dir, false, NULL, &err), 0);
	assert_non_null(kg_snapshot_get(c.now, KG_KIND_NODE, "", "a"));
	assert_int_equal(kg_store_revision_read(&rev, c.store, &a, 1, &err), 0);
	assert_int_equal(rev.format, 1);
	assert_true(kg_is_null(&rev.reconciler));
	/* A new kgitd on it changes nothing until there is something to change. */
	test_put_node(&c, "b", 0);
	assert_int_equal(test_commit(&c, &err), 0);
	assert_int_equal(kg_store_revision_read(&rev, c.store, &a, 2, &err), 0);
	assert_int_equal(rev.format, 2);
	assert_int_equal(TEST_GIT(&out, dir, "show", "refs/kgit/state:format"), 0);
	assert_string_equal(kg_buf_str(&out), "2\n");
	test_close(&c);
	test_journal_size = 0;
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_format_1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
