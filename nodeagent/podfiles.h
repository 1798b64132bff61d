/* Where a pod's things lie, and the small files its containers see. Blocking.
 *
 *   DIR/pods/UID/record.json       what a reboot must not forget, once it has settled (podstore.c)
 *   DIR/pods/UID/volumes/NAME
 *   DIR/pods/UID/NAME.{upper,work} a container's writable layer
 *   DIR/pods/UID/NAME.N.log        of attempt N; NAME.N.log.1 ... when it grew
 *   DIR/run/pods/UID/record.json   what is known of it now
 *   DIR/run/pods/UID/NAME          bundle: config.json, rootfs, and what conmon keeps
 *   DIR/run/pods/UID/kube-api-access.kgit   see apiaccess.h
 *   DIR/run/files/UID              hosts, hostname, resolv.conf, NAME.term: a tmpfs of its own,
 *                                  since containers write there
 *   DIR/run/ns/UID/{net,ipc,pid}   pinned namespaces
 *   DIR/run/shm/UID                /dev/shm of a pod with several containers
 *
 * DIR/run dies with the machine and is a tmpfs (rundir.h): a pod's start makes some thirty small
 * files, and a disk's file system takes up to a third of its time for them.
 */
#ifndef KG_NODEAGENT_PODFILES_H
#define KG_NODEAGENT_PODFILES_H

#include "value/value.h"

struct kg_podpaths {
	char *dir, *run, *files, *ns_dir, *netns, *ipcns, *pidns, *shm, *cgroup;
};
void kg_podpaths_init(
	struct kg_podpaths *p, const char *dir, const char *cgroup_parent, const char *uid);
void kg_podpaths_release(struct kg_podpaths *p);

/* Mounts the tmpfs and writes hosts, hostname and resolv.conf (resolv.h). objects: what pods can
 * name (apiaccess.h). */
int kg_podfiles_write(const struct kg_podpaths *p, const struct kg_value *pod,
	const struct kg_value *objects, struct kg_error *err);
int kg_podfiles_mount_shm(const struct kg_podpaths *p, struct kg_error *err);
/* Both of them, where they are mounted. */
int kg_podfiles_unmount(const struct kg_podpaths *p, struct kg_error *err);

/* Heap. */
char *kg_bundle_path(const struct kg_podpaths *p, const char *container);
char *kg_upper_path(const struct kg_podpaths *p, const char *container);
char *kg_work_path(const struct kg_podpaths *p, const char *container);
char *kg_term_path(const struct kg_podpaths *p, const char *container);
char *kg_log_path(const struct kg_podpaths *p, const char *container, int attempt);

#endif
