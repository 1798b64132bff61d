/* What would become of the cluster: a plan, or a timeline, by reconcile's own code. */
#ifndef KGIT_FORECAST_H
#define KGIT_FORECAST_H

#include "reconcile/admission.h"
#include "reconcile/plan.h"
#include "reconcile/simulate.h"

#define KGIT_FORECAST_NODES 64

struct kgit_forecast {
	bool json;
	bool simulate;                                  /* a timeline; else what it comes to */
	bool show_id;                                   /* the plan's, for a push */
	const char *without_nodes[KGIT_FORECAST_NODES]; /* that are lost at once */
	const char *add_nodes[KGIT_FORECAST_NODES];     /* files of Node objects */
	size_t nwithout, nadd;
	struct kg_sim_options sim;
};

/* Applies the admission to s and prints. 0: nothing would change; 1: something. Negative: an error
 * that is not printed. */
int kgit_forecast(const struct kg_snapshot *s, const struct kg_admission *admission,
	const struct kgit_forecast *f, struct kg_error *err);

/* Prints a plan, as JSON with its words as "lines"; false: it has no changes ("no change"). */
bool kgit_print_plan(const struct kg_changes *changes, bool json, bool show_id);
/* The changes that turn one snapshot into another, values alone; kg_changes_release. */
void kgit_changes_between(
	struct kg_changes *out, const struct kg_snapshot *from, const struct kg_snapshot *to);

#endif
