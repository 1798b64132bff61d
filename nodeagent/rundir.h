/*
 * DIR/run, where the agent keeps what dies with the machine (podfiles.h): a tmpfs that is mounted
 * at the agent's first start after a boot and stays until `kgit-node reset`, or until the agent
 * ends with no pod left. It needs the host's mount namespace (hostns.h).
 */
#ifndef KG_NODEAGENT_RUNDIR_H
#define KG_NODEAGENT_RUNDIR_H

#include "base/err.h"

/* Nothing where it is mounted, or where pods run whose things lie in the directory itself. */
int kg_rundir_mount(const char *dir, struct kg_error *err);
/* Nothing where it is not mounted. Fails while something in it is in use. */
int kg_rundir_unmount(const char *dir, struct kg_error *err);

#endif
