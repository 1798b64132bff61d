/*
 * Of most nodes nothing counts by host: their cell's bucket finds them on the rungs, where they
 * are in order already, and looks at no more than the best rung. All others lie in heaps: those of
 * which something counts, those that got a pod, and what is left of a rung whose best one went.
 *
 * Nodes that are equal in their totals: the one with fewer pods (where pods are to be packed, with
 * more), then by a hash of owner and node.
 */
#include "reconcile/placing.h"

/* ---- candidates in their order ---- */

/* Equal ties are of two names with one hash: the slot decides, which nobody will ever see. */
bool kg_candidate_better(const struct kg_candidate *a, const struct kg_candidate *b)
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
			if (kg_candidate_better(&b->v[c], &b->v[best]))
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
	while (i && kg_candidate_better(&b->v[i], &b->v[(i - 1) / 2])) {
		struct kg_candidate t = b->v[i];
		b->v[i] = b->v[(i - 1) / 2];
		b->v[(i - 1) / 2] = t;
		i = (i - 1) / 2;
	}
}

void kg_bucket_push(struct kg_bucket *b, const struct kg_candidate *x)
{
	size_t cap = b->cap;
	KG_GROW(b->v, cap, b->n + 1);
	b->cap = (uint32_t)cap;
	b->v[b->n] = *x;
	sift_up(b, b->n++);
	b->known = false;
}

static void drop(struct kg_bucket *b, uint32_t i)
{
	b->v[i] = b->v[--b->n];
	if (i < b->n) {
		sift_up(b, i);
		sift_down(b, i);
	}
	b->known = false;
}

/* ---- candidates on the rungs ---- */

uint64_t kg_candidate_tie(const struct kg_placing *p, uint64_t hash, uint16_t order)
{
	uint64_t x = hash ^ p->salt;
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return (uint64_t)order << 48 | (x ^ x >> 32) >> 16;
}

static struct kg_candidate on_rung(
	const struct kg_placing *p, const struct kg_rung *r, const struct kg_entry *e)
{
	return (struct kg_candidate){
		.tie = kg_candidate_tie(p, e->hash, e->order), .slot = e->slot, .local = r->local};
}

/* The best rung that is not in the heap yet; NULL: none. */
static const struct kg_rung *next_rung(const struct kg_bucket *b)
{
	return b->rest ? &b->spot.cell->rungs[b->rung - 1] : NULL;
}

/* The rung's candidates go to the heap. */
static void draw(const struct kg_placing *p, struct kg_bucket *b)
{
	const struct kg_rung *r = next_rung(b);
	for (uint32_t i = 0; i < r->n; i++) {
		if (kg_bit(p->taken, r->v[i].slot))
			continue;
		struct kg_candidate x = on_rung(p, r, &r->v[i]);
		kg_bucket_push(b, &x);
		b->rest--;
	}
	b->rung--;
}

void kg_bucket_draw(const struct kg_placing *p, struct kg_bucket *b)
{
	while (b->rest)
		draw(p, b);
}

/* The best of the rung into *best, where it is better; false: all of the rung are taken. */
static bool scan(
	struct kg_candidate *best, bool *any, const struct kg_placing *p, const struct kg_rung *r)
{
	bool found = false;
	for (uint32_t i = 0; i < r->n; i++) {
		if (kg_bit(p->taken, r->v[i].slot))
			continue;
		struct kg_candidate x = on_rung(p, r, &r->v[i]);
		if (!*any || kg_candidate_better(&x, best))
			*best = x;
		found = *any = true;
	}
	return found;
}

/* Rungs that can have the best are scanned; or where they gave one already, and so may give more,
 * drawn. */
const struct kg_candidate *kg_bucket_best(const struct kg_placing *p, struct kg_bucket *b)
{
	const struct kg_rung *r;
	bool found = false;
	if (b->known)
		return &b->best;
	while (b->gave && (r = next_rung(b)) && (!b->n || b->v[0].local <= r->local))
		draw(p, b);
	bool any = b->n > 0;
	if (any)
		b->best = b->v[0];
	while (!b->gave && !found && (r = next_rung(b)) && (!any || b->best.local <= r->local)) {
		found = scan(&b->best, &any, p, r);
		b->rung -= !found;
	}
	b->known = true;
	return &b->best;
}

/* No candidate of the bucket is better. */
int32_t kg_bucket_promise(const struct kg_bucket *b)
{
	const struct kg_rung *r = next_rung(b);
	if (b->known)
		return b->best.local;
	return r && (!b->n || r->local > b->v[0].local) ? r->local : b->v[0].local;
}

/* Takes the best one, which is known. */
uint32_t kg_bucket_pop(struct kg_placing *p, struct kg_bucket *b)
{
	uint32_t slot = b->best.slot;
	if (b->n && b->v[0].slot == slot) {
		drop(b, 0);
		return slot;
	}
	kg_bit_set(p->taken, slot, true);
	b->rest--;
	b->gave = true;
	b->known = false;
	return slot;
}

bool kg_bucket_pick(struct kg_placing *p, struct kg_bucket *b, uint32_t slot)
{
	const struct kg_rung *r = next_rung(b);
	uint32_t i = 0;
	while (i < b->n && b->v[i].slot != slot)
		i++;
	if (i < b->n) {
		drop(b, i);
		return true;
	}
	if (!r || kg_bit(p->taken, slot) || p->shape->filed[slot].local > r->local)
		return false;
	kg_bit_set(p->taken, slot, true);
	b->rest--;
	b->known = false;
	return true;
}
