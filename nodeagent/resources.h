/* What a container's requests mean for the kernel. */
#ifndef KG_NODEAGENT_RESOURCES_H
#define KG_NODEAGENT_RESOURCES_H

#include "value/value.h"

/* kubelet's oom_score_adj of a container on a machine with so many bytes. */
int kg_oom_score(const struct kg_value *pod, const struct kg_value *container, int64_t machine);

#endif
