/* Things by a few numbers. */
#include "reconcile/placing.h"

#include <stdlib.h>

static uint64_t hash_of(const struct kg_table *t, const int32_t *key)
{
	uint64_t h = UINT64_C(0x9e3779b97f4a7c15);
	for (unsigned i = 0; i < t->nkeys; i++)
		h = (h ^ (uint32_t)key[i]) * UINT64_C(0xd6e8feb86659fd93) + (h >> 32);
	return h ^ h >> 29;
}

/* A few numbers, the first of which mostly differ: less than a call of memcmp. */
static inline bool same(const struct kg_table *t, const int32_t *a, const int32_t *b)
{
	for (unsigned i = 0; i < t->nkeys; i++)
		if (a[i] != b[i])
			return false;
	return true;
}

struct kg_keyed *kg_table_get(struct kg_table *t, const int32_t *key)
{
	if (t->last && same(t, t->last->key, key))
		return t->last;
	uint64_t h = hash_of(t, key);
	uint32_t mask = t->cap - 1;
	for (uint32_t i = (uint32_t)h & mask; t->cap && t->v[i]; i = (i + 1) & mask)
		if (t->v[i]->hash == h && same(t, t->v[i]->key, key))
			return t->last = t->v[i];
	return NULL;
}

static void put(struct kg_table *t, struct kg_keyed *x)
{
	uint32_t mask = t->cap - 1, i = (uint32_t)x->hash & mask;
	while (t->v[i])
		i = (i + 1) & mask;
	t->v[i] = x;
}

static void grow(struct kg_table *t)
{
	struct kg_keyed **old = t->v;
	uint32_t n = t->cap;
	t->cap = n ? 4 * n : 64;
	t->v = kg_alloc(t->cap * sizeof(struct kg_keyed *));
	for (uint32_t i = 0; i < n; i++)
		if (old[i])
			put(t, old[i]);
	free(old);
}

void kg_table_add(struct kg_table *t, struct kg_keyed *x)
{
	if (2 * (t->n + 1) > t->cap)
		grow(t);
	x->hash = hash_of(t, x->key);
	put(t, x);
	t->n++;
	t->last = x;
}

void kg_table_release(struct kg_table *t)
{
	free(t->v);
	*t = (struct kg_table){.nkeys = t->nkeys};
}
