#include "kgit/forecast.h"

#include "reconcile/summary.h"
#include "sys/file.h"
#include "sys/loop.h"
#include "value/json.h"
#include "value/yaml.h"

#include <stdio.h>
#include <string.h>

#define MAX_NODE_FILE (1 << 20)

static void print_json(const struct kg_value *v)
{
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	kg_json_write_pretty(&out, v);
	puts(kg_buf_str(&out));
}

/* The plan's words, a text each: what nodes say is among them, and no operation of a plan. */
static struct kg_value lines_of(struct kg_arena *a, char *text)
{
	size_t n = 0, max = 1;
	char *line;

	for (const char *p = text; *p; p++)
		max += *p == '\n';
	struct kg_value *lines = kg_arena_alloc(a, max * sizeof(*lines));
	while ((line = strsep(&text, "\n")))
		if (*line)
			lines[n++] = kg_v_str(a, line);
	return kg_v_array(a, lines, n);
}

bool kgit_print_plan(const struct kg_changes *changes, bool json, bool show_id)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_plan_options opts = {0};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value v = kg_plan_value(&a, changes);

	kg_plan_write(&out, changes, &opts);
	if (json) {
		if (!show_id)
			v = kg_with(&a, &v, "plan", kg_v_null());
		if (out.len)
			v = kg_with(&a, &v, "lines", lines_of(&a, out.data));
		print_json(&v);
		return out.len > 0;
	}
	fputs(out.len ? out.data : "no change\n", stdout);
	if (out.len && show_id)
		printf("plan %s\n", kg_string(kg_get(&v, "plan"), ""));
	return out.len > 0;
}

/* ---- nodes that are not there ---- */

struct nodes {
	struct kg_input_node *items;
	struct kg_input_liveness *live;
	size_t n, cap, live_cap;
};

static void nodes_release(struct nodes *nodes)
{
	free(nodes->items);
	free(nodes->live);
}

/* A Node as kubectl get -o yaml gives it; what it can give to pods is at least told as capacity. */
static int add_node(struct nodes *nodes, struct kg_arena *a, const char *path,
	const struct kg_value *v, struct kg_error *err)
{
	const char *name = kg_string(kg_at(v, "metadata.name"), "");
	const struct kg_value *capacity = kg_at(v, "status.capacity");
	struct kg_value status = *kg_get(v, "status");

	if (strcmp(kg_string(kg_get(v, "kind"), ""), "Node") != 0 || !*name ||
		capacity->type != KG_OBJECT)
		return kg_fail(err, KG_E_INVALID,
			"%s: expected objects of kind Node with metadata.name and status.capacity",
			path);
	if (kg_is_null(kg_get(&status, "allocatable")))
		status = kg_with(a, &status, "allocatable", *capacity);
	KG_GROW(nodes->items, nodes->cap, nodes->n + 1);
	KG_GROW(nodes->live, nodes->live_cap, nodes->n + 1);
	nodes->items[nodes->n] = (struct kg_input_node){
		.name = name, .labels = *kg_at(v, "metadata.labels"), .status = status};
	nodes->live[nodes->n++] = (struct kg_input_liveness){.name = name,
		.ready = true,
		.reason = "KubeletReady",
		.message = "kubelet is posting ready status"};
	return 0;
}

static int read_nodes(
	struct nodes *nodes, struct kg_arena *a, const char *path, struct kg_error *err)
{
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_yaml_node *docs;
	size_t n = 0;
	int rc = kg_file_read(&text, path, MAX_NODE_FILE, err);

	if (rc < 0)
		return rc;
	rc = kg_yaml_parse(&docs, &n, a, kg_arena_strndup(a, kg_buf_str(&text), text.len), text.len,
		NULL, err);
	if (rc < 0)
		return kg_wrap(err, "%s", path);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct kg_value v = kg_yaml_value(a, &docs[i]);
		rc = add_node(nodes, a, path, &v, err);
	}
	return rc;
}

/* ---- the timeline ---- */

struct timeline {
	const struct kgit_forecast *f;
	struct kg_arena a;
	struct kg_value *steps; /* of JSON */
	size_t n, cap;
	kg_time from;
	bool any;
};

static void print_step(struct timeline *t, const struct kg_sim *sim)
{
	double at = (double)(kg_sim_now(sim) - t->from) / 1000;
	char prefix[40];
	struct kg_plan_options opts = {.prefix = prefix};
	struct kg_buf out KG_AUTOBUF = KG_BUF_INIT;

	snprintf(prefix, sizeof(prefix), "%+8.3fs ", at);
	kg_plan_write(&out, kg_sim_changes(sim), &opts);
	t->any = t->any || out.len > 0;
	if (!t->f->simulate || !out.len)
		return;
	if (!t->f->json) {
		fputs(out.data, stdout);
		return;
	}
	struct kg_value v = kg_plan_value(&t->a, kg_sim_changes(sim));
	KG_GROW(t->steps, t->cap, t->n + 1);
	t->steps[t->n++] = kg_v_obj(
		&t->a, "seconds", kg_v_float(at), "changes", *kg_get(&v, "changes"), (char *)NULL);
}

static const char *verdict(const struct kg_sim *sim)
{
	return kg_all_ready(kg_sim_snapshot(sim)) ? "all is ready" : "not everything is ready";
}

static void print_unready(const struct kg_snapshot *s)
{
	const struct kg_object *obj;
	struct kg_summary sum;

	for (int k = 0; k < KG_KIND_COUNT; k++) {
		struct kg_object_iter it KG_CLEANUP(kg_iter_release);

		kg_iter_kind(&it, s, (enum kg_kind_id)k, NULL, NULL);
		while ((obj = kg_iter_next(&it))) {
			kg_summarize(&sum, s, obj);
			if (sum.counts && !sum.ready)
				printf("  %s %s%s%s: %s%s%s\n", obj->kind->kind, obj->ns,
					*obj->ns ? "/" : "", obj->name, sum.state,
					*sum.reason ? ", " : "", sum.reason);
		}
	}
}

static void print_end(struct timeline *t, const struct kg_sim *sim)
{
	double at = (double)(kg_sim_now(sim) - t->from) / 1000;

	if (t->f->json) {
		struct kg_value v = kg_v_obj(&t->a, "timeline", kg_v_array(&t->a, t->steps, t->n),
			"seconds", kg_v_float(at), "ready",
			kg_v_bool(kg_all_ready(kg_sim_snapshot(sim))), (char *)NULL);
		print_json(&v);
		return;
	}
	printf("%s after %.3f s\n", verdict(sim), at);
	if (!kg_all_ready(kg_sim_snapshot(sim)))
		print_unready(kg_sim_snapshot(sim));
}

static void timeline_release(struct timeline *t)
{
	free(t->steps);
	kg_arena_release(&t->a);
}

/* Plays on to the end; prints each step, or what it all comes to. */
static int play(struct kg_sim *sim, const struct kg_snapshot *s, const struct kgit_forecast *f,
	struct kg_error *err)
{
	struct timeline t KG_CLEANUP(timeline_release) = {.f = f, .from = kg_sim_now(sim)};
	struct kg_changes net;
	int rc;

	print_step(&t, sim);
	while ((rc = kg_sim_next(sim, err)) > 0)
		print_step(&t, sim);
	if (rc < 0)
		return rc;
	if (f->simulate) {
		print_end(&t, sim);
		return t.any;
	}
	kgit_changes_between(&net, s, kg_sim_snapshot(sim));
	rc = kgit_print_plan(&net, f->json, false);
	kg_changes_release(&net);
	return rc;
}

int kgit_forecast(const struct kg_snapshot *s, const struct kg_admission *admission,
	const struct kgit_forecast *f, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct nodes nodes KG_CLEANUP(nodes_release) = {0};

	for (size_t i = 0; i < f->nadd; i++)
		if (read_nodes(&nodes, &a, f->add_nodes[i], err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < f->nwithout; i++)
		if (!kg_snapshot_get(s, KG_KIND_NODE, "", f->without_nodes[i]))
			return kg_fail(err, KG_E_NOT_FOUND,
				"--without-node: there is no node \"%s\"", f->without_nodes[i]);
	struct kg_inputs in = {.desired = admission->desired,
		.ndesired = admission->n,
		.nodes = nodes.items,
		.nnodes = nodes.n,
		.liveness = nodes.live,
		.nliveness = nodes.n};
	struct kg_sim *sim = kg_sim_new(s, kg_realtime_ms(), &f->sim);
	for (size_t i = 0; i < nodes.n; i++)
		nodes.live[i].since = kg_sim_now(sim);
	for (size_t i = 0; i < f->nwithout; i++)
		kg_sim_lose_node(sim, f->without_nodes[i]);
	int rc = kg_sim_apply(sim, &in, err);
	if (rc == 0 && (f->simulate || f->nwithout))
		rc = play(sim, s, f, err);
	else if (rc == 0)
		rc = kgit_print_plan(kg_sim_changes(sim), f->json, f->show_id);
	kg_sim_free(sim);
	return rc;
}
