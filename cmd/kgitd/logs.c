/*
 * Logs. A node has no listener: a reader's request goes to it as a line on its stream, and the
 * node answers with a POST whose body is the log. The two ends meet here, in a session found by
 * its id; a small buffer between them gives back-pressure both ways.
 *
 * Locking: one lock for all sessions; neither end's stream functions are called with it held.
 */
#include "base/log.h"
#include "base/map.h"
#include "kgitd/master.h"
#include "pki/pki.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define BUFFER       (64 << 10)
#define MAX_SESSIONS 1000

struct session {
	char id[33];
	char node[254];
	struct kg_http_req *reader; /* NULL once it went away */
	struct kg_http_req *node_end;
	struct kg_buf buf;
	bool started; /* the reader is being streamed to */
	bool ended;   /* the node sent all */
	bool stalled; /* the node's upload waits for room */
	int refs;     /* of the two ends */
};

struct kgd_logs {
	struct kgd_nodes *nodes;
	pthread_mutex_t lock;
	struct kg_map sessions; /* id -> session, until the node came */
	size_t open;
};

struct kgd_logs *kgd_logs_new(struct kgd_nodes *nodes)
{
	struct kgd_logs *l = kg_alloc(sizeof(*l));

	l->nodes = nodes;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void kgd_logs_free(struct kgd_logs *l)
{
	if (!l)
		return;
	kg_map_release(&l->sessions);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* With the lock held. */
static void drop(struct kgd_logs *l, struct session *s)
{
	if (--s->refs > 0)
		return;
	if (kg_map_get(&l->sessions, s->id) == s)
		kg_map_remove(&l->sessions, s->id);
	l->open--;
	kg_buf_release(&s->buf);
	free(s);
}

/* ---- the reader's end ---- */

static ssize_t reader_read(struct kg_http_req *req, char *buf, size_t max, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;
	struct kg_http_req *resume = NULL;
	ssize_t got = 0;

	pthread_mutex_lock(&l->lock);
	if (s->buf.len) {
		got = (ssize_t)(s->buf.len < max ? s->buf.len : max);
		memcpy(buf, s->buf.data, (size_t)got);
		kg_buf_remove(&s->buf, 0, (size_t)got);
		if (s->stalled && s->node_end) {
			s->stalled = false;
			resume = s->node_end;
		}
	} else if (s->ended) {
		got = -1;
	}
	if (resume)
		kg_http_upload_resume(resume);
	pthread_mutex_unlock(&l->lock);
	return got;
}

static void add_number(struct kg_arena *a, struct kg_value *v, struct kg_http_req *req,
	const char *query, const char *key)
{
	const char *text = kg_http_query(req, query);

	if (text && *text)
		*v = kg_with_key(a, v, key, kg_v_int(strtoll(text, NULL, 10)));
}

static void request_line(struct kg_buf *out, struct kg_http_req *req, const struct session *s,
	const struct kg_object *pod)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const char *since = kg_http_query(req, "sinceTime");
	const char *container = kg_http_query(req, "container");
	struct kg_value v = kg_v_obj(&a, "id", kg_v_lit(s->id), "namespace", kg_v_lit(pod->ns),
		"pod", kg_v_lit(pod->name), "uid", kg_v_lit(kg_object_uid(pod)), "container",
		container ? kg_v_lit(container) : kg_v_null(), "follow",
		kg_v_bool(kg_http_query_bool(req, "follow")), "timestamps",
		kg_v_bool(kg_http_query_bool(req, "timestamps")), "previous",
		kg_v_bool(kg_http_query_bool(req, "previous")), "sinceTime",
		since ? kg_v_lit(since) : kg_v_null(), (char *)NULL);

	add_number(&a, &v, req, "tailLines", "tail");
	add_number(&a, &v, req, "sinceSeconds", "sinceSeconds");
	add_number(&a, &v, req, "limitBytes", "limitBytes");
	struct kg_value line = kg_v_obj(&a, "log", v, (char *)NULL);
	kg_json_write(out, &line);
	kg_buf_addc(out, '\n');
}

static int check_container(const struct kg_object *pod, const char *name, struct kg_error *err)
{
	const struct kg_value *cs = kg_at(kg_obj(pod), "spec.containers");
	const struct kg_value *inits = kg_at(kg_obj(pod), "spec.initContainers");

	if (!name || !*name) {
		if (kg_len(cs) > 1)
			return kg_fail(err, KG_E_BAD_REQUEST,
				"a container name must be specified for pod %s, it has %u of them",
				pod->name, kg_len(cs));
		return 0;
	}
	if (kg_is_null(kg_find(cs, "name", name)) && kg_is_null(kg_find(inits, "name", name)))
		return kg_fail(err, KG_E_BAD_REQUEST, "container %s is not valid for pod %s", name,
			pod->name);
	return 0;
}

static void refuse(struct kg_http_req *req, void *ctx)
{
	struct kg_error *err = ctx;

	kgd_reply_error(req, err);
	free(err);
	kgd_exchange(req)->state = NULL;
}

static void handle_reader(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;
	struct kg_buf *line = kgd_exchange(req)->state;

	kg_http_defer(req);
	pthread_mutex_lock(&l->lock);
	s->reader = req;
	pthread_mutex_unlock(&l->lock);
	bool sent = kgd_nodes_send(l->nodes, s->node, kg_buf_str(line));
	kg_buf_release(line);
	free(line);
	kgd_exchange(req)->state = NULL;
	if (!sent) {
		struct kg_error err;

		kg_fail(&err, KG_E_UNAVAILABLE,
			"node %s is not connected; its logs cannot be read now", s->node);
		kgd_reply_error(req, &err);
	}
}

static void reader_done(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;
	struct kg_buf *line = kgd_exchange(req)->state;

	if (line) {
		kg_buf_release(line);
		free(line);
	}
	pthread_mutex_lock(&l->lock);
	s->reader = NULL;
	/* An upload that waited for room goes on and is told that nobody reads. */
	if (s->stalled && s->node_end)
		kg_http_upload_resume(s->node_end);
	drop(l, s);
	pthread_mutex_unlock(&l->lock);
}

void kgd_logs_route(void *ctx, struct kg_http_req *req, const struct kg_user *user,
	const struct kg_object *pod, struct kg_http_route *route)
{
	struct kgd_master *m = ctx;
	const char *node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
	struct kg_error err;
	int rc = check_container(pod, kg_http_query(req, "container"), &err);

	(void)user;
	if (rc == 0 && !*node)
		rc = kg_fail(
			&err, KG_E_BAD_REQUEST, "pod %s does not have a host assigned", pod->name);
	pthread_mutex_lock(&m->logs->lock);
	if (rc == 0 && m->logs->open >= MAX_SESSIONS)
		rc = kg_fail(&err, KG_E_TOO_MANY, "%d logs are being read already", MAX_SESSIONS);
	if (rc < 0) {
		pthread_mutex_unlock(&m->logs->lock);
		route->ctx = kg_memdup(&err, sizeof(err));
		route->handle = refuse;
		return;
	}
	struct session *s = kg_alloc(sizeof(*s));
	kg_random_hex(s->id, 16);
	snprintf(s->node, sizeof(s->node), "%s", node);
	s->refs = 1;
	kg_map_put(&m->logs->sessions, s->id, s);
	m->logs->open++;
	pthread_mutex_unlock(&m->logs->lock);
	struct kg_buf *line = kg_alloc(sizeof(*line));
	request_line(line, req, s, pod);
	kgd_exchange(req)->state = line;
	route->handle = handle_reader;
	route->done = reader_done;
	route->ctx = s;
}

/* ---- the node's end ---- */

static void upload_open(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;
	struct kg_http_req *start = NULL, *failed = NULL;
	int code = kg_http_query(req, "code") ? atoi(kg_http_query(req, "code")) : 200;

	pthread_mutex_lock(&l->lock);
	s->node_end = req;
	if (s->reader && !s->started) {
		s->started = true;
		if (code == 200)
			start = s->reader;
		else
			failed = s->reader;
	}
	if (start)
		kg_http_stream(start, 200, "text/plain", reader_read, s);
	if (failed) {
		struct kg_error err;

		kg_fail(&err, code == 404 ? KG_E_NOT_FOUND : KG_E_BAD_REQUEST, "%s",
			kg_http_query(req, "error") ? kg_http_query(req, "error") : "no such log");
		kgd_reply_error(failed, &err);
	}
	pthread_mutex_unlock(&l->lock);
}

static bool upload_body(struct kg_http_req *req, const void *p, size_t n, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;
	bool taken = true;

	pthread_mutex_lock(&l->lock);
	if (s->reader && s->buf.len && s->buf.len + n > BUFFER) {
		s->stalled = true;
		taken = false;
	} else if (s->reader) {
		kg_buf_add(&s->buf, p, n);
		kg_http_stream_wake(s->reader);
	}
	pthread_mutex_unlock(&l->lock);
	return taken;
}

static void upload_end(struct kg_http_req *req, void *ctx)
{
	(void)ctx;
	kg_http_reply_text(req, 200, "{}\n");
}

static void upload_done(struct kg_http_req *req, void *ctx)
{
	struct session *s = ctx;
	struct kgd_logs *l = kgd_exchange(req)->master->logs;

	pthread_mutex_lock(&l->lock);
	s->ended = true;
	s->node_end = NULL;
	if (s->reader && s->started)
		kg_http_stream_wake(s->reader);
	drop(l, s);
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
	if (s && strcmp(s->node, x->node) == 0 && !s->node_end && s->reader) {
		s->refs++;
		kg_map_remove(&l->sessions, s->id);
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
	route->handle = upload_end;
	route->done = upload_done;
	route->ctx = s;
}
