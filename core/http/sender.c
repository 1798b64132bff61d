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
 * breaks a connection that is SENDING only says so, and the sender sees to it. A thread takes many
 * streams, has each write one chunk into its outbox, and sends them all at once. Of a record that
 * the socket did not take whole the rest must go out before any other: then the stream sleeps until
 * the guard sees room in the socket. A client of HTTP/1.0 knows no chunks and is left to
 * libmicrohttpd.
 */
#include "base/mem.h"
#include "internal.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>

/* A chunk is one TLS record of at most 16 KiB: size line, data, line end. */
#define RECORD   16384
#define HEAD     8
#define FRAME    (HEAD + 2)
#define DATA_MAX (RECORD - FRAME)
/* So many are taken at once: others are for the other threads. */
#define BATCH KG_OUTBOX_MAX

#define CACHE_LINE 64
#define FETCH_REQ  6   /* so many turns ahead */
#define FETCH_REST 3   /* and what it needs then */
#define READ_FETCH 192 /* of what a stream's read is given; a guess of what it looks at first */

struct kg_sender {
	pthread_mutex_t lock;
	pthread_cond_t ready;
	struct kg_http_req **ring;
	size_t cap, first, len; /* cap: a power of two */
	bool stop, io_uring;
	unsigned asleep; /* threads that wait and were not roused yet */
	unsigned nthreads;
	_Atomic uint64_t blocked;
	pthread_t threads[];
};

/* A stream that a thread has. */
struct turn {
	struct kg_http_req *req;
	bool entered; /* it is SENDING: nobody else has it, nor took it back */
	bool failed, more, leaving;
	ssize_t end; /* what read returned at the end */
};

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

/* The next chunk of what the stream has. */
static void write_chunk(struct turn *t, struct kg_outbox *outbox, char *buf)
{
	struct kg_http_req *req = t->req;

	req->dry = false;
	ssize_t n = req->read(req, buf + HEAD, DATA_MAX, req->read_ctx);

	if (n <= 0) {
		t->end = n;
		return;
	}
	char *at = put_head(buf + HEAD, (size_t)n), *tail = buf + HEAD + n;

	memcpy(tail, "\r\n", 2);
	t->failed = !kg_seal_write(&req->conn->seal, req->tls, outbox, at, (size_t)(tail + 2 - at));
	t->more = !req->dry;
}

static void enter(struct turn *t, struct kg_http_req *req)
{
	*t = (struct turn){.req = req};
	pthread_mutex_lock(&req->lock);
	t->entered = req->wait == KG_WAIT_STREAM;
	t->leaving = req->leaving;
	req->queued = false;
	if (t->entered) {
		req->wait = KG_WAIT_SENDING;
		req->wake = false;
	}
	pthread_mutex_unlock(&req->lock);
}

/* Writes the turn's parcel, which may be empty. */
static void write_parcel(struct kg_outbox *outbox, struct turn *t, char *buf)
{
	struct kg_http_req *req = t->req;
	struct kg_http_conn *conn = req->conn;

	enter(t, req);
	kg_outbox_begin(outbox, t->entered ? conn->fd : -1);
	if (!t->entered)
		return;
	if (!req->uncorked)
		kg_uncork(conn);
	req->uncorked = true;
	if (conn->rest.len) {
		kg_outbox_add(outbox, conn->rest.data, conn->rest.len);
		t->more = true;
		return;
	}
	conn->outbox = outbox;
	if (req->messages)
		t->failed = !kg_websocket_turn(req, t->leaving, buf, RECORD, &t->more, &t->end);
	else
		write_chunk(t, outbox, buf);
	conn->outbox = NULL;
	if (t->failed)
		kg_outbox_empty(outbox);
}

/* Keeps what the socket did not take; true where there is some. */
static bool keep_rest(
	struct kg_http_conn *conn, const struct kg_outbox *outbox, const struct kg_parcel *p)
{
	size_t sent = p->sent > 0 ? (size_t)p->sent : 0;

	if (conn->rest.len)
		kg_buf_remove(&conn->rest, 0, sent);
	else if (sent < p->len)
		kg_buf_add(&conn->rest, kg_outbox_bytes(outbox, p) + sent, p->len - sent);
	if (!conn->rest.len)
		kg_buf_release(&conn->rest);
	return conn->rest.len > 0;
}

/* Its parcel was sent, or not. True where the stream is to have another turn. */
static bool leave(struct kg_sender *s, struct turn *t, const struct kg_outbox *outbox,
	const struct kg_parcel *p)
{
	struct kg_http_req *req = t->req;
	bool failed = t->failed || (p->sent < 0 && p->sent != -EAGAIN);
	bool blocked = !failed && keep_rest(req->conn, outbox, p), again = false;

	s->blocked += blocked; /* the guard wakes it, and may have done so by now */
	pthread_mutex_lock(&req->lock);
	req->wait = KG_WAIT_STREAM;
	if (failed || t->leaving)
		req->broken = true;
	if (t->end)
		req->end = t->end;
	if (req->broken || req->end)
		kg_req_give_back_locked(req);
	else
		again = req->wake || (t->more && !blocked);
	if (again)
		req->queued = true;
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

static void add_locked(struct kg_sender *s, struct kg_http_req *req)
{
	s->ring[(s->first + s->len++) & (s->cap - 1)] = req;
}

/* Those that had a turn last make room for who waits, up to half of them: else streams that always
 * have more would keep a thread to themselves. How many of the n it still has. */
static size_t make_room_locked(struct kg_sender *s, const struct turn *turns, size_t n)
{
	size_t over = n + s->len > BATCH ? n + s->len - BATCH : 0;
	size_t most = n > BATCH / 2 ? n - BATCH / 2 : 0, kept = n - (over < most ? over : most);

	if (s->len + n - kept > s->cap)
		grow_locked(s, s->len + n - kept);
	for (size_t i = kept; i < n; i++)
		add_locked(s, turns[i].req);
	return kept;
}

/* Adds to the n that the thread has; how many those are then. 0: it is the end. */
static size_t take(struct kg_sender *s, struct turn turns[BATCH], size_t n)
{
	pthread_mutex_lock(&s->lock);
	while (!n && !s->len && !s->stop) {
		s->asleep++;
		pthread_cond_wait(&s->ready, &s->lock);
	}
	n = make_room_locked(s, turns, n);
	for (; s->len && n < BATCH; s->len--) {
		turns[n++].req = s->ring[s->first];
		s->first = (s->first + 1) & (s->cap - 1);
	}
	rouse_locked(s);
	pthread_mutex_unlock(&s->lock);
	return n;
}

/* The n bytes at p come from memory meanwhile. Inline: gcc finds that a function which does only
 * this does nothing, and drops what calls it. */
__attribute__((always_inline)) static inline void fetch(const void *p, size_t n)
{
	const char *at = p;

	for (size_t i = 0; i < n; i += CACHE_LINE)
		__builtin_prefetch(at + i, 1);
	__builtin_prefetch(at + n - 1, 1); /* it need not begin with a line */
}

/* What the next turns need: to know what a request needs, it must be there itself. */
__attribute__((always_inline)) static inline void fetch_ahead(const struct turn *turns, size_t n)
{
	if (n > FETCH_REQ)
		fetch(turns[FETCH_REQ].req, offsetof(struct kg_http_req, kind));
	if (n > FETCH_REST) {
		const struct kg_http_req *req = turns[FETCH_REST].req;

		fetch(req->conn, offsetof(struct kg_http_conn, gathering));
		fetch(req->read_ctx, READ_FETCH);
	}
}

/* One turn for each of the first, as many as fit into the outbox; the others come next, and then
 * those that are to have another. How many those are. */
static size_t give_turns(struct kg_sender *s, struct kg_outbox *outbox, struct turn turns[BATCH],
	size_t n, char *buf)
{
	struct turn again[BATCH];
	size_t had = 0, nagain = 0;

	for (size_t i = 0; i < n && i < FETCH_REQ; i++)
		fetch(turns[i].req, offsetof(struct kg_http_req, kind));
	for (; had < n && !kg_outbox_is_full(outbox); had++) {
		fetch_ahead(turns + had, n - had);
		write_parcel(outbox, &turns[had], buf);
	}
	const struct kg_parcel *parcels = kg_outbox_send(outbox);

	for (size_t i = 0; i < had; i++) {
		if (i + FETCH_REST < had)
			fetch(turns[i + FETCH_REST].req, CACHE_LINE);
		if (turns[i].entered && leave(s, &turns[i], outbox, &parcels[i]))
			again[nagain++] = turns[i];
		else
			kg_req_unref(turns[i].req);
	}
	kg_outbox_clear(outbox);
	memmove(turns, turns + had, (n - had) * sizeof(turns[0]));
	memcpy(turns + n - had, again, nagain * sizeof(again[0]));
	return n - had + nagain;
}

static void *run(void *arg)
{
	struct kg_sender *s = arg;
	struct turn turns[BATCH];
	char *buf = kg_alloc(RECORD + 1);
	struct kg_outbox *outbox = kg_outbox_new(s->io_uring);
	size_t n = 0;

	while ((n = take(s, turns, n)))
		n = give_turns(s, outbox, turns, n, buf);
	kg_outbox_free(outbox);
	free(buf);
	return NULL;
}

void kg_sender_add(struct kg_sender *s, struct kg_http_req *const *reqs, size_t n)
{
	pthread_mutex_lock(&s->lock);
	if (s->len + n > s->cap)
		grow_locked(s, s->len + n);
	for (size_t i = 0; i < n; i++)
		add_locked(s, reqs[i]);
	rouse_locked(s);
	pthread_mutex_unlock(&s->lock);
}

uint64_t kg_sender_blocked(const struct kg_sender *s)
{
	return s->blocked;
}

int kg_sender_new(struct kg_sender **out, unsigned threads, bool io_uring, struct kg_error *err)
{
	struct kg_sender *s = kg_alloc(sizeof(*s) + threads * sizeof(s->threads[0]));
	sigset_t all, old;
	pthread_attr_t attr;
	int e = 0;

	s->io_uring = io_uring;
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
