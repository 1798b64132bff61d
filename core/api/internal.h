/* What the files of the api room share: the API's state. Types have short names, being seen by this
 * room alone; functions are seen by the linker, so they carry the prefix. */
#ifndef KG_API_INTERNAL_H
#define KG_API_INTERNAL_H

#include "api/api.h"
#include "api/encode.h"
#include "api/feed.h"
#include "api/metrics.h"
#include "api/resume.h"
#include "api/versions.h"

struct kg_api {
	struct kg_api_options opt;
	struct kg_subscription *sub;
	pthread_mutex_t fed_lock;
	uint64_t fed; /* hub revision that the feeds have */

	pthread_mutex_t feed_lock;
	struct feed feeds[KG_KIND_COUNT];
	struct encode_cache cache;
	struct event_store events;
	struct lease_store leases;
	struct usage_store usage;

	pthread_mutex_t watch_lock;
	struct watcher_list {
		/* What whoever publishes looks at first: a thousand of them in a row. */
		struct watcher_slot {
			struct watcher *w;
			struct kg_http_req *http;
			bool all; /* of the kind: no namespace, no name */
		} * slots;
		size_t len, cap;
	} watchers[KG_KIND_COUNT];
	size_t nwatchers;
	_Atomic uint64_t events_sent, watches_refused;

	struct list_table {
		pthread_mutex_t lock;
		struct list *first; /* long ones that are being sent */
		size_t len;
		uint64_t refused, broken;
	} lists;
	struct resume_table resume;
	struct metrics metrics;

	pthread_mutex_t wait_lock;
	struct request *waiting;
	size_t nwaiting;

	pthread_mutex_t load_lock;
	struct kg_snapshot *loaded[2]; /* newest first */

	pthread_mutex_t work_lock;
	pthread_cond_t work_ready;
	struct job *jobs, **jobs_end;
	pthread_t workers[2];
	pthread_mutex_t clock_lock;
	pthread_cond_t clock_moved;
	int64_t clock_due;
	pthread_t clock;
	bool stopping;
};
static inline struct versions *kg_api_versions(struct kg_api *api, enum kg_kind_id kind)
{
	switch (kind) {
	case KG_KIND_LEASE:
		return &api->leases.v;
	case KG_KIND_NODE_METRICS:
		return &api->usage.nodes;
	case KG_KIND_POD_METRICS:
		return &api->usage.pods;
	default:
		return &api->events.v;
	}
}
kg_time kg_api_now(struct kg_api *api);

#endif
