/* Namespaces pinned by bind mounts, so that they outlive every process (no pause container). Any
 * thread: the caller's own namespaces are never touched. */
#ifndef KG_NODEAGENT_NETNS_H
#define KG_NODEAGENT_NETNS_H

#include "base/err.h"

#include <stdbool.h>

/* Makes a namespace of one kind (CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS) and pins it at path,
 * whose directory must be there. One that is pinned there already is kept. */
int kg_ns_pin(int clone_flag, const char *path, struct kg_error *err);
int kg_netns_create(const char *path, struct kg_error *err); /* kg_ns_pin(CLONE_NEWNET, ...) */
/* Removes the pin; the namespace goes with its last process. Absent is fine. */
int kg_ns_unpin(const char *path, struct kg_error *err);
bool kg_ns_is_pinned(const char *path);

#endif
