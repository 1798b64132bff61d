#include "kgitd/git_child.h"

#include "kgitd/pushers.h"
#include "sys/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct kgd_git {
	struct kg_loop *loop;
	pid_t pid;
	int in, out;                   /* our ends of its pipes; -1 once closed */
	struct kg_watch *in_w, *out_w; /* the loop's */
	atomic_bool failed;            /* a pipe cannot be waited for */
	atomic_int refs;               /* the exchange, and each posted call */
	pthread_mutex_t lock;          /* of req */
	struct kg_http_req *req;       /* NULL once done */
	char pusher[KGD_PUSHER_ID_LEN + 1];
};

static atomic_size_t processes, exchanges;
static _Atomic uint64_t refused;

static void git_unref(struct kgd_git *g)
{
	if (atomic_fetch_sub(&g->refs, 1) != 1)
		return;
	kg_closep(&g->in);
	kg_closep(&g->out);
	kgd_pusher_leave(g->pusher);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

static bool is_done(struct kgd_git *g)
{
	pthread_mutex_lock(&g->lock);
	bool done = !g->req;
	pthread_mutex_unlock(&g->lock);
	return done;
}

/* ---- the loop's side ---- */

static void wake(struct kgd_git *g)
{
	pthread_mutex_lock(&g->lock);
	if (g->req)
		kg_http_stream_wake(g->req);
	pthread_mutex_unlock(&g->lock);
}

static void out_ready(void *ctx, uint32_t events)
{
	struct kgd_git *g = ctx;

	(void)events;
	kg_watch_free(g->out_w);
	g->out_w = NULL;
	wake(g);
}

static void in_ready(void *ctx, uint32_t events)
{
	struct kgd_git *g = ctx;

	(void)events;
	kg_watch_free(g->in_w);
	g->in_w = NULL;
	wake(g);
}

static void arm(struct kgd_git *g, struct kg_watch **w, int fd, uint32_t events,
	void (*fn)(void *ctx, uint32_t events))
{
	if (*w || fd < 0 || is_done(g))
		return;
	*w = kg_loop_watch(g->loop, fd, events, fn, g);
	if (!*w) {
		atomic_store(&g->failed, true);
		wake(g);
	}
}

static void arm_out(void *ctx)
{
	struct kgd_git *g = ctx;

	arm(g, &g->out_w, g->out, EPOLLIN, out_ready);
	git_unref(g);
}

static void arm_in(void *ctx)
{
	struct kgd_git *g = ctx;

	arm(g, &g->in_w, g->in, EPOLLOUT, in_ready);
	git_unref(g);
}

static void close_in(void *ctx)
{
	struct kgd_git *g = ctx;

	kg_watch_free(g->in_w);
	g->in_w = NULL;
	kg_closep(&g->in);
	g->in = -1;
	git_unref(g);
}

static void finish(void *ctx)
{
	struct kgd_git *g = ctx;

	kg_watch_free(g->in_w);
	kg_watch_free(g->out_w);
	g->in_w = g->out_w = NULL;
	git_unref(g);
}

static void post(struct kgd_git *g, void (*fn)(void *ctx))
{
	atomic_fetch_add(&g->refs, 1);
	kg_loop_post(g->loop, fn, g);
}

static void exited(void *ctx, int status)
{
	(void)ctx;
	(void)status; /* git says on its own stdout what went wrong */
	atomic_fetch_sub(&processes, 1);
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

/* ---- the exchange's side ---- */

static int make_pipe(int *read_end, int *write_end, struct kg_error *err)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return kg_fail_errno(err, "pipe for git");
	*read_end = fds[0];
	*write_end = fds[1];
	return 0;
}

/* No setting of the machine's or a user's reaches it: what git does here is the repository's. */
static size_t make_env(const char **env, const char *push, char *proto, size_t nproto,
	const struct kgd_git_options *o)
{
	size_t n = 0;

	env[n++] = push;
	env[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	env[n++] = "HOME=/";
	env[n++] = "GIT_CONFIG_NOSYSTEM=1";
	env[n++] = "GIT_CONFIG_GLOBAL=/dev/null";
	if (o->protocol && strlen(o->protocol) < 200) {
		snprintf(proto, nproto, "GIT_PROTOCOL=%s", o->protocol);
		env[n++] = proto;
	}
	env[n] = NULL;
	return n;
}

static int spawn_git(struct kgd_git *g, const struct kgd_git_options *o, struct kg_error *err)
{
	int in_r KG_AUTOCLOSE = -1, out_w KG_AUTOCLOSE = -1;
	char push[64], proto[300];
	bool takes = strcmp(o->service, "git-receive-pack") == 0;
	const char *argv[8], *env[8];
	size_t n = 0;

	argv[n++] = "git";
	if (takes) { /* its threads share --max-push-memory, however many cores there are */
		argv[n++] = "-c";
		argv[n++] = "pack.threads=2";
	}
	argv[n++] = o->service + strlen("git-");
	argv[n++] = "--stateless-rpc";
	if (o->advertise)
		argv[n++] = "--http-backend-info-refs";
	argv[n++] = o->m->repo;
	argv[n] = NULL;
	if (o->feed)
		kgd_pusher_enter(g->pusher, o->user);
	snprintf(push, sizeof(push), "KGIT_PUSH=%s", g->pusher);
	make_env(env, push, proto, sizeof(proto), o);
	if ((o->feed && make_pipe(&in_r, &g->in, err) < 0) || make_pipe(&g->out, &out_w, err) < 0)
		return -(int)err->code;
	struct kg_spawn opts = KG_SPAWN_INIT;
	opts.argv = argv;
	opts.env = env;
	opts.clean_env = true;
	opts.in = o->feed ? in_r : o->in;
	opts.out = out_w;
	/* A delta of a few bytes may make gigabytes, which index-pack would. */
	if (takes)
		opts.most_data = o->m->limits.push_memory;
	int rc = kg_spawn(&g->pid, &opts, err);
	if (rc < 0)
		return rc;
	if (g->in >= 0)
		fcntl(g->in, F_SETFL, O_NONBLOCK);
	fcntl(g->out, F_SETFL, O_NONBLOCK);
	return 0;
}

int kgd_git_start(struct kgd_git **out, struct kg_http_req *req, const struct kgd_git_options *o,
	struct kg_error *err)
{
	if (atomic_load(&o->m->stopping))
		return kg_fail(err, KG_E_UNAVAILABLE, "kgitd is stopping; try again");
	if (atomic_fetch_add(&processes, 1) >= o->m->limits.git_processes) {
		atomic_fetch_sub(&processes, 1);
		atomic_fetch_add(&refused, 1);
		return kg_fail(err, KG_E_UNAVAILABLE, "%zu git processes run already; try again",
			o->m->limits.git_processes);
	}
	struct kgd_git *g = kg_alloc(sizeof(*g));
	g->loop = o->m->loop;
	g->in = g->out = -1;
	g->req = req;
	atomic_init(&g->refs, 1);
	pthread_mutex_init(&g->lock, NULL);
	int rc = spawn_git(g, o, err);
	if (rc < 0) {
		atomic_fetch_sub(&processes, 1);
		git_unref(g);
		return rc;
	}
	atomic_fetch_add(&exchanges, 1);
	struct reap *r = kg_alloc(sizeof(*r));
	*r = (struct reap){.loop = g->loop, .pid = g->pid};
	kg_loop_post(g->loop, start_reaping, r);
	*out = g;
	return 0;
}

void kgd_git_end(struct kgd_git *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->req = NULL;
	pthread_mutex_unlock(&g->lock);
	post(g, finish);
	git_unref(g);
	atomic_fetch_sub(&exchanges, 1);
}

bool kgd_git_feed(struct kgd_git *g, const void *p, size_t n, size_t *taken)
{
	*taken = 0;
	while (*taken < n) {
		ssize_t w = write(g->in, (const char *)p + *taken, n - *taken);

		if (w > 0) {
			*taken += (size_t)w;
		} else if (w < 0 && errno == EAGAIN && !atomic_load(&g->failed)) {
			post(g, arm_in);
			return false;
		} else if (w < 0 && errno != EINTR) {
			*taken = n;
		}
	}
	return true;
}

void kgd_git_feed_end(struct kgd_git *g)
{
	post(g, close_in);
}

ssize_t kgd_git_read(struct kgd_git *g, char *buf, size_t max)
{
	ssize_t n;

	do
		n = read(g->out, buf, max);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n == 0)
		return -1;
	if (errno != EAGAIN || atomic_load(&g->failed))
		return -2;
	post(g, arm_out);
	return 0;
}

uint64_t kgd_git_refused(void)
{
	return atomic_load(&refused);
}

size_t kgd_git_active(void)
{
	return atomic_load(&exchanges);
}
