/* Snapshots, txns, the persistent map below them, and records. */
#include "kinds/endpoints.h"
#include "kinds/record.h"
#include "kinds/snapshot.h"
#include "value/json.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLUSTER "11111111-2222-3333-4444-555555555555"

static struct kg_object *make(
	enum kg_kind_id kind, const char *ns, const char *name, const char *yaml)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v;
	struct kg_error err;

	assert_int_equal(kg_yaml_load(&v, &a, yaml, strlen(yaml), &err), 0);
	struct kg_object_spec spec = {.kind = &kg_kinds[kind], .ns = ns, .name = name, .value = &v};
	return kg_object_new(&spec);
}

static struct kg_snapshot *commit(struct kg_txn *txn, struct kg_changes *changes)
{
	struct kg_snapshot *next;

	kg_txn_finish(txn, &next, changes);
	return next;
}

/* ---- pmap ---- */

static const char *itself(const void *value)
{
	return value;
}

static const struct kg_pmap_ops text_ops = {.key = itself};

static void pmap_matches_a_sorted_array(void **state)
{
	static char keys[500][8];
	static bool in[500];
	struct kg_pmap map, old;
	unsigned seed = 7;
	size_t count = 0;

	(void)state;
	kg_pmap_init(&map, &text_ops);
	for (size_t i = 0; i < KG_ARRAY_LEN(keys); i++)
		snprintf(keys[i], sizeof(keys[i]), "k%04zu", i);
	for (int step = 0; step < 20000; step++) {
		seed = seed * 1103515245 + 12345;
		size_t i = (seed >> 8) % KG_ARRAY_LEN(keys);

		/* An older version must not see what comes after it. */
		kg_pmap_copy(&old, &map);
		size_t before = old.count;
		if (in[i]) {
			assert_true(kg_pmap_remove(&map, keys[i]));
			assert_non_null(kg_pmap_get(&old, keys[i]));
		} else {
			kg_pmap_put(&map, keys[i], keys[i]);
			assert_null(kg_pmap_get(&old, keys[i]));
		}
		count += in[i] ? (size_t)-1 : 1;
		in[i] = !in[i];
		assert_int_equal(old.count, before);
		kg_pmap_release(&old);
	}
	assert_int_equal(map.count, count);
	struct kg_piter it;
	const char *key, *value;
	kg_piter_init(&it, &map, "", NULL);
	for (size_t i = 0; i < KG_ARRAY_LEN(keys); i++) {
		if (!in[i])
			continue;
		value = kg_piter_next(&it, &key);
		assert_string_equal(value, keys[i]);
		assert_string_equal(key, keys[i]);
	}
	assert_null(kg_piter_next(&it, NULL));
	assert_false(kg_pmap_remove(&map, "nothing"));
	kg_pmap_release(&map);
}

/* ---- a map of thousands: references, versions, growing and shrinking ---- */

enum { MANY = 3000 };
static struct counted {
	char key[8];
	int refs;
} counted[MANY];

static void counted_ref(void *value)
{
	((struct counted *)value)->refs++;
}

static void counted_unref(void *value)
{
	((struct counted *)value)->refs--;
}

static const char *counted_key(const void *value)
{
	return ((const struct counted *)value)->key;
}

static const struct kg_pmap_ops counted_ops = {
	.ref = counted_ref, .unref = counted_unref, .key = counted_key};

/* What is in the map, in order, by each way to look at it. */
static void check_map(const struct kg_pmap *map, const bool *in)
{
	struct kg_piter it, from;
	const char *key;
	size_t n = 0;

	kg_piter_init(&it, map, NULL, NULL);
	for (size_t i = 0; i < MANY; i++) {
		assert_ptr_equal(kg_pmap_get(map, counted[i].key), in[i] ? &counted[i] : NULL);
		if (!in[i])
			continue;
		assert_ptr_equal(kg_piter_next(&it, &key), &counted[i]);
		assert_string_equal(key, counted[i].key);
		kg_piter_init(&from, map, "", counted[i].key);
		assert_ptr_equal(kg_piter_next(&from, NULL), &counted[i]);
		n++;
	}
	assert_null(kg_piter_next(&it, NULL));
	assert_null(kg_piter_next(&it, NULL));
	assert_int_equal(map->count, n);
}

static void pmap_keeps_versions(void **state)
{
	static bool in[MANY], in_old[MANY];
	struct kg_pmap map, old;
	unsigned seed = 11;

	(void)state;
	for (size_t i = 0; i < MANY; i++)
		snprintf(counted[i].key, sizeof(counted[i].key), "k%04zu", i);
	kg_pmap_init(&map, &counted_ops);
	kg_pmap_copy(&old, &map);
	for (int step = 1; step <= 24000; step++) {
		/* At first most are put, at last all are removed. */
		seed = seed * 1103515245 + 12345;
		size_t i = (seed >> 8) % MANY;
		bool put = step > 18000 ? false : step < 6000 ? true : !in[i];

		if (step > 21000)
			i = (size_t)(step - 21001);
		if (put)
			kg_pmap_put(&map, counted[i].key, &counted[i]);
		else
			assert_int_equal(kg_pmap_remove(&map, counted[i].key), in[i]);
		in[i] = put;
		if (step % 1500 == 0) {
			check_map(&map, in);
			check_map(&old, in_old);
			if (step % 4500 == 0) {
				kg_pmap_rebuild(&map);
				check_map(&map, in);
			}
			kg_pmap_release(&old);
			kg_pmap_copy(&old, &map);
			memcpy(in_old, in, sizeof(in));
		}
	}
	assert_int_equal(map.count, 0);
	assert_null(map.root);
	kg_pmap_release(&old);
	kg_pmap_release(&map);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(counted[i].refs, 0);
}

static void pmap_is_built_at_once(void **state)
{
	static const size_t sizes[] = {0, 1, 31, 32, 33, 63, 64, 65, 1023, 1024, 1025, 1056, MANY};
	static void *values[MANY];

	(void)state;
	for (size_t k = 0; k < KG_ARRAY_LEN(sizes); k++) {
		bool in[MANY] = {0};
		struct kg_pmap map;

		kg_pmap_init(&map, &counted_ops);
		for (size_t i = 0; i < MANY; i++) {
			snprintf(counted[i].key, sizeof(counted[i].key), "k%04zu", i);
			values[i] = &counted[i];
			in[i] = i < sizes[k];
		}
		kg_pmap_build(&map, values, sizes[k]);
		check_map(&map, in);
		for (size_t i = 0; i < sizes[k]; i += 2) {
			assert_true(kg_pmap_remove(&map, counted[i].key));
			in[i] = false;
		}
		check_map(&map, in);
		kg_pmap_release(&map);
	}
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(counted[i].refs, 0);
}

static void pmap_iterates_prefixes(void **state)
{
	static const char *const keys[] = {"a/1", "a/2", "a/3", "ab/1", "b/1"};
	struct kg_pmap map;
	struct kg_piter it;

	(void)state;
	kg_pmap_init(&map, &text_ops);
	for (size_t i = 0; i < KG_ARRAY_LEN(keys); i++)
		kg_pmap_put(&map, keys[i], (void *)(uintptr_t)keys[i]);
	kg_piter_init(&it, &map, "a/", "a/2");
	assert_string_equal(kg_piter_next(&it, NULL), "a/2");
	assert_string_equal(kg_piter_next(&it, NULL), "a/3");
	assert_null(kg_piter_next(&it, NULL));
	kg_piter_init(&it, &map, "c", NULL);
	assert_null(kg_piter_next(&it, NULL));
	kg_pmap_release(&map);
}

/* ---- txns ---- */

static const char cm_1[] = "data: {a: one}\n", cm_2[] = "data: {a: two}\n";

static void txn_has_net_changes(void **state)
{
	struct kg_snapshot *s0 = kg_snapshot_new(CLUSTER), *s1, *s2;
	struct kg_changes c;

	(void)state;
	struct kg_txn *txn = kg_txn_new(s0);
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "b", cm_1)));
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "a", cm_1)));
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "gone", cm_1)));
	assert_true(kg_txn_delete(txn, KG_KIND_CONFIGMAP, "default", "gone"));
	assert_false(kg_txn_delete(txn, KG_KIND_CONFIGMAP, "default", "never"));
	s1 = commit(txn, &c);
	assert_int_equal(s1->revision, 1);
	assert_int_equal(c.len, 2);
	assert_string_equal(c.items[0].after->name, "a");
	assert_int_equal(c.items[0].after->revision, 1);
	assert_null(c.items[0].before);
	kg_changes_release(&c);

	txn = kg_txn_new(s1);
	assert_false(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "a", cm_1)));
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "a", cm_2)));
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "a", cm_1)));
	assert_true(kg_txn_put(txn, make(KG_KIND_CONFIGMAP, "default", "b", cm_2)));
	s2 = commit(txn, &c);
	assert_int_equal(c.len, 1);
	assert_string_equal(c.items[0].after->name, "b");
	assert_int_equal(c.items[0].after->revision, 2);
	assert_int_equal(kg_snapshot_get(s2, KG_KIND_CONFIGMAP, "default", "a")->revision, 1);
	/* The older snapshot is as it was. */
	assert_string_equal(
		kg_string(kg_at(kg_obj(kg_snapshot_get(s1, KG_KIND_CONFIGMAP, "default", "b")),
				  "data.a"),
			""),
		"one");
	kg_changes_release(&c);
	kg_snapshot_unref(s0);
	kg_snapshot_unref(s1);
	kg_snapshot_unref(s2);
}

static void a_moved_definition_is_quiet(void **state)
{
	struct kg_snapshot *s0 = kg_snapshot_new(CLUSTER), *s1, *s2;
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v = kg_v_obj(&a, "data", kg_v_null(), (char *)NULL);
	struct kg_object_spec spec = {.kind = &kg_kinds[KG_KIND_CONFIGMAP],
		.ns = "default",
		.name = "a",
		.value = &v,
		.source = "one.yaml"};
	struct kg_changes c;

	(void)state;
	struct kg_txn *txn = kg_txn_new(s0);
	kg_txn_put(txn, kg_object_new(&spec));
	s1 = commit(txn, &c);
	kg_changes_release(&c);
	txn = kg_txn_new(s1);
	spec.source = "two.yaml";
	kg_txn_put(txn, kg_object_new(&spec));
	s2 = commit(txn, &c);
	assert_int_equal(c.len, 1);
	assert_true(c.items[0].quiet);
	assert_int_equal(c.items[0].after->revision, 1);
	kg_changes_release(&c);
	struct kg_object_iter it;
	kg_iter_index(&it, s2, KG_INDEX_SOURCE, "two.yaml");
	assert_non_null(kg_iter_next(&it));
	kg_iter_release(&it);
	kg_iter_index(&it, s2, KG_INDEX_SOURCE, "one.yaml");
	assert_null(kg_iter_next(&it));
	kg_iter_release(&it);
	kg_iter_index(&it, s2, KG_INDEX_SOURCE, NULL);
	assert_ptr_equal(kg_iter_next(&it), kg_snapshot_get(s2, spec.kind->id, spec.ns, spec.name));
	assert_null(kg_iter_next(&it));
	kg_iter_release(&it);
	kg_snapshot_unref(s0);
	kg_snapshot_unref(s1);
	kg_snapshot_unref(s2);
}

static size_t on_node(const struct kg_snapshot *s, const char *node)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	size_t n = 0;

	kg_iter_index(&it, s, KG_INDEX_NODE, node);
	while (kg_iter_next(&it))
		n++;
	return n;
}

static void indexes_follow_objects(void **state)
{
	struct kg_snapshot *s0 = kg_snapshot_new(CLUSTER), *s1;
	struct kg_changes c;

	(void)state;
	struct kg_txn *txn = kg_txn_new(s0);
	kg_txn_put(txn, make(KG_KIND_POD, "x", "p1", "spec: {nodeName: n1}\n"));
	kg_txn_put(txn, make(KG_KIND_POD, "x", "p2", "spec: {nodeName: n1}\n"));
	kg_txn_put(txn, make(KG_KIND_POD, "x", "p3", "spec: {nodeName: n10}\n"));
	assert_int_equal(on_node(kg_txn_snapshot(txn), "n1"), 2);
	kg_txn_put(txn, make(KG_KIND_POD, "x", "p1", "spec: {nodeName: n2}\n"));
	kg_txn_delete(txn, KG_KIND_POD, "x", "p3");
	s1 = commit(txn, &c);
	assert_int_equal(on_node(s1, "n1"), 1);
	assert_int_equal(on_node(s1, "n2"), 1);
	assert_int_equal(on_node(s1, "n10"), 0);
	kg_changes_release(&c);
	kg_snapshot_unref(s0);
	kg_snapshot_unref(s1);
}

/* The names, each with a blank behind it. */
static void assert_slices(
	const struct kg_snapshot *s, const char *ns, const char *service, const char *want)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	KG_AUTOBUF struct kg_buf names = KG_BUF_INIT;
	const struct kg_object *slice;

	kg_iter_slices(&it, s, ns, service);
	while ((slice = kg_iter_next(&it))) {
		assert_string_equal(slice->ns, ns);
		kg_buf_addf(&names, "%s ", slice->name);
	}
	assert_string_equal(kg_buf_str(&names), want);
}

/* One index has what is found by the same thing in other namespaces too. */
static void index_of_one_namespace(void **state)
{
	static const struct {
		const char *ns, *name, *service;
	} slices[] = {{"b", "1", "web"}, {"a", "2", "web"}, {"a", "1", "web"}, {"ab", "1", "web"},
		{"a", "3", "other"}, {"a-b", "1", "web"}};
	struct kg_snapshot *s0 = kg_snapshot_new(CLUSTER), *s;
	struct kg_txn *txn = kg_txn_new(s0);
	struct kg_changes c;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(slices); i++) {
		KG_AUTOFREE char *yaml = kg_asprintf(
			"metadata: {labels: {" KG_LABEL_SERVICE_NAME ": %s}}\n", slices[i].service);

		kg_txn_put(txn, make(KG_KIND_ENDPOINTSLICE, slices[i].ns, slices[i].name, yaml));
	}
	s = commit(txn, &c);
	for (size_t i = 0; i < c.len; i++)
		assert_ptr_equal(kg_changes_find(&c, KG_KIND_ENDPOINTSLICE, c.items[i].after->key),
			&c.items[i]);
	assert_null(kg_changes_find(&c, KG_KIND_ENDPOINTSLICE, "a/4"));
	assert_null(kg_changes_find(&c, KG_KIND_POD, "a/1"));
	assert_slices(s, "a", "web", "1 2 ");
	assert_slices(s, "ab", "web", "1 ");
	assert_slices(s, "a-b", "web", "1 ");
	assert_slices(s, "a", "other", "3 ");
	assert_slices(s, "b", "other", "");
	assert_slices(s, "c", "web", "");
	kg_changes_release(&c);
	kg_snapshot_unref(s0);
	kg_snapshot_unref(s);
}

static void selectors(void **state)
{
	static const struct {
		const char *selector, *labels;
		bool matches;
	} cases[] = {
		{"{}", "{a: b}", true},
		{"{matchLabels: {a: b}}", "{a: b, c: d}", true},
		{"{matchLabels: {a: x}}", "{a: b}", false},
		{"{matchExpressions: [{key: a, operator: In, values: [b, c]}]}", "{a: c}", true},
		{"{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}", "{}", true},
		{"{matchExpressions: [{key: a, operator: Exists}]}", "{}", false},
		{"{matchExpressions: [{key: a, operator: DoesNotExist}]}", "{}", true},
		{"{matchExpressions: [{key: a, operator: NotIn, values: [b]}]}", "{a: b}", false},
		/* Of nodes alone. */
		{"{matchExpressions: [{key: a, operator: Gt, values: ['1']}]}", "{a: '2'}", false},
		{"{matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}",
			"{a: b}", false},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_error err;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_value s, l;
		assert_int_equal(
			kg_yaml_load(&s, &a, cases[i].selector, strlen(cases[i].selector), &err),
			0);
		assert_int_equal(
			kg_yaml_load(&l, &a, cases[i].labels, strlen(cases[i].labels), &err), 0);
		if (kg_selector_matches(&s, &l) != cases[i].matches)
			fail_msg("%s against %s", cases[i].selector, cases[i].labels);
	}
	assert_false(kg_selector_matches(&kg_null, &kg_null));
}

/* ---- records ---- */

static void assert_same_object(const struct kg_object *a, const struct kg_object *b)
{
	assert_true(kg_equal(kg_obj(a), kg_obj(b)));
	assert_int_equal(a->revision, b->revision);
	assert_string_equal(a->key, b->key);
	assert_string_equal(a->template_id, b->template_id);
}

/* Splits obj into its records and joins them again. */
static void round_trip(struct kg_object *obj, uint64_t decided_at, uint64_t observed_at)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf decided KG_AUTOBUF = KG_BUF_INIT, observed KG_AUTOBUF = KG_BUF_INIT;
	struct kg_record d, o;
	struct kg_error err;
	bool is_observed = kg_record_is_observed(obj);

	kg_record_decided(&decided, obj, decided_at);
	assert_int_equal(kg_record_parse(&d, &a, decided.data, decided.len, &err), 0);
	if (is_observed) {
		assert_null(strstr(decided.data, "status:"));
		kg_record_observed(&observed, obj, observed_at);
		assert_int_equal(kg_record_parse(&o, &a, observed.data, observed.len, &err), 0);
	}
	struct kg_object *back = kg_record_join(
		obj->kind, obj->ns, obj->name, obj->base, &d, is_observed ? &o : NULL);
	obj->revision = is_observed && observed_at > decided_at ? observed_at : decided_at;
	assert_same_object(obj, back);
	kg_object_unref(back);
}

static const char template_yaml[] = "metadata: {labels: {app: web}}\n"
				    "spec:\n"
				    "  containers: [{name: c, image: i}]\n"
				    "  restartPolicy: Always\n";

static void records_round_trip(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	const struct kg_kind *pod = &kg_kinds[KG_KIND_POD];
	struct kg_value t;
	struct kg_error err;
	char id[24];

	(void)state;
	assert_int_equal(kg_yaml_load(&t, &a, template_yaml, strlen(template_yaml), &err), 0);
	struct kg_doc *doc = kg_doc_new(&t, NULL, 0);
	struct kg_doc *base = kg_template_expand(pod, doc);
	kg_template_id(id, &t);
	struct kg_value v = kg_with(&a, kg_doc_value(base), "metadata.name", kg_v_lit("p"));
	v = kg_with(&a, &v, "spec.nodeName", kg_v_lit("n1"));
	v = kg_with(&a, &v, "status.phase", kg_v_lit("Running"));
	struct kg_object_spec spec = {.kind = pod,
		.ns = "default",
		.name = "p",
		.value = &v,
		.base = base,
		.template_id = id};
	struct kg_object *obj = kg_object_new(&spec);
	round_trip(obj, 3, 9);
	round_trip(obj, 9, 3);

	/* What the template holds is not written again. */
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	kg_record_decided(&text, obj, 1);
	assert_null(strstr(text.data, "containers"));
	struct kg_value back = kg_template_of(&a, obj);
	assert_true(kg_equal(&back, &t));

	struct kg_object *unbound = make(KG_KIND_POD, "default", "q", "status: {phase: Pending}\n");
	assert_false(kg_record_is_observed(unbound));
	round_trip(unbound, 4, 0);

	struct kg_value moved = kg_with(&a, &v, "status.phase", kg_v_lit("Failed"));
	struct kg_object *later = kg_object_with(obj, &moved);
	assert_true(kg_record_decided_equal(obj, later));
	assert_false(kg_record_observed_equal(obj, later));
	kg_object_unref(later);
	kg_object_unref(unbound);
	kg_object_unref(obj);
	kg_doc_unref(base);
	kg_doc_unref(doc);
}

static void what_is_shown_of_a_secret(void **state)
{
	static const char yaml[] =
		"apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  annotations: {b: c, "
		"kubectl.kubernetes.io/last-applied-configuration: 'x: hunter2'}\ndata: {p: "
		"aHVudGVyMg==, q: aHVudGVyMg==}\ntype: Opaque\n";
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value v;

	(void)state;
	assert_int_equal(kg_yaml_load(&v, &a, yaml, strlen(yaml), &err), 0);
	struct kg_object *obj = kg_object_new(&(struct kg_object_spec){
		.kind = &kg_kinds[KG_KIND_SECRET], .ns = "d", .name = "a", .value = &v});
	struct kg_value shown = kg_object_shown(&a, obj);
	kg_json_write(&b, &shown);
	assert_string_equal(kg_buf_str(&b),
		"{\"apiVersion\":\"v1\",\"data\":{\"p\":\"<redacted>\",\"q\":\"<redacted>\"},"
		"\"kind\":\"Secret\",\"metadata\":{\"annotations\":{\"b\":\"c\"},\"name\":\"a\","
		"\"resourceVersion\":\"0\"},\"type\":\"Opaque\"}");
	assert_non_null(strstr(kg_string(kg_at(kg_obj(obj), "data.p"), ""), "aHVu"));
	kg_object_unref(obj);
	kg_arena_release(&a);
}

static void json_has_the_revision_in_its_place(void **state)
{
	struct kg_object *obj = make(
		KG_KIND_CONFIGMAP, "default", "a", "metadata: {name: a, uid: u}\ndata: {k: v}\n");
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	(void)state;
	obj->revision = 42;
	kg_object_write_json(&out, obj);
	assert_string_equal(out.data, "{\"data\":{\"k\":\"v\"},\"metadata\":{\"name\":\"a\","
				      "\"resourceVersion\":\"42\",\"uid\":\"u\"}}");
	kg_object_unref(obj);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pmap_matches_a_sorted_array),
		cmocka_unit_test(pmap_keeps_versions),
		cmocka_unit_test(pmap_is_built_at_once),
		cmocka_unit_test(pmap_iterates_prefixes),
		cmocka_unit_test(txn_has_net_changes),
		cmocka_unit_test(a_moved_definition_is_quiet),
		cmocka_unit_test(indexes_follow_objects),
		cmocka_unit_test(index_of_one_namespace),
		cmocka_unit_test(selectors),
		cmocka_unit_test(records_round_trip),
		cmocka_unit_test(what_is_shown_of_a_secret),
		cmocka_unit_test(json_has_the_revision_in_its_place),
	};

	kg_kinds_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
