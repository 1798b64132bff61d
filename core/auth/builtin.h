/*
 * The roles and bindings that are the system's own: as Kubernetes has them, as far as they say
 * something here, and kgit:reader, who may fetch the repository. They are in every revision, come
 * with the binary, and are never part of main. Made at first use; any thread.
 */
#ifndef KG_AUTH_BUILTIN_H
#define KG_AUTH_BUILTIN_H

#include "kinds/object.h"

/* In order of their names; borrowed for good. None but of ClusterRole and ClusterRoleBinding. */
const struct kg_object *const *kg_builtin_objects(enum kg_kind_id kind, size_t *n);
const struct kg_object *kg_builtin_object(enum kg_kind_id kind, const char *name); /* or NULL */

#endif
