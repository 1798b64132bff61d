/*
 * A packfile being made in memory, and its index (gitformat-pack: version 2 of both). Objects are
 * whole (no deltas); one given twice is taken once. Ids are our own SHA-1.
 */
#ifndef KG_STORE_PACK_H
#define KG_STORE_PACK_H

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

enum kg_pack_type { KG_PACK_COMMIT = 1, KG_PACK_TREE = 2, KG_PACK_BLOB = 3 };

struct kg_pack_entry {
	unsigned char id[20];
	uint32_t crc; /* of the entry's bytes in the pack */
	uint64_t offset;
};

struct kg_pack;
struct kg_pack *kg_pack_new(void);
void kg_pack_free(struct kg_pack *p);
void kg_pack_clear(struct kg_pack *p); /* begins another one, keeping the memory */
/* The object's id goes to `id`. */
void kg_pack_add(struct kg_pack *p, enum kg_pack_type type, const void *data, size_t len,
	unsigned char id[20]);
/* As kg_pack_add for an object whose id is known. */
void kg_pack_add_known(struct kg_pack *p, enum kg_pack_type type, const void *data, size_t len,
	const unsigned char id[20]);
/* An entry of another pack, as its n bytes lie there (no delta); id and crc are the entry's. */
void kg_pack_add_packed(
	struct kg_pack *p, const void *bytes, size_t n, const struct kg_pack_entry *e);
/* Are the bytes the object of that id. */
bool kg_pack_is(const unsigned char id[20], enum kg_pack_type type, const void *data, size_t len);
/* Objects are from now on stored without being deflated, which costs the most, while the pack is
 * small; a large one is deflated all the same. For who deflates later (kg_packed_deflate). */
void kg_pack_set_plain(struct kg_pack *p, bool plain);
void kg_pack_reserve(struct kg_pack *p, size_t bytes); /* room for so many, of entries */
size_t kg_pack_count(const struct kg_pack *p);
/* Ends the pack. The buffers are the pack's, valid until it is cleared or freed; `id` is the
 * pack's trailing checksum. */
void kg_pack_finish(struct kg_pack *p, const struct kg_buf **pack, const struct kg_buf **index,
	unsigned char id[20]);
/* As kg_pack_finish, but the buffers become the caller's, and another pack begins. */
void kg_pack_take(
	struct kg_pack *p, struct kg_buf *pack, struct kg_buf *index, unsigned char id[20]);

/* How an entry of n bytes begins in a pack, appended to *out; type as git numbers them. */
void kg_pack_object_header(struct kg_buf *out, int type, size_t n);
/* An index (version 2) of entries that are sorted by id, appended to *out. */
void kg_pack_sort(struct kg_pack_entry *entries, size_t n);
void kg_pack_index_write(struct kg_buf *out, const struct kg_pack_entry *entries, size_t n,
	const unsigned char pack_id[20]);

/* An index by itself (version 2), its ids to be asked for: false where it is malformed. */
bool kg_pack_index_check(const unsigned char *index, size_t len, uint32_t *n);
/* Where in an index of n ids the id is; -1: it is not there. */
int64_t kg_pack_index_find(const unsigned char *index, uint32_t n, const unsigned char id[20]);

#endif
