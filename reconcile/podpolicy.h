/*
 * What a namespace asks of its pods: LimitRanges (defaults and bounds), Pod Security (enforce,
 * warn, audit), ResourceQuotas. Pure. The words are Kubernetes'.
 */
#ifndef KG_RECONCILE_PODPOLICY_H
#define KG_RECONCILE_PODPOLICY_H

#include "reconcile/internal.h"

/* Texts from an arena. */
struct kg_texts {
	struct kg_arena *a;
	const char **v;
	size_t n, cap;
};
void kg_texts_add(struct kg_texts *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* As Kubernetes writes several errors: one as it is, more as "[a, b]"; NULL: none. */
const char *kg_texts_all(const struct kg_texts *t);

/* A quantity in thousandths as text: with binary suffixes or as Kubernetes writes a cpu. */
const char *kg_milli_text(struct kg_arena *a, int64_t milli, bool binary);
bool kg_resource_is_binary(const char *resource);

/* ---- limitrange.c ---- */

/* The values of LimitRanges that hold in a namespace, in order of their names. */
struct kg_limits {
	const struct kg_value **v;
	size_t n;
};
struct kg_limits kg_limits_of(struct kg_arena *a, const struct kg_snapshot *s, const char *ns);
/* A pod, or a pod template, whose containers have the defaults of requests and limits that they
 * do not name, and an annotation that says so. */
struct kg_value kg_limits_default(
	struct kg_arena *a, const struct kg_limits *l, const struct kg_value *pod);
void kg_limits_check_pod(
	struct kg_texts *out, const struct kg_limits *l, const struct kg_value *pod_spec);
void kg_limits_check_claim(
	struct kg_texts *out, const struct kg_limits *l, const struct kg_value *claim);

/* ---- runtimeclass.c ---- */

/* The RuntimeClass that a pod names; kg_null. */
const struct kg_value *kg_runtime_of(const struct kg_snapshot *s, const struct kg_value *pod_spec);
/* A pod, or a template, with what its RuntimeClass adds. */
struct kg_value kg_runtime_default(
	struct kg_arena *a, const struct kg_snapshot *s, const struct kg_value *pod);
/* The same of a class that is at hand (or kg_null). */
struct kg_value kg_runtime_apply(
	struct kg_arena *a, const struct kg_value *rc, const struct kg_value *pod);
/* rc: the class that it names, or kg_null. */
const char *kg_runtime_refuses(
	struct kg_arena *a, const struct kg_value *rc, const struct kg_value *pod_spec);

/* ---- podsecurity.c ---- */

enum kg_security_mode { KG_SECURITY_ENFORCE, KG_SECURITY_WARN, KG_SECURITY_AUDIT };
/* What of the pod (its metadata and spec) the namespace's labels do not allow, as in
 * `violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)`, beginning at the
 * quote; NULL: nothing. */
const char *kg_security_violations(struct kg_arena *a, const struct kg_value *namespace_labels,
	enum kg_security_mode mode, const struct kg_value *meta, const struct kg_value *spec);
/* The same without details: `host namespaces, privileged`. */
const char *kg_security_reasons(struct kg_arena *a, const struct kg_value *namespace_labels,
	enum kg_security_mode mode, const struct kg_value *meta, const struct kg_value *spec);
/* `"baseline:latest"`, quoted. */
const char *kg_security_policy(
	struct kg_arena *a, const struct kg_value *namespace_labels, enum kg_security_mode mode);
/* Is that anything but "privileged". */
bool kg_security_asks(const struct kg_value *namespace_labels, enum kg_security_mode mode);
/* May what the labels before allowed be refused by those after. */
bool kg_security_tightens(
	const struct kg_value *before, const struct kg_value *after, enum kg_security_mode mode);
/* The next of what is wrong with the labels themselves, from *at (0 at first) on: text and the
 * label's key; false where nothing more is. */
bool kg_security_label_fault(struct kg_arena *a, const struct kg_value *labels, size_t *at,
	const char **key, const char **msg);
/* security_checks.c: what fails of the checks of a level (1 baseline, 2 restricted), each as
 * "reason (detail)". version: of Kubernetes' minor releases; INT_MAX: the latest. */
struct kg_texts kg_security_faults(struct kg_arena *a, int level, int version,
	const struct kg_value *meta, const struct kg_value *spec);

/* ---- quota_usage.c ---- */

/* Sums of amounts, each of which may be as large as an int64_t is: exact, so that what was added
 * can be taken away again. (An arena gives memory that is aligned for int64_t.) */
__extension__ typedef __int128 kg_sum __attribute__((aligned(8)));

/* How much an object counts for one resource of a quota, in thousandths; scopes are not looked
 * at. Terminated pods count for count/pods alone, and so does, with `over`, a pod that should be
 * gone. */
int64_t kg_quota_amount(
	const struct kg_kind *kind, const struct kg_value *obj, const char *what, bool over);
/* From when on a pod that is being deleted should be gone; KG_TIME_NEVER: it is not. */
kg_time kg_quota_until(const struct kg_value *pod);
/* Whether the quota's scopes include the object. */
bool kg_quota_includes(
	const struct kg_value *quota, const struct kg_kind *kind, const struct kg_value *obj);
/* Containers that must name what the quota bounds, as in "must specify limits.cpu for: web"; NULL:
 * all do. */
const char *kg_quota_unnamed(
	struct kg_arena *a, const struct kg_value *quota, const struct kg_value *pod);

/* ---- quota.c: the sums, kept in the state ---- */

/* Why the quotas of its namespace do not take one more such object; NULL: they do. */
const char *kg_quota_refuses(struct kg_reconcile_state *st, struct kg_arena *a,
	const struct kg_kind *kind, const char *ns, const struct kg_value *obj);
/* The same in words: `jobs.batch "a" is forbidden: exceeded quota: ...`. */
const char *kg_quota_forbids(struct kg_run *r, const struct kg_kind *kind, const char *ns,
	const char *name, const struct kg_value *obj);
/* used: by place in `hard`, in thousandths, without `was`: the object as it is now, or NULL where
 * it is new. What is asked for is told as the difference. */
const char *kg_quota_exceeded(struct kg_arena *a, const char *name, const struct kg_value *quota,
	const kg_sum *used, const struct kg_kind *kind, const struct kg_value *obj,
	const struct kg_value *was);

/* ---- podpolicy.c ---- */

/* A pod, or a template, with all that its namespace and its RuntimeClass give it. */
struct kg_value kg_pod_defaults(struct kg_run *r, const char *ns, const struct kg_value *pod);

/* Why the pod may not come to be, as in `pods "web-1" is forbidden: ...`; NULL: it may. */
const char *kg_pod_forbidden(
	struct kg_run *r, const char *ns, const char *name, const struct kg_value *pod);
/* The same of a claim that the system makes; LimitRanges and quotas alone speak of those. */
const char *kg_claim_forbidden(struct kg_reconcile_state *st, const struct kg_snapshot *s,
	struct kg_arena *a, const char *ns, const char *name, const struct kg_value *claim);

#endif
