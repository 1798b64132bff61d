/*
 * Objects that are there without anybody's writing them, as in every Kubernetes cluster:
 *
 *   of every namespace   the ServiceAccount default, the ConfigMap kube-root-ca.crt
 *   of `default`         the Service kubernetes with its EndpointSlice and Endpoints
 *
 * No revision holds them: they would say the same of every namespace, in two files each. They are
 * made when they are read, of the Namespace and of what the revision says of the master
 * (kinds/cluster.h), so any retained revision is served with those that it had. A stored object of
 * that name takes the place of one, and has another uid. Their resourceVersion is the later one of
 * what they are made of, so whatever changes the namespace is told as a change of what it has: else
 * a list would show a resourceVersion that no watch ever told. Of one that has its place again, a
 * list shows the one that it had before: since when it is back, no revision says.
 *
 * For watches a commit's changes are added to: a namespace that comes, changes or goes, the
 * master's CA or address that is another, and a stored object that takes a place, or leaves it:
 * then the one is told to be deleted, and the other one to be added. All but namespaces that come
 * or go need the snapshot after the commit. The history on disk has none, so then (and seldom that
 * is) it is loaded; where it cannot be, what is told is of the newest, and comes true later in the
 * stream.
 */
#include "api/implicit.h"

#include "api/endpoints.h"
#include "api/internal.h"
#include "api/reader.h"
#include "kinds/cluster.h"
#include "kinds/endpoints.h"

#include <stdio.h>

/* NULL: the kind has none. */
static const char *name_of(enum kg_kind_id kind)
{
	bool everywhere;

	return kg_cluster_made_name(kind, &everywhere);
}

static bool in_every_space(enum kg_kind_id kind)
{
	bool everywhere;

	return kg_cluster_made_name(kind, &everywhere) && everywhere;
}

static bool is_place(enum kg_kind_id kind, const char *ns, const char *name)
{
	const char *own = name_of(kind);

	return own && !strcmp(own, name) && (in_every_space(kind) || !strcmp(ns, "default"));
}

/* ---- the objects ---- */

struct making {
	struct kg_arena a;
	const struct kg_object *space, *cluster;
};

static struct kg_value metadata(struct making *m, const struct kg_kind *kind,
	const struct kg_object *of, struct kg_value labels)
{
	char uid[37];

	kg_cluster_made_uid(uid, kind, of);
	return kg_v_obj(&m->a, "name", kg_v_lit(name_of(kind->id)), "namespace",
		kg_v_str(&m->a, m->space->name), "uid", kg_v_str(&m->a, uid), "creationTimestamp",
		*kg_at(kg_obj(of), "metadata.creationTimestamp"), "labels", labels, (char *)NULL);
}

static struct kg_value account(struct making *m, const struct kg_kind *kind)
{
	/* The uid is the one that its tokens name. */
	return kg_v_obj(&m->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("ServiceAccount"),
		"metadata", metadata(m, kind, m->space, kg_v_null()), (char *)NULL);
}

static struct kg_value root_ca(struct making *m, const struct kg_kind *kind)
{
	const struct kg_value *ca = kg_get(kg_get(kg_obj(m->cluster), "data"), KG_CLUSTER_CA);
	struct kg_value note = kg_v_obj(&m->a, "kubernetes.io/description",
		kg_v_lit("Contains a CA bundle that can be used to verify the kube-apiserver when "
			 "using internal endpoints such as the internal service IP or "
			 "kubernetes.default.svc. No other usage is guaranteed across "
			 "distributions of Kubernetes clusters."),
		(char *)NULL);

	if (kg_is_null(ca))
		return kg_v_null();
	struct kg_value md = metadata(m, kind, m->space, kg_v_null());
	md = kg_with_key(&m->a, &md, "annotations", note);
	return kg_v_obj(&m->a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("ConfigMap"),
		"metadata", md, "data", kg_v_obj(&m->a, "ca.crt", *ca, (char *)NULL), (char *)NULL);
}

/* ---- the master: "HOST:PORT" ---- */

static bool split_address(const struct making *m, char host[256], int *port, const char **type)
{
	const char *text = kg_cluster_text(m->cluster, KG_CLUSTER_ADDRESS);
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool bracket = n > 2 && text[0] == '[' && text[n - 1] == ']';

	text += bracket;
	n -= bracket ? 2 : 0;
	*port = colon ? atoi(colon + 1) : 0;
	if (!n || n > 255 || *port < 1)
		return false;
	snprintf(host, 256, "%.*s", (int)n, text);
	*type = bracket || strchr(host, ':')       ? "IPv6"
		: strspn(host, "0123456789.") == n ? "IPv4"
						   : "FQDN";
	return true;
}

static struct kg_value list_of(struct making *m, struct kg_value v)
{
	return kg_v_array(&m->a, &v, 1);
}

static struct kg_value service(struct making *m, const struct kg_kind *kind)
{
	struct kg_arena *a = &m->a;
	const char *ip = kg_cluster_text(m->cluster, KG_CLUSTER_SERVICE), *type;
	char host[256];
	int port;

	if (!*ip || !split_address(m, host, &port, &type))
		return kg_v_null();
	struct kg_value labels = kg_v_obj(a, "component", kg_v_lit("apiserver"), "provider",
		kg_v_lit("kubernetes"), (char *)NULL);
	struct kg_value https = kg_v_obj(a, "name", kg_v_lit("https"), "protocol", kg_v_lit("TCP"),
		"port", kg_v_int(443), "targetPort", kg_v_int(port), (char *)NULL);
	struct kg_value spec = kg_v_obj(a, "clusterIP", kg_v_str(a, ip), "clusterIPs",
		list_of(m, kg_v_str(a, ip)), "internalTrafficPolicy", kg_v_lit("Cluster"),
		"ipFamilies", list_of(m, kg_v_lit("IPv4")), "ipFamilyPolicy",
		kg_v_lit("SingleStack"), "ports", list_of(m, https), "sessionAffinity",
		kg_v_lit("None"), "type", kg_v_lit("ClusterIP"), (char *)NULL);
	struct kg_value status = kg_v_obj(a, "loadBalancer", kg_v_object(a, NULL, 0), (char *)NULL);

	return kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Service"), "metadata",
		metadata(m, kind, m->cluster, labels), "spec", spec, "status", status,
		(char *)NULL);
}

static struct kg_value api_port(struct making *m, int port)
{
	return kg_v_obj(&m->a, "name", kg_v_lit("https"), "port", kg_v_int(port), "protocol",
		kg_v_lit("TCP"), (char *)NULL);
}

static struct kg_value slice(struct making *m, const struct kg_kind *kind)
{
	struct kg_arena *a = &m->a;
	const char *type;
	char host[256];
	int port;

	if (!split_address(m, host, &port, &type))
		return kg_v_null();
	struct kg_value labels =
		kg_v_obj(a, KG_LABEL_SERVICE_NAME, kg_v_lit("kubernetes"), (char *)NULL);
	struct kg_value ready = kg_v_obj(a, "ready", kg_v_bool(true), (char *)NULL);
	struct kg_value master = kg_v_obj(
		a, "addresses", list_of(m, kg_v_str(a, host)), "conditions", ready, (char *)NULL);

	return kg_v_obj(a, "apiVersion", kg_v_lit("discovery.k8s.io/v1"), "kind",
		kg_v_lit("EndpointSlice"), "metadata", metadata(m, kind, m->cluster, labels),
		"addressType", kg_v_lit(type), "endpoints", list_of(m, master), "ports",
		list_of(m, api_port(m, port)), (char *)NULL);
}

static struct kg_value endpoints(struct making *m, const struct kg_kind *kind)
{
	struct kg_arena *a = &m->a;
	const char *type;
	char host[256];
	int port;

	/* Endpoints have no names. */
	if (!split_address(m, host, &port, &type) || !strcmp(type, "FQDN"))
		return kg_v_null();
	struct kg_value labels = kg_v_obj(
		a, "endpointslice.kubernetes.io/skip-mirror", kg_v_lit("true"), (char *)NULL);
	struct kg_value master = kg_v_obj(a, "ip", kg_v_str(a, host), (char *)NULL);
	struct kg_value subset = kg_v_obj(a, "addresses", list_of(m, master), "ports",
		list_of(m, api_port(m, port)), (char *)NULL);

	return kg_v_obj(a, "apiVersion", kg_v_lit("v1"), "kind", kg_v_lit("Endpoints"), "metadata",
		metadata(m, kind, m->cluster, labels), "subsets", list_of(m, subset), (char *)NULL);
}

static struct kg_value value_of(struct making *m, const struct kg_kind *kind)
{
	if (kind->id == KG_KIND_SERVICEACCOUNT)
		return account(m, kind);
	if (!m->cluster)
		return kg_v_null();
	switch (kind->id) {
	case KG_KIND_CONFIGMAP:
		return root_ca(m, kind);
	case KG_KIND_SERVICE:
		return service(m, kind);
	case KG_KIND_ENDPOINTSLICE:
		return slice(m, kind);
	default:
		return endpoints(m, kind);
	}
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static struct kg_object *make(
	const struct kg_object *space, const struct kg_object *cluster, const struct kg_kind *kind)
{
	struct making m = {.a = KG_ARENA_INIT, .space = space, .cluster = cluster};
	struct kg_value v = value_of(&m, kind);
	struct kg_object *obj = NULL;

	if (!kg_is_null(&v)) {
		obj = kg_object_new(&(struct kg_object_spec){
			.kind = kind, .ns = space->name, .name = name_of(kind->id), .value = &v});
		obj->revision = !in_every_space(kind->id) ? cluster->revision
				: kind->id == KG_KIND_CONFIGMAP
					? later(space->revision, cluster->revision)
					: space->revision;
	}
	kg_arena_release(&m.a);
	return obj;
}

struct kg_object *kg_api_implicit_of(
	const struct kg_snapshot *s, const struct kg_object *space, const struct kg_kind *kind)
{
	return make(space, kg_cluster_of(s), kind);
}

struct kg_object *kg_api_implicit_get(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, const char *name)
{
	const struct kg_object *space =
		is_place(kind->id, ns, name) ? kg_snapshot_get(s, KG_KIND_NAMESPACE, "", ns) : NULL;

	return space ? kg_api_implicit_of(s, space, kind) : NULL;
}

/* ---- all of them ---- */

/* As "NAME/..." are ordered: '-' comes before '/', which comes before what else a name has. */
static int cmp_space(const void *a, const void *b)
{
	const unsigned char *x = (const void *)(*(const struct kg_object *const *)a)->name;
	const unsigned char *y = (const void *)(*(const struct kg_object *const *)b)->name;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	return (*x ? *x : '/') - (*y ? *y : '/');
}

static const struct kg_object **all_spaces(const struct kg_snapshot *s, size_t *n)
{
	size_t count = s->objects[KG_KIND_NAMESPACE].count;
	const struct kg_object **v = kg_alloc((count + 1) * sizeof(*v));
	struct kg_object_iter it;

	kg_iter_kind(&it, s, KG_KIND_NAMESPACE, NULL, NULL);
	while (*n < count && (v[*n] = kg_iter_next(&it)))
		++*n;
	kg_iter_release(&it);
	qsort(v, *n, sizeof(*v), cmp_space);
	return v;
}

/* Do Endpoints that are stored, or made of a Service's slices, take the place? */
static bool has_endpoints(const struct kg_snapshot *s)
{
	if (kg_snapshot_get(s, KG_KIND_ENDPOINTS, "default", "kubernetes"))
		return true;
	struct kg_object *obj = kg_api_endpoints_of(s, "default", "kubernetes");

	kg_object_unref(obj);
	return obj != NULL;
}

const struct kg_object **kg_api_implicit_spaces(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, size_t *n)
{
	*n = 0;
	if (!name_of(kind->id))
		return NULL;
	if (!in_every_space(kind->id)) {
		if ((ns && strcmp(ns, "default") != 0) ||
			(kind->id == KG_KIND_ENDPOINTS && has_endpoints(s)))
			return NULL;
		ns = "default";
	}
	if (!ns)
		return all_spaces(s, n);
	const struct kg_object *space = kg_snapshot_get(s, KG_KIND_NAMESPACE, "", ns);

	if (!space)
		return NULL;
	const struct kg_object **v = kg_alloc(sizeof(*v));
	v[0] = space;
	*n = 1;
	return v;
}

size_t kg_api_implicit_before(
	const struct kg_object *const *spaces, size_t n, enum kg_kind_id kind, const char *key)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		KG_AUTOFREE char *at = kg_asprintf("%s/%s", spaces[mid]->name, name_of(kind));

		if (strcmp(at, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_taken(const struct kg_snapshot *s, enum kg_kind_id kind, const char *ns)
{
	return kind == KG_KIND_ENDPOINTS ? has_endpoints(s)
					 : kg_snapshot_get(s, kind, ns, name_of(kind)) != NULL;
}

size_t kg_api_implicit_count(const struct kg_snapshot *s, const struct kg_kind *kind)
{
	size_t n, taken = 0;
	KG_AUTOFREE const struct kg_object **spaces = kg_api_implicit_spaces(s, kind, NULL, &n);
	/* All have one, or none. */
	struct kg_object *first = n ? kg_api_implicit_of(s, spaces[0], kind) : NULL;

	kg_object_unref(first);
	if (!first)
		return 0;
	for (size_t i = 0; i < n; i++)
		taken += is_taken(s, kind->id, spaces[i]->name);
	return n - taken;
}

/* ---- changes ---- */

struct telling {
	struct kg_api *api;
	const struct kg_kind *kind;
	uint64_t revision;
	const struct kg_changes *changes;
	struct kg_snapshot *after;       /* owned; NULL: not at hand */
	struct kg_snapshot *now;         /* owned; a later one, which has the same of the master */
	const struct kg_change *cluster; /* what the master is told to be changes; NULL: not */
	struct kg_change *made;          /* heap; objects owned */
	size_t n, cap, nstored;
};

/* The snapshot after the commit. */
static const struct kg_snapshot *snapshot_of(struct telling *t)
{
	struct kg_error err;

	if (!t->after)
		t->after = kg_api_snapshot_at(t->api, t->revision);
	if (!t->after && kg_api_snapshot_load(t->api, &t->after, t->revision, &err) < 0)
		t->after = kg_hub_snapshot(t->api->opt.hub);
	return t->after;
}

/* What the master was told to be after the commit; of the newest snapshot where that has it since.
 */
static const struct kg_object *cluster_after(struct telling *t)
{
	if (t->cluster)
		return kg_cluster_is(t->cluster->after) ? t->cluster->after : NULL;
	if (!t->after && !t->now)
		t->now = kg_hub_snapshot(t->api->opt.hub);
	if (t->after)
		return kg_cluster_of(t->after);
	const struct kg_object *cluster = kg_cluster_of(t->now);
	return cluster && cluster->revision <= t->revision ? cluster
							   : kg_cluster_of(snapshot_of(t));
}

static const struct kg_object *cluster_before(struct telling *t)
{
	if (t->cluster)
		return kg_cluster_is(t->cluster->before) ? t->cluster->before : NULL;
	return cluster_after(t);
}

static void tell(struct telling *t, struct kg_object *before, struct kg_object *after)
{
	if (!before && !after)
		return;
	KG_GROW(t->made, t->cap, t->n + 1);
	t->made[t->n++] = (struct kg_change){.before = before, .after = after};
}

/* Does the commit itself say what becomes of the place? */
static bool is_told(const struct telling *t, const char *key)
{
	const struct kg_changes stored = {t->made, t->nstored};

	return kg_changes_find(&stored, t->kind->id, key);
}

static bool needs_cluster(const struct telling *t)
{
	return t->kind->id != KG_KIND_SERVICEACCOUNT;
}

/* A namespace that came or went, or is another one. */
static bool is_space_change(const struct kg_change *c)
{
	return !c->before || !c->after ||
	       strcmp(kg_object_uid(c->before), kg_object_uid(c->after)) != 0;
}

static bool is_space(const struct kg_change *c)
{
	return kg_change_object(c)->kind->id == KG_KIND_NAMESPACE;
}

/* Does a stored object that the commit leaves alone hold the place? Nothing that is stored outlives
 * its namespace, nor was there before it (reconcile/namespace.c sees to the one, admission to the
 * other): so for a namespace that comes or goes nothing is loaded, and what is there now says
 * enough.
 */
static bool is_hidden(struct telling *t, const struct kg_change *c, const char *ns)
{
	if ((c->before && c->after) || t->after)
		return is_taken(snapshot_of(t), t->kind->id, ns);
	if (!t->now)
		t->now = kg_hub_snapshot(t->api->opt.hub);
	const struct kg_object *obj =
		kg_snapshot_get(t->now, t->kind->id, ns, name_of(t->kind->id));
	return obj && obj->revision <= t->revision;
}

static void tell_space(struct telling *t, const struct kg_change *c)
{
	const char *ns = kg_change_object(c)->name;
	KG_AUTOFREE char *key = kg_asprintf("%s/%s", ns, name_of(t->kind->id));
	bool cluster = needs_cluster(t);

	/* Nothing becomes of what a stored object hides. */
	if (is_told(t, key) || is_hidden(t, c, ns))
		return;
	struct kg_object *before =
		c->before ? make(c->before, cluster ? cluster_before(t) : NULL, t->kind) : NULL;
	struct kg_object *after =
		c->after ? make(c->after, cluster ? cluster_after(t) : NULL, t->kind) : NULL;
	tell(t, before, after);
}

static void tell_spaces(struct telling *t)
{
	/* Namespaces are the first kind. */
	for (size_t i = 0; i < t->changes->len; i++) {
		const struct kg_change *c = &t->changes->items[i];

		if (!is_space(c))
			break;
		tell_space(t, c);
	}
}

/* Every namespace's is another, where the place is not taken; those of namespaces that the commit
 * makes or changes have been told. */
static void tell_cluster(struct telling *t)
{
	size_t n;
	const struct kg_snapshot *s = snapshot_of(t);
	const struct kg_object *was = cluster_before(t), *is = cluster_after(t);
	KG_AUTOFREE const struct kg_object **spaces = kg_api_implicit_spaces(s, t->kind, NULL, &n);

	for (size_t i = 0; i < n; i++) {
		KG_AUTOFREE char *key = kg_asprintf("%s/%s", spaces[i]->name, name_of(t->kind->id));
		const struct kg_change *space =
			kg_changes_find(t->changes, KG_KIND_NAMESPACE, spaces[i]->key);

		if (is_told(t, key) || is_taken(s, t->kind->id, spaces[i]->name) ||
			(in_every_space(t->kind->id) && space))
			continue;
		tell(t, was ? make(spaces[i], was, t->kind) : NULL,
			is ? make(spaces[i], is, t->kind) : NULL);
	}
}

/* Was the implicit one there before the commit in which the place was taken? */
static bool was_there(struct telling *t, const char *ns)
{
	KG_AUTOFREE char *key = kg_asprintf("/%s", ns);
	const struct kg_change *space = kg_changes_find(t->changes, KG_KIND_NAMESPACE, key);

	return !(space && is_space_change(space)) && (!needs_cluster(t) || cluster_before(t));
}

/* A stored object that takes the place is another one than what was there, and so is what is there
 * when it leaves. */
static void settle_place(struct telling *t, const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);
	bool comes = c->after;

	if ((c->before && c->after) || !is_place(t->kind->id, obj->ns, obj->name) ||
		(comes && !was_there(t, obj->ns)))
		return;
	struct kg_object *other = kg_api_implicit_get(snapshot_of(t), t->kind, obj->ns, obj->name);
	tell(t, comes ? other : NULL, comes ? NULL : other);
}

static const char *key_of(const struct kg_change *c)
{
	return kg_change_object(c)->key;
}

/* By key; who goes before who comes. */
static int cmp_change(const void *a, const void *b)
{
	const struct kg_change *x = a, *y = b;
	int d = strcmp(key_of(x), key_of(y));

	return d ? d : (x->after != NULL) - (y->after != NULL);
}

/* Takes over what is told of stored objects. */
static void begin(struct telling *t, struct feed_entry *e)
{
	for (size_t i = 0; e && i < e->len; i++)
		tell(t, e->changes[i].before ? kg_object_ref(e->changes[i].before) : NULL,
			e->changes[i].after ? kg_object_ref(e->changes[i].after) : NULL);
	kg_api_feed_entry_unref(e);
	if (t->n)
		qsort(t->made, t->n, sizeof(*t->made), cmp_change);
	t->nstored = t->n;
}

static struct feed_entry *finish(struct telling *t)
{
	if (t->n)
		qsort(t->made, t->n, sizeof(*t->made), cmp_change);
	struct feed_entry *e = kg_api_feed_entry_new(t->kind, t->revision, t->made, t->n);

	for (size_t i = 0; i < t->n; i++) {
		kg_object_unref(t->made[i].before);
		kg_object_unref(t->made[i].after);
	}
	free(t->made);
	kg_snapshot_unref(t->after);
	kg_snapshot_unref(t->now);
	return e;
}

/* Does the entry change an object whose place is one of these? */
static bool concerns_place(enum kg_kind_id kind, const struct feed_entry *e)
{
	for (size_t i = 0; e && i < e->len; i++) {
		const struct kg_change *c = &e->changes[i];
		const struct kg_object *obj = kg_change_object(c);

		if (is_place(kind, obj->ns, obj->name))
			return true;
	}
	return false;
}

static bool any_place(const struct kg_change *c)
{
	const struct kg_object *obj = kg_change_object(c);

	return (!c->before || !c->after) && is_place(obj->kind->id, obj->ns, obj->name);
}

bool kg_api_implicit_loads(struct kg_api *api, uint64_t revision, const struct kg_changes *changes)
{
	struct kg_snapshot *at = kg_api_snapshot_at(api, revision);
	struct kg_snapshot *now = kg_hub_snapshot(api->opt.hub);
	const struct kg_object *cluster = kg_cluster_of(now);
	bool told_since = !cluster || cluster->revision > revision;
	bool loads = kg_changes_find(changes, KG_KIND_CONFIGMAP, KG_CLUSTER_NS "/" KG_CLUSTER_NAME);

	for (size_t i = 0; !loads && !at && i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];

		loads = any_place(c) || (is_space(c) && (told_since || (c->before && c->after)));
	}
	loads = loads && !at;
	kg_snapshot_unref(at);
	kg_snapshot_unref(now);
	return loads;
}

struct feed_entry *kg_api_implicit_entry(struct kg_api *api, const struct kg_kind *kind,
	uint64_t revision, const struct kg_changes *changes, const struct kg_snapshot *after,
	struct feed_entry *e)
{
	struct telling t = {.api = api, .kind = kind, .revision = revision, .changes = changes};

	if (!name_of(kind->id) || !changes->len)
		return e;
	bool spaces = in_every_space(kind->id) &&
		      kg_change_object(changes->items)->kind->id == KG_KIND_NAMESPACE;

	if (needs_cluster(&t))
		t.cluster = kg_changes_find(
			changes, KG_KIND_CONFIGMAP, KG_CLUSTER_NS "/" KG_CLUSTER_NAME);
	if (!spaces && !t.cluster && !concerns_place(kind->id, e))
		return e;
	t.after = after ? kg_snapshot_ref(after) : NULL;
	begin(&t, e);
	for (size_t i = 0; i < t.nstored; i++) {
		struct kg_change c = t.made[i]; /* which may move */

		/* One goes and another comes in the same commit: the place was and stays taken. */
		if (i + 1 < t.nstored && !strcmp(key_of(&c), key_of(&t.made[i + 1])))
			i++;
		else
			settle_place(&t, &c);
	}
	if (spaces)
		tell_spaces(&t);
	if (t.cluster)
		tell_cluster(&t);
	return finish(&t);
}
