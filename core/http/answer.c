/*
 * Answers. They may come on libmicrohttpd's thread inside a handler or, after kg_http_defer, from
 * any other; either way they are only noted here, and handed to libmicrohttpd on its own thread
 * (kg_answer_queue), which a deferred answer gets back to by resuming the connection.
 *
 * libmicrohttpd sends an answer's header in one TLS record and packet, and its body in others. A
 * small answer is sent in one: TLS gathers what libmicrohttpd sends, and when all of it was sent
 * we let it go. By then nobody is left to try again, should the socket not take it: so it is only
 * done where the socket is nearly empty, as it is unless a client asks on without reading, and for
 * half of what a socket takes at least (20 segments).
 *
 * A stream's read is called without locks. A wake that comes while it runs sets `wake`, which was
 * cleared before: so "none now" followed by taking the connection out of the loop cannot lose it.
 */
#include "base/mem.h"
#include "internal.h"

#include <assert.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Header and body; what the handler added to the header counts twice, for what libmicrohttpd adds.
 */
#define GATHER_MAX      15360
#define GATHER_SEGMENTS 8
#define HEADER_ROOM     512

/* With req->lock held; true where the caller must give up the deferral's reference. */
static bool answered_locked(struct kg_http_req *req)
{
	bool owed = req->deferred;

	if (owed) {
		struct kg_http_server *s = req->server;
		req->deferred = false;
		pthread_mutex_lock(&s->lock);
		if (--s->deferred == 0)
			pthread_cond_broadcast(&s->answered);
		pthread_mutex_unlock(&s->lock);
	}
	kg_req_resume_locked(req);
	return owed;
}

/* Notes an answer; false where the exchange ended meanwhile. */
static bool note(
	struct kg_http_req *req, enum kg_answer_kind kind, int status, const char *content_type)
{
	if (req->ended)
		return false;
	assert(req->kind == KG_ANSWER_NONE);
	req->kind = kind;
	req->status = status;
	req->content_type = kg_strdup(content_type);
	return true;
}

void kg_http_reply(
	struct kg_http_req *req, int status, const char *content_type, struct kg_buf *body)
{
	bool owed;

	pthread_mutex_lock(&req->lock);
	if (note(req, KG_ANSWER_REPLY, status, content_type)) {
		if (body) {
			req->reply = *body;
			*body = (struct kg_buf)KG_BUF_INIT;
		}
		owed = answered_locked(req);
	} else {
		owed = req->deferred;
		req->deferred = false;
		if (body)
			kg_buf_release(body);
	}
	pthread_mutex_unlock(&req->lock);
	if (owed)
		kg_req_unref(req);
}

void kg_http_reply_text(struct kg_http_req *req, int status, const char *text)
{
	struct kg_buf b = KG_BUF_INIT;

	kg_buf_adds(&b, text);
	kg_http_reply(req, status, "text/plain; charset=utf-8", &b);
}

void kg_http_stream(struct kg_http_req *req, int status, const char *content_type,
	ssize_t (*read)(struct kg_http_req *req, char *buf, size_t max, void *ctx), void *ctx)
{
	bool owed;

	pthread_mutex_lock(&req->lock);
	if (note(req, KG_ANSWER_STREAM, status, content_type)) {
		req->read = read;
		req->read_ctx = ctx;
		owed = answered_locked(req);
	} else {
		owed = req->deferred;
		req->deferred = false;
	}
	pthread_mutex_unlock(&req->lock);
	if (owed)
		kg_req_unref(req);
}

int kg_http_status(const struct kg_http_req *req)
{
	return req->kind == KG_ANSWER_NONE ? 0 : req->status;
}

void kg_http_defer(struct kg_http_req *req)
{
	struct kg_http_server *s = req->server;

	kg_req_ref(req);
	pthread_mutex_lock(&req->lock);
	assert(!req->deferred && req->kind == KG_ANSWER_NONE);
	req->deferred = true;
	pthread_mutex_lock(&s->lock);
	s->deferred++;
	pthread_mutex_unlock(&s->lock);
	pthread_mutex_unlock(&req->lock);
}

static void wake(struct kg_http_req *req)
{
	/* Held so that the exchange may end between the resume and the unlock. */
	kg_req_ref(req);
	pthread_mutex_lock(&req->lock);
	req->wake = true;
	if (req->wait != KG_WAIT_ANSWER)
		kg_req_resume_locked(req);
	pthread_mutex_unlock(&req->lock);
	kg_req_unref(req);
}

void kg_http_stream_dry(struct kg_http_req *req)
{
	req->dry = true;
}

void kg_http_stream_wake(struct kg_http_req *req)
{
	wake(req);
}

void kg_http_wakes_add(struct kg_http_wakes *w, struct kg_http_req *req)
{
	pthread_mutex_lock(&req->lock);
	bool asleep = req->wait == KG_WAIT_STREAM && req->chunks && !req->broken;
	bool queue = asleep && !req->queued;

	req->wake = true;
	if (queue) {
		req->queued = true;
		w->reqs[w->n++] = kg_req_ref(req);
	}
	pthread_mutex_unlock(&req->lock);
	if (!asleep)
		wake(req);
	if (w->n == KG_ARRAY_LEN(w->reqs))
		kg_http_wakes_flush(w);
}

void kg_http_wakes_flush(struct kg_http_wakes *w)
{
	if (w->n)
		kg_sender_add(w->reqs[0]->server->sender, w->reqs, w->n);
	w->n = 0;
}

void kg_http_upload_resume(struct kg_http_req *req)
{
	wake(req);
}

static void drop_header(struct kg_buf *headers, const char *name)
{
	for (size_t i = 0; i < headers->len;) {
		const char *at = headers->data + i;
		size_t len = strlen(at) + 1, both = len + strlen(at + len) + 1;

		if (strcasecmp(at, name) == 0)
			kg_buf_remove(headers, i, both);
		else
			i += both;
	}
}

void kg_http_set_header(struct kg_http_req *req, const char *name, const char *value)
{
	if (strpbrk(name, "\r\n") || strpbrk(value, "\r\n"))
		return;
	pthread_mutex_lock(&req->lock);
	drop_header(&req->headers, name);
	kg_buf_add(&req->headers, name, strlen(name) + 1);
	kg_buf_add(&req->headers, value, strlen(value) + 1);
	pthread_mutex_unlock(&req->lock);
}

/* Has libmicrohttpd close the connection. Where a reader says END_WITH_ERROR, 0.9.75 marks it
 * closed and then forgets it until no other connection has been quiet for longer: the socket would
 * stay for minutes. Where a write fails, it closes at once; so there is something to write, to
 * nobody. */
static ssize_t break_off(struct kg_http_req *req, char *buf)
{
	kg_answer_flush(req->conn); /* else it would be gathered */
	shutdown(req->conn->fd, SHUT_RDWR);
	*buf = '\0';
	return 1;
}

static ssize_t pull(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct kg_http_req *req = cls;

	(void)pos;
	pthread_mutex_lock(&req->lock);
	bool broken = req->broken;
	ssize_t n = req->end;
	req->wake = false;
	pthread_mutex_unlock(&req->lock);
	if (broken)
		return break_off(req, buf);
	if (!n)
		n = req->read(req, buf, max, req->read_ctx);
	if (n > 0)
		return n;
	if (n == -1)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (n < 0)
		return break_off(req, buf);
	/* Where it must not be taken out, libmicrohttpd asks again at once. */
	kg_req_suspend(req, KG_WAIT_STREAM);
	return 0;
}

static void add_headers(struct kg_http_req *req, struct MHD_Response *r)
{
	if (req->content_type)
		MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, req->content_type);
	for (size_t i = 0; i < req->headers.len;) {
		const char *name = req->headers.data + i;
		const char *value = name + strlen(name) + 1;
		MHD_add_response_header(r, name, value);
		i = (size_t)(value + strlen(value) + 1 - req->headers.data);
	}
}

void kg_uncork(const struct kg_http_conn *conn)
{
	int off = 0;

	/* Where it fails the records only come later. */
	setsockopt(conn->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
}

static size_t gather_max(struct kg_http_conn *conn)
{
	int mss;
	socklen_t len = sizeof(mss);

	if (conn->gather_max)
		return conn->gather_max;
	if (getsockopt(conn->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, &len))
		return 0;
	conn->gather_max = (size_t)mss * GATHER_SEGMENTS;
	if (conn->gather_max > GATHER_MAX)
		conn->gather_max = GATHER_MAX;
	return conn->gather_max;
}

static bool may_gather(const struct kg_http_req *req)
{
	size_t max = gather_max(req->conn);
	int unsent;

	return req->kind == KG_ANSWER_REPLY &&
	       req->reply.len + 2 * req->headers.len + HEADER_ROOM <= max &&
	       ioctl(req->conn->fd, SIOCOUTQ, &unsent) == 0 && (size_t)unsent <= max / 4;
}

void kg_answer_flush(struct kg_http_conn *conn)
{
	int rc;

	if (!conn->gathering)
		return;
	conn->gathering = false;
	do
		rc = gnutls_record_uncork(conn->tls, 0);
	while (rc == GNUTLS_E_INTERRUPTED);
	/* The peer is gone, or the kernel has no memory for sockets. */
	if (rc < 0)
		shutdown(conn->fd, SHUT_RDWR);
	else
		kg_uncork(conn);
}

enum MHD_Result kg_answer_queue(struct kg_http_req *req)
{
	struct MHD_Response *r;

	if (req->messages)
		return kg_websocket_queue(req);
	bool gather = may_gather(req);

	if (req->kind == KG_ANSWER_STREAM) {
		/* The block is what HTTP/1.0 is served from; chunks use the connection's pool. */
		r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, pull, req, NULL);
		kg_guard_watch(req->server->guard, &req->conn->guard, req, false);
	} else {
		size_t len = req->reply.len;
		char *data = kg_buf_steal(&req->reply);
		r = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
		if (!r)
			free(data);
	}
	if (!r)
		return MHD_NO;
	add_headers(req, r);
	if (gather) {
		req->conn->gathering = true;
		gnutls_record_cork(req->conn->tls);
	}
	enum MHD_Result rc = MHD_queue_response(req->conn->mhd, (unsigned)req->status, r);
	MHD_destroy_response(r);
	return rc;
}
