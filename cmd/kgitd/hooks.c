/*
 * The socket beside the repository to which its hooks (kgit-hook) come. One thread accepts, one a
 * connection answers; both are few, since git processes are bounded. A hook that neither speaks
 * nor listens is given up after a while, so that it holds up nothing.
 */
#include "base/log.h"
#include "kgitd/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 128
#define READ_S          30
#define WRITE_S         300 /* a pusher may be slow to take what it is told */
#define STOP_MS         5000
#define STACK_SIZE      ((size_t)2 << 20)

struct connection {
	struct kgd_hooks *hooks;
	int fd;
	struct connection *prev, *next;
};

struct kgd_hooks {
	struct kgd_master *m;
	char *path;
	int fd;
	pthread_t thread;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t gone;  /* a connection was */
	struct connection *connections;
	size_t count;
	bool stop;
};

static void serve(struct kgd_hooks *hooks, int fd)
{
	struct kgd_hook h;
	struct kg_error err;

	if (kgd_hook_init(&h, hooks->m, fd, &err) < 0) {
		kg_warn("%s", err.msg);
		return;
	}
	if (kgd_hook_read(&h, &err) < 0) {
		h.refused = true;
		kgd_hook_sayf(&h, "%s", err.msg);
	} else {
		/* A stream that was read must be repositioned before it is written to; on a
		 * socket this is fflush. */
		fflush(h.io);
		if (h.proc)
			kgd_pushes_apply(hooks->m->pushes, &h);
		else
			kgd_pushes_judge(hooks->m->pushes, &h);
	}
	kgd_hook_end(&h);
	kgd_hook_release(&h);
}

/* ---- connections ---- */

/* With a descriptor of its own, which the stop may use while the hook's is being closed. NULL:
 * there are too many, or kgitd stops. */
static struct connection *add_connection(struct kgd_hooks *hooks, int fd)
{
	struct connection *c = NULL;
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);

	pthread_mutex_lock(&hooks->lock);
	if (own >= 0 && hooks->count < MAX_CONNECTIONS && !hooks->stop) {
		c = kg_alloc(sizeof(*c));
		*c = (struct connection){.hooks = hooks, .fd = own, .next = hooks->connections};
		if (c->next)
			c->next->prev = c;
		hooks->connections = c;
		hooks->count++;
	}
	pthread_mutex_unlock(&hooks->lock);
	if (!c)
		kg_closep(&own);
	return c;
}

static void remove_connection(struct connection *c)
{
	struct kgd_hooks *hooks = c->hooks;

	pthread_mutex_lock(&hooks->lock);
	if (c->prev)
		c->prev->next = c->next;
	else
		hooks->connections = c->next;
	if (c->next)
		c->next->prev = c->prev;
	hooks->count--;
	close(c->fd);
	free(c);
	pthread_cond_signal(&hooks->gone);
	/* The last use of hooks: whoever stops takes the lock before it is freed. */
	pthread_mutex_unlock(&hooks->lock);
}

struct start {
	struct connection *c;
	int fd; /* the hook's */
};

static void *serve_thread(void *arg)
{
	struct start *s = arg;
	struct connection *c = s->c;

	serve(c->hooks, s->fd);
	free(s);
	remove_connection(c);
	return NULL;
}

static bool start_thread(struct connection *c, int fd)
{
	struct start *s = kg_alloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t thread;

	*s = (struct start){.c = c, .fd = fd};
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	bool ok = pthread_create(&thread, &attr, serve_thread, s) == 0;
	pthread_attr_destroy(&attr);
	if (!ok)
		free(s);
	return ok;
}

static void turn_away(int fd)
{
	static const char text[] = "say kgit: too many pushes are under way, or kgitd stops; try "
				   "again\nexit 1\n";
	/* Where it does not fit, the hook says that kgitd went away. */
	ssize_t n = send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);

	(void)n;
	close(fd);
}

static void accepted(struct kgd_hooks *hooks, int fd)
{
	struct timeval in = {.tv_sec = READ_S}, out = {.tv_sec = WRITE_S};
	struct connection *c = add_connection(hooks, fd);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &in, sizeof(in));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &out, sizeof(out));
	if (c && start_thread(c, fd))
		return;
	if (c)
		remove_connection(c);
	turn_away(fd);
}

static bool stopping(struct kgd_hooks *hooks)
{
	pthread_mutex_lock(&hooks->lock);
	bool stop = hooks->stop;
	pthread_mutex_unlock(&hooks->lock);
	return stop;
}

static void *accept_thread(void *arg)
{
	struct kgd_hooks *hooks = arg;

	while (!stopping(hooks)) {
		int fd = accept4(hooks->fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd >= 0) {
			accepted(hooks, fd);
		} else if (errno != EINTR && errno != ECONNABORTED && !stopping(hooks)) {
			/* Out of descriptors, most likely: the next may find one. */
			kg_error_log("a push cannot be accepted: %s", strerror(errno));
			usleep(100000);
		}
	}
	return NULL;
}

/* ---- start and end ---- */

static int listen_unix(const char *path, struct kg_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(addr.sun_path))
		return kg_fail(err, KG_E_INVALID,
			"%s: a socket's path has at most %zu bytes; choose a shorter --state", path,
			sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return kg_fail_errno(err, "socket");
	/* Of an earlier kgitd: the store's lock says that none runs. */
	unlink(path);
	/* The socket is born with the descriptor's mode: nobody else's from the start. */
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
		listen(fd, 64) < 0) {
		int rc = kg_fail_errno(err, "listen on %s", path);
		close(fd);
		return rc;
	}
	return fd;
}

static void destroy(struct kgd_hooks *hooks)
{
	if (hooks->fd >= 0)
		close(hooks->fd);
	pthread_mutex_destroy(&hooks->lock);
	pthread_cond_destroy(&hooks->gone);
	free(hooks->path);
	free(hooks);
}

int kgd_hooks_new(struct kgd_hooks **out, struct kgd_master *m, struct kg_error *err)
{
	struct kgd_hooks *hooks = kg_alloc(sizeof(*hooks));
	pthread_condattr_t attr;
	int rc = 0;

	hooks->m = m;
	hooks->path = kg_asprintf("%s/kgitd.sock", m->dir);
	pthread_mutex_init(&hooks->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&hooks->gone, &attr);
	pthread_condattr_destroy(&attr);
	hooks->fd = listen_unix(hooks->path, err);
	if (hooks->fd < 0)
		rc = hooks->fd;
	else if (pthread_create(&hooks->thread, NULL, accept_thread, hooks) != 0)
		rc = kg_fail(err, KG_E_IO, "start the hooks' thread");
	if (rc < 0)
		destroy(hooks);
	else
		*out = hooks;
	return rc;
}

/* With the lock held. */
static void hang_up(struct kgd_hooks *hooks, int how)
{
	for (struct connection *c = hooks->connections; c; c = c->next)
		shutdown(c->fd, how);
}

/* Those that wait for the writer get its answer; who has not asked yet, or does not listen, is cut
 * off. */
static void await_connections(struct kgd_hooks *hooks)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += STOP_MS / 1000;
	pthread_mutex_lock(&hooks->lock);
	hang_up(hooks, SHUT_RD);
	while (hooks->count && pthread_cond_timedwait(&hooks->gone, &hooks->lock, &until) == 0)
		;
	hang_up(hooks, SHUT_RDWR);
	while (hooks->count)
		pthread_cond_wait(&hooks->gone, &hooks->lock);
	pthread_mutex_unlock(&hooks->lock);
}

void kgd_hooks_free(struct kgd_hooks *hooks)
{
	if (!hooks)
		return;
	pthread_mutex_lock(&hooks->lock);
	hooks->stop = true;
	pthread_mutex_unlock(&hooks->lock);
	shutdown(hooks->fd, SHUT_RDWR);
	pthread_join(hooks->thread, NULL);
	unlink(hooks->path);
	await_connections(hooks);
	destroy(hooks);
}
