/* Deflating objects for packs, and "stored" for what does not get smaller (trees are mostly
 * hashes). libdeflate takes half of zlib's time where the level is low; zlib, whose tables can be
 * small, is faster for deltas of a few bytes. */
#ifndef KG_STORE_ZPACK_H
#define KG_STORE_ZPACK_H

#include "base/buf.h"

#include <stdint.h>
#include <zlib.h>

struct libdeflate_compressor;

struct kg_zpack {
	z_stream z;
	int ready;
	struct libdeflate_compressor *fast; /* owned */
	int level;                          /* 0: the fastest, for those whom somebody waits for */
};
void kg_zpack_release(struct kg_zpack *z); /* safe on a zeroed one */
/* A whole zlib stream of the bytes, appended to *out. */
void kg_zpack_add(struct kg_buf *out, struct kg_zpack *z, const void *p, size_t n, int stored);
/* The checksum of an entry, as indexes have it. */
uint32_t kg_zpack_crc(const void *p, size_t n);

#endif
