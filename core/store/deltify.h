/*
 * Objects that come in an order in which versions of one thing follow one another, written to a
 * pack: as deltas where that is smaller. One thread.
 */
#ifndef KG_STORE_DELTIFY_H
#define KG_STORE_DELTIFY_H

#include "store/packfile.h"

struct kg_deltify;
struct kg_deltify *kg_deltify_new(struct kg_packfile *out); /* borrowed */
void kg_deltify_free(struct kg_deltify *d);                 /* NULL is fine */

/* The next object; `group` as in kg_livepacks_mark, type as in packs. */
int kg_deltify_add(struct kg_deltify *d, uint64_t group, const unsigned char id[20], int type,
	const void *data, size_t len, struct kg_error *err);

#endif
