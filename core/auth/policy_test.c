/* Roles and bindings in, yes or no out; the cases follow Kubernetes' own of RBAC. */
#include "policy.h"

#include "builtin.h"
#include "sys/file.h"
#include "testing.h"
#include "watch/hub.h"

#include <stdio.h>
#include <time.h>

struct question {
	const char *user, *groups, *verb, *group, *resource, *sub, *ns, *name, *path;
	bool allowed;
};
#define ASK(u, v, g, r, s, n, o, yes)                                                              \
	{                                                                                          \
		u, "", v, g, r, s, n, o, NULL, yes                                                 \
	}
#define ASK_PATH(u, g, v, p, yes)                                                                  \
	{                                                                                          \
		u, g, v, NULL, NULL, NULL, NULL, NULL, p, yes                                      \
	}

static const struct question questions[] = {
	/* a ClusterRole bound in the whole cluster */
	ASK("ann", "get", "", "pods", "", "team", "p", true),
	ASK("ann", "list", "", "pods", "", "", "", true),
	ASK("ann", "watch", "", "pods", "", "team", "", false),
	ASK("ann", "get", "", "pods", "log", "team", "p", true),
	ASK("ann", "get", "", "pods", "exec", "team", "p", false),
	ASK("ann", "get", "apps", "pods", "", "team", "p", false),
	ASK("ann", "get", "", "podss", "", "team", "p", false),
	{"zoe", "readers", "get", "", "pods", "", "team", "p", NULL, true},
	{"readers", "", "get", "", "pods", "", "team", "p", NULL, false},
	{"zoe", "ann", "get", "", "pods", "", "team", "p", NULL, false},
	/* names; a star is no wildcard among them */
	ASK("ann", "delete", "", "nodes", "", "", "n1", true),
	ASK("ann", "delete", "", "nodes", "", "", "n2", false),
	ASK("ann", "delete", "", "nodes", "", "", "*", true),
	ASK("ann", "list", "", "nodes", "", "", "", false),
	/* paths */
	ASK_PATH("system:serviceaccount:team:robot", "", "get", "/metrics", true),
	ASK_PATH("system:serviceaccount:team:robot", "", "get", "/metricsx", false),
	ASK_PATH("system:serviceaccount:team:robot", "", "get", "/debug/pprof/x", true),
	ASK_PATH("system:serviceaccount:team:robot", "", "get", "/debug", false),
	ASK_PATH("system:serviceaccount:team:robot", "", "create", "/metrics", false),
	ASK_PATH("system:serviceaccount:other:robot", "", "get", "/metrics", false),
	ASK_PATH("bob", "", "get", "/metrics", false), /* bound in a namespace */
	/* subresources of any resource */
	{"x", "system:serviceaccounts:team", "get", "", "pods", "log", "a", "b", NULL, true},
	{"x", "system:serviceaccounts:team", "get", "apps", "things", "log", "", "b", NULL, true},
	{"x", "system:serviceaccounts:team", "get", "", "log", "", "a", "b", NULL, false},
	{"x", "system:serviceaccounts:team", "get", "", "pods", "", "a", "b", NULL, false},
	/* in one namespace */
	ASK("bob", "get", "", "configmaps", "", "team", "c", true),
	ASK("bob", "get", "", "configmaps", "", "other", "c", false), /* no such Role there */
	ASK("bob", "get", "", "configmaps", "", "", "", false),
	ASK("system:serviceaccount:team:robot", "delete", "", "configmaps", "", "team", "c", true),
	ASK("bob", "update", "apps", "deployments", "scale", "team", "d", true),
	ASK("bob", "update", "extensions", "deployments", "scale", "team", "d", true),
	ASK("bob", "update", "batch", "deployments", "scale", "team", "d", false),
	ASK("bob", "update", "apps", "deployments", "", "team", "d", false),
	ASK("bob", "update", "apps", "deployments", "scale", "teams", "d", false),
	ASK("carl", "frob", "x.y", "zs", "", "team", "", true),
	ASK("carl", "frob", "x.y", "zs", "sub", "team", "", true),
	ASK("carl", "get", "", "pods", "", "", "", false),
	ASK("carl", "get", "", "pods", "", "x\nteam", "", false),
	ASK_PATH("carl", "", "get", "/x", false),
	/* aggregation; what such a role says itself does not count */
	ASK("gina", "get", "example.com", "things", "", "a", "b", true),
	ASK("gina", "delete", "", "nodes", "", "", "n1", false),
	ASK("gina", "list", "", "configmaps", "", "a", "", true),
	ASK("vera", "get", "example.com", "things", "", "a", "b", true),
	ASK("vera", "get", "", "secrets", "", "a", "b", false),
	ASK("vera", "list", "", "pods", "", "", "", true),
	ASK("vera", "create", "", "pods", "", "a", "", false),
	ASK("vera", "get", "rbac.authorization.k8s.io", "roles", "", "a", "b", false),
	ASK("eve", "get", "example.com", "things", "", "team", "b", true),
	ASK("eve", "get", "", "secrets", "", "team", "b", true),
	ASK("eve", "create", "apps", "deployments", "", "team", "", true),
	ASK("eve", "create", "apps", "deployments", "", "other", "", false),
	ASK("eve", "create", "rbac.authorization.k8s.io", "roles", "", "team", "", false),
	ASK("eve", "create", "", "resourcequotas", "", "team", "", false),
	ASK("adam", "create", "rbac.authorization.k8s.io", "rolebindings", "", "team", "", true),
	ASK("adam", "create", "", "namespaces", "", "", "", false),
	ASK("adam", "delete", "apps", "deployments", "", "team", "d", true),
	ASK("rita", "list", "", "secrets", "", "", "", true),
	ASK("rita", "list", "*", "*", "", "", "", true),
	ASK("rita", "update", "", "secrets", "", "a", "b", false),
	ASK("vera", "list", "*", "*", "", "", "", false),
	/* the system's own bindings */
	ASK_PATH("zoe", "system:authenticated", "get", "/apis/apps/v1", true),
	ASK_PATH("zoe", "system:authenticated", "get", "/version", true),
	ASK_PATH("system:anonymous", "system:unauthenticated", "get", "/readyz", true),
	ASK_PATH("system:anonymous", "system:unauthenticated", "get", "/livez/ping", true),
	ASK_PATH("system:anonymous", "system:unauthenticated", "get", "/version", false),
	ASK_PATH("system:anonymous", "system:unauthenticated", "get", "/api", false),
	ASK_PATH("system:anonymous", "system:unauthenticated", "get", "/metrics", false),
	ASK_PATH("root", "system:masters", "frob", "/x", true),
};

static struct kg_user user_of(const struct question *q)
{
	struct kg_user u = kg_test_user(q->user, q->groups);

	u.ngroups--; /* system:authenticated is named where it is meant */
	return u;
}

static void roles_allow(void **state)
{
	static const char path[] = KGIT_SOURCE_DIR "/core/auth/testdata/policy.yaml";
	struct kg_buf manifests KG_AUTOBUF = KG_BUF_INIT;
	struct kg_changes changes;
	struct kg_error err;

	if (kg_file_read(&manifests, path, 1 << 16, &err) < 0)
		fail_msg("%s", err.msg);
	struct kg_snapshot *s = kg_test_snapshot(NULL, kg_buf_str(&manifests), &changes);
	struct kg_policy *p = kg_policy_new(s);

	(void)state;
	kg_changes_release(&changes);
	kg_snapshot_unref(s); /* the policy lives on */
	for (size_t i = 0; i < KG_ARRAY_LEN(questions); i++) {
		const struct question *q = &questions[i];
		struct kg_user u = user_of(q);
		struct kg_attributes a = {.verb = q->verb,
			.group = q->group,
			.resource = q->resource,
			.subresource = q->sub,
			.ns = q->ns,
			.name = q->name,
			.path = q->path};

		if (kg_policy_allows(p, &u, &a) != q->allowed)
			fail_msg("case %zu: %s (%s) %s %s/%s in \"%s\" %s", i, q->user, q->groups,
				q->verb, q->resource ? q->resource : "", q->sub ? q->sub : "",
				q->ns ? q->ns : "", q->path ? q->path : "");
	}
	kg_policy_unref(p);
}

/* ---- covering ---- */

static struct kg_rule rule_of(struct kg_arena *a, const char *yaml)
{
	struct kg_value v;
	struct kg_error err;

	assert_int_equal(kg_yaml_load(&v, a, yaml, strlen(yaml), &err), 0);
	return kg_rule_read(a, &v);
}

static void rules_cover(void **state)
{
	static const struct {
		const char *held[3], *wanted;
		bool covered;
	} cases[] = {
		{{"{verbs: [get], apiGroups: [a], resources: [r]}"},
			"{verbs: [get], apiGroups: [a], resources: [r]}", true},
		{{"{verbs: [get], apiGroups: [a], resources: [r]}"},
			"{verbs: [get, list], apiGroups: [a], resources: [r]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [r]}",
			 "{verbs: [list], apiGroups: [a], resources: [r]}"},
			"{verbs: [get, list], apiGroups: [a], resources: [r]}", true},
		{{"{verbs: [\"*\"], apiGroups: [\"*\"], resources: [\"*\"]}"},
			"{verbs: [get], apiGroups: [a], resources: [r/s], resourceNames: [n]}",
			true},
		{{"{verbs: [get], apiGroups: [a], resources: [r]}"},
			"{verbs: [\"*\"], apiGroups: [a], resources: [r]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [r]}"},
			"{verbs: [get], apiGroups: [\"*\"], resources: [r]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [r]}"},
			"{verbs: [get], apiGroups: [a], resources: [r/s]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [\"*/s\"]}"},
			"{verbs: [get], apiGroups: [a], resources: [r/s]}", true},
		{{"{verbs: [get], apiGroups: [a], resources: [\"*/s\"]}"},
			"{verbs: [get], apiGroups: [a], resources: [r]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [n]}"},
			"{verbs: [get], apiGroups: [a], resources: [r]}", false},
		{{"{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [n]}",
			 "{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [m]}"},
			"{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [m, n]}",
			true},
		{{"{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [\"*\"]}"},
			"{verbs: [get], apiGroups: [a], resources: [r], resourceNames: [m]}",
			false},
		{{"{verbs: [get], nonResourceURLs: [/a/*]}"},
			"{verbs: [get], nonResourceURLs: [/a/b, /a/c/*]}", true},
		{{"{verbs: [get], nonResourceURLs: [/a/*]}"},
			"{verbs: [get], nonResourceURLs: [/a]}", false},
		{{"{verbs: [get], nonResourceURLs: [\"*\"]}"},
			"{verbs: [get], nonResourceURLs: [\"*\"]}", true},
		{{"{verbs: [get], nonResourceURLs: [/a]}"},
			"{verbs: [get], nonResourceURLs: [\"*\"]}", false},
		{{"{verbs: [\"*\"], apiGroups: [\"*\"], resources: [\"*\"]}"},
			"{verbs: [get], nonResourceURLs: [/a]}", false},
		{{NULL}, "{verbs: [get], apiGroups: [a], resources: [r]}", false},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_rule held[3], wanted = rule_of(&a, cases[i].wanted);
		const struct kg_rule *list[3];
		size_t n = 0, steps = 100, none = 0;

		for (; n < 3 && cases[i].held[n]; n++) {
			held[n] = rule_of(&a, cases[i].held[n]);
			list[n] = &held[n];
		}
		if (kg_rules_cover(list, n, &wanted, &steps) != cases[i].covered)
			fail_msg("case %zu: %s", i, cases[i].wanted);
		assert_false(kg_rules_cover(list, n, &wanted, &none));
	}
}

static void a_rule_says_itself(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_rule r =
		rule_of(&a, "{verbs: [get, list], apiGroups: [\"\"], resources: [pods]}");

	(void)state;
	kg_rule_say(&out, &r);
	assert_string_equal(kg_buf_str(&out),
		"{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}");
}

/* ---- the system's own ---- */

static void builtin_objects_are_whole(void **state)
{
	static const enum kg_kind_id kinds[] = {KG_KIND_CLUSTERROLE, KG_KIND_CLUSTERROLEBINDING};

	(void)state;
	for (size_t k = 0; k < KG_ARRAY_LEN(kinds); k++) {
		size_t n;
		const struct kg_object *const *all = kg_builtin_objects(kinds[k], &n);

		assert_true(n > 4);
		for (size_t i = 0; i < n; i++) {
			struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
			struct kg_changes changes;

			if (i)
				assert_true(strcmp(all[i - 1]->name, all[i]->name) < 0);
			assert_ptr_equal(kg_builtin_object(kinds[k], all[i]->name), all[i]);
			assert_int_equal(strlen(kg_object_uid(all[i])), 36);
			assert_true(kg_len(kg_get(kg_obj(all[i]), k ? "subjects" : "rules")) > 0);
			/* They are manifests that the schema takes. */
			kg_object_write_json(&text, all[i]);
			kg_snapshot_unref(kg_test_snapshot(NULL, kg_buf_str(&text), &changes));
			kg_changes_release(&changes);
		}
	}
}

/* ---- the cost ---- */

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Figures for who asks (KG_BENCH=1); otherwise a small round, to be sure that it works. */
static void many_bindings(void **state)
{
	size_t nbindings = getenv("KG_BENCH") ? 5000 : 100, rounds = nbindings * 20;
	struct kg_buf yaml KG_AUTOBUF = KG_BUF_INIT;
	struct kg_changes changes;

	(void)state;
	for (size_t i = 0; i < nbindings; i++)
		kg_buf_addf(&yaml,
			"---\napiVersion: rbac.authorization.k8s.io/v1\n"
			"kind: RoleBinding\nmetadata: {name: b, namespace: team-%zu}\n"
			"roleRef: {kind: ClusterRole, name: edit}\nsubjects: [{kind: User, name: "
			"user-%zu}, {kind: Group, name: team-%zu}]\n",
			i, i % 100, i);
	struct kg_snapshot *s = kg_test_snapshot(NULL, kg_buf_str(&yaml), &changes);
	kg_changes_release(&changes);
	uint64_t start = cpu_ns();
	struct kg_policy *p = kg_policy_new(s);
	uint64_t compiled = cpu_ns() - start;
	struct kg_user u = kg_test_user("user-7", "a b c");
	struct kg_attributes yes = {
		.verb = "get", .group = "batch", .resource = "jobs", .ns = "team-7", .name = "w"};
	struct kg_attributes no = {
		.verb = "get", .group = "batch", .resource = "jobs", .ns = "team-8", .name = "w"};
	start = cpu_ns();
	for (size_t i = 0; i < rounds; i++)
		assert_true(kg_policy_allows(p, &u, &yes));
	uint64_t asked = cpu_ns() - start;
	start = cpu_ns();
	for (size_t i = 0; i < rounds; i++)
		assert_false(kg_policy_allows(p, &u, &no));
	uint64_t refused = cpu_ns() - start;
	if (getenv("KG_BENCH"))
		printf("%zu bindings: compiled in %llu us; allowed in %llu ns, refused in %llu "
		       "ns\n",
			nbindings, (unsigned long long)compiled / 1000,
			(unsigned long long)(asked / rounds),
			(unsigned long long)(refused / rounds));
	kg_policy_unref(p);
	kg_snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(roles_allow),
		cmocka_unit_test(rules_cover),
		cmocka_unit_test(a_rule_says_itself),
		cmocka_unit_test(builtin_objects_are_whole),
		cmocka_unit_test(many_bindings),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
