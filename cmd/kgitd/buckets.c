/* Finding what selects a pod without looking at all that selects. */
#include "kgitd/peers.h"

#include <string.h>

struct bucket {
	void **items;
	size_t n, cap;
};

void kgd_bucket_of_selector(struct kg_buf *out, const char *ns, const struct kg_value *selector)
{
	const struct kg_value *labels = kg_get(selector, "matchLabels");

	kg_buf_addf(out, "%s/", ns);
	if (kg_len(labels))
		kg_buf_addf(out, "%s=%s", labels->members[0].key,
			kg_string(&labels->members[0].value, ""));
}

static void visit(
	const struct kg_map *buckets, const char *key, void (*fn)(void *ctx, void *item), void *ctx)
{
	const struct bucket *b = kg_map_get(buckets, key);

	for (size_t i = 0; b && i < b->n; i++)
		fn(ctx, b->items[i]);
}

void kgd_buckets_visit(const struct kg_map *buckets, const char *ns, const struct kg_value *labels,
	void (*fn)(void *ctx, void *item), void *ctx)
{
	const char *const namespaces[] = {ns, "*"};
	KG_AUTOBUF struct kg_buf key = KG_BUF_INIT;

	for (size_t k = 0; k < KG_ARRAY_LEN(namespaces); k++) {
		kg_buf_clear(&key);
		kg_buf_addf(&key, "%s/", namespaces[k]);
		visit(buckets, key.data, fn, ctx);
		for (uint32_t i = 0; i < kg_len(labels); i++) {
			kg_buf_clear(&key);
			kg_buf_addf(&key, "%s/%s=%s", namespaces[k], labels->members[i].key,
				kg_string(&labels->members[i].value, ""));
			visit(buckets, key.data, fn, ctx);
		}
	}
}

void kgd_bucket_add(struct kg_map *buckets, const char *key, void *item)
{
	struct bucket *b = kg_map_get(buckets, key);

	if (!b) {
		b = kg_alloc(sizeof(*b));
		kg_map_put(buckets, key, b);
	}
	KG_GROW(b->items, b->cap, b->n + 1);
	b->items[b->n++] = item;
}

void kgd_bucket_remove(struct kg_map *buckets, const char *key, const void *item)
{
	struct bucket *b = kg_map_get(buckets, key);
	size_t i = 0;

	while (b && i < b->n && b->items[i] != item)
		i++;
	if (!b || i == b->n)
		return;
	b->items[i] = b->items[--b->n];
	if (b->n)
		return;
	kg_map_remove(buckets, key);
	free(b->items);
	free(b);
}

void kgd_buckets_release(struct kg_map *buckets)
{
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(buckets, &i));) {
		struct bucket *b = e->value;

		free(b->items);
		free(b);
	}
	kg_map_release(buckets);
}
