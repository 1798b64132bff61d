#include "nodeagent/probe_grpc.h"

#include "base/mem.h"
#include "nodeagent/grpc_health.h"
#include "nodeagent/probe_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

struct kg_probe_grpc {
	int fd;
	struct kg_watch *watch;
	struct kg_grpc_health *health;
	bool connected;
	struct kg_buf out;
	void (*done)(void *ctx, bool ok);
	void *ctx;
};

void kg_probe_grpc_free(struct kg_probe_grpc *g)
{
	if (!g)
		return;
	kg_watch_free(g->watch);
	kg_grpc_health_free(g->health);
	kg_buf_release(&g->out);
	kg_closep(&g->fd);
	free(g);
}

/* What the kernel takes of it. */
static int flush(struct kg_probe_grpc *g)
{
	if (!g->out.len)
		return 0;
	ssize_t n = send(g->fd, g->out.data, g->out.len, MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	kg_buf_remove(&g->out, 0, (size_t)n);
	return 0;
}

/* What there is, once: a server that never ends has no more of the loop than its turn. */
static enum kg_grpc_verdict receive(struct kg_probe_grpc *g)
{
	char bytes[16 << 10];
	ssize_t n = recv(g->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return KG_GRPC_WAITS;
	if (n <= 0)
		return KG_GRPC_FAILED;
	return kg_grpc_health_step(g->health, bytes, (size_t)n, &g->out);
}

static enum kg_grpc_verdict advance(struct kg_probe_grpc *g, uint32_t events)
{
	enum kg_grpc_verdict v = KG_GRPC_WAITS;

	if (!g->connected) {
		if (!kg_probe_socket_connected(g->fd))
			return KG_GRPC_FAILED;
		g->connected = true;
		v = kg_grpc_health_step(g->health, NULL, 0, &g->out);
	} else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
		v = receive(g);
	}
	return v == KG_GRPC_WAITS && flush(g) < 0 ? KG_GRPC_FAILED : v;
}

static void on_ready(void *ctx, uint32_t events)
{
	struct kg_probe_grpc *g = ctx;
	enum kg_grpc_verdict v = advance(g, events);

	if (v == KG_GRPC_WAITS)
		kg_watch_modify(g->watch, EPOLLIN | (g->out.len ? EPOLLOUT : 0));
	else
		g->done(g->ctx, v == KG_GRPC_SERVING);
}

struct kg_probe_grpc *kg_probe_grpc_new(struct kg_loop *loop, const char *host, int port,
	const char *service, int64_t timeout_ms, void (*done)(void *ctx, bool ok), void *ctx)
{
	int fd = kg_probe_socket_open(host, port);
	bool six = strchr(host, ':') != NULL;

	if (fd < 0)
		return NULL;
	KG_AUTOFREE char *authority =
		kg_asprintf("%s%s%s:%d", six ? "[" : "", host, six ? "]" : "", port);
	struct kg_probe_grpc *g = kg_alloc(sizeof(*g));
	*g = (struct kg_probe_grpc){.fd = fd, .done = done, .ctx = ctx};
	g->health = kg_grpc_health_new(authority, service, timeout_ms);
	g->watch = kg_loop_watch(loop, fd, EPOLLOUT, on_ready, g);
	if (g->watch)
		return g;
	kg_probe_grpc_free(g);
	return NULL;
}
