/* What is remembered of a node: its place in the scheduler, and what its pods take of it. */
#include "reconcile/scheduler.h"
#include "reconcile/track.h"

#include "base/slab.h"

#include <string.h>

struct kg_node_info *kg_node_info(struct kg_reconcile_state *st, const char *name)
{
	return kg_map_get(&st->nodes, name);
}

/* As kg_bits_new, of the addresses that the prefix leaves. */
static size_t taken_size(const struct kg_node_info *n)
{
	return ((UINT32_C(1) << (32 - n->prefix)) + 63) / 64 * sizeof(*n->taken);
}

static void free_taken(struct kg_node_info *n)
{
	if (n->taken)
		kg_slab_free(n->taken, taken_size(n));
	n->taken = NULL;
}

static void node_info_free(struct kg_node_info *n)
{
	kg_object_unref(n->obj);
	kg_slab_strfree(n->name);
	free_taken(n);
	free(n->ports);
	kg_slab_free(n->levels, n->levels_cap * sizeof(*n->levels));
	kg_slab_free(n, sizeof(*n));
}

void kg_track_count(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_node_info *n, const struct kg_object *pod, bool on)
{
	struct kg_demand d;
	kg_demand_of(st, &d, pod);
	int64_t sign = on ? 1 : -1;
	for (int i = 0; i < KG_RES_MAX; i++)
		n->used[i] += sign * d.req[i];
	n->score_cpu += sign * d.score_cpu;
	n->score_mem += sign * d.score_mem;
	n->pods += sign;
	kg_sched_pod(st, s, n, pod, on);
}

void kg_track_account(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *pod, bool on)
{
	struct kg_node_info *n = kg_node_info(st, kg_pod_node(pod));
	if (!n)
		return;
	uint32_t ip;
	const char *text = kg_string(kg_status(pod, "podIP"), "");
	if (n->has_cidr && *text && kg_ip_parse(&ip, text) == 0 &&
		ip - n->cidr < UINT32_C(1) << (32 - n->prefix))
		kg_ipam_pod(n, ip - n->cidr, on);
	if (kg_pod_terminal(pod)) {
		if (!on) /* its address is free for another */
			kg_sched_touch(st->sched, n->slot);
		return;
	}
	kg_track_count(st, s, n, pod, on);
}

static void node_recount(
	struct kg_reconcile_state *st, struct kg_node_info *n, const struct kg_snapshot *s)
{
	free_taken(n);
	n->ntaken = 0;
	kg_sched_node_recount(st, n);
	n->pods = n->score_cpu = n->score_mem = 0;
	memset(n->used, 0, sizeof(n->used));
	struct kg_ip_range r;
	n->has_cidr = kg_ip_range_parse(&r, kg_string(kg_spec(n->obj, "podCIDR"), "")) == 0;
	if (n->has_cidr) {
		n->cidr = r.first;
		n->prefix = r.prefix;
		n->taken = kg_slab_zeroed(KG_SLAB_STATE, taken_size(n));
	}
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_index(&it, s, KG_INDEX_NODE, n->name);
	while ((pod = kg_iter_next(&it)))
		if (pod->kind->id == KG_KIND_POD)
			kg_track_account(st, s, pod, true);
	kg_iter_release(&it);
}

static void images_track(
	struct kg_sched *sc, const struct kg_object *before, const struct kg_object *after)
{
	if (before && after && kg_equal(kg_status(before, "images"), kg_status(after, "images")))
		return;
	if (before)
		kg_images_track(sc, before, false);
	if (after)
		kg_images_track(sc, after, true);
	sc->images_version++; /* each counts by the part of the nodes that has it */
}

static int resource_names(const struct kg_reconcile_state *st)
{
	int n = 0;
	while (kg_resource_name(st, n))
		n++;
	return n;
}

void kg_track_node(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	const struct kg_object *before, const struct kg_object *after)
{
	if (before)
		kg_ipam_node(st, before, false);
	if (!after) {
		images_track(st->sched, before, NULL);
		kg_map_remove(&st->lost, before->name);
		struct kg_node_info *old = kg_map_remove(&st->nodes, before->name);
		if (old) {
			kg_sched_node_gone(st, old);
			node_info_free(old);
		}
		return;
	}
	kg_ipam_node(st, after, true);
	struct kg_node_info *n = kg_node_info(st, after->name);
	bool anew =
		!n || !before || !kg_equal(kg_spec(before, "podCIDR"), kg_spec(after, "podCIDR"));
	if (!n) {
		n = kg_slab_zeroed(KG_SLAB_STATE, sizeof(*n));
		n->name = kg_slab_strdup(KG_SLAB_STATE, after->name);
		n->hash = kg_hash64(n->name, strlen(n->name));
		n->slot = UINT32_MAX;
		kg_map_put(&st->nodes, n->name, n);
	}
	kg_object_unref(n->obj);
	n->obj = kg_object_ref(after);
	const struct kg_value *spec = kg_get(kg_obj(after), "spec");
	n->ready = kg_object_ready(after);
	if (n->ready)
		kg_map_remove(&st->lost, n->name);
	else
		kg_map_put(&st->lost, n->name, st);
	n->unschedulable = kg_bool(kg_get(spec, "unschedulable"), false);
	n->taints = kg_get(spec, "taints");
	n->tainted = kg_len(n->taints) > 0;
	n->labels = kg_meta(after, "labels");
	images_track(st->sched, before, after);
	kg_sched_node(st, n);
	/* A new resource name changes what pods ask for: their sums are made anew. */
	int names = resource_names(st);
	kg_demand_node(st, n);
	if (names != resource_names(st)) {
		struct kg_map_entry *e;
		for (size_t i = 0; (e = kg_map_next(&st->nodes, &i));)
			node_recount(st, e->value, s);
	} else if (anew) {
		node_recount(st, n, s);
	}
}

void kg_track_forget_nodes(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->nodes, &i));)
		node_info_free(e->value);
	kg_map_release(&st->nodes);
	kg_map_release(&st->lost);
}
