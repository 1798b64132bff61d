/* For tests (ours, and those of `kgit test`) and benchmarks alone: a cluster in memory that pushes
 * manifests, runs reconcile and plays the nodes. Failures abort. */
#ifndef KG_RECONCILE_HARNESS_H
#define KG_RECONCILE_HARNESS_H

#include "kinds/record.h"
#include "reconcile/admission.h"

struct kg_harness {
	struct kg_reconcile_options opts;
	struct kg_snapshot *s; /* owned */
	struct kg_reconcile_state *state;
	kg_time now, wake_at;
	/* Hold every step against a full run on a fresh state with its inputs turned round, against
	 * a second full run that must change nothing, and a run with what is recorded of the
	 * inputs; and every object that changed against what its records give back. */
	bool check;
	struct kg_changes last; /* of the last run */
};
#define KG_HARNESS_START INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

void kg_harness_init(struct kg_harness *h, const struct kg_reconcile_options *opts);
void kg_harness_release(struct kg_harness *h);
/* One commit. in->now is set to h->now. The error's code (negative) where reconcile fails. */
int kg_harness_run(struct kg_harness *h, struct kg_inputs *in, struct kg_error *err);
/* Time passes to when something is due next, or to `end` where nothing is until then (false). */
bool kg_harness_due(struct kg_harness *h, kg_time end);
/* Registers a node with these labels and status, and says that it answers. */
void kg_harness_node(struct kg_harness *h, const char *name, const struct kg_value *labels,
	const struct kg_value *status, bool ready);
/* "node-0" to "node-(N-1)", each with so much to give, that answer. */
void kg_harness_nodes(struct kg_harness *h, size_t n, const char *cpu, const char *memory);
void kg_harness_liveness(struct kg_harness *h, const char *name, bool ready);
/* What a pod's node says of it, into *st, whose status may lie in the arena: a status, or that it
 * is gone (all else is filled in). False: nothing. */
typedef bool kg_harness_word(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st);
/* One commit of what is said of all pods that have a node, asked in order of their keys; aborts
 * where it fails. */
void kg_harness_report(struct kg_harness *h, kg_harness_word *word, void *ctx);
/* The nodes let go of the pods that are being deleted. */
void kg_harness_let_go(struct kg_harness *h);
/* Was there but one round of scheduling in the last run? Pods that left, that had waited or were
 * bound late may have made for several. */
bool kg_harness_one_round(const struct kg_harness *h);
/* One manifest text pushed as the file `path`; aborts where it is refused. */
void kg_harness_push(struct kg_harness *h, const char *path, const char *text);

/* The next number of a seeded course (the seed is not 0), below n. */
uint64_t kg_harness_chance(uint64_t *seed, uint64_t n);

#endif
