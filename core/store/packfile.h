/*
 * A packfile being written to the disk, entry by entry, and its index (gitformat-pack: version 2 of
 * both). Its objects are whole or deltas of ones that lie before them. Nothing is synced here.
 */
#ifndef KG_STORE_PACKFILE_H
#define KG_STORE_PACKFILE_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What is not finished lies beside the packs under such a name: one that no git takes for an index,
 * nor removes as its own (`git prune` does with tmp_*). */
#define KG_NEW_PREFIX "kgit-"
#define KG_NEW_SUFFIX ".new"
/* What says in a *.keep that it is ours. */
#define KG_KEPT_BY_US "kgitd: its revision comes to the state branch\n"

struct kg_packfile;
/* PATH.pack is made, for n objects. */
int kg_packfile_new(struct kg_packfile **out, const char *path, uint32_t n, struct kg_error *err);
void kg_packfile_free(struct kg_packfile *p); /* the files stay; NULL is fine */

/* Where the next entry will lie. */
uint64_t kg_packfile_at(const struct kg_packfile *p);
/* An object; type as in packs (1 to 4). */
int kg_packfile_add(struct kg_packfile *p, const unsigned char id[20], int type, const void *data,
	size_t len, struct kg_error *err);
/* An object as the delta of the one that lies at `base`. */
int kg_packfile_add_delta(struct kg_packfile *p, const unsigned char id[20], uint64_t base,
	const void *delta, size_t len, struct kg_error *err);
/* An object of `size` bytes whose n deflated ones lie in the file at `from`. */
int kg_packfile_copy(struct kg_packfile *p, const unsigned char id[20], int type, uint64_t size,
	int fd, off_t from, uint64_t n, struct kg_error *err);
/* After n objects: the pack's end, and PATH.idx. `id` is the pack's checksum. */
int kg_packfile_finish(struct kg_packfile *p, unsigned char id[20], struct kg_error *err);

#endif
