/* git with the cluster's credential. */
#include "kgit/kgit.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_RUN_MS   (6 * 3600 * 1000) /* all of a large cluster's history over a slow line */
#define MAX_LOCAL_MS (600 * 1000)

/* A directory that only we can read, for what git takes by the name of a file alone. Not by -c:
 * arguments are seen by every user of the machine. */
static char *secret_dir(struct kg_error *err)
{
	const char *base = getenv("TMPDIR");
	char *dir = kg_asprintf("%s/kgit-XXXXXX", base && *base ? base : "/tmp");

	if (mkdtemp(dir))
		return dir;
	kg_fail_errno(err, "%s", dir);
	free(dir);
	return NULL;
}

static void drop_dir(char **dir)
{
	struct kg_error ignored;

	if (*dir)
		kg_remove_tree(*dir, &ignored);
	free(*dir);
}

struct settings {
	const char *dir;
	char *texts[8];
	size_t n;
};

static void settings_release(struct settings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->texts[i]);
}

static int add_file(struct settings *s, const char *variable, const char *name, const char *text,
	struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/%s", s->dir, name);

	if (!text)
		return 0;
	s->texts[s->n++] = kg_asprintf("%s=%s", variable, path);
	return kg_file_replace(path, text, strlen(text), 0600, err);
}

/*
 * As git's variables, which count more than what the user's configuration says. The directory of
 * further CAs is an empty one: git's curl would otherwise load every certificate of the machine
 * beside the one that counts, most of the time of a small fetch.
 */
static int add_settings(struct settings *s, const struct kgit_cluster *c, struct kg_error *err)
{
	char *others KG_AUTOFREE = kg_asprintf("%s/no-other-ca", s->dir);
	int rc = 0;

	if (c->ca_pem && mkdir(others, 0700) < 0)
		return kg_fail_errno(err, "%s", others);
	if (c->ca_pem)
		s->texts[s->n++] = kg_asprintf("GIT_SSL_CAPATH=%s", others);
	rc = add_file(s, "GIT_SSL_CAINFO", "ca.crt", c->ca_pem, err);
	if (rc == 0 && c->cert_pem && c->key_pem) {
		rc = add_file(s, "GIT_SSL_CERT", "client.crt", c->cert_pem, err);
		if (rc == 0)
			rc = add_file(s, "GIT_SSL_KEY", "client.key", c->key_pem, err);
	} else if (rc == 0 && c->token) {
		s->texts[s->n++] = kg_strdup("GIT_CONFIG_COUNT=1");
		s->texts[s->n++] = kg_strdup("GIT_CONFIG_KEY_0=http.extraHeader");
		s->texts[s->n++] =
			kg_asprintf("GIT_CONFIG_VALUE_0=Authorization: Bearer %s", c->token);
	}
	return rc;
}

int kgit_git(const struct kgit_cluster *c, const char *cwd, const char *const *argv,
	struct kg_buf *output, struct kg_error *err)
{
	char *dir KG_CLEANUP(drop_dir) = secret_dir(err);
	struct settings s KG_CLEANUP(settings_release) = {.dir = dir};
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = output, .timeout_ms = MAX_RUN_MS};
	const char *env[KG_ARRAY_LEN(s.texts) + 2];
	size_t n = 0;

	if (!dir)
		return -(int)err->code;
	int rc = c ? add_settings(&s, c, err) : 0;
	if (rc < 0)
		return rc;
	for (; n < s.n; n++)
		env[n] = s.texts[n];
	env[n++] = "GIT_TERMINAL_PROMPT=0";
	env[n] = NULL;
	run.spawn.argv = argv;
	run.spawn.env = env;
	run.spawn.cwd = cwd;
	return kg_run(&run, NULL, err);
}

/* The variable would count more than the clone's own CA, and only the cluster is spoken to here. */
static void trust_clone(void)
{
	unsetenv("GIT_SSL_CAINFO");
}

int kgit_git_text(char **out, const char *const *argv, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_run run = {.spawn = KG_SPAWN_INIT, .output = &text, .timeout_ms = MAX_LOCAL_MS};

	run.spawn.argv = argv;
	trust_clone();
	int rc = kg_run(&run, NULL, err);
	if (rc < 0)
		return rc;
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = '\0';
	if (out) {
		free(*out);
		*out = kg_buf_steal(&text);
	}
	return 0;
}

int kgit_git_loud(const char *const *argv)
{
	struct kg_spawn spawn = KG_SPAWN_INIT;
	struct kg_error err;
	pid_t pid;
	int status;

	spawn.argv = argv;
	spawn.out = STDOUT_FILENO;
	spawn.err = STDERR_FILENO;
	trust_clone();
	if (kg_spawn(&pid, &spawn, &err) < 0)
		return kgit_fail(&err);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int kgit_push(const char *dir, const char *commit, const struct kgit_push_options *options)
{
	char *refspec KG_AUTOFREE = kg_asprintf("%s:refs/heads/main", commit);
	const char *argv[2 * KGIT_PUSH_OPTIONS + 8] = {"git", "-C", dir, "push"};
	size_t n = 4;

	for (size_t i = 0; i < options->n; i++) {
		argv[n++] = "-o";
		argv[n++] = options->items[i];
	}
	argv[n++] = "origin";
	argv[n++] = refspec;
	argv[n] = NULL;
	return kgit_git_loud(argv);
}

bool kgit_push_option(struct kgit_push_options *options, const char *text)
{
	if (options->n == KGIT_PUSH_OPTIONS)
		return false;
	options->items[options->n++] = text;
	return true;
}

bool kgit_push_is_dry(const struct kgit_push_options *options)
{
	for (size_t i = 0; i < options->n; i++)
		if (strcmp(options->items[i], "dry-run") == 0)
			return true;
	return false;
}
