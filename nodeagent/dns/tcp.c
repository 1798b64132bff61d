#include "base/buf.h"
#include "base/mem.h"
#include "dns/server_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One question of a connection after the other: what was sent meanwhile waits in the socket. */
struct kg_dns_connection {
	struct kg_dns_server *server;
	struct kg_dns_connection *next, **prev;
	int fd;
	in_addr_t peer;
	bool fresh; /* nothing was asked by it yet */
	struct kg_watch *watch;
	struct kg_timer *idle;
	struct kg_dns_asked *asked; /* waited for */
	size_t have;
	uint8_t in[2 + KG_DNS_MAX_QUERY]; /* length and query */
	struct kg_buf out;
	size_t sent;
};

static void close_connection(struct kg_dns_connection *c)
{
	struct kg_dns_server *s = c->server;

	*c->prev = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->server->nconnections--;
	if (c->asked)
		c->asked->connection = NULL;
	kg_watch_free(c->watch);
	kg_timer_free(c->idle);
	close(c->fd);
	kg_buf_release(&c->out);
	free(c);
	kg_dns_look_done(s);
}

static void on_idle(void *ctx)
{
	close_connection(ctx);
}

/* Waits for what comes next; false: it is closed. */
static bool flush(struct kg_dns_connection *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
			MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			kg_watch_modify(c->watch, EPOLLOUT);
			return true;
		}
		if (n < 0) {
			close_connection(c);
			return false;
		}
		c->sent += (size_t)n;
	}
	kg_buf_clear(&c->out);
	c->sent = 0;
	if (c->server->ending && !c->asked) { /* the next question is the other server's */
		close_connection(c);
		return false;
	}
	kg_watch_modify(c->watch, c->asked ? 0 : EPOLLIN);
	return true;
}

static void reply(struct kg_dns_asked *a, const uint8_t *answer, size_t len)
{
	struct kg_dns_connection *c = a->connection;

	if (!c)
		return;
	c->asked = NULL;
	if (len == 0) {
		close_connection(c);
		return;
	}
	kg_buf_addc(&c->out, (char)(len >> 8));
	kg_buf_addc(&c->out, (char)len);
	kg_buf_add(&c->out, answer, len);
	kg_timer_set(c->idle, c->server->limits.idle_ms);
	flush(c);
}

static void ask(struct kg_dns_connection *c, size_t len)
{
	struct kg_dns_asked *a = kg_alloc(sizeof(*a));

	*a = (struct kg_dns_asked){.server = c->server, .reply = reply, .connection = c};
	c->asked = a;
	c->fresh = false;
	c->have = 0;
	kg_watch_modify(c->watch, 0);
	kg_dns_ask(a, c->in + 2, len, false); /* may close c */
}

/* No byte of the question after this one is read before this one is answered. */
static void read_some(struct kg_dns_connection *c)
{
	for (;;) {
		size_t want = c->have < 2 ? 2 : 2 + ((size_t)c->in[0] << 8 | c->in[1]);
		ssize_t n;

		if (c->have == want) {
			ask(c, want - 2);
			return;
		}
		n = want > sizeof(c->in)
			    ? 0
			    : recv(c->fd, c->in + c->have, want - c->have, MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			close_connection(c);
			return;
		}
		c->have += (size_t)n;
	}
}

static void on_ready(void *ctx, uint32_t events)
{
	struct kg_dns_connection *c = ctx;

	if (events & (EPOLLERR | EPOLLHUP))
		close_connection(c);
	else if (events & EPOLLOUT)
		flush(c);
	else if (!c->asked)
		read_some(c);
}

static bool has_room(const struct kg_dns_server *s, in_addr_t peer)
{
	unsigned n = 0;

	for (const struct kg_dns_connection *c = s->connections; c; c = c->next)
		n += c->peer == peer;
	return s->nconnections < s->limits.connections && n < s->limits.of_pod;
}

static void begin(struct kg_dns_server *s, int fd, in_addr_t peer)
{
	struct kg_dns_connection *c = kg_alloc(sizeof(*c));

	c->server = s;
	c->fd = fd;
	c->peer = peer;
	c->fresh = true;
	c->idle = kg_timer_new(s->loop, on_idle, c);
	c->next = s->connections;
	c->prev = &s->connections;
	if (c->next)
		c->next->prev = &c->next;
	s->connections = c;
	s->nconnections++;
	c->watch = kg_loop_watch(s->loop, fd, EPOLLIN, on_ready, c);
	if (!c->watch) {
		close_connection(c);
		return;
	}
	kg_timer_set(c->idle, s->limits.idle_ms);
}

/* False: none waits. */
static bool take_one(struct kg_dns_server *s)
{
	struct sockaddr_in peer = {0};
	socklen_t size = sizeof(peer);
	int fd = accept4(s->tcp, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return false;
	if (kg_dns_may_ask(s, &peer) && has_room(s, peer.sin_addr.s_addr))
		begin(s, fd, peer.sin_addr.s_addr);
	else
		close(fd);
	return true;
}

void kg_dns_on_tcp(void *ctx, uint32_t events)
{
	(void)events;
	take_one(ctx);
}

void kg_dns_accept_all(struct kg_dns_server *s)
{
	for (int i = 0; i <= KG_DNS_BACKLOG && take_one(s); i++)
		;
}

void kg_dns_close_idle(struct kg_dns_server *s)
{
	struct kg_dns_connection *next;

	for (struct kg_dns_connection *c = s->connections; c; c = next) {
		next = c->next;
		if (!c->asked && !c->fresh && c->out.len == 0)
			close_connection(c);
	}
}

void kg_dns_close_all(struct kg_dns_server *s)
{
	while (s->connections)
		close_connection(s->connections);
}
