/*
 * nfnetlink for the elements of one of kgit's tables: libnftables reads back much of the ruleset
 * before each change, this does not. Rules go through libnftables as text (kg_nft_run), elements
 * through here. One thread at a time; calls block.
 */
#ifndef KG_NODEAGENT_NFT_H
#define KG_NODEAGENT_NFT_H

#include "base/err.h"
#include "nodeagent/nft_elems.h"

struct kg_nft;
/* For the elements of one table, borrowed. */
int kg_nft_open(struct kg_nft **out, const struct kg_nft_table *table, struct kg_error *err);
void kg_nft_close(struct kg_nft *nft);

/* Text of nft's own language, one transaction. Any thread. */
int kg_nft_run(const char *text, struct kg_error *err);
/* As kg_nft_run, but nothing is changed: would the kernel take it? */
int kg_nft_check(const char *text, struct kg_error *err);
/* One transaction: deletes, then adds. Fails whole; an element to be deleted must be there. */
int kg_nft_change(struct kg_nft *nft, const struct kg_nft_elems *del,
	const struct kg_nft_elems *add, struct kg_error *err);
/* Appends every element of the table's sets, unsorted. KG_E_NOT_FOUND: there is no such table. */
int kg_nft_dump(struct kg_nft_elems *out, struct kg_nft *nft, struct kg_error *err);
/* A hash of the table's chains, sets and rules, whatever its elements; 0: there is no table. */
int kg_nft_fingerprint(uint64_t *out, struct kg_nft *nft, struct kg_error *err);

/* The number of the ruleset's generation: another one after every change by anybody. */
int kg_nft_generation(uint32_t *out, struct kg_nft *nft, struct kg_error *err);

/* ---- changes by others ---- */
struct kg_nft_monitor;
/* Changes made through `own` (borrowed for the call) are known as ours. */
int kg_nft_monitor_open(
	struct kg_nft_monitor **out, const struct kg_nft *own, struct kg_error *err);
int kg_nft_monitor_fd(const struct kg_nft_monitor *m);
/* Reads what is there. True: somebody else changed the table (kg_nft_run counts as somebody
 * else, so read once after it), or that cannot be told. */
bool kg_nft_monitor_read(struct kg_nft_monitor *m);
void kg_nft_monitor_close(struct kg_nft_monitor *m);

#endif
