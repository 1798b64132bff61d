#include "nodeagent/mailbox.h"

#include "base/mem.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct letter {
	struct letter *next;
	void (*deliver)(void *msg), (*drop)(void *msg);
	void *msg;
};
struct kg_mailbox {
	pthread_mutex_t lock;
	struct kg_watch *watch;
	int fd; /* eventfd: letters wait */
	struct letter *head, **tail;
	bool *closed; /* set while delivering: the box was closed by a letter */
};

static struct letter *take_all(struct kg_mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	struct letter *l = m->head;
	m->head = NULL;
	m->tail = &m->head;
	pthread_mutex_unlock(&m->lock);
	return l;
}

static void deliver(void *ctx, uint32_t events)
{
	struct kg_mailbox *m = ctx;
	uint64_t n;
	bool closed = false;
	(void)events;
	if (read(m->fd, &n, sizeof(n)) < 0)
		return;
	m->closed = &closed;
	struct letter *l = take_all(m);
	for (struct letter *next; l; l = next) {
		next = l->next;
		if (!closed)
			l->deliver(l->msg);
		else if (l->drop)
			l->drop(l->msg);
		free(l);
	}
	if (!closed)
		m->closed = NULL;
}

struct kg_mailbox *kg_mailbox_new(struct kg_loop *loop)
{
	struct kg_mailbox *m = kg_alloc(sizeof(*m));
	pthread_mutex_init(&m->lock, NULL);
	m->tail = &m->head;
	m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fd < 0)
		abort(); /* no more fds: nothing of the agent would work */
	m->watch = kg_loop_watch(loop, m->fd, EPOLLIN, deliver, m);
	return m;
}

void kg_mailbox_post(
	struct kg_mailbox *m, void (*fn)(void *msg), void (*drop)(void *msg), void *msg)
{
	struct letter *l = kg_alloc(sizeof(*l));
	*l = (struct letter){.deliver = fn, .drop = drop, .msg = msg};
	pthread_mutex_lock(&m->lock);
	*m->tail = l;
	m->tail = &l->next;
	pthread_mutex_unlock(&m->lock);
	uint64_t one = 1;
	/* Fails only where the counter is full, and then the loop is awake. */
	if (write(m->fd, &one, sizeof(one)) < 0)
		return;
}

void kg_mailbox_close(struct kg_mailbox *m)
{
	if (!m)
		return;
	struct letter *l = take_all(m);
	for (struct letter *next; l; l = next) {
		next = l->next;
		if (l->drop)
			l->drop(l->msg);
		free(l);
	}
	if (m->closed)
		*m->closed = true;
	kg_watch_free(m->watch);
	close(m->fd);
	pthread_mutex_destroy(&m->lock);
	free(m);
}
