#include "kgit/bundle.h"

#include "kgit/kgit.h"
#include "sys/file.h"

#include <stdio.h>
#include <string.h>

#define MAX_SHALLOW (16 << 20)

/* git in the repository: its words in out (may be NULL). */
#define GIT(out, repo, err, ...)                                                                   \
	kgit_git(NULL, NULL,                                                                       \
		(const char *const[]){"git", "--git-dir", repo, "-c", "gc.auto=0", "-c",           \
			"maintenance.auto=false", "-c", "transfer.unpackLimit=1", __VA_ARGS__,     \
			NULL},                                                                     \
		out, err)

int kgit_repo_ref(char out[41], const char *repo, const char *ref, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = GIT(&text, repo, err, "for-each-ref", "--format=%(objectname)", "--count=1", ref);

	if (rc == 0)
		snprintf(out, 41, "%.40s", kg_buf_str(&text));
	return rc;
}

int kgit_repo_revision(uint64_t *out, const char *repo, const char *commit, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = GIT(&text, repo, err, "log", "-1",
		"--format=%(trailers:key=Kgit-Revision,valueonly)", commit);

	if (rc < 0)
		return rc;
	if (!text.len || text.data[0] < '0' || text.data[0] > '9')
		return kg_fail(err, KG_E_CORRUPT, "%s is no revision of a cluster", commit);
	*out = strtoull(text.data, NULL, 10);
	return 0;
}

/* ---- writing ---- */

/* A ref for each commit at which history ends. */
static int name_shallow(const char *repo, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/shallow", repo);
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	int rc = kg_path_exists(path) ? kg_file_read(&text, path, MAX_SHALLOW, err) : 0;

	for (const char *p = kg_buf_str(&text); rc == 0 && strlen(p) >= 40;) {
		char *ref KG_AUTOFREE = kg_asprintf(KGIT_BACKUP_REFS "shallow-%.40s", p);
		char *id KG_AUTOFREE = kg_strndup(p, 40);

		rc = GIT(NULL, repo, err, "update-ref", ref, id);
		p += 40;
		p += *p == '\n';
	}
	return rc;
}

int kgit_bundle_write(const char *repo, const char *file, const char *since, struct kg_error *err)
{
	char *until KG_AUTOFREE = since ? kg_asprintf("^%s", since) : NULL;
	int rc = name_shallow(repo, err);

	if (rc == 0)
		rc = GIT(NULL, repo, err, "bundle", "create", "--quiet", file, "--all", until);
	if (rc == 0)
		rc = GIT(NULL, repo, err, "bundle", "verify", "--quiet", file);
	return rc;
}

/* ---- reading ---- */

static int read_shallow(const char *repo, const char *file, struct kg_error *err)
{
	char *path KG_AUTOFREE = kg_asprintf("%s/shallow", repo);
	struct kg_buf heads KG_AUTOBUF = KG_BUF_INIT, shallow KG_AUTOBUF = KG_BUF_INIT;
	int rc = GIT(&heads, repo, err, "bundle", "list-heads", file);

	if (rc < 0)
		return rc;
	if (kg_path_exists(path))
		rc = kg_file_read(&shallow, path, MAX_SHALLOW, err);
	for (const char *p = kg_buf_str(&heads), *end; rc == 0 && *p; p = *end ? end + 1 : end) {
		end = strchrnul(p, '\n');
		if (end - p > 41 &&
			strncmp(p + 41, KGIT_BACKUP_REFS, strlen(KGIT_BACKUP_REFS)) == 0)
			kg_buf_addf(&shallow, "%.40s\n", p);
	}
	if (rc == 0 && shallow.len)
		rc = kg_file_write(path, shallow.data, shallow.len, 0644, err);
	return rc;
}

int kgit_bundle_read(const char *repo, const char *file, struct kg_error *err)
{
	char *full KG_AUTOFREE = realpath(file, NULL);

	if (!full)
		return kg_fail_errno(err, "%s", file);
	int rc = read_shallow(repo, full, err);
	if (rc < 0)
		return kg_wrap(err, "%s is no backup", file);
	rc = GIT(NULL, repo, err, "bundle", "verify", "--quiet", full);
	if (rc < 0) /* quietly it does not say what is lacking */
		rc = GIT(NULL, repo, err, "bundle", "verify", full);
	if (rc < 0)
		return kg_wrap(err,
			"%s was made --since a revision that is not here: name the backups that it "
			"builds on before it",
			file);
	rc = GIT(NULL, repo, err, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", full,
		"+refs/*:refs/*", "^" KGIT_BACKUP_REFS "*");
	return rc < 0 ? kg_wrap(err, "%s is damaged: take another copy", file) : 0;
}
