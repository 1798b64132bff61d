/*
 * The image store of a node, under DIR/images:
 *   refs.json          what is known: reference -> digest, manifest
 *   blobs/sha256/HEX   manifests, configurations and layers as they came
 *   layers/HEX         layers unpacked, by the digest of their content (diffID)
 *   base               a layer below every image: what each container is mounted upon, empty
 *   l/SHORT, l/base    links to them: overlayfs takes its options in one page
 * References are normalised as docker does ("busybox" is docker.io/library/busybox:latest).
 */
#ifndef KG_NODEAGENT_IMAGE_H
#define KG_NODEAGENT_IMAGE_H

#include "base/err.h"
#include "sys/loop.h"
#include "value/value.h"

#include <stdbool.h>

#define KG_IMAGE_BASE "base"

/* An image that is ready to run: immutable, reference-counted, any thread. */
struct kg_image {
	_Atomic int refs;
	struct kg_arena arena;  /* all below */
	const char *ref;        /* normalised */
	const char *id;         /* "docker.io/library/busybox@sha256:...": imageID of the status */
	struct kg_value config; /* the configuration's "config": Env, Entrypoint, Cmd, User, ... */
	const char *const *layers; /* topmost first: names below DIR/images/l */
	const char *const *dirs;   /* the same as whole paths */
	size_t nlayers;
	bool native; /* no program in it is of another word size than the machine's */
};
struct kg_image *kg_image_ref(struct kg_image *image);
void kg_image_unref(struct kg_image *image); /* NULL is fine */

struct kg_images;
/* The store below `dir` (the node's state directory). With a loop pulls work. */
int kg_images_new(
	struct kg_images **out, const char *dir, struct kg_loop *loop, struct kg_error *err);
void kg_images_free(struct kg_images *images);
/* The image if it is present: a new reference, or NULL. Any thread; blocks for a file or two. */
struct kg_image *kg_images_get(struct kg_images *images, const char *ref);
/*
 * Makes the image present from its registry; with `always` even where it is (the registry is
 * asked whether it has another one by that name), with the credentials of auth (image_auth.h; or
 * NULL). Many calls for one reference and the same credentials are one pull. `done`
 * is called once, on the loop, with err NULL when it is present; kg_images_free calls it with an
 * error for those that are under way. From the loop's thread only.
 */
void kg_images_pull(struct kg_images *images, const char *ref, bool always, const char *auth,
	void (*done)(void *ctx, const char *ref, const struct kg_error *err), void *ctx);

/*
 * For `kgit-node image import` and the quickstart: takes an image from "oci:DIR[:NAME]",
 * "oci-archive:FILE[:NAME]", "docker-archive:FILE[:NAME]", or a plain path (an OCI layout, else an
 * archive of either kind). ref NULL: the name that the layout's index gives it. dir is the node's
 * state directory; an agent that runs there sees the image at once.
 */
int kg_image_import(const char *dir, const char *source, const char *ref, struct kg_error *err);

/* ---- references ---- */
/* Heap; NULL with err where it is malformed. */
char *kg_image_normalize(const char *ref, struct kg_error *err);
/* "Always" or "IfNotPresent" where a container gives no imagePullPolicy. */
const char *kg_image_default_policy(const char *ref);
/* Is the registry of a normalised reference on this machine's loopback: plain HTTP may be. */
bool kg_image_is_loopback(const char *ref);

#endif
