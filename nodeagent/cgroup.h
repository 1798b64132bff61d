/*
 * Control groups, v1 (also hybrid) and v2: the pod's own group with its limits, killing and
 * removing a group with all below it. The containers' groups are the runtime's. Paths are
 * absolute in the hierarchy: "/kgit/NODE/podUID".
 */
#ifndef KG_NODEAGENT_CGROUP_H
#define KG_NODEAGENT_CGROUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Below the node's own group: what outlives the agent beside the pods' processes. */
#define KG_CGROUP_HELPERS "helpers"

struct kg_cgroups {
	bool v2;
	char *mounts[20]; /* where the hierarchies are mounted; heap; v2: the one */
	unsigned nmounts;
};
int kg_cgroups_detect(struct kg_cgroups *out, struct kg_error *err);
void kg_cgroups_release(struct kg_cgroups *c);

struct kg_cgroup_limits {
	uint64_t cpu_shares;  /* 0: not set; as in v1, 1024 a CPU */
	int64_t cpu_quota_us; /* of every 100 ms; 0: none */
	int64_t memory_bytes; /* 0: none */
};
/* Is there a controller of that name ("hugetlb") for groups of ours? */
bool kg_cgroup_has(const struct kg_cgroups *c, const char *controller);
/* Makes the group (and what is above it) and writes its limits. Idempotent. */
int kg_cgroup_make(const struct kg_cgroups *c, const char *path,
	const struct kg_cgroup_limits *limits, struct kg_error *err);
/* Has the kernel killed one of the group's processes for want of memory? */
bool kg_cgroup_oom_killed(const struct kg_cgroups *c, const char *path);
/* What its processes have used since it was made, and what memory they hold that could not be
 * dropped at once. false: it is not there. */
struct kg_cgroup_usage {
	int64_t cpu_ns, memory_bytes;
};
bool kg_cgroup_usage(const struct kg_cgroups *c, const char *path, struct kg_cgroup_usage *out);
/* Is a process in it, itself? */
bool kg_cgroup_populated(const struct kg_cgroups *c, const char *path);
/* SIGKILL to every process in it and below. Returns how many there were. */
unsigned kg_cgroup_kill(const struct kg_cgroups *c, const char *path);
/* Makes a group for what is to outlive the service that it was started in: in the hierarchies by
 * which a service manager ends what is a service's (version 2; of version 1 the named one). */
int kg_cgroup_make_shelter(const struct kg_cgroups *c, const char *path, struct kg_error *err);
/* Makes it and puts a process in. Fine where the process has ended. */
int kg_cgroup_shelter(
	const struct kg_cgroups *c, const char *path, pid_t pid, struct kg_error *err);
/* Kills what is left and removes the group in every hierarchy; waits for dying processes, two
 * seconds at most. Absent is fine. */
int kg_cgroup_remove(const struct kg_cgroups *c, const char *path, struct kg_error *err);
/* Milli-CPU as v1 shares, and as a quota of 100 ms. */
uint64_t kg_cgroup_shares(int64_t milli_cpu);
int64_t kg_cgroup_quota(int64_t milli_cpu);
/* v1 shares as a v2 weight. */
uint64_t kg_cgroup_weight(uint64_t shares);

#endif
