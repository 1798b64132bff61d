/* A hash map from byte strings to pointers. Keys are copied; values are borrowed. Not
 * thread-safe. Iteration order is that of insertion as long as nothing was removed; use
 * kg_map_sorted where order must not depend on history. */
#ifndef KG_BASE_MAP_H
#define KG_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct kg_map_slot; /* map.c */
struct kg_map_entry {
	char *key; /* NUL-terminated, owned by the map; NULL for a removed entry */
	size_t key_len;
	size_t hash;
	void *value;
};
struct kg_map {
	struct kg_map_entry *entries; /* dense, in insertion order, with holes where removed */
	size_t count, used, cap;      /* live entries; entries in use with holes; allocated */
	struct kg_map_slot *index;
	size_t index_size;
};
#define KG_MAP_INIT                                                                                \
	{                                                                                          \
		0                                                                                  \
	}

void kg_map_release(struct kg_map *m); /* values are not freed */
void kg_map_clear(struct kg_map *m);
/* An empty map's room for many, which it once had, goes. */
void kg_map_trim(struct kg_map *m);
void *kg_map_get(const struct kg_map *m, const char *key);
bool kg_map_has(const struct kg_map *m, const char *key);
void *kg_map_put(struct kg_map *m, const char *key, void *value); /* returns the old value */
/* Where its value lies: NULL in it where the key is new. Until the map changes. */
void **kg_map_at(struct kg_map *m, const char *key);
void *kg_map_remove(struct kg_map *m, const char *key); /* returns the old value */
/* Next live entry from *pos on, or NULL: `for (size_t i = 0; (e = kg_map_next(m, &i));)`. */
struct kg_map_entry *kg_map_next(const struct kg_map *m, size_t *pos);
/* The live entries sorted by key bytes: a heap array of m->count pointers; free() it. */
struct kg_map_entry **kg_map_sorted(const struct kg_map *m);

#endif
