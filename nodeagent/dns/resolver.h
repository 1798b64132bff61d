/*
 * Names outside of the cluster and what they stand for, by the resolvers that the host's
 * resolv.conf names. The resolving is libunbound's. Lives on one loop.
 */
#ifndef KG_NODEAGENT_DNS_RESOLVER_H
#define KG_NODEAGENT_DNS_RESOLVER_H

#include "sys/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kg_resolver;
struct kg_resolver_options {
	const char *resolv_conf; /* borrowed; looked at again when it changed */
};
struct kg_resolver *kg_resolver_new(struct kg_loop *loop, const struct kg_resolver_options *opts);
void kg_resolver_free(struct kg_resolver *r); /* the loop must not run after it */

/* Told later, on the loop: an answer as a resolver makes it (borrowed, with EDNS), or NULL. */
typedef void kg_resolver_fn(void *ctx, const uint8_t *answer, size_t len);
void kg_resolver_ask(
	struct kg_resolver *r, const char *name, uint16_t type, kg_resolver_fn *done, void *ctx);

#endif
