/*
 * Two locks. `lock` guards the snapshot and the ring of events and is held for a few instructions
 * only; `subs_lock` guards the subscribers and is held while they are called, which is what lets
 * kg_hub_unsubscribe promise that the callback is over. A subscriber may take `lock` (read the
 * hub), never `subs_lock`.
 */
#include "watch/hub.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

enum { DEFAULT_MAX_CHANGES = 100000, FIRST_RING = 64 };
/* What the events' old objects and snapshots may take together, as bytes_of has it. */
#define MAX_BYTES ((size_t)32 << 20)

struct kg_subscription {
	struct kg_hub *hub;
	struct kg_subscription *prev, *next;
	void (*fn)(void *ctx);
	void *ctx;
};

struct kg_hub {
	pthread_mutex_t lock;
	pthread_cond_t moved; /* monotonic clock */
	struct kg_snapshot *snapshot;
	/* Consecutive revisions; the newest is the snapshot's. ring[(first + i) % cap]. */
	struct kg_commit_event **ring;
	size_t cap, first, len;
	size_t weight, max_weight, bytes;

	pthread_mutex_t subs_lock;
	struct kg_subscription *subs;
};

/* About what is kept for it alone: the objects that it replaced, and its snapshot's own nodes. */
static size_t bytes_of(const struct kg_changes *changes)
{
	size_t n = 4096 + 512 * changes->len;

	for (size_t i = 0; i < changes->len; i++)
		if (changes->items[i].before)
			n += kg_doc_size(changes->items[i].before->doc);
	return n;
}

struct kg_commit_event *kg_commit_event_new(
	uint64_t revision, kg_time time, struct kg_changes *changes, struct kg_snapshot *snapshot)
{
	struct kg_commit_event *e = kg_alloc(sizeof(*e));

	e->refs = 1;
	e->revision = revision;
	e->time = time;
	e->changes = *changes;
	e->bytes = bytes_of(changes);
	*changes = (struct kg_changes){0};
	e->snapshot = snapshot ? kg_snapshot_ref(snapshot) : NULL;
	return e;
}

struct kg_commit_event *kg_commit_event_ref(struct kg_commit_event *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

void kg_commit_event_unref(struct kg_commit_event *e)
{
	if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	kg_changes_release(&e->changes);
	kg_snapshot_unref(e->snapshot);
	free(e);
}

/* What an event counts for: its changes, and at least one so that empty commits are bounded. */
static size_t event_weight(const struct kg_commit_event *e)
{
	return e->changes.len ? e->changes.len : 1;
}

struct kg_hub *kg_hub_new(struct kg_snapshot *snapshot, size_t max_changes)
{
	struct kg_hub *hub = kg_alloc(sizeof(*hub));
	pthread_condattr_t attr;

	pthread_mutex_init(&hub->lock, NULL);
	pthread_mutex_init(&hub->subs_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&hub->moved, &attr);
	pthread_condattr_destroy(&attr);
	hub->snapshot = kg_snapshot_ref(snapshot);
	hub->max_weight = max_changes ? max_changes : DEFAULT_MAX_CHANGES;
	return hub;
}

void kg_hub_free(struct kg_hub *hub)
{
	if (!hub)
		return;
	assert(!hub->subs);
	for (size_t i = 0; i < hub->len; i++)
		kg_commit_event_unref(hub->ring[(hub->first + i) % hub->cap]);
	free(hub->ring);
	kg_snapshot_unref(hub->snapshot);
	pthread_cond_destroy(&hub->moved);
	pthread_mutex_destroy(&hub->subs_lock);
	pthread_mutex_destroy(&hub->lock);
	free(hub);
}

struct kg_snapshot *kg_hub_snapshot(struct kg_hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	struct kg_snapshot *s = kg_snapshot_ref(hub->snapshot);
	pthread_mutex_unlock(&hub->lock);
	return s;
}

uint64_t kg_hub_revision(struct kg_hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	uint64_t revision = hub->snapshot->revision;
	pthread_mutex_unlock(&hub->lock);
	return revision;
}

static void ring_push(struct kg_hub *hub, struct kg_commit_event *e)
{
	if (hub->len == hub->cap) {
		size_t cap = hub->cap ? hub->cap * 2 : FIRST_RING;
		struct kg_commit_event **ring = kg_alloc(cap * sizeof(struct kg_commit_event *));

		for (size_t i = 0; i < hub->len; i++)
			ring[i] = hub->ring[(hub->first + i) % hub->cap];
		free(hub->ring);
		hub->ring = ring;
		hub->cap = cap;
		hub->first = 0;
	}
	hub->ring[(hub->first + hub->len++) % hub->cap] = e;
	hub->weight += event_weight(e);
	hub->bytes += e->bytes;
}

/* The oldest event when there is too much, taken out of the ring; else NULL. */
static struct kg_commit_event *ring_trim(struct kg_hub *hub, size_t bytes)
{
	if ((hub->weight <= hub->max_weight && hub->bytes <= bytes) || hub->len <= 1)
		return NULL;
	struct kg_commit_event *e = hub->ring[hub->first];

	hub->first = (hub->first + 1) % hub->cap;
	hub->len--;
	hub->weight -= event_weight(e);
	hub->bytes -= e->bytes;
	return e;
}

void kg_hub_forget(struct kg_hub *hub, size_t bytes)
{
	struct kg_commit_event *old;

	/* What is dropped may free many objects: not under the lock that readers take. */
	do {
		pthread_mutex_lock(&hub->lock);
		old = ring_trim(hub, bytes);
		pthread_mutex_unlock(&hub->lock);
		kg_commit_event_unref(old);
	} while (old);
}

bool kg_hub_settle(struct kg_hub *hub, struct kg_snapshot *anew)
{
	struct kg_commit_event **old KG_AUTOFREE = NULL;
	struct kg_snapshot *before = NULL;
	size_t n = 0;

	pthread_mutex_lock(&hub->lock);
	bool same = hub->snapshot->revision == anew->revision;
	if (same) {
		before = hub->snapshot;
		hub->snapshot = kg_snapshot_ref(anew);
		n = hub->len;
		old = kg_alloc((n ? n : 1) * sizeof(*old));
		for (size_t i = 0; i < n; i++)
			old[i] = hub->ring[(hub->first + i) % hub->cap];
		hub->len = hub->weight = hub->bytes = 0;
	}
	pthread_mutex_unlock(&hub->lock);
	for (size_t i = 0; i < n; i++)
		kg_commit_event_unref(old[i]);
	kg_snapshot_unref(before);
	return same;
}

void kg_hub_publish(struct kg_hub *hub, struct kg_commit_event *event)
{
	struct kg_snapshot *before;

	assert(event->snapshot && event->snapshot->revision == event->revision);
	pthread_mutex_lock(&hub->lock);
	assert(event->revision == hub->snapshot->revision + 1);
	before = hub->snapshot;
	hub->snapshot = kg_snapshot_ref(event->snapshot);
	ring_push(hub, event);
	pthread_cond_broadcast(&hub->moved);
	pthread_mutex_unlock(&hub->lock);
	kg_snapshot_unref(before);

	kg_hub_forget(hub, MAX_BYTES);
	pthread_mutex_lock(&hub->subs_lock);
	for (struct kg_subscription *s = hub->subs; s; s = s->next)
		s->fn(s->ctx);
	pthread_mutex_unlock(&hub->subs_lock);
}

static uint64_t oldest(const struct kg_hub *hub)
{
	return hub->len ? hub->ring[hub->first]->revision - 1 : hub->snapshot->revision;
}

struct kg_commit_event *kg_hub_next(struct kg_hub *hub, uint64_t after, bool *gone)
{
	struct kg_commit_event *e = NULL;

	pthread_mutex_lock(&hub->lock);
	uint64_t from = oldest(hub);

	*gone = after < from;
	if (after >= from && after < hub->snapshot->revision)
		e = kg_commit_event_ref(hub->ring[(hub->first + (after - from)) % hub->cap]);
	pthread_mutex_unlock(&hub->lock);
	return e;
}

uint64_t kg_hub_oldest(struct kg_hub *hub)
{
	pthread_mutex_lock(&hub->lock);
	uint64_t r = oldest(hub);
	pthread_mutex_unlock(&hub->lock);
	return r;
}

struct kg_subscription *kg_hub_subscribe(struct kg_hub *hub, void (*fn)(void *ctx), void *ctx)
{
	struct kg_subscription *s = kg_alloc(sizeof(*s));

	*s = (struct kg_subscription){.hub = hub, .fn = fn, .ctx = ctx};
	pthread_mutex_lock(&hub->subs_lock);
	s->next = hub->subs;
	if (s->next)
		s->next->prev = s;
	hub->subs = s;
	pthread_mutex_unlock(&hub->subs_lock);
	return s;
}

void kg_hub_unsubscribe(struct kg_subscription *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->hub->subs_lock);
	if (s->prev)
		s->prev->next = s->next;
	else
		s->hub->subs = s->next;
	if (s->next)
		s->next->prev = s->prev;
	pthread_mutex_unlock(&s->hub->subs_lock);
	free(s);
}

bool kg_hub_wait(struct kg_hub *hub, uint64_t revision, int timeout_ms)
{
	struct timespec until;
	bool there;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&hub->lock);
	while (!(there = hub->snapshot->revision >= revision))
		if (pthread_cond_timedwait(&hub->moved, &hub->lock, &until))
			break;
	there = hub->snapshot->revision >= revision;
	pthread_mutex_unlock(&hub->lock);
	return there;
}
