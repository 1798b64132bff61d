/* What the wire protocol has beyond plain objects: media types, forms of answers, parameters that
 * are refused, URLs that may be kept. As kube-apiserver 1.32 answers. */
#include "testclient.h"

#include "base/map.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define JSON_AS(as) "application/json;as=" as ";v=v1;g=meta.k8s.io"
#define MAPS        "/api/v1/namespaces/default/configmaps"
#define SCALE       "/apis/apps/v1/namespaces/default/deployments/web/scale"

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.wait_ms = 300});
}

static void test_media_types(void **state)
{
	static const struct {
		const char *path, *accept;
		long status;
		const char *kind;
	} cases[] = {
		{MAPS, "", 200, "ConfigMapList"},
		{MAPS, "*/*", 200, "ConfigMapList"},
		{MAPS, "application/cbor, application/json", 200, "ConfigMapList"},
		{MAPS, JSON_AS("Table"), 200, "Table"},
		{MAPS, "application/json; as=Table; v=v1beta1; g=meta.k8s.io", 200, "Table"},
		{MAPS, JSON_AS("PartialObjectMetadataList"), 200, "PartialObjectMetadataList"},
		{MAPS "/page", JSON_AS("PartialObjectMetadata"), 200, "PartialObjectMetadata"},
		{MAPS "/page", JSON_AS("Nothing") "," JSON_AS("Table"), 200, "Table"},
		/* A transformation that nobody knows is no plain object. */
		{MAPS, JSON_AS("Nothing"), 406, "Status"},
		{MAPS, JSON_AS("Tables"), 406, "Status"},
		{MAPS "?watch=1", "application/vnd.kubernetes.protobuf", 406, "Status"},
		{MAPS, "application/yaml;q=0.3, application/json;as=Table;g=meta.k8s.io;v=v1;q=0.4",
			200, "Table"},
		{MAPS, "application/vnd.kubernetes.protobuf,application/json", 200,
			"ConfigMapList"},
		{MAPS, "application/json;q=0", 406, "Status"},
		{MAPS, "application/yaml;q=0, application/json;q=0.001", 200, "ConfigMapList"},
		{MAPS "?watch=1", "text/html", 406, "Status"},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask("GET", cases[i].path, cases[i].accept, NULL, NULL);

		print_message("%s as %s\n", cases[i].path, cases[i].accept);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(at(&a, "kind"), cases[i].kind);
	}
	ANSWER beta =
		ask("GET", MAPS, "application/json;as=Table;v=v1beta1;g=meta.k8s.io", NULL, NULL);
	assert_string_equal(at(&beta, "apiVersion"), "meta.k8s.io/v1beta1");
}

#define WRONG(what) "ListOptions.meta.k8s.io \"\" is invalid: " what
#define MATCH       "resourceVersionMatch: Forbidden: "

static void test_refused_parameters(void **state)
{
	static const struct {
		const char *path, *accept;
		long status;
		const char *reason, *message;
	} cases[] = {
		{MAPS "?includeObject=All", JSON_AS("Table"), 400, "BadRequest",
			"unrecognized includeObject value: \"All\""},
		{MAPS "/page?includeObject=All", JSON_AS("Table"), 400, "BadRequest",
			"unrecognized includeObject value: \"All\""},
		{MAPS "?fieldSelector=data%3Dx", NULL, 400, "BadRequest",
			"field label not supported: data"},
		{MAPS "?sendInitialEvents=true", NULL, 422, "Invalid",
			WRONG("sendInitialEvents: Forbidden: sendInitialEvents is forbidden for "
			      "list")},
		{MAPS "?sendInitialEvents=true&resourceVersionMatch=NotOlderThan", NULL, 422,
			"Invalid",
			WRONG("[" MATCH "resourceVersionMatch is forbidden unless resourceVersion "
			      "is provided, sendInitialEvents: Forbidden: sendInitialEvents is "
			      "forbidden for list]")},
		{MAPS "?resourceVersion=1&resourceVersionMatch=Near", NULL, 422, "Invalid",
			WRONG("resourceVersionMatch: Unsupported value: \"Near\": supported "
			      "values: "
			      "\"Exact\", \"NotOlderThan\", \"\"")},
		{MAPS "?resourceVersion=0&resourceVersionMatch=Exact", NULL, 422, "Invalid",
			WRONG(MATCH "resourceVersionMatch \"exact\" is forbidden for "
				    "resourceVersion \"0\"")},
		{MAPS "?continue=x&resourceVersion=1&resourceVersionMatch=Exact", NULL, 422,
			"Invalid",
			WRONG(MATCH "resourceVersionMatch is forbidden when continue is provided")},
		{MAPS "?continue=x&resourceVersion=1", NULL, 400, "BadRequest",
			"specifying resource version is not allowed when using continue"},
		{MAPS "?watch=1&sendInitialEvents=false", NULL, 422, "Invalid",
			WRONG(MATCH "sendInitialEvents requires setting resourceVersionMatch to "
				    "NotOlderThan")},
		{MAPS "?watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", NULL, 422,
			"Invalid",
			WRONG(MATCH "resourceVersionMatch is forbidden for watch unless "
				    "sendInitialEvents is provided")},
		{MAPS "?watch=1&sendInitialEvents&resourceVersion=1&resourceVersionMatch=Exact",
			NULL, 422, "Invalid",
			WRONG("[" MATCH "sendInitialEvents requires setting resourceVersionMatch "
			      "to NotOlderThan, resourceVersionMatch: Unsupported value: "
			      "\"Exact\": supported values: \"NotOlderThan\"]")},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask("GET", cases[i].path, cases[i].accept, NULL, NULL);

		print_message("%s\n", cases[i].path);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(at(&a, "reason"), cases[i].reason);
		assert_string_equal(at(&a, "message"), cases[i].message);
		assert_string_equal(at(&a, "status"), "Failure");
	}
	/* Where there are no rows it means nothing. */
	ANSWER plain = get(MAPS "?includeObject=All");
	assert_int_equal(plain.status, 200);
	/* A get has neither. */
	ANSWER one = get(MAPS "/page?sendInitialEvents=true&resourceVersionMatch=Near");
	assert_int_equal(one.status, 200);
}

static void test_details(void **state)
{
	static const struct {
		const char *path, *details;
	} cases[] = {
		{"/apis/apps/v2", "\"details\":{}"},
		{"/nothing/v1", NULL},
		{"/api/v1/namespaces/default/pods/nope",
			"\"details\":{\"kind\":\"pods\",\"name\":\"nope\"}"},
		{"/apis/apps/v1/namespaces/default/deployments/nope",
			"\"details\":{\"kind\":\"deployments\",\"name\":\"nope\",\"group\":"
			"\"apps\"}"},
		{MAPS "?resourceVersion=999",
			"\"details\":{\"kind\":\"configmaps\",\"retryAfterSeconds\":1,\"causes\":"
			"[{\"reason\":\"ResourceVersionTooLarge\""},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = get(cases[i].path);

		print_message("%s: %s\n", cases[i].path, kg_buf_str(&a.body));
		assert_true(a.status >= 400);
		if (cases[i].details)
			assert_non_null(strstr(kg_buf_str(&a.body), cases[i].details));
	}
}

static void test_scale(void **state)
{
	(void)state;
	ANSWER plain = get(SCALE);
	assert_string_equal(at(&plain, "apiVersion"), "autoscaling/v1");
	assert_string_equal(at(&plain, "metadata.creationTimestamp"), "2026-01-01T00:00:30Z");
	assert_string_equal(at(&plain, "status.selector"), "app=web");
	ANSWER table = ask("GET", SCALE, JSON_AS("Table"), NULL, NULL);
	assert_string_equal(at(&table, "kind"), "Table");
	assert_string_equal(at(&table, "columnDefinitions.1.name"), "Desired");
	assert_string_equal(at(&table, "columnDefinitions.2.name"), "Available");
	assert_int_equal(kg_len(kg_at(&table.v, "rows.0.cells")), 4);
	assert_string_equal(at(&table, "rows.0.cells.0"), "web");
	assert_int_equal(kg_int(kg_at(&table.v, "rows.0.cells.1"), 0), 2);
	assert_string_equal(at(&table, "rows.0.object.kind"), "PartialObjectMetadata");
	assert_string_equal(
		at(&table, "metadata.resourceVersion"), at(&plain, "metadata.resourceVersion"));
	ANSWER whole = ask("GET", SCALE "?includeObject=Object", JSON_AS("Table"), NULL, NULL);
	assert_string_equal(at(&whole, "rows.0.object.kind"), "Scale");
	ANSWER none = ask("GET", SCALE "?includeObject=None", JSON_AS("Table"), NULL, NULL);
	assert_string_equal(at(&none, "rows.0.object"), "(absent)");
	ANSWER partial = ask("GET", SCALE, JSON_AS("PartialObjectMetadata"), NULL, NULL);
	assert_string_equal(at(&partial, "kind"), "PartialObjectMetadata");
	assert_string_equal(at(&partial, "metadata.name"), "web");
}

static bool has_path(const struct answer *a, const char *path)
{
	const struct kg_value *paths = kg_at(&a->v, "paths");

	for (uint32_t i = 0; i < kg_len(paths); i++)
		if (!strcmp(kg_string(&paths->items[i], ""), path))
			return true;
	return false;
}

/* Every path that "/" names is there. */
static void test_roots(void **state)
{
	(void)state;
	ANSWER a = get("/");
	const struct kg_value *paths = kg_at(&a.v, "paths");

	assert_int_equal(a.status, 200);
	assert_true(has_path(&a, "/api/v1") && has_path(&a, "/apis/apps/v1") &&
		    has_path(&a, "/version"));
	for (uint32_t i = 0; i < kg_len(paths); i++) {
		ANSWER b = get(kg_string(&paths->items[i], ""));

		print_message("%s\n", kg_string(&paths->items[i], ""));
		assert_int_equal(b.status, 200);
	}
}

/* A document of OpenAPI is kept by its hash; one of another hash is somewhere else. */
static void test_openapi_urls(void **state)
{
	(void)state;
	ANSWER index = get("/openapi/v3");
	const char *url = kg_string(
		kg_get(kg_get(kg_get(&index.v, "paths"), "apis/apps/v1"), "serverRelativeURL"), "");
	ANSWER kept = get(url);

	assert_int_equal(kept.status, 200);
	assert_non_null(strstr(kg_buf_str(&kept.headers), "Cache-Control: public, immutable"));
	ANSWER asked = get("/openapi/v3/apis/apps/v1");
	assert_int_equal(asked.status, 200);
	assert_non_null(strstr(kg_buf_str(&asked.headers), "Cache-Control: public\r\n"));
	assert_int_equal(asked.body.len, kept.body.len);
	ANSWER other = get("/openapi/v3/apis/apps/v1?hash=0123456789ABCDEF");
	KG_AUTOFREE char *location = kg_asprintf("Location: %s\r\n", url);
	assert_int_equal(other.status, 301);
	assert_non_null(strstr(kg_buf_str(&other.headers), location));
	ANSWER none = get("/openapi/v3/apis/nope/v1?hash=0123456789ABCDEF");
	assert_int_equal(none.status, 404);
}

/* What is of one of two types says so. */
static void test_openapi_scalars(void **state)
{
	(void)state;
	ANSWER doc = get("/openapi/v3/apis/apps/v1");
	const struct kg_value *schemas = kg_at(&doc.v, "components.schemas");
	const struct kg_value *surge =
		kg_at(kg_get(schemas, "io.k8s.api.apps.v1.RollingUpdateDeployment"),
			"properties.maxSurge");
	const struct kg_value *both =
		kg_get(schemas, "io.k8s.apimachinery.pkg.util.intstr.IntOrString");

	assert_string_equal(kg_string(kg_get(kg_at(surge, "allOf.0"), "$ref"), ""),
		"#/components/schemas/io.k8s.apimachinery.pkg.util.intstr.IntOrString");
	assert_string_equal(kg_string(kg_at(both, "oneOf.0.type"), ""), "integer");
	assert_string_equal(kg_string(kg_at(both, "oneOf.1.type"), ""), "string");
	ANSWER v2 = get("/openapi/v2");
	const struct kg_value *quantity = kg_get(
		kg_at(&v2.v, "definitions"), "io.k8s.apimachinery.pkg.api.resource.Quantity");
	assert_string_equal(kg_string(kg_get(quantity, "type"), ""), "string");
	for (const char *p = v2.body.data; (p = strstr(p, "#/definitions/"));) {
		p += strlen("#/definitions/");
		KG_AUTOFREE char *name = kg_strndup(p, strcspn(p, "\""));

		assert_false(kg_is_null(kg_get(kg_at(&v2.v, "definitions"), name)));
	}
}

/* Every reference leads somewhere, in both versions, and no two operations have one name. */
static void check_document(const struct answer *a, const char *schemas_at, const char *ref)
{
	const struct kg_value *schemas = kg_at(&a->v, schemas_at), *paths = kg_get(&a->v, "paths");
	struct kg_map ids = KG_MAP_INIT;

	for (const char *p = kg_buf_str(&a->body); (p = strstr(p, ref));) {
		p += strlen(ref);
		KG_AUTOFREE char *name = kg_strndup(p, strcspn(p, "\""));

		if (kg_is_null(kg_get(schemas, name)))
			fail_msg("%s is not there", name);
	}
	assert_true(paths->len > 30);
	for (uint32_t i = 0; i < paths->len; i++) {
		const char *id =
			kg_string(kg_at(&paths->members[i].value, "get.operationId"), NULL);

		if (id && kg_map_has(&ids, id))
			fail_msg("%s is there twice", id);
		if (id)
			kg_map_put(&ids, id, NULL);
	}
	kg_map_release(&ids);
}

static const struct kg_value *operation(const struct answer *a, const char *path)
{
	return kg_get(kg_get(kg_get(&a->v, "paths"), path), "get");
}

static const char *id_of(const struct answer *a, const char *path)
{
	return kg_string(kg_get(operation(a, path), "operationId"), "(none)");
}

static void test_openapi_paths(void **state)
{
	static const char web[] = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
	(void)state;
	ANSWER v3 = get("/openapi/v3/apis/apps/v1");
	ANSWER v2 = get("/openapi/v2");

	check_document(&v3, "components.schemas", "#/components/schemas/");
	check_document(&v2, "definitions", "#/definitions/");
	assert_string_equal(id_of(&v3, web), "readAppsV1NamespacedDeployment");
	assert_string_equal(id_of(&v2, web), "readAppsV1NamespacedDeployment");
	assert_string_equal(id_of(&v2, "/api/v1/namespaces/{namespace}/pods/{name}/log"),
		"readCoreV1NamespacedPodLog");
	assert_string_equal(id_of(&v2, "/apis/rbac.authorization.k8s.io/v1/roles"),
		"listRbacAuthorizationV1RoleForAllNamespaces");
	assert_string_equal(id_of(&v2, "/api/v1/watch/nodes"), "watchCoreV1NodeList");
	assert_string_equal(
		kg_string(
			kg_at(operation(&v2, "/apis/rbac.authorization.k8s.io/v1/roles"), "tags.0"),
			""),
		"rbacAuthorization_v1");
	const struct kg_value *list =
		kg_get(kg_get(operation(&v2, "/api/v1/pods"), "responses"), "200");
	assert_string_equal(kg_string(kg_get(kg_get(list, "schema"), "$ref"), ""),
		"#/definitions/io.k8s.api.core.v1.PodList");
}

/* Selectors that are no labels, and fields that are named otherwise than where they lie. */
static void test_selectors(void **state)
{
	static const struct {
		const char *path;
		long status;
		unsigned n;
	} cases[] = {
		{MAPS "?labelSelector=-x%3Dy", 400, 0},
		{MAPS "?labelSelector=a%2Fb%2Fc", 400, 0},
		{MAPS "?labelSelector=app%3Da%2Fb", 400, 0},
		{MAPS "?labelSelector=app%20in%20(a,-b)", 400, 0},
		{MAPS "?labelSelector=example.com%2Fapp%3Da", 200, 0},
		{MAPS "?labelSelector=app%3D", 200, 0},
		{MAPS "?labelSelector=app%20in%20()", 200, 0},
		{"/api/v1/nodes?fieldSelector=spec.unschedulable%3Dfalse", 200, 1},
		{"/api/v1/nodes?fieldSelector=spec.unschedulable%3Dtrue", 200, 0},
		{"/api/v1/pods?fieldSelector=spec.hostNetwork%3Dfalse", 200, 2},
		/* Where there is no text, "false" is none. */
		{"/api/v1/pods?fieldSelector=status.nominatedNodeName%3Dfalse", 200, 0},
		{"/api/v1/pods?fieldSelector=status.nominatedNodeName%3D", 200, 2},
		{"/api/v1/pods?fieldSelector=status.podIP%3D10.244.0.2", 200, 1},
		{"/api/v1/pods?fieldSelector=status.podIPs%3D10.244.0.2", 200, 1},
		{"/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D2", 200, 1},
		{"/apis/batch/v1/jobs?fieldSelector=status.successful%3D1", 200, 1},
		{"/apis/batch/v1/jobs?fieldSelector=status.successful%3D0", 200, 1},
		{"/api/v1/events?fieldSelector=source%3Dkubelet", 200, 1},
		{"/api/v1/events?fieldSelector=source%3Dkubectl", 200, 0},
	};
	struct kg_api_event event = {.type = "Normal",
		.reason = "Pulled",
		.message = "m",
		.component = "kubelet",
		.api_version = "v1",
		.kind = "Pod",
		.ns = "default",
		.name = "a",
		.time = server.now};
	(void)state;

	kg_api_event_add(server.api, &event);
	test_put_yaml(&server,
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: done, namespace: default}\n"
		"status: {succeeded: 1}\n---\n"
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: begun, namespace: default}\n");
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = get(cases[i].path);

		print_message("%s\n", cases[i].path);
		assert_int_equal(a.status, cases[i].status);
		assert_int_equal(kg_len(kg_at(&a.v, "items")), cases[i].n);
	}
}

/* An Event of a Pod of that name. */
static void tell(const char *name, const char *reason, kg_time time, uint32_t order)
{
	kg_api_event_add(server.api, &(struct kg_api_event){.type = "Normal",
					     .reason = reason,
					     .message = "m",
					     .kind = "Pod",
					     .ns = "default",
					     .name = name,
					     .time = time,
					     .order = order});
}

/* What happened to an object is listed in its order, that of one moment as well; what happened
 * before is the same Event. */
static void events_are_in_order(void **state)
{
	static const char *const reasons[] = {
		"Scheduled", "Pulled", "Created", "Started", "Pulled", "BackOff"};
	static const char *const order[] = {"Scheduled", "Pulled", "Created", "Started", "BackOff"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(reasons); i++)
		tell("ordered", reasons[i], server.now + (i == 5 ? 1000 : 0), 0);
	ANSWER a = get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D"
		       "ordered");
	const struct kg_value *items = kg_get(&a.v, "items");

	assert_int_equal(kg_len(items), KG_ARRAY_LEN(order));
	for (uint32_t i = 0; i < kg_len(items); i++)
		assert_string_equal(kg_string(kg_get(&items->items[i], "reason"), ""), order[i]);
	assert_int_equal(kg_int(kg_get(&items->items[1], "count"), 0), 2);
}

/* An Event's name goes by its time and order, whatever else was told of that moment, and when. */
static void events_have_names_of_their_own(void **state)
{
	static const char *const reasons[] = {"C", "A", "B"};
	static const uint32_t orders[] = {128, 0, 65};
	static const char *const listed[] = {"A", "B", "C"};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(reasons); i++)
		tell("named", reasons[i], server.now, orders[i]);
	ANSWER a = get("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name%3D"
		       "named");
	const struct kg_value *items = kg_get(&a.v, "items");

	assert_int_equal(kg_len(items), KG_ARRAY_LEN(listed));
	for (uint32_t i = 0; i < kg_len(items); i++)
		assert_string_equal(kg_string(kg_get(&items->items[i], "reason"), ""), listed[i]);
	KG_AUTOFREE char *name =
		kg_asprintf("named.%016llx", (unsigned long long)server.now * 1000000 + 65);
	assert_string_equal(kg_string(kg_at(&items->items[1], "metadata.name"), ""), name);
}

/* YAML says what JSON says: of objects, lists and their pages, Tables, errors, discovery. */
static void test_yaml(void **state)
{
	static const char yaml[] = "application/yaml", table[] = "application/yaml;as=Table;v=v1;"
								 "g=meta.k8s.io";
	static const char part[] =
		"application/yaml;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
	static const struct {
		const char *path, *accept;
		long status;
	} cases[] = {
		{"/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg", yaml, 200},
		{"/api/v1/pods", yaml, 200},
		{"/api/v1/pods", "application/json;q=0.9,application/yaml", 200},
		{"/api/v1/pods?limit=1", yaml, 200},
		{"/api/v1/pods", table, 200},
		{"/api/v1/pods", part, 200},
		{"/api/v1/namespaces/none/pods", yaml, 200},
		{"/api/v1/namespaces/default/pods/none", yaml, 404},
		{"/api/v1/pods?limit=x", yaml, 400},
		{"/apis/apps/v1/namespaces/default/deployments/web/scale", yaml, 200},
		{MAPS, yaml, 200},
		{"/api/v1", yaml, 200},
		{"/apis", yaml, 200},
	};
	(void)state;

	test_put_yaml(&server,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: texts, namespace: "
		"default}\ndata: {a: \"one\\n\\n  two\\n\", b: \"\\ttab \", c: \"yes\", "
		"d: \"\", e: \"\\n\"}\n");
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *as = kg_asprintf(
			"application/json%s", cases[i].accept == table || cases[i].accept == part
						      ? cases[i].accept + strlen(yaml)
						      : "");
		ANSWER json = ask("GET", cases[i].path, as, NULL, NULL);
		ANSWER text = ask("GET", cases[i].path, cases[i].accept, NULL, NULL);
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_value v;
		struct kg_error err = {0};

		print_message("%s as %s\n", cases[i].path, cases[i].accept);
		assert_int_equal(text.status, cases[i].status);
		assert_non_null(strstr(kg_buf_str(&text.headers), "application/yaml"));
		if (kg_yaml_load(&v, &a, kg_buf_str(&text.body), text.body.len, &err) < 0)
			fail_msg("%s\n%s", err.msg, kg_buf_str(&text.body));
		if (!kg_equal(&v, &json.v))
			fail_msg("%s\n%s", kg_buf_str(&json.body), kg_buf_str(&text.body));
	}
	ANSWER lines = ask("GET", MAPS "?pretty=true", NULL, NULL, NULL);
	ANSWER none = ask("GET", MAPS "/texts/status", NULL, NULL, NULL);
	ANSWER all = ask("GET", MAPS "?limit=-1", NULL, NULL, NULL);
	assert_non_null(strstr(kg_buf_str(&lines.body), "\n    \"kind\": \"ConfigMapList\""));
	assert_int_equal(none.status, 404);
	assert_int_equal(all.status, 200);
	ANSWER stream = ask("GET", MAPS "?watch=1", yaml, NULL, NULL);
	assert_int_equal(stream.status, 406);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_media_types),
		cmocka_unit_test(test_refused_parameters),
		cmocka_unit_test(test_details),
		cmocka_unit_test(test_scale),
		cmocka_unit_test(test_roots),
		cmocka_unit_test(test_openapi_urls),
		cmocka_unit_test(test_openapi_scalars),
		cmocka_unit_test(test_openapi_paths),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(events_are_in_order),
		cmocka_unit_test(events_have_names_of_their_own),
		cmocka_unit_test(test_yaml),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
