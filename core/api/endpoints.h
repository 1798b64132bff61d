/* Endpoints that are made of a Service's slices. */
#ifndef KG_API_ENDPOINTS_H
#define KG_API_ENDPOINTS_H

#include "kinds/snapshot.h"

struct feed_entry;

/* A reference; NULL: the Service has none. */
struct kg_object *kg_api_endpoints_of(
	const struct kg_snapshot *s, const char *ns, const char *name);
bool kg_api_slice_is_first(const struct kg_snapshot *s, const struct kg_object *slice);
/* What a commit's changes of slices and of stored Endpoints, each in order of their keys, are for
 * Endpoints; `after`: the snapshot of its revision. */
struct feed_entry *kg_api_endpoints_entry(uint64_t revision, const struct kg_changes *slices,
	const struct kg_changes *stored, const struct kg_snapshot *after);
/* Are the kind's objects made for who reads them, so that there is nothing to share? (Of Endpoints
 * those that are stored are few.) */
static inline bool kg_api_is_made(const struct kg_kind *kind)
{
	return kind->flags & KG_KF_SYNTHETIC || kind->id == KG_KIND_ENDPOINTS;
}

#endif
