/* Between the files of persistent volumes: claims, volumes and who uses them. */
#ifndef KG_RECONCILE_VOLUME_H
#define KG_RECONCILE_VOLUME_H

#include "reconcile/internal.h"

/* Makes a directory on the node where the first pod that uses the claim runs. */
#define KG_LOCAL_PATH       "kgit.dev/local-path"
#define KG_PROVISIONED_BY   "pv.kubernetes.io/provisioned-by"
#define KG_PROVISIONED_NODE "kgit.dev/node"

/* Is the volume one that kgit made. */
static inline bool kg_volume_is_ours(const struct kg_object *pv)
{
	return strcmp(kg_annotation(pv, KG_PROVISIONED_BY, ""), KG_LOCAL_PATH) == 0;
}
/* Kept for the claim, or bound to it already. */
bool kg_volume_is_for(const struct kg_object *pv, const struct kg_object *claim);
/* The best volume for a claim that has none, on that node (NULL: on any); NULL: none. */
const struct kg_object *kg_volume_match(
	struct kg_run *r, const struct kg_object *claim, const struct kg_node_info *node);

#endif
