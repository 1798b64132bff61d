/*
 * A persistent ordered map from byte-string keys to pointers: a treap whose priorities are hashes
 * of the keys, so its shape depends on its content alone. Every version is immutable; put and
 * remove give a new version that shares all but O(log n) nodes. Versions may be read by any
 * thread; reference counts are atomic.
 *
 * Keys and values are borrowed: the value must contain or outlive the key. ref/unref are called
 * for values as nodes come and go; either may be NULL.
 */
#ifndef KG_KINDS_PMAP_H
#define KG_KINDS_PMAP_H

#include <stdbool.h>
#include <stddef.h>

struct kg_pmap_ops {
	void (*ref)(void *value);
	void (*unref)(void *value);
};
struct kg_pnode;
struct kg_pmap {
	struct kg_pnode *root;
	size_t count;
	const struct kg_pmap_ops *ops;
};

void kg_pmap_init(struct kg_pmap *m, const struct kg_pmap_ops *ops);
void kg_pmap_copy(struct kg_pmap *to, const struct kg_pmap *from); /* O(1): another version */
void kg_pmap_release(struct kg_pmap *m);
void *kg_pmap_get(const struct kg_pmap *m, const char *key);
/* Changes m in place (older copies are untouched). The map takes its own reference. */
void kg_pmap_put(struct kg_pmap *m, const char *key, void *value);
bool kg_pmap_remove(struct kg_pmap *m, const char *key);

/* In key order; the map must not change meanwhile. */
struct kg_piter {
	const struct kg_pnode *stack[128];
	int depth;
	const char *prefix; /* stop where keys no longer begin with it; "" for all */
	size_t prefix_len;
};
/* From the first key >= from (NULL: from the prefix on). Borrowed prefix. */
void kg_piter_init(
	struct kg_piter *it, const struct kg_pmap *m, const char *prefix, const char *from);
void *kg_piter_next(struct kg_piter *it, const char **key); /* NULL at the end; key may be NULL */

#endif
