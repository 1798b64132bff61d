/* What changed between two versions of an object, field by field. Pure. */
#ifndef KGIT_FIELDS_H
#define KGIT_FIELDS_H

#include "value/value.h"

/* Of items of an array that have a name (or a type: conditions), "containers[web].image". Either
 * may be null: absent. */
struct kgit_field {
	const char *path;                      /* arena */
	const struct kg_value *before, *after; /* borrowed */
	int rank;                              /* how much it says: 0 most */
};
/* What says most comes first; an arena array. resourceVersion is left out. */
void kgit_fields_find(struct kgit_field **out, size_t *n, struct kg_arena *a,
	const struct kg_value *before, const struct kg_value *after);
/* One line: "spec.replicas 3 -> 10, ..."; the status only where nothing desired changed, times and
 * counters of versions only where nothing else did. "created" and "deleted" where one is null. */
void kgit_fields_write(
	struct kg_buf *out, const struct kg_value *before, const struct kg_value *after);
/* The same as JSON: [{path, before, after}]. */
struct kg_value kgit_fields_value(
	struct kg_arena *a, const struct kg_value *before, const struct kg_value *after);

/* The difference of two texts as unified hunks with three lines around; nothing where they are
 * equal. */
void kgit_text_diff(struct kg_buf *out, const char *before, const char *after);
/* The same of two values as YAML. */
void kgit_value_diff(
	struct kg_buf *out, const struct kg_value *before, const struct kg_value *after);

#endif
