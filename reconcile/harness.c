#include "reconcile/harness.h"

#include "reconcile/inputs.h"
#include "reconcile/internal.h"

#include <stdio.h>
#include <string.h>

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "harness: %s: %s\n", what, detail);
	abort();
}

static bool zone(void *ctx, const char *name, char rule[KG_ZONE_RULE_SIZE])
{
	(void)ctx;
	if (strcmp(name, "Europe/Berlin") != 0)
		return false;
	snprintf(rule, KG_ZONE_RULE_SIZE, "CET-1CEST,M3.5.0,M10.5.0/3");
	return true;
}

void kg_harness_init(struct kg_harness *h, const struct kg_reconcile_options *opts)
{
	kg_kinds_init();
	*h = (struct kg_harness){.now = KG_HARNESS_START, .wake_at = KG_TIME_NEVER};
	if (opts)
		h->opts = *opts;
	if (!h->opts.zone)
		h->opts.zone = zone;
	h->s = kg_snapshot_new("6ba7b810-9dad-11d1-80b4-00c04fd430c8");
	h->state = kg_reconcile_state_new(h->s, &h->opts);
}

void kg_harness_release(struct kg_harness *h)
{
	kg_changes_release(&h->last);
	kg_reconcile_state_free(h->state);
	kg_snapshot_unref(h->s);
}

/* ---- comparing ---- */

static void same_kind(
	const struct kg_snapshot *a, const struct kg_snapshot *b, int kind, const char *what)
{
	struct kg_object_iter i, k;
	const struct kg_object *x, *y;
	kg_iter_kind(&i, a, kind, NULL, NULL);
	kg_iter_kind(&k, b, kind, NULL, NULL);
	do {
		x = kg_iter_next(&i);
		y = kg_iter_next(&k);
		KG_AUTOBUF struct kg_buf p = KG_BUF_INIT, q = KG_BUF_INIT;
		if (x)
			kg_object_write_json(&p, x);
		if (y)
			kg_object_write_json(&q, y);
		if (strcmp(kg_buf_str(&p), kg_buf_str(&q)) != 0) {
			fprintf(stderr, "%s\n%s\n", kg_buf_str(&p), kg_buf_str(&q));
			die(what, "these differ");
		}
		if (x && (!x->source != !y->source || strcmp(x->template_id, y->template_id) != 0 ||
				 (x->source && strcmp(x->source, y->source) != 0)))
			die(what, "source or template differ");
	} while (x && y);
	kg_iter_release(&i);
	kg_iter_release(&k);
}

/* Aborts, saying where, unless two snapshots hold the same objects. */
static void must_be_same(const struct kg_snapshot *a, const struct kg_snapshot *b, const char *what)
{
	for (int k = 0; k < KG_KIND_COUNT; k++)
		same_kind(a, b, k, what);
}

/* ---- running ---- */

static int run(const struct kg_snapshot *prev, struct kg_reconcile_state *st,
	const struct kg_inputs *in, struct kg_snapshot **next, struct kg_changes *changes,
	kg_time *wake_at, struct kg_error *err)
{
	struct kg_txn *txn = kg_txn_new(prev);
	int rc = kg_reconcile(st, txn, in, wake_at, err);
	if (rc == 0)
		kg_txn_finish(txn, next, changes);
	else
		kg_txn_free(txn);
	return rc;
}

#define REVERSED(type, v, n)                                                                       \
	do {                                                                                       \
		type *copy = kg_alloc(((n) + 1) * sizeof(type));                                   \
		for (size_t i = 0; i < (n); i++)                                                   \
			copy[i] = (v)[(n)-1 - i];                                                  \
		(v) = copy;                                                                        \
	} while (0)

static void check_full(struct kg_harness *h, const struct kg_inputs *in,
	const struct kg_snapshot *next, kg_time wake_at)
{
	struct kg_inputs turned = *in;
	struct kg_changes changes;
	struct kg_snapshot *full, *again;
	struct kg_error err;
	kg_time wake = 0;
	REVERSED(struct kg_input_desired, turned.desired, turned.ndesired);
	REVERSED(struct kg_input_node, turned.nodes, turned.nnodes);
	REVERSED(struct kg_input_liveness, turned.liveness, turned.nliveness);
	REVERSED(struct kg_input_pod_status, turned.pods, turned.npods);
	REVERSED(struct kg_input_eviction, turned.evictions, turned.nevictions);
	turned.full = true;
	struct kg_reconcile_state *st = kg_reconcile_state_new(h->s, &h->opts);
	if (run(h->s, st, &turned, &full, &changes, &wake, &err) < 0)
		die("full run", err.msg);
	must_be_same(next, full, "incremental and full");
	if (wake != wake_at)
		die("incremental and full", "wake-ups differ");
	kg_changes_release(&changes);
	struct kg_inputs nothing = {.now = in->now, .full = true};
	if (run(full, st, &nothing, &again, &changes, &wake, &err) < 0)
		die("second run", err.msg);
	if (changes.len) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		kg_object_write_json(&b,
			changes.items[0].before ? changes.items[0].before : changes.items[0].after);
		kg_buf_adds(&b, "\n");
		if (changes.items[0].before && changes.items[0].after)
			kg_object_write_json(&b, changes.items[0].after);
		die("a second run changed something", b.data);
	}
	kg_changes_release(&changes);
	kg_snapshot_unref(again);
	kg_snapshot_unref(full);
	kg_reconcile_state_free(st);
	free((void *)turned.desired);
	free((void *)turned.nodes);
	free((void *)turned.liveness);
	free((void *)turned.pods);
	free((void *)turned.evictions);
}

/* ---- what is stored gives the object back ---- */

static struct kg_doc *stored_base(struct kg_arena *a, const struct kg_object *obj)
{
	if (!obj->template_id[0])
		return kg_doc_ref(obj->base);
	char id[24];
	struct kg_value t = kg_template_of(a, obj);
	kg_template_id(id, &t);
	if (strcmp(id, obj->template_id) != 0)
		die("template id", obj->key);
	struct kg_doc *doc = kg_doc_new(&t, NULL, 0);
	struct kg_doc *base = kg_template_expand(obj->kind, doc);
	kg_doc_unref(doc);
	return base;
}

static void check_record(const struct kg_object *obj)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_record decided, observed;
	struct kg_error err;
	KG_AUTOBUF struct kg_buf d = KG_BUF_INIT, o = KG_BUF_INIT, p = KG_BUF_INIT, q = KG_BUF_INIT;
	bool seen = kg_record_is_observed(obj);
	kg_record_decided(&d, obj, obj->revision);
	if (kg_record_parse(&decided, &a, d.data, d.len, &err) < 0)
		die(obj->key, err.msg);
	if (seen) {
		kg_record_observed(&o, obj, obj->revision);
		if (kg_record_parse(&observed, &a, o.data, o.len, &err) < 0)
			die(obj->key, err.msg);
	}
	struct kg_doc *base = obj->base ? stored_base(&a, obj) : NULL;
	struct kg_object *back = kg_record_join(
		obj->kind, obj->ns, obj->name, base, &decided, seen ? &observed : NULL);
	kg_object_write_json(&p, obj);
	kg_object_write_json(&q, back);
	if (strcmp(kg_buf_str(&p), kg_buf_str(&q)) != 0) {
		fprintf(stderr, "%s\n%s\n", p.data, q.data);
		die("the records do not give the object back", obj->key);
	}
	kg_object_unref(back);
	kg_doc_unref(base);
	kg_arena_release(&a);
}

/* ---- what is recorded of the inputs makes the same again ---- */

static void check_inputs(
	struct kg_harness *h, const struct kg_inputs *in, const struct kg_snapshot *next)
{
	struct kg_arena a = KG_ARENA_INIT;
	KG_AUTOBUF struct kg_buf text = KG_BUF_INIT, again = KG_BUF_INIT;
	struct kg_changes changes;
	struct kg_snapshot *made;
	struct kg_inputs read;
	struct kg_error err;
	bool skipped;
	kg_time wake;
	kg_inputs_write(&text, h->state, h->s, &h->last);
	if (kg_inputs_read(&read, &skipped, &a, kg_buf_str(&text), h->s, &h->last, &err) < 0)
		die("recorded inputs", err.msg);
	read.now = in->now;
	read.desired = in->desired;
	read.ndesired = in->ndesired;
	struct kg_reconcile_state *st = kg_reconcile_state_new(h->s, &h->opts);
	if (run(h->s, st, &read, &made, &changes, &wake, &err) < 0)
		die("recorded inputs", err.msg);
	must_be_same(next, made, kg_buf_str(&text));
	kg_inputs_write(&again, st, h->s, &changes);
	if (strcmp(kg_buf_str(&text), kg_buf_str(&again)) != 0) {
		fprintf(stderr, "%s\n%s\n", kg_buf_str(&text), kg_buf_str(&again));
		die("recorded inputs", "these differ");
	}
	kg_changes_release(&changes);
	kg_snapshot_unref(made);
	kg_reconcile_state_free(st);
	kg_arena_release(&a);
}

int kg_harness_run(struct kg_harness *h, struct kg_inputs *in, struct kg_error *err)
{
	struct kg_snapshot *next;
	in->now = h->now;
	kg_changes_release(&h->last);
	h->last = (struct kg_changes){0};
	int rc = run(h->s, h->state, in, &next, &h->last, &h->wake_at, err);
	if (rc < 0)
		return rc;
	if (h->check) {
		check_full(h, in, next, h->wake_at);
		check_inputs(h, in, next);
	}
	for (size_t i = 0; h->check && i < h->last.len; i++)
		if (h->last.items[i].after)
			check_record(h->last.items[i].after);
	kg_snapshot_unref(h->s);
	h->s = next;
	return 0;
}

static void must_run(struct kg_harness *h, struct kg_inputs *in)
{
	struct kg_error err;
	if (kg_harness_run(h, in, &err) < 0)
		die("reconcile", err.msg);
}

uint64_t kg_harness_chance(uint64_t *seed, uint64_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed % n;
}

/* ---- inputs ---- */

bool kg_harness_due(struct kg_harness *h, kg_time end)
{
	bool due = h->wake_at <= end;
	if (!due)
		h->now = end;
	else if (h->wake_at > h->now)
		h->now = h->wake_at;
	return due;
}

void kg_harness_node(struct kg_harness *h, const char *name, const struct kg_value *labels,
	const struct kg_value *status, bool ready)
{
	struct kg_input_node node = {.name = name, .labels = *labels, .status = *status};
	struct kg_input_liveness live = {.name = name, .ready = ready, .since = h->now};
	struct kg_inputs in = {.nodes = &node, .nnodes = 1, .liveness = &live, .nliveness = 1};
	must_run(h, &in);
}

void kg_harness_nodes(struct kg_harness *h, size_t n, const char *cpu, const char *memory)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_value alloc =
		kg_v_obj(&a, "cpu", kg_v_lit(cpu), "memory", kg_v_lit(memory), (char *)NULL);
	struct kg_value status = kg_v_obj(&a, "allocatable", alloc, (char *)NULL);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		snprintf(name, sizeof(name), "node-%zu", i);
		kg_harness_node(h, name, &kg_null, &status, true);
	}
	kg_arena_release(&a);
}

void kg_harness_liveness(struct kg_harness *h, const char *name, bool ready)
{
	struct kg_input_liveness live = {.name = name, .ready = ready, .since = h->now};
	struct kg_inputs in = {.liveness = &live, .nliveness = 1};
	must_run(h, &in);
}

void kg_harness_report(struct kg_harness *h, kg_harness_word *word, void *ctx)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_snapshot *held = kg_snapshot_ref(h->s);
	KG_AUTOFREE struct kg_input_pod_status *v = NULL;
	size_t n = 0, cap = 0;
	struct kg_object_iter it;
	const struct kg_object *pod;
	kg_iter_kind(&it, held, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it))) {
		struct kg_input_pod_status st = {.node = kg_pod_node(pod),
			.ns = pod->ns,
			.name = pod->name,
			.uid = kg_object_uid(pod)};
		if (!*st.node || !word(ctx, &a, pod, &st))
			continue;
		KG_GROW(v, cap, n + 1);
		v[n++] = st;
	}
	kg_iter_release(&it);
	struct kg_inputs in = {.pods = v, .npods = n};
	must_run(h, &in);
	kg_snapshot_unref(held);
	kg_arena_release(&a);
}

static bool says_gone(
	void *ctx, struct kg_arena *a, const struct kg_object *pod, struct kg_input_pod_status *st)
{
	(void)ctx;
	(void)a;
	st->gone = kg_object_deleting(pod);
	return st->gone;
}

void kg_harness_let_go(struct kg_harness *h)
{
	kg_harness_report(h, says_gone, NULL);
}

bool kg_harness_one_round(const struct kg_harness *h)
{
	for (size_t i = 0; i < h->last.len; i++) {
		const struct kg_object *before = h->last.items[i].before,
				       *after = h->last.items[i].after;
		if (before && before->kind->id == KG_KIND_POD &&
			(!after || kg_object_deleting(after) ||
				*kg_pod_node(before) != *kg_pod_node(after)))
			return false;
	}
	return true;
}

void kg_harness_push(struct kg_harness *h, const char *path, const char *text)
{
	struct kg_arena a = KG_ARENA_INIT;
	struct kg_fault_list faults;
	struct kg_admission ad;
	struct kg_admission_file f = {.path = path, .text = text, .len = text ? strlen(text) : 0};
	kg_faults_init(&faults, &a);
	kg_admit(&ad, h->s, &f, 1, false, &(struct kg_admission_options){.cluster = &h->opts}, &a,
		&faults);
	for (size_t i = 0; i < faults.len; i++) {
		KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
		kg_fault_format(&b, &faults.items[i]);
		if (!faults.items[i].warning)
			die("push refused", b.data);
	}
	struct kg_inputs in = {.desired = ad.desired, .ndesired = ad.n};
	must_run(h, &in);
	kg_faults_release(&faults);
	kg_arena_release(&a);
}
