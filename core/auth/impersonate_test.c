/* Who may act as whom, and who he is then: as WithImpersonation of k8s.io/apiserver has it. */
#include "impersonate.h"

#include "testing.h"
#include "watch/hub.h"

#include <stdio.h>

static const char manifests[] =
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: acting}\n"
	"rules:\n"
	"- {apiGroups: [''], resources: [users], resourceNames: [bob, 'system:node:n1'], verbs: "
	"[impersonate]}\n"
	"- {apiGroups: [''], resources: [groups], resourceNames: [dev], verbs: [impersonate]}\n"
	"- {apiGroups: [authentication.k8s.io], resources: [userextras/scopes], resourceNames: "
	"[view], "
	"verbs: [impersonate]}\n"
	"- {apiGroups: [authentication.k8s.io], resources: [uids], resourceNames: [u-1], verbs: "
	"[impersonate]}\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: "
	"acting}\n"
	"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: acting}\n"
	"subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}]\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: acting, namespace: "
	"team}\n"
	"rules:\n"
	"- {apiGroups: [''], resources: [serviceaccounts], verbs: [impersonate]}\n"
	"---\n"
	"apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: acting, "
	"namespace: team}\n"
	"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: acting}\n"
	"subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}]\n";

static struct kg_auth *auth;
static struct kg_hub *hub;

static int setup(void **state)
{
	(void)state;
	kg_kinds_init();
	struct kg_changes changes = {0};
	struct kg_snapshot *s = kg_test_snapshot(NULL, manifests, &changes);

	kg_changes_release(&changes);
	hub = kg_hub_new(s, 0);
	kg_snapshot_unref(s);
	auth = kg_auth_new();
	kg_auth_add_default_authorizers(auth, hub);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kg_auth_free(auth);
	kg_hub_free(hub);
	return 0;
}

static void each_is_judged(void **state)
{
	static const struct {
		const char *by, *by_groups;
		struct kg_impersonation said;
		const char *groups; /* of whom he is then; NULL: refused */
		const char *why;    /* begins so */
	} cases[] = {
		{"ann", "", {.user = "bob"}, "system:authenticated", NULL},
		{"ann", "", {.user = "bob", .groups = {"dev"}, .ngroups = 1},
			"dev system:authenticated", NULL},
		{"ann", "", {.user = "bob", .groups = {"dev", "ops"}, .ngroups = 2}, NULL,
			"groups \"ops\" is forbidden: User \"ann\" cannot impersonate resource "
			"\"groups\" in API group \"\" at the cluster scope"},
		{"ann", "", {.user = "carl"}, NULL, "users \"carl\" is forbidden: User \"ann\" "},
		{"bob", "", {.user = "bob"}, NULL, "users \"bob\" is forbidden: User \"bob\" "},
		{"ann", "", {.user = "system:serviceaccount:team:x"},
			"system:serviceaccounts system:serviceaccounts:team system:authenticated",
			NULL},
		{"ann", "",
			{.user = "system:serviceaccount:team:x", .groups = {"dev"}, .ngroups = 1},
			"dev system:authenticated", NULL},
		{"ann", "", {.user = "system:serviceaccount:other:x"}, NULL,
			"serviceaccounts \"x\" is forbidden: "},
		{"ann", "",
			{.user = "bob", .uid = "u-1", .extras = {{"scopes", "view"}}, .nextras = 1},
			"system:authenticated", NULL},
		{"ann", "", {.user = "bob", .uid = "u-2"}, NULL,
			"uids.authentication.k8s.io \"u-2\""},
		{"ann", "", {.user = "bob", .extras = {{"scopes", "edit"}}, .nextras = 1}, NULL,
			"userextras.authentication.k8s.io \"edit\" is forbidden: User \"ann\" "
			"cannot "
			"impersonate resource \"userextras/scopes\""},
		{"ann", "", {.groups = {"dev"}, .ngroups = 1}, NULL, "requested groups"},
		{"ann", "", {.user = "", .uid = "u-1"}, NULL, "requested groups"},
		{"root", "system:masters", {.user = "system:anonymous"}, "system:unauthenticated",
			NULL},
		{"root", "system:masters",
			{.user = "x", .groups = {"system:unauthenticated"}, .ngroups = 1},
			"system:unauthenticated", NULL},
		{"root", "system:masters",
			{.user = "x", .groups = {"system:authenticated"}, .ngroups = 1},
			"system:authenticated", NULL},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_user by = kg_test_user(cases[i].by, cases[i].by_groups), got;
		struct kg_buf groups KG_AUTOBUF = KG_BUF_INIT;
		struct kg_error err = {0};
		int rc = kg_auth_impersonate(auth, &got, &by, &cases[i].said, &err);

		if (!cases[i].groups) {
			assert_true(rc < 0);
			if (strncmp(err.msg, cases[i].why, strlen(cases[i].why)) != 0)
				fail_msg("%zu: %s", i, err.msg);
			continue;
		}
		if (rc)
			fail_msg("%zu: %s", i, err.msg);
		assert_string_equal(got.name, cases[i].said.user);
		assert_string_equal(got.uid, cases[i].said.uid ? cases[i].said.uid : "");
		if (cases[i].said.nextras)
			assert_memory_equal(got.extra, "scopes\0view", sizeof("scopes\0view"));
		assert_int_equal(got.extra_len, cases[i].said.nextras ? 12 : 0);
		for (unsigned k = 0; k < got.ngroups; k++)
			kg_buf_addf(&groups, "%s%s", k ? " " : "", got.groups[k]);
		assert_string_equal(kg_buf_str(&groups), cases[i].groups);
	}
}

/* Who acts as a node without its group is no node. */
static void a_node_is_one_by_its_group(void **state)
{
	struct kg_user by = kg_test_user("ann", ""), got;
	struct kg_impersonation said = {.user = "system:node:n1"};
	struct kg_attributes a = {.verb = "get", .group = "", .resource = "nodes", .name = "n1"};
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_auth_impersonate(auth, &got, &by, &said, &err), 0);
	assert_int_equal(kg_auth_authorize(auth, &got, &a, &err), -KG_E_FORBIDDEN);
	by = kg_test_user("root", "system:masters");
	said.groups[said.ngroups++] = "system:nodes";
	assert_int_equal(kg_auth_impersonate(auth, &got, &by, &said, &err), 0);
	assert_int_equal(kg_auth_authorize(auth, &got, &a, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_judged),
		cmocka_unit_test(a_node_is_one_by_its_group),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
