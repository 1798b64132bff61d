/*
 * Loose refs, durably. git itself never syncs a ref's directory after the rename; this does.
 * Reading falls back to packed-refs. Any thread; concurrent updates of one ref exclude each other
 * through git's own REF.lock, which is waited for: whoever packs refs (git gc) holds it for a
 * moment.
 */
#ifndef KG_STORE_REFS_H
#define KG_STORE_REFS_H

#include "base/err.h"

#include <stdbool.h>

/* "" where absent. A ref that is empty or not an id is KG_E_CORRUPT; what else the file holds is
 * not told. */
int kg_ref_read(char out[41], const char *dir, const char *ref, struct kg_error *err);

/* Whether a ref of the repository dir may have that name at all, as `git receive-pack` sees it:
 * below a directory of refs/, and as git check-ref-format says; a part that is too long for a
 * file's name is none, either. KG_E_INVALID. Of what a client sent, this is asked before any file
 * is. */
int kg_ref_check_format(const char *dir, const char *ref, struct kg_error *err);

/* Whether git could have a ref of that name beside those that are there: refs/heads/a and
 * refs/heads/a/b exclude each other (KG_E_CONFLICT, with what to do). */
int kg_ref_check_name(const char *dir, const char *ref, struct kg_error *err);

/* What a failed update left behind. */
struct kg_ref_outcome {
	bool moved;       /* the ref has the new value although the call failed */
	bool sync_failed; /* a sync said EIO or the like: what is on the disk is unknown */
};
/*
 * Compare and swap: `old` and `new_id` are hex, "" for absent. KG_E_CONFLICT: it is not `old`, or
 * somebody has held the lock for KG_REF_LOCK_WAIT_MS. KG_E_NO_SPACE or KG_E_IO with !moved: nothing
 * changed. Where the rename was done and its sync could not be, moved is set: the caller decides
 * what that means.
 */
int kg_ref_update(const char *dir, const char *ref, const char *old, const char *new_id,
	struct kg_ref_outcome *outcome, struct kg_error *err);

/* For tests, which hold a lock for as long as it takes: of the whole process. */
#define KG_REF_LOCK_WAIT_MS 1000
void kg_ref_set_lock_wait(int ms);

/* Is that errno of a sync one after which the disk's content is unknown. */
bool kg_sync_lost(int e);

#endif
