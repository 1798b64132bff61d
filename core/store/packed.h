/*
 * A finished pack in memory, with its index, as store/pack.h makes them (whole objects, no
 * deltas, but for kg_packed_size, _base and _depth): its objects found, read and copied. Nothing is
 * trusted: what is malformed is KG_E_CORRUPT.
 */
#ifndef KG_STORE_PACKED_H
#define KG_STORE_PACKED_H

#include "base/err.h"
#include "store/pack.h"

#include <stddef.h>

struct kg_packed {
	const unsigned char *pack, *index; /* borrowed */
	size_t pack_len, index_len;
};

/* Where the object's entry lies in the pack; 0: it is not there. */
size_t kg_packed_find(const struct kg_packed *p, const unsigned char id[20]);
/* Type and length of the object whose entry lies there. */
int kg_packed_header(enum kg_pack_type *type, size_t *len, const struct kg_packed *p, size_t at,
	struct kg_error *err);
/* How many bytes the object has, by the beginning of its entry alone, which may be a delta's. */
int kg_packed_size(size_t *size, const struct kg_packed *p, size_t at, struct kg_error *err);
/* Where the object lies that it is a delta of; 0: it is whole. */
int kg_packed_base(size_t *base, const struct kg_packed *p, size_t at, struct kg_error *err);
/* How many deltas one upon another there are at most from an object, *id, to a whole one; more than
 * `max` as soon as that is found. */
int kg_packed_depth(size_t *depth, unsigned char id[20], const struct kg_packed *p, size_t max,
	struct kg_error *err);
/* Is there an index of version 2, which is as long as its objects make it? */
bool kg_packed_has_index(const struct kg_packed *p);
/* How many objects there are; 0: the index is malformed. And as the index has them, each's id, and
 * where its entry lies (0: nowhere). */
uint32_t kg_packed_count(const struct kg_packed *p);
const unsigned char *kg_packed_id(const struct kg_packed *p, uint32_t i);
size_t kg_packed_at(const struct kg_packed *p, uint32_t i);
/* Its bytes, len of them as kg_packed_header says. */
int kg_packed_read(
	void *out, size_t len, const struct kg_packed *p, size_t at, struct kg_error *err);
/* Every entry into another pack, as it lies: nothing is inflated. */
int kg_packed_copy(struct kg_pack *to, const struct kg_packed *p, struct kg_error *err);
/* As kg_packed_copy, but what lies there stored, and is no tree, is deflated by `to`. */
int kg_packed_deflate(struct kg_pack *to, const struct kg_packed *p, struct kg_error *err);
/* Every object of a pack without an index into another pack, which then knows their ids. */
int kg_packed_reindex(struct kg_pack *to, const void *pack, size_t len, struct kg_error *err);

#endif
