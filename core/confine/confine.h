/* Seccomp filters: what a process may ask the kernel for, for good, and all that it starts with it.
 * Calls are named; one that this machine or libseccomp does not have is none. Calls by another
 * architecture's numbers (32 bits on 64) end the process. Each sets no_new_privs. KG_E_IO where the
 * kernel or libseccomp refuses: what was installed before stays. */
#ifndef KG_CONFINE_CONFINE_H
#define KG_CONFINE_CONFINE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From now on these n calls and no others; `otherwise` is seccomp_init(3)'s action for those. Of
 * the calling thread and those it starts, or of all. */
int kg_seccomp_allow(const char *const *calls, size_t n, uint32_t otherwise, bool all_threads,
	struct kg_error *err);

struct kg_seccomp_rule {
	const char *call;
	int error; /* what it fails with; 0: EPERM */
	/* Only where this is so of argument `arg`. */
	enum { KG_ARG_ANY, KG_ARG_EQ, KG_ARG_OVER, KG_ARG_HAS } when;
	unsigned arg;
	uint64_t value; /* EQ, OVER: than that. HAS: any of these bits */
	uint64_t mask;  /* EQ: of these bits of it; 0: of all */
};
/* From now on all calls but these. Of the calling thread and those it starts. log: what is refused
 * is in the kernel's log, where that can. */
int kg_seccomp_refuse(
	const struct kg_seccomp_rule *rules, size_t n, bool log, struct kg_error *err);

#endif
