/*
 * Which commit is a revision: a file of 20-byte ids beside the repository's own, one a revision.
 * It is a cache: checked against the commits whenever it is read, made again where it is wrong
 * or missing, and kept in memory alone where the store is read-only. Not thread-safe: the store
 * locks around it.
 */
#ifndef KG_STORE_HISTORY_H
#define KG_STORE_HISTORY_H

#include "store/odb.h"
#include "store/shallow.h"

struct kg_history {
	char *path; /* owned; NULL: in memory */
	int fd;
	uint64_t oldest; /* retained */
	uint64_t first;  /* that ids has; not above `oldest` */
	uint64_t count;
	struct kg_shallow stops; /* where commits have no parents, whatever they say */
	unsigned char *ids;      /* owned; in memory: the newest first */
	/* What the file could not take for want of room: ids, newest first, as ids are. */
	unsigned char *spare;
	size_t nspare;
	uint64_t spare_newest;
};

/* The history of the repository dir that ends at the commit `head` of revision `revision`. */
int kg_history_open(struct kg_history *h, const char *dir, const char *path,
	const struct kg_reader *r, const unsigned char head[20], uint64_t revision,
	struct kg_error *err);
void kg_history_release(struct kg_history *h);
/* The next revision. A failure only makes the file wrong, which the next look-up mends. */
void kg_history_append(struct kg_history *h, const unsigned char commit[20]);
/* The commit of a revision: KG_E_GONE before the first, KG_E_NOT_FOUND behind the last. */
int kg_history_find(unsigned char commit[20], struct kg_history *h, const struct kg_reader *r,
	const unsigned char head[20], uint64_t head_revision, uint64_t revision,
	struct kg_error *err);
/* Nothing older is retained from now on; `commit` is that revision's, and in dir's file `shallow`
 * already. */
void kg_history_cut(struct kg_history *h, uint64_t oldest, const unsigned char commit[20]);
/* The failure that says that a revision is before the oldest. */
int kg_history_gone(const struct kg_history *h, uint64_t revision, struct kg_error *err);
/* How far the file at path (if it is one) says that revisions went: 0 and false where it does not
 * say. */
bool kg_history_newest(uint64_t *revision, const char *path);

#endif
