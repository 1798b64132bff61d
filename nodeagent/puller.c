#include "nodeagent/puller.h"
#include "base/mem.h"
#include "nodeagent/httpthread.h"
#include "sys/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_MS     50
#define RETRY_MAX_MS 3000
#define FIRST_MS     2000

struct kg_puller {
	struct kg_puller_options opts;
	struct kg_http_client *client;
	pthread_t thread;
	/* the thread's own */
	bool failing;
	int64_t retry_ms;
	bool unread;               /* the commit that is here was not read yet */
	struct kg_view_diff owing; /* flags of what could not be applied; no services */
	bool owes;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	char wanted[48];
	bool news, stop;
};

void kg_puller_want(struct kg_puller *p, const char *commit)
{
	pthread_mutex_lock(&p->lock);
	snprintf(p->wanted, sizeof(p->wanted), "%s", commit);
	p->news = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* Waits for news, at most ms (< 0: for ever); false: it is to end. */
static bool wait_for_news(struct kg_puller *p, char commit[48], int64_t ms)
{
	struct timespec at;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_nsec += ms % 1000 * 1000000;
	at.tv_sec += ms / 1000 + at.tv_nsec / 1000000000;
	at.tv_nsec %= 1000000000;
	pthread_mutex_lock(&p->lock);
	while (!p->stop && !p->news && rc != ETIMEDOUT) {
		if (ms >= 0)
			rc = pthread_cond_timedwait(&p->changed, &p->lock, &at);
		else
			pthread_cond_wait(&p->changed, &p->lock);
	}
	p->news = false;
	memcpy(commit, p->wanted, 48);
	bool go = !p->stop;
	pthread_mutex_unlock(&p->lock);
	return go;
}

static void add_flags(struct kg_view_diff *to, const struct kg_view_diff *from)
{
	to->node = to->node || from->node;
	to->nodes = to->nodes || from->nodes;
	to->pods = to->pods || from->pods;
	to->configmaps = to->configmaps || from->configmaps;
}

static int read_and_apply(struct kg_puller *p, struct kg_error *err)
{
	struct kg_view_diff diff = {0};

	if (p->unread) {
		int rc = kg_view_read(p->opts.view, &diff, err);
		if (rc < 0)
			return rc;
		p->unread = false;
	}
	add_flags(&diff, &p->owing);
	p->owing = (struct kg_view_diff){0};
	add_flags(&p->owing, &diff);
	int rc = p->opts.apply(p->opts.ctx, &diff, err);
	kg_view_diff_release(&diff);
	p->owes = rc < 0;
	if (rc == 0)
		p->owing = (struct kg_view_diff){0};
	return rc;
}

static int pull(struct kg_puller *p, const char *commit, struct kg_error *err)
{
	if (*commit && strcmp(commit, kg_view_commit(p->opts.view)) != 0) {
		int rc = kg_view_pull(p->opts.view, p->client, p->opts.node, commit, err);
		if (rc < 0)
			return rc;
		p->unread = true;
	}
	if (!p->unread && !p->owes)
		return 0;
	int rc = read_and_apply(p, err);
	if (rc == -KG_E_CORRUPT) { /* begins again with nothing; what runs stays meanwhile */
		struct kg_error ignored;

		kg_view_reset(p->opts.view, &ignored);
		p->unread = false;
	}
	return rc;
}

static void told(struct kg_puller *p, int rc, const struct kg_error *err)
{
	bool failed = rc < 0;

	if (failed != p->failing)
		p->opts.state(p->opts.ctx, failed ? err : NULL);
	p->retry_ms = !failed || !p->failing           ? RETRY_MS
		      : p->retry_ms * 2 < RETRY_MAX_MS ? p->retry_ms * 2
						       : RETRY_MAX_MS;
	p->failing = failed;
}

static void *run(void *ctx)
{
	struct kg_puller *p = ctx;
	char commit[48] = "";
	struct kg_error err;

	p->unread = *kg_view_commit(p->opts.view) != '\0';
	/* What an earlier run pulled may be old: the master is given a moment to say better. */
	bool go = wait_for_news(p, commit, FIRST_MS);
	while (go) {
		int rc = pull(p, commit, &err);

		if (rc == 0 && *commit)
			p->opts.done(p->opts.ctx);
		if (rc == 0)
			rc = kg_view_save(p->opts.view, &err);
		told(p, rc, &err);
		go = wait_for_news(p, commit, p->failing ? p->retry_ms : -1);
	}
	return NULL;
}

struct kg_puller *kg_puller_new(const struct kg_puller_options *opts)
{
	struct kg_puller *p = kg_alloc(sizeof(*p));
	pthread_condattr_t attr;

	p->opts = *opts;
	p->retry_ms = RETRY_MS;
	p->client = kg_http_client_new(&opts->http);
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&p->thread, NULL, run, p) != 0)
		abort(); /* out of memory */
	return p;
}

void kg_puller_free(struct kg_puller *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->changed);
	pthread_mutex_unlock(&p->lock);
	kg_end_http_thread(p->thread, p->client);
	kg_http_client_free(p->client);
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
