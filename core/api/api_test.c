/* The API over real TLS on loopback, answer by answer. */
#include "testclient.h"

#include "value/json.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TABLE "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
#define AGGREG                                                                                     \
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
#define BETA                                                                                       \
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/"   \
	"json"

/* ---- setting up ---- */

static bool store_is_well = true;

static bool check_store(void *ctx, struct kg_buf *why)
{
	(void)ctx;
	if (!store_is_well)
		kg_buf_adds(why, "no space left");
	return store_is_well;
}

static bool check_loop(void *ctx, struct kg_buf *why)
{
	(void)ctx;
	(void)why;
	return true;
}

static const struct kg_api_check checks[] = {
	{.name = "loop", .ok = check_loop},
	{.name = "store", .ready_only = true, .ok = check_store},
};

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){.bookmark_ms = 200,
		.wait_ms = 300,
		.max_feed = 20,
		.max_events = 3,
		.checks = checks,
		.nchecks = KG_ARRAY_LEN(checks)});
}

/* ---- get and errors ---- */

static void test_paths(void **state)
{
	static const struct {
		const char *method, *path;
		long status;
		const char *at, *value; /* of the body */
	} cases[] = {
		{"GET", "/api/v1/namespaces/default", 200, "metadata.name", "default"},
		{"GET", "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg", 200, "kind", "Pod"},
		{"GET", "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg/status", 200,
			"status.phase", "Running"},
		{"GET", "/apis/apps/v1/namespaces/default/deployments/web", 200, "apiVersion",
			"apps/v1"},
		{"GET", "/apis/apps/v1/namespaces/default/deployments/web/scale", 200, "kind",
			"Scale"},
		{"GET", "/api/v1/nodes/n1", 200, "spec.podCIDR", "10.244.0.0/24"},
		{"GET", "/api/v1/namespaces/default/endpoints/web", 200, "subsets.0.addresses.0.ip",
			"10.244.0.2"},
		{"GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n1", 200,
			"spec.holderIdentity", "n1"},
		{"GET", "/api/v1/namespaces/default/pods/nope", 404, "message",
			"pods \"nope\" not found"},
		{"GET", "/apis/apps/v1/namespaces/default/deployments/nope", 404, "message",
			"deployments.apps \"nope\" not found"},
		{"GET", "/api/v1/namespaces/default/pods/nope", 404, "reason", "NotFound"},
		{"GET", "/api/v1/namespaces/default/pods/nope", 404, "details.name", "nope"},
		{"GET", "/api/v1/namespaces/default/widgets", 404, "message",
			"the server could not find the requested resource"},
		{"GET", "/apis/example.com/v1/widgets", 404, "kind", "Status"},
		{"GET", "/api/v2/pods", 404, "kind", "Status"},
		{"GET", "/api/v1/namespaces/default/nodes/n1", 404, "kind", "Status"},
		{"GET", "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg/log", 501, "kind",
			"Status"},
		/* What is no object is not watched. */
		{"GET", "/api/v1/watch/namespaces/default/pods/web-5d6f7c8b9-bcdfg/log", 404,
			"message", "the server could not find the requested resource"},
		{"GET", "/api/v1/watch/namespaces/default/pods/web-5d6f7c8b9-bcdfg/status", 404,
			"message", "the server could not find the requested resource"},
		{"GET", "/api/v1/namespaces/default/pods/nope/log", 404, "kind", "Status"},
		{"GET", "/api/v1/pods?fieldSelector=spec.color%3Dred", 400, "reason", "BadRequest"},
		{"GET", "/api/v1/pods?labelSelector=a%20b", 400, "reason", "BadRequest"},
		{"GET", "/api/v1/pods?limit=x", 400, "reason", "BadRequest"},
		{"GET", "/api/v1/pods?continue=x", 400, "reason", "BadRequest"},
		{"GET", "/api/v1/pods?resourceVersion=-1", 400, "reason", "BadRequest"},
		{"GET", "/api/v1/pods?resourceVersionMatch=Exact", 422, "reason", "Invalid"},
		{"GET", "/api/v1/pods?resourceVersion=999", 504, "details.causes.0.reason",
			"ResourceVersionTooLarge"},
		{"GET", "/api/v1/namespaces/default/pods/x?resourceVersion=999", 504, "reason",
			"Timeout"},
		{"GET", "/api/v1/pods?watch=1&sendInitialEvents=true", 422, "reason", "Invalid"},
		{"GET", "/version", 200, "major", "1"},
		{"POST", "/api/v1/namespaces/default/pods", 405, "reason", "MethodNotAllowed"},
		{"DELETE", "/api/v1/namespaces/default/pods/nope", 404, "reason", "NotFound"},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask(cases[i].method, cases[i].path, NULL, NULL, NULL);

		print_message("%s %s\n", cases[i].method, cases[i].path);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(at(&a, cases[i].at), cases[i].value);
	}
	ANSWER proto =
		ask("GET", "/api/v1/pods", "application/vnd.kubernetes.protobuf", NULL, NULL);
	assert_int_equal(proto.status, 406);
	ANSWER ok = get("/readyz");
	assert_string_equal(ok.body.data, "ok");
}

static void test_health(void **state)
{
	static const struct {
		const char *path;
		bool well;
		int status;
		const char *body;
	} cases[] = {
		{"/healthz", true, 200, "ok"},
		{"/readyz?verbose", true, 200,
			"[+]ping ok\n[+]loop ok\n[+]store ok\nreadyz check passed\n"},
		{"/livez?verbose", false, 200, "[+]ping ok\n[+]loop ok\nlivez check passed\n"},
		{"/readyz", false, 500,
			"[+]ping ok\n[+]loop ok\n[-]store failed: no space left\n"
			"readyz check failed\n"},
		{"/readyz?exclude=store", false, 200, "ok"},
		{"/readyz?exclude=store&exclude=loop&verbose", false, 200,
			"[+]ping ok\n[+]loop excluded: ok\n[+]store excluded: ok\n"
			"readyz check passed\n"},
		{"/livez?exclude=etcd&verbose", true, 200,
			"[+]ping ok\n[+]loop ok\n"
			"warn: some health checks cannot be excluded: no matches for \"etcd\"\n"
			"livez check passed\n"},
		{"/readyz/ping", false, 200, "ok"},
		{"/readyz/store", true, 200, "ok"},
		{"/readyz/store", false, 500, "no space left\n"},
	};
	(void)state;

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		store_is_well = cases[i].well;
		ANSWER a = get(cases[i].path);

		print_message("%s\n", cases[i].path);
		assert_int_equal(a.status, cases[i].status);
		assert_string_equal(kg_buf_str(&a.body), cases[i].body);
	}
	store_is_well = true;
	ANSWER none = get("/livez/store");
	assert_int_equal(none.status, 404);
}

static double metric(const struct answer *a, const char *name)
{
	KG_AUTOFREE char *line = kg_asprintf("\n%s ", name);
	const char *at = strstr(a->body.data, line);

	print_message("%s\n", name);
	assert_non_null(at);
	return strtod(at + strlen(line), NULL);
}

/* What is sent is kept for who asks next, until it is dropped; then it is made again, the same. */
static void test_encoded_is_dropped(void **state)
{
	struct kg_api_stats first, again, dropped, last;

	(void)state;
	ANSWER a = get("/api/v1/pods");
	kg_api_stats(server.api, &first);
	assert_true(first.cached > 0);
	ANSWER b = get("/api/v1/pods");
	kg_api_stats(server.api, &again);
	assert_int_equal(again.encoded, first.encoded);
	assert_true(again.reused > first.reused);
	kg_api_drop_encoded(server.api);
	kg_api_stats(server.api, &dropped);
	assert_int_equal(dropped.cached, 0);
	ANSWER c = get("/api/v1/pods");
	kg_api_stats(server.api, &last);
	assert_true(last.encoded > again.encoded);
	assert_int_equal(last.reused, again.reused);
	assert_string_equal(a.body.data, b.body.data);
	assert_string_equal(a.body.data, c.body.data);
}

static void test_metrics(void **state)
{
#define PODS "group=\"\",version=\"v1\",resource=\"pods\""
	(void)state;

	ANSWER before = get("/api/v1/pods");
	ANSWER missing = get("/api/v1/namespaces/default/pods/nope");
	ANSWER a = get("/metrics");
	assert_int_equal(before.status, 200);
	assert_int_equal(missing.status, 404);
	assert_int_equal(a.status, 200);
	assert_true(
		metric(&a, "apiserver_request_total{verb=\"LIST\"," PODS ",code=\"200\"}") >= 1);
	assert_true(metric(&a, "apiserver_request_total{verb=\"GET\"," PODS ",code=\"404\"}") >= 1);
	assert_true(metric(&a, "apiserver_request_duration_seconds_count{verb=\"LIST\"," PODS
			       "}") >= 1);
	assert_true(metric(&a, "apiserver_request_duration_seconds_bucket{verb=\"LIST\"," PODS
			       ",le=\"+Inf\"}") >= 1);
	assert_true(metric(&a, "process_resident_memory_bytes") > 1e6);
	assert_true(metric(&a, "process_cpu_seconds_total") > 0);
	assert_true(metric(&a, "process_open_fds") > 3);
	assert_true(metric(&a, "process_start_time_seconds") > 1.7e9);
	assert_true(metric(&a, "kgit_revision") >= 1);
	metric(&a, "apiserver_watch_events_total");
}

#define WEB                                                                                        \
	"Deployment default/web is desired state: edit web.yaml in the repository and git push "   \
	"(object 1 of that file)"
#define NODE                                                                                       \
	"Node n1 is what its machine says of itself: to add labels, annotations or taints, or to " \
	"cordon it, write a Node manifest to a .yaml file in the repository and git push"
#define A_POD                                                                                      \
	"Pod default/web-5d6f7c8b9-bcdfg is made from Deployment default/web: edit web.yaml in "   \
	"the repository and git push (object 1 of that file)"
#define A_SET                                                                                      \
	"ReplicaSet default/web-5d6f7c8b9 is made from Deployment default/web: edit web.yaml in "  \
	"the repository and git push (object 1 of that file)"
#define LONE                                                                                       \
	"Pod kube-system/lone is desired state: edit web.yaml in the repository and git push "     \
	"(object 1 of that file)"
#define ODD                                                                                        \
	"ReplicaSet default/odd is made from ConfigMap default/page: edit web.yaml in the "        \
	"repository and git push (object 1 of that file)"
#define PATHS_SET "/apis/apps/v1/namespaces/default/replicasets/web-5d6f7c8b9"
#define PATHS_WEB "/apis/apps/v1/namespaces/default/deployments/web"
#define PATHS_POD "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg"

#define PATHS_LONE "/api/v1/namespaces/kube-system/pods/lone"
#define RESTART                                                                                    \
	"{\"spec\":{\"template\":{\"metadata\":{\"annotations\":{"                                 \
	"\"kubectl.kubernetes.io/restartedAt\":\"2026-01-01T00:00:00Z\"}}}}}"
#define SET_IMAGE "{\"spec\":{\"containers\":[{\"name\":\"a\",\"image\":\"b\"}]}}"

static void test_writes_name_the_file(void **state)
{
	static const struct {
		const char *method, *path, *body, *message;
	} cases[] = {
		{"PATCH", PATHS_WEB, "{\"spec\":{\"paused\":true}}", WEB},
		{"PATCH", PATHS_WEB "/scale", "{}",
			WEB "; or in a clone of it: kgit scale deployment/web --replicas N"},
		{"PATCH", PATHS_WEB, RESTART,
			WEB "; or in a clone of it: kgit restart deployment/web"},
		{"PATCH", PATHS_WEB, "{\"spec\":{\"template\":" SET_IMAGE "}}",
			WEB "; or in a clone of it: kgit set image deployment/web CONTAINER=IMAGE"},
		{"DELETE", PATHS_WEB, "{}",
			"Deployment default/web is desired state: delete it from web.yaml in the "
			"repository and git push (object 1 of that file)"},
		{"PATCH", PATHS_POD, "{\"metadata\":{}}", A_POD},
		{"DELETE", PATHS_POD, "{}",
			A_POD "; to have it begin anew: kgit evict web-5d6f7c8b9-bcdfg"},
		{"POST", PATHS_POD "/eviction", "{}",
			A_POD "; to have it begin anew: kgit evict web-5d6f7c8b9-bcdfg"},
		/* What no manifest says is changed where one does. */
		{"PATCH", PATHS_POD, SET_IMAGE,
			A_POD "; or in a clone of it: kgit set image deployment/web CONTAINER="
			      "IMAGE"},
		{"PATCH", PATHS_SET "/scale", "{}",
			A_SET "; or in a clone of it: kgit scale deployment/web --replicas N"},
		{"PUT", "/apis/apps/v1/namespaces/default/replicasets/odd/scale", "{}", ODD},
		{"PATCH", "/apis/apps/v1/namespaces/default/replicasets/odd", RESTART, ODD},
		{"PATCH", "/apis/apps/v1/namespaces/default/replicasets/odd",
			"{\"spec\":{\"template\":" SET_IMAGE "}}", ODD},
		{"PATCH", PATHS_LONE, SET_IMAGE,
			LONE "; or in a clone of it: kgit set image pod/lone CONTAINER=IMAGE -n "
			     "kube-system"},
		{"PATCH", PATHS_LONE, RESTART, LONE},
		{"POST", PATHS_LONE "/eviction", "{}",
			LONE "; to have it begin anew: kgit evict lone -n kube-system"},
		{"PUT", "/api/v1/nodes/n1", "{}", NODE},
		{"PATCH", "/api/v1/nodes/n1", "{\"spec\":{\"unschedulable\":true}}",
			NODE "; or in a clone of it: kgit cordon n1"},
		{"PATCH", "/api/v1/nodes/n1", "{\"spec\":{\"unschedulable\":null}}",
			NODE "; or in a clone of it: kgit uncordon n1"},
	};
	(void)state;

	test_put_yaml(&server,
		"apiVersion: v1\nkind: Pod\nmetadata: {name: lone, namespace: kube-system}\n---\n"
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: odd, namespace: default, "
		"ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: page, controller: "
		"true}]}\n");
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		ANSWER a = ask(cases[i].method, cases[i].path, NULL, NULL, cases[i].body);

		assert_int_equal(a.status, 405);
		assert_string_equal(at(&a, "message"), cases[i].message);
	}
	test_delete(&server, KG_KIND_POD, "kube-system", "lone");
	test_delete(&server, KG_KIND_REPLICASET, "default", "odd");
	test_commit(&server);
	ANSWER made = ask("POST", "/api/v1/namespaces/default/configmaps", NULL, NULL,
		"{\"metadata\":{\"name\":\"new\"}}");
	assert_string_equal(at(&made, "message"), "ConfigMap default/new: desired state is not "
						  "changed through the API: write it to a "
						  ".yaml file in the repository and git push");
}

/* ---- lists ---- */

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

/* ---- tables and metadata ---- */

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

/* ---- discovery ---- */

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

/* ---- oneself ---- */

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
	ANSWER t = ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", NULL, NULL,
		"{\"spec\":{\"token\":\"x\"}}");
	assert_int_equal(t.status, 201);
	assert_false(kg_bool(kg_at(&t.v, "status.authenticated"), true));
	assert_true(kg_is_null(kg_at(&t.v, "spec.token")));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_encoded_is_dropped),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_writes_name_the_file),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_pages_are_of_one_revision),
		cmocka_unit_test(test_revisions),
		cmocka_unit_test(test_waits_for_a_revision),
		cmocka_unit_test(test_a_long_list_is_streamed),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_etags),
		cmocka_unit_test(test_openapi),
		cmocka_unit_test(test_self_subject),
		cmocka_unit_test(test_reviews_of_others),
		cmocka_unit_test(test_builtin_roles),
	};

	kg_kinds_init();
	curl_global_init(CURL_GLOBAL_DEFAULT);
	int rc = cmocka_run_group_tests(tests, setup, server_teardown);
	curl_global_cleanup();
	return rc;
}
