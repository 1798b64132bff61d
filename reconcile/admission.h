/*
 * Admission: what a push would change, judged before it takes effect. Pure: manifests read by the
 * caller come in, desired inputs and faults come out. The same code runs in kgitd's pre-receive
 * and in `kgit diff`.
 */
#ifndef KG_RECONCILE_ADMISSION_H
#define KG_RECONCILE_ADMISSION_H

#include "reconcile/reconcile.h"

/* What one cluster takes: a push beyond is refused. */
#define KG_MAX_PODS 500000 /* desired in all; KG_MAX_REPLICAS of one object */

struct kg_admission_file {
	const char *path;
	const char *text; /* NULL: the file is removed */
	size_t len;
};
/* What the audit log is to have of a Pod, or of a workload's pods: Kubernetes' annotations
 * pod-security.kubernetes.io/enforce-policy and /audit-violations. */
struct kg_admission_note {
	const struct kg_kind *kind;
	const char *ns, *name;
	const char *enforced;   /* "baseline:latest"; NULL: it is no Pod */
	const char *violations; /* NULL: none */
};
#define KG_MAX_NOTES 1000 /* of one push; more are only counted */

struct kg_admission {
	struct kg_input_desired *desired; /* arena; sorted by kind and key */
	size_t n;
	size_t created, changed,
		deleted;       /* of desired objects; moved between files is none of them */
	size_t desired_before; /* desired objects that the snapshot holds */
	uint64_t revision;     /* the snapshot's */
	/* What the files say, whatever the snapshot: for kg_admission_renew. */
	const struct kg_definition *const *definitions; /* in order of file and document */
	size_t ndefinitions;
	const struct kg_admission_file *files;
	size_t nfiles;
	bool all;
	/* Of namespaces whose labels enforce or audit anything; in the arena. */
	struct kg_admission_note *notes;
	size_t nnotes, noted; /* noted: with those that are not there */
};
/*
 * Files are all that changed between the admitted main and the pushed one (or, for a full
 * comparison, every file of it with `all` set: then desired objects of the snapshot whose file is
 * not among them are removed). Every fault of the push is added: syntax, schema, immutable fields,
 * duplicate definitions (with both positions; opts->read_other gives the text of a file that the
 * push did not change), namespaces that do not exist, objects that the system owns. opts may be
 * NULL. The result is valid when kg_faults_errors(faults) is 0.
 */
typedef int kg_read_file_fn(void *ctx, const char *path, struct kg_buf *out);
struct kg_admission_options {
	kg_read_file_fn *read_other; /* NULL: the first of two definitions is told by its path */
	void *ctx;
	/* How the cluster is set up: addresses of Services and time zones are held against it.
	 * NULL: they are not, as for what was admitted before. */
	const struct kg_reconcile_options *cluster;
	/* The files were admitted once, maybe by an older kgit: what they define is read whatever
	 * the rules of today are (kg_manifest_read_admitted), and faults are of no meaning. */
	bool admitted;
	/* Kinds of which no document is looked at (kind.h); ends with NULL. NULL: there are none.
	 * What is passed over is told, in a warning for each. */
	const char *const *ignored_kinds;
};
void kg_admit(struct kg_admission *out, const struct kg_snapshot *s,
	const struct kg_admission_file *files, size_t nfiles, bool all,
	const struct kg_admission_options *opts, struct kg_arena *a, struct kg_fault_list *faults);
/* The same push on a later snapshot of the same main: what it desires there, of *from's memory and
 * the arena's. A revision is then made of the one before and of main alone, whenever it was judged.
 */
void kg_admission_renew(struct kg_admission *out, const struct kg_admission *from,
	const struct kg_snapshot *s, struct kg_arena *a);

#endif
