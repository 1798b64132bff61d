/*
 * A child shares the parent's memory until it executes (clone with CLONE_VM and CLONE_VFORK, on a
 * stack of its own), so that its cost does not grow with the parent. All that may allocate is
 * done before; between clone and exec only system calls are made, with every signal blocked until
 * no handler of the parent can run.
 */
#include "sys/spawn.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_SIZE (64 * 1024)

/*
 * The thread sanitizer takes a clone for a fork and no longer looks at a thread that did one. It
 * does not know this name of the same function, which is all that its builds need: the child makes
 * nothing but system calls while the parent sleeps.
 */
#if defined(__SANITIZE_THREAD__)
#define KG_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define KG_TSAN 1
#endif
#endif
#ifdef KG_TSAN
int __clone(int (*fn)(void *), void *stack, int flags, void *arg, ...);
#define clone      __clone
#define KG_NO_TSAN __attribute__((no_sanitize("thread")))
#else
#define KG_NO_TSAN
#endif

struct child {
	const struct kg_spawn *opts;
	const char *path;
	char *const *argv;
	char *const *env;
	int null;           /* /dev/null */
	int error;          /* errno of the step that failed, 0: executed */
	const char *failed; /* that step */
};

KG_NO_TSAN static int give_up(struct child *c, const char *step)
{
	c->error = errno;
	c->failed = step;
	return 127;
}

static void reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int s = 1; s < _NSIG; s++)
		sigaction(s, &dfl, NULL); /* SIGKILL and SIGSTOP refuse; they have none */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0, 1 and 2 from the three fds, which may themselves be 0, 1 or 2 in any order. */
static int place_stdio(struct child *c)
{
	int fds[3] = {c->opts->in, c->opts->out, c->opts->err};

	for (int i = 0; i < 3; i++) {
		if (fds[i] < 0 && i == 2)
			fds[i] = 2;
		else if (fds[i] < 0)
			fds[i] = c->null;
		if (fds[i] < 3)
			fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return -1;
	}
	for (int i = 0; i < 3; i++) {
		/* Not dup2, of which sanitizers keep books that are the parent's. */
		if (syscall(SYS_dup3, fds[i], i, 0) < 0)
			return -1;
	}
	return 0;
}

static int keep_fds(const struct kg_spawn *o)
{
	if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) < 0 && errno != ENOSYS &&
		errno != EINVAL)
		return -1;
	for (const int *fd = o->keep; fd && *fd >= 0; fd++) {
		if (fcntl(*fd, F_SETFD, 0) < 0)
			return -1;
	}
	return 0;
}

/* Never more than the parent may have itself. */
static int bound_data(size_t most)
{
	struct rlimit data;

	if (getrlimit(RLIMIT_DATA, &data) < 0)
		return -1;
	if (data.rlim_max == RLIM_INFINITY || data.rlim_max > most)
		data.rlim_max = most;
	data.rlim_cur = data.rlim_max;
	return setrlimit(RLIMIT_DATA, &data);
}

KG_NO_TSAN static int child_main(void *arg)
{
	struct child *c = arg;
	const struct kg_spawn *o = c->opts;

	reset_signals();
	if (o->new_session && setsid() < 0)
		return give_up(c, "setsid");
	if (o->netns >= 0 && setns(o->netns, CLONE_NEWNET) < 0)
		return give_up(c, "enter the network namespace");
	if (place_stdio(c) < 0)
		return give_up(c, "standard streams");
	if (keep_fds(o) < 0)
		return give_up(c, "keep fds");
	if (o->cwd && chdir(o->cwd) < 0)
		return give_up(c, "chdir");
	if (o->most_data && bound_data(o->most_data) < 0)
		return give_up(c, "bound its memory");
	execve(c->path, c->argv, c->env);
	return give_up(c, "execute");
}

/* The child's environment: a heap array whose texts are borrowed. */
static char **make_env(const struct kg_spawn *o)
{
	size_t n = 0, nold = 0, nnew = 0;

	while (!o->clean_env && environ && environ[nold])
		nold++;
	while (o->env && o->env[nnew])
		nnew++;
	char **env = kg_alloc((nold + nnew + 1) * sizeof(*env));
	for (size_t i = 0; i < nold; i++) {
		bool replaced = false;

		for (size_t k = 0; k < nnew && !replaced; k++) {
			size_t name = strcspn(o->env[k], "=") + 1;
			replaced = strncmp(environ[i], o->env[k], name) == 0;
		}
		if (!replaced)
			env[n++] = environ[i];
	}
	for (size_t k = 0; k < nnew; k++)
		env[n++] = (char *)o->env[k];
	return env;
}

/* Where PATH has the program: heap, or NULL. */
static char *look_up(const char *name)
{
	if (strchr(name, '/'))
		return kg_strdup(name);
	const char *path = getenv("PATH");
	if (!path || !*path)
		path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	while (*path) {
		size_t n = strcspn(path, ":");
		char *full = kg_asprintf("%.*s/%s", (int)n, path, name);

		if (n && access(full, X_OK) == 0)
			return full;
		free(full);
		path += n + (path[n] == ':');
	}
	return NULL;
}

static pid_t clone_child(struct child *c, struct kg_error *err)
{
	sigset_t all, old;
	int cancel;
	char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return kg_fail_errno(err, "stack of a child");
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid_t pid = clone(child_main, stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, c);
	int saved = errno;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_setcancelstate(cancel, NULL);
	munmap(stack, STACK_SIZE);
	errno = saved;
	if (pid < 0)
		return kg_fail_errno(err, "clone for %s", c->path);
	if (!c->error)
		return pid;
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	errno = c->error;
	return kg_fail_errno(err, "start %s: %s", c->path, c->failed);
}

int kg_spawn(pid_t *pid, const struct kg_spawn *opts, struct kg_error *err)
{
	KG_AUTOFREE char *path = look_up(opts->argv[0]);

	if (!path)
		return kg_fail(err, KG_E_NOT_FOUND, "%s is not in PATH", opts->argv[0]);
	KG_AUTOCLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return kg_fail_errno(err, "open /dev/null");
	KG_AUTOFREE char **env = make_env(opts);
	struct child c = {.opts = opts,
		.path = path,
		.argv = (char *const *)opts->argv,
		.env = env,
		.null = null};
	pid_t got = clone_child(&c, err);
	if (got < 0)
		return got;
	*pid = got;
	return 0;
}
