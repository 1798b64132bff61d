/*
 * Between the files of the Pod Security Standards: what a check looks at, and the words that
 * several share. The checks, their order and their words are those of Kubernetes'
 * pod-security-admission; those of Windows are not there, since no manifest can ask for it.
 */
#ifndef KG_RECONCILE_SECURITY_H
#define KG_RECONCILE_SECURITY_H

#include "reconcile/podpolicy.h"

struct kg_look {
	struct kg_arena *a;
	const struct kg_value *meta, *spec;
	int version; /* Kubernetes' minor release; INT_MAX: the latest */
};

/* "reason (detail)"; NULL: it passes. */
typedef const char *kg_security_check_fn(struct kg_look *l);
typedef bool kg_security_bad_fn(const struct kg_value *container_or_pod_spec);

/* securityContext.FIELD of a container or a pod's spec. */
const struct kg_value *kg_look_context(const struct kg_value *of, const char *field);
/* Containers that start the pod first; NULL after the last. */
const struct kg_value *kg_look_container(const struct kg_look *l, uint32_t i);
/* A pod in a user namespace of its own, from which some of the checks look away. */
bool kg_look_is_mapped(const struct kg_look *l);
/* The names of containers that are bad. */
struct kg_texts kg_look_bad(struct kg_look *l, kg_security_bad_fn *bad);
/* `REASON (containers "a", "b" WHAT)`, where any is bad. */
const char *kg_look_if_any(
	struct kg_look *l, kg_security_bad_fn *bad, const char *reason, const char *what);
/* Who says outright what may not be: `pod and containers "a"`; NULL: nobody. */
const char *kg_look_setters(struct kg_look *l, kg_security_bad_fn *bad);
/* What containers add of the capabilities that `ok` does not hold, sorted; who in *who. */
struct kg_texts kg_look_capabilities(
	struct kg_look *l, const char *const *ok, struct kg_texts *who);
/* The other values of securityContext.FIELD.type, of pod and containers, than `ok` (sorted). */
struct kg_texts kg_look_types(struct kg_look *l, const char *field, const char *const *ok);

bool kg_texts_allow(const char *s, const char *const *list); /* list ends with NULL */
void kg_texts_once(struct kg_texts *t, const char *s);
void kg_texts_sort(struct kg_texts *t);
const char *kg_texts_joined(const struct kg_texts *t, const char *between);
const char *kg_texts_quoted(const struct kg_texts *t); /* `"a", "b"` */
const char *kg_texts_named(const struct kg_texts *t);  /* `container "a"`, `containers "a", "b"` */

extern const char *const kg_security_profiles[]; /* of seccomp and AppArmor: those allowed */

/* security_baseline.c */
kg_security_check_fn kg_check_apparmor, kg_check_capabilities, kg_check_host_namespaces,
	kg_check_host_path, kg_check_host_ports, kg_check_host_probes, kg_check_privileged,
	kg_check_proc_mount, kg_check_selinux, kg_check_seccomp, kg_check_sysctls;
/* security_restricted.c */
kg_security_check_fn kg_check_escalation, kg_check_capabilities_restricted,
	kg_check_proc_mount_restricted, kg_check_volumes, kg_check_non_root, kg_check_user,
	kg_check_seccomp_restricted;

#endif
