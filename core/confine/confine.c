#include "confine/confine.h"

#include "base/mem.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>

/* `what` failed, unless rc is 0: then the filter is loaded. It is released. */
static int end(scmp_filter_ctx filter, int rc, const char *what, struct kg_error *err)
{
	if (rc == 0) {
		what = "load the filter";
		rc = filter ? seccomp_load(filter) : -ENOMEM;
	}
	if (filter)
		seccomp_release(filter);
	return rc < 0 ? kg_fail(err, KG_E_IO, "seccomp: %s: %s", what, strerror(-rc)) : 0;
}

/* A filter; NULL: no memory. Calls by another architecture's numbers end the process: the thread
 * alone, as is the library's default, would leave its locks held. */
static scmp_filter_ctx begin(uint32_t otherwise)
{
	scmp_filter_ctx filter = seccomp_init(otherwise);

	if (filter)
		(void)seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	return filter;
}

int kg_seccomp_allow(const char *const *calls, size_t n, uint32_t otherwise, bool all_threads,
	struct kg_error *err)
{
	scmp_filter_ctx filter = begin(otherwise);
	const char *what = "a filter of all threads";
	int rc = 0;

	if (filter && all_threads)
		rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	for (size_t i = 0; filter && rc == 0 && i < n; i++) {
		int nr = seccomp_syscall_resolve_name(calls[i]);

		what = calls[i];
		if (nr >= 0)
			rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, nr, 0);
	}
	return end(filter, rc, what, err);
}

/* ---- all but some ---- */

static int refuse_if(
	scmp_filter_ctx filter, uint32_t action, int nr, const struct scmp_arg_cmp *cmp)
{
	return seccomp_rule_add_array(filter, action, nr, 1, cmp);
}

static int refuse(scmp_filter_ctx filter, const struct kg_seccomp_rule *r)
{
	uint32_t action = SCMP_ACT_ERRNO((uint32_t)(r->error ? r->error : EPERM));
	int nr = seccomp_syscall_resolve_name(r->call), rc = 0;

	if (nr < 0)
		return 0;
	switch (r->when) {
	case KG_ARG_ANY:
		return seccomp_rule_add(filter, action, nr, 0);
	case KG_ARG_EQ:
		return refuse_if(filter, action, nr,
			&SCMP_CMP64(r->arg, SCMP_CMP_MASKED_EQ, r->mask ? r->mask : UINT64_MAX,
				r->value));
	case KG_ARG_OVER:
		return refuse_if(filter, action, nr, &SCMP_CMP64(r->arg, SCMP_CMP_GT, r->value, 0));
	case KG_ARG_HAS: /* a rule a bit: no rule says "not none of them" */
		for (unsigned bit = 0; rc == 0 && bit < 64; bit++) {
			uint64_t one = UINT64_C(1) << bit;

			if (r->value & one)
				rc = refuse_if(filter, action, nr,
					&SCMP_CMP64(r->arg, SCMP_CMP_MASKED_EQ, one, one));
		}
		break;
	}
	return rc;
}

int kg_seccomp_refuse(const struct kg_seccomp_rule *rules, size_t n, bool log, struct kg_error *err)
{
	scmp_filter_ctx filter = begin(SCMP_ACT_ALLOW);
	const char *what = NULL;
	int rc = 0;

	for (size_t i = 0; filter && rc == 0 && i < n; i++) {
		what = rules[i].call;
		rc = refuse(filter, &rules[i]);
	}
	if (filter && rc == 0) {
		/* Kernels before 5.16 make branches slower for who has a filter, which would be a
		 * guard from itself alone. */
		if (log)
			(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
		(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	}
	return end(filter, rc, what, err);
}
