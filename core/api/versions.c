/* Kinds with revisions of their own: what there is of them, and versions that pages of a list still
 * read. */
#include "api/versions.h"

#include "api/feed.h"
#include "api/watch.h"
#include "api/worker.h"

enum { KEPT_MS = 60000 };

void kg_api_versions_init(struct versions *v, uint64_t seq, unsigned most_kept)
{
	pthread_mutex_init(&v->lock, NULL);
	kg_pmap_init(&v->objects, &kg_objects_ops);
	v->seq = seq;
	v->most_kept = most_kept;
}

void kg_api_versions_release(struct versions *v)
{
	for (size_t i = 0; i < KG_ARRAY_LEN(v->kept); i++)
		if (v->kept[i].used)
			kg_pmap_release(&v->kept[i].objects);
	kg_pmap_release(&v->objects);
	pthread_mutex_destroy(&v->lock);
}

void kg_api_versions_publish(struct kg_api *api, struct versions *v, struct kg_object *before,
	struct kg_object *after, const enum kg_kind_id *forms, size_t n)
{
	struct kg_change c = {.before = before, .after = after};

	v->seq++;
	if (after) {
		after->revision = v->seq;
		kg_pmap_put(&v->objects, after->key, after);
	} else {
		kg_pmap_remove(&v->objects, before->key);
	}
	for (size_t i = 0; i < n; i++) {
		struct feed_entry *e = kg_api_feed_entry_new(&kg_kinds[forms[i]], v->seq, &c, 1);

		kg_api_feed_append(api, forms[i], kg_api_feed_entry_ref(e));
		kg_api_watch_published(api, forms[i], e);
		kg_api_feed_entry_unref(e);
	}
}

void kg_api_versions_replace(struct versions *v, struct kg_pmap *objects)
{
	struct kg_pmap old[1 + KG_ARRAY_LEN(v->kept)];
	int64_t now = kg_api_now_ms();
	size_t n = 0;

	pthread_mutex_lock(&v->lock);
	old[n++] = v->objects;
	v->objects = *objects;
	v->seq++;
	for (size_t i = 0; i < KG_ARRAY_LEN(v->kept); i++) {
		if (!v->kept[i].used || now - v->kept[i].since <= KEPT_MS)
			continue;
		v->kept[i].used = false;
		old[n++] = v->kept[i].objects;
	}
	pthread_mutex_unlock(&v->lock);
	while (n > 0)
		kg_pmap_release(&old[--n]);
}

bool kg_api_versions_at(struct versions *v, uint64_t seq, struct kg_pmap *out, uint64_t *out_seq)
{
	bool found = true;

	pthread_mutex_lock(&v->lock);
	*out_seq = seq ? seq : v->seq;
	if (*out_seq == v->seq) {
		kg_pmap_copy(out, &v->objects);
	} else {
		found = false;
		for (size_t i = 0; i < KG_ARRAY_LEN(v->kept) && !found; i++) {
			found = v->kept[i].used && v->kept[i].seq == seq;
			if (found)
				kg_pmap_copy(out, &v->kept[i].objects);
		}
	}
	pthread_mutex_unlock(&v->lock);
	return found;
}

void kg_api_versions_keep(struct versions *v, const struct kg_pmap *objects, uint64_t seq)
{
	struct kg_pmap old = {0};

	pthread_mutex_lock(&v->lock);
	for (size_t i = 0; i < KG_ARRAY_LEN(v->kept); i++) {
		if (v->kept[i].used && v->kept[i].seq == seq) {
			pthread_mutex_unlock(&v->lock);
			return;
		}
	}
	unsigned i = v->next_kept++ % v->most_kept;

	if (v->kept[i].used)
		old = v->kept[i].objects;
	kg_pmap_copy(&v->kept[i].objects, objects);
	v->kept[i].seq = seq;
	v->kept[i].since = kg_api_now_ms();
	v->kept[i].used = true;
	pthread_mutex_unlock(&v->lock);
	kg_pmap_release(&old);
}
