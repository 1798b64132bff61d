/* What view.c, view_pull.c and view_read.c share; nobody else includes it. */
#ifndef KG_NODEAGENT_VIEW_PRIVATE_H
#define KG_NODEAGENT_VIEW_PRIVATE_H

#include "base/map.h"
#include "nodeagent/view.h"

#include <git2.h>

struct kg_view {
	char *path; /* DIR/view.git */
	git_repository *repo;
	git_odb *odb;
	char commit[GIT_OID_HEXSZ + 1];
	git_oid read;           /* the tree read last; zero: none */
	struct kg_map files[3]; /* path -> struct kg_doc, by enum kg_view_kind */
	struct kg_doc *node;
};

/* The error of libgit2's call that just failed. */
int kg_view_fail(struct kg_error *err, const char *what);
/* Takes commit as the one pulled last: moves the ref. */
int kg_view_set_commit(struct kg_view *v, const char *commit, struct kg_error *err);
int kg_view_reopen(struct kg_view *v, struct kg_error *err);
/* Where there are many packs: one, of the present commit alone. After it was read, since only then
 * nothing is compared with an older tree any more. */
int kg_view_consolidate(struct kg_view *v, struct kg_error *err);

#endif
