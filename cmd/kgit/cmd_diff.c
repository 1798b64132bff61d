/*
 * What a push of a directory would change. The state of the cluster is fetched as the commit it
 * is, and the very code that kgitd runs (admission, reconcile) runs here on it; nothing starts.
 */
#include "kgit/kgit.h"
#include "reconcile/admission.h"
#include "reconcile/reconcile.h"
#include "store/store.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILES 200000
#define MAX_FILE  (4 << 20)
#define STATE_REF "refs/kgit/state"

/* The directory to compare: the one named, or the top of the working tree. */
static char *wanted_dir(const char *arg, struct kg_error *err)
{
	const char *argv[] = {"git", "rev-parse", "--show-toplevel", NULL};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &out, .timeout_ms = 10000};
	struct stat st;

	if (arg) {
		if (stat(arg, &st) < 0 || !S_ISDIR(st.st_mode)) {
			kg_fail(err, KG_E_NOT_FOUND, "%s: no such directory", arg);
			return NULL;
		}
		return kg_strdup(arg);
	}
	run.spawn.argv = argv;
	if (kg_run(&run, NULL, err) < 0) {
		kg_fail(err, KG_E_NOT_FOUND,
			"this is no working tree of git; name the directory: kgit diff DIR");
		return NULL;
	}
	return kg_strndup(out.data, strcspn(out.data, "\n"));
}

/* A bare repository that keeps the fetched state, so that the next fetch is small. */
static int cache_repo(char **out, const struct kgit_cluster *c, struct kg_error *err)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	char *safe KG_AUTOFREE = kg_strdup(c->url + strlen("https://"));
	char *dir;

	for (char *p = safe; *p; p++)
		if (*p == '/' || *p == ':')
			*p = '_';
	if (base && *base)
		dir = kg_asprintf("%s/kgit/%s.git", base, safe);
	else
		dir = kg_asprintf("%s/.cache/kgit/%s.git", home && *home ? home : "/tmp", safe);
	const char *argv[] = {"git", "init", "--quiet", "--bare", dir, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = 60000};
	run.spawn.argv = argv;
	char *objects KG_AUTOFREE = kg_asprintf("%s/objects", dir);
	int rc = kg_path_exists(objects) ? 0 : kg_mkdir_p(dir, 0700, err);
	if (rc == 0 && !kg_path_exists(objects))
		rc = kg_run(&run, NULL, err);
	if (rc < 0) {
		free(dir);
		return rc;
	}
	*out = dir;
	return 0;
}

static int fetch_state(struct kg_snapshot **out, const struct kgit_cluster *c, struct kg_error *err)
{
	char *repo KG_AUTOFREE = NULL;
	char *remote KG_AUTOFREE = kg_asprintf("%s/cluster.git", c->url);
	int rc = cache_repo(&repo, c, err);

	if (rc < 0)
		return rc;
	const char *argv[] = {"git", "fetch", "--quiet", "--no-tags", "--depth=1",
		"--update-shallow", remote, "+" STATE_REF ":" STATE_REF, NULL};
	rc = kgit_git(c, repo, argv, NULL, err);
	if (rc < 0)
		return kg_wrap(err, "fetch the state of %s", c->url);
	struct kg_store_options opts = {.read_only = true, .state_ref = STATE_REF};
	struct kg_store *store;
	rc = kg_store_open(&store, repo, &opts, NULL, err);
	if (rc < 0)
		return rc;
	rc = kg_store_load(out, store, err);
	kg_store_close(store);
	return rc;
}

struct tree {
	const char *dir;
	struct kg_admission_file *files;
	size_t n;
};

static int read_tree(struct tree *t, struct kg_arena *a, struct kg_error *err)
{
	struct kg_tree_file *found;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_dir_manifests(&found, &t->n, a, t->dir, MAX_FILES, err);

	if (rc < 0)
		return rc;
	t->files = kg_arena_alloc(a, (t->n + 1) * sizeof(*t->files));
	for (size_t i = 0; i < t->n; i++) {
		char *path KG_AUTOFREE = kg_asprintf("%s/%s", t->dir, found[i].path);

		kg_buf_clear(&text);
		rc = kg_file_read(&text, path, MAX_FILE, err);
		if (rc < 0)
			return rc;
		t->files[i] = (struct kg_admission_file){
			.path = found[i].path,
			.text = kg_arena_strndup(a, kg_buf_str(&text), text.len),
			.len = text.len,
		};
	}
	return 0;
}

/* Every file is among those compared, so there is no other. */
static int no_other(void *ctx, const char *path, struct kg_buf *out)
{
	(void)ctx;
	(void)path;
	(void)out;
	return -KG_E_NOT_FOUND;
}

static void print_faults(const struct kg_fault_list *faults)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	for (size_t i = 0; i < faults->len; i++) {
		kg_fault_format(&out, &faults->items[i]);
		if (out.len && out.data[out.len - 1] != '\n')
			kg_buf_addc(&out, '\n');
	}
	fputs(kg_buf_str(&out), stderr);
}

/* Reconciles on the fetched state; prints the net changes. 0 none, 1 some, 2 refused. */
static int plan(const struct kg_snapshot *s, const struct kg_admission *admission)
{
	struct kg_reconcile_options opts = {0};
	struct kg_reconcile_state *state = kg_reconcile_state_new(s, &opts);
	kg_time now = kg_realtime_ms(), wake;
	struct kg_inputs in = {
		.now = now > s->time ? now : s->time,
		.desired = admission->desired,
		.ndesired = admission->n,
	};
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_plan_options plan_opts = {0};
	struct kg_changes changes = {0};
	struct kg_snapshot *next;
	struct kg_error err;

	kg_txn_set_time(txn, in.now);
	int rc = kg_reconcile(state, txn, &in, &wake, &err);
	kg_reconcile_state_free(state);
	if (rc < 0) {
		kg_txn_free(txn);
		kgit_fail(&err);
		return 2;
	}
	kg_txn_finish(txn, &next, &changes);
	kg_plan_write(&out, &changes, &plan_opts);
	fputs(kg_buf_str(&out), stdout);
	bool any = out.len > 0;
	if (!any)
		puts("no change");
	kg_changes_release(&changes);
	kg_snapshot_unref(next);
	return any ? 1 : 0;
}

static int diff(const struct kg_snapshot *s, const char *dir, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission admission;
	struct tree t = {.dir = dir};
	int rc = read_tree(&t, &a, err);

	if (rc < 0)
		return rc;
	kg_faults_init(&faults, &a);
	kg_admit(&admission, s, t.files, t.n, true, no_other, NULL, &a, &faults);
	print_faults(&faults);
	size_t errors = kg_faults_errors(&faults);
	kg_faults_release(&faults);
	if (errors) {
		fprintf(stderr, "kgit: a push would be refused: %zu fault%s\n", errors,
			errors == 1 ? "" : "s");
		return 2;
	}
	return plan(s, &admission);
}

/* ---- two revisions ---- */

/* The changes that turn one snapshot into another. */
static void changes_between(
	struct kg_changes *out, const struct kg_snapshot *from, const struct kg_snapshot *to)
{
	struct kg_txn *txn = kg_txn_new(from);
	const struct kg_object *obj;
	struct kg_snapshot *ignored;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it;

		kg_iter_kind(&it, from, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			if (!kg_snapshot_get_key(to, obj->kind->id, obj->key))
				kg_txn_delete(txn, obj->kind->id, obj->ns, obj->name);
		kg_iter_release(&it);
		kg_iter_kind(&it, to, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it)))
			kg_txn_put(txn, kg_object_with(obj, kg_obj(obj)));
		kg_iter_release(&it);
	}
	kg_txn_finish(txn, &ignored, out);
	kg_snapshot_unref(ignored);
}

static int load_at(struct kg_snapshot **out, struct kg_http_client *http, const char *text,
	struct kg_error *err)
{
	uint64_t revision = 0;
	int rc = *text ? kgit_revision_parse(&revision, http, text, err) : 0;

	return rc < 0 ? rc : kgit_load(out, http, revision, err);
}

/* FROM..TO; either may be left out: the revision of now. */
static int diff_revisions(const struct kgit_cluster *c, const char *range, struct kg_error *err)
{
	const char *dots = strstr(range, "..");
	char *from_text KG_AUTOFREE = kg_strndup(range, (size_t)(dots - range));
	struct kg_http_client *http = kgit_connect(c, 0);
	struct kg_snapshot *from = NULL, *to = NULL;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_plan_options opts = {0};
	struct kg_changes changes;
	int rc = load_at(&from, http, from_text, err);

	if (rc == 0)
		rc = load_at(&to, http, dots + 2, err);
	kg_http_client_free(http);
	if (rc == 0) {
		changes_between(&changes, from, to);
		kg_plan_write(&out, &changes, &opts);
		fputs(out.len ? out.data : "no change\n", stdout);
		kg_changes_release(&changes);
		rc = out.len ? 1 : 0;
	}
	kg_snapshot_unref(from);
	kg_snapshot_unref(to);
	return rc;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_snapshot *s;
	struct kg_error err;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return kgit_bad_usage(&kgit_diff_verb, "expected at most one directory");
	if (argc == 2 && strstr(argv[1], "..") && !kg_path_exists(argv[1])) {
		int shown = kgit_cluster_find(&c, kubeconfig, &err);

		if (shown == 0)
			shown = diff_revisions(&c, argv[1], &err);
		if (shown < 0)
			kgit_fail(&err);
		return shown < 0 ? 2 : shown;
	}
	char *dir KG_AUTOFREE = wanted_dir(argc == 2 ? argv[1] : NULL, &err);
	if (!dir || kgit_cluster_find(&c, kubeconfig, &err) < 0 || fetch_state(&s, &c, &err) < 0) {
		kgit_fail(&err);
		return 2;
	}
	int rc = diff(s, dir, &err);
	kg_snapshot_unref(s);
	if (rc < 0) {
		kgit_fail(&err);
		return 2;
	}
	return rc;
}

const struct kgit_verb kgit_diff_verb = {
	.name = "diff",
	.summary = "what a push would change, down to pods and nodes",
	.usage = "kgit diff [DIR | REV..REV]\n"
		 "\n"
		 "Compares DIR (default: the working tree) with what the cluster runs: objects, "
		 "pods and\n"
		 "the nodes they would be bound to. Nothing is started. With REV..REV: what\n"
		 "changed between two revisions (or times). Exit status: 0 no change, 1 changes,\n"
		 "2 refused.\n",
	.run = run,
};
