/*
 * How quick reconcile is, in user CPU time:
 *   place     50,000 pods that wait, of 100 Deployments, when 5,000 nodes become ready: one run
 *             that binds them all, and its commit's changes; by what the pods ask for
 *   preempt   5,000 pods that each must evict another
 *   push      Deployments from YAML to bound pods and endpoints
 *   scale     one Deployment by one, in clusters of several sizes
 * reconcile_bench [place|preempt|push|scale]...; all without arguments.
 */
#include "base/map.h"
#include "reconcile/harness.h"
#include "reconcile/simulate.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* User CPU, so that a busy machine matters little. */
static double seconds(void)
{
	struct rusage ru;
	getrusage(RUSAGE_SELF, &ru);
	return (double)ru.ru_utime.tv_sec + (double)ru.ru_utime.tv_usec / 1e6;
}

static void register_nodes(struct kg_harness *h, size_t n, bool ready)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_node *nodes = kg_alloc(n * sizeof(*nodes));
	struct kg_input_liveness *live = kg_alloc(n * sizeof(*live));
	struct kg_value alloc = kg_v_obj(&a, "cpu", kg_v_lit("16"), "memory", kg_v_lit("64Gi"),
		"pods", kg_v_lit("250"), (char *)NULL);
	struct kg_error err;
	for (size_t i = 0; i < n; i++) {
		const char *name = kg_arena_printf(&a, "node-%04zu", i);
		struct kg_member labels[] = {
			{"topology.kubernetes.io/zone", kg_v_strf(&a, "zone-%zu", i % 10)},
			{"disk", kg_v_lit(i % 4 ? "hdd" : "ssd")}};
		nodes[i] = (struct kg_input_node){.name = name,
			.labels = kg_v_object(&a, labels, 2),
			.status = kg_v_obj(&a, "allocatable", alloc, (char *)NULL)};
		live[i] = (struct kg_input_liveness){.name = name, .ready = ready, .since = h->now};
	}
	struct kg_inputs in = {.nodes = nodes, .nnodes = n, .liveness = live, .nliveness = n};
	if (kg_harness_run(h, &in, &err) < 0)
		abort();
	free(nodes);
	free(live);
	kg_arena_release(&a);
}

static void add_nodes(struct kg_harness *h, size_t n)
{
	register_nodes(h, n, true);
}

/* n Deployments whose pods have this in their spec (%s is the app), straight to reconcile. */
static void desire(struct kg_harness *h, const char *prefix, size_t n, size_t replicas,
	const char *cpu, const char *spec)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_desired *d = kg_alloc(n * sizeof(*d));
	struct kg_error err;
	for (size_t i = 0; i < n; i++) {
		char app[64];
		snprintf(app, sizeof(app), "%s-%zu", prefix, i);
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		kg_buf_addf(&b,
			"apiVersion: apps/v1\nkind: Deployment\n"
			"metadata: {name: %s, namespace: default}\nspec:\n  replicas: %zu\n"
			"  selector: {matchLabels: {app: %s}}\n  template:\n"
			"    metadata: {labels: {app: %s, tier: web}}\n    spec:\n"
			"      containers: [{name: c, image: i, resources: {requests: {cpu: %s, "
			"memory: 64Mi}}}]\n",
			app, replicas, app, app, cpu);
		for (const char *p = spec; *p; p++) {
			if (p[0] == '@')
				kg_buf_adds(&b, app);
			else
				kg_buf_addc(&b, *p);
		}
		if (kg_yaml_load(&d[i].value, &a, b.data, b.len, &err) < 0)
			abort();
		d[i].kind = &kg_kinds[KG_KIND_DEPLOYMENT];
		d[i].ns = "default";
		d[i].name = kg_arena_strdup(&a, app);
		d[i].source = kg_arena_printf(&a, "%s.yaml", app);
	}
	struct kg_inputs in = {.desired = d, .ndesired = n};
	if (kg_harness_run(h, &in, &err) < 0)
		abort();
	free(d);
	kg_arena_release(&a);
}

static void all_ready(struct kg_harness *h, size_t n)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_liveness *live = kg_alloc(n * sizeof(*live));
	struct kg_error err;
	for (size_t i = 0; i < n; i++)
		live[i] = (struct kg_input_liveness){.name = kg_arena_printf(&a, "node-%04zu", i),
			.ready = true,
			.since = h->now};
	struct kg_inputs in = {.liveness = live, .nliveness = n};
	if (kg_harness_run(h, &in, &err) < 0)
		abort();
	free(live);
	kg_arena_release(&a);
}

static size_t bound(const struct kg_snapshot *s);

static void bench_place(const char *what, const char *spec)
{
	enum { NODES = 5000 };
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
	kg_harness_init(&h, &opts);
	register_nodes(&h, NODES, false);
	desire(&h, "d", 100, 500, "50m", spec);
	double t = seconds();
	all_ready(&h, NODES);
	t = seconds() - t;
	size_t n = bound(h.s);
	printf("place: %s: %d nodes: %zu pods bound in %.0f ms: %.0f pods/s\n", what, NODES, n,
		t * 1000, (double)n / t);
	kg_harness_release(&h);
}

static void bench_places(void)
{
	bench_place("basic", "");
	bench_place("node affinity",
		"      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
		"{nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, "
		"operator: In, values: [zone-1, zone-2, zone-3]}]}]}, "
		"preferredDuringSchedulingIgnoredDuringExecution: [{weight: 10, preference: "
		"{matchExpressions: [{key: disk, operator: In, values: [ssd]}]}}]}}\n");
	bench_place("pod anti-affinity",
		"      affinity: {podAntiAffinity: "
		"{requiredDuringSchedulingIgnoredDuringExecution: "
		"[{labelSelector: {matchLabels: {app: @}}, topologyKey: kubernetes.io/hostname}]}}"
		"\n");
	bench_place("pod affinity",
		"      affinity: {podAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
		"[{labelSelector: {matchLabels: {app: @}}, topologyKey: "
		"topology.kubernetes.io/zone}]}}\n");
	bench_place("pod affinity, preferred",
		"      affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: "
		"[{weight: 1, podAffinityTerm: {labelSelector: {matchLabels: {tier: web}}, "
		"topologyKey: kubernetes.io/hostname}}]}}\n");
	bench_place("topology spread",
		"      topologySpreadConstraints: [{maxSkew: 5, topologyKey: "
		"topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule, labelSelector: "
		"{matchLabels: {tier: web}}}]\n");
	bench_place("topology spread, by host",
		"      topologySpreadConstraints: [{maxSkew: 1, topologyKey: "
		"kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: "
		"{matchLabels: {app: @}}}]\n");
}

/* Every node is full of four pods of no importance, which run. */
static void bench_preempt(void)
{
	enum { NODES = 5000 };
	struct kg_reconcile_options opts = {.pod_cidr = "10.128.0.0/9"};
	struct kg_harness h;
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
	printf("preempt: %d nodes: %zu pods nominated, %zu evicted in %.0f ms: %.0f pods/s\n",
		NODES, nominated, n, t * 1000, (double)nominated / t);
	kg_harness_release(&h);
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
			.status = kg_sim_running(&a, pod, true, h->now)};
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
	enum { ROUNDS = 400 }; /* up and down again */
	for (size_t i = 1; i <= ROUNDS; i++) {
		char path[32];
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		deployment(&b, deployments, replicas + i % 2, true);
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

static void bench_push(void)
{
	bench_schedule(100, 1, 100);
	bench_schedule(1000, 400, 50);
	bench_schedule(5000, 1000, 50);
	bench_schedule(5000, 1500, 100);
}

static void bench_scale(void)
{
	bench_scale_one(1000, 600, 50);
	bench_scale_one(5000, 3000, 50);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} all[] = {{"place", bench_places}, {"preempt", bench_preempt}, {"push", bench_push},
		{"scale", bench_scale}};
	for (size_t i = 0; i < KG_ARRAY_LEN(all); i++) {
		bool wanted = argc < 2;
		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], all[i].name) == 0;
		if (wanted)
			all[i].fn();
	}
	return 0;
}
