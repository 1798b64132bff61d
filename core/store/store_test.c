#include "store/test_support.h"

#include "base/hash.h"
#include "store/settings.h"
#include "sys/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state)
{
	*state = test_dir();
	return 0;
}

static int teardown(void **state)
{
	test_dir_remove(*state);
	return 0;
}

/* Reopens and sees that what is loaded is what was committed. */
static void reopen(struct test_cluster *c)
{
	struct kg_snapshot *was = kg_snapshot_ref(c->now);
	char *dir KG_AUTOFREE = kg_strdup(c->dir);

	test_close(c);
	OK(test_open(c, dir, false, NULL, &err));
	assert_true(test_same_snapshot(was, c->now));
	kg_snapshot_unref(was);
}

static char *read_file(const char *dir, const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_buf b = KG_BUF_INIT;

	OK(kg_file_read(&b, path, 1 << 20, &err));
	return kg_buf_steal(&b);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	OK(kg_file_replace(path, text, strlen(text), 0644, &err));
}

static bool exists(const char *dir, const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	return kg_path_exists(path);
}

static void test_create(void **state)
{
	struct test_cluster c;
	char main_commit[41];

	OK(test_open(&c, *state, true, NULL, &err));
	assert_int_equal(c.now->revision, 0);
	assert_int_equal(c.now->time, TEST_TIME);
	assert_string_equal(c.now->cluster_id, TEST_CLUSTER);
	assert_int_equal(kg_store_revision(c.store), 0);
	assert_int_equal(kg_store_oldest(c.store), 0);
	OK(kg_store_get_main(c.store, main_commit, &err));
	assert_string_equal(main_commit, "");
	reopen(&c);
	assert_true(test_fsck(*state));
	test_close(&c);
}

static void test_not_a_store(void **state)
{
	struct test_cluster c;
	struct kg_error e = {0};

	assert_int_equal(test_open(&c, *state, false, NULL, &e), -KG_E_NOT_FOUND);
}

static void test_deterministic(void **state)
{
	char first[41] = "";

	for (int i = 0; i < 2; i++) {
		char *dir KG_AUTOFREE = kg_asprintf("%s/%d", (char *)*state, i);
		struct test_template t;
		struct test_cluster c;

		OK(test_open(&c, dir, true, NULL, &err));
		test_template_init(&t, 1);
		for (int k = 0; k < 50; k++) {
			char name[16];

			/* The order within a commit does not matter. */
			snprintf(name, sizeof(name), "web-%02d", i ? k : 49 - k);
			test_put_pod(&c, &t, "default", name, k % 2 ? "n1" : "n2");
		}
		for (int k = 0; k < 50; k++) {
			char name[16];

			snprintf(name, sizeof(name), "web-%02d", k);
			test_put_pod(&c, &t, "default", name, k % 2 ? "n1" : "n2");
		}
		OK(test_commit(&c, &err));
		if (i)
			assert_string_equal(first, c.now->commit);
		memcpy(first, c.now->commit, sizeof(first));
		test_template_release(&t);
		test_close(&c);
	}
}

/* A small life: nodes, pods, statuses, deletions. */
static void live(struct test_cluster *c, struct test_template *t)
{
	test_put_node(c, "node-1", 0);
	test_put_node(c, "node-2", 0);
	OK(test_commit(c, &err));
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "web-%d", i);
		test_put_pod(c, t, "default", name, i % 3 ? (i % 2 ? "node-1" : "node-2") : NULL);
	}
	test_put_configmap(c, "default", "page", "hello\nworld\n");
	OK(test_commit(c, &err));
	test_set_status(c, "default", "web-1", 0);
	test_set_status(c, "default", "web-2", 0);
	test_put_node(c, "node-1", 1);
	OK(test_commit(c, &err));
	test_put_pod(c, t, "default", "web-0", "node-1");
	kg_txn_delete(test_txn(c), KG_KIND_POD, "default", "web-1");
	test_put_configmap(c, "kube-system", "other", "x");
	OK(test_commit(c, &err));
	test_set_status(c, "default", "web-2", 1);
	OK(test_commit(c, &err));
}

static const char log_format[] =
	"--format=%s|%an|%cn|%(trailers:key=Kgit-Revision,valueonly,separator=)";

static void test_commit_and_load(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct test_template t;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	live(&c, &t);
	assert_int_equal(kg_store_revision(c.store), 5);
	const struct kg_object *pod = kg_snapshot_get(c.now, KG_KIND_POD, "default", "web-2");
	assert_int_equal(pod->revision, 5);
	pod = kg_snapshot_get(c.now, KG_KIND_POD, "default", "web-5");
	assert_int_equal(pod->revision, 2);
	reopen(&c);
	/* And it goes on from there. */
	test_set_status(&c, "default", "web-2", 2);
	OK(test_commit(&c, &err));
	reopen(&c);
	assert_true(test_fsck(*state));
	assert_int_equal(TEST_GIT(&out, *state, "log", log_format, "-2", "refs/kgit/state"), 0);
	assert_string_equal(kg_buf_str(&out), "1 changes|kgit|kgitd|6\n1 changes|kgit|kgitd|5\n");
	test_template_release(&t);
	test_close(&c);
}

/* The last pod of a template takes the template with it. */
static void test_templates(void **state)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct test_template t, t2;
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	test_template_init(&t2, 2);
	test_put_pod(&c, &t, "default", "a", NULL);
	test_put_pod(&c, &t, "default", "b", NULL);
	OK(test_commit(&c, &err));
	test_put_pod(&c, &t2, "default", "a", NULL);
	OK(test_commit(&c, &err));
	reopen(&c);
	assert_int_equal(
		TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state", "templates/"),
		0);
	char *both KG_AUTOFREE =
		strcmp(t.id, t2.id) < 0
			? kg_asprintf("templates/%s.yaml\ntemplates/%s.yaml\n", t.id, t2.id)
			: kg_asprintf("templates/%s.yaml\ntemplates/%s.yaml\n", t2.id, t.id);
	assert_string_equal(kg_buf_str(&out), both);
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "b");
	OK(test_commit(&c, &err));
	test_flush(&c);
	kg_buf_clear(&out);
	assert_int_equal(
		TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state", "templates/"),
		0);
	char *one KG_AUTOFREE = kg_asprintf("templates/%s.yaml\n", t2.id);
	assert_string_equal(kg_buf_str(&out), one);
	kg_txn_delete(test_txn(&c), KG_KIND_POD, "default", "a");
	OK(test_commit(&c, &err));
	test_flush(&c);
	kg_buf_clear(&out);
	/* No empty directories. */
	assert_int_equal(TEST_GIT(&out, *state, "ls-tree", "--name-only", "refs/kgit/state"), 0);
	assert_string_equal(kg_buf_str(&out), "clock.yaml\ncluster.yaml\nformat\n");
	reopen(&c);
	test_template_release(&t);
	test_template_release(&t2);
	test_close(&c);
}

/* ---- history ---- */

struct seen {
	uint64_t revision;
	size_t changes;
	struct kg_snapshot *at; /* replayed */
	struct test_cluster *c;
};

static int replay(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct seen *s = ctx;
	struct kg_snapshot *before = NULL, *after = NULL;

	assert_int_equal(revision, s->revision + 1);
	s->revision = revision;
	s->changes += changes->len;
	OK(kg_store_load_at(&before, s->c->store, revision - 1, &err));
	OK(kg_store_load_at(&after, s->c->store, revision, &err));
	assert_int_equal(time, after->time);
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *ch = &changes->items[i];
		const struct kg_object *obj = ch->after ? ch->after : ch->before;
		const struct kg_object *b = kg_snapshot_get_key(before, obj->kind->id, obj->key);
		const struct kg_object *a = kg_snapshot_get_key(after, obj->kind->id, obj->key);

		assert_int_equal(!ch->before, !b);
		assert_int_equal(!ch->after, !a);
		if (a && ch->after) {
			assert_true(kg_equal(kg_obj(a), kg_obj(ch->after)));
			assert_int_equal(a->revision, ch->after->revision);
		}
		if (b && ch->before)
			assert_true(kg_equal(kg_obj(b), kg_obj(ch->before)));
		if (i) {
			const struct kg_change *last = &changes->items[i - 1];
			const struct kg_object *l = last->after ? last->after : last->before;

			assert_true(l->kind->id < obj->kind->id ||
				    (l->kind == obj->kind && strcmp(l->key, obj->key) < 0));
		}
	}
	kg_snapshot_unref(before);
	kg_snapshot_unref(after);
	return 0;
}

static int count_one(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	(void)revision;
	(void)time;
	(void)changes;
	return ++*(int *)ctx;
}

static void test_history(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_snapshot *s = NULL;
	struct kg_log_entry *log;
	struct test_template t;
	struct test_cluster c;
	struct kg_error e;
	int calls = 0;
	size_t n;

	OK(test_open(&c, *state, true, NULL, &err));
	test_template_init(&t, 1);
	live(&c, &t);
	struct seen seen = {.c = &c};
	OK(kg_store_changes(c.store, 0, 5, 0, replay, &seen, &err));
	assert_int_equal(seen.revision, 5);
	/* 2 nodes; 40 pods and a map; 2 pods and a node; 2 pods and a map; a pod */
	assert_int_equal(seen.changes, 2 + 41 + 3 + 3 + 1);
	OK(kg_store_changes(c.store, 0, 5, 0, count_one, &calls, &err));
	assert_int_equal(calls, 1);
	OK(kg_store_changes(c.store, 5, 5, 0, count_one, &calls, &err));
	assert_int_equal(calls, 1);
	assert_int_equal(kg_store_load_at(&s, c.store, 6, &e), -KG_E_NOT_FOUND);
	assert_int_equal(kg_store_changes(c.store, 4, 9, 0, count_one, &(int){0}, &e), 0);
	OK(kg_store_log(&log, &n, c.store, &a, 0, 2, &err));
	assert_int_equal(n, 2);
	assert_int_equal(log[0].revision, 5);
	assert_int_equal(log[1].revision, 4);
	assert_int_equal(log[0].time, c.now->time);
	assert_string_equal(log[0].subject, "1 changes");
	assert_string_equal(log[0].body, "in a test");
	assert_string_equal(log[0].author, "kgit <kgit@" TEST_CLUSTER ">");
	OK(kg_store_log(&log, &n, c.store, &a, 3, 100, &err));
	assert_int_equal(n, 4);
	assert_string_equal(log[3].subject, "A new cluster");
	/* The side file is a cache. */
	for (int i = 0; i < 4; i++) {
		static const char zeros[80] = "kgitrev1";
		static const char *const broken[] = {
			"", "kgitrev1", "garbage of some length", zeros};
		char *path KG_AUTOFREE = kg_asprintf("%s/kgit/revisions", (char *)*state);

		OK(kg_file_replace(
			path, broken[i], i == 3 ? sizeof(zeros) : strlen(broken[i]), 0644, &err));
		reopen(&c);
		OK(kg_store_load_at(&s, c.store, 2, &err));
		assert_int_equal(s->revision, 2);
		assert_int_equal(s->objects[KG_KIND_POD].count, 40);
		kg_snapshot_unref(s);
	}
	test_template_release(&t);
	test_close(&c);
}

/* ---- several openers, and somebody else's hands ---- */

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
	reopen(&c);
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
	assert_false(exists(*state, "refs/kgit/state"));
	test_put_node(&c, "n", 1);
	OK(test_commit(&c, &err));
	reopen(&c);
	/* And repacked by hand, while it is open. */
	assert_int_equal(TEST_GIT(NULL, *state, "repack", "-a", "-d", "-q"), 0);
	test_put_node(&c, "n", 2);
	OK(test_commit(&c, &err));
	struct kg_snapshot *s = NULL;
	OK(kg_store_load_at(&s, c.store, 1, &err));
	kg_snapshot_unref(s);
	reopen(&c);
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
	write_file(dir, "refs/kgit/state", "");
	assert_int_equal(test_open(&c, dir, true, NULL, &e), -KG_E_CORRUPT);
}

/* ---- recovery ---- */

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
	write_file(dir, empty_blob, "");
	write_file(dir, "refs/kgit/state.lock", "");
	write_file(dir, "refs/heads/main.lock", "x");
	write_file(dir, "refs/heads/other.lock", "of a git that is running");
	write_file(dir, "objects/pack/tmp_kgit_12.pack", "PACK");
	write_file(dir, "objects/pack/pack-0000000000000000000000000000000000000000.idx", "");
	OK(test_open(&c, dir, false, &notes, &err));
	assert_false(exists(dir, empty_blob));
	assert_false(exists(dir, "refs/kgit/state.lock"));
	assert_false(exists(dir, "refs/heads/main.lock"));
	assert_true(exists(dir, "refs/heads/other.lock"));
	assert_false(exists(dir, "objects/pack/tmp_kgit_12.pack"));
	assert_false(exists(dir, "objects/pack/pack-0000000000000000000000000000000000000000.idx"));
	assert_non_null(strstr(kg_buf_str(&notes), "removed stale lock"));
	assert_non_null(strstr(kg_buf_str(&notes), "removed empty object"));
	test_put_node(&c, "n", 1);
	OK(test_commit(&c, &err));
	reopen(&c);
	test_close(&c);
}

/* A commit of one manifest on main, pushed by nobody. */
static void make_main(const char *dir, const char *text, char id[41], const char *parent)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	char *work KG_AUTOFREE = kg_asprintf("%s/work", dir);
	char *index KG_AUTOFREE = kg_asprintf("--git-dir=%s", dir);

	OK(kg_mkdir_p(work, 0755, &err));
	write_file(work, "web.yaml", text);
	char *tree_arg KG_AUTOFREE = kg_asprintf("--work-tree=%s", work);
	assert_int_equal(TEST_GIT(NULL, dir, index, tree_arg, "add", "-A", "."), 0);
	assert_int_equal(TEST_GIT(&out, dir, index, "write-tree"), 0);
	out.data[40] = '\0';
	char tree[41];
	memcpy(tree, out.data, 41);
	kg_buf_clear(&out);
	if (parent)
		assert_int_equal(
			TEST_GIT(&out, dir, "commit-tree", "-m", "m", "-p", parent, tree), 0);
	else
		assert_int_equal(TEST_GIT(&out, dir, "commit-tree", "-m", "m", tree), 0);
	memcpy(id, out.data, 40);
	id[40] = '\0';
	OK(kg_remove_tree(work, &err));
}

static const char page[] = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: page\n"
			   "data:\n  text: %s\n";

/* Puts the manifest's object as reconcile would. */
static void put_desired(struct test_cluster *c, const char *text, const char *uid)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_manifest *m;
	size_t n;

	kg_faults_init(&faults, &a);
	kg_manifest_read(&m, &n, &a, "web.yaml", text, strlen(text), NULL, &faults);
	assert_int_equal(kg_faults_errors(&faults), 0);
	assert_int_equal(n, 1);
	struct kg_doc *base = kg_doc_new(&m->value, NULL, 0);
	struct kg_value v = kg_with(&a, &m->value, "metadata.uid", kg_v_str(&a, uid));
	struct kg_object_spec spec = {.kind = m->kind,
		.ns = m->ns,
		.name = m->name,
		.value = &v,
		.base = base,
		.source = "web.yaml"};
	kg_txn_put(test_txn(c), kg_object_new(&spec));
	kg_doc_unref(base);
	kg_faults_release(&faults);
}

/* Very many files that are none of kgit's are warned of, and refuse nothing. */
static void test_strays(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char *dir = *state, *strays KG_AUTOFREE = kg_asprintf("%s/work/.kgit", dir), id[41];
	struct kg_buf said KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list faults;
	struct test_cluster c;

	OK(test_open(&c, dir, true, NULL, &err));
	OK(kg_mkdir_p(strays, 0755, &err));
	for (int i = 1000; i < 2005; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%d", i);
		write_file(strays, name, "");
	}
	write_file(strays, "settings.yaml", "{}\n");
	make_main(dir, "# nothing\n", id, NULL);
	kg_faults_init(&faults, &a);
	OK(kg_store_settings_strays(&faults, c.store, id, NULL, &err));
	assert_int_equal(faults.len, 1000);
	assert_int_equal(kg_faults_errors(&faults), 0);
	kg_fault_format(&said, &faults.items[7]);
	assert_string_equal(kg_buf_str(&said), ".kgit/1007:1:1: warning: is not read: kgit's "
					       "settings are .kgit/settings.yaml");
	kg_faults_release(&faults);
	test_close(&c);
}

static void test_desired(void **state)
{
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT, out KG_AUTOBUF = KG_BUF_INIT;
	char first[41], second[41], stray[41], now[41];
	char *one KG_AUTOFREE = kg_asprintf(page, "one"),
		  *two KG_AUTOFREE = kg_asprintf(page, "two");
	char *dir = *state;
	struct test_cluster c;

	OK(test_open(&c, dir, true, NULL, &err));
	make_main(dir, one, first, NULL);
	put_desired(&c, one, "u-1");
	OK(test_commit_push(&c, first, &err));
	OK(kg_store_set_main(c.store, "", first, &err));
	const struct kg_object *obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_string_equal(obj->source, "web.yaml");
	reopen(&c);
	assert_int_equal(TEST_GIT(&out, dir, "show", "refs/kgit/state:desired/web.yaml"), 0);
	assert_string_equal(kg_buf_str(&out), one);
	/* The manifest changes and the record's patch does not: the revision must all the same. */
	make_main(dir, two, second, first);
	put_desired(&c, two, "u-1");
	OK(test_commit_push(&c, second, &err));
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_int_equal(obj->revision, 2);
	/* A crash before main was moved: it is moved at the next start. */
	reopen(&c);
	OK(kg_store_get_main(c.store, now, &err));
	assert_string_equal(now, second);
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_string_equal(kg_string(kg_at(kg_obj(obj), "data.text"), ""), "two");
	assert_int_equal(obj->revision, 2);
	struct seen seen = {.c = &c};
	OK(kg_store_changes(c.store, 0, 2, 0, replay, &seen, &err));
	assert_int_equal(seen.changes, 2);
	/* A quiet change: defined at another place, the same value, so the same revision. */
	struct kg_object_spec moved = {.kind = obj->kind,
		.ns = obj->ns,
		.name = obj->name,
		.value = kg_obj(obj),
		.base = obj->base,
		.source = "web.yaml",
		.source_index = 3};
	kg_txn_put(test_txn(&c), kg_object_new(&moved));
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, 3);
	reopen(&c);
	obj = kg_snapshot_get(c.now, KG_KIND_CONFIGMAP, "default", "page");
	assert_int_equal(obj->revision, 2);
	assert_int_equal(obj->source_index, 3);
	/* main moved past admission. */
	make_main(dir, "kind: Nonsense\n", stray, second);
	assert_int_equal(TEST_GIT(NULL, dir, "update-ref", "refs/heads/main", stray), 0);
	test_close(&c);
	OK(test_open(&c, dir, false, &notes, &err));
	OK(kg_store_get_main(c.store, now, &err));
	assert_string_equal(now, second);
	kg_buf_clear(&out);
	char *refused KG_AUTOFREE = kg_asprintf("refs/kgit/refused/%s", stray);
	assert_int_equal(TEST_GIT(&out, dir, "rev-parse", refused), 0);
	assert_non_null(strstr(kg_buf_str(&out), stray));
	assert_non_null(strstr(kg_buf_str(&notes), "past admission"));
	bool is = false;
	OK(kg_store_is_ancestor(&is, c.store, first, second, NULL, &err));
	assert_true(is);
	OK(kg_store_is_ancestor(&is, c.store, second, first, NULL, &err));
	assert_false(is);
	/* Compare and swap. */
	struct kg_error e = {0};
	assert_int_equal(kg_store_set_main(c.store, first, stray, &e), -KG_E_CONFLICT);
	/* The state branch holds the pushed commits as second parents. */
	kg_buf_clear(&out);
	assert_int_equal(TEST_GIT(&out, dir, "rev-parse", "refs/kgit/state~1^2"), 0);
	assert_non_null(strstr(kg_buf_str(&out), second));
	char *index KG_AUTOFREE = kg_asprintf("%s/index", dir);
	unlink(index);
	assert_true(test_fsck(dir));
	test_close(&c);
}

/* ---- names, sizes, space ---- */

static void test_bad_names(void **state)
{
	static const char *const names[] = {"..", "a/b", ".git", ""};
	struct test_cluster c;

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v = kg_v_obj(&a, "kind", kg_v_lit("ConfigMap"), (char *)NULL);
		struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_CONFIGMAP],
			.ns = "default",
			.name = names[i],
			.value = &v};
		struct kg_error e = {0};

		kg_txn_put(test_txn(&c), kg_object_new(&spec));
		assert_int_equal(test_commit(&c, &e), -KG_E_INVALID);
	}
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	reopen(&c);
	test_close(&c);
}

/* A disk that fills up: nothing is acknowledged that is not there, and once there is room again
 * the same store goes on. */
static void test_no_space(void **state)
{
	char *dir = *state;
	struct test_template t;
	struct test_cluster c;
	struct kg_error e = {0};
	int rc = 0;

	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0) {
		print_message("SKIPPED: cannot mount a tmpfs here\n");
		skip();
	}
	char *repo KG_AUTOFREE = kg_asprintf("%s/repo", dir);
	char *ballast KG_AUTOFREE = kg_asprintf("%s/ballast", dir);
	char block[64 << 10];
	memset(block, 'x', sizeof(block));
	OK(kg_file_replace(ballast, block, sizeof(block), 0644, &err));
	OK(test_open(&c, repo, true, NULL, &err));
	test_template_init(&t, 1);
	uint64_t last = 0;
	for (int i = 0; rc == 0 && i < 1000; i++) {
		for (int k = 0; k < 50; k++) {
			char name[32];

			snprintf(name, sizeof(name), "web-%d-%d", i, k);
			test_put_pod(&c, &t, "default", name, "node-1");
		}
		last = c.now->revision;
		rc = test_commit(&c, &e);
	}
	assert_int_equal(rc, -KG_E_NO_SPACE);
	assert_int_equal(kg_store_revision(c.store), last);
	assert_true(test_fsck(repo));
	unlink(ballast);
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	assert_int_equal(c.now->revision, last + 1);
	reopen(&c);
	assert_true(test_fsck(repo));
	test_template_release(&t);
	test_close(&c);
	assert_int_equal(umount(dir), 0);
}

static void test_config(void **state)
{
	struct test_cluster c;
	static const char *const wanted[][2] = {{"receive.fsckObjects", "true\n"},
		{"receive.unpackLimit", "1\n"}, {"gc.auto", "0\n"},
		{"core.fsync", "committed,reference\n"}, {"receive.autogc", "false\n"},
		{"core.bigFileThreshold", "32m\n"},
		{"receive.procReceiveRefs", "refs/heads/main\nrefs/kgit\n"}};

	OK(test_open(&c, *state, true, NULL, &err));
	for (size_t i = 0; i < KG_ARRAY_LEN(wanted); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		assert_int_equal(TEST_GIT(&out, *state, "config", "--get-all", wanted[i][0]), 0);
		assert_string_equal(kg_buf_str(&out), wanted[i][1]);
	}
	/* A backup is a clone, put back. */
	struct kg_buf notes KG_AUTOBUF = KG_BUF_INIT;
	char *clone KG_AUTOFREE = kg_asprintf("%s/clone", (char *)*state);
	test_put_node(&c, "n", 0);
	OK(test_commit(&c, &err));
	test_flush(&c);
	assert_int_equal(TEST_GIT(NULL, *state, "clone", "-q", "--mirror", *state, clone), 0);
	struct test_cluster back;
	OK(test_open(&back, clone, false, &notes, &err));
	assert_true(test_same_snapshot(c.now, back.now));
	assert_non_null(strstr(kg_buf_str(&notes), "of git's settings"));
	for (size_t i = 0; i < KG_ARRAY_LEN(wanted); i++) {
		struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

		assert_int_equal(TEST_GIT(&out, clone, "config", "--get-all", wanted[i][0]), 0);
		assert_string_equal(kg_buf_str(&out), wanted[i][1]);
	}
	test_put_node(&back, "n", 1);
	OK(test_commit(&back, &err));
	reopen(&back);
	test_close(&back);
	char *head KG_AUTOFREE = read_file(*state, "HEAD");
	assert_string_equal(head, "ref: refs/heads/main\n");
	test_close(&c);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		CASE(test_create),
		CASE(test_not_a_store),
		CASE(test_deterministic),
		CASE(test_commit_and_load),
		CASE(test_templates),
		CASE(test_history),
		CASE(test_lock),
		CASE(test_foreign_commit),
		CASE(test_packed_refs),
		CASE(test_lost_ref),
		CASE(test_stale_files),
		CASE(test_strays),
		CASE(test_desired),
		CASE(test_bad_names),
		CASE(test_no_space),
		CASE(test_config),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
