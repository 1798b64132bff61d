/*
 * What sleeping streams send. libmicrohttpd takes a suspended connection back by a write to its
 * event descriptor, a walk over all suspended connections and a round of its machine, with a read
 * that finds nothing: more than the sending itself, and a thousand watchers wake at once. So a
 * stream that sleeps stays suspended, and threads of ours pull from it and write the chunks into
 * its TLS session. libmicrohttpd does not look at a suspended connection, and suspends only where
 * it has nothing left to send.
 *
 *   STREAM (asleep) -> SENDING (a sender has it) -> STREAM, or back to libmicrohttpd
 *
 * It gets the connection back at the stream's end, and where the exchange is broken. Who wakes or
 * breaks a connection that is SENDING only says so, and the sender sees to it. A record that
 * the socket did not take whole stays in the TLS session and must go out before any other: then
 * the stream sleeps until the guard sees room in the socket. A client of HTTP/1.0 knows no chunks
 * and is left to libmicrohttpd.
 */
#include "base/mem.h"
#include "internal.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* A chunk is one TLS record of at most 16 KiB: size line, data, line end. */
#define RECORD   16384
#define HEAD     8
#define FRAME    (HEAD + 2)
#define DATA_MAX (RECORD - FRAME)
/* So many are taken at once: others are for the other threads. */
#define BATCH 32

struct kg_sender {
	pthread_mutex_t lock;
	pthread_cond_t ready;
	struct kg_http_req *first, **last;
	bool stop;
	unsigned idle, nthreads;
	_Atomic uint64_t blocked;
	pthread_t threads[];
};

static gnutls_session_t session_of(struct kg_http_req *req)
{
	return MHD_get_connection_info(req->conn->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION)
		->tls_session;
}

enum sent { SENT, BLOCKED, FAILED };

/* In one record, or in several where the peer has negotiated smaller ones. What follows is made to
 * fit them, because of what is blocked TLS keeps one record and nobody the rest. */
static enum sent write_records(struct kg_http_req *req, const char *p, size_t n)
{
	while (n) {
		ssize_t rc = gnutls_record_send(session_of(req), p, n);

		if (rc == GNUTLS_E_INTERRUPTED)
			continue;
		if (rc == GNUTLS_E_AGAIN) {
			req->unsent = n;
			return BLOCKED;
		}
		if (rc < 0 || ((size_t)rc < n && rc <= FRAME))
			return FAILED;
		if ((size_t)rc < n)
			req->conn->record_max = (size_t)rc;
		p += rc;
		n -= (size_t)rc;
	}
	return SENT;
}

/* The record that TLS still has. */
static enum sent write_unsent(struct kg_http_req *req)
{
	ssize_t rc;

	do
		rc = gnutls_record_send(session_of(req), NULL, 0);
	while (rc == GNUTLS_E_INTERRUPTED);
	if (rc == GNUTLS_E_AGAIN)
		return BLOCKED;
	/* More than one record's worth was blocked, before the peer's limit was known. */
	if (rc < 0 || (size_t)rc != req->unsent)
		return FAILED;
	req->unsent = 0;
	return SENT;
}

/* libmicrohttpd holds TLS connections corked: small records would wait for 200 ms. */
static void uncork(struct kg_http_req *req)
{
	int fd = MHD_get_connection_info(req->conn->mhd, MHD_CONNECTION_INFO_CONNECTION_FD)
			 ->connect_fd;
	int off = 0;

	/* Where it fails the records only come later. */
	setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
	req->uncorked = true;
}

/* Sends until there is nothing now (SENT), no room, or an end: then *end is read's. */
static enum sent send_all(struct kg_http_req *req, char *buf, ssize_t *end)
{
	enum sent sent = req->unsent ? write_unsent(req) : SENT;
	char head[HEAD + 1];

	*end = 0;
	while (sent == SENT) {
		size_t most = req->conn->record_max ? req->conn->record_max - FRAME : DATA_MAX;
		ssize_t n = req->read(req, buf + HEAD, most, req->read_ctx);

		if (n <= 0) {
			*end = n;
			break;
		}
		int k = snprintf(head, sizeof(head), "%zx\r\n", (size_t)n);
		memcpy(buf + HEAD - k, head, (size_t)k);
		memcpy(buf + HEAD + n, "\r\n", 2);
		sent = write_records(req, buf + HEAD - k, (size_t)k + (size_t)n + 2);
	}
	return sent;
}

/* True where it is to be done once more. */
static bool send_once(struct kg_sender *s, struct kg_http_req *req, char *buf)
{
	bool again = false;
	ssize_t end;

	pthread_mutex_lock(&req->lock);
	req->queued = false;
	if (req->wait != KG_WAIT_STREAM) {
		pthread_mutex_unlock(&req->lock);
		return false;
	}
	req->wait = KG_WAIT_SENDING;
	req->wake = false;
	pthread_mutex_unlock(&req->lock);

	if (!req->uncorked)
		uncork(req);
	enum sent sent = send_all(req, buf, &end);

	pthread_mutex_lock(&req->lock);
	req->wait = KG_WAIT_STREAM;
	if (sent == FAILED)
		req->broken = true;
	if (end)
		req->end = end;
	s->blocked += sent == BLOCKED; /* the guard wakes it, and may have done so by now */
	if (req->broken || req->end)
		kg_req_give_back_locked(req);
	else
		again = req->wake;
	pthread_mutex_unlock(&req->lock);
	return again;
}

static struct kg_http_req *take(struct kg_sender *s)
{
	pthread_mutex_lock(&s->lock);
	while (!s->first && !s->stop) {
		s->idle++;
		pthread_cond_wait(&s->ready, &s->lock);
		s->idle--;
	}
	struct kg_http_req *list = s->first, **end = &s->first;

	for (int i = 0; *end && i < BATCH; i++)
		end = &(*end)->next_to_send;
	s->first = *end;
	if (!s->first)
		s->last = &s->first;
	else if (s->idle)
		pthread_cond_signal(&s->ready);
	*end = NULL;
	pthread_mutex_unlock(&s->lock);
	return list;
}

static void *run(void *arg)
{
	struct kg_sender *s = arg;
	struct kg_http_req *req;
	char *buf = kg_alloc(RECORD);

	while ((req = take(s))) {
		while (req) {
			struct kg_http_req *next = req->next_to_send;

			while (send_once(s, req, buf))
				;
			kg_req_unref(req);
			req = next;
		}
	}
	free(buf);
	return NULL;
}

void kg_sender_add(struct kg_sender *s, struct kg_http_req *req)
{
	kg_req_ref(req);
	req->queued = true;
	req->next_to_send = NULL;
	pthread_mutex_lock(&s->lock);
	*s->last = req;
	s->last = &req->next_to_send;
	bool rouse = s->idle > 0;
	pthread_mutex_unlock(&s->lock);
	if (rouse)
		pthread_cond_signal(&s->ready);
}

uint64_t kg_sender_blocked(const struct kg_sender *s)
{
	return s->blocked;
}

int kg_sender_new(struct kg_sender **out, unsigned threads, struct kg_error *err)
{
	struct kg_sender *s = kg_alloc(sizeof(*s) + threads * sizeof(s->threads[0]));
	sigset_t all, old;
	pthread_attr_t attr;
	int e = 0;

	s->last = &s->first;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->ready, NULL);
	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (; !e && s->nthreads < threads; s->nthreads += !e)
		e = pthread_create(&s->threads[s->nthreads], &attr, run, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (e) {
		kg_sender_free(s);
		return kg_fail(err, KG_E_IO, "start a thread: %s", strerror(e));
	}
	*out = s;
	return 0;
}

void kg_sender_free(struct kg_sender *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_broadcast(&s->ready);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nthreads; i++)
		pthread_join(s->threads[i], NULL);
	assert(!s->first);
	pthread_cond_destroy(&s->ready);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
