/* What the two walks for manifests, of trees and of directories, share. */
#ifndef KG_STORE_MANIFESTS_H
#define KG_STORE_MANIFESTS_H

#include "store/ignore.h"
#include "store/store.h"

#define KG_SETTINGS_FILE ".kgit/settings.yaml"
#define KG_PATH_MAX_LEN  1024
#define KG_WALK_DEPTH    64
#define KG_WALK_ENTRIES  1000000 /* of any kind, files and directories, in one tree */

struct kg_file_list {
	struct kg_tree_file *items; /* heap; paths are the arena's */
	size_t len, cap;
};
/* blob NULL: "". */
void kg_file_list_add(
	struct kg_file_list *l, struct kg_arena *a, const char *path, const unsigned char *blob);
/* Is the path one that YAML can hold: UTF-8 without control bytes, not too long. */
int kg_check_path(const char *path, struct kg_error *err);
/* Symbolic links are not followed: the error for one, and whether a name hides it, as it hides a
 * directory from us. */
int kg_no_links(const char *path, struct kg_error *err);
bool kg_link_is_hidden(const char *name);
int kg_too_many_files(size_t max, struct kg_error *err);

#endif
