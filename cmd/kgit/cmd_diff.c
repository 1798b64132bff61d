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

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_snapshot *s;
	struct kg_error err;

	if (argc > 2 || (argc == 2 && argv[1][0] == '-'))
		return kgit_bad_usage(&kgit_diff_verb, "expected at most one directory");
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
	.usage = "kgit diff [DIR]\n"
		 "\n"
		 "Compares DIR (default: the working tree) with what the cluster runs: objects, "
		 "pods and\n"
		 "the nodes they would be bound to. Nothing is started. Exit status: 0 no change,\n"
		 "1 changes, 2 refused.\n",
	.run = run,
};
