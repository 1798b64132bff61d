#include "nodeagent/probe.h"

#include "base/mem.h"
#include "nodeagent/attempt.h"

#include <stdlib.h>

#define EAGER_MS      100 /* until the first success readiness is asked for early and often */
#define EAGER_EXEC_MS 500

struct kg_probe {
	struct kg_probe_options o;
	char *ip;
	struct kg_timer *next;
	struct kg_attempt attempt;
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

void kg_probe_free(struct kg_probe *p)
{
	if (!p)
		return;
	kg_attempt_release(&p->attempt);
	kg_timer_free(p->next);
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

static void result(void *ctx, bool ok)
{
	struct kg_probe *p = ctx;
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

static void run(void *ctx)
{
	struct kg_probe *p = ctx;
	struct kg_attempt_target t = {
		p->o.container, p->ip, p->o.runtime, p->o.runtime_self, p->o.c};

	kg_attempt_begin(&p->attempt, &t, p->o.spec, p->timeout_ms);
}

struct kg_probe *kg_probe_new(const struct kg_probe_options *o)
{
	struct kg_probe *p = kg_alloc(sizeof(*p));
	p->o = *o;
	p->o.pod = kg_doc_ref(o->pod);
	p->ip = kg_strdup(o->ip);
	p->next = kg_timer_new(o->loop, run, p);
	kg_attempt_init(&p->attempt, o->loop, result, p);
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
