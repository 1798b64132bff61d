/*
 * Packs out of git's sight: their index has another name for a while, so that they can be taken
 * away, or put back, when it is known that nobody needs them.
 */
#ifndef KG_STORE_HIDDEN_H
#define KG_STORE_HIDDEN_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* `packs` is objects/pack, `name` "pack-HEX". */
int kg_pack_hide(const char *packs, const char *name, struct kg_error *err);
int kg_pack_unhide(const char *packs, const char *name, struct kg_error *err);
/* A hidden one, for good. What stays is a copy too many, no more. */
void kg_pack_remove(const char *packs, const char *name);
/* After a crash: all that is hidden is put back; lines are added to notes (may be NULL). */
int kg_packs_unhide(const char *packs, struct kg_buf *notes, struct kg_error *err);

/* Is that what git calls a quarantine in objects/: before 2.35, or since. */
bool kg_is_quarantine(const char *name);
/* When something in it was changed last: while a push comes in, its files are, not itself. 0 where
 * it is gone. */
int kg_quarantine_changed(time_t *out, const char *path, struct kg_error *err);
/* The quarantines of pushes into the repository in which something was changed within max_age
 * seconds: their names, each behind a newline. */
int kg_quarantines(struct kg_buf *out, const char *dir, int64_t max_age, struct kg_error *err);
/* Is one of these still there. */
bool kg_quarantines_left(const struct kg_buf *names, const char *dir);

#endif
