/*
 * One pod's life on the loop: events change its state (podstate.h), then kg_pod_evaluate asks
 * plan.c what follows, signals, pulls, and hands what blocks to a worker, and reports the status
 * where it changed.
 */
#include "base/hash.h"
#include "nodeagent/pods_private.h"
#include "nodeagent/podtokens.h"
#include "nodeagent/status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define CONFIG_RETRY_MS  (10 * 1000)
#define SANDBOX_RETRY_MS (5 * 1000)

/* ---- reports ---- */

void kg_pod_report(struct pod *p, bool again)
{
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	int64_t now = kg_monotonic_ms();
	const struct kg_value *before = p->status ? kg_doc_value(p->status) : &kg_null;
	struct kg_value v = kg_pod_status(&a, &p->st, before, kg_realtime_ms(), now);
	bool same = kg_equal(&v, before);
	if (p->st.gone || (same && !again))
		return;
	if (!again && now < p->quiet_mono && !strcmp(kg_string(kg_get(&v, "phase"), ""), "Pending"))
		return; /* evaluated again when it is over */
	if (!same) {
		struct kg_doc *old = p->status;
		p->status = kg_doc_new(&v, NULL, 0);
		kg_doc_unref(old);
		kg_pod_save(p);
	}
	p->pods->on_status(
		p->pods->ctx, p->st.ns, p->st.name, p->st.uid, kg_doc_value(p->status), false);
}

/* ---- jobs ---- */

static void on_event(void *msg);

static struct kg_podjob *job_new(struct pod *p)
{
	struct kg_podjob *j = kg_alloc(sizeof(*j));
	*j = (struct kg_podjob){
		.env = &p->pods->env,
		.owner = p,
		.pod = kg_doc_ref(p->st.pod),
		.configmaps = kg_doc_ref(p->pods->configmaps),
		.uid = kg_strdup(p->st.uid),
		.ns = kg_strdup(p->st.ns),
		.name = kg_strdup(p->st.name),
		.event = on_event,
		.c = kg_alloc((p->st.nc + 1) * sizeof(*j->c)),
	};
	kg_podpaths_init(&j->paths, p->pods->env.dir, p->pods->env.cgroup_parent, p->st.uid);
	return j;
}

/* 32 hex digits that nothing had before. */
static void new_id(char out[40], const struct pod *p, const char *container)
{
	static uint64_t serial;
	unsigned char d[32];
	char hex[65];
	KG_AUTOFREE char *seed = kg_asprintf("%s/%s/%lld/%llu/%d", p->st.uid, container,
		(long long)kg_realtime_ms(), (unsigned long long)++serial, (int)getpid());
	kg_sha256(d, seed, strlen(seed));
	kg_hex(hex, d, sizeof(d));
	snprintf(out, 40, "%.32s", hex);
}

static void add_container(struct kg_podjob *j, struct pod *p, size_t i, bool start)
{
	struct kg_cstate *c = &p->st.c[i];
	struct kg_job_container *jc = &j->c[j->nc++];
	*jc = (struct kg_job_container){.index = i, .init = c->init, .start = start};
	jc->name = kg_strdup(c->name);
	memcpy(jc->old_id, c->id, sizeof(jc->old_id));
	jc->attempt = c->term.valid ? c->restarts + 1 : c->restarts;
	if (!start)
		return;
	new_id(jc->id, p, c->name);
	memcpy(c->id, jc->id, sizeof(c->id));
	c->phase = KG_C_STARTING;
	c->dirty = true;
	char *old = c->image;
	c->image = kg_strdup(kg_string(kg_get(kg_cstate_spec(&p->st, c), "image"), ""));
	free(old);
}

static void submit(struct pod *p, struct kg_podjob *j)
{
	p->st.busy = true;
	p->news = false;
	if (j->setup && !p->st.start_time) {
		p->st.start_time = kg_realtime_ms();
		p->st.start_mono = kg_monotonic_ms();
	}
	if (!j->purge)
		kg_pod_save(p);
	kg_work_submit(p->pods->work, kg_podjob_run, kg_podjob_free, j);
}

/* ---- events of jobs ---- */

static void on_started(struct pod *p, struct kg_pod_event *e)
{
	struct kg_cstate *c = &p->st.c[e->container];
	kg_cstate_next(c);
	c->phase = KG_C_RUNNING;
	c->pid = e->pid;
	c->pid_start = e->pid_start;
	c->started = e->started;
	c->started_mono = kg_monotonic_ms();
	c->post_start = !kg_is_null(kg_at(kg_cstate_spec(&p->st, c), "lifecycle.postStart"));
	char *old = c->image_id;
	c->image_id = kg_steal(&e->image_id);
	free(old);
	kg_cstate_wait(c, "", NULL);
	kg_pod_save(p);
	kg_pod_watch(&p->live[e->container]);
}

/* Back to where it was before the start, with a reason. */
static void not_started(struct kg_cstate *c, const char *reason, const char *message)
{
	c->phase = c->term.valid ? KG_C_EXITED : KG_C_WAITING;
	c->image_ready = false;
	kg_cstate_wait(c, reason, message);
}

static void on_failed(struct pod *p, struct kg_pod_event *e)
{
	struct kg_cstate *c = &p->st.c[e->container];
	int64_t now = kg_monotonic_ms();
	if (e->sandbox) {
		not_started(c, "ContainerCreating", NULL);
		return;
	}
	if (e->config || e->err.code == KG_E_UNAVAILABLE) {
		c->not_before_mono = now + CONFIG_RETRY_MS;
		c->wait_ms = 0;
		not_started(c, e->config ? "CreateContainerConfigError" : "CreateContainerError",
			e->err.msg);
		return;
	}
	struct kg_cterm t = {0};
	kg_cterm_set(&t, 128, "StartError", e->err.msg);
	t.finished = kg_realtime_ms();
	memcpy(t.id, c->id, sizeof(t.id));
	kg_cstate_next(c);
	c->term = t;
	c->started_mono = 0;
	kg_plan_exited(c, now);
}

static void on_setup(struct pod *p, const struct kg_pod_event *e)
{
	free(p->st.sandbox_error);
	p->st.sandbox_error = NULL;
	if (e->ok) {
		p->st.sandbox = KG_SANDBOX_READY;
		return;
	}
	p->st.sandbox_error = kg_strdup(e->err.msg);
	p->st.sandbox_not_before_mono = p->news ? 0 : kg_monotonic_ms() + SANDBOX_RETRY_MS;
	for (size_t i = 0; i < p->st.nc; i++)
		if (p->st.c[i].phase == KG_C_STARTING || p->st.c[i].phase == KG_C_WAITING)
			not_started(&p->st.c[i], "ContainerCreating", e->err.msg);
}

static void on_teardown(struct pod *p, const struct kg_pod_event *e)
{
	if (e->ok) {
		p->st.sandbox = KG_SANDBOX_DOWN;
		return;
	}
	p->purging = false;
	free(p->st.sandbox_error);
	p->st.sandbox_error = kg_strdup(e->err.msg);
	p->st.sandbox_not_before_mono = kg_monotonic_ms() + SANDBOX_RETRY_MS;
}

static void on_cleaned(struct pod *p, const struct kg_pod_event *e)
{
	struct kg_cstate *c = &p->st.c[e->container];
	c->dirty = !e->ok;
	if (!e->ok)
		p->st.sandbox_not_before_mono = kg_monotonic_ms() + SANDBOX_RETRY_MS;
}

/* Something was begun and did not come to be told of (the job was cut short). */
static void on_done(struct pod *p)
{
	p->st.busy = false;
	for (size_t i = 0; i < p->st.nc; i++)
		if (p->st.c[i].phase == KG_C_STARTING)
			not_started(&p->st.c[i], "ContainerCreating", p->st.sandbox_error);
}

static void on_event(void *msg)
{
	struct kg_pod_event *e = msg;
	struct pod *p = e->owner;
	switch (e->kind) {
	case KG_PE_SETUP:
		on_setup(p, e);
		break;
	case KG_PE_STARTED:
		on_started(p, e);
		break;
	case KG_PE_FAILED:
		on_failed(p, e);
		break;
	case KG_PE_CLEANED:
		on_cleaned(p, e);
		break;
	case KG_PE_REFRESH:
		if (!e->ok)
			p->refresh = true;
		break;
	case KG_PE_TEARDOWN:
		on_teardown(p, e);
		break;
	case KG_PE_PURGED:
		p->st.gone = e->ok;
		p->purging = e->ok;
		if (!e->ok)
			p->st.sandbox_not_before_mono = kg_monotonic_ms() + SANDBOX_RETRY_MS;
		break;
	case KG_PE_DONE:
		on_done(p);
		break;
	}
	bool save = e->kind != KG_PE_STARTED && e->kind != KG_PE_REFRESH && !p->st.gone;
	bool more = e->kind == KG_PE_SETUP && e->ok; /* the start follows at once */
	kg_pod_event_free(e);
	if (save)
		kg_pod_save(p);
	if (!more)
		kg_pod_evaluate(p);
}

/* ---- acting ---- */

static int stop_signal(struct pod *p, const struct kg_cstate *c)
{
	static const struct {
		const char *name;
		int signo;
	} names[] = {{"TERM", SIGTERM}, {"INT", SIGINT}, {"QUIT", SIGQUIT}, {"HUP", SIGHUP},
		{"KILL", SIGKILL}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH},
		{"ABRT", SIGABRT}, {"ALRM", SIGALRM}, {"CONT", SIGCONT}, {"PWR", SIGPWR},
		{"RTMIN+3", 37}};
	struct kg_image *image = kg_images_get(p->pods->env.images, c->image ? c->image : "");
	const char *s = image ? kg_string(kg_get(&image->config, "StopSignal"), "") : "";
	int signo = atoi(s);
	if (!strncasecmp(s, "SIG", 3))
		s += 3;
	for (size_t i = 0; i < KG_ARRAY_LEN(names); i++)
		if (!strcasecmp(s, names[i].name))
			signo = names[i].signo;
	kg_image_unref(image);
	return signo > 0 && signo < 65 ? signo : SIGTERM;
}

static void send(struct pod *p, struct kg_cstate *c, int signo)
{
	struct kg_podenv *env = &p->pods->env;
	struct kg_error ignored; /* tried again when the grace period is over, and after that */
	env->runtime->signal(env->runtime_self, c->pid, c->pid_start, signo, &ignored);
}

void kg_pod_terminate(struct live *l)
{
	struct kg_cstate *c = &l->pod->st.c[l->index];
	send(l->pod, c, stop_signal(l->pod, c));
}

/* SIGTERM, after its preStop hook; or SIGKILL at once. at: SIGKILL (again) then. */
static void begin_stop(struct pod *p, size_t i, bool kill, int64_t at)
{
	struct kg_cstate *c = &p->st.c[i];
	struct live *l = &p->live[i];
	bool first = !c->stopping;
	c->stopping = true;
	c->kill_mono = at;
	kg_probe_free(l->probes[KG_PROBE_LIVENESS]);
	l->probes[KG_PROBE_LIVENESS] = NULL;
	/* A hook that took the whole grace period leaves the container these last seconds. */
	bool term = kg_pod_end_hook(l);
	if (kill && !term)
		send(p, c, SIGKILL);
	else if (kill || !kg_pod_pre_stop(l))
		kg_pod_terminate(l);
	if (first || term)
		kg_pod_save(p);
}

static bool run_pulls(struct pod *p)
{
	bool ready = false;
	for (size_t i = 0; i < p->plan.len; i++)
		if (p->plan.items[i].kind == KG_A_PULL)
			ready = kg_pod_pull(p, &p->st.c[p->plan.items[i].container]) || ready;
	return ready;
}

static void act(struct pod *p)
{
	struct kg_podjob *j = NULL;
	for (size_t i = 0; i < p->plan.len; i++) {
		const struct kg_action *a = &p->plan.items[i];
		if (a->kind == KG_A_TERM) {
			begin_stop(p, a->container, false, a->at);
			continue;
		}
		if (a->kind == KG_A_KILL) {
			begin_stop(p, a->container, true, a->at);
			continue;
		}
		if (a->kind == KG_A_PULL)
			continue;
		if (!j)
			j = job_new(p);
		if (a->kind == KG_A_SETUP)
			j->setup = true;
		else if (a->kind == KG_A_START || a->kind == KG_A_CLEAN)
			add_container(j, p, a->container, a->kind == KG_A_START);
		else if (a->kind == KG_A_TEARDOWN)
			j->teardown = true;
		else
			j->purge = true;
	}
	if (!j && p->refresh && !p->st.busy && p->st.sandbox == KG_SANDBOX_READY) {
		j = job_new(p);
		j->refresh = true;
		p->refresh = false;
	}
	if (j && j->teardown && p->st.deleting)
		j->purge = true;
	if (!j)
		return;
	p->purging = j->purge;
	submit(p, j);
}

static void gone(struct pod *p)
{
	struct kg_pods *pods = p->pods;
	KG_AUTOFREE char *uid = kg_strdup(p->st.uid), *ns = kg_strdup(p->st.ns);
	KG_AUTOFREE char *name = kg_strdup(p->st.name);
	kg_map_remove(&pods->pods, uid);
	if (pods->env.tokens)
		kg_podtokens_forget(pods->env.tokens, uid);
	kg_doc_unref(p->status);
	p->status = NULL;
	struct kg_arena a KG_CLEANUP(kg_arena_release) = KG_ARENA_INIT;
	struct kg_value v =
		kg_pod_status(&a, &p->st, &kg_null, kg_realtime_ms(), kg_monotonic_ms());
	kg_pod_free(p);
	pods->on_status(pods->ctx, ns, name, uid, &v, true);
}

/* A container whose image was changed in place is made anew. */
static void check_images(struct pod *p)
{
	for (size_t i = 0; i < p->st.nc; i++) {
		struct kg_cstate *c = &p->st.c[i];
		const char *want = kg_string(kg_get(kg_cstate_spec(&p->st, c), "image"), "");
		if (!c->image || !strcmp(c->image, want) || (c->init && !c->sidecar))
			continue;
		if (c->phase == KG_C_RUNNING && !c->restart) {
			c->restart = true;
			c->probe_grace_ms = -1;
		}
		if (c->phase != KG_C_RUNNING)
			c->image_ready = false;
	}
}

/* By when an ending pod must have ended; a grace period that becomes shorter counts from now. */
static void set_end(struct kg_pstate *st, int64_t now)
{
	int64_t end = now + kg_plan_grace(st);

	if (kg_plan_ending(st) && (!st->end_mono || end < st->end_mono))
		st->end_mono = end;
}

void kg_pod_evaluate(struct pod *p)
{
	if (p->evaluating)
		return;
	p->evaluating = true;
	if (p->st.gone && !p->st.busy) {
		gone(p);
		return;
	}
	check_images(p);
	int64_t now = kg_monotonic_ms();
	if (!p->st.deadline_exceeded && now >= kg_plan_deadline(&p->st)) {
		p->st.deadline_exceeded = true;
		kg_pod_save(p);
	}
	set_end(&p->st, now);
	kg_plan_make(&p->plan, &p->st, now);
	while (run_pulls(p))
		kg_plan_make(&p->plan, &p->st, now);
	int64_t wake = p->plan.wake_mono;
	act(p);
	if (p->quiet_mono > now && p->quiet_mono < wake)
		wake = p->quiet_mono;
	kg_timer_set(p->timer, wake == INT64_MAX ? -1 : wake > now ? wake - now : 0);
	p->evaluating = false;
	if (p->st.preempted && kg_plan_finished(&p->st))
		kg_pods_release_held(p->pods);
	kg_pod_report(p, false);
}

void kg_pod_free(struct pod *p)
{
	for (size_t i = 0; i < p->st.nc; i++)
		kg_pod_unwatch(&p->live[i]);
	free(p->live);
	kg_timer_free(p->timer);
	kg_plan_release(&p->plan);
	kg_podpaths_release(&p->paths);
	kg_doc_unref(p->status);
	kg_pstate_release(&p->st);
	free(p);
}
