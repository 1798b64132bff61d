/* Answers put together: what a resolver says of the name that an alias leads to. Pure. */
#ifndef KG_NODEAGENT_DNS_SPLICE_H
#define KG_NODEAGENT_DNS_SPLICE_H

#include <stddef.h>
#include <stdint.h>

/* Appends a resolver's answer of n bytes to that of the aliases, of len bytes in room for
 * KG_DNS_MAX_ANSWER; its rcode becomes the whole's. Returns the length; 0: it makes no sense. */
size_t kg_dns_splice(uint8_t *out, size_t len, const uint8_t *answer, size_t n);

#endif
