#include "nodeagent/maglev.h"
#include "base/mem.h"

#include <string.h>

#define EMPTY UINT16_MAX

size_t kg_maglev_size(size_t n)
{
	size_t size = KG_MAGLEV_MIN;

	while (size < 4 * n && size < KG_MAGLEV_MAX)
		size *= 2;
	return size;
}

/* Every backend walks its own permutation of the slots (an odd stride of a power of two reaches
 * each) and takes its next free one in turn. */
void kg_maglev_fill(uint16_t *table, size_t size, const uint64_t *hashes, size_t n)
{
	KG_AUTOFREE uint64_t *next = kg_alloc(n * sizeof(*next));
	size_t mask = size - 1, filled = 0;

	memset(table, 0xFF, size * sizeof(*table));
	for (size_t i = 0; i < n; i++)
		next[i] = hashes[i];
	for (size_t i = 0; filled < size; i = i + 1 == n ? 0 : i + 1) {
		uint64_t stride = (hashes[i] >> 32) | 1;

		while (table[next[i] & mask] != EMPTY)
			next[i] += stride;
		table[next[i] & mask] = (uint16_t)i;
		filled++;
	}
}
