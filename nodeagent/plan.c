#include "nodeagent/plan.h"

#include <string.h>

#define BACKOFF_FIRST_MS (10 * 1000)
#define BACKOFF_MAX_MS   (5 * 60 * 1000)
#define BACKOFF_RESET_MS (10 * 60 * 1000)
#define KILL_AGAIN_MS    (2 * 1000)
#define PULL_SHOWN_MS    (2 * 1000)
#define SIDECAR_GRACE_MS (2 * 1000)

void kg_plan_release(struct kg_plan *plan)
{
	free(plan->items);
	*plan = (struct kg_plan){0};
}

static void plan_clear(struct kg_plan *plan)
{
	plan->len = 0;
	plan->wake_mono = INT64_MAX;
}

static void add(struct kg_plan *plan, enum kg_action_kind kind, size_t container, int64_t at)
{
	KG_GROW(plan->items, plan->cap, plan->len + 1);
	plan->items[plan->len++] = (struct kg_action){kind, container, at};
}

static void wake(struct kg_plan *plan, int64_t at)
{
	if (at < plan->wake_mono)
		plan->wake_mono = at;
}

static const char *restart_policy(const struct kg_pstate *pod)
{
	return kg_string(kg_at(kg_doc_value(pod->pod), "spec.restartPolicy"), "Always");
}

int64_t kg_plan_grace(const struct kg_pstate *pod)
{
	if (pod->deleting)
		return pod->grace_ms;
	const struct kg_value *v =
		kg_at(kg_doc_value(pod->pod), "spec.terminationGracePeriodSeconds");
	return kg_int(v, 30) * 1000;
}

static bool work_over(const struct kg_pstate *pod);

/* The node has ended it before its time, or never began it. */
static bool cut_short(const struct kg_pstate *pod)
{
	return pod->deadline_exceeded || pod->preempted || pod->rejected;
}

bool kg_plan_will_restart(const struct kg_pstate *pod, const struct kg_cstate *c)
{
	if (pod->deleting || cut_short(pod))
		return false;
	if (c->sidecar)
		return !work_over(pod);
	if (c->phase != KG_C_EXITED)
		return true;
	const char *policy = restart_policy(pod);
	bool failed = c->term.exit_code != 0;
	if (c->init && c->stale && !failed)
		return true;
	if (!strcmp(policy, "Never"))
		return false;
	if (c->init || !strcmp(policy, "OnFailure"))
		return failed;
	return true;
}

bool kg_plan_through(const struct kg_cstate *c)
{
	if (c->sidecar)
		return c->phase == KG_C_RUNNING && c->started_ok;
	return c->phase == KG_C_EXITED && c->term.exit_code == 0 && !c->stale;
}

bool kg_plan_initialized(const struct kg_pstate *pod)
{
	bool all = true;

	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (!c->init && (c->phase == KG_C_RUNNING || (c->term.valid && !c->stale)))
			return true;
		all = all && (!c->init || kg_plan_through(c));
	}
	return all;
}

/* An init container that failed for good takes the rest with it. */
static bool init_failed(const struct kg_pstate *pod)
{
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (c->init && !c->sidecar && c->phase == KG_C_EXITED && c->term.exit_code != 0 &&
			!kg_plan_will_restart(pod, c))
			return true;
	}
	return false;
}

/* What sidecars run beside has ended for good. */
static bool work_over(const struct kg_pstate *pod)
{
	if (init_failed(pod))
		return true;
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (!c->init && (c->phase != KG_C_EXITED || kg_plan_will_restart(pod, c)))
			return false;
	}
	return true;
}

bool kg_plan_ending(const struct kg_pstate *pod)
{
	return pod->deleting || cut_short(pod) || work_over(pod);
}

static bool alive(const struct kg_cstate *c)
{
	return c->phase == KG_C_RUNNING || c->phase == KG_C_STARTING;
}

static bool any_alive(const struct kg_pstate *pod)
{
	for (size_t i = 0; i < pod->nc; i++)
		if (alive(&pod->c[i]))
			return true;
	return false;
}

bool kg_plan_finished(const struct kg_pstate *pod)
{
	return !any_alive(pod) && kg_plan_ending(pod);
}

bool kg_plan_failed(const struct kg_pstate *pod)
{
	if (!kg_plan_finished(pod))
		return false;
	if (cut_short(pod) || init_failed(pod))
		return true;
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (!c->init && c->phase == KG_C_EXITED && c->term.exit_code != 0)
			return true;
	}
	return false;
}

static int64_t grace_of(const struct kg_pstate *pod, const struct kg_cstate *c, int64_t now)
{
	int64_t grace = kg_plan_grace(pod);

	if (!kg_plan_ending(pod) && c->restart && c->probe_grace_ms >= 0)
		return c->probe_grace_ms;
	if (!c->sidecar || !pod->end_mono || grace <= SIDECAR_GRACE_MS)
		return grace;
	int64_t left = pod->end_mono - now;
	return left > grace ? grace : left < SIDECAR_GRACE_MS ? SIDECAR_GRACE_MS : left;
}

/* SIGTERM once, SIGKILL after the grace period and every few seconds from then on. */
static void stop(struct kg_plan *plan, const struct kg_pstate *pod, size_t i, int64_t now)
{
	const struct kg_cstate *c = &pod->c[i];
	if (c->phase != KG_C_RUNNING)
		return;
	int64_t grace = grace_of(pod, c, now);
	if (!c->stopping && grace > 0) {
		add(plan, KG_A_TERM, i, now + grace);
		wake(plan, now + grace);
		return;
	}
	/* A grace period that became shorter meanwhile counts from now. */
	int64_t at = c->stopping && c->kill_mono < now + grace ? c->kill_mono : now + grace;
	if (at > now) {
		wake(plan, at);
		return;
	}
	add(plan, KG_A_KILL, i, now + KILL_AGAIN_MS);
	wake(plan, now + KILL_AGAIN_MS);
}

static void stop_all(struct kg_plan *plan, const struct kg_pstate *pod, int64_t now)
{
	bool later = false; /* something that comes after it runs */

	for (size_t i = 0; i < pod->nc; i++)
		if (!pod->c[i].sidecar)
			stop(plan, pod, i, now);
	for (size_t i = pod->nc; i-- > 0;) {
		if (pod->c[i].sidecar && !later)
			stop(plan, pod, i, now);
		later = later || alive(&pod->c[i]);
	}
}

static void clean_ended(struct kg_plan *plan, const struct kg_pstate *pod)
{
	for (size_t i = 0; i < pod->nc && !pod->busy; i++)
		if (!alive(&pod->c[i]) && pod->c[i].dirty)
			add(plan, KG_A_CLEAN, i, 0);
}

/* Nothing of it shall run: end what runs, then take the rest down. */
static void plan_end(struct kg_plan *plan, const struct kg_pstate *pod, int64_t now)
{
	stop_all(plan, pod, now);
	if (any_alive(pod) || pod->busy)
		return;
	if (pod->sandbox == KG_SANDBOX_DOWN) {
		if (pod->deleting)
			add(plan, KG_A_GONE, 0, 0);
		return;
	}
	if (now < pod->sandbox_not_before_mono) {
		wake(plan, pod->sandbox_not_before_mono);
		return;
	}
	clean_ended(plan, pod);
	add(plan, KG_A_TEARDOWN, 0, 0);
}

int64_t kg_plan_pull_shown(const struct kg_cstate *c)
{
	return c->pull_not_before_mono - c->pull_backoff_ms + PULL_SHOWN_MS;
}

/* The image first (asked for as soon as the pod is known), then its start. */
static void plan_pull(struct kg_plan *plan, const struct kg_pstate *pod, size_t i, int64_t now)
{
	const struct kg_cstate *c = &pod->c[i];
	if (c->image_ready || c->pulling || alive(c) || !kg_plan_will_restart(pod, c))
		return;
	int64_t from = c->pull_not_before_mono;
	if (c->not_before_mono > from)
		from = c->not_before_mono;
	if (now >= from) {
		add(plan, KG_A_PULL, i, 0);
		return;
	}
	wake(plan, from);
	if (now < kg_plan_pull_shown(c))
		wake(plan, kg_plan_pull_shown(c)); /* the status changes then */
}

/* True where the container can be started now. */
static bool plan_start(struct kg_plan *plan, const struct kg_pstate *pod, size_t i, int64_t now)
{
	const struct kg_cstate *c = &pod->c[i];
	if (alive(c) || !kg_plan_will_restart(pod, c))
		return false;
	if (now < c->not_before_mono) {
		wake(plan, c->not_before_mono);
		return false;
	}
	return c->image_ready && !pod->busy;
}

static void add_start(struct kg_plan *plan, const struct kg_pstate *pod, size_t i, bool *setup)
{
	if (pod->sandbox != KG_SANDBOX_READY && !*setup) {
		add(plan, KG_A_SETUP, 0, 0);
		*setup = true;
	}
	add(plan, KG_A_START, i, 0);
}

static void plan_containers(struct kg_plan *plan, const struct kg_pstate *pod, int64_t now)
{
	bool initialized = kg_plan_initialized(pod), setup = false;
	bool may_set_up = pod->sandbox == KG_SANDBOX_READY ||
			  (!pod->held && now >= pod->sandbox_not_before_mono);
	if (!may_set_up && !pod->held)
		wake(plan, pod->sandbox_not_before_mono);
	bool waits = false; /* one after another; images come meanwhile */
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (c->init && !c->sidecar && (initialized || kg_plan_through(c)))
			continue;
		if (c->restart && c->phase == KG_C_RUNNING)
			stop(plan, pod, i, now);
		plan_pull(plan, pod, i, now);
		bool may = may_set_up && (initialized || (c->init && !waits));
		if (may && plan_start(plan, pod, i, now))
			add_start(plan, pod, i, &setup);
		waits = waits || (c->init && !kg_plan_through(c));
	}
}

int64_t kg_plan_deadline(const struct kg_pstate *pod)
{
	int64_t s = kg_int(kg_at(kg_doc_value(pod->pod), "spec.activeDeadlineSeconds"), 0);
	return s <= 0 || pod->start_mono == 0 ? INT64_MAX : pod->start_mono + s * 1000;
}

void kg_plan_make(struct kg_plan *plan, const struct kg_pstate *pod, int64_t now)
{
	plan_clear(plan);
	if (pod->gone)
		return;
	if (kg_plan_ending(pod)) {
		plan_end(plan, pod, now);
		return;
	}
	wake(plan, kg_plan_deadline(pod));
	plan_containers(plan, pod, now);
	/* What ended and will not come back keeps its log only. */
	for (size_t i = 0; i < pod->nc && !pod->busy; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (c->phase == KG_C_EXITED && c->dirty && !kg_plan_will_restart(pod, c))
			add(plan, KG_A_CLEAN, i, 0);
	}
}

/* kubelet's computePodActions: what had begun under restartPolicy Never is not begun again. */
static void end_unbegun(struct kg_pstate *pod, kg_time now)
{
	bool begun = false;

	for (size_t i = 0; i < pod->nc; i++)
		begun = begun || (!pod->c[i].init && pod->c[i].term.valid);
	for (size_t i = 0; begun && i < pod->nc; i++) {
		struct kg_cstate *c = &pod->c[i];
		if (c->init || c->term.valid)
			continue;
		kg_cterm_set(&c->term, 137, "ContainerStatusUnknown",
			"the node was restarted before it began");
		c->term.finished = now;
		c->phase = KG_C_EXITED;
		kg_cstate_wait(c, "", NULL);
	}
}

void kg_plan_new_sandbox(struct kg_pstate *pod, kg_time now)
{
	bool init = pod->nc > 0 && pod->c[0].init;

	if (!strcmp(restart_policy(pod), "Never"))
		end_unbegun(pod, now);
	if (kg_plan_ending(pod))
		return;
	for (size_t i = 0; i < pod->nc; i++)
		pod->c[i].stale = pod->c[i].term.valid;
	for (size_t i = 0; i < pod->nc; i++)
		if (pod->c[i].stale && kg_plan_will_restart(pod, &pod->c[i]))
			kg_cstate_wait(
				&pod->c[i], init ? "PodInitializing" : "ContainerCreating", NULL);
}

void kg_plan_exited(struct kg_cstate *c, int64_t now)
{
	if (c->started_mono && now - c->started_mono >= BACKOFF_RESET_MS)
		c->backoff_ms = 0;
	c->wait_ms = c->backoff_ms;
	c->not_before_mono = now + c->wait_ms;
	if (c->backoff_ms == 0)
		c->backoff_ms = BACKOFF_FIRST_MS;
	else if (c->backoff_ms < BACKOFF_MAX_MS)
		c->backoff_ms =
			c->backoff_ms * 2 < BACKOFF_MAX_MS ? c->backoff_ms * 2 : BACKOFF_MAX_MS;
	c->phase = KG_C_EXITED;
	c->pid = 0;
	c->ready = c->started_ok = c->stopping = c->restart = false;
	c->post_start = c->pre_stop = c->hook_failed = false;
	c->image_ready = false;
	kg_cstate_wait(c, "", NULL);
	c->kill_mono = 0;
}

void kg_plan_pull_failed(struct kg_cstate *c, int64_t now)
{
	c->pulling = false;
	c->pull_backoff_ms = c->pull_backoff_ms == 0 ? BACKOFF_FIRST_MS : c->pull_backoff_ms * 2;
	if (c->pull_backoff_ms > BACKOFF_MAX_MS)
		c->pull_backoff_ms = BACKOFF_MAX_MS;
	c->pull_not_before_mono = now + c->pull_backoff_ms;
}
