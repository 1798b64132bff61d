/* What fan.c and fan_load.c share. */
#ifndef KG_STORE_FAN_PRIVATE_H
#define KG_STORE_FAN_PRIVATE_H

#include "store/fan.h"

/* There is one for each node of the cluster and namespace that has pods there: 32 bytes, and its id
 * lies in the tree above alone. Owned memory is base/slab.h's. */
struct kg_fan {
	char *raw;            /* owned: the git tree's bytes */
	struct kg_fan **dirs; /* owned: n pointers, NULL for files; NULL where all are files */
	uint32_t raw_len;
	uint32_t count; /* entries of the logical directory at and below this node */
	uint16_t n;     /* entries of raw */
	uint8_t level;  /* digits used on the way here from the logical directory */
	bool split : 1; /* raw's entries are the sixteen */
	bool flat : 1, dirty : 1;
	bool root : 1; /* it is one of these: */
};
struct kg_fan_root {
	struct kg_fan fan;
	unsigned char id[20];
};

#define KG_FAN_DIR_SIZE sizeof(void *) /* of one item of dirs */

struct kg_fan *kg_fan_node(unsigned level);
struct kg_fan *kg_fan_new_root(bool flat, const unsigned char id[20]);
/* An array of n, all NULL. */
struct kg_fan **kg_fan_new_dirs(unsigned n);

#endif
