/*
 * Objects as JSON. What a watch sends is encoded once and shared: a small cache keyed by object
 * and revision (the entry holds the object, so its address cannot mean another one).
 */
#include "api/internal.h"

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
		kg_buf_addf(out, "],\"metadata\":{\"resourceVersion\":\"%" PRIu64 "\"}}", revision);
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

/* Empties a slot; what it held is freed by the caller, outside the lock. */
static struct cache_slot slot_take(struct encode_cache *c, struct cache_slot *slot)
{
	struct cache_slot old = *slot;

	if (old.blob)
		c->bytes -= old.blob->len;
	*slot = (struct cache_slot){0};
	return old;
}

static void slot_drop(struct cache_slot old)
{
	kg_api_blob_unref(old.blob);
	kg_object_unref(old.obj);
}

static struct cache_slot *slot_of(
	struct encode_cache *c, const struct kg_object *obj, uint64_t revision)
{
	uint64_t key[2] = {(uintptr_t)obj, revision};

	return &c->slots[kg_hash64(key, sizeof(key)) % CACHE_SLOTS];
}

/* Makes room; called without the lock. */
static void cache_shrink(struct encode_cache *c, size_t need)
{
	bool more;

	do {
		pthread_mutex_lock(&c->lock);
		struct cache_slot old = {0};

		more = c->bytes && c->bytes + need > CACHE_BYTES;
		if (more)
			old = slot_take(c, &c->slots[c->hand++ % CACHE_SLOTS]);
		pthread_mutex_unlock(&c->lock);
		slot_drop(old);
	} while (more);
}

struct blob *kg_api_encode_shared(
	struct kg_api *api, const struct kg_object *obj, uint64_t revision)
{
	struct encode_cache *c = &api->cache;
	struct cache_slot *slot = slot_of(c, obj, revision);
	struct blob *b = NULL;

	pthread_mutex_lock(&c->lock);
	if (slot->obj == obj && slot->revision == revision)
		b = blob_ref(slot->blob);
	else
		c->misses++;
	pthread_mutex_unlock(&c->lock);
	if (b)
		return b;

	b = blob_encode(obj, revision);
	if (b->len > CACHE_BYTES / 4)
		return b;
	cache_shrink(c, b->len);
	pthread_mutex_lock(&c->lock);
	struct cache_slot old = slot_take(c, slot);
	*slot = (struct cache_slot){kg_object_ref(obj), revision, blob_ref(b)};
	c->bytes += b->len;
	pthread_mutex_unlock(&c->lock);
	slot_drop(old);
	return b;
}

void kg_api_encode_cache_release(struct encode_cache *c)
{
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		slot_drop(slot_take(c, &c->slots[i]));
	pthread_mutex_destroy(&c->lock);
}
