/*
 * EndpointSlices: which pods answer for a Service, at most 100 in each, as Kubernetes' controller
 * cuts them. Pods whose named target ports resolve to different numbers lie in slices of their own,
 * as a slice's ports hold for all its endpoints. An endpoint stays in the slice that it is in, and
 * gaps are filled before there are more slices, so a change of one pod is a change of one slice.
 */
#include "reconcile/endpointslice.h"

#include <stdio.h>
#include <string.h>

/* ---- who answers ---- */

/* The endpoints that there are, by their pods' uids: pointers to the values. */
static void index_existing(struct kg_map *out, const struct kg_list *slices)
{
	for (size_t i = 0; i < slices->n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(slices->v[i]), "endpoints");
		for (uint32_t k = 0; k < kg_len(eps); k++)
			kg_map_put(out, kg_endpoint_uid(&eps->items[k]), (void *)&eps->items[k]);
	}
}

void kg_ends_release(struct kg_ends_list *g)
{
	for (size_t i = 0; i < g->n; i++) {
		kg_map_release(&g->v[i].wanted);
		free(g->v[i].endpoints);
	}
	free(g->v);
}

void kg_ends_add(struct kg_ends_list *g, struct kg_value ports, struct kg_value endpoint)
{
	size_t i = 0;
	while (i < g->n && !kg_equal(&g->v[i].ports, &ports))
		i++;
	if (i == g->n) {
		KG_GROW(g->v, g->cap, g->n + 1);
		g->v[g->n++] = (struct kg_ends){.ports = ports};
	}
	struct kg_ends *to = &g->v[i];
	KG_GROW(to->endpoints, to->cap, to->n + 1);
	to->endpoints[to->n++] = endpoint;
}

static int cmp_group(const void *a, const void *b)
{
	const struct kg_ends *x = a, *y = b;
	return kg_value_cmp(&x->ports, &y->ports);
}

void kg_ends_sort(struct kg_ends_list *g)
{
	if (g->n)
		qsort(g->v, g->n, sizeof(*g->v), cmp_group);
}

static void collect(struct kg_ends_list *g, struct kg_run *r, const struct kg_object *svc,
	const struct kg_list *existing)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec"), *sel = kg_get(spec, "selector");
	const struct kg_value *ports = kg_get(spec, "ports");
	KG_CLEANUP(kg_map_release) struct kg_map known = KG_MAP_INIT;
	kg_track_fill(r->st, kg_now(r));
	const struct kg_anchor *an = kg_anchor_at(r->st, svc->ns, &sel->members[0]);
	if (!an)
		return;
	index_existing(&known, existing);
	KG_AUTOFREE struct kg_map_entry **pods = kg_map_sorted(&an->pods);
	bool named = kg_endpoint_ports_vary(ports), made = false;
	struct kg_value on = kg_null;
	r->st->looked += an->pods.count;
	for (size_t i = 0; i < an->pods.count; i++) {
		const struct kg_object *pod =
			kg_snapshot_get_key(kg_now(r), KG_KIND_POD, pods[i]->key);
		if (!kg_endpoint_answers(sel, pod))
			continue;
		if (named || !made)
			on = kg_endpoint_ports(&r->a, ports, pod);
		made = true;
		const struct kg_value *old = kg_map_get(&known, kg_object_uid(pod));
		kg_ends_add(g, on, kg_endpoint_of(&r->a, svc, pod, old));
	}
}

static struct kg_value slice_labels(struct kg_arena *a, const struct kg_object *svc)
{
	struct kg_value labels = *kg_meta(svc, "labels");
	if (labels.type != KG_OBJECT)
		labels = kg_v_object(a, NULL, 0);
	labels = kg_with_key(a, &labels, KG_LABEL_SERVICE_NAME, kg_v_str(a, svc->name));
	labels = kg_with_key(a, &labels, KG_LABEL_MANAGED_BY, kg_v_lit(KG_SLICES_OF_PODS));
	if (strcmp(kg_string(kg_spec(svc, "clusterIP"), ""), "None") == 0)
		labels = kg_with_key(a, &labels, "service.kubernetes.io/headless", kg_v_lit(""));
	return labels;
}

/* ---- slices ---- */

static struct kg_slice *add_slice(struct kg_slices *c, const struct kg_object *old)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 8;
		struct kg_slice *v = kg_arena_alloc(&c->r->a, cap * sizeof(*v));
		if (c->n)
			memcpy(v, c->v, c->n * sizeof(*v));
		c->v = v;
		c->cap = cap;
	}
	struct kg_slice *s = &c->v[c->n++];
	*s = (struct kg_slice){.old = old};
	return s;
}

static void make_room(struct kg_slices *c, struct kg_slice *s)
{
	s->endpoints = kg_arena_alloc(&c->r->a, KG_SLICE_MAX * sizeof(*s->endpoints));
}

void kg_slice_open(struct kg_slices *c, struct kg_slice *s)
{
	const struct kg_value *eps = s->old ? kg_get(kg_obj(s->old), "endpoints") : &kg_null;
	if (s->endpoints)
		return;
	make_room(c, s);
	if (s->n)
		memcpy(s->endpoints, eps->items, s->n * sizeof(*eps->items));
}

/* Its endpoints that are still wanted stay, as they are now. */
static void keep_wanted(struct kg_slice *s, struct kg_map *wanted)
{
	const struct kg_value *eps = kg_get(kg_obj(s->old), "endpoints");
	for (uint32_t i = 0; i < kg_len(eps) && s->n < KG_SLICE_MAX; i++) {
		struct kg_value *now = kg_map_remove(wanted, kg_endpoint_uid(&eps->items[i]));
		if (!now)
			continue;
		s->touched |= !kg_equal(now, &eps->items[i]);
		s->endpoints[s->n++] = *now;
	}
	s->touched |= s->n != kg_len(eps);
	s->kept = s->n > 0;
}

/* Takes of what is left, in its order, until the slice is full. */
static void fill(struct kg_slices *c, struct kg_slice *s, const struct kg_ends *g, size_t *at)
{
	kg_slice_open(c, s);
	for (; *at < g->n && s->n < KG_SLICE_MAX; ++*at) {
		const struct kg_value *ep = &g->endpoints[*at];
		if (!kg_map_has(&g->wanted, kg_endpoint_uid(ep)))
			continue;
		s->endpoints[s->n++] = *ep;
		if (c->places)
			kg_map_put(&c->places->at, kg_endpoint_name(ep),
				(void *)(uintptr_t)(s - c->v + 1));
	}
}

/* The fullest that may take more: of those that change anyway, or those that take all of `left`. */
static struct kg_slice *fullest(
	struct kg_slices *c, const struct kg_ends *g, bool touched, size_t left)
{
	struct kg_slice *best = NULL;
	for (size_t i = 0; i < c->n; i++) {
		struct kg_slice *s = &c->v[i];
		if (!s->kept || s->touched != touched || s->n == KG_SLICE_MAX ||
			!kg_equal(&s->ports, &g->ports) || (!touched && s->n + left > KG_SLICE_MAX))
			continue;
		if (!best || s->n > best->n)
			best = s;
	}
	return best;
}

static size_t count_left(const struct kg_ends *g, size_t at)
{
	size_t n = 0;
	for (; at < g->n; at++)
		n += kg_map_has(&g->wanted, kg_endpoint_uid(&g->endpoints[at]));
	return n;
}

/* A slice that goes is taken for a new one. */
static struct kg_slice *another(struct kg_slices *c)
{
	struct kg_slice *s = NULL;
	for (size_t i = 0; i < c->n && !s; i++)
		if (!c->v[i].kept)
			s = &c->v[i];
	s = s ? s : add_slice(c, NULL);
	s->n = 0;
	s->kept = s->touched = true;
	return s;
}

/* What is there and still wanted stays: of all groups before any takes more room. */
static void keep_group(struct kg_slices *c, struct kg_ends *g)
{
	for (size_t i = 0; i < g->n; i++)
		kg_map_put(&g->wanted, kg_endpoint_uid(&g->endpoints[i]), &g->endpoints[i]);
	for (size_t i = 0; i < c->existing.n; i++)
		if (!c->v[i].kept && kg_equal(&c->v[i].ports, &g->ports))
			keep_wanted(&c->v[i], &g->wanted);
}

bool kg_slices_place(struct kg_slices *c, const struct kg_ends *g)
{
	size_t at = 0, left;
	struct kg_slice *s;
	while (g->wanted.count && at < g->n && (s = fullest(c, g, true, 0)))
		fill(c, s, g, &at);
	while ((left = count_left(g, at))) {
		s = left < KG_SLICE_MAX ? fullest(c, g, false, left) : NULL;
		if (!s && c->places)
			return false;
		s = s ? s : another(c);
		s->ports = g->ports;
		s->touched = true;
		fill(c, s, g, &at);
	}
	return true;
}

void kg_slice_name(
	char out[300], struct kg_run *r, const struct kg_object *of, const struct kg_map *taken)
{
	char what[64], suffix[8];
	for (size_t i = 0;; i++) {
		int n = snprintf(what, sizeof(what), "%s/%zu", kg_object_uid(of), i);
		kg_safe_encode(suffix, 5, kg_hash64(what, (size_t)n));
		snprintf(out, 300, "%s-%s", of->name, suffix);
		if (!kg_map_has(taken, out) &&
			!kg_snapshot_get(kg_now(r), KG_KIND_ENDPOINTSLICE, of->ns, out))
			return;
	}
}

struct kg_value kg_slice_newborn(struct kg_run *r, const struct kg_object *of, const char *name)
{
	struct kg_arena *a = &r->a;
	struct kg_value v = kg_v_obj(a, "apiVersion", kg_v_lit("discovery.k8s.io/v1"), "kind",
		kg_v_lit("EndpointSlice"), "metadata", kg_v_object(a, NULL, 0), "addressType",
		kg_v_lit("IPv4"), (char *)NULL);
	v = kg_birth(r, &kg_kinds[KG_KIND_ENDPOINTSLICE], of->ns, name, &v);
	v = kg_with(a, &v, "metadata.ownerReferences", kg_make_owner_ref(a, of));
	return kg_with(a, &v, "metadata.generateName", kg_v_strf(a, "%s-", of->name));
}

static void put_slice(
	struct kg_slices *c, const struct kg_slice *s, const char *name, const char *count)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_ENDPOINTSLICE];
	struct kg_arena *a = &c->r->a;
	struct kg_value v;
	if (s->old) {
		v = *kg_obj(s->old);
	} else {
		v = kg_slice_newborn(c->r, c->svc, name);
	}
	v = kg_with(a, &v, "metadata.labels", slice_labels(a, c->svc));
	if (count || !kg_is_null(kg_get(kg_at(&v, "metadata.annotations"), KG_SLICES_ANNOTATION)))
		v = kg_with_annotation(a, &v, KG_SLICES_ANNOTATION, count);
	if (!kg_len(kg_at(&v, "metadata.annotations")))
		v = kg_with(a, &v, "metadata.annotations", kg_v_null());
	v = kg_with_key(a, &v, "ports", s->ports);
	if (s->touched || !s->old)
		v = kg_with_key(a, &v, "endpoints", kg_v_array(a, s->endpoints, s->n));
	if (s->old) {
		v = kg_with_generation(a, s->old, &v);
		kg_put_value(c->r, s->old, &v);
		return;
	}
	struct kg_object_spec spec = {.kind = kind, .ns = c->svc->ns, .name = name, .value = &v};
	kg_txn_put(c->r->txn, kg_object_new(&spec));
}

struct named {
	const char *name;
	struct kg_slice *slice;
};

static int cmp_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void put_all(struct kg_slices *c)
{
	struct kg_arena *a = &c->r->a;
	KG_CLEANUP(kg_map_release) struct kg_map taken = KG_MAP_INIT;
	struct named *v = kg_arena_alloc(a, (c->n + 1) * sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < c->existing.n; i++)
		kg_map_put(&taken, c->existing.v[i]->name, c);
	for (size_t i = 0; i < c->n; i++) {
		char name[300];
		if (!c->v[i].kept) {
			kg_delete_object(c->r, c->v[i].old);
			continue;
		}
		if (!c->v[i].old)
			kg_slice_name(name, c->r, c->svc, &taken);
		v[n] = (struct named){
			c->v[i].old ? c->v[i].old->name : kg_arena_strdup(a, name), &c->v[i]};
		kg_map_put(&taken, v[n++].name, c);
	}
	qsort(v, n, sizeof(*v), cmp_named);
	for (size_t i = 0; i < n; i++)
		put_slice(c, v[i].slice, v[i].name,
			n > 1 && !i ? kg_arena_printf(a, "%zu", n) : NULL);
}

void kg_slice_put(struct kg_slices *c, const struct kg_slice *s)
{
	struct kg_arena *a = &c->r->a;
	struct kg_value v =
		kg_with_key(a, kg_obj(s->old), "endpoints", kg_v_array(a, s->endpoints, s->n));
	v = kg_with_generation(a, s->old, &v);
	kg_put_value(c->r, s->old, &v);
}

/* By all that there is. */
static void look_at_all(struct kg_slices *c)
{
	KG_CLEANUP(kg_ends_release) struct kg_ends_list g = {0};
	bool selects = kg_service_selects(c->svc);
	for (size_t i = 0; i < c->n; i++) {
		c->v[i].n = 0;
		c->v[i].kept = c->v[i].touched = false;
		make_room(c, &c->v[i]);
	}
	if (selects)
		collect(&g, c->r, c->svc, &c->existing);
	kg_ends_sort(&g);
	for (size_t i = 0; i < g.n; i++)
		keep_group(c, &g.v[i]);
	for (size_t i = 0; i < g.n; i++)
		kg_slices_place(c, &g.v[i]);
	if (selects && !g.n) /* it says that nobody answers */
		another(c)->ports = kg_v_array(&c->r->a, NULL, 0);
	put_all(c);
	if (selects)
		kg_slices_remember(c);
}

void kg_slices_sync(struct kg_run *r, const struct kg_object *svc)
{
	struct kg_slices c = {.r = r, .svc = svc, .places = kg_map_get(&r->st->places, svc->key)};
	kg_list_owned(&c.existing, kg_now(r), KG_KIND_ENDPOINTSLICE, kg_object_uid(svc));
	for (size_t i = 0; i < c.existing.n; i++)
		add_slice(&c, c.existing.v[i])->ports = *kg_get(kg_obj(c.existing.v[i]), "ports");
	if (!c.places || !kg_slices_follow(&c)) {
		c.places = NULL;
		look_at_all(&c);
	}
	kg_list_release(&c.existing);
}
