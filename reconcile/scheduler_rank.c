/*
 * Buckets judged: which fit by the rules of topology, and what their nodes are worth in what
 * depends on other nodes. Kubernetes normalises over the nodes that fit at the moment, and so do
 * we: one pass finds those and the extremes, another makes the totals.
 */
#include "reconcile/scheduler.h"

#include <math.h>
#include <string.h>

#define UNIT INT64_C(1000000) /* of raw spread scores and their weights */

/* ---- verdicts ---- */

static bool has_domain(const struct kg_axis *x, const int32_t *key)
{
	return x->topology->host ? key[x->at + KG_HOST_PRESENT] != 0 : key[x->at] >= 0;
}

static int64_t spread_count(const struct kg_spreading *sp, const int32_t *key)
{
	return sp->axis->topology->host ? key[sp->at] : sp->count[key[sp->axis->at]];
}

static enum kg_misfit spread_verdict(const struct kg_placing *p, const int32_t *key)
{
	for (size_t i = 0; i < p->c->nspread; i++) {
		const struct kg_spreading *sp = &p->spread[i];
		if (!sp->c->hard)
			continue;
		if (!has_domain(sp->axis, key))
			return KG_MISFIT_SPREAD_LABEL;
		if (spread_count(sp, key) + sp->c->self - sp->least > sp->c->max_skew)
			return KG_MISFIT_SPREAD;
	}
	return KG_FIT;
}

static bool affinity_holds(const struct kg_placing *p, const int32_t *key)
{
	bool near_all = true;
	for (unsigned i = 0; i < p->naxes; i++) {
		const struct kg_axis *x = &p->axes[i];
		if (!x->affinity)
			continue;
		if (!has_domain(x, key))
			return false;
		near_all &= x->topology->host ? key[x->at + KG_HOST_AFFINITY] != 0
					      : x->affinity[key[x->at]] > 0;
	}
	/* The first of a group that seeks itself may go anywhere. */
	return near_all || (p->affine == 0 && p->c->affine_self);
}

static bool keeps_away(const struct kg_placing *p, const int32_t *key, bool existing)
{
	for (unsigned i = 0; i < p->naxes; i++) {
		const struct kg_axis *x = &p->axes[i];
		const int32_t *counts = existing ? x->existing : x->anti;
		if (!counts || !has_domain(x, key))
			continue;
		bool there =
			x->topology->host
				? key[x->at + (existing ? KG_HOST_EXISTING : KG_HOST_ANTI)] != 0
				: counts[key[x->at]] > 0;
		if (there)
			return true;
	}
	return false;
}

enum kg_misfit kg_rank_verdict(const struct kg_placing *p, const int32_t *key)
{
	enum kg_misfit m = spread_verdict(p, key);
	if (m != KG_FIT)
		return m;
	if (p->c->naffinity && !affinity_holds(p, key))
		return KG_MISFIT_POD_AFFINITY;
	if (keeps_away(p, key, false))
		return KG_MISFIT_POD_ANTI;
	return keeps_away(p, key, true) ? KG_MISFIT_EXISTING_ANTI : KG_FIT;
}

/* ---- the global minimum of hard spreading ---- */

static void find_least(struct kg_spreading *sp)
{
	int64_t least = INT64_MAX;
	if (sp->domains == 0 || sp->domains < sp->c->min_domains) {
		sp->least = 0;
		return;
	}
	if (sp->axis->topology->host) {
		for (least = 0; !sp->histogram[least];)
			least++;
	} else {
		for (uint32_t d = 0; d < sp->axis->topology->ndomains; d++)
			if (sp->eligible[d] && sp->count[d] < least)
				least = sp->count[d];
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

static bool ignores(const struct kg_placing *p, const int32_t *key)
{
	if (p->c->spread_default)
		return false;
	for (size_t i = 0; i < p->c->nspread; i++)
		if (!p->spread[i].c->hard && !has_domain(p->spread[i].axis, key))
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
		int32_t d = sp->axis->topology->host ? 0 : b->key[sp->axis->at];
		if (sp->axis->topology->host)
			n += b->n;
		else if (d < 0)
			none = true;
		else if (p->stamp[d] != p->stamp_now) {
			p->stamp[d] = p->stamp_now;
			n++;
		}
	}
	return n + none;
}

static int64_t raw_spread(const struct kg_placing *p, const int32_t *key)
{
	int64_t sum = 0;
	for (size_t i = 0; i < p->c->nspread; i++) {
		const struct kg_spreading *sp = &p->spread[i];
		if (!sp->c->hard && has_domain(sp->axis, key))
			sum += spread_count(sp, key) * sp->weight + (sp->c->max_skew - 1) * UNIT;
	}
	return (sum + UNIT / 2) / UNIT;
}

static int64_t raw_affinity(const struct kg_placing *p, const int32_t *key)
{
	int64_t sum = 0;
	for (unsigned i = 0; i < p->naxes; i++) {
		const struct kg_axis *x = &p->axes[i];
		if (x->score && has_domain(x, key))
			sum += x->topology->host ? key[x->at + KG_HOST_SCORE]
						 : x->score[key[x->at]];
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
		b->verdict = kg_rank_verdict(p, b->key);
		b->ignored = ignores(p, b->key);
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
		r->fit += b->n;
		b->spread = raw_spread(p, b->key);
		b->affinity = p->scored ? raw_affinity(p, b->key) : 0;
		if (!b->ignored)
			widen(&r->spread_min, &r->spread_max, b->spread);
		widen(&r->affinity_min, &r->affinity_max, b->affinity);
		int64_t pref = b->key[p->preference_at], soft = b->key[p->soft_at];
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
	int64_t pref = b->key[p->preference_at], soft = b->key[p->soft_at];
	int64_t width = r->affinity_max - r->affinity_min;
	memset(out, 0, KG_SCORE_COUNT * sizeof(*out));
	out[KG_SCORE_TAINTS] = r->soft ? 100 - 100 * soft / r->soft : 100;
	out[KG_SCORE_AFFINITY] = r->preference ? 100 * pref / r->preference : 0;
	out[KG_SCORE_SPREAD] = spread_score(p, b);
	if (p->scored && width > 0)
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
