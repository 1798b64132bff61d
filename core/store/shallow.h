/*
 * git's file `shallow`: commits that count as having no parents, here and in every git that reads
 * the repository. It is how history ends at a horizon without any id being rewritten.
 */
#ifndef KG_STORE_SHALLOW_H
#define KG_STORE_SHALLOW_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct kg_shallow {
	unsigned char (*ids)[20]; /* heap */
	size_t n, cap;
	time_t since; /* when the file was last written; 0: there is none */
};
/* Of the repository dir; no file is none. KG_E_CORRUPT where a line is not an id. */
int kg_shallow_read(struct kg_shallow *out, const char *dir, struct kg_error *err);
/* Durably. */
int kg_shallow_write(const char *dir, const struct kg_shallow *s, struct kg_error *err);
void kg_shallow_release(struct kg_shallow *s);
bool kg_shallow_has(const struct kg_shallow *s, const unsigned char id[20]);
void kg_shallow_add(struct kg_shallow *s, const unsigned char id[20]);
void kg_shallow_remove(struct kg_shallow *s, const unsigned char id[20]);

#endif
