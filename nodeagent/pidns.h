/*
 * The process namespace that a pod's containers share (shareProcessNamespace). Such a namespace
 * lasts as long as its first process, so there is one that does nothing but bury orphans: nobody,
 * without rights or files, in other namespaces than the host's, whose root is empty, and whom a
 * seccomp filter leaves no system call of use. It lies in a group of its own below the pod's, goes
 * with that, and takes whatever runs in the namespace with it.
 */
#ifndef KG_NODEAGENT_PIDNS_H
#define KG_NODEAGENT_PIDNS_H

#include "nodeagent/cgroup.h"

/* How that process is started: the own program with this, and what kg_pidns_main takes. */
#define KG_PIDNS_COMMAND "pause"

/* Pins one at path, whose directory must be there, or keeps the one that is there and lives.
 * cgroup: the pod's. Blocks; any thread, one a path at a time. */
int kg_pidns_make(const char *path, const struct kg_cgroups *groups, const char *cgroup,
	struct kg_error *err);
/* The program's main: argv[1] is KG_PIDNS_COMMAND. Returns the exit status. */
int kg_pidns_main(int argc, char **argv);

#endif
