/*
 * All of the cluster as one file. What is fetched is one advertisement of refs and what is
 * reachable from them: main is always named by an older state than the state branch's, so the two
 * fit together whatever is pushed meanwhile.
 */
#include "kgit/bundle.h"
#include "kgit/kgit.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct backup {
	const struct kgit_cluster *cluster;
	const char *file, *since, *pki;
	char *dir;     /* beside the file: what is being made */
	char *repo;    /* in it */
	bool existing; /* the file is there: what it has is not fetched again */
	char before[41], state[41];
	uint64_t revision;
};

static void backup_release(struct backup *b)
{
	struct kg_error ignored;

	if (b->dir)
		kg_remove_tree(b->dir, &ignored);
	free(b->dir);
	free(b->repo);
}

static int prepare(struct backup *b, struct kg_error *err)
{
	b->dir = kg_asprintf("%s.XXXXXX", b->file);
	if (!mkdtemp(b->dir)) {
		kg_fail_errno(err, "%s", b->dir);
		free(b->dir);
		b->dir = NULL;
		return -(int)err->code;
	}
	b->repo = kg_asprintf("%s/repo.git", b->dir);
	const char *init[] = {"git", "init", "--quiet", "--bare", b->repo, NULL};
	int rc = kgit_git(NULL, NULL, init, NULL, err);

	b->existing = rc == 0 && !b->since && kg_path_exists(b->file);
	if (b->existing)
		rc = kgit_bundle_read(b->repo, b->file, err);
	if (rc == 0 && b->existing)
		rc = kgit_repo_ref(b->before, b->repo, KGIT_STATE_REF, err);
	if (rc < 0 && b->existing)
		return kg_wrap(err, "it is there and is no whole backup; name another file");
	return rc;
}

static int fetch(struct backup *b, struct kg_error *err)
{
	char *remote KG_AUTOFREE = kg_asprintf("%s/cluster.git", b->cluster->url);
	const char *argv[] = {"git", "--git-dir", b->repo, "-c", "gc.auto=0", "-c",
		"maintenance.auto=false", "-c", "transfer.unpackLimit=1", "fetch", "--quiet",
		"--prune", "--no-tags", "--update-shallow", "--no-write-fetch-head", remote,
		"+refs/*:refs/*", NULL};
	int rc = kgit_git(b->cluster, NULL, argv, NULL, err);

	if (rc < 0)
		return kg_wrap(err, "fetch all of %s", b->cluster->url);
	rc = kgit_repo_ref(b->state, b->repo, KGIT_STATE_REF, err);
	if (rc == 0 && !*b->state)
		rc = kg_fail(
			err, KG_E_NOT_FOUND, "%s shows no state of a cluster", b->cluster->url);
	if (rc == 0)
		rc = kgit_repo_revision(&b->revision, b->repo, b->state, err);
	return rc;
}

/* What the file has must be an earlier state of this very cluster. */
static int check_same(const struct backup *b, struct kg_error *err)
{
	const char *argv[] = {"git", "--git-dir", b->repo, "merge-base", "--is-ancestor", b->before,
		b->state, NULL};
	struct kg_error ignored;

	if (!b->existing || !*b->before || kgit_git(NULL, NULL, argv, NULL, &ignored) == 0)
		return 0;
	return kg_fail(err, KG_E_CONFLICT,
		"%s is a backup of another cluster, or of a later state; name another file",
		b->file);
}

/* The commit of the revision that an earlier backup has. */
static int since_commit(char **out, const struct backup *b, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_http_client *http = kgit_connect(b->cluster, 0);
	struct kg_value reply;
	uint64_t revision;
	char path[80];
	int rc = kgit_revision_parse(&revision, http, b->since, err);

	snprintf(
		path, sizeof(path), "/kgit/v1/log?limit=1&from=%llu", (unsigned long long)revision);
	if (rc == 0)
		rc = kgit_call(&reply, &a, http, "GET", path, NULL, err);
	kg_http_client_free(http);
	if (rc < 0)
		return rc;
	if (kg_int(kg_at(&reply, "entries.0.revision"), -1) != (int64_t)revision)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no revision %s yet", b->since);
	*out = kg_strdup(kg_string(kg_at(&reply, "entries.0.commit"), ""));
	return 0;
}

static int put_in_place(const char *from, const char *to, struct kg_error *err)
{
	char *dir KG_AUTOFREE = kg_strdup(to);
	char *slash = strrchr(dir, '/');

	if (slash)
		slash[slash == dir] = '\0';
	if (chmod(from, 0600) < 0 || rename(from, to) < 0)
		return kg_fail_errno(err, "%s", to);
	return kg_sync_dir(slash ? dir : ".", err);
}

/* The master's keys and tokens, from its own disk, as an archive that only its owner can read. */
static int save_pki(const struct backup *b, struct kg_error *err)
{
	char *made KG_AUTOFREE = kg_asprintf("%s/pki.tar", b->dir);
	char *to KG_AUTOFREE = kg_asprintf("%s.pki.tar", b->file);
	char *tokens KG_AUTOFREE = kg_asprintf("%s/tokens", b->pki);
	const char *argv[] = {"tar", "--create", "--file", made, "--directory", b->pki, "pki",
		kg_path_exists(tokens) ? "tokens" : NULL, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT};
	mode_t mask = umask(0077);

	run.spawn.argv = argv;
	int rc = kg_run(&run, NULL, err);
	umask(mask);
	return rc < 0 ? kg_wrap(err, "--with-pki %s", b->pki) : put_in_place(made, to, err);
}

static int backup(struct backup *b, struct kg_error *err)
{
	char *made KG_AUTOFREE = NULL, *since KG_AUTOFREE = NULL;
	int rc = prepare(b, err);

	if (rc == 0 && b->since)
		rc = since_commit(&since, b, err);
	if (rc == 0)
		rc = fetch(b, err);
	if (rc == 0)
		rc = check_same(b, err);
	if (rc < 0)
		return rc;
	if (since && strcmp(since, b->state) == 0)
		return kg_fail(err, KG_E_NOT_FOUND,
			"nothing has changed since revision %s: there is nothing to back up",
			b->since);
	made = kg_asprintf("%s/bundle", b->dir);
	rc = kgit_bundle_write(b->repo, made, since, err);
	if (rc == 0 && b->pki)
		rc = save_pki(b, err);
	return rc < 0 ? rc : put_in_place(made, b->file, err);
}

static void report(const struct backup *b)
{
	struct stat st = {0};

	stat(b->file, &st);
	printf("%s: %s to revision %llu, %lld KiB\n", b->file,
		b->since ? "what changed since that revision, up" : "all of the cluster, up",
		(unsigned long long)b->revision, (long long)(st.st_size + 1023) / 1024);
	if (b->pki)
		printf("%s.pki.tar: its CA's key and tokens: whoever has it is the cluster; keep "
		       "it "
		       "apart\n",
			b->file);
	else
		puts("not in it: the CA and tokens (--with-pki DIR, on the master)");
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"since", required_argument, NULL, 's'},
		{"with-pki", required_argument, NULL, 'p'}, {0}};
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct backup b KG_CLEANUP(backup_release) = {.cluster = &c};
	struct kg_error err;
	int o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 's')
			b.since = optarg;
		else if (o == 'p')
			b.pki = optarg;
		else
			return 2;
	}
	if (optind + 1 != argc)
		return kgit_bad_usage(&kgit_backup_verb, "expected one file");
	b.file = argv[optind];
	unsetenv("GIT_DIR");
	unsetenv("GIT_WORK_TREE");
	if (kgit_cluster_find(&c, kubeconfig, &err) < 0 || backup(&b, &err) < 0)
		return kgit_fail(&err);
	report(&b);
	return 0;
}

const struct kgit_verb kgit_backup_verb = {
	.name = "backup",
	.summary = "all of the cluster as one file, a git bundle",
	.usage =
		"kgit backup FILE [--since REV|TIME] [--with-pki DIR]\n"
		"\n"
		"Writes every branch and the whole retained history of the running cluster to "
		"FILE, "
		"a\n"
		"git bundle (git clone --mirror FILE reads it, too); you need the right to read "
		"all.\n"
		"Where FILE is there already, only what is new is fetched.\n"
		"\n"
		"  --since REV     only what came after that revision: restored on top of a backup "
		"that\n"
		"                  has it (kgit restore FULL FILE --state DIR)\n"
		"  --with-pki DIR  on the master, DIR being kgitd's --state: also FILE.pki.tar, "
		"with "
		"the\n"
		"                  CA's key and the tokens, which are not in the repository. "
		"Without "
		"it,\n"
		"                  and without the master's DIR/pki, a restored cluster has a new "
		"CA:\n"
		"                  nodes join again, users take a new kubeconfig\n",
	.run = run,
};
