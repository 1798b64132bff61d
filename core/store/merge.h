/* Putting a repository's packs together; what and how: merge.c. One thread at a time. */
#ifndef KG_STORE_MERGE_H
#define KG_STORE_MERGE_H

#include "base/err.h"
#include "base/map.h"

#include <stdbool.h>
#include <stddef.h>

/* Returns how many packs became one (0: it was not worth it), or an error: then all are still
 * there. Those named in `skip` ("pack-HEX"; may be NULL) are let alone. *sync_failed: a sync said
 * EIO or the like. */
int kg_packs_merge(
	const char *dir, const struct kg_map *skip, bool *sync_failed, struct kg_error *err);
/* How many there are that could be put together. */
size_t kg_packs_count(const char *dir);

#endif
