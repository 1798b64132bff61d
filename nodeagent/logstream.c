#include "nodeagent/logstream.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/time.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS    500
#define STACK_SIZE ((size_t)256 << 10)
#define MAX        64

struct stream {
	struct stream *next;
	struct kg_logstreams *all;
	struct kg_arena arena; /* of the request's texts */
	const char *id;
	struct kg_log_request req;
	void *reader;
	bool refused;
	atomic_bool cancelled;
};

struct kg_logstreams {
	struct kg_logstreams_options opts;
	pthread_mutex_t lock;
	pthread_cond_t fewer;
	struct stream *streams;
	unsigned count;
};

static ssize_t read_log(void *ctx, char *buf, size_t max)
{
	struct stream *s = ctx;

	for (;;) {
		if (atomic_load(&s->cancelled))
			return -1;
		ssize_t n = s->all->opts.source.read(s->reader, buf, max, WAIT_MS);
		if (n >= 0)
			return n;
	}
}

/* Whoever reads may be gone by now, so that failing to tell is no failure of the node's. */
static void send_stream(struct stream *s)
{
	struct kg_logstreams *l = s->all;
	struct kg_http_client *client = kg_http_client_new(&l->opts.http);
	KG_AUTOBUF struct kg_buf path = KG_BUF_INIT, reply = KG_BUF_INIT;
	struct kg_error err;
	int rc = s->refused ? kg_fail(&err, KG_E_TOO_MANY, "this node serves %u logs already",
				      l->opts.max)
			    : l->opts.source.open(l->opts.source.self, &s->reader, &s->req, &err);

	kg_buf_addf(&path, "/kgit/v1/nodes/%s/streams/%s", l->opts.node, s->id);
	if (rc < 0) {
		kg_buf_addf(&path, "?code=%d&error=", kg_code_http(err.code));
		kg_buf_add_uri(&path, err.msg);
		kg_http_call(client, "POST", path.data, "text/plain", "", 0, &reply, &err);
	} else {
		kg_http_post_stream(client, path.data, "text/plain", read_log, s, &err);
		l->opts.source.close(s->reader);
	}
	kg_http_client_free(client);
}

static void *run(void *ctx)
{
	struct stream *s = ctx;
	struct kg_logstreams *l = s->all;

	send_stream(s);
	pthread_mutex_lock(&l->lock);
	for (struct stream **at = &l->streams; *at; at = &(*at)->next) {
		if (*at == s) {
			*at = s->next;
			break;
		}
	}
	l->count--;
	kg_arena_release(&s->arena);
	free(s);
	pthread_cond_signal(&l->fewer);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

static void parse(struct stream *s, const struct kg_value *v, int64_t now_ms)
{
	int64_t since = kg_int(kg_get(v, "sinceSeconds"), 0);
	kg_time at;

	s->id = kg_arena_strdup(&s->arena, kg_string(kg_get(v, "id"), ""));
	s->req = (struct kg_log_request){
		.uid = kg_arena_strdup(&s->arena, kg_string(kg_get(v, "uid"), "")),
		.container = kg_arena_strdup(&s->arena, kg_string(kg_get(v, "container"), "")),
		.follow = kg_bool(kg_get(v, "follow"), false),
		.previous = kg_bool(kg_get(v, "previous"), false),
		.timestamps = kg_bool(kg_get(v, "timestamps"), false),
		.tail = kg_int(kg_get(v, "tail"), -1),
		.limit_bytes = kg_int(kg_get(v, "limitBytes"), 0),
		.since_ms = since > 0 ? now_ms - since * 1000 : 0,
	};
	if (kg_time_parse(&at, kg_string(kg_get(v, "sinceTime"), "")) == 0)
		s->req.since_ms = at;
}

static bool is_id(const char *id)
{
	return *id && strspn(id, "0123456789abcdef") == strlen(id);
}

void kg_logstreams_start(struct kg_logstreams *l, const struct kg_value *request, int64_t now_ms)
{
	struct stream *s = kg_alloc(sizeof(*s));
	pthread_attr_t attr;
	pthread_t thread;

	s->all = l;
	parse(s, request, now_ms);
	pthread_mutex_lock(&l->lock);
	bool ok = is_id(s->id) && l->count < 2 * l->opts.max;
	s->refused = l->count >= l->opts.max;
	if (ok) {
		s->next = l->streams;
		l->streams = s;
		l->count++;
	}
	pthread_mutex_unlock(&l->lock);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (!ok) { /* not even a refusal is sent: that many are under way */
		kg_arena_release(&s->arena);
		free(s);
	} else if (pthread_create(&thread, &attr, run, s) != 0) {
		abort(); /* out of memory */
	}
	pthread_attr_destroy(&attr);
}

void kg_logstreams_cancel(struct kg_logstreams *l, const char *id)
{
	pthread_mutex_lock(&l->lock);
	for (struct stream *s = l->streams; s; s = s->next) {
		if (strcmp(s->id, id) == 0)
			atomic_store(&s->cancelled, true);
	}
	pthread_mutex_unlock(&l->lock);
}

struct kg_logstreams *kg_logstreams_new(const struct kg_logstreams_options *opts)
{
	struct kg_logstreams *l = kg_alloc(sizeof(*l));

	l->opts = *opts;
	if (!l->opts.max)
		l->opts.max = MAX;
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->fewer, NULL);
	return l;
}

void kg_logstreams_free(struct kg_logstreams *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	for (struct stream *s = l->streams; s; s = s->next)
		atomic_store(&s->cancelled, true);
	while (l->count)
		pthread_cond_wait(&l->fewer, &l->lock);
	pthread_mutex_unlock(&l->lock);
	pthread_cond_destroy(&l->fewer);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
