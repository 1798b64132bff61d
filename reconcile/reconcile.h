/*
 * Reconcile: the cluster's controllers and its scheduler as one pure function,
 *   (previous state, inputs, now) -> changes, wake_at,
 * run to a fixpoint in memory: a Deployment comes out with its ReplicaSet, Pods and bindings. No
 * git, socket, clock, random or log here. The order of inputs within one call does not matter.
 */
#ifndef KG_RECONCILE_RECONCILE_H
#define KG_RECONCILE_RECONCILE_H

#include "kinds/snapshot.h"

/* Desired state of one object as a push defines it; or, with a NULL manifest value (type null),
 * its removal. */
struct kg_input_desired {
	const struct kg_kind *kind;
	const char *ns, *name;
	struct kg_value value; /* defaulted manifest value; null: removed */
	const char *source;
	unsigned source_index;
};
/* A node registers, or says anew what it is. Its spec.podCIDR is decided by reconcile. */
struct kg_input_node {
	const char *name;
	struct kg_value labels; /* object or null */
	struct kg_value status; /* addresses, capacity, allocatable, nodeInfo; no conditions */
};
/* What liveness, kept in memory by the master, says of a node: a transition. */
struct kg_input_liveness {
	const char *name;
	bool ready;
	kg_time since;
	const char *reason, *message; /* "KubeletReady", "NodeStatusUnknown" and the like */
};
/* A node's report on one pod. Ignored where uid or node no longer match. */
struct kg_input_pod_status {
	const char *node, *ns, *name, *uid;
	struct kg_value status; /* phase, conditions, containerStatuses, startTime, ... */
	bool gone;              /* nothing of the pod is left on the node: a tombstone may go */
	/* ns "", gone: the directory of the PersistentVolume of that name is no more */
};

/* Somebody asks for a pod to leave its node (kgit evict, kgit drain). Refused where a
 * PodDisruptionBudget does not allow it; *why (may be NULL) then says so in words, else it is "".
 */
struct kg_input_eviction {
	const char *ns, *name, *uid; /* uid "": whichever has the name */
	char (*why)[256];
};

/*
 * What of the master every client is to know. It is kept as the ConfigMap KG_CLUSTER_NAME of
 * kube-system, of which the API makes the ConfigMap kube-root-ca.crt of every namespace and the
 * Service kubernetes.
 */
struct kg_input_cluster {
	const char *ca;      /* to be trusted, PEM */
	const char *address; /* "HOST:PORT", as others reach the master */
	const char *service; /* the address of the Service kubernetes */
};

struct kg_inputs {
	kg_time now; /* never before the previous snapshot's time */
	const struct kg_input_desired *desired;
	size_t ndesired;
	const struct kg_input_node *nodes;
	size_t nnodes;
	const struct kg_input_liveness *liveness;
	size_t nliveness;
	const struct kg_input_pod_status *pods;
	size_t npods;
	const struct kg_input_eviction *evictions;
	size_t nevictions;
	const struct kg_input_cluster *cluster; /* NULL: as it is */
	bool full; /* run every controller on every object (start, and the test of incremental =
		      full) */
};

#define KG_ZONE_RULE_SIZE 128
/* The rule of a time zone (POSIX TZ, as at the end of its file: RFC 8536) by its name; false:
 * unknown. */
typedef bool kg_zone_fn(void *ctx, const char *name, char rule[KG_ZONE_RULE_SIZE]);

/* The number of what is decided from the same inputs: one more whenever any of it changes, since
 * it says who made a revision. */
#define KG_RECONCILER 5

struct kg_reconcile_options {
	const char *pod_cidr;             /* default "10.244.0.0/16"; each node gets a /24 of it */
	const char *service_cidr;         /* default "10.96.0.0/16" */
	int node_port_min, node_port_max; /* default 30000..32767 */
	int64_t eviction_timeout_ms;      /* of pods on a lost node; default 300,000 */
	kg_zone_fn *zone; /* asked when a CronJob is defined, and kept with it; NULL: UTC alone */
	void *zone_ctx;
};
/* The options (zones aside) as they are recorded: {number: KG_RECONCILER, podCIDR, serviceCIDR,
 * nodePortMin, nodePortMax, evictionTimeoutMilliseconds}, defaults filled in. */
struct kg_value kg_reconcile_options_value(
	struct kg_arena *a, const struct kg_reconcile_options *opts);
/* Back from that; texts are the value's. */
void kg_reconcile_options_read(struct kg_reconcile_options *out, const struct kg_value *v);

/*
 * Applies the inputs to the txn and runs controllers to a fixpoint. *wake_at is when something is
 * due next without input (KG_TIME_NEVER: nothing). Fails only on what admission should have
 * refused (KG_E_INVALID), and then the txn must be thrown away. `state` carries what reconcile
 * remembers between calls to be incremental (wake-ups, allocator bitmaps, scheduler sums); it is
 * derived from the snapshot alone and can be made anew at any revision.
 */
struct kg_reconcile_state;
struct kg_reconcile_state *kg_reconcile_state_new(
	const struct kg_snapshot *s, const struct kg_reconcile_options *opts);
void kg_reconcile_state_free(struct kg_reconcile_state *state);
/* After success the state has moved along with the txn: if the commit then fails, make it anew. */
int kg_reconcile(struct kg_reconcile_state *state, struct kg_txn *txn, const struct kg_inputs *in,
	kg_time *wake_at, struct kg_error *err);

/* The pod, SET-ORDINAL, that a claim of this name is for, TEMPLATE-SET-ORDINAL of one of the
 * StatefulSet's templates: within `claim`. NULL: it is none of the set's. */
const char *kg_stateful_claim_pod(const struct kg_object *set, const char *claim);

#endif
