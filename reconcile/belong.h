/*
 * What manifests say of an object's life: finalizers, which hold an object that main defines no
 * more until main names none of them, and ownerReferences to other objects of main, which are given
 * the owners' uids. (What controllers own is adopt.h's and cascade.c's.)
 */
#ifndef KG_RECONCILE_BELONG_H
#define KG_RECONCILE_BELONG_H

#include "reconcile/internal.h"

/* ---- finalizers ---- */

/* Is this one of those that the system deals with itself. */
bool kg_finalizer_is_ours(const char *name);
bool kg_finalizer_has(const struct kg_object *obj, const char *name);
/* One that somebody else deals with is left. */
bool kg_finalizers_hold(const struct kg_object *obj);
/* The object is held: it stays, on its way out; main's definition of it is dropped unless it came
 * back meanwhile. */
void kg_finalizers_mark(struct kg_run *r, const struct kg_object *obj);
/* Those of an object on its way out that its manifest, pushed again, still names. */
struct kg_value kg_finalizers_left(
	struct kg_arena *a, const struct kg_object *obj, const struct kg_value *manifest);
/* v with one more; as it is where it has it. */
struct kg_value kg_finalizer_add(struct kg_arena *a, const struct kg_value *v, const char *name);
/* obj is gone, unless it is held; where its manifest came back meanwhile, another begins. */
void kg_end_object(struct kg_run *r, const struct kg_object *obj);

/* ---- owners that manifests name ---- */

void kg_belong_track(struct kg_reconcile_state *st, const struct kg_object *before,
	const struct kg_object *after);
void kg_belong_concerns(
	struct kg_run *r, const struct kg_object *before, const struct kg_object *after);
/* Something that names the owner, and blocks its deletion, is there still. */
bool kg_belong_blocks(struct kg_run *r, const struct kg_object *owner);
/* Fills in the uids of the object's owners, and leaves out those that are gone or, where another
 * keeps it, only wait for it to go; key: "KIND-ID NS/NAME". */
void kg_belong_run(struct kg_run *r, const char *key);
/* All keys of kg_belong_run: for a full run. */
void kg_belong_enqueue_all(struct kg_reconcile_state *st);

#endif
