/*
 * Generic ephemeral volumes: a claim for one of a pod's volumes alone, which is named POD-VOLUME,
 * belongs to the pod and goes when the pod is gone. Whoever else's claim has that name is not
 * touched: the pod waits until it is gone. (As Kubernetes' ephemeral volume controller has it.)
 */
#ifndef KG_RECONCILE_EPHEMERAL_H
#define KG_RECONCILE_EPHEMERAL_H

#include "kinds/claim.h"
#include "reconcile/internal.h"

#include <string.h>

/* Was the claim made for the pod? */
static inline bool kg_ephemeral_is_of(const struct kg_object *claim, const struct kg_object *pod)
{
	return strcmp(kg_object_owner_uid(claim), kg_object_uid(pod)) == 0;
}
/* There is no claim of this key: makes it where a volume of a pod asks for one of its own. */
void kg_ephemeral_make(struct kg_run *r, const char *key);
/* Why the pod has no claim of that name for its volume, which there is none for. */
const char *kg_ephemeral_missing(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_arena *a, const struct kg_object *pod, const struct kg_value *volume,
	const char *name);

#endif
