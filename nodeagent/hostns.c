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

int kg_hostns_enter(const char *state, struct kg_error *err)
{
	struct stat ours, hosts, before, after;
	char cwd[PATH_MAX], path[PATH_MAX];
	int own KG_AUTOCLOSE = -1, host KG_AUTOCLOSE = -1;

	if (cgroups_in_sight())
		return 0;
	own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	host = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own < 0 || host < 0 || fstat(own, &ours) < 0 || fstat(host, &hosts) < 0 ||
		same_file(&ours, &hosts))
		return 0;
	if (!realpath(state, path) || stat(path, &before) < 0 || !getcwd(cwd, sizeof(cwd)))
		return kg_fail_errno(err, "%s", state);
	if (setns(host, CLONE_NEWNS) < 0)
		return kg_fail_errno(err, "go over to the host's mount namespace");
	if (stat(path, &after) < 0 || !same_file(&before, &after)) {
		if (setns(own, CLONE_NEWNS) < 0)
			return kg_fail_errno(err, "go back to the own mount namespace");
	}
	if (chdir(cwd) < 0)
		return kg_fail_errno(err, "go back to %s", cwd);
	return 0;
}
