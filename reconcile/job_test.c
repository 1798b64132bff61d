/* How a Job ends where one commit has several reasons to: the order of Kubernetes' syncJob. */
#include "reconcile/harness.h"
#include "reconcile/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Every pod ends: that of an index among `good` well, the others not. */
static bool ends(
	void *good, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	const char *index = kg_annotation(pod, "batch.kubernetes.io/job-completion-index", "?");
	bool well = strstr(*(const char *const *)good, index) != NULL;
	st->status = kg_v_obj(a, "phase", kg_v_lit(well ? "Succeeded" : "Failed"), (char *)NULL);
	return true;
}

static const struct {
	const char *spec, *good; /* indexes that succeed, of 0 to 2 */
	const char *type, *reason;
} cases[] = {
	{"backoffLimit: 9", "012", "Complete", "CompletionsReached"},
	{"backoffLimit: 9, successPolicy: {rules: [{succeededIndexes: '0'}]}", "0", "Complete",
		"SuccessPolicy"},
	{"backoffLimit: 9, successPolicy: {rules: [{succeededCount: 2}]}", "12", "Complete",
		"SuccessPolicy"},
	{"backoffLimit: 0, successPolicy: {rules: [{succeededIndexes: '0'}]}", "0", "Failed",
		"BackoffLimitExceeded"},
	{"backoffLimitPerIndex: 0, maxFailedIndexes: 1, successPolicy: {rules: "
	 "[{succeededIndexes: '0'}]}",
		"0", "Failed", "MaxFailedIndexesExceeded"},
	{"backoffLimitPerIndex: 0, successPolicy: {rules: [{succeededIndexes: '0'}]}", "01",
		"Failed", "FailedIndexes"},
	{"backoffLimitPerIndex: 0", "01", "Failed", "FailedIndexes"},
};

static void test_precedence(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_harness h;
		char text[600];
		kg_harness_init(&h, NULL);
		kg_harness_nodes(&h, 1, "8", "16Gi");
		h.check = true;
		snprintf(text, sizeof(text),
			"apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\n"
			"spec: {completionMode: Indexed, completions: 3, parallelism: 3, %s, "
			"template: {spec: {restartPolicy: Never, containers: [{name: c, image: "
			"i}]}}}\n",
			cases[i].spec);
		kg_harness_push(&h, "j.yaml", text);
		const char *good = cases[i].good;
		kg_harness_report(&h, ends, &good);
		const struct kg_object *job = kg_snapshot_get(h.s, KG_KIND_JOB, "default", "j");
		const struct kg_value *c =
			kg_condition(kg_get(kg_obj(job), "status"), cases[i].type);
		const char *reason = kg_string(kg_get(c, "reason"), "none");
		if (strcmp(reason, cases[i].reason) != 0)
			fail_msg("%s: %s %s", cases[i].spec, cases[i].type, reason);
		kg_harness_release(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_precedence)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
