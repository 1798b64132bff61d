/*
 * Huge pages as kubelet has them: a resource a size, of which a node has what its kernel has set
 * aside when the agent starts, and pods what they ask for; and as file systems, for volumes of the
 * medium HugePages.
 */
#ifndef KG_NODEAGENT_HUGEPAGES_H
#define KG_NODEAGENT_HUGEPAGES_H

#include "base/err.h"
#include "value/value.h"

#define KG_HUGEPAGES_SIZES 8 /* no machine has more */

struct kg_hugepages {
	struct kg_hugepages_size {
		int64_t page, all;   /* bytes */
		char resource[32];   /* "hugepages-2Mi" */
		char group[16];      /* as control groups have it: "2MB" */
	} sizes[KG_HUGEPAGES_SIZES]; /* the smallest first */
	size_t n;
};
/* dir: /sys/kernel/mm/hugepages, where it is NULL. None where that is not there. Blocks little. */
void kg_hugepages_read(struct kg_hugepages *out, const char *dir);
/* Of all sizes together, in bytes. */
int64_t kg_hugepages_all(const struct kg_hugepages *h);
/* "16Mi": bytes as Kubernetes writes them. */
struct kg_value kg_hugepages_quantity(struct kg_arena *a, int64_t bytes);

/* Is it HugePages, or HugePages-SIZE? */
bool kg_hugepages_is_medium(const char *medium);
/* What a volume of that medium is mounted of: its page's bytes, and how many bytes the pod asks for
 * of such pages. KG_E_INVALID where the pod asks for none of them, or for several sizes where the
 * medium names none. */
struct kg_hugepages_medium {
	int64_t page, all;
};
int kg_hugepages_of_medium(struct kg_hugepages_medium *out, const struct kg_value *pod,
	const char *medium, struct kg_error *err);

#endif
