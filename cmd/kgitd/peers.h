/*
 * Sets of peers: the addresses of the pods that a peer of a NetworkPolicy means, one set for each
 * distinct pair of selectors, whoever uses it. Kept as pods and namespaces change: a pod costs the
 * sets that may have it. What nodes are told is a text of the set that is made anew when it is
 * published, so that many changes are one. One thread at a time.
 */
#ifndef KGITD_PEERS_H
#define KGITD_PEERS_H

#include "base/map.h"
#include "kinds/snapshot.h"

/* The bytes of a file of views, with the id of their blob: immutable, reference-counted. */
struct kgd_text {
	_Atomic int refs;
	unsigned char oid[20];
	size_t len;
	char data[];
};
void kgd_text_unref(struct kgd_text *text); /* NULL is fine */

struct kgd_peers;
struct kgd_peers *kgd_peers_new(void);
void kgd_peers_free(struct kgd_peers *p);

struct kgd_peer_spec {
	const char *ns; /* the policy's: without a namespaceSelector it is the pods' */
	const struct kg_value *pods, *namespaces; /* selectors; &kg_null: absent */
	/* The pods that have such a port, with its number; NULL: pods. */
	const char *port, *protocol;
};
/* The id of the set, which is made where it is new; as often as it is used it is to be dropped. */
const char *kgd_peers_use(
	struct kgd_peers *p, const struct kg_snapshot *s, const struct kgd_peer_spec *spec);
void kgd_peers_drop(struct kgd_peers *p, const char *id);

/* One change of a pod or namespace, with the snapshot after it. */
void kgd_peers_note(struct kgd_peers *p, const struct kg_snapshot *s, const struct kg_change *c);
/* Has a set that was published changed since? */
bool kgd_peers_pending(const struct kgd_peers *p);
/* Calls changed for each such set; from then on its text is the new one. */
void kgd_peers_publish(struct kgd_peers *p, void (*changed)(void *ctx, const char *id), void *ctx);
/* A set's text as published, or, where it never was, as it is: a new reference. NULL: no set. */
struct kgd_text *kgd_peers_text(struct kgd_peers *p, const char *id);

/* Does this pod have an address of its own, that is not given to others? Borrowed; NULL: no. */
const char *kgd_pod_address(const struct kg_object *pod);
/* Where things with a label selector are found by the pods of a namespace (ns "*": of all): under
 * one label that they must have, or under none. In a buffer of the caller's. */
void kgd_bucket_of_selector(struct kg_buf *out, const char *ns, const struct kg_value *selector);
/* Calls fn with what lies in the buckets of a pod. */
void kgd_buckets_visit(const struct kg_map *buckets, const char *ns, const struct kg_value *labels,
	void (*fn)(void *ctx, void *item), void *ctx);
void kgd_bucket_add(struct kg_map *buckets, const char *key, void *item);
void kgd_bucket_remove(struct kg_map *buckets, const char *key, const void *item);
void kgd_buckets_release(struct kg_map *buckets);

#endif
