/* A pod's resolv.conf, by its dnsPolicy and dnsConfig, as the kubelet makes it (pkg/kubelet/
 * network/dns). Pure. */
#ifndef KG_NODEAGENT_RESOLV_H
#define KG_NODEAGENT_RESOLV_H

#include "base/buf.h"
#include "value/value.h"

/* Who resolves the cluster's names, for the list of objects that pods can name (apiaccess.h). */
struct kg_value kg_cluster_dns(struct kg_arena *a, const char *address, const char *domain);

bool kg_has_cluster_dns(const struct kg_value *objects);

/* The whole name of a pod with a subdomain, in the arena; "": it has none, or nobody resolves it.
 */
const char *kg_pod_fqdn(
	struct kg_arena *a, const struct kg_value *pod, const struct kg_value *objects);

/* host: the host's file. Without a cluster's resolver among the objects a pod has the host's.
 * What glibc would not read is left out: more than 3 name servers, or 32 domains of 2048 bytes. */
void kg_resolv_conf(struct kg_buf *out, const struct kg_value *pod, const char *host,
	const struct kg_value *objects);

#endif
