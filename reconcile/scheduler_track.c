/* What the scheduler remembers follows nodes and pods: slots, changed slots, topologies. */
#include "reconcile/scheduler.h"

#include "base/slab.h"

#include <string.h>

enum { LOG_MAX = 1 << 16 };

void kg_sched_new(struct kg_reconcile_state *st)
{
	st->sched = kg_alloc(sizeof(*st->sched));
}

static void topology_free(struct kg_topology *t)
{
	kg_map_release(&t->values);
	free(t->key);
	free(t->domain);
	free(t);
}

void kg_sched_free(struct kg_reconcile_state *st)
{
	struct kg_sched *sc = st->sched;
	struct kg_map_entry *e;
	if (!sc)
		return;
	kg_shapes_free(sc);
	kg_peers_drop(sc, false);
	kg_groups_free(sc);
	kg_images_free(sc);
	for (size_t i = 0; (e = kg_map_next(&sc->topologies, &i));)
		topology_free(e->value);
	kg_map_release(&sc->topologies);
	free(sc->nodes);
	free(sc->free);
	free(sc->log);
	kg_slab_free(sc->levels, sc->levels_cap * sizeof(*sc->levels));
	free(sc);
	st->sched = NULL;
}

/* ---- changed slots ---- */

void kg_sched_touch(struct kg_sched *sc, uint32_t slot)
{
	if (sc->log_n == LOG_MAX) {
		memmove(sc->log, sc->log + LOG_MAX / 2, LOG_MAX / 2 * sizeof(*sc->log));
		sc->log_n -= LOG_MAX / 2;
		sc->log_first += LOG_MAX / 2;
	}
	size_t cap = sc->log_cap;
	KG_GROW(sc->log, cap, sc->log_n + 1);
	sc->log_cap = cap;
	sc->log[sc->log_n++] = slot;
}

/* ---- topologies ---- */

static uint32_t domain_of(struct kg_topology *t, const struct kg_node_info *n)
{
	const char *v = kg_string(kg_get(n->labels, t->key), NULL);
	if (!v)
		return KG_NO_DOMAIN;
	if (t->host)
		return n->slot;
	uintptr_t id = (uintptr_t)kg_map_get(&t->values, v);
	if (!id) {
		id = ++t->ndomains;
		kg_map_put(&t->values, v, (void *)id);
	}
	return (uint32_t)id - 1;
}

struct kg_topology *kg_topology_get(struct kg_sched *sc, const char *key)
{
	struct kg_topology *t = kg_map_get(&sc->topologies, key);
	if (t)
		return t;
	t = kg_alloc(sizeof(*t));
	t->key = kg_strdup(key);
	t->host = strcmp(key, KG_HOSTNAME) == 0;
	t->domain = kg_alloc((sc->cap + 1) * sizeof(*t->domain));
	kg_map_put(&sc->topologies, key, t);
	for (uint32_t i = 0; i < sc->nslots; i++)
		t->domain[i] = sc->nodes[i] ? domain_of(t, sc->nodes[i]) : KG_NO_DOMAIN;
	return t;
}

/* ---- slots ---- */

static void more_slots(struct kg_sched *sc)
{
	struct kg_map_entry *e;
	sc->cap = sc->cap ? 2 * sc->cap : 64;
	sc->nodes = kg_realloc(sc->nodes, sc->cap * sizeof(struct kg_node_info *));
	for (size_t i = 0; (e = kg_map_next(&sc->topologies, &i));) {
		struct kg_topology *t = e->value;
		t->domain = kg_realloc(t->domain, (sc->cap + 1) * sizeof(*t->domain));
	}
}

static void take_slot(struct kg_sched *sc, struct kg_node_info *n)
{
	if (sc->nfree) {
		n->slot = sc->free[--sc->nfree];
	} else {
		if (sc->nslots == sc->cap)
			more_slots(sc);
		n->slot = sc->nslots++;
	}
	sc->nodes[n->slot] = n;
}

void kg_sched_node(struct kg_reconcile_state *st, struct kg_node_info *n)
{
	struct kg_sched *sc = st->sched;
	struct kg_map_entry *e;
	if (n->slot >= sc->nslots || sc->nodes[n->slot] != n)
		take_slot(sc, n);
	n->version = ++sc->versions;
	for (size_t i = 0; (e = kg_map_next(&sc->topologies, &i));) {
		struct kg_topology *t = e->value;
		t->domain[n->slot] = domain_of(t, n);
	}
	kg_sched_touch(sc, n->slot);
}

static void level_add(struct kg_level **v, size_t *n, size_t *cap, int64_t priority, int64_t pods)
{
	size_t i = 0;
	while (i < *n && (*v)[i].priority != priority)
		i++;
	if (i == *n) {
		for (i = 0; i < *n && (*v)[i].pods; i++)
			;
		if (i == *n) {
			KG_SLAB_GROW(KG_SLAB_STATE, *v, *cap, *n + 1);
			++*n;
		}
		(*v)[i] = (struct kg_level){.priority = priority};
	}
	(*v)[i].pods += pods;
}

static void sched_level_add(struct kg_sched *sc, int64_t priority, int64_t pods)
{
	level_add(&sc->levels, &sc->nlevels, &sc->levels_cap, priority, pods);
}

void kg_sched_node_recount(struct kg_reconcile_state *st, struct kg_node_info *n)
{
	struct kg_sched *sc = st->sched;
	struct kg_map_entry *e;
	kg_sched_touch(sc, n->slot);
	if (!n->pods) /* nothing counts any of it; at a start that is so for every node */
		return;
	for (size_t i = 0; (e = kg_map_next(&sc->peers, &i));)
		kg_tally_clear(&((struct kg_peers *)e->value)->by_node, n->slot);
	for (size_t i = 0; (e = kg_map_next(&sc->carried, &i));)
		kg_tally_clear(&((struct kg_carried *)e->value)->by_node, n->slot);
	kg_groups_forget_slot(sc, n->slot);
	n->nports = 0;
	for (size_t i = 0; i < n->nlevels; i++)
		sched_level_add(sc, n->levels[i].priority, -n->levels[i].pods);
	n->nlevels = 0;
}

void kg_sched_node_gone(struct kg_reconcile_state *st, struct kg_node_info *n)
{
	struct kg_sched *sc = st->sched;
	struct kg_map_entry *e;
	kg_sched_node_recount(st, n);
	for (size_t i = 0; (e = kg_map_next(&sc->topologies, &i));)
		((struct kg_topology *)e->value)->domain[n->slot] = KG_NO_DOMAIN;
	sc->nodes[n->slot] = NULL;
	size_t cap = sc->free_cap;
	KG_GROW(sc->free, cap, sc->nfree + 1);
	sc->free_cap = (uint32_t)cap;
	sc->free[sc->nfree++] = n->slot;
}

/* ---- pods ---- */

void kg_sched_ports(struct kg_node_info *n, const struct kg_object *pod, bool on)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	size_t k = kg_host_ports(NULL, 0, spec);
	KG_AUTOFREE struct kg_host_port *mine = kg_alloc((k + 1) * sizeof(*mine));
	kg_host_ports(mine, k, spec);
	for (size_t i = 0; i < k; i++) {
		if (on) {
			KG_GROW(n->ports, n->ports_cap, n->nports + 1);
			n->ports[n->nports++] = mine[i];
			continue;
		}
		for (size_t m = 0; m < n->nports; m++) {
			const struct kg_host_port *p = &n->ports[m];
			if (p->port == mine[i].port && p->protocol == mine[i].protocol &&
				p->address == mine[i].address) {
				n->ports[m] = n->ports[--n->nports];
				break;
			}
		}
	}
}

void kg_sched_pod(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_node_info *n, const struct kg_object *pod, bool on)
{
	struct kg_demand d;
	kg_demand_of(st, &d, pod);
	if (d.host_ports)
		kg_sched_ports(st->sched->nodes[n->slot], pod, on);
	kg_groups_track(st, s, n->slot, pod, on);
	kg_carried_track(st, n->slot, pod, on);
	struct kg_node_info *mine = st->sched->nodes[n->slot];
	int64_t priority = kg_pod_priority(pod);
	level_add(&mine->levels, &mine->nlevels, &mine->levels_cap, priority, on ? 1 : -1);
	sched_level_add(st->sched, priority, on ? 1 : -1);
	kg_sched_touch(st->sched, n->slot);
}

/* Selectors of namespaces may choose others now: who asks counts anew. */
void kg_sched_namespace(struct kg_reconcile_state *st)
{
	kg_peers_drop(st->sched, true);
}
