/*
 * Pods of one class, one after the other, each to the best node of that moment.
 *
 * Nodes that have room lie in buckets. A bucket's key holds all that ranking looks at beyond the
 * node itself: its domains, what it counts as its own domain, and the raw scores that are
 * normalised. So the nodes of a bucket differ only by what they have left, the best of each is
 * known, and a pod costs a look at every bucket. A binding changes counts by domain, which are
 * read through the key, and moves one node to another bucket.
 *
 * Nodes that are equal in their totals: the one with fewer pods (where pods are to be packed, with
 * more), then by a hash of owner and node.
 */
#include "reconcile/scheduler.h"

#include <string.h>

/* ---- candidates in their order ---- */

/* Equal ties are of two names with one hash: the slot decides, which nobody will ever see. */
static bool better(const struct kg_candidate *a, const struct kg_candidate *b)
{
	if (a->local != b->local)
		return a->local > b->local;
	return a->tie != b->tie ? a->tie > b->tie : a->slot < b->slot;
}

static void sift_down(struct kg_bucket *b, uint32_t i)
{
	for (;;) {
		uint32_t best = i;
		for (uint32_t c = 2 * i + 1; c <= 2 * i + 2 && c < b->n; c++)
			if (better(&b->v[c], &b->v[best]))
				best = c;
		if (best == i)
			return;
		struct kg_candidate t = b->v[i];
		b->v[i] = b->v[best];
		b->v[best] = t;
		i = best;
	}
}

static void sift_up(struct kg_bucket *b, uint32_t i)
{
	while (i && better(&b->v[i], &b->v[(i - 1) / 2])) {
		struct kg_candidate t = b->v[i];
		b->v[i] = b->v[(i - 1) / 2];
		b->v[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

/* Only a bucket that gives away a second node becomes a heap. */
static const struct kg_candidate *top(struct kg_bucket *b)
{
	if (!b->heap && b->best == UINT32_MAX) {
		for (uint32_t i = b->n / 2; i-- > 0;)
			sift_down(b, i);
		b->heap = true;
	}
	return &b->v[b->heap ? 0 : b->best];
}

static void push(struct kg_bucket *b, const struct kg_candidate *x)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? 2 * b->cap : 16;
		b->v = kg_realloc(b->v, b->cap * sizeof(*b->v));
	}
	b->v[b->n] = *x;
	if (b->heap)
		sift_up(b, b->n);
	else if (b->n == 0 || (b->best != UINT32_MAX && better(x, &b->v[b->best])))
		b->best = b->n;
	b->n++;
}

static struct kg_candidate pop(struct kg_bucket *b)
{
	uint32_t i = b->heap ? 0 : b->best;
	struct kg_candidate x = b->v[i];
	b->v[i] = b->v[--b->n];
	if (b->heap)
		sift_down(b, 0);
	else
		b->best = UINT32_MAX;
	return x;
}

/* ---- buckets by key ---- */

static uint64_t hash_key(const struct kg_placing *p, const int32_t *key)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned i = 0; i < p->nkeys; i++)
		h = (h ^ (uint32_t)key[i]) * UINT64_C(0xd6e8feb86659fd93) + (h >> 32);
	return h ^ h >> 29;
}

static void table_put(struct kg_placing *p, struct kg_bucket *b)
{
	uint32_t mask = p->table_cap - 1, i = (uint32_t)b->hash & mask;
	while (p->table[i])
		i = (i + 1) & mask;
	p->table[i] = b;
}

static void table_grow(struct kg_placing *p)
{
	struct kg_bucket **old = p->table;
	uint32_t n = p->table_cap;
	p->table_cap = n ? 4 * n : 64;
	p->table = kg_alloc(p->table_cap * sizeof(struct kg_bucket *));
	for (uint32_t i = 0; i < n; i++)
		if (old[i])
			table_put(p, old[i]);
	free(old);
}

/* A few numbers, the first of which mostly differ: less than a call of memcmp. */
static inline bool same_key(const int32_t *a, const int32_t *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

static struct kg_bucket *bucket_of(struct kg_placing *p, const int32_t *key)
{
	size_t size = p->nkeys * sizeof(*key);
	if (p->last && same_key(p->last->key, key, p->nkeys))
		return p->last;
	uint64_t h = hash_key(p, key);
	uint32_t mask = p->table_cap - 1;
	for (uint32_t i = (uint32_t)h & mask; p->table_cap && p->table[i]; i = (i + 1) & mask)
		if (p->table[i]->hash == h && same_key(p->table[i]->key, key, p->nkeys))
			return p->last = p->table[i];
	if (2 * (p->table_n + 1) > p->table_cap)
		table_grow(p);
	struct kg_bucket *b = kg_arena_alloc(p->a, sizeof(*b));
	int32_t *k = kg_arena_alloc(p->a, size);
	memcpy(k, key, size);
	b->key = k;
	b->hash = h;
	table_put(p, b);
	p->table_n++;
	return p->last = b;
}

static void insert(struct kg_placing *p, const struct kg_candidate *x)
{
	kg_placing_key(p, p->key, x->slot);
	struct kg_bucket *b = bucket_of(p, p->key);
	if (b->n == 0) {
		b->heap = false;
		b->place = p->nbuckets;
		size_t cap = p->buckets_cap;
		KG_GROW(p->buckets, cap, p->nbuckets + 1);
		p->buckets_cap = (uint32_t)cap;
		p->buckets[p->nbuckets++] = b;
	}
	push(b, x);
}

/* ---- keys ---- */

static int32_t narrow(int64_t v)
{
	return v > INT32_MAX ? INT32_MAX : v < INT32_MIN ? INT32_MIN : (int32_t)v;
}

static void host_key(const struct kg_axis *x, int32_t *key, uint32_t slot)
{
	bool here = x->topology->domain[slot] != KG_NO_DOMAIN;
	key[KG_HOST_PRESENT] = here;
	key[KG_HOST_ANTI] = here && x->anti && x->anti[slot] > 0;
	key[KG_HOST_EXISTING] = here && x->existing && x->existing[slot] > 0;
	key[KG_HOST_AFFINITY] = here && x->affinity && x->affinity[slot] > 0;
	key[KG_HOST_SCORE] = here && x->score ? narrow(x->score[slot]) : 0;
}

void kg_placing_key(struct kg_placing *p, int32_t *key, uint32_t slot)
{
	const struct kg_shape_node *x = &p->shape->nodes[slot];
	for (unsigned i = 0; i < p->naxes; i++) {
		const struct kg_axis *axis = &p->axes[i];
		uint32_t d = axis->topology->domain[slot];
		if (axis->topology->host)
			host_key(axis, key + axis->at, slot);
		else
			key[axis->at] = d == KG_NO_DOMAIN ? -1 : (int32_t)d;
	}
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->spread[i].axis->topology->host)
			key[p->spread[i].at] = p->spread[i].count[slot];
	key[p->preference_at] = x->preference;
	key[p->soft_at] = x->soft;
}

static void lay_out_keys(struct kg_placing *p)
{
	uint32_t most = 0;
	for (unsigned i = 0; i < p->naxes; i++) {
		struct kg_axis *x = &p->axes[i];
		x->at = p->nkeys;
		p->nkeys += x->topology->host ? KG_HOST_KEYS : 1;
		if (!x->topology->host && x->topology->ndomains > most)
			most = x->topology->ndomains;
	}
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->spread[i].axis->topology->host)
			p->spread[i].at = p->nkeys++;
	p->preference_at = p->nkeys++;
	p->soft_at = p->nkeys++;
	p->key = kg_arena_alloc(p->a, p->nkeys * sizeof(*p->key));
	p->stamp = kg_arena_alloc(p->a, (most + 1) * sizeof(*p->stamp));
}

/* ---- placing ---- */

static uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a ^ (b * UINT64_C(0x9e3779b97f4a7c15));
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static void consider(struct kg_placing *p, uint32_t slot)
{
	const struct kg_shape_node *x = &p->shape->nodes[slot];
	if (x->fixed != KG_FIT || x->room != KG_FIT || !x->volumes || p->c->unclaimed)
		return;
	uint64_t pods = x->pods & 0xffff;
	if (!p->c->profile->most_allocated)
		pods = 0xffff - pods;
	struct kg_candidate cand = {.slot = slot,
		.local = x->left * p->weight[KG_SCORE_RESOURCES] +
			 x->balance * p->weight[KG_SCORE_BALANCE] +
			 x->images * p->weight[KG_SCORE_IMAGES],
		.tie = pods << 48 | mix(x->hash, p->c->seed) >> 16};
	insert(p, &cand);
}

void kg_placing_init(struct kg_placing *p, struct kg_reconcile_state *st,
	const struct kg_snapshot *s, struct kg_arena *a, const struct kg_pod_class *c)
{
	struct kg_sched *sc = st->sched;
	*p = (struct kg_placing){.st = st, .s = s, .a = a, .c = c, .shape = kg_shape_get(sc, c)};
	for (int k = 0; k < KG_SCORE_COUNT; k++)
		p->weight[k] = kg_score_weight(k);
	kg_placing_count(p);
	lay_out_keys(p);
	for (uint32_t i = 0; i < sc->nslots; i++)
		consider(p, i);
	kg_rank_refresh(p);
}

void kg_placing_release(struct kg_placing *p)
{
	for (uint32_t i = 0; i < p->table_cap; i++)
		if (p->table[i])
			free(p->table[i]->v);
	free(p->table);
	free(p->buckets);
}

/* The bucket is empty. */
static void retire(struct kg_placing *p, struct kg_bucket *b)
{
	p->buckets[b->place] = p->buckets[--p->nbuckets];
	p->buckets[b->place]->place = b->place;
}

struct kg_node_info *kg_placing_take(struct kg_placing *p)
{
	struct kg_bucket *best = NULL;
	struct kg_candidate of_best = {0};
	kg_rank_buckets(p);
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		if (b->verdict != KG_FIT)
			continue;
		struct kg_candidate x = *top(b);
		x.local += (int32_t)b->total;
		if (!best || better(&x, &of_best)) {
			best = b;
			of_best = x;
		}
	}
	if (!best)
		return NULL;
	struct kg_node_info *n = p->st->sched->nodes[pop(best).slot];
	if (best->n == 0)
		retire(p, best);
	return n;
}

struct kg_node_info *kg_placing_take_node(struct kg_placing *p, struct kg_node_info *n)
{
	if (kg_placing_verdict(p, n) != KG_FIT)
		return NULL;
	struct kg_bucket *b = bucket_of(p, p->key);
	uint32_t i = 0;
	while (i < b->n && b->v[i].slot != n->slot)
		i++;
	if (i == b->n)
		return NULL;
	b->v[i] = b->v[--b->n];
	b->heap = false;
	b->best = UINT32_MAX;
	if (b->n == 0)
		retire(p, b);
	return n;
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
	if (!x->volumes)
		return KG_MISFIT_VOLUME;
	kg_placing_key(p, p->key, n->slot);
	return kg_rank_verdict(p, p->key);
}
