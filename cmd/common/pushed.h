/* The manifests of a push, out of the store, for admission. */
#ifndef COMMON_PUSHED_H
#define COMMON_PUSHED_H

#include "base/map.h"
#include "reconcile/admission.h"
#include "store/store.h"

struct kg_pushed {
	struct kg_store *store;
	const char *old_commit, *new_commit;  /* "": the empty tree */
	const char *quarantine;               /* or NULL */
	size_t max_files, max_file, max_text; /* manifests; bytes of one, and of all that changed */
};

/* The files that changed; *all: every file of the new tree is among them. */
int kg_pushed_files(struct kg_admission_file **out, size_t *n, bool *all, const struct kg_pushed *p,
	struct kg_arena *a, struct kg_error *err);

/* Any file of one tree, for kg_read_file_fn: they are listed when the first is asked for. */
struct kg_pushed_tree {
	const struct kg_pushed *pushed;
	const char *commit;
	struct kg_arena arena;
	struct kg_map blobs; /* path -> hex id */
	bool listed;
};
int kg_pushed_read(void *tree, const char *path, struct kg_buf *out);
void kg_pushed_tree_release(struct kg_pushed_tree *t);

#endif
