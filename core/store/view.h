/* One state commit as it lies in the repository: its clock and the trees below its root. */
#ifndef KG_STORE_VIEW_H
#define KG_STORE_VIEW_H

#include "base/time.h"
#include "store/odb.h"

/* What is written; 1 is read, too. */
#define KG_STORE_FORMAT        "2"
#define KG_STORE_FORMAT_NUMBER 2

struct kg_commit_view; /* commit_text.h */

struct kg_subtree {
	bool there;
	unsigned char id[20];
};
struct kg_view {
	uint64_t revision;
	kg_time time;
	char main_commit[41];
	char cluster_id[37];
	unsigned char commit[20], root[20];
	int format;
	unsigned char format_blob[20], cluster_blob[20], clock_blob[20];
	struct kg_subtree inputs; /* a blob */
	struct kg_subtree desired, decided, observed, templates;
};
int kg_view_open(struct kg_view *out, const struct kg_reader *r, const unsigned char commit[20],
	struct kg_error *err);
/* Any commit as it lies in git: *out is pieces of *obj (git_odb_object_free it). */
int kg_commit_read(git_odb_object **obj, struct kg_commit_view *out, const struct kg_reader *r,
	const unsigned char id[20], struct kg_error *err);
/* What a commit (hex) holds; "" and NULL hold nothing. */
int kg_subtree_of_commit(struct kg_subtree *out, const struct kg_reader *r, const char *commit,
	struct kg_error *err);

/* A file below a logical directory of the state tree (the fan is seen through). KG_E_NOT_FOUND
 * where there is none. */
int kg_view_find(unsigned char id[20], const struct kg_reader *r, const struct kg_subtree *dir,
	const char *const *path, size_t n, struct kg_error *err);
/* The blob at a path of plain directories, "a/b/c.yaml"; or the directory, "a/b/". */
int kg_view_find_path(unsigned char id[20], const struct kg_reader *r, const struct kg_subtree *dir,
	const char *path, struct kg_error *err);

#endif
