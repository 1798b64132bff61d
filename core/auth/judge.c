/*
 * The judge of a push, and the rules of a user.
 *
 * Escalation, as Kubernetes' registry of RBAC has it: whoever writes a role must hold every part
 * of its rules where the role applies; whoever writes a binding, every part of the role's; a
 * ClusterRole that gathers others' rules (aggregationRule) can come to hold anything, so it asks
 * for everything. A role that the same push writes counts as the push leaves it.
 */
#include "builtin.h"
#include "internal.h"
#include "rbac.h"

#include <string.h>

#define RBAC_GROUP "rbac.authorization.k8s.io"
#define MAX_STEPS  ((size_t)20 * 1000 * 1000) /* comparisons of rules in one push */
#define MAX_SAID   5                          /* missing rules named */

struct kg_judge {
	struct kg_judge_options opt;
	struct kg_policy *policy;
	size_t steps;
	struct kg_arena arena;
};

struct kg_judge *kg_judge_new(const struct kg_judge_options *opts)
{
	struct kg_judge *j = kg_alloc(sizeof(*j));
	struct kg_rbac *rbac = kg_auth_rbac(opts->auth);

	j->opt = *opts;
	j->policy = rbac ? kg_rbac_policy(rbac) : kg_policy_new(NULL);
	j->steps = MAX_STEPS;
	return j;
}

void kg_judge_free(struct kg_judge *j)
{
	if (!j)
		return;
	kg_policy_unref(j->policy);
	kg_arena_release(&j->arena);
	free(j);
}

/* ---- what the user holds ---- */

struct held {
	const struct kg_rule **rules;
	size_t n, cap;
};

static void held_release(struct held *h)
{
	free(h->rules);
}

static void hold_role(void *ctx, const struct kg_role *role, bool whole_cluster)
{
	struct held *h = ctx;

	KG_GROW(h->rules, h->cap, h->n + role->n + 1);
	for (size_t i = 0; i < role->n; i++)
		/* Paths are held by the whole cluster's bindings alone. */
		if (whole_cluster || !role->rules[i].urls.n)
			h->rules[h->n++] = &role->rules[i];
}

static void say_user(struct kg_buf *out, const struct kg_user *u)
{
	kg_buf_addf(out, "user \"%s\" (groups=[", u->name);
	for (unsigned i = 0; i < u->ngroups; i++)
		kg_buf_addf(out, "%s\"%s\"", i ? " " : "", u->groups[i]);
	kg_buf_adds(out, "])");
}

static int refuse(const struct kg_judge *j, const struct kg_auth_change *c, const char *why,
	struct kg_error *err)
{
	struct kg_buf who KG_AUTOBUF = KG_BUF_INIT;

	say_user(&who, j->opt.user);
	return kg_fail(err, KG_E_FORBIDDEN, "%s \"%s\" is forbidden: %s %s", c->kind->resource,
		c->name, kg_buf_str(&who), why);
}

/* Does the user hold, in the change's namespace, all of these rules? */
static int check_held(struct kg_judge *j, const struct kg_auth_change *c,
	const struct kg_rule *rules, size_t n, struct kg_error *err)
{
	struct held held KG_CLEANUP(held_release) = {0};
	struct kg_buf missing KG_AUTOBUF = KG_BUF_INIT;
	size_t count = 0;

	kg_policy_roles(j->policy, j->opt.user, c->ns, hold_role, &held);
	for (size_t i = 0; i < n; i++) {
		if (kg_rules_cover(held.rules, held.n, &rules[i], &j->steps))
			continue;
		if (++count <= MAX_SAID) {
			kg_buf_addc(&missing, ' ');
			kg_rule_say(&missing, &rules[i]);
		}
	}
	if (!count)
		return 0;
	if (!j->steps)
		return refuse(j, c, "pushes more rules than can be compared with his own", err);
	struct kg_buf why KG_AUTOBUF = KG_BUF_INIT;
	kg_buf_addf(&why, "is attempting to grant RBAC permissions not currently held:%s%s",
		kg_buf_str(&missing), count > MAX_SAID ? " ..." : "");
	return refuse(j, c, kg_buf_str(&why), err);
}

static int check_everything(
	struct kg_judge *j, const struct kg_auth_change *c, struct kg_error *err)
{
	static const char *const star[] = {"*"};
	const struct kg_words all = {.items = star, .n = 1, .all = true};
	const struct kg_rule everything[] = {
		{.verbs = all, .groups = all, .resources = all},
		{.verbs = all, .urls = all},
	};

	return check_held(j, c, everything, *c->ns ? 1 : 2, err);
}

/* ---- roles ---- */

static bool may(const struct kg_judge *j, const char *verb, const char *resource, const char *ns,
	const char *name)
{
	struct kg_attributes a = {
		.verb = verb, .group = RBAC_GROUP, .resource = resource, .ns = ns, .name = name};
	struct kg_error why;

	return kg_auth_authorize(j->opt.auth, j->opt.user, &a, &why) == 0;
}

static int check_rules(struct kg_judge *j, const struct kg_auth_change *c,
	const struct kg_value *role, struct kg_error *err)
{
	const struct kg_value *list = kg_get(role, "rules");
	uint32_t n = kg_len(list);
	struct kg_rule *rules = kg_arena_alloc(&j->arena, (n + 1) * sizeof(*rules));

	for (uint32_t i = 0; i < n; i++)
		rules[i] = kg_rule_read(&j->arena, &list->items[i]);
	int rc = check_held(j, c, rules, n, err);
	if (rc == 0 && !kg_is_null(kg_get(role, "aggregationRule")))
		rc = check_everything(j, c, err);
	return rc;
}

static int check_role(struct kg_judge *j, const struct kg_auth_change *c, struct kg_error *err)
{
	if (may(j, "escalate", c->kind->plural, c->ns, c->name))
		return 0;
	return check_rules(j, c, c->value, err);
}

/* ---- bindings ---- */

static int check_binding(struct kg_judge *j, const struct kg_auth_change *c, struct kg_error *err)
{
	const char *kind = kg_string(kg_at(c->value, "roleRef.kind"), "");
	const char *name = kg_string(kg_at(c->value, "roleRef.name"), "");
	bool cluster = strcmp(kind, "ClusterRole") == 0;
	const char *ns = cluster ? "" : c->ns;
	const struct kg_value *value = NULL;
	enum kg_kind_id id = cluster ? KG_KIND_CLUSTERROLE : KG_KIND_ROLE;

	if (may(j, "bind", kg_kinds[id].plural, c->ns, name))
		return 0;
	int pushed = j->opt.pushed ? j->opt.pushed(j->opt.ctx, id, ns, name, &value) : 0;
	const struct kg_role *role = pushed ? NULL : kg_policy_role(j->policy, ns, name);
	if (value)
		return check_rules(j, c, value, err);
	if (role)
		return check_held(j, c, role->rules, role->n, err);
	return kg_fail(err, KG_E_FORBIDDEN,
		"%s \"%s\" is forbidden: the %s \"%s\" that it binds does not exist, and only who "
		"may \"bind\" it can do that beforehand",
		c->kind->resource, c->name, kind, name);
}

/* ---- one change ---- */

static int check_builtin(const struct kg_auth_change *c, struct kg_error *err)
{
	if (!kg_builtin_object(c->kind->id, c->name))
		return 0;
	return kg_fail(err, KG_E_FORBIDDEN,
		"%s \"%s\" is the system's own and is not replaced; take it out, choose another "
		"name, or, to add to admin, edit or view, a ClusterRole with the label " RBAC_GROUP
		"/aggregate-to-view: \"true\" (or -edit, -admin)",
		c->kind->resource, c->name);
}

int kg_judge_change(struct kg_judge *j, const struct kg_auth_change *c, struct kg_error *err)
{
	bool create = strcmp(c->verb, "create") == 0;
	struct kg_attributes a = {.verb = c->verb,
		.group = c->kind->group,
		.resource = c->kind->plural,
		.ns = c->ns,
		/* As a POST has it: names in a rule do not allow what is not there yet. */
		.name = create ? "" : c->name};
	int rc = kg_auth_authorize(j->opt.auth, j->opt.user, &a, err);

	if (rc < 0 || !c->value)
		return rc;
	rc = check_builtin(c, err);
	if (rc < 0 || kg_user_in_group(j->opt.user, "system:masters"))
		return rc;
	switch (c->kind->id) {
	case KG_KIND_ROLE:
	case KG_KIND_CLUSTERROLE:
		return check_role(j, c, err);
	case KG_KIND_ROLEBINDING:
	case KG_KIND_CLUSTERROLEBINDING:
		return check_binding(j, c, err);
	default:
		return 0;
	}
}

/* ---- the rules of a user ---- */

static struct kg_value words_value(struct kg_arena *a, const struct kg_words *w)
{
	struct kg_value *items = kg_arena_alloc(a, (w->n + 1) * sizeof(*items));

	for (size_t i = 0; i < w->n; i++)
		items[i] = kg_v_str(a, w->items[i]);
	return w->n ? kg_v_array(a, items, w->n) : kg_v_null();
}

struct kg_value kg_auth_rules(
	struct kg_auth *auth, const struct kg_user *u, const char *ns, struct kg_arena *a)
{
	struct held held KG_CLEANUP(held_release) = {0};
	struct kg_rbac *rbac = kg_auth_rbac(auth);
	struct kg_policy *p = rbac ? kg_rbac_policy(rbac) : kg_policy_new(NULL);

	kg_policy_roles(p, u, ns, hold_role, &held);
	struct kg_value *items = kg_arena_alloc(a, (held.n + 1) * sizeof(*items));
	for (size_t i = 0; i < held.n; i++) {
		const struct kg_rule *r = held.rules[i];

		items[i] = kg_v_obj(a, "verbs", words_value(a, &r->verbs), "apiGroups",
			words_value(a, &r->groups), "resources", words_value(a, &r->resources),
			"resourceNames", words_value(a, &r->names), "nonResourceURLs",
			words_value(a, &r->urls), (char *)NULL);
	}
	kg_policy_unref(p);
	return kg_v_array(a, items, held.n);
}
