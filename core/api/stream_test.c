/* What watches say, line by line: transitions, beginnings, ends; and Events. */
#include "testclient.h"

#include "api/watch.h"
#include "api/worker.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int setup(void **state)
{
	(void)state;
	return server_setup((struct kg_api_options){
		.bookmark_ms = 200, .wait_ms = 300, .max_feed = 20, .max_events = 3});
}

/* "ADDED w1@5 MODIFIED w1@6": names and revisions counted from base. */
static char *story(const struct stream *s, uint64_t base)
{
	struct kg_buf b = KG_BUF_INIT;

	for (size_t i = 0; i < s->n; i++) {
		const struct kg_value *md = kg_at(&s->lines[i], "object.metadata");
		uint64_t rv = strtoull(kg_string(kg_get(md, "resourceVersion"), "0"), NULL, 10);

		kg_buf_addf(&b, "%s%s", i ? " " : "", kg_string(kg_get(&s->lines[i], "type"), ""));
		if (!kg_is_null(kg_get(md, "name")))
			kg_buf_addf(
				&b, " %s@%d", kg_string(kg_get(md, "name"), ""), (int)(rv - base));
	}
	return kg_buf_steal(&b);
}

#define CONFIGMAPS "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1"

static void test_watch_transitions(void **state)
{
	uint64_t base = kg_hub_revision(server.hub);
	static const struct {
		const char *query;
		const char *story;
	} cases[] = {
		{"&labelSelector=l%20in%20(w,v)", "ADDED w1@1 MODIFIED w1@2 ADDED w2@3 MODIFIED "
						  "w1@4 DELETED w1@5 MODIFIED w2@6 "
						  "DELETED w2@7"},
		{"&labelSelector=l%3Dw",
			"ADDED w1@1 MODIFIED w1@2 ADDED w2@3 DELETED w1@4 DELETED w2@6"},
		{"&labelSelector=l%3Dv", "ADDED w1@4 DELETED w1@5 ADDED w2@6 DELETED w2@7"},
		{"&fieldSelector=metadata.name%3Dw2", "ADDED w2@3 MODIFIED w2@6 DELETED w2@7"},
		{"&labelSelector=l%3Dnone", ""},
	};
	(void)state;

	commit_configmap("w1", 1, "w");
	commit_configmap("w1", 2, "w");
	commit_configmap("w2", 1, "w");
	commit_configmap("w1", 3, "v"); /* leaves l=w, enters l=v */
	test_delete(&server, KG_KIND_CONFIGMAP, "default", "w1");
	test_commit(&server);
	commit_configmap("w2", 2, "v");
	test_delete(&server, KG_KIND_CONFIGMAP, "default", "w2");
	test_commit(&server);
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		STREAM s = watch(CONFIGMAPS "&resourceVersion=%" PRIu64 "%s", base, cases[i].query);
		KG_AUTOFREE char *text = story(&s, base);

		print_message("%s\n", cases[i].query);
		assert_string_equal(text, cases[i].story);
	}
	/* the same out of history, memory having moved on */
	for (int i = 0; i < 50; i++)
		commit_configmap("churn", 1000 + i, "x");
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		STREAM s = watch(CONFIGMAPS "&resourceVersion=%" PRIu64 "%s", base, cases[i].query);
		KG_AUTOFREE char *text = story(&s, base);

		assert_string_equal(text, cases[i].story);
	}
}

static void test_watch_beginnings(void **state)
{
	uint64_t rv = commit_configmap("b", 1, "b");
	(void)state;

	STREAM plain = watch(CONFIGMAPS "&labelSelector=l%%3Db");
	KG_AUTOFREE char *s1 = story(&plain, rv);
	assert_string_equal(s1, "ADDED b@0");
	STREAM zero = watch(CONFIGMAPS "&labelSelector=l%%3Db&resourceVersion=0");
	KG_AUTOFREE char *s2 = story(&zero, rv);
	assert_string_equal(s2, "ADDED b@0");
	STREAM from = watch(CONFIGMAPS "&labelSelector=l%%3Db&resourceVersion=%" PRIu64, rv);
	assert_int_equal(from.n, 0);
	STREAM wl = watch(CONFIGMAPS "&labelSelector=l%%3Db&sendInitialEvents=true"
				     "&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
	assert_true(wl.n >= 2);
	assert_string_equal(kg_string(kg_get(&wl.lines[0], "type"), ""), "ADDED");
	assert_string_equal(kg_string(kg_get(&wl.lines[1], "type"), ""), "BOOKMARK");
	assert_string_equal(kg_string(kg_get(kg_at(&wl.lines[1], "object.metadata.annotations"),
					      "k8s.io/initial-events-end"),
				    ""),
		"true");
	/* further bookmarks come by themselves, without the annotation */
	assert_true(wl.n >= 3);
	assert_string_equal(kg_string(kg_get(&wl.lines[2], "type"), ""), "BOOKMARK");
	assert_true(kg_is_null(kg_at(&wl.lines[2], "object.metadata.annotations")));
}

struct cut {
	struct kg_buf text;
};

/* Ends the exchange once one line is there. */
static bool first_line_only(void *ctx, const char *p, size_t n)
{
	struct cut *c = ctx;

	kg_buf_add(&c->text, p, n);
	return !memchr(c->text.data, '\n', c->text.len);
}

static void test_watch_cut_inside_a_commit(void **state)
{
	static const char list[] = "/api/v1/namespaces/default/configmaps?labelSelector=l%3Dm";
	uint64_t base = kg_hub_revision(server.hub), rv;
	struct kg_http_client *c = test_client(&server), *other = test_client(&server);
	struct cut cut = {0};
	struct kg_error err;
	(void)state;

	test_put_configmap(&server, "default", "m1", 1, "m");
	test_put_configmap(&server, "default", "m2", 1, "m");
	rv = test_commit(&server);
	KG_AUTOFREE char *from =
		kg_asprintf(CONFIGMAPS "&labelSelector=l%%3Dm&resourceVersion=%" PRIu64, base);
	KG_AUTOFREE char *at =
		kg_asprintf(CONFIGMAPS "&labelSelector=l%%3Dm&resourceVersion=%" PRIu64, rv);
	/* Listing at that revision and watching from it: nothing twice. */
	assert_int_equal(kg_http_call(c, "GET", list, NULL, NULL, 0, &cut.text, &err), 0);
	STREAM listed = watch_by(c, at);
	assert_int_equal(listed.n, 0);
	/* The stream ended in order; one that goes on by its connection is not told twice either.
	 */
	STREAM after = watch_by(c, at);
	assert_int_equal(after.n, 0);
	/* Who is known to know no more than the revision gets all of the commit. */
	STREAM second = watch(CONFIGMAPS "&labelSelector=l%%3Dm&resourceVersion=%" PRIu64, rv);
	KG_AUTOFREE char *told = story(&second, base);
	assert_string_equal(told, "ADDED m1@1 ADDED m2@1");
	/* A stream that broke in the middle, while another client of that name listed. */
	kg_buf_clear(&cut.text);
	assert_int_equal(kg_http_get_stream(c, from, 5000, first_line_only, &cut, &err), 0);
	assert_int_equal(kg_http_call(other, "GET", list, NULL, NULL, 0, &cut.text, &err), 0);
	STREAM again = watch_by(c, at);
	KG_AUTOFREE char *text = story(&again, base);
	assert_string_equal(text, "ADDED m1@1 ADDED m2@1");
	STREAM lister = watch_by(other, at);
	assert_int_equal(lister.n, 0);
	/* One event is had or not, and others' do not count. */
	STREAM one =
		watch(CONFIGMAPS "&fieldSelector=metadata.name%%3Dm1&resourceVersion=%" PRIu64, rv);
	assert_int_equal(one.n, 0);
	STREAM none = watch(CONFIGMAPS "&labelSelector=l%%3Dx&resourceVersion=%" PRIu64, rv);
	assert_int_equal(none.n, 0);
	kg_http_client_free(c);
	kg_http_client_free(other);
	kg_buf_release(&cut.text);
}

static void test_watch_too_old(void **state)
{
	uint64_t base = kg_hub_revision(server.hub);
	(void)state;

	for (int i = 0; i < 50; i++)
		commit_configmap("churn", 2000 + i, "x");
	server.oldest = server.ncommits - 5;
	STREAM s = watch(CONFIGMAPS "&resourceVersion=%" PRIu64, base);
	assert_int_equal(s.n, 1);
	assert_string_equal(kg_string(kg_get(&s.lines[0], "type"), ""), "ERROR");
	assert_int_equal(kg_int(kg_at(&s.lines[0], "object.code"), 0), 410);
	assert_string_equal(kg_string(kg_at(&s.lines[0], "object.reason"), ""), "Expired");
	server.oldest = 0;
	/* a kind that did not change stays resumable from memory all the same */
	STREAM quiet = watch("/api/v1/nodes?watch=1&timeoutSeconds=1&resourceVersion=1");
	assert_int_equal(quiet.n, 0);
}

static void test_watch_endpoints(void **state)
{
	uint64_t base = kg_hub_revision(server.hub);
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *now = kg_hub_snapshot(server.hub);
	const struct kg_object *slice =
		kg_snapshot_get(now, KG_KIND_ENDPOINTSLICE, "default", "web-xyzzx");
	struct kg_value v = kg_with(&a, kg_obj(slice), "endpoints", kg_v_array(&a, NULL, 0));
	(void)state;

	test_put(&server, &v);
	test_commit(&server);
	STREAM s =
		watch("/api/v1/endpoints?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, base);
	KG_AUTOFREE char *text = story(&s, base);
	assert_string_equal(text, "MODIFIED web@1");
	assert_true(kg_is_null(kg_at(&s.lines[0], "object.subsets.0")));
	test_put(&server, kg_obj(slice));
	test_commit(&server);
	kg_snapshot_unref(now);
	kg_arena_release(&a);
}

/* ---- events ---- */

static void add_event_in(const char *ns, const char *name, const char *reason, kg_time time)
{
	kg_api_event_add(server.api, &(struct kg_api_event){.type = "Normal",
					     .reason = reason,
					     .message = "m",
					     .kind = "Pod",
					     .ns = ns,
					     .name = name,
					     .uid = "u",
					     .time = time});
}

static void add_event(const char *name, const char *reason, kg_time time)
{
	add_event_in("default", name, reason, time);
}

static void test_events(void **state)
{
	(void)state;
	ANSWER before = get("/api/v1/events");
	assert_int_equal(kg_len(kg_at(&before.v, "items")), 0);
	add_event("a", "Pulled", server.now);
	add_event("a", "Pulled", server.now + 1000);
	add_event("b", "Pulled", server.now + 2000);
	ANSWER a = get("/api/v1/namespaces/default/events?fieldSelector="
		       "involvedObject.name%3Da,involvedObject.namespace%3Ddefault");
	assert_int_equal(kg_len(kg_at(&a.v, "items")), 1);
	assert_int_equal(kg_int(kg_at(&a.v, "items.0.count"), 0), 2);
	STREAM s = watch("/api/v1/events?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64,
		revision_of(&before));
	assert_int_equal(s.n, 3);
	assert_string_equal(kg_string(kg_get(&s.lines[1], "type"), ""), "MODIFIED");
	ANSWER newer = get("/apis/events.k8s.io/v1/namespaces/default/events?fieldSelector="
			   "regarding.name%3Da");
	assert_int_equal(kg_len(kg_at(&newer.v, "items")), 1);
	assert_string_equal(at(&newer, "apiVersion"), "events.k8s.io/v1");
	assert_string_equal(at(&newer, "items.0.note"), "m");
	assert_string_equal(at(&newer, "items.0.regarding.kind"), "Pod");
	assert_int_equal(kg_int(kg_at(&newer.v, "items.0.deprecatedCount"), 0), 2);
	assert_string_equal(at(&newer, "items.0.metadata.resourceVersion"),
		at(&a, "items.0.metadata.resourceVersion"));
	STREAM of_newer = watch("/apis/events.k8s.io/v1/events?watch=1&timeoutSeconds=1"
				"&resourceVersion=%" PRIu64,
		revision_of(&before));
	assert_int_equal(of_newer.n, 3);
	assert_string_equal(kg_string(kg_at(&of_newer.lines[2], "object.regarding.name"), ""), "b");
	/* Of more than are kept the one that is longest ago goes, however long that is. */
	add_event("c", "Pulled", server.now + 3700 * 1000);
	add_event("d", "Pulled", server.now + 9999 * 1000);
	ANSWER later = get("/api/v1/events");
	assert_int_equal(kg_len(kg_at(&later.v, "items")), 3);
	assert_string_equal(at(&later, "items.0.involvedObject.name"), "b");
	/* those of an earlier run cannot be resumed */
	STREAM old = watch("/api/v1/events?watch=1&timeoutSeconds=1&resourceVersion=5");
	assert_int_equal(old.n, 1);
	assert_int_equal(kg_int(kg_at(&old.lines[0], "object.code"), 0), 410);
}

static uint64_t slept_from;

static void *watch_calm(void *out)
{
	struct stream *s = out;

	*s = watch(
		"/api/v1/namespaces/calm/events?watch=1&timeoutSeconds=2&resourceVersion=%" PRIu64,
		slept_from);
	return NULL;
}

/* Nobody wakes a watcher by what does not concern it: it has not fallen behind when that is
 * forgotten, which no history has. */
static void test_asleep(void **state)
{
	STREAM s = {0};
	pthread_t thread;
	(void)state;
	ANSWER before = get("/api/v1/events");

	slept_from = revision_of(&before);
	while (kg_api_is_watched(server.api, KG_KIND_EVENT))
		sched_yield();
	pthread_create(&thread, NULL, watch_calm, &s);
	while (!kg_api_is_watched(server.api, KG_KIND_EVENT))
		sched_yield();
	for (int i = 0; i < 5; i++)
		add_event("b", "Pulled", server.now + 10000 * 1000 + i);
	kg_api_forget_changes(server.api, 1);
	add_event_in("calm", "e", "Pulled", server.now + 10001 * 1000);
	pthread_join(thread, NULL);
	assert_int_equal(s.n, 1);
	assert_string_equal(kg_string(kg_get(&s.lines[0], "type"), ""), "ADDED");

	while (kg_api_is_watched(server.api, KG_KIND_EVENT))
		sched_yield();
	kg_api_forget_changes(server.api, 1);
	STREAM late = watch(
		"/api/v1/events?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, slept_from);
	assert_int_equal(kg_int(kg_at(&late.lines[0], "object.code"), 0), 410);
}

/* A node that is heard again renews its lease: who watches is told, at a revision of its own. */
static void test_leases(void **state)
{
	static const char path[] = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
	KG_AUTOFREE char *one = kg_asprintf("%s/n1", path), *renewed = NULL;
	int64_t until = kg_api_now_ms() + 20000;
	bool again = false;
	(void)state;

	ANSWER list = get(path);
	uint64_t base = revision_of(&list);
	renewed = kg_strdup(
		kg_string(kg_at(&kg_get(&list.v, "items")->items[0], "spec.renewTime"), ""));

	server.now += 5000;
	while (!again && kg_api_now_ms() < until) { /* it is looked at once a second */
		ANSWER lease = get(one);

		again = strcmp(at(&lease, "spec.renewTime"), renewed) != 0;
	}
	assert_true(again);
	STREAM s = watch("%s?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, path, base);
	KG_AUTOFREE char *text = story(&s, base);
	assert_string_equal(text, "MODIFIED n1@1");

	/* by itself while somebody watches */
	server.now += 5000;
	STREAM live = watch("%s?watch=1&timeoutSeconds=7&resourceVersion=%" PRIu64, path, base + 1);
	KG_AUTOFREE char *more = story(&live, base);
	assert_string_equal(more, "MODIFIED n1@2");

	/* as informers begin, and those of an earlier run */
	STREAM begin = watch("%s?watch=1&timeoutSeconds=1&sendInitialEvents=true&"
			     "resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true",
		path);
	assert_string_equal(kg_string(kg_get(&begin.lines[0], "type"), ""), "ADDED");
	assert_string_equal(kg_string(kg_get(&begin.lines[1], "type"), ""), "BOOKMARK");
	STREAM old = watch("%s?watch=1&timeoutSeconds=1&resourceVersion=5", path);
	assert_int_equal(kg_int(kg_at(&old.lines[0], "object.code"), 0), 410);

	test_delete(&server, KG_KIND_NODE, "", "n1");
	test_commit(&server);
	do { /* until it is gone */
		ANSWER lease = get(one);

		again = lease.status == 404;
	} while (!again && kg_api_now_ms() < until);
	STREAM gone = watch("%s?watch=1&timeoutSeconds=1&resourceVersion=%" PRIu64, path, base + 2);
	KG_AUTOFREE char *end = story(&gone, base);
	assert_string_equal(end, "DELETED n1@3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_watch_transitions),
		cmocka_unit_test(test_watch_beginnings),
		cmocka_unit_test(test_watch_cut_inside_a_commit),
		cmocka_unit_test(test_watch_too_old),
		cmocka_unit_test(test_watch_endpoints),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_asleep),
		cmocka_unit_test(test_leases),
	};

	return cmocka_run_group_tests(tests, setup, server_teardown);
}
