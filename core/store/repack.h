/*
 * One new pack of objects that lie in other packs: it is added, nothing else is touched.
 */
#ifndef KG_STORE_REPACK_H
#define KG_STORE_REPACK_H

#include "store/livepacks.h"
#include "store/odb.h"

#define KG_REPACK_DIR "compact" /* in the side directory: what is not finished */

struct kg_repack {
	const char *dir;  /* the repository */
	const char *side; /* its side directory */
	struct kg_livepacks *set;
	const struct kg_reader *reader; /* of the repository */
	bool unmarked; /* objects of the chosen packs without a mark are wanted, too */
	/* Those with a mark up to this one are stored whole, in a pack of their own: the newest
	 * state, which is read at every start. */
	uint32_t whole;
	/* Called between objects: what was read may be let go. */
	void (*pause)(void *ctx);
	void *ctx;
	int cancel; /* an fd: once it is readable it ends with KG_E_UNAVAILABLE; 0: none */
};

/* The wanted objects of the chosen packs as one pack, in place and durable; the older ones as
 * deltas, or (`whole`) the newest state. *name (heap) is "pack-HEX", NULL where there are no such
 * objects. *sync_failed: a sync said EIO or the like. */
int kg_repack(char **name, const struct kg_repack *job, bool whole, bool *sync_failed,
	struct kg_error *err);
/* What an earlier one did not finish is removed. */
int kg_repack_clean(const char *side, struct kg_error *err);

#endif
