/*
 * Time zones of the machine: the rule at the end of a zone's file (RFC 8536), which says what holds
 * from now on, e.g. "CET-1CEST,M3.5.0,M10.5.0/3". Callers keep it with what they decide by it, so
 * that the decision can be made again elsewhere.
 */
#ifndef KG_SYS_ZONE_H
#define KG_SYS_ZONE_H

#include <stdbool.h>

#define KG_ZONE_RULE_MAX 128

/* The rule of a zone by its IANA name, from $TZDIR or /usr/share/zoneinfo. False: no such zone, or
 * its file has none. ctx is not used: the signature is that of kg_reconcile_options.zone. */
bool kg_zone_rule(void *ctx, const char *name, char rule[KG_ZONE_RULE_MAX]);

#endif
