/*
 * The one call by which a revision becomes real. It suits a local repository, a journal ahead of
 * one, or a replicated log later: nothing else in kgit writes the state branch.
 */
#ifndef KG_STORE_APPEND_H
#define KG_STORE_APPEND_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct git_odb;

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
	/* It refers to objects of a push, which git renamed into objects/pack and did not sync. */
	bool pushed;
};

struct kg_append_backend {
	/* Durable when it returns 0. KG_E_CONFLICT: the head is not `parent`. KG_E_NO_SPACE:
	 * nothing changed, a later try may work. KG_E_IO after a sync that failed: the backend is
	 * poisoned and refuses everything until it is opened again. The writer's thread. */
	int (*append)(void *self, const struct kg_append *a, struct kg_error *err);
	/* The newest commit as hex, "" where there is none. Any thread. */
	int (*head)(void *self, char out[41], struct kg_error *err);
	/* Waits until git's own files have all that is appended: KG_E_TIMEOUT, or what keeps it
	 * from getting there. Any thread. */
	int (*flush)(void *self, int timeout_ms, struct kg_error *err);
	/* Makes what git's files do not have yet readable through the database. Any thread. */
	int (*attach)(void *self, struct git_odb *odb, struct kg_error *err);
	/* What is appended stays, in git's files where they take it. NULL is fine. */
	void (*free)(void *self);
	/* It deflates what goes to git's files: packs may come plain (kg_pack_set_plain). */
	bool deflates;
};

#endif
