/* Values at random for property tests; the same seed gives the same values everywhere. */
#ifndef KG_VALUE_RANDOM_VALUE_H
#define KG_VALUE_RANDOM_VALUE_H

#include "value/value.h"

struct kg_random {
	uint64_t state;
};

/* Below n. */
unsigned kg_random_below(struct kg_random *r, unsigned n);
/* Strings, numbers and keys are chosen to be awkward to write. Objects hold no nulls. */
struct kg_value kg_random_value(struct kg_arena *a, struct kg_random *r, unsigned depth);
/* v with some of its parts changed, added or removed. */
struct kg_value kg_random_change(struct kg_arena *a, struct kg_random *r, const struct kg_value *v);

#endif
