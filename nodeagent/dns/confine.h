/* The name server asks the kernel for what it needs, and for nothing else: a seccomp filter. */
#ifndef KG_NODEAGENT_DNS_CONFINE_H
#define KG_NODEAGENT_DNS_CONFINE_H

#include "base/err.h"

/* For all threads, those to come included, and for good; no_new_privs must be set. What is not
 * allowed fails with EPERM, and is logged by its name, once a call; in a thread that blocks
 * SIGSYS (libunbound's) it ends the process, and the kernel's log has its number. */
int kg_dns_confine(struct kg_error *err);

#endif
