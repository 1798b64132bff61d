/*
 * Which paths .kgitignore files name: gitignore's rules (gitignore(5)), files at any level, the
 * deeper one and the later line winning. A path below an ignored directory is the caller's to
 * leave out.
 */
#ifndef KG_STORE_IGNORE_H
#define KG_STORE_IGNORE_H

#include <stdbool.h>
#include <stddef.h>

#define KG_IGNORE_FILE ".kgitignore"
#define KG_IGNORE_MAX  (1u << 20) /* bytes of one file */

struct kg_ignore_rule;
struct kg_ignore {
	struct kg_ignore_rule *rules; /* heap */
	size_t len, cap;
};
#define KG_IGNORE_INIT                                                                             \
	{                                                                                          \
		0                                                                                  \
	}
void kg_ignore_release(struct kg_ignore *ig);
/* Adds the rules of one file in directory dir ("" is the root, else "a/b"); the mark before it is
 * what kg_ignore_pop takes when the directory is left. */
size_t kg_ignore_push(struct kg_ignore *ig, const char *dir, const char *text, size_t len);
void kg_ignore_pop(struct kg_ignore *ig, size_t mark);
/* Is the path (from the root, without a slash at its end) named by a rule itself. */
bool kg_ignore_matches(const struct kg_ignore *ig, const char *path, bool is_dir);

#endif
