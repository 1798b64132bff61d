#include "base/mem.h"
#include "loop_private.h"
#include "sys/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_MS 20

struct kg_child {
	struct kg_child *prev, *next;
	struct kg_loop *loop;
	pid_t pid;
	int pidfd;
	struct kg_watch *watch;
	struct kg_timer *poll; /* where there was no fd left for a pidfd */
	void (*fn)(void *ctx, int status);
	void *ctx;
};

static void destroy(struct kg_child *c)
{
	kg_watch_free(c->watch);
	kg_timer_free(c->poll);
	if (c->pidfd >= 0)
		close(c->pidfd);
	if (c->prev)
		c->prev->next = c->next;
	else
		c->loop->children = c->next;
	if (c->next)
		c->next->prev = c->prev;
	free(c);
}

static void try_reap(struct kg_child *c)
{
	int status = 0;
	pid_t got = waitpid(c->pid, &status, WNOHANG);

	if (got == 0 || (got < 0 && errno == EINTR)) {
		if (c->poll)
			kg_timer_set(c->poll, POLL_MS);
		return;
	}
	if (got < 0) /* somebody else reaped it: how it ended is not known */
		status = 255 << 8;
	/* fn may free the handle, which then must neither be freed twice nor call again. */
	void (*fn)(void *, int) = c->fn;
	void *ctx = c->ctx;
	c->fn = NULL;
	kg_watch_free(c->watch);
	c->watch = NULL;
	if (fn)
		fn(ctx, status);
	destroy(c);
}

static void on_event(void *ctx, uint32_t events)
{
	(void)events;
	try_reap(ctx);
}

static void on_poll(void *ctx)
{
	try_reap(ctx);
}

struct kg_child *kg_loop_child(
	struct kg_loop *loop, pid_t pid, void (*fn)(void *ctx, int status), void *ctx)
{
	struct kg_child *c = kg_alloc(sizeof(*c));

	c->loop = loop;
	c->pid = pid;
	c->fn = fn;
	c->ctx = ctx;
	c->next = loop->children;
	if (c->next)
		c->next->prev = c;
	loop->children = c;
	c->pidfd = (int)syscall(SYS_pidfd_open, pid, 0); /* close-on-exec by definition */
	if (c->pidfd >= 0)
		c->watch = kg_loop_watch(loop, c->pidfd, EPOLLIN, on_event, c);
	if (!c->watch) {
		c->poll = kg_timer_new(loop, on_poll, c);
		kg_timer_set(c->poll, 0);
	}
	return c;
}

void kg_child_free(struct kg_child *c)
{
	if (c)
		c->fn = NULL;
}

void kg_children_release(struct kg_loop *loop)
{
	while (loop->children)
		destroy(loop->children);
}
