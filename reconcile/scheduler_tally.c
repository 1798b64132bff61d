/* Counts by slot: open addressing; what falls to zero is kept until the table grows. */
#include "reconcile/scheduler.h"

#include "base/slab.h"

#include <string.h>

static uint32_t find(const struct kg_tally *t, uint32_t slot)
{
	uint32_t mask = t->cap - 1, i = slot * UINT32_C(2654435761) >> 7 & mask;
	while (t->slot[i] && t->slot[i] != slot + 1)
		i = (i + 1) & mask;
	return i;
}

/* Both are in one block. */
static size_t size_of(uint32_t cap)
{
	struct kg_tally *t;
	return cap * (sizeof(*t->slot) + sizeof(*t->count));
}

static void grow(struct kg_tally *t)
{
	struct kg_tally old = *t;
	uint32_t live = 0;
	for (uint32_t i = 0; i < old.cap; i++)
		live += old.slot[i] && old.count[i];
	t->cap = 8;
	while (t->cap < 2 * live + 2)
		t->cap *= 2;
	t->slot = kg_slab_zeroed(KG_SLAB_STATE, size_of(t->cap));
	t->count = (int32_t *)(t->slot + t->cap);
	t->used = 0;
	for (uint32_t i = 0; i < old.cap; i++) {
		if (!old.slot[i] || !old.count[i])
			continue;
		uint32_t k = find(t, old.slot[i] - 1);
		t->slot[k] = old.slot[i];
		t->count[k] = old.count[i];
		t->used++;
	}
	kg_slab_free(old.slot, size_of(old.cap));
}

void kg_tally_add(struct kg_tally *t, uint32_t slot, int32_t n)
{
	if (2 * (t->used + 1) > t->cap)
		grow(t);
	uint32_t i = find(t, slot);
	t->used += !t->slot[i];
	t->slot[i] = slot + 1;
	t->count[i] += n;
	t->total += n;
}

static int32_t get(const struct kg_tally *t, uint32_t slot)
{
	return t->cap ? t->count[find(t, slot)] : 0;
}

void kg_tally_clear(struct kg_tally *t, uint32_t slot)
{
	int32_t n = get(t, slot);
	if (n)
		kg_tally_add(t, slot, -n);
}

void kg_tally_release(struct kg_tally *t)
{
	kg_slab_free(t->slot, size_of(t->cap));
	*t = (struct kg_tally){0};
}

bool kg_tally_next(const struct kg_tally *t, uint32_t *i, uint32_t *slot, int32_t *n)
{
	for (; *i < t->cap; ++*i) {
		if (!t->slot[*i] || !t->count[*i])
			continue;
		*slot = t->slot[*i] - 1;
		*n = t->count[*i];
		++*i;
		return true;
	}
	return false;
}
