/*
 * What a table held when an agent ended in order, in a file for the next one: the kernel takes
 * seconds to list a large set (it begins anew for each message), and nothing changed meanwhile
 * where the number of the ruleset's generation is still the same.
 */
#ifndef KG_NODEAGENT_NFT_MEMORY_H
#define KG_NODEAGENT_NFT_MEMORY_H

#include "base/err.h"
#include "nodeagent/nft_elems.h"

/* Sorted elements, as they were in that generation. */
int kg_nft_memory_save(const char *path, uint32_t generation, const struct kg_nft_elems *elems,
	struct kg_error *err);
/* Appends them, and removes the file, whatever it is. False: there are none of that generation. */
bool kg_nft_memory_take(struct kg_nft_elems *out, const char *path, uint32_t generation);

#endif
