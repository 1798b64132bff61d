/*
 * Which pods a term speaks of, and how many of them each node has. Counted once, when somebody
 * first asks; from then on every pod that comes or goes is looked up by its labels.
 *
 * A term is written as {namespaces: [...], namespaceSelector: ..., selector: ...}, sorted and with
 * the pod's own namespace filled in, so that the terms of a Deployment's pods are one.
 */
#include "reconcile/scheduler.h"

#include "base/slab.h"
#include "value/json.h"

#include <string.h>

enum { PEERS_MAX = 20000 };

/* ---- terms as values ---- */

static struct kg_value expression(struct kg_arena *a, const char *key, const char *op,
	const struct kg_value *values, size_t n)
{
	return kg_v_obj(a, "key", kg_v_lit(key), "operator", kg_v_lit(op), "values",
		kg_v_array(a, values, n), (char *)NULL);
}

static struct kg_value with_keys(struct kg_arena *a, const struct kg_value *selector,
	const struct kg_value *labels, const struct kg_value *keys, const char *op)
{
	struct kg_value out = *selector;
	for (uint32_t i = 0; i < kg_len(keys); i++) {
		const char *key = kg_string(&keys->items[i], "");
		const struct kg_value *v = kg_get(labels, key);
		if (kg_is_null(v)) /* what the pod does not have is left out */
			continue;
		struct kg_value es = kg_with_item(
			a, kg_get(&out, "matchExpressions"), expression(a, key, op, v, 1));
		out = kg_with_key(a, &out, "matchExpressions", es);
	}
	return out;
}

struct kg_value kg_selector_with_keys(struct kg_arena *a, const struct kg_value *selector,
	const struct kg_value *labels, const struct kg_value *match,
	const struct kg_value *mismatch)
{
	if (kg_is_null(selector))
		return *selector;
	struct kg_value out = with_keys(a, selector, labels, match, "In");
	return with_keys(a, &out, labels, mismatch, "NotIn");
}

static int cmp_string(const void *a, const void *b)
{
	return strcmp(kg_string(a, ""), kg_string(b, ""));
}

static struct kg_value peers_value(struct kg_arena *a, const struct kg_value *namespaces, size_t n,
	const struct kg_value *ns_selector, struct kg_value selector)
{
	struct kg_value *ns = kg_arena_alloc(a, (n + 1) * sizeof(*ns));
	if (n) {
		memcpy(ns, namespaces, n * sizeof(*ns));
		qsort(ns, n, sizeof(*ns), cmp_string);
	}
	return kg_v_obj(a, "namespaceSelector", *ns_selector, "namespaces", kg_v_array(a, ns, n),
		"selector", selector, (char *)NULL);
}

struct kg_value kg_peers_of_selector(
	struct kg_arena *a, const char *ns, const struct kg_value *selector)
{
	struct kg_value v = kg_v_lit(ns);
	return peers_value(a, &v, 1, &kg_null, *selector);
}

struct kg_value kg_peers_of_term(
	struct kg_arena *a, const struct kg_object *pod, const struct kg_value *term)
{
	const struct kg_value *labels = kg_meta(pod, "labels");
	const struct kg_value *ns = kg_get(term, "namespaces");
	const struct kg_value *nss = kg_get(term, "namespaceSelector");
	struct kg_value selector = kg_selector_with_keys(a, kg_get(term, "labelSelector"), labels,
		kg_get(term, "matchLabelKeys"), kg_get(term, "mismatchLabelKeys"));
	struct kg_value own = kg_v_lit(pod->ns);
	if (kg_len(ns) == 0 && kg_is_null(nss))
		return peers_value(a, &own, 1, nss, selector);
	return peers_value(a, kg_len(ns) ? ns->items : NULL, kg_len(ns), nss, selector);
}

/* ---- matching ---- */

bool kg_peers_match(const struct kg_value *term, const struct kg_snapshot *s, const char *ns,
	const struct kg_value *labels)
{
	const struct kg_value *list = kg_get(term, "namespaces");
	bool in = false;
	for (uint32_t i = 0; i < kg_len(list) && !in; i++)
		in = strcmp(kg_string(&list->items[i], ""), ns) == 0;
	if (!in) {
		const struct kg_value *nss = kg_get(term, "namespaceSelector");
		if (kg_is_null(nss))
			return false;
		const struct kg_object *o = kg_snapshot_get(s, KG_KIND_NAMESPACE, "", ns);
		if (!kg_selector_matches(nss, o ? kg_meta(o, "labels") : &kg_null))
			return false;
	}
	return kg_selector_matches(kg_get(term, "selector"), labels);
}

bool kg_peers_want(const struct kg_peers *p, const struct kg_snapshot *s, const struct kg_group *g)
{
	const struct kg_value *terms = kg_doc_value(p->doc);
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (!kg_peers_match(&terms->items[i], s, g->ns, g->labels))
			return false;
	return true;
}

/* ---- the register ---- */

static const struct kg_value *wanted_labels(const struct kg_peers *p)
{
	const struct kg_value *sel = kg_get(&kg_doc_value(p->doc)->items[0], "selector");
	return kg_get(sel, "matchLabels");
}

/* Where groups find it: under the first label that it wants, or under "" with every group. */
static void pair_of(struct kg_buf *out, const struct kg_peers *p)
{
	const struct kg_value *labels = wanted_labels(p);
	kg_buf_clear(out);
	if (kg_len(labels))
		kg_pair_key(out, labels->members[0].key, kg_string(&labels->members[0].value, ""));
}

static void peers_free(struct kg_peers *p)
{
	kg_tally_release(&p->by_node);
	kg_doc_unref(p->doc);
	kg_slab_strfree(p->key);
	kg_slab_free(p, sizeof(*p));
}

static void count_group(struct kg_peers *p, const struct kg_snapshot *s, struct kg_group *g)
{
	uint32_t slot;
	int32_t n;
	if (!kg_peers_want(p, s, g))
		return;
	kg_group_subscribe(g, p);
	for (uint32_t i = 0; kg_tally_next(&g->all, &i, &slot, &n);)
		kg_tally_add(&p->by_node, slot, n);
	for (uint32_t i = 0; p->alive && kg_tally_next(&g->leaving, &i, &slot, &n);)
		kg_tally_add(&p->by_node, slot, -n);
}

/* Among the groups that have the rarest of the labels wanted; or among all. */
static void count_groups(struct kg_sched *sc, const struct kg_snapshot *s, struct kg_peers *p)
{
	const struct kg_value *labels = wanted_labels(p);
	const struct kg_pair_list *least = NULL;
	KG_AUTOBUF struct kg_buf pair = KG_BUF_INIT;
	for (uint32_t i = 0; i < kg_len(labels); i++) {
		kg_pair_key(
			&pair, labels->members[i].key, kg_string(&labels->members[i].value, ""));
		const struct kg_pair_list *l = kg_map_get(&sc->groups_by_pair, pair.data);
		if (!l)
			return;
		least = !least || l->n < least->n ? l : least;
	}
	for (size_t i = 0; least && i < least->n; i++)
		count_group(p, s, least->v[i]);
	struct kg_map_entry *e;
	for (size_t i = 0; !least && (e = kg_map_next(&sc->groups, &i));)
		count_group(p, s, e->value);
}

struct kg_peers *kg_peers_get(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_value *terms, size_t n, bool alive)
{
	struct kg_sched *sc = st->sched;
	struct kg_value list = {.type = KG_ARRAY, .len = (uint32_t)n, .items = terms};
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	kg_buf_adds(&key, alive ? "alive" : "all");
	kg_json_write(&key, &list);
	struct kg_peers *p = kg_map_get(&sc->peers, key.data);
	if (!p) {
		KG_AUTOBUF struct kg_buf pair = KG_BUF_INIT;
		p = kg_slab_zeroed(KG_SLAB_STATE, sizeof(*p));
		p->key = kg_slab_strdup(KG_SLAB_STATE, key.data);
		p->doc = kg_doc_new(&list, NULL, 0);
		p->alive = alive;
		kg_map_put(&sc->peers, key.data, p);
		count_groups(sc, s, p);
		pair_of(&pair, p);
		kg_pairs_add(&sc->peers_by_pair, kg_buf_str(&pair), p);
	}
	p->used = sc->runs;
	return p;
}

/* ---- terms that pods carry ---- */

static void carried_free(struct kg_carried *t)
{
	kg_tally_release(&t->by_node);
	kg_doc_unref(t->doc);
	kg_slab_strfree(t->key);
	kg_slab_free(t, sizeof(*t));
}

static void carry(struct kg_sched *sc, uint32_t slot, const struct kg_object *pod, bool on,
	const struct kg_value *term, enum kg_carried_kind kind, int64_t weight)
{
	struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	struct kg_value peers = kg_peers_of_term(&a, pod, term);
	const char *topology = kg_string(kg_get(term, "topologyKey"), "");
	kg_buf_addf(&key, "%d %lld %s ", (int)kind, (long long)weight, topology);
	kg_json_write(&key, &peers);
	struct kg_carried *t = kg_map_get(&sc->carried, key.data);
	if (!t && on) {
		t = kg_slab_zeroed(KG_SLAB_STATE, sizeof(*t));
		t->key = kg_slab_strdup(KG_SLAB_STATE, key.data);
		struct kg_value both[] = {peers, kg_v_lit(topology)};
		struct kg_value list = kg_v_array(&a, both, 2);
		t->doc = kg_doc_new(&list, NULL, 0);
		t->topology = kg_string(&kg_doc_value(t->doc)->items[1], "");
		t->kind = kind;
		t->weight = weight;
		kg_map_put(&sc->carried, key.data, t);
	}
	if (t)
		kg_tally_add(&t->by_node, slot, on ? 1 : -1);
	if (t && t->by_node.total == 0) {
		kg_map_remove(&sc->carried, key.data);
		carried_free(t);
	}
	kg_arena_release(&a);
}

static void carry_list(struct kg_sched *sc, uint32_t slot, const struct kg_object *pod, bool on,
	const struct kg_value *affinity, bool anti)
{
	const struct kg_value *hard =
		kg_get(affinity, "requiredDuringSchedulingIgnoredDuringExecution");
	const struct kg_value *soft =
		kg_get(affinity, "preferredDuringSchedulingIgnoredDuringExecution");
	/* Required affinity of others counts as a preference of weight 1
	 * (hardPodAffinityWeight's default). */
	for (uint32_t i = 0; i < kg_len(hard); i++)
		carry(sc, slot, pod, on, &hard->items[i], anti ? KG_CARRIED_ANTI : KG_CARRIED_SCORE,
			anti ? 0 : 1);
	for (uint32_t i = 0; i < kg_len(soft); i++) {
		int64_t w = kg_int(kg_get(&soft->items[i], "weight"), 0);
		carry(sc, slot, pod, on, kg_get(&soft->items[i], "podAffinityTerm"),
			KG_CARRIED_SCORE, anti ? -w : w);
	}
}

void kg_carried_track(
	struct kg_reconcile_state *st, uint32_t slot, const struct kg_object *pod, bool on)
{
	const struct kg_value *affinity = kg_spec(pod, "affinity");
	if (kg_is_null(affinity))
		return;
	carry_list(st->sched, slot, pod, on, kg_get(affinity, "podAffinity"), false);
	carry_list(st->sched, slot, pod, on, kg_get(affinity, "podAntiAffinity"), true);
}

/* ---- forgetting ---- */

static void forget(struct kg_sched *sc, struct kg_peers *p)
{
	KG_AUTOBUF struct kg_buf pair = KG_BUF_INIT;
	struct kg_map_entry *e;
	pair_of(&pair, p);
	kg_pairs_remove(&sc->peers_by_pair, kg_buf_str(&pair), p);
	for (size_t i = 0; (e = kg_map_next(&sc->groups, &i));)
		kg_group_unsubscribe(e->value, p);
	kg_map_remove(&sc->peers, p->key);
	peers_free(p);
}

void kg_peers_age(struct kg_sched *sc)
{
	kg_groups_sweep(sc);
	if (sc->peers.count < PEERS_MAX)
		return;
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->peers, &i));)
		if (((struct kg_peers *)e->value)->used + 1 < sc->runs)
			forget(sc, e->value);
}

void kg_peers_drop(struct kg_sched *sc, bool namespaces_only)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->peers, &i));) {
		struct kg_peers *p = e->value;
		const struct kg_value *terms = kg_doc_value(p->doc);
		bool by_namespace = !namespaces_only;
		for (uint32_t k = 0; k < kg_len(terms); k++)
			by_namespace |= !kg_is_null(kg_get(&terms->items[k], "namespaceSelector"));
		if (by_namespace)
			forget(sc, p);
	}
	if (namespaces_only)
		return;
	for (size_t i = 0; (e = kg_map_next(&sc->carried, &i));)
		carried_free(e->value);
	kg_map_release(&sc->carried);
	kg_map_release(&sc->peers);
}
