/*
 * Objects as JSON. What is sent is encoded once and shared by watches, lists and gets: a cache
 * keyed by object and revision (an entry holds the object, so its address cannot mean another
 * one). It is bounded; objects that are replaced or deleted leave it with the commit that does so,
 * and what else nobody but the cache holds (old revisions, objects made for a reader) is swept
 * out. Of what does not fit a list keeps what came first (thrown out by what comes later, nothing
 * of it would be there the next time), while watches press in: what changed is about to be asked
 * for by many.
 */
#include "api/encode.h"

#include "api/internal.h"
#include "api/request.h"
#include "api/table.h"
#include "value/json.h"

#include <inttypes.h>

void kg_api_write_str(struct kg_buf *out, const char *s)
{
	kg_json_write_string(out, s, strlen(s));
}

void kg_api_write_member(struct kg_buf *out, const char *key, const char *value)
{
	kg_buf_addc(out, ',');
	kg_api_write_str(out, key);
	kg_buf_addc(out, ':');
	kg_api_write_str(out, value);
}

/* The metadata with this resourceVersion, which comes first. */
static void write_metadata(struct kg_buf *out, const struct kg_value *md, uint64_t revision)
{
	kg_buf_addf(out, "{\"resourceVersion\":\"%" PRIu64 "\"", revision);
	for (uint32_t i = 0; md->type == KG_OBJECT && i < md->len; i++) {
		if (!strcmp(md->members[i].key, "resourceVersion"))
			continue;
		kg_buf_addc(out, ',');
		kg_api_write_str(out, md->members[i].key);
		kg_buf_addc(out, ':');
		kg_json_write(out, &md->members[i].value);
	}
	kg_buf_addc(out, '}');
}

void kg_api_write_object(struct kg_buf *out, const struct kg_object *obj, uint64_t revision)
{
	const struct kg_value *v = kg_obj(obj);
	bool first = true;

	kg_buf_addc(out, '{');
	for (uint32_t i = 0; v->type == KG_OBJECT && i < v->len; i++) {
		const struct kg_member *m = &v->members[i];

		if (!first)
			kg_buf_addc(out, ',');
		first = false;
		kg_api_write_str(out, m->key);
		kg_buf_addc(out, ':');
		if (!strcmp(m->key, "metadata"))
			write_metadata(out, &m->value, revision);
		else
			kg_json_write(out, &m->value);
	}
	kg_buf_addc(out, '}');
}

void kg_api_write_partial(struct kg_buf *out, const struct kg_object *obj, uint64_t revision,
	const char *meta_version)
{
	kg_buf_adds(out, "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/");
	kg_buf_adds(out, meta_version);
	kg_buf_adds(out, "\",\"metadata\":");
	write_metadata(out, kg_get(kg_obj(obj), "metadata"), revision);
	kg_buf_addc(out, '}');
}

void kg_api_write_form(struct kg_buf *out, const struct request *r, const struct kg_object *obj,
	uint64_t revision, bool headers)
{
	struct kg_arena scratch = KG_ARENA_INIT;

	switch (r->form) {
	case FORM_OBJECT:
		kg_api_write_object(out, obj, revision);
		break;
	case FORM_PARTIAL:
		kg_api_write_partial(out, obj, revision, r->form_version);
		break;
	case FORM_TABLE:
		kg_api_table_open(out, r, headers);
		kg_api_table_row(out, r, obj, revision, &scratch);
		kg_api_table_close(out, revision);
		break;
	}
	kg_arena_release(&scratch);
}

/* ---- the cache ---- */

void kg_api_blob_unref(struct blob *b)
{
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
}

static struct blob *blob_ref(struct blob *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

static struct blob *blob_encode(const struct kg_object *obj, uint64_t revision)
{
	KG_AUTOBUF struct kg_buf buf = KG_BUF_INIT;

	kg_api_write_object(&buf, obj, revision);
	struct blob *b = kg_alloc(sizeof(*b) + buf.len);
	b->refs = 1;
	b->len = buf.len;
	memcpy(b->data, buf.data, buf.len);
	return b;
}

static void slot_drop(struct cache_slot old)
{
	kg_api_blob_unref(old.blob);
	kg_object_unref(old.obj);
}

/* Empties a slot, under its lock; what it held is dropped by the caller, outside. */
static struct cache_slot slot_take(struct encode_cache *c, struct cache_slot *slot)
{
	struct cache_slot old = *slot;

	if (old.blob)
		atomic_fetch_sub(&c->bytes, old.blob->len);
	*slot = (struct cache_slot){0};
	return old;
}

static size_t set_of(const struct kg_object *obj, uint64_t revision)
{
	uint64_t h = ((uintptr_t)obj >> 4) * 0x9e3779b97f4a7c15U ^ revision * 0xff51afd7ed558ccdU;

	return (h ^ h >> 29) * 0xbf58476d1ce4e5b9U >> 40 & (CACHE_SETS - 1);
}

static pthread_mutex_t *lock_of(struct encode_cache *c, size_t set)
{
	return &c->locks[set % CACHE_LOCKS];
}

static struct cache_slot *find(struct cache_slot *ways, const struct kg_object *obj, uint64_t rev)
{
	for (size_t i = 0; i < CACHE_WAYS; i++)
		if (ways[i].obj == obj && ways[i].revision == rev)
			return &ways[i];
	return NULL;
}

static void empty_set(struct encode_cache *c, size_t set)
{
	struct cache_slot old[CACHE_WAYS];

	pthread_mutex_lock(lock_of(c, set));
	for (size_t i = 0; i < CACHE_WAYS; i++)
		old[i] = slot_take(c, &c->slots[set][i]);
	pthread_mutex_unlock(lock_of(c, set));
	for (size_t i = 0; i < CACHE_WAYS; i++)
		slot_drop(old[i]);
}

/* Makes room by emptying sets one after another. */
static void cache_shrink(struct encode_cache *c, size_t need)
{
	for (size_t n = 0; n < CACHE_SETS && c->bytes + need > c->max_bytes; n++)
		empty_set(c, atomic_fetch_add(&c->hand, 1) % CACHE_SETS);
}

static void cache_add(struct encode_cache *c, size_t set, const struct kg_object *obj,
	uint64_t revision, struct blob *b)
{
	struct cache_slot old = {0};

	pthread_mutex_lock(lock_of(c, set));
	struct cache_slot *slot = find(c->slots[set], obj, revision);
	bool known = slot != NULL; /* another thread was faster */

	if (!known) {
		slot = find(c->slots[set], NULL, 0);
		if (!slot) {
			slot = &c->slots[set][atomic_fetch_add(&c->hand, 1) % CACHE_WAYS];
			old = slot_take(c, slot);
		}
		*slot = (struct cache_slot){kg_object_ref(obj), revision, blob_ref(b)};
		atomic_fetch_add(&c->bytes, b->len);
	}
	pthread_mutex_unlock(lock_of(c, set));
	slot_drop(old);
}

struct blob *kg_api_encode_shared(
	struct kg_api *api, const struct kg_object *obj, uint64_t revision, bool press)
{
	struct encode_cache *c = &api->cache;
	size_t set = set_of(obj, revision);
	struct blob *b = NULL;

	pthread_mutex_lock(lock_of(c, set));
	struct cache_slot *slot = find(c->slots[set], obj, revision);

	if (slot)
		b = blob_ref(slot->blob);
	pthread_mutex_unlock(lock_of(c, set));
	if (b) {
		atomic_fetch_add_explicit(&c->hits, 1, memory_order_relaxed);
		return b;
	}
	atomic_fetch_add_explicit(&c->misses, 1, memory_order_relaxed);
	b = blob_encode(obj, revision);
	if (b->len > c->max_bytes / 4)
		return b;
	if (press)
		cache_shrink(c, b->len);
	if (c->bytes + b->len <= c->max_bytes)
		cache_add(c, set, obj, revision, b);
	return b;
}

void kg_api_encode_forget(struct kg_api *api, const struct kg_object *obj)
{
	struct encode_cache *c = &api->cache;
	size_t set = set_of(obj, obj->revision);
	struct cache_slot old = {0};

	pthread_mutex_lock(lock_of(c, set));
	struct cache_slot *slot = find(c->slots[set], obj, obj->revision);

	if (slot)
		old = slot_take(c, slot);
	pthread_mutex_unlock(lock_of(c, set));
	slot_drop(old);
}

void kg_api_encode_sweep(struct kg_api *api)
{
	struct encode_cache *c = &api->cache;

	for (size_t n = 0; c->bytes && n < CACHE_SWEEP; n++) {
		size_t set = c->swept++ % CACHE_SETS;
		struct cache_slot old[CACHE_WAYS] = {0};

		pthread_mutex_lock(lock_of(c, set));
		for (size_t i = 0; i < CACHE_WAYS; i++) {
			struct cache_slot *slot = &c->slots[set][i];

			if (slot->obj && atomic_load(&slot->obj->refs) == 1)
				old[i] = slot_take(c, slot);
		}
		pthread_mutex_unlock(lock_of(c, set));
		for (size_t i = 0; i < CACHE_WAYS; i++)
			slot_drop(old[i]);
	}
}

void kg_api_drop_encoded(struct kg_api *api)
{
	struct encode_cache *c = &api->cache;

	for (size_t set = 0; c->bytes && set < CACHE_SETS; set++)
		empty_set(c, set);
}

void kg_api_encode_cache_init(struct encode_cache *c, size_t max_bytes)
{
	c->max_bytes = max_bytes ? max_bytes : DEFAULT_CACHE_BYTES;
	c->slots = kg_alloc(CACHE_SETS * sizeof(c->slots[0]));
	for (size_t i = 0; i < CACHE_LOCKS; i++)
		pthread_mutex_init(&c->locks[i], NULL);
}

void kg_api_encode_cache_release(struct encode_cache *c)
{
	for (size_t set = 0; set < CACHE_SETS; set++)
		for (size_t i = 0; i < CACHE_WAYS; i++)
			slot_drop(slot_take(c, &c->slots[set][i]));
	for (size_t i = 0; i < CACHE_LOCKS; i++)
		pthread_mutex_destroy(&c->locks[i]);
	free(c->slots);
}
