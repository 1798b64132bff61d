/*
 * The cluster's names as records (dns/names.h), as Kubernetes' "DNS-Based Service Discovery" 1.1.0
 * has them:
 *
 *   SERVICE.NS.svc.DOMAIN              A: the cluster IP; headless: every ready endpoint
 *   HOST.SERVICE.NS.svc.DOMAIN         A, headless: the endpoint of that hostname, or, where it has
 *                                      none, of that address (10-244-0-5)
 *   _PORT._PROTO.SERVICE.NS.svc.DOMAIN SRV, of ports with a name
 *   dns-version.DOMAIN                 TXT
 *
 * and in in-addr.arpa the cluster IPs, and the endpoints that have a hostname. A Service of the
 * type ExternalName is a CNAME. Pure.
 */
#ifndef KG_NODEAGENT_DNS_ZONE_H
#define KG_NODEAGENT_DNS_ZONE_H

#include "base/buf.h"
#include "nodeagent/netlink.h"
#include "value/value.h"

/* A domain name, as far as it needs no escapes: "cluster.local", "_http". */
bool kg_dns_is_name(const char *s);

/* What a service of the view adds: records of the domain's zone to names, and to pointers lines
 * "ADDRESS NAME". What is no name or address is left out: the master has validated it. */
void kg_dns_records(struct kg_buf *names, struct kg_buf *pointers, const struct kg_value *service,
	const char *domain);

struct kg_dns_zones {
	char **names; /* "cluster.local." */
	size_t n;
};
/* The zone of the domain first, then those of in-addr.arpa that cover the ranges. */
void kg_dns_zones_init(
	struct kg_dns_zones *z, const char *domain, const struct kg_cidr *ranges, size_t nranges);
void kg_dns_zones_release(struct kg_dns_zones *z);
/* The records that every zone has, and those of the domain itself; server: who answers for them. */
void kg_dns_zones_own(
	struct kg_buf *out, const struct kg_dns_zones *z, const char *domain, in_addr_t server);
/* Pointers as records; those outside of the zones are left out. */
void kg_dns_zones_pointers(struct kg_buf *out, const struct kg_dns_zones *z, const char *pointers);

#endif
