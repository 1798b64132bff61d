/*
 * The packs of a repository at one moment, by their indexes, and what of them is still needed: the
 * bookkeeping of a compaction. One thread.
 */
#ifndef KG_STORE_LIVEPACKS_H
#define KG_STORE_LIVEPACKS_H

#include "base/err.h"
#include "base/map.h"
#include "store/pack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct kg_livepacks_pack {
	char *name; /* owned: "pack-HEX" */
	const unsigned char *index;
	size_t index_len;
	uint32_t n;
	size_t size; /* bytes of pack and index */
	time_t mtime;
	bool fixed;       /* somebody wants it left as it is (*.keep, *.promisor) */
	bool packed;      /* a compaction made it */
	bool chosen;      /* its objects go to a new pack */
	bool hidden;      /* git does not see it at the moment */
	uint32_t live;    /* how many of its objects are marked */
	uint32_t *order;  /* owned; of the objects as the index has them: when it was marked, from
			   * 1 on; 0: it is not */
	uint64_t *groups; /* owned: what it is like, see kg_livepacks_mark */
};
struct kg_livepacks {
	char *dir; /* owned: objects/pack */
	struct kg_livepacks_pack *packs;
	size_t n, cap;
	uint32_t marked; /* so many so far */
};

/* Those of the repository dir that are whole; the names in `packed` (may be NULL) are of
 * compactions. */
int kg_livepacks_open(struct kg_livepacks *out, const char *dir, const struct kg_map *packed,
	struct kg_error *err);
void kg_livepacks_release(struct kg_livepacks *s);

/* What of the indexes was looked at is no longer counted as this process's memory. */
void kg_livepacks_let_go(const struct kg_livepacks *s);

struct kg_livepacks_at {
	struct kg_livepacks_pack *pack;
	uint32_t i; /* in its index */
};
/* The object's first copy. */
bool kg_livepacks_find(
	struct kg_livepacks_at *out, struct kg_livepacks *s, const unsigned char id[20]);
/* The id at a place. */
const unsigned char *kg_livepacks_id(const struct kg_livepacks_pack *p, uint32_t i);
/* Marks it, once. `group`: objects with the same one are versions of one thing; those whose upper
 * bits are alike (below) are likely to be similar. Returns whether it had not been marked. */
bool kg_livepacks_mark(struct kg_livepacks *s, const struct kg_livepacks_at *at, uint64_t group);
#define KG_GROUP_KIND(group)   ((group) >> 48) /* another thing of the same kind */
#define KG_GROUP_FAMILY(group) ((group) >> 24) /* and of the same maker */

#endif
