/*
 * The cluster's repository over git's smart HTTP: each exchange is a `git receive-pack` or
 * `git upload-pack` child, its stdin fed from the request's body and its stdout streamed back.
 *
 * The HTTP threads read and write the (non-blocking) pipes; where a pipe is not ready the loop
 * waits for it and wakes the exchange. Watches are made and freed on the loop alone.
 */
#include "base/log.h"
#include "kgitd/master.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <zlib.h>

#define INFLATE_CHUNK (64 << 10)

struct child {
	struct kg_loop *loop;
	pid_t pid;
	int in, out;                   /* our ends of its pipes; -1 once closed */
	struct kg_watch *in_w, *out_w; /* the loop's */
	atomic_bool finished;          /* the exchange is done */
	atomic_int refs;               /* the exchange, and each posted call */
	pthread_mutex_t lock;          /* of req */
	struct kg_http_req *req;       /* NULL once done */

	/* the HTTP thread's */
	bool gzip, piece_taken;
	z_stream z;
	struct kg_buf pending; /* bytes for the child that are not written yet */
	struct kg_buf head;    /* what goes before the child's output */
};

static atomic_size_t running;

static void child_unref(struct child *c)
{
	if (atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	if (c->gzip)
		inflateEnd(&c->z);
	kg_closep(&c->in);
	kg_closep(&c->out);
	kg_buf_release(&c->pending);
	kg_buf_release(&c->head);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- the loop's side ---- */

static void wake(struct child *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->req)
		kg_http_stream_wake(c->req);
	pthread_mutex_unlock(&c->lock);
}

static void out_ready(void *ctx, uint32_t events)
{
	struct child *c = ctx;

	(void)events;
	kg_watch_free(c->out_w);
	c->out_w = NULL;
	wake(c);
}

static void in_ready(void *ctx, uint32_t events)
{
	struct child *c = ctx;

	(void)events;
	kg_watch_free(c->in_w);
	c->in_w = NULL;
	wake(c);
}

static void arm_out(void *ctx)
{
	struct child *c = ctx;

	if (!atomic_load(&c->finished) && !c->out_w)
		c->out_w = kg_loop_watch(c->loop, c->out, EPOLLIN, out_ready, c);
	child_unref(c);
}

static void arm_in(void *ctx)
{
	struct child *c = ctx;

	if (!atomic_load(&c->finished) && !c->in_w && c->in >= 0)
		c->in_w = kg_loop_watch(c->loop, c->in, EPOLLOUT, in_ready, c);
	child_unref(c);
}

/* The end of the child's input. */
static void close_in(void *ctx)
{
	struct child *c = ctx;

	kg_watch_free(c->in_w);
	c->in_w = NULL;
	kg_closep(&c->in);
	c->in = -1;
	child_unref(c);
}

static void finish(void *ctx)
{
	struct child *c = ctx;

	kg_watch_free(c->in_w);
	kg_watch_free(c->out_w);
	c->in_w = c->out_w = NULL;
	child_unref(c);
}

static void post(struct child *c, void (*fn)(void *ctx))
{
	atomic_fetch_add(&c->refs, 1);
	kg_loop_post(c->loop, fn, c);
}

static void exited(void *ctx, int status)
{
	(void)ctx;
	(void)status; /* git says on its own stdout what went wrong */
	atomic_fetch_sub(&running, 1);
}

struct reap {
	struct kg_loop *loop;
	pid_t pid;
};

static void start_reaping(void *ctx)
{
	struct reap *r = ctx;

	kg_loop_child(r->loop, r->pid, exited, NULL);
	free(r);
}

/* ---- starting ---- */

static int make_pipe(int *read_end, int *write_end, struct kg_error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return kg_fail_errno(err, "pipe for git");
	*read_end = fds[0];
	*write_end = fds[1];
	return 0;
}

static int spawn_git(struct child *c, struct kgd_exchange *x, const char *service, bool advertise,
	const char *protocol, struct kg_error *err)
{
	int in_r KG_AUTOCLOSE = -1, out_w KG_AUTOCLOSE = -1;
	char user[300], proto[300];
	const char *argv[6], *env[8];
	size_t n = 0, e = 0;

	argv[n++] = "git";
	argv[n++] = service;
	argv[n++] = "--stateless-rpc";
	if (advertise)
		argv[n++] = "--http-backend-info-refs";
	argv[n++] = x->master->repo;
	argv[n] = NULL;
	snprintf(user, sizeof(user), "KGIT_USER=%s", x->user.name);
	env[e++] = user;
	env[e++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env[e++] = "HOME=/";
	env[e++] = "GIT_CONFIG_NOSYSTEM=1";
	env[e++] = "GIT_CONFIG_GLOBAL=/dev/null";
	if (protocol && strlen(protocol) < 200 && strcmp(service, "upload-pack") == 0) {
		snprintf(proto, sizeof(proto), "GIT_PROTOCOL=%s", protocol);
		env[e++] = proto;
	}
	env[e] = NULL;
	if (make_pipe(&in_r, &c->in, err) < 0 || make_pipe(&c->out, &out_w, err) < 0)
		return -(int)err->code;
	struct kg_spawn opts = KG_SPAWN_INIT;
	opts.argv = argv;
	opts.env = env;
	opts.clean_env = true;
	opts.in = in_r;
	opts.out = out_w;
	int rc = kg_spawn(&c->pid, &opts, err);
	if (rc < 0)
		return rc;
	fcntl(c->in, F_SETFL, O_NONBLOCK);
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	return 0;
}

static struct child *start(
	struct kg_http_req *req, const char *service, bool advertise, struct kg_error *err)
{
	struct kgd_exchange *x = kgd_exchange(req);
	const char *encoding = kg_http_header(req, "Content-Encoding");

	if (atomic_fetch_add(&running, 1) >= x->master->limits.git_processes) {
		atomic_fetch_sub(&running, 1);
		kg_fail(err, KG_E_UNAVAILABLE, "%zu git processes run already; try again",
			x->master->limits.git_processes);
		return NULL;
	}
	struct child *c = kg_alloc(sizeof(*c));
	c->loop = x->master->loop;
	c->in = c->out = -1;
	c->req = req;
	atomic_init(&c->refs, 1);
	pthread_mutex_init(&c->lock, NULL);
	if (spawn_git(c, x, service, advertise, kg_http_header(req, "Git-Protocol"), err) < 0) {
		atomic_fetch_sub(&running, 1);
		child_unref(c);
		return NULL;
	}
	struct reap *r = kg_alloc(sizeof(*r));
	*r = (struct reap){.loop = c->loop, .pid = c->pid};
	kg_loop_post(c->loop, start_reaping, r);
	if (encoding && (strcmp(encoding, "gzip") == 0 || strcmp(encoding, "x-gzip") == 0))
		c->gzip = inflateInit2(&c->z, 15 + 16) == Z_OK;
	return c;
}

/* ---- the exchange ---- */

static ssize_t read_out(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct child *c = kgd_exchange(req)->state;
	ssize_t n;

	(void)ctx;
	if (c->head.len) {
		n = (ssize_t)(c->head.len < max ? c->head.len : max);
		memcpy(buf, c->head.data, (size_t)n);
		kg_buf_remove(&c->head, 0, (size_t)n);
		return n;
	}
	do
		n = read(c->out, buf, max);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return -1;
	if (errno != EAGAIN)
		return -2;
	post(c, arm_out);
	return 0;
}

/* Writes what is pending; false where the pipe is full. A child that no longer reads is fine: its
 * answer says why. */
static bool flush_pending(struct child *c)
{
	while (c->pending.len) {
		ssize_t n = write(c->in, c->pending.data, c->pending.len);

		if (n > 0) {
			kg_buf_remove(&c->pending, 0, (size_t)n);
		} else if (n < 0 && errno == EAGAIN) {
			return false;
		} else if (n < 0 && errno != EINTR) {
			kg_buf_clear(&c->pending);
		}
	}
	return true;
}

/* Into pending, inflated where it came gzipped; false where it is no gzip. */
static bool take_piece(struct child *c, const void *p, size_t n)
{
	if (!c->gzip) {
		kg_buf_add(&c->pending, p, n);
		return true;
	}
	c->z.next_in = (Bytef *)(uintptr_t)p;
	c->z.avail_in = (uInt)n;
	while (c->z.avail_in) {
		kg_buf_reserve(&c->pending, INFLATE_CHUNK);
		c->z.next_out = (Bytef *)c->pending.data + c->pending.len;
		c->z.avail_out = INFLATE_CHUNK;
		int rc = inflate(&c->z, Z_NO_FLUSH);
		c->pending.len += INFLATE_CHUNK - c->z.avail_out;
		if (rc == Z_STREAM_END)
			return true;
		if (rc != Z_OK)
			return false;
	}
	return true;
}

static bool body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	struct child *c = kgd_exchange(req)->state;

	(void)ctx;
	if (!c->piece_taken && !take_piece(c, p, n)) {
		struct kg_error err;
		kg_fail(&err, KG_E_BAD_REQUEST, "the body is not gzip");
		kgd_reply_error(req, &err);
		return true;
	}
	c->piece_taken = true;
	if (!flush_pending(c)) {
		post(c, arm_in);
		return false;
	}
	c->piece_taken = false;
	return true;
}

static const char *service_of(void *ctx)
{
	return ctx;
}

static void open_rpc(struct kg_http_req *req, void *ctx)
{
	struct kg_error err;
	struct child *c = start(req, service_of(ctx) + strlen("git-"), false, &err);

	if (!c)
		kgd_reply_error(req, &err);
	kgd_exchange(req)->state = c;
}

static void handle_rpc(struct kg_http_req *req, void *ctx)
{
	struct child *c = kgd_exchange(req)->state;
	char type[80];

	post(c, close_in);
	snprintf(type, sizeof(type), "application/x-%s-result", service_of(ctx));
	kg_http_set_header(req, "Cache-Control", "no-cache");
	kg_http_stream(req, 200, type, read_out, NULL);
}

/* What git's own http-backend puts before an advertisement of protocol 0 and 1. */
static void add_service_line(struct child *c, struct kg_http_req *req, const char *service)
{
	const char *protocol = kg_http_header(req, "Git-Protocol");
	char line[80];

	if (protocol && strstr(protocol, "version=2") && strcmp(service, "git-upload-pack") == 0)
		return;
	snprintf(line, sizeof(line), "# service=%s\n", service);
	kg_buf_addf(&c->head, "%04zx%s0000", strlen(line) + 4, line);
}

static void handle_refs(struct kg_http_req *req, void *ctx)
{
	struct kg_error err;
	char type[80];
	struct child *c = start(req, service_of(ctx) + strlen("git-"), true, &err);

	if (!c) {
		kgd_reply_error(req, &err);
		return;
	}
	kgd_exchange(req)->state = c;
	post(c, close_in);
	add_service_line(c, req, service_of(ctx));
	snprintf(type, sizeof(type), "application/x-%s-advertisement", service_of(ctx));
	kg_http_set_header(req, "Cache-Control", "no-cache");
	kg_http_stream(req, 200, type, read_out, NULL);
}

static void done(struct kg_http_req *req, void *ctx)
{
	struct child *c = kgd_exchange(req)->state;

	(void)ctx;
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->req = NULL;
	pthread_mutex_unlock(&c->lock);
	atomic_store(&c->finished, true);
	post(c, finish);
	child_unref(c);
	kgd_exchange(req)->state = NULL;
}

static void handle_unknown_service(struct kg_http_req *req, void *ctx)
{
	struct kg_error err;

	(void)ctx;
	kg_fail(&err, KG_E_FORBIDDEN,
		"only git's smart protocol is served here; use git itself (2.29 or newer)");
	kgd_reply_error(req, &err);
}

bool kgd_git_route(struct kg_http_req *req, const char *rest, struct kg_http_route *route)
{
	static const char *const services[] = {"git-receive-pack", "git-upload-pack"};
	bool get = strcmp(kg_http_method(req), "GET") == 0;

	if (get && strcmp(rest, "info/refs") == 0) {
		const char *asked = kg_http_query(req, "service");

		route->handle = handle_unknown_service;
		for (size_t i = 0; asked && i < KG_ARRAY_LEN(services); i++) {
			if (strcmp(services[i], asked) != 0)
				continue;
			route->handle = handle_refs;
			route->done = done;
			route->ctx = (void *)(uintptr_t)services[i];
		}
		return true;
	}
	for (size_t i = 0; !get && i < KG_ARRAY_LEN(services); i++) {
		if (strcmp(services[i], rest) != 0)
			continue;
		route->open = open_rpc;
		route->body = body;
		route->handle = handle_rpc;
		route->done = done;
		route->ctx = (void *)(uintptr_t)services[i];
		return true;
	}
	return false;
}
