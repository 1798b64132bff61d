/*
 * Why an object is as it is: gathered from its history, its owners' and the scheduler, as data.
 */
#ifndef KGIT_WHY_H
#define KGIT_WHY_H

#include "kgit/kgit.h"

/* One version of an object: what made it, and what it was before and after; null: not there. */
struct kgit_step {
	const struct kg_value *entry, *before, *after;
};
/* An object of the chain and the version that made the next one what it is. */
struct kgit_link {
	struct kgit_object_name name;
	struct kgit_step step;
};
struct kgit_chain {
	struct kgit_link links[8]; /* the object first, then its owner, ... */
	size_t n;
};

struct kgit_why {
	struct kgit_object_name name;
	uint64_t revision;          /* as of which it is told */
	const struct kg_value *now; /* the object, or what it was at last; borrowed */
	bool deleted;               /* it is not there any more */
	struct kgit_step *steps;    /* of this object's life, newest first */
	size_t n;
	bool complete;                  /* down to its creation */
	struct kgit_chain made;         /* why it is there, or is as it is */
	struct kgit_chain unmade;       /* why it was deleted; n 0: it was not */
	const struct kgit_step *bound;  /* the one that bound a pod to its node; or NULL */
	const struct kg_value *placing; /* kgitd's explain: of a pod; or NULL */
	const char *unplaced;           /* why there is no such answer; or NULL */
	struct kg_snapshot *around;     /* owned: all there was; NULL for pods */
};
void kgit_why_release(struct kgit_why *w);
/* As of a revision; 0: now. All values are the arena's. KG_E_NOT_FOUND: it never was. */
int kgit_why_find(struct kgit_why *out, struct kg_arena *a, struct kg_http_client *http,
	const struct kgit_object_name *name, uint64_t at, struct kg_error *err);

#endif
