#include "nodeagent/cgroup.h"

#include "base/mem.h"
#include "sys/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

void kg_cgroups_release(struct kg_cgroups *c)
{
	for (unsigned i = 0; i < c->nmounts; i++)
		free(c->mounts[i]);
	*c = (struct kg_cgroups){0};
}

static bool is_cgroup(const char *path)
{
	struct statfs fs;
	return statfs(path, &fs) == 0 &&
	       (fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

static void add_mount(struct kg_cgroups *c, const char *path)
{
	if (c->nmounts < KG_ARRAY_LEN(c->mounts))
		c->mounts[c->nmounts++] = kg_strdup(path);
}

int kg_cgroups_detect(struct kg_cgroups *c, struct kg_error *err)
{
	*c = (struct kg_cgroups){0};
	struct statfs fs;
	if (statfs(ROOT, &fs) < 0)
		return kg_fail_errno(err, ROOT);
	if (fs.f_type == CGROUP2_SUPER_MAGIC) {
		c->v2 = true;
		add_mount(c, ROOT);
		return 0;
	}
	DIR *d = opendir(ROOT);
	if (!d)
		return kg_fail_errno(err, ROOT);
	for (struct dirent *e; (e = readdir(d));) {
		char path[300];
		struct stat st;
		snprintf(path, sizeof(path), ROOT "/%s", e->d_name);
		/* "cpu" may be a link to "cpu,cpuacct": one is enough for removal, and controllers
		 * are found by name. */
		if (e->d_name[0] != '.' && lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
			is_cgroup(path))
			add_mount(c, path);
	}
	closedir(d);
	if (c->nmounts == 0)
		return kg_fail(err, KG_E_UNSUPPORTED, "no cgroup hierarchy is mounted at " ROOT);
	return 0;
}

static bool is_word_of(const char *list, const char *word, const char *separators)
{
	size_t n = strlen(word);

	for (const char *p = list; *p; p += strspn(p, separators)) {
		size_t len = strcspn(p, separators);

		if (len == n && !memcmp(p, word, n))
			return true;
		p += len;
	}
	return false;
}

bool kg_cgroup_has(const struct kg_cgroups *c, const char *controller)
{
	KG_AUTOBUF struct kg_buf list = KG_BUF_INIT;

	if (c->v2)
		return kg_file_read(&list, ROOT "/cgroup.controllers", 4096, NULL) == 0 &&
		       is_word_of(kg_buf_str(&list), controller, " \n");
	for (unsigned i = 0; i < c->nmounts; i++)
		if (is_word_of(strrchr(c->mounts[i], '/') + 1, controller, ","))
			return true;
	return false;
}

uint64_t kg_cgroup_shares(int64_t milli)
{
	int64_t s = milli * 1024 / 1000;
	return s < 2 ? 2 : s > 262144 ? 262144 : (uint64_t)s;
}

int64_t kg_cgroup_quota(int64_t milli)
{
	int64_t q = milli * 100;
	return q < 1000 ? 1000 : q;
}

uint64_t kg_cgroup_weight(uint64_t shares)
{
	if (shares < 2)
		shares = 2;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int write_file(const char *dir, const char *name, const char *text, struct kg_error *err)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return kg_fail_errno(err, "write %s to %s", text, path);
	return 0;
}

static int write_number(const char *dir, const char *name, int64_t n, struct kg_error *err)
{
	char text[32];
	snprintf(text, sizeof(text), "%lld", (long long)n);
	return write_file(dir, name, text, err);
}

static int make_v1(const char *path, const struct kg_cgroup_limits *l, struct kg_error *err)
{
	char cpu[4100], memory[4100];
	snprintf(cpu, sizeof(cpu), ROOT "/cpu%s", path);
	snprintf(memory, sizeof(memory), ROOT "/memory%s", path);
	int rc = 0;
	if (l->cpu_shares || l->cpu_quota_us)
		rc = kg_mkdir_p(cpu, 0755, err);
	if (rc == 0 && l->cpu_shares)
		rc = write_number(cpu, "cpu.shares", (int64_t)l->cpu_shares, err);
	if (rc == 0 && l->cpu_quota_us)
		rc = write_number(cpu, "cpu.cfs_quota_us", l->cpu_quota_us, err);
	if (rc == 0 && l->memory_bytes)
		rc = kg_mkdir_p(memory, 0755, err);
	if (rc == 0 && l->memory_bytes)
		rc = write_number(memory, "memory.limit_in_bytes", l->memory_bytes, err);
	return rc;
}

/* Controllers must be given on at every level above. */
static int make_v2_dirs(const char *path, struct kg_error *err)
{
	char dir[4200] = ROOT;
	for (const char *p = path; *p;) {
		static const char *const controllers[] = {"+cpu", "+memory", "+pids"};
		for (size_t i = 0; i < KG_ARRAY_LEN(controllers); i++) {
			int rc = write_file(dir, "cgroup.subtree_control", controllers[i], err);
			if (rc < 0)
				return rc;
		}
		size_t n = 1 + strcspn(p + 1, "/"), len = strlen(dir);
		if (len + n >= sizeof(dir))
			return kg_fail(err, KG_E_TOO_LARGE,
				"%s: the path of a control group is too long", dir);
		memcpy(dir + len, p, n);
		dir[len + n] = '\0';
		if (mkdir(dir, 0755) < 0 && errno != EEXIST)
			return kg_fail_errno(err, "make %s", dir);
		p += n;
	}
	return 0;
}

static int make_v2(const char *path, const struct kg_cgroup_limits *l, struct kg_error *err)
{
	char dir[4200], text[64];
	int rc = make_v2_dirs(path, err);
	snprintf(dir, sizeof(dir), ROOT "%s", path);
	if (rc == 0 && l->cpu_shares)
		rc = write_number(dir, "cpu.weight", (int64_t)kg_cgroup_weight(l->cpu_shares), err);
	if (rc == 0 && l->cpu_quota_us) {
		snprintf(text, sizeof(text), "%lld 100000", (long long)l->cpu_quota_us);
		rc = write_file(dir, "cpu.max", text, err);
	}
	if (rc == 0 && l->memory_bytes)
		rc = write_number(dir, "memory.max", l->memory_bytes, err);
	/* A limit is one of memory, as kubelet has it (NoSwap): what swaps instead of being killed
	 * takes the machine with it. A kernel without swap has no such file. */
	int swap = rc == 0 ? write_file(dir, "memory.swap.max", "0", err) : 0;
	if (swap < 0 && swap != -(int)KG_E_NOT_FOUND)
		rc = swap;
	return rc;
}

int kg_cgroup_make(const struct kg_cgroups *c, const char *path, const struct kg_cgroup_limits *l,
	struct kg_error *err)
{
	int rc = c->v2 ? make_v2(path, l, err) : make_v1(path, l, err);
	return rc < 0 ? kg_wrap(err, "cgroup %s", path) : 0;
}

/* One that a service manager keeps its services in, and lets us write? */
static bool is_managers(const struct kg_cgroups *c, const char *mount)
{
	const char *name = strrchr(mount, '/') + 1;

	return c->v2 ||
	       ((!strcmp(name, "systemd") || !strcmp(name, "unified")) && access(mount, W_OK) == 0);
}

int kg_cgroup_make_shelter(const struct kg_cgroups *c, const char *path, struct kg_error *err)
{
	int rc = c->v2 ? make_v2_dirs(path, err) : 0;

	for (unsigned i = 0; !c->v2 && rc == 0 && i < c->nmounts; i++) {
		KG_AUTOFREE char *dir = kg_asprintf("%s%s", c->mounts[i], path);

		if (is_managers(c, c->mounts[i]))
			rc = kg_mkdir_p(dir, 0755, err);
	}
	return rc < 0 ? kg_wrap(err, "cgroup %s", path) : 0;
}

/* Is the process there already? To move it so would hold up the whole machine's forks. */
static bool is_in(const struct kg_cgroups *c, const char *mount, const char *path, pid_t pid)
{
	bool named = !c->v2 && !strcmp(strrchr(mount, '/') + 1, "systemd");
	KG_AUTOFREE char *line = kg_asprintf("%s%s\n", named ? ":name=systemd:" : "0::", path);
	KG_AUTOFREE char *file = kg_asprintf("/proc/%d/cgroup", (int)pid);
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	return kg_file_read(&text, file, 65536, NULL) == 0 && strstr(kg_buf_str(&text), line);
}

static int shelter_in(const char *mount, const char *path, pid_t pid, struct kg_error *err)
{
	KG_AUTOFREE char *list = kg_asprintf("%s%s/cgroup.procs", mount, path);
	KG_AUTOCLOSE int fd = open(list, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || (dprintf(fd, "%d", (int)pid) < 0 && errno != ESRCH))
		return kg_fail_errno(err, "write process %d to %s", (int)pid, list);
	return 0;
}

int kg_cgroup_shelter(const struct kg_cgroups *c, const char *path, pid_t pid, struct kg_error *err)
{
	int rc = kg_cgroup_make_shelter(c, path, err);

	for (unsigned i = 0; rc == 0 && i < c->nmounts; i++)
		if (is_managers(c, c->mounts[i]) && !is_in(c, c->mounts[i], path, pid))
			rc = shelter_in(c->mounts[i], path, pid, err);
	return rc;
}

bool kg_cgroup_oom_killed(const struct kg_cgroups *c, const char *path)
{
	char file[4300], line[200];
	bool killed = false;
	if (c->v2)
		snprintf(file, sizeof(file), ROOT "%s/memory.events", path);
	else
		snprintf(file, sizeof(file), ROOT "/memory%s/memory.oom_control", path);
	FILE *f = fopen(file, "re");
	while (f && fgets(line, sizeof(line), f))
		killed |= strncmp(line, "oom_kill ", 9) == 0 && atoi(line + 9) > 0;
	if (f)
		fclose(f);
	return killed;
}

/* Where a controller's hierarchy is mounted; NULL: nowhere. */
static const char *mount_of(const struct kg_cgroups *c, const char *controller)
{
	for (unsigned i = 0; i < c->nmounts; i++)
		if (c->v2 || is_word_of(strrchr(c->mounts[i], '/') + 1, controller, ","))
			return c->mounts[i];
	return NULL;
}

/* A number in a file of a group: the whole, or what stands after the word. */
static bool read_number(
	const char *mount, const char *path, const char *name, const char *word, int64_t *out)
{
	KG_AUTOFREE char *file = kg_asprintf("%s%s/%s", mount ? mount : "", path, name);
	FILE *f = mount ? fopen(file, "re") : NULL;
	long long n = 0;
	bool found = false;
	char line[200];

	while (f && !found && fgets(line, sizeof(line), f)) {
		size_t len = word ? strlen(word) : 0;

		found = (!len || (!strncmp(line, word, len) && line[len] == ' ')) &&
			sscanf(line + len, "%lld", &n) == 1;
	}
	if (f)
		fclose(f);
	*out = n;
	return found;
}

bool kg_cgroup_usage(const struct kg_cgroups *c, const char *path, struct kg_cgroup_usage *out)
{
	const char *cpu = mount_of(c, "cpuacct"), *memory = mount_of(c, "memory");
	int64_t inactive = 0;
	bool found;

	*out = (struct kg_cgroup_usage){0};
	if (c->v2) {
		found = read_number(cpu, path, "cpu.stat", "usage_usec", &out->cpu_ns) &&
			read_number(memory, path, "memory.current", NULL, &out->memory_bytes);
		out->cpu_ns *= 1000;
		read_number(memory, path, "memory.stat", "inactive_file", &inactive);
	} else {
		found = read_number(cpu, path, "cpuacct.usage", NULL, &out->cpu_ns) &&
			read_number(
				memory, path, "memory.usage_in_bytes", NULL, &out->memory_bytes);
		read_number(memory, path, "memory.stat", "total_inactive_file", &inactive);
	}
	if (!found)
		return false;
	out->memory_bytes = inactive < out->memory_bytes ? out->memory_bytes - inactive : 0;
	return true;
}

bool kg_cgroup_populated(const struct kg_cgroups *c, const char *path)
{
	bool found = false;
	for (unsigned i = 0; i < c->nmounts && !found; i++) {
		char file[4300];
		int pid;
		snprintf(file, sizeof(file), "%s%s/cgroup.procs", c->mounts[i], path);
		FILE *f = fopen(file, "re");
		found = f && fscanf(f, "%d", &pid) == 1;
		if (f)
			fclose(f);
	}
	return found;
}

static unsigned kill_procs(const char *dir)
{
	char path[4300];
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	FILE *f = fopen(path, "re");
	if (!f)
		return 0;
	unsigned n = 0;
	int pid;
	while (fscanf(f, "%d", &pid) == 1)
		n += pid > 0 && kill(pid, SIGKILL) == 0;
	fclose(f);
	return n;
}

/* Calls fn for every group from the leaves up. */
static unsigned walk(const char *dir, unsigned (*fn)(const char *dir))
{
	unsigned n = 0;
	DIR *d = opendir(dir);
	if (!d)
		return 0;
	for (struct dirent *e; (e = readdir(d));) {
		char sub[4200];
		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (snprintf(sub, sizeof(sub), "%s/%s", dir, e->d_name) < (int)sizeof(sub))
			n += walk(sub, fn);
	}
	closedir(d);
	return n + fn(dir);
}

unsigned kg_cgroup_kill(const struct kg_cgroups *c, const char *path)
{
	char dir[4200];
	unsigned n = 0;
	for (unsigned i = 0; i < c->nmounts; i++) {
		snprintf(dir, sizeof(dir), "%s%s", c->mounts[i], path);
		n += walk(dir, kill_procs);
	}
	return n;
}

static unsigned remove_one(const char *dir)
{
	return rmdir(dir) < 0 && errno != ENOENT;
}

int kg_cgroup_remove(const struct kg_cgroups *c, const char *path, struct kg_error *err)
{
	char dir[4200];
	unsigned left = 0;
	for (int tries = 0; tries < 200; tries++) {
		left = 0;
		for (unsigned i = 0; i < c->nmounts; i++) {
			snprintf(dir, sizeof(dir), "%s%s", c->mounts[i], path);
			left += walk(dir, remove_one);
		}
		if (left == 0)
			return 0;
		kg_cgroup_kill(c, path);
		nanosleep(&(struct timespec){.tv_nsec = tries < 20 ? 1000000 : 10000000}, NULL);
	}
	return kg_fail(err, KG_E_IO, "cgroup %s: %u groups could not be removed", path, left);
}
