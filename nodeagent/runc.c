/*
 * One conmon a container, which runs `runc create` and then waits for the container's end. Starting
 * is what `runc start` does, without another process: whoever opens exec.fifo lets the container
 * go. Likewise signals go by pidfd, and what runc keeps (a directory and the cgroups) is removed
 * directly. `runc` itself is asked only to create and to exec.
 *
 * A create that takes long gives its place in the queue back after two seconds: a hung runc holds
 * up no other pod.
 */
#include "nodeagent/runtime.h"

#include "base/mem.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "sys/spawn.h"
#include "value/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREATE_MS   (120 * 1000)
#define PATIENCE_MS (2 * 1000)
#define START_MS    (30 * 1000)
#define MAX_REPLY   65536

struct kg_runc_self {
	char *root;  /* runc's --root */
	char *exits; /* conmon's exit files */
	char *socks; /* conmon's sockets; it dies silently where the directory is not there */
	const struct kg_cgroups *cgroups;
	char *helpers;    /* the control group of conmons */
	const char *runc; /* absolute: conmon does not search */
	pthread_mutex_t lock;
	pthread_cond_t freed;
	unsigned slots;
	int cancel; /* eventfd: nobody waits for a create any more */
};

static const char *find_runc(void)
{
	static const char *const places[] = {"/usr/sbin/runc", "/usr/bin/runc",
		"/usr/local/sbin/runc", "/usr/local/bin/runc", "/sbin/runc"};
	for (size_t i = 0; i < KG_ARRAY_LEN(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

int kg_runc_new(struct kg_runc_self **out, const char *dir, const struct kg_cgroups *cgroups,
	const char *helpers, struct kg_error *err)
{
	const char *runc = find_runc();
	if (!runc)
		return kg_fail(err, KG_E_NOT_FOUND, "runc is not installed");
	struct kg_runc_self *s = kg_alloc(sizeof(*s));
	s->runc = runc;
	s->root = kg_asprintf("%s/run/runc", dir);
	s->exits = kg_asprintf("%s/run/exits", dir);
	s->socks = kg_asprintf("%s/run/s", dir);
	s->cgroups = cgroups;
	s->helpers = kg_strdup(helpers);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	s->slots = cpus > 0 ? (unsigned)cpus + 1 : 2; /* each waits for the kernel now and then */
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->freed, NULL);
	s->cancel = eventfd(0, EFD_CLOEXEC);
	int rc = s->cancel < 0 ? kg_fail_errno(err, "eventfd") : 0;
	if (rc == 0)
		rc = kg_mkdir_p(s->root, 0700, err);
	if (rc == 0)
		rc = kg_mkdir_p(s->exits, 0700, err);
	if (rc == 0)
		rc = kg_mkdir_p(s->socks, 0700, err);
	if (rc < 0) {
		kg_runc_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

void kg_runc_free(struct kg_runc_self *s)
{
	if (!s)
		return;
	kg_closep(&s->cancel);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->freed);
	free(s->root);
	free(s->exits);
	free(s->socks);
	free(s->helpers);
	free(s);
}

void kg_runc_cancel(struct kg_runc_self *s)
{
	uint64_t one = 1;
	/* Cannot fail: nobody else adds to it. */
	if (s && write(s->cancel, &one, sizeof(one)) < 0)
		abort();
}

static void take_slot(struct kg_runc_self *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->slots == 0)
		pthread_cond_wait(&s->freed, &s->lock);
	s->slots--;
	pthread_mutex_unlock(&s->lock);
}

static void give_slot(struct kg_runc_self *s)
{
	pthread_mutex_lock(&s->lock);
	s->slots++;
	pthread_cond_signal(&s->freed);
	pthread_mutex_unlock(&s->lock);
}

uint64_t kg_pid_start(pid_t pid)
{
	char path[64], buf[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	KG_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	/* The name may hold anything, blanks and parentheses included; the state is field 3. */
	char *p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	return p ? strtoull(p, NULL, 10) : 0;
}

static pid_t read_pid(const char *dir, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (kg_file_read(&b, path, 64, NULL) < 0)
		return 0;
	return (pid_t)atoi(kg_buf_str(&b));
}

/* ---- create ---- */

/* conmon's one line: {"data": PID} or {"data": -1, "message": "..."}. */
static int parse_reply(const struct kg_buf *b, pid_t *pid, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	if (b->len == 0)
		return kg_fail(err, KG_E_IO, "conmon ended without a word");
	if (kg_json_parse(&v, &a, b->data, strcspn(b->data, "\n"), err) < 0)
		return kg_wrap(err, "conmon's answer");
	int64_t n = kg_int(kg_get(&v, "data"), kg_int(kg_get(&v, "pid"), -1));
	if (n <= 0) {
		const char *msg = kg_string(kg_get(&v, "message"), "runc create failed");
		return kg_fail(err, KG_E_IO, "%.*s", (int)strcspn(msg, "\n"), msg);
	}
	*pid = (pid_t)n;
	return 0;
}

/* Until the pipe ends or has a whole line. Gives the slot back when it takes long. */
static int read_reply(
	struct kg_runc_self *s, int fd, struct kg_buf *b, bool *slot, struct kg_error *err)
{
	int64_t from = kg_monotonic_ms();
	for (;;) {
		int64_t spent = kg_monotonic_ms() - from;
		int64_t left = (*slot ? PATIENCE_MS : CREATE_MS) - spent;
		if (left <= 0 && *slot) {
			give_slot(s);
			*slot = false;
			continue;
		}
		if (left <= 0)
			return kg_fail(err, KG_E_TIMEOUT, "runc create did not end in time");
		struct pollfd p[2] = {{fd, POLLIN, 0}, {s->cancel, POLLIN, 0}};
		if (poll(p, 2, (int)left) <= 0)
			continue;
		if (!p[0].revents)
			return kg_fail(err, KG_E_UNAVAILABLE, "the agent ends");
		char chunk[4096];
		ssize_t n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0)
			kg_buf_add(b, chunk, (size_t)n);
		if (n <= 0 || memchr(chunk, '\n', (size_t)n) || b->len > MAX_REPLY)
			return 0;
	}
}

static int spawn_conmon(struct kg_runc_self *s, const struct kg_runtime_container *c, int sync,
	int go, pid_t *pid, struct kg_error *err)
{
	KG_AUTOFREE char *log = kg_asprintf("k8s-file:%s", c->log);
	KG_AUTOFREE char *root = kg_asprintf("--root=%s", s->root);
	KG_AUTOFREE char *pidfile = kg_asprintf("%s/pid", c->bundle);
	KG_AUTOFREE char *conmon = kg_asprintf("%s/conmon.pid", c->bundle);
	KG_AUTOFREE char *env_sync = kg_asprintf("_OCI_SYNCPIPE=%d", sync);
	KG_AUTOFREE char *env_go = kg_asprintf("_OCI_STARTPIPE=%d", go);
	const char *argv[] = {"conmon", "--api-version", "1", "-c", c->id, "-u", c->id, "-n", c->id,
		"-r", s->runc, "-b", c->bundle, "-l", log, "--exit-dir", s->exits,
		"--socket-dir-path", s->socks, "--full-attach", "--persist-dir", c->bundle,
		"--runtime-arg", root, "-p", pidfile, "-P", conmon, "--no-sync-log", "--log-level",
		"error", NULL, NULL, NULL};
	size_t n = KG_ARRAY_LEN(argv) - 3;
	if (c->terminal)
		argv[n++] = "--terminal";
	if (c->input)
		argv[n++] = "--stdin";
	/* runc is short: more threads of Go's only cost. */
	const char *env[] = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"GOMAXPROCS=1", env_sync, env_go, NULL};
	int keep[] = {sync, go, -1};
	struct kg_spawn spawn = KG_SPAWN_INIT;
	spawn.argv = argv;
	spawn.env = env;
	spawn.clean_env = true;
	spawn.keep = keep;
	spawn.cwd = c->bundle; /* where it leaves a file "oom" */
	spawn.new_session = true;
	KG_AUTOCLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	spawn.err = null;
	return kg_spawn(pid, &spawn, err);
}

/* conmon's first process, which forks the one that stays and ends. */
static void reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* conmon does nothing before it reads from its start pipe: so nothing of it, and no runc, is left
 * in the service that the agent is, to be ended with it. It takes the pipe's end for the word, too:
 * an agent that is killed before leaves a conmon there, whose container nobody starts and the next
 * agent removes. */
static int start_conmon(struct kg_runc_self *s, const struct kg_runtime_container *c, int sync,
	pid_t *pid, struct kg_error *err)
{
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return kg_fail_errno(err, "pipe");
	KG_AUTOCLOSE int from = pipes[0];
	KG_AUTOCLOSE int to = pipes[1];
	int rc = spawn_conmon(s, c, sync, from, pid, err);
	if (rc < 0)
		return rc;
	rc = kg_cgroup_shelter(s->cgroups, s->helpers, *pid, err);
	if (rc == 0 && write(to, "", 1) != 1)
		rc = kg_fail_errno(err, "conmon's start pipe");
	if (rc < 0) {
		kill(*pid, SIGKILL);
		reap(*pid);
	}
	return rc;
}

static int create(
	void *self, const struct kg_runtime_container *c, pid_t *pid, struct kg_error *err)
{
	struct kg_runc_self *s = self;
	int pipes[2];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return kg_fail_errno(err, "pipe");
	KG_AUTOCLOSE int from = pipes[0];
	KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;
	pid_t conmon;
	take_slot(s);
	bool slot = true;
	int rc = start_conmon(s, c, pipes[1], &conmon, err);
	close(pipes[1]);
	if (rc == 0) {
		rc = read_reply(s, from, &reply, &slot, err);
		if (rc < 0 && err->code != KG_E_UNAVAILABLE)
			kill(-conmon, SIGKILL);
		reap(conmon);
	}
	if (slot)
		give_slot(s);
	return rc < 0 ? rc : parse_reply(&reply, pid, err);
}

/* ---- start ---- */

static int wait_fifo(int fifo, pid_t pid, struct kg_error *err)
{
	KG_AUTOCLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int64_t until = kg_monotonic_ms() + START_MS;
	for (;;) {
		int64_t left = until - kg_monotonic_ms();
		struct pollfd p[2] = {{fifo, POLLIN, 0}, {pidfd, POLLIN, 0}};
		char byte;
		if (left <= 0)
			return kg_fail(err, KG_E_TIMEOUT, "the container did not start in time");
		if (poll(p, 2, (int)left) < 0)
			continue;
		if ((p[0].revents & POLLIN) && read(fifo, &byte, 1) == 1)
			return 0;
		if (pidfd < 0 || p[1].revents)
			return kg_fail(err, KG_E_IO, "the container ended before it was started");
	}
}

static int start(void *self, const struct kg_runtime_container *c, pid_t pid, struct kg_error *err)
{
	struct kg_runc_self *s = self;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s/exec.fifo", s->root, c->id);
	KG_AUTOCLOSE int fifo = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fifo < 0 && errno == ENOENT) {
		KG_AUTOFREE char *root = kg_asprintf("--root=%s", s->root);
		const char *argv[] = {s->runc, root, "start", c->id, NULL};
		struct kg_run run = {.spawn = KG_SPAWN_INIT, .timeout_ms = START_MS};
		run.spawn.argv = argv;
		return kg_run(&run, NULL, err);
	}
	if (fifo < 0)
		return kg_fail_errno(err, "%s", path);
	int rc = wait_fifo(fifo, pid, err);
	if (rc < 0)
		return rc;
	if (unlink(path) < 0 && errno != ENOENT)
		return kg_fail_errno(err, "remove %s", path);
	return 0;
}

/* ---- the rest ---- */

static int send_signal(void *self, pid_t pid, uint64_t pid_start, int signo, struct kg_error *err)
{
	(void)self;
	if (pid <= 0)
		return 0;
	KG_AUTOCLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0 && errno == ESRCH)
		return 0;
	if (fd < 0)
		return kg_fail_errno(err, "pidfd_open %d", (int)pid);
	if (kg_pid_start(pid) != pid_start)
		return 0;
	if (syscall(SYS_pidfd_send_signal, fd, signo, NULL, 0) < 0 && errno != ESRCH)
		return kg_fail_errno(err, "signal %d", (int)pid);
	return 0;
}

static void look(void *self, const struct kg_runtime_container *c, struct kg_runtime_state *out)
{
	struct kg_runc_self *s = self;
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", s->exits, c->id);
	KG_AUTOFREE char *oom = kg_asprintf("%s/oom", c->bundle);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct stat st;
	*out = (struct kg_runtime_state){0};
	KG_AUTOFREE char *fifo = kg_asprintf("%s/%s/exec.fifo", s->root, c->id);
	KG_AUTOFREE char *state = kg_asprintf("%s/%s/state.json", s->root, c->id);
	pid_t pid = read_pid(c->bundle, "pid");
	if (pid > 0 && kg_path_exists(state) && !kg_path_exists(fifo) && kg_pid_start(pid))
		out->pid = pid;
	if (stat(path, &st) < 0 || kg_file_read(&b, path, 64, NULL) < 0 || b.len == 0)
		return;
	out->exited = true;
	out->exit_code = atoi(b.data);
	/* conmon tells of it by a file, which may come after the exit's. */
	out->oom = kg_path_exists(oom) ||
		   (out->exit_code == 128 + SIGKILL && kg_cgroup_oom_killed(s->cgroups, c->cgroup));
	out->finished = (kg_time)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

/* The container's conmon, and what tells its process for good; -1: there is none any more. */
static int open_conmon(const struct kg_runtime_container *c, pid_t *pid)
{
	*pid = read_pid(c->bundle, "conmon.pid");
	if (*pid <= 0)
		return -1;
	int fd = (int)syscall(SYS_pidfd_open, *pid, 0);
	KG_AUTOFREE char *path = kg_asprintf("/proc/%d/cmdline", (int)*pid);
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	if (fd >= 0 && kg_file_read(&b, path, 65536, NULL) == 0 &&
		memmem(kg_buf_str(&b), b.len, c->id, strlen(c->id)))
		return fd;
	kg_closep(&fd);
	return -1;
}

/* An earlier version's was left in the service that the agent was. */
static int adopt(void *self, const struct kg_runtime_container *c, struct kg_error *err)
{
	struct kg_runc_self *s = self;
	pid_t pid;
	KG_AUTOCLOSE int fd = open_conmon(c, &pid);
	return fd < 0 ? 0 : kg_cgroup_shelter(s->cgroups, s->helpers, pid, err);
}

/* conmon ends by itself once the container has; one that does not is helped along. */
static void end_conmon(const struct kg_runtime_container *c)
{
	pid_t pid;
	KG_AUTOCLOSE int fd = open_conmon(c, &pid);
	struct pollfd p = {fd, POLLIN, 0};
	if (fd < 0 || poll(&p, 1, 2000) != 0)
		return;
	/* With a runc that hangs: conmon leads a group of its own. */
	if (getpgid(pid) == pid)
		kill(-pid, SIGKILL);
	syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
}

static int runc_remove(void *self, const struct kg_runtime_container *c, struct kg_error *err)
{
	struct kg_runc_self *s = self;
	KG_AUTOFREE char *state = kg_asprintf("%s/%s", s->root, c->id);
	KG_AUTOFREE char *exit_file = kg_asprintf("%s/%s", s->exits, c->id);
	int rc = kg_cgroup_remove(s->cgroups, c->cgroup, err);
	if (rc < 0)
		return rc;
	end_conmon(c);
	rc = kg_remove_tree(state, err);
	if (rc == 0 && unlink(exit_file) < 0 && errno != ENOENT)
		rc = kg_fail_errno(err, "remove %s", exit_file);
	return rc;
}

static int runc_exec(void *self, const struct kg_runtime_container *c, const char *const *argv,
	int fd, pid_t *pid, struct kg_error *err)
{
	struct kg_runc_self *s = self;
	KG_AUTOFREE char *root = kg_asprintf("--root=%s", s->root);
	const char *const runc[] = {s->runc, root, "exec", c->id};
	size_t n = 0;
	while (argv[n])
		n++;
	const char **full KG_AUTOFREE = kg_alloc(sizeof(runc) + (n + 1) * sizeof(*full));
	memcpy(full, runc, sizeof(runc));
	memcpy(full + KG_ARRAY_LEN(runc), argv, n * sizeof(*full));
	KG_AUTOCLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct kg_spawn spawn = KG_SPAWN_INIT;
	spawn.argv = full;
	spawn.out = fd;
	spawn.err = fd >= 0 ? fd : null;
	spawn.new_session = true;
	return kg_spawn(pid, &spawn, err);
}

static const char *exit_dir(void *self)
{
	return ((struct kg_runc_self *)self)->exits;
}

/* conmon's control fifo: 2 is "reopen the log". */
static int reopen_log(void *self, const struct kg_runtime_container *c, struct kg_error *err)
{
	(void)self;
	KG_AUTOFREE char *path = kg_asprintf("%s/ctl", c->bundle);
	KG_AUTOCLOSE int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return kg_fail_errno(err, "%s", path);
	return kg_write_all(fd, "2 0 0\n", 6, err);
}

const struct kg_runtime kg_runc = {
	.create = create,
	.start = start,
	.signal = send_signal,
	.look = look,
	.adopt = adopt,
	.remove = runc_remove,
	.exec = runc_exec,
	.exit_dir = exit_dir,
	.reopen_log = reopen_log,
};
