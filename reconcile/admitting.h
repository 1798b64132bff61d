/* Between admission's files: one push being judged. */
#ifndef KG_RECONCILE_ADMITTING_H
#define KG_RECONCILE_ADMITTING_H

#include "reconcile/admission.h"
#include "reconcile/internal.h"

struct kg_definition {
	const struct kg_admission_file *file;
	const struct kg_manifest *m;
};

struct kg_admitting {
	struct kg_admission *out;
	const struct kg_snapshot *s;
	const struct kg_admission_file *files;
	size_t nfiles;
	bool all, admitted;
	kg_read_file_fn *read_other;
	void *ctx;
	const struct kg_reconcile_options *cluster; /* may be NULL */
	struct kg_arena *a;
	struct kg_fault_list *faults;
	struct kg_map by_path; /* path -> file */
	struct kg_map by_key;  /* "KIND/NS/NAME" -> struct kg_definition (arena) */
	struct kg_map faulty;  /* the same of those with faults: only what they are is known */
	struct kg_map broken;  /* paths of files with faults: what they define is not known */
	size_t cap;
	struct kg_ignored_kinds ignored;
	bool limits; /* a LimitRange is among what the push defines */
};

/* The object's place among all kinds; its name for people. Text from the arena. */
const char *kg_admit_key(
	struct kg_arena *a, const struct kg_kind *kind, const char *ns, const char *name);
const char *kg_admit_words(
	struct kg_arena *a, const struct kg_kind *kind, const char *ns, const char *name);
/* A desired object whose file the push does not touch. */
bool kg_admit_untouched(const struct kg_admitting *x, const struct kg_object *obj);
/* Faults added from now on get their positions from the definition's document. */
void kg_admit_look_at(struct kg_admitting *x, const struct kg_definition *d);

/* admission_cluster.c: one definition, whole or faulty, against how the cluster is set up. */
void kg_admit_cluster(struct kg_admitting *x, const struct kg_definition *d);
/* admission_limits.c: what definitions ask for against what there is. */
void kg_admit_services(struct kg_admitting *x, struct kg_definition **ds, size_t n);
void kg_admit_sizes(struct kg_admitting *x, struct kg_definition **ds, size_t n);
/* admission_endpoints.c: who says what answers for a Service, against what the Service says. */
void kg_admit_endpoints(struct kg_admitting *x, struct kg_definition **ds, size_t n);
/* admission_policy.c: LimitRanges, Pod Security, ResourceQuotas. */
void kg_admit_policies(struct kg_admitting *x, struct kg_definition **ds, size_t n);
/* admission_classes.c: the PriorityClasses that they name, and the one that is the default. */
void kg_admit_classes(struct kg_admitting *x, struct kg_definition **ds, size_t n);
/* admission_owners.c: owners that manifests name, finalizers, Pods that controllers select; and
 * whether what the push removes may go. */
void kg_admit_owners(struct kg_admitting *x, struct kg_definition **ds, size_t n);
void kg_admit_removals(struct kg_admitting *x);

/* Notes what its namespace's labels have audited of the pod. */
void kg_admit_note(struct kg_admitting *x, const struct kg_definition *d,
	const struct kg_value *labels, const struct kg_value *meta, const struct kg_value *spec);
/* A warning at a field of the definition. */
void kg_admit_warn(
	struct kg_admitting *x, const struct kg_definition *d, const char *path, const char *why);
/* admission_security.c: the Pod Security labels of a namespace. */
void kg_admit_namespace(struct kg_admitting *x, const struct kg_definition *d);

#endif
