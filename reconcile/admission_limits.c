/* What a push asks for that there is only so much of: addresses, node ports, pods. */
#include "reconcile/admitting.h"

#include <string.h>

/* ---- Services' own addresses and ports, among all that will be there ---- */

static void claim(struct kg_admitting *x, struct kg_map *taken, const struct kg_definition *d,
	const char *what, const char *path)
{
	const char *me = kg_admit_words(x->a, d->m->kind, d->m->ns, d->m->name);
	const char *other = kg_map_put(taken, what, (void *)me);
	if (!other || strcmp(other, me) == 0)
		return;
	kg_admit_look_at(x, d);
	kg_fault_add(x->faults, path, "%s is already taken by %s", what, other);
	x->faults->root = NULL;
}

static void hold(struct kg_admitting *x, struct kg_map *taken, const struct kg_object *svc,
	const struct kg_value *spec, const struct kg_value *written)
{
	const char *me = kg_admit_words(x->a, svc->kind, svc->ns, svc->name);
	const char *ip = kg_string(kg_get(spec, "clusterIP"), "None");
	if (strcmp(ip, "None") != 0 && kg_is_null(kg_get(written, "clusterIP")))
		kg_map_put(taken, ip, (void *)me);
	const struct kg_value *ports = kg_get(spec, "ports"), *ours = kg_get(written, "ports");
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		int64_t p = kg_int(kg_get(&ports->items[i], "nodePort"), 0);
		if (p && (i >= kg_len(ours) || kg_is_null(kg_get(&ours->items[i], "nodePort"))))
			kg_map_put(taken, kg_arena_printf(x->a, "%lld", (long long)p), (void *)me);
	}
}

/* What Services hold that stay as they are, and what was allocated to those that change and is
 * kept; what those ask for by themselves is claimed afterwards. */
static void claim_existing(struct kg_admitting *x, struct kg_map *taken)
{
	struct kg_object_iter it;
	const struct kg_object *svc;
	kg_iter_kind(&it, x->s, KG_KIND_SERVICE, NULL, NULL);
	while ((svc = kg_iter_next(&it))) {
		const struct kg_definition *d =
			kg_map_get(&x->by_key, kg_admit_key(x->a, svc->kind, svc->ns, svc->name));
		if (d) {
			struct kg_value v = kg_service_keep(x->a, svc, d->m->value);
			hold(x, taken, svc, kg_get(&v, "spec"), kg_get(&d->m->value, "spec"));
		} else if (kg_admit_untouched(x, svc)) {
			hold(x, taken, svc, kg_get(kg_obj(svc), "spec"), &kg_null);
		}
	}
	kg_iter_release(&it);
}

void kg_admit_services(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	KG_CLEANUP(kg_map_release) struct kg_map taken = KG_MAP_INIT;
	bool filled = false;
	for (size_t i = 0; i < n; i++) {
		if (ds[i]->m->kind->id != KG_KIND_SERVICE)
			continue;
		const struct kg_value *spec = kg_get(&ds[i]->m->value, "spec");
		const struct kg_value *ports = kg_get(spec, "ports");
		const char *ip = kg_string(kg_get(spec, "clusterIP"), "None");
		bool asks = strcmp(ip, "None") != 0;
		for (uint32_t k = 0; k < kg_len(ports); k++)
			asks |= kg_int(kg_get(&ports->items[k], "nodePort"), 0) > 0;
		if (asks && !filled)
			claim_existing(x, &taken);
		filled |= asks;
		if (strcmp(ip, "None") != 0)
			claim(x, &taken, ds[i], ip, "spec.clusterIP");
		for (uint32_t k = 0; k < kg_len(ports); k++) {
			int64_t p = kg_int(kg_get(&ports->items[k], "nodePort"), 0);
			if (p)
				claim(x, &taken, ds[i], kg_arena_printf(x->a, "%lld", (long long)p),
					kg_arena_printf(x->a, "spec.ports[%u].nodePort", k));
		}
	}
}

/* ---- how many pods there would be ---- */

/* Of desired objects that the push leaves alone. */
static int64_t pods_elsewhere(struct kg_admitting *x)
{
	struct kg_map_entry *e;
	int64_t sum = x->all ? 0 : x->s->desired_pods;
	for (size_t i = 0; !x->all && (e = kg_map_next(&x->by_path, &i));) {
		struct kg_object_iter it;
		const struct kg_object *obj;
		kg_iter_index(&it, x->s, KG_INDEX_SOURCE, e->key);
		while ((obj = kg_iter_next(&it)))
			sum -= kg_pods_desired(obj->kind, kg_obj(obj));
		kg_iter_release(&it);
	}
	return sum;
}

void kg_admit_sizes(struct kg_admitting *x, struct kg_definition **ds, size_t n)
{
	int64_t sum = 0;
	const struct kg_definition *most = NULL;
	for (size_t i = 0; i < n; i++) {
		const struct kg_value *v = &ds[i]->m->value;
		int64_t pods = kg_pods_desired(ds[i]->m->kind, v),
			written = kg_int(kg_at(v, "spec.replicas"), 0);
		if (written > KG_MAX_REPLICAS) {
			kg_admit_look_at(x, ds[i]);
			kg_fault_add(x->faults, "spec.replicas",
				"%lld is more than the %d that kgit takes", (long long)written,
				KG_MAX_REPLICAS);
		}
		if (pods && (!most || pods > kg_pods_desired(most->m->kind, &most->m->value)))
			most = ds[i];
		sum += pods;
	}
	x->faults->root = NULL;
	if (!most || (sum += pods_elsewhere(x)) <= KG_MAX_PODS)
		return;
	x->faults->file = most->file->path;
	kg_fault_add_at(x->faults, most->m->line, most->m->col, "",
		"with this push %lld pods would be desired; kgit takes %d", (long long)sum,
		KG_MAX_PODS);
}
