/*
 * A cluster played forward: reconcile's own code, nodes that do what they are told, and a clock
 * that jumps to whatever is due next. Pure.
 */
#ifndef KG_RECONCILE_SIMULATE_H
#define KG_RECONCILE_SIMULATE_H

#include "reconcile/reconcile.h"

struct kg_sim_options {
	struct kg_reconcile_options reconcile;
	int64_t ready_ms;   /* from a pod's binding to its being ready; default 1,000 where 0 */
	int64_t run_ms;     /* from there to the end of a pod that is to end (restartPolicy not
			     * Always); default 1,000 where 0 */
	int64_t stop_ms;    /* from a pod's deletion to its end, if its grace is not shorter;
			     * default 1,000 where 0 */
	int64_t horizon_ms; /* how far the clock goes; default 600,000 where 0 */
};

struct kg_sim;
/* s is referenced; `now` (at least s' own time) is where the clock begins. */
struct kg_sim *kg_sim_new(
	const struct kg_snapshot *s, kg_time now, const struct kg_sim_options *opts);
void kg_sim_free(struct kg_sim *sim);

/* A node of that name answers no more: its pods do nothing, and liveness says so at the next step.
 */
void kg_sim_lose_node(struct kg_sim *sim, const char *name);
/* One commit now, with these inputs (their time is set). The error is reconcile's. */
int kg_sim_apply(struct kg_sim *sim, struct kg_inputs *in, struct kg_error *err);
/* The clock goes to what is due next, and that is one commit. 1; 0: nothing is due before the
 * horizon; negative: reconcile's error. */
int kg_sim_next(struct kg_sim *sim, struct kg_error *err);

/* All borrowed until the next call. */
const struct kg_snapshot *kg_sim_snapshot(const struct kg_sim *sim);
const struct kg_changes *kg_sim_changes(const struct kg_sim *sim); /* of the last commit */
kg_time kg_sim_now(const struct kg_sim *sim);

/* What a node reports of a pod that runs (and is ready, or not yet), or that ended well. */
struct kg_value kg_sim_running(
	struct kg_arena *a, const struct kg_object *pod, bool ready, kg_time now);
struct kg_value kg_sim_succeeded(struct kg_arena *a, const struct kg_object *pod, kg_time now);

#endif
