/* Between the Deployment's files: one sync of one Deployment. */
#ifndef KG_RECONCILE_DEPLOYMENT_H
#define KG_RECONCILE_DEPLOYMENT_H

#include "reconcile/workload.h"

struct kg_rollout {
	struct kg_run *r;
	struct kg_object *d; /* held */
	const struct kg_value *spec;
	struct kg_value template; /* its own, or with a digest: kg_owner_template */
	int64_t replicas, surge, unavailable;
	struct kg_list all;       /* its ReplicaSets, oldest first */
	struct kg_list stale;     /* versions that were replaced: values still point into them */
	struct kg_object *newest; /* the one of the current template; NULL: none; in `all` */
	struct kg_value status;   /* being made; begins as the old one */
	int64_t collisions;
	bool forgot; /* some of `all` are gone */
};

int64_t kg_rs_replicas(const struct kg_object *rs); /* spec.replicas */
int64_t kg_rs_status(const struct kg_object *rs, const char *field);
/* Sets spec.replicas and what the Deployment notes beside it. True where the size changed. */
bool kg_rollout_scale(struct kg_rollout *x, const struct kg_object *rs, int64_t replicas);

/* deployment_scale.c: the size of a Deployment changed, or it is paused. */
bool kg_rollout_is_scaling(const struct kg_rollout *x);
void kg_rollout_rescale(struct kg_rollout *x);

/* deployment_status.c */
/* status "True", "False" or "Unknown". One of the same status and reason is left as it is, unless
 * `renew` (its time and message are then those of now). */
void kg_rollout_condition(struct kg_rollout *x, const char *type, const char *status,
	const char *reason, const char *message, bool renew);
void kg_rollout_pause_condition(struct kg_rollout *x);
/* Counts and conditions into the Deployment; `progress` judges the rollout's progress too. */
void kg_rollout_put_status(struct kg_rollout *x, bool progress);
/* All is new, there and available. */
bool kg_rollout_complete(const struct kg_rollout *x);

#endif
