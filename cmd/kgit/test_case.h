/* What a case of `kgit test` says: its nodes and its steps, checked before anything is run. */
#ifndef KGIT_TEST_CASE_H
#define KGIT_TEST_CASE_H

#include "kinds/schema.h"

struct kgit_case {
	struct kg_value nodes; /* {name, labels, status, taints, unschedulable, ready}; or null */
	struct kg_value steps; /* an array of objects of one member: what is done, and to what */
};
/* Reads DIR/nodes.yaml, which may be missing, and DIR/steps.yaml (missing: one push of manifests/)
 * into the arena. Faults name their file, line and column; with any, *out is not to be used. */
void kgit_case_read(
	struct kgit_case *out, struct kg_arena *a, const char *dir, struct kg_fault_list *faults);

/* ---- want/ ---- */

/* What became of a step, held against DIR/want/NAME, or, with update, written there. What differs
 * is appended to *out as a unified diff. 0: as wanted; 1: it differs, or was written anew; negative
 * where the file cannot be read or written. */
int kgit_want_hold(struct kg_buf *out, const char *dir, const char *name, const struct kg_buf *got,
	bool update, struct kg_error *err);
/* The files of DIR/want that are of none of the n steps ("1-push.yaml", ...): removed with update,
 * else named in *out, a line each. How many; negative where that failed. */
int kgit_want_stale(struct kg_buf *out, const char *dir, char *const *names, size_t n, bool update,
	struct kg_error *err);

#endif
