/*
 * The state trees of one commit in memory: the writer's, those that a replay makes anew, and what a
 * load walks. An edit brings them along with the changes of a commit: their records and templates
 * become blobs, which go into a pack. What fails can be taken back, step by step; since a tree's
 * shape depends on its content alone, it is then what it was.
 */
#ifndef KG_STORE_MIRROR_H
#define KG_STORE_MIRROR_H

#include "store/fan.h"
#include "store/odb.h"
#include "store/pack.h"
#include "store/view.h"

#include "kinds/snapshot.h"

struct kg_mirror {
	struct kg_fan *decided, *observed, *templates;
};
int kg_mirror_load(struct kg_mirror *m, const struct kg_reader *r, const struct kg_view *view,
	struct kg_error *err);
void kg_mirror_release(struct kg_mirror *m);

struct kg_mirror_edit {
	struct kg_mirror *mirror;       /* borrowed, and so are the next ones */
	struct kg_pack *pack;           /* new blobs are added */
	struct kg_blob_texts *texts;    /* and kept here; or NULL */
	const struct kg_snapshot *next; /* what the changes lead to */
	struct kg_mirror_step *steps;
	size_t len, cap;
	struct kg_arena paths; /* of the steps */
	struct kg_buf text;    /* scratch */
};
/* Where it fails, some is done: undo it. */
int kg_mirror_edit_apply(
	struct kg_mirror_edit *e, const struct kg_changes *changes, struct kg_error *err);
/* Packs e->text. */
void kg_mirror_edit_pack(struct kg_mirror_edit *e, unsigned char id[20]);
void kg_mirror_edit_undo(struct kg_mirror_edit *e);
void kg_mirror_edit_release(struct kg_mirror_edit *e); /* what it holds; the mirror stays */

#endif
