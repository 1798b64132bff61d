/*
 * git's deltas (gitformat-pack, "Deltified representation"): an object as copies from another one
 * and what is new in it.
 */
#ifndef KG_STORE_DELTA_H
#define KG_STORE_DELTA_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define KG_DELTA_MAX (1u << 20) /* bytes of an object that it is worth the while for */

/* What making one needs, kept for the next. Zeroed before the first use. */
struct kg_delta {
	uint32_t *heads, *next; /* heap: positions in the base plus one, by what lies there */
	size_t nheads, nnext;
};
void kg_delta_release(struct kg_delta *d);

/* Appends the delta that makes the target of the base; both have at most KG_DELTA_MAX bytes. False
 * as soon as it has more than `most` bytes: what was appended means nothing then. */
bool kg_delta_make(struct kg_buf *out, struct kg_delta *d, const void *base, size_t base_len,
	const void *target, size_t target_len, size_t most);
/* Does the delta make the target of the base. */
bool kg_delta_is(const void *delta, size_t delta_len, const void *base, size_t base_len,
	const void *target, size_t target_len);

#endif
