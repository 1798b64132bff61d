/* Admission of one push, from the commits to the inputs of reconcile. */
#ifndef KGITD_ADMIT_H
#define KGITD_ADMIT_H

#include "kgitd/master.h"

struct kgd_push_options {
	bool force, dry_run;
	long allow_delete;             /* -1: not given */
	char plan[KG_PLAN_ID_LEN + 1]; /* "": not given */
	int64_t wait_ms;               /* for the rollout; 0: not at all */
};

/* What an admitted push means; owns all it points to. */
struct kgd_admitted {
	struct kg_arena arena;
	char old_commit[41], new_commit[41];
	char user[254]; /* whose changes these may be */
	struct kg_admission admission;
};
void kgd_admitted_free(struct kgd_admitted *a);

/* "force", "allow-delete=3", "dry-run", ...; KG_E_BAD_REQUEST names an unknown one. */
int kgd_push_option(struct kgd_push_options *out, const char *text, struct kg_error *err);

/*
 * Judges main moving from old to new ("" for absent), pushed by user. On refusal the reasons are in
 * `say`, a line each, and KG_E_INVALID (or what failed) is returned; warnings may be in `say` on
 * success, too. Any thread.
 */
int kgd_admit(struct kgd_admitted **out, struct kgd_master *m, const struct kg_user *user,
	const char *old_commit, const char *new_commit, const char *quarantine,
	const struct kgd_push_options *opts, struct kg_buf *say, struct kg_error *err);

/* Is there room on the disk for a push? KG_E_NO_SPACE says what to do. Without it git itself would
 * fail somewhere in the middle, and say less. */
int kgd_has_room(const struct kgd_master *m, struct kg_error *err);

#endif
