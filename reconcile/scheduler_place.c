/*
 * Pods of one class, one after the other, each to the best node of that moment.
 *
 * Nodes that have room lie in buckets. In a bucket is alike all that ranking looks at beyond the
 * node itself: its cell, and what counts on it as a domain of its own. So the nodes of a bucket
 * differ only by what they have left, the best of each is known, and a pod costs a look at every
 * bucket. A binding changes counts by domain, which are read through the bucket, and moves one
 * node to another bucket.
 */
#include "reconcile/placing.h"

#include <string.h>

/* ---- buckets ---- */

/* In the list are those that have candidates. */
static void settle(struct kg_placing *p, struct kg_bucket *b)
{
	bool has = kg_bucket_size(b) > 0;
	if (has == (b->place != 0))
		return;
	if (!has) {
		p->buckets[b->place - 1] = p->buckets[--p->nbuckets];
		p->buckets[b->place - 1]->place = b->place;
		b->place = 0;
		return;
	}
	size_t cap = p->buckets_cap;
	KG_GROW(p->buckets, cap, p->nbuckets + 1);
	p->buckets_cap = (uint32_t)cap;
	p->buckets[p->nbuckets++] = b;
	b->place = p->nbuckets;
}

/* By the key that kg_placing_spot left. */
static struct kg_bucket *bucket_of(struct kg_placing *p)
{
	struct kg_bucket *b = (struct kg_bucket *)kg_table_get(&p->buckets_by_key, p->key);
	if (b)
		return b;
	int32_t *key = kg_arena_alloc(p->a, p->buckets_by_key.nkeys * sizeof(*key));
	memcpy(key, p->key, p->buckets_by_key.nkeys * sizeof(*key));
	b = kg_arena_alloc(p->a, sizeof(*b));
	b->keyed.key = key;
	b->spot = (struct kg_spot){p->shape->cells[key[0]], key + 1};
	kg_table_add(&p->buckets_by_key, &b->keyed);
	return b;
}

static int32_t narrow(int64_t v)
{
	return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

/* Of no node of the cell anything counts. */
static struct kg_spot spot_in(struct kg_placing *p, const struct kg_cell *cell)
{
	memset(p->key, 0, p->buckets_by_key.nkeys * sizeof(*p->key));
	p->key[0] = (int32_t)cell->place;
	return (struct kg_spot){cell, p->key + 1};
}

struct kg_spot kg_placing_spot(struct kg_placing *p, uint32_t slot)
{
	int32_t id = (int32_t)slot;
	struct kg_spot spot = spot_in(p, p->shape->filed[slot].cell);
	const struct kg_here *h = (struct kg_here *)kg_table_get(&p->here, &id);
	for (unsigned i = 0; h && i < p->ncounters; i++) {
		const struct kg_counter *x = &p->counters[i];
		if (!x->topology->host)
			continue;
		int64_t n = h->count[x->at];
		bool exact = x->role == KG_ROLE_SCORE || x->role == KG_ROLE_SPREAD;
		p->key[1 + x->at] = exact ? narrow(n) : n > 0;
	}
	return spot;
}

/* ---- placing ---- */

static void consider(struct kg_placing *p, uint32_t slot)
{
	const struct kg_shape_node *x = &p->shape->nodes[slot];
	if (!kg_shape_fits(x))
		return;
	struct kg_candidate cand = {
		.tie = kg_candidate_tie(p, x->hash, x->order), .slot = slot, .local = x->local};
	kg_placing_spot(p, slot);
	struct kg_bucket *b = bucket_of(p);
	kg_bucket_push(b, &cand);
	settle(p, b);
}

/* Something counts of the node: it is no candidate of its cell's rungs. */
static void set_apart(struct kg_placing *p, uint32_t slot)
{
	const struct kg_filed *f = &p->shape->filed[slot];
	if (!f->cell || f->local < 0)
		return;
	spot_in(p, f->cell);
	struct kg_bucket *b = bucket_of(p);
	kg_bit_set(p->taken, slot, true);
	b->rest--;
	settle(p, b);
	consider(p, slot);
}

static void fill_buckets(struct kg_placing *p)
{
	for (uint32_t i = 0; i < p->shape->ncells; i++) {
		const struct kg_cell *cell = p->shape->cells[i];
		if (!cell->fit)
			continue;
		spot_in(p, cell);
		struct kg_bucket *b = bucket_of(p);
		b->rung = cell->nrungs;
		b->rest = cell->fit;
		settle(p, b);
	}
	for (uint32_t i = 0; i < p->here.cap; i++)
		if (p->here.v[i])
			set_apart(p, (uint32_t)((struct kg_here *)p->here.v[i])->slot);
}

static void make_scratch(struct kg_placing *p)
{
	uint32_t most = 0;
	for (unsigned i = 0; i < p->naxes; i++)
		if (p->axes[i]->ndomains > most)
			most = p->axes[i]->ndomains;
	p->buckets_by_key.nkeys = 1 + p->nhere;
	p->here.nkeys = 1;
	p->key = kg_arena_alloc(p->a, p->buckets_by_key.nkeys * sizeof(*p->key));
	p->stamp = kg_arena_alloc(p->a, (most + 1) * sizeof(*p->stamp));
	p->taken = kg_arena_alloc(p->a, (p->st->sched->nslots / 64 + 1) * sizeof(*p->taken));
}

void kg_placing_init(struct kg_placing *p, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_pod_class *c)
{
	*p = (struct kg_placing){
		.st = st, .s = s, .a = a, .c = c, .salt = c->seed * UINT64_C(0x9e3779b97f4a7c15)};
	for (int k = 0; k < KG_SCORE_COUNT; k++)
		p->weight[k] = kg_score_weight(k);
	kg_placing_declare(p);
	p->shape = kg_shape_get(st->sched, c, p->axes, p->naxes);
	make_scratch(p);
	kg_placing_count(p);
	p->users = kg_class_users(c, st, s);
	if (!c->unclaimed && !p->users)
		fill_buckets(p);
	kg_rank_refresh(p);
}

void kg_placing_release(struct kg_placing *p)
{
	for (uint32_t i = 0; i < p->buckets_by_key.cap; i++)
		if (p->buckets_by_key.v[i])
			free(((struct kg_bucket *)p->buckets_by_key.v[i])->v);
	kg_table_release(&p->buckets_by_key);
	kg_table_release(&p->here);
	free(p->buckets);
}

/* What any of its candidates comes to at most. */
static int64_t promise_of(const struct kg_bucket *b)
{
	return b->total + kg_bucket_promise(b);
}

static struct kg_candidate candidate_of(const struct kg_placing *p, struct kg_bucket *b)
{
	struct kg_candidate x = *kg_bucket_best(p, b);
	x.local += (int32_t)b->total;
	return x;
}

static struct kg_bucket *most_promising(const struct kg_placing *p)
{
	struct kg_bucket *most = NULL;
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		if (b->verdict == KG_FIT && (!most || promise_of(b) > promise_of(most)))
			most = b;
	}
	return most;
}

struct kg_node_info *kg_placing_take(struct kg_placing *p)
{
	if (p->users)
		return NULL;
	kg_rank_buckets(p);
	struct kg_bucket *best = most_promising(p);
	if (!best)
		return NULL;
	struct kg_candidate of_best = candidate_of(p, best);
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		if (b->verdict != KG_FIT || promise_of(b) < of_best.local)
			continue;
		struct kg_candidate x = candidate_of(p, b);
		if (kg_candidate_better(&x, &of_best)) {
			best = b;
			of_best = x;
		}
	}
	struct kg_node_info *n = p->st->sched->nodes[kg_bucket_pop(p, best)];
	settle(p, best);
	return n;
}

struct kg_node_info *kg_placing_take_node(struct kg_placing *p, struct kg_node_info *n)
{
	if (kg_placing_verdict(p, n) != KG_FIT)
		return NULL;
	struct kg_bucket *b = bucket_of(p);
	bool taken = kg_bucket_pick(p, b, n->slot);
	settle(p, b);
	return taken ? n : NULL;
}

void kg_placing_bound(struct kg_placing *p, struct kg_node_info *n)
{
	kg_shape_update(p->shape, p->st->sched, p->c, n->slot);
	kg_placing_count_own(p, n->slot);
	consider(p, n->slot);
}

enum kg_misfit kg_placing_verdict(struct kg_placing *p, const struct kg_node_info *n)
{
	const struct kg_shape_node *x = &p->shape->nodes[n->slot];
	if (p->c->unclaimed)
		return KG_MISFIT_CLAIM;
	if (x->fixed != KG_FIT || x->room != KG_FIT)
		return x->fixed != KG_FIT ? x->fixed : x->room;
	if (p->users)
		return KG_MISFIT_USED;
	if (!x->volumes)
		return KG_MISFIT_VOLUME;
	struct kg_spot spot = kg_placing_spot(p, n->slot);
	return kg_rank_verdict(p, &spot);
}
