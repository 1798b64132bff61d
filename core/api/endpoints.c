/*
 * Endpoints: those that are manifests, which are stored, and those of a Service with a selector,
 * which are made of its EndpointSlices when they are read, as Kubernetes' controller makes them: a
 * subset for each set of ports, at most 1,000 addresses in all, ready ones first. A change of these
 * is made of a commit's slices and of the snapshot after it; history alone has no snapshots, so who
 * watched Endpoints and comes back after what is kept in memory is told to list them anew.
 */
#include "api/endpoints.h"

#include "api/feed.h"
#include "base/map.h"
#include "kinds/endpoints.h"

#include <string.h>

enum { CAPACITY = 1000 };

/* ---- the slices of one Service ---- */

struct slices {
	const struct kg_object **v; /* heap, in order of their keys; borrowed from the snapshot */
	size_t n, cap;
};

static void slices_add(struct slices *l, const struct kg_object *slice)
{
	KG_GROW(l->v, l->cap, l->n + 1);
	l->v[l->n++] = slice;
}

static void gather(
	struct slices *out, const struct kg_snapshot *s, const char *ns, const char *name)
{
	const struct kg_object *svc = kg_snapshot_get(s, KG_KIND_SERVICE, ns, name), *slice;
	struct kg_object_iter it;

	if (!svc)
		return;
	kg_iter_index(&it, s, KG_INDEX_OWNER, kg_object_uid(svc));
	while ((slice = kg_iter_next(&it)))
		if (slice->kind->id == KG_KIND_ENDPOINTSLICE)
			slices_add(out, slice);
	kg_iter_release(&it);
}

bool kg_api_slice_is_first(const struct kg_snapshot *s, const struct kg_object *slice)
{
	const char *name = kg_slice_is_of_pods(slice) ? slice->service : NULL;
	struct slices l = {0};

	if (name)
		gather(&l, s, slice->ns, name);
	bool first = l.n && !strcmp(l.v[0]->key, slice->key);
	free(l.v);
	return first;
}

/* ---- subsets ---- */

struct subset {
	struct kg_value ports, *addresses[2]; /* not ready, ready */
	size_t n[2], cap[2];
};
struct subsets {
	struct subset *v; /* heap */
	size_t n, cap;
};

static void subsets_release(struct subsets *l)
{
	for (size_t i = 0; i < l->n; i++) {
		free(l->v[i].addresses[0]);
		free(l->v[i].addresses[1]);
	}
	free(l->v);
}

static struct subset *subset_for(struct subsets *l, const struct kg_value *ports)
{
	for (size_t i = 0; i < l->n; i++)
		if (kg_equal(&l->v[i].ports, ports))
			return &l->v[i];
	KG_GROW(l->v, l->cap, l->n + 1);
	l->v[l->n] = (struct subset){.ports = *ports};
	return &l->v[l->n++];
}

static struct kg_value address_of(struct kg_arena *a, const struct kg_value *ep)
{
	return kg_v_obj(a, "ip", *kg_at(ep, "addresses.0"), "nodeName", *kg_get(ep, "nodeName"),
		"targetRef", *kg_get(ep, "targetRef"), "hostname", *kg_get(ep, "hostname"),
		(char *)NULL);
}

static void subsets_add(struct subsets *l, struct kg_arena *a, const struct kg_object *slice)
{
	const struct kg_value *eps = kg_get(kg_obj(slice), "endpoints");

	for (uint32_t i = 0; i < kg_len(eps); i++) {
		const struct kg_value *conditions = kg_get(&eps->items[i], "conditions");
		bool ready = kg_bool(kg_get(conditions, "ready"), true);

		if (!ready && kg_bool(kg_get(conditions, "terminating"), false))
			continue;
		struct subset *to = subset_for(l, kg_get(kg_obj(slice), "ports"));
		KG_GROW(to->addresses[ready], to->cap[ready], to->n[ready] + 1);
		to->addresses[ready][to->n[ready]++] = address_of(a, &eps->items[i]);
	}
}

static size_t total(const struct subsets *l, bool ready)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->v[i].n[ready];
	return n;
}

/* Each subset keeps its part of what there is room for. */
static bool truncate_subsets(struct subsets *l)
{
	size_t ready = total(l, true), all = ready + total(l, false);
	bool which = ready > CAPACITY;
	size_t of = which ? ready : all - ready, room = which ? CAPACITY : CAPACITY - ready;
	size_t left = room;

	if (all <= CAPACITY)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		struct subset *s = &l->v[i];
		size_t part = (s->n[which] * room + of - 1) / of;

		part = part < left ? part : left;
		left -= part;
		s->n[which] = part;
		if (which)
			s->n[false] = 0;
	}
	return true;
}

static struct kg_value subsets_value(struct kg_arena *a, const struct subsets *l)
{
	struct kg_value *items = kg_arena_alloc(a, (l->n + 1) * sizeof(*items)), lists[2];
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++) {
		const struct subset *s = &l->v[i];

		for (int k = 0; k < 2; k++)
			lists[k] = s->n[k] ? kg_v_array(a, s->addresses[k], s->n[k]) : kg_v_null();
		if (s->n[0] || s->n[1])
			items[n++] = kg_v_obj(a, "addresses", lists[1], "notReadyAddresses",
				lists[0], "ports", s->ports, (char *)NULL);
	}
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

/* ---- the object ---- */

static struct kg_value metadata(
	struct kg_arena *a, const struct slices *l, const char *name, bool truncated)
{
	const struct kg_value *md = kg_get(kg_obj(l->v[0]), "metadata");
	struct kg_value labels = *kg_get(md, "labels"), note = kg_v_null();
	const struct kg_object *oldest = l->v[0];
	char uid[37];

	for (size_t i = 1; i < l->n; i++)
		if (kg_object_created(l->v[i]) < kg_object_created(oldest))
			oldest = l->v[i];
	labels = kg_with_key(a, &labels, KG_LABEL_SERVICE_NAME, kg_v_null());
	labels = kg_with_key(a, &labels, KG_LABEL_MANAGED_BY, kg_v_null());
	if (truncated)
		note = kg_with_key(a, &kg_null, "endpoints.kubernetes.io/over-capacity",
			kg_v_lit("truncated"));
	kg_endpoints_made_uid(uid, kg_object_owner_uid(l->v[0]));
	return kg_v_obj(a, "name", kg_v_str(a, name), "namespace", kg_v_str(a, l->v[0]->ns), "uid",
		kg_v_str(a, uid), "creationTimestamp",
		*kg_at(kg_obj(oldest), "metadata.creationTimestamp"), "labels",
		kg_len(&labels) ? labels : kg_v_null(), "annotations", note, (char *)NULL);
}

static struct kg_object *make(const struct slices *l, const char *name)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct subsets subsets KG_CLEANUP(subsets_release) = {0};
	uint64_t revision = 0;

	if (!l->n)
		return NULL;
	for (size_t i = 0; i < l->n; i++) {
		subsets_add(&subsets, &a, l->v[i]);
		revision = l->v[i]->revision > revision ? l->v[i]->revision : revision;
	}
	bool truncated = truncate_subsets(&subsets);
	struct kg_value v = kg_v_obj(&a, "apiVersion", kg_v_lit("v1"), "kind",
		kg_v_lit("Endpoints"), "metadata", metadata(&a, l, name, truncated), "subsets",
		subsets_value(&a, &subsets), (char *)NULL);
	struct kg_object *obj =
		kg_object_new(&(struct kg_object_spec){.kind = &kg_kinds[KG_KIND_ENDPOINTS],
			.ns = l->v[0]->ns,
			.name = name,
			.value = &v});

	obj->revision = revision;
	return obj;
}

struct kg_object *kg_api_endpoints_of(const struct kg_snapshot *s, const char *ns, const char *name)
{
	struct slices l = {0};

	gather(&l, s, ns, name);
	struct kg_object *obj = make(&l, name);
	free(l.v);
	return obj;
}

/* ---- changes ---- */

static int cmp_slice(const void *a, const void *b)
{
	return strcmp((*(const struct kg_object *const *)a)->key,
		(*(const struct kg_object *const *)b)->key);
}

/* A Service that a commit changes slices of. */
struct touched {
	char *ns, *name;      /* owned */
	struct slices before; /* the changed ones as they were */
	bool told;            /* one of them is a change for watchers */
};

static void touched_release(struct kg_map *services)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(services, &i));) {
		struct touched *t = e->value;

		free(t->ns);
		free(t->name);
		free(t->before.v);
		free(t);
	}
	kg_map_release(services);
}

/* Of one side of a change; NULL: it has none. */
static struct touched *touch(struct kg_map *services, const struct kg_object *slice, bool quiet)
{
	const char *name = slice && kg_slice_is_of_pods(slice) ? slice->service : NULL;
	KG_AUTOFREE char *key = name ? kg_asprintf("%s/%s", slice->ns, name) : NULL;

	if (!key)
		return NULL;
	struct touched *t = kg_map_get(services, key);
	if (!t) {
		t = kg_alloc(sizeof(*t));
		t->ns = kg_strdup(slice->ns);
		t->name = kg_strdup(name);
		kg_map_put(services, key, t);
	}
	t->told |= !quiet;
	return t;
}

static void touch_all(struct kg_map *services, const struct kg_changes *slices)
{
	for (size_t i = 0; i < slices->len; i++) {
		const struct kg_change *c = &slices->items[i];
		struct touched *was = touch(services, c->before, c->quiet);

		if (was)
			slices_add(&was->before, c->before);
		touch(services, c->after, c->quiet);
	}
}

/* As they were before the commit: those after it that did not change, and the others as they were.
 */
static struct kg_object *before_of(
	struct touched *t, const struct slices *after, const struct kg_changes *c)
{
	struct slices *l = &t->before;

	for (size_t i = 0; i < after->n; i++)
		if (!kg_changes_find(c, KG_KIND_ENDPOINTSLICE, after->v[i]->key))
			slices_add(l, after->v[i]);
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), cmp_slice);
	return make(l, t->name);
}

/* What the changes of slices are for the Endpoints that are made of them; objects owned. */
static size_t make_changes(struct kg_change *out, struct kg_map *services,
	const struct kg_changes *slices, const struct kg_snapshot *after)
{
	struct kg_map_entry *service;
	size_t len = 0;

	for (size_t i = 0; (service = kg_map_next(services, &i));) {
		struct touched *t = service->value;
		struct slices l = {0};

		if (!t->told)
			continue;
		gather(&l, after, t->ns, t->name);
		out[len++] = (struct kg_change){
			.before = before_of(t, &l, slices), .after = make(&l, t->name)};
		free(l.v);
	}
	return len;
}

struct feed_entry *kg_api_endpoints_entry(uint64_t revision, const struct kg_changes *slices,
	const struct kg_changes *stored, const struct kg_snapshot *after)
{
	struct kg_map services KG_CLEANUP(touched_release) = KG_MAP_INIT;
	size_t n = 0;

	touch_all(&services, slices);
	size_t cap = services.count + stored->len + 1;
	KG_AUTOFREE struct kg_change *made = kg_alloc(cap * sizeof(*made));
	KG_AUTOFREE struct kg_change *all = kg_alloc(cap * sizeof(*all));
	size_t nmade = make_changes(made, &services, slices, after);
	/* A name may pass from the one kind of Endpoints to the other: who goes is told first. */
	for (int come = 0; come < 2; come++) {
		for (size_t i = 0; i < nmade; i++)
			if ((made[i].after != NULL) == come)
				all[n++] = made[i];
		for (size_t i = 0; i < stored->len; i++)
			if ((stored->items[i].after != NULL) == come)
				all[n++] = stored->items[i];
	}
	struct feed_entry *e =
		kg_api_feed_entry_new(&kg_kinds[KG_KIND_ENDPOINTS], revision, all, n);
	for (size_t i = 0; i < nmade; i++) {
		kg_object_unref(made[i].before);
		kg_object_unref(made[i].after);
	}
	return e;
}
