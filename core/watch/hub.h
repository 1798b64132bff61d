/*
 * The hub: the current snapshot and the recent commits, shared by the writer (who publishes) and
 * everybody who reads or watches. Thread-safe.
 */
#ifndef KG_WATCH_HUB_H
#define KG_WATCH_HUB_H

#include "kinds/snapshot.h"

/* One published commit; reference-counted, immutable. */
struct kg_commit_event {
	_Atomic int refs;
	uint64_t revision;
	kg_time time;
	struct kg_changes changes;
	struct kg_snapshot *snapshot; /* of that revision; NULL for one read back from history */
	size_t bytes;                 /* about what is kept for this event alone */
};
struct kg_commit_event *kg_commit_event_new(uint64_t revision, kg_time time,
	struct kg_changes *changes /* moved */, struct kg_snapshot *snapshot /* referenced */);
struct kg_commit_event *kg_commit_event_ref(struct kg_commit_event *e);
void kg_commit_event_unref(struct kg_commit_event *e);

struct kg_hub;
/* snapshot is referenced. Keeps the newest events up to 32 MB and max_changes changes (default
 * 100,000 where 0), always at least one event. */
struct kg_hub *kg_hub_new(struct kg_snapshot *snapshot, size_t max_changes);
void kg_hub_free(struct kg_hub *hub);

/* A new reference to the newest published snapshot. */
struct kg_snapshot *kg_hub_snapshot(struct kg_hub *hub);
uint64_t kg_hub_revision(struct kg_hub *hub);
/* Publishes the next revision (must be the current one plus one) and calls every subscriber, on
 * the publishing thread, outside the hub's lock. Takes over the event's reference. */
void kg_hub_publish(struct kg_hub *hub, struct kg_commit_event *event);

/* Only the newest events up to so many bytes are kept from now on, until the next is published, and
 * always at least one: for when nothing happens. */
void kg_hub_forget(struct kg_hub *hub, size_t bytes);

/* `anew` has the same content as the current snapshot (kg_snapshot_anew) and is that from now on;
 * it is referenced. All events go, since theirs are made of the old one. False, and nothing
 * happens, where the next revision came meanwhile. Only of a revision that every subscriber has
 * been told of: they would find its event gone. */
bool kg_hub_settle(struct kg_hub *hub, struct kg_snapshot *anew);

/* The event of revision `after`+1 (a new reference), NULL where it is not published yet;
 * *gone is set where it is no longer in memory: read kg_store_changes up to
 * kg_hub_oldest(hub), then go on here. */
struct kg_commit_event *kg_hub_next(struct kg_hub *hub, uint64_t after, bool *gone);
/* The oldest revision r for which kg_hub_next(hub, r) is answered from memory. */
uint64_t kg_hub_oldest(struct kg_hub *hub);

/* fn is called after every publish until unsubscribed; it must not block. Returns a handle. */
struct kg_subscription;
struct kg_subscription *kg_hub_subscribe(struct kg_hub *hub, void (*fn)(void *ctx), void *ctx);
/* When it returns, fn is not running and will not run again. Not to be called from fn. */
void kg_hub_unsubscribe(struct kg_subscription *s);

/* Waits until the revision is published or timeout_ms passed; true when it is. */
bool kg_hub_wait(struct kg_hub *hub, uint64_t revision, int timeout_ms);

#endif
