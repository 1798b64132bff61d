#include "nodeagent/admit.h"
#include "value/testing.h"

#define C(more) "{containers: [{name: c, " more "}]}"
#define ASKS(r) C("resources: {requests: {" r "}}")
#define PORT(p) C("ports: [{containerPort: 1, " p "}]")
#define NEEDS(es)                                                                                  \
	"{affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "              \
	"{nodeSelectorTerms: [" es "]}}}, containers: [{name: c}]}"
#define BEARS(t)  "{tolerations: [" t "], containers: [{name: c}]}"
#define EXPECT(m) "Node didn't have enough resource: " m
#define AFFINITY  "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
#define PORTS                                                                                      \
	"Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
#define TAINTED "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"

static const char room[] = "{cpu: '2', memory: 1Gi, ephemeral-storage: 10Gi, pods: '3', "
			   "hugepages-2Mi: 8Mi, hugepages-1Gi: '0'}";

/* A node (null: not known), a pod that is there, one that comes, and what is said of it. */
static const struct row {
	const char *node, *there, *comes, *reason, *message;
} rows[] = {
	{"null", NULL, C(""), NULL, NULL},
	{"null", ASKS("cpu: 500m"), ASKS("cpu: 1500m"), NULL, NULL},
	{"null", ASKS("cpu: 501m"), ASKS("cpu: 1500m"), "OutOfcpu",
		EXPECT("cpu, requested: 1500, used: 501, capacity: 2000")},
	{"null", ASKS("memory: 1Gi"), ASKS("memory: 1"), "OutOfmemory",
		EXPECT("memory, requested: 1, used: 1073741824, capacity: 1073741824")},
	{"null", ASKS("memory: 2Gi"), C(""), NULL, NULL}, /* who asks for nothing has room */
	{"null", NULL, ASKS("ephemeral-storage: 11Gi"), "OutOfephemeral-storage",
		EXPECT("ephemeral-storage, requested: 11811160064, used: 0, capacity: "
		       "10737418240")},
	/* cpu is told before memory; a limit is a request; so is the overhead; what starting up
	 * needs counts where it is more. */
	{"null", NULL, ASKS("memory: 2Gi, cpu: '3'"), "OutOfcpu",
		EXPECT("cpu, requested: 3000, used: 0, capacity: 2000")},
	{"null", C("resources: {limits: {cpu: '2'}}"), ASKS("cpu: 1m"), "OutOfcpu",
		EXPECT("cpu, requested: 1, used: 2000, capacity: 2000")},
	{"null", NULL,
		"{overhead: {cpu: 600m}, containers: [{name: c, resources: {requests: {cpu: "
		"1500m}}}]}",
		"OutOfcpu", EXPECT("cpu, requested: 2100, used: 0, capacity: 2000")},
	{"null", NULL,
		"{initContainers: [{name: i, resources: {requests: {cpu: '3'}}}], "
		"containers: [{name: c}]}",
		"OutOfcpu", EXPECT("cpu, requested: 3000, used: 0, capacity: 2000")},
	{"null", ASKS("hugepages-2Mi: 4Mi"), ASKS("hugepages-2Mi: 4Mi"), NULL, NULL},
	{"null", ASKS("hugepages-2Mi: 4Mi"), ASKS("hugepages-2Mi: 6Mi"), "OutOfhugepages-2Mi",
		EXPECT("hugepages-2Mi, requested: 6291456, used: 4194304, capacity: 8388608")},
	{"null", NULL, ASKS("hugepages-1Gi: 1Gi"), "OutOfhugepages-1Gi",
		EXPECT("hugepages-1Gi, requested: 1073741824, used: 0, capacity: 0")},
	/* ports */
	{"null", PORT("hostPort: 80"), PORT("hostPort: 80"), "NodePorts", PORTS},
	{"null", PORT("hostPort: 80"), PORT("hostPort: 81"), NULL, NULL},
	{"null", PORT("hostPort: 80"), PORT("hostPort: 80, protocol: UDP"), NULL, NULL},
	{"null", PORT("hostPort: 80, hostIP: 10.0.0.1"), PORT("hostPort: 80, hostIP: 10.0.0.2"),
		NULL, NULL},
	{"null", PORT("hostPort: 80, hostIP: 10.0.0.1"), PORT("hostPort: 80"), "NodePorts", PORTS},
	/* labels */
	{"{labels: {disk: ssd}}", NULL, "{nodeSelector: {disk: ssd}, containers: []}", NULL, NULL},
	{"{labels: {}}", NULL, "{nodeSelector: {disk: ssd}, containers: []}", "NodeAffinity",
		AFFINITY},
	{"null", NULL, "{nodeSelector: {disk: ssd}, containers: []}", NULL, NULL},
	{"{labels: {gen: '7'}}", NULL,
		NEEDS("{matchExpressions: [{key: gen, operator: Gt, values: ['6']}]}"), NULL, NULL},
	{"{labels: {gen: '7'}}", NULL,
		NEEDS("{matchExpressions: [{key: gen, operator: Gt, values: ['7']}]}"),
		"NodeAffinity", AFFINITY},
	{"{labels: {}}", NULL,
		NEEDS("{matchFields: [{key: metadata.name, operator: In, values: [n1]}]}"), NULL,
		NULL},
	{"{labels: {}}", NULL,
		NEEDS("{matchFields: [{key: metadata.name, operator: In, values: [n2]}]}, "
		      "{matchExpressions: [{key: x, operator: Exists}]}"),
		"NodeAffinity", AFFINITY},
	/* taints: those that drive away, and not those that only keep away */
	{"{taints: [{key: k, effect: NoExecute}]}", NULL, C(""), "TaintToleration", TAINTED},
	{"{taints: [{key: k, effect: NoExecute}]}", NULL, BEARS("{key: k, operator: Exists}"), NULL,
		NULL},
	{"{taints: [{key: k, effect: NoSchedule}]}", NULL, C(""), NULL, NULL},
	{"{taints: [{key: node.kubernetes.io/unreachable, effect: NoExecute}]}", NULL, C(""), NULL,
		NULL},
};

static struct kg_value pod(struct kg_arena *a, const char *spec)
{
	return kg_v_obj(a, "spec", kg_test_yaml(a, spec), (char *)NULL);
}

static void test_judgement(void **state)
{
	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_admit n KG_CLEANUP(kg_admit_release);
		struct kg_admit_refusal why = {"", ""};
		struct kg_value node = kg_test_yaml(&a, r->node), capacity = kg_test_yaml(&a, room);

		kg_admit_init(
			&n, "n1", kg_get(&node, "labels"), kg_get(&node, "taints"), &capacity);
		if (r->there) {
			struct kg_value there = pod(&a, r->there);
			kg_admit_count(&n, &there);
		}
		struct kg_value comes = pod(&a, r->comes);
		bool in = kg_admit_pod(&n, &comes, &why);
		if (in != !r->reason ||
			(r->reason && (strcmp(why.reason, r->reason) != 0 ||
					      strcmp(why.message, r->message) != 0)))
			fail_msg("%s, %s, %s: %d %s: %s", r->node, r->there ? r->there : "-",
				r->comes, in, why.reason, why.message);
	}
}

static void test_pods(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_admit n KG_CLEANUP(kg_admit_release);
	struct kg_admit_refusal why;
	struct kg_value capacity = kg_test_yaml(&a, room), p = pod(&a, C(""));

	(void)state;
	kg_admit_init(&n, "n1", &kg_null, &kg_null, &capacity);
	for (int i = 0; i < 3; i++) {
		assert_true(kg_admit_pod(&n, &p, &why));
		kg_admit_count(&n, &p);
	}
	assert_false(kg_admit_pod(&n, &p, &why));
	assert_string_equal(why.reason, "OutOfpods");
	assert_string_equal(why.message, EXPECT("pods, requested: 1, used: 3, capacity: 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_pods),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
