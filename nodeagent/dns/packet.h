/*
 * DNS messages (RFC 1035, EDNS of RFC 6891), as far as somebody who passes them on has to look into
 * them: what a query asks, and an answer cut to what the asker can take. Pure; parsing is
 * libresolv's.
 */
#ifndef KG_NODEAGENT_DNS_PACKET_H
#define KG_NODEAGENT_DNS_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KG_DNS_MAX_QUERY  4096 /* of what is taken; there is nothing longer to ask */
#define KG_DNS_MAX_ANSWER 65535
#define KG_DNS_UDP_SIZE   1232 /* what passes any link unfragmented; dnsflagday.net/2020 */

struct kg_dns_query {
	uint16_t id, type;
	bool recurse, edns;
	size_t size;      /* of the longest answer that can be taken */
	size_t head;      /* bytes of header and question */
	char name[1025];  /* absolute, escaped as in zone files, ending in "." */
	uint8_t raw[272]; /* header and question, as asked */
};

/* By UDP, or else TCP. Returns 0; an rcode, with which kg_dns_refuse answers; or -1: no answer is
 * due (what is no query). */
int kg_dns_query_parse(struct kg_dns_query *out, const uint8_t *p, size_t len, bool udp);

/* Makes a resolver's answer that of this query, in place: id and flags, EDNS only where it was
 * asked with, and no longer than the asker takes, cut after a whole record. What is no answer to
 * it becomes SERVFAIL. p has room for KG_DNS_MAX_ANSWER bytes. Returns the length. */
size_t kg_dns_answer_fit(uint8_t *p, size_t len, const struct kg_dns_query *q);

/* An answer that says no more than rcode; its length. Of a query that could not be parsed it is the
 * header alone. */
size_t kg_dns_refuse(uint8_t out[512], const struct kg_dns_query *q, int rcode);

#endif
