/*
 * What the files of a compaction share: one round, and its parts in the order of compact.c. One
 * thread, that of kg_store_compact. What fails (as what it reads and writes does, or with
 * KG_E_UNAVAILABLE once `cancel` is readable) ends the round; the next one begins anew from what is
 * on disk then, so no part has to be undone but by kg_compact_replace.
 */
#ifndef KG_STORE_COMPACT_PRIVATE_H
#define KG_STORE_COMPACT_PRIVATE_H

#include "store/compact.h"
#include "store/mark.h"
#include "store/private.h"

struct kg_compact_round {
	struct kg_store *s;
	const struct kg_compact_options *o;
	struct kg_compact_result *out;
	char *side; /* directory */
	struct kg_reader reader;
	struct kg_shallow shallow, stops;
	unsigned char oldest[20]; /* the commit of the oldest retained revision */
	char done[41];            /* the horizon whose objects went */
	bool drop;
	struct kg_map packed; /* names of the packs of compactions */
	struct kg_livepacks set;
	struct kg_mark mark;
	unsigned pauses;
	uint32_t whole; /* marks of the newest state */
	char *made[2];  /* names of new packs; NULL */
};

/* ---- compact.c ---- */

/* Objects: such a pack is taken up again only for what is to go. */
#define KG_COMPACT_SEALED 400000

/* Now and then the maps of indexes and what libgit2 keeps of packs are let go: together they are as
 * large as the indexes, twice. For the callbacks of walks: ctx is the round. Never fails: where the
 * repository cannot be opened again, the reader stays as it is. */
void kg_compact_pause(void *ctx);
/* From all that came since; mark.lost says whether it needs what was left out. Where it fails, that
 * is not known. */
int kg_compact_mark_again(struct kg_compact_round *c, struct kg_error *err);
void kg_compact_count(size_t *bytes, size_t *packs, const struct kg_livepacks *set);

/* ---- compact_horizon.c: which history goes, and what is remembered of that ---- */

/* What an earlier round remembered: names of packs, and the horizon whose objects are gone ("").
 * Nothing where it cannot be read: then work is done twice. */
void kg_compact_recall(const char *side, struct kg_map *packed, char done[41]);
/* Where it fails, what was remembered before still is. */
int kg_compact_remember(struct kg_compact_round *c, struct kg_error *err);
/* Is there a horizon whose objects are still to go. */
bool kg_compact_is_pending(const struct kg_compact_round *c);
/* As far as the options say, which may be nowhere. Where it fails, reads go as far back as before;
 * but `shallow` may say otherwise if it was its writing. */
int kg_compact_move_horizon(struct kg_compact_round *c, struct kg_error *err);
/* KG_E_IO: what reached the disk is unknown, and the store takes no more commits. */
int kg_compact_write_shallow(struct kg_compact_round *c, struct kg_error *err);
/* Is the grace of what is since then over. */
bool kg_compact_is_old(const struct kg_compact_round *c, time_t since);

/* ---- compact_packs.c: which packs are made anew, and how new ones take their place ---- */

/* So large a part has to be new that an object is taken up again few times in its life. */
bool kg_compact_is_due(const struct kg_compact_round *c);
/* After marking. */
void kg_compact_choose(struct kg_compact_round *c);
bool kg_compact_any_chosen(const struct kg_compact_round *c);
/* Makes the new packs, and removes the chosen ones. Where that fails, all of these are in place
 * again and the new ones are gone, or copies too many; a pack that could not be put back stays
 * hidden, beside the new ones, until the store is opened the next time. Boundaries of earlier
 * rounds that nothing leads to may be forgotten either way. */
int kg_compact_replace(struct kg_compact_round *c, struct kg_error *err);

#endif
