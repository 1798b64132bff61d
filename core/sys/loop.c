#include "sys/loop.h"
#include "base/mem.h"
#include "loop_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct kg_watch {
	struct kg_watch *prev, *next;
	struct kg_loop *loop;
	int fd;
	bool dead;
	void (*fn)(void *ctx, uint32_t events);
	void *ctx;
};

int64_t kg_monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t kg_realtime_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Without its own fds a loop cannot exist: the same end as being out of memory. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

struct kg_loop *kg_loop_new(void)
{
	struct kg_loop *loop = kg_alloc(sizeof(*loop));
	struct epoll_event ev = {.events = EPOLLIN};

	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	must(loop->epfd >= 0, "epoll_create1");
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(loop->wake >= 0, "eventfd");
	must(epoll_ctl(loop->epfd, EPOLL_CTL_ADD, loop->wake, &ev) == 0, "epoll_ctl");
	pthread_mutex_init(&loop->lock, NULL);
	loop->posts_end = &loop->posts;
	loop->sigfd = -1;
	sigemptyset(&loop->sigset);
	return loop;
}

static void bury(struct kg_loop *loop)
{
	while (loop->dead) {
		struct kg_watch *w = loop->dead;

		loop->dead = w->next;
		free(w);
	}
}

void kg_loop_free(struct kg_loop *loop)
{
	if (!loop)
		return;
	kg_loop_signals_release(loop);
	kg_children_release(loop);
	kg_timers_release(loop);
	while (loop->watches)
		kg_watch_free(loop->watches);
	bury(loop);
	while (loop->posts) {
		struct kg_post *p = loop->posts;

		loop->posts = p->next;
		free(p);
	}
	pthread_mutex_destroy(&loop->lock);
	close(loop->wake);
	close(loop->epfd);
	free(loop);
}

static void wake(struct kg_loop *loop)
{
	uint64_t one = 1;
	/* EAGAIN means that the counter is full: it is awake as it is. */
	ssize_t n = write(loop->wake, &one, sizeof(one));
	(void)n;
}

void kg_loop_stop(struct kg_loop *loop, int code)
{
	pthread_mutex_lock(&loop->lock);
	loop->stop_asked = true;
	loop->stop_code = code;
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}

void kg_loop_post(struct kg_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	struct kg_post *p = kg_alloc(sizeof(*p));

	p->fn = fn;
	p->ctx = ctx;
	pthread_mutex_lock(&loop->lock);
	bool first = !loop->posts;
	*loop->posts_end = p;
	loop->posts_end = &p->next;
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

/* What is posted while these run waits for the next round, so that fds are not starved. */
static void run_posts(struct kg_loop *loop)
{
	uint64_t count;
	ssize_t n = read(loop->wake, &count, sizeof(count));
	(void)n;

	pthread_mutex_lock(&loop->lock);
	struct kg_post *p = loop->posts;
	loop->posts = NULL;
	loop->posts_end = &loop->posts;
	loop->stopped = loop->stop_asked;
	loop->code = loop->stop_code;
	pthread_mutex_unlock(&loop->lock);
	while (p) {
		struct kg_post *next = p->next;

		p->fn(p->ctx);
		free(p);
		p = next;
	}
}

int kg_loop_run(struct kg_loop *loop)
{
	struct epoll_event events[64];

	loop->stopped = false;
	while (!loop->stopped) {
		bool woken = false;
		int n = epoll_wait(loop->epfd, events, 64, kg_timers_wait_ms(loop));

		must(n >= 0 || errno == EINTR, "epoll_wait");
		for (int i = 0; i < n; i++) {
			struct kg_watch *w = events[i].data.ptr;

			if (!w)
				woken = true;
			else if (!w->dead)
				w->fn(w->ctx, events[i].events);
		}
		kg_timers_run(loop);
		if (woken)
			run_posts(loop);
		bury(loop);
	}
	pthread_mutex_lock(&loop->lock);
	loop->stop_asked = false;
	pthread_mutex_unlock(&loop->lock);
	return loop->code;
}

struct kg_watch *kg_loop_watch(struct kg_loop *loop, int fd, uint32_t events,
	void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	struct kg_watch *w = kg_alloc(sizeof(*w));
	struct epoll_event ev = {.events = events, .data.ptr = w};

	if (epoll_ctl(loop->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
		free(w);
		return NULL;
	}
	w->loop = loop;
	w->fd = fd;
	w->fn = fn;
	w->ctx = ctx;
	w->next = loop->watches;
	if (w->next)
		w->next->prev = w;
	loop->watches = w;
	return w;
}

void kg_watch_modify(struct kg_watch *w, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = w};

	must(epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev) == 0, "epoll_ctl");
}

void kg_watch_free(struct kg_watch *w)
{
	if (!w || w->dead)
		return;
	struct kg_loop *loop = w->loop;
	/* Fails where the fd was closed before: then it is out of the set already. */
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	if (w->prev)
		w->prev->next = w->next;
	else
		loop->watches = w->next;
	if (w->next)
		w->next->prev = w->prev;
	w->dead = true;
	w->next = loop->dead;
	loop->dead = w;
}
