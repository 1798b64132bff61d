/*
 * A node's view: the tree of what concerns one node, as git objects. It is derived from a
 * snapshot: same snapshot, same ids. The part that all nodes share (services, routes) is made
 * once and referenced.
 *
 *   node.yaml           its name, pod range, labels and taints, the cluster's ranges and its CA
 *   nodes/NAME.yaml services/NS/NAME.yaml
 *   pods/NS/NAME.yaml   with podIP and hostIP, and apiAccess where it gets a token mounted
 *   configmaps/NS/NAME.yaml secrets/NS/NAME.yaml   those that its pods name
 *   policies/NS/NAME.yaml peers/ID.yaml   NetworkPolicies of its pods (policies.h)
 *   volumes/NAME.yaml   PersistentVolumes of claims that its pods name, and those it is to remove
 */
#ifndef KGITD_VIEW_H
#define KGITD_VIEW_H

#include "kgitd/policies.h"

/* Called for each git object of a view: type "blob", "tree" or "commit". */
struct kgd_object_sink {
	void (*emit)(void *ctx, const char *type, const unsigned char oid[20], const void *p,
		size_t len);
	void *ctx;
};

/* services/ and nodes/: reference-counted, immutable. */
struct kgd_shared;
struct kgd_shared_options {
	const char *service_cidr, *pod_cidr;
	const char *ca_pem; /* what nodes and pods are to trust; NULL: node.yaml does not say */
};
struct kgd_shared *kgd_shared_new(
	const struct kg_snapshot *s, const struct kgd_shared_options *opts);
struct kgd_shared *kgd_shared_ref(struct kgd_shared *shared);
void kgd_shared_unref(struct kgd_shared *shared);
bool kgd_shared_equal(const struct kgd_shared *a, const struct kgd_shared *b);

struct kgd_view {
	_Atomic int refs;
	char commit[41];
	uint64_t revision;
	unsigned char tree[20];
	struct kgd_shared *shared;
	struct kgd_view_file *files; /* the node's own, sorted by path */
	size_t nfiles;
	size_t first_peers, npeers; /* where those of peers/ are among them */
	char *node;
	kg_time time;
};
/* The view of a node; policies (NULL: none) as of the same snapshot. Where its tree is that of
 * `last` (may be NULL), `last` itself is returned, referenced: nothing moved. */
struct kgd_view *kgd_view_new(const struct kg_snapshot *s, const char *node,
	struct kgd_shared *shared, struct kgd_policies *policies, struct kgd_view *last);
/* Does it name a set of peers? */
bool kgd_view_has_peers(const struct kgd_view *view, const char *id);
struct kgd_view *kgd_view_ref(struct kgd_view *view);
void kgd_view_unref(struct kgd_view *view);
/* Every object of the view that `have` (NULL: nothing) lacks. */
void kgd_view_objects(const struct kgd_view *view, const struct kgd_view *have,
	const struct kgd_object_sink *sink);

/* Does a change concern the view of some node: its name (borrowed from the change) or NULL. */
const char *kgd_view_node_of(const struct kg_change *c, bool before);
/* The node where a PersistentVolume was made by the system; NULL: it was not. */
const char *kgd_view_volume_node(const struct kg_object *pv);
/* Does it concern the part that nodes share. */
bool kgd_view_is_shared(const struct kg_change *c);

#endif
