/*
 * After a start the feeds are empty, and everybody who watched goes on at once from a little before
 * it. So the newest part of the history is read into the feeds, backwards, a piece at a time, by
 * one worker: once for all, where each watcher would read it for itself. Who comes before it is
 * there, or from further back, does (watch_history.c). It ends where a snapshot would have to be
 * loaded: the cluster once more in memory is more than nobody yet has asked for.
 */
#include "api/implicit.h"
#include "api/internal.h"
#include "api/worker.h"

enum { PIECE = 1, MAX_REVISIONS = 512, MAX_CHANGES = 2048, MAX_MS = 1000 };
/* Of objects, which the snapshot has once more: what they take is taken for this alone. */
#define MAX_BYTES ((size_t)4 << 20)

struct part {
	struct feed_entry **entries;
	size_t len, cap;
};
struct backfill {
	struct kg_api *api;
	uint64_t to; /* the feeds have what comes after it */
	size_t changes, bytes;
	struct part parts[KG_KIND_COUNT];
};

static int take(void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct backfill *b = ctx;
	(void)time;

	if (kg_api_implicit_loads(b->api, revision, changes))
		return -KG_E_UNAVAILABLE;
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct part *p = &b->parts[k];
		struct feed_entry *e = !kg_api_has_history(k)
					       ? NULL
					       : kg_api_feed_entry_of(b->api, &kg_kinds[k],
							 revision, changes, NULL);

		if (!e)
			continue;
		KG_GROW(p->entries, p->cap, p->len + 1);
		p->entries[p->len++] = e;
	}
	b->changes += changes->len;
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];

		b->bytes += (c->before ? kg_doc_size(c->before->doc) : 0) +
			    (c->after ? kg_doc_size(c->after->doc) : 0);
	}
	return 0;
}

static bool read_piece(struct backfill *b)
{
	struct kg_api *api = b->api;
	uint64_t from = b->to > PIECE ? b->to - PIECE : 0;
	struct kg_error err;
	/* Where that far back nothing is kept, or it cannot be read, watchers are told so. */
	bool ok = api->opt.history->changes(api->opt.history_self, from, b->to,
			  MAX_CHANGES - b->changes, take, b, &err) >= 0;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct part *p = &b->parts[k];

		if (ok && kg_api_has_history(k))
			kg_api_feed_prepend(api, k, p->entries, p->len, from, b->to);
		else
			for (size_t i = 0; i < p->len; i++)
				kg_api_feed_entry_unref(p->entries[i]);
		p->len = 0;
	}
	b->to = from;
	return ok;
}

static bool stopping(struct kg_api *api)
{
	pthread_mutex_lock(&api->work_lock);
	bool stop = api->stopping;
	pthread_mutex_unlock(&api->work_lock);
	return stop;
}

static void run(void *arg)
{
	struct backfill *b = arg;
	int64_t until = kg_api_now_ms() + MAX_MS;
	uint64_t oldest = b->to > MAX_REVISIONS ? b->to - MAX_REVISIONS : 0;

	while (b->to > oldest && b->changes < MAX_CHANGES && b->bytes < MAX_BYTES &&
		kg_api_now_ms() < until && !stopping(b->api))
		if (!read_piece(b))
			break;
	for (int k = 0; k < KG_KIND_COUNT; k++)
		free(b->parts[k].entries);
	free(b);
}

void kg_api_backfill_start(struct kg_api *api, uint64_t to)
{
	if (!api->opt.history || !to)
		return;
	struct backfill *b = kg_alloc(sizeof(*b));

	b->api = api;
	b->to = to;
	kg_api_worker_add(api, run, b);
}
