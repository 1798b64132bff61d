/*
 * A feed holds the recent changes of one kind, so that a watcher costs what its own kind costs: a
 * watch of ConfigMaps neither wakes for nor walks over a thousand commits about Pods, and stays
 * resumable from memory however many of those go by. Entries hold the objects, not snapshots.
 */
#include "api/feed.h"

#include "api/endpoints.h"
#include "api/implicit.h"
#include "api/internal.h"
#include "api/watch.h"

#include <assert.h>
#include <string.h>

/* A feed's weight: some 16 MB at most, of small objects as of EndpointSlices. */
enum { DEFAULT_MAX_FEED = 8192, WEIGHT_BYTES = 2048, FIRST_RING = 16 };

static struct feed_entry *entry_alloc(uint64_t revision, size_t n)
{
	struct feed_entry *e = kg_alloc(sizeof(*e) + n * sizeof(e->changes[0]));

	e->refs = 1;
	e->revision = revision;
	e->weight = 1;
	return e;
}

struct feed_entry *kg_api_feed_entry_ref(struct feed_entry *e)
{
	atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
	return e;
}

void kg_api_feed_entry_unref(struct feed_entry *e)
{
	if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < e->len; i++) {
		kg_object_unref(e->changes[i].before);
		kg_object_unref(e->changes[i].after);
	}
	free(e);
}

static struct kg_object *made_of(const struct kg_kind *kind, const struct kg_object *obj)
{
	if (!obj)
		return NULL;
	if (kind->id == KG_KIND_EVENT_V1)
		return kg_api_event_v1_of(obj);
	return kg_object_ref(obj);
}

/* One that goes and, in the same commit, another one that comes by its name, as a StatefulSet's pod
 * does. */
static bool is_another(const struct kg_change *c)
{
	return c->before && c->after &&
	       strcmp(kg_object_uid(c->before), kg_object_uid(c->after)) != 0;
}

static void add_change(struct feed_entry *e, const struct kg_kind *kind,
	const struct kg_object *before, const struct kg_object *after)
{
	struct kg_change *c = &e->changes[e->len];

	c->before = made_of(kind, before);
	c->after = made_of(kind, after);
	if (!c->before && !c->after)
		return;
	e->len++;
	e->weight += 1 + (c->before ? kg_doc_size(c->before->doc) / WEIGHT_BYTES : 0);
}

struct feed_entry *kg_api_feed_entry_new(
	const struct kg_kind *kind, uint64_t revision, const struct kg_change *changes, size_t n)
{
	size_t others = 0;

	for (size_t i = 0; i < n; i++)
		others += is_another(&changes[i]);
	struct feed_entry *e = entry_alloc(revision, n + others);

	for (size_t i = 0; i < n; i++) {
		const struct kg_change *c = &changes[i];

		if (c->quiet)
			continue;
		if (others && is_another(c)) {
			add_change(e, kind, c->before, NULL);
			add_change(e, kind, NULL, c->after);
		} else {
			add_change(e, kind, c->before, c->after);
		}
	}
	return e;
}

/* Those of one kind: changes are sorted by kind. */
static struct kg_changes changes_of(const struct kg_changes *changes, enum kg_kind_id id)
{
	size_t from = 0, to;

	while (from < changes->len && kg_change_object(&changes->items[from])->kind->id != id)
		from++;
	for (to = from; to < changes->len; to++)
		if (kg_change_object(&changes->items[to])->kind->id != id)
			break;
	return (struct kg_changes){changes->items + from, to - from};
}

/* Of what is stored, or made of it. */
static struct feed_entry *stored_entry(const struct kg_kind *kind, uint64_t revision,
	const struct kg_changes *changes, const struct kg_snapshot *after)
{
	struct kg_changes own = changes_of(changes, kind->id), slices;

	if (kind->id != KG_KIND_ENDPOINTS)
		return own.len ? kg_api_feed_entry_new(kind, revision, own.items, own.len) : NULL;
	slices = changes_of(changes, KG_KIND_ENDPOINTSLICE);
	return after && own.len + slices.len
		       ? kg_api_endpoints_entry(revision, &slices, &own, after)
		       : NULL;
}

struct feed_entry *kg_api_feed_entry_of(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after)
{
	struct feed_entry *e = stored_entry(kind, revision, changes, after);

	e = kg_api_implicit_entry(api, kind, revision, changes, after, e);
	if (!e || e->len)
		return e;
	kg_api_feed_entry_unref(e);
	return NULL;
}

void kg_api_feed_init(struct feed *f, uint64_t revision)
{
	*f = (struct feed){.floor = revision, .newest = revision, .seen = revision};
}

static void feed_push(struct feed *f, struct feed_entry *e)
{
	if (f->len == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : FIRST_RING;
		struct feed_entry **ring = kg_alloc(cap * sizeof(struct feed_entry *));

		for (size_t i = 0; i < f->len; i++)
			ring[i] = f->ring[(f->first + i) % f->cap];
		free(f->ring);
		f->ring = ring;
		f->cap = cap;
		f->first = 0;
	}
	f->ring[(f->first + f->len++) % f->cap] = e;
	f->weight += e->weight;
}

static struct feed_entry *feed_trim(struct feed *f, size_t max)
{
	if (f->weight <= max || f->len <= 1)
		return NULL;
	struct feed_entry *e = f->ring[f->first];

	f->first = (f->first + 1) % f->cap;
	f->len--;
	f->weight -= e->weight;
	f->floor = e->revision;
	return e;
}

/* What is dropped may free many objects: not under the lock. */
static void forget(struct kg_api *api, struct feed *f, size_t max)
{
	struct feed_entry *old;

	do {
		pthread_mutex_lock(&api->feed_lock);
		old = feed_trim(f, max);
		pthread_mutex_unlock(&api->feed_lock);
		kg_api_feed_entry_unref(old);
	} while (old);
}

void kg_api_feed_append(struct kg_api *api, enum kg_kind_id kind, struct feed_entry *e)
{
	struct feed *f = &api->feeds[kind];
	size_t max = api->opt.max_feed ? api->opt.max_feed : DEFAULT_MAX_FEED;

	pthread_mutex_lock(&api->feed_lock);
	assert(e->revision > f->seen);
	feed_push(f, e);
	f->newest = e->revision;
	f->seen = e->revision;
	pthread_mutex_unlock(&api->feed_lock);
	forget(api, f, max);
}

void kg_api_forget_changes(struct kg_api *api, size_t most)
{
	/* Who watches one namespace is not woken by another's changes. It comes to them later, and
	 * would be told 410 where no history has them. */
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (kg_api_has_history(k) || !kg_api_is_watched(api, k))
			forget(api, &api->feeds[k], most);
}

void kg_api_feed_prepend(struct kg_api *api, enum kg_kind_id kind, struct feed_entry **entries,
	size_t n, uint64_t from, uint64_t to)
{
	struct feed *f = &api->feeds[kind];
	size_t cap = FIRST_RING;

	pthread_mutex_lock(&api->feed_lock);
	bool fits = f->floor == to;

	if (fits && n) {
		while (cap < f->len + n)
			cap *= 2;
		struct feed_entry **ring = kg_alloc(cap * sizeof(struct feed_entry *));

		memcpy(ring, entries, n * sizeof(*ring));
		for (size_t i = 0; i < f->len; i++)
			ring[n + i] = f->ring[(f->first + i) % f->cap];
		for (size_t i = 0; i < n; i++)
			f->weight += entries[i]->weight;
		free(f->ring);
		f->ring = ring;
		f->cap = cap;
		f->first = 0;
		f->len += n;
	}
	if (fits)
		f->floor = from;
	pthread_mutex_unlock(&api->feed_lock);
	for (size_t i = 0; !fits && i < n; i++)
		kg_api_feed_entry_unref(entries[i]);
}

void kg_api_feed_seen(struct kg_api *api, uint64_t revision)
{
	pthread_mutex_lock(&api->feed_lock);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		if (!kg_api_has_versions(k) && api->feeds[k].seen < revision)
			api->feeds[k].seen = revision;
	pthread_mutex_unlock(&api->feed_lock);
}

static struct feed_entry *feed_at(const struct feed *f, size_t i)
{
	return f->ring[(f->first + i) % f->cap];
}

/* The place of the first entry with a revision > after; mostly it is the last. */
static size_t feed_find(const struct feed *f, uint64_t after)
{
	size_t lo = 0, hi = f->len;

	if (f->len > 1 && feed_at(f, f->len - 2)->revision <= after)
		lo = f->len - 1;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (feed_at(f, mid)->revision > after)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct feed_entry *kg_api_feed_next(
	struct kg_api *api, enum kg_kind_id kind, uint64_t after, bool *gone, uint64_t *seen)
{
	struct feed *f = &api->feeds[kind];
	struct feed_entry *e = NULL;

	*gone = false;
	*seen = f->seen;
	if (after >= f->newest)
		return NULL;
	pthread_mutex_lock(&api->feed_lock);
	*gone = after < f->floor;
	*seen = f->seen;
	if (!*gone) {
		size_t i = feed_find(f, after);

		if (i < f->len)
			e = kg_api_feed_entry_ref(feed_at(f, i));
	}
	pthread_mutex_unlock(&api->feed_lock);
	return e;
}

void kg_api_feed_release(struct feed *f)
{
	for (size_t i = 0; i < f->len; i++)
		kg_api_feed_entry_unref(feed_at(f, i));
	free(f->ring);
	*f = (struct feed){0};
}
