/*
 * WATCH: a stream of events, pulled by the connection. A watcher is a position (a revision) in its
 * kind's feed, not a queue: a thousand slow watchers cost a thousand positions. One that falls
 * behind what memory holds reads on from the history on disk, a piece at a time on a worker; one
 * that falls behind the history is told 410 Expired and lists again.
 *
 * A stream that its server ends, ends between two commits. To who asks for a WebSocket each event
 * is a message, as text, whatever subprotocol he offers.
 *
 *   first (synthetic ADDED of one snapshot) -> live <-> behind (history) -> over
 *
 * Only the connection's thread moves a watcher; a worker hands it pieces of history under the
 * request's lock, and publishers merely wake it.
 */
#include "api/watch.h"

#include "api/handlers.h"
#include "api/internal.h"
#include "api/reply.h"
#include "api/watcher.h"
#include "api/worker.h"
#include "auth/subprotocol.h"
#include "base/hash.h"

/* Watchers whose requests come from memory while one is woken. */
enum { FETCH_AHEAD = 8 };

static void watcher_free(void *state)
{
	struct watcher *w = state;

	kg_api_reader_release(&w->first);
	kg_api_feed_entry_unref(w->entry);
	for (size_t i = w->behind_at; i < w->nbehind; i++)
		kg_api_feed_entry_unref(w->behind[i]);
	free(w->behind);
	kg_buf_release(&w->out);
	kg_api_blob_unref(w->blob);
	free(w);
}

/* ---- being woken ---- */

static bool watcher_add(struct watcher *w)
{
	struct kg_api *api = w->r->api;
	struct watcher_list *list = &api->watchers[w->r->kind->id];

	pthread_mutex_lock(&api->watch_lock);
	if (api->nwatchers >= api->opt.max_watches) {
		pthread_mutex_unlock(&api->watch_lock);
		atomic_fetch_add(&api->watches_refused, 1);
		return false;
	}
	KG_GROW(list->slots, list->cap, list->len + 1);
	w->place = list->len++;
	list->slots[w->place] = (struct watcher_slot){w, w->http, !w->ns && !w->name};
	w->listed = true;
	api->nwatchers++;
	pthread_mutex_unlock(&api->watch_lock);
	return true;
}

void kg_api_watch_done(struct request *r)
{
	struct watcher *w = r->state;
	struct kg_api *api = r->api;

	if (!r->watch || !w)
		return;
	pthread_mutex_lock(&api->watch_lock);
	if (w->listed) {
		struct watcher_list *list = &api->watchers[r->kind->id];

		list->slots[w->place] = list->slots[--list->len];
		list->slots[w->place].w->place = w->place;
		w->listed = false;
		api->nwatchers--;
	}
	pthread_mutex_unlock(&api->watch_lock);
}

/* Could the object concern this watcher, by namespace and name alone? */
static bool concerns(const struct watcher *w, const struct kg_object *obj)
{
	return obj && (!w->ns || !strcmp(w->ns, obj->ns)) &&
	       (!w->name || !strcmp(w->name, obj->name));
}

static bool entry_concerns(const struct watcher *w, const struct feed_entry *e)
{
	for (size_t i = 0; i < e->len; i++) {
		const struct kg_change *c = &e->changes[i];

		if (concerns(w, c->after) || concerns(w, c->before))
			return true;
	}
	return false;
}

bool kg_api_is_watched(struct kg_api *api, enum kg_kind_id kind)
{
	pthread_mutex_lock(&api->watch_lock);
	bool watched = api->watchers[kind].len > 0;
	pthread_mutex_unlock(&api->watch_lock);
	return watched;
}

void kg_api_watch_published(struct kg_api *api, enum kg_kind_id kind, const struct feed_entry *e)
{
	struct kg_http_wakes wakes = {0};
	const struct watcher_list *list = &api->watchers[kind];

	pthread_mutex_lock(&api->watch_lock);
	for (size_t i = 0; i < list->len; i++) {
		const struct watcher_slot *s = &list->slots[i];

		if (i + FETCH_AHEAD < list->len) {
			/* Two lines: it need not begin with one. */
			__builtin_prefetch(s[FETCH_AHEAD].http, 1);
			__builtin_prefetch((const char *)s[FETCH_AHEAD].http + 63, 1);
			if (!s[FETCH_AHEAD].all)
				__builtin_prefetch(s[FETCH_AHEAD].w);
		}
		if (s->all || entry_concerns(s->w, e))
			kg_http_wakes_add(&wakes, s->http);
	}
	kg_http_wakes_flush(&wakes);
	pthread_mutex_unlock(&api->watch_lock);
}

int64_t kg_api_watch_tick(struct kg_api *api, int64_t now)
{
	int64_t due = INT64_MAX;

	pthread_mutex_lock(&api->watch_lock);
	for (int k = 0; k < KG_KIND_COUNT; k++) {
		for (size_t i = 0; i < api->watchers[k].len; i++) {
			const struct watcher *w = api->watchers[k].slots[i].w;
			int64_t at = w->due;

			if (at <= now) {
				kg_http_stream_wake(w->http);
				/* It says when it is due next by itself; a stuck connection not. */
				at = now + 1000;
			}
			if (at < due)
				due = at;
		}
	}
	pthread_mutex_unlock(&api->watch_lock);
	return due;
}

static void watcher_due(struct watcher *w)
{
	int64_t due = w->bookmarks && w->bookmark < w->end ? w->bookmark : w->end;

	if (due != w->due) {
		w->due = due;
		kg_api_clock_kick(w->api, due);
	}
}

/* ---- the machine ---- */

/* What a change is to the watcher; NULL: nothing. */
static const char *change_type(const struct watcher *w, const struct kg_change *c)
{
	bool was =
		concerns(w, c->before) && (!w->sel || kg_api_selector_matches(w->sel, c->before));
	bool is = concerns(w, c->after) && (!w->sel || kg_api_selector_matches(w->sel, c->after));

	if (is)
		return was ? "MODIFIED" : "ADDED";
	return was ? "DELETED" : NULL;
}

void kg_api_watch_enter(struct watcher *w, struct feed_entry *e)
{
	size_t n = 0;

	w->entry = e;
	w->entry_at = 0;
	if (e->revision != w->again)
		return;
	for (size_t i = 0; i < e->len && n < 2; i++)
		n += change_type(w, &e->changes[i]) != NULL;
	if (n < 2)
		w->entry_at = e->len;
}

/* Gives out the next change of the entry that concerns the watcher. */
static bool emit_change(struct watcher *w)
{
	while (w->entry_at < w->entry->len) {
		const struct kg_change *c = &w->entry->changes[w->entry_at++];
		const char *type = change_type(w, c);

		if (!type)
			continue;
		kg_api_watch_emit(w, type, *type == 'D' ? c->before : c->after, w->entry->revision);
		return true;
	}
	w->cursor = w->entry->revision;
	kg_api_feed_entry_unref(w->entry);
	w->entry = NULL;
	return false;
}

static bool emit_first(struct watcher *w)
{
	const struct kg_object *obj;
	const char *key;

	while ((obj = kg_api_reader_next(&w->first, &key))) {
		if (!kg_api_selector_matches(&w->r->sel, obj))
			continue;
		kg_api_watch_emit(w, "ADDED", obj, obj->revision);
		return true;
	}
	kg_api_reader_release(&w->first);
	w->phase = LIVE;
	if (!w->initial_bookmark)
		return false;
	kg_api_watch_emit_bookmark(w, true);
	return true;
}

/* At the end of the feed: a bookmark where it is time; false: nothing now. */
static bool emit_idle(struct watcher *w, uint64_t seen, int64_t now)
{
	if (w->cursor < seen)
		w->cursor = seen;
	/* Never one before where the client already is. */
	if (!w->bookmarks || now < w->bookmark || w->cursor < w->again)
		return false;
	kg_api_watch_emit_bookmark(w, false);
	return true;
}

/* Its time is over: the last word is how far it came, so that the next stream begins there. */
static bool end(struct watcher *w)
{
	bool tell = w->bookmarks && w->phase == LIVE && w->cursor >= w->again;

	if (w->phase == FIRST)
		w->told = 0; /* no place to go on from */
	w->phase = OVER;
	if (tell)
		kg_api_watch_emit_bookmark(w, false);
	return tell;
}

/* Puts the next thing to send into place; false: nothing now, or over. */
static bool produce(struct watcher *w, int64_t now)
{
	struct feed_entry *e;
	bool gone, emitted;
	uint64_t seen;

	for (;;) {
		if (w->entry) {
			if (emit_change(w))
				return true;
			continue;
		}
		if (w->phase != OVER && now >= w->end && end(w))
			return true;
		switch (w->phase) {
		case FIRST:
			if (emit_first(w))
				return true;
			continue;
		case BEHIND:
			if (!kg_api_watch_next_behind(w, &emitted))
				return false;
			if (emitted)
				return true;
			continue;
		case LIVE:
			e = kg_api_feed_next(w->api, w->kind, w->cursor, &gone, &seen);
			if (gone)
				return kg_api_watch_behind(w);
			if (!e)
				return emit_idle(w, seen, now);
			kg_api_watch_enter(w, e);
			continue;
		case OVER:
			return false;
		}
	}
}

static ssize_t watch_read(struct kg_http_req *http, char *buf, size_t max, void *ctx)
{
	struct watcher *w = ctx;
	int64_t now = kg_api_now_ms();
	size_t n = 0;
	bool more = true;

	while (n < max && (!w->messages || !n) && (more = w->out.len || w->blob || produce(w, now)))
		n += kg_api_watch_drain(w, buf + n, max - n);
	if (w->messages && (w->out.len || w->blob))
		kg_http_message_goes_on(http);
	watcher_due(w);
	if (!more && w->phase != OVER)
		kg_http_stream_dry(http);
	if (!n && w->phase == OVER) {
		/* It ends between two commits, and who comes by this connection has all. */
		if (w->cursor >= w->told)
			kg_api_resume_listed(w->r, w->told);
		return -1;
	}
	return (ssize_t)n;
}

/* ---- the beginning ---- */

static int parse_timeout(struct watcher *w, struct kg_error *err)
{
	const char *timeout = kg_http_query(w->r->http, "timeoutSeconds");
	char *end;

	/* Without a wish: 30 to 60 minutes, spread so that not all come back at once. */
	w->end =
		kg_api_now_ms() + 1800 * 1000 + (int64_t)(kg_hash64(&w, sizeof(w)) % (1800 * 1000));
	if (!timeout || !*timeout)
		return 0;
	long s = strtol(timeout, &end, 10);
	if (*end || s < 0 || s > 100 * 365 * 24 * 3600L)
		return kg_fail(err, KG_E_BAD_REQUEST,
			"timeoutSeconds: Invalid value: \"%.100s\": must be a number of seconds",
			timeout);
	if (s)
		w->end = kg_api_now_ms() + (int64_t)s * 1000;
	return 0;
}

static void watch_begin(struct request *r)
{
	struct watcher *w = r->state;

	if (w->phase == FIRST || !w->cursor) {
		struct source src;

		kg_api_source_now(&src, r->api, r->kind);
		w->cursor = src.revision;
		if (w->phase == FIRST)
			kg_api_reader_init(&w->first, r, &src, NULL);
		kg_api_source_release(&src);
	}
	/* Kinds with versions of their own have one for each change. */
	if (w->phase == LIVE && r->revision && !kg_api_has_versions(r->kind->id) &&
		!kg_api_resume_has_all(r, r->revision)) {
		w->again = r->revision;
		w->cursor = r->revision - 1;
	}
	if (w->kind == KG_KIND_LEASE)
		kg_api_clock_kick(r->api, kg_api_leases_due(kg_api_now_ms()));
	if (!watcher_add(w)) {
		kg_api_reply_too_many(r, "watches are open");
		return;
	}
	watcher_due(w);
	w->messages = kg_http_is_websocket(r->http);
	if (w->messages)
		kg_http_websocket(r->http,
			&(struct kg_http_websocket_options){
				.protocol =
					kg_subprotocol_plain(kg_http_websocket_offers(r->http))},
			watch_read, w);
	else
		kg_http_stream(r->http, 200, "application/json", watch_read, w);
}

void kg_api_handle_watch(struct request *r)
{
	struct watcher *w = kg_alloc(sizeof(*w));
	struct kg_error err;

	w->r = r;
	r->state = w;
	r->state_free = watcher_free;
	if (kg_api_request_parse(r, &err) || parse_timeout(w, &err)) {
		kg_api_reply_error(r, &err);
		return;
	}
	w->http = r->http;
	w->api = r->api;
	w->kind = r->kind->id;
	w->form = r->form;
	w->sel = r->sel.nlabels || r->sel.nfields ? &r->sel : NULL;
	w->ns = r->ns;
	w->name = r->name ? r->name : kg_api_selector_field(&r->sel, "metadata.name");
	w->bookmarks = kg_http_query_bool(r->http, "allowWatchBookmarks");
	kg_api_watch_next_bookmark(w);
	/* "" and "0" begin with what there is, unless told otherwise. */
	if (r->initial == 1 || (r->initial < 0 && !r->revision))
		w->phase = FIRST;
	else
		w->phase = LIVE;
	w->initial_bookmark = w->phase == FIRST && w->bookmarks;
	w->cursor = w->told = r->revision;
	/* From a revision ahead of now the stream is merely silent until then. */
	kg_api_request_at(r, w->phase == FIRST ? r->revision : 0, watch_begin);
}
