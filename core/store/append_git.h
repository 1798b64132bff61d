/* The append backend at the bottom: a git repository's objects/pack and one loose ref, five fsyncs
 * a revision. */
#ifndef KG_STORE_APPEND_GIT_H
#define KG_STORE_APPEND_GIT_H

#include "store/append.h"

/* dir is a bare repository, ref the state branch. Heap; end it with its free. */
struct kg_append_backend *kg_append_git_new(const char *dir, const char *ref);

#endif
