/* The reconciler's benchmark: what its files share. */
#ifndef KG_BENCH_RECONCILE_H
#define KG_BENCH_RECONCILE_H

#include "reconcile/harness.h"

#include <stdbool.h>
#include <stddef.h>

/* User CPU of this process, in seconds, so that a busy machine matters little. */
double seconds(void);

enum wanted { LEAST, MOST, ANY };
/* Prints "NAME VALUE UNIT (what is wanted: NOT MET; note)". note: NULL, or what it is of. */
void figure(const char *name, double value, const char *unit, enum wanted how, double wanted,
	const char *note);
/* Does the caller want any figure whose name begins so? */
bool wanted(const char *prefix);

/* reconcile_clusters.c */
void must_run(struct kg_harness *h, struct kg_inputs *in); /* aborts where it fails */
/* "node-0000" and so on, in ten zones, every fourth with an SSD. */
void register_nodes(struct kg_harness *h, size_t n, bool ready);
void add_nodes(struct kg_harness *h, size_t n); /* that are ready */
void all_ready(struct kg_harness *h, size_t n); /* those that were registered */
/* n Deployments whose pods have this in their spec (@ is the app), straight to reconcile. */
void desire(struct kg_harness *h, const char *prefix, size_t n, size_t replicas, const char *cpu,
	const char *spec);
size_t bound(const struct kg_snapshot *s); /* pods that have a node */

/* reconcile_sim.c */
void bench_sim(size_t steps);

#endif
