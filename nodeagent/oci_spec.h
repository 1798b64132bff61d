/*
 * The runtime's config.json of one container. Pure: from the Pod object, the image and where its
 * things lie, to a value. The root file system is the first mount of the specification, an overlay
 * made inside the container's mount namespace: nothing is mounted on the host, nothing is left to
 * unmount. Its layers are named by links relative to the bundle's rootfs ("../l/SHORT");
 * the lowest one holds what is mounted upon in every container ("../l/base", image.h).
 */
#ifndef KG_NODEAGENT_OCI_SPEC_H
#define KG_NODEAGENT_OCI_SPEC_H

#include "nodeagent/hugepages.h"
#include "nodeagent/image.h"
#include "value/value.h"

struct kg_spec_host { /* what of the machine matters */
	bool cgroup_v2;
	uint64_t capabilities; /* that can be given: our own bounding set */
	int oom_score_adj;     /* our own: lower ones need CAP_SYS_RESOURCE */
	int64_t memory_bytes;
	struct kg_hugepages hugepages; /* whose use groups can bound; none where they cannot */
};
/* Reads /proc/self. */
void kg_spec_host_read(struct kg_spec_host *host);

struct kg_spec_in {
	const struct kg_value *pod, *container;
	const struct kg_value *configmaps; /* what it can name: env.h; and the API's address */
	const struct kg_image *image;
	const struct kg_spec_host *host;
	const char *node_name;
	const char *pod_dir;      /* volumes/NAME */
	const char *run_dir;      /* see kg_volume_path */
	const char *node_dir;     /* volumes/NAME of persistent ones */
	const char *files_dir;    /* hosts, resolv.conf, hostname */
	const char *upper, *work; /* of the overlay */
	const char *sub_dir;      /* holds the subPaths' targets */
	const char *term_log;     /* the file that is mounted as the termination log */
	const char *cgroup;       /* "/kgit/NODE/podUID/ID" */
	const char *netns;        /* path; NULL: the host's */
	const char *ipcns;        /* path; NULL: one of its own */
	const char *pidns;        /* path; NULL: one of its own, or the host's */
	const char *shm;          /* the pod's shared /dev/shm; NULL: one of its own */
};
/* A volume's mount of a path within it: `path` (of `volume`, a directory) has to be at `target`
 * when the container is created (subpath.h). */
struct kg_spec_subpath {
	const char *volume, *path, *target;
};
#define KG_SPEC_MOUNTS 64 /* of volumes, a container */
/* Those of the container; out has room for KG_SPEC_MOUNTS. Errors as below. */
int kg_oci_subpaths(struct kg_spec_subpath *out, size_t *n, struct kg_arena *a,
	const struct kg_spec_in *in, struct kg_error *err);
/* KG_E_NOT_FOUND and KG_E_INVALID: the specification is wrong (CreateContainerConfigError). */
int kg_oci_spec(struct kg_value *out, struct kg_arena *a, const struct kg_spec_in *in,
	struct kg_error *err);
/* The pod's own control group's limits. */
struct kg_cgroup_limits;
void kg_pod_cgroup_limits(struct kg_cgroup_limits *out, const struct kg_value *pod);
/* The host name that the pod sees. */
const char *kg_pod_hostname(struct kg_arena *a, const struct kg_value *pod);
bool kg_pod_host_network(const struct kg_value *pod);
bool kg_pod_host_ipc(const struct kg_value *pod);
bool kg_pod_shares_pid(const struct kg_value *pod);

#endif
