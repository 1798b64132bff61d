/* Maglev hashing: a table of slots filled with backends, evenly, and so that one backend more or
 * less moves few of the others' slots. Every node gets the same table. Pure. */
#ifndef KG_NODEAGENT_MAGLEV_H
#define KG_NODEAGENT_MAGLEV_H

#include <stddef.h>
#include <stdint.h>

#define KG_MAGLEV_MIN 16
#define KG_MAGLEV_MAX 4096

/* Slots for n backends: a power of two, at least four a backend, so that no backend gets more than
 * a quarter above its share, within the bounds above. */
size_t kg_maglev_size(size_t n);
/* table[size] of backend numbers; hashes[n] identify the backends, n >= 1; size a power of two. */
void kg_maglev_fill(uint16_t *table, size_t size, const uint64_t *hashes, size_t n);

#endif
