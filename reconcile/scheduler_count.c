/* Pods that are there, counted by the domains of the topologies that a class asks about. */
#include "reconcile/scheduler.h"

#include <string.h>

static struct kg_axis *axis_of(struct kg_placing *p, struct kg_topology *t)
{
	for (unsigned i = 0; i < p->naxes; i++)
		if (p->axes[i].topology == t)
			return &p->axes[i];
	struct kg_axis *x = &p->axes[p->naxes++];
	x->topology = t;
	return x;
}

static size_t domains(const struct kg_placing *p, const struct kg_axis *x)
{
	return (x->topology->host ? p->st->sched->nslots : x->topology->ndomains) + 1;
}

static int32_t *counts(struct kg_placing *p, struct kg_axis *x, int32_t **field)
{
	if (!*field)
		*field = kg_arena_alloc(p->a, domains(p, x) * sizeof(**field));
	return *field;
}

static void add_tally(int32_t *out, const struct kg_axis *x, const struct kg_tally *t)
{
	uint32_t slot;
	int32_t n;
	for (uint32_t i = 0; kg_tally_next(t, &i, &slot, &n);) {
		uint32_t d = x->topology->domain[slot];
		if (d != KG_NO_DOMAIN)
			out[d] += n;
	}
}

static void add_scores(struct kg_placing *p, struct kg_axis *x, const struct kg_tally *t, int64_t w)
{
	uint32_t slot;
	int32_t n;
	if (!x->score)
		x->score = kg_arena_alloc(p->a, domains(p, x) * sizeof(*x->score));
	for (uint32_t i = 0; kg_tally_next(t, &i, &slot, &n);) {
		uint32_t d = x->topology->domain[slot];
		if (d == KG_NO_DOMAIN)
			continue;
		x->score[d] += n * w;
		p->scored = true;
	}
}

/* ---- pod affinity ---- */

static void count_affinity(struct kg_placing *p)
{
	const struct kg_pod_class *c = p->c;
	for (size_t i = 0; i < c->naffinity; i++) {
		struct kg_axis *x = axis_of(p, c->affinity[i].topology);
		if (x->affinity)
			continue; /* terms with one topology count the same pods */
		add_tally(counts(p, x, &x->affinity), x, &c->affine->by_node);
		for (size_t d = 0; d < domains(p, x); d++)
			p->affine += x->affinity[d];
	}
	for (size_t i = 0; i < c->nanti; i++) {
		struct kg_axis *x = axis_of(p, c->anti[i].topology);
		add_tally(counts(p, x, &x->anti), x, &c->anti[i].peers->by_node);
	}
	for (size_t i = 0; i < c->nscored; i++)
		add_scores(p, axis_of(p, c->scored[i].topology), &c->scored[i].peers->by_node,
			c->scored[i].weight);
	for (size_t i = 0; i < c->nmeets; i++) {
		const struct kg_carried *t = c->meets[i];
		struct kg_axis *x = axis_of(p, kg_topology_get(p->st->sched, t->topology));
		if (t->kind == KG_CARRIED_ANTI)
			add_tally(counts(p, x, &x->existing), x, &t->by_node);
		else
			add_scores(p, x, &t->by_node, t->weight);
	}
}

/* ---- topology spread ---- */

static bool policy_takes(const struct kg_placing *p, const struct kg_spread *c, uint32_t slot)
{
	const struct kg_shape_node *x = &p->shape->nodes[slot];
	return (!c->honor_affinity || x->affinity) && (c->ignore_taints || x->taints);
}

/* Has the node every label that the hard (or the soft) constraints ask for? */
static bool has_labels(const struct kg_placing *p, bool hard, uint32_t slot)
{
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->c->spread[i].hard == hard &&
			p->c->spread[i].topology->domain[slot] == KG_NO_DOMAIN)
			return false;
	return true;
}

/* Do pods on this node count in the domains? */
static bool takes(const struct kg_placing *p, const struct kg_spread *c, uint32_t slot)
{
	return policy_takes(p, c, slot) &&
	       ((!c->hard && p->c->spread_default) || has_labels(p, c->hard, slot));
}

static void histogram_add(struct kg_placing *p, struct kg_spreading *sp, int32_t n)
{
	if (n >= sp->histogram_n) {
		int32_t cap = 2 * n + 16;
		uint32_t *h = kg_arena_alloc(p->a, (size_t)cap * sizeof(*h));
		if (sp->histogram_n)
			memcpy(h, sp->histogram, (size_t)sp->histogram_n * sizeof(*h));
		sp->histogram = h;
		sp->histogram_n = cap;
	}
	sp->histogram[n]++;
}

static void find_domains(struct kg_placing *p, struct kg_spreading *sp)
{
	const struct kg_sched *sc = p->st->sched;
	sp->eligible = kg_arena_alloc(p->a, domains(p, sp->axis));
	for (uint32_t i = 0; i < sc->nslots; i++) {
		if (!sc->nodes[i] || !takes(p, sp->c, i))
			continue;
		uint32_t d = sp->axis->topology->domain[i];
		sp->domains += !sp->eligible[d];
		sp->eligible[d] = 1;
		if (sp->axis->topology->host)
			histogram_add(p, sp, sp->count[d]);
	}
}

static void count_spread(struct kg_placing *p, struct kg_spreading *sp, struct kg_axis *x)
{
	uint32_t slot;
	int32_t n;
	sp->axis = x;
	sp->count = kg_arena_alloc(p->a, domains(p, x) * sizeof(*sp->count));
	for (uint32_t i = 0; kg_tally_next(&sp->c->peers->by_node, &i, &slot, &n);) {
		uint32_t d = x->topology->domain[slot];
		bool as_is = x->topology->host && !sp->c->hard;
		if (d != KG_NO_DOMAIN && (as_is || takes(p, sp->c, slot)))
			sp->count[d] += n;
	}
	if (sp->c->hard)
		find_domains(p, sp);
}

void kg_placing_count(struct kg_placing *p)
{
	const struct kg_pod_class *c = p->c;
	size_t most = c->naffinity + c->nanti + c->nscored + c->nmeets + c->nspread;
	p->axes = kg_arena_alloc(p->a, (most + 1) * sizeof(*p->axes));
	p->spread = kg_arena_alloc(p->a, (c->nspread + 1) * sizeof(*p->spread));
	count_affinity(p);
	for (size_t i = 0; i < c->nspread; i++) {
		p->spread[i].c = &c->spread[i];
		count_spread(p, &p->spread[i], axis_of(p, c->spread[i].topology));
	}
}

/* ---- pods thought away ---- */

static struct kg_axis *known_axis(struct kg_placing *p, const char *topology)
{
	for (unsigned i = 0; i < p->naxes; i++)
		if (strcmp(p->axes[i].topology->key, topology) == 0)
			return &p->axes[i];
	return NULL;
}

static void adjust_affinity(
	struct kg_placing *p, uint32_t slot, const struct kg_group *who, int32_t sign)
{
	const struct kg_pod_class *c = p->c;
	if (c->affine && kg_peers_want(c->affine, p->s, who))
		for (unsigned i = 0; i < p->naxes; i++) {
			struct kg_axis *x = &p->axes[i];
			uint32_t d = x->topology->domain[slot];
			if (!x->affinity || d == KG_NO_DOMAIN)
				continue;
			x->affinity[d] += sign;
			p->affine += sign;
		}
	for (size_t i = 0; i < c->nanti; i++) {
		struct kg_axis *x = axis_of(p, c->anti[i].topology);
		uint32_t d = x->topology->domain[slot];
		if (d != KG_NO_DOMAIN && kg_peers_want(c->anti[i].peers, p->s, who))
			x->anti[d] += sign;
	}
}

static void adjust_existing(
	struct kg_placing *p, uint32_t slot, const struct kg_object *pod, int32_t sign)
{
	struct kg_arena a = KG_ARENA_INIT;
	const struct kg_value *labels = kg_get(kg_get(kg_obj(p->c->pod), "metadata"), "labels");
	const struct kg_value *terms = kg_at(kg_obj(pod),
		"spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution");
	for (uint32_t i = 0; i < kg_len(terms); i++) {
		struct kg_value t = kg_peers_of_term(&a, pod, &terms->items[i]);
		struct kg_axis *x =
			known_axis(p, kg_string(kg_get(&terms->items[i], "topologyKey"), ""));
		uint32_t d = x ? x->topology->domain[slot] : KG_NO_DOMAIN;
		if (x && x->existing && d != KG_NO_DOMAIN &&
			kg_peers_match(&t, p->s, p->c->pod->ns, labels))
			x->existing[d] += sign;
	}
	kg_arena_release(&a);
}

static void adjust_spread(struct kg_placing *p, struct kg_spreading *sp, uint32_t slot,
	const struct kg_group *who, int32_t sign)
{
	uint32_t d = sp->axis->topology->domain[slot];
	if (!sp->c->hard || d == KG_NO_DOMAIN || !takes(p, sp->c, slot) ||
		!kg_peers_want(sp->c->peers, p->s, who))
		return;
	if (sp->axis->topology->host) {
		sp->histogram[sp->count[d]]--;
		histogram_add(p, sp, sp->count[d] + sign);
	}
	sp->count[d] += sign;
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
	for (size_t i = 0; i < p->c->nspread && !kg_object_deleting(pod); i++)
		adjust_spread(p, &p->spread[i], slot, &who, sign);
}

/* ---- one more of the class itself ---- */

static void own_score(struct kg_placing *p, struct kg_topology *t, uint32_t slot, int64_t w)
{
	struct kg_axis *x = axis_of(p, t);
	uint32_t d = t->domain[slot];
	if (d == KG_NO_DOMAIN)
		return;
	if (!x->score)
		x->score = kg_arena_alloc(p->a, domains(p, x) * sizeof(*x->score));
	x->score[d] += w;
	p->scored = true;
}

static void own_affinity(struct kg_placing *p, uint32_t slot)
{
	const struct kg_pod_class *c = p->c;
	for (unsigned i = 0; i < p->naxes && c->affine_self; i++) {
		struct kg_axis *x = &p->axes[i];
		uint32_t d = x->topology->domain[slot];
		if (!x->affinity || d == KG_NO_DOMAIN)
			continue;
		x->affinity[d]++;
		p->affine++;
	}
	for (size_t i = 0; i < c->nanti; i++) {
		struct kg_axis *x = axis_of(p, c->anti[i].topology);
		uint32_t d = x->topology->domain[slot];
		if (c->anti[i].self && d != KG_NO_DOMAIN)
			x->anti[d]++;
	}
	/* As one of the peers, and as one who carries the term himself. */
	for (size_t i = 0; i < c->nscored; i++)
		if (c->scored[i].self)
			own_score(p, c->scored[i].topology, slot, 2 * c->scored[i].weight);
	for (size_t i = 0; i < c->naffinity; i++)
		if (c->affinity[i].self)
			own_score(p, c->affinity[i].topology, slot, 1);
}

static void own_spread(struct kg_placing *p, struct kg_spreading *sp, uint32_t slot)
{
	uint32_t d = sp->axis->topology->domain[slot];
	bool host = sp->axis->topology->host;
	if (!sp->c->self || d == KG_NO_DOMAIN ||
		(!(host && !sp->c->hard) && !takes(p, sp->c, slot)))
		return;
	if (host && sp->c->hard) {
		sp->histogram[sp->count[d]]--;
		histogram_add(p, sp, sp->count[d] + 1);
	}
	sp->count[d]++;
}

void kg_placing_count_own(struct kg_placing *p, uint32_t slot)
{
	own_affinity(p, slot);
	for (size_t i = 0; i < p->c->nspread; i++)
		own_spread(p, &p->spread[i], slot);
	kg_rank_refresh(p);
}
