/*
 * Within reconcile: the run (one call of kg_reconcile), the remembered state, and what the
 * controllers share. A controller is a function of one key; it reads the txn's snapshot, puts and
 * deletes objects, and asks for a wake-up. Whatever depends on what it changed is enqueued by
 * kg_concerns, never by the controller itself.
 */
#ifndef KG_RECONCILE_INTERNAL_H
#define KG_RECONCILE_INTERNAL_H

#include "base/hash.h"
#include "base/map.h"
#include "base/quantity.h"
#include "kinds/amount.h"
#include "kinds/annotations.h"
#include "kinds/placement.h"
#include "kinds/record.h"
#include "reconcile/reconcile.h"
#include "reconcile/sets.h"

/* In the order in which their queues are emptied. */
enum kg_controller {
	KG_C_NAMESPACE,
	KG_C_NODE,
	KG_C_POD,
	KG_C_GARBAGE, /* EndpointSlices, ControllerRevisions */
	KG_C_BELONGING,
	KG_C_REPLICASET,
	KG_C_REPLICATIONCONTROLLER,
	KG_C_JOB,
	KG_C_DAEMONSET,
	KG_C_STATEFULSET,
	KG_C_CRONJOB,
	KG_C_DEPLOYMENT,
	KG_C_BUDGET,
	KG_C_QUOTA,
	KG_C_CLAIM,
	KG_C_VOLUME,
	KG_C_SCHEDULER, /* one key, "" */
	KG_C_SERVICE,
	KG_C_COUNT
};

/* The key of the node controller under which all nodes that are lost are looked at together. */
#define KG_LOST_NODES "*"

#define KG_POD_HASH_LABEL      "pod-template-hash"
#define KG_REVISION_ANNOTATION "deployment.kubernetes.io/revision"
#define KG_HISTORY_ANNOTATION  "deployment.kubernetes.io/revision-history"
#define KG_DESIRED_ANNOTATION  "deployment.kubernetes.io/desired-replicas"
#define KG_MAX_ANNOTATION      "deployment.kubernetes.io/max-replicas"

/* ---- resources ---- */
enum { KG_RES_CPU, KG_RES_MEMORY, KG_RES_STORAGE, KG_RES_FIXED, KG_RES_MAX = 16 };

/* What a pod asks of its node. cpu in milli-units, the rest in whole units. */
struct kg_demand {
	int64_t req[KG_RES_MAX];
	int64_t score_cpu, score_mem; /* as req, but never zero: what scoring counts */
	const char *unknown; /* a resource that no node has; borrowed from the pod, or NULL */
	bool host_ports;     /* a container asks for a port of the node */
};

/* How many pods have one priority. */
struct kg_level {
	int64_t priority, pods;
};

struct kg_node_info {
	char *name;
	uint64_t hash;
	struct kg_object *obj; /* referenced */
	bool ready, unschedulable, tainted;
	uint32_t slot;    /* its place in the scheduler's arrays */
	uint64_t version; /* of obj, as the scheduler counts them; never used twice */
	const struct kg_value *labels, *taints; /* of obj */
	struct kg_host_port *ports; /* that its pods take, each as often as it is taken */
	size_t nports, ports_cap;
	struct kg_level *levels;
	size_t nlevels, levels_cap;
	int64_t alloc[KG_RES_MAX], used[KG_RES_MAX];
	int64_t score_cpu, score_mem;
	int64_t max_pods, pods;
	bool has_cidr;
	uint32_t cidr; /* first address */
	unsigned prefix;
	uint64_t *taken; /* bitmap of 2^(32-prefix) addresses */
	uint32_t ntaken;
};

/* The services and budgets whose selector holds one label pair, and the pods that carry it. */
struct kg_anchor {
	struct kg_map services; /* keys */
	struct kg_map budgets;  /* keys */
	struct kg_map pods;     /* keys */
};

struct kg_ip_range {
	uint32_t first;
	unsigned prefix;
	uint32_t size;
};

/* Wake-ups, the earliest first: a heap. One that is no more what the map of wakes says is none. */
struct kg_alarm {
	kg_time t;
	enum kg_controller c;
	char *key; /* owned */
};
struct kg_alarms {
	struct kg_alarm *v;
	size_t n, cap;
};

/* An input that changed something. */
enum kg_effect_type {
	KG_EFFECT_NODE,
	KG_EFFECT_LIVENESS,
	KG_EFFECT_REPORT,
	KG_EFFECT_EVICTION,
	KG_EFFECT_CLUSTER
};
struct kg_effect {
	enum kg_effect_type type;
	const void *input; /* the caller's */
	/* Owned: what it was about, as the input left it (of an eviction: as it was); NULL: that is
	 * gone. */
	struct kg_object *after;
};
struct kg_effects {
	struct kg_effect *items;
	size_t len, cap;
};

struct kg_reconcile_state {
	struct kg_ip_range pod_range, service_range;
	int node_port_min, node_port_max;
	int64_t eviction_timeout_ms;
	kg_zone_fn *zone; /* may be NULL */
	void *zone_ctx;

	uint64_t revision; /* the snapshot that this state describes, if... */
	bool moved;        /* ...false; otherwise the one after it */
	bool stale;        /* a run failed: build anew */
	bool fresh;        /* nothing has run since it was built: the next run is a full one */

	struct kg_map queue[KG_C_COUNT];
	struct kg_map spare;             /* an empty one: what is enqueued while a queue is run */
	struct kg_map wakes[KG_C_COUNT]; /* key -> kg_time as a pointer */
	struct kg_alarms alarms;         /* the same by time */

	struct kg_map nodes; /* name -> struct kg_node_info, owned */
	char *res_name[KG_RES_MAX];
	struct kg_map demands;  /* template id -> struct kg_demand, owned; a cache */
	struct kg_map pending;  /* keys of pods that wait for a node */
	struct kg_map anchors;  /* "NS\x01LABEL\x01VALUE" -> struct kg_anchor, owned */
	struct kg_map rollers;  /* "C NS/NAME" of those that roll on a change of configuration */
	struct kg_map lost;     /* names of nodes that are not ready */
	struct kg_map wide;     /* keys of budgets whose selector holds no pair */
	struct kg_map unfilled; /* anchors whose pods are yet to be looked for */
	bool released; /* Services that are put hold nothing any more: see kg_desired_apply */
	uint64_t *service_ips;
	uint64_t *node_ports;
	uint64_t *node_cidrs; /* bitmap of /24s (of the whole range where it is smaller) */
	uint32_t ncidrs;
	struct kg_sched *sched;     /* scheduler.h */
	struct kg_map quotas;       /* keys of ResourceQuotas -> struct kg_quota (quota.c), owned */
	struct kg_map quota_spaces; /* namespace -> its first struct kg_quota */
	struct kg_map starved;      /* "C NS/NAME": owners whose pods, claims that were refused */
	struct kg_map outlived;     /* uids of pods that quotas count no more: quota.c */
	/* Pods, and ReplicaSets, that neither a manifest defines nor a controller owns: keys by
	 * namespace (adopt.c) */
	struct kg_sets orphans[2];
	/* By what manifests name as an owner, the objects that name it; both as "KIND-ID NS/NAME"
	 * (belong.c) */
	struct kg_sets belongings;
	struct kg_sets claimants; /* by a claim's key, the pods that use it (claim.c) */
	struct kg_pmap volumes; /* PersistentVolumes by what may get them and by size (volume.c) */
	/* Claims: those that have no volume by their class, "c CLASS"; others by the volume that
	 * they name, "v NAME" (claim.c) */
	struct kg_sets claims;
	struct kg_map supplied; /* classes that got a volume: their claims are yet to be run */
	struct kg_map places;   /* key of a Service -> struct kg_places (endpointslice.h), owned */
	/* How much controllers looked at where that could grow with the cluster instead of with
	 * what changed: tests hold it to bounds. */
	uint64_t looked;
	struct kg_effects effects; /* of the last run, in the order of their application */
};

struct kg_run {
	struct kg_reconcile_state *st;
	struct kg_txn *txn;
	const struct kg_inputs *in;
	kg_time now;
	char now_text[32];
	uint64_t revision;    /* of the commit being made: births */
	struct kg_arena a;    /* scratch: emptied before each key */
	enum kg_controller c; /* being run */
	const char *key;
	size_t nchanges;     /* puts and deletes so far */
	const char *refused; /* why the key's last new pod or claim may not be; NULL: none was */
	struct kg_error *err;
};

/* ---- run.c: what controllers do ---- */
static inline const struct kg_snapshot *kg_now(const struct kg_run *r)
{
	return kg_txn_snapshot(r->txn);
}
void kg_enqueue(struct kg_reconcile_state *st, enum kg_controller c, const char *key);
/* The running controller wants its key again at t. The earliest call counts. */
void kg_wake(struct kg_run *r, kg_time t);
/* alarms.c: wake-ups by time. */
void kg_alarm_set(struct kg_reconcile_state *st, enum kg_controller c, const char *key, kg_time t);
void kg_alarms_enqueue(struct kg_reconcile_state *st, kg_time now); /* what is due */
kg_time kg_alarms_next(struct kg_reconcile_state *st);              /* KG_TIME_NEVER: none */
void kg_alarms_release(struct kg_alarms *a);
/* Puts a new version; nothing where the value is the same. True where something changed. */
bool kg_put_value(struct kg_run *r, const struct kg_object *obj, const struct kg_value *v);
/* One that a finalizer holds stays, on its way out (belong.h). */
void kg_delete_object(struct kg_run *r, const struct kg_object *obj);
struct kg_value kg_now_value(struct kg_run *r);
kg_time kg_time_of(const struct kg_value *v, kg_time dflt);
/* Seconds as milliseconds, between 0 and 100 years. */
int64_t kg_seconds(const struct kg_value *v, int64_t dflt);
/* uid, creationTimestamp and, where the kind has one, generation 1 put into metadata. */
struct kg_value kg_birth(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, const struct kg_value *v);
/* v, a new version of old: its generation is one more where that counts what changed: the spec; of
 * Deployments annotations too, as their ReplicaSets carry them; of EndpointSlices all but
 * annotations. (The rules of Kubernetes' registry strategies.) */
struct kg_value kg_with_generation(
	struct kg_arena *a, const struct kg_object *old, const struct kg_value *v);
/* v on its way out from now on: a change that its generation counts. */
struct kg_value kg_with_deletion(struct kg_run *r, const struct kg_value *v);
/* An annotation or label, as text, or dflt. */
const char *kg_annotation(const struct kg_object *obj, const char *key, const char *dflt);
struct kg_value kg_with_annotation(
	struct kg_arena *a, const struct kg_value *v, const char *key, const char *text);
/* "NS/NAME". What would be longer than any object's key is cut. */
#define KG_KEY_SIZE 600
void kg_make_key(char out[KG_KEY_SIZE], const char *ns, const char *name);
/* The controlling owner reference, or &kg_null. */
const struct kg_value *kg_owner_ref(const struct kg_object *obj);
struct kg_value kg_make_owner_ref(struct kg_arena *a, const struct kg_object *owner);
/* The owner that it names, where that is there with the uid that it names; NULL. */
const struct kg_object *kg_owner(const struct kg_snapshot *s, const struct kg_object *obj);
/* It is; or there is no reference, or none that counts. */
bool kg_owner_exists(const struct kg_snapshot *s, const struct kg_object *obj);
/* status with one condition replaced or added. */
struct kg_value kg_with_condition(
	struct kg_arena *a, const struct kg_value *status, struct kg_value cond);

/* Objects collected with a reference each, so that the txn may change meanwhile. */
struct kg_list {
	struct kg_object **v;
	size_t n, cap;
};
void kg_list_add(struct kg_list *l, const struct kg_object *obj);
void kg_list_release(struct kg_list *l);
/* The objects of one kind that the owner controls, in key order. */
void kg_list_owned(struct kg_list *l, const struct kg_snapshot *s, enum kg_kind_id kind,
	const char *owner_uid);
#define KG_AUTOLIST KG_CLEANUP(kg_list_release)

/* ---- track.c, track_node.c, anchor.c: the state follows every change ---- */
void kg_track_change(void *run, const struct kg_object *before, const struct kg_object *after);
void kg_concerns(struct kg_run *r, const struct kg_object *before,
	const struct kg_object *after); /* concerns.c */
void kg_track_build(struct kg_reconcile_state *st, const struct kg_snapshot *s);
void kg_track_clear(struct kg_reconcile_state *st);
/* The anchor of a label pair in a namespace; NULL: no selector starts with it. */
const struct kg_anchor *kg_anchor_at(
	const struct kg_reconcile_state *st, const char *ns, const struct kg_member *pair);
/* Completes the anchors that came up since: before their pods are read. */
void kg_track_fill(struct kg_reconcile_state *st, const struct kg_snapshot *s);
/* Enqueues what rolls when a ConfigMap or Secret of the namespace changes. */
void kg_track_rollers(struct kg_reconcile_state *st, const char *ns);
/* Enqueues the PodDisruptionBudgets that may be about pods of these labels. */
void kg_track_budgets(struct kg_reconcile_state *st, const char *ns, const struct kg_value *labels);
/* Keys of the pods that a budget may be about; NULL: all of its namespace. */
const struct kg_map *kg_track_budget_pods(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, const struct kg_object *pdb);
struct kg_node_info *kg_node_info(struct kg_reconcile_state *st, const char *name);
/* A pod counts on a node, or ceases to: what it asks for, and all that the scheduler counts. */
void kg_track_count(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_node_info *n, const struct kg_object *pod, bool on);

/* ---- ipam.c ---- */
int kg_ip_parse(uint32_t *out, const char *s);
void kg_ip_format(char out[16], uint32_t ip);
int kg_ip_range_parse(struct kg_ip_range *out, const char *cidr);
/* Of the addresses of Services. */
struct kg_ip_range kg_service_range(const struct kg_reconcile_options *o);
static inline bool kg_bit(const uint64_t *map, uint32_t i)
{
	return map[i / 64] >> (i % 64) & 1;
}
void kg_bit_set(uint64_t *map, uint32_t i, bool on);
uint64_t *kg_bits_new(uint32_t n);
/* The first clear bit at or after start in [lo, hi), going round; UINT32_MAX: none. */
uint32_t kg_bit_free(const uint64_t *map, uint32_t lo, uint32_t hi, uint32_t start);
/* Claims or frees what an object holds. Called where changes are followed alone. */
void kg_ipam_service(struct kg_reconcile_state *st, const struct kg_object *svc, bool on);
void kg_ipam_pod(struct kg_node_info *n, uint32_t index, bool on);
void kg_ipam_node(struct kg_reconcile_state *st, const struct kg_object *node, bool on);
/* An address for a new pod on the node, by the pod's uid; false where none is left. */
bool kg_ipam_pod_ip(char out[16], const struct kg_node_info *n, const char *uid);
bool kg_ipam_pod_room(const struct kg_node_info *n);
bool kg_ipam_service_ip(char out[16], struct kg_reconcile_state *st, const char *uid);
int kg_ipam_node_port(struct kg_reconcile_state *st, const char *uid, unsigned index); /* 0: none */
bool kg_ipam_node_cidr(char out[32], struct kg_reconcile_state *st);
/* Counts services' addresses and ports anew. */
void kg_ipam_recount(struct kg_reconcile_state *st, const struct kg_snapshot *s);
/* Whether the addresses and ports that a Service asks for itself are in range and free. */
int kg_ipam_check(struct kg_reconcile_state *st, const char *ns, const char *name,
	const struct kg_value *v, struct kg_error *err);

/* ---- demand.c ---- */
void kg_demand_of(
	struct kg_reconcile_state *st, struct kg_demand *out, const struct kg_object *pod);
void kg_demand_node(struct kg_reconcile_state *st, struct kg_node_info *n);
/* That of KG_RES_CPU and so on; NULL: no more are known. */
const char *kg_resource_name(const struct kg_reconcile_state *st, int resource);

/* ---- pod.c ---- */
/* A pod that failed is looked at for so long before its successor takes its place. */
#define KG_FAILED_PAUSE INT64_C(10000)
/* Its node turned it away (nothing of it ever ran there) a moment ago: whoever replaces it at once
 * may have the next one turned away, too, and so on. Whoever asks is woken when it is over. */
bool kg_pod_waits_failed(struct kg_run *r, const struct kg_object *pod);
static inline const char *kg_pod_node(const struct kg_object *pod)
{
	const char *node = pod->node;
	return node ? node : "";
}
static inline bool kg_pod_active(const struct kg_object *pod) /* nor being deleted */
{
	return !(pod->flags & (KG_OF_TERMINAL | KG_OF_DELETING));
}
struct kg_value kg_pod_new_status(struct kg_arena *a, const struct kg_value *spec);
/* Removes it, or leaves a tombstone where a node must let go of it first. */
void kg_pod_delete(struct kg_run *r, const struct kg_object *pod);
/* As kg_pod_delete, for a pod that is wanted still: one that main defines begins anew when it is
 * gone. */
void kg_pod_evict(
	struct kg_run *r, const struct kg_object *pod, const char *reason, const char *message);
void kg_evict(struct kg_run *r, const struct kg_input_eviction *in); /* evict.c */
void kg_pod_report(struct kg_run *r, const struct kg_input_pod_status *in);
void kg_pod_run(struct kg_run *r, const char *key);

/* ---- the other controllers ---- */
void kg_namespace_system(struct kg_run *r);
void kg_cluster_apply(struct kg_run *r, const struct kg_input_cluster *in);
/* Is the change what such an input made; texts are the object's. */
bool kg_cluster_shown(struct kg_input_cluster *out, const struct kg_change *c);
void kg_namespace_run(struct kg_run *r, const char *key);
void kg_node_register(struct kg_run *r, const struct kg_input_node *in);
bool kg_node_taint_is_ours(const struct kg_value *taint); /* made of its readiness */
/* node_manifest.c */
/* The labels that the node gave itself. */
struct kg_value kg_node_labels(struct kg_arena *a, const struct kg_object *node);
void kg_node_define(struct kg_run *r, const struct kg_input_desired *d, struct kg_doc *base);
void kg_node_undefine(struct kg_run *r, const struct kg_object *node);
/* v, a new value of the node (NULL: a new one), with the labels that it gives itself. */
struct kg_value kg_node_relabel(
	struct kg_run *r, const struct kg_object *node, struct kg_value v, struct kg_value labels);
void kg_node_liveness(struct kg_run *r, const struct kg_input_liveness *in);
void kg_node_run(struct kg_run *r, const char *key);
void kg_garbage_run(struct kg_run *r, const char *key);
void kg_replicaset_run(struct kg_run *r, const char *key);
void kg_replicationcontroller_run(struct kg_run *r, const char *key);
void kg_job_run(struct kg_run *r, const char *key);
void kg_daemonset_run(struct kg_run *r, const char *key);
void kg_statefulset_run(struct kg_run *r, const char *key);
void kg_pdb_run(struct kg_run *r, const char *key);
/* What a PodDisruptionBudget comes to, as the pods and their owners are now. */
struct kg_budget_counts {
	int64_t expected, healthy, desired, allowed;
	const char *fault; /* why it cannot be said how many pods there shall be (arena); or NULL */
};
struct kg_budget_counts kg_pdb_count(struct kg_run *r, const struct kg_object *pdb);
void kg_cronjob_run(struct kg_run *r, const char *key);
/* Asks for the rule of a time zone that a CronJob names: "" is UTC's. False: no such zone. */
bool kg_zone_find(char rule[KG_ZONE_RULE_SIZE], kg_zone_fn *ask, void *ctx, const char *zone);
/* Notes the rule of its time zone in a CronJob that is defined. KG_E_INVALID: no such zone. */
int kg_cronjob_zone(struct kg_run *r, const char *ns, const char *name, struct kg_value *v);
/* A pod that its Job has yet to count is not let go of: marked, it stays until the Job has run,
 * within the same run. False: it is not such a pod. */
bool kg_job_holds(struct kg_run *r, const struct kg_object *pod);
/* It was so marked: nothing of it is left. */
bool kg_job_let_go(const struct kg_object *pod);
/* What the system adds to a Job's manifest: its selector and the labels of its pods. */
struct kg_value kg_job_generate(struct kg_arena *a, const struct kg_value *job);
void kg_deployment_run(struct kg_run *r, const char *key);
void kg_scheduler_run(struct kg_run *r, const char *key);
int kg_service_run(struct kg_run *r, const char *key);
/* mirror.c: the slices of what a manifest of kind Endpoints says; key: its and the Service's. */
void kg_mirror_sync(struct kg_run *r, const char *key);
/* endpointslice.c: the slices of a Service say which pods answer for it. */
void kg_slices_sync(struct kg_run *r, const struct kg_object *svc);
/* The pod may answer for the Service, and changed. */
void kg_slices_mark(struct kg_reconcile_state *st, const char *service, const char *pod);
/* More than its pods changed: everything is looked at once more. */
void kg_slices_forget(struct kg_reconcile_state *st, const char *service);
void kg_slices_forget_all(struct kg_reconcile_state *st);

/* ---- cascade.c ---- */
/* Removes an object that main defines no more, and what it owns as its annotation asks. */
void kg_cascade_undefine(struct kg_run *r, const struct kg_object *obj);
/* One step for an owner that waits for what it owns to go; false: the key is none. */
bool kg_cascade_run(struct kg_run *r, const char *key);
/* Runs an owner again, where it is one that may wait. */
void kg_cascade_enqueue(struct kg_run *r, const struct kg_object *owner);

/* statefulset_claims.c: the set goes, and its claims with it where it says so. */
void kg_stateful_forget_claims(struct kg_run *r, const struct kg_object *set);

/* ---- claim.c, volume.c ---- */
void kg_claim_run(struct kg_run *r, const char *key);
void kg_volume_run(struct kg_run *r, const char *key);
/* A claim or volume that main defines no more: it stays while it is in use. */
void kg_claim_undefine(struct kg_run *r, const struct kg_object *claim);
void kg_volume_undefine(struct kg_run *r, const struct kg_object *pv);
/* A new claim with the default class, where it names none. */
struct kg_value kg_claim_newborn(
	struct kg_arena *a, const struct kg_snapshot *s, struct kg_value claim);
/* Runs the claims of a pod's volumes. */
void kg_claims_of_pod(struct kg_run *r, const struct kg_object *pod);
/* Runs the claims of a pod that just got its node, so that pods placed after it see them bound. */
void kg_claims_follow(struct kg_run *r, const struct kg_object *pod);
/* A node says that the directory of a volume is gone. */
void kg_volume_report(struct kg_run *r, const struct kg_input_pod_status *in);
/* A volume that is free came, changed or went: runs the claims that it concerns. Those that wait
 * for any of its class are enqueued together, by kg_claims_supply. */
void kg_claims_of_volume(struct kg_reconcile_state *st, const struct kg_object *pv);
void kg_claims_supply(struct kg_reconcile_state *st);
void kg_claim_track_volume(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after);
/* The state follows: who uses which claim, which volumes are free for whom. */
void kg_claim_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after);
void kg_volume_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after);
/* Whether the volume is such as the claim asks for, and free for it. */
bool kg_volume_fits(const struct kg_object *pv, const struct kg_object *claim);

/* ---- quota.c ---- */
void kg_quota_track(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after);
void kg_quota_build(
	struct kg_reconcile_state *st, const struct kg_snapshot *s, const struct kg_object *quota);
void kg_quota_clear(struct kg_reconcile_state *st);
void kg_quota_run(struct kg_run *r, const char *key);
/* A pod that is being deleted: a quota counts it until twice its grace has passed, as in
 * Kubernetes, since a node that is lost never lets go of it. */
void kg_quota_see_out(struct kg_run *r, const struct kg_object *pod);
/* Runs the owners again whose pods were refused, and claims of pods' own that were, where the
 * change may have made room. */
void kg_starved_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after);
/* After a key was run: its owner says whether pods were refused. */
void kg_starved_settle(struct kg_run *r);

/* ---- desired.c ---- */
int kg_desired_apply(struct kg_run *r);
/* The object of a manifest comes to be; base is its manifest's value. */
int kg_desired_create(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, struct kg_doc *base, const char *source, unsigned source_index);
/* A Service's manifest with what was allocated to it where the manifest leaves that open. */
struct kg_value kg_service_keep(struct kg_arena *a, const struct kg_object *old, struct kg_value v);
bool kg_namespace_is_system(const char *name);

/* ---- deployment_math.c ---- */
/* maxSurge (rounded up) or maxUnavailable (down) of `replicas`: an int or "25%". */
int64_t kg_int_or_percent(const struct kg_value *v, int64_t total, bool up, int64_t dflt);
/* Both of a Deployment, with Kubernetes' rule that they are never both zero. */
void kg_deployment_bounds(const struct kg_value *spec, int64_t *surge, int64_t *unavailable);

#endif
