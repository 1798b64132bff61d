/* What the tests of compaction share: a cluster to compact, and what is asked of it afterwards. */
#ifndef KG_STORE_COMPACT_TEST_SUPPORT_H
#define KG_STORE_COMPACT_TEST_SUPPORT_H

#include "store/compact.h"
#include "store/test_support.h"

extern struct test_template compact_template; /* from main's begin to its end */

/* A repository of its own for each test; packs are not merged. */
int compact_setup(void **state);
int compact_teardown(void **state);

void compact_set_value(struct test_cluster *c, int value);
/* Revisions up to `to`: each another value, some of them a pod. */
void compact_fill(struct test_cluster *c, uint64_t to);
void compact_reopen(struct test_cluster *c);

/* Options: keep so many revisions, and let all else go at once; and doing so. */
struct kg_compact_options compact_now_and_all(uint64_t revisions);
struct kg_compact_result compact_all(struct test_cluster *c, uint64_t revisions);

/* The lines that git, with these arguments, writes. */
size_t compact_count_lines(const char *dir, const char *const *args);
/* Is a pack hidden: its compaction is not over. */
bool compact_any_hidden(const char *repo);
bool compact_has_object(const char *dir, const char *hex);
/* The id of a revision's commit. */
void compact_commit_of(char out[41], struct test_cluster *c, uint64_t revision);
/* Everything from the oldest on can be read, and nothing before. */
void compact_check_readable(struct test_cluster *c, uint64_t oldest);

#endif
