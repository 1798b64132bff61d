/*
 * What clients are to know of the master, as every revision has it: the ConfigMap KG_CLUSTER_NAME
 * of kube-system, which reconcile writes and the API makes what every namespace has of. Its data:
 *
 *   ca.crt    the certificates to be trusted, PEM
 *   address   "HOST:PORT", where others reach the master
 *   service   the address of the Service kubernetes
 *
 * A manifest that defines it takes its place; then there is nothing to be made of it.
 */
#ifndef KG_KINDS_CLUSTER_H
#define KG_KINDS_CLUSTER_H

#include "kinds/snapshot.h"

#define KG_CLUSTER_NS      "kube-system"
#define KG_CLUSTER_NAME    "kgit-cluster"
#define KG_CLUSTER_CA      "ca.crt"
#define KG_CLUSTER_ADDRESS "address"
#define KG_CLUSTER_SERVICE "service"

/* Borrowed from the snapshot; NULL: it is not there, or a manifest's. */
static inline const struct kg_object *kg_cluster_of(const struct kg_snapshot *s)
{
	const struct kg_object *obj =
		kg_snapshot_get(s, KG_KIND_CONFIGMAP, KG_CLUSTER_NS, KG_CLUSTER_NAME);

	return obj && !obj->source ? obj : NULL;
}
static inline bool kg_cluster_is(const struct kg_object *obj)
{
	return obj && obj->kind->id == KG_KIND_CONFIGMAP && !obj->source &&
	       !strcmp(obj->ns, KG_CLUSTER_NS) && !strcmp(obj->name, KG_CLUSTER_NAME);
}
/* One of its data; "" where it has none. */
static inline const char *kg_cluster_text(const struct kg_object *cluster, const char *key)
{
	return kg_string(kg_get(kg_get(kg_obj(cluster), "data"), key), "");
}

#endif
