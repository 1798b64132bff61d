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
 */
#include "api/implicit.h"

#include "api/endpoints.h"
#include "kinds/cluster.h"
#include "kinds/endpoints.h"

#include <stdio.h>

bool kg_api_implicit_is_place(enum kg_kind_id kind, const char *ns, const char *name)
{
	const char *own = kg_api_implicit_name(kind);

	return own && !strcmp(own, name) &&
	       (kg_api_implicit_is_everywhere(kind) || !strcmp(ns, "default"));
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
	return kg_v_obj(&m->a, "name", kg_v_lit(kg_api_implicit_name(kind->id)), "namespace",
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

struct kg_object *kg_api_implicit_make(
	const struct kg_object *space, const struct kg_object *cluster, const struct kg_kind *kind)
{
	struct making m = {.a = KG_ARENA_INIT, .space = space, .cluster = cluster};
	struct kg_value v = value_of(&m, kind);
	struct kg_object *obj = NULL;

	if (!kg_is_null(&v)) {
		obj = kg_object_new(&(struct kg_object_spec){.kind = kind,
			.ns = space->name,
			.name = kg_api_implicit_name(kind->id),
			.value = &v});
		obj->revision = !kg_api_implicit_is_everywhere(kind->id) ? cluster->revision
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
	return kg_api_implicit_make(space, kg_cluster_of(s), kind);
}

struct kg_object *kg_api_implicit_get(
	const struct kg_snapshot *s, const struct kg_kind *kind, const char *ns, const char *name)
{
	const struct kg_object *space = kg_api_implicit_is_place(kind->id, ns, name)
						? kg_snapshot_get(s, KG_KIND_NAMESPACE, "", ns)
						: NULL;

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
	if (!kg_api_implicit_name(kind->id))
		return NULL;
	if (!kg_api_implicit_is_everywhere(kind->id)) {
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
		KG_AUTOFREE char *at =
			kg_asprintf("%s/%s", spaces[mid]->name, kg_api_implicit_name(kind));

		if (strcmp(at, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool kg_api_implicit_is_taken(const struct kg_snapshot *s, enum kg_kind_id kind, const char *ns)
{
	return kind == KG_KIND_ENDPOINTS
		       ? has_endpoints(s)
		       : kg_snapshot_get(s, kind, ns, kg_api_implicit_name(kind)) != NULL;
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
		taken += kg_api_implicit_is_taken(s, kind->id, spaces[i]->name);
	return n - taken;
}
