/* What a push may change: the rules before it, a change, the verdict. */
#include "testing.h"
#include "watch/hub.h"

#define API "apiVersion: rbac.authorization.k8s.io/v1\n"

static const char before[] =
	"---\n" API "kind: ClusterRole\nmetadata: {name: roles-writer}\nrules:\n"
	"- {verbs: [create, update, delete], apiGroups: [rbac.authorization.k8s.io], resources: "
	"[\"*\"]}\n"
	"---\n" API "kind: ClusterRole\nmetadata: {name: pods-reader}\nrules:\n"
	"- {verbs: [get, list], apiGroups: [\"\"], resources: [pods]}\n"
	"---\n" API "kind: ClusterRole\nmetadata: {name: binder}\nrules:\n"
	"- {verbs: [bind], apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], "
	"resourceNames: [edit, later]}\n"
	"---\n" API "kind: ClusterRole\nmetadata: {name: escalator}\nrules:\n"
	"- {verbs: [escalate], apiGroups: [rbac.authorization.k8s.io], resources: [roles, "
	"clusterroles]}\n"
	"---\n" API "kind: Role\nmetadata: {name: secrets, namespace: team}\nrules:\n"
	"- {verbs: [get], apiGroups: [\"\"], resources: [secrets]}\n"
	"---\n" API "kind: ClusterRoleBinding\nmetadata: {name: b1}\n"
	"roleRef: {kind: ClusterRole, name: roles-writer}\n"
	"subjects: [{kind: User, name: ann}, {kind: User, name: ben}, {kind: User, name: eli}]\n"
	"---\n" API "kind: ClusterRoleBinding\nmetadata: {name: b2}\n"
	"roleRef: {kind: ClusterRole, name: pods-reader}\nsubjects: [{kind: User, name: ann}]\n"
	"---\n" API "kind: ClusterRoleBinding\nmetadata: {name: b3}\n"
	"roleRef: {kind: ClusterRole, name: binder}\nsubjects: [{kind: User, name: ben}]\n"
	"---\n" API "kind: ClusterRoleBinding\nmetadata: {name: b4}\n"
	"roleRef: {kind: ClusterRole, name: escalator}\nsubjects: [{kind: User, name: eli}]\n"
	"---\n" API "kind: ClusterRoleBinding\nmetadata: {name: b5}\n"
	"roleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: User, name: cleo}]\n"
	"---\n" API "kind: RoleBinding\nmetadata: {name: b6, namespace: team}\n"
	"roleRef: {kind: ClusterRole, name: admin}\nsubjects: [{kind: User, name: adam}]\n";

static const struct {
	const char *user, *groups, *verb, *yaml;
	const char *why; /* part of the refusal; NULL: taken */
} cases[] = {
	/* plain objects */
	{"adam", "", "create",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: team}}", NULL},
	{"adam", "", "create", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
		"configmaps is forbidden: User \"adam\" cannot create resource \"configmaps\" in "
		"API "
		"group \"\" in the namespace \"default\""},
	{"adam", "", "delete", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
		"configmaps \"a\" is forbidden: User \"adam\" cannot delete"},
	{"adam", "", "create", "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
		"cannot create resource \"namespaces\""},
	{"ann", "system:masters", "create",
		"{apiVersion: v1, kind: Namespace, metadata: {name: a}}", NULL},
	/* roles: no more than one holds */
	{"ann", "", "create",
		API "kind: ClusterRole\nmetadata: {name: x}\nrules: [{verbs: [get], "
		    "apiGroups: [\"\"], resources: [pods]}]\n",
		NULL},
	{"ann", "", "update",
		API
		"kind: ClusterRole\nmetadata: {name: pods-reader}\nrules: [{verbs: [get, watch], "
		"apiGroups: [\"\"], resources: [pods]}]\n",
		"clusterroles.rbac.authorization.k8s.io \"pods-reader\" is forbidden: user \"ann\" "
		"(groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not "
		"currently held: {APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" "
		"\"watch\"]}"},
	{"ann", "", "delete", API "kind: ClusterRole\nmetadata: {name: escalator}\n", NULL},
	{"adam", "", "create",
		API "kind: Role\nmetadata: {name: x, namespace: team}\nrules: "
		    "[{verbs: [get, delete], apiGroups: [apps], resources: [deployments]}]\n",
		NULL},
	{"adam", "", "create",
		API "kind: Role\nmetadata: {name: x, namespace: team}\nrules: "
		    "[{verbs: [create], apiGroups: [\"\"], resources: [resourcequotas]}]\n",
		"not currently held"},
	{"adam", "", "create", API "kind: Role\nmetadata: {name: x, namespace: other}\nrules: []\n",
		"cannot create resource \"roles\""},
	{"eli", "", "create",
		API "kind: ClusterRole\nmetadata: {name: x}\nrules: [{verbs: [\"*\"], "
		    "apiGroups: [\"*\"], resources: [\"*\"]}]\n",
		NULL},
	{"cleo", "", "create",
		API "kind: ClusterRole\nmetadata: {name: x}\nrules: [{verbs: [\"*\"], "
		    "nonResourceURLs: [\"*\"]}]\n",
		NULL},
	/* what gathers may come to hold anything */
	{"ann", "", "create",
		API "kind: ClusterRole\nmetadata: {name: x}\nrules: []\n"
		    "aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\n",
		"not currently held: {APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}"},
	{"cleo", "", "create",
		API "kind: ClusterRole\nmetadata: {name: x}\nrules: []\n"
		    "aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}\n",
		NULL},
	/* bindings: what is bound counts */
	{"ann", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: pods-reader}\nsubjects: []\n",
		NULL},
	{"ann", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: cluster-admin}\nsubjects: []\n",
		"not currently held"},
	{"ann", "", "update",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: ClusterRole, name: edit}\nsubjects: []\n",
		"not currently held"},
	{"ben", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: ClusterRole, name: edit}\nsubjects: []\n",
		NULL},
	{"ben", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: ClusterRole, name: admin}\nsubjects: []\n",
		"not currently held"},
	{"eli", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: ClusterRole, name: edit}\nsubjects: []\n",
		"not currently held"},
	{"adam", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: Role, name: secrets}\nsubjects: []\n",
		NULL},
	{"ann", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: Role, name: secrets}\nsubjects: []\n",
		"not currently held"},
	{"ann", "", "create",
		API "kind: RoleBinding\nmetadata: {name: x, namespace: team}\nroleRef: "
		    "{kind: Role, name: later}\nsubjects: []\n",
		"does not exist"},
	{"ben", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: later}\nsubjects: []\n",
		NULL},
	/* a role of the same push counts as it will be (see pushed) */
	{"ann", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: new-small}\nsubjects: []\n",
		NULL},
	{"ann", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: new-large}\nsubjects: []\n",
		"not currently held"},
	{"ann", "", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: "
		    "ClusterRole, name: gone}\nsubjects: []\n",
		"does not exist"},
	/* the system's own stays */
	{"root", "system:masters", "create",
		API "kind: ClusterRole\nmetadata: {name: view}\nrules: []\n",
		"is the system's own"},
	{"root", "system:masters", "create",
		API "kind: ClusterRoleBinding\nmetadata: {name: cluster-admin}\nroleRef: {kind: "
		    "ClusterRole, name: view}\nsubjects: []\n",
		"is the system's own"},
};

static int pushed(void *ctx, enum kg_kind_id kind, const char *ns, const char *name,
	const struct kg_value **value)
{
	const struct kg_value *roles = ctx;

	(void)ns;
	*value = NULL;
	if (kind != KG_KIND_CLUSTERROLE)
		return 0;
	if (strcmp(name, "new-small") == 0)
		*value = &roles[0];
	if (strcmp(name, "new-large") == 0)
		*value = &roles[1];
	return *value || strcmp(name, "gone") == 0;
}

static void pushes_are_judged(void **state)
{
	static const char small[] =
		"{rules: [{verbs: [list], apiGroups: [\"\"], resources: [pods]}]}";
	static const char large[] =
		"{rules: [{verbs: [list], apiGroups: [\"\"], resources: [pods, nodes]}]}";
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_auth *auth = kg_auth_new();
	struct kg_changes changes;
	struct kg_snapshot *s = kg_test_snapshot(NULL, before, &changes);
	struct kg_hub *hub = kg_hub_new(s, 0);
	struct kg_value roles[2];
	struct kg_error err;

	(void)state;
	kg_changes_release(&changes);
	kg_auth_add_default_authorizers(auth, hub);
	assert_int_equal(kg_yaml_load(&roles[0], &a, small, strlen(small), &err), 0);
	assert_int_equal(kg_yaml_load(&roles[1], &a, large, strlen(large), &err), 0);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_user u = kg_test_user(cases[i].user, cases[i].groups);
		struct kg_judge_options opts = {
			.auth = auth, .user = &u, .pushed = pushed, .ctx = roles};
		struct kg_judge *j = kg_judge_new(&opts);
		struct kg_snapshot *one = kg_test_snapshot(NULL, cases[i].yaml, &changes);
		const struct kg_object *obj = changes.items[0].after;
		struct kg_auth_change c = {.verb = cases[i].verb,
			.kind = obj->kind,
			.ns = obj->ns,
			.name = obj->name,
			.value = strcmp(cases[i].verb, "delete") == 0 ? NULL : kg_obj(obj)};
		int rc = kg_judge_change(j, &c, &err);

		if (rc == 0 && cases[i].why)
			fail_msg("case %zu was taken", i);
		if (rc < 0 && (!cases[i].why || !strstr(err.msg, cases[i].why)))
			fail_msg("case %zu: %s", i, err.msg);
		if (rc < 0)
			assert_int_equal(rc, -KG_E_FORBIDDEN);
		kg_judge_free(j);
		kg_changes_release(&changes);
		kg_snapshot_unref(one);
	}
	kg_auth_free(auth);
	kg_hub_free(hub);
	kg_snapshot_unref(s);
}

/* A published binding is in force when publish returns, and what is gone is not. */
static void rules_follow_the_hub(void **state)
{
	static const char binding[] =
		API "kind: ClusterRoleBinding\nmetadata: {name: x}\nroleRef: {kind: ClusterRole, "
		    "name: kgit:reader}\nsubjects: [{kind: User, name: zoe}]\n";
	struct kg_auth *auth = kg_auth_new();
	struct kg_changes changes;
	struct kg_snapshot *first = kg_test_snapshot(NULL, before, &changes), *next;
	struct kg_user u = kg_test_user("zoe", "");
	struct kg_error err;

	(void)state;
	kg_changes_release(&changes);
	struct kg_hub *hub = kg_hub_new(first, 0);
	kg_auth_add_default_authorizers(auth, hub);
	assert_int_equal(kg_auth_reads_all(auth, &u, &err), -KG_E_FORBIDDEN);
	next = kg_test_snapshot(first, binding, &changes);
	kg_hub_publish(hub, kg_commit_event_new(next->revision, 0, &changes, next));
	assert_int_equal(kg_auth_reads_all(auth, &u, &err), 0);
	struct kg_txn *txn = kg_txn_new(next);
	assert_true(kg_txn_delete(txn, KG_KIND_CLUSTERROLEBINDING, "", "x"));
	kg_snapshot_unref(next);
	kg_txn_finish(txn, &next, &changes);
	kg_hub_publish(hub, kg_commit_event_new(next->revision, 0, &changes, next));
	assert_int_equal(kg_auth_reads_all(auth, &u, &err), -KG_E_FORBIDDEN);
	kg_snapshot_unref(next);
	kg_snapshot_unref(first);
	kg_auth_free(auth);
	kg_hub_free(hub);
}

static void a_users_rules_are_listed(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_auth *auth = kg_auth_new();
	struct kg_user u = kg_test_user("zoe", "");

	(void)state;
	kg_auth_add_default_authorizers(auth, NULL);
	struct kg_value rules = kg_auth_rules(auth, &u, "default", &a);
	/* basic-user has two, discovery and public-info-viewer one each */
	assert_int_equal(kg_len(&rules), 4);
	kg_auth_free(auth);
}

/* ---- nodes ---- */

static const struct {
	const char *name, *spec;
} pods[] = {
	{"here", "{nodeName: n1, containers: [{name: c, image: i, env: [{name: A, valueFrom: "
		 "{secretKeyRef: {name: env-secret, key: k}}}], envFrom: [{configMapRef: {name: "
		 "env-map}}]}], volumes: [{name: v, configMap: {name: vol-map}}, {name: w, secret: "
		 "{secretName: vol-secret}}, {name: x, persistentVolumeClaim: {claimName: claim}}, "
		 "{name: own, ephemeral: {volumeClaimTemplate: {}}}], imagePullSecrets: [{name: "
		 "pull}]}"},
	{"there", "{nodeName: n2, containers: [{name: c, image: i, envFrom: [{configMapRef: {name: "
		  "other-map}}]}]}"},
};

static struct kg_snapshot *snapshot_of_pods(void)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_snapshot *empty = kg_snapshot_new("8f3b0a9e-6a54-4a41-9d5f-0d6c8d6d2f10"), *s;
	struct kg_txn *txn = kg_txn_new(empty);
	struct kg_changes changes;
	struct kg_error err;

	for (size_t i = 0; i < KG_ARRAY_LEN(pods); i++) {
		struct kg_value spec, v;
		struct kg_object_spec o = {.kind = &kg_kinds[KG_KIND_POD],
			.ns = "team",
			.name = pods[i].name,
			.value = &v};

		assert_int_equal(
			kg_yaml_load(&spec, &a, pods[i].spec, strlen(pods[i].spec), &err), 0);
		v = kg_v_obj(&a, "spec", spec, (char *)NULL);
		kg_txn_put(txn, kg_object_new(&o));
	}
	kg_txn_finish(txn, &s, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(empty);
	return s;
}

static void nodes_see_what_is_bound_to_them(void **state)
{
	static const struct {
		const char *verb, *group, *resource, *sub, *ns, *name;
		bool allowed;
	} asked[] = {
		{"get", "", "nodes", "", "", "n1", true},
		{"get", "", "nodes", "", "", "n2", false},
		{"list", "", "nodes", "", "", "", false},
		{"get", "coordination.k8s.io", "leases", "", "kube-node-lease", "n1", true},
		{"get", "coordination.k8s.io", "leases", "", "kube-node-lease", "n2", false},
		{"get", "", "pods", "", "team", "here", true},
		{"get", "", "pods", "", "team", "there", false},
		{"get", "", "pods", "log", "team", "here", false},
		{"list", "", "pods", "", "team", "", false},
		{"delete", "", "pods", "", "team", "here", false},
		{"get", "", "configmaps", "", "team", "env-map", true},
		{"get", "", "configmaps", "", "team", "vol-map", true},
		{"get", "", "configmaps", "", "team", "other-map", false},
		{"get", "", "configmaps", "", "default", "env-map", false},
		{"get", "", "secrets", "", "team", "env-secret", true},
		{"get", "", "secrets", "", "team", "vol-secret", true},
		{"get", "", "secrets", "", "team", "pull", true},
		{"get", "", "secrets", "", "team", "env-map", false},
		{"list", "", "secrets", "", "team", "", false},
		{"get", "", "persistentvolumeclaims", "", "team", "claim", true},
		{"get", "", "persistentvolumeclaims", "", "team", "here-own", true},
		{"get", "", "persistentvolumeclaims", "", "team", "here-x", false},
		{"get", "", "persistentvolumeclaims", "", "default", "here-own", false},
		{"create", "", "serviceaccounts", "token", "team", "default", true},
		{"create", "", "serviceaccounts", "token", "default", "default", false},
		{"create", "", "serviceaccounts", "token", "team", "robot", false},
		{"get", "", "services", "", "team", "x", false},
	};
	struct kg_auth *auth = kg_auth_new();
	struct kg_snapshot *s = snapshot_of_pods();
	struct kg_hub *hub = kg_hub_new(s, 0);
	struct kg_user u = kg_test_user("system:node:n1", "system:nodes");
	struct kg_user impostor = kg_test_user("system:node:n1", "");
	struct kg_error err;

	(void)state;
	kg_auth_add_default_authorizers(auth, hub);
	for (size_t i = 0; i < KG_ARRAY_LEN(asked); i++) {
		struct kg_attributes a = {.verb = asked[i].verb,
			.group = asked[i].group,
			.resource = asked[i].resource,
			.subresource = asked[i].sub,
			.ns = asked[i].ns,
			.name = asked[i].name};

		if ((kg_auth_authorize(auth, &u, &a, &err) == 0) != asked[i].allowed)
			fail_msg("%s %s %s/%s", a.verb, a.resource, a.ns, a.name);
		assert_int_equal(kg_auth_authorize(auth, &impostor, &a, &err), -KG_E_FORBIDDEN);
	}
	kg_auth_free(auth);
	kg_hub_free(hub);
	kg_snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pushes_are_judged),
		cmocka_unit_test(rules_follow_the_hub),
		cmocka_unit_test(a_users_rules_are_listed),
		cmocka_unit_test(nodes_see_what_is_bound_to_them),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
