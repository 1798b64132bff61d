/* What a quota counts of a pod that should be gone: one that a finalizer holds, without a node; and
 * claims of pods' own that it refuses, until there is room for them. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"
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

/* ---- claims of a pod's own ---- */

#define OWN(name)                                                                                  \
	"  - name: " name "\n    ephemeral: {volumeClaimTemplate: {spec: {accessModes: "           \
	"[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}\n"
#define POD(name)                                                                                  \
	"apiVersion: v1\nkind: Pod\nmetadata: {name: " name "}\nspec:\n  containers: [{name: "     \
	"c, image: i}]\n  volumes:\n"
#define CLAIM(name)                                                                                \
	"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: " name "}\nspec: "          \
	"{accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"
#define CLASS(name, dflt)                                                                          \
	"apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata:\n  name: " name              \
	"\n  annotations: {storageclass.kubernetes.io/is-default-class: \"" dflt                   \
	"\"}\nprovisioner: kgit.dev/local-path\nvolumeBindingMode: WaitForFirstConsumer\n"

/* Both are those that there are, of a pod "p" with the volumes "a" and "b". */
static void check_claims(const struct kg_harness *h, bool a, bool b)
{
	const enum kg_kind_id kind = KG_KIND_PERSISTENTVOLUMECLAIM;
	assert_int_equal(kg_snapshot_get(h->s, kind, "default", "p-a") != NULL, a);
	assert_int_equal(kg_snapshot_get(h->s, kind, "default", "p-b") != NULL, b);
}

static const char *message_of(const struct kg_object *pod)
{
	const struct kg_value *c = kg_condition(kg_at(kg_obj(pod), "status"), "PodScheduled");
	return kg_string(kg_get(c, "message"), "");
}

static const char *waits_for(const struct kg_harness *h)
{
	return message_of(kg_snapshot_get(h->s, KG_KIND_POD, "default", "p"));
}

static void begin_claims(struct kg_harness *h)
{
	kg_harness_init(h, NULL);
	h->check = true;
	kg_harness_nodes(h, 2, "4", "8Gi");
	kg_harness_push(h, "c.yaml", CLASS("gold", "true"));
}

static void test_refused_claim_is_remembered(void **state)
{
	(void)state;
	struct kg_harness h;
	begin_claims(&h);
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 0"));
	kg_harness_push(&h, "p.yaml", POD("p") OWN("a"));
	check_claims(&h, false, false);
	assert_non_null(strstr(waits_for(&h), "exceeded quota: q"));
	start_anew(&h);
	check_claims(&h, false, false);
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 1"));
	check_claims(&h, true, false);
	kg_harness_release(&h);
}

static void test_two_claims_and_two_quotas(void **state)
{
	(void)state;
	struct kg_harness h;
	begin_claims(&h);
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 1"));
	kg_harness_push(&h, "r.yaml", QUOTA("r", "requests.storage: 0"));
	kg_harness_push(&h, "p.yaml", POD("p") OWN("a") OWN("b"));
	check_claims(&h, false, false);
	kg_harness_push(&h, "r.yaml", QUOTA("r", "requests.storage: 1Gi"));
	check_claims(&h, true, false);
	assert_non_null(strstr(waits_for(&h), "exceeded quota: q"));
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 3"));
	check_claims(&h, true, false);
	assert_non_null(strstr(waits_for(&h), "exceeded quota: r"));
	start_anew(&h);
	kg_harness_push(&h, "r.yaml", QUOTA("r", "requests.storage: 2Gi"));
	check_claims(&h, true, true);
	kg_harness_release(&h);
}

/* Somebody else's claim takes the room, and gives it back. */
static void test_another_claim(void **state)
{
	(void)state;
	struct kg_harness h;
	begin_claims(&h);
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 2"));
	kg_harness_push(&h, "o.yaml", CLAIM("o"));
	kg_harness_push(&h, "p.yaml", POD("p") OWN("a") OWN("b"));
	check_claims(&h, true, false);
	assert_non_null(strstr(waits_for(&h), "used: persistentvolumeclaims=2"));
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 1"));
	check_claims(&h, true, false);
	kg_harness_push(&h, "o.yaml", "");
	check_claims(&h, true, false);
	assert_non_null(strstr(waits_for(&h), "used: persistentvolumeclaims=1"));
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 2"));
	check_claims(&h, true, true);
	kg_harness_release(&h);
}

/* What a pod waits for that lacks a claim is no node's doing. */
static void test_many_refused(void **state)
{
	(void)state;
	enum { NODES = 50, PODS = 40 };
	struct kg_harness h;
	kg_harness_init(&h, NULL);
	kg_harness_nodes(&h, NODES, "4", "8Gi");
	kg_harness_push(&h, "q.yaml", QUOTA("q", "persistentvolumeclaims: 0"));
	uint64_t looked = h.state->looked;
	kg_harness_push(&h, "r.yaml",
		"apiVersion: apps/v1\nkind: ReplicaSet\nmetadata: {name: r}\nspec:\n  replicas: "
		"40\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: "
		"b}}\n    spec:\n      containers: [{name: c, image: i}]\n      volumes: [{name: "
		"a, ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], "
		"resources: {requests: {storage: 1Gi}}}}}}]\n");
	assert_in_range(h.state->looked - looked, 0, 4 * PODS);
	struct kg_object_iter it;
	const struct kg_object *pod;
	size_t n = 0;
	kg_iter_kind(&it, h.s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		n++;
		assert_non_null(strstr(message_of(pod),
			"limited: persistentvolumeclaims=0. preemption: 0/50 nodes are available: "
			"50 Preemption is not helpful for scheduling."));
	}
	kg_iter_release(&it);
	assert_int_equal(n, PODS);
	kg_harness_release(&h);
}

/* "sss..." of n characters. */
static const char *long_name(struct kg_arena *a, size_t n)
{
	char *s = kg_arena_alloc(a, n + 1);
	memset(s, 's', n);
	s[n] = '\0';
	return s;
}

/* A claim is named after its pod and its volume: the pod says where that is too long. */
static void test_long_name(void **state)
{
	(void)state;
	struct kg_harness h;
	struct kg_arena a = KG_ARENA_INIT;
	for (size_t n = 248; n <= 249; n++) {
		/* NAME-0-a */
		const char *name = long_name(&a, n + 1);
		const char *pod = kg_arena_printf(&a, "%s-0", name);
		const char *text = kg_arena_printf(&a,
			"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: %s}\nspec:\n"
			"  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: "
			"{a: b}}\n    spec:\n      containers: [{name: c, image: i}]\n      "
			"volumes: [{name: a, ephemeral: {volumeClaimTemplate: {spec: {accessModes: "
			"[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}}]\n",
			name);
		begin_claims(&h);
		kg_harness_push(&h, "s.yaml", text);
		const struct kg_object *p = kg_snapshot_get(h.s, KG_KIND_POD, "default", pod);
		assert_non_null(p);
		const char *why = message_of(p);
		const char *claim = kg_arena_printf(&a, "%s-a", pod);
		bool fits = strlen(claim) <= 253;
		assert_int_equal(fits, n == 248);
		assert_int_equal(kg_snapshot_get(h.s, KG_KIND_PERSISTENTVOLUMECLAIM, "default",
					 claim) != NULL,
			fits);
		assert_int_equal(strstr(why, "must be no more than 253 characters") != NULL, !fits);
		kg_harness_release(&h);
	}
	kg_arena_release(&a);
}

/* Which class is the default says which quota's it is. */
static void test_class_of_a_refused_claim(void **state)
{
	(void)state;
	struct kg_harness h;
	begin_claims(&h);
	kg_harness_push(&h, "q.yaml",
		QUOTA("q", "gold.storageclass.storage.k8s.io/persistentvolumeclaims: 0"));
	kg_harness_push(&h, "p.yaml", POD("p") OWN("a"));
	check_claims(&h, false, false);
	kg_harness_push(&h, "c.yaml", CLASS("gold", "false"));
	check_claims(&h, true, false);
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_held_is_outlived),
		cmocka_unit_test(test_held_and_another_quota),
		cmocka_unit_test(test_refused_claim_is_remembered),
		cmocka_unit_test(test_two_claims_and_two_quotas),
		cmocka_unit_test(test_another_claim),
		cmocka_unit_test(test_many_refused),
		cmocka_unit_test(test_long_name),
		cmocka_unit_test(test_class_of_a_refused_claim),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
