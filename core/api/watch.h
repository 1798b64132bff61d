/* Watches, as the rest of the room sees them. */
#ifndef KG_API_WATCH_H
#define KG_API_WATCH_H

#include "kinds/kind.h"

struct kg_api;
struct request;
struct feed_entry;

void kg_api_watch_done(struct request *r);
bool kg_api_is_watched(struct kg_api *api, enum kg_kind_id kind); /* by anybody, now */
void kg_api_watch_published(struct kg_api *api, enum kg_kind_id kind, const struct feed_entry *e);
int64_t kg_api_watch_tick(struct kg_api *api, int64_t now); /* returns when the next is due */

#endif
