/*
 * Subjects are found by "NAMESPACE\nUNAME" and "NAMESPACE\nGNAME", the namespace empty for the
 * whole cluster. A namespace asked for that holds a line break is none.
 */
#include "policy.h"

#include "base/map.h"
#include "builtin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define KEY_SIZE   1024
#define MAX_NESTED 16 /* roles that aggregate roles that aggregate ... */

struct grants {
	const struct kg_role **roles;
	size_t n, cap;
};

struct cluster_role {
	struct kg_role role;
	const struct kg_value *value; /* only while compiling */
	bool done;
};

struct kg_policy {
	_Atomic int refs;
	struct kg_arena arena;
	struct kg_map roles;         /* "NS/NAME" -> struct kg_role */
	struct kg_map cluster_roles; /* NAME -> struct cluster_role */
	struct kg_map subjects;      /* -> struct grants, whose roles are heap */
};

/* ---- roles ---- */

static struct kg_role read_role(struct kg_policy *p, const struct kg_value *v)
{
	const struct kg_value *rules = kg_get(v, "rules");
	uint32_t n = rules->type == KG_ARRAY ? rules->len : 0;
	struct kg_rule *out = kg_arena_alloc(&p->arena, (n + 1) * sizeof(*out));

	for (uint32_t i = 0; i < n; i++)
		out[i] = kg_rule_read(&p->arena, &rules->items[i]);
	return (struct kg_role){.rules = out, .n = n};
}

static void add_cluster_role(struct kg_policy *p, const struct kg_object *obj)
{
	struct cluster_role *c = kg_arena_alloc(&p->arena, sizeof(*c));

	c->value = kg_obj(obj);
	kg_map_put(&p->cluster_roles, obj->name, c);
}

static bool is_selected(const struct kg_value *by, const struct cluster_role *c)
{
	const struct kg_value *selectors = kg_at(by, "aggregationRule.clusterRoleSelectors");

	for (uint32_t i = 0; i < kg_len(selectors); i++)
		if (kg_selector_matches(&selectors->items[i], kg_at(c->value, "metadata.labels")))
			return true;
	return false;
}

static void resolve(struct kg_policy *p, struct cluster_role *c, unsigned depth);

/* What it says itself does not count: Kubernetes' controller would overwrite it. */
static void aggregate(struct kg_policy *p, struct cluster_role *c, unsigned depth)
{
	struct kg_rule *rules = NULL;
	size_t n = 0, cap = 0;
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&p->cluster_roles, &i));) {
		struct cluster_role *other = e->value;

		if (other == c || !is_selected(c->value, other))
			continue;
		resolve(p, other, depth + 1);
		KG_GROW(rules, cap, n + other->role.n + 1);
		if (other->role.n)
			memcpy(rules + n, other->role.rules, other->role.n * sizeof(*rules));
		n += other->role.n;
	}
	struct kg_rule *own = kg_arena_alloc(&p->arena, (n + 1) * sizeof(*own));
	if (n)
		memcpy(own, rules, n * sizeof(*own));
	free(rules);
	c->role = (struct kg_role){.rules = own, .n = n};
}

static void resolve(struct kg_policy *p, struct cluster_role *c, unsigned depth)
{
	if (c->done)
		return;
	c->done = true; /* a circle ends here */
	if (kg_is_null(kg_get(c->value, "aggregationRule")))
		c->role = read_role(p, c->value);
	else if (depth < MAX_NESTED)
		aggregate(p, c, depth);
}

static void add_role(struct kg_policy *p, const struct kg_object *obj)
{
	struct kg_role *r = kg_arena_alloc(&p->arena, sizeof(*r));

	*r = read_role(p, kg_obj(obj));
	kg_map_put(&p->roles, obj->key, r);
}

const struct kg_role *kg_policy_role(const struct kg_policy *p, const char *ns, const char *name)
{
	char key[KEY_SIZE];

	if (!*ns) {
		const struct cluster_role *c = kg_map_get(&p->cluster_roles, name);

		return c ? &c->role : NULL;
	}
	int n = snprintf(key, sizeof(key), "%s/%s", ns, name);
	return n < (int)sizeof(key) ? kg_map_get(&p->roles, key) : NULL;
}

/* ---- bindings ---- */

/* Asked several times a request, so it is put together by hand. */
static bool subject_key(char key[KEY_SIZE], const char *ns, char type, const char *name)
{
	size_t n = strlen(ns), len = strlen(name);

	if (n + len + 3 > KEY_SIZE)
		return false;
	memcpy(key, ns, n);
	key[n++] = '\n';
	key[n++] = type;
	memcpy(key + n, name, len + 1);
	return true;
}

static void grant(struct kg_policy *p, const char *key, const struct kg_role *role)
{
	struct grants *g = kg_map_get(&p->subjects, key);

	if (!g) {
		g = kg_arena_alloc(&p->arena, sizeof(*g));
		kg_map_put(&p->subjects, key, g);
	}
	for (size_t i = 0; i < g->n; i++)
		if (g->roles[i] == role)
			return;
	KG_GROW(g->roles, g->cap, g->n + 1);
	g->roles[g->n++] = role;
}

static void bind_subject(struct kg_policy *p, const struct kg_object *binding,
	const struct kg_value *subject, const struct kg_role *role)
{
	const char *kind = kg_string(kg_get(subject, "kind"), "");
	const char *name = kg_string(kg_get(subject, "name"), "");
	char key[KEY_SIZE], account[KEY_SIZE];
	char type = strcmp(kind, "Group") == 0 ? 'G' : 'U';

	if (strcmp(kind, "ServiceAccount") == 0) {
		/* In a RoleBinding it may be left to the binding's own namespace. */
		int n = snprintf(account, sizeof(account), "system:serviceaccount:%s:%s",
			kg_string(kg_get(subject, "namespace"), binding->ns), name);
		if (n >= (int)sizeof(account))
			return;
		name = account;
	}
	if (subject_key(key, binding->ns, type, name))
		grant(p, key, role);
}

static void add_binding(struct kg_policy *p, const struct kg_object *binding)
{
	const struct kg_value *v = kg_obj(binding), *subjects = kg_get(v, "subjects");
	const char *kind = kg_string(kg_at(v, "roleRef.kind"), "");
	const struct kg_role *role = kg_policy_role(p, strcmp(kind, "Role") == 0 ? binding->ns : "",
		kg_string(kg_at(v, "roleRef.name"), ""));

	for (uint32_t i = 0; role && i < kg_len(subjects); i++)
		bind_subject(p, binding, &subjects->items[i], role);
}

/* ---- all of it ---- */

static void each(struct kg_policy *p, const struct kg_snapshot *s, enum kg_kind_id kind,
	void (*fn)(struct kg_policy *p, const struct kg_object *obj))
{
	const struct kg_object *obj;
	struct kg_object_iter it;
	size_t n;
	const struct kg_object *const *own = kg_builtin_objects(kind, &n);

	for (size_t i = 0; i < n; i++)
		fn(p, own[i]);
	if (!s)
		return;
	kg_iter_kind(&it, s, kind, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		/* Nothing in main replaces what is the system's own. */
		if (!kg_object_deleting(obj) && !kg_builtin_object(kind, obj->name))
			fn(p, obj);
	kg_iter_release(&it);
}

struct kg_policy *kg_policy_new(const struct kg_snapshot *s)
{
	struct kg_policy *p = kg_alloc(sizeof(*p));
	struct kg_map_entry *e;

	p->refs = 1;
	each(p, s, KG_KIND_CLUSTERROLE, add_cluster_role);
	for (size_t i = 0; (e = kg_map_next(&p->cluster_roles, &i));)
		resolve(p, e->value, 0);
	each(p, s, KG_KIND_ROLE, add_role);
	each(p, s, KG_KIND_CLUSTERROLEBINDING, add_binding);
	each(p, s, KG_KIND_ROLEBINDING, add_binding);
	/* The values are the snapshot's, which may go now. */
	for (size_t i = 0; (e = kg_map_next(&p->cluster_roles, &i));)
		((struct cluster_role *)e->value)->value = NULL;
	return p;
}

struct kg_policy *kg_policy_ref(struct kg_policy *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void kg_policy_unref(struct kg_policy *p)
{
	struct kg_map_entry *e;

	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; (e = kg_map_next(&p->subjects, &i));)
		free(((struct grants *)e->value)->roles);
	kg_map_release(&p->subjects);
	kg_map_release(&p->roles);
	kg_map_release(&p->cluster_roles);
	kg_arena_release(&p->arena);
	free(p);
}

/* ---- questions ---- */

static const struct grants *grants_of(
	const struct kg_policy *p, const char *ns, char type, const char *name)
{
	char key[KEY_SIZE];

	return subject_key(key, ns, type, name) ? kg_map_get(&p->subjects, key) : NULL;
}

static bool any_allows(const struct grants *g, const struct kg_attributes *a)
{
	for (size_t i = 0; g && i < g->n; i++)
		for (size_t k = 0; k < g->roles[i]->n; k++)
			if (kg_rule_allows(&g->roles[i]->rules[k], a))
				return true;
	return false;
}

static bool allows_in(const struct kg_policy *p, const struct kg_user *u, const char *ns,
	const struct kg_attributes *a)
{
	if (any_allows(grants_of(p, ns, 'U', u->name), a))
		return true;
	for (unsigned i = 0; i < u->ngroups; i++)
		if (any_allows(grants_of(p, ns, 'G', u->groups[i]), a))
			return true;
	return false;
}

/* The namespace that a question is of; "" for the whole cluster. */
static const char *asked_namespace(const char *ns)
{
	return ns && !strchr(ns, '\n') ? ns : "";
}

bool kg_policy_allows(
	const struct kg_policy *p, const struct kg_user *u, const struct kg_attributes *a)
{
	const char *ns = a->path ? "" : asked_namespace(a->ns);

	return allows_in(p, u, "", a) || (*ns && allows_in(p, u, ns, a));
}

static void visit(const struct grants *g, bool whole,
	void (*fn)(void *ctx, const struct kg_role *role, bool whole_cluster), void *ctx)
{
	for (size_t i = 0; g && i < g->n; i++)
		fn(ctx, g->roles[i], whole);
}

void kg_policy_roles(const struct kg_policy *p, const struct kg_user *u, const char *ns,
	void (*fn)(void *ctx, const struct kg_role *role, bool whole_cluster), void *ctx)
{
	const char *where[] = {"", asked_namespace(ns)};

	for (size_t k = 0; k < (*where[1] ? 2 : 1); k++) {
		visit(grants_of(p, where[k], 'U', u->name), k == 0, fn, ctx);
		for (unsigned i = 0; i < u->ngroups; i++)
			visit(grants_of(p, where[k], 'G', u->groups[i]), k == 0, fn, ctx);
	}
}
