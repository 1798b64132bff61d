#include "base/mem.h"
#include "sys/loop.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEP_STDERR 600
#define CHUNK       16384

struct run {
	const struct kg_run *opts;
	pid_t pid;
	int in, out, err, pidfd;
	size_t written; /* of the input */
	size_t max_output;
	bool too_large, cancelled;
	struct kg_buf scratch; /* output nobody wants */
	struct kg_buf errors;  /* the last of stderr */
};

static int make_pipe(int p[2], struct kg_error *err)
{
	if (pipe2(p, O_CLOEXEC) < 0) {
		p[0] = p[1] = -1;
		return kg_fail_errno(err, "pipe");
	}
	return 0;
}

static void close_fd(int *fd)
{
	kg_closep(fd);
	*fd = -1;
}

/* A write that never raises SIGPIPE, whatever this program does with it. */
static ssize_t write_quietly(int fd, const void *p, size_t n)
{
	static const struct timespec at_once;
	sigset_t pipe_set, old;

	sigemptyset(&pipe_set);
	sigaddset(&pipe_set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe_set, &old);
	ssize_t w = write(fd, p, n);
	int saved = errno;
	if (w < 0 && saved == EPIPE && !sigismember(&old, SIGPIPE))
		sigtimedwait(&pipe_set, NULL, &at_once);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
	return w;
}

static void feed(struct run *r)
{
	const struct kg_buf *in = r->opts->input;
	size_t left = in ? in->len - r->written : 0;
	ssize_t n = left ? write_quietly(r->in, in->data + r->written, left) : 0;

	if (n > 0)
		r->written += (size_t)n;
	else if (left && (errno == EAGAIN || errno == EINTR))
		return;
	else if (left) /* it does not read to the end: its own business */
		r->written = in->len;
	if (!in || r->written == in->len)
		close_fd(&r->in);
}

/* Returns false once there is nothing more for now. */
static bool drain(int *fd, struct kg_buf *out)
{
	char chunk[CHUNK];
	ssize_t n = read(*fd, chunk, sizeof(chunk));

	if (n > 0)
		kg_buf_add(out, chunk, (size_t)n);
	else if (n == 0 || (errno != EAGAIN && errno != EINTR))
		close_fd(fd);
	return n > 0;
}

static bool drain_out(struct run *r)
{
	struct kg_buf *out = r->opts->output ? r->opts->output : &r->scratch;
	bool more = drain(&r->out, out);

	if (out == &r->scratch)
		kg_buf_clear(out);
	r->too_large = out->len > r->max_output;
	return more && !r->too_large;
}

static bool drain_err(struct run *r)
{
	bool more = drain(&r->err, &r->errors);

	if (r->errors.len > KEEP_STDERR)
		kg_buf_remove(&r->errors, 0, r->errors.len - KEEP_STDERR);
	return more;
}

/* What was written when the child ended, and no more: its own children may write without end. */
static void drain_rest(struct run *r)
{
	int out = 0, err = 0;

	if (r->out >= 0)
		ioctl(r->out, FIONREAD, &out);
	if (r->err >= 0)
		ioctl(r->err, FIONREAD, &err);
	for (; out > 0 && r->out >= 0 && drain_out(r); out -= CHUNK)
		;
	for (; err > 0 && r->err >= 0 && drain_err(r); err -= CHUNK)
		;
}

/* Until the child ended, its output is too large, or time is up (then false). */
static bool pump(struct run *r, int64_t deadline)
{
	for (;;) {
		int cancel = r->opts->cancel > 0 ? r->opts->cancel : -1;
		struct pollfd p[5] = {{r->in, POLLOUT, 0}, {r->out, POLLIN, 0}, {r->err, POLLIN, 0},
			{r->pidfd, POLLIN, 0}, {cancel, POLLIN, 0}};
		int64_t left = deadline - kg_monotonic_ms();

		if (left <= 0)
			return false;
		if (poll(p, 5, (int)left) < 0)
			continue;
		if (p[0].revents)
			feed(r);
		if (p[1].revents && r->out >= 0)
			drain_out(r);
		if (p[2].revents && r->err >= 0)
			drain_err(r);
		r->cancelled = p[4].revents & POLLIN;
		if (r->cancelled)
			return false;
		if (r->too_large || p[3].revents)
			return true;
	}
}

static int start(struct run *r, struct kg_error *err)
{
	int in[2] = {-1, -1}, out[2] = {-1, -1}, errs[2] = {-1, -1};
	struct kg_spawn s = r->opts->spawn;
	int rc = make_pipe(in, err);

	if (rc == 0)
		rc = make_pipe(out, err);
	if (rc == 0)
		rc = make_pipe(errs, err);
	s.in = in[0];
	s.out = out[1];
	s.err = errs[1];
	s.new_session = true;
	if (rc == 0)
		rc = kg_spawn(&r->pid, &s, err);
	kg_closep(&in[0]);
	kg_closep(&out[1]);
	kg_closep(&errs[1]);
	r->in = in[1];
	r->out = out[0];
	r->err = errs[0];
	if (rc < 0)
		return rc;
	fcntl(r->in, F_SETFL, O_NONBLOCK);
	fcntl(r->out, F_SETFL, O_NONBLOCK);
	fcntl(r->err, F_SETFL, O_NONBLOCK);
	r->pidfd = (int)syscall(SYS_pidfd_open, r->pid, 0);
	return r->pidfd < 0 ? kg_fail_errno(err, "pidfd_open") : 0;
}

static int judge(struct run *r, bool in_time, int status, struct kg_error *err)
{
	const char *name = r->opts->spawn.argv[0];

	while (r->errors.len && (unsigned char)r->errors.data[r->errors.len - 1] <= ' ')
		kg_buf_remove(&r->errors, r->errors.len - 1, 1);
	const char *said = kg_buf_str(&r->errors);
	const char *sep = r->errors.len ? ": " : "";
	if (r->too_large)
		return kg_fail(
			err, KG_E_TOO_LARGE, "%s wrote more than %zu bytes", name, r->max_output);
	if (r->cancelled)
		return kg_fail(err, KG_E_UNAVAILABLE, "%s was given up", name);
	if (!in_time)
		return kg_fail(err, KG_E_TIMEOUT, "%s did not end in time%s%s", name, sep, said);
	if (WIFSIGNALED(status))
		return kg_fail(err, KG_E_IO, "%s was killed by signal %d%s%s", name,
			WTERMSIG(status), sep, said);
	if (WEXITSTATUS(status))
		return kg_fail(err, KG_E_IO, "%s exited with %d%s%s", name, WEXITSTATUS(status),
			sep, said);
	return 0;
}

static int finish(struct run *r, int rc, int *status, struct kg_error *err)
{
	int timeout = r->opts->timeout_ms ? r->opts->timeout_ms : 60000, wstatus = 0;
	bool in_time = rc == 0 && pump(r, kg_monotonic_ms() + timeout);

	if (!in_time || r->too_large)
		kill(-r->pid, SIGKILL);
	while (waitpid(r->pid, &wstatus, 0) < 0 && errno == EINTR)
		;
	drain_rest(r);
	if (status)
		*status = wstatus;
	return rc < 0 ? rc : judge(r, in_time, wstatus, err);
}

int kg_run(const struct kg_run *opts, int *status, struct kg_error *err)
{
	struct run r = {.opts = opts,
		.pid = -1,
		.in = -1,
		.out = -1,
		.err = -1,
		.pidfd = -1,
		.max_output = opts->max_output ? opts->max_output : 16 << 20};
	int rc = start(&r, err);

	if (status)
		*status = -1;
	if (r.pid > 0)
		rc = finish(&r, rc, status, err);
	kg_closep(&r.in);
	kg_closep(&r.out);
	kg_closep(&r.err);
	kg_closep(&r.pidfd);
	kg_buf_release(&r.scratch);
	kg_buf_release(&r.errors);
	return rc;
}
