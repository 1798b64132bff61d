/*
 * Names and what they stand for: the cluster's from zone files, all others from the resolvers that
 * the host's resolv.conf names. The resolving is libunbound's. Lives on one loop.
 */
#ifndef KG_NODEAGENT_DNS_RESOLVER_H
#define KG_NODEAGENT_DNS_RESOLVER_H

#include "base/err.h"
#include "sys/loop.h"
#include "value/value.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kg_resolver;
struct kg_resolver_options {
	const char *dir;         /* where the zone files lie; borrowed */
	const char *resolv_conf; /* borrowed; looked at again when it changed */
};
struct kg_resolver *kg_resolver_new(struct kg_loop *loop, const struct kg_resolver_options *opts);
void kg_resolver_free(struct kg_resolver *r); /* the loop must not run after it */

/* Reads the zones, [{name: "cluster.local.", file: NAME}]: questions from now on are answered by
 * them. Blocks for as long as they are read (10,000 services: a tenth of a second or three). On
 * failure those of before stay. */
int kg_resolver_load(struct kg_resolver *r, const struct kg_value *zones, struct kg_error *err);
/* The same on a thread of its own, while those of before answer. What is asked for meanwhile comes
 * after that, the last of it; done is called once for each, with err where nothing came of it
 * (KG_E_CONFLICT: something newer took its place). Not once the resolver is gone. */
typedef void kg_resolver_loaded_fn(void *ctx, const struct kg_error *err);
void kg_resolver_reload(struct kg_resolver *r, const struct kg_value *zones,
	kg_resolver_loaded_fn *done, void *ctx);

/* Is that name in a zone, which nobody else has to be asked for? But for what an alias leads to. */
bool kg_resolver_has(const struct kg_resolver *r, const char *name);

/* Told later, on the loop: an answer as a resolver makes it (borrowed, with EDNS), or NULL. */
typedef void kg_resolver_fn(void *ctx, const uint8_t *answer, size_t len);
void kg_resolver_ask(
	struct kg_resolver *r, const char *name, uint16_t type, kg_resolver_fn *done, void *ctx);

#endif
