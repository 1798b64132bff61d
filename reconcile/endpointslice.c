/*
 * EndpointSlices: which pods answer for a Service, at most 100 in each, as Kubernetes' controller
 * cuts them. Pods whose named target ports resolve to different numbers lie in slices of their own,
 * as a slice's ports hold for all its endpoints. An endpoint stays in the slice that it is in, and
 * gaps are filled before there are more slices, so a change of one pod is a change of one slice.
 */
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

#define SLICE_MAX 100
/* On a Service's first slice, where it has several: how many they are. So the newest of their
 * revisions is that of what they say together (Endpoints), also where one went. */
#define SLICES_ANNOTATION "kgit/slices"

/* ---- who answers ---- */

/* A target port on this pod: a number, or the container port of that name. 0: the pod has none. */
static int64_t target_port(const struct kg_value *port, const struct kg_object *pod)
{
	const struct kg_value *target = kg_get(port, "targetPort");
	if (target->type == KG_INT)
		return target->i;
	const char *name = kg_string(target, NULL);
	if (!name)
		return kg_int(kg_get(port, "port"), 0);
	const char *protocol = kg_string(kg_get(port, "protocol"), "TCP");
	return kg_pod_named_port(kg_obj(pod), name, protocol);
}

/* Do a Service's ports depend on the pod? */
static bool are_named(const struct kg_value *ports)
{
	bool named = false;
	for (uint32_t i = 0; i < kg_len(ports); i++)
		named |= kg_get(&ports->items[i], "targetPort")->type == KG_STRING;
	return named;
}

static struct kg_value ports_on(
	struct kg_arena *a, const struct kg_value *ports, const struct kg_object *pod)
{
	struct kg_value *items = kg_arena_alloc(a, (kg_len(ports) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(ports); i++) {
		const struct kg_value *p = &ports->items[i];
		int64_t number = target_port(p, pod);
		if (!number)
			continue;
		const struct kg_value *name = kg_get(p, "name");
		items[n++] = kg_v_obj(a, "name", kg_is_null(name) ? kg_v_lit("") : *name, "port",
			kg_v_int(number), "protocol",
			kg_v_str(a, kg_string(kg_get(p, "protocol"), "TCP")), "appProtocol",
			*kg_get(p, "appProtocol"), (char *)NULL);
	}
	return kg_v_array(a, items, n);
}

/* What an endpoint says of its pod. */
struct facts {
	const struct kg_object *pod;
	const char *ip, *node, *uid;
	const struct kg_value *hostname;
	bool ready, serving, terminating;
};

static struct facts facts_of(const struct kg_object *svc, const struct kg_object *pod)
{
	const struct kg_value *spec = kg_get(kg_obj(pod), "spec");
	bool serving = kg_pod_ready(pod), terminating = kg_object_deleting(pod);
	bool any = kg_bool(kg_get(kg_get(kg_obj(svc), "spec"), "publishNotReadyAddresses"), false);
	bool named = strcmp(kg_string(kg_get(spec, "subdomain"), ""), svc->name) == 0;
	return (struct facts){
		.pod = pod,
		.ip = kg_string(kg_get(kg_get(kg_obj(pod), "status"), "podIP"), ""),
		.node = kg_pod_node(pod),
		.uid = kg_object_uid(pod),
		.hostname = named ? kg_get(spec, "hostname") : &kg_null,
		.ready = any || (serving && !terminating),
		.serving = serving,
		.terminating = terminating,
	};
}

static struct kg_value endpoint_of(struct kg_arena *a, const struct facts *f)
{
	struct kg_value ip = kg_v_str(a, f->ip);
	struct kg_value conditions = kg_v_obj(a, "ready", kg_v_bool(f->ready), "serving",
		kg_v_bool(f->serving), "terminating", kg_v_bool(f->terminating), (char *)NULL);
	struct kg_value ref =
		kg_v_obj(a, "kind", kg_v_lit("Pod"), "name", kg_v_str(a, f->pod->name), "namespace",
			kg_v_str(a, f->pod->ns), "uid", kg_v_str(a, f->uid), (char *)NULL);
	return kg_v_obj(a, "addresses", kg_v_array(a, &ip, 1), "conditions", conditions, "hostname",
		*f->hostname, "nodeName", kg_v_str(a, f->node), "targetRef", ref, (char *)NULL);
}

static bool is_text(const struct kg_value *v, const char *text)
{
	return strcmp(kg_string(v, ""), text) == 0;
}

static bool is_bool(const struct kg_value *v, bool b)
{
	return v->type == KG_BOOL && v->b == b;
}

/* Is that what endpoint_of would make? Then it need not be made. */
static bool says(const struct kg_value *endpoint, const struct facts *f)
{
	const struct kg_value *addresses = kg_get(endpoint, "addresses");
	const struct kg_value *conditions = kg_get(endpoint, "conditions");
	const struct kg_value *ref = kg_get(endpoint, "targetRef");
	return kg_len(endpoint) == 4u + !kg_is_null(f->hostname) && kg_len(addresses) == 1 &&
	       kg_len(conditions) == 3 && kg_len(ref) == 4 &&
	       is_text(&addresses->items[0], f->ip) &&
	       is_bool(kg_get(conditions, "ready"), f->ready) &&
	       is_bool(kg_get(conditions, "serving"), f->serving) &&
	       is_bool(kg_get(conditions, "terminating"), f->terminating) &&
	       kg_equal(kg_get(endpoint, "hostname"), f->hostname) &&
	       is_text(kg_get(endpoint, "nodeName"), f->node) &&
	       is_text(kg_get(ref, "kind"), "Pod") && is_text(kg_get(ref, "name"), f->pod->name) &&
	       is_text(kg_get(ref, "namespace"), f->pod->ns) && is_text(kg_get(ref, "uid"), f->uid);
}

static const char *pod_uid(const struct kg_value *endpoint)
{
	return kg_string(kg_get(kg_get(endpoint, "targetRef"), "uid"), "");
}

/* The endpoints that there are, by their pods' uids: pointers to the values. */
static void index_existing(struct kg_map *out, const struct kg_list *slices)
{
	for (size_t i = 0; i < slices->n; i++) {
		const struct kg_value *eps = kg_get(kg_obj(slices->v[i]), "endpoints");
		for (uint32_t k = 0; k < kg_len(eps); k++)
			kg_map_put(out, pod_uid(&eps->items[k]), (void *)&eps->items[k]);
	}
}

struct group {
	struct kg_value ports;
	struct kg_value *endpoints; /* heap */
	size_t n, cap;
	struct kg_map wanted; /* uid of a pod that has no place yet -> its endpoint */
};
struct groups {
	struct group *v;
	size_t n, cap;
};

static void groups_release(struct groups *g)
{
	for (size_t i = 0; i < g->n; i++) {
		kg_map_release(&g->v[i].wanted);
		free(g->v[i].endpoints);
	}
	free(g->v);
}

static void group_add(struct groups *g, struct kg_value ports, struct kg_value endpoint)
{
	size_t i = 0;
	while (i < g->n && !kg_equal(&g->v[i].ports, &ports))
		i++;
	if (i == g->n) {
		KG_GROW(g->v, g->cap, g->n + 1);
		g->v[g->n++] = (struct group){.ports = ports};
	}
	struct group *to = &g->v[i];
	KG_GROW(to->endpoints, to->cap, to->n + 1);
	to->endpoints[to->n++] = endpoint;
}

static int cmp_group(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	return kg_value_cmp(&x->ports, &y->ports);
}

static bool answers(const struct kg_value *selector, const struct kg_object *pod)
{
	return pod && !kg_pod_terminal(pod) &&
	       *kg_string(kg_get(kg_get(kg_obj(pod), "status"), "podIP"), "") &&
	       kg_labels_match_map(selector, kg_get(kg_get(kg_obj(pod), "metadata"), "labels"));
}

static void collect(struct groups *g, struct kg_run *r, const struct kg_object *svc,
	const struct kg_list *existing)
{
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec"), *sel = kg_get(spec, "selector");
	const struct kg_value *ports = kg_get(spec, "ports");
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;
	KG_CLEANUP(kg_map_release) struct kg_map known = KG_MAP_INIT;
	kg_buf_addf(&key, "%s\x01%s\x01%s", svc->ns, sel->members[0].key,
		kg_string(&sel->members[0].value, ""));
	kg_track_fill(r->st, kg_now(r));
	struct kg_anchor *an = kg_map_get(&r->st->anchors, key.data);
	if (!an)
		return;
	index_existing(&known, existing);
	KG_AUTOFREE struct kg_map_entry **pods = kg_map_sorted(&an->pods);
	bool named = are_named(ports), made = false;
	struct kg_value on = kg_null;
	for (size_t i = 0; i < an->pods.count; i++) {
		const struct kg_object *pod =
			kg_snapshot_get_key(kg_now(r), KG_KIND_POD, pods[i]->key);
		if (!answers(sel, pod))
			continue;
		if (named || !made)
			on = ports_on(&r->a, ports, pod);
		made = true;
		struct facts f = facts_of(svc, pod);
		const struct kg_value *old = kg_map_get(&known, f.uid);
		group_add(g, on, old && says(old, &f) ? *old : endpoint_of(&r->a, &f));
	}
}

static struct kg_value slice_labels(struct kg_arena *a, const struct kg_object *svc)
{
	struct kg_value labels = *kg_at(kg_obj(svc), "metadata.labels");
	if (labels.type != KG_OBJECT)
		labels = kg_v_object(a, NULL, 0);
	labels = kg_with_key(a, &labels, "kubernetes.io/service-name", kg_v_str(a, svc->name));
	labels =
		kg_with_key(a, &labels, "endpointslice.kubernetes.io/managed-by", kg_v_lit("kgit"));
	if (strcmp(kg_string(kg_at(kg_obj(svc), "spec.clusterIP"), ""), "None") == 0)
		labels = kg_with_key(a, &labels, "service.kubernetes.io/headless", kg_v_lit(""));
	return labels;
}

/* ---- slices ---- */

/* One slice as it will be. */
struct slice {
	const struct kg_object *old; /* held by the list of them; NULL: a new one */
	struct kg_value ports;
	struct kg_value *endpoints; /* arena */
	size_t n;
	bool kept, touched; /* it stays; what it holds changes */
};
struct cut {
	struct kg_run *r;
	const struct kg_object *svc;
	struct kg_list existing; /* in order of their names */
	struct slice *v;         /* arena: existing ones first, in that order */
	size_t n, cap;
};

static struct slice *add_slice(struct cut *c, const struct kg_object *old)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 8;
		struct slice *v = kg_arena_alloc(&c->r->a, cap * sizeof(*v));
		if (c->n)
			memcpy(v, c->v, c->n * sizeof(*v));
		c->v = v;
		c->cap = cap;
	}
	struct slice *s = &c->v[c->n++];
	*s = (struct slice){.old = old};
	s->endpoints = kg_arena_alloc(&c->r->a, SLICE_MAX * sizeof(*s->endpoints));
	return s;
}

/* Its endpoints that are still wanted stay, as they are now. */
static void keep_wanted(struct slice *s, struct kg_map *wanted)
{
	const struct kg_value *eps = kg_get(kg_obj(s->old), "endpoints");
	for (uint32_t i = 0; i < kg_len(eps) && s->n < SLICE_MAX; i++) {
		struct kg_value *now = kg_map_remove(wanted, pod_uid(&eps->items[i]));
		if (!now)
			continue;
		s->touched |= !kg_equal(now, &eps->items[i]);
		s->endpoints[s->n++] = *now;
	}
	s->touched |= s->n != kg_len(eps);
	s->kept = s->n > 0;
}

/* Takes of what is left, in its order, until the slice is full. */
static void fill(struct slice *s, const struct group *g, size_t *at)
{
	for (; *at < g->n && s->n < SLICE_MAX; ++*at)
		if (kg_map_has(&g->wanted, pod_uid(&g->endpoints[*at])))
			s->endpoints[s->n++] = g->endpoints[*at];
}

/* The fullest that may take more: of those that change anyway, or those that take all of `left`. */
static struct slice *fullest(struct cut *c, const struct group *g, bool touched, size_t left)
{
	struct slice *best = NULL;
	for (size_t i = 0; i < c->n; i++) {
		struct slice *s = &c->v[i];
		if (!s->kept || s->touched != touched || s->n == SLICE_MAX ||
			!kg_equal(&s->ports, &g->ports) || (!touched && s->n + left > SLICE_MAX))
			continue;
		if (!best || s->n > best->n)
			best = s;
	}
	return best;
}

static size_t count_left(const struct group *g, size_t at)
{
	size_t n = 0;
	for (; at < g->n; at++)
		n += kg_map_has(&g->wanted, pod_uid(&g->endpoints[at]));
	return n;
}

/* A slice that goes is taken for a new one. */
static struct slice *another(struct cut *c)
{
	struct slice *s = NULL;
	for (size_t i = 0; i < c->n && !s; i++)
		if (!c->v[i].kept)
			s = &c->v[i];
	s = s ? s : add_slice(c, NULL);
	s->n = 0;
	s->kept = s->touched = true;
	return s;
}

/* What is there and still wanted stays: of all groups before any takes more room. */
static void keep_group(struct cut *c, struct group *g)
{
	for (size_t i = 0; i < g->n; i++)
		kg_map_put(&g->wanted, pod_uid(&g->endpoints[i]), &g->endpoints[i]);
	for (size_t i = 0; i < c->existing.n; i++)
		if (!c->v[i].kept && kg_equal(&c->v[i].ports, &g->ports))
			keep_wanted(&c->v[i], &g->wanted);
}

static void place_rest(struct cut *c, const struct group *g)
{
	size_t at = 0, left;
	struct slice *s;
	while (g->wanted.count && at < g->n && (s = fullest(c, g, true, 0)))
		fill(s, g, &at);
	while ((left = count_left(g, at))) {
		s = left < SLICE_MAX ? fullest(c, g, false, left) : NULL;
		s = s ? s : another(c);
		s->ports = g->ports;
		s->touched = true;
		fill(s, g, &at);
	}
}

/* A name of the Service's that no other of its slices has. */
static void slice_name(char out[300], const struct cut *c, const struct kg_map *taken)
{
	char what[64], suffix[8];
	for (size_t i = 0;; i++) {
		int n = snprintf(what, sizeof(what), "%s/%zu", kg_object_uid(c->svc), i);
		kg_safe_encode(suffix, 5, kg_hash64(what, (size_t)n));
		snprintf(out, 300, "%s-%s", c->svc->name, suffix);
		if (!kg_map_has(taken, out))
			return;
	}
}

static void put_slice(struct cut *c, const struct slice *s, const char *name, const char *count)
{
	const struct kg_kind *kind = &kg_kinds[KG_KIND_ENDPOINTSLICE];
	struct kg_arena *a = &c->r->a;
	struct kg_value v;
	if (s->old) {
		v = *kg_obj(s->old);
	} else {
		v = kg_v_obj(a, "apiVersion", kg_v_lit("discovery.k8s.io/v1"), "kind",
			kg_v_lit("EndpointSlice"), "metadata", kg_v_object(a, NULL, 0),
			"addressType", kg_v_lit("IPv4"), (char *)NULL);
		v = kg_birth(c->r, kind, c->svc->ns, name, &v);
		v = kg_with(a, &v, "metadata.ownerReferences", kg_make_owner_ref(a, c->svc));
		v = kg_with(a, &v, "metadata.generateName", kg_v_strf(a, "%s-", c->svc->name));
	}
	v = kg_with(a, &v, "metadata.labels", slice_labels(a, c->svc));
	if (count || !kg_is_null(kg_get(kg_at(&v, "metadata.annotations"), SLICES_ANNOTATION)))
		v = kg_with_annotation(a, &v, SLICES_ANNOTATION, count);
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
	struct slice *slice;
};

static int cmp_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void put_all(struct cut *c)
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
			slice_name(name, c, &taken);
		v[n] = (struct named){
			c->v[i].old ? c->v[i].old->name : kg_arena_strdup(a, name), &c->v[i]};
		kg_map_put(&taken, v[n++].name, c);
	}
	qsort(v, n, sizeof(*v), cmp_named);
	for (size_t i = 0; i < n; i++)
		put_slice(c, v[i].slice, v[i].name,
			n > 1 && !i ? kg_arena_printf(a, "%zu", n) : NULL);
}

void kg_slices_sync(struct kg_run *r, const struct kg_object *svc)
{
	KG_CLEANUP(groups_release) struct groups g = {0};
	struct cut c = {.r = r, .svc = svc};
	const struct kg_value *spec = kg_get(kg_obj(svc), "spec");
	const struct kg_value *sel = kg_get(spec, "selector");
	bool selects = sel->type == KG_OBJECT && sel->len > 0 &&
		       strcmp(kg_string(kg_get(spec, "type"), ""), "ExternalName") != 0;
	kg_list_owned(&c.existing, kg_now(r), KG_KIND_ENDPOINTSLICE, kg_object_uid(svc));
	if (selects)
		collect(&g, r, svc, &c.existing);
	if (g.n)
		qsort(g.v, g.n, sizeof(*g.v), cmp_group);
	for (size_t i = 0; i < c.existing.n; i++)
		add_slice(&c, c.existing.v[i])->ports = *kg_get(kg_obj(c.existing.v[i]), "ports");
	for (size_t i = 0; i < g.n; i++)
		keep_group(&c, &g.v[i]);
	for (size_t i = 0; i < g.n; i++)
		place_rest(&c, &g.v[i]);
	if (selects && !g.n) /* it says that nobody answers */
		another(&c)->ports = kg_v_array(&r->a, NULL, 0);
	put_all(&c);
	kg_list_release(&c.existing);
}
