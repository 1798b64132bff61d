/*
 * A pod's volumes below POD_DIR/volumes. ConfigMap volumes are as kubelet's: files in a directory
 * of their own, `..data` a link to it that is replaced in one step, and a link a file. Blocking.
 */
#ifndef KG_NODEAGENT_VOLUMES_H
#define KG_NODEAGENT_VOLUMES_H

#include "value/value.h"

/* Idempotent. KG_E_NOT_FOUND where a ConfigMap that is not optional is missing. */
int kg_volumes_make(const char *pod_dir, const struct kg_value *pod,
	const struct kg_value *configmaps, struct kg_error *err);
/* Brings ConfigMap volumes up to date; those whose content is the same are not touched, those
 * whose ConfigMap is gone stay as they are. */
int kg_volumes_update(const char *pod_dir, const struct kg_value *pod,
	const struct kg_value *configmaps, struct kg_error *err);
/* Unmounts what is mounted; the content goes with the pod's directory. */
int kg_volumes_unmount(const char *pod_dir, const struct kg_value *pod, struct kg_error *err);
/* One ConfigMap volume in dir (made if need be). source: the volume's configMap; map may be null
 * where it is optional. */
int kg_volume_write_configmap(const char *dir, const struct kg_value *source,
	const struct kg_value *map, int64_t fs_group, struct kg_error *err);

#endif
