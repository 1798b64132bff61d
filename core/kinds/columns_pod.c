/*
 * Pod's columns. What stands under STATUS, READY and RESTARTS follows Kubernetes' own printer: the
 * phase (or the pod's reason) at first; then the first init container that is not through; then,
 * once initialised, the last container in the list that has something to say; last, deletion.
 */
#include "kinds/columns.h"

#include <stdio.h>

struct summary {
	const char *reason;
	int64_t restarts;
	int ready, total;
	kg_time last_restart; /* 0: unknown */
};

static void count_restarts(struct summary *s, const struct kg_value *container)
{
	const struct kg_value *ended = kg_at(container, "lastState.terminated.finishedAt");
	kg_time t;

	s->restarts += kg_int(kg_get(container, "restartCount"), 0);
	if (!kg_time_parse(&t, kg_string(ended, "")) && t > s->last_restart)
		s->last_restart = t;
}

/* "Completed", or what stands for a reason that is not given: "ExitCode:1", "Signal:9". */
static const char *ended_text(struct kg_arena *a, const struct kg_value *terminated)
{
	const char *reason = kg_string(kg_get(terminated, "reason"), "");
	int64_t sig = kg_int(kg_get(terminated, "signal"), 0);

	if (*reason)
		return reason;
	if (sig)
		return kg_arena_printf(a, "Signal:%lld", (long long)sig);
	return kg_arena_printf(
		a, "ExitCode:%lld", (long long)kg_int(kg_get(terminated, "exitCode"), 0));
}

static bool is_sidecar(const struct kg_value *pod, const struct kg_value *status)
{
	const struct kg_value *spec = kg_find(
		kg_at(pod, "spec.initContainers"), "name", kg_string(kg_get(status, "name"), ""));

	return kg_container_is_sidecar(spec);
}

/* Sidecars count as containers, and of an initialized pod's init containers only their restarts. */
static void sum_sidecars(struct summary *s, const struct kg_value *pod)
{
	const struct kg_value *list = kg_at(pod, "status.initContainerStatuses");

	s->restarts = 0;
	s->last_restart = 0;
	for (uint32_t i = 0; i < kg_len(list); i++) {
		if (is_sidecar(pod, &list->items[i]))
			count_restarts(s, &list->items[i]);
	}
}

/* True while an init container is not through; the reason then says which and why. */
static bool sum_init(struct summary *s, struct kg_arena *a, const struct kg_value *pod)
{
	const struct kg_value *list = kg_at(pod, "status.initContainerStatuses");
	uint32_t total = kg_len(kg_at(pod, "spec.initContainers"));

	for (uint32_t i = 0; i < kg_len(list); i++) {
		const struct kg_value *terminated = kg_at(&list->items[i], "state.terminated");
		const char *waiting = kg_string(kg_at(&list->items[i], "state.waiting.reason"), "");

		count_restarts(s, &list->items[i]);
		if (!kg_is_null(terminated) && !kg_int(kg_get(terminated, "exitCode"), 0))
			continue;
		if (kg_bool(kg_get(&list->items[i], "started"), false) &&
			is_sidecar(pod, &list->items[i])) {
			s->ready += kg_bool(kg_get(&list->items[i], "ready"), false);
			continue;
		}
		if (!kg_is_null(terminated))
			s->reason = kg_arena_printf(a, "Init:%s", ended_text(a, terminated));
		else if (*waiting && strcmp(waiting, "PodInitializing") != 0)
			s->reason = kg_arena_printf(a, "Init:%s", waiting);
		else
			s->reason = kg_arena_printf(a, "Init:%u/%u", i, total);
		return true;
	}
	return false;
}

static void sum_containers(struct summary *s, struct kg_arena *a, const struct kg_value *status)
{
	const struct kg_value *list = kg_get(status, "containerStatuses");
	bool running = false;

	for (uint32_t i = kg_len(list); i-- > 0;) {
		const struct kg_value *c = &list->items[i];
		const char *waiting = kg_string(kg_at(c, "state.waiting.reason"), "");
		const struct kg_value *terminated = kg_at(c, "state.terminated");

		count_restarts(s, c);
		if (*waiting) {
			s->reason = waiting;
		} else if (!kg_is_null(terminated)) {
			s->reason = ended_text(a, terminated);
		} else if (kg_bool(kg_get(c, "ready"), false) &&
			   !kg_is_null(kg_at(c, "state.running"))) {
			running = true;
			s->ready++;
		}
	}
	if (running && !strcmp(s->reason, "Completed"))
		s->reason = kg_condition_is_true(status, "Ready") ? "Running" : "NotReady";
}

static void summarise(struct summary *s, struct kg_arena *a, const struct kg_object *obj)
{
	const struct kg_value *pod = kg_obj(obj), *status = kg_get(pod, "status");
	const char *phase = kg_string(kg_get(status, "phase"), "");
	const char *reason = kg_string(kg_get(status, "reason"), "");
	const char *scheduled =
		kg_string(kg_get(kg_condition(status, "PodScheduled"), "reason"), "");
	const struct kg_value *init = kg_at(pod, "spec.initContainers");

	*s = (struct summary){.reason = *reason ? reason : phase};
	s->total = (int)kg_len(kg_at(pod, "spec.containers"));
	for (uint32_t i = 0; i < kg_len(init); i++)
		s->total += kg_container_is_sidecar(&init->items[i]);
	if (!strcmp(scheduled, "SchedulingGated"))
		s->reason = scheduled;
	if (!sum_init(s, a, pod) || kg_condition_is_true(status, "Initialized")) {
		sum_sidecars(s, pod);
		sum_containers(s, a, status);
	}
	if (kg_is_null(kg_at(pod, "metadata.deletionTimestamp")))
		return;
	if (!strcmp(reason, "NodeLost"))
		s->reason = "Unknown";
	else if (!kg_pod_terminal(obj))
		s->reason = "Terminating";
}

static struct kg_value cell_ready(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	struct summary s;

	(void)now;
	summarise(&s, a, obj);
	return kg_v_strf(a, "%d/%d", s.ready, s.total);
}

static struct kg_value cell_status(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	struct summary s;

	(void)now;
	summarise(&s, a, obj);
	return kg_v_str(a, s.reason);
}

static struct kg_value cell_restarts(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	struct summary s;
	char ago[24];

	summarise(&s, a, obj);
	if (!s.restarts || !s.last_restart)
		return kg_v_strf(a, "%lld", (long long)s.restarts);
	kg_duration_human(ago, now - s.last_restart);
	return kg_v_strf(a, "%lld (%s ago)", (long long)s.restarts, ago);
}

static struct kg_value cell_ip(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *status = kg_get(kg_obj(obj), "status");
	const struct kg_value *ip = kg_at(status, "podIPs.0.ip");

	(void)a, (void)now;
	return kg_cell_or_none(kg_is_null(ip) ? kg_get(status, "podIP") : ip);
}

static struct kg_value cell_node(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_cell_or_none(kg_at(kg_obj(obj), "spec.nodeName"));
}

static struct kg_value cell_nominated(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	(void)a, (void)now;
	return kg_cell_or_none(kg_at(kg_obj(obj), "status.nominatedNodeName"));
}

static struct kg_value cell_gates(struct kg_arena *a, const struct kg_object *obj, kg_time now)
{
	const struct kg_value *gates = kg_at(kg_obj(obj), "spec.readinessGates");
	const struct kg_value *status = kg_get(kg_obj(obj), "status");
	uint32_t passed = 0, n = kg_len(gates);

	(void)now;
	if (!n)
		return kg_v_lit("<none>");
	for (uint32_t i = 0; i < n; i++)
		passed += kg_condition_is_true(
			status, kg_string(kg_get(&gates->items[i], "conditionType"), ""));
	return kg_v_strf(a, "%u/%u", passed, n);
}

const struct kg_column kg_columns_pod[] = {
	KG_COLUMN_NAME,
	KG_COLUMN("Ready", "string", 0, cell_ready,
		"The aggregate readiness state of this pod for accepting traffic."),
	KG_COLUMN("Status", "string", 0, cell_status,
		"The aggregate status of the containers in this pod."),
	KG_COLUMN("Restarts", "string", 0, cell_restarts,
		"The number of times the containers in this pod have been restarted and when the "
		"last container in this pod has restarted."),
	KG_COLUMN_AGE,
	KG_COLUMN("IP", "string", 1, cell_ip, "The pod's address."),
	KG_COLUMN("Node", "string", 1, cell_node, "The node it is bound to."),
	KG_COLUMN("Nominated Node", "string", 1, cell_nominated,
		"The node where room is being made for it."),
	KG_COLUMN("Readiness Gates", "string", 1, cell_gates,
		"Conditions of others that readiness waits for."),
	{.name = NULL},
};
