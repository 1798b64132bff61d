/* The cluster of one case of `kgit test`: in memory, with a clock that jumps, and with nodes that
 * say of their pods what a step has them say. */
#ifndef KGIT_TEST_PLAY_H
#define KGIT_TEST_PLAY_H

#include "reconcile/harness.h"

struct kgit_play_tree {
	struct kg_admission_file *files; /* owned, with their paths and texts */
	size_t n;
	struct kg_arena arena; /* of the settings' texts */
	const char *const *ignored_kinds;
};

struct kgit_play {
	const char *dir; /* the case's; borrowed */
	struct kg_harness h;
	struct kgit_play_tree main;     /* what was pushed last */
	struct kg_buf faults, timeline; /* of the last step: those of a push, or
					 evictions refused; that of a play */
	int failures;
};

/* nodes as a case's nodes.yaml has them (test_case.h), or null. */
void kgit_play_begin(struct kgit_play *p, const char *dir, const struct kg_value *nodes);
void kgit_play_end(struct kgit_play *p);
/* One step, which was checked (test_case.h). What goes wrong is printed and counted. */
void kgit_play_step(struct kgit_play *p, const char *what, const struct kg_value *arg);

/* ---- between test_play.c and test_push.c ---- */

/* Pushes the manifests of a directory, given from the case's. */
void kgit_play_push(struct kgit_play *p, const char *dir);
void kgit_play_fail(struct kgit_play *p, const char *what, const char *detail);
void kgit_play_tree_release(struct kgit_play_tree *t);

#endif
