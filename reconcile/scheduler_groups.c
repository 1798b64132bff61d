/*
 * Pods by namespace and labels. A Deployment's pods are one group, so whether a selector matches
 * is asked once a group and not once a pod; who counts pods is subscribed to the groups that it
 * matches. Groups are found by each of their labels, and so are those who might count them.
 */
#include "reconcile/scheduler.h"

#include "base/slab.h"

#include <string.h>

enum { SWEEP_AT = 4096 };

static void key_of(struct kg_buf *key, const char *ns, const struct kg_value *labels)
{
	kg_buf_adds(key, ns);
	for (uint32_t i = 0; i < kg_len(labels); i++) {
		kg_buf_addc(key, '\x02');
		kg_buf_adds(key, labels->members[i].key);
		kg_buf_addc(key, '\x01');
		kg_buf_adds(key, kg_string(&labels->members[i].value, ""));
	}
}

void kg_pair_key(struct kg_buf *out, const char *label, const char *value)
{
	kg_buf_clear(out);
	kg_buf_adds(out, label);
	kg_buf_addc(out, '\x01');
	kg_buf_adds(out, value);
}

/* ---- lists by label ---- */

void kg_pairs_add(struct kg_map *m, const char *pair, void *item)
{
	struct kg_pair_list *l = kg_map_get(m, pair);
	if (!l) {
		l = kg_slab_zeroed(KG_SLAB_STATE, sizeof(*l));
		kg_map_put(m, pair, l);
	}
	KG_SLAB_GROW(KG_SLAB_STATE, l->v, l->cap, l->n + 1);
	l->v[l->n++] = item;
}

static void list_free(struct kg_pair_list *l)
{
	kg_slab_free(l->v, l->cap * sizeof(*l->v));
	kg_slab_free(l, sizeof(*l));
}

void kg_pairs_remove(struct kg_map *m, const char *pair, const void *item)
{
	struct kg_pair_list *l = kg_map_get(m, pair);
	for (size_t i = 0; l && i < l->n; i++)
		if (l->v[i] == item) {
			l->v[i] = l->v[--l->n];
			break;
		}
	if (l && l->n == 0) {
		kg_map_remove(m, pair);
		list_free(l);
	}
}

static void each_pair(struct kg_sched *sc, struct kg_group *g, bool on)
{
	KG_AUTOBUF struct kg_buf pair = KG_BUF_INIT;
	for (uint32_t i = 0; i < kg_len(g->labels); i++) {
		kg_pair_key(&pair, g->labels->members[i].key,
			kg_string(&g->labels->members[i].value, ""));
		if (on)
			kg_pairs_add(&sc->groups_by_pair, pair.data, g);
		else
			kg_pairs_remove(&sc->groups_by_pair, pair.data, g);
	}
}

/* ---- groups ---- */

void kg_group_subscribe(struct kg_group *g, struct kg_peers *p)
{
	KG_SLAB_GROW(KG_SLAB_STATE, g->subs, g->subs_cap, g->nsubs + 1);
	g->subs[g->nsubs++] = p;
}

void kg_group_unsubscribe(struct kg_group *g, const struct kg_peers *p)
{
	for (size_t i = 0; i < g->nsubs; i++)
		if (g->subs[i] == p)
			g->subs[i--] = g->subs[--g->nsubs];
}

static void subscribe_list(
	struct kg_group *g, const struct kg_pair_list *l, const struct kg_snapshot *s)
{
	for (size_t i = 0; l && i < l->n; i++)
		if (kg_peers_want(l->v[i], s, g))
			kg_group_subscribe(g, l->v[i]);
}

static struct kg_group *group_new(struct kg_sched *sc, const struct kg_snapshot *s, const char *key,
	const char *ns, const struct kg_value *labels)
{
	KG_AUTOBUF struct kg_buf pair = KG_BUF_INIT;
	struct kg_group *g = kg_slab_zeroed(KG_SLAB_STATE, sizeof(*g));
	g->doc = kg_doc_new(labels, NULL, 0);
	g->labels = kg_doc_value(g->doc);
	g->ns = kg_slab_strdup(KG_SLAB_STATE, ns);
	kg_map_put(&sc->groups, key, g);
	each_pair(sc, g, true);
	subscribe_list(g, kg_map_get(&sc->peers_by_pair, ""), s);
	for (uint32_t i = 0; i < kg_len(labels); i++) {
		kg_pair_key(
			&pair, labels->members[i].key, kg_string(&labels->members[i].value, ""));
		subscribe_list(g, kg_map_get(&sc->peers_by_pair, pair.data), s);
	}
	return g;
}

static void group_free(struct kg_group *g)
{
	kg_tally_release(&g->all);
	kg_tally_release(&g->leaving);
	kg_doc_unref(g->doc);
	kg_slab_strfree(g->ns);
	kg_slab_free(g->subs, g->subs_cap * sizeof(*g->subs));
	kg_slab_free(g, sizeof(*g));
}

static struct kg_group *group_of(struct kg_sched *sc, const struct kg_snapshot *s, const char *ns,
	const struct kg_value *labels)
{
	struct kg_group *g = sc->last_group; /* pods of one template come one after the other */
	if (g && strcmp(g->ns, ns) == 0 && kg_equal(g->labels, labels))
		return g;
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	key_of(&key, ns, labels);
	g = kg_map_get(&sc->groups, key.data);
	return sc->last_group = g ? g : group_new(sc, s, key.data, ns, labels);
}

void kg_groups_track(struct kg_reconcile_state *st, const struct kg_snapshot *s, uint32_t slot,
	const struct kg_object *pod, bool on)
{
	struct kg_sched *sc = st->sched;
	const struct kg_value *labels = kg_meta(pod, "labels");
	struct kg_group *g = group_of(sc, s, pod->ns, labels);
	bool leaving = kg_object_deleting(pod);
	kg_tally_add(&g->all, slot, on ? 1 : -1);
	if (leaving)
		kg_tally_add(&g->leaving, slot, on ? 1 : -1);
	for (size_t i = 0; i < g->nsubs; i++)
		if (!leaving || !g->subs[i]->alive)
			kg_tally_add(&g->subs[i]->by_node, slot, on ? 1 : -1);
}

void kg_groups_forget_slot(struct kg_sched *sc, uint32_t slot)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->groups, &i));) {
		struct kg_group *g = e->value;
		kg_tally_clear(&g->all, slot);
		kg_tally_clear(&g->leaving, slot);
	}
}

/* Groups without pods go once they are many. */
void kg_groups_sweep(struct kg_sched *sc)
{
	struct kg_map_entry *e;
	if (sc->groups.count < sc->groups_swept + SWEEP_AT)
		return;
	sc->last_group = NULL;
	for (size_t i = 0; (e = kg_map_next(&sc->groups, &i));) {
		struct kg_group *g = e->value;
		if (g->all.total)
			continue;
		each_pair(sc, g, false);
		kg_map_remove(&sc->groups, e->key);
		group_free(g);
	}
	sc->groups_swept = sc->groups.count;
}

static void free_lists(struct kg_map *m)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(m, &i));)
		list_free(e->value);
	kg_map_release(m);
}

void kg_groups_free(struct kg_sched *sc)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->groups, &i));)
		group_free(e->value);
	kg_map_release(&sc->groups);
	free_lists(&sc->groups_by_pair);
	free_lists(&sc->peers_by_pair);
}
