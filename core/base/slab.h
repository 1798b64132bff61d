/*
 * Memory for what is small, lives long and comes in great numbers: objects, their values, the nodes
 * of maps, git's trees. Each size of each use has slabs of its own, apart from what lives as long
 * as one request, and a slab in which nothing is left goes back to the system at once. So memory
 * follows what is alive, where malloc's heap keeps whatever page one survivor lies in. Thread-safe.
 * Out of memory aborts.
 */
#ifndef KG_BASE_SLAB_H
#define KG_BASE_SLAB_H

#include <stddef.h>

#define KG_SLAB_MAX 4096u /* bytes; what is larger is malloc's */

/* What lives equally long lies together. */
enum kg_slab_use {
	KG_SLAB_VALUES, /* objects and docs */
	KG_SLAB_MAPS,   /* nodes of persistent maps, which each change makes anew */
	KG_SLAB_TREES,  /* of the store */
	KG_SLAB_STATE,  /* what is remembered of objects: maps' keys, counts */
	KG_SLAB_USES
};

/* Aligned to 16, not zeroed. */
void *kg_slab_alloc(enum kg_slab_use use, size_t size);
/* size: as it was asked for. NULL is fine. */
void kg_slab_free(void *p, size_t size);
void *kg_slab_zeroed(enum kg_slab_use use, size_t size);
char *kg_slab_strdup(enum kg_slab_use use, const char *s);
void kg_slab_strfree(char *s); /* which has not become shorter */
/* As kg_grow; the items are freed as *cap of them. */
void *kg_slab_grow(enum kg_slab_use use, void *items, size_t *cap, size_t need, size_t size);
#define KG_SLAB_GROW(use, items, cap, need)                                                        \
	((items) = kg_slab_grow((use), (items), &(cap), (need), sizeof(*(items))))
/* As realloc, of what kg_slab_alloc gave for `old` bytes; of NULL, as kg_slab_alloc. */
void *kg_slab_resize(enum kg_slab_use use, void *p, size_t old, size_t size);

/* Pages between what is alive go, too: as malloc_trim, for when nothing happens. */
void kg_slab_trim(void);

/* Bytes that slabs have of the system's memory, about; and of them those in use. */
void kg_slab_stats(size_t *held, size_t *used);

#endif
