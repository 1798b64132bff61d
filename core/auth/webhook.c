#include "webhook.h"

#include "base/log.h"
#include "http/client.h"
#include "internal.h"
#include "seen.h"
#include "value/json.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define KNOWN_MS   (120LL * 1000)
#define UNKNOWN_MS 10000
#define WAIT_MS    300
#define ASK_MS     5000
#define MAX_QUEUE  64
#define MAX_TOKEN  8192
#define MAX_REPLY  ((size_t)64 << 10)

struct question {
	struct question *next;
	kg_time now;
	char token[];
};

struct kg_webhook {
	struct kg_http_client *client; /* the thread's */
	char *path;
	char said[200]; /* the thread's: the last failure that was logged */
	int wait_ms;
	struct kg_seen *seen;
	pthread_t thread;
	bool running;

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t asked, answered;
	struct question *queue, **end;
	size_t queued;
	bool waiting, stop;
	uint64_t answers;
};

/* ---- the thread ---- */

static void body_of(struct kg_buf *out, struct kg_arena *a, const char *token)
{
	struct kg_value v = kg_v_obj(a, "apiVersion", kg_v_lit("authentication.k8s.io/v1"), "kind",
		kg_v_lit("TokenReview"), "spec",
		kg_v_obj(a, "token", kg_v_lit(token), (char *)NULL), (char *)NULL);

	kg_json_write(out, &v);
}

/* Masters and nodes are this cluster's own to name. */
static bool is_ours_alone(const char *name)
{
	return strcmp(name, "system:masters") == 0 || strcmp(name, "system:nodes") == 0;
}

static void read_extra(struct kg_user *u, const struct kg_value *extra)
{
	for (uint32_t i = 0; extra->type == KG_OBJECT && i < extra->len; i++) {
		const struct kg_value *values = kg_array(&extra->members[i].value);

		for (uint32_t k = 0; k < kg_len(values); k++)
			kg_user_add_extra(
				u, extra->members[i].key, kg_string(&values->items[k], ""));
	}
}

static int read_user(struct kg_user *u, const struct kg_value *user, struct kg_error *err)
{
	const struct kg_value *groups = kg_array(kg_get(user, "groups"));
	const char *name = kg_string(kg_get(user, "username"), "");
	int rc = strncmp(name, "system:", 7) == 0
			 ? kg_fail(err, KG_E_UNAUTHORIZED, "\"%s\" is a user of the system's", name)
			 : kg_user_set(u, name, err);

	for (uint32_t i = 0; rc == 0 && i < kg_len(groups); i++) {
		const char *group = kg_string(&groups->items[i], "");

		if (*group && !is_ours_alone(group))
			rc = kg_user_add_group(u, group, err);
	}
	if (rc < 0)
		return rc;
	kg_user_set_uid(u, kg_string(kg_get(user, "uid"), ""));
	read_extra(u, kg_get(user, "extra"));
	return 0;
}

static int ask(struct kg_webhook *w, struct kg_verdict *v, const char *token, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf body = KG_BUF_INIT, reply = KG_BUF_INIT;
	struct kg_value review;

	body_of(&body, &a, token);
	int rc = kg_http_call(
		w->client, "POST", w->path, "application/json", body.data, body.len, &reply, err);
	if (rc == 0)
		rc = kg_json_parse(&review, &a, kg_buf_str(&reply), reply.len, err);
	if (rc < 0)
		return rc;
	v->refused = !kg_bool(kg_at(&review, "status.authenticated"), false);
	if (v->refused)
		return 0;
	return read_user(&v->user, kg_at(&review, "status.user"), err);
}

static void complain(struct kg_webhook *w, int rc, const struct kg_error *err)
{
	char now[sizeof(w->said)] = "";

	if (rc < 0)
		snprintf(now, sizeof(now), "%.190s", err->msg);
	if (*now && strcmp(now, w->said) != 0)
		kg_warn("the webhook for tokens: %s", now);
	memcpy(w->said, now, sizeof(now));
}

static void answer(struct kg_webhook *w, const struct question *q)
{
	struct kg_verdict v = {0};
	struct kg_error err;
	int rc = ask(w, &v, q->token, &err);

	complain(w, rc, &err);
	v.refused |= rc < 0;
	v.until = q->now + (v.refused ? UNKNOWN_MS : KNOWN_MS);
	kg_seen_put(w->seen, q->token, &v);
}

static struct question *next(struct kg_webhook *w)
{
	pthread_mutex_lock(&w->lock);
	while (!w->queue && !w->stop)
		pthread_cond_wait(&w->asked, &w->lock);
	struct question *q = w->stop ? NULL : w->queue;
	if (q) {
		w->queue = q->next;
		if (!w->queue)
			w->end = &w->queue;
		w->queued--;
	}
	pthread_mutex_unlock(&w->lock);
	return q;
}

static void *work(void *arg)
{
	struct kg_webhook *w = arg;
	struct question *q;

	while ((q = next(w))) {
		answer(w, q);
		free(q);
		pthread_mutex_lock(&w->lock);
		w->answers++;
		pthread_cond_broadcast(&w->answered);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

/* ---- asking ---- */

/* With the lock held. False: there are too many, or it is asked already. */
static bool enqueue(struct kg_webhook *w, const char *token, kg_time now)
{
	size_t n = strlen(token) + 1;

	for (const struct question *q = w->queue; q; q = q->next)
		if (strcmp(q->token, token) == 0)
			return true;
	if (w->queued == MAX_QUEUE)
		return false;
	struct question *q = kg_alloc(sizeof(*q) + n);
	q->now = now;
	memcpy(q->token, token, n);
	*w->end = q;
	w->end = &q->next;
	w->queued++;
	pthread_cond_signal(&w->asked);
	return true;
}

/* True where there is an answer. */
static bool ask_and_wait(struct kg_webhook *w, struct kg_verdict *v, const char *token, kg_time now)
{
	struct timespec until;
	bool found = false;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += (long)(w->wait_ms % 1000) * 1000000;
	until.tv_sec += w->wait_ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&w->lock);
	bool wait = enqueue(w, token, now) && !w->waiting && !w->stop;
	w->waiting |= wait;
	while (wait && !found) {
		uint64_t before = w->answers;
		int rc = 0;

		while (rc == 0 && w->answers == before)
			rc = pthread_cond_timedwait(&w->answered, &w->lock, &until);
		found = kg_seen_get(w->seen, v, token, now);
		if (rc != 0)
			break;
	}
	if (wait)
		w->waiting = false;
	pthread_mutex_unlock(&w->lock);
	return found;
}

static int authenticate(void *self, struct kg_user *out, const struct kg_credentials *c,
	kg_time now, struct kg_error *err)
{
	struct kg_webhook *w = self;
	struct kg_verdict v = {0};
	char *token KG_AUTOFREE = NULL;
	int rc = kg_credentials_token(&token, c, err);

	if (rc <= 0 || strlen(token) > MAX_TOKEN)
		return rc < 0 ? rc : 0;
	if (!kg_seen_get(w->seen, &v, token, now) && !ask_and_wait(w, &v, token, now))
		return kg_fail(err, KG_E_TOO_MANY,
			"the token is being reviewed by another server; try again");
	if (v.refused)
		return 0;
	*out = v.user;
	return 1;
}

/* ---- life ---- */

int kg_webhook_new(
	struct kg_webhook **out, const struct kg_webhook_options *opts, struct kg_error *err)
{
	KG_AUTOBUF struct kg_buf ca = KG_BUF_INIT;
	char *base KG_AUTOFREE = NULL;
	const char *path;
	pthread_condattr_t attr;

	if (!kg_url_split(&base, &path, opts->url))
		return kg_fail(err, KG_E_INVALID, "webhook: \"%s\" is no https URL", opts->url);
	int rc = kg_read_cas(&ca, opts->ca_file, err);
	if (rc < 0)
		return rc;
	struct kg_webhook *w = kg_alloc(sizeof(*w));
	struct kg_http_client_options http = {.url = base,
		.ca_pem = kg_buf_str(&ca),
		.timeout_ms = ASK_MS,
		.max_reply = MAX_REPLY};
	w->client = kg_http_client_new(&http);
	w->path = kg_strdup(path);
	w->wait_ms = opts->wait_ms ? opts->wait_ms : WAIT_MS;
	w->seen = kg_seen_new();
	w->end = &w->queue;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->asked, &attr);
	pthread_cond_init(&w->answered, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&w->thread, NULL, work, w) != 0) {
		kg_webhook_free(w);
		return kg_fail(err, KG_E_IO, "webhook: start a thread");
	}
	w->running = true;
	*out = w;
	return 0;
}

void kg_webhook_free(struct kg_webhook *w)
{
	if (!w)
		return;
	if (w->running) {
		pthread_mutex_lock(&w->lock);
		w->stop = true;
		pthread_cond_signal(&w->asked);
		pthread_mutex_unlock(&w->lock);
		kg_http_client_abort(w->client);
		pthread_join(w->thread, NULL);
	}
	while (w->queue) {
		struct question *q = w->queue;

		w->queue = q->next;
		free(q);
	}
	kg_http_client_free(w->client);
	kg_seen_free(w->seen);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->asked);
	pthread_cond_destroy(&w->answered);
	free(w->path);
	free(w);
}

static void free_self(void *self)
{
	kg_webhook_free(self);
}

static const struct kg_authenticator authenticator = {
	.authenticate = authenticate, .free = free_self};

void kg_auth_add_webhook(struct kg_auth *auth, struct kg_webhook *w)
{
	kg_auth_add_authenticator(auth, &authenticator, w);
}
