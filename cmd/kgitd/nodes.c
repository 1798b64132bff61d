#include "kgitd/nodes_private.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_GRACE_MS 40000
#define NODES_SPEAK_MS   10000 /* as kgit-node does */

struct kgd_node *kgd_node_get(struct kgd_nodes *n, const char *name)
{
	return kg_map_get(&n->map, name);
}

struct kgd_node *kgd_node_make(struct kgd_nodes *n, const char *name)
{
	struct kgd_node *node = kgd_node_get(n, name);

	if (node)
		return node;
	node = kg_alloc(sizeof(*node));
	node->name = kg_strdup(name);
	node->last_seen = kg_monotonic_ms();
	node->dirty = true;
	kg_map_put(&n->map, name, node);
	return node;
}

static void free_node(struct kgd_node *node)
{
	kgd_view_unref(node->view);
	for (int i = 0; i < KGD_OLD_VIEWS; i++)
		kgd_view_unref(node->old[i]);
	kg_doc_unref(node->used);
	free(node->name);
	free(node);
}

/* The nodes that earlier runs registered are given the grace anew. */
static void known_nodes(struct kgd_nodes *n)
{
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);
	const struct kg_object *obj;
	struct kg_object_iter it;

	kg_iter_kind(&it, s, KG_KIND_NODE, NULL, NULL);
	while ((obj = kg_iter_next(&it)))
		kgd_node_make(n, obj->name)->lost = !kg_object_ready(obj);
	kg_iter_release(&it);
	n->seen_revision = s->revision;
	n->policies = kgd_policies_new(s, n->pod_cidr);
	kg_snapshot_unref(s);
}

struct kgd_nodes *kgd_nodes_new(const struct kgd_nodes_options *opts)
{
	struct kgd_nodes *n = kg_alloc(sizeof(*n));

	n->loop = opts->loop;
	n->hub = opts->hub;
	n->writer = opts->writer;
	n->grace_ms = opts->grace_ms > 0 ? opts->grace_ms : DEFAULT_GRACE_MS;
	if (n->grace_ms <= NODES_SPEAK_MS)
		kg_warn("--node-monitor-grace: nodes speak every %d s, so that each is lost again "
			"and again: give it more",
			NODES_SPEAK_MS / 1000);
	snprintf(n->service_cidr, sizeof(n->service_cidr), "%s", opts->service_cidr);
	snprintf(n->pod_cidr, sizeof(n->pod_cidr), "%s", opts->pod_cidr);
	n->ca_pem = opts->ca_pem ? kg_strdup(opts->ca_pem) : NULL;
	pthread_mutex_init(&n->lock, NULL);
	known_nodes(n);
	n->liveness_timer = kg_timer_new(n->loop, kgd_nodes_check_liveness, n);
	n->ping_timer = kg_timer_new(n->loop, kgd_nodes_ping, n);
	n->shared_timer = kg_timer_new(n->loop, kgd_nodes_update, n);
	kg_timer_set(n->liveness_timer, n->grace_ms);
	kgd_nodes_ping(n); /* there is no stream yet, only the timer to be set */
	n->sub = kg_hub_subscribe(n->hub, kgd_nodes_published, n);
	kgd_nodes_published(n);
	return n;
}

void kgd_nodes_free(struct kgd_nodes *n)
{
	struct kg_map_entry *e;

	if (!n)
		return;
	kg_hub_unsubscribe(n->sub);
	kg_timer_free(n->liveness_timer);
	kg_timer_free(n->ping_timer);
	kg_timer_free(n->shared_timer);
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		free_node(e->value);
	kg_map_release(&n->map);
	kgd_policies_free(n->policies);
	kgd_shared_unref(n->shared);
	free(n->ca_pem);
	pthread_mutex_destroy(&n->lock);
	free(n);
}
