#include "nodeagent/podstate.h"

#include "kinds/object.h"

#include <stdio.h>
#include <string.h>

static void add_containers(
	struct kg_pstate *p, const struct kg_value *list, bool init, const char *reason)
{
	for (uint32_t i = 0; i < kg_len(list); i++) {
		struct kg_cstate *c = &p->c[p->nc++];
		c->name = kg_strdup(kg_string(kg_get(&list->items[i], "name"), ""));
		c->init = init;
		c->sidecar = init && kg_container_is_sidecar(&list->items[i]);
		kg_cstate_wait(c, reason, NULL);
	}
}

void kg_pstate_init(struct kg_pstate *p, struct kg_doc *pod)
{
	*p = (struct kg_pstate){.pod = kg_doc_ref(pod)};
	const struct kg_value *v = kg_doc_value(pod), *md = kg_get(v, "metadata");
	p->uid = kg_strdup(kg_string(kg_get(md, "uid"), ""));
	p->ns = kg_strdup(kg_string(kg_get(md, "namespace"), "default"));
	p->name = kg_strdup(kg_string(kg_get(md, "name"), ""));
	const struct kg_value *spec = kg_get(v, "spec");
	const struct kg_value *init = kg_get(spec, "initContainers");
	const struct kg_value *main = kg_get(spec, "containers");
	p->c = kg_alloc((kg_len(init) + kg_len(main) + 1) * sizeof(*p->c));
	const char *reason = kg_len(init) ? "PodInitializing" : "ContainerCreating";
	add_containers(p, init, true, reason);
	add_containers(p, main, false, reason);
}

void kg_pstate_reject(struct kg_pstate *p, const char *reason, const char *message)
{
	free(p->rejected);
	free(p->rejected_why);
	p->rejected = kg_strdup(reason);
	p->rejected_why = kg_strdup(message);
	p->sandbox = KG_SANDBOX_DOWN;
}

void kg_cterm_clear(struct kg_cterm *t)
{
	free(t->message);
	*t = (struct kg_cterm){0};
}

void kg_cterm_set(struct kg_cterm *t, int exit_code, const char *reason, const char *message)
{
	kg_cterm_clear(t);
	t->valid = true;
	t->exit_code = exit_code;
	snprintf(t->reason, sizeof(t->reason), "%s", reason);
	t->message = kg_strdup(message);
}

void kg_pstate_release(struct kg_pstate *p)
{
	for (size_t i = 0; i < p->nc; i++) {
		struct kg_cstate *c = &p->c[i];
		free(c->name);
		free(c->image);
		free(c->image_id);
		free(c->message);
		kg_cterm_clear(&c->term);
		kg_cterm_clear(&c->last);
	}
	free(p->c);
	free(p->uid);
	free(p->ns);
	free(p->name);
	free(p->sandbox_error);
	free(p->rejected);
	free(p->rejected_why);
	kg_doc_unref(p->pod);
	*p = (struct kg_pstate){0};
}

void kg_cstate_wait(struct kg_cstate *c, const char *reason, const char *message)
{
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	char *old = c->message;
	c->message = kg_strdup(message);
	free(old);
}

void kg_cstate_next(struct kg_cstate *c)
{
	c->stale = false;
	if (!c->term.valid)
		return;
	c->restarts++;
	kg_cterm_clear(&c->last);
	c->last = c->term;
	c->term = (struct kg_cterm){0};
}

const struct kg_value *kg_cstate_spec(const struct kg_pstate *p, const struct kg_cstate *c)
{
	const struct kg_value *spec = kg_get(kg_doc_value(p->pod), "spec");
	return kg_find(kg_get(spec, c->init ? "initContainers" : "containers"), "name", c->name);
}

static struct kg_value save_term(struct kg_arena *a, const struct kg_cterm *t)
{
	if (!t->valid)
		return kg_v_null();
	return kg_v_obj(a, "exitCode", kg_v_int(t->exit_code), "reason", kg_v_str(a, t->reason),
		"message", kg_v_str(a, t->message), "started", kg_v_int(t->started), "finished",
		kg_v_int(t->finished), "id", kg_v_str(a, t->id), (char *)NULL);
}

static struct kg_value save_container(struct kg_arena *a, const struct kg_cstate *c)
{
	return kg_v_obj(a, "name", kg_v_str(a, c->name), "phase", kg_v_int(c->phase), "restarts",
		kg_v_int(c->restarts), "id", kg_v_str(a, c->id), "pid", kg_v_int(c->pid),
		"pidStart", kg_v_int((int64_t)c->pid_start), "started", kg_v_int(c->started),
		"startedMono", kg_v_int(c->started_mono), "term", save_term(a, &c->term), "last",
		save_term(a, &c->last), "dirty", kg_v_bool(c->dirty), "stale", kg_v_bool(c->stale),
		"backoff", kg_v_int(c->backoff_ms), "wait", kg_v_int(c->wait_ms), "notBefore",
		kg_v_int(c->not_before_mono), "image", kg_v_str(a, c->image), "imageID",
		kg_v_str(a, c->image_id), "reason", kg_v_str(a, c->reason), "message",
		kg_v_str(a, c->message), "ready", kg_v_bool(c->ready), "startedOk",
		kg_v_bool(c->started_ok), "postStart", kg_v_bool(c->post_start), "preStop",
		kg_v_bool(c->pre_stop), "stopping", kg_v_bool(c->stopping), "restart",
		kg_v_bool(c->restart), "kill", kg_v_int(c->kill_mono), (char *)NULL);
}

struct kg_value kg_pstate_save(struct kg_arena *a, const struct kg_pstate *p)
{
	struct kg_value *list = kg_arena_alloc(a, (p->nc + 1) * sizeof(*list));
	for (size_t i = 0; i < p->nc; i++)
		list[i] = save_container(a, &p->c[i]);
	return kg_v_obj(a, "sandbox", kg_v_int(p->sandbox), "startTime", kg_v_int(p->start_time),
		"startMono", kg_v_int(p->start_mono), "deleting", kg_v_bool(p->deleting), "grace",
		kg_v_int(p->grace_ms), "end", kg_v_int(p->end_mono), "deadlineExceeded",
		kg_v_bool(p->deadline_exceeded), "preempted", kg_v_bool(p->preempted), "held",
		kg_v_bool(p->held), "rejected", kg_v_str(a, p->rejected), "rejectedWhy",
		kg_v_str(a, p->rejected_why), "containers", kg_v_array(a, list, p->nc),
		(char *)NULL);
}

static void load_term(struct kg_cterm *t, const struct kg_value *v)
{
	kg_cterm_clear(t);
	if (kg_is_null(v))
		return;
	kg_cterm_set(t, (int)kg_int(kg_get(v, "exitCode"), 0), kg_string(kg_get(v, "reason"), ""),
		kg_string(kg_get(v, "message"), NULL));
	t->started = kg_int(kg_get(v, "started"), 0);
	t->finished = kg_int(kg_get(v, "finished"), 0);
	snprintf(t->id, sizeof(t->id), "%s", kg_string(kg_get(v, "id"), ""));
}

static void load_container(struct kg_cstate *c, const struct kg_value *v)
{
	int64_t phase = kg_int(kg_get(v, "phase"), 0);
	c->phase = phase >= 0 && phase <= KG_C_EXITED ? (enum kg_cphase)phase : KG_C_WAITING;
	c->restarts = (int)kg_int(kg_get(v, "restarts"), 0);
	snprintf(c->id, sizeof(c->id), "%s", kg_string(kg_get(v, "id"), ""));
	c->pid = (pid_t)kg_int(kg_get(v, "pid"), 0);
	c->pid_start = (uint64_t)kg_int(kg_get(v, "pidStart"), 0);
	c->started = kg_int(kg_get(v, "started"), 0);
	c->started_mono = kg_int(kg_get(v, "startedMono"), 0);
	load_term(&c->term, kg_get(v, "term"));
	load_term(&c->last, kg_get(v, "last"));
	c->dirty = kg_bool(kg_get(v, "dirty"), true);
	c->stale = kg_bool(kg_get(v, "stale"), false);
	c->backoff_ms = kg_int(kg_get(v, "backoff"), 0);
	c->wait_ms = kg_int(kg_get(v, "wait"), 0);
	c->not_before_mono = kg_int(kg_get(v, "notBefore"), 0);
	c->image = kg_strdup(kg_string(kg_get(v, "image"), NULL));
	c->image_id = kg_strdup(kg_string(kg_get(v, "imageID"), NULL));
	kg_cstate_wait(c, kg_string(kg_get(v, "reason"), "ContainerCreating"),
		kg_string(kg_get(v, "message"), NULL));
	c->ready = kg_bool(kg_get(v, "ready"), false);
	c->started_ok = kg_bool(kg_get(v, "startedOk"), false);
	c->post_start = kg_bool(kg_get(v, "postStart"), false);
	c->pre_stop = kg_bool(kg_get(v, "preStop"), false);
	c->stopping = kg_bool(kg_get(v, "stopping"), false);
	c->restart = kg_bool(kg_get(v, "restart"), false);
	c->kill_mono = kg_int(kg_get(v, "kill"), 0);
}

/* The machine went down under it: monotonic times mean nothing, what ran has ended. */
static void after_reboot(struct kg_cstate *c, kg_time now)
{
	if (c->phase == KG_C_RUNNING || c->phase == KG_C_STARTING) {
		kg_cterm_set(&c->term, 255, "Unknown", "the node was restarted");
		c->term.started = c->started;
		c->term.finished = now;
		memcpy(c->term.id, c->id, sizeof(c->term.id));
		c->phase = KG_C_EXITED;
	}
	c->pid = 0;
	c->backoff_ms = c->not_before_mono = c->started_mono = c->kill_mono = 0;
	c->stopping = c->restart = c->ready = c->started_ok = false;
	c->post_start = c->pre_stop = false;
	c->dirty = true;
}

void kg_pstate_load(struct kg_pstate *p, const struct kg_value *v, bool same_boot, kg_time now)
{
	int64_t sandbox = kg_int(kg_get(v, "sandbox"), 0);
	p->sandbox = sandbox == KG_SANDBOX_READY || sandbox == KG_SANDBOX_DOWN
			     ? (enum kg_sandbox)sandbox
			     : KG_SANDBOX_NONE;
	p->start_time = kg_int(kg_get(v, "startTime"), 0);
	p->start_mono = kg_int(kg_get(v, "startMono"), 0);
	p->deleting = kg_bool(kg_get(v, "deleting"), false);
	p->grace_ms = kg_int(kg_get(v, "grace"), 0);
	p->end_mono = kg_int(kg_get(v, "end"), 0);
	p->deadline_exceeded = kg_bool(kg_get(v, "deadlineExceeded"), false);
	p->preempted = kg_bool(kg_get(v, "preempted"), false);
	p->held = kg_bool(kg_get(v, "held"), false);
	if (!kg_is_null(kg_get(v, "rejected")))
		kg_pstate_reject(p, kg_string(kg_get(v, "rejected"), ""),
			kg_string(kg_get(v, "rejectedWhy"), ""));
	const struct kg_value *list = kg_get(v, "containers");
	for (size_t i = 0; i < p->nc; i++) {
		const struct kg_value *c = kg_find(list, "name", p->c[i].name);
		if (kg_is_null(c))
			continue;
		load_container(&p->c[i], c);
		if (!same_boot)
			after_reboot(&p->c[i], now);
	}
	if (!same_boot) {
		p->start_mono = p->end_mono = 0;
		if (p->sandbox == KG_SANDBOX_READY)
			p->sandbox = KG_SANDBOX_NONE;
	}
}
