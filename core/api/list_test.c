/* Lists: selectors, pages, revisions, tables. */
#include "api/internal.h"
#include "testclient.h"

#include "value/testing.h"

#include <inttypes.h>
#include <stdio.h>

#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.wait_ms = 300, .max_feed = 20});
}

static void test_selectors(void **state)
{
	static const struct {
		const char *query;
		unsigned n;
	} cases[] = {
		{"", 5},
		{"labelSelector=l%3Da", 2},
		{"labelSelector=l%21%3Da", 3},
		{"labelSelector=l%20in%20(a,b)", 4},
		{"labelSelector=l%20notin%20(a,b)", 1},
		{"labelSelector=l", 4},
		{"labelSelector=%21l", 1},
		{"labelSelector=l%3Da,l%3Db", 0},
		{"fieldSelector=metadata.name%3Ds1", 1},
		{"fieldSelector=metadata.name%21%3Ds1", 4},
		{"fieldSelector=metadata.name%3Ds1&labelSelector=l%3Db", 0},
		{"fieldSelector=metadata.name%3Dnope", 0},
		{"fieldSelector=metadata.namespace%3Ddefault", 5},
	};
	(void)state;

	for (int i = 1; i <= 4; i++) {
		char name[4];

		snprintf(name, sizeof(name), "s%d", i);
		test_put_configmap(&server, "default", name, i, i <= 2 ? "a" : "b");
	}
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *path =
			kg_asprintf("/api/v1/namespaces/default/configmaps?%s", cases[i].query);
		ANSWER a = get(path);

		print_message("%s\n", path);
		assert_int_equal(a.status, 200);
		assert_string_equal(at(&a, "kind"), "ConfigMapList");
		assert_int_equal(kg_len(kg_at(&a.v, "items")), cases[i].n);
	}
	ANSWER pods = get("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1,status.phase%3DRunning");
	assert_int_equal(kg_len(kg_at(&pods.v, "items")), 1);
	ANSWER other = get("/api/v1/namespaces/kube-system/pods");
	assert_int_equal(kg_len(kg_at(&other.v, "items")), 0);
	for (int i = 1; i <= 4; i++) {
		char name[4];

		snprintf(name, sizeof(name), "s%d", i);
		test_delete(&server, KG_KIND_CONFIGMAP, "default", name);
	}
	test_commit(&server);
}

/* Reads all pages of configmaps with label p; every page must be of one revision. */
static unsigned read_pages(const char *query, unsigned limit, uint64_t *revision, int churn)
{
	KG_AUTOFREE char *token = kg_strdup("");
	unsigned n = 0;

	*revision = 0;
	for (;;) {
		KG_AUTOFREE char *path = kg_asprintf(
			"/api/v1/configmaps?labelSelector=l%%3Dp&limit=%u%s&continue=%s", limit,
			*token ? "" : query, token);
		ANSWER a = get(path);

		assert_int_equal(a.status, 200);
		assert_true(!*revision || *revision == revision_of(&a));
		*revision = revision_of(&a);
		n += kg_len(kg_at(&a.v, "items"));
		free(kg_steal(&token));
		token = kg_strdup(kg_string(kg_at(&a.v, "metadata.continue"), ""));
		if (!*token)
			return n;
		/* The world goes on between pages, beyond what memory keeps. */
		for (int i = 0; i < churn; i++) {
			commit_configmap("churn", i, "x");
			commit_configmap("p05x", i, "p");
			test_delete(&server, KG_KIND_CONFIGMAP, "default", "p05x");
			test_commit(&server);
		}
	}
}

static void test_pages_are_of_one_revision(void **state)
{
	uint64_t revision, at_first;
	(void)state;

	for (int i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p%02d", i);
		test_put_configmap(&server, "default", name, i, "p");
	}
	at_first = test_commit(&server);
	assert_int_equal(read_pages("", 7, &revision, 0), 20);
	assert_int_equal(revision, at_first);
	assert_int_equal(read_pages("", 20, &revision, 0), 20);
	assert_int_equal(read_pages("", 100, &revision, 0), 20);
	/* while things change: from memory, then from history */
	assert_int_equal(read_pages("", 7, &revision, 1), 20);
	assert_int_equal(read_pages("", 7, &revision, 30), 20);
	/* the oldest page's revision is compacted away */
	ANSWER a = get("/api/v1/configmaps?labelSelector=l%3Dp&limit=7");
	for (int i = 0; i < 30; i++)
		commit_configmap("churn", 100 + i, "x");
	server.oldest = server.ncommits - 1;
	KG_AUTOFREE char *path = kg_asprintf(
		"/api/v1/configmaps?labelSelector=l%%3Dp&continue=%s", at(&a, "metadata.continue"));
	ANSWER gone = get(path);
	assert_int_equal(gone.status, 410);
	assert_string_equal(at(&gone, "reason"), "Expired");
	server.oldest = 0;

	/* An object as it was, and that it is gone though it has been read before. */
	KG_AUTOFREE char *then = kg_asprintf("/api/v1/namespaces/default/configmaps/churn"
					     "?resourceVersionMatch=Exact&resourceVersion=%" PRIu64,
		server.ncommits - 29);
	ANSWER was = get(then);
	assert_int_equal(was.status, 200);
	assert_string_equal(at(&was, "data.n"), "100");
	server.oldest = server.ncommits - 1;
	ANSWER past = get(then);
	assert_int_equal(past.status, 410);
	server.oldest = 0;
}

static void test_revisions(void **state)
{
	uint64_t first = commit_configmap("r", 1, "r"), second = commit_configmap("r", 2, "r");
	static const struct {
		const char *match;
		int which; /* which revision's value is expected: 1, 2 */
	} cases[] = {
		{"", 2},
		{"&resourceVersionMatch=NotOlderThan", 2},
		{"&resourceVersionMatch=Exact", 1},
		{"&limit=500", 1},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_AUTOFREE char *path = kg_asprintf(
			"/api/v1/configmaps?labelSelector=l%%3Dr&resourceVersion=%" PRIu64 "%s",
			first, cases[i].match);
		ANSWER a = get(path);

		assert_int_equal(revision_of(&a), cases[i].which == 1 ? first : second);
		assert_string_equal(at(&a, "items.0.data.n"), cases[i].which == 1 ? "1" : "2");
	}
	ANSWER a = get("/api/v1/configmaps?resourceVersion=0&labelSelector=l%3Dr");
	assert_string_equal(at(&a, "items.0.data.n"), "2");
}

static void *commit_soon(void *arg)
{
	struct timespec pause = {.tv_nsec = 50 * 1000000};
	(void)arg;

	nanosleep(&pause, NULL);
	commit_configmap("late", 1, "late");
	return NULL;
}

static void test_waits_for_a_revision(void **state)
{
	pthread_t thread;
	uint64_t next = kg_hub_revision(server.hub) + 1;
	KG_AUTOFREE char *path = kg_asprintf(
		"/api/v1/namespaces/default/configmaps/late?resourceVersion=%" PRIu64, next);
	(void)state;

	pthread_create(&thread, NULL, commit_soon, NULL);
	ANSWER a = get(path);
	pthread_join(thread, NULL);
	assert_int_equal(a.status, 200);
	assert_int_equal(revision_of(&a), next);
}

static void test_a_long_list_is_streamed(void **state)
{
	enum { N = 3000 };
	(void)state;

	for (int i = 0; i < N; i++) {
		char name[16];

		snprintf(name, sizeof(name), "long%05d", i);
		test_put_configmap(&server, "kube-system", name, i, "long");
	}
	test_commit(&server);
	ANSWER a = get("/api/v1/namespaces/kube-system/configmaps");
	assert_int_equal(kg_len(kg_at(&a.v, "items")), N);
	assert_int_equal(revision_of(&a), kg_hub_revision(server.hub));
	ANSWER t = ask("GET", "/api/v1/namespaces/kube-system/configmaps", TABLE, NULL, NULL);
	assert_string_equal(at(&t, "kind"), "Table");
	assert_int_equal(kg_len(kg_at(&t.v, "rows")), N);
	for (int i = 0; i < N; i++) {
		char name[16];

		snprintf(name, sizeof(name), "long%05d", i);
		test_delete(&server, KG_KIND_CONFIGMAP, "kube-system", name);
	}
	test_commit(&server);
}

static void test_tables(void **state)
{
	(void)state;
	ANSWER a = ask("GET", "/api/v1/namespaces/default/pods", TABLE, NULL, NULL);

	assert_string_equal(at(&a, "kind"), "Table");
	assert_string_equal(at(&a, "apiVersion"), "meta.k8s.io/v1");
	assert_string_equal(at(&a, "columnDefinitions.0.name"), "Name");
	assert_string_equal(at(&a, "rows.0.cells.0"), "web-5d6f7c8b9-bcdfg");
	assert_string_equal(at(&a, "rows.0.cells.1"), "1/1");
	assert_string_equal(at(&a, "rows.0.cells.2"), "Running");
	assert_string_equal(at(&a, "rows.0.object.kind"), "PartialObjectMetadata");
	assert_string_equal(at(&a, "rows.0.object.metadata.name"), "web-5d6f7c8b9-bcdfg");
	ANSWER o = ask(
		"GET", "/api/v1/namespaces/default/pods?includeObject=Object", TABLE, NULL, NULL);
	assert_string_equal(at(&o, "rows.0.object.kind"), "Pod");
	ANSWER n =
		ask("GET", "/api/v1/namespaces/default/pods?includeObject=None", TABLE, NULL, NULL);
	assert_string_equal(at(&n, "rows.0.object.kind"), "(absent)");
	ANSWER one =
		ask("GET", "/apis/apps/v1/namespaces/default/deployments/web", TABLE, NULL, NULL);
	assert_int_equal(kg_len(kg_at(&one.v, "rows")), 1);
	ANSWER p = ask("GET", "/api/v1/namespaces/default/pods",
		"application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", NULL, NULL);
	assert_string_equal(at(&p, "kind"), "PartialObjectMetadataList");
	assert_string_equal(at(&p, "items.0.kind"), "PartialObjectMetadata");
}

/* The system's own roles are listed, by pages too, among those of main. */
static void test_builtin_roles(void **state)
{
#define ROLES "/apis/rbac.authorization.k8s.io/v1/clusterroles"
	(void)state;

	ANSWER all = get(ROLES);
	uint32_t n = kg_len(kg_at(&all.v, "items"));
	assert_true(n > 10);
	KG_AUTOFREE char *next = kg_strdup("");
	for (uint32_t i = 0; i < n; i++) {
		KG_AUTOFREE char *path = kg_asprintf(ROLES "?limit=1&continue=%s", next);
		ANSWER one = get(path);

		assert_int_equal(one.status, 200);
		assert_string_equal(at(&one, "items.0.metadata.name"),
			kg_string(kg_at(&kg_at(&all.v, "items")->items[i], "metadata.name"), ""));
		free(next);
		next = kg_strdup(kg_string(kg_at(&one.v, "metadata.continue"), ""));
		assert_int_equal(
			kg_int(kg_at(&one.v, "metadata.remainingItemCount"), 0), n - i - 1);
	}
	assert_string_equal(next, "");
	ANSWER view = get(ROLES "/view");
	assert_string_equal(at(&view, "metadata.resourceVersion"), "1");
	ANSWER none = get(ROLES "/views");
	assert_int_equal(none.status, 404);
}

#define USED  "/apis/metrics.k8s.io/v1beta1"
#define POD_A "web-5d6f7c8b9-bcdfg"
#define POD_B "web-5d6f7c8b9-hjklm"

/* What nodes say is used of them and by their pods. */
static void metrics(void **state)
{
	(void)state;
	server.used = "{\"windowMs\":8001,\"cpu\":1500000000,\"memory\":2048,\"pods\":["
		      "{\"namespace\":\"default\",\"name\":\"" POD_A
		      "\",\"uid\":\"00000000-0000-5000-8000-000000000040\",\"containers\":["
		      "{\"name\":\"http\",\"cpu\":-5,\"memory\":1024}]},"
		      "{\"namespace\":\"default\",\"name\":\"" POD_B
		      "\",\"uid\":\"00000000-0000-5000-8000-000000000041\",\"containers\":["
		      "{\"name\":\"x\"},{\"name\":\"http\",\"cpu\":7,\"memory\":4096},"
		      "{\"name\":\"http\",\"cpu\":8},7]},"
		      "{\"namespace\":\"default\",\"name\":\"" POD_B
		      "\",\"uid\":\"00000000-0000-5000-8000-000000000041\",\"containers\":["
		      "{\"name\":\"http\",\"cpu\":9}]},"
		      "{\"namespace\":\"default\",\"name\":\"" POD_B
		      "\",\"uid\":\"another\",\"containers\":[{\"name\":\"x\"}]},7]}";
	ANSWER nodes = get(USED "/nodes?labelSelector=kubernetes.io/os%3Dlinux");
	assert_string_equal(at(&nodes, "kind"), "NodeMetricsList");
	assert_string_equal(at(&nodes, "items.0.usage.cpu"), "1500000000n");
	assert_string_equal(at(&nodes, "items.0.usage.memory"), "2Ki");
	assert_string_equal(at(&nodes, "items.0.window"), "8.001s");
	assert_string_equal(at(&nodes, "items.0.timestamp"), "2026-01-01T00:01:00Z");
	ANSWER one = get(USED "/namespaces/default/pods/" POD_A);
	assert_string_equal(at(&one, "kind"), "PodMetrics");
	assert_string_equal(at(&one, "containers.0.usage.cpu"), "0n");
	ANSWER node = get(USED "/nodes/n1");
	assert_string_equal(at(&node, "usage.cpu"), "1500000000n");
	assert_true(kg_is_null(kg_at(&node.v, "items")));
	ANSWER other = get(USED "/nodes/n0");
	assert_int_equal(other.status, 404);
	/* Containers that the pod has, once, and the pod once. */
	ANSWER twice = get(USED "/namespaces/default/pods/" POD_B);
	assert_int_equal(kg_len(kg_at(&twice.v, "containers")), 1);
	assert_string_equal(at(&twice, "containers.0.usage.cpu"), "7n");
	ANSWER web = get(USED "/pods?labelSelector=app%3Dweb");
	assert_int_equal(kg_len(kg_get(&web.v, "items")), 2);
	ANSWER first = get(USED "/pods?limit=1");
	assert_string_equal(at(&first, "items.0.metadata.name"), POD_A);
	KG_AUTOFREE char *more =
		kg_asprintf(USED "/pods?limit=1&continue=%s", at(&first, "metadata.continue"));
	ANSWER second = get(more);
	assert_string_equal(at(&second, "items.0.metadata.name"), POD_B);
	assert_string_equal(
		at(&second, "metadata.resourceVersion"), at(&first, "metadata.resourceVersion"));
	ANSWER none = get(USED "/namespaces/default/pods/none");
	assert_int_equal(none.status, 404);
	ANSWER watch = get(USED "/pods?watch=1");
	assert_int_equal(watch.status, 405);
}

/* The kept versions of what is made anew at each look are few, and go with time. */
static void metrics_keep_few_versions(void **state)
{
	struct versions *v = &server.api->usage.pods;
	struct kg_pmap got;
	uint64_t first = v->seq, at;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct kg_pmap next;

		kg_api_versions_keep(v, &v->objects, v->seq);
		kg_pmap_init(&next, &kg_objects_ops);
		kg_api_versions_replace(v, &next);
		if (i == 1) {
			assert_true(kg_api_versions_at(v, first, &got, &at));
			kg_pmap_release(&got);
		}
	}
	assert_int_equal(v->seq, first + 4);
	assert_false(kg_api_versions_at(v, first + 1, &got, &at));
	assert_true(kg_api_versions_at(v, first + 2, &got, &at));
	kg_pmap_release(&got);
	for (size_t i = 0; i < KG_ARRAY_LEN(v->kept); i++)
		v->kept[i].since -= 61000;
	struct kg_pmap last;
	kg_pmap_init(&last, &kg_objects_ops);
	kg_api_versions_replace(v, &last);
	assert_false(kg_api_versions_at(v, first + 2, &got, &at));
	assert_false(kg_api_versions_at(v, first + 3, &got, &at));
}

/* A node reads its own objects as they are, not as they were before they were its own. */
static void nodes_read_no_history(void **state)
{
	static const struct kg_user node = {.name = "system:node:n1",
		.groups = {"system:nodes", "system:authenticated"},
		.ngroups = 2,
		.node = "n1"};
	static const struct {
		const char *path;
		int status;
	} cases[] = {
		{"/api/v1/nodes/n1", 200},
		{"/api/v1/nodes/n1?resourceVersion=1", 200},
		{"/api/v1/nodes/n1?resourceVersionMatch=Exact&resourceVersion=1", 403},
		{"/api/v1/nodes?fieldSelector=metadata.name%3Dn1", 403},
		{"/api/v1/nodes?fieldSelector=metadata.name%3Dn1&watch=1&resourceVersion=1", 403},
		{"/api/v1/watch/nodes/n1?resourceVersion=1", 403},
		{"/api/v1/namespaces/default/pods/" POD_A, 200},
		{"/api/v1/namespaces/default/pods/" POD_A
		 "?resourceVersionMatch=Exact&resourceVersion=1",
			403},
	};

	(void)state;
	server.as = &node;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = get(cases[i].path);

		print_message("%s\n", cases[i].path);
		assert_int_equal(a.status, cases[i].status);
	}
	ANSWER told = get(cases[2].path);
	assert_non_null(strstr(at(&told, "message"), "not history"));
	server.as = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_pages_are_of_one_revision),
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(metrics),
		cmocka_unit_test(metrics_keep_few_versions),
		cmocka_unit_test(nodes_read_no_history),
		cmocka_unit_test(test_waits_for_a_revision),
		cmocka_unit_test(test_a_long_list_is_streamed),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_builtin_roles),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
