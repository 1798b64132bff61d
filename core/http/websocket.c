/*
 * WebSocket (RFC 6455): a stream's bytes as messages, over the connection that asked for it.
 *
 * libmicrohttpd is never told: the exchange gets no answer of its. It is suspended for good as a
 * sleeping stream is (see sender.c), and the senders write the answer's header and then frames into
 * its TLS session. What the peer sends they read, too, when the guard sees that there is some. At
 * the end libmicrohttpd gets the connection back, and closes it.
 *
 * The peer has nothing to say but pings, of which the last one read is answered, and a close. Its
 * messages are dropped unread, within an allowance. Whoever of the two closes, the other's answer
 * is waited for, until the guard ends it: a socket that is closed with bytes unread would tear what
 * is on its way to the peer.
 *
 * A request may come from a page in a browser, which other than for a page's own requests asks
 * nobody: see kg_http_is_foreign.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "internal.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define VERSION    "13"
#define MAX_READS  4 /* of a turn */
#define MAX_OFFERS 16

/* Before a message's bytes: the head of a frame that fits into a record. */
#define HEAD  4
#define LEAST 1024 /* less room is left to the next record */

struct kg_websocket {
	char accept[29];
	char *offers[MAX_OFFERS + 1]; /* of the request, NULL-terminated */
	unsigned noffers;
	/* of the answer */
	char *protocol;
	enum kg_http_messages form;
	bool hello;

	struct kg_frames in;
	int64_t allowance, counted_s; /* monotonic */
	bool queued;                  /* the senders were given it */
	bool begun;                   /* the answer's header was sent */
	bool goes_on;                 /* said by read: its message is not complete */
	bool within;                  /* of a message some was sent, and more comes */
	bool pinged;
	unsigned char ping[KG_FRAME_CONTROL];
	size_t ping_len;
	unsigned close;  /* to be said; 0: nothing */
	bool said_close; /* we have */
	bool over;       /* nothing is to be waited for any more */
};

/* ---- the request ---- */

struct asked {
	unsigned keys, versions;
	bool upgrade, connection;
	const char *key, *version;
	struct kg_buf protocols;
};

/* Is the word in a comma-separated list? */
static bool lists(const char *list, const char *word)
{
	for (const char *p = list; *p;) {
		p += strspn(p, ", \t");
		size_t n = strcspn(p, ", \t");

		if (n == strlen(word) && strncasecmp(p, word, n) == 0)
			return true;
		p += n;
	}
	return false;
}

static bool read_header(const char *name, const char *value, void *ctx)
{
	struct asked *a = ctx;

	if (strcasecmp(name, "Upgrade") == 0) {
		a->upgrade |= lists(value, "websocket");
	} else if (strcasecmp(name, "Connection") == 0) {
		a->connection |= lists(value, "upgrade");
	} else if (strcasecmp(name, "Sec-WebSocket-Key") == 0) {
		a->keys++;
		a->key = value;
	} else if (strcasecmp(name, "Sec-WebSocket-Version") == 0) {
		a->versions++;
		a->version = value;
	} else if (strcasecmp(name, "Sec-WebSocket-Protocol") == 0) {
		kg_buf_adds(&a->protocols, a->protocols.len ? "," : "");
		kg_buf_adds(&a->protocols, value);
	}
	return true;
}

static bool is_key(const char *text)
{
	size_t n = 0;
	KG_AUTOFREE unsigned char *key = kg_base64_decode(text, strlen(text), &n);

	return key && n == 16;
}

static int judge(struct kg_http_req *req, const struct asked *a, struct kg_error *err)
{
	if (a->versions != 1 || strcmp(a->version, VERSION) != 0) {
		kg_http_set_header(req, "Sec-WebSocket-Version", VERSION);
		return kg_fail(err, KG_E_BAD_REQUEST,
			"WebSocket: the Sec-WebSocket-Version that is spoken here is " VERSION);
	}
	if (a->keys != 1 || !is_key(a->key))
		return kg_fail(err, KG_E_BAD_REQUEST,
			"WebSocket: there must be one Sec-WebSocket-Key, of 16 bytes in base64");
	if (req->framing.length || req->framing.chunked)
		return kg_fail(err, KG_E_BAD_REQUEST, "WebSocket: a request for one has no body");
	return 0;
}

static void make_accept(char out[29], const char *key)
{
	KG_AUTOFREE char *text = kg_asprintf("%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
	unsigned char sum[20];

	kg_sha1(sum, text, strlen(text));
	KG_AUTOFREE char *b64 = kg_base64_encode(sum, sizeof(sum));
	snprintf(out, 29, "%s", b64);
}

static int read_offers(struct kg_websocket *ws, char *list, struct kg_error *err)
{
	char *save;

	for (char *p = strtok_r(list, ", \t", &save); p; p = strtok_r(NULL, ", \t", &save)) {
		if (ws->noffers == MAX_OFFERS || !kg_http_is_token(p, strlen(p)))
			return kg_fail(err, KG_E_BAD_REQUEST,
				"WebSocket: Sec-WebSocket-Protocol must be a list of at most %d "
				"names",
				MAX_OFFERS);
		ws->offers[ws->noffers++] = kg_strdup(p);
	}
	return 0;
}

int kg_websocket_ask(struct kg_http_req *req, struct kg_error *err)
{
	struct asked a = {0};
	int rc = 0;

	if (!req->chunks || strcmp(req->method, "GET") != 0)
		return 0;
	kg_http_headers(req, read_header, &a);
	if (a.upgrade && a.connection)
		rc = judge(req, &a, err);
	if (rc == 0 && a.upgrade && a.connection) {
		req->websocket = kg_alloc(sizeof(*req->websocket));
		req->websocket->in.max_frame = req->server->opts.max_websocket;
		make_accept(req->websocket->accept, a.key);
		if (a.protocols.len)
			rc = read_offers(req->websocket, a.protocols.data, err);
	}
	kg_buf_release(&a.protocols);
	return rc;
}

void kg_websocket_free(struct kg_websocket *ws)
{
	if (!ws)
		return;
	for (unsigned i = 0; i < ws->noffers; i++)
		free(ws->offers[i]);
	free(ws->protocol);
	free(ws);
}

bool kg_http_is_websocket(const struct kg_http_req *req)
{
	return req->websocket;
}

const char *const *kg_http_websocket_offers(const struct kg_http_req *req)
{
	static const char *const none[] = {NULL};

	return req->websocket ? (const char *const *)req->websocket->offers : none;
}

/* ---- the answer ---- */

void kg_http_websocket(struct kg_http_req *req, const struct kg_http_websocket_options *o,
	ssize_t (*read)(struct kg_http_req *req, char *buf, size_t max, void *ctx), void *ctx)
{
	struct kg_websocket *ws = req->websocket;

	atomic_fetch_add(&req->server->websockets, 1);
	ws->protocol = kg_strdup(o->protocol);
	ws->form = o->messages;
	ws->hello = o->hello;
	pthread_mutex_lock(&req->lock);
	req->messages = true;
	pthread_mutex_unlock(&req->lock);
	kg_http_stream(req, 101, NULL, read, ctx);
}

void kg_http_message_goes_on(struct kg_http_req *req)
{
	if (req->websocket)
		req->websocket->goes_on = true;
}

enum MHD_Result kg_websocket_queue(struct kg_http_req *req)
{
	struct kg_websocket *ws = req->websocket;

	if (!ws->queued) {
		ws->queued = true;
		ws->allowance = (int64_t)req->server->opts.max_websocket;
		ws->counted_s = kg_monotonic_ns() / 1000000000;
		kg_guard_watch(req->server->guard, &req->conn->guard, req, true);
		pthread_mutex_lock(&req->lock);
		bool take = !req->broken;
		if (take) {
			MHD_suspend_connection(req->conn->mhd);
			req->wait = KG_WAIT_STREAM;
			kg_req_resume_locked(req); /* the senders have it from now on */
		}
		pthread_mutex_unlock(&req->lock);
		if (take)
			return MHD_YES;
	}
	return MHD_NO; /* it is back, to be closed */
}

/* ---- what the peer says ---- */

/* It has nothing to say, and may say so much of it. */
static void count(struct kg_http_req *req, size_t n)
{
	struct kg_websocket *ws = req->websocket;
	int64_t all = (int64_t)req->server->opts.max_websocket;
	int64_t rate = (int64_t)req->server->opts.max_websocket_rate;
	int64_t now = kg_monotonic_ns() / 1000000000, gone = now - ws->counted_s;

	ws->counted_s = now;
	if (gone > (all - ws->allowance) / rate)
		ws->allowance = all;
	else
		ws->allowance += gone * rate;
	ws->allowance -= (int64_t)n;
}

static void fault(struct kg_http_req *req, unsigned code)
{
	if (!req->websocket->close) {
		req->websocket->close = code;
		atomic_fetch_add(&req->server->websocket_faults, 1);
	}
	req->websocket->in.closed = true; /* what else it says is not read */
}

static void heed(struct kg_http_req *req, const struct kg_frame_said *said)
{
	struct kg_websocket *ws = req->websocket;

	if (said->event == KG_FRAME_PING) {
		ws->pinged = true;
		ws->ping_len = said->len;
		memcpy(ws->ping, said->payload, said->len);
	} else if (said->event == KG_FRAME_CLOSE) {
		ws->over = true; /* after our answer, where we have not said it first */
		if (!ws->close)
			ws->close = said->code == KG_CLOSE_NO_CODE ? KG_CLOSE_NORMAL : said->code;
	} else if (said->event == KG_FRAME_FAULT) {
		fault(req, said->code);
	}
}

static void listen_to(struct kg_http_req *req, const char *p, size_t n)
{
	struct kg_websocket *ws = req->websocket;
	struct kg_frame_said said;
	size_t used = 0;

	count(req, n);
	if (ws->allowance < 0) {
		/* Of who has been told already nothing is awaited any more. */
		ws->over |= ws->said_close;
		fault(req, KG_CLOSE_POLICY);
	}
	do {
		used += kg_frames_take(&ws->in, &said, (const unsigned char *)p + used, n - used);
		heed(req, &said);
	} while (said.event);
}

/* What has come, as much as a turn takes; *more: perhaps there is more. False: the peer is gone. */
static bool hear(struct kg_http_req *req, char *buf, size_t size, bool *more)
{
	for (int i = 0; i < MAX_READS && !req->websocket->over; i++) {
		ssize_t n = gnutls_record_recv(req->tls, buf, size);

		/* GnuTLS says so after a record without data (a change of keys), too. */
		if (n == GNUTLS_E_AGAIN && req->conn->dry)
			return true;
		if (n > 0)
			listen_to(req, buf, (size_t)n);
		else if (n != GNUTLS_E_INTERRUPTED && n != GNUTLS_E_AGAIN)
			return false;
	}
	*more = true;
	return true;
}

/* ---- what it is told ---- */

static void put_control(struct kg_buf *out, enum kg_opcode op, const void *p, size_t n)
{
	unsigned char head[KG_FRAME_HEAD];

	kg_buf_add(out, head, kg_frame_head(head, op, true, n));
	kg_buf_add(out, p, n);
}

static void put_answer(struct kg_buf *out, const struct kg_http_req *req)
{
	const struct kg_websocket *ws = req->websocket;

	kg_buf_addf(out,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		ws->accept);
	if (ws->protocol)
		kg_buf_addf(out, "Sec-WebSocket-Protocol: %s\r\n", ws->protocol);
	for (size_t i = 0; i < req->headers.len;) {
		const char *name = req->headers.data + i, *value = name + strlen(name) + 1;

		kg_buf_addf(out, "%s: %s\r\n", name, value);
		i += strlen(name) + strlen(value) + 2;
	}
	kg_buf_adds(out, "\r\n");
	if (ws->hello)
		put_control(out, ws->form == KG_HTTP_BINARY ? KG_OP_BINARY : KG_OP_TEXT, NULL, 0);
}

/* What is said once, before what read has to say. */
static void put_controls(struct kg_buf *out, struct kg_http_req *req)
{
	struct kg_websocket *ws = req->websocket;

	if (!ws->begun)
		put_answer(out, req);
	ws->begun = true;
	if (ws->pinged && !ws->said_close && !ws->close)
		put_control(out, KG_OP_PONG, ws->ping, ws->ping_len);
	ws->pinged = false;
	if (ws->close && !ws->said_close) {
		unsigned char code[2] = {
			(unsigned char)(ws->close >> 8), (unsigned char)(ws->close & 0xFF)};

		put_control(out, KG_OP_CLOSE, code, sizeof(code));
		ws->said_close = true;
		kg_guard_phase(req->server->guard, &req->conn->guard, KG_PHASE_CLOSING);
	}
}

/* What read has to say, into out, which has `max` bytes; 0 where that is nothing. */
static ssize_t pull(struct kg_http_req *req, char *out, size_t max)
{
	if (req->websocket->form != KG_HTTP_BASE64)
		return req->read(req, out, max, req->read_ctx);
	ssize_t n = req->read(req, out, max / 4 * 3 - 3, req->read_ctx);

	if (n <= 0)
		return n;
	KG_AUTOFREE char *text = kg_base64_encode(out, (size_t)n);
	size_t len = strlen(text);

	memcpy(out, text, len);
	return (ssize_t)len;
}

/* One frame of what read has to say: its bytes, all in all, or what read returned. */
static ssize_t put_frame(struct kg_http_req *req, char *out, size_t max)
{
	struct kg_websocket *ws = req->websocket;
	enum kg_opcode op = ws->within                   ? KG_OP_MORE
			    : ws->form == KG_HTTP_BINARY ? KG_OP_BINARY
							 : KG_OP_TEXT;
	unsigned char head[KG_FRAME_HEAD];

	req->dry = false;
	ws->goes_on = false;
	ssize_t n = pull(req, out + HEAD, max - HEAD);

	if (n <= 0)
		return n;
	size_t len = kg_frame_head(head, op, !ws->goes_on, (uint64_t)n);

	ws->within = ws->goes_on;
	memcpy(out, head, len);
	if (len < HEAD)
		memmove(out + len, out + HEAD, (size_t)n);
	return (ssize_t)len + n;
}

/* Frames until there is no more, or no room; *end: what read returned at the end. */
static size_t put_frames(struct kg_http_req *req, char *out, size_t max, bool *more, ssize_t *end)
{
	size_t len = 0;

	*more = true;
	while (max - len >= LEAST) {
		ssize_t n = put_frame(req, out + len, max - len);

		if (n <= 0) {
			*more = false;
			*end = n;
			break;
		}
		len += (size_t)n;
		*more = !req->dry;
		if (!*more)
			break;
	}
	return len;
}

bool kg_websocket_turn(
	struct kg_http_req *req, bool leaving, char *buf, size_t size, bool *more, ssize_t *end)
{
	struct kg_websocket *ws = req->websocket;
	KG_AUTOBUF struct kg_buf controls = KG_BUF_INIT;
	ssize_t said = 0;
	size_t len = 0;
	bool unheard = false;

	*more = false;
	if (!hear(req, buf, size, &unheard))
		return false;
	if (leaving && !ws->close)
		ws->close = KG_CLOSE_GOING_AWAY;
	put_controls(&controls, req);
	if (!ws->said_close) {
		len = put_frames(req, buf, size, more, &said);
		if (said) /* the end; -2: a stream that was cut off must not look whole */
			ws->close = said == -1 ? KG_CLOSE_NORMAL : KG_CLOSE_INTERNAL;
	}
	*more |= unheard || said;
	*end = ws->over && ws->said_close ? -1 : 0;
	return kg_tls_write(req->tls, controls.data, controls.len, NULL) &&
	       kg_tls_write(req->tls, buf, len, NULL);
}
