/* What headers ask for: forms of discovery, packed answers, lines for people; what no cache may
 * keep; methods that there are not. As kube-apiserver 1.32 answers. */
#include "testclient.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define MAPS       "/api/v1/namespaces/default/configmaps"
#define AGGREGATED "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.wait_ms = 300, .gzip = KG_API_GZIP_ALWAYS});
}

static struct answer get_with(const char *path, const char *header)
{
	const char *headers[] = {header, NULL};

	return ask_with("GET", path, headers, NULL);
}

static bool says(const struct answer *a, const char *header)
{
	return strstr(kg_buf_str(&a->headers), header) != NULL;
}

static void discovery_has_the_form_that_is_asked_for(void **state)
{
	static const struct {
		const char *accept;
		long status;
		const char *kind, *version;
	} cases[] = {
		{"", 200, "APIGroupList", "v1"},
		{"application/json", 200, "APIGroupList", "v1"},
		{"application/json, */*", 200, "APIGroupList", "v1"},
		{"application/json;" AGGREGATED ",application/json", 200, "APIGroupDiscoveryList",
			"apidiscovery.k8s.io/v2"},
		/* It is what is wanted, wherever it stands, and however it is written. */
		{"application/json,application/json;" AGGREGATED, 200, "APIGroupDiscoveryList",
			"apidiscovery.k8s.io/v2"},
		{"application/json;as=APIGroupDiscoveryList;g=apidiscovery.k8s.io;v=v2", 200,
			"APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"},
		{"application/json; v=v2beta1; g=apidiscovery.k8s.io; as=APIGroupDiscoveryList",
			200, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2beta1"},
		{"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList;q=0.5,"
		 "application/json;" AGGREGATED ";q=0.9",
			200, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"},
		{"application/vnd.kubernetes.protobuf;" AGGREGATED ",application/json;" AGGREGATED
		 ",application/json",
			200, "APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"},
		{"application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,"
		 "application/json",
			200, "APIGroupList", "v1"},
		{"application/vnd.kubernetes.protobuf", 406, "Status", "v1"},
		{"application/vnd.kubernetes.protobuf,application/json", 200, "APIGroupList", "v1"},
		{"text/html", 406, "Status", "v1"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask("GET", "/apis", cases[i].accept, NULL, NULL);

		print_message("%s\n", cases[i].accept);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(at(&a, "kind"), cases[i].kind);
		assert_string_equal(at(&a, "apiVersion"), cases[i].version);
	}
	ANSWER v2 = ask("GET", "/api", "application/json;" AGGREGATED, NULL, NULL);
	assert_true(says(&v2, "Content-Type: application/json;" AGGREGATED "\r\n"));
}

/* A form that there is not is not what was asked for in another one. */
static void forms_have_versions(void **state)
{
#define TABLE(rest) "application/json;as=Table" rest
	static const struct {
		const char *accept;
		long status;
		const char *kind, *version;
	} cases[] = {
		{TABLE(";v=v1;g=meta.k8s.io"), 200, "Table", "meta.k8s.io/v1"},
		{TABLE(";g=meta.k8s.io;v=v1beta1"), 200, "Table", "meta.k8s.io/v1beta1"},
		{TABLE(";v=v2;g=meta.k8s.io"), 406, "Status", "v1"},
		{TABLE(";v=v2;g=meta.k8s.io,application/json"), 200, "ConfigMapList", "v1"},
		{TABLE(";v=v1;g=apps"), 406, "Status", "v1"},
		{TABLE(""), 406, "Status", "v1"},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask("GET", MAPS, cases[i].accept, NULL, NULL);

		print_message("%s\n", cases[i].accept);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(at(&a, "kind"), cases[i].kind);
		assert_string_equal(at(&a, "apiVersion"), cases[i].version);
	}
}

static void put_large(const char *name, size_t bytes)
{
	KG_AUTOBUF struct kg_buf yaml = KG_BUF_INIT;

	kg_buf_addf(&yaml,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: default}\n"
		"data: {a: \"",
		name);
	for (unsigned i = 0; yaml.len < bytes; i++)
		kg_buf_addf(&yaml, "%x ", i * 2654435761U);
	kg_buf_adds(&yaml, "\"}\n");
	test_put_yaml(&server, kg_buf_str(&yaml));
}

/* What curl unpacks is what it would have been sent. */
static void large_answers_are_packed(void **state)
{
	static const struct {
		const char *path;
		bool large;
	} cases[] = {
		{MAPS "/page", false},
		{MAPS "/large-0", true},
		{MAPS "?limit=1", true},
		{MAPS "?fieldSelector=metadata.name%3Dlarge-0", true}, /* one piece */
		{MAPS, true},                                          /* many */
		{MAPS "?pretty=1&fieldSelector=metadata.name%3Dlarge-0", true},
		{"/openapi/v2", true},
		{"/apis", false},
	};
	char name[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "large-%d", i);
		put_large(name, 150000);
	}
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER packed = ask_packed(cases[i].path, "gzip, deflate");
		ANSWER plain = get(cases[i].path);

		print_message("%s: %zu bytes\n", cases[i].path, plain.body.len);
		assert_int_equal(packed.status, 200);
		assert_true(says(&packed, "Content-Encoding: gzip\r\n") == cases[i].large);
		assert_true(says(&packed, "Accept-Encoding\r\n") == cases[i].large);
		assert_false(says(&plain, "Content-Encoding"));
		assert_int_equal(packed.body.len, plain.body.len);
		assert_memory_equal(packed.body.data, plain.body.data, plain.body.len);
	}
	static const char *const others[] = {"deflate", "gzip;q=0", "br, gzip; q=0.0", "gzipped"};
	for (size_t i = 0; i < KG_ARRAY_LEN(others); i++) {
		KG_AUTOFREE char *header = kg_asprintf("Accept-Encoding: %s", others[i]);
		ANSWER a = get_with(MAPS, header);

		assert_false(says(&a, "Content-Encoding"));
	}
	ANSWER metrics = ask_packed("/metrics", "gzip");
	assert_true(says(&metrics, "Content-Encoding: gzip\r\n"));
	assert_non_null(strstr(kg_buf_str(&metrics.body), "\napiserver_request_total{"));
}

static void people_get_lines(void **state)
{
	static const struct {
		const char *path, *header;
		bool lines;
	} cases[] = {
		{MAPS "/page", "User-Agent: curl/7.88.1", true},
		{MAPS "/page", "User-Agent: Wget/1.21", true},
		{MAPS "/page", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", true},
		{MAPS "/page", "User-Agent: kubectl/v1.32.4", false},
		{MAPS "/page?pretty=false", "User-Agent: curl/7.88.1", false},
		{MAPS "/page?pretty=", "User-Agent: curl/7.88.1", true},
		{MAPS "/page?pretty=1", "User-Agent: kubectl/v1.32.4", true},
		{MAPS "/page?pretty=x", "User-Agent: kubectl/v1.32.4", false},
		{MAPS "/none", "User-Agent: curl/7.88.1", true},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = get_with(cases[i].path, cases[i].header);

		print_message("%s, %s\n", cases[i].path, cases[i].header);
		assert_true((strstr(kg_buf_str(&a.body), "\n    \"kind\": ") != NULL) ==
			    cases[i].lines);
	}
}

static void nothing_is_for_others(void **state)
{
	static const char *const paths[] = {MAPS, MAPS "/page", MAPS "/none",
		MAPS "?watch=1&timeoutSeconds=1", "/version", "/metrics", "/livez"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(paths); i++) {
		ANSWER a = get(paths[i]);

		print_message("%s\n", paths[i]);
		assert_true(says(&a, "Cache-Control: no-cache, private\r\n"));
	}
	ANSWER discovery = get("/apis");
	assert_true(says(&discovery, "Cache-Control: public\r\n"));
	assert_false(says(&discovery, "private"));
}

static void methods(void **state)
{
	static const struct {
		const char *method, *path;
		long status;
	} cases[] = {
		{"HEAD", MAPS, 200},
		{"HEAD", "/livez", 200},
		{"OPTIONS", MAPS, 405},
		{"OPTIONS", "/apis", 405},
		{"TRACE", MAPS "/page", 405},
		{"DELETE", MAPS, 405},
		{"POST", "/version", 405},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask(cases[i].method, cases[i].path, NULL, NULL, NULL);

		print_message("%s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(a.status, cases[i].status);
	}
	ANSWER options = ask("OPTIONS", MAPS, NULL, NULL, NULL);
	assert_true(says(&options, "Allow: GET, HEAD\r\n"));
	assert_string_equal(
		at(&options, "message"), "the server does not allow OPTIONS on configmaps");
	ANSWER metrics = get("/metrics");
	assert_non_null(strstr(kg_buf_str(&metrics.body),
		"apiserver_request_total{verb=\"other\",group=\"\",version=\"v1\","
		"resource=\"configmaps\",code=\"405\"}"));
}

/* `watch` is a parameter of lists: of one object it is read over, and any value but no is yes. */
static void what_is_a_watch(void **state)
{
	(void)state;
	ANSWER one = get(MAPS "/page?watch=true");
	assert_string_equal(at(&one, "kind"), "ConfigMap");
	ANSWER bare = get(MAPS "?watch&timeoutSeconds=1&fieldSelector=metadata.name%3Dpage");
	assert_string_equal(at(&bare, "type"), "ADDED");
	ANSWER no = get(MAPS "?watch=False");
	assert_string_equal(at(&no, "kind"), "ConfigMapList");
	ANSWER old = get("/api/v1/watch/namespaces/default/configmaps/page?timeoutSeconds=1");
	assert_string_equal(at(&old, "object.metadata.name"), "page");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discovery_has_the_form_that_is_asked_for),
		cmocka_unit_test(forms_have_versions),
		cmocka_unit_test(large_answers_are_packed),
		cmocka_unit_test(people_get_lines),
		cmocka_unit_test(nothing_is_for_others),
		cmocka_unit_test(methods),
		cmocka_unit_test(what_is_a_watch),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
