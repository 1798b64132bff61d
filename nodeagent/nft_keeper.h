/*
 * Keeps a table of the packet filter as its owner wants it: makes it, or takes over and corrects
 * the one that an earlier run left, changes elements in one transaction, and mends what somebody
 * else changed (`nft flush ruleset`). Lives on one loop; calls block for as long as the kernel
 * takes.
 */
#ifndef KG_NODEAGENT_NFT_KEEPER_H
#define KG_NODEAGENT_NFT_KEEPER_H

#include "base/buf.h"
#include "base/err.h"
#include "nodeagent/nft_elems.h"
#include "sys/loop.h"

struct kg_nft_keeper;
struct kg_nft_keeper_options {
	const struct kg_nft_table *table;
	/* Of the same sets under another name, or NULL. A table that has to be made anew begins
	 * without elements: this one stands in for it until it has them, so that what the rules
	 * translate is translated at every moment. Its hooks are beside the table's own: that must
	 * be fine. */
	const struct kg_nft_table *stand_in;
	/* The rules of the table of that name as nft text, one transaction: replaces the rules and
	 * keeps the elements, or, with fresh, replaces the whole table. */
	void (*rules)(void *ctx, struct kg_buf *out, const char *table, bool fresh);
	/* Appends all elements that are wanted, in any order. */
	void (*desired)(void *ctx, struct kg_nft_elems *out);
	/* Told on the loop what went wrong or was mended in the background; err NULL: mended. */
	void (*on_event)(void *ctx, const struct kg_error *err);
	void *ctx;
	/* A file that dies with the machine, where it is remembered which rules were made: a next
	 * run that would make the same ones leaves them alone. Beside it, FILE.elements: see
	 * kg_nft_keeper_leave. NULL: none. Borrowed. */
	const char *memory;
	/* Corrections of many elements may be made in several transactions: memory is worth more
	 * than atomicity. */
	bool in_pieces;
};
int kg_nft_keeper_new(struct kg_nft_keeper **out, struct kg_loop *loop,
	const struct kg_nft_keeper_options *opts, struct kg_error *err);
void kg_nft_keeper_free(struct kg_nft_keeper *k); /* the table stays */

/* Before the last free, where all that is wanted is there: remembers the elements for a next run,
 * which then need not read them. */
void kg_nft_keeper_leave(struct kg_nft_keeper *k);

/* The rules are others now (the first time: there are some); they are put in place by the next
 * sync. Nothing is touched before the first call. */
void kg_nft_keeper_reset(struct kg_nft_keeper *k);
/* Is the table known to be what it was made? Else only a sync is of use. */
bool kg_nft_keeper_in_step(const struct kg_nft_keeper *k);
/* Reads the table and makes it what is wanted. On failure it is tried again later by itself. */
int kg_nft_keeper_sync(struct kg_nft_keeper *k, struct kg_error *err);
/* In step: one transaction; where that fails, as kg_nft_keeper_sync. */
int kg_nft_keeper_change(struct kg_nft_keeper *k, const struct kg_nft_elems *del,
	const struct kg_nft_elems *add, struct kg_error *err);

#endif
