/*
 * Signed pushes. Where `allowed_signers` of .kgit/settings.yaml, as main has it before a push,
 * names ssh keys, every commit that the push brings to main must be signed with one of them, and
 * none is taken back: not even by a forced push.
 */
#ifndef KGITD_SIGNED_H
#define KGITD_SIGNED_H

#include "kgitd/master.h"

/* 0 where nobody is named. KG_E_FORBIDDEN: the reasons are in `say`, a line a commit. Bounded: two
 * minutes, 10,000 commits. */
int kgd_check_signed(struct kgd_master *m, const char *old_commit, const char *new_commit,
	const char *quarantine, struct kg_buf *say, struct kg_error *err);

#endif
