/* The server: its start, its end, and its connections. */
#include "server.h"

#include "base/log.h"
#include "base/mem.h"
#include "internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_WAIT_S 5
/* Beside the header. It also brings the pool above 32 KiB, from where on libmicrohttpd maps it:
 * what a closed connection had goes back to the system, and what is not touched costs nothing. */
#define REPLY_ROOM   4096
#define THREAD_STACK ((size_t)256 * 1024)

static void read_address(struct kg_http_conn *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;

	if (!sa)
		return;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
		inet_ntop(AF_INET, &in->sin_addr, conn->address, sizeof(conn->address));
		return;
	}
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
	if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		inet_ntop(
			AF_INET, &in6->sin6_addr.s6_addr[12], conn->address, sizeof(conn->address));
	else
		inet_ntop(AF_INET6, &in6->sin6_addr, conn->address, sizeof(conn->address));
}

/* Before the handshake: our credentials in place of libmicrohttpd's, and tickets. */
static void set_up_session(struct kg_http_conn *conn)
{
	struct kg_http_server *s = conn->server;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	gnutls_session_t session = info->tls_session;

	conn->tls = session;
	kg_transport_set(conn);
	pthread_mutex_lock(&s->lock);
	conn->creds = kg_creds_ref(s->creds);
	bool asks = s->client_ca_pem;
	pthread_mutex_unlock(&s->lock);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, kg_creds_get(conn->creds));
	gnutls_certificate_server_set_request(
		session, asks ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
	gnutls_session_ticket_enable_server(session, &s->ticket_key);
}

static void connection_open(struct kg_http_server *s, struct MHD_Connection *mhd, void **ctx)
{
	static atomic_uint_fast64_t connections;
	struct kg_http_conn *conn = kg_alloc(sizeof(*conn));

	atomic_fetch_add(&s->connections, 1);
	atomic_fetch_add(&s->accepted, 1);
	conn->server = s;
	conn->mhd = mhd;
	conn->number = atomic_fetch_add(&connections, 1) + 1;
	conn->fd = conn->guard.fd =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	/* Who is idle makes room before nobody can connect any more. */
	if (s->connections > s->opts.max_connections - s->opts.max_connections / 10)
		kg_guard_evict(s->guard);
	read_address(conn);
	set_up_session(conn);
	kg_guard_phase(s->guard, &conn->guard, KG_PHASE_HEADER);
	*ctx = conn;
}

static void connection_close(struct kg_http_conn *conn)
{
	atomic_fetch_sub(&conn->server->connections, 1);
	kg_guard_unwatch(conn->server->guard, &conn->guard);
	kg_guard_phase(conn->server->guard, &conn->guard, KG_PHASE_FREE);
	kg_creds_unref(conn->creds); /* the session is gone already */
	kg_peer_release(&conn->peer);
	kg_buf_release(&conn->target);
	kg_buf_release(&conn->rest);
	free(conn);
}

static void on_connection(
	void *cls, struct MHD_Connection *mhd, void **ctx, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		connection_open(cls, mhd, ctx);
	else if (*ctx)
		connection_close(*ctx);
}

/* The target as it came, before libmicrohttpd decodes it. */
static void *on_target(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct kg_http_conn *conn = info->socket_context;

	(void)cls;
	kg_buf_clear(&conn->target);
	if (uri)
		kg_buf_adds(&conn->target, uri);
	conn->target_at = uri;
	return NULL;
}

/* What libmicrohttpd refuses by itself, before there is a request, it tells its log alone. */
static void count_refused(struct kg_http_server *s, const char *text)
{
	unsigned status;

	if (sscanf(text, "Error processing request (HTTP response code is %u", &status) != 1)
		return;
	if (status == 431 || status == 414)
		atomic_fetch_add(&s->header_too_large, 1);
	else if (status == 413)
		atomic_fetch_add(&s->too_large, 1);
	else
		atomic_fetch_add(&s->ambiguous, 1);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *fmt, va_list ap)
{
	char text[300];

	int n = vsnprintf(text, sizeof(text), fmt, ap);
	while (n > 0 && (size_t)n < sizeof(text) && text[n - 1] == '\n')
		text[--n] = '\0';
	count_refused(cls, text);
	kg_debug("http: %s", text);
}

static void set_defaults(struct kg_http_server_options *o)
{
	if (!o->threads)
		o->threads = 2;
	if (!o->max_connections)
		o->max_connections = 12000;
	if (!o->header_timeout_s)
		o->header_timeout_s = 20;
	if (!o->body_timeout_s)
		o->body_timeout_s = 120;
	if (!o->idle_timeout_s)
		o->idle_timeout_s = 75;
	if (!o->close_timeout_s)
		o->close_timeout_s = 10;
	if (!o->max_body)
		o->max_body = (size_t)1 << 20;
	if (!o->max_header)
		o->max_header = 32 * 1024;
	if (!o->max_websocket)
		o->max_websocket = (size_t)1 << 20;
	if (!o->max_websocket_rate)
		o->max_websocket_rate = 4096;
	if (o->max_websocket > INT64_MAX / 2)
		o->max_websocket = INT64_MAX / 2;
	if (o->max_websocket_rate > INT64_MAX / 2)
		o->max_websocket_rate = INT64_MAX / 2;
}

/* cert and key are only there because libmicrohttpd wants some; sessions get ours. */
static int start_daemon(struct kg_http_server *s, int fd, struct kg_error *err)
{
	const struct kg_http_server_options *o = &s->opts;
	struct MHD_OptionItem items[] = {
		{MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)on_log, s},
		{MHD_OPTION_LISTEN_SOCKET, fd, NULL},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)o->cert_pem},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)o->key_pem},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)kg_tls_priorities},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)(o->max_header + REPLY_ROOM), NULL},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)o->max_connections, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)o->idle_timeout_s, NULL},
		{MHD_OPTION_THREAD_STACK_SIZE, (intptr_t)THREAD_STACK, NULL},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, s},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)kg_exchange_completed, s},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, s},
		/* Last, since it must be left out for one thread. */
		{o->threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END,
			(intptr_t)o->threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	sigset_t all, old;

	/* Its threads take no signals. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	s->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS |
					     MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
					     MHD_USE_ERROR_LOG,
		0, NULL, NULL, kg_exchange_access, s, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	/* On failure libmicrohttpd closes the socket itself. */
	return s->daemon ? 0 : kg_fail(err, KG_E_IO, "the HTTP server cannot be started");
}

static void destroy(struct kg_http_server *s)
{
	kg_guard_free(s->guard);
	kg_sender_free(s->sender);
	kg_creds_unref(s->creds);
	gnutls_free(s->ticket_key.data);
	free(s->client_ca_pem);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->answered);
	free(s);
}

static int start(struct kg_http_server *s, struct kg_error *err)
{
	const struct kg_http_server_options *o = &s->opts;
	int fd;

	int rc = kg_creds_new(&s->creds, o->cert_pem, o->key_pem, o->client_ca_pem, err);
	if (rc)
		return rc;
	if (gnutls_session_ticket_key_generate(&s->ticket_key) < 0)
		return kg_fail(err, KG_E_IO, "no random bytes for the session ticket key");
	const int64_t header_ms = (int64_t)o->header_timeout_s * 1000;
	const int64_t limits[KG_NPHASES] = {[KG_PHASE_HEADER] = header_ms,
		[KG_PHASE_IDLE] = (int64_t)o->idle_timeout_s * 1000 + header_ms,
		[KG_PHASE_BODY] = (int64_t)o->body_timeout_s * 1000,
		[KG_PHASE_CLOSING] = (int64_t)o->close_timeout_s * 1000};
	rc = kg_guard_new(&s->guard, limits, err);
	if (!rc)
		rc = kg_sender_new(&s->sender, o->threads, !o->no_io_uring, err);
	if (!rc)
		rc = kg_listen(&fd, &s->port, o->listen, err);
	if (!rc)
		rc = start_daemon(s, fd, err);
	return rc;
}

int kg_http_server_new(struct kg_http_server **out, const struct kg_http_server_options *opts,
	struct kg_error *err)
{
	struct kg_http_server *s = kg_alloc(sizeof(*s));
	pthread_condattr_t attr;

	s->opts = *opts;
	set_defaults(&s->opts);
	s->client_ca_pem = kg_strdup(opts->client_ca_pem);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->answered, &attr);
	pthread_condattr_destroy(&attr);
	int rc = start(s, err);
	if (rc) {
		destroy(s);
		return rc;
	}
	*out = s;
	return 0;
}

int kg_http_server_port(const struct kg_http_server *s)
{
	return s->port;
}

int kg_http_server_set_certs(struct kg_http_server *s, const char *cert_pem, const char *key_pem,
	const char *client_ca_pem, struct kg_error *err)
{
	struct kg_creds *new = NULL;

	int rc = kg_creds_new(&new, cert_pem, key_pem, client_ca_pem, err);
	if (rc)
		return rc;
	char *ca = kg_strdup(client_ca_pem);
	pthread_mutex_lock(&s->lock);
	struct kg_creds *old = s->creds;
	char *old_ca = s->client_ca_pem;
	s->creds = new;
	s->client_ca_pem = ca;
	pthread_mutex_unlock(&s->lock);
	kg_creds_unref(old);
	free(old_ca);
	return 0;
}

void kg_http_server_stats(struct kg_http_server *s, struct kg_http_stats *out)
{
	*out = (struct kg_http_stats){
		.connections = s->connections,
		.accepted = s->accepted,
		.requests = s->served,
		.ambiguous = s->ambiguous,
		.too_large = s->too_large,
		.header_too_large = s->header_too_large,
		.websockets = s->websockets,
		.websocket_faults = s->websocket_faults,
		.blocked = kg_sender_blocked(s->sender),
		.evicted = kg_guard_evicted(s->guard),
		.timeouts = kg_guard_expired(s->guard),
	};
}

/* True where the peer is to be told first: a sender does so, and then breaks it. */
static bool leaves_locked(struct kg_http_req *req)
{
	if (req->leaving)
		return true;
	if (!req->messages || req->broken ||
		(req->wait != KG_WAIT_STREAM && req->wait != KG_WAIT_SENDING))
		return false;
	req->leaving = req->wake = true;
	kg_req_resume_locked(req);
	return true;
}

/* Breaks every exchange, those that owe an answer only where `all`. */
static void break_all(struct kg_http_server *s, bool all)
{
	pthread_mutex_lock(&s->lock);
	unsigned n = 0;
	struct kg_http_req **reqs = kg_alloc((s->nrequests + 1) * sizeof(struct kg_http_req *));
	for (struct kg_http_req *r = s->requests; r; r = r->next)
		reqs[n++] = kg_req_ref(r);
	pthread_mutex_unlock(&s->lock);
	/* A request's lock comes before the server's. */
	for (unsigned i = 0; i < n; i++) {
		pthread_mutex_lock(&reqs[i]->lock);
		if (!reqs[i]->ended && (all || !reqs[i]->deferred) && !leaves_locked(reqs[i])) {
			reqs[i]->broken = true;
			kg_req_resume_locked(reqs[i]);
		}
		pthread_mutex_unlock(&reqs[i]->lock);
		kg_req_unref(reqs[i]);
	}
	free(reqs);
}

static void await_answers(struct kg_http_server *s)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ANSWER_WAIT_S;
	pthread_mutex_lock(&s->lock);
	while (s->deferred && pthread_cond_timedwait(&s->answered, &s->lock, &until) == 0)
		;
	pthread_mutex_unlock(&s->lock);
}

void kg_http_server_free(struct kg_http_server *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	break_all(s, false);
	await_answers(s);
	/* Nothing may be suspended when libmicrohttpd stops, and nothing that is broken suspends.
	 */
	break_all(s, true);
	kg_sender_stop(s->sender);
	MHD_stop_daemon(s->daemon);
	assert(!s->requests);
	destroy(s);
}
