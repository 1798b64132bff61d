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

#include <signal.h>
#include <stddef.h>
#include <string.h>

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
	struct kg_http_req **ring;
	size_t cap, first, len; /* cap: a power of two */
	bool stop;
	unsigned asleep; /* threads that wait and were not roused yet */
	unsigned nthreads;
	_Atomic uint64_t blocked;
	pthread_t threads[];
};

enum sent { SENT, BLOCKED, FAILED };

/* In one record, or in several where the peer has negotiated smaller ones. What follows is made to
 * fit them, because of what is blocked TLS keeps one record and nobody the rest. */
static enum sent write_records(struct kg_http_req *req, const char *p, size_t n)
{
	while (n) {
		ssize_t rc = gnutls_record_send(req->tls, p, n);

		if (rc == GNUTLS_E_INTERRUPTED)
			continue;
		if (rc == GNUTLS_E_AGAIN) {
			req->unsent = n;
			return BLOCKED;
		}
		if (rc < 0 || ((size_t)rc < n && rc <= FRAME))
			return FAILED;
		if ((size_t)rc < n)
			req->record_max = req->conn->record_max = (uint16_t)rc;
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
		rc = gnutls_record_send(req->tls, NULL, 0);
	while (rc == GNUTLS_E_INTERRUPTED);
	if (rc == GNUTLS_E_AGAIN)
		return BLOCKED;
	/* More than one record's worth was blocked, before the peer's limit was known. */
	if (rc < 0 || (size_t)rc != req->unsent)
		return FAILED;
	req->unsent = 0;
	return SENT;
}

/* The size line, before the n bytes at `data`: where it begins. */
static char *put_head(char *data, size_t n)
{
	char *p = data;

	*--p = '\n';
	*--p = '\r';
	for (; n; n >>= 4)
		*--p = "0123456789abcdef"[n & 15];
	return p;
}

/* Sends until there is nothing now (SENT), no room, or an end: then *end is read's. */
static enum sent send_all(struct kg_http_req *req, char *buf, ssize_t *end)
{
	enum sent sent = req->unsent ? write_unsent(req) : SENT;

	*end = 0;
	req->dry = false;
	while (sent == SENT && !req->dry) {
		size_t most = req->record_max ? req->record_max - FRAME : DATA_MAX;
		ssize_t n = req->read(req, buf + HEAD, most, req->read_ctx);

		if (n <= 0) {
			*end = n;
			break;
		}
		char *at = put_head(buf + HEAD, (size_t)n), *tail = buf + HEAD + n;

		memcpy(tail, "\r\n", 2);
		sent = write_records(req, at, (size_t)(tail + 2 - at));
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
		kg_uncork(req->conn);
	req->uncorked = true;
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

/* With the lock held: another thread is to look. */
static void rouse_locked(struct kg_sender *s)
{
	if (!s->asleep || !s->len)
		return;
	s->asleep--;
	pthread_cond_signal(&s->ready);
}

/* 0: it is the end. */
static size_t take(struct kg_sender *s, struct kg_http_req *reqs[BATCH])
{
	size_t n = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->len && !s->stop) {
		s->asleep++;
		pthread_cond_wait(&s->ready, &s->lock);
	}
	for (; s->len && n < BATCH; s->len--) {
		reqs[n++] = s->ring[s->first];
		s->first = (s->first + 1) & (s->cap - 1);
	}
	rouse_locked(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* What the next ones but one or two need comes from memory meanwhile. */
static void fetch_ahead(struct kg_http_req *const *reqs, size_t n)
{
	if (n > 2)
		for (size_t at = 0; at <= offsetof(struct kg_http_req, kind); at += 56)
			__builtin_prefetch((const char *)reqs[2] + at);
	if (n > 1) {
		__builtin_prefetch(reqs[1]->tls);
		__builtin_prefetch(reqs[1]->conn);
		__builtin_prefetch(reqs[1]->read_ctx);
		__builtin_prefetch((const char *)reqs[1]->read_ctx + 64);
	}
}

static void *run(void *arg)
{
	struct kg_sender *s = arg;
	struct kg_http_req *reqs[BATCH];
	char *buf = kg_alloc(RECORD);
	size_t n;

	while ((n = take(s, reqs))) {
		for (size_t i = 0; i < n; i++) {
			fetch_ahead(reqs + i, n - i);
			while (send_once(s, reqs[i], buf))
				;
			kg_req_unref(reqs[i]);
		}
	}
	free(buf);
	return NULL;
}

static void grow_locked(struct kg_sender *s, size_t n)
{
	size_t cap = s->cap ? s->cap : 64;

	while (cap < n)
		cap *= 2;
	struct kg_http_req **ring = kg_alloc(cap * sizeof(struct kg_http_req *));

	for (size_t i = 0; i < s->len; i++)
		ring[i] = s->ring[(s->first + i) & (s->cap - 1)];
	free(s->ring);
	s->ring = ring;
	s->cap = cap;
	s->first = 0;
}

void kg_sender_add(struct kg_sender *s, struct kg_http_req *const *reqs, size_t n)
{
	pthread_mutex_lock(&s->lock);
	if (s->len + n > s->cap)
		grow_locked(s, s->len + n);
	for (size_t i = 0; i < n; i++)
		s->ring[(s->first + s->len++) & (s->cap - 1)] = reqs[i];
	rouse_locked(s);
	pthread_mutex_unlock(&s->lock);
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

void kg_sender_stop(struct kg_sender *s)
{
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	s->asleep = 0;
	pthread_cond_broadcast(&s->ready);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < s->nthreads; i++)
		pthread_join(s->threads[i], NULL);
	s->nthreads = 0;
}

void kg_sender_free(struct kg_sender *s)
{
	if (!s)
		return;
	kg_sender_stop(s);
	for (size_t i = 0; i < s->len; i++)
		kg_req_unref(s->ring[(s->first + i) & (s->cap - 1)]);
	free(s->ring);
	pthread_cond_destroy(&s->ready);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
