/*
 * How quick reconcile is: pods placed a second on 1,000 and 5,000 nodes (a push of Deployments of
 * 50 replicas each, to bound pods and endpoints in a finished commit), and one Deployment scaled
 * by one among 150,000 pods.
 */
#include "base/map.h"
#include "reconcile/harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* CPU, so that a busy machine does not matter. */
static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_nodes(struct kg_harness *h, size_t n)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_node *nodes = kg_alloc(n * sizeof(*nodes));
	struct kg_input_liveness *live = kg_alloc(n * sizeof(*live));
	struct kg_value alloc = kg_v_obj(&a, "cpu", kg_v_lit("16"), "memory", kg_v_lit("64Gi"),
		"pods", kg_v_lit("250"), (char *)NULL);
	struct kg_error err;
	for (size_t i = 0; i < n; i++) {
		const char *name = kg_arena_printf(&a, "node-%04zu", i);
		nodes[i] = (struct kg_input_node){
			.name = name, .status = kg_v_obj(&a, "allocatable", alloc, (char *)NULL)};
		live[i] = (struct kg_input_liveness){.name = name, .ready = true, .since = h->now};
	}
	struct kg_inputs in = {.nodes = nodes, .nnodes = n, .liveness = live, .nliveness = n};
	if (kg_harness_run(h, &in, &err) < 0)
		abort();
	free(nodes);
	free(live);
	kg_arena_release(&a);
}

static void deployment(struct kg_buf *b, size_t i, size_t replicas, bool service)
{
	kg_buf_addf(b,
		"---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d-%zu}\nspec:\n"
		"  replicas: %zu\n  selector: {matchLabels: {app: d-%zu}}\n  template:\n"
		"    metadata: {labels: {app: d-%zu, tier: web}}\n    spec:\n      containers:\n"
		"      - {name: main, image: 'app:%zu', ports: [{containerPort: 80}],\n"
		"         resources: {requests: {cpu: 50m, memory: 64Mi}}}\n",
		i, replicas, i, i, i);
	if (service)
		kg_buf_addf(b,
			"---\napiVersion: v1\nkind: Service\nmetadata: {name: d-%zu}\n"
			"spec: {selector: {app: d-%zu}, ports: [{port: 80}]}\n",
			i, i);
}

static size_t bound(const struct kg_snapshot *s)
{
	size_t n = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		n += *kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "") != 0;
	kg_iter_release(&it);
	return n;
}

static void push_deployments(
	struct kg_harness *h, size_t from, size_t to, size_t replicas, bool service)
{
	char path[32];
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = from; i < to; i++)
		deployment(&b, i, replicas, service);
	snprintf(path, sizeof(path), "d-%zu.yaml", from);
	kg_harness_push(h, path, b.data);
}

/* All pods report that they run, in one commit. */
static void bench_status(struct kg_harness *h)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *held = kg_snapshot_ref(h->s);
	struct kg_input_pod_status *v = kg_alloc(held->objects[KG_KIND_POD].count * sizeof(*v));
	size_t n = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_error err;
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		v[n++] = (struct kg_input_pod_status){
			.node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""),
			.ns = pod->ns,
			.name = pod->name,
			.uid = kg_object_uid(pod),
			.status = kg_harness_running(&a, pod, true, h->now)};
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	double t = seconds();
	if (kg_harness_run(h, &in, &err) < 0)
		abort();
	t = seconds() - t;
	printf("status: %zu pods became ready in %.0f ms: %.0f pods/s\n", n, t * 1000,
		(double)n / t);
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
}

static void bench_schedule(size_t nodes, size_t deployments, size_t replicas)
{
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	kg_harness_init(&h, &opts);
	add_nodes(&h, nodes);
	double t = seconds();
	push_deployments(&h, 0, deployments, replicas, true);
	t = seconds() - t;
	size_t n = bound(h.s);
	printf("schedule: %zu nodes, %zu Deployments: %zu pods bound in %.0f ms: %.0f pods/s\n",
		nodes, deployments, n, t * 1000, (double)n / t);
	bench_status(&h);
	kg_harness_release(&h);
}

static void bench_scale_one(size_t nodes, size_t deployments, size_t replicas)
{
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	kg_harness_init(&h, &opts);
	add_nodes(&h, nodes);
	for (size_t i = 0; i < deployments; i += 200)
		push_deployments(&h, i, i + 200, replicas, true);
	push_deployments(&h, deployments, deployments + 1, replicas, true);
	double sum = 0, worst = 0;
	enum { ROUNDS = 20 };
	for (size_t i = 1; i <= ROUNDS; i++) {
		char path[32];
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		deployment(&b, deployments, replicas + i, true);
		snprintf(path, sizeof(path), "d-%zu.yaml", deployments);
		double t = seconds();
		kg_harness_push(&h, path, b.data);
		t = seconds() - t;
		sum += t;
		worst = t > worst ? t : worst;
	}
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	printf("scale by one: among %zu pods on %zu nodes: mean %.2f ms, worst %.2f ms; %ld MB "
	       "resident\n",
		bound(h.s), nodes, sum / ROUNDS * 1000, worst * 1000, ru.ru_maxrss / 1024);
	double t = seconds();
	struct kg_inputs in = {.full = true};
	struct kg_error err;
	if (kg_harness_run(&h, &in, &err) < 0)
		abort();
	printf("full run over the same: %.0f ms, %zu changes\n", (seconds() - t) * 1000,
		h.last.len);
	kg_harness_release(&h);
}

int main(void)
{
	bench_schedule(100, 1, 100);
	bench_schedule(1000, 400, 50);
	bench_schedule(5000, 1000, 50);
	bench_scale_one(5000, 3000, 50);
	return 0;
}
