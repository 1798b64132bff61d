/*
 * The nodes of a shape in order. A cell has those that are alike in all that does not change while
 * pods are bound: their domains, preferences and taints; on its rungs those that have room, by
 * what they are worth. So who seeks the best looks at the best rungs of the cells, however many
 * nodes lie below.
 */
#include "reconcile/placing.h"

#include <string.h>

/* ---- rungs ---- */

/* The first rung of at least this worth. */
static uint32_t find(const struct kg_cell *c, int32_t local)
{
	uint32_t lo = 0, hi = c->nrungs;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (c->rungs[mid].local < local)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct kg_rung *rung_for(struct kg_cell *c, int32_t local)
{
	uint32_t i = find(c, local);
	if (i < c->nrungs && c->rungs[i].local == local)
		return &c->rungs[i];
	size_t cap = c->rungs_cap;
	KG_GROW(c->rungs, cap, c->nrungs + 1);
	c->rungs_cap = (uint32_t)cap;
	memmove(c->rungs + i + 1, c->rungs + i, (c->nrungs++ - i) * sizeof(*c->rungs));
	c->rungs[i] = (struct kg_rung){.local = local};
	return &c->rungs[i];
}

static void climb(struct kg_shape *sh, uint32_t slot, int32_t local)
{
	struct kg_filed *f = &sh->filed[slot];
	struct kg_rung *r = rung_for(f->cell, local);
	size_t cap = r->cap;
	KG_GROW(r->v, cap, r->n + 1);
	r->cap = (uint32_t)cap;
	f->local = local;
	f->at = r->n;
	r->v[r->n++] = (struct kg_entry){.slot = slot};
	f->cell->fit++;
}

static void descend(struct kg_shape *sh, uint32_t slot)
{
	struct kg_filed *f = &sh->filed[slot];
	struct kg_cell *c = f->cell;
	uint32_t i = find(c, f->local);
	struct kg_rung *r = &c->rungs[i];
	r->v[f->at] = r->v[--r->n];
	sh->filed[r->v[f->at].slot].at = f->at;
	f->local = -1;
	c->fit--;
	if (r->n)
		return;
	free(r->v);
	memmove(r, r + 1, (--c->nrungs - i) * sizeof(*r));
}

/* ---- cells ---- */

static struct kg_cell *cell_new(struct kg_shape *sh, const int32_t *key)
{
	size_t size = sh->cells_by_key.nkeys * sizeof(*key), cap = sh->cells_cap;
	struct kg_cell *c = kg_alloc(sizeof(*c) + size);
	memcpy(c->domain, key, size);
	c->keyed.key = c->domain;
	kg_table_add(&sh->cells_by_key, &c->keyed);
	c->place = sh->ncells;
	KG_GROW(sh->cells, cap, sh->ncells + 1);
	sh->cells_cap = (uint32_t)cap;
	sh->cells[sh->ncells++] = c;
	sh->dead++;
	return c;
}

static void cell_free(struct kg_cell *c)
{
	for (uint32_t i = 0; i < c->nrungs; i++)
		free(c->rungs[i].v);
	free(c->rungs);
	free(c);
}

void kg_cells_clear(struct kg_shape *sh)
{
	for (uint32_t i = 0; i < sh->ncells; i++)
		cell_free(sh->cells[i]);
	free(sh->cells);
	kg_table_release(&sh->cells_by_key);
	sh->cells = NULL;
	sh->ncells = sh->cells_cap = sh->dead = 0;
	if (sh->cap)
		memset(sh->filed, 0, sh->cap * sizeof(*sh->filed));
}

static struct kg_cell *cell_of(struct kg_shape *sh, uint32_t slot)
{
	const struct kg_shape_node *x = &sh->nodes[slot];
	int32_t *key = sh->key;
	for (unsigned i = 0; i < sh->naxes; i++) {
		uint32_t d = sh->axes[i]->domain[slot];
		key[i] = d == KG_NO_DOMAIN ? -1 : sh->axes[i]->host ? 0 : (int32_t)d;
	}
	key[sh->naxes] = x->preference;
	key[sh->naxes + 1] = x->soft;
	key[sh->naxes + 2] = x->affinity | x->taints << 1;
	struct kg_keyed *k = kg_table_get(&sh->cells_by_key, key);
	if (k)
		return (struct kg_cell *)k;
	struct kg_cell *c = cell_new(sh, key);
	c->preference = x->preference;
	c->soft = x->soft;
	c->affinity = x->affinity;
	c->taints = x->taints;
	return c;
}

/* ---- nodes ---- */

static void leave(struct kg_shape *sh, uint32_t slot)
{
	struct kg_filed *f = &sh->filed[slot];
	if (f->local >= 0)
		descend(sh, slot);
	sh->dead += --f->cell->nodes == 0;
	f->cell = NULL;
}

static void enter(struct kg_shape *sh, uint32_t slot)
{
	struct kg_filed *f = &sh->filed[slot];
	f->cell = cell_of(sh, slot);
	f->version = sh->nodes[slot].seen_fixed;
	f->local = -1;
	sh->dead -= f->cell->nodes++ == 0;
}

void kg_cells_file(struct kg_shape *sh, const struct kg_sched *sc, uint32_t slot)
{
	const struct kg_shape_node *x = &sh->nodes[slot];
	struct kg_filed *f = &sh->filed[slot];
	int32_t local = kg_shape_fits(x) ? x->local : -1;
	if (f->cell && (!sc->nodes[slot] || f->version != x->seen_fixed))
		leave(sh, slot);
	if (!sc->nodes[slot])
		return;
	if (!f->cell)
		enter(sh, slot);
	if (f->local >= 0 && f->local != local)
		descend(sh, slot);
	if (local < 0)
		return;
	if (f->local < 0)
		climb(sh, slot, local);
	struct kg_entry *e = &f->cell->rungs[find(f->cell, local)].v[f->at];
	e->hash = x->hash;
	e->order = x->order;
}
