/*
 * git itself verifies (`git verify-commit`, which runs ssh-keygen), with settings of ours alone: no
 * other kind of signature counts, and only keys that are named. All commits go to one git; only
 * where that fails is each looked at, to say which.
 */
#include "kgitd/signed.h"

#include "pki/pki.h"
#include "store/settings.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_COMMITS 10000
#define BUDGET_MS   120000
#define AT_ONCE     200
#define MAX_SAID    5

struct checking {
	struct kgd_master *m;
	const char *quarantine;
	char *signers; /* the file for ssh-keygen */
	int64_t deadline;
	struct kg_buf list; /* "ID\n" for each commit */
};

static void checking_release(struct checking *c)
{
	if (c->signers)
		unlink(c->signers);
	free(c->signers);
	kg_buf_release(&c->list);
}

/* git on the repository and what is in quarantine; args end with NULL. Objects are what they are:
 * refs/replace/, which a pusher can write, would show git a signed commit in place of another. */
static int run_git(struct checking *c, const char *const *args, struct kg_buf *out, int *status,
	struct kg_error *err)
{
	const char *where = c->quarantine ? c->quarantine : "";
	char *objects KG_AUTOFREE = kg_asprintf("GIT_OBJECT_DIRECTORY=%s", where);
	char *others KG_AUTOFREE =
		kg_asprintf("GIT_ALTERNATE_OBJECT_DIRECTORIES=%s/objects", c->m->repo);
	char *signers KG_AUTOFREE =
		kg_asprintf("gpg.ssh.allowedSignersFile=%s", c->signers ? c->signers : "");
	const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C", c->quarantine ? objects : NULL, others,
		NULL};
	const char *argv[24 + AT_ONCE] = {"git", "--git-dir", c->m->repo, "-c", signers, "-c",
		"gpg.minTrustLevel=fully", "-c", "gpg.program=false", "-c",
		"gpg.openpgp.program=false", "-c", "gpg.x509.program=false"};
	int64_t left = c->deadline - kg_monotonic_ms();
	struct kg_run run = {
		.spawn = KG_SPAWN_INIT, .output = out, .timeout_ms = left > 1 ? (int)left : 1};
	size_t n = 13;

	while (*args)
		argv[n++] = *args++;
	run.spawn.argv = argv;
	run.spawn.env = env;
	run.spawn.clean_env = true;
	return kg_run(&run, status, err);
}

static int list_commits(
	struct checking *c, const char *old_commit, const char *new_commit, struct kg_error *err)
{
	char *not_old KG_AUTOFREE = kg_asprintf("^%s", old_commit);
	char limit[32];
	const char *args[] = {
		"rev-list", limit, "--reverse", new_commit, *old_commit ? not_old : NULL, NULL};

	snprintf(limit, sizeof(limit), "--max-count=%d", MAX_COMMITS + 1);
	int rc = run_git(c, args, &c->list, NULL, err);
	if (rc == 0 && c->list.len / 41 > MAX_COMMITS)
		return kg_fail(err, KG_E_TOO_LARGE,
			"more than %d commits cannot be verified at once; push them in parts",
			MAX_COMMITS);
	return rc;
}

static int write_signers(struct checking *c, const char *text, struct kg_error *err)
{
	char id[17];

	kg_random_hex(id, 8);
	c->signers = kg_asprintf("%s/signers.%s", c->m->dir, id);
	return kg_file_replace(c->signers, text, strlen(text), 0600, err);
}

/* Takes up to AT_ONCE ids from the list at *p: the command that verifies them. */
static void next_commits(const char **args, char ids[AT_ONCE][41], const char **p)
{
	size_t n = 0;

	*args++ = "verify-commit";
	for (; **p && n < AT_ONCE; n++) {
		memcpy(ids[n], *p, 40);
		ids[n][40] = '\0';
		*args++ = ids[n];
		*p += 41;
	}
	*args = NULL;
}

static bool was_run(int rc, int status)
{
	return rc == 0 || (rc == -KG_E_IO && status != -1);
}

static int say_which(struct checking *c, const char **args, struct kg_buf *say, size_t *bad,
	struct kg_error *err)
{
	for (const char **id = args + 1; *id && *bad < MAX_SAID; id++) {
		const char *const one[] = {"verify-commit", *id, NULL};
		int status = -1, rc = run_git(c, one, NULL, &status, err);

		if (!was_run(rc, status))
			return rc;
		if (rc == 0)
			continue;
		++*bad;
		/* git says nothing of a commit without a signature. */
		const char *why = strstr(err->msg, "No principal matched") ||
						  strstr(err->msg, "signature with")
					  ? "is signed with a key that is not among them"
				  : strstr(err->msg, "signature") ? "has a signature that is wrong"
								  : "is not signed";
		kg_buf_addf(say, "commit %.12s %s\n", *id, why);
	}
	return 0;
}

static int verify(struct checking *c, struct kg_buf *say, struct kg_error *err)
{
	const char *args[AT_ONCE + 2], *p = kg_buf_str(&c->list);
	char ids[AT_ONCE][41];
	size_t bad = 0;

	while (*p && bad < MAX_SAID) {
		int status = -1;

		next_commits(args, ids, &p);
		int rc = run_git(c, args, NULL, &status, err);
		if (rc == 0)
			continue;
		if (was_run(rc, status))
			rc = say_which(c, args, say, &bad, err);
		if (rc < 0)
			return kg_wrap(err, "verify the commits");
		if (!bad)
			return kg_fail(err, KG_E_IO, "verify the commits: git failed");
	}
	if (!bad)
		return 0;
	return kg_fail(err, KG_E_FORBIDDEN,
		"push refused: every commit must be signed with one of the keys that "
		"allowed_signers of " KG_SETTINGS_PATH
		" names (git commit -S with gpg.format=ssh)");
}

/* The signers that main names before the push, a line each; *text in the arena, NULL for none. */
static int read_signers(const char **text, struct kg_arena *a, struct kgd_master *m,
	const char *commit, struct kg_error *err)
{
	struct kg_buf yaml KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list ignored;
	struct kg_settings s;
	int rc = *commit ? kg_store_settings_text(&yaml, m->store, commit, NULL, err)
			 : -KG_E_NOT_FOUND;

	*text = NULL;
	if (rc < 0)
		return rc == -KG_E_NOT_FOUND ? 0 : rc;
	kg_faults_init(&ignored, a);
	kg_settings_parse(&s, a, kg_buf_str(&yaml), yaml.len, &ignored);
	kg_faults_release(&ignored);
	*text = s.allowed_signers;
	return 0;
}

/* Taking commits back brings none, and would end with the signers of long ago, or with nobody. */
static int check_forward(
	struct checking *c, const char *old_commit, const char *new_commit, struct kg_error *err)
{
	bool forward;
	int rc = kg_store_is_ancestor(
		&forward, c->m->store, old_commit, new_commit, c->quarantine, err);

	if (rc < 0 || forward)
		return rc;
	return kg_fail(err, KG_E_FORBIDDEN,
		"push refused: while " KG_SETTINGS_PATH " names allowed_signers no commit of main "
		"is taken back; git revert makes one that can be signed");
}

int kgd_check_signed(struct kgd_master *m, const char *old_commit, const char *new_commit,
	const char *quarantine, struct kg_buf *say, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct checking c KG_CLEANUP(checking_release) = {
		.m = m, .quarantine = quarantine, .deadline = kg_monotonic_ms() + BUDGET_MS};
	const char *signers;
	int rc = m->accept_unsigned ? 0 : read_signers(&signers, &a, m, old_commit, err);

	if (rc < 0 || m->accept_unsigned || !signers)
		return rc;
	rc = check_forward(&c, old_commit, new_commit, err);
	if (rc == 0)
		rc = list_commits(&c, old_commit, new_commit, err);
	if (rc == 0)
		rc = write_signers(&c, signers, err);
	return rc == 0 ? verify(&c, say, err) : rc;
}
