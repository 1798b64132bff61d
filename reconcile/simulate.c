#include "reconcile/simulate.h"

#include "base/map.h"

#include <string.h>

/* What a node does with a pod next. */
struct due {
	kg_time at;
	char *ns, *name, uid[37];
};
struct kg_sim {
	struct kg_sim_options opts;
	struct kg_snapshot *s;
	struct kg_reconcile_state *state;
	struct kg_changes changes;
	kg_time now, wake_at, horizon;
	struct due *due; /* in no order */
	size_t ndue, cap;
	struct kg_map lost; /* names of nodes */
	struct kg_input_liveness *losing;
	size_t nlosing;
};

static int64_t or_default(int64_t ms, int64_t otherwise)
{
	return ms > 0 ? ms : otherwise;
}

/* ---- what nodes say ---- */

static struct kg_value condition(
	struct kg_arena *a, const char *type, bool is_true, const char *when)
{
	return kg_v_obj(a, "type", kg_v_str(a, type), "status",
		kg_v_lit(is_true ? "True" : "False"), "lastTransitionTime", kg_v_str(a, when),
		(char *)NULL);
}

/* state NULL: none is told. */
static struct kg_value container_statuses(
	struct kg_arena *a, const struct kg_object *pod, bool ready, const struct kg_value *state)
{
	const struct kg_value *containers = kg_spec(pod, "containers");
	struct kg_value *st = kg_arena_alloc(a, (kg_len(containers) + 1) * sizeof(*st));

	for (uint32_t i = 0; i < kg_len(containers); i++)
		st[i] = kg_v_obj(a, "name", *kg_get(&containers->items[i], "name"), "ready",
			kg_v_bool(ready), "restartCount", kg_v_int(0), "state",
			state ? *state : kg_v_null(), (char *)NULL);
	return kg_v_array(a, st, kg_len(containers));
}

static struct kg_value pod_status(struct kg_arena *a, const struct kg_object *pod,
	const char *phase, bool ready, const struct kg_value *state, const char *when)
{
	struct kg_value cs[] = {condition(a, "Initialized", true, when),
		condition(a, "ContainersReady", ready, when), condition(a, "Ready", ready, when)};
	const struct kg_value *started = kg_status(pod, "startTime");

	return kg_v_obj(a, "phase", kg_v_lit(phase), "startTime",
		kg_is_null(started) ? kg_v_str(a, when) : *started, "conditions",
		kg_v_array(a, cs, KG_ARRAY_LEN(cs)), "containerStatuses",
		container_statuses(a, pod, ready, state), (char *)NULL);
}

struct kg_value kg_sim_running(
	struct kg_arena *a, const struct kg_object *pod, bool ready, kg_time now)
{
	char when[32];

	kg_time_format(when, now);
	return pod_status(a, pod, "Running", ready, NULL, when);
}

struct kg_value kg_sim_succeeded(struct kg_arena *a, const struct kg_object *pod, kg_time now)
{
	char when[32];

	kg_time_format(when, now);
	struct kg_value state = kg_v_obj(a, "terminated",
		kg_v_obj(a, "exitCode", kg_v_int(0), "reason", kg_v_lit("Completed"), "finishedAt",
			kg_v_str(a, when), (char *)NULL),
		(char *)NULL);
	return pod_status(a, pod, "Succeeded", false, &state, when);
}

/* ---- what is due ---- */

static bool runs_on(const struct kg_object *pod)
{
	return strcmp(kg_string(kg_spec(pod, "restartPolicy"), "Always"), "Always") == 0;
}

/* In how long the node does the next thing with it; < 0: never. */
static int64_t due_in(const struct kg_sim *sim, const struct kg_object *pod)
{
	const char *node = kg_string(kg_spec(pod, "nodeName"), "");
	const struct kg_value *md = kg_get(kg_obj(pod), "metadata");

	if (!*node || kg_map_has(&sim->lost, node))
		return -1;
	if (kg_object_deleting(pod)) {
		int64_t grace = kg_int(kg_get(md, "deletionGracePeriodSeconds"), 30) * 1000;

		return grace < sim->opts.stop_ms ? grace : sim->opts.stop_ms;
	}
	if (kg_pod_terminal(pod))
		return -1;
	if (!kg_object_ready(pod))
		return sim->opts.ready_ms;
	return runs_on(pod) ? -1 : sim->opts.run_ms;
}

static void expect(struct kg_sim *sim, const struct kg_object *pod)
{
	int64_t in = due_in(sim, pod);

	if (in < 0)
		return;
	KG_GROW(sim->due, sim->cap, sim->ndue + 1);
	struct due *d = &sim->due[sim->ndue++];
	*d = (struct due){.at = sim->now + in};
	d->ns = kg_strdup(pod->ns);
	d->name = kg_strdup(pod->name);
	memcpy(d->uid, kg_object_uid(pod), strnlen(kg_object_uid(pod), sizeof(d->uid) - 1));
}

static void expect_all(struct kg_sim *sim)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pod;

	kg_iter_kind(&it, sim->s, KG_KIND_POD, NULL, NULL);
	while ((pod = kg_iter_next(&it)))
		expect(sim, pod);
}

static void due_release(struct due *d)
{
	free(d->ns);
	free(d->name);
}

/* ---- life ---- */

struct kg_sim *kg_sim_new(
	const struct kg_snapshot *s, kg_time now, const struct kg_sim_options *opts)
{
	struct kg_sim *sim = kg_alloc(sizeof(*sim));

	if (opts)
		sim->opts = *opts;
	sim->opts.ready_ms = or_default(sim->opts.ready_ms, 1000);
	sim->opts.run_ms = or_default(sim->opts.run_ms, 1000);
	sim->opts.stop_ms = or_default(sim->opts.stop_ms, 1000);
	sim->s = kg_snapshot_ref(s);
	sim->now = now > s->time ? now : s->time;
	sim->horizon = sim->now + or_default(sim->opts.horizon_ms, 600000);
	sim->wake_at = KG_TIME_NEVER;
	sim->state = kg_reconcile_state_new(s, &sim->opts.reconcile);
	expect_all(sim);
	return sim;
}

void kg_sim_free(struct kg_sim *sim)
{
	if (!sim)
		return;
	for (size_t i = 0; i < sim->ndue; i++)
		due_release(&sim->due[i]);
	free(sim->due);
	for (size_t i = 0; i < sim->nlosing; i++)
		free((char *)sim->losing[i].name);
	free(sim->losing);
	kg_map_release(&sim->lost);
	kg_changes_release(&sim->changes);
	kg_reconcile_state_free(sim->state);
	kg_snapshot_unref(sim->s);
	free(sim);
}

void kg_sim_lose_node(struct kg_sim *sim, const char *name)
{
	kg_map_put(&sim->lost, name, sim);
	sim->losing = kg_realloc(sim->losing, (sim->nlosing + 1) * sizeof(*sim->losing));
	sim->losing[sim->nlosing++] = (struct kg_input_liveness){.name = kg_strdup(name),
		.ready = false,
		.reason = "NodeStatusUnknown",
		.message = "Kubelet stopped posting node status."};
}

/* ---- steps ---- */

static int commit(struct kg_sim *sim, struct kg_inputs *in, struct kg_error *err)
{
	struct kg_txn *txn = kg_txn_new(sim->s);
	struct kg_snapshot *next;

	in->now = sim->now;
	kg_txn_set_time(txn, sim->now);
	int rc = kg_reconcile(sim->state, txn, in, &sim->wake_at, err);
	if (rc < 0) {
		kg_txn_free(txn);
		return rc;
	}
	kg_changes_release(&sim->changes);
	sim->changes = (struct kg_changes){0};
	kg_txn_finish(txn, &next, &sim->changes);
	kg_snapshot_unref(sim->s);
	sim->s = next;
	for (size_t i = 0; i < sim->changes.len; i++) {
		const struct kg_change *c = &sim->changes.items[i];

		if (c->after && c->after->kind->id == KG_KIND_POD && !c->quiet)
			expect(sim, c->after);
	}
	return 0;
}

int kg_sim_apply(struct kg_sim *sim, struct kg_inputs *in, struct kg_error *err)
{
	struct kg_inputs all = *in;
	size_t n = in->nliveness + sim->nlosing;
	struct kg_input_liveness *live KG_AUTOFREE = kg_alloc((n + 1) * sizeof(*live));

	if (in->nliveness)
		memcpy(live, in->liveness, in->nliveness * sizeof(*live));
	for (size_t i = 0; i < sim->nlosing; i++) {
		live[in->nliveness + i] = sim->losing[i];
		live[in->nliveness + i].since = sim->now;
	}
	all.liveness = live;
	all.nliveness = n;
	int rc = commit(sim, &all, err);
	for (size_t i = 0; rc == 0 && i < sim->nlosing; i++)
		free((char *)sim->losing[i].name);
	if (rc == 0)
		sim->nlosing = 0;
	return rc;
}

/* What the pod's node reports now; false: what was due is no more (another step came first). */
static bool report(struct kg_input_pod_status *out, struct kg_arena *a, const struct kg_sim *sim,
	const struct due *d)
{
	const struct kg_object *pod = kg_snapshot_get(sim->s, KG_KIND_POD, d->ns, d->name);

	if (!pod || strcmp(kg_object_uid(pod), d->uid) != 0 || due_in(sim, pod) < 0)
		return false;
	*out = (struct kg_input_pod_status){.node = kg_string(kg_spec(pod, "nodeName"), ""),
		.ns = pod->ns,
		.name = pod->name,
		.uid = kg_object_uid(pod),
		.gone = kg_object_deleting(pod)};
	if (out->gone)
		out->status = kg_v_null();
	else if (kg_object_ready(pod))
		out->status = kg_sim_succeeded(a, pod, sim->now);
	else
		out->status = kg_sim_running(a, pod, true, sim->now);
	return true;
}

static kg_time next_time(const struct kg_sim *sim)
{
	kg_time at = sim->wake_at;

	for (size_t i = 0; i < sim->ndue; i++)
		if (sim->due[i].at < at)
			at = sim->due[i].at;
	return at;
}

/* Takes what is due out of the list. */
static struct kg_input_pod_status *take_due(size_t *n, struct kg_sim *sim, struct kg_arena *a)
{
	struct kg_input_pod_status *pods = kg_arena_alloc(a, (sim->ndue + 1) * sizeof(*pods));
	size_t left = 0;

	*n = 0;
	for (size_t i = 0; i < sim->ndue; i++) {
		if (sim->due[i].at > sim->now) {
			sim->due[left++] = sim->due[i];
			continue;
		}
		if (report(&pods[*n], a, sim, &sim->due[i]))
			(*n)++;
		due_release(&sim->due[i]);
	}
	sim->ndue = left;
	return pods;
}

int kg_sim_next(struct kg_sim *sim, struct kg_error *err)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	kg_time at = next_time(sim);
	struct kg_inputs in = {0};

	if (at == KG_TIME_NEVER || at > sim->horizon)
		return 0;
	if (at > sim->now)
		sim->now = at;
	in.pods = take_due(&in.npods, sim, &a);
	int rc = commit(sim, &in, err);
	return rc < 0 ? rc : 1;
}

const struct kg_snapshot *kg_sim_snapshot(const struct kg_sim *sim)
{
	return sim->s;
}

const struct kg_changes *kg_sim_changes(const struct kg_sim *sim)
{
	return &sim->changes;
}

kg_time kg_sim_now(const struct kg_sim *sim)
{
	return sim->now;
}
