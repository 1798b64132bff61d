/* The request as handlers see it, its references, and taking it out of and back into the loop. */
#include "base/mem.h"
#include "internal.h"

#include <assert.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

struct kg_http_req *kg_req_new(struct kg_http_conn *conn, const char *method)
{
	struct kg_http_req *req = kg_alloc(sizeof(*req));
	struct kg_http_server *s = conn->server;

	req->server = s;
	req->conn = conn;
	req->tls = conn->tls;
	req->method = method;
	atomic_init(&req->refs, 1);
	pthread_mutex_init(&req->lock, NULL);
	pthread_mutex_lock(&s->lock);
	req->next = s->requests;
	if (req->next)
		req->next->prev = req;
	s->requests = req;
	s->nrequests++;
	req->broken = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return req;
}

struct kg_http_req *kg_req_ref(struct kg_http_req *req)
{
	atomic_fetch_add(&req->refs, 1);
	return req;
}

void kg_req_unref(struct kg_http_req *req)
{
	if (atomic_fetch_sub(&req->refs, 1) != 1)
		return;
	kg_websocket_free(req->websocket);
	kg_target_release(&req->target);
	kg_buf_release(&req->body);
	kg_buf_release(&req->headers);
	kg_buf_release(&req->reply);
	free(req->content_type);
	pthread_mutex_destroy(&req->lock);
	free(req);
}

void kg_req_give_back_locked(struct kg_http_req *req)
{
	if (req->wait == KG_WAIT_NONE || req->wait == KG_WAIT_SENDING)
		return;
	req->wait = KG_WAIT_NONE;
	req->uncorked = false;
	kg_seal_release(&req->conn->seal, req->tls);
	MHD_resume_connection(req->conn->mhd);
}

void kg_req_resume_locked(struct kg_http_req *req)
{
	if (req->wait == KG_WAIT_STREAM && req->chunks && !req->broken) {
		if (!req->queued) {
			req->queued = true;
			kg_sender_add(
				req->server->sender, &(struct kg_http_req *){kg_req_ref(req)}, 1);
		}
		return;
	}
	kg_req_give_back_locked(req);
}

static bool has_happened(const struct kg_http_req *req, enum kg_wait what)
{
	switch (what) {
	case KG_WAIT_UPLOAD:
		return req->wake || req->kind != KG_ANSWER_NONE;
	case KG_WAIT_ANSWER:
		return req->kind != KG_ANSWER_NONE;
	case KG_WAIT_STREAM:
		return req->wake;
	case KG_WAIT_SENDING:
	case KG_WAIT_NONE:
		break;
	}
	return true;
}

bool kg_req_suspend(struct kg_http_req *req, enum kg_wait what)
{
	pthread_mutex_lock(&req->lock);
	assert(req->wait == KG_WAIT_NONE);
	bool take = !req->broken && !has_happened(req, what);
	if (take) {
		/* Both under the lock: who sees `wait` may resume. */
		MHD_suspend_connection(req->conn->mhd);
		req->wait = what;
	}
	pthread_mutex_unlock(&req->lock);
	return take;
}

void kg_req_break(struct kg_http_req *req)
{
	pthread_mutex_lock(&req->lock);
	req->broken = true;
	kg_req_resume_locked(req);
	pthread_mutex_unlock(&req->lock);
}

void kg_http_abort(struct kg_http_req *req)
{
	pthread_mutex_lock(&req->lock);
	req->broken = true;
	/* The connection outlives its exchange, which has not ended: libmicrohttpd sees the end of
	 * a connection that it waits for. */
	if (!req->ended)
		shutdown(req->conn->fd, SHUT_RDWR);
	kg_req_resume_locked(req);
	pthread_mutex_unlock(&req->lock);
}

const char *kg_http_method(const struct kg_http_req *req)
{
	return req->method;
}

const char *kg_http_path(const struct kg_http_req *req)
{
	return req->target.path;
}

const char *kg_http_query_at(const struct kg_http_req *req, const char *name, size_t i)
{
	for (size_t k = 0; k < req->target.nparams; k++)
		if (strcmp(req->target.params[k].name, name) == 0 && i-- == 0)
			return req->target.params[k].value;
	return NULL;
}

const char *kg_http_query(const struct kg_http_req *req, const char *name)
{
	return kg_http_query_at(req, name, 0);
}

bool kg_http_query_bool(const struct kg_http_req *req, const char *name)
{
	const char *v = kg_http_query(req, name);

	return v && strcmp(v, "0") != 0 && strcasecmp(v, "false") != 0;
}

const char *kg_http_header(const struct kg_http_req *req, const char *name)
{
	return MHD_lookup_connection_value(req->conn->mhd, MHD_HEADER_KIND, name);
}

bool kg_http_is_foreign(const struct kg_http_req *req)
{
	const char *origin = kg_http_header(req, "Origin"), *host = kg_http_header(req, "Host");
	static const char scheme[] = "https://";
	size_t n = host ? strlen(host) : 0;

	if (!origin)
		return false;
	if (!host || strncasecmp(origin, scheme, strlen(scheme)) != 0)
		return true;
	origin += strlen(scheme);
	if (strncasecmp(origin, host, n) != 0)
		/* A page does not name the scheme's own port. */
		return !(n > 4 && strcmp(host + n - 4, ":443") == 0 && strlen(origin) == n - 4 &&
			 strncasecmp(origin, host, n - 4) == 0);
	return origin[n] != '\0' && strcmp(origin + n, ":443") != 0;
}

struct header_visit {
	bool (*fn)(const char *name, const char *value, void *ctx);
	void *ctx;
};
static enum MHD_Result visit_header(
	void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	const struct header_visit *v = cls;

	(void)kind;
	return v->fn(name, value ? value : "", v->ctx) ? MHD_YES : MHD_NO;
}

void kg_http_headers(const struct kg_http_req *req,
	bool (*fn)(const char *name, const char *value, void *ctx), void *ctx)
{
	struct header_visit v = {fn, ctx};

	MHD_get_connection_values(req->conn->mhd, MHD_HEADER_KIND, visit_header, &v);
}

const struct kg_buf *kg_http_body(const struct kg_http_req *req)
{
	return &req->body;
}

const char *kg_http_peer_cn(const struct kg_http_req *req)
{
	return req->conn->peer.state == KG_PEER_VERIFIED ? req->conn->peer.cn : NULL;
}

const char *kg_http_peer_key(const struct kg_http_req *req)
{
	return req->conn->peer.state == KG_PEER_VERIFIED ? req->conn->peer.key : NULL;
}

const char *kg_http_peer_issuer(const struct kg_http_req *req)
{
	return req->conn->peer.state == KG_PEER_VERIFIED ? req->conn->peer.issuer : NULL;
}

const char *const *kg_http_peer_orgs(const struct kg_http_req *req)
{
	if (req->conn->peer.state != KG_PEER_VERIFIED)
		return NULL;
	return (const char *const *)req->conn->peer.orgs;
}

const char *kg_http_peer_address(const struct kg_http_req *req)
{
	return req->conn->address;
}

uint64_t kg_http_connection(const struct kg_http_req *req)
{
	return req->conn->number;
}

void kg_http_set_user(struct kg_http_req *req, void *user, void (*free_fn)(void *))
{
	if (req->user_free && req->user != user)
		req->user_free(req->user);
	req->user = user;
	req->user_free = free_fn;
}

void *kg_http_user(const struct kg_http_req *req)
{
	return req->user;
}
