#include "nodeagent/follow.h"
#include "base/mem.h"
#include "nodeagent/httpthread.h"
#include "sys/loop.h"
#include "value/json.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#define RETRY_MS     50
#define RETRY_MAX_MS 3000
#define GOOD_MS      5000 /* a stream that lived that long was a good one */
#define MAX_LINE     ((size_t)1 << 20)

struct kg_follower {
	struct kg_follower_options opts;
	struct kg_http_client *client;
	pthread_t thread;
	/* the thread's own */
	struct kg_buf line;
	bool ever, failing;
	int64_t retry_ms;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
};

static bool stopped(struct kg_follower *f)
{
	pthread_mutex_lock(&f->lock);
	bool stop = f->stop;
	pthread_mutex_unlock(&f->lock);
	return stop;
}

static void on_line(struct kg_follower *f, const char *text, size_t n)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_value *log;
	struct kg_value v;
	struct kg_error err;

	if (kg_json_parse(&v, &arena, text, n, &err) < 0) {
		kg_wrap(&err, "a line of the master's stream");
		f->opts.state(f->opts.ctx, &err);
		return;
	}
	const char *commit = kg_string(kg_get(&v, "view"), NULL);
	const char *ended = kg_string(kg_get(&v, "logEnd"), NULL);
	if (commit)
		f->opts.view(f->opts.ctx, commit);
	log = kg_get(&v, "log");
	if (!kg_is_null(log))
		f->opts.log(f->opts.ctx, log);
	if (ended)
		f->opts.log_end(f->opts.ctx, ended);
}

static bool on_data(void *ctx, const char *p, size_t n)
{
	struct kg_follower *f = ctx;
	const char *nl;

	while ((nl = memchr(p, '\n', n))) {
		size_t len = (size_t)(nl - p);

		if (f->line.len) {
			kg_buf_add(&f->line, p, len);
			on_line(f, f->line.data, f->line.len);
			kg_buf_clear(&f->line);
		} else if (len) {
			on_line(f, p, len);
		}
		p += len + 1;
		n -= len + 1;
	}
	kg_buf_add(&f->line, p, n);
	return f->line.len <= MAX_LINE && !stopped(f);
}

static int do_register(struct kg_follower *f, struct kg_error *err)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s/register", f->opts.node);
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT, reply = KG_BUF_INIT;
	struct kg_value v = f->opts.registration(f->opts.ctx, &arena);

	kg_json_write(&body, &v);
	int rc = kg_http_call(
		f->client, "POST", path, "application/json", body.data, body.len, &reply, err);
	return rc < 0 ? kg_wrap(err, "register") : 0;
}

static int follow(struct kg_follower *f, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s/watch", f->opts.node);
	int rc = do_register(f, err);

	if (rc < 0)
		return rc;
	if (f->failing)
		f->opts.state(f->opts.ctx, NULL);
	f->failing = false;
	f->opts.registered(f->opts.ctx, f->ever);
	f->ever = true;
	kg_buf_clear(&f->line);
	rc = kg_http_get_stream(f->client, path, f->opts.idle_ms, on_data, f, err);
	return rc < 0 ? kg_wrap(err, "watch") : kg_fail(err, KG_E_UNAVAILABLE, "the stream ended");
}

static void pause_ms(struct kg_follower *f, int64_t ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += ms % 1000 * 1000000;
	at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&f->lock);
	while (!f->stop && pthread_cond_timedwait(&f->changed, &f->lock, &at) == 0)
		;
	pthread_mutex_unlock(&f->lock);
}

static void *run(void *ctx)
{
	struct kg_follower *f = ctx;

	while (!stopped(f)) {
		int64_t began = kg_monotonic_ms();
		struct kg_error err;

		follow(f, &err);
		if (stopped(f))
			break;
		if (!f->failing)
			f->opts.state(f->opts.ctx, &err);
		f->failing = true;
		if (kg_monotonic_ms() - began > GOOD_MS)
			f->retry_ms = RETRY_MS;
		pause_ms(f, f->retry_ms);
		f->retry_ms = f->retry_ms * 2 < RETRY_MAX_MS ? f->retry_ms * 2 : RETRY_MAX_MS;
	}
	return NULL;
}

struct kg_follower *kg_follower_new(const struct kg_follower_options *opts)
{
	struct kg_follower *f = kg_alloc(sizeof(*f));
	pthread_condattr_t attr;

	f->opts = *opts;
	f->retry_ms = RETRY_MS;
	f->client = kg_http_client_new(&opts->http);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&f->thread, NULL, run, f) != 0)
		abort(); /* out of memory */
	return f;
}

void kg_follower_restart(struct kg_follower *f)
{
	kg_http_client_abort(f->client);
}

void kg_follower_free(struct kg_follower *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	pthread_cond_signal(&f->changed);
	pthread_mutex_unlock(&f->lock);
	kg_end_http_thread(f->thread, f->client);
	kg_http_client_free(f->client);
	kg_buf_release(&f->line);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}
