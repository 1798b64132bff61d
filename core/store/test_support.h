/* What the store's tests, its crash driver and its benchmark make clusters with. */
#ifndef KG_STORE_TEST_SUPPORT_H
#define KG_STORE_TEST_SUPPORT_H

#include "kinds/record.h"
#include "store/store.h"

/* Fails the test, with what the error says, where a call that names `err` did not return 0. */
#define OK(call)                                                                                   \
	do {                                                                                       \
		struct kg_error err = {0};                                                         \
		if ((call) != 0)                                                                   \
			fail_msg("%s: %s", #call, err.msg);                                        \
	} while (0)

#define TEST_CLUSTER "5a0e7f0a-0000-4000-8000-000000000001"
#define TEST_TIME    ((kg_time)1764000000000)

/* A new directory under $TMPDIR, or /tmp; heap. Ends the process where it cannot be made. */
char *test_dir(void);
void test_dir_remove(char *dir); /* and frees */
/* For cmocka: a test whose *state is a new directory. */
int test_begin(void **state);
int test_end(void **state);
#define TEST_CASE(f) cmocka_unit_test_setup_teardown(f, test_begin, test_end)
/* Files of a directory, by their names in it; the text is heap. */
char *test_read(const char *dir, const char *name);
void test_write(const char *dir, const char *name, const char *text);
bool test_exists(const char *dir, const char *name);

/* A store and its newest snapshot. */
struct test_cluster {
	struct kg_store *store;
	struct kg_snapshot *now;
	struct kg_txn *txn; /* begun by the first change */
	char *dir;
};
/* Of the stores opened from now on: see struct kg_store_options. */
extern size_t test_pack_limit, test_journal_size;
extern int test_linger_ms;
/* Calls return 0 or the store's error. */
int test_open(struct test_cluster *c, const char *dir, bool create, struct kg_buf *notes,
	struct kg_error *err);
void test_close(struct test_cluster *c);
/* Closed and opened again: is what is loaded what was committed? Else the difference is printed. */
bool test_reopen(struct test_cluster *c);
struct kg_txn *test_txn(struct test_cluster *c);
int test_commit(struct test_cluster *c, struct kg_error *err);
int test_commit_push(struct test_cluster *c, const char *main_commit, struct kg_error *err);

void test_flush(struct test_cluster *c); /* git's own files have all of it */

/* A template in YAML, and objects made of it; put into the txn. */
struct test_template {
	struct kg_doc *doc;
	char id[24];
};
void test_template_init(struct test_template *t, int variant);
void test_template_release(struct test_template *t);
void test_put_node(struct test_cluster *c, const char *name, int beat);
void test_put_pod(struct test_cluster *c, const struct test_template *t, const char *ns,
	const char *name, const char *node);
/* What a node would report: a Pod's status, as large as real ones. */
void test_set_status(struct test_cluster *c, const char *ns, const char *name, int restarts);
void test_put_configmap(struct test_cluster *c, const char *ns, const char *name, const char *text);

/* A small life in five commits: nodes, pods, statuses, deletions. */
void test_live(struct test_cluster *c, const struct test_template *t);

/* Runs git in a repository; its output is added to out (may be NULL). Its exit status. */
int test_git(struct kg_buf *out, const char *dir, const char *const *args);
#define TEST_GIT(out, dir, ...) test_git(out, dir, (const char *const[]){__VA_ARGS__, NULL})
/* `git fsck --strict --full` finds nothing; else its words are printed. */
bool test_fsck(const char *dir);
/* Every object of both has the same revision and value; else the first difference is printed. */
bool test_same_snapshot(const struct kg_snapshot *a, const struct kg_snapshot *b);
/* How many changes the revisions up to `to` are, each of them held against the snapshots before and
 * after it; the process ends where one is not what they differ in. */
size_t test_changes_hold(struct test_cluster *c, uint64_t to);

#endif
