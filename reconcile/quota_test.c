/* What a quota counts of a pod that should be gone: one that a finalizer holds, without a node. */
#include "reconcile/harness.h"
#include "value/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define QUOTA(name, hard)                                                                          \
	"apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: " name "}\nspec: {hard: {" hard     \
	"}}\n"
/* No manifest brings one about any more; a cluster that is older may hold one. Due 40 s after the
 * beginning. */
#define HELD                                                                                       \
	"{apiVersion: v1, kind: Pod, metadata: {name: h, namespace: default, uid: u, "             \
	"creationTimestamp: '2026-01-01T00:00:00Z', deletionTimestamp: '2026-01-01T00:00:10Z', "   \
	"deletionGracePeriodSeconds: 30, finalizers: [example.com/held]}, spec: {containers: "     \
	"[{name: c, image: i}]}}"

/* kgitd starts: nothing is remembered, and all is run. */
static void start_anew(struct kg_harness *h)
{
	struct kg_inputs in = {.full = true};
	struct kg_error err;
	kg_reconcile_state_free(h->state);
	h->state = kg_reconcile_state_new(h->s, &h->opts);
	assert_int_equal(kg_harness_run(h, &in, &err), 0);
}

static void begin_held(struct kg_harness *h)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_error err;
	struct kg_value v;
	assert_int_equal(kg_yaml_load(&v, &a, HELD, strlen(HELD), &err), 0);
	struct kg_object_spec spec = {
		.kind = &kg_kinds[KG_KIND_POD], .ns = "default", .name = "h", .value = &v};
	kg_harness_init(h, NULL);
	h->check = true;
	kg_harness_push(h, "q.yaml", QUOTA("q", "pods: 4, count/pods: 4"));
	struct kg_txn *txn = kg_txn_new(h->s);
	kg_snapshot_unref(h->s);
	kg_changes_release(&h->last);
	kg_txn_put(txn, kg_object_new(&spec));
	kg_txn_finish(txn, &h->s, &h->last);
	h->now += 20000;
	start_anew(h);
	kg_arena_release(&a);
}

static void check_used(const struct kg_harness *h, const char *quota, const char *what, char want)
{
	const struct kg_object *q = kg_snapshot_get(h->s, KG_KIND_RESOURCEQUOTA, "default", quota);
	const struct kg_value *used = kg_at(kg_obj(q), "status.used");
	const char text[] = {want, 0};
	assert_string_equal(kg_string(kg_get(used, what), ""), text);
}

static void test_held_is_outlived(void **state)
{
	(void)state;
	struct kg_harness h;
	struct kg_inputs in = {0};
	struct kg_error err;
	begin_held(&h);
	check_used(&h, "q", "pods", '1');
	kg_harness_push(&h, "r.yaml", QUOTA("r", "pods: 5"));
	check_used(&h, "r", "pods", '1');
	assert_int_equal(h.wake_at, KG_HARNESS_START + 40001);
	h.now = h.wake_at;
	assert_int_equal(kg_harness_run(&h, &in, &err), 0);
	for (int again = 0; again < 2; again++) {
		assert_non_null(kg_snapshot_get(h.s, KG_KIND_POD, "default", "h"));
		check_used(&h, "q", "pods", '0');
		check_used(&h, "q", "count/pods", '1');
		check_used(&h, "r", "pods", '0');
		start_anew(&h);
	}
	kg_harness_release(&h);
}

/* In the commit in which it is due at last, another quota comes. */
static void test_held_and_another_quota(void **state)
{
	(void)state;
	struct kg_harness h;
	begin_held(&h);
	check_used(&h, "q", "pods", '1');
	h.now = KG_HARNESS_START + 60000;
	kg_harness_push(&h, "r.yaml", QUOTA("r", "pods: 5"));
	for (int again = 0; again < 2; again++) {
		check_used(&h, "q", "pods", '0');
		check_used(&h, "q", "count/pods", '1');
		check_used(&h, "r", "pods", '0');
		start_anew(&h);
	}
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_is_outlived),
		cmocka_unit_test(test_held_and_another_quota),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
