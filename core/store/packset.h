/*
 * The packs of a repository as they were when it was opened, mapped, to read very many objects:
 * libgit2 asks one pack after the other and words an error for each that lacks the object. Only
 * whole objects (what kgitd itself stores) are read here; deltas, and what came later, are left to
 * libgit2. Immutable: any thread.
 */
#ifndef KG_STORE_PACKSET_H
#define KG_STORE_PACKSET_H

#include "base/buf.h"
#include "base/err.h"
#include "store/pack.h"

struct kg_packset;
/* Of the directory objects/pack. What cannot be mapped is left out: reads go to libgit2, and
 * kg_packset_depth says which it is. */
struct kg_packset *kg_packset_new(const char *packs_dir);
void kg_packset_free(struct kg_packset *s); /* NULL is fine */

/* The longest chain of deltas in any of the packs: as kg_packed_depth. KG_E_IO: one of them could
 * not be mapped. */
int kg_packset_depth(size_t *depth, unsigned char id[20], const struct kg_packset *s, size_t max,
	struct kg_error *err);

/* Appends the object's bytes, whose id is checked. False: libgit2 has to be asked, since it is not
 * here, has more than `max` bytes, is of another type, or is damaged. */
bool kg_packset_read(struct kg_buf *out, const struct kg_packset *s, enum kg_pack_type type,
	const unsigned char id[20], size_t max);
/* How many bytes the object has, also one that lies there as a delta: 1. In constant time, where
 * libgit2 follows a delta's bases, of which a hostile pack has as many as objects. 0: it is not
 * here. KG_E_CORRUPT: its entry is malformed. */
int kg_packset_size(
	size_t *size, const struct kg_packset *s, const unsigned char id[20], struct kg_error *err);

#endif
