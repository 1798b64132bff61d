#include "reconcile/placing_walk.h"
#include "reconcile/scheduler.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define UNIT INT64_C(1000000)

struct seen { /* a node as the pod sees it */
	const struct kg_node_info *n;
	bool fits, ignored;
	int64_t spread, affinity, total;
};
struct walk {
	const struct kg_snapshot *s;
	struct kg_reconcile_state *st;
	struct kg_pod_class c;
	const struct kg_value *labels; /* of the pod */
	struct kg_arena a;
	struct kg_list pods; /* that count on a node */
	struct seen nodes[KG_WALK_NODES];
	size_t nnodes;
};

static const struct kg_node_info *node_of(const struct walk *w, const struct kg_object *pod)
{
	return kg_node_info(w->st, kg_pod_node(pod));
}

static const char *domain(const struct kg_node_info *n, const char *topology)
{
	return kg_string(kg_get(n->labels, topology), NULL);
}

static bool near_by(
	const struct kg_node_info *a, const struct kg_node_info *b, const char *topology)
{
	const char *x = domain(a, topology), *y = domain(b, topology);
	return x && y && strcmp(x, y) == 0;
}

static bool is_peer(const struct walk *w, const struct kg_peers *peers, const struct kg_object *pod)
{
	struct kg_group g = {
		.ns = (char *)pod->ns, .labels = kg_get(kg_get(kg_obj(pod), "metadata"), "labels")};
	return kg_peers_want(peers, w->s, &g) && !(peers->alive && kg_object_deleting(pod));
}

static int64_t peers_near(const struct walk *w, const struct kg_peers *peers,
	const struct kg_node_info *n, const char *topology)
{
	int64_t count = 0;
	for (size_t i = 0; i < w->pods.n; i++)
		count += is_peer(w, peers, w->pods.v[i]) &&
			 near_by(node_of(w, w->pods.v[i]), n, topology);
	return count;
}

/* Of others' terms, in a list of theirs, those that speak of the pod, near the node. */
static int64_t met(
	struct walk *w, const struct kg_node_info *n, const char *list, bool soft, int64_t weight)
{
	int64_t sum = 0;
	for (size_t i = 0; i < w->pods.n; i++) {
		const struct kg_object *other = w->pods.v[i];
		const struct kg_value *terms = kg_at(kg_obj(other), list);
		for (uint32_t k = 0; k < kg_len(terms); k++) {
			const struct kg_value *t = &terms->items[k];
			int64_t by = soft ? weight * kg_int(kg_get(t, "weight"), 0) : weight;
			t = soft ? kg_get(t, "podAffinityTerm") : t;
			struct kg_value peers = kg_peers_of_term(&w->a, other, t);
			if (near_by(node_of(w, other), n,
				    kg_string(kg_get(t, "topologyKey"), "")) &&
				kg_peers_match(&peers, w->s, w->c.pod->ns, w->labels))
				sum += by;
		}
	}
	return sum;
}

static bool affinity_holds(struct walk *w, const struct kg_node_info *n)
{
	bool all = true, any = false;
	for (size_t i = 0; i < w->c.naffinity; i++) {
		const char *topology = w->c.affinity[i].topology->key;
		if (!domain(n, topology))
			return false;
		all &= peers_near(w, w->c.affine, n, topology) > 0;
		for (size_t k = 0; k < w->pods.n; k++)
			any |= is_peer(w, w->c.affine, w->pods.v[k]) &&
			       domain(node_of(w, w->pods.v[k]), topology);
	}
	return all || (!any && w->c.affine_self);
}

static bool kept_away(struct walk *w, const struct kg_node_info *n)
{
	for (size_t i = 0; i < w->c.nanti; i++)
		if (peers_near(w, w->c.anti[i].peers, n, w->c.anti[i].topology->key))
			return true;
	return met(w, n, "spec.affinity.podAntiAffinity." HARD_LIST, false, 1) > 0;
}

/* Does the node count for the constraint? */
static bool takes(const struct walk *w, const struct kg_spread *c, const struct kg_node_info *n)
{
	if ((c->honor_affinity && !kg_fit_affinity(&w->c, n)) ||
		(!c->ignore_taints && !kg_fit_taints(&w->c, n)))
		return false;
	for (size_t i = 0; i < w->c.nspread; i++)
		if (w->c.spread[i].hard == c->hard && !(w->c.spread_default && !c->hard) &&
			!domain(n, w->c.spread[i].topology->key))
			return false;
	return true;
}

static int64_t spread_count(
	const struct walk *w, const struct kg_spread *c, const struct kg_node_info *n)
{
	int64_t count = 0;
	for (size_t i = 0; i < w->pods.n; i++) {
		const struct kg_node_info *at = node_of(w, w->pods.v[i]);
		count += is_peer(w, c->peers, w->pods.v[i]) && near_by(at, n, c->topology->key) &&
			 ((!c->hard && c->topology->host) || takes(w, c, at));
	}
	return count;
}

static bool is_first_of_domain(const struct walk *w, size_t i, const struct kg_spread *c)
{
	for (size_t k = 0; k < i; k++)
		if (takes(w, c, w->nodes[k].n) &&
			near_by(w->nodes[k].n, w->nodes[i].n, c->topology->key))
			return false;
	return true;
}

static bool spread_holds(const struct walk *w, const struct kg_node_info *n)
{
	for (size_t i = 0; i < w->c.nspread; i++) {
		const struct kg_spread *c = &w->c.spread[i];
		int64_t least = INT64_MAX, domains = 0;
		if (!c->hard)
			continue;
		if (!domain(n, c->topology->key))
			return false;
		for (size_t k = 0; k < w->nnodes; k++) {
			const struct kg_node_info *other = w->nodes[k].n;
			if (!takes(w, c, other))
				continue;
			int64_t count = spread_count(w, c, other);
			domains += is_first_of_domain(w, k, c);
			least = count < least ? count : least;
		}
		if (domains == 0 || domains < c->min_domains)
			least = 0;
		if (spread_count(w, c, n) + c->self - least > c->max_skew)
			return false;
	}
	return true;
}

static bool fits(struct walk *w, const struct kg_node_info *n)
{
	return kg_fit_static(&w->c, n) == KG_FIT && kg_fit_room(&w->c, n) == KG_FIT &&
	       kg_fit_volumes(&w->c, n) && spread_holds(w, n) &&
	       (!w->c.naffinity || affinity_holds(w, n)) && !kept_away(w, n);
}

/* ---- scores ---- */

static bool lacks_label(const struct walk *w, const struct kg_node_info *n)
{
	bool lacks = false;
	for (size_t i = 0; i < w->c.nspread && !w->c.spread_default; i++)
		lacks |= !w->c.spread[i].hard && !domain(n, w->c.spread[i].topology->key);
	return lacks;
}

/* By how many domains the nodes that fit differ; those without are one. */
static int64_t spread_weight(const struct walk *w, const char *topology)
{
	int64_t n = 0;
	for (size_t i = 0; i < w->nnodes; i++) {
		const struct seen *x = &w->nodes[i];
		bool first = x->fits && !x->ignored;
		for (size_t k = 0; k < i && first; k++) {
			const struct seen *y = &w->nodes[k];
			bool same = near_by(x->n, y->n, topology) ||
				    (!domain(x->n, topology) && !domain(y->n, topology));
			first = !(y->fits && !y->ignored && same);
		}
		n += first;
	}
	return (int64_t)(log((double)n + 2) * UNIT + 0.5);
}

static void measure(struct walk *w, struct seen *x)
{
	int64_t sum = 0;
	for (size_t i = 0; i < w->c.nspread; i++) {
		const struct kg_spread *c = &w->c.spread[i];
		if (!c->hard && domain(x->n, c->topology->key))
			sum += spread_count(w, c, x->n) * spread_weight(w, c->topology->key) +
			       (c->max_skew - 1) * UNIT;
	}
	x->spread = (sum + UNIT / 2) / UNIT;
	for (size_t i = 0; i < w->c.nscored; i++)
		x->affinity += w->c.scored[i].weight * peers_near(w, w->c.scored[i].peers, x->n,
							       w->c.scored[i].topology->key);
	x->affinity += met(w, x->n, "spec.affinity.podAffinity." HARD_LIST, false, 1) +
		       met(w, x->n, "spec.affinity.podAffinity." SOFT_LIST, true, 1) +
		       met(w, x->n, "spec.affinity.podAntiAffinity." SOFT_LIST, true, -1);
}

struct extremes {
	int64_t preference, soft, spread_min, spread_max, affinity_min, affinity_max;
};

static void widen(int64_t *min, int64_t *max, int64_t v)
{
	*min = v < *min ? v : *min;
	*max = v > *max ? v : *max;
}

static struct extremes extremes_of(const struct walk *w)
{
	struct extremes e = {0, 0, INT64_MAX, 0, INT64_MAX, INT64_MIN};
	int64_t none = 0;
	for (size_t i = 0; i < w->nnodes; i++) {
		const struct seen *x = &w->nodes[i];
		if (!x->fits)
			continue;
		if (!x->ignored)
			widen(&e.spread_min, &e.spread_max, x->spread);
		widen(&e.affinity_min, &e.affinity_max, x->affinity);
		widen(&none, &e.preference, kg_fit_preference(&w->c, x->n));
		widen(&none, &e.soft, kg_fit_soft_taints(&w->c, x->n));
	}
	return e;
}

static int64_t total_of(const struct walk *w, const struct extremes *e, const struct seen *x)
{
	int64_t s[KG_SCORE_COUNT] = {0}, total = 0, width = e->affinity_max - e->affinity_min;
	bool soft = false;
	for (size_t i = 0; i < w->c.nspread; i++)
		soft |= !w->c.spread[i].hard;
	s[KG_SCORE_TAINTS] = e->soft ? 100 - 100 * kg_fit_soft_taints(&w->c, x->n) / e->soft : 100;
	s[KG_SCORE_AFFINITY] =
		e->preference ? 100 * kg_fit_preference(&w->c, x->n) / e->preference : 0;
	if (soft && !x->ignored)
		s[KG_SCORE_SPREAD] =
			e->spread_max
				? 100 * (e->spread_max + e->spread_min - x->spread) / e->spread_max
				: 100;
	if (width)
		s[KG_SCORE_POD_AFFINITY] =
			(int64_t)(100 * ((double)(x->affinity - e->affinity_min) / (double)width));
	s[KG_SCORE_RESOURCES] = kg_score_room(&w->c, x->n);
	s[KG_SCORE_BALANCE] = kg_score_balance(&w->c, x->n);
	s[KG_SCORE_IMAGES] = kg_score_images(w->st->sched, &w->c, x->n);
	for (int k = 0; k < KG_SCORE_COUNT; k++)
		total += s[k] * kg_score_weight(k);
	return total;
}

static uint64_t tie(const struct walk *w, const struct kg_node_info *n)
{
	uint64_t x = n->hash ^ w->c.seed * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 32) * UINT64_C(0xd6e8feb86659fd93);
	uint64_t pods = (uint64_t)n->pods;
	return (w->c.profile->most_allocated ? pods : 0xffff - pods) << 48 | (x ^ x >> 32) >> 16;
}

static const char *best(struct walk *w)
{
	const struct seen *best = NULL;
	for (size_t i = 0; i < w->nnodes; i++) {
		w->nodes[i].fits = fits(w, w->nodes[i].n);
		w->nodes[i].ignored = lacks_label(w, w->nodes[i].n);
	}
	for (size_t i = 0; i < w->nnodes; i++)
		measure(w, &w->nodes[i]);
	struct extremes e = extremes_of(w);
	for (size_t i = 0; i < w->nnodes; i++) {
		struct seen *x = &w->nodes[i];
		if (!x->fits)
			continue;
		x->total = total_of(w, &e, x);
		if (!best || x->total > best->total ||
			(x->total == best->total && tie(w, x->n) > tie(w, best->n)))
			best = x;
	}
	return best ? best->n->name : "";
}

static void collect(struct walk *w)
{
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_map_entry *e;
	kg_iter_kind(&it, w->s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		if (*kg_pod_node(pod) && !kg_pod_terminal(pod))
			kg_list_add(&w->pods, pod);
	kg_iter_release(&it);
	for (size_t i = 0; (e = kg_map_next(&w->st->nodes, &i));)
		if (w->nnodes < KG_WALK_NODES)
			w->nodes[w->nnodes++].n = e->value;
}

void kg_walk(char node[KG_WALK_NAME], const struct kg_reconcile_options *opts,
	const struct kg_snapshot *s, const struct kg_object *pod)
{
	struct walk w = {.s = s, .a = KG_ARENA_INIT};
	w.st = kg_reconcile_state_new(s, opts);
	w.labels = kg_get(kg_get(kg_obj(pod), "metadata"), "labels");
	kg_class_init(&w.c, w.st, s, &w.a, pod);
	collect(&w);
	snprintf(node, KG_WALK_NAME, "%s", best(&w));
	kg_list_release(&w.pods);
	kg_reconcile_state_free(w.st);
	kg_arena_release(&w.a);
}
