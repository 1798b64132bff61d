/*
 * Revisions that are durable but not in git's files yet: their packs in memory, read through
 * libgit2 as if they were. Thread-safe but where it says so.
 */
#ifndef KG_STORE_PENDING_H
#define KG_STORE_PENDING_H

#include "store/append.h"

#include <git2.h>

struct kg_pending;
struct kg_pending *kg_pending_new(void);
void kg_pending_unref(struct kg_pending *p); /* NULL is fine */
/* Lets the database find the objects before it looks elsewhere; it holds on to p. */
int kg_pending_attach(struct kg_pending *p, git_odb *odb, struct kg_error *err);

/* One more revision: pack and index are copied. */
void kg_pending_add(struct kg_pending *p, const struct kg_append *a);
/* Of their packs, all together. */
size_t kg_pending_bytes(struct kg_pending *p);
/*
 * All revisions up to now as one, from the first's parent to the last's commit, in one pack; NULL
 * where there are none. What it gives is valid until the next call of the two. One thread.
 */
int kg_pending_fold(const struct kg_append **out, struct kg_pending *p, struct kg_error *err);
/* Forgets what the last fold gave: git has it now. */
void kg_pending_drop(struct kg_pending *p);

#endif
