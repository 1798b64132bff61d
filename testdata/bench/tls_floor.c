/*
 * What no server that has GnuTLS write its records can go far below: that and the kernel, handed
 * many records at once by kgitd's own outbox and nothing else of it. (kgitd has its own way to
 * write them, which is cheaper: core/http/seal.c.) testdata/bench/api runs it beside kgitd, with
 * the same client and records of the same size.
 *
 *   tls_floor CERT KEY PRIORITIES CONNECTIONS BYTES
 *
 * prints its port, serves so many connections, and answers each one's request with a header. Then,
 * for each line of its standard input, it sends every connection one record of so many bytes with
 * "t=" and the line's text in it; two threads share the connections. At the end of its input it
 * prints how many records it sent, and the CPU seconds since the first line, and ends with its
 * client.
 */
#include "base/mem.h"
#include "http/internal.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { THREADS = 2, MAX_RECORD = 16000 };

struct conn {
	gnutls_session_t tls;
	int fd;
};

static struct conn *conns;
static _Thread_local struct kg_outbox *outbox; /* NULL: to the socket */
static size_t n, size;
static char record[MAX_RECORD];
static pthread_barrier_t begin, end;
static bool stop;

static void die(const char *what, int tls_error)
{
	fprintf(stderr, "tls_floor: %s: %s\n", what,
		tls_error ? gnutls_strerror(tls_error) : strerror(errno));
	exit(1);
}

static double cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int open_socket(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
		bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024) ||
		getsockname(fd, (struct sockaddr *)&at, &len))
		die("listen", 0);
	printf("%d\n", ntohs(at.sin_port));
	fflush(stdout);
	return fd;
}

static void send_all(gnutls_session_t tls, const char *p, size_t len)
{
	ssize_t rc;

	do
		rc = gnutls_record_send(tls, p, len);
	while (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED);
	if (rc != (ssize_t)len)
		die("send", (int)rc);
}

static ssize_t push(gnutls_transport_ptr_t ctx, const void *p, size_t len)
{
	if (!outbox)
		return send((int)(intptr_t)ctx, p, len, MSG_NOSIGNAL);
	kg_outbox_add(outbox, p, len);
	return (ssize_t)len;
}

static struct conn take(
	int listening, gnutls_priority_t priorities, gnutls_certificate_credentials_t creds)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	struct conn c = {.fd = accept(listening, NULL, NULL)};
	char request[4096];
	int rc;

	if (c.fd < 0)
		die("accept", 0);
	gnutls_init(&c.tls, GNUTLS_SERVER);
	gnutls_priority_set(c.tls, priorities);
	gnutls_credentials_set(c.tls, GNUTLS_CRD_CERTIFICATE, creds);
	gnutls_transport_set_int(c.tls, c.fd);
	gnutls_transport_set_push_function(c.tls, push);
	do
		rc = gnutls_handshake(c.tls);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (rc < 0)
		die("handshake", rc);
	ssize_t got = gnutls_record_recv(c.tls, request, sizeof(request));
	if (got <= 0)
		die("request", (int)got);
	send_all(c.tls, head, strlen(head));
	return c;
}

/* What was gathered; the sockets are empty, and take it. */
static void post(size_t count)
{
	const struct kg_parcel *parcels = kg_outbox_send(outbox);

	for (size_t i = 0; i < count; i++) {
		if (parcels[i].sent == (ssize_t)parcels[i].len)
			continue;
		errno = parcels[i].sent < 0 ? (int)-parcels[i].sent : EAGAIN;
		die("send", 0);
	}
	kg_outbox_clear(outbox);
}

static void *send_share(void *arg)
{
	outbox = kg_outbox_new(true);
	for (;;) {
		size_t count = 0;

		pthread_barrier_wait(&begin);
		if (stop)
			break;
		for (size_t i = *(int *)arg; i < n; i += THREADS) {
			kg_outbox_begin(outbox, conns[i].fd);
			send_all(conns[i].tls, record, size);
			count++;
			if (kg_outbox_is_full(outbox) || i + THREADS >= n) {
				post(count);
				count = 0;
			}
		}
		pthread_barrier_wait(&end);
	}
	kg_outbox_free(outbox);
	outbox = NULL;
	return NULL;
}

int main(int argc, char **argv)
{
	gnutls_certificate_credentials_t creds;
	gnutls_priority_t priorities;
	pthread_t threads[THREADS];
	int shares[THREADS];
	struct rlimit fds;
	char line[40];
	size_t sent = 0;

	if (argc != 6) {
		fprintf(stderr, "see the top of the source\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	getrlimit(RLIMIT_NOFILE, &fds);
	fds.rlim_cur = fds.rlim_max;
	setrlimit(RLIMIT_NOFILE, &fds);
	n = strtoul(argv[4], NULL, 10);
	size = strtoul(argv[5], NULL, 10);
	if (!n || size < sizeof(line) + 2 || size > MAX_RECORD)
		die("arguments", GNUTLS_E_INVALID_REQUEST);
	gnutls_certificate_allocate_credentials(&creds);
	int rc = gnutls_certificate_set_x509_key_file(creds, argv[1], argv[2], GNUTLS_X509_FMT_PEM);
	if (rc >= 0)
		rc = gnutls_priority_init(&priorities, argv[3], NULL);
	if (rc < 0)
		die("credentials", rc);
	conns = kg_alloc(n * sizeof(*conns));
	int fd = open_socket();
	for (size_t i = 0; i < n; i++)
		conns[i] = take(fd, priorities, creds);

	memset(record, 'x', sizeof(record));
	pthread_barrier_init(&begin, NULL, THREADS + 1);
	pthread_barrier_init(&end, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++) {
		shares[i] = i;
		pthread_create(&threads[i], NULL, send_share, &shares[i]);
	}
	double used = cpu();
	while (fgets(line, sizeof(line), stdin)) {
		int k = snprintf(record, sizeof(record), "t=%s", line);
		record[k] = 'x';
		pthread_barrier_wait(&begin);
		pthread_barrier_wait(&end);
		sent += n;
	}
	stop = true;
	pthread_barrier_wait(&begin);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%zu %.4f\n", sent, cpu() - used);
	fflush(stdout);
	while (gnutls_record_recv(conns[0].tls, record, sizeof(record)) > 0)
		; /* the client is to have all before its connections end */
	return 0;
}
