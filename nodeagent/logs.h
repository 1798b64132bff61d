/* Container logs: CRI's format ("TIME STREAM F|P TEXT"), written by conmon. Any thread. */
#ifndef KG_NODEAGENT_LOGS_H
#define KG_NODEAGENT_LOGS_H

#include "nodeagent/pods.h"

#define KG_LOG_MAX_BYTES (10 << 20)
#define KG_LOG_FILES     5 /* the current one and four older */

/* Renames PATH to PATH.1 and so on where it is larger than max. 1: the writer must reopen; 0. */
/* Removes a container's logs of attempts before `first`: of what crashes for ever the last two
 * attempts' stay, as kubelet keeps one dead container. dir is the pod's. */
int kg_logs_forget(const char *dir, const char *container, int first, struct kg_error *err);
int kg_log_rotate(const char *path, int64_t max, int files, struct kg_error *err);
/* The message of a container that ended: what it wrote to its termination log; with
 * FallbackToLogsOnError and a failure the end of its log. Heap, or NULL where there is none. */
char *kg_term_message(const char *term, const char *log, const char *policy, bool failed);
/* The state directory, which never changes: for readers on other threads. */
const char *kg_pods_dir(const struct kg_pods *pods);
/* As kg_log_open, for a state directory. */
int kg_log_open_in(struct kg_log_reader **out, const char *dir, const struct kg_log_request *req,
	struct kg_error *err);

#endif
