/*
 * Decide: from what is wanted of a pod and what is known of its containers, what to do now and
 * when to look again. Pure: no clock, no I/O; now is the monotonic clock in milliseconds.
 *
 * The rules are kubelet's: init containers one after another (of a sidecar the next one waits only
 * for its start), then all others; restartPolicy;
 * restarts at once the first time, then after 10 s, doubling to 5 min, forgotten after ten minutes
 * of running; SIGTERM, and SIGKILL when the grace period is over; sidecars end after what they
 * run beside, the last first, in what is left of the pod's grace period, at least 2 s.
 */
#ifndef KG_NODEAGENT_PLAN_H
#define KG_NODEAGENT_PLAN_H

#include "nodeagent/podstate.h"

enum kg_action_kind {
	KG_A_PULL,  /* make the container's image present */
	KG_A_SETUP, /* directories, cgroup, namespaces, network, volumes */
	KG_A_START, /* create and start the container (what is left of its last attempt goes first)
		     */
	KG_A_TERM,  /* SIGTERM, kill_mono was decided: .at */
	KG_A_KILL,  /* SIGKILL to all of it; .at: again then, if it still runs */
	KG_A_CLEAN, /* remove what an ended container leaves, but for its logs */
	KG_A_TEARDOWN, /* network, namespaces, cgroup, volumes' mounts */
	KG_A_GONE,     /* report it gone and forget it */
};
struct kg_action {
	enum kg_action_kind kind;
	size_t container; /* index into pod->c */
	int64_t at;
};
struct kg_plan {
	struct kg_action *items; /* heap */
	size_t len, cap;
	int64_t wake_mono; /* look again then; INT64_MAX: only when something happens */
};
void kg_plan_release(struct kg_plan *plan);
/* PULL, TERM and KILL may come at any time; the others only while !pod->busy, and belong to one
 * job, in the order given. */
void kg_plan_make(struct kg_plan *plan, const struct kg_pstate *pod, int64_t now);

/* A container ended (c->term was filled): phase, back-off and the rest follow. */
void kg_plan_exited(struct kg_cstate *c, int64_t now);
/* Back-off of image pulls: 10 s doubling to 5 min. */
void kg_plan_pull_failed(struct kg_cstate *c, int64_t now);
/* Until then a failed pull is shown as ErrImagePull, then as ImagePullBackOff. */
int64_t kg_plan_pull_shown(const struct kg_cstate *c);

/* When activeDeadlineSeconds is over (the caller sets deadline_exceeded then); INT64_MAX. */
int64_t kg_plan_deadline(const struct kg_pstate *pod);

/* Whether all of it is to end, and how long it may take for that, in milliseconds; whoever acts
 * sets end_mono by them. */
bool kg_plan_ending(const struct kg_pstate *pod);
int64_t kg_plan_grace(const struct kg_pstate *pod);

/* All that the pod's containers ran in is gone with the machine, and what was loaded of them has
 * ended (podstate.h). As kubelet has it: unless the pod is at its end, its init containers run
 * again, in order, before the others; restarts are counted on. now: wall clock. */
void kg_plan_new_sandbox(struct kg_pstate *pod, kg_time now);

/* Shared with status.c. */
bool kg_plan_will_restart(const struct kg_pstate *pod, const struct kg_cstate *c);
/* All init containers are through, or were once in this sandbox: another container has been
 * started. */
bool kg_plan_initialized(const struct kg_pstate *pod);
/* An init container that the next one does not wait for. */
bool kg_plan_through(const struct kg_cstate *c);
/* No container runs and none will be started again. */
bool kg_plan_finished(const struct kg_pstate *pod);
/* Ended for good, without success. */
bool kg_plan_failed(const struct kg_pstate *pod);

#endif
