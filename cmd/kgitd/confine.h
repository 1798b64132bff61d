/*
 * A seccomp filter for kgitd and all that it starts (git, its hooks, ssh-keygen): what none of them
 * has a use for fails with EPERM. A pushed pack that takes over git, or a request kgitd, so finds
 * less of the kernel to go on with: no namespaces, mounts, tracing, modules, devices, keys, BPF,
 * other address families than those of files, IP and netlink.
 *
 * It is a list of what is refused, since it is inherited: git's own needs, and those of what it
 * starts on some machine, are not ours to list. io_uring stays, as kgitd sends by it; what it can
 * do beside is open sockets of other families. kgit-node has no such filter: its containers would
 * inherit it, and to make them takes nearly every call that is refused here.
 */
#ifndef KGITD_CONFINE_H
#define KGITD_CONFINE_H

#include "base/err.h"

/* For good; before there are threads. Sets no_new_privs, too. */
int kgd_confine(struct kg_error *err);

#endif
