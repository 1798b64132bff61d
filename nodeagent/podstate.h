/*
 * What a node knows of one of its pods: plain data that the loop's thread owns, that plan.c reads
 * and that lies in the pod's record (podstore.c) so that the next run of the agent can go on.
 * Times named *_mono are milliseconds of the monotonic clock (they are void after a reboot, which
 * the boot id in the file tells); kg_time is wall clock and only ever shown.
 */
#ifndef KG_NODEAGENT_PODSTATE_H
#define KG_NODEAGENT_PODSTATE_H

#include "base/time.h"
#include "value/value.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* How large the record of a pod may be on disk. */
#define KG_RECORD_MAX (64 << 20)

enum kg_cphase {
	KG_C_WAITING,  /* not yet, or not again */
	KG_C_STARTING, /* a job is creating it */
	KG_C_RUNNING,
	KG_C_EXITED,
};

struct kg_cterm {
	bool valid;
	int exit_code; /* 128 + signal where a signal ended it */
	char reason[32];
	char *message;             /* heap; or NULL */
	kg_time started, finished; /* started 0: it never ran */
	char id[40];
};

struct kg_cstate {
	char *name;
	bool init;
	bool sidecar; /* an init container with restartPolicy Always: runs beside the others */
	enum kg_cphase phase;
	int restarts;
	char id[40]; /* of the container of this attempt; "" */
	pid_t pid;
	uint64_t pid_start; /* field 22 of /proc/PID/stat: pid and this are compared together */
	kg_time started;
	int64_t started_mono;
	struct kg_cterm term; /* how this attempt ended; KG_C_EXITED */
	struct kg_cterm last; /* how the one before ended */
	bool dirty;           /* bundle, cgroup or runtime state may be left */
	bool stale;           /* it ended with an earlier sandbox, and has not run in this one */

	int64_t backoff_ms;      /* what the next failure waits; 0: nothing yet */
	int64_t wait_ms;         /* what the last one waits */
	int64_t not_before_mono; /* no start before */

	char *image;    /* as the spec had it when this attempt was made */
	char *image_id; /* "name@sha256:..." */
	/* Why it waits: ContainerCreating, ErrImagePull, ...; while EXITED "" or what keeps it from
	 * its next start. */
	char reason[32];
	char *message;

	bool image_ready;
	bool pulling;
	int64_t pull_backoff_ms, pull_not_before_mono;

	bool ready;             /* readiness probe; true where there is none and it runs */
	bool started_ok;        /* startup probe */
	bool post_start;        /* its postStart hook has yet to end well */
	bool pre_stop;          /* its preStop hook runs: SIGTERM comes then */
	bool hook_failed;       /* its postStart hook; not stored */
	bool stopping;          /* SIGTERM was sent, or is after preStop */
	bool restart;           /* must end although it is wanted: liveness, another image */
	int64_t probe_grace_ms; /* of the probe that made it restart; -1: the pod's */
	int64_t kill_mono;      /* SIGKILL from then on, while stopping */
};

enum kg_sandbox { KG_SANDBOX_NONE, KG_SANDBOX_READY, KG_SANDBOX_DOWN };

struct kg_pstate {
	char *uid, *ns, *name;
	struct kg_doc *pod;  /* the Pod object as wanted */
	struct kg_cstate *c; /* init containers first, in order; then containers */
	size_t nc;
	enum kg_sandbox sandbox;
	char *sandbox_error;
	int64_t sandbox_not_before_mono;
	kg_time start_time;
	int64_t start_mono;
	bool deleting;
	int64_t grace_ms;
	int64_t end_mono;       /* all of it must have ended by then; 0: nothing ends it yet */
	bool deadline_exceeded; /* activeDeadlineSeconds */
	bool preempted;         /* it went for a critical pod */
	bool held;              /* its sandbox waits for what others give back */
	bool busy;              /* a job runs for it; not stored */
	bool gone;              /* nothing is left */
	char *rejected, *rejected_why; /* the node did not take it in: it has failed, and why */
};

/* A fresh state for a Pod object; takes a reference to it. */
void kg_pstate_init(struct kg_pstate *p, struct kg_doc *pod);
void kg_pstate_release(struct kg_pstate *p);
/* The node does not take it in: nothing of it is ever made. */
void kg_pstate_reject(struct kg_pstate *p, const char *reason, const char *message);
void kg_cterm_clear(struct kg_cterm *t);
void kg_cterm_set(struct kg_cterm *t, int exit_code, const char *reason, const char *message);
/* Another attempt begins: how this one ended is how the one before did. */
void kg_cstate_next(struct kg_cstate *c);
void kg_cstate_wait(struct kg_cstate *c, const char *reason, const char *message);
/* The container's part of the Pod object. */
const struct kg_value *kg_cstate_spec(const struct kg_pstate *p, const struct kg_cstate *c);

/* To and from the record. Loading into a state of the same pod (kg_pstate_init was called). With
 * same_boot false everything that ran is noted as ended with the machine. */
struct kg_value kg_pstate_save(struct kg_arena *a, const struct kg_pstate *p);
void kg_pstate_load(struct kg_pstate *p, const struct kg_value *v, bool same_boot, kg_time now);

#endif
