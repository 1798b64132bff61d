/* The RuntimeDefault seccomp profile, as the runtime takes it: system calls that containers have
 * no use for fail. The list is data (seccomp.c); names that this libseccomp does not know are left
 * out, since the runtime would refuse them. */
#ifndef KG_NODEAGENT_SECCOMP_H
#define KG_NODEAGENT_SECCOMP_H

#include "value/value.h"

/* linux.seccomp of a container that has these capabilities ("CAP_SYS_ADMIN", ...): each opens the
 * calls it is for. native: the machine's own architecture only. Programs of its other word size are
 * then killed by SIGSYS; only for images that have none, since to compile the profile for both
 * takes three times as long, milliseconds a container. */
struct kg_value kg_seccomp_default(
	struct kg_arena *a, const char *const *caps, size_t ncaps, bool native);

/* The same for another machine's programs, by libseccomp's token (SCMP_ARCH_AARCH64), one
 * of seccomp.c's: for tests. */
struct kg_value kg_seccomp_of(
	uint32_t token, struct kg_arena *a, const char *const *caps, size_t ncaps, bool native);

#endif
