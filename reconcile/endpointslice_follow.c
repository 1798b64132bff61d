/*
 * A Service's slices after a few of its pods changed: what all of them say need not be looked at,
 * as the state remembers which slice holds whose endpoint and which pods changed since. Whatever
 * else changed (the Service, a slice by another hand), and where a slice more is needed or one
 * less, everything is looked at: both ways come to the same.
 */
#include "reconcile/endpointslice.h"

#include <string.h>

/* So many changes at once, or a quarter of all: then everything is looked at. */
enum { FEW_CHANGES = 64 };

/* ---- the state ---- */

static void places_free(struct kg_places *p)
{
	if (!p)
		return;
	kg_map_release(&p->at);
	kg_map_release(&p->dirty);
	free(p);
}

void kg_slices_forget(struct kg_reconcile_state *st, const char *service)
{
	if (st->places.count)
		places_free(kg_map_remove(&st->places, service));
}

void kg_slices_forget_all(struct kg_reconcile_state *st)
{
	struct kg_map_entry *e;
	for (size_t i = 0; (e = kg_map_next(&st->places, &i));)
		places_free(e->value);
	kg_map_release(&st->places);
}

void kg_slices_mark(struct kg_reconcile_state *st, const char *service, const char *pod)
{
	struct kg_places *p = kg_map_get(&st->places, service);
	if (!p)
		return;
	kg_map_put(&p->dirty, pod, p);
	if (p->dirty.count > FEW_CHANGES + p->endpoints / 4)
		kg_slices_forget(st, service);
}

void kg_slices_remember(struct kg_slices *c)
{
	struct kg_map *all = &c->r->st->places;
	struct kg_places *p = kg_map_get(all, c->svc->key);
	if (!p) {
		p = kg_alloc(sizeof(*p));
		kg_map_put(all, c->svc->key, p);
	}
	kg_map_release(&p->at);
	kg_map_release(&p->dirty);
	p->endpoints = 0;
	for (size_t i = 0; i < c->n; i++)
		p->endpoints += c->v[i].n;
}

/* ---- one change ---- */

/* Notes where each endpoint is; false: a pod has two. */
static bool find_all(struct kg_slices *c)
{
	for (size_t i = 0; i < c->existing.n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(c->v[i].old), "endpoints");
		for (uint32_t k = 0; k < kg_len(eps); k++)
			if (kg_map_put(&c->places->at, kg_endpoint_name(&eps->items[k]),
				    (void *)(uintptr_t)(i + 1)))
				return false;
		c->r->st->looked += kg_len(eps);
	}
	return true;
}

/* The slice's endpoint of the pod; its length: it has none. */
static size_t find_one(struct kg_slices *c, const struct kg_slice *s, const char *pod)
{
	size_t i = 0;
	while (i < s->n && strcmp(kg_endpoint_name(&s->endpoints[i]), pod) != 0)
		i++;
	c->r->st->looked += i + 1;
	return i;
}

static void take_out(struct kg_slice *s, size_t i)
{
	s->n--;
	memmove(&s->endpoints[i], &s->endpoints[i + 1], (s->n - i) * sizeof(*s->endpoints));
	s->touched = true;
}

/* The pod's endpoint stays where it is, goes, or (in `moved`) wants a place. */
static bool follow_pod(
	struct kg_slices *c, const char *key, const char *name, struct kg_ends_list *moved)
{
	struct kg_arena *a = &c->r->a;
	const struct kg_value *spec = kg_get(kg_obj(c->svc), "spec");
	const struct kg_object *pod = kg_snapshot_get_key(kg_now(c->r), KG_KIND_POD, key);
	bool answers = kg_endpoint_answers(kg_get(spec, "selector"), pod);
	size_t number = (size_t)(uintptr_t)kg_map_get(&c->places->at, name);
	struct kg_value ports =
		answers ? kg_endpoint_ports(a, kg_get(spec, "ports"), pod) : kg_v_null();
	if (number) {
		struct kg_slice *s = &c->v[number - 1];
		kg_slice_open(c, s);
		size_t i = find_one(c, s, name);
		if (i == s->n)
			return false;
		struct kg_value *old = &s->endpoints[i];
		if (answers && strcmp(kg_endpoint_uid(old), kg_object_uid(pod)) == 0 &&
			kg_equal(&ports, &s->ports)) {
			struct kg_value now = kg_endpoint_of(a, c->svc, pod, old);
			s->touched |= !kg_equal(&now, old);
			*old = now;
			return true;
		}
		take_out(s, i);
		kg_map_remove(&c->places->at, name);
		if (!s->n) /* it goes, or another group takes it */
			return false;
	}
	if (answers)
		kg_ends_add(moved, ports, kg_endpoint_of(a, c->svc, pod, NULL));
	return true;
}

static bool follow_all(struct kg_slices *c, struct kg_ends_list *moved)
{
	struct kg_map *dirty = &c->places->dirty;
	KG_AUTOFREE struct kg_map_entry **keys = kg_map_sorted(dirty);
	for (size_t i = 0; i < dirty->count; i++)
		if (!follow_pod(c, keys[i]->key, strchr(keys[i]->key, '/') + 1, moved))
			return false;
	kg_ends_sort(moved);
	for (size_t i = 0; i < moved->n; i++) {
		struct kg_ends *g = &moved->v[i];
		for (size_t k = 0; k < g->n; k++)
			kg_map_put(&g->wanted, kg_endpoint_uid(&g->endpoints[k]), &g->endpoints[k]);
		if (!kg_slices_place(c, g))
			return false;
	}
	return true;
}

bool kg_slices_follow(struct kg_slices *c)
{
	KG_CLEANUP(kg_ends_release) struct kg_ends_list moved = {0};
	struct kg_places *p = c->places;
	for (size_t i = 0; i < c->n; i++) {
		c->v[i].n = kg_len(kg_get(kg_obj(c->v[i].old), "endpoints"));
		c->v[i].kept = true;
		if (!c->v[i].n) /* it says that nobody answers */
			return false;
	}
	if (!c->n || (!p->at.count && !find_all(c)) || !follow_all(c, &moved))
		return false;
	p->endpoints = 0;
	for (size_t i = 0; i < c->n; i++) {
		p->endpoints += c->v[i].n;
		if (c->v[i].touched)
			kg_slice_put(c, &c->v[i]);
	}
	kg_map_clear(&p->dirty);
	return true;
}
