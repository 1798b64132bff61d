/*
 * Taking images out of the store. Two steps, so that nobody runs what is being removed: the
 * reference is forgotten, after which whoever wants it pulls it, then what only it had is removed
 * while no pull or import is under way. What a crash left of the second is done with the next.
 */
#ifndef KG_NODEAGENT_IMAGE_REMOVE_H
#define KG_NODEAGENT_IMAGE_REMOVE_H

#include "base/map.h"
#include "nodeagent/image.h"

/* Of each reference its imageID ("name@sha256:..."), heap; what an image was called before its tag
 * moved is there under its imageID. */
int kg_images_list(struct kg_map *out, struct kg_images *images, struct kg_error *err);
void kg_images_list_release(struct kg_map *list);

/* From whoever alone decides who uses what; blocks for a few files. */
int kg_images_forget(struct kg_images *images, const char *ref, struct kg_error *err);
/* Removes the blobs and layers of what was forgotten; `done` is called on the store's loop, and not
 * where the store is freed before. */
void kg_images_collect(
	struct kg_images *images, void (*done)(void *ctx, const struct kg_error *err), void *ctx);

/* Pulls and imports hold this while their blobs and layers have no name; the fd ends it. < 0:
 * ended, or failed, with err. Blocks while something is being removed. */
int kg_images_hold(struct kg_images *images, struct kg_error *err);

#endif
