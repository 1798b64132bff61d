/*
 * One exchange as libmicrohttpd drives it: the access handler is called once when the header is
 * there, for each piece of the body, and at the end until an answer was queued.
 *
 * An answer queued before the end makes libmicrohttpd close the connection; and closing while the
 * peer still sends resets it, so that the peer may never read the answer. So a refusal waits until
 * the body has passed by, and only one that is very large, or not sent yet, is cut off.
 */
#include "base/mem.h"
#include "internal.h"

#include <string.h>

#define MAX_DRAIN ((uint64_t)64 << 20)

static bool is_answered(struct kg_http_req *req)
{
	pthread_mutex_lock(&req->lock);
	bool yes = req->kind != KG_ANSWER_NONE;
	pthread_mutex_unlock(&req->lock);
	return yes;
}

static void reply_too_large(struct kg_http_req *req)
{
	atomic_fetch_add(&req->server->too_large, 1);
	kg_reply_status(req, KG_E_TOO_LARGE, "the request's body is too large");
}

static void refuse(struct kg_http_req *req, const struct kg_error *err)
{
	if (err->code == KG_E_UNAUTHORIZED)
		kg_http_set_header(req, "WWW-Authenticate", "Basic realm=\"kgit\"");
	kg_reply_status(req, err->code, err->msg);
}

static int check_peer(struct kg_http_conn *conn, struct kg_error *err)
{
	struct kg_peer *p = &conn->peer;

	if (p->state == KG_PEER_UNKNOWN) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
		kg_peer_check(p, info->tls_session);
	}
	if (p->state == KG_PEER_BAD)
		return kg_fail(err, KG_E_UNAUTHORIZED, "client certificate: %s", p->why);
	if (p->state == KG_PEER_VERIFIED && p->expires < time(NULL))
		return kg_fail(err, KG_E_UNAUTHORIZED, "client certificate: it has expired");
	return 0;
}

static int check(struct kg_http_req *req, struct kg_error *err)
{
	int rc = kg_target_parse(&req->target, kg_buf_str(&req->conn->target), err);

	if (!rc)
		rc = check_peer(req->conn, err);
	return rc ? rc : kg_websocket_ask(req, err);
}

static void route(struct kg_http_req *req)
{
	struct kg_http_server *s = req->server;

	req->routed = s->opts.router(req, &req->route, s->opts.ctx);
	if (!req->routed) {
		if (!is_answered(req))
			kg_reply_status(req, KG_E_NOT_FOUND,
				"the server could not find the requested resource");
		return;
	}
	if (req->route.max_body == 0)
		req->route.max_body = s->opts.max_body;
	if (req->route.open)
		req->route.open(req, req->route.ctx);
	if (!req->route.body && req->framing.length > req->route.max_body && !is_answered(req))
		reply_too_large(req);
}

/* Of the connection, in seconds; below 0: none. */
static void set_idle(struct kg_http_req *req, int seconds)
{
	MHD_set_connection_option(req->conn->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
		seconds < 0 ? 0u : (unsigned)seconds);
}

/* The header is there. */
static enum MHD_Result begin(struct kg_http_req *req, const char *version)
{
	struct kg_error err;
	const struct kg_framing *f = &req->framing;

	req->chunks = strcmp(version, "HTTP/1.1") == 0;
	if (kg_strict_check(&req->framing, req->conn->mhd, req->conn, req->method, version, &err)) {
		atomic_fetch_add(&req->server->ambiguous, 1);
		refuse(req, &err);
		return kg_answer_queue(req); /* what follows is not to be read as anything */
	}
	if (check(req, &err))
		refuse(req, &err);
	else
		route(req);
	bool body = f->chunked || f->length > 0;
	if (body && req->route.body && req->route.upload_idle_s)
		set_idle(req, req->route.upload_idle_s);
	bool answered = is_answered(req);
	if (answered && body && (f->expects_continue || f->length > MAX_DRAIN))
		return kg_answer_queue(req);
	kg_guard_phase(req->server->guard, &req->conn->guard,
		body && (answered || !req->route.body) ? KG_PHASE_BODY : KG_PHASE_FREE);
	return MHD_YES;
}

static void collect(struct kg_http_req *req, const char *data, size_t n)
{
	if (req->body.len + n > req->route.max_body) {
		kg_buf_release(&req->body);
		reply_too_large(req);
		return;
	}
	kg_buf_add(&req->body, data, n);
}

/* A piece of the body; *size becomes 0 where it was used. */
static enum MHD_Result piece(struct kg_http_req *req, const char *data, size_t *size)
{
	for (;;) {
		pthread_mutex_lock(&req->lock);
		bool broken = req->broken, answered = req->kind != KG_ANSWER_NONE;
		req->wake = false;
		pthread_mutex_unlock(&req->lock);
		if (broken)
			return MHD_NO;
		if (answered) {
			/* The answer can only be queued at the end of the body. */
			req->drained += *size;
			*size = 0;
			return req->drained > MAX_DRAIN ? MHD_NO : MHD_YES;
		}
		if (!req->route.body) {
			collect(req, data, *size);
			*size = 0;
			return MHD_YES;
		}
		if (req->route.body(req, data, *size, req->route.ctx)) {
			*size = 0;
			return MHD_YES;
		}
		if (kg_req_suspend(req, KG_WAIT_UPLOAD))
			return MHD_YES; /* it comes again with the same piece */
	}
}

/* The whole request is there; called again after each resume until the answer is queued. */
static enum MHD_Result finish(struct kg_http_req *req)
{
	if (!req->handled && !is_answered(req)) {
		req->handled = true;
		kg_guard_phase(req->server->guard, &req->conn->guard, KG_PHASE_FREE);
		req->route.handle(req, req->route.ctx);
	}
	pthread_mutex_lock(&req->lock);
	bool answered = req->kind != KG_ANSWER_NONE, owed = req->deferred;
	pthread_mutex_unlock(&req->lock);
	if (!answered && !owed)
		kg_reply_status(req, KG_E_CORRUPT, "the handler gave no answer");
	else if (!answered && kg_req_suspend(req, KG_WAIT_ANSWER))
		return MHD_YES;
	return is_answered(req) ? kg_answer_queue(req) : MHD_NO;
}

enum MHD_Result kg_exchange_access(void *cls, struct MHD_Connection *mhd, const char *url,
	const char *method, const char *version, const char *data, size_t *size, void **con_cls)
{
	struct kg_http_req *req = *con_cls;

	(void)cls;
	(void)url; /* decoded by libmicrohttpd; ours is decoded strictly */
	if (!req) {
		const union MHD_ConnectionInfo *info =
			MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
		req = kg_req_new(info->socket_context, method);
		atomic_fetch_add(&req->server->served, 1);
		*con_cls = req;
		return req->broken ? MHD_NO : begin(req, version);
	}
	return *size ? piece(req, data, size) : finish(req);
}

static void forget(struct kg_http_server *s, struct kg_http_req *req)
{
	pthread_mutex_lock(&s->lock);
	if (req->prev)
		req->prev->next = req->next;
	else
		s->requests = req->next;
	if (req->next)
		req->next->prev = req->prev;
	s->nrequests--;
	pthread_mutex_unlock(&s->lock);
}

void kg_exchange_completed(
	void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why)
{
	struct kg_http_server *s = cls;
	struct kg_http_req *req = *con_cls;

	(void)mhd;
	(void)why;
	if (!req)
		return;
	*con_cls = NULL;
	kg_answer_flush(req->conn);
	kg_guard_unwatch(s->guard, &req->conn->guard);
	kg_guard_phase(s->guard, &req->conn->guard, KG_PHASE_IDLE);
	if (req->routed && req->route.body && req->route.upload_idle_s)
		set_idle(req, (int)s->opts.idle_timeout_s);
	if (req->routed && req->route.done)
		req->route.done(req, req->route.ctx);
	pthread_mutex_lock(&req->lock);
	req->ended = true;
	pthread_mutex_unlock(&req->lock);
	if (req->user_free)
		req->user_free(req->user);
	forget(s, req);
	kg_req_unref(req);
}
