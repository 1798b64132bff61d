/*
 * The host's mounts. `ip netns exec` gives a program a mount namespace of its own in which /sys is
 * mounted anew, without the cgroup hierarchies; and what it mounts there is lost to the next run.
 * An agent pins namespaces and mounts root filesystems that must outlive it, so it belongs in the
 * host's mount namespace, whatever network namespace it was put in.
 */
#ifndef KG_NODEAGENT_HOSTNS_H
#define KG_NODEAGENT_HOSTNS_H

#include "base/err.h"

/*
 * Where no cgroup hierarchy is in sight, goes over to the host's mount namespace, provided that
 * `state` (a directory that exists) is the same there; otherwise changes nothing, which is
 * success, too. Before any thread is started. The working directory is kept.
 */
int kg_hostns_enter(const char *state, struct kg_error *err);

#endif
