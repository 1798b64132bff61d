/*
 * A master's state directory from backups. Nothing is seen of it until it is whole: the repository
 * is made under another name, opened and read as kgitd will open it, and then renamed.
 */
#include "kgit/bundle.h"
#include "kgit/kgit.h"
#include "reconcile/step.h"
#include "store/store.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_SKIP 1000
#define MAX_SKIP     10000000

struct restore {
	const char *state, *pki;
	char *const *files;
	int nfiles;
	uint64_t skip;
	char *repo; /* being made */
	char cluster_id[37];
	uint64_t revision, head; /* of the backup; with those skipped */
};

static void restore_release(struct restore *r)
{
	struct kg_error ignored;

	if (r->repo)
		kg_remove_tree(r->repo, &ignored);
	free(r->repo);
}

static int read_bundles(struct restore *r, struct kg_error *err)
{
	const char *init[] = {"git", "init", "--quiet", "--bare", "-b", "main", r->repo, NULL};
	char state[41];
	int rc = kgit_git(NULL, NULL, init, NULL, err);

	for (int i = 0; rc == 0 && i < r->nfiles; i++)
		rc = kgit_bundle_read(r->repo, r->files[i], err);
	if (rc == 0)
		rc = kgit_repo_ref(state, r->repo, KGIT_STATE_REF, err);
	if (rc == 0 && !*state)
		rc = kg_fail(err, KG_E_INVALID, "%s: no backup of a cluster", r->files[0]);
	return rc;
}

/* One revision that changes nothing but the clock. */
static int skip_one(
	struct kg_store *store, struct kg_snapshot **at, kg_time now, struct kg_error *err)
{
	struct kg_step step KG_CLEANUP(kg_step_release) = {.prev = *at};

	kg_step_skip(&step, now > (*at)->time ? now : (*at)->time);
	struct kg_store_commit c = {.next = step.next,
		.prev = *at,
		.changes = &step.changes,
		.message = kg_buf_str(&step.message),
		.inputs = kg_buf_str(&step.record)};
	int rc = kg_store_commit(store, &c, err);
	if (rc < 0)
		return rc;
	kg_snapshot_unref(*at);
	*at = kg_steal(&step.next);
	return 0;
}

/* As kgitd will open it: what cannot be read is found here. */
static int settle(struct restore *r, struct kg_error *err)
{
	struct kg_store_options opts = {.now = kg_realtime_ms()};
	struct kg_snapshot *s = NULL;
	struct kg_store *store;
	kg_time now = kg_realtime_ms();
	int rc = kg_store_open(&store, r->repo, &opts, NULL, err);

	if (rc < 0)
		return rc;
	rc = kg_store_load(&s, store, err);
	if (rc == 0) {
		r->revision = s->revision;
		memcpy(r->cluster_id, s->cluster_id, sizeof(r->cluster_id));
	}
	for (uint64_t i = 0; rc == 0 && i < r->skip; i++)
		rc = skip_one(store, &s, now, err);
	if (rc == 0)
		r->head = s->revision;
	kg_snapshot_unref(s);
	kg_store_close(store);
	return rc;
}

static int restore_pki(const struct restore *r, struct kg_error *err)
{
	const char *argv[] = {"tar", "--extract", "--file", r->pki, "--directory", r->state,
		"--no-same-owner", "--keep-old-files", NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT};

	run.spawn.argv = argv;
	return r->pki ? kg_run(&run, NULL, err) : 0;
}

static int put_in_place(const struct restore *r, const char *to, struct kg_error *err)
{
	int fd KG_AUTOCLOSE = open(r->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* All that git and tar wrote, then the name. */
	if (fd < 0 || syncfs(fd) < 0 || rename(r->repo, to) < 0 || fsync(fd) < 0)
		return kg_fail_errno(err, "%s", to);
	return 0;
}

static int restore(struct restore *r, struct kg_error *err)
{
	char *to KG_AUTOFREE = kg_asprintf("%s/cluster.git", r->state);
	char *pki KG_AUTOFREE = kg_asprintf("%s/pki", r->state);
	int rc = kg_mkdir_p(r->state, 0700, err);

	if (rc == 0 && kg_path_exists(to))
		return kg_fail(err, KG_E_EXISTS,
			"%s is there: restore into a directory without a cluster, or move it away",
			to);
	if (rc == 0 && r->pki && kg_path_exists(pki))
		return kg_fail(err, KG_E_EXISTS, "%s is there: leave --pki out to keep it", pki);
	if (rc < 0)
		return rc;
	r->repo = kg_asprintf("%s/restoring.git", r->state);
	rc = kg_remove_tree(r->repo, err);
	if (rc == 0)
		rc = read_bundles(r, err);
	if (rc == 0)
		rc = settle(r, err);
	if (rc == 0 && (rc = restore_pki(r, err)) < 0)
		return kg_wrap(err, "--pki %s", r->pki);
	return rc < 0 ? rc : put_in_place(r, to, err);
}

static void report(const struct restore *r)
{
	char *key KG_AUTOFREE = kg_asprintf("%s/pki/ca.key", r->state);

	printf("restored cluster %s as of revision %llu into %s", r->cluster_id,
		(unsigned long long)r->revision, r->state);
	if (r->head > r->revision)
		printf("; the next revision is %llu, so that no number is given twice",
			(unsigned long long)r->head + 1);
	printf("\nstart it: kgitd --state %s (and the flags that it had)\n", r->state);
	if (kg_path_exists(key))
		puts("its CA is there: nodes, kubeconfigs, tokens and clones go on as before where "
		     "its address\nis the same");
	else
		puts("its CA is not: kgitd makes a new one. Users take the new admin.kubeconfig, "
		     "or "
		     "tokens, and\nclone anew (kgit clone); each node is reset and joins again "
		     "(kgit token create)");
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"state", required_argument, NULL, 's'},
		{"pki", required_argument, NULL, 'p'},
		{"skip-revisions", required_argument, NULL, 'k'}, {0}};
	struct restore r KG_CLEANUP(restore_release) = {.skip = DEFAULT_SKIP};
	struct kg_error err;
	char *end;
	int o;

	(void)kubeconfig;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			r.state = optarg;
		else if (o == 'p')
			r.pki = optarg;
		else if (o != 'k')
			return 2;
		else if ((r.skip = strtoull(optarg, &end, 10)) > MAX_SKIP || *end || end == optarg)
			return kgit_bad_usage(&kgit_restore_verb,
				"--skip-revisions: expected a number up to %d", MAX_SKIP);
	}
	r.files = argv + optind;
	r.nfiles = argc - optind;
	if (!r.state || r.nfiles < 1)
		return kgit_bad_usage(&kgit_restore_verb, "expected a backup and --state DIR");
	unsetenv("GIT_DIR");
	unsetenv("GIT_WORK_TREE");
	if (restore(&r, &err) < 0)
		return kgit_fail(&err);
	report(&r);
	return 0;
}

const struct kgit_verb kgit_restore_verb = {
	.name = "restore",
	.summary = "a master's state directory from backups",
	.usage =
		"kgit restore FILE... --state DIR [--pki FILE.pki.tar] [--skip-revisions N]\n"
		"\n"
		"Makes DIR/cluster.git of a backup (and those made --since it, in order), from "
		"which\n"
		"`kgitd --state DIR` starts: the same cluster, objects and revisions. DIR may have "
		"a pki\n"
		"directory already: that stays. Run it where kgitd will run.\n"
		"\n"
		"  --pki FILE            the CA and the tokens, as kgit backup --with-pki saved "
		"them\n"
		"  --skip-revisions N    revisions made after the backup are lost, but somebody "
		"may "
		"have\n"
		"                        seen their numbers, and objects are known by them: go on "
		"so "
		"many\n"
		"                        later; more than were lost. Default 1000\n",
	.run = run,
};
