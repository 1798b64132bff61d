/*
 * The cluster's names in memory: records of a few zones, each record in one of many parts that are
 * replaced one by one, so that a change costs what its part holds and nothing else. Pure.
 *
 * A part is text, a record a line, in the form of zone files (RFC 1035) without what a program has
 * no use for: "NAME TYPE DATA" with the types A, CNAME, NS, PTR, SRV, SOA and TXT, fields parted by
 * one space, names relative to the first zone where they do not end with a dot.
 */
#ifndef KG_NODEAGENT_DNS_NAMES_H
#define KG_NODEAGENT_DNS_NAMES_H

#include "base/err.h"
#include "dns/packet.h"
#include "dns/record.h"

#define KG_NAMES_PARTS 257 /* the last one is what the zones have of their own */

struct kg_names;
/* Of these zones ("cluster.local."); copied. */
struct kg_names *kg_names_new(const char *const *zones, size_t n);
void kg_names_free(struct kg_names *names);
/* Text NULL or "": nothing. On failure what the part held stays. */
int kg_names_put(struct kg_names *names, unsigned part, const char *text, struct kg_error *err);
bool kg_names_has_zone(const struct kg_names *names, const char *name); /* is it in one of them? */

/*
 * The answer to a query for a name of a zone, into out, which has room for KG_DNS_MAX_ANSWER bytes;
 * returns its length. Where an alias leads out of all zones, target becomes that name, and the
 * answer is of the aliases alone: what is known of it elsewhere follows (splice.h). Else it is "".
 */
size_t kg_names_answer(uint8_t *out, char target[KG_RECORD_NAME], const struct kg_names *names,
	const struct kg_dns_query *q);

#endif
