#include "auth.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct kg_auth *auth;

static int setup(void **state)
{
	(void)state;
	kg_kinds_init();
	auth = kg_auth_new();
	kg_auth_add_certificates(auth);
	kg_auth_add_default_authorizers(auth, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	kg_auth_free(auth);
	return 0;
}

static struct kg_user user(const char *cn, const char *org)
{
	const char *const orgs[] = {org, NULL};
	struct kg_credentials c = {.cert_cn = cn, .cert_orgs = orgs};
	struct kg_user u;
	struct kg_error err;

	assert_int_equal(kg_auth_authenticate(auth, &u, &c, 0, &err), 0);
	return u;
}

static void certificates_name_users(void **state)
{
	struct kg_user u = user("system:node:n1", "system:nodes");

	(void)state;
	assert_string_equal(u.name, "system:node:n1");
	assert_string_equal(u.node, "n1");
	assert_true(kg_user_in_group(&u, "system:nodes"));
	assert_true(kg_user_in_group(&u, "system:authenticated"));
	assert_false(kg_user_in_group(&u, "system:masters"));
	u = user("ann", NULL);
	assert_string_equal(u.name, "ann");
	assert_string_equal(u.node, "");
}

static void nobody_is_anonymous(void **state)
{
	struct kg_credentials none = {0}, unknown = {.authorization = "Negotiate abc"};
	struct kg_user u;
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_auth_authenticate(auth, &u, &none, 0, &err), 0);
	assert_string_equal(u.name, "system:anonymous");
	assert_true(kg_user_in_group(&u, "system:unauthenticated"));
	assert_false(kg_user_in_group(&u, "system:authenticated"));
	assert_int_equal(kg_auth_authenticate(auth, &u, &unknown, 0, &err), -KG_E_UNAUTHORIZED);
}

static void names_that_do_not_fit_are_refused(void **state)
{
	char longer[300];
	const char *many[20];
	struct kg_credentials c = {.cert_cn = longer};
	struct kg_user u;
	struct kg_error err;

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[299] = '\0';
	assert_int_equal(kg_auth_authenticate(auth, &u, &c, 0, &err), -KG_E_UNAUTHORIZED);
	for (size_t i = 0; i < 19; i++)
		many[i] = "g";
	many[19] = NULL;
	c = (struct kg_credentials){.cert_cn = "ann", .cert_orgs = many};
	assert_int_equal(kg_auth_authenticate(auth, &u, &c, 0, &err), -KG_E_UNAUTHORIZED);
	many[0] = longer;
	many[1] = NULL;
	assert_int_equal(kg_auth_authenticate(auth, &u, &c, 0, &err), -KG_E_UNAUTHORIZED);
}

/* No rule looks at a uid or an extra: the user is the same without. */
static void extras_that_do_not_fit_are_left_out(void **state)
{
	char longer[1100], uid[255];
	struct kg_user u;
	struct kg_error err;

	(void)state;
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	memset(uid, 'u', sizeof(uid) - 1);
	uid[sizeof(uid) - 1] = '\0';
	assert_int_equal(kg_user_set(&u, "ann", &err), 0);
	kg_user_set_uid(&u, uid);
	assert_string_equal(u.uid, "");
	uid[253] = '\0';
	kg_user_set_uid(&u, uid);
	assert_string_equal(u.uid, uid);
	kg_user_add_extra(&u, "k", "v");
	kg_user_add_extra(&u, "k", longer);
	kg_user_add_extra(&u, longer, "v");
	assert_int_equal(u.extra_len, 4);
	longer[1024 - 4 - 2 - 1] = '\0'; /* with the key and both NULs it just fits */
	kg_user_add_extra(&u, "l", longer);
	assert_int_equal(u.extra_len, sizeof(u.extra));
	kg_user_add_extra(&u, "", "");
	assert_int_equal(u.extra_len, sizeof(u.extra));
}

static void paths_are_for(void **state)
{
	static const struct {
		const char *cn, *org, *verb, *path;
		bool allowed;
	} cases[] = {
		{"root", "system:masters", "delete", "/anything", true},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n1/watch", true},
		{"system:node:n1", "system:nodes", "create", "/kgit/v1/nodes/n1/status", true},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n1.git/info/refs", true},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n10/watch", false},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n1.gitx/info", false},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n1.git", false},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n1", false},
		{"system:node:n1", "system:nodes", "get", "/kgit/v1/nodes/n2/watch", false},
		{"system:node:", "system:nodes", "get", "/kgit/v1/nodes//watch", false},
		{"system:node:n1.git", "system:nodes", "get", "/kgit/v1/nodes/n1.git/info", false},
		{"system:node:n1/x", "system:nodes", "get", "/kgit/v1/nodes/n1/x/watch", false},
		{"system:node:n1", "other", "get", "/kgit/v1/nodes/n1/watch", false},
		{"n1", "system:nodes", "get", "/kgit/v1/nodes/n1/watch", false},
		{"system:node:n1", "system:nodes", "fetch", "/cluster.git/info/refs", false},
		{"ann", "dev", "get", "/healthz", true},
		{"ann", "dev", "get", "/livez/ping", true},
		{"ann", "dev", "get", "/healthzz", false},
		{"ann", "dev", "delete", "/healthz", false},
		{"ann", "dev", "get", "/api", true},
		{"ann", "dev", "get", "/apis/apps/v1", true},
		{"ann", "dev", "get", "/openapi/v3", true},
		{"ann", "dev", "get", "/apix", false},
		{"ann", "dev", "create", "/apis", false},
		{"ann", "dev", "push", "/cluster.git", false},
		{"ann", "dev", "get", "/kgit/v1/log", false},
		{NULL, NULL, "get", "/readyz", true},
		{NULL, NULL, "get", "/version", false},
		{"ann", "dev", "get", "/version", true},
		{NULL, NULL, "get", "/kgit/v1/ca", true},
		{NULL, NULL, "create", "/kgit/v1/join", true},
		{NULL, NULL, "get", "/kgit/v1/ca/x", false},
		{NULL, NULL, "get", "/api", false},
		{NULL, NULL, "create", "/kgit/v1/tokens", false},
	};
	struct kg_error err;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_user u = user(cases[i].cn, cases[i].org);
		struct kg_attributes a = {.verb = cases[i].verb, .path = cases[i].path};
		int rc = kg_auth_authorize(auth, &u, &a, &err);
		if ((rc == 0) != cases[i].allowed)
			fail_msg("case %zu: %s %s by %s", i, a.verb, a.path, u.name);
		if (rc)
			assert_int_equal(rc, -KG_E_FORBIDDEN);
	}
}

static void refusals_are_kubernetes_words(void **state)
{
	static const struct {
		struct kg_attributes a;
		const char *text;
	} cases[] = {
		{{.verb = "list", .group = "", .resource = "pods", .ns = "default"},
			"pods is forbidden: User \"x\" cannot list resource \"pods\" in API group "
			"\"\" in the namespace \"default\""},
		{{.verb = "get",
			 .group = "apps",
			 .resource = "deployments",
			 .ns = "default",
			 .name = "web"},
			"deployments.apps \"web\" is forbidden: User \"x\" cannot get resource "
			"\"deployments\" in API group \"apps\" in the namespace \"default\""},
		{{.verb = "get", .resource = "pods", .subresource = "log", .ns = "a", .name = "b"},
			"pods \"b\" is forbidden: User \"x\" cannot get resource \"pods/log\" in "
			"API group \"\" in the namespace \"a\""},
		{{.verb = "list", .resource = "nodes"},
			"nodes is forbidden: User \"x\" cannot list resource \"nodes\" in API "
			"group \"\" at the cluster scope"},
		{{.verb = "get", .path = "/metrics"},
			"forbidden: User \"x\" cannot get path \"/metrics\""},
	};
	struct kg_user u = user("x", "dev");
	struct kg_error err;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		assert_int_equal(kg_auth_authorize(auth, &u, &cases[i].a, &err), -KG_E_FORBIDDEN);
		assert_string_equal(err.msg, cases[i].text);
	}
	struct kg_user root = user("x", "system:masters");
	assert_int_equal(kg_auth_authorize(auth, &root, &cases[0].a, &err), 0);
}

static int freed;

static void count_free(void *self)
{
	freed += *(int *)self;
}

static int deny(
	void *self, const struct kg_user *u, const struct kg_attributes *a, struct kg_error *err)
{
	(void)self;
	(void)u;
	(void)a;
	return kg_fail(err, KG_E_FORBIDDEN, "closed today");
}

static void the_first_opinion_counts(void **state)
{
	static const struct kg_authorizer closed = {.authorize = deny, .free = count_free};
	struct kg_auth *own = kg_auth_new();
	struct kg_attributes a = {.verb = "get", .path = "/healthz"};
	struct kg_user u = {.name = "x"};
	struct kg_error err;
	int one = 1;

	(void)state;
	kg_auth_add_authorizer(own, &closed, &one);
	kg_auth_add_default_authorizers(own, NULL);
	assert_int_equal(kg_auth_authorize(own, &u, &a, &err), -KG_E_FORBIDDEN);
	assert_string_equal(
		err.msg, "forbidden: User \"x\" cannot get path \"/healthz\": closed today");
	kg_auth_free(own);
	assert_int_equal(freed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(certificates_name_users),
		cmocka_unit_test(nobody_is_anonymous),
		cmocka_unit_test(names_that_do_not_fit_are_refused),
		cmocka_unit_test(extras_that_do_not_fit_are_left_out),
		cmocka_unit_test(paths_are_for),
		cmocka_unit_test(refusals_are_kubernetes_words),
		cmocka_unit_test(the_first_opinion_counts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
