/* git with the cluster's credential. */
#include "kgit/kgit.h"
#include "sys/file.h"
#include "sys/spawn.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_RUN_MS (6 * 3600 * 1000) /* all of a large cluster's history over a slow line */

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
