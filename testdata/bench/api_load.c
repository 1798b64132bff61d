/*
 * The client's side of testdata/bench/api: many TLS connections on one thread.
 *
 *   api_load HOST PORT CERT KEY get PATH CONNECTIONS SECONDS
 *   api_load HOST PORT CERT KEY list PATH CONNECTIONS COUNT
 *   api_load HOST PORT CERT KEY watch PATH CONNECTIONS
 *
 * get and list send the next request when the last one's answer is there, and print one line:
 * requests, seconds, bytes, the median and 99th percentile in milliseconds, own CPU seconds.
 *
 * watch prints "ready" when all are connected, and at the end of its standard input: events, their
 * latency's median and 99th percentile in milliseconds, the fewest that one connection had, own
 * CPU seconds. An event's latency is the time since the CLOCK_MONOTONIC nanoseconds that follow
 * "t=" in it.
 */
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct conn {
	int fd;
	gnutls_session_t tls;
	int64_t asked;
	size_t got, length; /* of the body; 0: chunked, or the header is not here yet */
	bool header;
	char tail[40]; /* the last bytes, where a mark may lie across two records */
	size_t ntail;
	unsigned events;
};

static char buf[(1 << 16) + 64];
static float *samples;
static size_t nsamples, cap_samples;
static uint64_t bytes;
static int answered; /* watches whose header is here */

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, int tls_error)
{
	fprintf(stderr, "%s: %s\n", what, tls_error ? gnutls_strerror(tls_error) : strerror(errno));
	exit(1);
}

static void sample(int64_t ns)
{
	KG_GROW(samples, cap_samples, nsamples + 1);
	samples[nsamples++] = (float)((double)ns / 1e6);
}

static int by_value(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(double p)
{
	return nsamples ? (double)samples[(size_t)((double)(nsamples - 1) * p)] : 0;
}

static void open_conn(
	struct conn *c, const struct sockaddr_in *to, gnutls_certificate_credentials_t creds)
{
	int one = 1, rc;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)to, sizeof(*to)))
		die("connect", 0);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	gnutls_init(&c->tls, GNUTLS_CLIENT);
	gnutls_set_default_priority(c->tls);
	gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, creds);
	gnutls_transport_set_int(c->tls, c->fd);
	do
		rc = gnutls_handshake(c->tls);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (rc < 0)
		die("handshake", rc);
}

static void ask(struct conn *c, const char *request)
{
	ssize_t rc;

	c->asked = now_ns();
	c->header = false;
	c->got = c->length = 0;
	do
		rc = gnutls_record_send(c->tls, request, strlen(request));
	while (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED);
	if (rc < 0)
		die("send", (int)rc);
}

/* Takes in a piece of an answer; true at its end. */
static bool answer_piece(struct conn *c, const char *p, size_t n)
{
	if (!c->header) {
		const char *end = memmem(p, n, "\r\n\r\n", 4);
		const char *length = memmem(p, n, "Content-Length: ", 16);

		if (!end || strncmp(p, "HTTP/1.1 200", 12) != 0) {
			fprintf(stderr, "answer: %.*s\n", (int)(n < 300 ? n : 300), p);
			exit(1);
		}
		c->header = true;
		c->length = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
		n -= (size_t)(end + 4 - p);
		p = end + 4;
	}
	c->got += n;
	bytes += n;
	if (c->length)
		return c->got >= c->length;
	return n >= 5 && memcmp(p + n - 5, "0\r\n\r\n", 5) == 0;
}

static void watch_piece(struct conn *c, const char *p, size_t n)
{
	int64_t now = now_ns();
	const char *end = p + n;

	if (!c->header) {
		c->header = true;
		answered++;
	}
	while ((p = memmem(p, (size_t)(end - p), "t=", 2))) {
		int64_t sent = strtoll(p + 2, NULL, 10);

		p += 2;
		if (sent > 0 && end - p > 20) {
			sample(now - sent);
			c->events++;
		}
	}
}

/* What was received and TLS has not taken yet, of the connection that is being read: a record's
 * head and the rest of it then cost one system call, not two. */
static struct {
	char data[1 << 16];
	size_t at, len;
	bool dry; /* the socket gave less than it was asked for */
} ahead;

static ssize_t pull(gnutls_transport_ptr_t ctx, void *out, size_t n)
{
	const struct conn *c = ctx;

	if (ahead.at == ahead.len && ahead.dry) {
		errno = EAGAIN;
		return -1;
	}
	if (ahead.at == ahead.len) {
		ssize_t got = recv(c->fd, ahead.data, sizeof(ahead.data), 0);

		if (got <= 0)
			return got;
		ahead.at = 0;
		ahead.len = (size_t)got;
		ahead.dry = ahead.len < sizeof(ahead.data);
	}
	if (n > ahead.len - ahead.at)
		n = ahead.len - ahead.at;
	memcpy(out, ahead.data + ahead.at, n);
	ahead.at += n;
	return (ssize_t)n;
}

/* Reads what is there; false at the end of the connection. done is called at an answer's end. */
static bool read_conn(struct conn *c, bool watch, void (*done)(struct conn *c))
{
	ahead.at = ahead.len = 0;
	ahead.dry = false;
	for (;;) {
		memcpy(buf, c->tail, c->ntail);
		ssize_t n = gnutls_record_recv(c->tls, buf + c->ntail, sizeof(buf) - 64);

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
			if (ahead.at == ahead.len)
				return true;
			continue; /* it was a ticket, or only a part of a record */
		}
		if (n <= 0)
			return false;
		if (watch) {
			size_t all = c->ntail + (size_t)n;

			buf[all] = '\0';
			watch_piece(c, buf, all);
			c->ntail = all < 22 ? all : 22;
			memcpy(c->tail, buf + all - c->ntail, c->ntail);
		} else if (answer_piece(c, buf, (size_t)n)) {
			done(c);
		}
	}
}

/* ---- get and list ---- */

static const char *request;
static int64_t until = INT64_MAX;
static long left = -1;

static void next(struct conn *c)
{
	sample(now_ns() - c->asked);
	if (left > 0)
		left--;
	if (left != 0 && now_ns() < until)
		ask(c, request);
	else
		c->asked = 0;
}

static void load(struct conn *conns, int n, int ep)
{
	struct epoll_event ev[256];
	int64_t from = now_ns();
	double used = cpu();
	bool more = true;

	for (int i = 0; i < n; i++)
		ask(&conns[i], request);
	while (more) {
		int got = epoll_wait(ep, ev, 256, 1000);

		for (int i = 0; i < got; i++)
			if (!read_conn(ev[i].data.ptr, false, next))
				die("a connection ended", 0);
		more = false;
		for (int i = 0; i < n; i++)
			more |= conns[i].asked != 0;
	}
	double took = (double)(now_ns() - from) / 1e9;

	qsort(samples, nsamples, sizeof(*samples), by_value);
	printf("%zu %.4f %llu %.3f %.3f %.4f\n", nsamples, took, (unsigned long long)bytes,
		percentile(0.5), percentile(0.99), cpu() - used);
}

/* ---- watch ---- */

static void watch(struct conn *conns, int n, int ep)
{
	struct epoll_event ev[256], in = {.events = EPOLLIN};
	unsigned fewest = ~0U;
	double used = 0;
	bool more = true;

	epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &in);
	while (more) {
		if (answered == n) {
			answered = 0;
			printf("ready\n");
			fflush(stdout);
			used = cpu();
		}

		int got = epoll_wait(ep, ev, 256, -1);

		for (int i = 0; i < got; i++) {
			if (!ev[i].data.ptr)
				more = false;
			else if (!read_conn(ev[i].data.ptr, true, NULL))
				die("a watch ended", 0);
		}
	}
	for (int i = 0; i < n; i++)
		if (conns[i].events < fewest)
			fewest = conns[i].events;
	qsort(samples, nsamples, sizeof(*samples), by_value);
	printf("%zu %.3f %.3f %u %.4f\n", nsamples, percentile(0.5), percentile(0.99), fewest,
		cpu() - used);
}

int main(int argc, char **argv)
{
	gnutls_certificate_credentials_t creds;
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct rlimit fds;

	if (argc < 8) {
		fprintf(stderr, "see the top of the source\n");
		return 2;
	}
	const char *mode = argv[5];
	int n = atoi(argv[7]), ep = epoll_create1(EPOLL_CLOEXEC);
	struct conn *conns = kg_alloc((size_t)n * sizeof(*conns));

	getrlimit(RLIMIT_NOFILE, &fds);
	fds.rlim_cur = fds.rlim_max;
	setrlimit(RLIMIT_NOFILE, &fds);
	inet_pton(AF_INET, argv[1], &to.sin_addr);
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	gnutls_certificate_allocate_credentials(&creds);
	int rc = gnutls_certificate_set_x509_key_file(creds, argv[3], argv[4], GNUTLS_X509_FMT_PEM);
	if (rc < 0)
		die("credentials", rc);
	request = kg_asprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\n"
			      "User-Agent: api_load\r\n\r\n",
		argv[6], argv[1]);
	for (int i = 0; i < n; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &conns[i]};

		open_conn(&conns[i], &to, creds);
		if (strcmp(mode, "watch") == 0)
			ask(&conns[i], request); /* the server does not wait long */
		fcntl(conns[i].fd, F_SETFL, O_NONBLOCK);
		gnutls_transport_set_ptr2(
			conns[i].tls, &conns[i], (gnutls_transport_ptr_t)(intptr_t)conns[i].fd);
		gnutls_transport_set_pull_function(conns[i].tls, pull);
		epoll_ctl(ep, EPOLL_CTL_ADD, conns[i].fd, &ev);
	}
	if (strcmp(mode, "watch") == 0) {
		watch(conns, n, ep);
	} else {
		if (strcmp(mode, "get") == 0)
			until = now_ns() + atoll(argv[8]) * 1000000000;
		else
			left = atol(argv[8]);
		load(conns, n, ep);
	}
	return 0;
}
