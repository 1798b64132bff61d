/*
 * The proof that the state branch is what the reconciler makes of what came in: each revision is
 * made again, by the very code of kgitd's writer, from the one before and its recorded inputs, and
 * its commit id must come out. Since the ids do, so do the trees, messages, authors, dates and
 * parents; where one does not, what differs is found and told.
 */
#ifndef COMMON_VERIFY_H
#define COMMON_VERIFY_H

#include "store/store.h"

struct kg_verify_difference {
	uint64_t revision;
	const char *path; /* in the tree; "commit": the commit object; "": what `recorded` says */
	const char *recorded, *recomputed; /* texts; NULL: nothing is there. Secrets are in them. */
};
struct kg_verify_options {
	uint64_t from, to; /* revisions to be proven; the one before `from` must be retained */
	/* Begin later where the first of them cannot be judged by this kgit. */
	bool first_possible;
	bool keep_going;  /* past a difference, from the revision as it is recorded */
	size_t max_shown; /* differences that are told of one revision; default 20 where 0 */
	void *ctx;
	void (*differs)(void *ctx, const struct kg_verify_difference *d);
	/* `more` of that revision are not told. */
	void (*differs_more)(void *ctx, uint64_t revision, size_t more);
	/* Revisions [from, to] cannot be judged. */
	void (*cannot)(void *ctx, uint64_t from, uint64_t to, const char *why);
	void (*progress)(void *ctx, uint64_t revision); /* is proven or not; may be NULL */
};
struct kg_verify_result {
	uint64_t from; /* the first that was judged; to + 1: none could be */
	char why[200]; /* "" or why those before it could not */
	uint64_t proven, differ, unjudged;
};
/* KG_E_GONE: what is before `from` is no longer there; KG_E_CORRUPT: the history itself is broken,
 * and *out says how far it was proven. */
int kg_verify(struct kg_verify_result *out, struct kg_store *store,
	const struct kg_verify_options *opts, struct kg_error *err);

#endif
