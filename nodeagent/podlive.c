/*
 * Containers while they run: their end is told by conmon's exit file, their process by a pidfd (so
 * that a conmon that died first is noticed, too), their health by probes.
 */
#include "nodeagent/logs.h"
#include "nodeagent/pods_private.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOST_MS (3 * 1000)

static void restart_container(struct live *l, const struct kg_value *probe)
{
	struct kg_cstate *c = &l->pod->st.c[l->index];
	if (c->phase != KG_C_RUNNING || c->restart)
		return;
	c->restart = true;
	c->ready = false;
	int64_t grace = kg_int(kg_get(probe, "terminationGracePeriodSeconds"), -1);
	c->probe_grace_ms = grace < 0 ? -1 : grace * 1000;
}

static void verdict(void *ctx, enum kg_probe_kind kind, bool ok)
{
	struct live *l = ctx;
	struct pod *p = l->pod;
	struct kg_cstate *c = &p->st.c[l->index];
	const struct kg_value *spec = kg_cstate_spec(&p->st, c);
	if (kind == KG_PROBE_READINESS) {
		c->ready = ok;
	} else if (!ok) {
		restart_container(l, kg_get(spec, kg_probe_field(kind)));
	} else if (kind == KG_PROBE_STARTUP) {
		c->started_ok = true;
		kg_probe_free(l->probes[kind]);
		l->probes[kind] = NULL;
		kg_pod_probe(l);
	}
	kg_pod_save(p);
	kg_pod_evaluate(p);
}

static void start_probe(struct live *l, enum kg_probe_kind kind)
{
	struct pod *p = l->pod;
	struct kg_cstate *c = &p->st.c[l->index];
	const struct kg_value *pod = kg_doc_value(p->st.pod);
	const struct kg_value *spec = kg_cstate_spec(&p->st, c);
	struct kg_probe_options o = {
		.loop = p->pods->loop,
		.kind = kind,
		.pod = p->st.pod,
		.spec = kg_get(spec, kg_probe_field(kind)),
		.container = spec,
		.ip = kg_pod_host_network(pod) ? "127.0.0.1" : kg_string(kg_get(pod, "podIP"), ""),
		.runtime = p->pods->env.runtime,
		.runtime_self = p->pods->env.runtime_self,
		.c = &l->c,
		.ran_ms = kg_monotonic_ms() - c->started_mono,
		.verdict = verdict,
		.ctx = l,
	};
	if (!kg_is_null(o.spec) && !l->probes[kind])
		l->probes[kind] = kg_probe_new(&o);
}

/* The startup probe alone until it has succeeded; then the others. */
void kg_pod_probe(struct live *l)
{
	struct kg_cstate *c = &l->pod->st.c[l->index];
	const struct kg_value *spec = kg_cstate_spec(&l->pod->st, c);
	if (c->init && !c->sidecar)
		return;
	if (!kg_is_null(kg_get(spec, "startupProbe")) && !c->started_ok) {
		start_probe(l, KG_PROBE_STARTUP);
		return;
	}
	c->started_ok = true;
	if (kg_is_null(kg_get(spec, "readinessProbe")))
		c->ready = true;
	start_probe(l, KG_PROBE_LIVENESS);
	start_probe(l, KG_PROBE_READINESS);
}

static void stop_probes(struct live *l)
{
	for (int i = 0; i < KG_PROBE_COUNT; i++) {
		kg_probe_free(l->probes[i]);
		l->probes[i] = NULL;
	}
}

void kg_pod_unwatch(struct live *l)
{
	stop_probes(l);
	kg_attempt_release(&l->hook);
	if (l->c.id)
		kg_map_remove(&l->pod->pods->ids, l->c.id);
	kg_watch_free(l->watch);
	kg_timer_free(l->lost);
	kg_closep(&l->pidfd);
	free(l->bundle);
	free(l->log);
	free(l->cgroup);
	*l = (struct live){.pod = l->pod, .index = l->index, .pidfd = -1};
}

static void process_gone(void *ctx, uint32_t events)
{
	struct live *l = ctx;
	(void)events;
	kg_watch_free(l->watch);
	l->watch = NULL;
	kg_timer_set(l->lost, LOST_MS);
	kg_pod_check_exit(l);
}

static void ended(struct live *l, const struct kg_runtime_state *s, const char *reason)
{
	struct pod *p = l->pod;
	struct kg_cstate *c = &p->st.c[l->index];
	struct kg_cterm t = {0};
	KG_AUTOFREE char *term = kg_term_path(&p->paths, c->name);
	KG_AUTOFREE char *message = kg_term_message(term, l->log,
		kg_string(kg_get(kg_cstate_spec(&p->st, c), "terminationMessagePolicy"), "File"),
		s->exit_code != 0);
	if (c->hook_failed)
		kg_cterm_set(&t, s->exit_code, "PostStartHookError", "the postStart hook failed");
	else
		kg_cterm_set(&t, s->exit_code, reason, message);
	t.started = c->started;
	t.finished = s->finished;
	memcpy(t.id, c->id, sizeof(t.id));
	kg_cterm_clear(&c->term);
	c->term = t;
	kg_pod_unwatch(l);
	kg_plan_exited(c, kg_monotonic_ms());
	kg_pod_save(p);
	kg_pod_evaluate(p);
}

void kg_pod_check_exit(struct live *l)
{
	struct kg_runtime_state s;
	struct kg_podenv *env = &l->pod->pods->env;
	if (!l->c.id || l->pod->st.c[l->index].phase != KG_C_RUNNING)
		return;
	env->runtime->look(env->runtime_self, &l->c, &s);
	if (s.exited)
		ended(l, &s, s.oom ? "OOMKilled" : s.exit_code == 0 ? "Completed" : "Error");
}

/* conmon has died before it could tell how the container ended. */
static void lost(void *ctx)
{
	struct live *l = ctx;
	struct kg_runtime_state s = {.exit_code = 137, .finished = kg_realtime_ms()};
	struct kg_runtime_state seen;
	struct kg_podenv *env = &l->pod->pods->env;
	env->runtime->look(env->runtime_self, &l->c, &seen);
	if (seen.exited)
		kg_pod_check_exit(l);
	else
		ended(l, &s, "ContainerStatusUnknown");
}

static void name_container(struct live *l)
{
	struct pod *p = l->pod;
	struct kg_cstate *c = &p->st.c[l->index];
	l->bundle = kg_bundle_path(&p->paths, c->name);
	l->log = kg_log_path(&p->paths, c->name, c->restarts);
	l->cgroup = kg_asprintf("%s/%s", p->paths.cgroup, c->id);
	l->c = (struct kg_runtime_container){
		.id = c->id, .bundle = l->bundle, .log = l->log, .cgroup = l->cgroup};
	kg_map_put(&p->pods->ids, c->id, l);
}

void kg_pod_watch(struct live *l)
{
	struct pod *p = l->pod;
	struct kg_cstate *c = &p->st.c[l->index];
	kg_pod_unwatch(l);
	name_container(l);
	l->lost = kg_timer_new(p->pods->loop, lost, l);
	l->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (l->pidfd >= 0 && kg_pid_start(c->pid) != c->pid_start)
		kg_closep(&l->pidfd), l->pidfd = -1;
	if (l->pidfd >= 0)
		l->watch = kg_loop_watch(p->pods->loop, l->pidfd, EPOLLIN, process_gone, l);
	if (!l->watch)
		kg_timer_set(l->lost, LOST_MS);
	bool hook = c->pre_stop ? kg_pod_pre_stop(l) : kg_pod_post_start(l);
	if (!hook)
		kg_pod_probe(l);
	kg_pod_check_exit(l);
}
