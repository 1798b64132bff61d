/*
 * The client's side of testdata/bench/api: many TLS connections on one thread, watches on two.
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
 * CPU seconds, and the median of the 99th percentiles of each change's events. An event's latency
 * is the time since the CLOCK_MONOTONIC nanoseconds that follow "t=" in it. What this client costs
 * is part of that latency where it shares its cores with the server, while a thousand watchers have
 * machines of their own: so it does little.
 */
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct share;
struct conn {
	int fd;
	struct share *share;
	gnutls_session_t tls;
	int64_t asked;
	size_t got, length; /* of the body; 0: chunked, or the header is not here yet */
	bool header;
	char tail[40]; /* the last bytes, where a mark may lie across two records */
	size_t ntail;
	unsigned events;
};

enum { THREADS = 2 }; /* that watch */

struct sample {
	int64_t sent;
	float ms;
};

/* Some of the connections, and the thread that reads them. */
struct share {
	struct conn *conns;
	int n, ep;
	bool watch;
	int answered; /* watches whose header is here */
	pthread_t thread;
	struct sample *samples;
	size_t nsamples, cap_samples;
	uint64_t bytes;
	/* What was received and TLS has not taken yet, of the connection that is being read: a
	 * record's head and the rest of it then cost one system call, not two. */
	char ahead[1 << 16];
	size_t ahead_at, ahead_len;
	bool dry; /* the socket gave less than it was asked for */
	char buf[(1 << 16) + 64];
};

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

static void sample(struct share *s, int64_t sent, int64_t now)
{
	KG_GROW(s->samples, s->cap_samples, s->nsamples + 1);
	s->samples[s->nsamples++] = (struct sample){sent, (float)((double)(now - sent) / 1e6)};
}

static int by_value(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return (x->ms > y->ms) - (x->ms < y->ms);
}

static int by_change(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;

	return x->sent != y->sent ? (x->sent > y->sent) - (x->sent < y->sent) : by_value(a, b);
}

static double percentile(const struct sample *samples, size_t n, double p)
{
	return n ? (double)samples[(size_t)((double)(n - 1) * p)].ms : 0;
}

/* Of the 99th percentiles of each change: what other work of the machine holds up now and then is
 * not in it. */
static double median_change(struct sample *samples, size_t n)
{
	struct sample *each = kg_alloc((n + 1) * sizeof(*each));
	size_t changes = 0, from = 0;

	qsort(samples, n, sizeof(*samples), by_change);
	for (size_t i = 1; i <= n; i++) {
		if (i < n && samples[i].sent == samples[from].sent)
			continue;
		each[changes++].ms = (float)percentile(samples + from, i - from, 0.99);
		from = i;
	}
	qsort(each, changes, sizeof(*each), by_value);
	double median = percentile(each, changes, 0.5);
	free(each);
	return median;
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
	c->share->bytes += n;
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
		c->share->answered++;
	}
	for (const char *mark = p; (mark = memchr(mark, '=', (size_t)(end - mark)));) {
		bool is = mark > p && mark[-1] == 't';

		mark++;
		int64_t sent = is && end - mark > 20 ? strtoll(mark, NULL, 10) : 0;
		if (sent > 0) {
			sample(c->share, sent, now);
			c->events++;
		}
	}
}

/* What is read is acknowledged by the kernel's timer, some 40 ms later: at once, as it is where a
 * reader empties the socket, that costs more than reading, and here in the time of the other
 * watchers' events. A timer that found nothing to go with puts an end to it. */
static void acknowledge_later(int fd)
{
	int off = 0;

	setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &off, sizeof(off));
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *out, size_t n)
{
	const struct conn *c = ctx;
	struct share *s = c->share;

	if (s->ahead_at == s->ahead_len && s->dry) {
		errno = EAGAIN;
		return -1;
	}
	if (s->ahead_at == s->ahead_len) {
		if (s->watch)
			acknowledge_later(c->fd);
		ssize_t got = recv(c->fd, s->ahead, sizeof(s->ahead), 0);

		if (got <= 0)
			return got;
		s->ahead_at = 0;
		s->ahead_len = (size_t)got;
		s->dry = s->ahead_len < sizeof(s->ahead);
	}
	if (n > s->ahead_len - s->ahead_at)
		n = s->ahead_len - s->ahead_at;
	memcpy(out, s->ahead + s->ahead_at, n);
	s->ahead_at += n;
	return (ssize_t)n;
}

/* Joined to the last bytes of what came before. */
static void watch_record(struct conn *c, char *buf, size_t n)
{
	size_t all = c->ntail + n;

	buf[all] = '\0';
	watch_piece(c, buf, all);
	c->ntail = all < 22 ? all : 22;
	memcpy(c->tail, buf + all - c->ntail, c->ntail);
}

/* Reads what is there; false at the end of the connection. done is called at an answer's end. */
static bool read_conn(struct conn *c, void (*done)(struct conn *c))
{
	struct share *s = c->share;

	s->ahead_at = s->ahead_len = 0;
	s->dry = false;
	for (;;) {
		memcpy(s->buf, c->tail, c->ntail);
		/* A record fits. */
		ssize_t n = gnutls_record_recv(c->tls, s->buf + c->ntail, sizeof(s->buf) - 64);
		bool all = s->dry && s->ahead_at == s->ahead_len;

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
			if (s->ahead_at == s->ahead_len)
				return true;
			continue; /* it was a ticket, or only a part of a record */
		}
		if (n <= 0)
			return false;
		if (s->watch)
			watch_record(c, s->buf, (size_t)n);
		else if (answer_piece(c, s->buf, (size_t)n))
			done(c);
		if (all)
			return true;
	}
}

static const char *request;

static void add_conn(struct share *s, struct conn *c, const struct sockaddr_in *to,
	gnutls_certificate_credentials_t creds)
{
	/* A read takes all there is. */
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = c};

	c->share = s;
	open_conn(c, to, creds);
	if (s->watch)
		ask(c, request); /* the server does not wait long */
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	gnutls_transport_set_ptr2(c->tls, c, (gnutls_transport_ptr_t)(intptr_t)c->fd);
	gnutls_transport_set_pull_function(c->tls, pull);
	epoll_ctl(s->ep, EPOLL_CTL_ADD, c->fd, &ev);
}

/* ---- get and list ---- */

static int64_t until = INT64_MAX;
static long left = -1;

static void next(struct conn *c)
{
	sample(c->share, c->asked, now_ns());
	if (left > 0)
		left--;
	if (left != 0 && now_ns() < until)
		ask(c, request);
	else
		c->asked = 0;
}

static void load(struct share *s)
{
	struct conn *conns = s->conns;
	int n = s->n;
	struct epoll_event ev[256];
	int64_t from = now_ns();
	double used = cpu();
	bool more = true;

	for (int i = 0; i < n; i++)
		ask(&conns[i], request);
	while (more) {
		int got = epoll_wait(s->ep, ev, 256, 1000);

		for (int i = 0; i < got; i++)
			if (!read_conn(ev[i].data.ptr, next))
				die("a connection ended", 0);
		more = false;
		for (int i = 0; i < n; i++)
			more |= conns[i].asked != 0;
	}
	double took = (double)(now_ns() - from) / 1e9;

	qsort(s->samples, s->nsamples, sizeof(*s->samples), by_value);
	printf("%zu %.4f %llu %.3f %.3f %.4f\n", s->nsamples, took, (unsigned long long)s->bytes,
		percentile(s->samples, s->nsamples, 0.5), percentile(s->samples, s->nsamples, 0.99),
		cpu() - used);
}

/* ---- watch ---- */

static int over = -1, ready = -1; /* event descriptors */

static void *watch_share(void *arg)
{
	struct share *s = arg;
	struct epoll_event ev[256], end = {.events = EPOLLIN};
	uint64_t one = 1;
	bool told = false, more = true;

	epoll_ctl(s->ep, EPOLL_CTL_ADD, over, &end);
	while (more) {
		if (!told && s->answered == s->n) {
			told = true;
			if (write(ready, &one, sizeof(one)) < 0)
				die("eventfd", 0);
		}

		int got = epoll_wait(s->ep, ev, 256, -1);

		for (int i = 0; i < got; i++) {
			if (!ev[i].data.ptr)
				more = false;
			else if (!read_conn(ev[i].data.ptr, NULL))
				die("a watch ended", 0);
		}
	}
	return NULL;
}

/* To the first share. */
static void add_samples(struct share *to, const struct share *s)
{
	KG_GROW(to->samples, to->cap_samples, to->nsamples + s->nsamples);
	memcpy(to->samples + to->nsamples, s->samples, s->nsamples * sizeof(*s->samples));
	to->nsamples += s->nsamples;
}

static void watch(struct share *shares, int n)
{
	unsigned fewest = ~0U;
	uint64_t count;
	char line[256];

	over = eventfd(0, EFD_CLOEXEC);
	ready = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
	for (int i = 0; i < n; i++)
		if (pthread_create(&shares[i].thread, NULL, watch_share, &shares[i]))
			die("thread", 0);
	for (int i = 0; i < n; i++)
		if (read(ready, &count, sizeof(count)) < 0)
			die("eventfd", 0);
	printf("ready\n");
	fflush(stdout);

	double used = cpu();
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		;
	count = 1;
	if (write(over, &count, sizeof(count)) < 0)
		die("eventfd", 0);
	for (int i = 0; i < n; i++) {
		pthread_join(shares[i].thread, NULL);
		for (int k = 0; k < shares[i].n; k++)
			if (shares[i].conns[k].events < fewest)
				fewest = shares[i].conns[k].events;
		if (i > 0)
			add_samples(&shares[0], &shares[i]);
	}
	used = cpu() - used;
	struct sample *all = shares[0].samples;
	size_t nall = shares[0].nsamples;
	double median = median_change(all, nall);
	qsort(all, nall, sizeof(*all), by_value);
	printf("%zu %.3f %.3f %u %.4f %.3f\n", nall, percentile(all, nall, 0.5),
		percentile(all, nall, 0.99), fewest, used, median);
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
	bool watches = strcmp(mode, "watch") == 0;
	int n = atoi(argv[7]), nshares = watches ? THREADS : 1;
	struct conn *conns = kg_alloc((size_t)n * sizeof(*conns));
	struct share *shares = kg_alloc((size_t)nshares * sizeof(*shares));

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
	for (int i = 0, from = 0; i < nshares; from += shares[i++].n) {
		shares[i].conns = conns + from;
		shares[i].n = (n - from) / (nshares - i);
		shares[i].watch = watches;
		shares[i].ep = epoll_create1(EPOLL_CLOEXEC);
		for (int k = 0; k < shares[i].n; k++)
			add_conn(&shares[i], &conns[from + k], &to, creds);
	}
	if (watches) {
		watch(shares, nshares);
	} else {
		if (strcmp(mode, "get") == 0)
			until = now_ns() + atoll(argv[8]) * 1000000000;
		else
			left = atol(argv[8]);
		load(&shares[0]);
	}
	return 0;
}
