/* The views of nodes: made anew where a commit changed something of them. */
#include "kgitd/nodes_private.h"

#include <string.h>

#define SHARED_MIN_GAP 20 /* ms between two versions of the part that all nodes share */

static void set_view(struct kgd_node *node, struct kgd_view *view)
{
	kgd_view_unref(node->old[KGD_OLD_VIEWS - 1]);
	memmove(&node->old[1], &node->old[0], (KGD_OLD_VIEWS - 1) * sizeof(node->old[0]));
	node->old[0] = node->view;
	node->view = view;
}

static void make_shared(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	struct kgd_shared_options opts = {
		.service_cidr = n->service_cidr, .pod_cidr = n->pod_cidr, .ca_pem = n->ca_pem};
	struct kgd_shared *fresh = kgd_shared_new(s, &opts);
	struct kg_map_entry *e;

	n->shared_dirty = false;
	n->shared_at = kg_monotonic_ms();
	if (n->shared && kgd_shared_equal(n->shared, fresh)) {
		kgd_shared_unref(fresh);
		return;
	}
	kgd_shared_unref(n->shared);
	n->shared = fresh;
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));)
		((struct kgd_node *)e->value)->dirty = true;
}

/* Makes the node's view anew where something of it changed; true where it moved. */
static bool refresh(struct kgd_nodes *n, const struct kg_snapshot *s, struct kgd_node *node)
{
	if (!node->dirty && node->view)
		return false;
	if (!kg_snapshot_get(s, KG_KIND_NODE, "", node->name))
		return false;
	if (!n->shared)
		make_shared(n, s);
	struct kgd_view *view = kgd_view_new(s, node->name, n->shared, n->policies, node->view);
	node->dirty = false;
	if (view == node->view) {
		kgd_view_unref(view);
		return false;
	}
	set_view(node, view);
	return true;
}

static void mark(struct kgd_nodes *n, const char *name)
{
	struct kgd_node *node = name ? kgd_node_get(n, name) : NULL;

	if (node)
		node->dirty = true;
}

/* A ConfigMap, Secret or ServiceAccount concerns the nodes of every pod of its namespace: which
 * ones name it is seen when their views are made. */
static void mark_namespace(struct kgd_nodes *n, const struct kg_snapshot *s, const char *ns)
{
	struct kg_object_iter it KG_CLEANUP(kg_iter_release);
	const struct kg_object *pod;

	kg_iter_kind(&it, s, KG_KIND_POD, ns, NULL);
	while ((pod = kg_iter_next(&it)))
		mark(n, kg_string(kg_at(kg_obj(pod), "spec.nodeName"), NULL));
}

/* Namespaces are marked last, each once: a push may bring thousands of ConfigMaps for one. */
struct marking {
	struct kgd_nodes *nodes;
	struct kg_map namespaces;
};

static void mark_later(struct marking *m, const char *ns)
{
	kg_map_put(&m->namespaces, ns, m);
}

static void mark_policy(void *ctx, const char *node, const char *ns)
{
	struct marking *m = ctx;

	if (node)
		mark(m->nodes, node);
	else
		mark_later(m, ns);
}

static void mark_peers(void *ctx, const char *id)
{
	struct kgd_nodes *n = ctx;
	struct kg_map_entry *e;

	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct kgd_node *node = e->value;

		if (node->view && kgd_view_has_peers(node->view, id))
			node->dirty = true;
	}
}

static bool is_named(enum kg_kind_id kind)
{
	return kind == KG_KIND_CONFIGMAP || kind == KG_KIND_SECRET ||
	       kind == KG_KIND_PERSISTENTVOLUMECLAIM || kind == KG_KIND_SERVICEACCOUNT;
}

static void note_changes(
	struct kgd_nodes *n, const struct kg_snapshot *s, const struct kg_changes *changes)
{
	struct marking m = {n, KG_MAP_INIT};
	const struct kg_map_entry *ns;

	for (size_t i = 0; i < changes->len; i++) {
		const struct kg_change *c = &changes->items[i];
		const struct kg_object *obj = kg_change_object(c);

		mark(n, kgd_view_node_of(c, true));
		mark(n, kgd_view_node_of(c, false));
		if (kgd_view_is_shared(c))
			n->shared_dirty = true;
		if (is_named(obj->kind->id) && !c->quiet)
			mark_later(&m, obj->ns);
		if (obj->kind->id == KG_KIND_PERSISTENTVOLUME && !c->quiet) {
			mark_later(
				&m, kg_string(kg_at(kg_obj(obj), "spec.claimRef.namespace"), "-"));
			mark(n, kgd_view_volume_node(obj));
		}
		kgd_policies_note(n->policies, s, c, mark_policy, &m);
	}
	for (size_t i = 0; (ns = kg_map_next(&m.namespaces, &i));)
		mark_namespace(n, s, ns->key);
	kg_map_release(&m.namespaces);
}

/* What was published since the last time, noted. */
static void catch_up(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	struct kg_commit_event *e;
	bool gone = false;

	while (n->seen_revision < s->revision &&
		(e = kg_hub_next(n->hub, n->seen_revision, &gone))) {
		note_changes(n, s, &e->changes);
		n->seen_revision = e->revision;
		kg_commit_event_unref(e);
	}
	if (gone) {
		struct kg_map_entry *m;

		n->seen_revision = s->revision;
		n->shared_dirty = true;
		kgd_policies_free(n->policies);
		n->policies = kgd_policies_new(s, n->pod_cidr);
		for (size_t i = 0; (m = kg_map_next(&n->map, &i));)
			((struct kgd_node *)m->value)->dirty = true;
	}
}

/* What changes with pods of other nodes, at most so often. */
static void renew_shared(struct kgd_nodes *n, const struct kg_snapshot *s)
{
	kgd_policies_publish(n->policies, mark_peers, n);
	if (n->shared_dirty || !n->shared)
		make_shared(n, s);
	n->shared_at = kg_monotonic_ms();
}

void kgd_nodes_update(void *ctx)
{
	struct kgd_nodes *n = ctx;
	struct kg_map_entry *e;

	atomic_store(&n->posted, false);
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);
	pthread_mutex_lock(&n->lock);
	catch_up(n, s);
	if (n->shared_dirty || !n->shared || kgd_policies_pending(n->policies)) {
		int64_t wait = n->shared_at + SHARED_MIN_GAP - kg_monotonic_ms();

		if (wait <= 0 || !n->shared)
			renew_shared(n, s);
		else
			kg_timer_set(n->shared_timer, wait);
	}
	for (size_t i = 0; (e = kg_map_next(&n->map, &i));) {
		struct kgd_node *node = e->value;

		if (node->streams && refresh(n, s, node))
			kgd_node_announce(node);
	}
	pthread_mutex_unlock(&n->lock);
	kg_snapshot_unref(s);
}

void kgd_nodes_published(void *ctx)
{
	struct kgd_nodes *n = ctx;

	if (!atomic_exchange(&n->posted, true))
		kg_loop_post(n->loop, kgd_nodes_update, n);
}

void kgd_nodes_set_ca(struct kgd_nodes *n, const char *ca_pem)
{
	pthread_mutex_lock(&n->lock);
	free(n->ca_pem);
	n->ca_pem = kg_strdup(ca_pem);
	n->shared_dirty = true;
	pthread_mutex_unlock(&n->lock);
	kgd_nodes_published(n);
}

struct kgd_view *kgd_node_current_view(struct kgd_nodes *n, struct kgd_node *node)
{
	struct kg_snapshot *s = kg_hub_snapshot(n->hub);

	catch_up(n, s);
	if (refresh(n, s, node))
		kgd_node_announce(node);
	kg_snapshot_unref(s);
	return node->view;
}

struct kgd_view *kgd_nodes_view(struct kgd_nodes *n, const char *name)
{
	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_make(n, name);
	struct kgd_view *view = kgd_view_ref(kgd_node_current_view(n, node));
	pthread_mutex_unlock(&n->lock);
	return view;
}

struct kgd_view *kgd_nodes_view_by_commit(struct kgd_nodes *n, const char *name, const char *commit)
{
	struct kgd_view *found = NULL;

	pthread_mutex_lock(&n->lock);
	struct kgd_node *node = kgd_node_get(n, name);
	if (node && node->view && strcmp(node->view->commit, commit) == 0)
		found = node->view;
	for (int i = 0; node && !found && i < KGD_OLD_VIEWS; i++)
		if (node->old[i] && strcmp(node->old[i]->commit, commit) == 0)
			found = node->old[i];
	kgd_view_ref(found);
	pthread_mutex_unlock(&n->lock);
	return found;
}
