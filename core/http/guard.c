#include "guard.h"

#include "base/mem.h"
#include "internal.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* A watched socket is named to epoll by slot and generation: an event that was fetched before the
 * entry went finds another generation, never freed memory. */
struct slot {
	struct kg_guard_entry *entry; /* NULL: free */
	uint32_t generation;
	uint32_t next_free; /* 1 + index */
};

struct kg_guard {
	pthread_t thread;
	int epfd, evfd;
	int64_t limit_ms[KG_NPHASES];

	pthread_mutex_t lock;
	bool stop;
	_Atomic uint64_t expired, evicted;
	/* One queue a phase: its limit is the same for all, so the head is the first to expire. */
	struct kg_guard_entry *head[KG_NPHASES], *tail[KG_NPHASES];
	int64_t sleeping_until;
	struct slot *slots;
	size_t nslots, cap_slots;
	uint32_t free_slot; /* 1 + index */
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void rouse(struct kg_guard *g)
{
	uint64_t one = 1;
	/* It fails only where the counter is full, and then the thread is woken anyway. */
	ssize_t n = write(g->evfd, &one, sizeof(one));
	(void)n;
}

static void unlink_locked(struct kg_guard *g, struct kg_guard_entry *e)
{
	if (e->phase == KG_PHASE_FREE)
		return;
	if (e->prev)
		e->prev->next = e->next;
	else
		g->head[e->phase] = e->next;
	if (e->next)
		e->next->prev = e->prev;
	else
		g->tail[e->phase] = e->prev;
	e->prev = e->next = NULL;
	e->phase = KG_PHASE_FREE;
}

void kg_guard_phase(struct kg_guard *g, struct kg_guard_entry *e, enum kg_phase phase)
{
	bool early = false;

	pthread_mutex_lock(&g->lock);
	unlink_locked(g, e);
	if (phase != KG_PHASE_FREE) {
		e->phase = phase;
		e->deadline = now_ms() + g->limit_ms[phase];
		e->prev = g->tail[phase];
		*(e->prev ? &e->prev->next : &g->head[phase]) = e;
		g->tail[phase] = e;
		early = e->deadline < g->sleeping_until;
		if (early)
			g->sleeping_until = e->deadline;
	}
	pthread_mutex_unlock(&g->lock);
	if (early)
		rouse(g);
}

static uint32_t slot_take(struct kg_guard *g)
{
	if (!g->free_slot) {
		KG_GROW(g->slots, g->cap_slots, g->nslots + 1);
		g->slots[g->nslots] = (struct slot){0};
		return (uint32_t)++g->nslots;
	}
	uint32_t s = g->free_slot;
	g->free_slot = g->slots[s - 1].next_free;
	return s;
}

void kg_guard_watch(
	struct kg_guard *g, struct kg_guard_entry *e, struct kg_http_req *req, bool input)
{
	pthread_mutex_lock(&g->lock);
	assert(!e->slot);
	e->slot = slot_take(g);
	e->req = req;
	struct slot *s = &g->slots[e->slot - 1];
	s->entry = e;
	s->generation++;
	struct epoll_event ev = {
		.events = EPOLLRDHUP | EPOLLOUT | EPOLLET | (input ? (uint32_t)EPOLLIN : 0),
		.data.u64 = (uint64_t)s->generation << 32 | (e->slot - 1),
	};
	/* Without it (out of memory in the kernel) the peer's end is seen at the next write. */
	(void)epoll_ctl(g->epfd, EPOLL_CTL_ADD, e->fd, &ev);
	pthread_mutex_unlock(&g->lock);
}

void kg_guard_unwatch(struct kg_guard *g, struct kg_guard_entry *e)
{
	pthread_mutex_lock(&g->lock);
	if (e->slot) {
		(void)epoll_ctl(g->epfd, EPOLL_CTL_DEL, e->fd, NULL);
		struct slot *s = &g->slots[e->slot - 1];
		s->entry = NULL;
		s->next_free = g->free_slot;
		g->free_slot = e->slot;
		e->slot = 0;
		e->req = NULL;
	}
	pthread_mutex_unlock(&g->lock);
}

/* Shuts down what is over its time and returns how long to sleep. */
static int expire(struct kg_guard *g)
{
	pthread_mutex_lock(&g->lock);
	int64_t now = now_ms(), next = INT64_MAX;
	for (int p = KG_PHASE_FREE + 1; p < KG_NPHASES; p++) {
		struct kg_guard_entry *e;
		while ((e = g->head[p]) && e->deadline <= now) {
			shutdown(e->fd, SHUT_RDWR);
			g->expired++;
			unlink_locked(g, e);
		}
		if (e && e->deadline < next)
			next = e->deadline;
	}
	g->sleeping_until = next;
	pthread_mutex_unlock(&g->lock);
	return next == INT64_MAX ? -1 : (int)(next - now);
}

/* The peer of a stream has gone, or reads again. */
static void look(struct kg_guard *g, uint64_t id, uint32_t what)
{
	struct kg_http_req *req = NULL;

	pthread_mutex_lock(&g->lock);
	struct slot *s = &g->slots[(uint32_t)id];
	if (s->entry && s->generation == (uint32_t)(id >> 32))
		req = kg_req_ref(s->entry->req);
	pthread_mutex_unlock(&g->lock);
	if (req) {
		if (what & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			kg_req_break(req);
		else
			kg_http_stream_wake(req);
		kg_req_unref(req);
	}
}

static void *run(void *arg)
{
	struct kg_guard *g = arg;
	struct epoll_event events[64];

	for (;;) {
		int n = epoll_wait(g->epfd, events, KG_ARRAY_LEN(events), expire(g));
		for (int i = 0; i < n; i++) {
			if (events[i].data.u64 != UINT64_MAX) {
				look(g, events[i].data.u64, events[i].events);
				continue;
			}
			uint64_t drop;
			ssize_t r = read(g->evfd, &drop, sizeof(drop));
			(void)r;
		}
		pthread_mutex_lock(&g->lock);
		bool stop = g->stop;
		pthread_mutex_unlock(&g->lock);
		if (stop)
			return NULL;
	}
}

static int start_thread(struct kg_guard *g)
{
	sigset_t all, old;
	pthread_attr_t attr;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int e = pthread_create(&g->thread, &attr, run, g);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	return e;
}

static void destroy(struct kg_guard *g)
{
	if (g->epfd >= 0)
		close(g->epfd);
	if (g->evfd >= 0)
		close(g->evfd);
	pthread_mutex_destroy(&g->lock);
	free(g->slots);
	free(g);
}

int kg_guard_new(struct kg_guard **out, const int64_t limit_ms[KG_NPHASES], struct kg_error *err)
{
	struct kg_guard *g = kg_alloc(sizeof(*g));

	memcpy(g->limit_ms, limit_ms, sizeof(g->limit_ms));
	g->sleeping_until = INT64_MAX;
	pthread_mutex_init(&g->lock, NULL);
	g->epfd = epoll_create1(EPOLL_CLOEXEC);
	g->evfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	if (g->epfd < 0 || g->evfd < 0 || epoll_ctl(g->epfd, EPOLL_CTL_ADD, g->evfd, &ev)) {
		int rc = kg_fail_errno(err, "epoll");
		destroy(g);
		return rc;
	}
	int e = start_thread(g);
	if (e) {
		errno = e;
		int rc = kg_fail_errno(err, "start a thread");
		destroy(g);
		return rc;
	}
	*out = g;
	return 0;
}

void kg_guard_evict(struct kg_guard *g)
{
	pthread_mutex_lock(&g->lock);
	struct kg_guard_entry *e = g->head[KG_PHASE_IDLE];

	if (e) {
		shutdown(e->fd, SHUT_RDWR);
		unlink_locked(g, e);
		g->evicted++;
	}
	pthread_mutex_unlock(&g->lock);
}

uint64_t kg_guard_evicted(const struct kg_guard *g)
{
	return g->evicted;
}

uint64_t kg_guard_expired(const struct kg_guard *g)
{
	return g->expired;
}

void kg_guard_free(struct kg_guard *g)
{
	if (!g)
		return;
	pthread_mutex_lock(&g->lock);
	g->stop = true;
	pthread_mutex_unlock(&g->lock);
	rouse(g);
	pthread_join(g->thread, NULL);
	destroy(g);
}
