/*
 * A pod's volumes below POD_DIR/volumes. What is made of objects (ConfigMaps, Secrets, the pod's
 * own fields) is files (payload.h), and what holds a Secret lies in memory alone. What is the
 * node's (hostPath, persistent volumes) is mounted from where it is; those that the system makes
 * are directories DIR/volumes/NAME. What gives access to the API (apiaccess.h) lies with the
 * pod's bundles, which are in memory anyway: a mount less for each pod. Blocking.
 */
#ifndef KG_NODEAGENT_VOLUMES_H
#define KG_NODEAGENT_VOLUMES_H

#include "nodeagent/payload.h"
#include "nodeagent/podtokens.h"
#include "value/value.h"

struct kg_volume_source {
	const struct kg_value *pod;     /* with podIP and hostIP at its top level */
	const struct kg_value *objects; /* array of what pods of this node name: see env.h */
	const char *node_name, *node_dir;
	const char *pod_dir, *run_dir; /* the pod's own: podfiles.h */
	struct kg_podtokens *tokens;   /* NULL: there are none to be had */
};
/* Idempotent. KG_E_NOT_FOUND where an object that is not optional is missing, KG_E_UNAVAILABLE
 * where a token is. */
int kg_volumes_make(const struct kg_volume_source *src, struct kg_error *err);
/* Brings volumes of objects up to date; those whose content is the same are not touched, those
 * whose object is gone stay as they are. */
int kg_volumes_update(const struct kg_volume_source *src, struct kg_error *err);
/* Where a volume lies that is no host volume. */
char *kg_volume_path(
	struct kg_arena *a, const char *pod_dir, const char *run_dir, const char *name);
/* Unmounts what is mounted; the content goes with the pod's directory. */
int kg_volumes_unmount(const char *pod_dir, const struct kg_value *pod, struct kg_error *err);

/* ---- host_volume.c: node_dir is the node's state directory ---- */

bool kg_volume_is_host(const struct kg_value *volume);
/* What is mounted of it; NULL where its claim has no volume (any more). */
const char *kg_volume_host_path(struct kg_arena *a, const char *node_dir,
	const struct kg_volume_source *src, const struct kg_value *volume);
/* Says so, with KG_E_NOT_FOUND. */
int kg_volume_unbound(
	const struct kg_volume_source *src, const struct kg_value *volume, struct kg_error *err);
bool kg_volume_is_read_only(const struct kg_value *volume);
/* Sees that it is there; KG_E_NOT_FOUND where it is not, or its claim has no volume yet. */
int kg_volume_make_host(const char *node_dir, const struct kg_volume_source *src,
	const struct kg_value *volume, int64_t fs_group, struct kg_error *err);
/* The directory of a PersistentVolume of type local; whether the system made it, and may remove it.
 */
const char *kg_persistent_path(struct kg_arena *a, const char *node_dir, const struct kg_value *pv);
bool kg_persistent_is_ours(const struct kg_value *pv);

/* ---- projection.c ---- */

/* Is a volume made of objects; must it lie in memory. */
bool kg_volume_is_projection(const struct kg_value *volume);
bool kg_volume_is_secret(const struct kg_value *volume);
/* Its files; path is where it lies. KG_E_NOT_FOUND and KG_E_UNAVAILABLE as above. */
int kg_volume_project(struct kg_payload *out, const struct kg_volume_source *src,
	const struct kg_value *volume, const char *path, struct kg_error *err);

#endif
