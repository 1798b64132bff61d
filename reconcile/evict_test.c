/* Evictions: what PodDisruptionBudgets allow, and what becomes of pods that main defines. */
#include "reconcile/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "reconcile/simulate.h"

#include <stdio.h>
#include <string.h>

static const char web[] =
	"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3\n"
	"  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
	"    spec: {containers: [{name: c, image: a}]}\n";
static const char budget[] =
	"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: one}\n"
	"spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}\n";
static const char second[] =
	"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: two}\n"
	"spec: {minAvailable: 0, selector: {matchLabels: {app: web}}}\n";
static const char lone[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: lone}\n"
			   "spec: {containers: [{name: c, image: a}]}\n";

/* So many, at most, are ready; the others only run. */
struct health {
	size_t ready;
	kg_time now;
};

static bool says_running(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	struct health *x = ctx;

	if (kg_object_deleting(pod))
		return false;
	st->status = kg_sim_running(a, pod, x->ready > 0, x->now);
	x->ready -= x->ready > 0;
	return true;
}

/* The first pods of all are ready, the others run and are not. */
static void report(struct kg_harness *h, size_t ready)
{
	kg_harness_report(h, says_running, &(struct health){.ready = ready, .now = h->now});
}

static void begin(struct kg_harness *h)
{
	kg_harness_init(h, NULL);
	h->check = true;
	kg_harness_nodes(h, 1, "4", "8Gi");
}

/* All pods of web in one commit, with `text` pushed as one.yaml (NULL: nothing); how many were
 * granted, and the last refusal's reason. */
static unsigned evict_with(struct kg_harness *h, const char *text, char why[256])
{
	struct kg_input_eviction e[8];
	char words[8][256];
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_fault_list faults KG_CLEANUP(kg_faults_release) = {0};
	struct kg_admission ad = {0};
	struct kg_snapshot *held = kg_snapshot_ref(h->s);
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_error err;
	unsigned granted = 0;
	size_t n = 0;

	kg_faults_init(&faults, &a);
	struct kg_admission_file f = {
		.path = "one.yaml", .text = text, .len = text ? strlen(text) : 0};
	if (text)
		kg_admit(&ad, h->s, &f, 1, false, NULL, &a, &faults);
	assert_int_equal(kg_faults_errors(&faults), 0);
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)) && n < KG_ARRAY_LEN(e)) {
		e[n] = (struct kg_input_eviction){pod->ns, pod->name, "", &words[n]};
		n++;
	}
	kg_iter_release(&it);
	struct kg_inputs in = {
		.desired = ad.desired, .ndesired = ad.n, .evictions = e, .nevictions = n};
	assert_int_equal(kg_harness_run(h, &in, &err), 0);
	*why = '\0';
	for (size_t i = 0; i < n; i++) {
		granted += !*words[i];
		if (*words[i])
			memcpy(why, words[i], sizeof(words[i]));
	}
	kg_snapshot_unref(held);
	return granted;
}

static unsigned evict_all(struct kg_harness *h, char why[256])
{
	return evict_with(h, NULL, why);
}

static void test_budget(void **state)
{
	struct kg_harness h;
	char why[256];

	(void)state;
	begin(&h);
	kg_harness_push(&h, "web.yaml", web);
	kg_harness_push(&h, "one.yaml", budget);
	report(&h, SIZE_MAX);
	/* Two at once: the second one sees that the first one took what was allowed. */
	assert_int_equal(evict_all(&h, why), 1);
	assert_string_equal(why,
		"Cannot evict pod as it would violate the pod's disruption budget. The disruption "
		"budget one needs 2 healthy pods and has 2 currently");
	kg_harness_release(&h);
}

/* Pods that run but are not ready (kubernetes.io/docs/tasks/run-application/configure-pdb). */
static void test_unhealthy(void **state)
{
	static const struct {
		const char *spec;
		size_t ready;
		unsigned granted; /* of three */
	} cases[] = {
		{"minAvailable: 2", 2, 1}, /* the one that is not ready */
		{"minAvailable: 2", 1, 0},
		{"minAvailable: 2, unhealthyPodEvictionPolicy: IfHealthyBudget", 1, 0},
		{"minAvailable: 2, unhealthyPodEvictionPolicy: AlwaysAllow", 1, 2},
		{"minAvailable: 1", 2, 2}, /* one of each */
		{"minAvailable: 0", 0, 0}, /* nothing is to be healthy, nothing is allowed */
		{"minAvailable: 0, unhealthyPodEvictionPolicy: AlwaysAllow", 0, 3},
	};

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_harness h;
		char why[256], text[300];

		begin(&h);
		kg_harness_push(&h, "web.yaml", web);
		snprintf(text, sizeof(text),
			"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: one}\n"
			"spec: {%s, selector: {matchLabels: {app: web}}}\n",
			cases[i].spec);
		kg_harness_push(&h, "one.yaml", text);
		report(&h, cases[i].ready);
		unsigned granted = evict_all(&h, why);
		if (granted != cases[i].granted)
			fail_msg("%s: %u", cases[i].spec, granted);
		kg_harness_release(&h);
	}
}

/* It is the budget that counts that the same commit brings, changes or takes away. */
static void test_new_budget(void **state)
{
	static const struct {
		const char *before, *with;
		unsigned granted; /* of three */
	} cases[] = {
		{NULL, "minAvailable: 2", 1},
		{NULL, "maxUnavailable: 50%", 2},
		{NULL, "maxUnavailable: 34%", 2}, /* rounded up */
		{NULL, "minAvailable: 34%", 1},   /* rounded up */
		{"minAvailable: 3", "minAvailable: 1", 2},
		{"minAvailable: 1", "minAvailable: 3", 0},
		{"minAvailable: 3", "", 3},
	};
	static const char form[] =
		"apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: one}\n"
		"spec: {%s, selector: {matchLabels: {app: web}}}\n";

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_harness h;
		char why[256], text[2][300] = {"", ""};

		begin(&h);
		kg_harness_push(&h, "web.yaml", web);
		if (cases[i].before)
			snprintf(text[0], sizeof(text[0]), form, cases[i].before);
		if (*cases[i].with)
			snprintf(text[1], sizeof(text[1]), form, cases[i].with);
		if (*text[0])
			kg_harness_push(&h, "one.yaml", text[0]);
		report(&h, SIZE_MAX);
		unsigned granted = evict_with(&h, text[1], why);
		if (granted != cases[i].granted)
			fail_msg("%zu, %s: %u", i, cases[i].with, granted);
		kg_harness_release(&h);
	}
}

static void test_two_budgets(void **state)
{
	struct kg_harness h;
	char why[256];

	(void)state;
	begin(&h);
	kg_harness_push(&h, "web.yaml", web);
	kg_harness_push(&h, "one.yaml", budget);
	kg_harness_push(&h, "two.yaml", second);
	report(&h, SIZE_MAX);
	assert_int_equal(evict_all(&h, why), 0);
	assert_non_null(strstr(why, "more than one PodDisruptionBudget"));
	kg_harness_release(&h);
}

/* Its manifest is in main still: when it is gone its successor begins. */
static void test_bare_pod(void **state)
{
	struct kg_harness h;
	char why[256], uid[37];

	(void)state;
	begin(&h);
	kg_harness_push(&h, "lone.yaml", lone);
	report(&h, SIZE_MAX);
	const struct kg_object *pod = kg_snapshot_get(h.s, KG_KIND_POD, "default", "lone");
	memcpy(uid, kg_object_uid(pod), sizeof(uid));
	assert_int_equal(evict_all(&h, why), 1);
	pod = kg_snapshot_get(h.s, KG_KIND_POD, "default", "lone");
	assert_true(kg_object_deleting(pod));
	assert_string_equal(kg_object_uid(pod), uid);
	kg_harness_let_go(&h);
	pod = kg_snapshot_get(h.s, KG_KIND_POD, "default", "lone");
	assert_false(kg_object_deleting(pod));
	assert_string_not_equal(kg_object_uid(pod), uid);
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_unhealthy),
		cmocka_unit_test(test_new_budget),
		cmocka_unit_test(test_two_budgets),
		cmocka_unit_test(test_bare_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
