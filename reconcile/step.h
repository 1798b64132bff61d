/*
 * One revision: what the writer of kgitd makes of the one before and of what came in, and what
 * `kgit verify` makes again. Pure; the store adds the tree and the commit.
 */
#ifndef KG_RECONCILE_STEP_H
#define KG_RECONCILE_STEP_H

#include "reconcile/reconcile.h"

struct kg_step {
	/* In; borrowed. */
	const struct kg_snapshot *prev;
	const struct kg_inputs *inputs;
	const char *user;       /* whose push it is; NULL: none */
	const char *new_commit; /* of the push: what main is from now on */
	/* Out. */
	struct kg_snapshot *next; /* a reference */
	struct kg_changes changes;
	kg_time wake_at;
	/* By kg_step_describe. */
	struct kg_buf message, author; /* author "": the cluster's own */
	struct kg_buf record;          /* inputs.yaml; "": none */
};
/* Runs reconcile; *state moves along. On failure there is nothing to release. */
int kg_step_run(struct kg_step *s, struct kg_reconcile_state *state, struct kg_error *err);
/* A step without inputs and without a run, which changes nothing but the clock: what a restore
 * from a backup makes, so that no number is given twice. */
void kg_step_skip(struct kg_step *s, kg_time now);
/* The texts of its commit, which depend on what had an effect alone. After kg_step_run, before the
 * next run of `state`. */
void kg_step_describe(struct kg_step *s, const struct kg_reconcile_state *state);
void kg_step_release(struct kg_step *s);

/* The user of a push, out of its message: arena text; NULL: it is no push's. */
const char *kg_step_user(struct kg_arena *a, const char *message);

#endif
