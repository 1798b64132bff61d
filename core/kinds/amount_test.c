#include "kinds/amount.h"
#include "kinds/rules.h"
#include "value/testing.h"

static void test_quantities(void **state)
{
	static const struct {
		const char *quantity;
		int64_t milli, whole;
	} cases[] = {
		{"2", 2000, 2},
		{"1500m", 1500, 2},
		{"64Mi", 67108864000, 67108864},
		{"null", 0, 0},
		{"plenty", 0, 0},
		{"9223372036854775807", INT64_MAX, INT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_test_yaml(&a, cases[i].quantity);
		if (kg_amount_milli(&v) != cases[i].milli || kg_amount_whole(&v) != cases[i].whole)
			fail_msg("%s: %lld, %lld", cases[i].quantity,
				(long long)kg_amount_milli(&v), (long long)kg_amount_whole(&v));
	}
}

static const struct {
	const char *text, *canonical;
} quantities[] = {
	{"0", "0"},
	{"1", "1"},
	{"1000m", "1"},
	{"0.5", "500m"},
	{"1.5", "1500m"},
	{"100m", "100m"},
	{"1000", "1k"},
	{"1500", "1500"},
	{"1024Mi", "1Gi"},
	{"1.5Gi", "1536Mi"},
	{"0.5Gi", "512Mi"},
	{"512Ki", "512Ki"},
	{"0.001Ki", "1024m"},
	{"1000Mi", "1000Mi"},
	{"1e3", "1e3"},
	{"1E", "1E"},
	{"-1", "-1"},
	{"+2", "2"},
	{"0.1n", "1n"},
	{"123456789012345678901234567890", "9223372036854775807"},
	{"", NULL},
	{"x", NULL},
	{"1Gb", NULL},
	{"1 Gi", NULL},
	{"1.2.3", NULL},
};

static void test_canonical(void **state)
{
	struct kg_arena a = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(quantities); i++) {
		const char *got = kg_quantity_canonical(&a, quantities[i].text);
		if (!quantities[i].canonical)
			assert_null(got);
		else if (!got || strcmp(got, quantities[i].canonical) != 0)
			fail_msg("\"%s\": got %s, expected %s", quantities[i].text,
				got ? got : "nothing", quantities[i].canonical);
	}
	kg_arena_release(&a);
}

static void test_pods(void **state)
{
	static const struct {
		const char *spec;
		int64_t requests, limits, asked,
			scored; /* of cpu; scored: 100m for those that ask none */
	} cases[] = {
		{"{containers: [{name: a}]}", -1, -1, 0, 100},
		{"{containers: [{resources: {requests: {cpu: 0}}}]}", 0, -1, 0, 100},
		{"{containers: [{resources: {requests: {cpu: 1}}}, {name: b}]}", 1000, -1, 1000,
			1100},
		{"{containers: [{resources: {limits: {cpu: 2}}}]}", 2000, 2000, 2000, 2000},
		{"{containers: [{resources: {limits: {cpu: 2}, requests: {cpu: 500m}}}]}", 500,
			2000, 500, 500},
		{"{containers: [{resources: {requests: {cpu: 1}}}], initContainers: "
		 "[{resources: {requests: {cpu: 3}}}, {resources: {requests: {cpu: 2}}}]}",
			3000, -1, 3000, 3000},
		{"{containers: [{resources: {requests: {cpu: 1}}}], initContainers: "
		 "[{restartPolicy: Always, resources: {requests: {cpu: 2}}}, "
		 "{resources: {requests: {cpu: 500m}}}]}",
			3000, -1, 3000, 3000},
		{"{containers: [{resources: {requests: {cpu: 1}}}], initContainers: "
		 "[{resources: {requests: {cpu: 4}}}, "
		 "{restartPolicy: Always, resources: {requests: {cpu: 2}}}]}",
			4000, -1, 4000, 4000},
		{"{containers: [{resources: {requests: {cpu: 1}}}], initContainers: "
		 "[{restartPolicy: Always, resources: {requests: {cpu: 2}}}, "
		 "{resources: {requests: {cpu: 4}}}]}",
			6000, -1, 6000, 6000},
		{"{overhead: {cpu: 250m}, containers: [{name: a}]}", -1, -1, 250, 350},
		{"{containers: [{resources: {limits: {cpu: 8E}}}, {resources: {limits: {cpu: "
		 "8E}}}]}",
			INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX},
	};
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		KG_CLEANUP(kg_arena_release) struct kg_arena a = KG_ARENA_INIT;
		struct kg_value v = kg_test_yaml(&a, cases[i].spec);
		int64_t requests = kg_pod_milli(&v, "requests", "cpu");
		int64_t limits = kg_pod_milli(&v, "limits", "cpu");
		int64_t asked = kg_pod_request(&v, "cpu", 0);
		int64_t scored = kg_pod_request(&v, "cpu", 100);
		if (requests != cases[i].requests || limits != cases[i].limits ||
			asked != cases[i].asked || scored != cases[i].scored)
			fail_msg("%s: %lld, %lld, %lld, %lld", cases[i].spec, (long long)requests,
				(long long)limits, (long long)asked, (long long)scored);
	}
}

static void test_qos(void **state)
{
	(void)state;
	static const struct {
		const char *spec, *want;
	} cases[] = {
		{"{containers: [{name: a}]}", "BestEffort"},
		{"{containers: [{resources: {limits: {cpu: 1, memory: 1Gi}}}]}", "Guaranteed"},
		{"{containers: [{resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 1000m, "
		 "memory: 1024Mi}}}]}",
			"Guaranteed"},
		{"{containers: [{resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: "
		 "500m}}}]}",
			"Burstable"},
		{"{containers: [{resources: {limits: {cpu: 1, memory: 1Gi}}}, {name: b}]}",
			"Burstable"},
		{"{containers: [{resources: {requests: {memory: 1Gi}}}]}", "Burstable"},
	};
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		struct kg_arena a = KG_ARENA_INIT;
		struct kg_value spec = kg_test_yaml(&a, cases[i].spec);
		assert_string_equal(kg_pod_qos(&spec), cases[i].want);
		kg_arena_release(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantities),
		cmocka_unit_test(test_canonical),
		cmocka_unit_test(test_pods),
		cmocka_unit_test(test_qos),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
