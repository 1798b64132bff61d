/*
 * The HTTPS server: libmicrohttpd with GnuTLS on a few threads (epoll). Handlers run on those
 * threads, must not block, and read immutable snapshots only. What is ambiguous (both
 * Content-Length and Transfer-Encoding, duplicate lengths, folded headers) is refused before any
 * handler.
 */
#ifndef KG_HTTP_SERVER_H
#define KG_HTTP_SERVER_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kg_http_server;
struct kg_http_req;

/* What one exchange does; the handler picks it from method and path. */
struct kg_http_route {
	/* Called once the whole body is there (bounded by max_body). Must end in exactly one
	 * kg_http_reply* or kg_http_stream, now or later from another thread (then call
	 * kg_http_defer first). */
	void (*handle)(struct kg_http_req *req, void *ctx);
	size_t max_body; /* the server's where 0; more is 413 */
	/* Instead of collecting the body: called for each piece as it comes (return false to stop
	 * the upload for now; kg_http_upload_resume goes on and gives the same piece again), and
	 * `handle` after its end. `open` is called first, before any body, and may reply at once,
	 * or defer. Once an answer was given neither `body` nor `handle` is called any more; what
	 * is left of the body is read and dropped, and then the answer is sent.
	 */
	bool (*body)(struct kg_http_req *req, const void *p, size_t n, void *ctx);
	int upload_idle_s; /* with `body`: silence after which the upload is broken; 0: the
			    * server's idle_timeout_s; below 0: none */
	void (*open)(struct kg_http_req *req, void *ctx);
	/* Always the last call for a request that the router took, also when the peer went away
	 * (which is noticed at once while a stream sleeps). Never between kg_http_defer and the
	 * answer, except when the server is freed. */
	void (*done)(struct kg_http_req *req, void *ctx);
	void *ctx;
};
/* Fills the route for a request; false: 404 was or will be replied by the server. */
typedef bool kg_http_router(struct kg_http_req *req, struct kg_http_route *route, void *ctx);

struct kg_http_server_options {
	const char *listen;             /* "127.0.0.1:6443", "[::1]:0"; port 0: any free one */
	const char *cert_pem, *key_pem; /* the server's */
	const char *client_ca_pem; /* client certificates are asked for and verified against it */
	unsigned threads;          /* default 2 */
	unsigned max_connections;  /* default 12,000; near it those idle for longest are closed */
	unsigned header_timeout_s; /* of a handshake, and of a request's header; default 20 */
	unsigned body_timeout_s;   /* of a body that is collected; default 120 */
	unsigned idle_timeout_s;   /* default 75; not for streams */
	unsigned close_timeout_s;  /* of a WebSocket's peer who was told of the end; default 10 */
	size_t max_header;         /* default 32 KiB; request line included, more is 431 */
	size_t max_body;           /* where a route does not say; default 1 MiB; more is 413 */
	/* Bytes that a WebSocket's peer may send, which are dropped: at once, default 1 MiB, and
	 * each second, default 4096. More than half of INT64_MAX is taken for that. */
	size_t max_websocket, max_websocket_rate;
	bool no_io_uring; /* as where the kernel has none: streams cost a call a piece */
	kg_http_router *router;
	void *ctx;
};
int kg_http_server_new(struct kg_http_server **out, const struct kg_http_server_options *opts,
	struct kg_error *err);
struct kg_http_stats {
	unsigned connections;                    /* open now */
	uint64_t accepted, requests;             /* since the start, as all that follows */
	uint64_t ambiguous, timeouts, too_large; /* refused for framing; closed; refused for size */
	uint64_t header_too_large;
	uint64_t evicted; /* connections closed because there were nearly too many */
	uint64_t blocked; /* how often a stream had to wait for its peer */
	/* WebSockets; those whose peer broke the protocol, or said too much */
	uint64_t websockets, websocket_faults;
};
void kg_http_server_stats(struct kg_http_server *s, struct kg_http_stats *out);
int kg_http_server_port(const struct kg_http_server *s);
/* Another certificate for new connections, and other CAs for their clients (only where there was
 * one from the start). On failure all is as it was. */
int kg_http_server_set_certs(struct kg_http_server *s, const char *cert_pem, const char *key_pem,
	const char *client_ca_pem, struct kg_error *err);
/* Ends every exchange. Deferred ones get 5 s to be answered: stop what answers them afterwards. */
void kg_http_server_free(struct kg_http_server *s);

/* ---- the request; texts are borrowed until `done` ---- */
const char *kg_http_method(const struct kg_http_req *req);
const char *kg_http_path(const struct kg_http_req *req); /* percent-decoded, no query */
const char *kg_http_query(const struct kg_http_req *req, const char *name); /* decoded, or NULL */
/* The i-th of its values, where it was given more than once. */
const char *kg_http_query_at(const struct kg_http_req *req, const char *name, size_t i);
/* As Kubernetes reads one: it is there and neither "0" nor "false". */
bool kg_http_query_bool(const struct kg_http_req *req, const char *name);
const char *kg_http_header(const struct kg_http_req *req, const char *name); /* or NULL */
/* Does the request come from a page of another origin than this server's? Browsers let those open
 * WebSockets, with whatever certificate or password they have for this server. */
bool kg_http_is_foreign(const struct kg_http_req *req);
/* Each header in turn, as often as it came, until fn returns false. */
void kg_http_headers(const struct kg_http_req *req,
	bool (*fn)(const char *name, const char *value, void *ctx), void *ctx);
const struct kg_buf *kg_http_body(const struct kg_http_req *req);
/* The verified client certificate's subject: CN, and the O's (NULL-terminated); NULL: none. */
const char *kg_http_peer_cn(const struct kg_http_req *req);
const char *const *kg_http_peer_orgs(const struct kg_http_req *req);
/* "sha256:<hex>" of that certificate's public key, as kg_pki_pin gives it; NULL: none. */
const char *kg_http_peer_key(const struct kg_http_req *req);
/* The common name of the CA that made it; NULL: none. */
const char *kg_http_peer_issuer(const struct kg_http_req *req);
const char *kg_http_peer_address(const struct kg_http_req *req); /* "127.0.0.1" */
/* The connection it came by: a number that no other connection of the process ever has. */
uint64_t kg_http_connection(const struct kg_http_req *req);
void kg_http_set_user(struct kg_http_req *req, void *user, void (*free_fn)(void *));
void *kg_http_user(const struct kg_http_req *req); /* per-request data of the layer above */

/* ---- the answer ---- */
/* The status that was answered, 0 where none was. In `done`. */
int kg_http_status(const struct kg_http_req *req);
/* In place of one of that name. Dropped where it holds a line break. */
void kg_http_set_header(struct kg_http_req *req, const char *name, const char *value);
/* The bytes are taken over (body becomes empty). */
void kg_http_reply(
	struct kg_http_req *req, int status, const char *content_type, struct kg_buf *body);
void kg_http_reply_text(struct kg_http_req *req, int status, const char *text);
/* The exchange waits for a reply from another thread, which must come: it also frees what the
 * request holds. Having replied, that thread must not touch the request again. */
void kg_http_defer(struct kg_http_req *req);

/*
 * A body of unknown length, pulled: read is called when the connection can take bytes; it returns
 * how many it put into buf, 0 for "none now" (kg_http_stream_wake, from any thread, asks again)
 * or -1 at the end (-2: break the connection). Headers are sent at once.
 */
void kg_http_stream(struct kg_http_req *req, int status, const char *content_type,
	ssize_t (*read)(struct kg_http_req *req, char *buf, size_t max, void *ctx), void *ctx);
/* Inside read: what it returns now is all there is, and it need not be asked before a wake. */
void kg_http_stream_dry(struct kg_http_req *req);
void kg_http_stream_wake(struct kg_http_req *req);
/* The same for many of one server, which costs less. Between the first add and the flush the
 * caller keeps their `done` from returning, as by a lock that it takes. Begin with n = 0. */
struct kg_http_wakes {
	unsigned n;
	struct kg_http_req *reqs[32];
};
void kg_http_wakes_add(struct kg_http_wakes *w, struct kg_http_req *req);
void kg_http_wakes_flush(struct kg_http_wakes *w);
void kg_http_upload_resume(struct kg_http_req *req);

/*
 * A WebSocket (RFC 6455), where a GET asks for one: a stream each of whose reads gives a message.
 * Waking, being dry, an end (closed with 1000; -2: with 1011) and a slow peer are as for a stream.
 * What the peer sends is dropped: a frame of more than max_websocket closes with 1009, more in all
 * than that, and max_websocket_rate a second, with 1008. More than 16 subprotocols are answered
 * 400.
 */
bool kg_http_is_websocket(const struct kg_http_req *req);
/* The subprotocols that it offers, NULL-terminated. */
const char *const *kg_http_websocket_offers(const struct kg_http_req *req);
enum kg_http_messages {
	KG_HTTP_TEXT, /* read gives UTF-8, whole messages of it */
	KG_HTTP_BINARY,
	KG_HTTP_BASE64 /* as text */
};
struct kg_http_websocket_options {
	const char *protocol; /* one of the offers, or NULL; copied */
	enum kg_http_messages messages;
	bool hello; /* an empty message comes first */
};
/* Of a request that asks for one: an answer, as kg_http_stream. */
void kg_http_websocket(struct kg_http_req *req, const struct kg_http_websocket_options *o,
	ssize_t (*read)(struct kg_http_req *req, char *buf, size_t max, void *ctx), void *ctx);
/* Inside read, of any stream: what it returns now is a piece of a message, whose rest comes next.
 */
void kg_http_message_goes_on(struct kg_http_req *req);

/* Breaks the exchange's connection, soon: `done` follows. Any thread, before `done` has returned.
 */
void kg_http_abort(struct kg_http_req *req);

#endif
