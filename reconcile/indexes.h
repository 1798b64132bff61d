/*
 * Sets of completion indexes as Jobs write them: "0,2-5". Ascending, no two spans touch.
 */
#ifndef KG_RECONCILE_INDEXES_H
#define KG_RECONCILE_INDEXES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct kg_span {
	int64_t first, last;
};
struct kg_indexes {
	struct kg_span *v; /* heap */
	size_t n, cap;
};
void kg_indexes_release(struct kg_indexes *x);
/* What cannot be read ends the set. Indexes below `limit` alone. */
void kg_indexes_parse(struct kg_indexes *x, const char *text, int64_t limit);
void kg_indexes_write(struct kg_buf *out, const struct kg_indexes *x);
bool kg_indexes_has(const struct kg_indexes *x, int64_t i);
bool kg_indexes_add(struct kg_indexes *x, int64_t i); /* false: it was there */
int64_t kg_indexes_count(const struct kg_indexes *x);
/* The first index at or after i that is not in x. */
int64_t kg_indexes_gap(const struct kg_indexes *x, int64_t i);
/* How many of x are in y. */
int64_t kg_indexes_common(const struct kg_indexes *x, const struct kg_indexes *y);

#endif
