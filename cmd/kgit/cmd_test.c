/*
 * kgit test: golden cases, so that a team can hold its own manifests to what they come to, without
 * a cluster. The usage below says what a case is. Each step is also held against a full run with
 * its inputs turned round, and against what the stored records give back (reconcile/harness.h).
 */
#include "base/map.h"
#include "kgit/forecast.h"
#include "kgit/kgit.h"
#include "kgit/test_case.h"
#include "reconcile/harness.h"
#include "reconcile/plan.h"
#include "reconcile/simulate.h"
#include "store/store.h"
#include "sys/file.h"

#include <dirent.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define MAX_FILES 20000
#define MAX_FILE  (4 << 20)
#define MAX_DEPTH 16

struct tree {
	struct kg_admission_file *files; /* owned, with their paths and texts */
	size_t n;
};

struct golden {
	const char *dir;
	bool update;
	struct kg_harness h;
	struct tree main;
	struct kg_buf faults, timeline;
	int64_t code; /* of ACT_EXITED */
	int failures;
	size_t written; /* files of want/ */
};

/* ---- files ---- */

static void tree_release(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++) {
		free((void *)t->files[i].path);
		free((void *)t->files[i].text);
	}
	free(t->files);
	*t = (struct tree){0};
}

/* The files that a push of the directory would take. */
static int tree_read(struct tree *t, const char *dir, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_tree_file *found;
	size_t n;
	int rc = kg_dir_manifests(&found, &n, &a, dir, MAX_FILES, err);
	if (rc < 0)
		return rc;
	t->files = kg_alloc((n + 1) * sizeof(*t->files));
	for (size_t i = 0; rc == 0 && i < n; i++) {
		KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, found[i].path);
		struct kg_buf text = KG_BUF_INIT;
		rc = kg_file_read(&text, path, MAX_FILE, err);
		size_t len = text.len;
		t->files[t->n++] = (struct kg_admission_file){
			.path = kg_strdup(found[i].path), .len = len, .text = kg_buf_steal(&text)};
	}
	return rc;
}

static const struct kg_admission_file *tree_file(const struct tree *t, const char *path)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->files[i].path, path) == 0)
			return &t->files[i];
	return NULL;
}

static int read_other(void *ctx, const char *path, struct kg_buf *out)
{
	const struct kg_admission_file *f = tree_file(ctx, path);
	if (!f)
		return -KG_E_NOT_FOUND;
	kg_buf_add(out, f->text, f->len);
	return 0;
}

static void fail(struct golden *g, const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s: %s\n", g->dir, what, detail);
	g->failures++;
}

/* ---- steps ---- */

static void must_run(struct golden *g, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(&g->h, in, &err) < 0)
		fail(g, "reconcile", err.msg);
}

/* The difference of two trees as a push gives it to admission: changed and removed files. */
static size_t delta(struct kg_admission_file *out, const struct tree *from, const struct tree *to)
{
	size_t n = 0;
	for (size_t i = 0; i < to->n; i++) {
		const struct kg_admission_file *old = tree_file(from, to->files[i].path);
		if (!old || old->len != to->files[i].len ||
			memcmp(old->text, to->files[i].text, old->len) != 0)
			out[n++] = to->files[i];
	}
	for (size_t i = 0; i < from->n; i++)
		if (!tree_file(to, from->files[i].path))
			out[n++] = (struct kg_admission_file){.path = from->files[i].path};
	return n;
}

static void compare_all(
	struct golden *g, const struct kg_admission *ad, struct tree *to, size_t nfaults)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission all;
	kg_faults_init(&faults, &a);
	kg_admit(&all, g->h.s, to->files, to->n, true, read_other, to, &a, &faults);
	/* Where there are faults the two may find them in different files. */
	if (!kg_faults_errors(&faults) != !nfaults ||
		(nfaults == 0 &&
			(all.n != ad->n || all.created != ad->created ||
				all.changed != ad->changed || all.deleted != ad->deleted))) {
		char detail[200];
		snprintf(detail, sizeof(detail), "all: %zu faults, %zu inputs, +%zu ~%zu -%zu",
			kg_faults_errors(&faults), all.n, all.created, all.changed, all.deleted);
		fail(g, "the whole tree and the difference are judged differently", detail);
	}
	kg_faults_release(&faults);
	kg_arena_release(&a);
}

static void push(struct golden *g, const char *dir)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", g->dir, dir);
	struct tree to = {0};
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission ad;
	struct kg_error err;
	if (tree_read(&to, path, &err) < 0) {
		fail(g, path, err.msg);
		tree_release(&to);
		return;
	}
	struct kg_admission_file *files = kg_alloc((g->main.n + to.n + 1) * sizeof(*files));
	size_t n = delta(files, &g->main, &to);
	kg_faults_init(&faults, &a);
	kg_admit(&ad, g->h.s, files, n, false, read_other, &to, &a, &faults);
	compare_all(g, &ad, &to, kg_faults_errors(&faults));
	for (size_t i = 0; i < faults.len; i++) {
		kg_fault_format(&g->faults, &faults.items[i]);
		kg_buf_adds(&g->faults, "\n");
	}
	bool refused = kg_faults_errors(&faults) > 0;
	if (!refused) {
		struct kg_inputs in = {.desired = ad.desired, .ndesired = ad.n};
		if (kg_harness_run(&g->h, &in, &err) < 0) {
			kg_buf_addf(&g->faults, "%s: %s\n", kg_code_name(err.code), err.msg);
			refused = true;
		}
	}
	if (!refused) {
		struct tree old = g->main;
		g->main = to;
		to = old;
	}
	tree_release(&to);
	free(files);
	kg_faults_release(&faults);
	kg_arena_release(&a);
}

/* What was put beside every run becomes the state. */
static void adopt(struct golden *g, struct kg_txn *txn)
{
	struct kg_snapshot *next;
	struct kg_changes changes;
	kg_txn_finish(txn, &next, &changes);
	kg_changes_release(&changes);
	kg_snapshot_unref(g->h.s);
	g->h.s = next;
	kg_reconcile_state_free(g->h.state);
	g->h.state = kg_reconcile_state_new(next, &g->h.opts);
}

static void nodes_register(struct golden *g, struct kg_arena *a, const struct kg_value *nodes)
{
	const struct kg_value list = *nodes;
	if (kg_is_null(nodes))
		return;
	for (uint32_t i = 0; i < kg_len(&list); i++) {
		const struct kg_value *n = &list.items[i];
		kg_harness_node(&g->h, kg_string(kg_get(n, "name"), ""), kg_get(n, "labels"),
			kg_get(n, "status"), kg_bool(kg_get(n, "ready"), true));
	}
	/* Taints and cordons have no input of their own yet: they are put there. */
	struct kg_txn *txn = kg_txn_new(g->h.s);
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
	adopt(g, txn);
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
static void must_match(struct golden *g, const struct kg_value *names)
{
	for (uint32_t i = 0; i < kg_len(names); i++) {
		const char *s = kg_string(&names->items[i], "");
		struct kg_object_iter it;
		const struct kg_object *pod;
		bool found = strcmp(s, "*") == 0;
		kg_iter_kind(&it, g->h.s, KG_KIND_POD, NULL, NULL);
		while (!found && (pod = kg_iter_next(&it)))
			found = strncmp(pod->name, s, strlen(s)) == 0;
		kg_iter_release(&it);
		if (!found)
			fail(g, "no pod's name begins so", s);
	}
}

static bool node_is_ready(struct golden *g, const char *name)
{
	const struct kg_object *n = kg_snapshot_get(g->h.s, KG_KIND_NODE, "", name);
	return n && strcmp(kg_string(kg_get(kg_find(kg_at(kg_obj(n), "status.conditions"), "type",
						    "Ready"),
					     "status"),
				   ""),
			    "True") == 0;
}

static bool report(struct golden *g, struct kg_arena *a, const struct kg_object *pod, enum act act,
	struct kg_input_pod_status *out)
{
	const char *node = kg_string(kg_at(kg_obj(pod), "spec.nodeName"), "");
	const struct kg_value *ready =
		kg_find(kg_at(kg_obj(pod), "status.conditions"), "type", "Ready");
	bool is_ready = strcmp(kg_string(kg_get(ready, "status"), ""), "True") == 0;
	const char *phase = kg_string(kg_at(kg_obj(pod), "status.phase"), "");
	bool ended = strcmp(phase, "Failed") == 0 || strcmp(phase, "Succeeded") == 0;
	if (!*node || !node_is_ready(g, node))
		return false;
	if (act == ACT_SETTLE)
		act = kg_object_deleting(pod) ? ACT_GONE : ACT_READY;
	if (ended && act != ACT_GONE)
		return false;
	if ((act == ACT_READY && is_ready) || (act == ACT_GONE && !kg_object_deleting(pod)))
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
		out->status = exited(a, pod, g->code);
	else if (act != ACT_GONE)
		out->status = kg_sim_running(a, pod, act == ACT_READY, g->h.now);
	return true;
}

static size_t act_on_pods(struct golden *g, enum act act, const struct kg_value *names)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_input_pod_status *v = NULL;
	size_t n = 0, cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	struct kg_snapshot *held = kg_snapshot_ref(g->h.s);
	must_match(g, names ? names : &kg_null);
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		KG_GROW(v, cap, n + 1);
		if (chosen(names, pod->name) && report(g, &a, pod, act, &v[n]))
			n++;
	}
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	if (n)
		must_run(g, &in);
	free(v);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
	return n;
}

static void advance(struct golden *g, int64_t seconds)
{
	kg_time end = g->h.now + seconds * 1000;
	while (g->h.wake_at <= end) {
		struct kg_inputs in = {0};
		g->h.now = g->h.wake_at > g->h.now ? g->h.wake_at : g->h.now + 1;
		must_run(g, &in);
	}
	g->h.now = end;
}

static void settle(struct golden *g)
{
	for (int i = 0; i < 100; i++) {
		advance(g, 1);
		if (act_on_pods(g, ACT_SETTLE, NULL) == 0)
			return;
	}
	fail(g, "settle", "nodes still have something to do after 100 rounds");
}

static void liveness(struct golden *g, const struct kg_value *names, bool ready)
{
	for (uint32_t i = 0; i < kg_len(names); i++)
		kg_harness_liveness(&g->h, kg_string(&names->items[i], ""), ready);
}

static void exit_pods(struct golden *g, const struct kg_value *arg)
{
	g->code = kg_int(kg_get(arg, "code"), 1);
	act_on_pods(g, ACT_EXITED, kg_get(arg, "pods"));
	g->code = 0;
}

/* As if the state had been so when kgitd started. */
static void taint(struct golden *g, const struct kg_value *arg)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_inputs in = {0};
	struct kg_txn *txn = kg_txn_new(g->h.s);
	const struct kg_object *obj = kg_snapshot_get(
		kg_txn_snapshot(txn), KG_KIND_NODE, "", kg_string(kg_get(arg, "node"), ""));
	struct kg_value v = kg_with(&a, kg_obj(obj), "spec.taints", *kg_get(arg, "taints"));
	kg_txn_put(txn, kg_object_with(obj, &v));
	adopt(g, txn);
	must_run(g, &in);
	kg_arena_release(&a);
}

/* Nodes make every pod ready after so many seconds, until nothing moves: the timeline of it. */
static void play(struct golden *g, int64_t ready_s)
{
	struct kg_sim_options opts = {.reconcile = g->h.opts, .ready_ms = ready_s * 1000};
	struct kg_sim *sim = kg_sim_new(g->h.s, g->h.now, &opts);
	kg_time from = kg_sim_now(sim);
	struct kg_error err;
	int rc;
	while ((rc = kg_sim_next(sim, &err)) > 0) {
		char prefix[40];
		struct kg_plan_options words = {.prefix = prefix};
		snprintf(prefix, sizeof(prefix), "# %+.3fs ",
			(double)(kg_sim_now(sim) - from) / 1000);
		kg_plan_write(&g->timeline, kg_sim_changes(sim), &words);
	}
	if (rc < 0)
		fail(g, "play", err.msg);
	kg_snapshot_unref(g->h.s);
	g->h.s = kg_snapshot_ref(kg_sim_snapshot(sim));
	g->h.now = kg_sim_now(sim);
	kg_sim_free(sim);
	kg_reconcile_state_free(g->h.state);
	g->h.state = kg_reconcile_state_new(g->h.s, &g->h.opts);
	g->h.wake_at = KG_TIME_NEVER;
	struct kg_inputs nothing = {.full = true}; /* finds out when it is due next */
	must_run(g, &nothing);
}

static void step(struct golden *g, const char *what, const struct kg_value *arg)
{
	if (strcmp(what, "push") == 0)
		push(g, kg_string(arg, "manifests"));
	else if (strcmp(what, "advance") == 0)
		advance(g, kg_int(arg, 0));
	else if (strcmp(what, "settle") == 0)
		settle(g);
	else if (strcmp(what, "ready") == 0)
		act_on_pods(g, ACT_READY, arg);
	else if (strcmp(what, "unready") == 0)
		act_on_pods(g, ACT_UNREADY, arg);
	else if (strcmp(what, "failed") == 0)
		act_on_pods(g, ACT_FAILED, arg);
	else if (strcmp(what, "succeeded") == 0)
		act_on_pods(g, ACT_EXITED, arg);
	else if (strcmp(what, "exited") == 0)
		exit_pods(g, arg);
	else if (strcmp(what, "gone") == 0)
		act_on_pods(g, ACT_GONE, arg);
	else if (strcmp(what, "lost") == 0)
		liveness(g, arg, false);
	else if (strcmp(what, "back") == 0)
		liveness(g, arg, true);
	else if (strcmp(what, "taint") == 0)
		taint(g, arg);
	else
		play(g, kg_int(arg, 1));
}

/* ---- what came out ---- */

static void render(struct kg_buf *out, struct golden *g, const struct kg_snapshot *before)
{
	struct kg_changes c;
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_plan_options opts = {.prefix = "# "};
	kgit_changes_between(&c, before, g->h.s);
	if (g->faults.len)
		kg_buf_addf(out, "%s", g->faults.data);
	if (g->timeline.len)
		kg_buf_add(out, g->timeline.data, g->timeline.len);
	else
		kg_plan_write(out, &c, &opts);
	for (size_t i = 0; i < c.len; i++) {
		if (!c.items[i].after)
			continue;
		struct kg_value v = kg_object_value(&a, c.items[i].after);
		kg_buf_adds(out, "---\n");
		kg_yaml_write(out, &v);
	}
	kg_changes_release(&c);
	kg_arena_release(&a);
}

/* What differs is shown, and is a failure but where it was written anew. */
static void settle_accounts(struct golden *g, int rc, const struct kg_buf *text, const char *what,
	const struct kg_error *err)
{
	if (rc < 0)
		fail(g, what, err->msg);
	else if (rc > 0 && g->update)
		g->written += (size_t)rc;
	else if (rc > 0)
		g->failures++;
	if (text->len)
		fputs(kg_buf_str(text), stderr);
}

static void hold(struct golden *g, const char *name, const struct kg_buf *got)
{
	KG_AUTOBUF struct kg_buf diff = KG_BUF_INIT;
	struct kg_error err;
	int rc = kgit_want_hold(&diff, g->dir, name, got, g->update, &err);
	settle_accounts(g, rc, &diff, name, &err);
}

static void run_steps(struct golden *g, const struct kg_value *steps)
{
	uint32_t n = kg_len(steps);
	KG_AUTOFREE char **names = kg_alloc((n + 1) * sizeof(*names));
	KG_AUTOBUF struct kg_buf stale = KG_BUF_INIT;
	struct kg_error err;
	for (uint32_t i = 0; i < n; i++) {
		const struct kg_member *s = steps->items[i].members;
		struct kg_snapshot *before = kg_snapshot_ref(g->h.s);
		KG_AUTOBUF struct kg_buf out = KG_BUF_INIT;
		names[i] = kg_asprintf("%u-%s.yaml", i + 1, s->key);
		step(g, s->key, &s->value);
		render(&out, g, before);
		hold(g, names[i], &out);
		kg_buf_release(&g->faults);
		kg_buf_release(&g->timeline);
		kg_snapshot_unref(before);
		g->h.now += 1000;
	}
	int rc = kgit_want_stale(&stale, g->dir, names, n, g->update, &err);
	settle_accounts(g, rc, &stale, "want", &err);
	for (uint32_t i = 0; i < n; i++)
		free(names[i]);
}

static int run_case(const char *dir, bool update)
{
	struct golden g = {.dir = dir, .update = update};
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kgit_case c;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT;
	kg_faults_init(&faults, &a);
	kgit_case_read(&c, &a, dir, &faults);
	for (size_t i = 0; i < faults.len; i++) {
		kg_fault_format(&text, &faults.items[i]);
		kg_buf_adds(&text, "\n");
	}
	if (faults.len) {
		settle_accounts(&g, 1, &text, dir, NULL);
		g.failures = 1;
	} else {
		kg_harness_init(&g.h, NULL);
		g.h.check = true;
		nodes_register(&g, &a, &c.nodes);
		run_steps(&g, &c.steps);
		tree_release(&g.main);
		kg_harness_release(&g.h);
	}
	kg_faults_release(&faults);
	kg_arena_release(&a);
	printf("%s %s\n", g.failures ? "FAILED" : g.written ? "updated" : "ok", dir);
	return g.failures;
}

/* ---- finding cases ---- */

struct tally {
	bool update;
	size_t cases, failed;
};

static bool is_there(const char *dir, const char *name)
{
	KG_AUTOFREE char *path = kg_asprintf("%s/%s", dir, name);
	return kg_path_exists(path);
}

static int is_dir(const struct dirent *e)
{
	return e->d_name[0] != '.' && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN);
}

/* Every case at or below dir, in the order of their names. */
static void run_below(struct tally *t, const char *dir, int depth)
{
	struct dirent **names;
	if (is_there(dir, "steps.yaml") || is_there(dir, "manifests")) {
		int failures = run_case(dir, t->update);
		t->cases++;
		t->failed += failures > 0;
		return;
	}
	int n = depth < MAX_DEPTH ? scandir(dir, &names, is_dir, alphasort) : -1;
	for (int i = 0; i < n; i++) {
		KG_AUTOFREE char *below = kg_asprintf("%s/%s", dir, names[i]->d_name);
		run_below(t, below, depth + 1);
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}

static int run(int argc, char **argv, const char *kubeconfig)
{
	static const struct option options[] = {{"update", no_argument, NULL, 'u'}, {0}};
	struct tally t = {0};
	int c;
	(void)kubeconfig;
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			return 2;
		t.update = true;
	}
	if (optind == argc)
		return kgit_bad_usage(&kgit_test_verb, "expected a directory");
	for (int i = optind; i < argc; i++) {
		size_t before = t.cases;
		run_below(&t, argv[i], 0);
		if (t.cases == before) {
			fprintf(stderr, "kgit: there is no case in %s\n", argv[i]);
			return 2;
		}
	}
	if (t.cases > 1)
		printf("%zu cases, %zu failed\n", t.cases, t.failed);
	return t.failed ? 1 : 0;
}

const struct kgit_verb kgit_test_verb = {
	.name = "test",
	.summary = "hold manifests to goldens, without a cluster",
	.usage =
		"kgit test [--update] DIR...\n"
		"\n"
		"Runs every case at or below DIR by the cluster's own admission, controllers and\n"
		"scheduler, with a clock that jumps. A case is a directory with\n"
		"  nodes.yaml    a list of {name, labels, status, taints, unschedulable, ready}; "
		"where\n"
		"                no status is, a node has room for all\n"
		"  manifests/    what is pushed; or other directories (../../deploy, say), named "
		"by\n"
		"  steps.yaml    a list of\n"
		"    push: DIR            what main holds from now on (one commit)\n"
		"    play: SECONDS        pods become ready after so long, until nothing moves: "
		"the "
		"timeline\n"
		"    settle: true         the same at once\n"
		"    advance: SECONDS     time passes; what falls due happens\n"
		"    ready, unready, failed, succeeded, gone: [POD...]   a prefix of the name, or "
		"'*'\n"
		"    exited: {code: N, pods: [POD...]}\n"
		"    lost, back: [NODE...]\n"
		"    taint: {node: NODE, taints: [TAINT...]}\n"
		"  want/N-STEP.yaml   what step N changed: the plan's words, and every object that "
		"is new\n"
		"                or different; a refused push gives its faults\n"
		"\n"
		"What differs is printed as a diff from want/ to what came out.\n"
		"\n"
		"  --update      write want/ anew, the first time, too; git diff is the review\n"
		"\n"
		"Exit status: 0 all as wanted, 1 not, 2 no case.\n",
	.run = run,
};
