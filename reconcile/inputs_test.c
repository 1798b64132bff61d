/* What is recorded of a commit's inputs, and what it is made into again; the texts of a commit.
 * That the recorded inputs make the same is held by every harness that checks (harness.h). */
#include "reconcile/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "kinds/cluster.h"
#include "reconcile/inputs.h"
#include "reconcile/simulate.h"
#include "reconcile/step.h"

#include <stdio.h>
#include <string.h>

static const char lone[] = "apiVersion: v1\nkind: Pod\nmetadata: {name: lone}\n"
			   "spec: {containers: [{name: c, image: a}]}\n";

static void begin(struct kg_harness *h)
{
	kg_harness_init(h, NULL);
	h->check = true;
	kg_harness_nodes(h, 1, "4", "8Gi");
	kg_harness_push(h, "lone.yaml", lone);
}

/* Runs the inputs; *text is what is recorded of them. */
static void run(struct kg_harness *h, struct kg_inputs *in, struct kg_buf *text)
{
	struct kg_snapshot *prev = kg_snapshot_ref(h->s);
	struct kg_error err;

	kg_buf_clear(text);
	h->now += 1000;
	assert_int_equal(kg_harness_run(h, in, &err), 0);
	kg_inputs_write(text, h->state, prev, &h->last);
	kg_snapshot_unref(prev);
}

static struct kg_input_pod_status report_of(
	struct kg_arena *a, const struct kg_harness *h, const char *phase)
{
	const struct kg_object *pod = kg_snapshot_get(h->s, KG_KIND_POD, "default", "lone");
	struct kg_input_pod_status in = {.node = "node-0",
		.ns = "default",
		.name = "lone",
		.uid = kg_arena_strdup(a, kg_object_uid(pod))};

	in.gone = strcmp(phase, "gone") == 0;
	if (!in.gone)
		in.status = kg_with(
			a, &(struct kg_value){.type = KG_OBJECT}, "phase", kg_v_str(a, phase));
	return in;
}

static void test_reports(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_harness h;

	(void)state;
	begin(&h);
	/* What the observed record shows is not said again, nor what changes nothing. */
	struct kg_input_pod_status in = report_of(&a, &h, "Running");
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1}, &text);
	assert_string_equal(kg_buf_str(&text), "");
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1}, &text);
	assert_string_equal(kg_buf_str(&text), "");
	assert_int_equal(h.last.len, 0);

	/* Evicted in the same commit, it does not show any more what was reported. */
	struct kg_input_eviction out = {.ns = "default", .name = "lone", .uid = ""};
	in.status = kg_with(&a, &in.status, "message", kg_v_lit("news"));
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1, .evictions = &out, .nevictions = 1},
		&text);
	assert_non_null(strstr(kg_buf_str(&text), "evictions:\n- name: lone\n"));
	assert_non_null(strstr(kg_buf_str(&text), "reports:\n- name: lone\n"));
	assert_non_null(strstr(kg_buf_str(&text), "message: news"));

	/* Its end shows; that it comes again is reconcile's. */
	in = report_of(&a, &h, "gone");
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1}, &text);
	assert_string_equal(kg_buf_str(&text), "");
	kg_harness_release(&h);
}

static void test_end_unseen(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_harness h;

	(void)state;
	begin(&h);
	struct kg_input_pod_status in = report_of(&a, &h, "Running");
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1}, &text);
	/* Deleted by a push and gone at once: nothing shows that it was being deleted. */
	struct kg_input_desired none = {
		.kind = &kg_kinds[KG_KIND_POD], .ns = "default", .name = "lone"};
	in = report_of(&a, &h, "gone");
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1, .desired = &none, .ndesired = 1},
		&text);
	assert_string_equal(
		kg_buf_str(&text), "reports:\n- gone: true\n  name: lone\n  namespace: default\n");
	kg_harness_release(&h);
}

static void test_nodes(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_value status = kg_v_obj(
		&a, "allocatable", kg_v_obj(&a, "cpu", kg_v_lit("1"), (char *)NULL), (char *)NULL);
	struct kg_input_node node = {.name = "new", .status = status};
	struct kg_input_liveness live = {.name = "new", .ready = true};
	struct kg_harness h;

	(void)state;
	begin(&h);
	struct kg_input_pod_status in = report_of(&a, &h, "Running");
	in.status = kg_sim_running(
		&a, kg_snapshot_get(h.s, KG_KIND_POD, "default", "lone"), true, h.now);
	run(&h, &(struct kg_inputs){.pods = &in, .npods = 1}, &text);
	live.since = h.now;
	run(&h, &(struct kg_inputs){.nodes = &node, .nnodes = 1, .liveness = &live, .nliveness = 1},
		&text);
	assert_non_null(strstr(kg_buf_str(&text), "nodes:\n- name: new\n"));
	assert_null(strstr(kg_buf_str(&text), "allocatable"));
	assert_non_null(strstr(kg_buf_str(&text), "liveness:\n- message: "));

	/* The status of a lost node's pod is the system's doing. */
	live = (struct kg_input_liveness){.name = "node-0", .since = h.now};
	run(&h, &(struct kg_inputs){.liveness = &live, .nliveness = 1}, &text);
	assert_non_null(strstr(kg_buf_str(&text), "unreported:\n- default/lone\n"));
	kg_harness_release(&h);
}

static void test_bad_texts(void **state)
{
	static const char *const texts[] = {"nodes: [{labels: {}}]", "nodes: [{name: none}]",
		"liveness: [{name: node-0}]", "liveness: [{since: '2026-01-01T00:00:00Z'}]",
		"evictions: [{namespace: default}]", "reports: [{namespace: default, name: none}]",
		"nodes: [{name: node-0, status: {conditions: {a: 4294967302, b: 1}}}]",
		"nodes: [{name: node-0, labels: {a: 7}, status: {}}]",
		"reports: [{namespace: default, name: lone, status: {conditions: {a: 1}}}]",
		"reports: ["};
	struct kg_changes nothing = {0};
	struct kg_harness h;

	(void)state;
	begin(&h);
	for (size_t i = 0; i < KG_ARRAY_LEN(texts); i++) {
		struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
		struct kg_inputs in;
		struct kg_error err = {0};
		bool skipped;

		assert_true(kg_inputs_read(&in, &skipped, &a, texts[i], h.s, &nothing, &err) < 0);
		assert_non_null(strstr(err.msg, "inputs.yaml"));
	}
	kg_harness_release(&h);
}

static void test_skipped(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_harness h;
	struct kg_inputs in;
	struct kg_error err;
	bool skipped;

	(void)state;
	begin(&h);
	struct kg_step step = {.prev = h.s};
	kg_step_skip(&step, h.now + 5);
	assert_int_equal(step.changes.len, 0);
	assert_int_equal(step.next->revision, h.s->revision + 1);
	assert_int_equal(step.next->time, h.now + 5);
	assert_int_equal(kg_inputs_read(&in, &skipped, &a, kg_buf_str(&step.record), h.s,
				 &step.changes, &err),
		0);
	assert_true(skipped);
	kg_step_release(&step);
	kg_harness_release(&h);
}

/* Two nodes are lost in one commit: whoever said so first, it has the same words. */
static void test_order(void **state)
{
	struct kg_input_liveness live[] = {{.name = "node-1"}, {.name = "node-0"}};
	struct kg_buf texts[2] = {KG_BUF_INIT, KG_BUF_INIT};
	struct kg_error err;
	struct kg_harness h;

	(void)state;
	kg_harness_init(&h, NULL);
	kg_harness_nodes(&h, 2, "4", "8Gi");
	for (int i = 0; i < 2; i++) {
		struct kg_reconcile_state *st = kg_reconcile_state_new(h.s, &h.opts);
		struct kg_inputs in = {.now = h.now, .liveness = live, .nliveness = 2};
		struct kg_step step = {.prev = h.s, .inputs = &in};

		assert_int_equal(kg_step_run(&step, st, &err), 0);
		kg_step_describe(&step, st);
		kg_buf_addf(&texts[i], "%s%s%s", kg_buf_str(&step.author),
			kg_buf_str(&step.message), kg_buf_str(&step.record));
		kg_step_release(&step);
		kg_reconcile_state_free(st);
		struct kg_input_liveness first = live[0];
		live[0] = live[1];
		live[1] = first;
	}
	assert_string_equal(texts[0].data, texts[1].data);
	assert_int_equal(strncmp(texts[0].data, "node node-0 is lost\n", 20), 0);
	kg_buf_release(&texts[0]);
	kg_buf_release(&texts[1]);
	kg_harness_release(&h);
}

static void test_user(void **state)
{
	static const struct {
		const char *message, *user;
	} cases[] = {
		{"push by ann: main is 0123456789ab\n\ncreated Pod a: main is b\n", "ann"},
		{"push by a: main is b: main is 0123456789ab\n\n", "a: main is b"},
		{"push by ann\n\n: main is 0123456789ab", NULL},
		{"status of 1 pod\n", NULL},
	};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;

	(void)state;
	for (size_t i = 0; i < KG_ARRAY_LEN(cases); i++) {
		const char *user = kg_step_user(&a, cases[i].message);

		if (cases[i].user)
			assert_string_equal(user, cases[i].user);
		else
			assert_null(user);
	}
}

static void test_options(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_reconcile_options opts = {.pod_cidr = "10.1.0.0/16", .node_port_min = 31000},
				    read;
	struct kg_value v = kg_reconcile_options_value(&a, &opts);

	(void)state;
	kg_reconcile_options_read(&read, &v);
	assert_string_equal(read.pod_cidr, "10.1.0.0/16");
	assert_string_equal(read.service_cidr, "10.96.0.0/16");
	assert_int_equal(read.node_port_min, 31000);
	assert_int_equal(read.node_port_max, 32767);
	assert_int_equal(read.eviction_timeout_ms, 300000);
	struct kg_value again = kg_reconcile_options_value(&a, &read);
	assert_true(kg_equal(&v, &again));
}

/* A push is judged on one revision and committed on a later one: what it desires is what it would
 * desire had it been judged there. */
static void test_renewed(void **state)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_admission_file files[] = {
		{.path = "lone.yaml", .text = lone, .len = strlen(lone)}};
	struct kg_fault_list faults;
	struct kg_admission judged, later, fresh;
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_input_eviction out = {.ns = "default", .name = "lone", .uid = ""};
	struct kg_harness h;

	(void)state;
	kg_harness_init(&h, NULL);
	kg_harness_push(&h, "lone.yaml", lone); /* there is no node: it waits */
	kg_faults_init(&faults, &a);
	kg_admit(&judged, h.s, files, 1, false, NULL, &a, &faults);
	assert_int_equal(judged.n, 0);
	run(&h, &(struct kg_inputs){.evictions = &out, .nevictions = 1}, &text);
	assert_null(kg_snapshot_get(h.s, KG_KIND_POD, "default", "lone"));
	kg_admission_renew(&later, &judged, h.s, &a);
	kg_admit(&fresh, h.s, files, 1, false, NULL, &a, &faults);
	assert_int_equal(later.n, 1);
	assert_int_equal(fresh.n, 1);
	assert_int_equal(later.created, fresh.created);
	assert_true(kg_equal(&later.desired[0].value, &fresh.desired[0].value));
	assert_int_equal(later.revision, h.s->revision);

	/* And what is removed. */
	files[0].text = NULL;
	kg_admit(&judged, h.s, files, 1, false, NULL, &a, &faults);
	assert_int_equal(judged.n, 0);
	kg_harness_push(&h, "lone.yaml", lone);
	kg_admission_renew(&later, &judged, h.s, &a);
	assert_int_equal(later.n, 1);
	assert_int_equal(later.deleted, 1);
	kg_faults_release(&faults);
	kg_harness_release(&h);
}

/* What was admitted by a kgit that had fewer rules makes what it made then: all of a file counts,
 * and what is left out of it goes. */
static void test_admitted(void **state)
{
	static const char both[] =
		"apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: old, annotations: "
		"{volume.beta.kubernetes.io/storage-class: fast}}\nspec: {accessModes: "
		"[ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n---\n"
		"apiVersion: monitoring.coreos.com/v1\nkind: ServiceMonitor\nmetadata: {name: m}\n"
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n";
	static const char *const passed[] = {"ServiceMonitor.monitoring.coreos.com", NULL};
	struct kg_admission_options then = {.admitted = true, .ignored_kinds = passed};
	struct kg_admission_options now = {.ignored_kinds = passed};
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_admission_file f = {.path = "f.yaml", .text = both, .len = strlen(both)};
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_fault_list faults;
	struct kg_admission ad;
	struct kg_harness h;

	(void)state;
	kg_harness_init(&h, NULL);
	h.check = true;
	kg_faults_init(&faults, &a);
	kg_admit(&ad, h.s, &f, 1, false, &now, &a, &faults);
	assert_int_equal(kg_faults_errors(&faults), 1); /* one who pushes is to mend it */
	kg_admit(&ad, h.s, &f, 1, false, &then, &a, &faults);
	assert_int_equal(ad.n, 2);
	run(&h, &(struct kg_inputs){.desired = ad.desired, .ndesired = ad.n}, &text);
	assert_non_null(kg_snapshot_get(h.s, KG_KIND_PERSISTENTVOLUMECLAIM, "default", "old"));
	assert_non_null(kg_snapshot_get(h.s, KG_KIND_CONFIGMAP, "default", "c"));
	kg_admit(&ad, h.s, &f, 1, true, &then, &a, &faults);
	assert_int_equal(ad.n, 0); /* it is there already */

	f.len = (size_t)(strstr(both, "---") - both);
	kg_admit(&ad, h.s, &f, 1, false, &then, &a, &faults);
	assert_int_equal(ad.n, 1);
	assert_int_equal(ad.deleted, 1);
	assert_string_equal(ad.desired[0].name, "c");
	kg_faults_release(&faults);
	kg_harness_release(&h);
}

/* What clients are to know of the master is kept where it is another, and shows by itself; a
 * manifest of that name takes its place, and leaves it. */
static void test_cluster(void **state)
{
	static const char mine[] = "apiVersion: v1\nkind: ConfigMap\n"
				   "metadata: {name: kgit-cluster, namespace: kube-system}\n"
				   "data: {mine: \"yes\"}\n";
	struct kg_input_cluster first = {"the CA\n", "192.0.2.1:6443", "10.96.0.1"};
	struct kg_input_cluster next = {"another CA\n", "192.0.2.1:6443", NULL};
	struct kg_buf text KG_AUTOBUF = KG_BUF_INIT;
	struct kg_harness h;
	(void)state;

	begin(&h);
	assert_null(kg_cluster_of(h.s));
	run(&h, &(struct kg_inputs){.cluster = &first}, &text);
	assert_string_equal(kg_buf_str(&text), "");
	assert_int_equal(h.last.len, 1);
	assert_string_equal(kg_cluster_text(kg_cluster_of(h.s), KG_CLUSTER_CA), "the CA\n");
	run(&h, &(struct kg_inputs){.cluster = &first}, &text);
	assert_int_equal(h.last.len, 0);
	run(&h, &(struct kg_inputs){.cluster = &next}, &text);
	assert_int_equal(h.last.len, 1);
	assert_string_equal(kg_cluster_text(kg_cluster_of(h.s), KG_CLUSTER_SERVICE), "");
	kg_harness_release(&h);

	begin(&h);
	kg_harness_push(&h, "mine.yaml", mine);
	run(&h, &(struct kg_inputs){.cluster = &first}, &text);
	assert_int_equal(h.last.len, 0);
	assert_null(kg_cluster_of(h.s));
	struct kg_input_desired gone = {.kind = &kg_kinds[KG_KIND_CONFIGMAP],
		.ns = KG_CLUSTER_NS,
		.name = KG_CLUSTER_NAME,
		.value = kg_v_null()};
	run(&h, &(struct kg_inputs){.cluster = &first, .desired = &gone, .ndesired = 1}, &text);
	assert_string_equal(
		kg_cluster_text(kg_cluster_of(h.s), KG_CLUSTER_ADDRESS), "192.0.2.1:6443");
	kg_harness_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_end_unseen),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_skipped),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_renewed),
		cmocka_unit_test(test_admitted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
