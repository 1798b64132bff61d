/* File systems in memory that the agent mounts. Blocking; any thread. */
#ifndef KG_NODEAGENT_TMPFS_H
#define KG_NODEAGENT_TMPFS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Is another file system mounted at path than what it lies on? False where nothing is there. */
bool kg_is_mounted(const char *path);
/* At path, which is there; nothing where something is mounted already. Always nosuid and nodev;
 * name is what /proc/mounts calls it, flags are mount(2)'s, options tmpfs(5)'s. */
int kg_tmpfs_mount(const char *path, const char *name, unsigned long flags, const char *options,
	struct kg_error *err);
/* The same of huge pages, of `page` bytes each, `size` bytes altogether. */
int kg_hugetlbfs_mount(const char *path, int64_t page, int64_t size, struct kg_error *err);
/* Until nothing is mounted there. flags are umount2(2)'s. */
int kg_unmount_all(const char *path, int flags, struct kg_error *err);

#endif
