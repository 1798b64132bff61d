/*
 * Back to what main was at a revision: a new commit on top of main with that older tree, pushed as
 * the user. Nothing is taken out of history.
 */
#include "kgit/kgit.h"

#include <stdio.h>
#include <string.h>

/* The commit that main was at. */
static int main_at(
	char out[41], struct kg_http_client *http, uint64_t revision, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value e;
	int rc = kgit_log_entry_of(&e, &a, http, revision, err);

	if (rc < 0)
		return rc;
	const char *commit = kg_string(kg_get(&e, "main"), "");
	if (!*commit)
		return kg_fail(err, KG_E_NOT_FOUND, "nothing had been pushed by revision %llu",
			(unsigned long long)revision);
	snprintf(out, 41, "%s", commit);
	return 0;
}

/* The commit in this clone: where main was moved by force since, only the state names it. */
static int get_commit(const char *commit, struct kg_error *err)
{
	char *whole KG_AUTOFREE = kg_asprintf("%s^{commit}", commit);
	const char *have[] = {"git", "cat-file", "-e", whole, NULL};
	const char *main[] = {"git", "fetch", "--quiet", "origin", NULL};
	const char *state[] = {"git", "fetch", "--quiet", "--no-tags", "--update-shallow",
		"--no-write-fetch-head", "origin", "refs/kgit/state", NULL};
	char *out KG_AUTOFREE = NULL;
	struct kg_error ignored;
	int rc = kgit_git_text(&out, main, err);

	if (rc == 0 && kgit_git_text(&out, have, &ignored) < 0)
		rc = kgit_git_text(&out, state, err);
	return rc;
}

/* As git commit would: commit-tree asks for no setting. */
static bool signs(void)
{
	const char *argv[] = {"git", "config", "--type=bool", "--get", "commit.gpgsign", NULL};
	char *value KG_AUTOFREE = NULL;
	struct kg_error unset;

	return kgit_git_text(&value, argv, &unset) == 0 && strcmp(value, "true") == 0;
}

/* *out NULL: main has that very tree. */
static int make_commit(char **out, uint64_t revision, const char *target, struct kg_error *err)
{
	char *tree KG_AUTOFREE = kg_asprintf("%s^{tree}", target);
	char *message KG_AUTOFREE = kg_asprintf("Roll back to revision %llu\n\nThe tree of %s.\n",
		(unsigned long long)revision, target);
	char *wanted KG_AUTOFREE = NULL, *now KG_AUTOFREE = NULL;
	const char *wanted_tree[] = {"git", "rev-parse", "--verify", tree, NULL};
	const char *now_tree[] = {
		"git", "rev-parse", "--verify", "refs/remotes/origin/main^{tree}", NULL};
	const char *commit[] = {"git", "commit-tree", tree, "-p", "refs/remotes/origin/main", "-m",
		message, signs() ? "-S" : NULL, NULL};
	int rc = get_commit(target, err);

	if (rc == 0)
		rc = kgit_git_text(&wanted, wanted_tree, err);
	if (rc == 0)
		rc = kgit_git_text(&now, now_tree, err);
	if (rc < 0 || strcmp(wanted, now) == 0)
		return rc;
	return kgit_git_text(out, commit, err);
}

static int rollback(
	const struct kgit_cluster *c, const char *to, const struct kgit_push_options *options)
{
	char *commit KG_AUTOFREE = NULL, target[41];
	struct kg_http_client *http = kgit_connect(c, 0);
	uint64_t revision;
	struct kg_error err;
	int rc = kgit_revision_parse(&revision, http, to, &err);

	if (rc == 0)
		rc = main_at(target, http, revision, &err);
	kg_http_client_free(http);
	if (rc == 0)
		rc = make_commit(&commit, revision, target, &err);
	if (rc < 0)
		return kgit_fail(&err);
	if (!commit) {
		printf("main is as it was at revision %llu already: nothing is pushed\n",
			(unsigned long long)revision);
		return 0;
	}
	rc = kgit_push(".", commit, options);
	if (rc == 0 && kgit_push_is_dry(options))
		return 0;
	if (rc == 0)
		printf("main is as it was at revision %llu (%.12s); git pull brings it into this "
		       "working tree\n",
			(unsigned long long)revision, target);
	else
		fprintf(stderr,
			"kgit: not rolled back: the push failed; this clone is as it was\n");
	return rc;
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	char *git_dir KG_AUTOFREE = kgit_git_dir(".");
	struct kgit_push_options options = {.n = 0};
	const char *to = NULL;
	struct kg_error err;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc &&
			kgit_push_option(&options, argv[i + 1]))
			i++;
		else if (argv[i][0] == '-' || to)
			return kgit_bad_usage(&kgit_rollback_verb, "unexpected \"%s\"", argv[i]);
		else
			to = argv[i];
	}
	if (!to)
		return kgit_bad_usage(&kgit_rollback_verb, "expected a revision or a time");
	if (!git_dir)
		return kgit_bad_usage(&kgit_rollback_verb,
			"stand in a clone (kgit clone DIR): the commit is made and pushed from it");
	if (kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	return rollback(&c, to, &options);
}

const struct kgit_verb kgit_rollback_verb = {
	.name = "rollback",
	.summary = "push main as it was at a revision, as a new commit",
	.usage = "kgit rollback REV|TIME [-o PUSH-OPTION]...\n"
		 "\n"
		 "Makes a commit on top of main whose tree is main's at that revision, and pushes "
		 "it as\n"
		 "you. Run it in a clone; `git pull` then brings it into the working tree. -o is "
		 "git\n"
		 "push's (-o allow-delete=N).\n",
	.run = run,
};
