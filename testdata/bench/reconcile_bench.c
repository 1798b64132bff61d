/*
 * How quick reconcile is, in user CPU time: one figure a line, NAME VALUE UNIT (what is wanted).
 *   place_*      50,000 pods that wait, of 100 Deployments, when 5,000 nodes become ready: one run
 *                that binds them all, and its commit's changes; by what the pods ask for
 *   preempt      5,000 pods that each must evict another
 *   daemonset    a DaemonSet comes to a cluster: a pod a node, placed
 *   push_*       Deployments and Services from YAML to bound pods and endpoints
 *   status_*     all those pods become ready in one commit
 *   scale_*      one Deployment by one, in clusters of several sizes
 *   sim_steps    a simulated cluster with faults, what must hold checked after each step
 * reconcile_bench [--steps N] [PREFIX]...: figures whose names begin so; without arguments all.
 * N: the steps of sim_steps, 40,000 by default. Exits with 1 where one fell short.
 */
#include "reconcile_bench.h"
#include "base/map.h"
#include "reconcile/harness.h"
#include "reconcile/simulate.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* ---- figures ---- */

static int prefixes_n;
static char **prefixes;
static bool fell_short;

double seconds(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6;
}

bool wanted(const char *prefix)
{
	for (int i = 0; i < prefixes_n; i++) {
		size_t n = strlen(prefixes[i]), m = strlen(prefix);
		if (strncmp(prefixes[i], prefix, n < m ? n : m) == 0)
			return true;
	}
	return prefixes_n == 0;
}

void figure(const char *name, double value, const char *unit, enum wanted how, double wanted,
	const char *note)
{
	bool good = how == ANY || (how == LEAST ? value >= wanted : value <= wanted);
	char want[64] = "";
	if (how != ANY)
		snprintf(want, sizeof(want), "at %s %g: %s%s", how == LEAST ? "least" : "most",
			wanted, good ? "met" : "NOT MET", note ? "; " : "");
	printf("%-34s %11.3f %s", name, value, unit);
	if (*want || note)
		printf("  (%s%s)", want, note ? note : "");
	printf("\n");
	fflush(stdout);
	fell_short |= !good;
}

/* ---- place ---- */

static void bench_place(const char *name, const char *spec, double least)
{
	enum { NODES = 5000 };
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	if (!wanted(name))
		return;
	kg_harness_init(&h, &opts);
	register_nodes(&h, NODES, false);
	desire(&h, "d", 100, 500, "50m", spec);
	double t = seconds();
	all_ready(&h, NODES);
	t = seconds() - t;
	figure(name, (double)bound(h.s) / t, "pods/s", least > 0 ? LEAST : ANY, least,
		"50,000 pods, 5,000 nodes");
	kg_harness_release(&h);
}

static void bench_places(void)
{
	bench_place("place_basic", "", 50000);
	bench_place("place_node_affinity",
		"      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
		"{nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, "
		"operator: In, values: [zone-1, zone-2, zone-3]}]}]}, "
		"preferredDuringSchedulingIgnoredDuringExecution: [{weight: 10, preference: "
		"{matchExpressions: [{key: disk, operator: In, values: [ssd]}]}}]}}\n",
		20000);
	bench_place("place_pod_anti_affinity",
		"      affinity: {podAntiAffinity: "
		"{requiredDuringSchedulingIgnoredDuringExecution: "
		"[{labelSelector: {matchLabels: {app: @}}, topologyKey: kubernetes.io/hostname}]}}"
		"\n",
		10000);
	bench_place("place_pod_affinity",
		"      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
		"[{labelSelector: {matchLabels: {app: @}}, topologyKey: "
		"topology.kubernetes.io/zone}]}}\n",
		10000);
	bench_place("place_pod_affinity_preferred",
		"      affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
		"[{weight: 1, podAffinityTerm: {labelSelector: {matchLabels: {tier: web}}, "
		"topologyKey: kubernetes.io/hostname}}]}}\n",
		0);
	bench_place("place_topology_spread",
		"      topologySpreadConstraints: [{maxSkew: 5, topologyKey: "
		"topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: "
		"{matchLabels: {tier: web}}}]\n",
		10000);
	bench_place("place_topology_spread_by_host",
		"      topologySpreadConstraints: [{maxSkew: 1, topologyKey: "
		"kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: "
		"{matchLabels: {app: @}}}]\n",
		10000);
}

/* ---- preempt ---- */

/* Every node is full of four pods of no importance, which run. */
static void bench_preempt(void)
{
	enum { NODES = 5000 };
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	char note[100];
	if (!wanted("preempt"))
		return;
	kg_harness_init(&h, &opts);
	register_nodes(&h, NODES, true);
	desire(&h, "low", 20, 1000, "4", "");
	double t = seconds();
	desire(&h, "high", 5, 1000, "3", "      priority: 10\n");
	t = seconds() - t;
	size_t n = 0, nominated = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, h.s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		n += kg_object_deleting(pod);
		nominated += !kg_is_null(kg_at(kg_obj(pod), "status.nominatedNodeName"));
	}
	kg_iter_release(&it);
	snprintf(note, sizeof(note), "%zu pods nominated, %zu evicted, %d nodes", nominated, n,
		NODES);
	figure("preempt", (double)nominated / t, "pods/s", LEAST, 5000, note);
	kg_harness_release(&h);
}

/* ---- daemonset ---- */

static void bench_daemonset(void)
{
	enum { NODES = 5000 };
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	if (!wanted("daemonset"))
		return;
	kg_harness_init(&h, &opts);
	add_nodes(&h, NODES);
	double t = seconds();
	kg_harness_push(&h, "agent.yaml",
		"apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n"
		"  selector: {matchLabels: {app: agent}}\n  template:\n"
		"    metadata: {labels: {app: agent}}\n"
		"    spec: {containers: [{name: c, image: i}]}\n");
	t = seconds() - t;
	if (bound(h.s) != NODES)
		abort();
	figure("daemonset", t, "s", MOST, 1, "5,000 nodes, a pod each");
	kg_harness_release(&h);
}

/* ---- push, status ---- */

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

/* All pods report that they run, in one commit: microseconds a pod. */
static double bench_status(struct kg_harness *h)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *held = kg_snapshot_ref(h->s);
	struct kg_input_pod_status *v = kg_alloc(held->objects[KG_KIND_POD].count * sizeof(*v));
	size_t n = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		v[n++] = (struct kg_input_pod_status){
			.node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), ""),
			.ns = pod->ns,
			.name = pod->name,
			.uid = kg_object_uid(pod),
			.status = kg_sim_running(&a, pod, true, h->now)};
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	double t = seconds();
	must_run(h, &in);
	t = seconds() - t;
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
	return t * 1e6 / (double)n;
}

static void bench_schedule(size_t nodes, size_t deployments, size_t replicas, double most)
{
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	char push[40], status[40], note[100];
	snprintf(push, sizeof(push), "push_%zu", deployments * replicas);
	snprintf(status, sizeof(status), "status_%zu", deployments * replicas);
	if (!wanted(push) && !wanted(status))
		return;
	kg_harness_init(&h, &opts);
	add_nodes(&h, nodes);
	double t = seconds();
	push_deployments(&h, 0, deployments, replicas, true);
	t = seconds() - t;
	if (bound(h.s) != deployments * replicas)
		abort();
	snprintf(note, sizeof(note), "%zu Deployments x %zu, %zu nodes", deployments, replicas,
		nodes);
	figure(push, t, "s", most > 0 ? MOST : ANY, most, note);
	figure(status, bench_status(&h), "us/pod", ANY, 0, "all become ready in one commit");
	kg_harness_release(&h);
}

/* ---- scale ---- */

static long resident_mb(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return ru.ru_maxrss / 1024;
}

/* Milliseconds of one change, on average. */
static double scale_up_and_down(struct kg_harness *h, size_t which, size_t replicas)
{
	double sum = 0;
	enum { ROUNDS = 400 };
	for (size_t i = 1; i <= ROUNDS; i++) {
		char path[32];
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		deployment(&b, which, replicas + i % 2, true);
		snprintf(path, sizeof(path), "d-%zu.yaml", which);
		double t = seconds();
		kg_harness_push(h, path, b.data);
		sum += seconds() - t;
	}
	return sum / ROUNDS * 1000;
}

static double bench_scale_one(size_t nodes, size_t deployments, size_t replicas)
{
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	char name[40], note[100];
	kg_harness_init(&h, &opts);
	add_nodes(&h, nodes);
	for (size_t i = 0; i < deployments; i += 100)
		push_deployments(&h, i, i + 100, replicas, true);
	push_deployments(&h, deployments, deployments + 1, replicas, true);
	double ms = scale_up_and_down(&h, deployments, replicas);
	snprintf(name, sizeof(name), "scale_among_%zu", deployments * replicas);
	snprintf(note, sizeof(note), "%zu nodes, a Deployment of %zu with a Service; %ld MB", nodes,
		replicas, resident_mb());
	figure(name, ms, "ms", MOST, 1, note);
	double t = seconds();
	struct kg_inputs in = {.full = true};
	must_run(&h, &in);
	if (h.last.len)
		abort();
	snprintf(name, sizeof(name), "scale_full_run_%zu", deployments * replicas);
	figure(name, (seconds() - t) * 1000, "ms", ANY, 0, "all looked at, nothing to do");
	kg_harness_release(&h);
	return ms;
}

static void bench_push(void)
{
	bench_schedule(100, 1, 100, 0);
	bench_schedule(1000, 400, 50, 0);
	bench_schedule(5000, 1000, 50, 0);
	bench_schedule(5000, 1500, 100, 5);
}

static void bench_scale(void)
{
	if (!wanted("scale"))
		return;
	double small = bench_scale_one(500, 300, 50);
	bench_scale_one(5000, 300, 50);
	double large = bench_scale_one(5000, 3000, 50);
	figure("scale_growth", large / small, "times", MOST, 1.5,
		"150,000 pods on 5,000 nodes against 15,000 on 500");
}

int main(int argc, char **argv)
{
	size_t steps = 40000;
	prefixes = argv + 1;
	prefixes_n = argc - 1;
	if (prefixes_n && strcmp(prefixes[0], "--steps") == 0) {
		steps = prefixes_n > 1 ? strtoul(prefixes[1], NULL, 10) : 0;
		if (!steps) {
			fprintf(stderr, "--steps: a number of steps, at least 1, is to follow\n");
			return 2;
		}
		prefixes += 2;
		prefixes_n -= 2;
	}
	bench_places();
	bench_preempt();
	bench_daemonset();
	bench_push();
	bench_scale();
	bench_sim(steps);
	return fell_short;
}
