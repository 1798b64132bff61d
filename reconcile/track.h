/*
 * Between the files that keep the remembered state up with every change: track.c, which says what
 * follows what, track_node.c and anchor.c. `before` NULL: it is new; `after` NULL: it is gone.
 */
#ifndef KG_RECONCILE_TRACK_H
#define KG_RECONCILE_TRACK_H

#include "reconcile/internal.h"

/* ---- track_node.c: nodes' sums ---- */

void kg_track_node(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after);
/* A pod takes its node's address and room, or gives them back. */
void kg_track_account(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *pod, bool on);
void kg_track_forget_nodes(struct kg_reconcile_state *st);

/* ---- anchor.c: services, budgets, and the pods behind them ---- */

/* A Service or a PodDisruptionBudget; s NULL: the pods are yet to be told. */
void kg_anchor_follower(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after);
/* A pod carries its labels, or does not any more; what follows it is enqueued where wanted. */
void kg_anchor_pod(
	struct kg_reconcile_state *st, const struct kg_object *pod, bool on, bool enqueue);
void kg_anchors_forget(struct kg_reconcile_state *st);

#endif
