/* What is ready, and why not: judged from a snapshot. Pure. */
#ifndef KGIT_SUMMARY_H
#define KGIT_SUMMARY_H

#include "kinds/snapshot.h"

struct kgit_summary {
	bool counts; /* does it count for "all is ready" (a ConfigMap does not) */
	bool ready;
	char state[64];   /* "3/3 ready", "Running", "10.96.0.7 -> 3 endpoints" */
	char reason[400]; /* why it is not ready; "" */
};
void kgit_summarize(
	struct kgit_summary *out, const struct kg_snapshot *s, const struct kg_object *obj);
/* Is an object shown below another one (its owner is in the snapshot). */
bool kgit_is_owned(const struct kg_snapshot *s, const struct kg_object *obj);
/* Is all that counts ready. */
bool kgit_all_ready(const struct kg_snapshot *s);

#endif
