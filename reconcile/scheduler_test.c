/* Courses of events: pods that wait, preempt and are bound, over several commits. Every step is
 * held against a full run on a fresh state (harness.h). */
#include "reconcile/explain.h"
#include "reconcile/harness.h"
#include "reconcile/internal.h"
#include "reconcile/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void push(struct kg_harness *h, const char *yaml)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_desired d[8];
	size_t n = 0;
	struct kg_error err;
	for (const char *p = yaml; *p && n < 8;) {
		const char *end = strstr(p + 1, "---\n");
		size_t len = end ? (size_t)(end - p) : strlen(p);
		struct kg_value v;
		if (kg_yaml_load(&v, &a, p, len, &err) < 0)
			fail_msg("%.*s: %s", (int)len, p, err.msg);
		const struct kg_kind *kind = kg_kind_by_api(
			kg_string(kg_get(&v, "apiVersion"), ""), kg_string(kg_get(&v, "kind"), ""));
		d[n] = (struct kg_input_desired){.kind = kind,
			.ns = kg_string(kg_at(&v, "metadata.namespace"), ""),
			.name = kg_string(kg_at(&v, "metadata.name"), ""),
			.source = "x.yaml",
			.source_index = (unsigned)n};
		d[n++].value = v;
		p += len;
	}
	struct kg_inputs in = {.desired = d, .ndesired = n};
	if (kg_harness_run(h, &in, &err) < 0)
		fail_msg("%s", err.msg);
	h->now += 1000;
	kg_arena_release(&a);
}

static void nodes(struct kg_harness *h, size_t n, const char *cpu)
{
	struct kg_arena a = KG_ARENA_INIT;
	for (size_t i = 0; i < n; i++) {
		char name[32], zone[32];
		snprintf(name, sizeof(name), "n%zu", i);
		snprintf(zone, sizeof(zone), "z%zu", i % 3);
		struct kg_value alloc = kg_v_obj(
			&a, "cpu", kg_v_str(&a, cpu), "memory", kg_v_lit("8Gi"), (char *)NULL);
		struct kg_value status = kg_v_obj(&a, "allocatable", alloc, (char *)NULL);
		struct kg_member m = {"topology.kubernetes.io/zone", kg_v_str(&a, zone)};
		struct kg_value labels = kg_v_object(&a, &m, 1);
		kg_harness_node(h, name, &labels, &status, true);
	}
	kg_arena_release(&a);
}

static const struct kg_object *pod(struct kg_harness *h, const char *name)
{
	return kg_snapshot_get(h->s, KG_KIND_POD, "default", name);
}

static const char *node_of(struct kg_harness *h, const char *name)
{
	const struct kg_object *p = pod(h, name);
	return p ? kg_pod_node(p) : "gone";
}

static const char *status(struct kg_harness *h, const char *name, const char *field)
{
	return kg_string(kg_get(kg_get(kg_obj(pod(h, name)), "status"), field), "");
}

static const char *message(struct kg_harness *h, const char *name)
{
	return kg_string(
		kg_get(kg_condition(kg_get(kg_obj(pod(h, name)), "status"), "PodScheduled"),
			"message"),
		"");
}

static void report(struct kg_harness *h, const char *name, bool gone)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_error err;
	const struct kg_object *p = pod(h, name);
	struct kg_input_pod_status v = {.node = kg_pod_node(p),
		.ns = "default",
		.name = name,
		.uid = kg_object_uid(p),
		.gone = gone,
		.status = kg_sim_running(&a, p, true, h->now)};
	struct kg_inputs in = {.pods = &v, .npods = 1};
	if (kg_harness_run(h, &in, &err) < 0)
		fail_msg("%s", err.msg);
	h->now += 1000;
	kg_arena_release(&a);
}

#define POD(name, labels, spec)                                                                    \
	"---\napiVersion: v1\nkind: Pod\nmetadata: {name: " name                                   \
	", namespace: default, labels: {" labels                                                   \
	"}}\nspec: {terminationGracePeriodSeconds: 30, " spec "}\n"
#define CPU(n) "containers: [{name: c, image: i, resources: {requests: {cpu: '" n "'}}}]"

static void begin(struct kg_harness *h, size_t n)
{
	kg_harness_init(h, NULL);
	h->check = true;
	nodes(h, n, "4");
}

/* The victim is told, the preemptor is nominated and waits; what is freed is the preemptor's,
 * though another pod would fit sooner; then it is bound. */
static void test_preemption(void **state)
{
	(void)state;
	struct kg_harness h;
	begin(&h, 1);
	push(&h, POD("low", "", CPU("3")));
	report(&h, "low", false);
	assert_string_equal(node_of(&h, "low"), "n0");
	push(&h, POD("high", "", "priority: 10, " CPU("2")));
	assert_true(kg_object_deleting(pod(&h, "low")));
	const struct kg_value *c =
		kg_condition(kg_get(kg_obj(pod(&h, "low")), "status"), "DisruptionTarget");
	assert_string_equal(kg_string(kg_get(c, "reason"), ""), "PreemptionByScheduler");
	assert_string_equal(node_of(&h, "high"), "");
	assert_string_equal(status(&h, "high", "nominatedNodeName"), "n0");
	assert_string_equal(message(&h, "high"),
		"0/1 nodes are available: 1 Insufficient cpu. preemption: not eligible due to a "
		"terminating pod on the nominated node.");
	/* 1 of 4 is free, and promised. */
	push(&h, POD("small", "", CPU("1")));
	assert_string_equal(node_of(&h, "small"), "");
	report(&h, "low", true);
	assert_string_equal(node_of(&h, "high"), "n0");
	assert_string_equal(status(&h, "high", "nominatedNodeName"), "");
	assert_string_equal(node_of(&h, "small"), "n0");
	kg_harness_release(&h);
}

/* Two that want the same place do not evict twice; one who must not preempt waits. */
static void test_queue(void **state)
{
	(void)state;
	struct kg_harness h;
	begin(&h, 2);
	push(&h, POD("a", "", CPU("4")) POD("b", "", CPU("4")));
	report(&h, "a", false);
	report(&h, "b", false);
	push(&h, POD("never", "", "priority: 20, preemptionPolicy: Never, " CPU("4"))
			 POD("x", "", "priority: 10, " CPU("4")));
	assert_int_equal(kg_object_deleting(pod(&h, "a")) + kg_object_deleting(pod(&h, "b")), 1);
	assert_string_equal(message(&h, "never"),
		"0/2 nodes are available: 2 Insufficient cpu. preemption: not eligible due to "
		"preemptionPolicy=Never.");
	push(&h, POD("y", "", "priority: 10, " CPU("4")));
	assert_true(kg_object_deleting(pod(&h, "a")) && kg_object_deleting(pod(&h, "b")));
	report(&h, "a", true);
	report(&h, "b", true);
	/* The more important one did not ask, but comes first. */
	assert_string_not_equal(node_of(&h, "never"), "");
	kg_harness_release(&h);
}

/* Victims that no node has heard of are gone at once. */
static void test_unheard_of(void **state)
{
	(void)state;
	struct kg_harness h;
	begin(&h, 1);
	push(&h, POD("low", "", CPU("3")) POD("top", "", "priority: 10, " CPU("2")));
	assert_string_equal(node_of(&h, "top"), "n0");
	assert_string_equal(node_of(&h, "low"), "");
	kg_harness_release(&h);
}

static void test_gates(void **state)
{
	(void)state;
	struct kg_harness h;
	begin(&h, 1);
	push(&h, POD("p", "", "schedulingGates: [{name: example.com/quota}], " CPU("1")));
	assert_string_equal(node_of(&h, "p"), "");
	assert_string_equal(kg_string(kg_get(kg_condition(kg_get(kg_obj(pod(&h, "p")), "status"),
						     "PodScheduled"),
					      "reason"),
				    ""),
		"SchedulingGated");
	push(&h, POD("p", "", CPU("1")));
	assert_string_equal(node_of(&h, "p"), "n0");
	kg_harness_release(&h);
}

/* Six of one class, spread over three zones, never two on a host. */
static void test_spread(void **state)
{
	(void)state;
	struct kg_harness h;
	begin(&h, 6);
#define SPREAD                                                                                     \
	"topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, "      \
	"whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: s}}}], affinity: "   \
	"{podAntiAffinity: {requiredDuringSchedulingIgnoredDuringExecution: [{topologyKey: "       \
	"kubernetes.io/hostname, labelSelector: {matchLabels: {app: s}}}]}}, " CPU("1")
	push(&h, POD("a", "app: s", SPREAD) POD("b", "app: s", SPREAD) POD("c", "app: s", SPREAD)
			 POD("d", "app: s", SPREAD) POD("e", "app: s", SPREAD)
				 POD("f", "app: s", SPREAD) POD("g", "app: s", SPREAD));
	int zones[3] = {0};
	static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
	for (size_t i = 0; i < 6; i++) {
		const char *node = node_of(&h, names[i]);
		assert_string_not_equal(node, "");
		zones[(node[1] - '0') % 3]++;
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(node_of(&h, names[k]), node);
	}
	assert_true(zones[0] == 2 && zones[1] == 2 && zones[2] == 2);
	assert_string_equal(message(&h, "g"),
		"0/6 nodes are available: 6 node(s) didn't match pod anti-affinity rules. "
		"preemption: 0/6 nodes are available: 6 No preemption victims found for incoming "
		"pod.");
	kg_harness_release(&h);
}

/* ---- chance ---- */

enum { NODES = 6, PODS = 24 };

#define TERM(app, topology)                                                                        \
	"{labelSelector: {matchLabels: {app: " app "}}, topologyKey: " topology "}"
#define HARD "requiredDuringSchedulingIgnoredDuringExecution: ["
#define SOFT "preferredDuringSchedulingIgnoredDuringExecution: ["
#define ZONE "topology.kubernetes.io/zone"
#define HOST "kubernetes.io/hostname"

/* What a pod of app aK asks for. */
static const char *const wishes[] = {
	CPU("500m"),
	"affinity: {podAntiAffinity: {" HARD TERM("a1", HOST) "]}}, " CPU("100m"),
	"affinity: {podAntiAffinity: {" HARD TERM("a0", ZONE) "]}}, " CPU("100m"),
	"affinity: {podAffinity: {" HARD TERM("a0", ZONE) "]}}, " CPU("200m"),
	"affinity: {podAffinity: {" HARD TERM("a4", HOST) "]}}, " CPU("300m"),
	"topologySpreadConstraints: [{maxSkew: 1, topologyKey: " ZONE
	", whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: a5}}}], " CPU("1"),
	"topologySpreadConstraints: [{maxSkew: 1, topologyKey: " HOST
	", whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: a6}}}, {maxSkew: "
	"2, "
	"topologyKey: " ZONE
	", whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: a6}}}], " CPU("1"),
	"affinity: {podAffinity: {" SOFT "{weight: 5, podAffinityTerm: " TERM(
		"a0", ZONE) "}]}, podAntiAffinity: {" SOFT
			    "{weight: 9, podAffinityTerm: " TERM("a7", HOST) "}]}}, " CPU("200m"),
	"priority: 10, " CPU("3"),
	"containers: [{name: c, image: i, ports: [{containerPort: 80, hostPort: 80}]}]",
	"priority: 5, topologySpreadConstraints: [{maxSkew: 1, topologyKey: " ZONE
	", whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: a10}}}], " CPU("2"),
};

static void push_some(struct kg_harness *h, uint64_t *seed)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	size_t kind = kg_harness_chance(seed, KG_ARRAY_LEN(wishes)),
	       n = 1 + kg_harness_chance(seed, 4);
	size_t first = kg_harness_chance(seed, PODS);
	for (size_t i = first; i < first + n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "p%zu", i % PODS);
		if (pod(h, name) && pod(h, name)->source)
			continue;
		kg_buf_addf(&b,
			"---\napiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: "
			"default, labels: {app: a%zu}}\nspec: {%s}\n",
			name, kind, wishes[kind]);
	}
	if (b.len)
		push(h, b.data);
}

static void remove_one(struct kg_harness *h, const char *name)
{
	struct kg_input_desired d = {.kind = &kg_kinds[KG_KIND_POD], .ns = "default", .name = name};
	struct kg_inputs in = {.desired = &d, .ndesired = 1};
	struct kg_error err;
	if (kg_harness_run(h, &in, &err) < 0)
		fail_msg("%s", err.msg);
	h->now += 1000;
}

static void step(struct kg_harness *h, uint64_t *seed)
{
	char name[32];
	snprintf(name, sizeof(name), "p%llu", (unsigned long long)kg_harness_chance(seed, PODS));
	const struct kg_object *p = pod(h, name);
	switch (kg_harness_chance(seed, 6)) {
	case 0:
	case 1:
		push_some(h, seed);
		break;
	case 2:
		if (p && p->source)
			remove_one(h, name);
		break;
	case 3:
		snprintf(name, sizeof(name), "n%llu",
			(unsigned long long)kg_harness_chance(seed, NODES));
		kg_harness_liveness(h, name, kg_harness_chance(seed, 3) != 0);
		h->now += 1000;
		break;
	default:
		if (p && *kg_pod_node(p))
			report(h, name, kg_object_deleting(p));
	}
}

static int64_t cpu_of(const struct kg_object *p)
{
	int64_t milli = 0;
	kg_quantity_milli(&milli,
		kg_string(kg_at(kg_obj(p), "spec.containers.0.resources.requests.cpu"), "0"));
	return milli;
}

/* Nothing is promised twice, no port is taken twice. */
static void check_nodes(const struct kg_snapshot *s)
{
	struct kg_object_iter it;
	const struct kg_object *p;
	int64_t cpu[NODES] = {0}, ports[NODES] = {0};
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((p = kg_iter_next(&it))) {
		if (!*kg_pod_node(p) || kg_pod_terminal(p))
			continue;
		int i = atoi(kg_pod_node(p) + 1);
		cpu[i] += cpu_of(p);
		ports[i] += !kg_is_null(kg_at(kg_obj(p), "spec.containers.0.ports"));
		assert_true(cpu[i] <= 4000 && ports[i] <= 1);
	}
	kg_iter_release(&it);
}

static bool is_bound_in(const struct kg_snapshot *s, const struct kg_object *p)
{
	const struct kg_object *old = kg_snapshot_get_key(s, KG_KIND_POD, p->key);
	return old && *kg_pod_node(old) && strcmp(kg_object_uid(old), kg_object_uid(p)) == 0;
}

/* What was bound is what explaining says: the node fits, and is the best there was. */
static void check_bindings(const struct kg_harness *h, const struct kg_snapshot *before)
{
	for (size_t i = 0; i < h->last.len; i++) {
		const struct kg_object *p = h->last.items[i].after;
		if (!p || p->kind->id != KG_KIND_POD || !*kg_pod_node(p) || is_bound_in(before, p))
			continue;
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_explain ex;
		struct kg_error err;
		assert_int_equal(kg_scheduler_explain(&ex, &a, h->s, before, p, &h->opts, &err), 0);
		if (!ex.chosen || strcmp(ex.chosen, kg_pod_node(p)) != 0)
			fail_msg("%s is on %s, not on %s", p->key, kg_pod_node(p),
				ex.chosen ? ex.chosen : ex.message);
		kg_arena_release(&a);
	}
}

static uint64_t seeds = 10; /* scheduler_test N: more of them */

static void test_chance(void **state)
{
	(void)state;
	for (uint64_t k = 1; k <= seeds; k++) {
		uint64_t seed = k * UINT64_C(0x9e3779b97f4a7c15) + 1;
		struct kg_harness h;
		begin(&h, NODES);
		for (int i = 0; i < 120; i++) {
			struct kg_snapshot *before = kg_snapshot_ref(h.s);
			step(&h, &seed);
			check_nodes(h.s);
			if (kg_harness_one_round(&h))
				check_bindings(&h, before);
			kg_snapshot_unref(before);
		}
		kg_harness_release(&h);
	}
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seeds = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preemption),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_unheard_of),
		cmocka_unit_test(test_gates),
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_chance),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
