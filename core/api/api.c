/* The api as a whole: its beginning and end, and what it does when a revision is published. */
#include "api/api.h"

#include "api/internal.h"
#include "api/request.h"
#include "api/watch.h"
#include "api/worker.h"
#include "store/store.h"

#include <time.h>

/* ---- old revisions from the store ---- */

static int store_load(void *self, struct kg_snapshot **out, uint64_t revision, struct kg_error *err)
{
	return kg_store_load_at(out, self, revision, err);
}

static int store_changes(void *self, uint64_t from, uint64_t to, size_t most,
	int (*fn)(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes),
	void *ctx, struct kg_error *err)
{
	return kg_store_changes(self, from, to, most, fn, ctx, err);
}

static uint64_t store_oldest(void *self)
{
	return kg_store_oldest(self);
}

const struct kg_api_history kg_api_store_history = {store_load, store_changes, store_oldest};

/* ---- feeding ---- */

static void feed_event(struct kg_api *api, const struct kg_commit_event *e)
{
	for (size_t i = 0; i < e->changes.len; i++)
		if (e->changes.items[i].before)
			kg_api_encode_forget(api, e->changes.items[i].before);
	kg_api_encode_sweep(api);
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct feed_entry *entry;

		if (kg_api_has_versions(k))
			continue;
		entry = kg_api_feed_entry_of(
			api, &kg_kinds[k], e->revision, &e->changes, e->snapshot);
		if (!entry)
			continue;
		kg_api_feed_append(api, k, kg_api_feed_entry_ref(entry));
		kg_api_watch_published(api, k, entry);
		kg_api_feed_entry_unref(entry);
	}
	kg_api_feed_seen(api, e->revision);
}

/* On the publishing thread. */
static void on_publish(void *ctx)
{
	struct kg_api *api = ctx;
	struct kg_commit_event *e;
	bool gone;

	pthread_mutex_lock(&api->fed_lock);
	while ((e = kg_hub_next(api->opt.hub, api->fed, &gone))) {
		feed_event(api, e);
		api->fed = e->revision;
		kg_commit_event_unref(e);
	}
	pthread_mutex_unlock(&api->fed_lock);
	kg_api_request_published(api);
}

/* ---- life ---- */

kg_time kg_api_now(struct kg_api *api)
{
	struct timespec ts;

	if (api->opt.clock)
		return api->opt.clock(api->opt.ctx);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (kg_time)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct kg_api *kg_api_new(const struct kg_api_options *opts)
{
	struct kg_api *api = kg_alloc(sizeof(*api));

	api->opt = *opts;
	api->opt.server_address = kg_strdup(opts->server_address);
	api->opt.write_hint = kg_strdup(opts->write_hint ? opts->write_hint : "git push");
	pthread_mutex_init(&api->fed_lock, NULL);
	pthread_mutex_init(&api->feed_lock, NULL);
	pthread_mutex_init(&api->watch_lock, NULL);
	pthread_mutex_init(&api->wait_lock, NULL);
	pthread_mutex_init(&api->resume.lock, NULL);
	pthread_mutex_init(&api->load_lock, NULL);
	pthread_mutex_init(&api->lists.lock, NULL);
	if (!opts->max_lists)
		api->opt.max_lists = 64;
	if (!opts->list_ms)
		api->opt.list_ms = 60000;
	if (!opts->max_watches)
		api->opt.max_watches = 11000;
	kg_api_encode_cache_init(&api->cache, opts->cache_bytes);
	/* What the hub still holds is fed now; what comes later, by the subscription. */
	api->fed = kg_hub_oldest(opts->hub);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		kg_api_feed_init(&api->feeds[k], api->fed);
	kg_api_events_init(api);
	kg_api_leases_init(api);
	kg_api_usage_init(api);
	kg_api_worker_start(api);
	kg_api_backfill_start(api, api->fed);
	api->sub = kg_hub_subscribe(opts->hub, on_publish, api);
	on_publish(api);
	return api;
}

void kg_api_free(struct kg_api *api)
{
	if (!api)
		return;
	kg_hub_unsubscribe(api->sub);
	kg_api_worker_stop(api);
	kg_api_events_release(api);
	kg_api_leases_release(api);
	kg_api_usage_release(api);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		kg_api_feed_release(&api->feeds[k]);
	for (int k = 0; k < KG_KIND_COUNT; k++)
		free(api->watchers[k].slots);
	kg_api_encode_cache_release(&api->cache);
	kg_api_metrics_release(api);
	for (size_t i = 0; i < KG_ARRAY_LEN(api->loaded); i++)
		kg_snapshot_unref(api->loaded[i]);
	pthread_mutex_destroy(&api->load_lock);
	pthread_mutex_destroy(&api->lists.lock);
	pthread_mutex_destroy(&api->resume.lock);
	pthread_mutex_destroy(&api->wait_lock);
	pthread_mutex_destroy(&api->watch_lock);
	pthread_mutex_destroy(&api->feed_lock);
	pthread_mutex_destroy(&api->fed_lock);
	free((char *)api->opt.server_address);
	free((char *)api->opt.write_hint);
	free(api);
}

void kg_api_stats(struct kg_api *api, struct kg_api_stats *out)
{
	pthread_mutex_lock(&api->watch_lock);
	out->watchers = api->nwatchers;
	pthread_mutex_unlock(&api->watch_lock);
	pthread_mutex_lock(&api->wait_lock);
	out->waiting = api->nwaiting;
	pthread_mutex_unlock(&api->wait_lock);
	pthread_mutex_lock(&api->lists.lock);
	out->lists = api->lists.len;
	out->lists_refused = api->lists.refused;
	out->lists_broken = api->lists.broken;
	pthread_mutex_unlock(&api->lists.lock);
	out->watches_refused = api->watches_refused;
	out->encoded = api->cache.misses;
	out->reused = api->cache.hits;
	out->cached = api->cache.bytes;
	out->events_sent = api->events_sent;
	out->behind = api->metrics.behind;
	out->expired = api->metrics.expired;
}
