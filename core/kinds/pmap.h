/*
 * A persistent ordered map from keys to pointers: a B-tree, whose nodes hold values alone, some
 * ten bytes for each. Every version is immutable; put and remove give a new version that shares
 * all but O(log n) nodes. Versions may be read by any thread; reference counts are atomic.
 *
 * The key of a value is the value's to tell (ops) and must never change. Values are borrowed
 * where ops has no ref and unref.
 */
#ifndef KG_KINDS_PMAP_H
#define KG_KINDS_PMAP_H

#include <stdbool.h>
#include <stddef.h>

struct kg_pmap_ops {
	void (*ref)(void *value);   /* may be NULL, and so may unref */
	void (*unref)(void *value); /* as nodes go */
	/* The value's key, where keys are text in the order of its bytes. NULL: the value has a
	 * pointer to it, so many bytes from its beginning. */
	const char *(*key)(const void *value);
	size_t key_at;
	/* Else the order: the value's key against another, whatever that is. */
	int (*cmp)(const void *value, const void *key);
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
void *kg_pmap_get(const struct kg_pmap *m, const void *key);
/* Changes m in place (older copies are untouched). The key is the value's. The map takes its own
 * reference. */
void kg_pmap_put(struct kg_pmap *m, const void *key, void *value);
bool kg_pmap_remove(struct kg_pmap *m, const void *key);
/* n values in ascending order of their keys, into an empty map. */
void kg_pmap_build(struct kg_pmap *m, void *const *values, size_t n);
/* The same values in nodes as full as can be, of which no other version has any. */
void kg_pmap_rebuild(struct kg_pmap *m);

/* In key order; the map must not change meanwhile. */
struct kg_piter {
	struct {
		const struct kg_pnode *node;
		unsigned at;
	} stack[16];
	int depth;
	const struct kg_pmap_ops *ops;
	const void *range; /* stop where within says no; for text a prefix */
	size_t prefix_len;
	bool (*within)(const void *value, const void *range);
};
/* From the first key >= from (NULL: from the prefix on) to the last that begins with the prefix
 * ("" or NULL: to the end, and that for every map). Borrowed prefix. Keys are text. */
void kg_piter_init(
	struct kg_piter *it, const struct kg_pmap *m, const char *prefix, const char *from);
/* From the first key >= from, as long as values are within the range (borrowed). */
void kg_piter_init_range(struct kg_piter *it, const struct kg_pmap *m, const void *from,
	bool (*within)(const void *value, const void *range), const void *range);
/* NULL at the end. key may be NULL, and must be where keys are not text. */
void *kg_piter_next(struct kg_piter *it, const char **key);

#endif
