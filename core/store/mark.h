/*
 * What of a repository's objects is needed: the walk from all that is referred to. It reads commits
 * and trees, never blobs. One thread; anything may be added to the repository meanwhile.
 */
#ifndef KG_STORE_MARK_H
#define KG_STORE_MARK_H

#include "store/livepacks.h"
#include "store/odb.h"
#include "store/shallow.h"

struct kg_mark_item;
struct kg_mark {
	struct kg_livepacks *set;       /* where the marks go */
	const struct kg_reader *reader; /* of the repository */
	const struct kg_shallow *stops; /* commits whose parents are not needed for their sake */
	size_t sealed; /* packs of compactions with so many objects are not looked into; 0: all are.
			* Then not everything is marked */
	int cancel;    /* an fd: once it is readable the walk ends with KG_E_UNAVAILABLE; 0: none */
	void (*pause)(void *ctx); /* called between objects; or NULL */
	void *ctx;
	/* Everything needed has its mark already: what is marked now in a pack that was chosen
	 * would be lost. Set by the caller; then `lost` says so. */
	bool again, lost;

	bool unreferred;      /* the walk began at what no ref is known to reach */
	struct kg_map others; /* hex ids of what is in no pack of the set */
	struct kg_mark_item *stack;
	size_t len, cap;
	uint64_t looked;
};
void kg_mark_release(struct kg_mark *m);

/* All that is reachable from the root tree of a revision. */
int kg_mark_root(struct kg_mark *m, const unsigned char tree[20], struct kg_error *err);
/* From an object of any type. */
int kg_mark_any(struct kg_mark *m, const unsigned char id[20], struct kg_error *err);
/* From all refs of the repository dir, and its HEAD. */
int kg_mark_refs(struct kg_mark *m, const char *dir, struct kg_error *err);
/* From every object of a pack of the set; those that nothing refers to may lack what they lead to,
 * unless `again`. */
int kg_mark_pack(struct kg_mark *m, const struct kg_livepacks_pack *p, struct kg_error *err);
/* From every object that lies by itself, in no pack; as kg_mark_pack. */
int kg_mark_loose(struct kg_mark *m, const char *dir, struct kg_error *err);

#endif
