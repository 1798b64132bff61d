/* The recent changes of each kind, which watches read. */
#ifndef KG_API_FEED_H
#define KG_API_FEED_H

#include "kinds/snapshot.h"

#include <stdatomic.h>

struct kg_api;

struct feed_entry {
	_Atomic int refs;
	uint64_t revision;
	size_t len;
	size_t weight;              /* 1 a change, and 1 for each 2 KB that is kept for it alone */
	struct kg_change changes[]; /* objects referenced */
};
struct feed {
	struct feed_entry **ring;
	size_t cap, first, len, weight;
	uint64_t floor; /* changes after this revision are all here */
	/* Up to this revision the feed is complete, and the newest entry's (the floor where there
	 * was none yet). Written under the lock, newest first, and read seen first without it. */
	_Atomic uint64_t seen, newest;
};
void kg_api_feed_init(struct feed *f, uint64_t revision); /* nothing is known from before */
/* changes: objects are referenced, not taken over; quiet ones are left out, and one in which the
 * object becomes another (by its uid) is two. */
struct feed_entry *kg_api_feed_entry_new(
	const struct kg_kind *kind, uint64_t revision, const struct kg_change *changes, size_t n);
struct feed_entry *kg_api_feed_entry_ref(struct feed_entry *e);
void kg_api_feed_entry_unref(struct feed_entry *e);
/* Kinds with revisions of their own. */
static inline bool kg_api_has_versions(enum kg_kind_id kind)
{
	return kind == KG_KIND_EVENT || kind == KG_KIND_EVENT_V1 || kind == KG_KIND_LEASE ||
	       kind == KG_KIND_NODE_METRICS || kind == KG_KIND_POD_METRICS;
}
/* Can changes of the kind be read from history, which has no snapshots? Endpoints cannot, nor can
 * what has versions of its own. */
static inline bool kg_api_has_history(enum kg_kind_id kind)
{
	return kind != KG_KIND_ENDPOINTS && !kg_api_has_versions(kind);
}
/* The part of a commit that concerns a kind; NULL where none. after: the commit's snapshot, without
 * which there are no Endpoints (they are made from slices). */
struct feed_entry *kg_api_feed_entry_of(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after);
void kg_api_feed_append(struct kg_api *api, enum kg_kind_id kind, struct feed_entry *e /* moved */);
/* All changes of revisions (from, to], in order, where the feed begins after `to` (else it has
 * moved on): the entries' references are taken over. */
void kg_api_feed_prepend(struct kg_api *api, enum kg_kind_id kind, struct feed_entry **entries,
	size_t n, uint64_t from, uint64_t to);
/* On a worker: the history before `to`, as much as is of use (backfill.c). */
void kg_api_backfill_start(struct kg_api *api, uint64_t to);
void kg_api_feed_seen(struct kg_api *api, uint64_t revision); /* every kind but Events */
/* The first entry after a revision (a reference), or NULL; *seen: nothing else up to there. */
struct feed_entry *kg_api_feed_next(
	struct kg_api *api, enum kg_kind_id kind, uint64_t after, bool *gone, uint64_t *seen);
void kg_api_feed_release(struct feed *f);

#endif
