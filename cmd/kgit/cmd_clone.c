/*
 * A working clone: an ordinary git repository whose configuration knows the cluster's CA and a
 * credential of its own (an access token, sent as Basic's password), so that plain `git push` and
 * `git pull` work from then on.
 */
#include "base/hash.h"
#include "kgit/kgit.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int git(const char *dir, struct kg_error *err, const char *a, const char *b, const char *c,
	const char *d)
{
	const char *argv[] = {"git", "-C", dir, a, b, c, d, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = 600000};

	run.spawn.argv = argv;
	return kg_run(&run, NULL, err);
}

static bool usable_target(const char *dir, struct kg_error *err)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	bool empty = true;

	if (!d && errno == ENOENT)
		return true;
	if (!d) {
		kg_fail_errno(err, "%s", dir);
		return false;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			empty = false;
	closedir(d);
	if (!empty)
		kg_fail(err, KG_E_EXISTS, "%s exists and is not empty", dir);
	return empty;
}

static int access_token(char **out, const struct kgit_cluster *c, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_http_client *http = kgit_connect(c, 0);
	struct kg_value reply;
	struct kg_value body = kg_v_obj(&a, "kind", kg_v_lit("access"), (char *)NULL);
	int rc = kgit_call(&reply, &a, http, "POST", "/kgit/v1/tokens", &body, err);

	kg_http_client_free(http);
	if (rc == 0)
		*out = kg_strdup(kg_string(kg_get(&reply, "token"), ""));
	return rc < 0 ? kg_wrap(err, "get a credential for the clone") : 0;
}

static int put_file(const char *git_dir, const char *name, const char *text, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/kgit/%s", git_dir, name);

	return kg_file_write(path, text, strlen(text), 0600, err);
}

/*
 * The credential goes along with every request (extraHeader): git would otherwise ask once
 * without it and run a credential helper twice, a third of a push's time. It lies in a file of
 * its own, that only the owner can read, which .git/config includes. sslCAPath is an empty
 * directory: git's curl would otherwise load every certificate of the machine beside the one that
 * counts, which is nearly half of a push's time.
 */
static int put_files(
	const char *git_dir, const struct kgit_cluster *c, const char *token, struct kg_error *err)
{
	char *dir KG_AUTOFREE = kg_asprintf("%s/kgit", git_dir);
	char *others KG_AUTOFREE = kg_asprintf("%s/no-other-ca", dir);
	char *pair KG_AUTOFREE = kg_asprintf("kgit:%s", token);
	char *basic KG_AUTOFREE = kg_base64_encode(pair, strlen(pair));
	char *config KG_AUTOFREE = kg_asprintf("[http \"%s\"]\n"
					       "\tsslCAInfo = \"%s/ca.crt\"\n"
					       "\tsslCAPath = \"%s\"\n"
					       "\textraHeader = Authorization: Basic %s\n",
		c->url, dir, others, basic);
	int rc = kg_mkdir_p(others, 0700, err);

	if (rc == 0)
		rc = put_file(git_dir, "ca.crt", c->ca_pem, err);
	if (rc == 0)
		rc = put_file(git_dir, "token", token, err);
	if (rc == 0)
		rc = put_file(git_dir, "config", config, err);
	if (rc == 0)
		rc = put_file(git_dir, "server", c->url, err);
	return rc;
}

static int configure(const char *dir, const struct kgit_cluster *c, struct kg_error *err)
{
	char *remote KG_AUTOFREE = kg_asprintf("%s/cluster.git", c->url);
	const char *const settings[][2] = {
		{"include.path", "kgit/config"},
		{"remote.origin.url", remote},
		{"remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"},
		{"branch.main.remote", "origin"},
		{"branch.main.merge", "refs/heads/main"},
		{"push.default", "upstream"},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(settings); i++) {
		int rc = git(dir, err, "config", settings[i][0], settings[i][1], NULL);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Takes what the cluster has; a new cluster has nothing yet. */
static int check_out(const char *dir, struct kg_error *err)
{
	struct kg_error none;
	int rc = git(dir, err, "fetch", "--quiet", "origin", NULL);

	if (rc == 0 && git(dir, &none, "rev-parse", "--verify", "--quiet", "origin/main") == 0)
		rc = git(dir, err, "reset", "--quiet", "--hard", "origin/main");
	return rc;
}

static int clone(const struct kgit_cluster *c, const char *dir, struct kg_error *err)
{
	char *token KG_AUTOFREE = NULL, *git_dir KG_AUTOFREE = NULL;
	const char *init[] = {"git", "init", "--quiet", "-b", "main", dir, NULL};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = 60000};
	int rc = access_token(&token, c, err);

	if (rc < 0)
		return rc;
	run.spawn.argv = init;
	rc = kg_run(&run, NULL, err);
	if (rc < 0)
		return rc;
	git_dir = kgit_git_dir(dir);
	if (!git_dir)
		return kg_fail(err, KG_E_IO, "%s: no git repository was made", dir);
	rc = put_files(git_dir, c, token, err);
	if (rc == 0)
		rc = configure(dir, c, err);
	if (rc == 0)
		rc = check_out(dir, err);
	return rc;
}

static void warn_override(void)
{
	static const char *const names[] = {
		"GIT_SSL_CAINFO", "GIT_SSL_NO_VERIFY", "GIT_SSL_CAPATH"};

	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			fprintf(stderr,
				"kgit: warning: %s=%s overrides the cluster's CA that the clone is "
				"set "
				"up with; unset it before you push or pull\n",
				names[i], value);
	}
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	struct kgit_cluster c KG_CLEANUP(kgit_cluster_release) = {0};
	struct kg_error err;

	if (argc != 2)
		return kgit_bad_usage(&kgit_clone_verb, "expected one directory");
	const char *dir = argv[1];
	warn_override();
	/* The fetch below must be judged by the clone's own configuration. */
	unsetenv("GIT_SSL_CAINFO");
	unsetenv("GIT_DIR");
	unsetenv("GIT_WORK_TREE");
	if (!usable_target(dir, &err) || kgit_cluster_find(&c, kubeconfig, &err) < 0)
		return kgit_fail(&err);
	if (!c.ca_pem)
		return kgit_bad_usage(&kgit_clone_verb, "%s names no CA", c.found);
	bool existed = kg_path_exists(dir);
	if (clone(&c, dir, &err) < 0) {
		struct kg_error ignored;
		if (!existed)
			kg_remove_tree(dir, &ignored);
		return kgit_fail(&err);
	}
	printf("cloned %s into %s: edit, commit, git push\n", c.url, dir);
	return 0;
}

const struct kgit_verb kgit_clone_verb = {
	.name = "clone",
	.summary = "a working clone of the cluster's repository, ready to push",
	.usage = "kgit clone DIR\n"
		 "\n"
		 "Makes DIR a clone of the cluster's repository with the CA and a credential of "
		 "its own\n"
		 "set up, so that plain `git push` and `git pull` work in it.\n",
	.run = run,
};
