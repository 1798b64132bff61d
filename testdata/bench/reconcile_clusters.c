/* Clusters for the reconciler's benchmark: nodes, and what is desired. */
#include "reconcile_bench.h"

#include <stdio.h>
#include <string.h>

void must_run(struct kg_harness *h, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(h, in, &err) < 0) {
		fprintf(stderr, "reconcile: %s\n", err.msg);
		abort();
	}
}

void register_nodes(struct kg_harness *h, size_t n, bool ready)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_node *nodes = kg_alloc(n * sizeof(*nodes));
	struct kg_input_liveness *live = kg_alloc(n * sizeof(*live));
	struct kg_value alloc = kg_v_obj(&a, "cpu", kg_v_lit("16"), "memory", kg_v_lit("64Gi"),
		"pods", kg_v_lit("250"), (char *)NULL);
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
	must_run(h, &in);
	free(nodes);
	free(live);
	kg_arena_release(&a);
}

void add_nodes(struct kg_harness *h, size_t n)
{
	register_nodes(h, n, true);
}

void desire(struct kg_harness *h, const char *prefix, size_t n, size_t replicas, const char *cpu,
	const char *spec)
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
	must_run(h, &in);
	free(d);
	kg_arena_release(&a);
}

void all_ready(struct kg_harness *h, size_t n)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_liveness *live = kg_alloc(n * sizeof(*live));
	for (size_t i = 0; i < n; i++)
		live[i] = (struct kg_input_liveness){.name = kg_arena_printf(&a, "node-%04zu", i),
			.ready = true,
			.since = h->now};
	struct kg_inputs in = {.liveness = live, .nliveness = n};
	must_run(h, &in);
	free(live);
	kg_arena_release(&a);
}

size_t bound(const struct kg_snapshot *s)
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
