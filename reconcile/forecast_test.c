/* Plans held against each other, and clusters played forward. */
#include "reconcile/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "reconcile/plan.h"
#include "reconcile/simulate.h"

#include <string.h>

#define DEPLOYMENT(n, image)                                                                       \
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: " n      \
	"\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: "      \
	"web}}\n    spec: {containers: [{name: c, image: '" image "'}]}\n"
#define MAP(value)                                                                                 \
	"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\ndata: {k: '" value "'}\n"

static struct kg_value node_status(struct kg_arena *a)
{
	struct kg_value room = kg_v_obj(a, "cpu", kg_v_lit("4"), "memory", kg_v_lit("8Gi"), "pods",
		kg_v_lit("110"), (char *)NULL);

	return kg_v_obj(a, "capacity", room, "allocatable", room, (char *)NULL);
}

static void begin(struct kg_harness *h)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value labels = kg_v_null(), status = node_status(&a);

	kg_harness_init(h, NULL);
	kg_harness_node(h, "n1", &labels, &status, true);
	kg_harness_node(h, "n2", &labels, &status, true);
}

static void id_of_push(char id[KG_PLAN_ID_LEN + 1], const char *before, const char *text)
{
	struct kg_harness h;

	begin(&h);
	if (before)
		kg_harness_push(&h, "other.yaml", before);
	kg_harness_push(&h, "web.yaml", text);
	kg_plan_id(id, &h.last);
	kg_harness_release(&h);
}

static void test_ids(void **state)
{
	char id[KG_PLAN_ID_LEN + 1], later[KG_PLAN_ID_LEN + 1], more[KG_PLAN_ID_LEN + 1];
	char other[KG_PLAN_ID_LEN + 1];

	(void)state;
	id_of_push(id, NULL, DEPLOYMENT("3", "a:1"));
	/* Other revisions, other uids, other pods' names: the same plan. */
	id_of_push(later, MAP("x"), DEPLOYMENT("3", "a:1"));
	id_of_push(more, NULL, DEPLOYMENT("4", "a:1"));
	id_of_push(other, NULL, DEPLOYMENT("3", "a:2"));
	assert_true(kg_plan_id_ok(id));
	assert_false(kg_plan_id_ok("0123"));
	assert_string_equal(id, later);
	assert_string_not_equal(id, more);
	assert_string_not_equal(id, other);
}

/* What a node says of a pod is no part of any plan. */
static void test_status_is_no_plan(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	char id[KG_PLAN_ID_LEN + 1], none[KG_PLAN_ID_LEN + 1];
	struct kg_changes no_changes = {0};
	struct kg_object_iter it;
	struct kg_harness h;
	struct kg_error err;

	(void)state;
	begin(&h);
	kg_harness_push(&h, "web.yaml", DEPLOYMENT("1", "a:1"));
	kg_iter_kind(&it, h.s, KG_KIND_POD, NULL, NULL);
	const struct kg_object *pod = kg_iter_next(&it);
	struct kg_input_pod_status st = {.node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""),
		.ns = pod->ns,
		.name = pod->name,
		.uid = kg_object_uid(pod),
		.status = kg_sim_running(&a, pod, true, h.now)};
	struct kg_inputs in = {.pods = &st, .npods = 1};
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	kg_iter_release(&it);
	assert_true(h.last.len > 0);
	kg_plan_id(id, &h.last);
	kg_plan_id(none, &no_changes);
	assert_string_equal(id, none);
	kg_harness_release(&h);
}

static bool says_ready(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	const struct kg_harness *h = ctx;

	if (kg_object_deleting(pod) ||
		strcmp(kg_string(kg_at(kg_obj(pod), "status.phase"), ""), "Running") == 0)
		return false;
	st->status = kg_sim_running(a, pod, true, h->now);
	return true;
}

/* Which pods go does not hang on how long the push was thought over: only on what was there. */
static void test_ids_do_not_age(void **state)
{
	static const kg_time waits[] = {0, 100, 600, 3000, 200000, 100000000};
	char ids[KG_ARRAY_LEN(waits)][KG_PLAN_ID_LEN + 1];

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(waits); i++) {
		struct kg_harness h;

		begin(&h);
		kg_harness_push(&h, "web.yaml", DEPLOYMENT("3", "a:1"));
		kg_harness_report(&h, says_ready, &h);
		h.now += 1500;
		kg_harness_push(&h, "web.yaml", DEPLOYMENT("6", "a:1"));
		kg_harness_report(&h, says_ready, &h);
		h.now += waits[i];
		kg_harness_push(&h, "web.yaml", DEPLOYMENT("3", "a:1"));
		kg_plan_id(ids[i], &h.last);
		assert_string_equal(ids[i], ids[0]);
		kg_harness_release(&h);
	}
}

static void test_value(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_harness h;

	(void)state;
	begin(&h);
	kg_harness_push(&h, "web.yaml", DEPLOYMENT("2", "a:1"));
	struct kg_value v = kg_plan_value(&a, &h.last);
	const struct kg_value *changes = kg_get(&v, "changes");
	assert_int_equal(kg_len(changes), 4); /* two pods, their ReplicaSet, the Deployment */
	assert_string_equal(kg_string(kg_get(&changes->items[0], "operation"), ""), "create");
	assert_string_equal(kg_string(kg_get(&changes->items[0], "kind"), ""), "Pod");
	assert_true(*kg_string(kg_get(&changes->items[0], "node"), ""));
	kg_harness_push(&h, "web.yaml", DEPLOYMENT("1", "a:1"));
	v = kg_plan_value(&a, &h.last);
	const struct kg_value *scaled = kg_find(kg_get(&v, "changes"), "kind", "Deployment");
	assert_string_equal(kg_string(kg_get(scaled, "operation"), ""), "scale");
	assert_int_equal(kg_int(kg_get(scaled, "from"), 0), 2);
	assert_int_equal(kg_int(kg_get(scaled, "to"), 0), 1);
	kg_harness_release(&h);
}

static int play_on(struct kg_sim *sim)
{
	struct kg_error err;
	int steps = 0, rc;

	while ((rc = kg_sim_next(sim, &err)) > 0)
		assert_true(++steps < 1000);
	assert_int_equal(rc, 0);
	return steps;
}

static void assert_pods(const struct kg_snapshot *s, unsigned want, const char *not_on)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pod;
	unsigned ready = 0;

	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		const struct kg_value *c =
			kg_find(kg_at(kg_obj(pod), "status.conditions"), "type", "Ready");
		const char *node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");

		if (strcmp(node, not_on) != 0)
			ready += strcmp(kg_string(kg_get(c, "status"), ""), "True") == 0;
	}
	assert_int_equal(ready, want);
}

/* A rollout to its end, and then a node that is lost: its pods are replaced on the other one. */
static void test_plays_forward(void **state)
{
	struct kg_sim_options opts = {.ready_ms = 2000};
	struct kg_inputs nothing = {0};
	struct kg_harness h;
	struct kg_error err;

	(void)state;
	begin(&h);
	kg_harness_push(&h, "web.yaml", DEPLOYMENT("4", "a:1"));
	struct kg_sim *sim = kg_sim_new(h.s, h.now, &opts);
	assert_true(play_on(sim) > 0);
	assert_pods(kg_sim_snapshot(sim), 4, "");
	assert_int_equal(kg_sim_now(sim) - h.now, 2000);
	struct kg_sim *later = kg_sim_new(kg_sim_snapshot(sim), kg_sim_now(sim), &opts);
	kg_sim_lose_node(later, "n1");
	assert_int_equal(kg_sim_apply(later, &nothing, &err), 0);
	play_on(later);
	assert_pods(kg_sim_snapshot(later), 4, "n1");
	kg_sim_free(later);
	kg_sim_free(sim);
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_ids_do_not_age),
		cmocka_unit_test(test_status_is_no_plan),
		cmocka_unit_test(test_value),
		cmocka_unit_test(test_plays_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
