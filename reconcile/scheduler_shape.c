/*
 * Shapes: what every node is to pods that ask for the same, whatever their labels and owners:
 * verdicts and scores of a node by itself. Kept between runs and brought up to date by the log of
 * changed nodes, so that placing one pod among many nodes costs what changed.
 */
#include "reconcile/scheduler.h"

#include "value/json.h"

#include <string.h>

enum { SHAPES_MAX = 256 };

static void add_json(struct kg_buf *key, const struct kg_value *v)
{
	kg_buf_addc(key, ' ');
	kg_json_write(key, v);
}

static void key_of(struct kg_buf *key, const struct kg_sched *sc, const struct kg_pod_class *c)
{
	kg_buf_addf(key, "%s %s %d", c->profile->name, c->node_name, c->host_network);
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
	x->pods = (uint32_t)n->pods;
	x->room = (uint8_t)kg_fit_room(c, n);
	if (x->fixed == KG_FIT && x->room == KG_FIT) {
		x->left = (uint8_t)kg_score_room(c, n);
		x->balance = (uint8_t)kg_score_balance(c, n);
	}
}

static void shape_free(struct kg_shape *sh)
{
	free(sh->nodes);
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

struct kg_shape *kg_shape_get(struct kg_sched *sc, const struct kg_pod_class *c)
{
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	key_of(&key, sc, c);
	struct kg_shape *sh = kg_map_get(&sc->shapes, key.data);
	if (!sh) {
		make_room(sc);
		sh = kg_alloc(sizeof(*sh));
		sh->images = kg_images_known(sc, c);
		kg_map_put(&sc->shapes, key.data, sh);
	}
	uint64_t now = sc->log_first + sc->log_n;
	bool all = sh->cap < sc->nslots || sh->seen < sc->log_first ||
		   now - sh->seen > 2 * (uint64_t)sc->nslots ||
		   (sh->images && sh->images_seen != sc->images_version);
	if (sh->cap < sc->cap) {
		sh->nodes = kg_realloc(sh->nodes, sc->cap * sizeof(*sh->nodes));
		memset(sh->nodes + sh->cap, 0, (sc->cap - sh->cap) * sizeof(*sh->nodes));
		sh->cap = sc->cap;
	}
	if (sh->images && sh->images_seen != sc->images_version)
		for (uint32_t i = 0; i < sc->nslots; i++)
			sh->nodes[i].seen_fixed = 0;
	for (uint32_t i = 0; all && i < sc->nslots; i++)
		kg_shape_update(sh, sc, c, i);
	for (uint64_t k = sh->seen; !all && k < now; k++)
		kg_shape_update(sh, sc, c, sc->log[k - sc->log_first]);
	sh->seen = now;
	sh->images_seen = sc->images_version;
	sh->used = ++sc->uses;
	return sh;
}
