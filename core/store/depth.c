/*
 * How deep a pack's deltas are. Each entry's base is looked up once, and each entry's depth told by
 * its base's: linear, whatever who made the pack had in mind.
 */
#include "store/packed.h"

#include "base/mem.h"

#include <string.h>

#define WHOLE   UINT32_MAX /* no base */
#define UNKNOWN UINT32_MAX

struct entry {
	size_t at;
	uint32_t index; /* where the index has it */
	uint32_t base;  /* of the entries in the order of the pack */
	uint32_t depth;
};

static int by_place(const void *a, const void *b)
{
	size_t x = ((const struct entry *)a)->at, y = ((const struct entry *)b)->at;

	return (x > y) - (x < y);
}

static int find_bases(
	struct entry *entries, size_t n, const struct kg_packed *p, struct kg_error *err)
{
	for (size_t i = 0; i < n; i++) {
		struct entry wanted = {0}, *base;
		int rc = kg_packed_base(&wanted.at, p, entries[i].at, err);

		if (rc < 0)
			return rc;
		base = wanted.at ? bsearch(&wanted, entries, n, sizeof(*entries), by_place) : NULL;
		if (wanted.at && !base)
			return kg_fail(err, KG_E_CORRUPT,
				"the base of the delta at %zu is not in its pack", entries[i].at);
		entries[i].base = base ? (uint32_t)(base - entries) : WHOLE;
	}
	return 0;
}

/* Of an entry and of all below it. More than max, and nothing is kept, where it is deeper; so
 * deltas that go round in a circle are, too. */
static size_t measure(struct entry *entries, uint32_t i, size_t max)
{
	size_t steps = 0;
	uint32_t k = i;

	for (; entries[k].base != WHOLE && entries[k].depth == UNKNOWN; k = entries[k].base)
		if (++steps > max)
			return steps;
	size_t depth = steps + (entries[k].base == WHOLE ? 0 : entries[k].depth);
	if (depth > max)
		return depth;
	for (size_t d = depth; steps; steps--, i = entries[i].base)
		entries[i].depth = (uint32_t)d--;
	return depth;
}

int kg_packed_depth(size_t *depth, unsigned char id[20], const struct kg_packed *p, size_t max,
	struct kg_error *err)
{
	uint32_t n = kg_packed_count(p);
	struct entry *entries KG_AUTOFREE = kg_alloc((n ? n : 1) * sizeof(*entries));

	if (max >= UNKNOWN)
		max = UNKNOWN - 1;
	for (uint32_t i = 0; i < n; i++)
		entries[i] = (struct entry){.at = kg_packed_at(p, i), .index = i, .depth = UNKNOWN};
	qsort(entries, n, sizeof(*entries), by_place);
	int rc = find_bases(entries, n, p, err);
	*depth = 0;
	for (uint32_t i = 0; rc == 0 && i < n && *depth <= max; i++) {
		size_t d = measure(entries, i, max);

		if (d > *depth || i == 0) {
			*depth = d;
			memcpy(id, kg_packed_id(p, entries[i].index), 20);
		}
	}
	return rc;
}
