/*
 * A logical directory of the state tree in memory, as the git trees that it is stored in.
 *
 * A directory of up to 32 entries is one git tree. A larger one is a tree of up to sixteen
 * directories "_0" to "_f", by the next hex digit of the SHA-1 of each entry's name, and so on
 * below; neither files ("*.yaml") nor namespaces and nodes are named so. The shape is a function
 * of the names alone. Each node keeps its raw tree bytes and nothing else about its files, so
 * that a file costs what it costs in git.
 *
 * What changed is marked, and kg_fan_write makes exactly the trees that are new.
 */
#ifndef KG_STORE_FAN_H
#define KG_STORE_FAN_H

#include "store/odb.h"

#include <stdbool.h>
#include <stdint.h>

#define KG_FAN_MAX 32 /* entries of one tree before it is split */

struct kg_fan;
/* flat: this directory itself is never split (a fixed, small set of names). */
struct kg_fan *kg_fan_new(bool flat);
void kg_fan_free(struct kg_fan *f); /* NULL is fine */

/* The id of a file, or NULL. path[0..n-2] are directories. Borrowed until the next change. */
const unsigned char *kg_fan_get(const struct kg_fan *f, const char *const *path, size_t n);
/* Puts a file, making directories; an equal id changes nothing. */
void kg_fan_put(struct kg_fan *f, const char *const *path, size_t n, const unsigned char id[20]);
/* The same; true and the id that was there before, or false. */
bool kg_fan_swap(struct kg_fan *f, const char *const *path, size_t n, const unsigned char id[20],
	unsigned char was[20]);
/* Removes a file and the directories that it leaves empty. False where there was none. */
bool kg_fan_remove(struct kg_fan *f, const char *const *path, size_t n);
size_t kg_fan_count(const struct kg_fan *f);  /* entries of this directory, not of those below */
size_t kg_fan_memory(const struct kg_fan *f); /* bytes of it and all below, about */

/* Every entry of the directory: a file's id, or a directory. In the order of the trees. fn
 * returning non-zero stops and is returned. */
typedef int kg_fan_fn(
	void *ctx, const char *name, const unsigned char *id, const struct kg_fan *dir);
int kg_fan_each(const struct kg_fan *f, kg_fan_fn *fn, void *ctx);

/* Gives every tree that changed since the last call (or load), children first, to `sink`;
 * afterwards kg_fan_id is the directory's tree. Both are of what was made or loaded itself, not of
 * a directory in it, whose id kg_fan_each tells. */
typedef void kg_fan_sink(void *ctx, const void *raw, size_t len, unsigned char id[20]);
void kg_fan_write(struct kg_fan *f, kg_fan_sink *sink, void *ctx);
const unsigned char *kg_fan_id(const struct kg_fan *f);

/* Reads a directory from the object database. KG_E_CORRUPT where its shape is not that of its
 * content. */
int kg_fan_load(struct kg_fan **out, const struct kg_reader *r, const unsigned char tree[20],
	bool flat, struct kg_error *err);

/* The digit of a name at a level, '0' to 'f'. */
char kg_fan_digit(const char *name, unsigned level);
/* "_0" to "_f". */
bool kg_fan_is_split_name(const char *name);

#endif
