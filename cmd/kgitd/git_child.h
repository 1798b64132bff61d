/*
 * One `git receive-pack` or `git upload-pack` that answers an exchange: its stdout is streamed to
 * the peer, its stdin is a file, nothing, or a pipe fed from the request's body.
 *
 * The HTTP threads read and write the (non-blocking) pipes; where a pipe is not ready the loop
 * waits for it and wakes the exchange. Watches are made and freed on the loop alone. The functions
 * here are the exchange's, on its HTTP thread.
 */
#ifndef KGITD_GIT_CHILD_H
#define KGITD_GIT_CHILD_H

#include "kgitd/master.h"

struct kgd_git;
struct kgd_git_options {
	struct kgd_master *m;
	const char *service;        /* "git-receive-pack", "git-upload-pack" */
	const struct kg_user *user; /* who asks; the hooks find him by an id */
	const char *protocol;       /* the header Git-Protocol, or NULL */
	bool advertise;             /* the refs, not an exchange of objects */
	bool feed;                  /* stdin is a pipe for kgd_git_feed */
	int in;                     /* else: stdin, borrowed; -1: /dev/null */
};
/* KG_E_UNAVAILABLE where too many run, or kgitd stops. */
int kgd_git_start(struct kgd_git **out, struct kg_http_req *req, const struct kgd_git_options *opts,
	struct kg_error *err);
/* The request is done; what git still writes goes nowhere. NULL is fine. */
void kgd_git_end(struct kgd_git *g);

/* Into git's stdin; *taken counts what was taken of p. False: the pipe is full, and
 * kg_http_upload_resume will be called. Where git reads no more, all is taken: its own answer says
 * why. */
bool kgd_git_feed(struct kgd_git *g, const void *p, size_t n, size_t *taken);
void kgd_git_feed_end(struct kgd_git *g);
/* As the read of kg_http_stream. */
ssize_t kgd_git_read(struct kgd_git *g, char *buf, size_t max);

/* How many exchanges are under way. Any thread. */
size_t kgd_git_active(void);
/* How many were not started since there were limits.git_processes already. */
uint64_t kgd_git_refused(void);

#endif
