/* What a client learns of the API: discovery, OpenAPI, and that it need not ask again. */
#include "testclient.h"

#include "value/testing.h"

#define AGGREG                                                                                     \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
#define BETA                                                                                       \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/"   \
	"json"

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.wait_ms = 300});
}

static const struct kg_value *resource(const struct answer *a, const char *name)
{
	return kg_find(kg_at(&a->v, "items.0.versions.0.resources"), "resource", name);
}

static void test_discovery(void **state)
{
	(void)state;
	ANSWER core = ask("GET", "/api", AGGREG, NULL, NULL);
	const struct kg_value *pods = resource(&core, "pods");

	assert_non_null(strstr(core.headers.data,
		"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"));
	assert_non_null(strstr(core.headers.data, "Vary: Accept"));
	assert_string_equal(at(&core, "apiVersion"), "apidiscovery.k8s.io/v2");
	assert_string_equal(kg_string(kg_at(pods, "responseKind.kind"), ""), "Pod");
	assert_string_equal(kg_string(kg_at(pods, "scope"), ""), "Namespaced");
	assert_string_equal(kg_string(kg_at(pods, "shortNames.0"), ""), "po");
	ANSWER groups = ask("GET", "/apis", BETA, NULL, NULL);
	assert_string_equal(at(&groups, "apiVersion"), "apidiscovery.k8s.io/v2beta1");
	assert_non_null(kg_find(kg_at(&groups.v, "items"), "metadata", "x"));
	ANSWER plain = get("/api");
	assert_string_equal(at(&plain, "kind"), "APIVersions");
	ANSWER list = get("/apis");
	assert_string_equal(at(&list, "kind"), "APIGroupList");
	ANSWER apps = get("/apis/apps");
	assert_string_equal(at(&apps, "preferredVersion.groupVersion"), "apps/v1");
	ANSWER v1 = get("/apis/apps/v1");
	assert_string_equal(at(&v1, "kind"), "APIResourceList");
	assert_false(kg_is_null(kg_find(kg_at(&v1.v, "resources"), "name", "deployments/scale")));
	ANSWER none = get("/apis/nope/v1");
	assert_int_equal(none.status, 404);
}

static void test_etags(void **state)
{
	static const char *const paths[] = {
		"/api", "/apis", "/api/v1", "/openapi/v3", "/openapi/v3/apis/apps/v1"};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(paths); i++) {
		ANSWER a = get(paths[i]);
		char *etag = strcasestr(kg_buf_str(&a.headers), "ETag: ");

		assert_non_null(etag);
		KG_AUTOFREE char *value = kg_strndup(etag + 6, strcspn(etag + 6, "\r\n"));
		ANSWER b = ask("GET", paths[i], NULL, value, NULL);
		assert_int_equal(b.status, 304);
		assert_int_equal(b.body.len, 0);
		ANSWER c = ask("GET", paths[i], NULL, "\"other\"", NULL);
		assert_int_equal(c.status, 200);
	}
}

static void test_openapi(void **state)
{
	(void)state;
	ANSWER index = get("/openapi/v3");
	const char *url = kg_string(
		kg_get(kg_get(kg_get(&index.v, "paths"), "apis/apps/v1"), "serverRelativeURL"), "");
	ANSWER doc = get(url);
	const struct kg_value *schemas = kg_at(&doc.v, "components.schemas");
	const struct kg_value *dep = kg_get(schemas, "io.k8s.api.apps.v1.Deployment");
	const struct kg_value *path = kg_get(
		kg_at(&doc.v, "paths"), "/apis/apps/v1/namespaces/{namespace}/deployments/{name}");

	assert_string_equal(
		kg_string(kg_get(kg_at(dep, "x-kubernetes-group-version-kind.0"), "kind"), ""),
		"Deployment");
	assert_string_equal(kg_string(kg_at(path, "get.x-kubernetes-group-version-kind.kind"), ""),
		"Deployment");
	/* every reference leads somewhere */
	for (const char *p = doc.body.data; (p = strstr(p, "#/components/schemas/"));) {
		p += strlen("#/components/schemas/");
		KG_AUTOFREE char *name = kg_strndup(p, strcspn(p, "\""));

		assert_false(kg_is_null(kg_get(schemas, name)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_etags),
		cmocka_unit_test(test_openapi),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
