/*
 * One object's history, followed backwards: each version of an object names the revision that made
 * it (its records do), and the revision before that one holds the version before. So each step
 * reads a handful of git objects, whatever the number of revisions between. Only where the object
 * is not there does a revision say nothing about the one to look at next: then they are compared
 * one by one, by the ids of the trees on the object's path.
 */
#ifndef KG_STORE_TRACE_H
#define KG_STORE_TRACE_H

#include "store/store.h"

struct kg_trace_step {
	struct kg_log_entry commit; /* which revision, when, by whom; body is "" */
	struct kg_object *object;   /* owned: as it made it; NULL: it deleted the object */
};
struct kg_trace {
	struct kg_trace_step *steps; /* owned; newest first */
	size_t n;
	struct kg_object *before; /* owned: as it was before the last step; NULL: not there */
	/* To be asked for next (an upper bound as `from` is); 0: there is nothing older. */
	uint64_t next;
	size_t looked; /* how much of the budget was used */
	/* Older history is not retained: what was before the last step, if anything, is unknown. */
	bool cut;
};
void kg_trace_release(struct kg_trace *t);

struct kg_trace_options {
	uint64_t from; /* the newest revision of interest; 0: the head */
	size_t limit;  /* steps */
	/* Revisions without the object that are looked at, in all: 2 or more, to get on. */
	size_t budget;
	bool namesakes; /* go on behind the object's creation: earlier objects of that name */
};
/* Texts are the arena's. KG_E_NOT_FOUND: `from` is ahead of the head; KG_E_GONE: before the oldest
 * retained. Any thread. */
int kg_store_trace(struct kg_trace *out, struct kg_store *store, struct kg_arena *a,
	const struct kg_kind *kind, const char *ns, const char *name,
	const struct kg_trace_options *opts, struct kg_error *err);

/* The commit of main, `commit` or before it, that gave a file the content that it has in
 * `commit`: what `git log -1 COMMIT -- PATH` names. */
struct kg_blame {
	char commit[41];
	kg_time time; /* the author's */
	const char *author, *subject;
};
/* At most `budget` commits are looked at: then it is the last one of these. KG_E_NOT_FOUND: no such
 * file. path NULL: of `commit` itself. Any thread. */
int kg_store_blame(struct kg_blame *out, struct kg_store *store, struct kg_arena *a,
	const char *commit, const char *path, size_t budget, struct kg_error *err);

/* The line at which the manifest of an object begins in a file of a commit; 0: it is not there. */
int kg_store_line(uint32_t *out, struct kg_store *store, const char *commit, const char *path,
	const struct kg_kind *kind, const char *ns, const char *name, struct kg_error *err);

#endif
