#include "nodeagent/hostns.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Is a cgroup hierarchy (version 1 or 2) mounted below /sys/fs/cgroup. */
static bool cgroups_in_sight(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	bool found = false;

	while (f && !found && getline(&line, &cap, f) > 0) {
		const char *type = strstr(line, " - cgroup");

		found = type && strstr(line, " /sys/fs/cgroup") &&
			strstr(line, " /sys/fs/cgroup") < type;
	}
	free(line);
	if (f)
		fclose(f);
	return found;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* 1: gone over. 0: that namespace is of no use (or cannot be seen), and nothing has changed. */
static int try_namespace(
	const char *ns, const char *state, const struct stat *wanted, struct kg_error *err)
{
	struct stat ours, theirs, found;
	int own KG_AUTOCLOSE = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int other KG_AUTOCLOSE = open(ns, O_RDONLY | O_CLOEXEC);

	if (own < 0 || other < 0 || fstat(own, &ours) < 0 || fstat(other, &theirs) < 0 ||
		same_file(&ours, &theirs) || setns(other, CLONE_NEWNS) < 0)
		return 0;
	if (stat(state, &found) == 0 && same_file(wanted, &found) && cgroups_in_sight())
		return 1;
	if (setns(own, CLONE_NEWNS) < 0)
		return kg_fail_errno(err, "go back to the own mount namespace");
	return 0;
}

int kg_hostns_enter(const char *state, struct kg_error *err)
{
	char cwd[PATH_MAX], path[PATH_MAX], parent[64];
	/* Process 1 cannot always be looked into; the kernel's threads and whoever started us are
	 * in the host's namespace, too. */
	const char *const candidates[] = {"/proc/1/ns/mnt", "/proc/2/ns/mnt", parent};
	struct stat wanted;
	int rc = 0;

	if (cgroups_in_sight())
		return 0;
	snprintf(parent, sizeof(parent), "/proc/%d/ns/mnt", (int)getppid());
	if (!realpath(state, path) || stat(path, &wanted) < 0 || !getcwd(cwd, sizeof(cwd)))
		return kg_fail_errno(err, "%s", state);
	for (size_t i = 0; rc == 0 && i < KG_ARRAY_LEN(candidates); i++)
		rc = try_namespace(candidates[i], path, &wanted, err);
	if (chdir(cwd) < 0 && rc >= 0)
		rc = kg_fail_errno(err, "go back to %s", cwd);
	return rc < 0 ? rc : 0;
}
