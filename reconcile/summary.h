/* What is ready, and why not: judged from a snapshot. Pure. */
#ifndef KG_RECONCILE_SUMMARY_H
#define KG_RECONCILE_SUMMARY_H

#include "kinds/snapshot.h"

struct kg_summary {
	bool counts; /* does it count for "all is ready" (a ConfigMap does not) */
	bool ready;
	char state[64];   /* "3/3 ready", "Running", "10.96.0.7 -> 3 endpoints" */
	char reason[400]; /* why it is not ready; "" */
};
void kg_summarize(struct kg_summary *out, const struct kg_snapshot *s, const struct kg_object *obj);
/* Is an object shown below another one (its owner is in the snapshot). */
bool kg_is_owned(const struct kg_snapshot *s, const struct kg_object *obj);
/* Is all that counts ready. */
bool kg_all_ready(const struct kg_snapshot *s);
/* Of a Deployment, StatefulSet or DaemonSet: are its pods not all of its template, and does it
 * replace them. */
bool kg_is_rolling(const struct kg_object *obj);
/* Does it roll when a ConfigMap or Secret of its pods changes (configs.c). */
bool kg_rolls_on_config(const struct kg_object *owner);

#endif
