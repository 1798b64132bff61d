/* Inside the image files: the store's state, and what pulls and imports share. */
#ifndef KG_NODEAGENT_IMAGE_STORE_H
#define KG_NODEAGENT_IMAGE_STORE_H

#include "base/map.h"
#include "nodeagent/image.h"
#include "nodeagent/work.h"

#include <pthread.h>
#include <sys/stat.h>

struct kg_images {
	char *dir; /* DIR/images */
	struct kg_loop *loop;
	struct kg_work *work;
	struct kg_mailbox *mailbox;
	pthread_mutex_t lock;
	struct kg_map
		present; /* normalised reference -> struct kg_image, of refs.json as of `seen` */
	struct stat seen;
	int cancel;          /* eventfd: ends what runs for pulls; 0: none */
	struct kg_map pulls; /* key -> struct pull; loop's thread */
};

int kg_images_open(struct kg_images **out, const char *dir, struct kg_error *err);
/* The digest that refs.json has for a reference, or "". out holds 80 bytes. */
void kg_images_digest(struct kg_images *images, const char *ref, char *out);
/* refs.json: reference -> {digest, manifest}. */
int kg_images_refs(
	struct kg_value *out, struct kg_arena *a, struct kg_images *images, struct kg_error *err);
/* Removes a reference from it; none is fine. */
int kg_images_drop(struct kg_images *images, const char *ref, struct kg_error *err);
/* A JSON blob by its digest. */
int kg_images_blob(struct kg_value *out, struct kg_arena *a, struct kg_images *images,
	const char *digest, struct kg_error *err);
/* Is it "sha256:HEX"? *hex points into it. */
bool kg_digest_hex(const char *digest, const char **hex);
/* "name@sha256:..." of a normalised reference; heap. */
char *kg_image_id(const char *ref, const char *digest);
/* Unpacks the layers of a manifest whose blobs are in the store. */
int kg_images_unpack(struct kg_images *images, const char *manifest_digest, struct kg_error *err);
/* Names a manifest whose layers are unpacked. Another one that had the name keeps its imageID as
 * one: containers may run it. */
int kg_images_record(struct kg_images *images, const char *ref, const char *digest,
	const char *manifest, struct kg_error *err);

#endif
