/*
 * Back to what main was at a revision: a new commit on top of main with that older tree, pushed as
 * the user. Nothing is taken out of history.
 */
#include "kgit/kgit.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The commit that main was at. */
static int main_at(
	char out[41], struct kg_http_client *http, uint64_t revision, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value reply;
	char path[80];

	snprintf(
		path, sizeof(path), "/kgit/v1/log?limit=1&from=%llu", (unsigned long long)revision);
	int rc = kgit_call(&reply, &a, http, "GET", path, NULL, err);
	if (rc < 0)
		return rc;
	const char *commit = kg_string(kg_at(&reply, "entries.0.main"), "");
	if ((uint64_t)kg_int(kg_at(&reply, "entries.0.revision"), 0) != revision)
		return kg_fail(err, KG_E_NOT_FOUND, "there is no revision %llu yet",
			(unsigned long long)revision);
	if (!*commit)
		return kg_fail(err, KG_E_NOT_FOUND, "nothing had been pushed by revision %llu",
			(unsigned long long)revision);
	snprintf(out, 41, "%s", commit);
	return 0;
}

/* In place of *out, which is freed. */
static int git_text(char **out, const char *const *argv, struct kg_error *err)
{
	struct kg_buf text = KG_BUF_INIT;
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &text, .timeout_ms = 600000};

	run.spawn.argv = argv;
	int rc = kg_run(&run, NULL, err);
	if (rc < 0) {
		kg_buf_release(&text);
		return rc;
	}
	while (text.len && text.data[text.len - 1] == '\n')
		kg_buf_remove(&text, text.len - 1, 1);
	free(*out);
	*out = kg_buf_steal(&text);
	return 0;
}

/* git push, which speaks for itself: its exit status. */
static int push(const char *commit, char **options, int noptions)
{
	char *refspec KG_AUTOFREE = kg_asprintf("%s:refs/heads/main", commit);
	const char *argv[40] = {"git", "push"};
	struct kg_spawn spawn = KG_SPAWN_INIT;
	struct kg_error err;
	size_t n = 2;
	pid_t pid;
	int status;

	for (int i = 0; i < noptions && n < KG_ARRAY_LEN(argv) - 5; i++) {
		argv[n++] = "-o";
		argv[n++] = options[i];
	}
	argv[n++] = "origin";
	argv[n++] = refspec;
	argv[n] = NULL;
	spawn.argv = argv;
	spawn.out = STDOUT_FILENO;
	spawn.err = STDERR_FILENO;
	if (kg_spawn(&pid, &spawn, &err) < 0)
		return kgit_fail(&err);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
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
	int rc = git_text(&out, main, err);

	if (rc == 0 && git_text(&out, have, &ignored) < 0)
		rc = git_text(&out, state, err);
	return rc;
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
	const char *commit[] = {
		"git", "commit-tree", tree, "-p", "refs/remotes/origin/main", "-m", message, NULL};
	int rc = get_commit(target, err);

	if (rc == 0)
		rc = git_text(&wanted, wanted_tree, err);
	if (rc == 0)
		rc = git_text(&now, now_tree, err);
	if (rc < 0 || strcmp(wanted, now) == 0)
		return rc;
	return git_text(out, commit, err);
}

static int rollback(const struct kgit_cluster *c, const char *to, char **options, int noptions)
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
	rc = push(commit, options, noptions);
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
	char *options[16];
	const char *to = NULL;
	struct kg_error err;
	int n = 0;

	/* It would count more than the clone's own CA, and only the cluster is spoken to here. */
	unsetenv("GIT_SSL_CAINFO");
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-o") == 0 && i + 1 < argc && n < (int)KG_ARRAY_LEN(options))
			options[n++] = argv[++i];
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
	return rollback(&c, to, options, n);
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
