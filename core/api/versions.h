/* Kinds with revisions of their own: Events, Leases, and metrics of nodes and pods. */
#ifndef KG_API_VERSIONS_H
#define KG_API_VERSIONS_H

#include "base/map.h"
#include "kinds/snapshot.h"

#include <pthread.h>
#include <stdatomic.h>

struct kg_api;

struct versions {
	pthread_mutex_t lock;
	struct kg_pmap objects;
	uint64_t seq; /* the newest revision */
	/* versions that a paged list still reads */
	struct {
		struct kg_pmap objects;
		uint64_t seq;
		int64_t since; /* monotonic ms */
		bool used;
	} kept[8];
	unsigned most_kept, next_kept;
};
/* most_kept: at most 8. */
void kg_api_versions_init(struct versions *v, uint64_t seq, unsigned most_kept);
void kg_api_versions_release(struct versions *v);
/* One change, as the next revision, told to those who watch any of its n forms. With the lock. */
void kg_api_versions_publish(struct kg_api *api, struct versions *v, struct kg_object *before,
	struct kg_object *after, const enum kg_kind_id *forms, size_t n);
/* A version: the newest one where seq is 0. false: no longer kept. */
bool kg_api_versions_at(struct versions *v, uint64_t seq, struct kg_pmap *out, uint64_t *out_seq);
void kg_api_versions_keep(struct versions *v, const struct kg_pmap *objects, uint64_t seq);
/* All of it anew, as the next revision, told to nobody; objects is moved. As such versions share
 * nothing, those that were kept for more than a minute are dropped. */
void kg_api_versions_replace(struct versions *v, struct kg_pmap *objects);

/* ---- Events (events.c) ---- */

/* Events have two forms: the core group's, in which they are kept, and that of events.k8s.io. */
struct event_store {
	struct versions v;
	struct event_item *oldest, *newest; /* by last change */
	struct kg_map by_key;               /* of what makes it the same happening */
};
void kg_api_events_init(struct kg_api *api);
void kg_api_events_release(struct kg_api *api);
/* The newer form of one; a reference. */
struct kg_object *kg_api_event_v1_of(const struct kg_object *event);

/* ---- Leases (leases.c) ---- */

#define LEASE_NS "kube-node-lease"

struct lease_store {
	struct versions v;
	_Atomic int64_t read; /* monotonic ms: when liveness was last looked at; -1: never */
};
void kg_api_leases_init(struct kg_api *api);
void kg_api_leases_release(struct kg_api *api);
/* Looks at liveness, unless that was just done: who watches is told what is new. */
void kg_api_leases_read(struct kg_api *api);
/* On the clock: as that where Leases are watched; returns when it is due next. */
int64_t kg_api_leases_tick(struct kg_api *api, int64_t now);
int64_t kg_api_leases_due(int64_t read); /* when it is, having been read then */

/* ---- NodeMetrics and PodMetrics (usage.c) ---- */

struct usage_store {
	pthread_mutex_t lock; /* of who looks */
	int64_t read;         /* monotonic ms: when it was last looked at; -1: never */
	struct versions nodes, pods;
};
void kg_api_usage_init(struct kg_api *api);
void kg_api_usage_release(struct kg_api *api);
/* What is used by one node or pod, and perhaps others: out of what its node said, however many
 * others there are. Returns the revision; out is the caller's. */
uint64_t kg_api_usage_of(struct kg_api *api, const struct kg_kind *kind, const char *ns,
	const char *name, struct kg_pmap *out);
/* Looks at what nodes said, unless that was just done. */
void kg_api_usage_read(struct kg_api *api);

#endif
