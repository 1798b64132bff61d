/*
 * Backups: git bundles of everything that the cluster's repository has. Where its history ends at a
 * horizon (git's file `shallow`), the commits there are named by refs below KGIT_BACKUP_REFS, since
 * a bundle has no other place for them; they are taken out again when it is read.
 */
#ifndef KGIT_BUNDLE_H
#define KGIT_BUNDLE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define KGIT_STATE_REF   "refs/kgit/state"
#define KGIT_BACKUP_REFS "refs/kgit/backup/"

/* Everything of the bundle into the bare repository `repo`, refs by their names. */
int kgit_bundle_read(const char *repo, const char *file, struct kg_error *err);
/* The repository as a bundle; since: a commit, what is reachable from it is left out; or NULL. */
int kgit_bundle_write(const char *repo, const char *file, const char *since, struct kg_error *err);

/* The commit of a ref, "" where there is none, and the number of a state commit. */
int kgit_repo_ref(char out[41], const char *repo, const char *ref, struct kg_error *err);
int kgit_repo_revision(uint64_t *out, const char *repo, const char *commit, struct kg_error *err);

#endif
