/* Elements of nftables' sets as plain data, and lists of them: what is wanted against what is
 * there. Pure. */
#ifndef KG_NODEAGENT_NFT_ELEMS_H
#define KG_NODEAGENT_NFT_ELEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kg_nft_set_info {
	const char *name;
	uint8_t key_len, data_len; /* data_len 0: none (a set), or a verdict */
	bool verdict;
	/* Of (number . address . protocol . port), the last three ranges: see kg_nft_elem.end. */
	bool interval;
};
/* A table of the family ip, and what may lie beside it in the family bridge under its name. */
struct kg_nft_table {
	const char *name;
	const struct kg_nft_set_info *sets;
	unsigned nsets;
};

/* Key and data as the kernel has them: fields in network order, each padded to four bytes, numbers
 * of our own in the host's order (in intervals they, too, in network order). A verdict is the
 * chain's name. Unused bytes are zero. */
struct kg_nft_elem {
	uint8_t set; /* an index of the table's sets */
	uint8_t key[16];
	union {
		uint8_t data[8];
		char chain[8];
		struct {
			uint8_t addr[4], port[2], protocol;
		} end; /* of an interval, its end included */
	};
};
struct kg_nft_elems {
	struct kg_nft_elem *items;
	size_t n, cap;
};
void kg_nft_elems_release(struct kg_nft_elems *e);
struct kg_nft_elem *kg_nft_elems_add(struct kg_nft_elems *e, unsigned set);
void kg_nft_elems_copy(struct kg_nft_elems *to, const struct kg_nft_elems *from); /* appends */
/* By set, key and data; of equal keys only the first stays. */
void kg_nft_elems_sort(struct kg_nft_elems *e);
/* Sorted both: what is to be deleted and added (appended, an element of another value in both). */
void kg_nft_elems_diff(struct kg_nft_elems *del, struct kg_nft_elems *add,
	const struct kg_nft_elems *have, const struct kg_nft_elems *want);
/* In sorted ones; NULL: there is none. */
const struct kg_nft_elem *kg_nft_elems_find(
	const struct kg_nft_elems *e, const struct kg_nft_elem *key);

#endif
