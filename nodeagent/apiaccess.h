/*
 * A pod's way to the API, as Kubernetes' admission adds it: a volume with a token of its
 * ServiceAccount, the cluster's CA and its namespace, mounted in every container, and the address
 * in the environment. Here the node adds it, where the view says apiAccess of the pod: neither the
 * repository nor the Pod object holds it, which would say the same of every pod. Pure.
 */
#ifndef KG_NODEAGENT_APIACCESS_H
#define KG_NODEAGENT_APIACCESS_H

#include "base/err.h"
#include "value/value.h"

#define KG_API_ACCESS      "kube-api-access.kgit" /* the volume; no name of a user's has a dot */
#define KG_API_ACCESS_PATH "/var/run/secrets/kubernetes.io/serviceaccount"
#define KG_ROOT_CA         "kube-root-ca.crt" /* a ConfigMap that every namespace has */

bool kg_api_access_has(const struct kg_value *pod);
/* The pod with the volume, and a mount of it in each container that mounts nothing there itself. */
struct kg_value kg_api_access_add(struct kg_arena *a, const struct kg_value *pod);

/* What of the cluster pods can name beside their namespace's objects, made of node.yaml: the
 * ConfigMap KG_ROOT_CA, and the Service "kubernetes" as {"clusterIP"}; null where node.yaml does
 * not say. */
struct kg_value kg_api_root_ca(struct kg_arena *a, const struct kg_value *node);
struct kg_value kg_api_service(struct kg_arena *a, const struct kg_value *node);
/* The address in the list of objects; NULL. */
const char *kg_api_address(const struct kg_value *objects);
/* The service as a view has it: its one endpoint is the master as this node reaches it
 * ("https://HOST:PORT"). Null where node.yaml does not say, or HOST is an IPv6 address.
 * KG_E_UNAVAILABLE: the name does not resolve, now. May block for it. */
int kg_api_service_map(struct kg_value *out, struct kg_arena *a, const struct kg_value *node,
	const char *master_url, struct kg_error *err);

#endif
