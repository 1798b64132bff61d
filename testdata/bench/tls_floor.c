/*
 * What no server that speaks TLS can go below: GnuTLS and the kernel alone. testdata/bench/api runs
 * it beside kgitd, with the same client and records of the same size.
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

static gnutls_session_t *sessions;
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

static gnutls_session_t take(
	int listening, gnutls_priority_t priorities, gnutls_certificate_credentials_t creds)
{
	static const char head[] = "HTTP/1.1 200 OK\r\n\r\n";
	gnutls_session_t tls;
	char request[4096];
	int rc, fd = accept(listening, NULL, NULL);

	if (fd < 0)
		die("accept", 0);
	gnutls_init(&tls, GNUTLS_SERVER);
	gnutls_priority_set(tls, priorities);
	gnutls_credentials_set(tls, GNUTLS_CRD_CERTIFICATE, creds);
	gnutls_transport_set_int(tls, fd);
	do
		rc = gnutls_handshake(tls);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	if (rc < 0)
		die("handshake", rc);
	ssize_t got = gnutls_record_recv(tls, request, sizeof(request));
	if (got <= 0)
		die("request", (int)got);
	send_all(tls, head, strlen(head));
	return tls;
}

static void *send_share(void *arg)
{
	for (;;) {
		pthread_barrier_wait(&begin);
		if (stop)
			return NULL;
		for (size_t i = *(int *)arg; i < n; i += THREADS)
			send_all(sessions[i], record, size);
		pthread_barrier_wait(&end);
	}
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
	sessions = kg_alloc(n * sizeof(gnutls_session_t));
	int fd = open_socket();
	for (size_t i = 0; i < n; i++)
		sessions[i] = take(fd, priorities, creds);

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
	while (gnutls_record_recv(sessions[0], record, sizeof(record)) > 0)
		; /* the client is to have all before its connections end */
	return 0;
}
