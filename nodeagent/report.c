#include "nodeagent/report.h"
#include "base/map.h"
#include "base/mem.h"
#include "nodeagent/httpthread.h"
#include "sys/loop.h"
#include "value/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LEASE_MS     10000
#define RETRY_MS     200
#define RETRY_MAX_MS 5000
#define MAX_PODS     1000 /* of one request */

struct kg_reporter {
	struct kg_reporter_options opts;
	struct kg_http_client *client;
	pthread_t thread;
	bool failing; /* the thread's own */
	int64_t retry_ms;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct kg_map pending; /* uid -> heap text of the entry, JSON */
	char *usage;           /* heap text, JSON; or NULL */
	bool stop, kicked;
};

static char *entry_text(
	const char *ns, const char *name, const char *uid, const struct kg_value *status, bool gone)
{
	struct kg_arena arena KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value v = kg_v_obj(&arena, "namespace", kg_v_lit(ns), "name", kg_v_lit(name),
		"uid", kg_v_lit(uid), "status", status ? *status : kg_v_null(), "gone",
		kg_v_bool(gone), (char *)NULL);

	kg_json_write(&text, &v);
	return kg_buf_steal(&text);
}

void kg_reporter_put(struct kg_reporter *r, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone)
{
	char *text = entry_text(ns, name, uid, status, gone);

	pthread_mutex_lock(&r->lock);
	free(kg_map_put(&r->pending, uid, text));
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void kg_reporter_usage(struct kg_reporter *r, const struct kg_value *usage)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	kg_json_write(&text, usage);
	pthread_mutex_lock(&r->lock);
	free(r->usage);
	r->usage = kg_buf_steal(&text);
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

void kg_reporter_kick(struct kg_reporter *r)
{
	pthread_mutex_lock(&r->lock);
	r->kicked = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void free_entries(struct kg_map *m)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(m, &i));)
		free(e->value);
	kg_map_release(m);
}

/* Moves up to MAX_PODS entries out of what waits. With the lock held. */
static void take(struct kg_reporter *r, struct kg_map *out)
{
	struct kg_map_entry *e;

	if (r->pending.count <= MAX_PODS) {
		*out = r->pending;
		r->pending = (struct kg_map)KG_MAP_INIT;
		return;
	}
	for (size_t i = 0; out->count < MAX_PODS && (e = kg_map_next(&r->pending, &i));)
		kg_map_put(out, e->key, e->value);
	for (size_t i = 0; (e = kg_map_next(out, &i));)
		kg_map_remove(&r->pending, e->key);
}

/* What was not sent waits again, unless there is something newer of that pod. */
static void give_back(struct kg_reporter *r, struct kg_map *unsent)
{
	struct kg_map_entry *e;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; (e = kg_map_next(unsent, &i));) {
		if (kg_map_has(&r->pending, e->key))
			free(e->value);
		else
			kg_map_put(&r->pending, e->key, e->value);
	}
	pthread_mutex_unlock(&r->lock);
	kg_map_release(unsent);
}

static int post(
	struct kg_reporter *r, const char *what, const struct kg_buf *body, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s/%s", r->opts.node, what);
	KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;

	return kg_http_call(
		r->client, "POST", path, "application/json", body->data, body->len, &reply, err);
}

static int send_lease(struct kg_reporter *r, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT;

	pthread_mutex_lock(&r->lock);
	KG_AUTOFREE char *usage = kg_steal(&r->usage);
	pthread_mutex_unlock(&r->lock);
	if (usage)
		kg_buf_addf(&body, "{\"usage\":%s}", usage);
	else
		kg_buf_adds(&body, "{}");
	return post(r, "lease", &body, err);
}

/* What the master says is wrong stays wrong however often it is sent. */
static bool is_refused(int rc)
{
	return rc == -KG_E_INVALID || rc == -KG_E_BAD_REQUEST || rc == -KG_E_TOO_LARGE;
}

static int send_entries(struct kg_reporter *r, struct kg_map *entries, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT;
	const char *comma = "";
	struct kg_map_entry *e;

	kg_buf_adds(&body, "{\"pods\":[");
	for (size_t i = 0; (e = kg_map_next(entries, &i)); comma = ",")
		kg_buf_addf(&body, "%s%s", comma, (const char *)e->value);
	kg_buf_adds(&body, "]}");
	int rc = post(r, "status", &body, err);
	if (rc < 0 && !is_refused(rc)) {
		give_back(r, entries);
		return rc;
	}
	/* Of several one may be the cause: each for itself. */
	for (size_t i = 0;
		is_refused(rc) && entries->count > 1 && (e = kg_map_next(entries, &i));) {
		kg_buf_clear(&body);
		kg_buf_addf(&body, "{\"pods\":[%s]}", (const char *)e->value);
		post(r, "status", &body, err);
	}
	free_entries(entries);
	return rc;
}

static void told(struct kg_reporter *r, int rc, const struct kg_error *err)
{
	bool failed = rc < 0;

	r->retry_ms = !failed || is_refused(rc)        ? RETRY_MS
		      : r->retry_ms * 2 < RETRY_MAX_MS ? r->retry_ms * 2
						       : RETRY_MAX_MS;
	if (r->opts.on_state && (failed != r->failing || is_refused(rc)))
		r->opts.on_state(r->opts.ctx, failed ? err : NULL);
	r->failing = failed && !is_refused(rc);
}

/* With the lock held. Waits until something is to be sent (or, with all false, until somebody wants
 * it tried again), at most until `until`. */
static void wait_until(struct kg_reporter *r, int64_t until, bool all)
{
	struct timespec at = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1000000};
	int rc = 0;

	while (!r->stop && !r->kicked && !(all && (r->pending.count || r->usage)) &&
		rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&r->changed, &r->lock, &at);
	r->kicked = false;
}

static void *run(void *ctx)
{
	struct kg_reporter *r = ctx;
	int64_t lease_at = kg_monotonic_ms() + r->opts.lease_ms;

	for (;;) {
		struct kg_map entries = KG_MAP_INIT;
		struct kg_error err;
		int rc;

		pthread_mutex_lock(&r->lock);
		wait_until(r, r->failing ? kg_monotonic_ms() + r->retry_ms : lease_at, !r->failing);
		bool stop = r->stop;
		if (!stop)
			take(r, &entries);
		pthread_mutex_unlock(&r->lock);
		if (stop)
			return NULL;
		if (entries.count) {
			rc = send_entries(r, &entries, &err);
		} else {
			kg_map_release(&entries);
			rc = send_lease(r, &err);
		}
		lease_at = kg_monotonic_ms() + r->opts.lease_ms;
		told(r, rc, &err);
	}
}

struct kg_reporter *kg_reporter_new(const struct kg_reporter_options *opts)
{
	struct kg_reporter *r = kg_alloc(sizeof(*r));
	pthread_condattr_t attr;

	r->opts = *opts;
	if (!r->opts.lease_ms)
		r->opts.lease_ms = LEASE_MS;
	r->retry_ms = RETRY_MS;
	r->client = kg_http_client_new(&opts->http);
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&r->thread, NULL, run, r) != 0)
		abort(); /* out of memory */
	return r;
}

void kg_reporter_free(struct kg_reporter *r)
{
	if (!r)
		return;
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->changed);
	pthread_mutex_unlock(&r->lock);
	kg_end_http_thread(r->thread, r->client);
	kg_http_client_free(r->client);
	free_entries(&r->pending);
	free(r->usage);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
