/* Rules of their own, as tables; and what a caller may do with the state. Whole courses of events
 * are goldens (testdata/golden) and the simulation. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/plan.h"
#include "reconcile/simulate.h"
#include "value/testing.h"

#include <stdio.h>

static void test_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *spec;
		int64_t surge, unavailable;
	} cases[] = {
		{"{replicas: 4}", 1, 1},
		{"{replicas: 3}", 1, 0}, /* 25 % up, 25 % down */
		{"{replicas: 10, strategy: {rollingUpdate: {maxSurge: 30%, maxUnavailable: 15%}}}",
			3, 1},
		{"{replicas: 1, strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 25%}}}", 0,
			1},
		{"{replicas: 2, strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 9}}}", 1,
			2},
		{"{replicas: 0, strategy: {rollingUpdate: {maxSurge: 2, maxUnavailable: 2}}}", 2,
			0},
		{"{replicas: 5, strategy: {type: Recreate}}", 0, 0},
		{"{replicas: 7, strategy: {rollingUpdate: {maxSurge: 100%, maxUnavailable: 0}}}", 7,
			0},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value spec = kg_test_yaml(&a, cases[i].spec);
		int64_t surge, unavailable;
		kg_deployment_bounds(&spec, &surge, &unavailable);
		if (surge != cases[i].surge || unavailable != cases[i].unavailable)
			fail_msg("%s: %lld, %lld", cases[i].spec, (long long)surge,
				(long long)unavailable);
		kg_arena_release(&a);
	}
}

static void test_tolerations(void **state)
{
	(void)state;
	static const struct {
		const char *toleration, *taint;
		bool want;
	} cases[] = {
		{"{operator: Exists}", "{key: a, value: b, effect: NoSchedule}", true},
		{"{operator: Exists, effect: NoExecute}", "{key: a, effect: NoSchedule}", false},
		{"{key: a, operator: Exists}", "{key: a, value: b, effect: NoSchedule}", true},
		{"{key: a, value: b}", "{key: a, value: b, effect: NoExecute}", true},
		{"{key: a, value: c}", "{key: a, value: b, effect: NoExecute}", false},
		{"{key: a, operator: Equal}", "{key: a, effect: NoSchedule}", true},
		{"{value: b}", "{key: a, value: b, effect: NoSchedule}", false},
		{"{key: b, operator: Exists}", "{key: a, effect: NoSchedule}", false},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value t = kg_test_yaml(&a, cases[i].toleration),
				n = kg_test_yaml(&a, cases[i].taint);
		if (kg_tolerates(&t, &n) != cases[i].want)
			fail_msg("%s of %s", cases[i].toleration, cases[i].taint);
		kg_arena_release(&a);
	}
}

static void test_addresses(void **state)
{
	(void)state;
	uint32_t ip;
	struct kg_ip_range r;
	char text[16];
	static const char *const good[] = {
		"10.244.1.255", "0.0.0.0", "255.100.99.10", "1.20.9.109"};
	for (size_t i = 0; i < KG_ARRAY_LEN(good); i++) {
		assert_int_equal(kg_ip_parse(&ip, good[i]), 0);
		kg_ip_format(text, ip);
		assert_string_equal(text, good[i]);
	}
	static const char *const bad[] = {"", "10.1.1", "10.1.1.256", "10.1.1.1x", "a.b.c.d",
		"10.1.1.", "10.1..1", " 10.1.1.1", "10.1.1.+1", "10.1.1.1.1", "10.1.1.1000"};
	for (size_t i = 0; i < KG_ARRAY_LEN(bad); i++)
		assert_int_equal(kg_ip_parse(&ip, bad[i]), -1);
	assert_int_equal(kg_ip_range_parse(&r, "10.0.0.7/29"), 0);
	assert_int_equal(r.size, 8);
	assert_int_equal(r.first & 7, 0);
	static const char *const badr[] = {"10.0.0.0", "10.0.0.0/", "10.0.0.0/31", "10.0.0.0/x"};
	for (size_t i = 0; i < KG_ARRAY_LEN(badr); i++)
		assert_int_equal(kg_ip_range_parse(&r, badr[i]), -1);
	uint64_t map[2] = {UINT64_MAX, 0};
	assert_int_equal(kg_bit_free(map, 0, 64, 5), UINT32_MAX);
	assert_int_equal(kg_bit_free(map, 60, 70, 69), 69);
	kg_bit_set(map, 69, true);
	assert_int_equal(kg_bit_free(map, 60, 70, 69), 64);
}

/* ---- with a cluster ---- */

static void push_pod(struct kg_harness *h, int i)
{
	char path[16], text[200];
	snprintf(path, sizeof(path), "p%d.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec:\n"
		"  containers: [{name: c, image: i}]\n",
		i);
	kg_harness_push(h, path, text);
}

static void add_node(struct kg_harness *h, const char *name)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value status = kg_test_yaml(&a, "{allocatable: {cpu: '4', memory: 8Gi}}");
	kg_harness_node(h, name, &kg_null, &status, true);
	kg_arena_release(&a);
}

static size_t count_bound(const struct kg_snapshot *s)
{
	size_t n = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		n += *kg_pod_node(pod) != 0;
	kg_iter_release(&it);
	return n;
}

/* Eight addresses: five for pods, of one node; another node has none to give. */
static void test_small_range(void **state)
{
	(void)state;
	struct kg_harness h;
	struct kg_reconcile_options opts = {.pod_cidr = "10.1.0.0/29"};
	kg_harness_init(&h, &opts);
	h.check = true;
	add_node(&h, "one");
	add_node(&h, "two");
	for (int i = 0; i < 7; i++)
		push_pod(&h, i);
	assert_int_equal(count_bound(h.s), 5);
	const struct kg_object *p = kg_snapshot_get(h.s, KG_KIND_POD, "default", "p6");
	const struct kg_value *c =
		kg_find(kg_at(kg_obj(p), "status.conditions"), "type", "PodScheduled");
	assert_string_equal(kg_string(kg_get(c, "message"), ""),
		"0/2 nodes are available: 2 node(s) had no free pod address. "
		"preemption: 0/2 nodes are available: 2 No preemption victims found for "
		"incoming pod.");
	/* An address is free again when its node has let go of the pod. */
	const struct kg_object *old = kg_snapshot_get(h.s, KG_KIND_POD, "default", "p0");
	struct kg_object *held = kg_object_ref(old);
	kg_harness_push(&h, "p0.yaml", NULL);
	assert_int_equal(count_bound(h.s), 5);
	struct kg_input_pod_status gone = {.node = kg_pod_node(held),
		.ns = "default",
		.name = "p0",
		.uid = kg_object_uid(held),
		.gone = true};
	struct kg_inputs in = {.pods = &gone, .npods = 1};
	struct kg_error err;
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	kg_object_unref(held);
	assert_int_equal(count_bound(h.s), 5);
	assert_null(kg_snapshot_get(h.s, KG_KIND_POD, "default", "p0"));
	kg_harness_release(&h);
}

static bool ends(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	(void)ctx;
	st->status = kg_sim_succeeded(a, pod, KG_HARNESS_START);
	return true;
}

/* Pods that are over keep their addresses: with one that goes, the pod that waits gets its own. */
static void test_range_of_ended_pods(void **state)
{
	(void)state;
	struct kg_harness h;
	struct kg_reconcile_options opts = {.pod_cidr = "10.1.0.0/29"};
	kg_harness_init(&h, &opts);
	h.check = true;
	add_node(&h, "one");
	for (int i = 0; i < 5; i++)
		push_pod(&h, i);
	kg_harness_report(&h, ends, NULL);
	push_pod(&h, 5);
	assert_int_equal(count_bound(h.s), 5);
	kg_harness_push(&h, "p0.yaml", NULL);
	kg_harness_let_go(&h);
	assert_null(kg_snapshot_get(h.s, KG_KIND_POD, "default", "p0"));
	assert_string_equal(kg_pod_node(kg_snapshot_get(h.s, KG_KIND_POD, "default", "p5")), "one");
	kg_harness_release(&h);
}

/* A txn that is thrown away, and a run that fails, leave the state as good as new. */
static void test_state_heals(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	add_node(&h, "one");
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value pod =
		kg_test_yaml(&a, "{apiVersion: v1, kind: Pod, metadata: {name: p, namespace: "
				 "default}, spec: {containers: [{name: c, image: i}]}}");
	struct kg_value svc =
		kg_test_yaml(&a, "{apiVersion: v1, kind: Service, metadata: {name: s, "
				 "namespace: default}, spec: {clusterIP: 1.2.3.4, ports: [{port: "
				 "1}]}}");
	struct kg_input_desired good = {.kind = &kg_kinds[KG_KIND_POD],
		.ns = "default",
		.name = "p",
		.value = pod,
		.source = "p.yaml"};
	struct kg_input_desired bad = {.kind = &kg_kinds[KG_KIND_SERVICE],
		.ns = "default",
		.name = "s",
		.value = svc,
		.source = "s.yaml"};
	struct kg_inputs in = {.now = h.now, .desired = &good, .ndesired = 1};
	kg_time wake;
	struct kg_txn *txn = kg_txn_new(h.s); /* as a dry run does */
	assert_int_equal(kg_reconcile(h.state, txn, &in, &wake, &err), 0);
	kg_txn_free(txn);
	struct kg_inputs fails = {.now = h.now, .desired = &bad, .ndesired = 1};
	assert_int_equal(kg_harness_run(&h, &fails, &err), -KG_E_INVALID);
	assert_non_null(strstr(err.msg, "1.2.3.4"));
	h.check = true; /* against states that are new */
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	assert_int_equal(count_bound(h.s), 1);
	kg_harness_release(&h);
	kg_arena_release(&a);
}

/* One that a finalizer held, or that waited for its pods, is gone and begins anew in one commit:
 * its successor is run as any other. */
static void test_successor_runs(void **state)
{
	static const char *const hows[] = {
		"finalizers: [example.com/hold]", "annotations: {kgit/deletion: foreground}"};
	static const struct {
		const char *api, *kind, *selector;
	} owners[] = {
		{"apps/v1", "ReplicaSet", "selector: {matchLabels: {a: b}}, "},
		{"v1", "ReplicationController", "selector: {a: b}, "},
		{"apps/v1", "DaemonSet", "selector: {matchLabels: {a: b}}, "},
		{"apps/v1", "StatefulSet", "serviceName: s, selector: {matchLabels: {a: b}}, "},
		{"apps/v1", "Deployment", "selector: {matchLabels: {a: b}}, "},
		{"batch/v1", "Job", ""},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(owners) * KG_ARRAY_LEN(hows); i++) {
		const char *how = hows[i % KG_ARRAY_LEN(hows)];
		struct kg_harness h;
		char text[2][700];
		kg_harness_init(&h, NULL);
		h.check = true;
		add_node(&h, "one");
		for (int plain = 0; plain < 2; plain++)
			snprintf(text[plain], sizeof(text[plain]),
				"apiVersion: %s\nkind: %s\nmetadata: {name: o, %s}\nspec: "
				"{%stemplate: "
				"{metadata: {labels: {a: b}}, spec: {%scontainers: [{name: c, "
				"image: "
				"i}]}}}\n",
				owners[i / KG_ARRAY_LEN(hows)].api,
				owners[i / KG_ARRAY_LEN(hows)].kind, plain ? "" : how,
				owners[i / KG_ARRAY_LEN(hows)].selector,
				*owners[i / KG_ARRAY_LEN(hows)].selector
					? ""
					: "restartPolicy: Never, ");
		kg_harness_push(&h, "o.yaml", text[0]);
		assert_int_equal(count_bound(h.s), 1);
		kg_harness_push(&h, "o.yaml", NULL);
		kg_harness_push(&h, "o.yaml", text[1]);
		kg_harness_let_go(&h);
		kg_harness_let_go(&h);
		if (count_bound(h.s) != 1)
			fail_msg("%s: %zu pods", text[0], count_bound(h.s));
		kg_harness_release(&h);
	}
}

#define CONFIG(name, more) "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name more "}\n"
#define REF(api, kind, name)                                                                       \
	"{apiVersion: " api ", kind: " kind ", name: " name ", blockOwnerDeletion: true}"

#define WAITS                                                                                      \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: o, annotations: {kgit/deletion: " \
	"foreground}}\nspec: {replicas: 0, selector: {matchLabels: {a: b}}, template: {metadata: " \
	"{labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}\n"

static bool has_waiting(const struct kg_harness *h)
{
	return kg_snapshot_get(h->s, KG_KIND_DEPLOYMENT, "default", "o") != NULL;
}

/* An owner that waits for what belongs to it goes when that is gone, which a finalizer holds. */
static void test_owner_let_go(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	h.check = true;
	kg_harness_push(&h, "o.yaml",
		WAITS "---\n" CONFIG("d", ", finalizers: [example.org/f], ownerReferences: [" REF(
						  "apps/v1", "Deployment", "o") "]"));
	kg_harness_push(&h, "o.yaml", NULL);
	assert_true(has_waiting(&h));
	kg_harness_push(&h, "d.yaml", CONFIG("d", ""));
	assert_false(has_waiting(&h));
	kg_harness_release(&h);
}

/* What another owner keeps holds up nobody's end (Kubernetes' collector drops the reference). */
static void test_owner_of_two(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	h.check = true;
	kg_harness_push(&h, "p.yaml", CONFIG("p", ""));
	kg_harness_push(&h, "o.yaml", WAITS);
	kg_harness_push(&h, "d.yaml",
		CONFIG("d", ", ownerReferences: [" REF("v1", "ConfigMap", "p") ", " REF(
				    "apps/v1", "Deployment", "o") "]"));
	kg_harness_push(&h, "o.yaml", NULL);
	assert_false(has_waiting(&h));
	const struct kg_object *d = kg_snapshot_get(h.s, KG_KIND_CONFIGMAP, "default", "d");
	const struct kg_value *refs = kg_at(kg_obj(d), "metadata.ownerReferences");
	assert_int_equal(kg_len(refs), 1);
	assert_string_equal(kg_string(kg_get(&refs->items[0], "name"), ""), "p");
	kg_harness_release(&h);
}

static void test_reports(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	h.check = true;
	add_node(&h, "one");
	push_pod(&h, 1);
	struct kg_arena a = KG_ARENA_INIT;
	const struct kg_object *pod = kg_snapshot_get(h.s, KG_KIND_POD, "default", "p1");
	struct kg_object *held = kg_object_ref(pod);
	struct kg_value running = kg_sim_running(&a, held, true, h.now);
	struct kg_input_pod_status r = {.node = "one",
		.ns = "default",
		.name = "p1",
		.uid = kg_object_uid(held),
		.status = running};
	struct kg_input_pod_status wrong[] = {r, r, r, r};
	wrong[0].uid = "another";
	wrong[1].node = "two";
	wrong[2].name = "p2";
	wrong[3].status = kg_v_null();
	wrong[3].gone = true; /* but it is not being deleted */
	struct kg_inputs in = {.pods = wrong, .npods = 4};
	struct kg_error err;
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	assert_int_equal(h.last.len, 0);
	in.pods = &r;
	in.npods = 1;
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	assert_int_equal(h.last.len, 1);
	pod = h.last.items[0].after;
	assert_true(kg_object_ready(pod));
	/* What the system decided stands, whatever the node says of it. */
	assert_string_equal(kg_string(kg_at(kg_obj(pod), "status.podIP"), ""),
		kg_string(kg_at(kg_obj(held), "status.podIP"), "?"));
	/* Finished is finished. */
	r.status = kg_test_yaml(&a, "{phase: Failed}");
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	r.status = running;
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	assert_int_equal(h.last.len, 0);
	kg_object_unref(held);
	kg_arena_release(&a);
	kg_harness_release(&h);
}

#define TOGGLED(image)                                                                             \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 0, "         \
	"selector: {matchLabels: {a: d}}, template: {metadata: {labels: {a: d}}, spec: "           \
	"{containers: [{name: c, image: " image "}]}}}\n"

/* A ReplicaSet that is current again and again does not note all its revisions. */
static void test_history_is_bounded(void **state)
{
	(void)state;
	struct kg_harness h;
	struct kg_object_iter it;
	const struct kg_object *rs;
	kg_harness_init(&h, NULL);
	for (int i = 0; i < 1200; i++)
		kg_harness_push(&h, "d.yaml", i % 2 ? TOGGLED("two") : TOGGLED("one"));
	kg_iter_kind(&it, h.s, KG_KIND_REPLICASET, NULL, NULL);
	while ((rs = kg_iter_next(&it))) {
		const char *history = kg_annotation(rs, KG_HISTORY_ANNOTATION, "");
		const char *last = strrchr(history, ',');
		assert_in_range(strlen(history), 1900, 2000);
		assert_non_null(last);
		assert_in_range(atoi(last + 1), 1197, 1198);
		assert_true(atoi(history) > 1);
	}
	kg_iter_release(&it);
	kg_harness_release(&h);
}

static void test_plan_is_bounded(void **state)
{
	(void)state;
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	add_node(&h, "one");
	kg_harness_push(&h, "d.yaml",
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 9\n"
		"  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n"
		"    spec: {containers: [{name: c, image: i}]}\n");
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	struct kg_plan_options o = {.max_lines = 2, .prefix = "> "};
	kg_plan_write(&b, &h.last, &o);
	assert_non_null(strstr(b.data, "> bound Pod default/d-"));
	assert_non_null(strstr(b.data, "\n> and 9 more\n"));
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_tolerations),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_small_range),
		cmocka_unit_test(test_range_of_ended_pods),
		cmocka_unit_test(test_state_heals),
		cmocka_unit_test(test_successor_runs),
		cmocka_unit_test(test_owner_let_go),
		cmocka_unit_test(test_owner_of_two),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_history_is_bounded),
		cmocka_unit_test(test_plan_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
