/* Where a pod's things lie, and the small files its containers see. Blocking.
 *
 *   DIR/pods/UID/pod.json, state.json, status.json
 *   DIR/pods/UID/etc/{hosts,hostname,resolv.conf}
 *   DIR/pods/UID/volumes/NAME
 *   DIR/pods/UID/c/NAME            bundle: config.json, rootfs, upper, work, term
 *   DIR/pods/UID/logs/NAME/N.log   of attempt N; N.log.1 ... when it grew
 *   DIR/run/ns/UID/{net,ipc}       pinned namespaces
 *   DIR/run/shm/UID                /dev/shm of a pod with several containers
 */
#ifndef KG_NODEAGENT_PODFILES_H
#define KG_NODEAGENT_PODFILES_H

#include "value/value.h"

struct kg_podpaths {
	char *dir, *ns_dir, *netns, *ipcns, *shm, *cgroup;
};
void kg_podpaths_init(
	struct kg_podpaths *p, const char *dir, const char *cgroup_parent, const char *uid);
void kg_podpaths_release(struct kg_podpaths *p);

/* hosts, hostname, resolv.conf and the directories. */
int kg_podfiles_write(
	const struct kg_podpaths *p, const struct kg_value *pod, struct kg_error *err);
int kg_podfiles_mount_shm(const struct kg_podpaths *p, struct kg_error *err);
int kg_podfiles_unmount_shm(const struct kg_podpaths *p, struct kg_error *err);

/* Heap. */
char *kg_bundle_path(const struct kg_podpaths *p, const char *container);
char *kg_log_path(const struct kg_podpaths *p, const char *container, int attempt);

#endif
