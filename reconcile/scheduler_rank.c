/*
 * Buckets judged: which fit by the rules of topology, and what their nodes are worth in what
 * depends on other nodes. Kubernetes normalises over the nodes that fit at the moment, and so do
 * we: one pass finds those and the extremes, another makes the totals.
 */
#include "reconcile/placing.h"

#include <math.h>
#include <string.h>

#define UNIT INT64_C(1000000) /* of raw spread scores and their weights */

/* ---- verdicts ---- */

/* Has the spot a domain there, and how much is counted of it? */
static bool has_domain(const struct kg_counter *x, const struct kg_spot *spot)
{
	return spot->cell->domain[x->axis] >= 0;
}

static int64_t count_of(const struct kg_counter *x, const struct kg_spot *spot)
{
	return x->count ? x->count[spot->cell->domain[x->axis]] : spot->here[x->at];
}

static enum kg_misfit spread_verdict(const struct kg_placing *p, const struct kg_spot *spot)
{
	for (size_t i = 0; i < p->c->nspread; i++) {
		const struct kg_spreading *sp = &p->spread[i];
		if (!sp->c->hard)
			continue;
		if (!has_domain(sp->x, spot))
			return KG_MISFIT_SPREAD_LABEL;
		if (count_of(sp->x, spot) + sp->c->self - sp->least > sp->c->max_skew)
			return KG_MISFIT_SPREAD;
	}
	return KG_FIT;
}

static bool affinity_holds(const struct kg_placing *p, const struct kg_spot *spot)
{
	bool near_all = true;
	for (unsigned i = 0; i < p->ncounters; i++) {
		const struct kg_counter *x = &p->counters[i];
		if (x->role != KG_ROLE_AFFINITY)
			continue;
		if (!has_domain(x, spot))
			return false;
		near_all &= count_of(x, spot) > 0;
	}
	/* The first of a group that seeks itself may go anywhere. */
	return near_all || (p->affine == 0 && p->c->affine_self);
}

static bool keeps_away(const struct kg_placing *p, const struct kg_spot *spot, enum kg_role role)
{
	for (unsigned i = 0; i < p->ncounters; i++) {
		const struct kg_counter *x = &p->counters[i];
		if (x->role == role && has_domain(x, spot) && count_of(x, spot) > 0)
			return true;
	}
	return false;
}

enum kg_misfit kg_rank_verdict(const struct kg_placing *p, const struct kg_spot *spot)
{
	enum kg_misfit m = spread_verdict(p, spot);
	if (m != KG_FIT)
		return m;
	if (p->c->naffinity && !affinity_holds(p, spot))
		return KG_MISFIT_POD_AFFINITY;
	if (keeps_away(p, spot, KG_ROLE_ANTI))
		return KG_MISFIT_POD_ANTI;
	return keeps_away(p, spot, KG_ROLE_EXISTING) ? KG_MISFIT_EXISTING_ANTI : KG_FIT;
}

/* ---- the global minimum of hard spreading ---- */

static void find_least(struct kg_spreading *sp)
{
	int64_t least = INT64_MAX;
	if (sp->domains == 0 || sp->domains < sp->c->min_domains) {
		sp->least = 0;
		return;
	}
	if (sp->x->topology->host) {
		for (least = 0; !sp->histogram[least];)
			least++;
	} else {
		for (uint32_t d = 0; d < sp->x->topology->ndomains; d++)
			if (sp->eligible[d] && sp->x->count[d] < least)
				least = sp->x->count[d];
	}
	sp->least = least;
}

void kg_rank_refresh(struct kg_placing *p)
{
	for (size_t i = 0; i < p->c->nspread; i++)
		if (p->spread[i].c->hard)
			find_least(&p->spread[i]);
}

/* ---- raw scores ---- */

static bool ignores(const struct kg_placing *p, const struct kg_spot *spot)
{
	if (p->c->spread_default)
		return false;
	for (size_t i = 0; i < p->c->nspread; i++)
		if (!p->spread[i].c->hard && !has_domain(p->spread[i].x, spot))
			return true;
	return false;
}

/* How many domains the nodes that fit have; nodes without the label are one together. */
static int64_t distinct(struct kg_placing *p, const struct kg_spreading *sp)
{
	int64_t n = 0;
	bool none = false;
	p->stamp_now++;
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		const struct kg_bucket *b = p->buckets[i];
		if (b->verdict != KG_FIT || b->ignored)
			continue;
		int32_t d = b->spot.cell->domain[sp->x->axis];
		if (sp->x->topology->host)
			n += kg_bucket_size(b);
		else if (d < 0)
			none = true;
		else if (p->stamp[d] != p->stamp_now) {
			p->stamp[d] = p->stamp_now;
			n++;
		}
	}
	return n + none;
}

static int64_t raw_spread(const struct kg_placing *p, const struct kg_spot *spot)
{
	int64_t sum = 0;
	for (size_t i = 0; i < p->c->nspread; i++) {
		const struct kg_spreading *sp = &p->spread[i];
		if (!sp->c->hard && has_domain(sp->x, spot))
			sum += count_of(sp->x, spot) * sp->weight + (sp->c->max_skew - 1) * UNIT;
	}
	return (sum + UNIT / 2) / UNIT;
}

static int64_t raw_affinity(const struct kg_placing *p, const struct kg_spot *spot)
{
	int64_t sum = 0;
	for (unsigned i = 0; i < p->ncounters; i++) {
		const struct kg_counter *x = &p->counters[i];
		if (x->role == KG_ROLE_SCORE && has_domain(x, spot))
			sum += count_of(x, spot);
	}
	return sum;
}

static void widen(int64_t *min, int64_t *max, int64_t v)
{
	*min = v < *min ? v : *min;
	*max = v > *max ? v : *max;
}

static void judge(struct kg_placing *p)
{
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		b->verdict = kg_rank_verdict(p, &b->spot);
		b->ignored = ignores(p, &b->spot);
	}
	for (size_t i = 0; i < p->c->nspread; i++)
		if (!p->spread[i].c->hard)
			p->spread[i].weight =
				(int64_t)(log((double)distinct(p, &p->spread[i]) + 2) * UNIT + 0.5);
}

static void measure(struct kg_placing *p)
{
	p->rank = (struct kg_rank){
		.spread_min = INT64_MAX, .affinity_min = INT64_MAX, .affinity_max = INT64_MIN};
	struct kg_rank *r = &p->rank;
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		if (b->verdict != KG_FIT)
			continue;
		r->fit += kg_bucket_size(b);
		b->spread = raw_spread(p, &b->spot);
		b->affinity = raw_affinity(p, &b->spot);
		if (!b->ignored)
			widen(&r->spread_min, &r->spread_max, b->spread);
		widen(&r->affinity_min, &r->affinity_max, b->affinity);
		int64_t pref = b->spot.cell->preference, soft = b->spot.cell->soft;
		r->preference = pref > r->preference ? pref : r->preference;
		r->soft = soft > r->soft ? soft : r->soft;
	}
}

/* ---- normalised ---- */

static int64_t spread_score(const struct kg_placing *p, const struct kg_bucket *b)
{
	const struct kg_rank *r = &p->rank;
	bool any = false;
	for (size_t i = 0; i < p->c->nspread; i++)
		any |= !p->spread[i].c->hard;
	if (!any || b->ignored)
		return 0;
	return r->spread_max == 0
		       ? 100
		       : 100 * (r->spread_max + r->spread_min - b->spread) / r->spread_max;
}

static void bucket_scores(
	int64_t out[KG_SCORE_COUNT], const struct kg_placing *p, const struct kg_bucket *b)
{
	const struct kg_rank *r = &p->rank;
	int64_t pref = b->spot.cell->preference, soft = b->spot.cell->soft;
	int64_t width = r->affinity_max - r->affinity_min;
	memset(out, 0, KG_SCORE_COUNT * sizeof(*out));
	out[KG_SCORE_TAINTS] = r->soft ? 100 - 100 * soft / r->soft : 100;
	out[KG_SCORE_AFFINITY] = r->preference ? 100 * pref / r->preference : 0;
	out[KG_SCORE_SPREAD] = spread_score(p, b);
	if (width > 0)
		out[KG_SCORE_POD_AFFINITY] =
			(int64_t)(100 * ((double)(b->affinity - r->affinity_min) / (double)width));
}

void kg_rank_scores(int64_t out[KG_SCORE_COUNT], const struct kg_placing *p,
	const struct kg_bucket *b, const struct kg_node_info *n)
{
	const struct kg_shape_node *x = &p->shape->nodes[n->slot];
	bucket_scores(out, p, b);
	out[KG_SCORE_RESOURCES] = x->left;
	out[KG_SCORE_BALANCE] = x->balance;
	out[KG_SCORE_IMAGES] = x->images;
}

void kg_rank_buckets(struct kg_placing *p)
{
	judge(p);
	measure(p);
	for (uint32_t i = 0; i < p->nbuckets; i++) {
		struct kg_bucket *b = p->buckets[i];
		int64_t s[KG_SCORE_COUNT];
		if (b->verdict != KG_FIT)
			continue;
		bucket_scores(s, p, b);
		b->total = 0;
		for (int k = 0; k < KG_SCORE_COUNT; k++)
			b->total += s[k] * p->weight[k];
	}
}
