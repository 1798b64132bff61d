/* Processes that ask the kernel for what they need, and for nothing else: seccomp filters of few
 * calls, the name server's among them. */
#ifndef KG_NODEAGENT_DNS_CONFINE_H
#define KG_NODEAGENT_DNS_CONFINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* For all threads, those to come included, and for good; no_new_privs must be set. What is not
 * allowed fails with EPERM, and is logged by its name, once a call; in a thread that blocks
 * SIGSYS (libunbound's) it ends the process, and the kernel's log has its number. */
int kg_dns_confine(struct kg_error *err);

/* For any process: from now on these n calls, by their names, and no others, for good; `otherwise`
 * is seccomp_init(3)'s action for those. Of the calling thread, or of all. */
int kg_seccomp_allow(const char *const *calls, size_t n, uint32_t otherwise, bool all_threads,
	struct kg_error *err);

#endif
