/* The routes of a node: one to every other node's pod range by that node's address, and one of the
 * service range to the bridge (so that a host without a default route reaches services, with a
 * source address that every node can answer). Ours are those of KG_ROUTE_PROTOCOL; the kernel's
 * table is the only record, so that a restart finds and mends whatever is there. */
#ifndef KG_NODEAGENT_ROUTES_H
#define KG_NODEAGENT_ROUTES_H

#include "base/err.h"
#include "value/value.h"

/*
 * nodes: an array of {name, podCIDR, address}; `self` is left out. service_cidr may be NULL or "".
 * Only differences are touched. A route that cannot be set (its gateway is not on a link) does not
 * keep the others from being set; the first error is returned.
 */
int kg_routes_sync(const struct kg_value *nodes, const char *self, const char *service_cidr,
	struct kg_error *err);

#endif
