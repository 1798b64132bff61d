#include "nodeagent/podtokens.h"

#include "base/log.h"
#include "base/map.h"
#include "base/time.h"
#include "nodeagent/httpthread.h"
#include "pki/jwt.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define BATCH        256   /* of one request */
#define WAIT_MS      400   /* a pod's start waits so long for a token that is on its way */
#define TOGETHER_MS  10000 /* renewals that are due within that time go along */
#define DAY_MS       (24LL * 3600 * 1000)
#define RETRY_MS     500
#define RETRY_MAX_MS 30000
#define MAX_TOKEN    ((size_t)16 << 10)

struct entry {
	char *key; /* what the map has it by */
	char *ns, *pod, *uid, *audience;
	int64_t seconds;
	char *token;     /* heap, or NULL */
	int64_t expires; /* of token; monotonic, as all times here */
	int64_t due;     /* to be asked for then; 0: now */
	int64_t retry_ms;
	bool asked;  /* in the request that is under way */
	bool missed; /* somebody was refused it */
	char why[200];
};

struct kg_podtokens {
	void (*news)(void *ctx, const char *uid);
	void *ctx;
	/* while it is started; the thread's */
	struct kg_http_client *client;
	const char *node;
	pthread_t thread;
	bool running;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct kg_map entries; /* key -> struct entry */
	bool stop, failing;
	int64_t pause; /* after a failure nothing is asked before */
	int64_t retry_ms;
	char why[200]; /* of the failure */
};

/* ---- entries ---- */

static void free_entry(struct entry *e)
{
	if (e->token)
		explicit_bzero(e->token, strlen(e->token));
	free(e->token);
	free(e->key);
	free(e->ns);
	free(e->pod);
	free(e->uid);
	free(e->audience);
	free(e);
}

static char *key_of(const struct kg_podtoken *w)
{
	return kg_asprintf("%s/%lld/%s", w->uid, (long long)w->seconds, w->audience);
}

/* With the lock held, as all of these. */
static struct entry *entry_of(struct kg_podtokens *t, const struct kg_podtoken *w)
{
	KG_AUTOFREE char *key = key_of(w);
	struct entry *e = kg_map_get(&t->entries, key);

	if (e)
		return e;
	e = kg_alloc(sizeof(*e));
	e->key = kg_steal(&key);
	e->ns = kg_strdup(w->ns);
	e->pod = kg_strdup(w->pod);
	e->uid = kg_strdup(w->uid);
	e->audience = kg_strdup(w->audience);
	e->seconds = w->seconds;
	e->retry_ms = RETRY_MS;
	kg_map_put(&t->entries, e->key, e);
	pthread_cond_broadcast(&t->changed);
	return e;
}

static void take_token(struct entry *e, const char *token, int64_t issued, int64_t expires)
{
	int64_t life = (expires - issued) * 4 / 5;

	if (e->token)
		explicit_bzero(e->token, strlen(e->token));
	free(e->token);
	e->token = kg_strdup(token);
	e->expires = expires;
	e->due = issued + (life < DAY_MS ? life : DAY_MS);
	e->retry_ms = RETRY_MS;
	e->why[0] = '\0';
}

/* What an earlier run left in the pod's volume: the token of just this pod, not over yet. */
static void take_file(struct entry *e, const char *path)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	struct kg_value claims;
	struct kg_error none;

	if (kg_file_read(&text, path, MAX_TOKEN, &none) < 0 ||
		kg_jwt_peek(&claims, &a, kg_buf_str(&text), &none) < 0)
		return;
	kg_time issued = kg_int(kg_get(&claims, "iat"), 0) * 1000;
	kg_time expires = kg_int(kg_get(&claims, "exp"), 0) * 1000;
	const char *uid =
		kg_string(kg_get(kg_get(kg_get(&claims, "kubernetes.io"), "pod"), "uid"), "");
	if (strcmp(uid, e->uid) != 0 || issued <= 0 || expires <= kg_realtime_ms())
		return;
	int64_t ago = kg_monotonic_ms() - kg_realtime_ms();
	take_token(e, kg_buf_str(&text), issued + ago, expires + ago);
}

/* ---- what others call ---- */

bool kg_podtoken_of(
	struct kg_podtoken *out, const struct kg_value *pod, const struct kg_value *source)
{
	const struct kg_value *s = kg_get(source, "serviceAccountToken"),
			      *md = kg_get(pod, "metadata");

	if (kg_is_null(s))
		return false;
	*out = (struct kg_podtoken){.ns = kg_string(kg_get(md, "namespace"), "default"),
		.pod = kg_string(kg_get(md, "name"), ""),
		.uid = kg_string(kg_get(md, "uid"), ""),
		.audience = kg_string(kg_get(s, "audience"), ""),
		.seconds = kg_int(kg_get(s, "expirationSeconds"), 3600)};
	return true;
}

void kg_podtokens_want(struct kg_podtokens *t, const struct kg_value *pod)
{
	const struct kg_value *volumes = kg_at(pod, "spec.volumes");
	struct kg_podtoken w;

	pthread_mutex_lock(&t->lock);
	for (uint32_t i = 0; i < kg_len(volumes); i++) {
		const struct kg_value *sources = kg_at(&volumes->items[i], "projected.sources");

		for (uint32_t k = 0; k < kg_len(sources); k++)
			if (kg_podtoken_of(&w, pod, &sources->items[k]))
				entry_of(t, &w);
	}
	pthread_mutex_unlock(&t->lock);
}

/* Waits for an answer that can come at once. */
static void wait_for(struct kg_podtokens *t, const struct kg_podtoken *want)
{
	KG_AUTOFREE char *key = key_of(want);
	int64_t end = kg_monotonic_ms() + WAIT_MS;
	struct timespec at = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
	int rc = 0;

	while (rc != ETIMEDOUT && t->running && !t->stop && !t->failing) {
		const struct entry *e = kg_map_get(&t->entries, key);
		if (!e || e->token || e->why[0])
			return;
		rc = pthread_cond_timedwait(&t->changed, &t->lock, &at);
	}
}

int kg_podtokens_get(struct kg_podtokens *t, char **token, const struct kg_podtoken *want,
	const char *have, struct kg_error *err)
{
	int rc = 0;

	pthread_mutex_lock(&t->lock);
	struct entry *e = entry_of(t, want);
	if (!e->token && have)
		take_file(e, have);
	if (!e->token)
		wait_for(t, want);
	e = entry_of(t, want); /* it may be another by now */
	if (e->token && e->expires > kg_monotonic_ms()) {
		*token = kg_strdup(e->token);
	} else {
		const char *why = e->why[0] ? e->why : t->why[0] ? t->why : "the master is asked";
		e->missed = true;
		rc = kg_fail(err, KG_E_UNAVAILABLE, "no token of the ServiceAccount yet: %s", why);
	}
	pthread_mutex_unlock(&t->lock);
	return rc;
}

void kg_podtokens_forget(struct kg_podtokens *t, const char *uid)
{
	struct kg_map_entry *m;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; (m = kg_map_next(&t->entries, &i));) {
		struct entry *e = m->value;

		if (strcmp(e->uid, uid) != 0)
			continue;
		kg_map_remove(&t->entries, e->key);
		free_entry(e);
	}
	pthread_mutex_unlock(&t->lock);
}

void kg_podtokens_renew(struct kg_podtokens *t)
{
	struct kg_map_entry *m;

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; (m = kg_map_next(&t->entries, &i));) {
		struct entry *e = m->value;

		e->due = 0;
		e->asked = false; /* an answer that is on its way is not good enough */
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

/* ---- the thread ---- */

/* What is due goes out, with what is nearly; else how long there is until something is. */
static size_t take_due(struct kg_podtokens *t, struct entry **batch, int64_t *in)
{
	int64_t now = kg_monotonic_ms(), soonest = INT64_MAX;
	struct kg_map_entry *m;
	size_t n = 0;

	for (size_t i = 0; (m = kg_map_next(&t->entries, &i));)
		if (((struct entry *)m->value)->due < soonest)
			soonest = ((struct entry *)m->value)->due;
	if (soonest < t->pause)
		soonest = t->pause;
	*in = soonest == INT64_MAX ? DAY_MS : soonest - now;
	if (*in > 0)
		return 0;
	for (size_t i = 0; n < BATCH && (m = kg_map_next(&t->entries, &i));) {
		struct entry *e = m->value;

		if (e->due > now + (e->token ? TOGETHER_MS : 0))
			continue;
		e->asked = true;
		batch[n++] = e;
	}
	return n;
}

static void write_request(struct kg_buf *body, struct entry **batch, size_t n)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value *items = kg_arena_alloc(&a, (n + 1) * sizeof(*items));

	for (size_t i = 0; i < n; i++)
		items[i] = kg_v_obj(&a, "namespace", kg_v_lit(batch[i]->ns), "pod",
			kg_v_lit(batch[i]->pod), "uid", kg_v_lit(batch[i]->uid), "audience",
			kg_v_lit(batch[i]->audience), "expirationSeconds",
			kg_v_int(batch[i]->seconds), (char *)NULL);
	struct kg_value v = kg_v_obj(&a, "tokens", kg_v_array(&a, items, n), (char *)NULL);
	kg_json_write(body, &v);
}

/* The lifetime is the master's, counted from when it came: clocks may differ. */
static void take_answer(struct entry *e, const struct kg_value *item)
{
	const char *token = kg_string(kg_get(item, "token"), NULL);
	int64_t life = kg_int(kg_get(item, "expires"), 0) - kg_int(kg_get(item, "issued"), 0);
	int64_t now = kg_monotonic_ms();

	if (token && life > 0) {
		take_token(e, token, now, now + life * 1000);
		return;
	}
	snprintf(e->why, sizeof(e->why), "%s",
		kg_string(kg_get(item, "error"), "the master's answer has none"));
	e->due = now + e->retry_ms;
	e->retry_ms = e->retry_ms * 2 < RETRY_MAX_MS ? e->retry_ms * 2 : RETRY_MAX_MS;
}

/* With the lock held: uids of pods that are to look again, heap; entries may have gone. */
static char **take_answers(
	struct kg_podtokens *t, char **keys, size_t n, const struct kg_value *list)
{
	char **uids = kg_alloc((n + 1) * sizeof(*uids));
	size_t told = 0;

	for (size_t i = 0; i < n; i++) {
		struct entry *e = kg_map_get(&t->entries, keys[i]);
		if (!e || !e->asked)
			continue;
		bool had = e->token;
		e->asked = false;
		take_answer(e, i < kg_len(list) ? &list->items[i] : &kg_null);
		if (!e->why[0] && (had || e->missed)) {
			e->missed = false;
			uids[told++] = kg_strdup(e->uid);
		}
	}
	return uids;
}

static int ask(struct kg_podtokens *t, const struct kg_buf *body, struct kg_value *list,
	struct kg_arena *a, struct kg_error *err)
{
	KG_AUTOFREE char *path = kg_asprintf("/kgit/v1/nodes/%s/tokens", t->node);
	KG_AUTOBUF struct kg_buf reply = KG_BUF_INIT;
	struct kg_value v;
	int rc = kg_http_call(
		t->client, "POST", path, "application/json", body->data, body->len, &reply, err);

	if (rc == 0)
		rc = kg_json_parse(&v, a, kg_buf_str(&reply), reply.len, err);
	if (rc == 0)
		*list = *kg_array(kg_get(&v, "tokens"));
	if (reply.data)
		explicit_bzero(reply.data, reply.len);
	return rc;
}

/* With the lock held. */
static void failed(struct kg_podtokens *t, const struct kg_error *err)
{
	if (!t->failing)
		kg_warn("tokens of ServiceAccounts: %s", err->msg);
	t->failing = true;
	snprintf(t->why, sizeof(t->why), "%.*s", (int)sizeof(t->why) - 1, err->msg);
	t->pause = kg_monotonic_ms() + t->retry_ms;
	t->retry_ms = t->retry_ms * 2 < RETRY_MAX_MS ? t->retry_ms * 2 : RETRY_MAX_MS;
}

static void works(struct kg_podtokens *t)
{
	if (t->failing)
		kg_info("tokens of ServiceAccounts: works again");
	t->failing = false;
	t->why[0] = '\0';
	t->pause = 0;
	t->retry_ms = RETRY_MS;
}

/* With the lock held, but for the request itself. */
static void exchange(struct kg_podtokens *t, struct entry **batch, size_t n)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT;
	char **keys KG_AUTOFREE = kg_alloc((n + 1) * sizeof(*keys)), **uids = NULL;
	struct kg_value list;
	struct kg_error err;

	for (size_t i = 0; i < n; i++)
		keys[i] = kg_arena_strdup(&a, batch[i]->key);
	write_request(&body, batch, n);
	pthread_mutex_unlock(&t->lock);
	int rc = ask(t, &body, &list, &a, &err);
	pthread_mutex_lock(&t->lock);
	if (rc < 0) {
		failed(t, &err);
	} else {
		works(t);
		uids = take_answers(t, keys, n, &list);
	}
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	for (size_t i = 0; uids && uids[i]; i++) {
		if (t->news)
			t->news(t->ctx, uids[i]);
		free(uids[i]);
	}
	free(uids);
	pthread_mutex_lock(&t->lock);
}

static void *run(void *ctx)
{
	struct kg_podtokens *t = ctx;
	struct entry *batch[BATCH];
	int64_t in;

	pthread_mutex_lock(&t->lock);
	while (!t->stop) {
		size_t n = take_due(t, batch, &in);
		if (n) {
			exchange(t, batch, n);
			continue;
		}
		int64_t end = kg_monotonic_ms() + in;
		struct timespec at = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
		pthread_cond_timedwait(&t->changed, &t->lock, &at);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* ---- life ---- */

struct kg_podtokens *kg_podtokens_new(void)
{
	struct kg_podtokens *t = kg_alloc(sizeof(*t));
	pthread_condattr_t attr;

	t->retry_ms = RETRY_MS;
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	return t;
}

void kg_podtokens_on_news(
	struct kg_podtokens *t, void (*news)(void *ctx, const char *uid), void *ctx)
{
	t->news = news;
	t->ctx = ctx;
}

void kg_podtokens_start(
	struct kg_podtokens *t, const struct kg_http_client_options *http, const char *node)
{
	t->client = kg_http_client_new(http);
	t->node = node;
	pthread_mutex_lock(&t->lock);
	t->stop = false;
	t->running = true;
	works(t);
	pthread_mutex_unlock(&t->lock);
	if (pthread_create(&t->thread, NULL, run, t) != 0)
		abort(); /* out of memory */
}

void kg_podtokens_stop(struct kg_podtokens *t)
{
	if (!t || !t->running)
		return;
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	kg_end_http_thread(t->thread, t->client);
	kg_http_client_free(t->client);
	t->client = NULL;
	pthread_mutex_lock(&t->lock);
	t->running = false;
	pthread_mutex_unlock(&t->lock);
}

void kg_podtokens_free(struct kg_podtokens *t)
{
	struct kg_map_entry *m;

	if (!t)
		return;
	kg_podtokens_stop(t);
	for (size_t i = 0; (m = kg_map_next(&t->entries, &i));)
		free_entry(m->value);
	kg_map_release(&t->entries);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
