/* What pods ask of nodes, by Kubernetes' rules: the larger of the containers' sum and what
 * starting up needs, sidecars counted in both, and the overhead on top. */
#include "reconcile/internal.h"

#include <string.h>

/* What scoring takes for a container without requests (Kubernetes' scheduler does the same). */
#define SCORE_CPU 100
#define SCORE_MEM (200 * INT64_C(1048576))

#define CACHE_MAX 20000 /* templates */

int kg_resource_index(struct kg_reconcile_state *st, const char *name, bool add)
{
	static const char *const fixed[KG_RES_FIXED] = {"cpu", "memory", "ephemeral-storage"};
	int i;
	for (i = 0; i < KG_RES_MAX; i++) {
		const char *have = i < KG_RES_FIXED ? fixed[i] : st->res_name[i];
		if (!have)
			break;
		if (strcmp(have, name) == 0)
			return i;
	}
	if (!add || i == KG_RES_MAX)
		return -1;
	st->res_name[i] = kg_strdup(name);
	return i;
}

static int64_t amount(const struct kg_value *v, bool milli)
{
	int64_t n = 0;
	if (v->type == KG_INT)
		return milli ? v->i * 1000 : v->i;
	const char *s = kg_string(v, "0");
	if ((milli ? kg_quantity_milli(&n, s) : kg_quantity_value(&n, s)) < 0 || n < 0)
		return 0;
	return n;
}

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static void add_resources(
	struct kg_reconcile_state *st, struct kg_demand *d, const struct kg_value *requests)
{
	if (requests->type != KG_OBJECT)
		return;
	for (uint32_t k = 0; k < requests->len; k++) {
		const struct kg_member *m = &requests->members[k];
		int i = kg_resource_index(st, m->key, false);
		int64_t n = amount(&m->value, i == KG_RES_CPU);
		if (i >= 0)
			d->req[i] = add(d->req[i], n);
		else if (n > 0)
			d->unknown = m->key;
	}
}

/* Requests; where a resource has a limit alone, the limit (as defaulting would have it). */
static void add_container(
	struct kg_reconcile_state *st, struct kg_demand *d, const struct kg_value *container)
{
	const struct kg_value *res = kg_get(container, "resources");
	const struct kg_value *req = kg_get(res, "requests"), *lim = kg_get(res, "limits");
	int64_t cpu = d->req[KG_RES_CPU], mem = d->req[KG_RES_MEMORY];
	add_resources(st, d, req);
	for (uint32_t k = 0; k < (lim->type == KG_OBJECT ? lim->len : 0); k++) {
		struct kg_value one = *lim;
		one.members = &lim->members[k];
		one.len = 1;
		if (kg_is_null(kg_get(req, lim->members[k].key)))
			add_resources(st, d, &one);
	}
	cpu = d->req[KG_RES_CPU] - cpu;
	mem = d->req[KG_RES_MEMORY] - mem;
	d->score_cpu = add(d->score_cpu, cpu ? cpu : SCORE_CPU);
	d->score_mem = add(d->score_mem, mem ? mem : SCORE_MEM);
}

static void raise_to(struct kg_demand *d, const struct kg_demand *to)
{
	for (int i = 0; i < KG_RES_MAX; i++)
		if (to->req[i] > d->req[i])
			d->req[i] = to->req[i];
	if (to->score_cpu > d->score_cpu)
		d->score_cpu = to->score_cpu;
	if (to->score_mem > d->score_mem)
		d->score_mem = to->score_mem;
	if (to->unknown)
		d->unknown = to->unknown;
}

static void add_overhead(
	struct kg_reconcile_state *st, struct kg_demand *d, const struct kg_value *overhead)
{
	int64_t cpu = d->req[KG_RES_CPU], mem = d->req[KG_RES_MEMORY];
	add_resources(st, d, overhead);
	d->score_cpu = add(d->score_cpu, d->req[KG_RES_CPU] - cpu);
	d->score_mem = add(d->score_mem, d->req[KG_RES_MEMORY] - mem);
}

static void compute(struct kg_reconcile_state *st, struct kg_demand *d, const struct kg_value *spec)
{
	struct kg_demand sum = {0}, sidecars = {0}, start = {0};
	const struct kg_value *init = kg_get(spec, "initContainers");
	for (uint32_t i = 0; i < kg_len(init); i++) {
		const struct kg_value *c = &init->items[i];
		struct kg_demand now = sidecars;
		add_container(st, &now, c);
		raise_to(&start, &now);
		if (strcmp(kg_string(kg_get(c, "restartPolicy"), ""), "Always") == 0)
			sidecars = now;
	}
	sum = sidecars;
	const struct kg_value *containers = kg_get(spec, "containers");
	for (uint32_t i = 0; i < kg_len(containers); i++)
		add_container(st, &sum, &containers->items[i]);
	raise_to(&sum, &start);
	add_overhead(st, &sum, kg_get(spec, "overhead"));
	sum.host_ports = kg_host_ports(NULL, 0, spec) > 0;
	*d = sum;
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
			n->max_pods = amount(&m->value, false);
			continue;
		}
		int i = kg_resource_index(st, m->key, true);
		if (i >= 0)
			n->alloc[i] = amount(&m->value, i == KG_RES_CPU);
	}
}

/* ---- quality of service ---- */

static bool same_amount(const struct kg_value *a, const struct kg_value *b)
{
	return amount(a, true) == amount(b, true);
}

const char *kg_qos_class(const struct kg_value *spec)
{
	static const char *const lists[] = {"containers", "initContainers"};
	static const char *const names[] = {"cpu", "memory"};
	bool any = false, guaranteed = true;
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++) {
			const struct kg_value *res = kg_get(&cs->items[i], "resources");
			for (size_t k = 0; k < KG_ARRAY_LEN(names); k++) {
				const struct kg_value *q =
					kg_get(kg_get(res, "requests"), names[k]);
				const struct kg_value *m = kg_get(kg_get(res, "limits"), names[k]);
				any |= amount(q, true) > 0 || amount(m, true) > 0;
				guaranteed &=
					amount(m, true) > 0 && (kg_is_null(q) || same_amount(q, m));
			}
		}
	}
	return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}
