/*
 * Lifecycle hooks. postStart runs beside the container's program from its start on; until it has
 * ended the container is neither started nor ready, and where it fails the container ends. preStop
 * runs before SIGTERM, in the pod's grace period; how it ends changes nothing. A hook that a stop
 * of the agent interrupts runs again.
 */
#include "base/log.h"
#include "nodeagent/oci_spec.h"
#include "nodeagent/pods_private.h"

static struct kg_cstate *container_of(const struct live *l)
{
	return &l->pod->st.c[l->index];
}

static const struct kg_value *handler(const struct live *l, const char *which)
{
	const struct kg_value *spec = kg_cstate_spec(&l->pod->st, container_of(l));

	return kg_get(kg_get(spec, "lifecycle"), which);
}

static void say_failed(const struct live *l, const char *which)
{
	const struct kg_pstate *st = &l->pod->st;

	kg_warn("pod %s/%s: the %s hook of container \"%s\" failed", st->ns, st->name, which,
		container_of(l)->name);
}

static void begin(struct live *l, const char *which, void (*done)(void *ctx, bool ok))
{
	struct pod *p = l->pod;
	const struct kg_value *pod = kg_doc_value(p->st.pod);
	struct kg_podenv *env = &p->pods->env;
	const char *ip = kg_string(kg_get(pod, "podIP"), "");
	struct kg_attempt_target t = {
		.container = kg_cstate_spec(&p->st, container_of(l)),
		.ip = kg_pod_host_network(pod) ? "127.0.0.1" : ip,
		.runtime = env->runtime,
		.runtime_self = env->runtime_self,
		.c = &l->c,
	};

	kg_attempt_release(&l->hook);
	kg_attempt_init(&l->hook, p->pods->loop, done, l);
	kg_attempt_begin(&l->hook, &t, handler(l, which), 0);
}

static void post_start_ended(void *ctx, bool ok)
{
	struct live *l = ctx;
	struct kg_cstate *c = container_of(l);

	kg_attempt_release(&l->hook);
	c->post_start = false;
	if (ok) {
		kg_pod_probe(l);
	} else {
		say_failed(l, "postStart");
		c->hook_failed = c->restart = true;
		c->probe_grace_ms = -1;
	}
	kg_pod_save(l->pod);
	kg_pod_evaluate(l->pod);
}

bool kg_pod_post_start(struct live *l)
{
	if (!container_of(l)->post_start)
		return false;
	if (!container_of(l)->stopping) /* else the stop ended it */
		begin(l, "postStart", post_start_ended);
	return true;
}

static void pre_stop_ended(void *ctx, bool ok)
{
	struct live *l = ctx;

	if (!ok)
		say_failed(l, "preStop");
	kg_attempt_release(&l->hook);
	container_of(l)->pre_stop = false;
	kg_pod_terminate(l);
	kg_pod_save(l->pod);
}

bool kg_pod_pre_stop(struct live *l)
{
	if (kg_is_null(handler(l, "preStop")))
		return false;
	container_of(l)->pre_stop = true;
	begin(l, "preStop", pre_stop_ended);
	return true;
}

bool kg_pod_end_hook(struct live *l)
{
	struct kg_cstate *c = container_of(l);
	bool was = c->pre_stop;

	kg_attempt_release(&l->hook);
	c->pre_stop = false;
	return was;
}
