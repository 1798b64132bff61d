/* A watcher, as the three files that move it see it: watch.c (its life and its machine),
 * watch_send.c (what it sends), watch_history.c (reading on from disk). */
#ifndef KG_API_WATCHER_H
#define KG_API_WATCHER_H

#include "api/reader.h"
#include "api/request.h"

enum phase { FIRST, LIVE, BEHIND, OVER };

struct watcher {
	/* First what whoever publishes looks at, a thousand of them in a row, and then what a
	 * sender does; of the request neither needs anything. */
	size_t place; /* in its kind's list */
	struct kg_http_req *http;
	const char *ns, *name;    /* the only ones that it is about, or NULL */
	_Atomic int64_t due;      /* when the clock must wake it */
	uint64_t cursor;          /* every event up to here was given out */
	struct feed_entry *entry; /* being given out */
	size_t entry_at;
	struct kg_api *api;
	enum kg_kind_id kind;
	enum phase phase;
	const struct selector *sel; /* NULL: all are selected */
	/* what is being sent: out, or what comes before an object, a shared object and a suffix */
	const char *before;
	struct blob *blob;
	struct kg_buf out;
	size_t sent;
	int64_t end, bookmark; /* monotonic ms */
	enum form form;
	bool bookmarks, initial_bookmark, headers_sent;
	bool messages; /* over a WebSocket, one an event */
	bool listed;
	uint64_t again; /* of this revision the client may have a part; see resume.c */
	uint64_t told;  /* the last revision that was named to it */

	struct request *r; /* owns this */
	struct reader first;

	/* history, handed over under r->lock */
	struct feed_entry **behind;
	size_t nbehind, behind_cap, behind_at, behind_changes;
	bool behind_stopped;
	uint64_t behind_to; /* the history read reaches to here */
	int64_t behind_began;
	bool behind_ready;
	int behind_rc;
	struct kg_error behind_err;
};

/* ---- watch.c ---- */
/* Begins to give out an entry (its reference is taken over). */
void kg_api_watch_enter(struct watcher *w, struct feed_entry *e);

/* ---- watch_send.c: puts one thing to send into place ---- */
void kg_api_watch_emit(
	struct watcher *w, const char *type, const struct kg_object *obj, uint64_t revision);
void kg_api_watch_emit_bookmark(struct watcher *w, bool initial);
/* These end the watch. */
void kg_api_watch_emit_error(struct watcher *w, const struct kg_error *err);
void kg_api_watch_emit_gone(struct watcher *w);
/* Copies what waits to be sent; how much. */
size_t kg_api_watch_drain(struct watcher *w, char *buf, size_t max);
void kg_api_watch_next_bookmark(struct watcher *w); /* from now on */

/* ---- watch_history.c ---- */
/* The feed no longer holds what comes after the cursor. True where there is something to send
 * (that it is gone for good); else a worker reads, and the phase is BEHIND. */
bool kg_api_watch_behind(struct watcher *w);
/* In the phase BEHIND: the next entry read, or the phase after it. False: not read yet. *emitted:
 * there is something to send. */
bool kg_api_watch_next_behind(struct watcher *w, bool *emitted);

#endif
