/* The API over real TLS on loopback: objects and errors, health, metrics, writes. */
#include "testclient.h"

#include "value/testing.h"

#include <stdio.h>

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
		{"POST", "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg/exec?command=ls", 501,
			"reason", "NotImplemented"},
		{"GET", "/api/v1/namespaces/default/pods/web-5d6f7c8b9-bcdfg/portforward", 501,
			"reason", "NotImplemented"},
		{"POST", "/api/v1/namespaces/default/pods/nosuch/exec?command=ls", 404, "reason",
			"NotFound"},
		{"GET", "/api/v1/namespaces/default/pods/nosuch/attach", 404, "reason", "NotFound"},
		{"POST", "/api/v1/namespaces/nosuch/pods/nosuch/portforward", 404, "reason",
			"NotFound"},
		{"GET", "/api/v1/namespaces/default/pods/nosuch/proxy", 404, "reason", "NotFound"},
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
		{"GET", "/api/v1/namespaces/default/pods/x?resourceVersionMatch=Exact", 422,
			"reason", "Invalid"},
		{"GET",
			"/api/v1/namespaces/default/pods/"
			"x?resourceVersionMatch=Exact&resourceVersion=1",
			404, "reason", "NotFound"},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_encoded_is_dropped),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_writes_name_the_file),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
