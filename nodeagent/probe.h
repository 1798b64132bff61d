/* Liveness, readiness and startup probes: attempts (attempt.h) one after another. On the loop. */
#ifndef KG_NODEAGENT_PROBE_H
#define KG_NODEAGENT_PROBE_H

#include "nodeagent/runtime.h"
#include "sys/loop.h"
#include "value/value.h"

enum kg_probe_kind { KG_PROBE_STARTUP, KG_PROBE_LIVENESS, KG_PROBE_READINESS, KG_PROBE_COUNT };

struct kg_probe_options {
	struct kg_loop *loop;
	enum kg_probe_kind kind;
	struct kg_doc *pod;               /* what spec and container lie in; referenced */
	const struct kg_value *spec;      /* the Probe */
	const struct kg_value *container; /* for named ports */
	const char *ip;                   /* the pod's, or 127.0.0.1 with hostNetwork; copied */
	const struct kg_runtime *runtime;
	void *runtime_self;
	const struct kg_runtime_container *c; /* kept alive by the caller */
	int64_t ran_ms;                       /* how long the container has been running */
	/* A threshold was reached: the probe's verdict is ok now. Called when it changes
	 * (readiness, startup), and for liveness and startup once when it fails. The probe may be
	 * freed inside. */
	void (*verdict)(void *ctx, enum kg_probe_kind kind, bool ok);
	void *ctx;
};
struct kg_probe;
struct kg_probe *kg_probe_new(const struct kg_probe_options *opts);
void kg_probe_free(struct kg_probe *p); /* NULL is fine */
/* The field of a container: "startupProbe", ... */
const char *kg_probe_field(enum kg_probe_kind kind);

#endif
