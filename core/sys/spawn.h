/* Child processes. All fds but those passed are closed in the child (they are O_CLOEXEC). */
#ifndef KG_SYS_SPAWN_H
#define KG_SYS_SPAWN_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct kg_spawn {
	const char *const *argv; /* argv[0] is looked up in PATH */
	const char *const *env;  /* "K=V" added to (or replacing in) the parent's; NULL: none */
	bool clean_env;          /* start from env alone */
	const char *cwd;
	int in, out, err; /* fds for 0, 1, 2; -1: /dev/null (err: the parent's stderr) */
	int netns;        /* enter this network namespace first; -1: none */
	const int *keep;  /* further fds kept at their numbers, ends with -1; or NULL */
	size_t most_data; /* bytes of memory that it, and each that it starts, may have of its own
			   * (RLIMIT_DATA: not what it only reads of files); 0: as the parent */
	bool new_session; /* setsid, so that a whole group can be signalled */
};
#define KG_SPAWN_INIT                                                                              \
	{                                                                                          \
		.in = -1, .out = -1, .err = -1, .netns = -1                                        \
	}
int kg_spawn(pid_t *pid, const struct kg_spawn *opts, struct kg_error *err);

/*
 * Runs a program to its end: for workers and tools, not on the loop. stdin from `input` (may be
 * NULL), stdout into `output` (may be NULL, at most max_output bytes, default 16 MiB where 0).
 * Returns 0 when it exited 0; otherwise KG_E_IO with its name, status and the last of its stderr;
 * KG_E_TIMEOUT (and it is killed, with its group) after timeout_ms (0: 60 s); KG_E_TOO_LARGE.
 * *status, which may be NULL, is as of waitpid(2); -1 where nothing was started.
 */
struct kg_run {
	struct kg_spawn spawn; /* in, out and err are ignored */
	const struct kg_buf *input;
	struct kg_buf *output;
	size_t max_output;
	int timeout_ms;
	int cancel; /* an fd (an eventfd, say): once readable the run is given up: KG_E_UNAVAILABLE;
		     * 0: none */
};
int kg_run(const struct kg_run *opts, int *status, struct kg_error *err);

#endif
