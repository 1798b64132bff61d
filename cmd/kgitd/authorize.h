/*
 * May this user push that: each object that changes is judged by the rules as they stand before
 * the push, and so are the repository's settings and its other branches (resources "settings" and
 * "branches" of the group "kgit").
 */
#ifndef KGITD_AUTHORIZE_H
#define KGITD_AUTHORIZE_H

#include "kgitd/admit.h"

struct kgd_authorize {
	struct kgd_master *m;
	const struct kg_user *user;
	const struct kg_snapshot *s; /* before the push */
	const struct kg_admission *admission;
	const struct kg_admission_file *files; /* those that the push touches */
	size_t nfiles;
	const char *old_commit, *new_commit, *quarantine;
	/* The text of a file before the push: only where what it defined may not be deleted. */
	kg_read_file_fn *read_before;
	void *ctx;
};
/* KG_E_FORBIDDEN: the reasons are in `say`, a line each: "path:line:column: why". */
int kgd_authorize_main(const struct kgd_authorize *z, struct kg_buf *say, struct kg_error *err);
/* A ref other than main, from old to new ("" for absent). */
int kgd_authorize_branch(struct kgd_master *m, const struct kg_user *user, const char *ref,
	const char *old_commit, const char *new_commit, struct kg_error *err);

#endif
