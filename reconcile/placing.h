/* Between the scheduler's files that place pods: what is kept of nodes in order to find the best,
 * and pods of one class being placed. */
#ifndef KG_RECONCILE_PLACING_H
#define KG_RECONCILE_PLACING_H

#include "reconcile/scheduler.h"

/* ---- scheduler_table.c: things by a few numbers; nothing is taken out ---- */
struct kg_keyed { /* a thing's first member */
	const int32_t *key;
	uint64_t hash;
};
struct kg_table {
	unsigned nkeys;
	struct kg_keyed **v, *last; /* open addressing: cap places, NULL is free */
	uint32_t n, cap;
};
struct kg_keyed *kg_table_get(struct kg_table *t, const int32_t *key); /* NULL: none */
/* x->key is set, and of no other thing; both are the caller's. */
void kg_table_add(struct kg_table *t, struct kg_keyed *x);
void kg_table_release(struct kg_table *t);

/* ---- scheduler_shape.c ---- */
struct kg_shape_node {
	uint64_t hash;       /* of the node's name */
	uint64_t seen_fixed; /* the node's version that the verdict and scores below are of */
	int32_t preference, soft;
	uint8_t fixed, room;            /* enum kg_misfit */
	bool affinity, taints, volumes; /* that these alone would do */
	uint8_t balance, left, images;
	uint16_t order; /* by pods: the greater is the better of those that are worth the same */
	int32_t local;  /* worth: room, balance and images, times their weights */
};
static inline bool kg_shape_fits(const struct kg_shape_node *x)
{
	return x->fixed == KG_FIT && x->room == KG_FIT && x->volumes;
}
/* Where cells have a node. */
struct kg_filed {
	struct kg_cell *cell; /* NULL: nowhere */
	uint64_t version;     /* of the node when the cell was found */
	int32_t local;        /* the rung's; below 0: on none, as it does not fit */
	uint32_t at;          /* in the rung */
};
struct kg_shape {
	struct kg_topology **axes; /* whose domains part the nodes */
	unsigned naxes;
	struct kg_shape_node *nodes; /* by slot */
	struct kg_filed *filed;      /* the same, as of kg_shape_get */
	uint32_t cap;
	struct kg_cell **cells;
	uint32_t ncells, cells_cap, dead; /* dead: without nodes */
	struct kg_table cells_by_key;
	int32_t *key; /* scratch: a cell's */
	bool images;  /* some node has an image of the pod's */
	uint64_t seen, images_seen, used;
};
/* Up to date; valid until the next call. */
struct kg_shape *kg_shape_get(struct kg_sched *sc, const struct kg_pod_class *c,
	struct kg_topology *const *axes, unsigned naxes);
/* The node changed: its verdicts and scores follow at once, cells when kg_shape_get is called. */
void kg_shape_update(
	struct kg_shape *sh, struct kg_sched *sc, const struct kg_pod_class *c, uint32_t slot);

/* ---- scheduler_cells.c: nodes that are to a shape's pods alike but for what they have left ----
 */
struct kg_entry {
	uint64_t hash; /* of the node's name */
	uint32_t slot;
	uint16_t order;
};
/* Those that are worth the same. */
struct kg_rung {
	struct kg_entry *v;
	uint32_t n, cap;
	int32_t local;
};
struct kg_cell {
	struct kg_keyed keyed;
	int32_t preference, soft;
	bool affinity, taints;
	uint32_t place;        /* in the shape's list */
	uint32_t nodes, fit;   /* how many are in it; how many of them have room */
	struct kg_rung *rungs; /* of those that fit: the best last, none empty */
	uint32_t nrungs, rungs_cap;
	int32_t domain[]; /* by axis; -1: the label lacks; of the host's topology else 0 */
};
void kg_cells_file(struct kg_shape *sh, const struct kg_sched *sc, uint32_t slot);
void kg_cells_clear(struct kg_shape *sh);

/* ---- what counts of other pods ---- */

/* Pods that are there, counted by the domains of a topology. By the host's topology every node is
 * a domain: what is counted there lies in kg_here, and most nodes have none. */
enum kg_role {
	KG_ROLE_AFFINITY, /* those that the class seeks... */
	KG_ROLE_ANTI,     /* ...those that it avoids... */
	KG_ROLE_EXISTING, /* ...and those that avoid it */
	KG_ROLE_SCORE,    /* by weights: that are liked, or not */
	KG_ROLE_SPREAD,   /* that it is spread among: one counter a constraint */
};
struct kg_counter {
	enum kg_role role;
	struct kg_topology *topology;
	unsigned axis;  /* of the cells */
	int64_t *count; /* by domain; by host: NULL... */
	unsigned at;    /* ...and this is its place in kg_here */
};
/* What counts on one node as a domain of its own. */
struct kg_here {
	struct kg_keyed keyed;
	int32_t slot;
	int64_t count[];
};
struct kg_spreading {
	const struct kg_spread *c;
	struct kg_counter *x;
	uint8_t *eligible;   /* hard, not by host: whether the domain has a node that counts */
	int64_t domains;     /* hard: how many have */
	uint32_t *histogram; /* hard, by host: how many eligible nodes have so many pods */
	int64_t histogram_n;
	int64_t least, weight; /* as of the last look */
};
/* All that ranking looks at beyond the node itself. */
struct kg_spot {
	const struct kg_cell *cell;
	const int32_t *here; /* counts by host, as far as they matter */
};
/* ---- scheduler_bucket.c: nodes that differ only by what they have left ---- */
struct kg_candidate {
	uint64_t tie;
	uint32_t slot;
	int32_t local; /* room, balance and images */
};
struct kg_bucket {
	struct kg_keyed keyed;
	struct kg_spot spot;
	/* Candidates: of the cell's rungs those below `rung`, without nodes that are taken, and
	 * those of a heap. */
	uint32_t rung, rest; /* rest: how many candidates are on the rungs */
	struct kg_candidate *v;
	uint32_t n, cap;
	struct kg_candidate best; /* where known */
	bool known, gave;         /* gave: a candidate of the rungs was best, and went */
	uint32_t place;           /* in the list of those that are not empty */
	/* As of the last look. */
	enum kg_misfit verdict;
	bool ignored; /* by soft spreading: a label lacks */
	int64_t spread, affinity, total;
};
static inline uint32_t kg_bucket_size(const struct kg_bucket *b)
{
	return b->n + b->rest;
}
/* Which is the better one: by their local worth, then by their ties. */
bool kg_candidate_better(const struct kg_candidate *a, const struct kg_candidate *b);
uint64_t kg_candidate_tie(const struct kg_placing *p, uint64_t hash, uint16_t order);
void kg_bucket_push(struct kg_bucket *b, const struct kg_candidate *x);
/* The best candidate, of a bucket that is not empty; no other one's local worth is above promise,
 * which is to be had without a look at them. */
const struct kg_candidate *kg_bucket_best(const struct kg_placing *p, struct kg_bucket *b);
int32_t kg_bucket_promise(const struct kg_bucket *b);
/* Takes that best one out: its slot. */
uint32_t kg_bucket_pop(struct kg_placing *p, struct kg_bucket *b);
/* Takes this one out; false: it is no candidate. */
bool kg_bucket_pick(struct kg_placing *p, struct kg_bucket *b, uint32_t slot);
/* All candidates into the heap: for who wants to see them. */
void kg_bucket_draw(const struct kg_placing *p, struct kg_bucket *b);

/* ---- scheduler_place.c ---- */
/* What scores are normalised by, over the nodes that fit. */
struct kg_rank {
	uint32_t fit; /* how many do */
	int64_t preference, soft, spread_min, spread_max, affinity_min, affinity_max;
};
struct kg_placing {
	struct kg_reconcile_state *st;
	const struct kg_snapshot *s;
	struct kg_arena *a;
	const struct kg_pod_class *c;
	struct kg_shape *shape;
	struct kg_topology **axes;
	unsigned naxes;
	struct kg_counter *counters;
	unsigned ncounters, nhere; /* nhere: how many of them are by host */
	struct kg_table here;      /* of kg_here, by slot */
	struct kg_spreading *spread;
	int64_t users;  /* of claims of the class's that are for one pod */
	int64_t affine; /* how often pods that required affinity asks for were counted */
	int32_t *key;   /* scratch: a bucket's */
	struct kg_bucket **buckets; /* not empty */
	uint32_t nbuckets, buckets_cap;
	struct kg_table buckets_by_key;
	uint64_t *taken; /* bits by slot: no candidate of the rungs any more */
	uint64_t salt;   /* orders nodes that are equal in everything else */
	int32_t weight[KG_SCORE_COUNT];
	uint32_t *stamp, stamp_now; /* by domain: for counting distinct ones */
	struct kg_rank rank;
};
/* Everything lies in the arena but for what release frees. */
void kg_placing_init(struct kg_placing *p, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_pod_class *c);
void kg_placing_release(struct kg_placing *p);
/* The best node, which is no candidate until kg_placing_bound; NULL: none fits. */
struct kg_node_info *kg_placing_take(struct kg_placing *p);
/* That very node, where it fits. */
struct kg_node_info *kg_placing_take_node(struct kg_placing *p, struct kg_node_info *n);
/* A pod of the class was bound to the node that was taken, and the state has followed. */
void kg_placing_bound(struct kg_placing *p, struct kg_node_info *n);
/* Why a node does not fit, as of now. */
enum kg_misfit kg_placing_verdict(struct kg_placing *p, const struct kg_node_info *n);
/* Valid until the next call. */
struct kg_spot kg_placing_spot(struct kg_placing *p, uint32_t slot);

/* ---- scheduler_count.c: pods of other classes, by the domains of this one ---- */
/* The counters, with nothing counted; and the axes of what they count by. */
void kg_placing_declare(struct kg_placing *p);
void kg_placing_count(struct kg_placing *p);
/* A pod on the slot's node is thought away (-1), or back (1): for verdicts, not for scores. */
void kg_placing_adjust(
	struct kg_placing *p, uint32_t slot, const struct kg_object *pod, int32_t sign);
/* One more pod of the class itself. */
void kg_placing_count_own(struct kg_placing *p, uint32_t slot);

/* ---- scheduler_rank.c ---- */
enum kg_misfit kg_rank_verdict(const struct kg_placing *p, const struct kg_spot *spot);
/* After counts changed: the least that hard spreading compares with. */
void kg_rank_refresh(struct kg_placing *p);
/* Judges every bucket that is not empty. */
void kg_rank_buckets(struct kg_placing *p);
/* Normalised scores of a node of this bucket. */
void kg_rank_scores(int64_t out[KG_SCORE_COUNT], const struct kg_placing *p,
	const struct kg_bucket *b, const struct kg_node_info *n);

#endif
