#include "nodeagent/status.h"

#include "kinds/amount.h"
#include "kinds/object.h"
#include "kinds/placement.h"
#include "nodeagent/oci_spec.h"
#include "nodeagent/plan.h"

#include <string.h>

static struct kg_value time_value(struct kg_arena *a, kg_time t)
{
	char text[32];
	if (t <= 0)
		return kg_v_null();
	kg_time_format(text, t);
	return kg_v_str(a, text);
}

static struct kg_value container_id(struct kg_arena *a, const char *id)
{
	return *id ? kg_v_strf(a, "runc://%s", id) : kg_v_null();
}

/* ---- one container ---- */

static struct kg_value terminated(struct kg_arena *a, const struct kg_cterm *t)
{
	struct kg_value v = kg_v_obj(a, "exitCode", kg_v_int(t->exit_code), "reason",
		kg_v_str(a, t->reason), "message", kg_v_str(a, t->message), "startedAt",
		time_value(a, t->started), "finishedAt", time_value(a, t->finished), "containerID",
		container_id(a, t->id), (char *)NULL);
	return kg_v_obj(a, "terminated", v, (char *)NULL);
}

static struct kg_value waiting(struct kg_arena *a, const char *reason, const char *message)
{
	struct kg_value v = kg_v_obj(
		a, "reason", kg_v_str(a, reason), "message", kg_v_str(a, message), (char *)NULL);
	return kg_v_obj(a, "waiting", v, (char *)NULL);
}

/* "10s", "2m40s", as Go prints them. */
static char *go_duration(struct kg_arena *a, int64_t ms)
{
	long long s = ms / 1000;
	return s < 60 ? kg_arena_printf(a, "%llds", s)
		      : kg_arena_printf(a, "%lldm%llds", s / 60, s % 60);
}

static bool backing_off(const struct kg_pstate *pod, const struct kg_cstate *c, int64_t now)
{
	return c->phase == KG_C_EXITED && now < c->not_before_mono && kg_plan_will_restart(pod, c);
}

static struct kg_value wait_state(
	struct kg_arena *a, const struct kg_pstate *pod, const struct kg_cstate *c, int64_t now)
{
	if (!strcmp(c->reason, "ErrImagePull") && now >= kg_plan_pull_shown(c))
		return waiting(a, "ImagePullBackOff",
			kg_arena_printf(a, "Back-off pulling image \"%s\": ErrImagePull: %s",
				kg_string(kg_get(kg_cstate_spec(pod, c), "image"), ""),
				c->message ? c->message : ""));
	return waiting(a, c->reason, c->message);
}

/* The state, and whether how the present attempt ended is told there (else it is lastState). */
static struct kg_value state_of(struct kg_arena *a, const struct kg_pstate *pod,
	const struct kg_cstate *c, int64_t now, bool *told)
{
	*told = false;
	if (c->phase == KG_C_RUNNING)
		return kg_v_obj(a, "running",
			kg_v_obj(a, "startedAt", time_value(a, c->started), (char *)NULL),
			(char *)NULL);
	if (backing_off(pod, c, now))
		return waiting(a, "CrashLoopBackOff",
			kg_arena_printf(a,
				"back-off %s restarting failed container=%s pod=%s_%s(%s)",
				go_duration(a, c->wait_ms), c->name, pod->name, pod->ns, pod->uid));
	if (c->term.valid && (!*c->reason || c->phase == KG_C_STARTING)) {
		*told = true;
		return terminated(a, &c->term);
	}
	return wait_state(a, pod, c, now);
}

static struct kg_value container_status(
	struct kg_arena *a, const struct kg_pstate *pod, const struct kg_cstate *c, int64_t now)
{
	bool told;
	struct kg_value state = state_of(a, pod, c, now, &told);
	const struct kg_cterm *last = c->term.valid && !told ? &c->term : &c->last;
	const char *image =
		c->image ? c->image : kg_string(kg_get(kg_cstate_spec(pod, c), "image"), "");
	const char *id = c->phase == KG_C_RUNNING || c->phase == KG_C_EXITED ? c->id : "";
	bool running = c->phase == KG_C_RUNNING;
	bool ready = c->init && !c->sidecar ? kg_plan_through(c) : running && c->ready;
	return kg_v_obj(a, "name", kg_v_str(a, c->name), "state", state, "lastState",
		last->valid ? terminated(a, last) : kg_v_object(a, NULL, 0), "ready",
		kg_v_bool(ready), "restartCount", kg_v_int(c->restarts), "image",
		kg_v_str(a, image), "imageID", kg_v_str(a, c->image_id ? c->image_id : ""),
		"containerID", container_id(a, id), "started", kg_v_bool(running && c->started_ok),
		(char *)NULL);
}

static struct kg_value statuses(
	struct kg_arena *a, const struct kg_pstate *pod, bool init, int64_t now)
{
	struct kg_value *v = kg_arena_alloc(a, (pod->nc + 1) * sizeof(*v));
	size_t n = 0;
	for (size_t i = 0; i < pod->nc; i++)
		if (pod->c[i].init == init)
			v[n++] = container_status(a, pod, &pod->c[i], now);
	return n ? kg_v_array(a, v, n) : kg_v_null();
}

/* ---- the pod ---- */

#define KG_PREEMPTED "Preempted in order to admit critical pod"

/* kubelet's getPhase. */
static const char *phase_of(const struct kg_pstate *pod)
{
	if (kg_plan_finished(pod) && !pod->deleting)
		return kg_plan_failed(pod) ? "Failed" : "Succeeded";
	if (!kg_plan_initialized(pod))
		return "Pending";
	bool ended = kg_plan_finished(pod), failed = false, any = false;
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		if (c->init)
			continue;
		if (c->phase != KG_C_RUNNING && !c->term.valid)
			return "Pending"; /* it never ran */
		any = true;
		failed = failed || c->term.exit_code != 0;
	}
	/* A deleted pod whose containers have all ended is at its end, whatever its policy. */
	if (any && ended)
		return failed ? "Failed" : "Succeeded";
	return "Running";
}

/* "containers with unready status: [web sidecar]" */
static const char *not_ready(struct kg_arena *a, const struct kg_pstate *pod, bool init)
{
	KG_AUTOBUF struct kg_buf b = KG_BUF_INIT;
	for (size_t i = 0; i < pod->nc; i++) {
		const struct kg_cstate *c = &pod->c[i];
		bool ok = init ? kg_plan_through(c) : c->phase == KG_C_RUNNING && c->ready;
		bool counts = init ? c->init : !c->init || c->sidecar;
		if (counts && !ok)
			kg_buf_addf(&b, "%s%s", b.len ? " " : "", c->name);
	}
	if (!b.len)
		return NULL;
	return kg_arena_printf(
		a, "containers with %s status: [%s]", init ? "incomplete" : "unready", b.data);
}

struct conditions {
	struct kg_arena *a;
	const struct kg_value *before;
	kg_time now;
	struct kg_value items[5];
	size_t len;
};

static void add_condition(
	struct conditions *c, const char *type, bool ok, const char *reason, const char *message)
{
	const char *status = ok ? "True" : "False";
	const struct kg_value *old = kg_condition(c->before, type);
	struct kg_value since = *kg_get(old, "lastTransitionTime");
	if (kg_is_null(&since) || strcmp(kg_string(kg_get(old, "status"), ""), status))
		since = time_value(c->a, c->now);
	c->items[c->len++] = kg_v_obj(c->a, "type", kg_v_lit(type), "status", kg_v_lit(status),
		"lastProbeTime", kg_v_null(), "lastTransitionTime", since, "reason",
		kg_v_str(c->a, reason), "message", kg_v_str(c->a, message), (char *)NULL);
}

static struct kg_value conditions_of(struct kg_arena *a, const struct kg_pstate *pod,
	const char *phase, const struct kg_value *before, kg_time now)
{
	struct conditions c = {.a = a, .before = before, .now = now};
	bool done = !strcmp(phase, "Succeeded"), failed = !strcmp(phase, "Failed");
	const char *unready = not_ready(a, pod, false), *init = NULL;
	if (!kg_plan_initialized(pod))
		init = not_ready(a, pod, true);
	const char *why = done ? "PodCompleted" : failed ? "PodFailed" : "ContainersNotReady";
	bool ready = !unready && !done && !failed;
	add_condition(
		&c, "PodReadyToStartContainers", pod->sandbox == KG_SANDBOX_READY, NULL, NULL);
	add_condition(&c, "Initialized", !init,
		done   ? "PodCompleted"
		: init ? "ContainersNotInitialized"
		       : NULL,
		init);
	add_condition(&c, "Ready", ready, ready ? NULL : why, unready);
	add_condition(&c, "ContainersReady", ready, ready ? NULL : why, unready);
	if (pod->preempted) /* as kubelet has it: Jobs may not count such a failure */
		add_condition(&c, "DisruptionTarget", true, "TerminationByKubelet", KG_PREEMPTED);
	return kg_v_array(a, c.items, c.len);
}

static struct kg_value ips(struct kg_arena *a, const char *ip)
{
	if (!*ip)
		return kg_v_null();
	struct kg_value one = kg_v_obj(a, "ip", kg_v_str(a, ip), (char *)NULL);
	return kg_v_array(a, &one, 1);
}

/* As kubelet's rejectPod: no conditions, no containers. */
static struct kg_value rejected(struct kg_arena *a, const struct kg_pstate *pod)
{
	return kg_v_obj(a, "phase", kg_v_lit("Failed"), "reason", kg_v_str(a, pod->rejected),
		"message", kg_v_strf(a, KG_POD_REJECTED "%s", pod->rejected_why), "startTime",
		time_value(a, pod->start_time), "qosClass",
		kg_v_lit(kg_pod_qos(kg_get(kg_doc_value(pod->pod), "spec"))), (char *)NULL);
}

struct kg_value kg_pod_status(struct kg_arena *a, const struct kg_pstate *pod,
	const struct kg_value *before, kg_time now, int64_t now_mono)
{
	const struct kg_value *v = kg_doc_value(pod->pod);
	const char *phase = phase_of(pod);
	const char *host = kg_string(kg_get(v, "hostIP"), "");
	const char *ip = kg_string(kg_get(v, "podIP"), "");
	const char *reason = pod->deadline_exceeded ? "DeadlineExceeded"
			     : pod->preempted       ? "Preempting"
						    : NULL;
	const char *message =
		pod->deadline_exceeded
			? "Pod was active on the node longer than the specified deadline"
			: KG_PREEMPTED;

	if (pod->rejected)
		return rejected(a, pod);
	return kg_v_obj(a, "phase", kg_v_lit(phase), "conditions",
		conditions_of(a, pod, phase, before, now), "hostIP",
		*host ? kg_v_str(a, host) : kg_v_null(), "hostIPs", ips(a, host), "podIP",
		*ip ? kg_v_str(a, ip) : kg_v_null(), "podIPs", ips(a, ip), "startTime",
		time_value(a, pod->start_time), "qosClass", kg_v_lit(kg_pod_qos(kg_get(v, "spec"))),
		"initContainerStatuses", statuses(a, pod, true, now_mono), "containerStatuses",
		statuses(a, pod, false, now_mono), "reason", kg_v_str(a, reason), "message",
		kg_v_str(a, reason ? message : NULL), (char *)NULL);
}
