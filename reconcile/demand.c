/* What pods ask of nodes, counted per resource, and remembered by their templates. */
#include "reconcile/internal.h"

#include <string.h>

/* What scoring takes for a container without requests (Kubernetes' scheduler does the same). */
#define SCORE_CPU 100
#define SCORE_MEM (200 * INT64_C(1048576))

#define CACHE_MAX 20000 /* templates */

const char *kg_resource_name(const struct kg_reconcile_state *st, int i)
{
	static const char *const fixed[KG_RES_FIXED] = {"cpu", "memory", "ephemeral-storage"};
	return i < KG_RES_FIXED ? fixed[i] : i < KG_RES_MAX ? st->res_name[i] : NULL;
}

static int resource_index(const struct kg_reconcile_state *st, const char *name)
{
	const char *have;
	for (int i = 0; (have = kg_resource_name(st, i)); i++)
		if (strcmp(have, name) == 0)
			return i;
	return -1;
}

static int resource_add(struct kg_reconcile_state *st, const char *name)
{
	int i = resource_index(st, name), n = KG_RES_FIXED;
	if (i >= 0)
		return i;
	while (n < KG_RES_MAX && st->res_name[n])
		n++;
	if (n == KG_RES_MAX)
		return -1;
	st->res_name[n] = kg_strdup(name);
	return n;
}

static int64_t in_units_of(int resource, int64_t milli)
{
	return resource == KG_RES_CPU ? milli : kg_amount_of_milli(milli);
}

static const char *unknown_in(const struct kg_reconcile_state *st, const struct kg_value *spec,
	const struct kg_value *amounts)
{
	for (uint32_t k = 0; k < kg_len(amounts); k++) {
		const char *name = amounts->members[k].key;
		if (resource_index(st, name) < 0 && kg_pod_request(spec, name, 0) > 0)
			return name;
	}
	return NULL;
}

/* A resource that the pod asks for and no node has. */
static const char *unknown_of(const struct kg_reconcile_state *st, const struct kg_value *spec)
{
	const char *found = unknown_in(st, spec, kg_get(spec, "overhead"));
	for (size_t l = 0; l < 2; l++) {
		const struct kg_value *cs = kg_get(spec, l ? "containers" : "initContainers");
		for (uint32_t i = 0; i < kg_len(cs) && !found; i++) {
			const struct kg_value *res = kg_get(&cs->items[i], "resources");
			found = unknown_in(st, spec, kg_get(res, "requests"));
			if (!found)
				found = unknown_in(st, spec, kg_get(res, "limits"));
		}
	}
	return found;
}

static void compute(
	const struct kg_reconcile_state *st, struct kg_demand *d, const struct kg_value *spec)
{
	const char *name;
	*d = (struct kg_demand){.unknown = unknown_of(st, spec),
		.host_ports = kg_host_ports(NULL, 0, spec) > 0,
		.score_cpu = kg_pod_request(spec, "cpu", SCORE_CPU),
		.score_mem = in_units_of(
			KG_RES_MEMORY, kg_pod_request(spec, "memory", 1000 * SCORE_MEM))};
	for (int i = 0; (name = kg_resource_name(st, i)); i++)
		d->req[i] = in_units_of(i, kg_pod_request(spec, name, 0));
}

/* ---- a pod's demand, by its template where it has one ---- */

static void cache_clear(struct kg_map *m)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(m, &i));)
		free(e->value);
	kg_map_clear(m);
}

void kg_demand_of(struct kg_reconcile_state *st, struct kg_demand *out, const struct kg_object *pod)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	if (!pod->template_id[0]) {
		compute(st, out, spec);
		return;
	}
	struct kg_demand *cached = kg_map_get(&st->demands, pod->template_id);
	if (cached) {
		*out = *cached;
		return;
	}
	compute(st, out, spec);
	if (out->unknown) /* borrowed text, and nodes may come to have it */
		return;
	if (st->demands.count >= CACHE_MAX)
		cache_clear(&st->demands);
	cached = kg_memdup(out, sizeof(*out));
	kg_map_put(&st->demands, pod->template_id, cached);
}

void kg_demand_node(struct kg_reconcile_state *st, struct kg_node_info *n)
{
	const struct kg_value *status = kg_get(kg_obj(n->obj), "status");
	const struct kg_value *alloc = kg_get(status, "allocatable");
	if (kg_is_null(alloc))
		alloc = kg_get(status, "capacity");
	memset(n->alloc, 0, sizeof(n->alloc));
	n->max_pods = 110;
	for (uint32_t k = 0; k < (alloc->type == KG_OBJECT ? alloc->len : 0); k++) {
		const struct kg_member *m = &alloc->members[k];
		if (strcmp(m->key, "pods") == 0) {
			n->max_pods = kg_amount_whole(&m->value);
			continue;
		}
		int i = resource_add(st, m->key);
		int64_t milli = kg_amount_milli(&m->value);
		if (i >= 0)
			n->alloc[i] = milli > 0 ? in_units_of(i, milli) : 0;
	}
}
