/*
 * Shapes: what every node is to pods that ask for the same, whatever their labels and owners:
 * verdicts and scores of a node by itself, and the nodes in the order that these give them
 * (scheduler_cells.c). Kept between runs and brought up to date by the log of changed nodes, so
 * that placing one pod among many nodes costs what changed.
 */
#include "reconcile/placing.h"

#include "value/json.h"

#include <string.h>

enum { SHAPES_MAX = 256 };

static void add_json(struct kg_buf *key, const struct kg_value *v)
{
	kg_buf_addc(key, ' ');
	kg_json_write(key, v);
}

static void key_of(struct kg_buf *key, const struct kg_sched *sc, const struct kg_pod_class *c,
	struct kg_topology *const *axes, unsigned naxes)
{
	kg_buf_addf(key, "%s %s %d", c->profile->name, c->node_name, c->host_network);
	for (unsigned i = 0; i < naxes; i++)
		kg_buf_addf(key, " %s", axes[i]->key);
	for (int i = 0; i < KG_RES_MAX; i++)
		if (c->demand.req[i])
			kg_buf_addf(key, " %d=%lld", i, (long long)c->demand.req[i]);
	kg_buf_addf(key, " %lld %lld %s", (long long)c->demand.score_cpu,
		(long long)c->demand.score_mem, c->demand.unknown ? c->demand.unknown : "");
	for (size_t i = 0; i < c->nports; i++)
		kg_buf_addf(key, " %d%c%llx", c->ports[i].port, c->ports[i].protocol,
			(unsigned long long)c->ports[i].address);
	add_json(key, c->tolerations);
	add_json(key, c->selector);
	add_json(key, c->required);
	add_json(key, c->preferred);
	for (size_t i = 0; i < c->nvolumes; i++)
		add_json(key, &c->volumes[i]);
	if (!kg_images_known(sc, c))
		return;
	static const char *const lists[] = {"initContainers", "containers"};
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(c->spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++)
			add_json(key, kg_get(&cs->items[i], "image"));
	}
}

void kg_shape_update(
	struct kg_shape *sh, struct kg_sched *sc, const struct kg_pod_class *c, uint32_t slot)
{
	const struct kg_node_info *n = sc->nodes[slot];
	struct kg_shape_node *x = &sh->nodes[slot];
	if (!n) {
		*x = (struct kg_shape_node){.fixed = KG_MISFIT_NODE_NAME};
		return;
	}
	if (x->seen_fixed != n->version) {
		x->seen_fixed = n->version;
		x->fixed = (uint8_t)kg_fit_static(c, n);
		x->affinity = kg_fit_affinity(c, n);
		x->taints = kg_fit_taints(c, n);
		x->volumes = kg_fit_volumes(c, n);
		x->preference = (int32_t)kg_fit_preference(c, n);
		x->soft = (int32_t)kg_fit_soft_taints(c, n);
		x->images = sh->images ? (uint8_t)kg_score_images(sc, c, n) : 0;
	}
	x->hash = n->hash;
	x->room = (uint8_t)kg_fit_room(c, n);
	if (!kg_shape_fits(x))
		return;
	x->left = (uint8_t)kg_score_room(c, n);
	x->balance = (uint8_t)kg_score_balance(c, n);
	x->local = x->left * kg_score_weight(KG_SCORE_RESOURCES) +
		   x->balance * kg_score_weight(KG_SCORE_BALANCE) +
		   x->images * kg_score_weight(KG_SCORE_IMAGES);
	x->order = (uint16_t)(c->profile->most_allocated ? n->pods : ~n->pods);
}

static struct kg_shape *shape_new(const struct kg_sched *sc, const struct kg_pod_class *c,
	struct kg_topology *const *axes, unsigned naxes)
{
	struct kg_shape *sh = kg_alloc(sizeof(*sh));
	sh->axes = kg_memdup(axes, naxes * sizeof(*axes));
	sh->naxes = naxes;
	sh->cells_by_key.nkeys = naxes + 3;
	sh->key = kg_alloc(sh->cells_by_key.nkeys * sizeof(*sh->key));
	sh->images = kg_images_known(sc, c);
	return sh;
}

static void shape_free(struct kg_shape *sh)
{
	kg_cells_clear(sh);
	free(sh->axes);
	free(sh->key);
	free(sh->nodes);
	free(sh->filed);
	free(sh);
}

void kg_shapes_free(struct kg_sched *sc)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&sc->shapes, &i));)
		shape_free(e->value);
	kg_map_release(&sc->shapes);
}

/* Room for one more: the half that was asked for least lately goes. */
static void make_room(struct kg_sched *sc)
{
	if (sc->shapes.count < SHAPES_MAX)
		return;
	struct kg_map_entry *e;
	uint64_t oldest = UINT64_MAX, newest = 0;
	for (size_t i = 0; (e = kg_map_next(&sc->shapes, &i));) {
		const struct kg_shape *sh = e->value;
		oldest = sh->used < oldest ? sh->used : oldest;
		newest = sh->used > newest ? sh->used : newest;
	}
	for (size_t i = 0; (e = kg_map_next(&sc->shapes, &i));) {
		struct kg_shape *sh = e->value;
		if (sh->used > oldest + (newest - oldest) / 2)
			continue;
		kg_map_remove(&sc->shapes, e->key);
		shape_free(sh);
	}
}

static void more_slots(struct kg_shape *sh, uint32_t cap)
{
	if (cap <= sh->cap)
		return;
	size_t more = cap - sh->cap;
	sh->nodes = kg_realloc(sh->nodes, cap * sizeof(*sh->nodes));
	sh->filed = kg_realloc(sh->filed, cap * sizeof(*sh->filed));
	memset(sh->nodes + sh->cap, 0, more * sizeof(*sh->nodes));
	memset(sh->filed + sh->cap, 0, more * sizeof(*sh->filed));
	sh->cap = cap;
}

static void follow(
	struct kg_shape *sh, struct kg_sched *sc, const struct kg_pod_class *c, uint32_t slot)
{
	kg_shape_update(sh, sc, c, slot);
	kg_cells_file(sh, sc, slot);
}

/* The log of changes, or where that does not reach back, or would take longer, every node. */
static void catch_up(struct kg_shape *sh, struct kg_sched *sc, const struct kg_pod_class *c)
{
	uint64_t now = sc->log_first + sc->log_n;
	bool images = sh->images && sh->images_seen != sc->images_version;
	bool all = images || sh->cap < sc->nslots || sh->seen < sc->log_first ||
		   now - sh->seen > 2 * (uint64_t)sc->nslots;
	more_slots(sh, sc->cap);
	for (uint32_t i = 0; images && i < sc->nslots; i++)
		sh->nodes[i].seen_fixed = 0;
	if (sh->dead > sh->ncells / 2 + 16) {
		kg_cells_clear(sh);
		all = true;
	}
	for (uint32_t i = 0; all && i < sc->nslots; i++)
		follow(sh, sc, c, i);
	for (uint64_t k = sh->seen; !all && k < now; k++)
		follow(sh, sc, c, sc->log[k - sc->log_first]);
	sh->seen = now;
	sh->images_seen = sc->images_version;
}

struct kg_shape *kg_shape_get(struct kg_sched *sc, const struct kg_pod_class *c,
	struct kg_topology *const *axes, unsigned naxes)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	key_of(&key, sc, c, axes, naxes);
	struct kg_shape *sh = kg_map_get(&sc->shapes, key.data);
	if (!sh) {
		make_room(sc);
		sh = shape_new(sc, c, axes, naxes);
		kg_map_put(&sc->shapes, key.data, sh);
	}
	catch_up(sh, sc, c);
	sh->used = ++sc->uses;
	return sh;
}
