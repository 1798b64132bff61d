/* A difference that `kgit verify` found, as people and programs are told it. Pure. */
#ifndef KGIT_VERIFY_SHOW_H
#define KGIT_VERIFY_SHOW_H

#include "common/verify.h"

/* One difference: {revision, path, kind, namespace, name, text, fields: [{path, recorded,
 * recomputed}]}, what is absent left out. Values of Secrets are in none of them. */
struct kg_value kgit_difference_value(struct kg_arena *a, const struct kg_verify_difference *d);
/* Its lines, each of them indented by two spaces. */
void kgit_difference_write(struct kg_buf *out, const struct kg_verify_difference *d);
/* A text of the repository's as a terminal may have it: control characters are blanks. */
void kgit_words_add(struct kg_buf *out, const char *text);

#endif
