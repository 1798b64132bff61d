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
/* The key of the claim that a pod's volume is of; false: it is of none. */
bool kg_claim_key(
	char key[KG_KEY_SIZE], const struct kg_object *pod, const struct kg_value *volume);
/* What a template says, as a claim. */
struct kg_value kg_claim_of_template(struct kg_arena *a, const struct kg_value *template);
/* Makes a claim that the system asks for; why it may not come to be, NULL: it did. */
const char *kg_claim_make(
	struct kg_run *r, const char *ns, const char *name, const struct kg_value *claim);
/* Kept for the claim, or bound to it already. */
bool kg_volume_is_for(const struct kg_object *pv, const struct kg_object *claim);
/* The best volume for a claim that has none, on that node (NULL: on any); NULL: none. */
const struct kg_object *kg_volume_match(
	struct kg_run *r, const struct kg_object *claim, const struct kg_node_info *node);

#endif
