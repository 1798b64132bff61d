/*
 * A watcher behind what memory holds: the history on disk, a piece at a time on a worker. A piece
 * is also bounded in time, whatever little of it concerns the watcher: others wait for the workers
 * too, who went away is not read for, and who takes bookmarks is told how far it came, so that a
 * long way can be gone in several streams.
 */
#include "api/internal.h"
#include "api/watcher.h"
#include "api/worker.h"

#include <inttypes.h>

enum { PIECE_CHANGES = 500, PIECE_MS = 100 };

static bool is_over(struct request *r)
{
	if (!kg_api_request_enter(r))
		return true;
	kg_api_request_leave(r);
	return false;
}

static int take_history(
	void *ctx, uint64_t revision, kg_time time, const struct kg_changes *changes)
{
	struct watcher *w = ctx;
	struct feed_entry *e = kg_api_feed_entry_of(w->r->api, w->r->kind, revision, changes, NULL);
	(void)time;

	w->behind_to = revision;
	if (e) {
		KG_GROW(w->behind, w->behind_cap, w->nbehind + 1);
		w->behind[w->nbehind++] = e;
		w->behind_changes += e->len;
	}
	w->behind_stopped = w->behind_changes >= PIECE_CHANGES ||
			    kg_api_now_ms() - w->behind_began >= PIECE_MS || is_over(w->r);
	return w->behind_stopped;
}

/* On a worker. The watcher does not touch what is behind_* until behind_ready. */
static void read_history(void *arg)
{
	struct request *r = arg;
	struct watcher *w = r->state;
	struct kg_api *api = r->api;
	uint64_t to = kg_hub_revision(api->opt.hub);

	w->behind_began = kg_api_now_ms();
	w->behind_rc = api->opt.history->changes(
		api->opt.history_self, w->cursor, to, 0, take_history, w, &w->behind_err);
	if (!w->behind_stopped)
		w->behind_to = to;
	if (kg_api_request_enter(r)) {
		w->behind_ready = true;
		kg_http_stream_wake(r->http);
		kg_api_request_leave(r);
	}
	kg_api_request_unref(r);
}

bool kg_api_watch_behind(struct watcher *w)
{
	if (!w->r->api->opt.history || !kg_api_has_history(w->r->kind->id)) {
		kg_api_watch_emit_gone(w);
		return true;
	}
	if (w->phase != BEHIND)
		atomic_fetch_add(&w->r->api->metrics.behind, 1);
	w->phase = BEHIND;
	w->nbehind = w->behind_at = w->behind_changes = 0;
	w->behind_ready = w->behind_stopped = false;
	w->behind_to = w->cursor;
	kg_api_worker_add(w->r->api, read_history, kg_api_request_ref(w->r));
	return false;
}

/* The next entry of the piece of history; at its end the watcher is live (or behind) again. */
bool kg_api_watch_next_behind(struct watcher *w, bool *emitted)
{
	bool ready;

	*emitted = false;
	pthread_mutex_lock(&w->r->lock);
	ready = w->behind_ready;
	pthread_mutex_unlock(&w->r->lock);
	if (!ready)
		return false;
	if (w->behind_at < w->nbehind) {
		kg_api_watch_enter(w, w->behind[w->behind_at++]);
		return true;
	}
	if (w->behind_rc < 0) {
		struct kg_error why = w->behind_err;

		/* With which is the oldest that could have been asked for. */
		if (why.code == KG_E_GONE)
			kg_fail(&why, KG_E_GONE, "too old resource version: %" PRIu64 ": %s",
				w->cursor, w->behind_err.msg);
		kg_api_watch_emit_error(w, &why);
		*emitted = true;
		return true;
	}
	if (w->cursor < w->behind_to)
		w->cursor = w->behind_to;
	w->phase = LIVE;
	if (w->behind_stopped && w->bookmarks && w->cursor >= w->again) {
		kg_api_watch_emit_bookmark(w, false);
		*emitted = true;
	}
	return true;
}
