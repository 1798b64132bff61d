#include "store/test_support.h"

#include "sys/file.h"
#include "sys/spawn.h"
#include "value/json.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what, const struct kg_error *err)
{
	fprintf(stderr, "%s: %s\n", what, err->msg);
	abort();
}

char *test_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = kg_asprintf("%s/kgit-store-XXXXXX", tmp && *tmp ? tmp : "/tmp");

	if (!mkdtemp(dir)) {
		perror(dir);
		abort();
	}
	return dir;
}

void test_dir_remove(char *dir)
{
	struct kg_error err;

	if (kg_remove_tree(dir, &err) < 0)
		die("clean up", &err);
	free(dir);
}

int test_begin(void **state)
{
	*state = test_dir();
	return 0;
}

int test_end(void **state)
{
	test_dir_remove(*state);
	return 0;
}

char *test_read(const char *dir, const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_buf b = KG_BUF_INIT;
	struct kg_error err;

	if (kg_file_read(&b, path, 1 << 20, &err) < 0)
		die(path, &err);
	return kg_buf_steal(&b);
}

void test_write(const char *dir, const char *name, const char *text)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);
	struct kg_error err;

	if (kg_file_replace(path, text, strlen(text), 0644, &err) < 0)
		die(path, &err);
}

bool test_exists(const char *dir, const char *name)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", dir, name);

	return kg_path_exists(path);
}

size_t test_pack_limit, test_journal_size = 1 << 20;
int test_linger_ms;

int test_open(struct test_cluster *c, const char *dir, bool create, struct kg_buf *notes,
	struct kg_error *err)
{
	struct kg_store_options opts = {.create = create,
		.cluster_id = TEST_CLUSTER,
		.now = TEST_TIME,
		.pack_limit = test_pack_limit,
		.journal_size = test_journal_size,
		.linger_ms = test_linger_ms};

	*c = (struct test_cluster){.dir = kg_strdup(dir)};
	int rc = kg_store_open(&c->store, dir, &opts, notes, err);
	if (rc == 0)
		rc = kg_store_load(&c->now, c->store, err);
	if (rc < 0)
		test_close(c);
	return rc;
}

void test_close(struct test_cluster *c)
{
	kg_txn_free(c->txn);
	kg_snapshot_unref(c->now);
	kg_store_close(c->store);
	free(c->dir);
	*c = (struct test_cluster){0};
}

bool test_reopen(struct test_cluster *c)
{
	struct kg_snapshot *was = kg_snapshot_ref(c->now);
	char *dir KG_AUTOFREE = kg_strdup(c->dir);
	struct kg_error err;

	test_close(c);
	if (test_open(c, dir, false, NULL, &err) < 0)
		die("open again", &err);
	bool same = test_same_snapshot(was, c->now);
	kg_snapshot_unref(was);
	return same;
}

struct kg_txn *test_txn(struct test_cluster *c)
{
	if (!c->txn) {
		c->txn = kg_txn_new(c->now);
		kg_txn_set_time(c->txn, c->now->time + 1234);
	}
	return c->txn;
}

int test_commit_push(struct test_cluster *c, const char *main_commit, struct kg_error *err)
{
	struct kg_snapshot *next;
	struct kg_changes changes;
	char *message KG_AUTOFREE = NULL;

	if (main_commit)
		kg_txn_set_main(test_txn(c), main_commit);
	kg_txn_finish(test_txn(c), &next, &changes);
	c->txn = NULL;
	message = kg_asprintf("%zu changes\n\nin a test\n", changes.len);
	struct kg_store_commit commit = {.next = next,
		.prev = c->now,
		.changes = &changes,
		.author = main_commit ? "alice <alice@example.com>" : NULL,
		.message = message,
		.parent2 = main_commit};
	int rc = kg_store_commit(c->store, &commit, err);
	kg_changes_release(&changes);
	if (rc < 0) {
		kg_snapshot_unref(next);
		return rc;
	}
	kg_snapshot_unref(c->now);
	c->now = next;
	return 0;
}

int test_commit(struct test_cluster *c, struct kg_error *err)
{
	return test_commit_push(c, NULL, err);
}

void test_flush(struct test_cluster *c)
{
	struct kg_error err;

	if (kg_store_flush(c->store, 10000, &err) < 0)
		die("flush", &err);
}

/* ---- objects ---- */

static struct kg_value yaml(struct kg_arena *a, const char *text)
{
	struct kg_value v;
	struct kg_error err;

	if (kg_yaml_load(&v, a, text, strlen(text), &err) < 0)
		die(text, &err);
	return v;
}

void test_template_init(struct test_template *t, int variant)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *text = kg_arena_printf(&a,
		"metadata:\n  labels:\n    app: web\n    pod-template-hash: h%d\n"
		"spec:\n  restartPolicy: Always\n  dnsPolicy: ClusterFirst\n"
		"  schedulerName: default-scheduler\n  terminationGracePeriodSeconds: 30\n"
		"  containers:\n  - name: web\n    image: registry.example.com/web:%d\n"
		"    imagePullPolicy: IfNotPresent\n"
		"    ports:\n    - {containerPort: 8080, protocol: TCP}\n"
		"    resources: {requests: {cpu: 100m, memory: 64Mi}}\n",
		variant, variant);
	struct kg_value v = yaml(&a, text);

	kg_template_id(t->id, &v);
	t->doc = kg_doc_new(&v, NULL, 0);
}

void test_template_release(struct test_template *t)
{
	kg_doc_unref(t->doc);
	*t = (struct test_template){0};
}

static void put(struct test_cluster *c, struct kg_object_spec *spec)
{
	kg_txn_put(test_txn(c), kg_object_new(spec));
}

void test_put_node(struct test_cluster *c, const char *name, int beat)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v =
		yaml(&a, kg_arena_printf(&a,
				 "apiVersion: v1\nkind: Node\n"
				 "metadata: {name: '%s', uid: n-%s}\n"
				 "spec: {podCIDR: 10.244.1.0/24}\n"
				 "status:\n  capacity: {cpu: '4', memory: 8Gi, beat: %d}\n",
				 name, name, beat));
	struct kg_object_spec spec = {
		.kind = &kg_kinds[KG_KIND_NODE], .ns = "", .name = name, .value = &v};

	put(c, &spec);
}

void test_put_pod(struct test_cluster *c, const struct test_template *t, const char *ns,
	const char *name, const char *node)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_doc *base = kg_template_expand(&kg_kinds[KG_KIND_POD], t->doc);
	struct kg_value patch = yaml(&a,
		kg_arena_printf(&a,
			"metadata:\n  name: '%s'\n  namespace: '%s'\n"
			"  creationTimestamp: '2026-11-26T04:28:06Z'\n"
			"  uid: 7d0c8f9e-1b2a-5c3d-8e4f-%.12s\n  generation: 1\n"
			"  ownerReferences:\n  - apiVersion: apps/v1\n    kind: ReplicaSet\n"
			"    name: web-5d4f8c7b9\n    uid: 3c1d2e4f-0000-5000-8000-000000000002\n"
			"    controller: true\n    blockOwnerDeletion: true\n"
			"%s%s%s"
			"status:\n  phase: Pending\n  podIP: 10.244.1.7\n",
			name, ns, name, node ? "spec:\n  nodeName: " : "", node ? node : "",
			node ? "\n" : ""));
	struct kg_value v = kg_patch_apply(&a, kg_doc_value(base), &patch);
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_POD],
		.ns = ns,
		.name = name,
		.value = &v,
		.base = base,
		.template_id = t->id};

	put(c, &spec);
	kg_doc_unref(base);
}

void test_set_status(struct test_cluster *c, const char *ns, const char *name, int restarts)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_object *pod =
		kg_snapshot_get(kg_txn_snapshot(test_txn(c)), KG_KIND_POD, ns, name);
	struct kg_value status = yaml(
		&a, kg_arena_printf(&a,
			    "phase: Running\npodIP: 10.244.1.7\npodIPs:\n- ip: 10.244.1.7\n"
			    "hostIP: 192.168.0.7\nstartTime: '2026-11-26T04:28:07Z'\n"
			    "conditions:\n"
			    "- {type: PodScheduled, status: 'True', lastTransitionTime: "
			    "'2026-11-26T04:28:06Z'}\n"
			    "- {type: Initialized, status: 'True', lastTransitionTime: "
			    "'2026-11-26T04:28:07Z'}\n"
			    "- {type: ContainersReady, status: 'True', lastTransitionTime: "
			    "'2026-11-26T04:28:08Z'}\n"
			    "- {type: Ready, status: 'True', lastTransitionTime: "
			    "'2026-11-26T04:28:08Z'}\n"
			    "containerStatuses:\n- name: web\n  image: registry.example.com/web:1\n"
			    "  imageID: sha256:0f343b0931126a20f133d67c2b018a3b\n"
			    "  containerID: runc://7d0c8f9e1b2a5c3d8e4f00112233445566778899\n"
			    "  ready: true\n  started: true\n  restartCount: %d\n"
			    "  state: {running: {startedAt: '2026-11-26T04:28:08Z'}}\n",
			    restarts));
	struct kg_value v = kg_with(&a, kg_obj(pod), "status", status);

	kg_txn_put(test_txn(c), kg_object_with(pod, &v));
}

void test_put_configmap(struct test_cluster *c, const char *ns, const char *name, const char *text)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = yaml(&a, kg_arena_printf(&a,
					     "apiVersion: v1\nkind: ConfigMap\n"
					     "metadata: {name: %s, namespace: %s}\n",
					     name, ns));
	v = kg_with(&a, &v, "data.text", kg_v_str(&a, text));
	struct kg_object_spec spec = {
		.kind = &kg_kinds[KG_KIND_CONFIGMAP], .ns = ns, .name = name, .value = &v};

	put(c, &spec);
}

static void must_commit(struct test_cluster *c)
{
	struct kg_error err;

	if (test_commit(c, &err) < 0)
		die("commit", &err);
}

void test_live(struct test_cluster *c, const struct test_template *t)
{
	test_put_node(c, "node-1", 0);
	test_put_node(c, "node-2", 0);
	must_commit(c);
	for (int i = 0; i < 40; i++) {
		char name[16];

		snprintf(name, sizeof(name), "web-%d", i);
		test_put_pod(c, t, "default", name, i % 3 ? (i % 2 ? "node-1" : "node-2") : NULL);
	}
	test_put_configmap(c, "default", "page", "hello\nworld\n");
	must_commit(c);
	test_set_status(c, "default", "web-1", 0);
	test_set_status(c, "default", "web-2", 0);
	test_put_node(c, "node-1", 1);
	must_commit(c);
	test_put_pod(c, t, "default", "web-0", "node-1");
	kg_txn_delete(test_txn(c), KG_KIND_POD, "default", "web-1");
	test_put_configmap(c, "kube-system", "other", "x");
	must_commit(c);
	test_set_status(c, "default", "web-2", 1);
	must_commit(c);
}

/* ---- git ---- */

int test_git(struct kg_buf *out, const char *dir, const char *const *args)
{
	static const char *const env[] = {"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t",
		"GIT_COMMITTER_EMAIL=t@example.com", NULL};
	const char *argv[32] = {"git", "-C", dir};
	struct kg_error err = {0};
	size_t n = 3;
	int status = -1;

	for (; *args && n < KG_ARRAY_LEN(argv) - 1; args++)
		argv[n++] = *args;
	struct kg_run run = {.spawn = {.argv = argv, .env = env, .netns = -1},
		.output = out,
		.max_output = 64u << 20};
	if (kg_run(&run, &status, &err) < 0) {
		/* 1 is an answer of several commands. */
		if (status != 1 && status != 1 << 8)
			fprintf(stderr, "git: %s\n", err.msg);
		return status ? status : -1;
	}
	return 0;
}

bool test_fsck(const char *dir)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	if (TEST_GIT(&out, dir, "fsck", "--strict", "--full", "--no-progress") == 0)
		return true;
	fprintf(stderr, "git fsck %s:\n%s\n", dir, kg_buf_str(&out));
	return false;
}

/* ---- comparing ---- */

static bool same_object(const struct kg_object *a, const struct kg_object *b)
{
	struct kg_buf x KG_AUTOBUF = KG_BUF_INIT, y KG_AUTOBUF = KG_BUF_INIT;

	kg_object_write_json(&x, a);
	if (b)
		kg_object_write_json(&y, b);
	bool same = b && strcmp(kg_buf_str(&x), kg_buf_str(&y)) == 0 &&
		    strcmp(a->template_id, b->template_id) == 0 && !a->source == !b->source &&
		    (!a->source || strcmp(a->source, b->source) == 0);
	if (!same)
		fprintf(stderr, "%s %s differs:\n%s\n%s\n", a->kind->kind, a->key, kg_buf_str(&x),
			kg_buf_str(&y));
	return same;
}

bool test_same_snapshot(const struct kg_snapshot *a, const struct kg_snapshot *b)
{
	if (a->revision != b->revision || a->time != b->time || strcmp(a->commit, b->commit) != 0 ||
		strcmp(a->main_commit, b->main_commit) != 0 ||
		strcmp(a->cluster_id, b->cluster_id) != 0) {
		fprintf(stderr, "revision %llu %s and %llu %s\n", (unsigned long long)a->revision,
			a->commit, (unsigned long long)b->revision, b->commit);
		return false;
	}
	for (int kind = 0; kind < KG_KIND_COUNT; kind++) {
		struct kg_object_iter it KG_CLEANUP(kg_iter_release) = {0};
		const struct kg_object *obj;

		if (a->objects[kind].count != b->objects[kind].count) {
			fprintf(stderr, "%zu and %zu of kind %d\n", a->objects[kind].count,
				b->objects[kind].count, kind);
			return false;
		}
		kg_iter_kind(&it, a, kind, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			if (!same_object(obj, kg_snapshot_get_key(b, kind, obj->key)))
				return false;
	}
	return true;
}

/* ---- replaying ---- */

struct replay {
	struct kg_store *store;
	uint64_t revision;
	size_t changes;
};

static void must(bool what, uint64_t revision, const char *key)
{
	if (what)
		return;
	fprintf(stderr, "revision %llu: the change of %s is not that of the snapshots\n",
		(unsigned long long)revision, key);
	abort();
}

static bool same_side(const struct kg_object *in_snapshot, const struct kg_object *in_change)
{
	if (!in_snapshot || !in_change)
		return in_snapshot == in_change;
	return kg_equal(kg_obj(in_snapshot), kg_obj(in_change));
}

static bool in_order(const struct kg_object *a, const struct kg_object *b)
{
	return a->kind->id < b->kind->id || (a->kind == b->kind && strcmp(a->key, b->key) < 0);
}

static int replay(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct replay *r = ctx;
	struct kg_snapshot *before = NULL, *after = NULL;
	struct kg_error err;

	if (kg_store_load_at(&before, r->store, revision - 1, &err) < 0 ||
		kg_store_load_at(&after, r->store, revision, &err) < 0)
		die("load", &err);
	must(revision == r->revision + 1 && time == after->time, revision, "its clock");
	r->revision = revision;
	r->changes += changes->len;
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *ch = &changes->items[i];
		const struct kg_object *obj = kg_change_object(ch);
		const struct kg_object *b = kg_snapshot_get_key(before, obj->kind->id, obj->key);
		const struct kg_object *a = kg_snapshot_get_key(after, obj->kind->id, obj->key);

		must(same_side(b, ch->before) && same_side(a, ch->after), revision, obj->key);
		must(!a || a->revision == ch->after->revision, revision, obj->key);
		must(!i || in_order(kg_change_object(ch - 1), obj), revision, obj->key);
	}
	kg_snapshot_unref(before);
	kg_snapshot_unref(after);
	return 0;
}

size_t test_changes_hold(struct test_cluster *c, uint64_t to)
{
	struct replay r = {.store = c->store};
	struct kg_error err;

	if (kg_store_changes(c->store, 0, to, 0, replay, &r, &err) < 0)
		die("changes", &err);
	must(r.revision == to, to, "nothing");
	return r.changes;
}
