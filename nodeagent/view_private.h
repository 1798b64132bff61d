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
	git_odb_backend *memory; /* objects of the packs that are not saved yet */
	struct kg_buf *unsaved;  /* those packs, in the order in which they came */
	size_t nunsaved, unsaved_cap;
	git_oid read;                       /* the tree read last; zero: none */
	struct kg_map files[KG_VIEW_KINDS]; /* path -> struct kg_doc, by enum kg_view_kind */
	struct kg_doc *node;
};

/* The error of libgit2's call that just failed. */
int kg_view_fail(struct kg_error *err, const char *what);
/* Takes a pack over into memory: its objects can be read from now on. KG_E_UNSUPPORTED: it is
 * large, or has deltas; then it is for kg_view_write_pack. */
int kg_view_unpack(struct kg_view *v, const char *pack, size_t n, struct kg_error *err);
int kg_view_write_pack(struct kg_view *v, const char *pack, size_t n, struct kg_error *err);

#endif
