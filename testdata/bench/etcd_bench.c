/*
 * Puts into an etcd, for comparison: 1 KB values over gRPC without TLS. One figure a line.
 *   etcd_bench PORT CLIENTS CONNECTIONS SECONDS
 * A client has one put under way and begins the next when it is answered. etcd's own benchmark is
 * not in Debian; this speaks just enough HTTP/2 and protobuf, in one thread, to cost the machine
 * less than that one would, which is to etcd's advantage.
 */
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define KEYS       30000 /* 1,000 nodes of 30 pods */
#define VALUE      1024
#define WINDOW     65535
#define FRAME      9
#define NO_LIMIT   0x7fff0000u
#define MAX_TIMED  (4u << 20)
#define WAIT_MS    30000
#define END_STREAM 1u
#define ACK        1u

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, UPDATE = 8 };

struct client {
	uint32_t stream; /* 0: none */
	bool data;       /* an answer has come, its trailers have not */
	double begun;
};
struct connection {
	int fd;
	struct client *clients;
	size_t n;
	uint32_t next_stream;
	int64_t window; /* bytes that may be sent */
	struct kg_buf in, out;
	size_t sent;
};

static double *latencies;
static size_t done, timed;
static uint64_t put;

static void fatal(const char *what)
{
	fprintf(stderr, "etcd_bench: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_be(struct kg_buf *b, uint32_t v, int bytes)
{
	while (bytes--)
		kg_buf_addc(b, (char)(v >> 8 * bytes));
}

static uint32_t be(const char *p, int bytes)
{
	uint32_t v = 0;

	for (int i = 0; i < bytes; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* RFC 9113, 4.1. */
static void add_frame(
	struct kg_buf *b, uint32_t len, unsigned type, unsigned flags, uint32_t stream)
{
	add_be(b, len, 3);
	add_be(b, type, 1);
	add_be(b, flags, 1);
	add_be(b, stream, 4);
}

/* ---- a put ---- */

static void add_header(struct kg_buf *b, const char *name, const char *value)
{
	kg_buf_addc(b, (char)strlen(name));
	kg_buf_adds(b, name);
	kg_buf_addc(b, (char)strlen(value));
	kg_buf_adds(b, value);
}

static void add_headers(struct kg_buf *b, uint32_t stream)
{
	struct kg_buf h KG_AUTOBUF = KG_BUF_INIT;

	/* RFC 7541: POST and http are in the static table, the others are literals. */
	kg_buf_adds(&h, "\x83\x86");
	kg_buf_addc(&h, 0x04);
	kg_buf_addc(&h, (char)strlen("/etcdserverpb.KV/Put"));
	kg_buf_adds(&h, "/etcdserverpb.KV/Put");
	kg_buf_addc(&h, 0x01);
	kg_buf_addc(&h, (char)strlen("localhost"));
	kg_buf_adds(&h, "localhost");
	kg_buf_addc(&h, 0);
	add_header(&h, "content-type", "application/grpc");
	kg_buf_addc(&h, 0);
	add_header(&h, "te", "trailers");
	add_frame(b, (uint32_t)h.len, HEADERS, 4, stream);
	kg_buf_add(b, h.data, h.len);
}

static void add_varint(struct kg_buf *b, uint32_t v)
{
	for (; v > 127; v >>= 7)
		kg_buf_addc(b, (char)(v | 0x80));
	kg_buf_addc(b, (char)v);
}

/* PutRequest{key = 1, value = 2}. */
static void make_put(struct kg_buf *out)
{
	char key[64], value[VALUE + 41];
	unsigned char sum[20];

	snprintf(key, sizeof(key), "/registry/pods/team-%u/web-5d4f8c7b9-%05u",
		(unsigned)(put % 50), (unsigned)(put % KEYS));
	for (size_t at = 0; at < VALUE; at += 40) {
		uint64_t seed[2] = {put, at};

		kg_sha1(sum, seed, sizeof(seed));
		kg_hex(value + at, sum, 20);
	}
	put++;
	kg_buf_addc(out, 0x0a);
	add_varint(out, (uint32_t)strlen(key));
	kg_buf_adds(out, key);
	kg_buf_addc(out, 0x12);
	add_varint(out, VALUE);
	kg_buf_add(out, value, VALUE);
}

static void start(struct connection *c, struct client *client)
{
	struct kg_buf body KG_AUTOBUF = KG_BUF_INIT;

	make_put(&body);
	client->stream = c->next_stream;
	client->data = false;
	client->begun = now_s();
	c->next_stream += 2;
	add_headers(&c->out, client->stream);
	add_frame(&c->out, (uint32_t)body.len + 5, DATA, END_STREAM, client->stream);
	kg_buf_addc(&c->out, 0);
	add_be(&c->out, (uint32_t)body.len, 4);
	kg_buf_add(&c->out, body.data, body.len);
	c->window -= (int64_t)body.len + 5;
}

static void start_all(struct connection *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (!c->clients[i].stream && c->window > 2 * VALUE)
			start(c, &c->clients[i]);
}

/* ---- what comes ---- */

static void answered(struct client *client)
{
	if (!client->data)
		fatal("a put was refused");
	if (timed < MAX_TIMED)
		latencies[timed++] = now_s() - client->begun;
	done++;
	client->stream = 0;
}

static void settings(struct connection *c, unsigned flags)
{
	if (!(flags & ACK))
		add_frame(&c->out, 0, SETTINGS, ACK, 0);
}

static void ping(struct connection *c, unsigned flags, const char *p)
{
	if (flags & ACK)
		return;
	add_frame(&c->out, 8, PING, ACK, 0);
	kg_buf_add(&c->out, p, 8);
}

static struct client *client_of(struct connection *c, uint32_t stream)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->clients[i].stream == stream)
			return &c->clients[i];
	return NULL;
}

static void frame(struct connection *c, unsigned type, unsigned flags, uint32_t stream,
	const char *p, uint32_t len)
{
	struct client *client = stream ? client_of(c, stream) : NULL;

	if (type == SETTINGS)
		settings(c, flags);
	else if (type == PING && len == 8)
		ping(c, flags, p);
	else if (type == UPDATE && !stream && len == 4)
		c->window += be(p, 4);
	else if (type == GOAWAY || type == RST_STREAM)
		fatal("etcd ended a stream or a connection");
	if (type == DATA && client)
		client->data = true;
	if ((type == HEADERS || type == DATA) && client && flags & END_STREAM)
		answered(client);
}

static void take_frames(struct connection *c)
{
	size_t at = 0;

	while (c->in.len - at >= FRAME) {
		const char *p = c->in.data + at;
		uint32_t len = be(p, 3);

		if (c->in.len - at < FRAME + len)
			break;
		frame(c, (unsigned char)p[3], (unsigned char)p[4], be(p + 5, 4) & 0x7fffffff,
			p + FRAME, len);
		at += FRAME + len;
	}
	kg_buf_remove(&c->in, 0, at);
}

static void receive(struct connection *c)
{
	kg_buf_reserve(&c->in, 65536);
	ssize_t n = recv(c->fd, c->in.data + c->in.len, 65536, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		fatal("receive");
	if (n < 0)
		return;
	c->in.len += (size_t)n;
	take_frames(c);
	start_all(c);
}

static void send_out(struct connection *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.data + c->sent, c->out.len - c->sent,
			MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n < 0)
			fatal("send");
		c->sent += (size_t)n;
	}
	kg_buf_clear(&c->out);
	c->sent = 0;
}

/* ---- the run ---- */

static void connect_to(struct connection *c, int port, size_t clients)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		fatal("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->clients = kg_alloc(clients * sizeof(*c->clients));
	c->n = clients;
	c->next_stream = 1;
	c->window = WINDOW;
	kg_buf_adds(&c->out, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	add_frame(&c->out, 0, SETTINGS, 0, 0);
	add_frame(&c->out, 4, UPDATE, 0, 0);
	add_be(&c->out, NO_LIMIT, 4);
}

static void step(struct connection *cs, struct pollfd *fds, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		send_out(&cs[i]);
		fds[i] = (struct pollfd){
			.fd = cs[i].fd, .events = (short)(POLLIN | (cs[i].out.len ? POLLOUT : 0))};
	}
	errno = 0;
	if (poll(fds, n, WAIT_MS) == 0)
		fatal("nothing was answered for long");
	for (size_t i = 0; i < n; i++)
		if (fds[i].revents & (POLLIN | POLLHUP | POLLERR))
			receive(&cs[i]);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void run(struct connection *cs, size_t n, double seconds)
{
	struct pollfd *fds KG_AUTOFREE = kg_alloc(n * sizeof(*fds));
	double begun = now_s();

	for (size_t i = 0; i < n; i++)
		start_all(&cs[i]);
	while (now_s() - begun < seconds)
		step(cs, fds, n);
	printf("puts %.0f puts/s\n", (double)done / (now_s() - begun));
	if (!timed)
		fatal("no put was answered");
	qsort(latencies, timed, sizeof(*latencies), by_value);
	printf("put_p50 %.3f ms\n", latencies[timed / 2] * 1e3);
	printf("put_p99 %.3f ms\n", latencies[timed * 99 / 100] * 1e3);
}

int main(int argc, char **argv)
{
	long v[4] = {0};

	for (int i = 0; i < 4 && i + 1 < argc; i++)
		v[i] = strtol(argv[i + 1], NULL, 10);
	if (argc != 5 || v[0] < 1 || v[1] < v[2] || v[2] < 1 || v[3] < 1)
		return fprintf(stderr, "usage: etcd_bench PORT CLIENTS CONNECTIONS SECONDS\n"), 2;
	size_t n = (size_t)v[2];
	struct connection *cs = kg_alloc(n * sizeof(*cs));
	latencies = kg_alloc(MAX_TIMED * sizeof(*latencies));
	for (size_t i = 0; i < n; i++)
		connect_to(&cs[i], (int)v[0], (size_t)v[1] / n + (i < (size_t)v[1] % n ? 1 : 0));
	run(cs, n, (double)v[3]);
	for (size_t i = 0; i < n; i++) {
		close(cs[i].fd);
		free(cs[i].clients);
		kg_buf_release(&cs[i].in);
		kg_buf_release(&cs[i].out);
	}
	free(cs);
	free(latencies);
	return 0;
}
