/*
 * The tables. One row is one rule; rows of one role follow each other. Words are separated by
 * blanks; "-" is the core group.
 */
#include "builtin.h"

#include "base/hash.h"
#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#define RBAC      "rbac.authorization.k8s.io"
#define READ      "get list watch"
#define WRITE     "create delete deletecollection patch update"
#define ALL_VERBS READ " " WRITE

struct rule_row {
	const char *role, *verbs, *groups, *resources, *urls;
};

#define WORKLOADS                                                                                  \
	"daemonsets deployments deployments/scale replicasets replicasets/scale statefulsets "     \
	"statefulsets/scale"

static const struct rule_row rule_rows[] = {
	{"cluster-admin", "*", "*", "*", NULL},
	{"cluster-admin", "*", NULL, NULL, "*"},
	/* Reads all there is, Secrets as well, as whoever has a clone of the repository does. */
	{"kgit:reader", READ, "*", "*", NULL},
	{"system:aggregate-to-admin", "create", "authorization.k8s.io", "localsubjectaccessreviews",
		NULL},
	{"system:aggregate-to-admin", ALL_VERBS, RBAC, "rolebindings roles", NULL},
	{"system:aggregate-to-edit", READ, "-",
		"pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", NULL},
	{"system:aggregate-to-edit", "impersonate", "-", "serviceaccounts", NULL},
	{"system:aggregate-to-edit", WRITE, "-",
		"pods pods/attach pods/exec pods/portforward pods/proxy", NULL},
	{"system:aggregate-to-edit", "create", "-", "pods/eviction serviceaccounts/token", NULL},
	{"system:aggregate-to-edit", WRITE, "-",
		"configmaps events persistentvolumeclaims podtemplates replicationcontrollers "
		"replicationcontrollers/scale secrets serviceaccounts services services/proxy",
		NULL},
	{"system:aggregate-to-edit", WRITE, "apps",
		"daemonsets deployments deployments/rollback "
		"deployments/scale replicasets "
		"replicasets/scale statefulsets "
		"statefulsets/scale",
		NULL},
	{"system:aggregate-to-edit", WRITE, "autoscaling", "horizontalpodautoscalers", NULL},
	{"system:aggregate-to-edit", WRITE, "batch", "cronjobs jobs", NULL},
	{"system:aggregate-to-edit", WRITE, "policy", "poddisruptionbudgets", NULL},
	{"system:aggregate-to-edit", WRITE, "networking.k8s.io", "ingresses networkpolicies", NULL},
	{"system:aggregate-to-edit", ALL_VERBS, "coordination.k8s.io", "leases", NULL},
	{"system:aggregate-to-edit", "create update delete", "kgit", "branches", NULL},
	{"system:aggregate-to-view", READ, "-",
		"configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods "
		"podtemplates replicationcontrollers replicationcontrollers/scale serviceaccounts "
		"services services/status",
		NULL},
	{"system:aggregate-to-view", READ, "-",
		"bindings events limitranges namespaces/status pods/log pods/status "
		"replicationcontrollers/status resourcequotas resourcequotas/status",
		NULL},
	{"system:aggregate-to-view", READ, "-", "namespaces", NULL},
	{"system:aggregate-to-view", READ, "discovery.k8s.io", "endpointslices", NULL},
	{"system:aggregate-to-view", READ, "apps",
		"controllerrevisions " WORKLOADS
		" daemonsets/status deployments/status replicasets/status statefulsets/status",
		NULL},
	{"system:aggregate-to-view", READ, "autoscaling",
		"horizontalpodautoscalers horizontalpodautoscalers/status", NULL},
	{"system:aggregate-to-view", READ, "batch", "cronjobs cronjobs/status jobs jobs/status",
		NULL},
	{"system:aggregate-to-view", READ, "policy",
		"poddisruptionbudgets poddisruptionbudgets/status", NULL},
	{"system:aggregate-to-view", READ, "networking.k8s.io",
		"ingresses ingresses/status networkpolicies", NULL},
	{"system:aggregate-to-view", READ, "events.k8s.io", "events", NULL},
	{"system:aggregated-metrics-reader", READ, "metrics.k8s.io", "nodes pods", NULL},
	{"system:basic-user", "create", "authorization.k8s.io",
		"selfsubjectaccessreviews selfsubjectrulesreviews", NULL},
	{"system:basic-user", "create", "authentication.k8s.io", "selfsubjectreviews", NULL},
	{"system:discovery", "get", NULL, NULL,
		"/api /api/* /apis /apis/* /healthz /healthz/* /livez /livez/* /openapi /openapi/* "
		"/readyz /readyz/* /version /version/"},
	{"system:monitoring", "get", NULL, NULL,
		"/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*"},
	{"system:public-info-viewer", "get", NULL, NULL,
		"/healthz /healthz/* /livez /livez/* /readyz /readyz/*"},
	{"system:service-account-issuer-discovery", "get", NULL, NULL,
		"/.well-known/openid-configuration /.well-known/openid-configuration/ "
		"/openid/v1/jwks /openid/v1/jwks/"},
};

/* Roles made of those that carry a label: rbac.authorization.k8s.io/<aggregate>. */
static const struct {
	const char *role, *of;
} aggregates[] = {
	{"admin", "aggregate-to-admin"},
	{"edit", "aggregate-to-edit"},
	{"view", "aggregate-to-view"},
};

static const struct {
	const char *role, *label;
} labels[] = {
	{"edit", "aggregate-to-admin"},
	{"view", "aggregate-to-edit"},
	{"system:aggregate-to-admin", "aggregate-to-admin"},
	{"system:aggregate-to-edit", "aggregate-to-edit"},
	{"system:aggregate-to-view", "aggregate-to-view"},
	{"system:aggregated-metrics-reader", "aggregate-to-view"},
};

/* Each is bound to groups by a binding of the role's own name. */
static const struct {
	const char *role, *groups;
} bindings[] = {
	{"cluster-admin", "system:masters"},
	{"system:basic-user", "system:authenticated"},
	{"system:discovery", "system:authenticated"},
	{"system:monitoring", "system:monitoring"},
	{"system:public-info-viewer", "system:authenticated system:unauthenticated"},
	{"system:service-account-issuer-discovery", "system:serviceaccounts"},
};

#define MAX_OBJECTS 32
struct list {
	const struct kg_object *items[MAX_OBJECTS];
	size_t n;
};
static struct list roles, role_bindings;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* ---- making them ---- */

static struct kg_value words(struct kg_arena *a, const char *text)
{
	struct kg_value items[16];
	size_t n = 0;

	while (text && *text && n < KG_ARRAY_LEN(items)) {
		size_t len = strcspn(text, " ");

		items[n++] = len == 1 && *text == '-' ? kg_v_lit("") : kg_v_strn(a, text, len);
		text += len + strspn(text + len, " ");
	}
	return n ? kg_v_array(a, items, n) : kg_v_null();
}

static struct kg_value rule(struct kg_arena *a, const struct rule_row *r)
{
	return kg_v_obj(a, "verbs", words(a, r->verbs), "apiGroups", words(a, r->groups),
		"resources", words(a, r->resources), "nonResourceURLs", words(a, r->urls),
		(char *)NULL);
}

static struct kg_value metadata(struct kg_arena *a, const struct kg_kind *kind, const char *name)
{
	/* Of no cluster: they are the same in all. */
	static const char space[] = "5bb0bd6b-6ca2-5f01-8e1b-4d6c8c1f6c11";
	struct kg_value marks =
		kg_v_obj(a, "kubernetes.io/bootstrapping", kg_v_lit("rbac-defaults"), (char *)NULL);
	char uid[37];

	for (size_t i = 0; kind->id == KG_KIND_CLUSTERROLE && i < KG_ARRAY_LEN(labels); i++)
		if (strcmp(labels[i].role, name) == 0)
			marks = kg_with_key(a, &marks,
				kg_arena_printf(a, RBAC "/%s", labels[i].label), kg_v_lit("true"));
	kg_uuid5(uid, space, kg_arena_printf(a, "%s/%s", kind->plural, name));
	return kg_v_obj(
		a, "name", kg_v_lit(name), "uid", kg_v_str(a, uid), "labels", marks, (char *)NULL);
}

static void add(struct list *out, struct kg_arena *a, enum kg_kind_id id, const char *name,
	const char *key, struct kg_value v)
{
	const struct kg_kind *kind = &kg_kinds[id];
	struct kg_value whole = kg_v_obj(a, "apiVersion", kg_v_lit(kg_kind_api_version(kind)),
		"kind", kg_v_lit(kind->kind), "metadata", metadata(a, kind, name), (char *)NULL);
	struct kg_object_spec spec = {.kind = kind, .ns = "", .name = name, .value = &whole};

	whole = kg_with(a, &whole, key, v);
	if (id == KG_KIND_CLUSTERROLEBINDING)
		whole = kg_with(a, &whole, "roleRef",
			kg_v_obj(a, "apiGroup", kg_v_lit(RBAC), "kind", kg_v_lit("ClusterRole"),
				"name", kg_v_lit(name), (char *)NULL));
	struct kg_object *obj = kg_object_new(&spec);
	obj->revision = 1;
	size_t at = out->n++;
	for (; at > 0 && strcmp(out->items[at - 1]->name, name) > 0; at--)
		out->items[at] = out->items[at - 1];
	out->items[at] = obj;
}

static struct kg_value selector(struct kg_arena *a, const char *label)
{
	struct kg_value none = kg_v_object(a, NULL, 0);
	struct kg_value match =
		kg_with_key(a, &none, kg_arena_printf(a, RBAC "/%s", label), kg_v_lit("true"));
	struct kg_value one = kg_v_obj(a, "matchLabels", match, (char *)NULL);

	return kg_v_obj(a, "clusterRoleSelectors", kg_v_array(a, &one, 1), (char *)NULL);
}

static bool is_part_of(const struct kg_value *role, const struct kg_object *part)
{
	const struct kg_value *by = kg_at(role, "aggregationRule.clusterRoleSelectors.0");

	return kg_selector_matches(by, kg_at(kg_obj(part), "metadata.labels"));
}

/* An aggregated role shows the rules that it comes to, for who reads it; those that main adds are
 * found by their labels. view is part of edit, and edit of admin. */
static void collect(struct kg_value *rules, size_t *n, const struct kg_value *role)
{
	for (size_t i = 0; i < roles.n; i++) {
		const struct kg_value *part = kg_obj(roles.items[i]);

		if (part == role || !is_part_of(role, roles.items[i]))
			continue;
		if (!kg_is_null(kg_get(part, "aggregationRule")))
			collect(rules, n, part);
		else
			for (uint32_t k = 0; k < kg_len(kg_get(part, "rules")); k++)
				rules[(*n)++] = kg_get(part, "rules")->items[k];
	}
}

static void show_rules(struct kg_arena *a, const char *name)
{
	struct kg_value rules[KG_ARRAY_LEN(rule_rows)];
	size_t n = 0, at = 0;

	while (strcmp(roles.items[at]->name, name) != 0)
		at++;
	struct kg_object *old = (struct kg_object *)roles.items[at];
	collect(rules, &n, kg_obj(old));
	struct kg_value v = kg_with(a, kg_obj(old), "rules", kg_v_array(a, rules, n));
	struct kg_object *obj = kg_object_with(old, &v);
	obj->revision = 1;
	roles.items[at] = obj;
	kg_object_unref(old);
}

static void make_roles(struct kg_arena *a)
{
	struct kg_value rules[KG_ARRAY_LEN(rule_rows)];

	for (size_t i = 0; i < KG_ARRAY_LEN(rule_rows);) {
		const char *name = rule_rows[i].role;
		size_t n = 0;

		for (; i < KG_ARRAY_LEN(rule_rows) && strcmp(rule_rows[i].role, name) == 0; i++)
			rules[n++] = rule(a, &rule_rows[i]);
		add(&roles, a, KG_KIND_CLUSTERROLE, name, "rules", kg_v_array(a, rules, n));
	}
	for (size_t i = 0; i < KG_ARRAY_LEN(aggregates); i++)
		add(&roles, a, KG_KIND_CLUSTERROLE, aggregates[i].role, "aggregationRule",
			selector(a, aggregates[i].of));
	for (size_t i = 0; i < KG_ARRAY_LEN(aggregates); i++)
		show_rules(a, aggregates[i].role);
}

static void make_bindings(struct kg_arena *a)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(bindings); i++) {
		struct kg_value names = words(a, bindings[i].groups), subjects[4];

		for (uint32_t k = 0; k < names.len && k < KG_ARRAY_LEN(subjects); k++)
			subjects[k] = kg_v_obj(a, "apiGroup", kg_v_lit(RBAC), "kind",
				kg_v_lit("Group"), "name", names.items[k], (char *)NULL);
		add(&role_bindings, a, KG_KIND_CLUSTERROLEBINDING, bindings[i].role, "subjects",
			kg_v_array(a, subjects, names.len));
	}
}

static void make(void)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	make_roles(&a);
	make_bindings(&a);
}

/* So that nobody takes them for leaked. */
static __attribute__((destructor)) void forget(void)
{
	struct list *lists[] = {&roles, &role_bindings};

	for (size_t k = 0; k < KG_ARRAY_LEN(lists); k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			kg_object_unref((struct kg_object *)lists[k]->items[i]);
}

const struct kg_object *const *kg_builtin_objects(enum kg_kind_id kind, size_t *n)
{
	static const struct list none;
	const struct list *l = kind == KG_KIND_CLUSTERROLE          ? &roles
			       : kind == KG_KIND_CLUSTERROLEBINDING ? &role_bindings
								    : &none;

	pthread_once(&once, make);
	*n = l->n;
	return l->items;
}

const struct kg_object *kg_builtin_object(enum kg_kind_id kind, const char *name)
{
	size_t n;
	const struct kg_object *const *all = kg_builtin_objects(kind, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(all[i]->name, name) == 0)
			return all[i];
	return NULL;
}
