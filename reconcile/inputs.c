#include "reconcile/inputs.h"

#include "reconcile/internal.h"
#include "reconcile/volume.h"
#include "value/yaml.h"

#include <string.h>

/* ---- what the revision shows by itself ---- */

static const struct kg_value *status_of(const struct kg_object *obj)
{
	return kg_get(kg_obj(obj), "status");
}

static bool same_uid(const struct kg_object *a, const struct kg_object *b)
{
	return strcmp(kg_object_uid(a), kg_object_uid(b)) == 0;
}

/* A bound pod whose status is another one now: so its node may have reported. */
static bool shows_report(const struct kg_change *c)
{
	if (!c->before || !c->after || c->after->kind->id != KG_KIND_POD || c->quiet)
		return false;
	const char *node = kg_record_node(c->after);
	return node && same_uid(c->before, c->after) && strcmp(kg_pod_node(c->before), node) == 0 &&
	       !kg_equal(status_of(c->before), status_of(c->after));
}

/* A bound pod that was being deleted and is gone. */
static bool shows_end(const struct kg_change *c)
{
	return c->before && c->before->kind->id == KG_KIND_POD && kg_object_deleting(c->before) &&
	       *kg_pod_node(c->before) && (!c->after || !same_uid(c->before, c->after));
}

/* Conditions without the one that is liveness' own. */
static struct kg_value without_ready(struct kg_arena *a, const struct kg_value *status)
{
	const struct kg_value *conditions = kg_get(status, "conditions");
	struct kg_value *items = kg_arena_alloc(a, (kg_len(conditions) + 1) * sizeof(*items));
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(conditions); i++)
		if (strcmp(kg_string(kg_get(&conditions->items[i], "type"), ""), "Ready") != 0)
			items[n++] = conditions->items[i];
	return kg_with_key(a, status, "conditions", n ? kg_v_array(a, items, n) : kg_v_null());
}

/* Does the node as it came out show what it registered with. */
static bool shows_node(struct kg_arena *a, const struct kg_change *c, const struct kg_object *as)
{
	if (!c || !c->after || !same_uid(c->after, as))
		return false;
	struct kg_value x = kg_node_labels(a, c->after), y = kg_node_labels(a, as);
	struct kg_value p = without_ready(a, status_of(c->after));
	struct kg_value q = without_ready(a, status_of(as));
	return kg_equal(&x, &y) && kg_equal(&p, &q);
}

/* ---- writing ---- */

static struct kg_value object_or_empty(struct kg_arena *a, const struct kg_value *v)
{
	return v->type == KG_OBJECT ? *v : kg_v_object(a, NULL, 0);
}

struct lists {
	struct kg_arena a;
	struct kg_value *v[KG_EFFECT_EVICTION + 1];
	size_t n[KG_EFFECT_EVICTION + 1], cap[KG_EFFECT_EVICTION + 1];
	struct kg_map shown; /* keys of pods whose report or end the revision shows */
};

static void lists_release(struct lists *l)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(l->v); i++)
		free(l->v[i]);
	kg_map_release(&l->shown);
	kg_arena_release(&l->a);
}

static void add(struct lists *l, enum kg_effect_type type, struct kg_value v)
{
	KG_GROW(l->v[type], l->cap[type], l->n[type] + 1);
	l->v[type][l->n[type]++] = v;
}

static void add_node(struct lists *l, const struct kg_effect *e, const struct kg_changes *changes)
{
	const struct kg_input_node *in = e->input;
	struct kg_value name = kg_v_lit(in->name);
	if (shows_node(&l->a, kg_changes_find(changes, KG_KIND_NODE, e->after->key), e->after))
		add(l, KG_EFFECT_NODE, kg_v_obj(&l->a, "name", name, (char *)NULL));
	else
		add(l, KG_EFFECT_NODE,
			kg_v_obj(&l->a, "name", name, "labels", object_or_empty(&l->a, &in->labels),
				"status", object_or_empty(&l->a, &in->status), (char *)NULL));
}

static void add_liveness(struct lists *l, const struct kg_effect *e)
{
	const struct kg_input_liveness *in = e->input;
	const struct kg_value *ready = kg_condition(status_of(e->after), "Ready");
	add(l, KG_EFFECT_LIVENESS,
		kg_v_obj(&l->a, "name", kg_v_lit(in->name), "ready", kg_v_bool(in->ready), "since",
			*kg_get(ready, "lastTransitionTime"), "reason", *kg_get(ready, "reason"),
			"message", *kg_get(ready, "message"), (char *)NULL));
}

static void add_report(struct lists *l, const struct kg_effect *e, const struct kg_snapshot *prev,
	const struct kg_changes *changes)
{
	const struct kg_input_pod_status *in = e->input;
	const struct kg_object *was = kg_snapshot_get(prev, KG_KIND_POD, in->ns, in->name);
	const struct kg_change *c =
		*in->ns && was ? kg_changes_find(changes, KG_KIND_POD, was->key) : NULL;
	bool gone = in->gone && (!e->after || kg_job_let_go(e->after));
	if (c && gone && shows_end(c)) {
		kg_map_put(&l->shown, was->key, l);
		return;
	}
	if (c && e->after && !gone && shows_report(c) && same_uid(c->after, e->after) &&
		kg_equal(status_of(c->after), status_of(e->after))) {
		kg_map_put(&l->shown, was->key, l);
		return;
	}
	struct kg_value status = gone || !e->after ? kg_v_null() : *status_of(e->after);
	add(l, KG_EFFECT_REPORT,
		kg_v_obj(&l->a, "namespace", *in->ns ? kg_v_lit(in->ns) : kg_v_null(), "name",
			kg_v_lit(in->name), "gone",
			kg_is_null(&status) ? kg_v_bool(true) : kg_v_null(), "status", status,
			(char *)NULL));
}

static void add_eviction(struct lists *l, const struct kg_effect *e)
{
	const struct kg_input_eviction *in = e->input;
	add(l, KG_EFFECT_EVICTION,
		kg_v_obj(&l->a, "namespace", kg_v_lit(in->ns), "name", kg_v_lit(in->name), "uid",
			kg_v_lit(kg_object_uid(e->after)), (char *)NULL));
}

static struct kg_value unreported(struct lists *l, const struct kg_changes *changes)
{
	struct kg_value *v KG_AUTOFREE = NULL;
	size_t n = 0, cap = 0;
	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];
		if (!(shows_report(c) || shows_end(c)) || kg_map_has(&l->shown, c->before->key))
			continue;
		KG_GROW(v, cap, n + 1);
		v[n++] = kg_v_lit(c->before->key);
	}
	return n ? kg_v_array(&l->a, v, n) : kg_v_null();
}

static struct kg_value list_of(struct lists *l, enum kg_effect_type type)
{
	return l->n[type] ? kg_v_array(&l->a, l->v[type], l->n[type]) : kg_v_null();
}

void kg_inputs_write(struct kg_buf *out, const struct kg_reconcile_state *st,
	const struct kg_snapshot *prev, const struct kg_changes *changes)
{
	struct lists l KG_CLEANUP(lists_release) = {.a = KG_ARENA_INIT};
	for (size_t i = 0; i < st->effects.len; i++) {
		const struct kg_effect *e = &st->effects.items[i];
		if (e->type == KG_EFFECT_NODE)
			add_node(&l, e, changes);
		else if (e->type == KG_EFFECT_LIVENESS)
			add_liveness(&l, e);
		else if (e->type == KG_EFFECT_REPORT)
			add_report(&l, e, prev, changes);
		else if (e->type == KG_EFFECT_EVICTION)
			add_eviction(&l, e);
	}
	struct kg_value v = kg_v_obj(&l.a, "nodes", list_of(&l, KG_EFFECT_NODE), "liveness",
		list_of(&l, KG_EFFECT_LIVENESS), "reports", list_of(&l, KG_EFFECT_REPORT),
		"unreported", unreported(&l, changes), "evictions", list_of(&l, KG_EFFECT_EVICTION),
		(char *)NULL);
	if (v.len)
		kg_yaml_write(out, &v);
}

/* ---- reading ---- */

struct reading {
	struct kg_arena *a;
	const struct kg_snapshot *prev;
	const struct kg_changes *changes;
	struct kg_map told; /* keys of pods that the text names */
	struct kg_input_pod_status *pods;
	size_t npods, cap;
	struct kg_error *err;
};

static void reading_release(struct reading *r)
{
	kg_map_release(&r->told);
	free(r->pods);
}

static int bad(const struct reading *r, const char *what)
{
	return kg_fail(r->err, KG_E_CORRUPT, "inputs.yaml: %s", what);
}

/* All that reads them relies on their shape. */
static int check_shape(const struct reading *r, enum kg_kind_id kind, const struct kg_value *labels,
	const struct kg_value *status)
{
	struct kg_value metadata = kg_v_obj(r->a, "labels", *labels, (char *)NULL);
	struct kg_value v = kg_v_obj(r->a, "metadata", metadata, "status", *status, (char *)NULL);
	const char *wrong = kg_schema_shape(kg_kinds[kind].schema, &v, &kg_null);

	return wrong ? kg_fail(r->err, KG_E_CORRUPT, "inputs.yaml: %s of a %s is of another type",
			       wrong, kg_kinds[kind].kind)
		     : 0;
}

static int read_nodes(struct kg_inputs *out, struct reading *r, const struct kg_value *v)
{
	struct kg_input_node *nodes = kg_arena_alloc(r->a, (kg_len(v) + 1) * sizeof(*nodes));
	for (uint32_t i = 0; i < kg_len(v); i++) {
		const struct kg_value *x = &v->items[i];
		struct kg_input_node *n = &nodes[i];
		n->name = kg_string(kg_get(x, "name"), NULL);
		if (!n->name)
			return bad(r, "a node without a name");
		n->labels = *kg_get(x, "labels");
		n->status = *kg_get(x, "status");
		int rc = check_shape(r, KG_KIND_NODE, &n->labels, &n->status);
		if (rc < 0)
			return rc;
		if (kg_len(x) > 1)
			continue;
		const struct kg_change *c = kg_changes_find(
			r->changes, KG_KIND_NODE, kg_arena_printf(r->a, "/%s", n->name));
		if (!c || !c->after)
			return bad(r, "a node registered, but none is there");
		n->labels = kg_node_labels(r->a, c->after);
		n->status = *status_of(c->after);
	}
	out->nodes = nodes;
	out->nnodes = kg_len(v);
	return 0;
}

static int read_liveness(struct kg_inputs *out, struct reading *r, const struct kg_value *v)
{
	struct kg_input_liveness *live = kg_arena_alloc(r->a, (kg_len(v) + 1) * sizeof(*live));
	for (uint32_t i = 0; i < kg_len(v); i++) {
		const struct kg_value *x = &v->items[i];
		live[i] = (struct kg_input_liveness){.name = kg_string(kg_get(x, "name"), NULL),
			.ready = kg_bool(kg_get(x, "ready"), false),
			.reason = kg_string(kg_get(x, "reason"), ""),
			.message = kg_string(kg_get(x, "message"), "")};
		if (!live[i].name ||
			kg_time_parse(&live[i].since, kg_string(kg_get(x, "since"), "")) < 0)
			return bad(r, "liveness of no node, or since no time");
	}
	out->liveness = live;
	out->nliveness = kg_len(v);
	return 0;
}

static int read_evictions(struct kg_inputs *out, struct reading *r, const struct kg_value *v)
{
	struct kg_input_eviction *e = kg_arena_alloc(r->a, (kg_len(v) + 1) * sizeof(*e));
	for (uint32_t i = 0; i < kg_len(v); i++) {
		const struct kg_value *x = &v->items[i];
		e[i] = (struct kg_input_eviction){.ns = kg_string(kg_get(x, "namespace"), ""),
			.name = kg_string(kg_get(x, "name"), ""),
			.uid = kg_string(kg_get(x, "uid"), "")};
		if (!*e[i].name)
			return bad(r, "an eviction of nothing");
	}
	out->evictions = e;
	out->nevictions = kg_len(v);
	return 0;
}

static void add_pod(struct reading *r, struct kg_input_pod_status in)
{
	KG_GROW(r->pods, r->cap, r->npods + 1);
	r->pods[r->npods++] = in;
}

/* What reports: a pod's node, or the one where a volume lies. */
static const char *reporter(const struct kg_object *obj)
{
	return obj->kind->id == KG_KIND_POD ? kg_pod_node(obj)
					    : kg_annotation(obj, KG_PROVISIONED_NODE, "");
}

static int read_reports(struct reading *r, const struct kg_value *v)
{
	for (uint32_t i = 0; i < kg_len(v); i++) {
		const struct kg_value *x = &v->items[i];
		const char *ns = kg_string(kg_get(x, "namespace"), "");
		const char *name = kg_string(kg_get(x, "name"), "");
		const struct kg_object *obj = kg_snapshot_get(
			r->prev, *ns ? KG_KIND_POD : KG_KIND_PERSISTENTVOLUME, ns, name);
		if (!obj)
			return bad(r, "a report of something that was not there");
		int rc = check_shape(r, obj->kind->id, &kg_null, kg_get(x, "status"));
		if (rc < 0)
			return rc;
		if (*ns)
			kg_map_put(&r->told, obj->key, r);
		add_pod(r, (struct kg_input_pod_status){.node = reporter(obj),
				   .ns = obj->ns,
				   .name = obj->name,
				   .uid = kg_object_uid(obj),
				   .status = *kg_get(x, "status"),
				   .gone = kg_bool(kg_get(x, "gone"), false)});
	}
	return 0;
}

static void add_shown(struct reading *r)
{
	for (size_t i = 0; i < r->changes->len; i++) {
		const struct kg_change *c = &r->changes->items[i];
		bool end = shows_end(c);
		if (!(end || shows_report(c)) || kg_map_has(&r->told, c->before->key))
			continue;
		add_pod(r, (struct kg_input_pod_status){.node = kg_pod_node(c->before),
				   .ns = c->before->ns,
				   .name = c->before->name,
				   .uid = kg_object_uid(c->before),
				   .status = end ? kg_v_null() : *status_of(c->after),
				   .gone = end});
	}
}

static void read_cluster(struct kg_inputs *out, struct reading *r)
{
	struct kg_input_cluster *in = kg_arena_alloc(r->a, sizeof(*in));
	for (size_t i = 0; i < r->changes->len; i++)
		if (kg_cluster_shown(in, &r->changes->items[i]))
			out->cluster = in;
}

static int read_all(struct kg_inputs *out, struct reading *r, const struct kg_value *v)
{
	const struct kg_value *silent = kg_array(kg_get(v, "unreported"));
	int rc = read_nodes(out, r, kg_array(kg_get(v, "nodes")));
	if (rc == 0)
		rc = read_liveness(out, r, kg_array(kg_get(v, "liveness")));
	if (rc == 0)
		rc = read_evictions(out, r, kg_array(kg_get(v, "evictions")));
	if (rc == 0)
		rc = read_reports(r, kg_array(kg_get(v, "reports")));
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < kg_len(silent); i++)
		kg_map_put(&r->told, kg_string(&silent->items[i], ""), r);
	add_shown(r);
	struct kg_input_pod_status *pods = kg_arena_alloc(r->a, (r->npods + 1) * sizeof(*pods));
	if (r->npods)
		memcpy(pods, r->pods, r->npods * sizeof(*pods));
	out->pods = pods;
	out->npods = r->npods;
	read_cluster(out, r);
	return 0;
}

int kg_inputs_read(struct kg_inputs *out, bool *skipped, struct kg_arena *a, const char *text,
	const struct kg_snapshot *prev, const struct kg_changes *changes, struct kg_error *err)
{
	struct reading r KG_CLEANUP(reading_release) = {
		.a = a, .prev = prev, .changes = changes, .err = err};
	struct kg_value v = kg_v_null();
	*out = (struct kg_inputs){0};
	if (text && *text && kg_yaml_load(&v, a, text, strlen(text), err) < 0)
		return kg_wrap(err, "inputs.yaml");
	*skipped = kg_bool(kg_get(&v, "skipped"), false);
	return *skipped ? 0 : read_all(out, &r, &v);
}
