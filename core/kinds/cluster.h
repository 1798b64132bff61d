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
const struct kg_object *kg_cluster_of(const struct kg_snapshot *s);
bool kg_cluster_is(const struct kg_object *obj /* or NULL */);
/* One of its data; "" where it has none. */
const char *kg_cluster_text(const struct kg_object *cluster, const char *key);

/*
 * What is there without anybody's writing it: of every namespace (*everywhere), or of `default`
 * alone, one object of the kind and this name, made of the Namespace, or of the object above. NULL:
 * the kind has none.
 */
const char *kg_cluster_made_name(enum kg_kind_id kind, bool *everywhere);
void kg_cluster_made_uid(char out[37], const struct kg_kind *kind, const struct kg_object *of);
/* Is the object, which was read from the API beside those of s, such a one? */
bool kg_cluster_is_made(const struct kg_snapshot *s, const struct kg_object *obj);

#endif
