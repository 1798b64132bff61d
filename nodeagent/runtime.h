/*
 * What runs containers. The real one is runc under conmon (runc.c): conmon holds the container's
 * output, writes its log in CRI's format and its exit code to a file, and lives on when the agent
 * does not. Calls block and come from worker threads, for different containers at once; `signal`
 * and `look` are quick and may come from the loop.
 */
#ifndef KG_NODEAGENT_RUNTIME_H
#define KG_NODEAGENT_RUNTIME_H

#include "base/err.h"
#include "base/time.h"
#include "nodeagent/cgroup.h"

#include <stdbool.h>
#include <sys/types.h>

struct kg_runtime_container {
	const char *id;
	const char *bundle; /* directory with config.json */
	const char *log;    /* the log file */
	const char *cgroup; /* "/kgit/NODE/podUID/ID" */
	/* For create: a terminal, whose output is the log; a standard input that stays open. */
	bool terminal, input;
};
struct kg_runtime_state {
	bool exited; /* conmon has said so */
	int exit_code;
	bool oom;
	kg_time finished;
	pid_t pid; /* its process, where it was started and lives; 0 */
};
struct kg_runtime {
	/* Everything but the process itself, which waits; *pid in our namespace. */
	int (*create)(
		void *self, const struct kg_runtime_container *c, pid_t *pid, struct kg_error *err);
	/* Lets it run. */
	int (*start)(
		void *self, const struct kg_runtime_container *c, pid_t pid, struct kg_error *err);
	/* To the container's first process, if it is still the one that pid_start says. Fine where
	 * it is gone. */
	int (*signal)(void *self, pid_t pid, uint64_t pid_start, int signo, struct kg_error *err);
	/* How it ended, if it did. */
	void (*look)(
		void *self, const struct kg_runtime_container *c, struct kg_runtime_state *out);
	/* Of one that an earlier agent started and that runs: what outlives this agent leaves its
	 * service. */
	int (*adopt)(void *self, const struct kg_runtime_container *c, struct kg_error *err);
	/* Kills what is left and removes all that the runtime keeps; absent is fine. */
	int (*remove)(void *self, const struct kg_runtime_container *c, struct kg_error *err);
	/* Starts a command in a running container, as its user, output to fd (-1: nowhere). *pid is
	 * a child of ours that ends with the command's exit code. */
	int (*exec)(void *self, const struct kg_runtime_container *c, const char *const *argv,
		int fd, pid_t *pid, struct kg_error *err);
	/* A new file here, named as the container, says that it ended (inotify). */
	const char *(*exit_dir)(void *self);
	/* After conmon's log file was renamed: goes on in a new one. */
	int (*reopen_log)(void *self, const struct kg_runtime_container *c, struct kg_error *err);
};

/* runc and conmon, state under DIR/run. cgroups is borrowed. conmon, which outlives the agent, is
 * put into the control group `helpers` (kg_cgroup_shelter). */
extern const struct kg_runtime kg_runc;
struct kg_runc_self;
int kg_runc_new(struct kg_runc_self **out, const char *dir, const struct kg_cgroups *cgroups,
	const char *helpers, struct kg_error *err);
void kg_runc_free(struct kg_runc_self *self);
/* Any thread: whoever waits for a container's creation gives up (KG_E_UNAVAILABLE), for good. What
 * was begun is found by the next run of the agent. */
void kg_runc_cancel(struct kg_runc_self *self);

/* Field 22 of /proc/PID/stat: with the pid it names a process for good. 0: no such process. */
uint64_t kg_pid_start(pid_t pid);

#endif
