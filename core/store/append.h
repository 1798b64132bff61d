/*
 * The one call by which a revision becomes real. It suits a local repository today, a journal or
 * a replicated log later: nothing else in kgit writes the state branch.
 */
#ifndef KG_STORE_APPEND_H
#define KG_STORE_APPEND_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct kg_append {
	uint64_t epoch;           /* of the writer; today always 1 */
	uint64_t revision;        /* parent's plus one */
	unsigned char parent[20]; /* zero: the first commit */
	unsigned char commit[20];
	const void *pack; /* a whole packfile that holds the commit and all that is new */
	size_t pack_len;
	const void *index; /* its .idx, version 2 */
	size_t index_len;
	unsigned char pack_id[20]; /* the pack's trailing checksum: names the files */
};

/* Durable when it returns 0. KG_E_CONFLICT: the head is not `parent`. KG_E_NO_SPACE: nothing
 * changed, a later try may work. KG_E_IO after a sync that failed: the backend is poisoned and
 * refuses everything until it is opened again. */
struct kg_append_backend {
	int (*append)(void *self, const struct kg_append *a, struct kg_error *err);
	void (*free)(void *self);
};

#endif
