/* Where the scheduler puts pods is held against a plain walk (placing_walk.h), in clusters at
 * random. */
#include "reconcile/harness.h"
#include "reconcile/placing_walk.h"
#include "reconcile/scheduler.h"
#include "reconcile/simulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 24, APPS = 12, STEPS = 60 };

static uint64_t seeds = 6; /* placing_test N: more of them */

/* ---- what a commit placed ---- */

static void check_pod(
	const struct kg_harness *h, const struct kg_snapshot *s, const struct kg_object *pod)
{
	char node[KG_WALK_NAME];
	kg_walk(node, &h->opts, s, pod);
	if (strcmp(node, kg_pod_node(pod)) != 0)
		fail_msg("%s is on '%s', not on '%s'", pod->key, kg_pod_node(pod), node);
}

static bool is_new_pod(const struct kg_change *c)
{
	return !c->before && c->after->kind->id == KG_KIND_POD;
}

/* The cluster when the pod's turn came. */
static struct kg_txn *as_seen(const struct kg_harness *h, const struct kg_object *pod)
{
	struct kg_txn *txn = kg_txn_new(h->s);
	for (size_t i = 0; i < h->last.len; i++) {
		const struct kg_object *other = h->last.items[i].after;
		if (is_new_pod(&h->last.items[i]) && kg_queue_cmp(other, pod) >= 0)
			kg_txn_delete(txn, KG_KIND_POD, other->ns, other->name);
	}
	return txn;
}

static size_t check_commit(const struct kg_harness *h)
{
	size_t n = 0;
	for (size_t i = 0; i < h->last.len && kg_harness_one_round(h); i++) {
		if (!is_new_pod(&h->last.items[i]))
			continue;
		struct kg_txn *txn = as_seen(h, h->last.items[i].after);
		check_pod(h, kg_txn_snapshot(txn), h->last.items[i].after);
		kg_txn_free(txn);
		n++;
	}
	return n;
}

/* ---- what happens ---- */

static const char *one_of(uint64_t *seed, const char *const *texts, size_t n)
{
	return texts[kg_harness_chance(seed, n)];
}
#define ONE_OF(seed, texts) one_of(seed, texts, KG_ARRAY_LEN(texts))

static const char *const topologies[] = {KG_HOSTNAME, KG_ZONE, KG_ZONE, "rack"};

static void add_node(struct kg_harness *h, uint64_t *seed, size_t i)
{
	static const char *const zones[] = {"a", "b", "c"};
	static const char *const disks[] = {"ssd", "hdd"};
	static const char *const cpus[] = {"2", "4", "4", "8"};
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value labels = kg_v_object(&a, NULL, 0);
	if (kg_harness_chance(seed, 8))
		labels = kg_with_key(&a, &labels, KG_ZONE, kg_v_lit(ONE_OF(seed, zones)));
	if (kg_harness_chance(seed, 4))
		labels = kg_with_key(&a, &labels, "disk", kg_v_lit(ONE_OF(seed, disks)));
	if (kg_harness_chance(seed, 4))
		labels = kg_with_key(&a, &labels, "rack",
			kg_v_strf(&a, "r%u", (unsigned)kg_harness_chance(seed, 6)));
	struct kg_value name = kg_v_lit("app:1"), names = kg_v_array(&a, &name, 1);
	struct kg_value image = kg_v_obj(
		&a, "names", names, "sizeBytes", kg_v_int(700 * 1024 * 1024), (char *)NULL);
	struct kg_value status = kg_v_obj(&a, "allocatable",
		kg_v_obj(&a, "cpu", kg_v_lit(ONE_OF(seed, cpus)), "memory", kg_v_lit("8Gi"), "pods",
			kg_v_lit(kg_harness_chance(seed, 5) ? "110" : "3"), (char *)NULL),
		"images", kg_v_array(&a, &image, kg_harness_chance(seed, 2)), (char *)NULL);
	kg_harness_node(h, kg_arena_printf(&a, "n%zu", i), &labels, &status, true);
	kg_arena_release(&a);
}

static void taint_node(struct kg_harness *h, uint64_t *seed)
{
	static const char *const specs[] = {
		"{}",
		"{unschedulable: true}",
		"{taints: [{key: t, effect: NoSchedule}]}",
		"{taints: [{key: t, effect: PreferNoSchedule}]}",
		("{taints: [{key: u, effect: PreferNoSchedule}, "
		 "{key: t, effect: PreferNoSchedule}]}"),
	};
	char path[32], text[256];
	unsigned i = (unsigned)kg_harness_chance(seed, NODES);
	snprintf(path, sizeof(path), "n%u.yaml", i);
	snprintf(text, sizeof(text),
		"apiVersion: v1\nkind: Node\nmetadata: {name: n%u}\nspec: %s\n", i,
		ONE_OF(seed, specs));
	kg_harness_push(h, path, text);
}

static void term(struct kg_buf *b, uint64_t *seed)
{
	kg_buf_addf(b, "{labelSelector: {matchLabels: {app: a%u}}, topologyKey: %s}",
		(unsigned)kg_harness_chance(seed, APPS), ONE_OF(seed, topologies));
}

static void near_and_away(struct kg_buf *b, uint64_t *seed, const char *what)
{
	if (!kg_harness_chance(seed, 3))
		return;
	kg_buf_addf(b, "%s: {", what);
	if (!kg_harness_chance(seed, 3)) {
		kg_buf_adds(b, HARD_LIST ": [");
		term(b, seed);
		kg_buf_adds(b, "], ");
	}
	kg_buf_addf(b, SOFT_LIST ": [{weight: %u, podAffinityTerm: ",
		1 + (unsigned)kg_harness_chance(seed, 100));
	term(b, seed);
	kg_buf_adds(b, "}]}, ");
}

static void spec(struct kg_buf *b, uint64_t *seed, unsigned app)
{
	static const char *const when[] = {"DoNotSchedule", "ScheduleAnyway"};
	static const char *const nodes[] = {"", "", "nodeSelector: {disk: ssd}, ",
		"tolerations: [{key: t, operator: Exists}], "};
	static const char *const schedulers[] = {
		"", "", "schedulerName: most-allocated-scheduler, "};
	static const char *const room[] = {
		"cpu: 1m, memory: 1Ki", "cpu: 50m, memory: 128Mi", "cpu: 1, memory: 1Gi"};
	static const char *const ports[] = {
		"", "", "", ", ports: [{containerPort: 1, hostPort: 80}]"};
	kg_buf_addf(b, "{%s%s", ONE_OF(seed, nodes), ONE_OF(seed, schedulers));
	if (!kg_harness_chance(seed, 3)) {
		kg_buf_adds(b, "affinity: {nodeAffinity: {" SOFT_LIST
			       ": [{weight: 7, preference: {matchExpressions: [{key: disk, "
			       "operator: Exists}]}}]}, ");
		near_and_away(b, seed, "podAffinity");
		near_and_away(b, seed, "podAntiAffinity");
		kg_buf_adds(b, "}, ");
	}
	if (kg_harness_chance(seed, 2)) {
		kg_buf_adds(b, "topologySpreadConstraints: [");
		const char *skip = ONE_OF(seed, topologies);
		for (size_t i = 0; i < 4; i += 1 + (i == 1)) {
			if (strcmp(topologies[i], skip) == 0)
				continue;
			kg_buf_addf(b,
				"{maxSkew: %u, topologyKey: %s, whenUnsatisfiable: %s, "
				"labelSelector: {matchLabels: {app: a%u}}, nodeTaintsPolicy: %s}, ",
				1 + (unsigned)kg_harness_chance(seed, 3), topologies[i],
				ONE_OF(seed, when), app,
				kg_harness_chance(seed, 2) ? "Honor" : "Ignore");
		}
		kg_buf_adds(b, "], ");
	}
	kg_buf_addf(b, "containers: [{name: c, image: '%s', resources: {requests: {%s}}%s}]}",
		kg_harness_chance(seed, 2) ? "app:1" : "other", ONE_OF(seed, room),
		ONE_OF(seed, ports));
}

static void push_app(struct kg_harness *h, uint64_t *seed)
{
	char path[32];
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	unsigned app = (unsigned)kg_harness_chance(seed, APPS);
	uint64_t course = 1 + app + kg_harness_chance(seed, 2) * APPS; /* two specs an app */
	snprintf(path, sizeof(path), "a%u.yaml", app);
	kg_buf_addf(&b,
		"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a%u}\nspec:\n"
		"  replicas: %u\n  selector: {matchLabels: {app: a%u}}\n"
		"  template: {metadata: {labels: {app: a%u}}, spec: ",
		app, (unsigned)kg_harness_chance(seed, 16), app, app);
	course = course * UINT64_C(0x9e3779b97f4a7c15) + *seed % 3;
	spec(&b, &course, app);
	kg_buf_adds(&b, "}\n");
	kg_harness_push(h, path, b.data);
}

/* How many placings were held against the walk. */
static size_t step(struct kg_harness *h, uint64_t *seed)
{
	h->now += 1000;
	switch (kg_harness_chance(seed, 10)) {
	case 0:
		add_node(h, seed, kg_harness_chance(seed, NODES));
		break;
	case 1:
		taint_node(h, seed);
		break;
	case 2:
		kg_harness_let_go(h);
		break;
	default:
		push_app(h, seed);
		break;
	}
	return check_commit(h);
}

static void test_walk(void **state)
{
	(void)state;
	size_t n = 0;
	for (uint64_t k = 1; k <= seeds; k++) {
		uint64_t seed = k * UINT64_C(0x9e3779b97f4a7c15) + 7;
		struct kg_harness h;
		kg_harness_init(&h, NULL);
		for (size_t i = 0; i < 3 + 7 * k % (NODES - 4); i++)
			add_node(&h, &seed, i);
		for (int i = 0; i < STEPS; i++)
			n += step(&h, &seed);
		kg_harness_release(&h);
	}
	print_message("%zu pods placed as the walk places them\n", n);
	assert_true(n > 20 * seeds);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		seeds = strtoull(argv[1], NULL, 10);
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_walk)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
