/*
 * Between the scheduler's files.
 *
 * What is remembered (struct kg_sched, in kg_reconcile_state, derived from the snapshot alone):
 * every node has a slot; topologies give the domain of a slot; tallies count, by slot, the pods
 * that some selector matches or that carry some affinity term; shapes keep what nodes are to pods
 * that ask for the same, and have them in order. All of it follows every change of nodes and pods
 * (sched_track), so that placing a pod reads neither the other pods nor the other nodes.
 *
 * What is made for a moment: a class (pods alike in every respect) is compiled, and placed by a
 * kg_placing, which has the nodes that have room in buckets: those of a shape's cell, and by
 * themselves those on which something is counted by host. In a bucket all nodes are alike but for
 * what they have left, so a pod costs one look at every bucket, and at the nodes that are the best
 * of the best ones.
 */
#ifndef KG_RECONCILE_SCHEDULER_H
#define KG_RECONCILE_SCHEDULER_H

#include "reconcile/explain.h"
#include "reconcile/internal.h"

#define KG_NO_DOMAIN UINT32_MAX
#define KG_HOSTNAME  "kubernetes.io/hostname"
#define KG_ZONE      "topology.kubernetes.io/zone"

/* ---- scheduler_tally.c: counts by slot; few of the slots have any ---- */
struct kg_tally {
	uint32_t *slot; /* open addressing: slot + 1, 0 is free */
	int32_t *count; /* behind them */
	uint32_t cap, used;
	int64_t total;
};
void kg_tally_add(struct kg_tally *t, uint32_t slot, int32_t n);
void kg_tally_clear(struct kg_tally *t, uint32_t slot);
void kg_tally_release(struct kg_tally *t);
/* Those that are not zero: `for (uint32_t i = 0; kg_tally_next(t, &i, &slot, &n);)`. */
bool kg_tally_next(const struct kg_tally *t, uint32_t *i, uint32_t *slot, int32_t *n);

/* ---- scheduler_peers.c: which pods a term speaks of ---- */

/* Pods by namespace and labels. An affinity term that several pods have is one of these. */
struct kg_peers {
	char *key;          /* canonical */
	struct kg_doc *doc; /* what the rest points into */
	bool alive;         /* pods that are being deleted do not count */
	struct kg_tally by_node;
	uint64_t used; /* the run that asked last */
};
/* Pods that have their namespace and labels in common. */
struct kg_group {
	char *ns;
	struct kg_doc *doc;
	const struct kg_value *labels;
	struct kg_tally all, leaving; /* leaving: those that are being deleted */
	struct kg_peers **subs;       /* who counts them */
	size_t nsubs, subs_cap;
};
struct kg_pair_list {
	void **v;
	size_t n, cap;
};
/* What a pod carries: its own required and preferred terms, as others are met by them. */
enum kg_carried_kind { KG_CARRIED_ANTI, KG_CARRIED_SCORE };
struct kg_carried {
	char *key;
	struct kg_doc *doc;
	enum kg_carried_kind kind;
	int64_t weight; /* of a score: below zero for anti-affinity */
	const char *topology;
	struct kg_tally by_node; /* pods that carry it */
};

struct kg_topology {
	char *key;
	bool host; /* every node is its own domain, which is its slot */
	uint32_t *domain;
	struct kg_map values; /* value -> id + 1 */
	uint32_t ndomains;
};

struct kg_shape;
struct kg_sched {
	struct kg_node_info **nodes; /* by slot; NULL: free */
	uint32_t nslots, cap, *free, nfree, free_cap;
	uint64_t runs;
	/* Slots that changed, oldest first: log[i] is the change number log_first + i. */
	uint32_t *log;
	uint64_t log_first;
	size_t log_n, log_cap;
	struct kg_map topologies, peers, carried, shapes, groups;
	struct kg_map peers_by_pair, groups_by_pair; /* "LABEL\x01VALUE", or "": kg_pair_list */
	size_t groups_swept;
	struct kg_group *last_group; /* that was asked for; NULL */
	struct kg_level *levels;     /* of all pods that have a node */
	size_t nlevels, levels_cap;
	struct kg_map images; /* name -> struct kg_image */
	uint64_t images_version, uses, versions;
};

/* ---- scheduler_track.c: it follows nodes and pods ---- */
void kg_sched_new(struct kg_reconcile_state *st);
void kg_sched_free(struct kg_reconcile_state *st);
/* A node came, or is a new version of itself (old: the one before, or NULL). */
void kg_sched_node(struct kg_reconcile_state *st, struct kg_node_info *n);
void kg_sched_node_gone(struct kg_reconcile_state *st, struct kg_node_info *n);
/* The node's pods are about to be counted from nothing; n->pods is how many were until now. */
void kg_sched_node_recount(struct kg_reconcile_state *st, struct kg_node_info *n);
/* A pod that is not terminal begins (or ceases) to count on its node. */
void kg_sched_pod(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_node_info *n, const struct kg_object *pod, bool on);
/* The node's ports that the pod takes. */
void kg_sched_ports(struct kg_node_info *n, const struct kg_object *pod, bool on);
/* Labels of a namespace changed. */
void kg_sched_namespace(struct kg_reconcile_state *st);
void kg_sched_touch(struct kg_sched *sc, uint32_t slot);
struct kg_topology *kg_topology_get(struct kg_sched *sc, const char *key);

/* ---- terms ---- */
struct kg_term {
	struct kg_peers *peers;
	struct kg_topology *topology;
	int64_t weight;
	bool self; /* the pod itself is one of the peers */
};
/* Peers, counted, of one canonical value {namespaces, namespaceSelector, selector} or several. */
struct kg_peers *kg_peers_get(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_value *terms, size_t n, bool alive);
/* Does one term speak of pods with these labels in this namespace? */
bool kg_peers_match(const struct kg_value *term, const struct kg_snapshot *s, const char *ns,
	const struct kg_value *labels);
bool kg_peers_want(const struct kg_peers *p, const struct kg_snapshot *s, const struct kg_group *g);
/* The canonical value of a PodAffinityTerm of this pod. */
struct kg_value kg_peers_of_term(
	struct kg_arena *a, const struct kg_object *pod, const struct kg_value *term);
struct kg_value kg_peers_of_selector(
	struct kg_arena *a, const char *ns, const struct kg_value *selector);
/* A label selector with matchLabelKeys (and mismatchLabelKeys) made into expressions. */
struct kg_value kg_selector_with_keys(struct kg_arena *a, const struct kg_value *selector,
	const struct kg_value *labels, const struct kg_value *match,
	const struct kg_value *mismatch);
void kg_carried_track(
	struct kg_reconcile_state *st, uint32_t slot, const struct kg_object *pod, bool on);
void kg_peers_age(struct kg_sched *sc); /* forgets those that nobody asked for lately */
void kg_peers_drop(struct kg_sched *sc, bool namespaces_only);

/* ---- scheduler_groups.c ---- */
void kg_groups_track(struct kg_reconcile_state *st, const struct kg_snapshot *s, uint32_t slot,
	const struct kg_object *pod, bool on);
void kg_groups_forget_slot(struct kg_sched *sc, uint32_t slot);
void kg_groups_sweep(struct kg_sched *sc);
void kg_groups_free(struct kg_sched *sc);
void kg_group_subscribe(struct kg_group *g, struct kg_peers *p);
void kg_group_unsubscribe(struct kg_group *g, const struct kg_peers *p);
void kg_pair_key(struct kg_buf *out, const char *label, const char *value);
void kg_pairs_add(struct kg_map *m, const char *pair, void *item);
void kg_pairs_remove(struct kg_map *m, const char *pair, const void *item);

/* ---- scheduler_class.c ---- */
struct kg_profile {
	const char *name;
	bool most_allocated;
};
/* NULL: no such scheduler; its pods are left alone. */
const struct kg_profile *kg_profile_of(const struct kg_object *pod);

struct kg_spread {
	struct kg_topology *topology;
	struct kg_peers *peers;
	int64_t max_skew, min_domains;
	bool hard, self, honor_affinity, ignore_taints;
};

/* Pods that are alike but for their names and times. */
struct kg_pod_class {
	const struct kg_object *pod; /* the first */
	const struct kg_value *spec; /* borrowed from it */
	const char *node_name;       /* the node that the manifest names, or "" */
	const struct kg_profile *profile;
	int64_t priority;
	struct kg_demand demand;
	bool host_network, best_effort;
	struct kg_host_port *ports;
	size_t nports;
	/* Parts of spec, looked up once; &kg_null where absent. */
	const struct kg_value *tolerations, *selector, *required, *preferred;
	bool by_name; /* required affinity names its nodes */
	const char
		*only; /* the one node that it may go to, whatever else is asked; NULL: several */
	struct kg_term *affinity, *anti, *scored;
	size_t naffinity, nanti, nscored;
	struct kg_peers *affine; /* of all required affinity terms together */
	bool affine_self;
	struct kg_spread *spread;
	size_t nspread;
	bool spread_default;       /* by the system's constraints: soft, and labels may lack */
	struct kg_carried **meets; /* terms of other pods that speak of this one */
	size_t nmeets;
	/* Node selectors of the volumes that its claims are bound to, or may be made in. */
	const struct kg_value *volumes;
	size_t nvolumes;
	const char *unclaimed; /* why no node will do, as to its claims; NULL: nothing */
	bool unbound;          /* a claim gets its volume where the first pod goes */
	const char **sole;     /* "NAMESPACE/NAME" of its claims that one pod alone may use */
	size_t nsole;
	uint64_t seed; /* orders nodes that are equal in everything else */
};
bool kg_class_same(const struct kg_object *a, const struct kg_object *b);
/* Memory and borrowed pods: as long as the arena's, and until the next change of pods. */
void kg_class_init(struct kg_pod_class *c, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_object *pod);
/* spec.priority; kg_priority_settle sees to it that every pod that waits has one, if not 0. */
int64_t kg_pod_priority(const struct kg_object *pod);
static inline const char *kg_pod_nominated(const struct kg_object *pod)
{
	return kg_string(kg_get(kg_get(kg_obj(pod), "status"), "nominatedNodeName"), "");
}
/* Does anything but the nodes themselves decide where pods of the class may be? */
static inline bool kg_class_is_free(const struct kg_pod_class *c)
{
	for (size_t i = 0; i < c->nspread; i++)
		if (c->spread[i].hard)
			return false;
	return !c->naffinity && !c->nanti && !c->nmeets && !c->nsole;
}
/* The order in which pods are placed: priority, age, name. */
int kg_queue_cmp(const struct kg_object *a, const struct kg_object *b);
bool kg_pod_gated(const struct kg_object *pod);

/* ---- scheduler_volumes.c ---- */
void kg_class_volumes(struct kg_pod_class *c, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a);
/* How many pods that have a node use its claims that are for one pod (ReadWriteOncePod). */
int64_t kg_class_users(const struct kg_pod_class *c, const struct kg_reconcile_state *st,
	const struct kg_snapshot *s);
/* How many of them the pod uses. */
int64_t kg_class_uses(const struct kg_pod_class *c, const struct kg_object *pod);

/* ---- fit.c: one node, one class ---- */

/* Why a node does not take a pod, in the order in which it is found out. */
enum kg_misfit {
	KG_FIT,
	KG_MISFIT_UNSCHEDULABLE,
	KG_MISFIT_NODE_NAME,
	KG_MISFIT_TAINT,
	KG_MISFIT_AFFINITY,
	KG_MISFIT_NOT_NAMED, /* required affinity names other nodes */
	KG_MISFIT_PORTS,
	KG_MISFIT_RESOURCES, /* pods among them */
	KG_MISFIT_ADDRESS,
	KG_MISFIT_USED,   /* another pod uses a claim that is for one pod: on any node */
	KG_MISFIT_VOLUME, /* a volume of the pod's is elsewhere */
	KG_MISFIT_CLAIM,  /* a claim of the pod's has no volume: on no node */
	KG_MISFIT_SPREAD,
	KG_MISFIT_SPREAD_LABEL,
	KG_MISFIT_POD_AFFINITY,
	KG_MISFIT_POD_ANTI,
	KG_MISFIT_EXISTING_ANTI,
	KG_MISFIT_COUNT
};
const char *kg_misfit_plugin(enum kg_misfit m);
/* Would it be the same if pods were gone from the node? */
bool kg_misfit_is_final(enum kg_misfit m);

/* What does not change while pods are bound. */
enum kg_misfit kg_fit_static(const struct kg_pod_class *c, const struct kg_node_info *n);
bool kg_fit_affinity(const struct kg_pod_class *c, const struct kg_node_info *n);
bool kg_fit_volumes(const struct kg_pod_class *c, const struct kg_node_info *n);
bool kg_fit_taints(const struct kg_pod_class *c, const struct kg_node_info *n);
/* What does: room. */
enum kg_misfit kg_fit_room(const struct kg_pod_class *c, const struct kg_node_info *n);
bool kg_node_selector_matches(const struct kg_value *term, const struct kg_node_info *n);
/* Preferred affinity's weights, and how many PreferNoSchedule taints are not tolerated. */
int64_t kg_fit_preference(const struct kg_pod_class *c, const struct kg_node_info *n);
int64_t kg_fit_soft_taints(const struct kg_pod_class *c, const struct kg_node_info *n);

/* ---- scheduler_score.c: what a node alone is worth, 0 to 100 each ---- */
int64_t kg_score_room(const struct kg_pod_class *c, const struct kg_node_info *n);
int64_t kg_score_balance(const struct kg_pod_class *c, const struct kg_node_info *n);
int64_t kg_score_images(
	const struct kg_sched *sc, const struct kg_pod_class *c, const struct kg_node_info *n);
void kg_images_track(struct kg_sched *sc, const struct kg_object *node, bool on);
void kg_images_free(struct kg_sched *sc);
bool kg_images_known(const struct kg_sched *sc, const struct kg_pod_class *c);

void kg_shapes_free(struct kg_sched *sc);

struct kg_placing; /* placing.h: pods of a class, being placed */

/* ---- scheduler_message.c ---- */
/* The reasons of one node, in Kubernetes' words, in the arena. */
size_t kg_reasons(const char **out, size_t max, struct kg_arena *a, struct kg_placing *p,
	const struct kg_node_info *n, enum kg_misfit m);
/* "0/5 nodes are available: ..."; and with what preemption says (NULL: nothing) behind it. */
const char *kg_message(struct kg_arena *a, struct kg_placing *p);
const char *kg_message_with(struct kg_arena *a, const char *message, const char *preemption);
/* Reasons counted, and the sentence they make. */
void kg_histogram_add(struct kg_map *counts, const char *reason);
const char *kg_histogram(struct kg_arena *a, size_t nodes, const struct kg_map *counts);

/* ---- scheduler_bind.c ---- */
/* False where the node has no address left. Claims that waited for the pod are bound there at once;
 * then the class is to be made anew, as its volumes are no longer what they were. */
bool kg_bind(struct kg_run *r, const struct kg_object *pod, const struct kg_pod_class *c,
	const struct kg_node_info *n);
/* The condition PodScheduled; nominated: NULL leaves it as it is, "" removes it. */
void kg_say_waiting(struct kg_run *r, const struct kg_object *pod, const char *reason,
	const char *message, const char *nominated);

/* ---- scheduler_priority.c ---- */
/* spec.priority and spec.preemptionPolicy of a pod that waits, by its PriorityClass. */
void kg_priority_settle(struct kg_run *r, struct kg_list *waiting);

#endif
