/*
 * Kubernetes' Events, as `kubectl describe` shows them, derived from what each commit changed: in
 * Kubernetes' words and in the name of the component that would say them there. They are told on
 * the loop, some at a time, behind what nodes wait for; a commit tells at most MAX_OF_COMMIT, and
 * after a backlog that the hub no longer holds the missed ones are not told.
 *
 * So the history is where Events are kept, without a commit of their own: after a start a thread
 * tells those of the newest revisions again, with the same names and times, and only then the loop
 * begins with what is committed from now on. Of a revision read back there is no snapshot: what is
 * told of it is what the change itself says.
 */
#include "kgitd/events_private.h"
#include "kgitd/master.h"
#include "sys/loop.h"

#include "base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define STEP          100 /* changes looked at before the loop goes on */
#define MAX_OF_COMMIT 1000
#define DELAY_MS      2
#define TOLD_AGAIN    2000 /* revisions, after a start */
#define TOLD_AT_LEAST 50
#define TELLING_MS    3000

struct kgd_events {
	struct kg_loop *loop;
	struct kg_hub *hub;
	struct kg_api *api;
	struct kg_subscription *sub;
	atomic_bool posted;

	struct kg_store *store;
	pthread_t thread; /* tells the history again */
	atomic_bool stop, telling_again;

	/* the loop's */
	struct kg_timer *timer;
	bool armed;
	uint64_t seen;
	struct kg_commit_event *commit; /* being told, or NULL */
	size_t next;                    /* of its changes */
	size_t told;
	uint32_t nth; /* of its changes that were told */
};

/* One commit's. */
struct telling {
	struct kg_api *api;
	size_t *told;
};

static void emit(void *ctx, const struct kg_api_event *e)
{
	struct telling *x = ctx;

	if ((*x->told)++ < MAX_OF_COMMIT)
		kg_api_event_add(x->api, e);
}

/* ---- the loop ---- */

/* The commit that is to be told, or NULL: all were. */
static struct kg_commit_event *current(struct kgd_events *ev)
{
	bool gone = false;

	if (ev->commit && ev->next == ev->commit->changes.len) {
		ev->seen = ev->commit->revision;
		kg_commit_event_unref(kg_steal(&ev->commit));
	}
	if (!ev->commit) {
		ev->commit = kg_hub_next(ev->hub, ev->seen, &gone);
		if (gone)
			ev->seen = kg_hub_revision(ev->hub);
		ev->next = ev->told = 0;
		ev->nth = 0;
	}
	return ev->commit;
}

static void step(void *ctx)
{
	struct kgd_events *ev = ctx;
	const struct kg_commit_event *commit = NULL;
	struct telling told = {.api = ev->api, .told = &ev->told};
	struct kgd_teller t = {.emit = emit, .ctx = &told};
	size_t n = 0;

	while (n < STEP && (commit = current(ev))) {
		const struct kg_changes *changes = &commit->changes;

		t.snapshot = commit->snapshot;
		t.time = commit->time;
		t.nth = ev->nth;
		for (; n < STEP && ev->next < changes->len; n++)
			kgd_tell_change(&t, &changes->items[ev->next++]);
		ev->nth = t.nth;
		n++; /* an empty commit is work, too */
	}
	kg_arena_release(&t.a);
	ev->armed = commit != NULL;
	if (ev->armed)
		kg_timer_set(ev->timer, DELAY_MS);
}

static void start(void *ctx)
{
	struct kgd_events *ev = ctx;

	atomic_store(&ev->posted, false);
	if (atomic_load(&ev->telling_again))
		return; /* its end begins */
	if (!ev->armed)
		kg_timer_set(ev->timer, DELAY_MS);
	ev->armed = true;
}

static void published(void *ctx)
{
	struct kgd_events *ev = ctx;

	if (!atomic_exchange(&ev->posted, true))
		kg_loop_post(ev->loop, start, ev);
}

/* ---- the history, told again ---- */

static int tell_again(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct kgd_events *ev = ctx;
	size_t told = 0;
	struct telling of_revision = {.api = ev->api, .told = &told};
	struct kgd_teller t = {.emit = emit, .ctx = &of_revision, .time = time};

	(void)revision;
	for (size_t i = 0; i < changes->len; i++)
		kgd_tell_change(&t, &changes->items[i]);
	kg_arena_release(&t.a);
	return atomic_load(&ev->stop);
}

static void *read_history(void *arg)
{
	struct kgd_events *ev = arg;
	uint64_t oldest = kg_store_oldest(ev->store);
	uint64_t from = ev->seen > TOLD_AGAIN ? ev->seen - TOLD_AGAIN : 0;
	struct kg_error err;

	if (from < oldest)
		from = oldest;
	int rc = 0;
	int64_t until = kg_monotonic_ms() + TELLING_MS;
	for (; rc == 0 && from < ev->seen && !atomic_load(&ev->stop); from++) {
		/* A large cluster's take long: then only the newest. */
		if (kg_monotonic_ms() >= until && ev->seen - from > TOLD_AT_LEAST)
			from = ev->seen - TOLD_AT_LEAST;
		rc = kg_store_changes(
			ev->store, from, from + 1, MAX_OF_COMMIT, tell_again, ev, &err);
		if (rc == -KG_E_TOO_LARGE) /* a storm's are not worth the memory */
			rc = 0;
	}
	if (rc < 0)
		kg_warn("events: what happened before this start is not told: %s", err.msg);
	atomic_store(&ev->telling_again, false);
	if (!atomic_load(&ev->stop))
		published(ev);
	return NULL;
}

struct kgd_events *kgd_events_new(
	struct kg_loop *loop, struct kg_store *store, struct kg_hub *hub, struct kg_api *api)
{
	struct kgd_events *ev = kg_alloc(sizeof(*ev));

	ev->loop = loop;
	ev->hub = hub;
	ev->api = api;
	ev->timer = kg_timer_new(loop, step, ev);
	ev->seen = kg_hub_revision(hub);
	ev->store = store;
	ev->telling_again = true;
	if (pthread_create(&ev->thread, NULL, read_history, ev) != 0)
		abort(); /* as out of memory */
	ev->sub = kg_hub_subscribe(hub, published, ev);
	return ev;
}

void kgd_events_free(struct kgd_events *ev)
{
	if (!ev)
		return;
	atomic_store(&ev->stop, true);
	pthread_join(ev->thread, NULL);
	kg_hub_unsubscribe(ev->sub);
	kg_timer_free(ev->timer);
	kg_commit_event_unref(ev->commit);
	free(ev);
}
