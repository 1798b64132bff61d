/* What fan.c and fan_load.c share. */
#ifndef KG_STORE_FAN_PRIVATE_H
#define KG_STORE_FAN_PRIVATE_H

#include "store/fan.h"

struct kg_fan {
	char *raw; /* owned: the git tree's bytes */
	uint32_t raw_len;
	uint32_t count; /* entries of the logical directory at and below this node */
	uint16_t n;     /* entries of raw */
	uint8_t level;  /* digits used on the way here from the logical directory */
	bool split;     /* raw's entries are the sixteen */
	bool flat, dirty;
	struct kg_fan **dirs; /* owned: n pointers, NULL for files; NULL where all are files */
	unsigned char id[20];
};

#define KG_FAN_DIR_SIZE sizeof(void *) /* of one item of dirs */

struct kg_fan *kg_fan_node(unsigned level);
/* Makes room in the parallel array for dirs, on first need. */
void kg_fan_need_dirs(struct kg_fan *f);

#endif
