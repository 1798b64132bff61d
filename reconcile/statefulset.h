/* Between the StatefulSet's files: one sync of one StatefulSet. */
#ifndef KG_RECONCILE_STATEFULSET_H
#define KG_RECONCILE_STATEFULSET_H

#include "reconcile/workload.h"

struct kg_stateful_sync {
	struct kg_run *r;
	struct kg_object *set; /* held */
	const struct kg_value *spec;
	struct kg_revisions revisions;
	const char *current, *update; /* names of revisions */
	struct kg_list list;
	struct kg_object **replicas;  /* by ordinal from `start`; NULL: not there */
	struct kg_object **condemned; /* of other ordinals, the highest first */
	size_t n, ncondemned;
	int64_t start, min_ready_ms;
	bool ordered; /* one after the other */
	bool rolling;
	struct kg_mould moulds[2]; /* of `current` and of `update`, once they are needed */
};

/* statefulset_pods.c */
/* The ordinal in a pod's name, -1: it is none of the set's names. */
int64_t kg_stateful_ordinal(const struct kg_object *set, const char *pod_name);
const char *kg_stateful_revision(const struct kg_object *pod);
/* The pod of that ordinal comes to be, of the revision that it belongs to. */
void kg_stateful_make(struct kg_stateful_sync *x, int64_t ordinal);
/* Gives the pod the volumes of its claims, which are made where they are not there; false where
 * one may not come to be. */
bool kg_stateful_claims(struct kg_stateful_sync *x, struct kg_value *pod, const char *ordinal);
/* After a step: claims of pods that are no more go, where they are to; waiting pods get theirs. */
void kg_stateful_keep_claims(struct kg_stateful_sync *x);
/* Running and ready; not on its way out, too; and so for minReadySeconds. */
bool kg_stateful_runs(const struct kg_object *pod);
bool kg_stateful_ready(const struct kg_object *pod);
bool kg_stateful_available(struct kg_stateful_sync *x, const struct kg_object *pod);

/* statefulset_status.c */
void kg_stateful_put_status(struct kg_stateful_sync *x);

#endif
