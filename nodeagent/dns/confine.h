/* The name server asks the kernel for what a name server needs, and for nothing else: a seccomp
 * filter of few calls. */
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

/* The same for any process: the n calls of these names and no others, for good; `otherwise` is
 * seccomp_init(3)'s action for those. Of the calling thread, or of all. Negative errno. */
int kg_allow_calls(const char *const *calls, size_t n, uint32_t otherwise, bool all_threads);

#endif
