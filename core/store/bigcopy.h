/* Large objects from pack to pack without ever being in memory whole. */
#ifndef KG_STORE_BIGCOPY_H
#define KG_STORE_BIGCOPY_H

#include "store/livepacks.h"
#include "store/packfile.h"

#define KG_BIG (1u << 20) /* bytes; what is smaller is read and deltified */

/* The object's entry as it lies, after a look whether it is what its id says: 1. 0, and nothing is
 * written: it lies there as a delta. KG_E_CORRUPT: it is damaged. */
int kg_bigcopy(struct kg_packfile *to, const struct kg_livepacks *set,
	const struct kg_livepacks_at *at, struct kg_error *err);

#endif
