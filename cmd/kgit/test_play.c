#include "kgit/test_play.h"

#include "reconcile/plan.h"
#include "reconcile/simulate.h"
#include "sys/zone.h"

#include <stdio.h>
#include <string.h>

void kgit_play_fail(struct kgit_play *p, const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s: %s\n", p->dir, what, detail);
	p->failures++;
}

static void must_run(struct kgit_play *p, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(&p->h, in, &err) < 0)
		kgit_play_fail(p, "reconcile", err.msg);
}

/* What was put beside every run becomes the state. */
static void adopt(struct kgit_play *p, struct kg_txn *txn)
{
	struct kg_snapshot *next;
	struct kg_changes changes;
	kg_txn_finish(txn, &next, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(p->h.s);
	p->h.s = next;
	kg_reconcile_state_free(p->h.state);
	p->h.state = kg_reconcile_state_new(next, &p->h.opts);
}

/* What a node says of itself where the case does not. */
static struct kg_value roomy(struct kg_arena *a)
{
	struct kg_value all = kg_v_obj(a, "cpu", kg_v_lit("10k"), "ephemeral-storage",
		kg_v_lit("1Pi"), "memory", kg_v_lit("1Pi"), "pods", kg_v_lit("100k"), (char *)NULL);
	return kg_v_obj(a, "allocatable", all, "capacity", all, (char *)NULL);
}

/* And of what it is: what every node says, where the case does not. */
static struct kg_value usual_labels(
	struct kg_arena *a, const char *name, const struct kg_value *labels)
{
	struct kg_value all = kg_v_obj(a, "beta.kubernetes.io/arch", kg_v_lit("amd64"),
		"beta.kubernetes.io/os", kg_v_lit("linux"), "kubernetes.io/arch", kg_v_lit("amd64"),
		"kubernetes.io/hostname", kg_v_str(a, name), "kubernetes.io/os", kg_v_lit("linux"),
		(char *)NULL);
	for (uint32_t i = 0; i < kg_len(labels); i++)
		all = kg_with_key(a, &all, labels->members[i].key, labels->members[i].value);
	return all;
}

static void nodes_register(struct kgit_play *p, struct kg_arena *a, const struct kg_value *nodes)
{
	const struct kg_value list = *nodes;
	if (kg_is_null(nodes))
		return;
	for (uint32_t i = 0; i < kg_len(&list); i++) {
		const struct kg_value *n = &list.items[i], *status = kg_get(n, "status");
		struct kg_value room = kg_is_null(status) ? roomy(a) : *status;
		const char *name = kg_string(kg_get(n, "name"), "");
		struct kg_value labels = usual_labels(a, name, kg_get(n, "labels"));
		kg_harness_node(&p->h, name, &labels, &room, kg_bool(kg_get(n, "ready"), true));
	}
	/* Taints and cordons have no input of their own yet: they are put there. */
	struct kg_txn *txn = kg_txn_new(p->h.s);
	for (uint32_t i = 0; i < kg_len(&list); i++) {
		const struct kg_value *n = &list.items[i];
		const struct kg_object *obj = kg_snapshot_get(
			kg_txn_snapshot(txn), KG_KIND_NODE, "", kg_string(kg_get(n, "name"), ""));
		struct kg_value v = *kg_obj(obj);
		if (!kg_is_null(kg_get(n, "taints")))
			v = kg_with(a, &v, "spec.taints", *kg_get(n, "taints"));
		if (kg_bool(kg_get(n, "unschedulable"), false))
			v = kg_with(a, &v, "spec.unschedulable", kg_v_bool(true));
		kg_txn_put(txn, kg_object_with(obj, &v));
	}
	adopt(p, txn);
}

enum act { ACT_READY, ACT_UNREADY, ACT_FAILED, ACT_GONE, ACT_SETTLE, ACT_EXITED };

static struct kg_value exited(struct kg_arena *a, const struct kg_object *pod, int64_t code)
{
	const struct kg_value *cs = kg_at(kg_obj(pod), "spec.containers");
	struct kg_value *st = kg_arena_alloc(a, (kg_len(cs) + 1) * sizeof(*st));
	for (uint32_t i = 0; i < kg_len(cs); i++) {
		struct kg_value end = kg_v_obj(a, "exitCode", kg_v_int(code), (char *)NULL);
		st[i] = kg_v_obj(a, "name", *kg_get(&cs->items[i], "name"), "state",
			kg_v_obj(a, "terminated", end, (char *)NULL), (char *)NULL);
	}
	return kg_v_obj(a, "phase", kg_v_lit(code ? "Failed" : "Succeeded"), "containerStatuses",
		kg_v_array(a, st, kg_len(cs)), (char *)NULL);
}

static bool chosen(const struct kg_value *names, const char *name)
{
	if (!names)
		return true;
	for (uint32_t i = 0; i < kg_len(names); i++) {
		const char *s = kg_string(&names->items[i], "");
		if (strcmp(s, "*") == 0 || strncmp(name, s, strlen(s)) == 0)
			return true;
	}
	return false;
}

/* A prefix that no pod's name begins with is a slip, or the name has changed. */
static void must_match(struct kgit_play *p, const struct kg_value *names)
{
	for (uint32_t i = 0; i < kg_len(names); i++) {
		const char *s = kg_string(&names->items[i], "");
		struct kg_object_iter it;
		const struct kg_object *pod;
		bool found = strcmp(s, "*") == 0;
		kg_iter_kind(&it, p->h.s, KG_KIND_POD, NULL, NULL);
		while (!found && (pod = kg_iter_next(&it)))
			found = strncmp(pod->name, s, strlen(s)) == 0;
		kg_iter_release(&it);
		if (!found)
			kgit_play_fail(p, "no pod's name begins so", s);
	}
}

static bool node_is_ready(struct kgit_play *p, const char *name)
{
	const struct kg_object *n = kg_snapshot_get(p->h.s, KG_KIND_NODE, "", name);
	return n && kg_object_ready(n);
}

static bool report(struct kgit_play *p, struct kg_arena *a, const struct kg_object *pod,
	enum act act, int64_t code, struct kg_input_pod_status *out)
{
	const char *node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
	if (!*node || !node_is_ready(p, node))
		return false;
	if (act == ACT_SETTLE)
		act = kg_object_deleting(pod) ? ACT_GONE : ACT_READY;
	if (kg_pod_terminal(pod) && act != ACT_GONE)
		return false;
	if ((act == ACT_READY && kg_object_ready(pod)) ||
		(act == ACT_GONE && !kg_object_deleting(pod)))
		return false;
	*out = (struct kg_input_pod_status){.node = node,
		.ns = pod->ns,
		.name = pod->name,
		.uid = kg_object_uid(pod),
		.gone = act == ACT_GONE};
	if (act == ACT_FAILED)
		out->status = kg_v_obj(a, "phase", kg_v_lit("Failed"), "reason",
			kg_v_lit("Evicted"), (char *)NULL);
	else if (act == ACT_EXITED)
		out->status = exited(a, pod, code);
	else if (act != ACT_GONE)
		out->status = kg_sim_running(a, pod, act == ACT_READY, p->h.now);
	return true;
}

/* code: with which containers exit. */
static size_t act_on_pods(
	struct kgit_play *p, enum act act, int64_t code, const struct kg_value *names)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_pod_status *v = NULL;
	size_t n = 0, cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_snapshot *held = kg_snapshot_ref(p->h.s);
	must_match(p, names ? names : &kg_null);
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		KG_GROW(v, cap, n + 1);
		if (chosen(names, pod->name) && report(p, &a, pod, act, code, &v[n]))
			n++;
	}
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	if (n)
		must_run(p, &in);
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
	return n;
}

static void say_refused(struct kgit_play *p, const struct kg_input_eviction *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (**v[i].why)
			kg_buf_addf(&p->faults, "# not evicted Pod %s/%s: %s\n", v[i].ns, v[i].name,
				*v[i].why);
}

/* As `kgit evict` asks for it, of all at once. */
static void evict(struct kgit_play *p, const struct kg_value *names)
{
	struct kg_input_eviction *v = NULL;
	char(*why)[256] = NULL;
	size_t n = 0, cap = 0, words = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_snapshot *held = kg_snapshot_ref(p->h.s);
	must_match(p, names);
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		if (!chosen(names, pod->name))
			continue;
		KG_GROW(v, cap, n + 1);
		v[n++] = (struct kg_input_eviction){
			.ns = pod->ns, .name = pod->name, .uid = kg_object_uid(pod)};
	}
	kg_iter_release(&it);
	KG_GROW(why, words, n + 1);
	for (size_t i = 0; i < n; i++) {
		why[i][0] = '\0';
		v[i].why = &why[i];
	}
	struct kg_inputs in = {.evictions = v, .nevictions = n};
	if (n)
		must_run(p, &in);
	say_refused(p, v, n);
	free(v);
	free(why);
	kg_snapshot_unref(held);
}

static void advance(struct kgit_play *p, int64_t seconds)
{
	kg_time end = p->h.now + seconds * 1000;
	while (kg_harness_due(&p->h, end)) {
		struct kg_inputs in = {0};
		must_run(p, &in);
	}
}

static void settle(struct kgit_play *p)
{
	for (int i = 0; i < 100; i++) {
		advance(p, 1);
		if (act_on_pods(p, ACT_SETTLE, 0, NULL) == 0)
			return;
	}
	kgit_play_fail(p, "settle", "nodes still have something to do after 100 rounds");
}

static void liveness(struct kgit_play *p, const struct kg_value *names, bool ready)
{
	for (uint32_t i = 0; i < kg_len(names); i++)
		kg_harness_liveness(&p->h, kg_string(&names->items[i], ""), ready);
}

/* As if the state had been so when kgitd started. */
static void taint(struct kgit_play *p, const struct kg_value *arg)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_inputs in = {0};
	struct kg_txn *txn = kg_txn_new(p->h.s);
	const struct kg_object *obj = kg_snapshot_get(
		kg_txn_snapshot(txn), KG_KIND_NODE, "", kg_string(kg_get(arg, "node"), ""));
	struct kg_value v = kg_with(&a, kg_obj(obj), "spec.taints", *kg_get(arg, "taints"));
	kg_txn_put(txn, kg_object_with(obj, &v));
	adopt(p, txn);
	must_run(p, &in);
	kg_arena_release(&a);
}

/* Nodes make every pod ready after so many seconds, until nothing moves: the timeline of it. */
static void play(struct kgit_play *p, int64_t ready_s)
{
	struct kg_sim_options opts = {.reconcile = p->h.opts, .ready_ms = ready_s * 1000};
	struct kg_sim *sim = kg_sim_new(p->h.s, p->h.now, &opts);
	kg_time from = kg_sim_now(sim);
	struct kg_error err;
	int rc;
	while ((rc = kg_sim_next(sim, &err)) > 0) {
		char prefix[40];
		struct kg_plan_options words = {.prefix = prefix};
		snprintf(prefix, sizeof(prefix), "# %+.3fs ",
			(double)(kg_sim_now(sim) - from) / 1000);
		kg_plan_write(&p->timeline, kg_sim_changes(sim), &words);
	}
	if (rc < 0)
		kgit_play_fail(p, "play", err.msg);
	kg_snapshot_unref(p->h.s);
	p->h.s = kg_snapshot_ref(kg_sim_snapshot(sim));
	p->h.now = kg_sim_now(sim);
	kg_sim_free(sim);
	kg_reconcile_state_free(p->h.state);
	p->h.state = kg_reconcile_state_new(p->h.s, &p->h.opts);
	p->h.wake_at = KG_TIME_NEVER;
	struct kg_inputs nothing = {.full = true}; /* finds out when it is due next */
	must_run(p, &nothing);
}

/* What is said of pods whose names it is given; false: it is another step. */
static bool step_on_pods(struct kgit_play *p, const char *what, const struct kg_value *arg)
{
	static const struct {
		const char *name;
		enum act act;
	} steps[] = {{"ready", ACT_READY}, {"unready", ACT_UNREADY}, {"failed", ACT_FAILED},
		{"succeeded", ACT_EXITED}, {"gone", ACT_GONE}};
	for (size_t i = 0; i < KG_ARRAY_LEN(steps); i++) {
		if (strcmp(what, steps[i].name) != 0)
			continue;
		act_on_pods(p, steps[i].act, 0, arg);
		return true;
	}
	return false;
}

void kgit_play_step(struct kgit_play *p, const char *what, const struct kg_value *arg)
{
	if (step_on_pods(p, what, arg))
		return;
	if (strcmp(what, "push") == 0)
		kgit_play_push(p, kg_string(arg, "manifests"));
	else if (strcmp(what, "advance") == 0)
		advance(p, kg_int(arg, 0));
	else if (strcmp(what, "settle") == 0)
		settle(p);
	else if (strcmp(what, "exited") == 0)
		act_on_pods(p, ACT_EXITED, kg_int(kg_get(arg, "code"), 1), kg_get(arg, "pods"));
	else if (strcmp(what, "evict") == 0)
		evict(p, arg);
	else if (strcmp(what, "lost") == 0)
		liveness(p, arg, false);
	else if (strcmp(what, "back") == 0)
		liveness(p, arg, true);
	else if (strcmp(what, "taint") == 0)
		taint(p, arg);
	else
		play(p, kg_int(arg, 1));
}

void kgit_play_begin(struct kgit_play *p, const char *dir, const struct kg_value *nodes)
{
	struct kg_arena a = KG_ARENA_INIT;
	*p = (struct kgit_play){.dir = dir};
	kg_harness_init(&p->h, &(struct kg_reconcile_options){.zone = kg_zone_rule});
	p->h.check = true;
	nodes_register(p, &a, nodes);
	kg_arena_release(&a);
}

void kgit_play_end(struct kgit_play *p)
{
	kg_buf_release(&p->faults);
	kg_buf_release(&p->timeline);
	kgit_play_tree_release(&p->main);
	kg_harness_release(&p->h);
}
