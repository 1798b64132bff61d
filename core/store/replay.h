/*
 * Revisions made again: what kg_store_commit would write, built in memory on top of a revision
 * that is there, and held against what is recorded. Nothing is written. One thread; the store may
 * be read-only.
 */
#ifndef KG_STORE_REPLAY_H
#define KG_STORE_REPLAY_H

#include "store/store.h"

/* A revision as it is recorded. Texts are the arena's. */
struct kg_store_revision {
	uint64_t revision;
	kg_time time;
	int format; /* of its tree; inputs are recorded from 2 on */
	char commit[41], tree[41];
	char parent2[41]; /* ""; the pushed commit */
	char main[41];    /* "" before the first push */
	const char *text; /* the whole commit object */
	const char *message;
	const char *inputs;         /* inputs.yaml, "" where there is none */
	struct kg_value reconciler; /* null where it is not recorded */
};
int kg_store_revision_read(struct kg_store_revision *out, struct kg_store *store,
	struct kg_arena *a, uint64_t revision, struct kg_error *err);

struct kg_replay;
/* Starts from a revision as it is recorded: reads all its trees. */
int kg_replay_new(
	struct kg_replay **out, struct kg_store *store, uint64_t revision, struct kg_error *err);
void kg_replay_free(struct kg_replay *r); /* NULL is fine */
/* The next revision, as kg_store_commit makes it; c->next->commit is filled in. The replay then
 * stands there. On failure it stands where it was. */
int kg_replay_commit(struct kg_replay *r, const struct kg_store_commit *c, struct kg_error *err);
/* Of the last one: its tree's id, and the commit object; borrowed until the next. */
void kg_replay_tree(const struct kg_replay *r, char out[41]);
const char *kg_replay_text(const struct kg_replay *r);

/*
 * The files in which the last one differs from the revision as it is recorded: path in its tree
 * ("decided/pods/default/web.yaml", as people name it: without the fan's levels), the texts, NULL
 * where there is none (of `desired`: the ids of the trees). At most `max` of them; *n is how many
 * there are.
 */
typedef void kg_replay_diff_fn(
	void *ctx, const char *path, const char *recorded, const char *recomputed);
int kg_replay_diff(size_t *n, struct kg_replay *r, size_t max, kg_replay_diff_fn *fn, void *ctx,
	struct kg_error *err);

#endif
