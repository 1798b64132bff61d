/*
 * What the server's files share: a server has connections (one per TLS connection, made and freed
 * by libmicrohttpd's notifications on its thread), a connection has at most one request.
 *
 * Locks, in the order in which they nest: guard, request, then server or sender. User callbacks
 * (route.*, read) run without any of them.
 */
#ifndef KG_HTTP_INTERNAL_H
#define KG_HTTP_INTERNAL_H

#include "base/buf.h"
#include "frame.h"
#include "guard.h"
#include "server.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

struct kg_http_req;

/* ---- tls.c: credentials, counted because connections outlive a reload ---- */
struct kg_creds;
int kg_creds_new(struct kg_creds **out, const char *cert_pem, const char *key_pem,
	const char *client_ca_pem, struct kg_error *err);
struct kg_creds *kg_creds_ref(struct kg_creds *c);
void kg_creds_unref(struct kg_creds *c);
gnutls_certificate_credentials_t kg_creds_get(const struct kg_creds *c);
extern const char kg_tls_priorities[];

/* Who is at the other end by its certificate; settled at the connection's first request. */
enum kg_peer_state { KG_PEER_UNKNOWN, KG_PEER_NONE, KG_PEER_VERIFIED, KG_PEER_BAD };
struct kg_peer {
	enum kg_peer_state state;
	char *cn;
	char *orgs[17]; /* NULL-terminated */
	char key[72];   /* "sha256:<hex>" of the public key */
	char *issuer;   /* its common name; NULL: it has none */
	time_t expires;
	char why[200]; /* for KG_PEER_BAD */
};
void kg_peer_check(struct kg_peer *p, gnutls_session_t session);
void kg_peer_release(struct kg_peer *p);

/* ---- listen.c ---- */
/* "127.0.0.1:6443", "[::]:0", ":6443" (all addresses): a listening socket, and its port. */
int kg_listen(int *listening, int *port, const char *address, struct kg_error *err);

struct kg_http_server {
	struct kg_http_server_options opts; /* its texts are not used after the start */
	struct MHD_Daemon *daemon;
	int port;
	gnutls_datum_t ticket_key;
	char *client_ca_pem;
	struct kg_guard *guard;
	struct kg_sender *sender;

	pthread_mutex_t lock;
	pthread_cond_t answered; /* deferred fell to zero */
	struct kg_creds *creds;
	struct kg_http_req *requests; /* a list */
	unsigned nrequests, deferred;
	bool stopping; /* new requests are born broken */
	_Atomic unsigned connections;
	_Atomic uint64_t accepted, served, ambiguous, too_large, header_too_large, websockets,
		websocket_faults;
};

/* ---- seal.c: a TLS session's writing direction, taken over from GnuTLS; of who has the stream,
 * or the session ---- */
struct kg_outbox;
struct kg_seal {
	gnutls_aead_cipher_hd_t aead; /* NULL: it is GnuTLS's */
	uint64_t sequence;            /* of the next record */
	unsigned char iv[12];
	size_t max; /* the longest record that GnuTLS has written since the last release */
};
/* One record, or several, into the outbox, which is also where the session puts what it would send.
 * p[n] is overwritten. False: the stream is broken. */
bool kg_seal_write(
	struct kg_seal *s, gnutls_session_t tls, struct kg_outbox *outbox, char *p, size_t n);
/* The direction is GnuTLS's again; also where it is already. */
void kg_seal_release(struct kg_seal *s, gnutls_session_t tls);
/* By GnuTLS, whose the direction is: in one record, or in several where the peer has negotiated
 * smaller ones; *longest, where it is not NULL, grows to the longest. False: it is broken. */
bool kg_tls_write(gnutls_session_t tls, const char *p, size_t n, size_t *longest);

struct kg_http_conn {
	gnutls_session_t tls;
	/* Of who has the stream: where TLS puts what it would send (else the socket), and what the
	 * socket did not take, which goes before all else. */
	struct kg_outbox *outbox;
	struct kg_buf rest;
	struct kg_seal seal; /* likewise */
	int fd;
	bool gathering; /* an answer's header and body, for one record; see answer.c */
	bool dry;       /* there was nothing in the socket when it was read last */
	uint16_t ahead_at, ahead_len;
	size_t gather_max; /* so much of that fits; 0: not known yet */
	struct kg_http_server *server;
	struct MHD_Connection *mhd;
	struct kg_creds *creds;
	uint64_t number; /* kg_http_connection */
	char address[INET6_ADDRSTRLEN];
	struct kg_buf target;  /* of the request being read, as it came */
	const char *target_at; /* where it lies in libmicrohttpd's buffer */
	struct kg_peer peer;
	struct kg_guard_entry guard;
	char ahead[512]; /* what was received and TLS has not taken yet */
};

/* ---- transport.c: the connection's socket and TLS session are there ---- */
void kg_transport_set(struct kg_http_conn *conn);

/* ---- outbox.c: bytes for many sockets, sent at once; of one thread ---- */
#define KG_OUTBOX_MAX 64
struct kg_outbox;
struct kg_parcel {
	int fd;
	size_t at, len;
	ssize_t sent; /* how much of it the socket took, or a negative errno */
};
/* By io_uring where it is wanted and there. Never fails. */
struct kg_outbox *kg_outbox_new(bool io_uring);
void kg_outbox_free(struct kg_outbox *o);
/* No more parcels, please, before what is there was sent. */
bool kg_outbox_is_full(const struct kg_outbox *o);
/* Another parcel: what is added, of any size, belongs to the last one. */
void kg_outbox_begin(struct kg_outbox *o, int fd);
void kg_outbox_add(struct kg_outbox *o, const void *p, size_t n);
/* The same, to be filled in before anything else is added. */
char *kg_outbox_extend(struct kg_outbox *o, size_t n);
void kg_outbox_empty(struct kg_outbox *o); /* the last one */
/* Tries to send each once, without waiting; what became of them, in their order (of an empty one
 * nothing was sent). They stay until they are cleared. */
const struct kg_parcel *kg_outbox_send(struct kg_outbox *o);
/* What the parcel had to send: borrowed until anything is added, or all are cleared. */
const char *kg_outbox_bytes(const struct kg_outbox *o, const struct kg_parcel *p);
void kg_outbox_clear(struct kg_outbox *o);

/* ---- target.c: the request target, decoded ---- */
struct kg_param {
	const char *name, *value;
};
struct kg_target {
	char *text; /* holds all that follows */
	const char *path;
	struct kg_param *params;
	size_t nparams;
};
/* KG_E_BAD_REQUEST for what could be read in two ways: bad escapes, NUL, "%2F", dot segments. */
int kg_target_parse(struct kg_target *t, const char *raw, struct kg_error *err);
void kg_target_release(struct kg_target *t);

/* ---- strict.c: is the framing of this request beyond doubt? ---- */
bool kg_http_is_token(const char *s, size_t n); /* RFC 9110 */
struct kg_framing {
	uint64_t length; /* Content-Length, 0 where absent */
	bool chunked, expects_continue;
};
int kg_strict_check(struct kg_framing *out, struct MHD_Connection *mhd,
	const struct kg_http_conn *conn, const char *method, const char *version,
	struct kg_error *err);

/* Why a request was taken out of libmicrohttpd's loop. */
enum kg_wait { KG_WAIT_NONE, KG_WAIT_UPLOAD, KG_WAIT_ANSWER, KG_WAIT_STREAM, KG_WAIT_SENDING };
enum kg_answer_kind { KG_ANSWER_NONE, KG_ANSWER_REPLY, KG_ANSWER_STREAM };

struct kg_http_req {
	/* First what a wake and a sender look at, side by side: a thousand streams wake at once,
	 * and then this is not in the cache. */
	atomic_uint refs; /* the exchange, a deferral, calls under way */
	bool chunks;      /* its client knows them: HTTP/1.1 */
	bool messages;    /* over a WebSocket, in place of chunks */
	pthread_mutex_t lock;
	/* Under the lock. */
	enum kg_wait wait; /* not NONE: suspended by us; who sets it back resumes */
	bool deferred;     /* an answer is owed by another thread, which holds a reference */
	bool wake;         /* stream_wake or upload_resume since the callback was last entered */
	bool broken;       /* the peer is gone or the server stops: end it */
	bool leaving;      /* a WebSocket, and the server stops: after another turn it is broken */
	bool ended;        /* done was called */
	bool queued;       /* for the senders */
	bool uncorked;     /* by the sender, since it was libmicrohttpd's */
	ssize_t (*read)(struct kg_http_req *req, char *buf, size_t max, void *ctx);
	void *read_ctx;
	struct kg_http_conn *conn;
	gnutls_session_t tls; /* the connection's */
	/* Of who has the stream. */
	bool dry; /* see kg_http_stream_dry */
	struct kg_http_server *server;

	/* Under the lock, too. */
	enum kg_answer_kind kind;
	int status;
	char *content_type;
	struct kg_buf headers; /* "name\0value\0"... */
	struct kg_buf reply;
	ssize_t end; /* what read returned at the end of a stream that a sender had */

	struct kg_http_req *prev, *next; /* server->requests */

	/* Of libmicrohttpd's thread alone. */
	const char *method; /* borrowed from libmicrohttpd until the end */
	struct kg_target target;
	struct kg_framing framing;
	struct kg_http_route route;
	bool routed, handled;
	struct kg_buf body;
	uint64_t drained;               /* bytes of a body that nobody wants */
	struct kg_websocket *websocket; /* it asks for one; NULL: it does not */
	void *user;
	void (*user_free)(void *);
};

/* ---- request.c ---- */
struct kg_http_req *kg_req_new(struct kg_http_conn *conn, const char *method);
struct kg_http_req *kg_req_ref(struct kg_http_req *req);
void kg_req_unref(struct kg_http_req *req);
/* Ends the exchange as soon as libmicrohttpd's thread sees it. Any thread. */
void kg_req_break(struct kg_http_req *req);
/* With req->lock held: goes on, where it was taken out of libmicrohttpd's loop: back into it, or
 * by a sender. */
void kg_req_resume_locked(struct kg_http_req *req);
/* With req->lock held: back into libmicrohttpd's loop, where it was taken out. A sender that has
 * it does so itself, when it is done. */
void kg_req_give_back_locked(struct kg_http_req *req);
/* Takes it out of the loop; false where what is waited for has happened meanwhile. */
bool kg_req_suspend(struct kg_http_req *req, enum kg_wait what);

/* ---- sender.c: threads that send what sleeping streams have to say ---- */
struct kg_sender;
int kg_sender_new(struct kg_sender **out, unsigned threads, bool io_uring, struct kg_error *err);
/* Every stream was given back, or is by the time it returns; what is added later is not sent. */
void kg_sender_stop(struct kg_sender *s);
void kg_sender_free(struct kg_sender *s);
/* They are marked as queued; their references are taken over. */
void kg_sender_add(struct kg_sender *s, struct kg_http_req *const *reqs, size_t n);
uint64_t kg_sender_blocked(const struct kg_sender *s); /* how often a peer took no more */

/* ---- answer.c ---- */
/* Hands the answer to libmicrohttpd; on its thread, inside the access handler. */
enum MHD_Result kg_answer_queue(struct kg_http_req *req);
/* libmicrohttpd has sent all of it: what was gathered goes out. */
void kg_answer_flush(struct kg_http_conn *conn);
/* Small records are not to wait for more: libmicrohttpd may have corked the socket. */
void kg_uncork(const struct kg_http_conn *conn);

/* ---- websocket.c ---- */
struct kg_websocket;
/* The header is there: does it ask for a WebSocket? KG_E_BAD_REQUEST where it cannot be. */
int kg_websocket_ask(struct kg_http_req *req, struct kg_error *err);
void kg_websocket_free(struct kg_websocket *ws);
/* As kg_answer_queue, of a request with `messages`. */
enum MHD_Result kg_websocket_queue(struct kg_http_req *req);
/* A sender's turn: reads what the peer said, and writes what it is told; buf has `size` bytes, a
 * record. leaving: it is the last one, in which the peer is told so. *more: it wants another turn
 * at once. *end: it is over. False: the peer is gone. */
bool kg_websocket_turn(
	struct kg_http_req *req, bool leaving, char *buf, size_t size, bool *more, ssize_t *end);

/* ---- exchange.c: libmicrohttpd's callbacks ---- */
enum MHD_Result kg_exchange_access(void *cls, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **con_cls);
void kg_exchange_completed(
	void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why);

/* ---- status.c ---- */
/* Replies Kubernetes' Status. */
void kg_reply_status(struct kg_http_req *req, enum kg_code code, const char *message);

#endif
