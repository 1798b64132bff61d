#include "nodeagent/probe.h"

#include "base/mem.h"
#include "nodeagent/probe_http.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EAGER_MS      100 /* until the first success readiness is asked for early and often */
#define EAGER_EXEC_MS 500

struct kg_probe {
	struct kg_probe_options o;
	char *ip;
	struct kg_timer *next, *timeout;
	struct kg_child *child;
	pid_t pid;
	struct kg_probe_conn *conn;
	int64_t period_ms, timeout_ms, eager_ms;
	int successes, failures; /* in a row */
	int need_ok, need_bad;
	int verdict; /* -1: none yet */
	bool ever_ok;
};

const char *kg_probe_field(enum kg_probe_kind kind)
{
	static const char *const names[] = {"startupProbe", "livenessProbe", "readinessProbe"};
	return names[kind];
}

static void cancel(struct kg_probe *p)
{
	kg_timer_set(p->timeout, -1);
	kg_probe_conn_free(p->conn);
	p->conn = NULL;
	if (p->child) {
		/* The runtime's exec and, with it, the command's session. */
		kill(-p->pid, SIGKILL);
		kg_child_free(p->child);
		p->child = NULL;
	}
}

void kg_probe_free(struct kg_probe *p)
{
	if (!p)
		return;
	cancel(p);
	kg_timer_free(p->next);
	kg_timer_free(p->timeout);
	free(p->ip);
	kg_doc_unref(p->o.pod);
	free(p);
}

/* Failures before the first success count only at the period's pace. */
static bool plan_next(struct kg_probe *p, bool ok)
{
	bool eager =
		!ok && !p->ever_ok && p->o.kind != KG_PROBE_LIVENESS && p->eager_ms < p->period_ms;
	kg_timer_set(p->next, eager ? p->eager_ms : p->period_ms);
	if (eager)
		p->eager_ms *= 2;
	return !eager;
}

static void result(struct kg_probe *p, bool ok)
{
	cancel(p);
	bool counts = plan_next(p, ok);
	p->ever_ok = p->ever_ok || ok;
	if (ok) {
		p->successes++;
		p->failures = 0;
	} else {
		p->successes = 0;
		p->failures += counts;
	}
	if (ok && p->successes >= p->need_ok && p->verdict != 1) {
		p->verdict = 1;
		p->o.verdict(p->o.ctx, p->o.kind, true);
		return; /* p may be gone */
	}
	if (!ok && p->failures >= p->need_bad && p->verdict != 0) {
		p->verdict = 0;
		p->o.verdict(p->o.ctx, p->o.kind, false);
	}
}

static void timed_out(void *ctx)
{
	result(ctx, false);
}

static void command_ended(void *ctx, int status)
{
	struct kg_probe *p = ctx;
	p->child = NULL;
	result(p, WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void conn_done(void *ctx, bool ok)
{
	result(ctx, ok);
}

static void run_command(struct kg_probe *p, const struct kg_value *command)
{
	const char *argv[129];
	struct kg_error err;
	size_t n = 0;
	for (uint32_t i = 0; i < kg_len(command) && n < 128; i++)
		argv[n++] = kg_string(&command->items[i], "");
	argv[n] = NULL;
	int rc = p->o.runtime->exec(p->o.runtime_self, p->o.c, argv, -1, &p->pid, &err);
	if (rc == 0)
		p->child = kg_loop_child(p->o.loop, p->pid, command_ended, p);
	else
		result(p, false);
}

/* A number, or the name of one of the container's ports. */
static int port_of(const struct kg_probe *p, const struct kg_value *v)
{
	if (v->type == KG_INT)
		return (int)v->i;
	const char *name = kg_string(v, "");
	const struct kg_value *port = kg_find(kg_get(p->o.container, "ports"), "name", name);
	int64_t n = kg_int(kg_get(port, "containerPort"), 0);
	return n ? (int)n : atoi(name);
}

static void run(void *ctx)
{
	struct kg_probe *p = ctx;
	const struct kg_value *exec = kg_get(p->o.spec, "exec");
	const struct kg_value *http = kg_get(p->o.spec, "httpGet");
	const struct kg_value *tcp = kg_get(p->o.spec, "tcpSocket");
	const struct kg_value *net = kg_is_null(http) ? tcp : http;
	kg_timer_set(p->timeout, p->timeout_ms);
	if (!kg_is_null(exec)) {
		run_command(p, kg_get(exec, "command"));
		return;
	}
	const char *host = kg_string(kg_get(net, "host"), "");
	p->conn = kg_probe_conn_new(p->o.loop, *host ? host : p->ip,
		port_of(p, kg_get(net, "port")), kg_is_null(http) ? NULL : http, conn_done, p);
	if (!p->conn)
		result(p, false);
}

struct kg_probe *kg_probe_new(const struct kg_probe_options *o)
{
	struct kg_probe *p = kg_alloc(sizeof(*p));
	p->o = *o;
	p->o.pod = kg_doc_ref(o->pod);
	p->ip = kg_strdup(o->ip);
	p->next = kg_timer_new(o->loop, run, p);
	p->timeout = kg_timer_new(o->loop, timed_out, p);
	p->period_ms = kg_int(kg_get(o->spec, "periodSeconds"), 10) * 1000;
	p->timeout_ms = kg_int(kg_get(o->spec, "timeoutSeconds"), 1) * 1000;
	p->need_ok = (int)kg_int(kg_get(o->spec, "successThreshold"), 1);
	p->need_bad = (int)kg_int(kg_get(o->spec, "failureThreshold"), 3);
	if (p->period_ms <= 0)
		p->period_ms = 10000;
	if (p->timeout_ms <= 0)
		p->timeout_ms = 1000;
	p->verdict = o->kind == KG_PROBE_LIVENESS ? 1 : -1;
	p->eager_ms = kg_is_null(kg_get(o->spec, "exec")) ? EAGER_MS : EAGER_EXEC_MS;
	int64_t delay = kg_int(kg_get(o->spec, "initialDelaySeconds"), 0) * 1000 - o->ran_ms;
	int64_t first = o->kind == KG_PROBE_LIVENESS ? p->period_ms : p->eager_ms / 2;
	kg_timer_set(p->next, delay > first ? delay : first);
	return p;
}
