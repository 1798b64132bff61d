/* What the node adds to a pod, and makes of what the view says of the API. */
#include "nodeagent/apiaccess.h"
#include "value/testing.h"

static void same(const struct kg_value *got, const char *want)
{
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;

	kg_yaml_write(&text, got);
	assert_string_equal(kg_buf_str(&text), want);
}

static void a_pod_is_given_access(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value pod = kg_test_yaml(&a,
		"metadata: {name: p}\n"
		"spec:\n"
		"  containers:\n"
		"  - name: a\n"
		"  - name: b\n"
		"    volumeMounts:\n"
		"    - {mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: own}\n"
		"  initContainers:\n"
		"  - name: c\n"
		"    volumeMounts:\n"
		"    - {mountPath: /data, name: own}\n"
		"  volumes:\n"
		"  - emptyDir: {}\n"
		"    name: own\n");

	(void)state;
	assert_false(kg_api_access_has(&pod));
	struct kg_value got = kg_api_access_add(&a, &pod);
	assert_true(kg_api_access_has(&got));
	same(&got, "metadata:\n"
		   "  name: p\n"
		   "spec:\n"
		   "  containers:\n"
		   "  - name: a\n"
		   "    volumeMounts:\n"
		   "    - mountPath: /var/run/secrets/kubernetes.io/serviceaccount\n"
		   "      name: kube-api-access.kgit\n"
		   "      readOnly: true\n"
		   "  - name: b\n"
		   "    volumeMounts:\n"
		   "    - mountPath: /var/run/secrets/kubernetes.io/serviceaccount\n"
		   "      name: own\n"
		   "  initContainers:\n"
		   "  - name: c\n"
		   "    volumeMounts:\n"
		   "    - mountPath: /data\n"
		   "      name: own\n"
		   "    - mountPath: /var/run/secrets/kubernetes.io/serviceaccount\n"
		   "      name: kube-api-access.kgit\n"
		   "      readOnly: true\n"
		   "  volumes:\n"
		   "  - emptyDir: {}\n"
		   "    name: own\n"
		   "  - name: kube-api-access.kgit\n"
		   "    projected:\n"
		   "      defaultMode: 420\n"
		   "      sources:\n"
		   "      - serviceAccountToken:\n"
		   "          expirationSeconds: 3607\n"
		   "          path: token\n"
		   "      - configMap:\n"
		   "          items:\n"
		   "          - key: ca.crt\n"
		   "            path: ca.crt\n"
		   "          name: kube-root-ca.crt\n"
		   "      - downwardAPI:\n"
		   "          items:\n"
		   "          - fieldRef:\n"
		   "              fieldPath: metadata.namespace\n"
		   "            path: namespace\n");
}

static void a_pod_without_volumes(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value pod = kg_test_yaml(&a, "spec: {containers: [{name: a}]}\n");

	(void)state;
	struct kg_value got = kg_api_access_add(&a, &pod);
	assert_int_equal(kg_len(kg_at(&got, "spec.volumes")), 1);
	assert_int_equal(kg_len(kg_at(&got, "spec.containers.0.volumeMounts")), 1);
	assert_true(kg_is_null(kg_at(&got, "spec.initContainers")));
}

static void where_the_api_is(void **state)
{
	static const struct {
		const char *node, *url, *ip, *endpoint; /* NULL: none */
	} cases[] = {
		{"serviceCIDR: 10.96.0.0/16", "https://192.0.2.1:6443", "10.96.0.1",
			"192.0.2.1:6443"},
		{"serviceCIDR: 10.96.0.0/16", "https://127.0.0.1", "10.96.0.1", "127.0.0.1:443"},
		{"serviceCIDR: 172.20.5.9/12", "https://192.0.2.1:1", "172.16.0.1", "192.0.2.1:1"},
		{"serviceCIDR: 10.96.0.0/16", "https://[::1]:6443", "10.96.0.1", NULL},
		{"name: n", "https://192.0.2.1:6443", NULL, NULL},
		{"serviceCIDR: nonsense/16", "https://192.0.2.1:6443", NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value node = kg_test_yaml(&a, cases[i].node);
		struct kg_value service = kg_api_service(&a, &node);
		struct kg_value list = kg_v_array(&a, &service, 1);
		struct kg_value map;
		assert_int_equal(kg_api_service_map(&map, &a, &node, cases[i].url, NULL), 0);
		const char *ip = kg_api_address(&list);
		const char *endpoint = kg_string(kg_at(&map, "ports.0.endpoints.0"), NULL);

		assert_int_equal(ip != NULL, cases[i].ip != NULL);
		if (ip)
			assert_string_equal(ip, cases[i].ip);
		assert_int_equal(endpoint != NULL, cases[i].endpoint != NULL);
		if (endpoint)
			assert_string_equal(endpoint, cases[i].endpoint);
		if (endpoint)
			assert_string_equal(kg_string(kg_get(&map, "clusterIP"), ""), cases[i].ip);
	}
}

/* A label of 64 letters cannot even be asked for. */
static void a_master_without_an_address(void **state)
{
	static const char url[] = "https://"
				  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
				  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.invalid:6443";
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value node = kg_test_yaml(&a, "serviceCIDR: 10.96.0.0/16"), map;
	struct kg_error err;

	(void)state;
	assert_int_equal(kg_api_service_map(&map, &a, &node, url, &err), -KG_E_UNAVAILABLE);
	assert_non_null(strstr(err.msg, "xx.invalid\", the master: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pod_is_given_access),
		cmocka_unit_test(a_pod_without_volumes),
		cmocka_unit_test(where_the_api_is),
		cmocka_unit_test(a_master_without_an_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
