/* Pods that are there, counted by the domains of the topologies that a class asks about. */
#include "reconcile/placing.h"

#include <string.h>

/* ---- counters ---- */

static unsigned axis_of(struct kg_placing *p, struct kg_topology *t)
{
	unsigned i = 0;
	while (i < p->naxes && p->axes[i] != t)
		i++;
	if (i == p->naxes)
		p->axes[p->naxes++] = t;
	return i;
}

static struct kg_counter *counter_new(
	struct kg_placing *p, enum kg_role role, struct kg_topology *t)
{
	struct kg_counter *x = &p->counters[p->ncounters++];
	*x = (struct kg_counter){.role = role, .topology = t, .axis = axis_of(p, t)};
	if (t->host)
		x->at = p->nhere++;
	else
		x->count = kg_arena_alloc(p->a, (t->ndomains + 1) * sizeof(*x->count));
	return x;
}

/* NULL: none was declared. */
static struct kg_counter *find(struct kg_placing *p, enum kg_role role, const char *topology)
{
	for (unsigned i = 0; i < p->ncounters; i++)
		if (p->counters[i].role == role &&
			strcmp(p->counters[i].topology->key, topology) == 0)
			return &p->counters[i];
	return NULL;
}

static struct kg_counter *counter(struct kg_placing *p, enum kg_role role, struct kg_topology *t)
{
	struct kg_counter *x = find(p, role, t->key);
	return x ? x : counter_new(p, role, t);
}

static struct kg_counter *counter_of_met(struct kg_placing *p, const struct kg_carried *t)
{
	return counter(p, t->kind == KG_CARRIED_ANTI ? KG_ROLE_EXISTING : KG_ROLE_SCORE,
		kg_topology_get(p->st->sched, t->topology));
}

void kg_placing_declare(struct kg_placing *p)
{
	const struct kg_pod_class *c = p->c;
	size_t most = 2 * c->naffinity + c->nanti + c->nscored + c->nmeets + c->nspread;
	p->axes = kg_arena_alloc(p->a, (most + 1) * sizeof(struct kg_topology *));
	p->counters = kg_arena_alloc(p->a, (most + 1) * sizeof(*p->counters));
	p->spread = kg_arena_alloc(p->a, (c->nspread + 1) * sizeof(*p->spread));
	for (size_t i = 0; i < c->naffinity; i++) {
		counter(p, KG_ROLE_AFFINITY, c->affinity[i].topology);
		counter(p, KG_ROLE_SCORE, c->affinity[i].topology);
	}
	for (size_t i = 0; i < c->nanti; i++)
		counter(p, KG_ROLE_ANTI, c->anti[i].topology);
	for (size_t i = 0; i < c->nscored; i++)
		counter(p, KG_ROLE_SCORE, c->scored[i].topology);
	for (size_t i = 0; i < c->nmeets; i++)
		counter_of_met(p, c->meets[i]);
	for (size_t i = 0; i < c->nspread; i++)
		p->spread[i] = (struct kg_spreading){.c = &c->spread[i],
			.x = counter_new(p, KG_ROLE_SPREAD, c->spread[i].topology)};
}

static struct kg_here *here(struct kg_placing *p, uint32_t slot)
{
	int32_t key = (int32_t)slot;
	struct kg_keyed *k = kg_table_get(&p->here, &key);
	if (k)
		return (struct kg_here *)k;
	struct kg_here *h = kg_arena_alloc(p->a, sizeof(*h) + p->nhere * sizeof(h->count[0]));
	h->slot = key;
	h->keyed.key = &h->slot;
	kg_table_add(&p->here, &h->keyed);
	return h;
}

/* What is counted of the slot's domain; NULL: it has none. Valid until the next call. */
static int64_t *count_at(struct kg_placing *p, const struct kg_counter *x, uint32_t slot)
{
	uint32_t d = x->topology->domain[slot];
	if (d == KG_NO_DOMAIN)
		return NULL;
	return x->count ? &x->count[d] : &here(p, slot)->count[x->at];
}

static void add(struct kg_placing *p, const struct kg_counter *x, uint32_t slot, int64_t n)
{
	int64_t *count = count_at(p, x, slot);
	if (!count)
		return;
	*count += n;
	if (x->role == KG_ROLE_AFFINITY)
		p->affine += n;
}

static void add_tally(
	struct kg_placing *p, const struct kg_counter *x, const struct kg_tally *t, int64_t weight)
{
	uint32_t slot;
	int32_t n;
	for (uint32_t i = 0; kg_tally_next(t, &i, &slot, &n);)
		add(p, x, slot, n * weight);
}

/* ---- pod affinity ---- */

/* Terms with one topology seek the same pods: those that match all terms. */
static void add_affine(struct kg_placing *p, uint32_t slot, int64_t n)
{
	for (unsigned i = 0; i < p->ncounters; i++)
		if (p->counters[i].role == KG_ROLE_AFFINITY)
			add(p, &p->counters[i], slot, n);
}

static void count_affinity(struct kg_placing *p)
{
	const struct kg_pod_class *c = p->c;
	uint32_t slot;
	int32_t n;
	for (uint32_t i = 0; c->affine && kg_tally_next(&c->affine->by_node, &i, &slot, &n);)
		add_affine(p, slot, n);
	for (size_t i = 0; i < c->nanti; i++)
		add_tally(p, counter(p, KG_ROLE_ANTI, c->anti[i].topology),
			&c->anti[i].peers->by_node, 1);
	for (size_t i = 0; i < c->nscored; i++)
		add_tally(p, counter(p, KG_ROLE_SCORE, c->scored[i].topology),
			&c->scored[i].peers->by_node, c->scored[i].weight);
	for (size_t i = 0; i < c->nmeets; i++)
		add_tally(p, counter_of_met(p, c->meets[i]), &c->meets[i]->by_node,
			c->meets[i]->kind == KG_CARRIED_ANTI ? 1 : c->meets[i]->weight);
}

/* ---- topology spread ---- */

/* Have the cell's nodes every label that the hard (or the soft) constraints ask for? */
static bool has_labels(const struct kg_placing *p, bool hard, const struct kg_cell *cell)
{
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->spread[i].c->hard == hard && cell->domain[p->spread[i].x->axis] < 0)
			return false;
	return true;
}

/* Do pods on these nodes count in the domains? */
static bool takes(const struct kg_placing *p, const struct kg_spread *c, const struct kg_cell *cell)
{
	return (!c->honor_affinity || cell->affinity) && (c->ignore_taints || cell->taints) &&
	       ((!c->hard && p->c->spread_default) || has_labels(p, c->hard, cell));
}

static uint32_t *histogram_at(struct kg_placing *p, struct kg_spreading *sp, int64_t n)
{
	if (n >= sp->histogram_n) {
		int64_t cap = 2 * n + 16;
		uint32_t *h = kg_arena_alloc(p->a, (size_t)cap * sizeof(*h));
		if (sp->histogram_n)
			memcpy(h, sp->histogram, (size_t)sp->histogram_n * sizeof(*h));
		sp->histogram = h;
		sp->histogram_n = cap;
	}
	return &sp->histogram[n];
}

/* The domains that hard spreading compares; nothing is counted yet. */
static void find_domains(struct kg_placing *p, struct kg_spreading *sp)
{
	const struct kg_topology *t = sp->x->topology;
	sp->eligible = kg_arena_alloc(p->a, t->ndomains + 1);
	for (uint32_t i = 0; i < p->shape->ncells; i++) {
		const struct kg_cell *cell = p->shape->cells[i];
		if (!cell->nodes || !takes(p, sp->c, cell))
			continue;
		if (t->host) {
			sp->domains += cell->nodes;
			*histogram_at(p, sp, 0) += cell->nodes;
			continue;
		}
		uint8_t *eligible = &sp->eligible[cell->domain[sp->x->axis]];
		sp->domains += !*eligible;
		*eligible = 1;
	}
}

/* By host, what soft spreading looks at is the node itself, whatever the policies say. */
static void add_spread(struct kg_placing *p, struct kg_spreading *sp, uint32_t slot, int64_t n)
{
	bool host = sp->x->topology->host;
	int64_t *count = count_at(p, sp->x, slot);
	if (!count || (!(host && !sp->c->hard) && !takes(p, sp->c, p->shape->filed[slot].cell)))
		return;
	if (host && sp->c->hard) {
		--*histogram_at(p, sp, *count);
		++*histogram_at(p, sp, *count + n);
	}
	*count += n;
}

static void count_spread(struct kg_placing *p, struct kg_spreading *sp)
{
	uint32_t slot;
	int32_t n;
	if (sp->c->hard)
		find_domains(p, sp);
	for (uint32_t i = 0; kg_tally_next(&sp->c->peers->by_node, &i, &slot, &n);)
		add_spread(p, sp, slot, n);
}

void kg_placing_count(struct kg_placing *p)
{
	count_affinity(p);
	for (size_t i = 0; i < p->c->nspread; i++)
		count_spread(p, &p->spread[i]);
}

/* ---- pods thought away ---- */

static void adjust_affinity(
	struct kg_placing *p, uint32_t slot, const struct kg_group *who, int32_t sign)
{
	const struct kg_pod_class *c = p->c;
	if (c->affine && kg_peers_want(c->affine, p->s, who))
		add_affine(p, slot, sign);
	for (size_t i = 0; i < c->nanti; i++)
		if (kg_peers_want(c->anti[i].peers, p->s, who))
			add(p, counter(p, KG_ROLE_ANTI, c->anti[i].topology), slot, sign);
}

static void adjust_existing(
	struct kg_placing *p, uint32_t slot, const struct kg_object *pod, int32_t sign)
{
	struct kg_arena a = KG_ARENA_INIT;
	const struct kg_value *labels = kg_get(kg_get(kg_obj(p->c->pod), "metadata"), "labels");
	const struct kg_value *terms = kg_at(kg_obj(pod),
		"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution");
	for (uint32_t i = 0; i < kg_len(terms); i++) {
		const char *topology = kg_string(kg_get(&terms->items[i], "topologyKey"), "");
		const struct kg_counter *x = find(p, KG_ROLE_EXISTING, topology);
		struct kg_value t = kg_peers_of_term(&a, pod, &terms->items[i]);
		if (x && kg_peers_match(&t, p->s, p->c->pod->ns, labels))
			add(p, x, slot, sign);
	}
	kg_arena_release(&a);
}

static void adjust_spread(struct kg_placing *p, struct kg_spreading *sp, uint32_t slot,
	const struct kg_group *who, int32_t sign)
{
	if (sp->c->hard && kg_peers_want(sp->c->peers, p->s, who))
		add_spread(p, sp, slot, sign);
}

void kg_placing_adjust(
	struct kg_placing *p, uint32_t slot, const struct kg_object *pod, int32_t sign)
{
	if (kg_class_is_free(p->c))
		return;
	struct kg_group who = {
		.ns = (char *)pod->ns, .labels = kg_get(kg_get(kg_obj(pod), "metadata"), "labels")};
	adjust_affinity(p, slot, &who, sign);
	adjust_existing(p, slot, pod, sign);
	p->users += sign * kg_class_uses(p->c, pod);
	for (size_t i = 0; i < p->c->nspread && !kg_object_deleting(pod); i++)
		adjust_spread(p, &p->spread[i], slot, &who, sign);
}

/* ---- one more of the class itself ---- */

static void own_affinity(struct kg_placing *p, uint32_t slot)
{
	const struct kg_pod_class *c = p->c;
	if (c->affine_self)
		add_affine(p, slot, 1);
	for (size_t i = 0; i < c->nanti; i++)
		if (c->anti[i].self)
			add(p, counter(p, KG_ROLE_ANTI, c->anti[i].topology), slot, 1);
	/* As one of the peers, and as one who carries the term himself. */
	for (size_t i = 0; i < c->nscored; i++)
		if (c->scored[i].self)
			add(p, counter(p, KG_ROLE_SCORE, c->scored[i].topology), slot,
				2 * c->scored[i].weight);
	for (size_t i = 0; i < c->naffinity; i++)
		if (c->affinity[i].self)
			add(p, counter(p, KG_ROLE_SCORE, c->affinity[i].topology), slot, 1);
}

void kg_placing_count_own(struct kg_placing *p, uint32_t slot)
{
	own_affinity(p, slot);
	p->users += p->c->nsole > 0;
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->spread[i].c->self)
			add_spread(p, &p->spread[i], slot, 1);
	kg_rank_refresh(p);
}
