/* Deflating small objects with one zlib stream kept for all, and "stored" for what does not get
 * smaller (trees are mostly hashes). */
#ifndef KG_STORE_ZPACK_H
#define KG_STORE_ZPACK_H

#include "base/buf.h"

#include <zlib.h>

struct kg_zpack {
	z_stream z;
	int ready;
	int level; /* 0: the fastest, for those whom somebody waits for */
};
void kg_zpack_release(struct kg_zpack *z); /* safe on a zeroed one */
/* A whole zlib stream of the bytes, appended to *out. */
void kg_zpack_add(struct kg_buf *out, struct kg_zpack *z, const void *p, size_t n, int stored);

#endif
