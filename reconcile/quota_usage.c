/* What objects count for in a ResourceQuota. */
#include "reconcile/podpolicy.h"

#include <string.h>

/* ---- pods ---- */

static int64_t of_pod(const struct kg_value *spec, const char *list, const char *resource)
{
	if (!strcmp(list, "requests"))
		return kg_pod_request(spec, resource, 0);
	int64_t limit = kg_pod_milli(spec, list, resource);
	return limit > 0 ? kg_amount_add(limit, kg_pod_overhead(spec, resource)) : 0;
}

static int64_t pod_amount(const struct kg_value *pod, const char *what)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	if (kg_phase_is_terminal(kg_string(kg_at(pod, "status.phase"), "")))
		return 0;
	if (!strcmp(what, "pods"))
		return 1000;
	if (!strncmp(what, "limits.", 7))
		return of_pod(spec, "limits", what + 7);
	if (!strncmp(what, "requests.", 9))
		return of_pod(spec, "requests", what + 9);
	if (!strcmp(what, "cpu") || !strcmp(what, "memory") || !strcmp(what, "ephemeral-storage") ||
		kg_hugepages_size(what))
		return of_pod(spec, "requests", what);
	return 0;
}

/* ---- other kinds ---- */

static int64_t service_amount(const struct kg_value *svc, const char *what)
{
	const char *type = kg_string(kg_at(svc, "spec.type"), "ClusterIP");
	bool balancer = !strcmp(type, "LoadBalancer");
	if (!strcmp(what, "services.loadbalancers"))
		return balancer ? 1000 : 0;
	if (strcmp(what, "services.nodeports") != 0 || (!balancer && strcmp(type, "NodePort") != 0))
		return 0;
	const struct kg_value *ports = kg_at(svc, "spec.ports");
	if (!balancer || kg_bool(kg_at(svc, "spec.allocateLoadBalancerNodePorts"), true))
		return 1000 * (int64_t)kg_len(ports);
	int64_t named = 0;
	for (uint32_t i = 0; i < kg_len(ports); i++)
		named += kg_int(kg_get(&ports->items[i], "nodePort"), 0) != 0;
	return 1000 * named;
}

#define OF_CLASS ".storageclass.storage.k8s.io/"

static int64_t claim_amount(const struct kg_value *claim, const char *what)
{
	const char *class = kg_string(kg_at(claim, "spec.storageClassName"), "");
	const char *of_class = strstr(what, OF_CLASS);
	if (of_class) {
		size_t n = strlen(class);
		if (!n || (size_t)(of_class - what) != n || strncmp(what, class, n) != 0)
			return 0;
		what = of_class + strlen(OF_CLASS);
		if (!strcmp(what, "persistentvolumeclaims"))
			return 1000;
	}
	if (!strcmp(what, "requests.storage"))
		return kg_amount_milli(kg_at(claim, "spec.resources.requests.storage"));
	return 0;
}

int64_t kg_quota_amount(
	const struct kg_kind *kind, const struct kg_value *obj, const char *what, bool over)
{
	static const enum kg_kind_id counted[] = {KG_KIND_SERVICE, KG_KIND_SECRET,
		KG_KIND_CONFIGMAP, KG_KIND_REPLICATIONCONTROLLER, KG_KIND_RESOURCEQUOTA,
		KG_KIND_PERSISTENTVOLUMECLAIM};
	if (!strncmp(what, "count/", 6))
		return strcmp(what + 6, kg_kind_resource(kind)) == 0 ? 1000 : 0;
	if (over)
		return 0;
	for (size_t i = 0; i < KG_ARRAY_LEN(counted); i++)
		if (kind->id == counted[i] && !strcmp(what, kind->plural))
			return 1000;
	switch (kind->id) {
	case KG_KIND_POD:
		return pod_amount(obj, what);
	case KG_KIND_SERVICE:
		return service_amount(obj, what);
	case KG_KIND_PERSISTENTVOLUMECLAIM:
		return claim_amount(obj, what);
	default:
		return 0;
	}
}

kg_time kg_quota_until(const struct kg_value *pod)
{
	const struct kg_value *meta = kg_get(pod, "metadata");
	kg_time due = kg_time_of(kg_get(meta, "deletionTimestamp"), KG_TIME_NEVER);
	return due == KG_TIME_NEVER
		       ? due
		       : due + kg_seconds(kg_get(meta, "deletionGracePeriodSeconds"), 0);
}

/* ---- scopes ---- */

static bool crosses_namespaces(const struct kg_value *spec)
{
	static const char *const kinds[] = {"podAffinity", "podAntiAffinity"};
	static const char *const lists[] = {"requiredDuringSchedulingIgnoredDuringExecution",
		"preferredDuringSchedulingIgnoredDuringExecution"};
	for (size_t i = 0; i < 4; i++) {
		const struct kg_value *terms =
			kg_get(kg_get(kg_get(spec, "affinity"), kinds[i / 2]), lists[i % 2]);
		for (uint32_t k = 0; k < kg_len(terms); k++) {
			const struct kg_value *t = &terms->items[k];
			if (i % 2)
				t = kg_get(t, "podAffinityTerm");
			if (kg_len(kg_get(t, "namespaces")) ||
				!kg_is_null(kg_get(t, "namespaceSelector")))
				return true;
		}
	}
	return false;
}

static bool is_listed(const struct kg_value *list, const char *s)
{
	for (uint32_t i = 0; i < kg_len(list); i++)
		if (!strcmp(kg_string(&list->items[i], ""), s))
			return true;
	return false;
}

static bool class_matches(const char *class, const char *op, const struct kg_value *values)
{
	if (!strcmp(op, "DoesNotExist"))
		return !*class;
	if (!strcmp(op, "NotIn"))
		return !*class || !is_listed(values, class);
	return *class && (strcmp(op, "In") != 0 || is_listed(values, class));
}

static bool in_scope(const struct kg_value *pod, const char *scope, const char *op,
	const struct kg_value *values)
{
	const struct kg_value *spec = kg_get(pod, "spec");
	bool ends = !kg_is_null(kg_get(spec, "activeDeadlineSeconds"));
	bool best = !strcmp(kg_pod_qos(spec), "BestEffort");
	if (!strcmp(scope, "Terminating"))
		return ends;
	if (!strcmp(scope, "NotTerminating"))
		return !ends;
	if (!strcmp(scope, "BestEffort"))
		return best;
	if (!strcmp(scope, "NotBestEffort"))
		return !best;
	if (!strcmp(scope, "CrossNamespacePodAffinity"))
		return crosses_namespaces(spec);
	return class_matches(kg_string(kg_get(spec, "priorityClassName"), ""), op, values);
}

bool kg_quota_includes(
	const struct kg_value *quota, const struct kg_kind *kind, const struct kg_value *obj)
{
	const struct kg_value *scopes = kg_at(quota, "spec.scopes");
	const struct kg_value *terms = kg_at(quota, "spec.scopeSelector.matchExpressions");
	if (!kg_len(scopes) && !kg_len(terms))
		return true;
	if (kind->id != KG_KIND_POD)
		return false;
	for (uint32_t i = 0; i < kg_len(scopes); i++)
		if (!in_scope(obj, kg_string(&scopes->items[i], ""), "Exists", &kg_null))
			return false;
	for (uint32_t i = 0; i < kg_len(terms); i++)
		if (!in_scope(obj, kg_string(kg_get(&terms->items[i], "scopeName"), ""),
			    kg_string(kg_get(&terms->items[i], "operator"), ""),
			    kg_get(&terms->items[i], "values")))
			return false;
	return true;
}

/* ---- what must be named ---- */

static bool names(const struct kg_value *c, const char *what)
{
	const struct kg_value *res = kg_get(c, "resources");
	bool limit = !strncmp(what, "limits.", 7);
	const char *name = limit ? what + 7 : !strncmp(what, "requests.", 9) ? what + 9 : what;
	return !kg_is_null(kg_get(kg_get(res, "limits"), name)) ||
	       (!limit && !kg_is_null(kg_get(kg_get(res, "requests"), name)));
}

static int cmp_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_unnamed(
	struct kg_buf *out, struct kg_arena *a, const struct kg_value *spec, const char *what)
{
	static const char *const lists[] = {"containers", "initContainers"};
	struct kg_texts t = {.a = a};
	for (size_t l = 0; l < KG_ARRAY_LEN(lists); l++) {
		const struct kg_value *cs = kg_get(spec, lists[l]);
		for (uint32_t i = 0; i < kg_len(cs); i++)
			if (!names(&cs->items[i], what))
				kg_texts_add(
					&t, "%s", kg_string(kg_get(&cs->items[i], "name"), ""));
	}
	if (!t.n)
		return;
	qsort(t.v, t.n, sizeof(*t.v), cmp_text);
	kg_buf_addf(out, "%s%s for: ", out->len ? "; " : "", what);
	for (size_t i = 0; i < t.n; i++)
		kg_buf_addf(out, "%s%s", i ? "," : "", t.v[i]);
}

const char *kg_quota_unnamed(
	struct kg_arena *a, const struct kg_value *quota, const struct kg_value *pod)
{
	static const char *const must[] = {
		"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"};
	const struct kg_value *hard = kg_at(quota, "spec.hard");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (uint32_t i = 0; i < kg_len(hard); i++)
		for (size_t k = 0; k < KG_ARRAY_LEN(must); k++)
			if (!strcmp(hard->members[i].key, must[k]))
				add_unnamed(&b, a, kg_get(pod, "spec"), must[k]);
	return b.len ? kg_arena_printf(a, "must specify %s", b.data) : NULL;
}
