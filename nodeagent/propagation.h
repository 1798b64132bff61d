/*
 * Mount propagation: whether what is mounted below a volume of the node's later is seen in a
 * container (HostToContainer), and what a container mounts there, on the node (Bidirectional). Both
 * depend on how the node's own mount is made; where it is made so that nothing passes, containerd
 * and we refuse to start the container, which would wait in vain.
 */
#ifndef KG_NODEAGENT_PROPAGATION_H
#define KG_NODEAGENT_PROPAGATION_H

#include "nodeagent/volumes.h"

/* Of mountinfo's text (proc(5)): KG_E_INVALID where the mount with that id, which holds the path,
 * is not shared or, where that is enough, a slave. */
int kg_propagation_of(const char *mountinfo, uint64_t id, const char *path, bool slave_is_enough,
	struct kg_error *err);
/* All volumes of the node's that the container mounts so. Blocking. */
int kg_propagation_check(const char *node_dir, const struct kg_volume_source *src,
	const struct kg_value *container, struct kg_error *err);

#endif
