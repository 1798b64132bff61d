/* Objects as bytes: JSON as requests want it, shared between those who are told the same. */
#ifndef KG_API_ENCODE_H
#define KG_API_ENCODE_H

#include "kinds/object.h"

#include <pthread.h>
#include <stdatomic.h>

struct kg_api;
struct request;

struct blob {
	_Atomic int refs;
	size_t len;
	char data[];
};
void kg_api_blob_unref(struct blob *b);
enum {
	CACHE_SETS = 16384,
	CACHE_WAYS = 4,
	CACHE_LOCKS = 64,
	CACHE_SWEEP = 32,
	DEFAULT_CACHE_BYTES = 28 << 20
};
struct encode_cache {
	pthread_mutex_t locks[CACHE_LOCKS]; /* of every CACHE_LOCKS-th set */
	struct cache_slot {
		struct kg_object *obj;
		uint64_t revision;
		struct blob *blob;
	} (*slots)[CACHE_WAYS];
	size_t max_bytes;
	_Atomic size_t bytes, hand;
	_Atomic uint64_t hits, misses;
	size_t swept; /* the publishing thread's */
};
/* The object's JSON with this resourceVersion; a reference. press: others make room for it. */
struct blob *kg_api_encode_shared(
	struct kg_api *api, const struct kg_object *obj, uint64_t revision, bool press);
/* It is not the newest of its name any more. */
void kg_api_encode_forget(struct kg_api *api, const struct kg_object *obj);
/* Looks at some entries, on the publishing thread: what only the cache holds goes. */
void kg_api_encode_sweep(struct kg_api *api);
void kg_api_encode_cache_init(struct encode_cache *c, size_t max_bytes);
void kg_api_encode_cache_release(struct encode_cache *c);

void kg_api_write_object(struct kg_buf *out, const struct kg_object *obj, uint64_t revision);
void kg_api_write_partial(struct kg_buf *out, const struct kg_object *obj, uint64_t revision,
	const char *meta_version);
void kg_api_write_str(struct kg_buf *out, const char *s);
/* `,"key":"value"`; first: without the comma. */
void kg_api_write_member(struct kg_buf *out, const char *key, const char *value);
/* An object as the request wants it; table headers where asked. */
void kg_api_write_form(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, bool headers);

#endif
