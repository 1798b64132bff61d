/*
 * A path within a volume, as a container mounts it (subPath). Whoever writes to the volume may put
 * links there, and exchange them at any time: what is found beneath the volume's directory is held
 * by its descriptor and bound to a place of ours, which the container's mount is then made of
 * (kubelet's subpath safety). Blocking; any thread.
 */
#ifndef KG_NODEAGENT_SUBPATH_H
#define KG_NODEAGENT_SUBPATH_H

#include "base/err.h"

/* A relative path without ".."; links are followed as long as they stay within the volume. What is
 * missing is made a directory with the volume's own mode. `target`, which is made, has it until
 * kg_subpaths_unmount. KG_E_INVALID: it leads out of the volume. */
int kg_subpath_mount(
	const char *volume, const char *path, const char *target, struct kg_error *err);
/* Unmounts what is mounted in dir, and removes dir; absent is fine. */
int kg_subpaths_unmount(const char *dir, struct kg_error *err);

#endif
