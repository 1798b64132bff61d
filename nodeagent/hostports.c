#include "nodeagent/hostports.h"

#include "base/map.h"
#include "nodeagent/oci_spec.h"

#include <pthread.h>

struct kg_hostports {
	pthread_mutex_t lock; /* of what follows */
	struct kg_map pods;   /* uid -> struct kg_doc */
	void (*fn)(void *ctx, const char *uid, struct kg_doc *pod);
	void *ctx;
};

struct kg_hostports *kg_hostports_new(void)
{
	struct kg_hostports *h = kg_alloc(sizeof(*h));

	pthread_mutex_init(&h->lock, NULL);
	return h;
}

void kg_hostports_free(struct kg_hostports *h)
{
	struct kg_map_entry *e;

	if (!h)
		return;
	for (size_t i = 0; (e = kg_map_next(&h->pods, &i));)
		kg_doc_unref(e->value);
	kg_map_release(&h->pods);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static bool lists_some(const struct kg_value *containers)
{
	for (uint32_t i = 0; i < kg_len(containers); i++) {
		const struct kg_value *ports = kg_get(&containers->items[i], "ports");
		for (uint32_t k = 0; k < kg_len(ports); k++)
			if (kg_int(kg_get(&ports->items[k], "hostPort"), 0) > 0)
				return true;
	}
	return false;
}

static bool has_some(const struct kg_value *pod)
{
	return !kg_pod_host_network(pod) && (lists_some(kg_at(pod, "spec.containers")) ||
						    lists_some(kg_at(pod, "spec.initContainers")));
}

void kg_hostports_put(struct kg_hostports *h, struct kg_doc *pod)
{
	const char *uid = kg_string(kg_at(kg_doc_value(pod), "metadata.uid"), "");

	if (!h || !has_some(kg_doc_value(pod)))
		return;
	pthread_mutex_lock(&h->lock);
	struct kg_doc *old = kg_map_put(&h->pods, uid, kg_doc_ref(pod));
	if (h->fn && old != pod)
		h->fn(h->ctx, uid, pod);
	pthread_mutex_unlock(&h->lock);
	kg_doc_unref(old);
}

void kg_hostports_remove(struct kg_hostports *h, const char *uid)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	struct kg_doc *old = kg_map_remove(&h->pods, uid);
	if (h->fn && old)
		h->fn(h->ctx, uid, NULL);
	pthread_mutex_unlock(&h->lock);
	kg_doc_unref(old);
}

void kg_hostports_listen(struct kg_hostports *h,
	void (*fn)(void *ctx, const char *uid, struct kg_doc *pod), void *ctx)
{
	struct kg_map_entry *e;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->fn = fn;
	h->ctx = ctx;
	for (size_t i = 0; fn && (e = kg_map_next(&h->pods, &i));)
		fn(ctx, e->key, e->value);
	pthread_mutex_unlock(&h->lock);
}
