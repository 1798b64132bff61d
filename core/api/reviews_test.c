/* Who may what, as the API tells it. */
#include "testclient.h"

#include "value/testing.h"

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.wait_ms = 300});
}

static void test_self_subject(void **state)
{
	static const struct {
		const char *spec;
		bool allowed;
	} cases[] = {
		{"{\"resourceAttributes\":{\"verb\":\"list\",\"resource\":\"pods\"}}", true},
		{"{\"resourceAttributes\":{\"verb\":\"create\",\"resource\":\"pods\"}}", true},
		{"{\"nonResourceAttributes\":{\"verb\":\"get\",\"path\":\"/version\"}}", true},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *body = kg_asprintf("{\"spec\":%s}", cases[i].spec);
		ANSWER a = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
			NULL, NULL, body);

		assert_int_equal(a.status, 201);
		assert_int_equal(kg_bool(kg_at(&a.v, "status.allowed"), false), cases[i].allowed);
	}
	ANSWER who =
		ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", NULL, NULL, "{}");
	assert_string_equal(at(&who, "status.userInfo.username"), "admin");
	assert_string_equal(at(&who, "status.userInfo.groups.0"), "system:masters");
	ANSWER rules = ask("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", NULL,
		NULL, "{\"spec\":{\"namespace\":\"default\"}}");
	assert_string_equal(at(&rules, "status.resourceRules.0.verbs.0"), "*");
	assert_string_equal(at(&rules, "status.nonResourceRules.0.nonResourceURLs.0"), "*");
}

static void test_reviews_of_others(void **state)
{
	static const struct {
		const char *path, *spec;
		int status;
		bool allowed;
	} cases[] = {
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews",
			"{\"user\":\"zoe\",\"groups\":[\"a\",\"system:masters\"],"
			"\"resourceAttributes\":{\"verb\":\"get\",\"resource\":\"pods\"}}",
			201, true},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews",
			"{\"user\":\"zoe\",\"resourceAttributes\":{\"verb\":\"get\","
			"\"resource\":\"pods\"}}",
			201, false},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews", "{}", 400, false},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews",
			"{\"groups\":[\"system:masters\"],\"resourceAttributes\":{\"verb\":\"get\"}"
			"}",
			201, true},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews", "{\"user\":\"zoe\"}", 422,
			false},
		{"/apis/authorization.k8s.io/v1/subjectaccessreviews",
			"{\"user\":\"zoe\",\"resourceAttributes\":{},\"nonResourceAttributes\":{"
			"\"path\":\"/livez\"}}",
			422, false},
		{"/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
			"{\"user\":\"zoe\",\"resourceAttributes\":{\"verb\":\"get\","
			"\"resource\":\"pods\",\"namespace\":\"default\"}}",
			201, false},
		{"/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
			"{\"user\":\"zoe\",\"resourceAttributes\":{\"verb\":\"get\","
			"\"resource\":\"pods\",\"namespace\":\"other\"}}",
			400, false},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *body = kg_asprintf("{\"spec\":%s}", cases[i].spec);
		ANSWER a = ask("POST", cases[i].path, NULL, NULL, body);

		assert_int_equal(a.status, cases[i].status);
		assert_int_equal(kg_bool(kg_at(&a.v, "status.allowed"), false), cases[i].allowed);
	}
	ANSWER none = get("/apis/authorization.k8s.io/v1/subjectaccessreviews");
	assert_int_equal(none.status, 405);
	ANSWER t = ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", NULL, NULL,
		"{\"spec\":{\"token\":\"x\"}}");
	assert_int_equal(t.status, 201);
	assert_false(kg_bool(kg_at(&t.v, "status.authenticated"), true));
	assert_true(kg_is_null(kg_at(&t.v, "spec.token")));
}

static void test_few_audiences(void **state)
{
	(void)state;
	for (int n = 64; n <= 65; n++) {
		KG_AUTOBUF struct kg_buf body = KG_BUF_INIT;

		kg_buf_adds(&body, "{\"spec\":{\"token\":\"x\",\"audiences\":[\"a\"");
		for (int i = 1; i < n; i++)
			kg_buf_adds(&body, ",\"a\"");
		kg_buf_adds(&body, "]}}");
		ANSWER a = ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", NULL, NULL,
			kg_buf_str(&body));
		assert_int_equal(a.status, n == 64 ? 201 : 422);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_self_subject),
		cmocka_unit_test(test_reviews_of_others),
		cmocka_unit_test(test_few_audiences),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
