/*
 * Logs. A node has no listener: a reader's request goes to it as a line on its stream, and the
 * node answers with a POST whose body is the log. The two ends meet here, in a session found by
 * its id; a small buffer between them gives back-pressure both ways.
 *
 * Locking: one lock for all sessions, taken before the requests' own and the nodes'. An end that is
 * set in a session is alive: its `done` takes the lock to clear it.
 */
#include "auth/subprotocol.h"
#include "base/log.h"
#include "base/map.h"
#include "kgitd/log_query.h"
#include "kgitd/master.h"
#include "pki/pki.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BUFFER       (64 << 10)
#define MAX_SESSIONS 1000
#define WAIT_MS      15000 /* for the node to come with the log */
#define LOOK_MS      1000

struct session {
	struct kgd_logs *logs;
	char id[33];
	char node[254];
	struct kg_buf line;         /* what is asked of the node */
	struct kg_http_req *reader; /* NULL before it waits, and once it went away */
	struct kg_http_req *node_end;
	int64_t deadline; /* monotonic, of the node's coming */
	struct kg_buf buf;
	bool asked;    /* the node was */
	bool claimed;  /* the node has come */
	bool answered; /* the reader: it is being streamed to, or was told why not */
	bool ended;    /* the node's end is done */
	bool complete; /* after it sent all */
	bool stalled;  /* the node's upload waits for room */
	int refs;      /* of the two ends */
};

struct kgd_logs {
	struct kgd_nodes *nodes;
	struct kg_loop *loop;
	struct kg_timer *timer; /* the loop's */
	bool armed;             /* the loop's */
	pthread_mutex_t lock;
	struct kg_map sessions; /* id -> session */
	bool stopping;
};

/* With the lock held. */
static void drop(struct session *s)
{
	if (--s->refs > 0)
		return;
	kg_map_remove(&s->logs->sessions, s->id);
	kg_buf_release(&s->line);
	kg_buf_release(&s->buf);
	free(s);
}

/* With the lock held: the reader, which waits, is told why it waits no longer. */
static void fail_reader(struct session *s, enum kg_code code, const char *why)
{
	struct kg_error err;

	s->answered = true;
	kg_fail(&err, code, "%s", why);
	kgd_reply_error(s->reader, &err);
}

/* ---- readers whose node does not come ---- */

static bool is_waiting(const struct session *s)
{
	return s->reader && !s->answered;
}

static void check_waiting(void *ctx)
{
	struct kgd_logs *l = ctx;
	int64_t now = kg_monotonic_ms();
	struct kg_map_entry *e;
	bool more = false;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; (e = kg_map_next(&l->sessions, &i));) {
		struct session *s = e->value;

		if (is_waiting(s) && s->deadline <= now)
			fail_reader(s, KG_E_TIMEOUT, "the node did not send the log in time");
		more |= is_waiting(s);
	}
	pthread_mutex_unlock(&l->lock);
	l->armed = more;
	if (more)
		kg_timer_set(l->timer, LOOK_MS);
}

static void arm(void *ctx)
{
	struct kgd_logs *l = ctx;

	if (!l->armed)
		kg_timer_set(l->timer, LOOK_MS);
	l->armed = true;
}

struct kgd_logs *kgd_logs_new(struct kg_loop *loop, struct kgd_nodes *nodes)
{
	struct kgd_logs *l = kg_alloc(sizeof(*l));

	l->nodes = nodes;
	l->loop = loop;
	l->timer = kg_timer_new(loop, check_waiting, l);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void kgd_logs_stop(struct kgd_logs *l)
{
	struct kg_map_entry *e;

	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	for (size_t i = 0; (e = kg_map_next(&l->sessions, &i));)
		if (is_waiting(e->value))
			fail_reader(e->value, KG_E_UNAVAILABLE, "kgitd is stopping; try again");
	pthread_mutex_unlock(&l->lock);
}

void kgd_logs_free(struct kgd_logs *l)
{
	if (!l)
		return;
	kg_timer_free(l->timer);
	kg_map_release(&l->sessions);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- the reader's end ---- */

static ssize_t reader_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = s->logs;
	ssize_t got = 0;

	(void)req;
	pthread_mutex_lock(&l->lock);
	if (s->buf.len) {
		got = (ssize_t)(s->buf.len < max ? s->buf.len : max);
		memcpy(buf, s->buf.data, (size_t)got);
		kg_buf_remove(&s->buf, 0, (size_t)got);
		if (s->stalled && s->node_end)
			kg_http_upload_resume(s->node_end);
		s->stalled = false;
	} else if (s->ended) {
		/* A log that was cut off must not look whole. */
		got = s->complete ? -1 : -2;
	}
	pthread_mutex_unlock(&l->lock);
	return got;
}

/* How a WebSocket's messages are, by the first of its subprotocols that is known here: as
 * k8s.io/apimachinery's wsstream has it. */
static int choose_messages(
	struct kg_http_websocket_options *out, const struct kg_http_req *req, struct kg_error *err)
{
	const char *const *offer = kg_http_websocket_offers(req);
	bool any = kg_subprotocol_plain(offer);

	*out = (struct kg_http_websocket_options){.messages = KG_HTTP_BINARY, .hello = true};
	for (; *offer; offer++) {
		bool base64 = strcmp(*offer, "base64.binary.k8s.io") == 0;

		if (!base64 && strcmp(*offer, "binary.k8s.io") != 0)
			continue;
		out->protocol = *offer;
		out->messages = base64 ? KG_HTTP_BASE64 : KG_HTTP_BINARY;
		return 0;
	}
	return any ? kg_fail(err, KG_E_BAD_REQUEST,
			     "the subprotocols of a log are binary.k8s.io and "
			     "base64.binary.k8s.io, "
			     "or none")
		   : 0;
}

static void stream_to(struct kg_http_req *req, struct session *s)
{
	struct kg_http_websocket_options o;
	struct kg_error err;

	/* What it offers was looked at before the node was asked. */
	if (kg_http_is_websocket(req) && choose_messages(&o, req, &err) == 0)
		kg_http_websocket(req, &o, reader_read, s);
	else
		kg_http_stream(req, 200, "text/plain", reader_read, s);
}

static void refuse(struct kg_http_req *req, void *ctx)
{
	kgd_reply_error(req, ctx);
}

static void refuse_done(struct kg_http_req *req, void *ctx)
{
	(void)req;
	free(ctx);
}

static void handle_reader(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = s->logs;
	struct kg_buf why KG_AUTOBUF = KG_BUF_INIT;

	kg_http_defer(req);
	pthread_mutex_lock(&l->lock);
	s->reader = req;
	s->deadline = kg_monotonic_ms() + WAIT_MS;
	s->asked = kgd_nodes_send(l->nodes, s->node, kg_buf_str(&s->line));
	if (!s->asked) {
		kg_buf_addf(&why, "node %s is not connected; its logs cannot be read now", s->node);
		fail_reader(s, KG_E_UNAVAILABLE, kg_buf_str(&why));
	} else if (l->stopping) {
		fail_reader(s, KG_E_UNAVAILABLE, "kgitd is stopping; try again");
	}
	pthread_mutex_unlock(&l->lock);
	kg_loop_post(l->loop, arm, l);
}

/* The node need not go on: it may sleep over a log that is followed, and its connection is cut. */
static void reader_done(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = s->logs;
	char line[80];

	(void)req;
	pthread_mutex_lock(&l->lock);
	s->reader = NULL;
	if (s->asked && !s->ended) {
		snprintf(line, sizeof(line), "{\"logEnd\":\"%s\"}\n", s->id);
		kgd_nodes_send(l->nodes, s->node, line);
	}
	if (s->node_end && !s->complete)
		kg_http_abort(s->node_end);
	drop(s);
	pthread_mutex_unlock(&l->lock);
}

/* With the lock held. */
static struct session *make_session(struct kgd_logs *l, const char *node)
{
	struct session *s = kg_alloc(sizeof(*s));

	s->logs = l;
	kg_random_hex(s->id, 16);
	snprintf(s->node, sizeof(s->node), "%s", node);
	s->refs = 1;
	kg_map_put(&l->sessions, s->id, s);
	return s;
}

void kgd_logs_route(void *ctx, struct kg_http_req *req, const struct kg_user *user,
	const struct kg_object *pod, struct kg_http_route *route)
{
	struct kgd_logs *l = ((struct kgd_master *)ctx)->logs;
	const char *node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
	struct kg_error err;
	struct kg_http_websocket_options o;
	int rc = kgd_log_check(req, pod, &err);

	(void)user;
	if (rc == 0)
		rc = choose_messages(&o, req, &err);
	pthread_mutex_lock(&l->lock);
	if (rc == 0 && l->sessions.count >= MAX_SESSIONS)
		rc = kg_fail(&err, KG_E_TOO_MANY, "%d logs are being read already", MAX_SESSIONS);
	struct session *s = rc == 0 ? make_session(l, node) : NULL;
	pthread_mutex_unlock(&l->lock);
	if (!s) {
		route->ctx = kg_memdup(&err, sizeof(err));
		route->handle = refuse;
		route->done = refuse_done;
		return;
	}
	kgd_log_line(&s->line, req, s->id, pod);
	route->handle = handle_reader;
	route->done = reader_done;
	route->ctx = s;
}

/* ---- the node's end ---- */

static enum kg_code code_of(int http)
{
	switch (http) {
	case 400:
	case 422:
		return KG_E_BAD_REQUEST;
	case 404:
		return KG_E_NOT_FOUND;
	case 503:
		return KG_E_UNAVAILABLE;
	default:
		return KG_E_IO;
	}
}

static void upload_open(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	const char *code = kg_http_query(req, "code"), *why = kg_http_query(req, "error");

	pthread_mutex_lock(&s->logs->lock);
	s->node_end = req;
	if (is_waiting(s) && (!code || strcmp(code, "200") == 0)) {
		s->answered = true;
		stream_to(s->reader, s);
	} else if (is_waiting(s)) {
		fail_reader(s, code_of(atoi(code)), why && *why ? why : "no such log");
	}
	pthread_mutex_unlock(&s->logs->lock);
}

static bool upload_body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	struct session *s = ctx;
	bool taken = true;

	(void)req;
	pthread_mutex_lock(&s->logs->lock);
	if (s->reader && s->buf.len && s->buf.len + n > BUFFER) {
		s->stalled = true;
		taken = false;
	} else if (s->reader) {
		kg_buf_add(&s->buf, p, n);
		kg_http_stream_wake(s->reader);
	}
	pthread_mutex_unlock(&s->logs->lock);
	return taken;
}

static void upload_end(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;

	pthread_mutex_lock(&s->logs->lock);
	s->complete = true;
	pthread_mutex_unlock(&s->logs->lock);
	kg_http_reply_text(req, 200, "{}\n");
}

static void upload_done(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = s->logs;

	(void)req;
	pthread_mutex_lock(&l->lock);
	s->ended = true;
	s->node_end = NULL;
	if (s->reader && s->answered)
		kg_http_stream_wake(s->reader);
	drop(s);
	pthread_mutex_unlock(&l->lock);
}

static void no_session(struct kg_http_req *req, void *ctx)
{
	struct kg_error err;

	(void)ctx;
	kg_fail(&err, KG_E_NOT_FOUND, "nobody waits for stream %s any more", kgd_exchange(req)->id);
	kgd_reply_error(req, &err);
}

void kgd_logs_upload_route(struct kg_http_req *req, struct kg_http_route *route)
{
	struct kgd_exchange *x = kgd_exchange(req);
	struct kgd_logs *l = x->master->logs;

	pthread_mutex_lock(&l->lock);
	struct session *s = kg_map_get(&l->sessions, x->id);
	if (s && strcmp(s->node, x->node) == 0 && !s->claimed && is_waiting(s)) {
		s->refs++;
		s->claimed = true;
	} else {
		s = NULL;
	}
	pthread_mutex_unlock(&l->lock);
	if (!s) {
		route->open = no_session;
		return;
	}
	route->open = upload_open;
	route->body = upload_body;
	route->upload_idle_s = -1; /* a log that is followed may be silent for days */
	route->handle = upload_end;
	route->done = upload_done;
	route->ctx = s;
}
