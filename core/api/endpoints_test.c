/* Endpoints of several slices: what they say together, cut at 1,000 addresses, and as changes. */
#include "api/endpoints.h"
#include "api/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void put(struct kg_txn *txn, enum kg_kind_id kind, const char *name, const char *yaml)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	if (kg_yaml_load(&v, &a, yaml, strlen(yaml), &err) < 0)
		fail_msg("%s: %s", yaml, err.msg);
	kg_txn_put(txn, kg_object_new(&(struct kg_object_spec){
				.kind = &kg_kinds[kind], .ns = "d", .name = name, .value = &v}));
}

#define UID "8b0e4f5a-0000-4000-8000-00000000000a"

/* A slice of Service `svc` with n ready endpoints and m that are not, the first `going` of these
 * on their way out. */
static void put_slice_of(struct kg_txn *txn, const char *svc, const char *uid, const char *name,
	int port, int n, int m, int going)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;

	kg_buf_addf(&b,
		"metadata: {name: %s, namespace: d, uid: u-%s, creationTimestamp: "
		"'2026-01-01T00:00:00Z', labels: {kubernetes.io/service-name: %s, app: x}, "
		"ownerReferences: [{kind: Service, controller: true, uid: %s}]}\n"
		"ports: [{name: '', port: %d}]\nendpoints:\n",
		name, name, svc, uid, port);
	for (int i = 0; i < n + m; i++)
		kg_buf_addf(&b,
			"- {addresses: [%s-%d], conditions: {ready: %s, terminating: %s}}\n", name,
			i, i < n ? "true" : "false", i >= n && i < n + going ? "true" : "false");
	put(txn, KG_KIND_ENDPOINTSLICE, name, kg_buf_str(&b));
}

static void put_slice(
	struct kg_txn *txn, const char *svc, const char *name, int port, int n, int m, int going)
{
	put_slice_of(txn, svc, UID, name, port, n, m, going);
}

static struct kg_snapshot *commit(
	struct kg_txn *txn, struct kg_snapshot *before, struct kg_changes *changes)
{
	struct kg_snapshot *next;

	kg_txn_finish(txn, &next, changes);
	kg_snapshot_unref(before);
	return next;
}

static struct kg_txn *begin(struct kg_snapshot **s)
{
	*s = kg_snapshot_new("8b0e4f5a-0000-4000-8000-000000000000");
	struct kg_txn *txn = kg_txn_new(*s);

	put(txn, KG_KIND_SERVICE, "s", "metadata: {name: s, namespace: d, uid: " UID "}");
	return txn;
}

static void check_sizes(const struct kg_object *e, const size_t (*want)[2], size_t n)
{
	const struct kg_value *subsets = kg_get(kg_obj(e), "subsets");

	assert_int_equal(kg_len(subsets), n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(kg_len(kg_get(&subsets->items[i], "addresses")), want[i][0]);
		assert_int_equal(
			kg_len(kg_get(&subsets->items[i], "notReadyAddresses")), want[i][1]);
	}
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		struct {
			int port, ready, not_ready, going;
		} slices[4];
		size_t want[2][2], subsets;
		bool truncated;
	} cases[] = {
		{{{80, 2, 1, 0}}, {{2, 1}}, 1, false},
		{{{80, 2, 3, 2}, {80, 5, 0, 0}}, {{7, 1}}, 1, false},
		{{{80, 2, 0, 0}, {81, 1, 1, 0}, {80, 1, 0, 0}}, {{3, 0}, {1, 1}}, 2, false},
		{{{80, 0, 0, 0}}, {{0, 0}}, 0, false},
		{{{80, 600, 0, 0}, {80, 500, 9, 0}}, {{1000, 0}}, 1, true},
		{{{80, 900, 300, 0}}, {{900, 100}}, 1, true},
		{{{80, 1500, 0, 0}, {81, 500, 7, 0}}, {{750, 0}, {250, 0}}, 2, true},
		{{{80, 100, 900, 0}, {81, 100, 300, 0}}, {{100, 600}, {100, 200}}, 2, true},
		{{{80, 500, 0, 0}, {80, 500, 0, 0}}, {{1000, 0}}, 1, false},
	};

	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		static const char *const names[] = {"s-a", "s-b", "s-c", "s-d"};
		struct kg_snapshot *s;
		struct kg_changes changes;
		struct kg_txn *txn = begin(&s);

		for (size_t k = 0; k < 4 && cases[i].slices[k].port; k++)
			put_slice(txn, "s", names[k], cases[i].slices[k].port,
				cases[i].slices[k].ready, cases[i].slices[k].not_ready,
				cases[i].slices[k].going);
		s = commit(txn, s, &changes);
		struct kg_object *e = kg_api_endpoints_of(s, "d", "s");
		assert_non_null(e);
		check_sizes(e, cases[i].want, cases[i].subsets);
		const char *over = kg_string(kg_get(kg_at(kg_obj(e), "metadata.annotations"),
						     "endpoints.kubernetes.io/over-capacity"),
			"");
		assert_string_equal(over, cases[i].truncated ? "truncated" : "");
		assert_string_equal(kg_string(kg_at(kg_obj(e), "metadata.labels.app"), ""), "x");
		assert_int_equal(kg_len(kg_at(kg_obj(e), "metadata.labels")), 1);
		kg_object_unref(e);
		kg_changes_release(&changes);
		kg_snapshot_unref(s);
	}
}

static const struct kg_change *only_change(
	struct feed_entry **e, const struct kg_snapshot *s, const struct kg_changes *changes)
{
	*e = kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], s->revision, changes, s);
	assert_non_null(*e);
	assert_int_equal((*e)->len, 1);
	return &(*e)->changes[0];
}

static void test_changes(void **state)
{
	(void)state;
	struct kg_snapshot *s;
	struct kg_changes changes;
	struct feed_entry *e;
	struct kg_txn *txn = begin(&s);

	put_slice(txn, "s", "s-a", 80, 3, 0, 0);
	put_slice(txn, "s", "s-b", 80, 2, 0, 0);
	s = commit(txn, s, &changes);
	const struct kg_change *c = only_change(&e, s, &changes);
	assert_null(c->before);
	check_sizes(c->after, (const size_t[][2]){{5, 0}}, 1);
	kg_api_feed_entry_unref(e);
	/* History has no snapshots, and so no Endpoints. */
	assert_null(kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], 1, &changes, NULL));
	kg_changes_release(&changes);

	txn = kg_txn_new(s); /* one changes, one goes, one comes */
	put_slice(txn, "s", "s-a", 80, 1, 0, 0);
	kg_txn_delete(txn, KG_KIND_ENDPOINTSLICE, "d", "s-b");
	put_slice(txn, "s", "s-c", 81, 4, 0, 0);
	s = commit(txn, s, &changes);
	c = only_change(&e, s, &changes);
	check_sizes(c->before, (const size_t[][2]){{5, 0}}, 1);
	check_sizes(c->after, (const size_t[][2]){{1, 0}, {4, 0}}, 2);
	assert_int_equal(c->after->revision, s->revision);
	assert_string_equal(kg_object_uid(c->before), kg_object_uid(c->after));
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);

	txn = kg_txn_new(s);
	kg_txn_delete(txn, KG_KIND_ENDPOINTSLICE, "d", "s-a");
	kg_txn_delete(txn, KG_KIND_ENDPOINTSLICE, "d", "s-c");
	kg_txn_delete(txn, KG_KIND_SERVICE, "d", "s");
	s = commit(txn, s, &changes);
	c = only_change(&e, s, &changes);
	check_sizes(c->before, (const size_t[][2]){{1, 0}, {4, 0}}, 2);
	assert_null(c->after);
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
}

/* Services s0, s1, ... with one slice each, of so many endpoints. */
static void put_services(struct kg_txn *txn, unsigned n, int endpoints)
{
	for (unsigned i = 0; i < n; i++) {
		char svc[32], slice[40], uid[37], yaml[160];

		snprintf(svc, sizeof(svc), "s%u", i);
		snprintf(slice, sizeof(slice), "s%u-a", i);
		snprintf(uid, sizeof(uid), "8b0e4f5a-0000-4000-8000-%012u", i);
		snprintf(yaml, sizeof(yaml), "metadata: {name: %s, namespace: d, uid: %s}", svc,
			uid);
		put(txn, KG_KIND_SERVICE, svc, yaml);
		put_slice_of(txn, svc, uid, slice, 80, endpoints, 0, 0);
	}
}

/* One commit changes slices of many: each Service is told of once, and of its own. */
static void test_many_services(void **state)
{
	enum { N = 50 };
	(void)state;
	struct kg_snapshot *s = kg_snapshot_new("8b0e4f5a-0000-4000-8000-000000000000");
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_changes changes;

	put_services(txn, N, 1);
	s = commit(txn, s, &changes);
	kg_changes_release(&changes);
	txn = kg_txn_new(s);
	put_services(txn, N, 2);
	s = commit(txn, s, &changes);
	struct feed_entry *e =
		kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], s->revision, &changes, s);
	assert_int_equal(e->len, N);
	for (size_t i = 0; i < N; i++) {
		const struct kg_change *c = &e->changes[i];

		assert_true(i == 0 || strcmp(e->changes[i - 1].after->key, c->after->key) < 0);
		assert_string_equal(c->before->key, c->after->key);
		check_sizes(c->before, (const size_t[][2]){{1, 0}}, 1);
		check_sizes(c->after, (const size_t[][2]){{2, 0}}, 1);
	}
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
}

/* A slice that goes over to another Service is a change of both. */
static void test_slice_changes_service(void **state)
{
	(void)state;
	struct kg_snapshot *s = kg_snapshot_new("8b0e4f5a-0000-4000-8000-000000000000");
	struct kg_txn *txn = kg_txn_new(s);
	struct kg_changes changes;

	put_services(txn, 2, 1);
	s = commit(txn, s, &changes);
	kg_changes_release(&changes);
	txn = kg_txn_new(s);
	put_slice_of(txn, "s1", "8b0e4f5a-0000-4000-8000-000000000001", "s0-a", 80, 1, 0, 0);
	s = commit(txn, s, &changes);
	struct feed_entry *e =
		kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], s->revision, &changes, s);
	assert_int_equal(e->len, 2);
	check_sizes(e->changes[0].before, (const size_t[][2]){{1, 0}}, 1);
	assert_null(e->changes[0].after);
	check_sizes(e->changes[1].before, (const size_t[][2]){{1, 0}}, 1);
	check_sizes(e->changes[1].after, (const size_t[][2]){{2, 0}}, 1);
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
}

/* Endpoints that are a manifest, and the slices that go with them: a mirror and a manifest. */
static void put_stored(struct kg_txn *txn, const char *ip)
{
	KG_AUTOFREE char *yaml = kg_asprintf(
		"{metadata: {name: s, namespace: d, uid: e}, subsets: [{addresses: [{ip: %s}]}]}",
		ip);

	put(txn, KG_KIND_ENDPOINTS, "s", yaml);
}

static void put_foreign(struct kg_txn *txn)
{
	put(txn, KG_KIND_ENDPOINTSLICE, "s-0",
		"{metadata: {name: s-0, labels: {kubernetes.io/service-name: s}}, endpoints: "
		"[{addresses: [192.0.2.1]}]}");
	put(txn, KG_KIND_ENDPOINTSLICE, "s-1",
		"{metadata: {name: s-1, labels: {kubernetes.io/service-name: s}, "
		"ownerReferences: [{kind: Endpoints, controller: true, uid: e}]}, endpoints: "
		"[{addresses: [192.0.2.2]}]}");
}

/* Of manifests' slices and of mirrors no Endpoints are made, as Kubernetes makes none. */
static void test_foreign_slices(void **state)
{
	(void)state;
	struct kg_snapshot *s;
	struct kg_changes changes;
	struct kg_txn *txn = begin(&s);

	put_foreign(txn);
	s = commit(txn, s, &changes);
	assert_null(kg_api_endpoints_of(s, "d", "s"));
	assert_null(kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], 1, &changes, s));
	kg_changes_release(&changes);
	txn = kg_txn_new(s);
	put_slice(txn, "s", "s-a", 80, 3, 0, 0);
	s = commit(txn, s, &changes);
	struct kg_object *e = kg_api_endpoints_of(s, "d", "s");
	check_sizes(e, (const size_t[][2]){{3, 0}}, 1);
	kg_object_unref(e);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
}

/* Which of the two a name has: who watches is told of the end of the one before the other. */
static void test_stored(void **state)
{
	(void)state;
	struct kg_snapshot *s;
	struct kg_changes changes;
	struct feed_entry *e;
	struct kg_txn *txn = begin(&s);

	put_slice(txn, "s", "s-a", 80, 3, 0, 0);
	s = commit(txn, s, &changes);
	kg_changes_release(&changes);
	txn = kg_txn_new(s);
	kg_txn_delete(txn, KG_KIND_ENDPOINTSLICE, "d", "s-a");
	put_stored(txn, "192.0.2.2");
	put_foreign(txn);
	s = commit(txn, s, &changes);
	e = kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], s->revision, &changes, s);
	assert_int_equal(e->len, 2);
	check_sizes(e->changes[0].before, (const size_t[][2]){{3, 0}}, 1);
	assert_null(e->changes[0].after);
	assert_null(e->changes[1].before);
	assert_string_equal(kg_object_uid(e->changes[1].after), "e");
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);

	txn = kg_txn_new(s);
	put_stored(txn, "192.0.2.3");
	s = commit(txn, s, &changes);
	const struct kg_change *c = only_change(&e, s, &changes);
	assert_string_equal(
		kg_string(kg_at(kg_obj(c->before), "subsets.0.addresses.0.ip"), ""), "192.0.2.2");
	assert_string_equal(
		kg_string(kg_at(kg_obj(c->after), "subsets.0.addresses.0.ip"), ""), "192.0.2.3");
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);

	txn = kg_txn_new(s);
	kg_txn_delete(txn, KG_KIND_ENDPOINTS, "d", "s");
	put_slice(txn, "s", "s-a", 80, 1, 0, 0);
	s = commit(txn, s, &changes);
	e = kg_api_feed_entry_of(NULL, &kg_kinds[KG_KIND_ENDPOINTS], s->revision, &changes, s);
	assert_int_equal(e->len, 2);
	assert_null(e->changes[0].after);
	assert_string_equal(kg_object_uid(e->changes[0].before), "e");
	assert_null(e->changes[1].before);
	kg_api_feed_entry_unref(e);
	kg_changes_release(&changes);
	kg_snapshot_unref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_many_services),
		cmocka_unit_test(test_slice_changes_service),
		cmocka_unit_test(test_foreign_slices),
		cmocka_unit_test(test_stored),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
