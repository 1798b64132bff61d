/* The node's side of the master's stream: registers, then reads lines until they end, again and
 * again. A thread of its own. */
#ifndef KG_NODEAGENT_FOLLOW_H
#define KG_NODEAGENT_FOLLOW_H

#include "http/client.h"
#include "value/value.h"

struct kg_follower;
struct kg_follower_options { /* callbacks come on the follower's thread */
	struct kg_http_client_options http;
	const char *node;
	int idle_ms;
	/* The body of a registration, into a; asked for before each. */
	struct kg_value (*registration)(void *ctx, struct kg_arena *a);
	void (*registered)(void *ctx, bool again);
	void (*view)(void *ctx, const char *commit);
	void (*log)(void *ctx, const struct kg_value *request);
	void (*log_end)(void *ctx, const char *id);
	/* Once for a row of failures; err NULL: it works again. */
	void (*state)(void *ctx, const struct kg_error *err);
	void *ctx;
};
struct kg_follower *kg_follower_new(const struct kg_follower_options *opts);
void kg_follower_free(struct kg_follower *f);
/* Any thread: breaks the stream, so that the node registers anew. */
void kg_follower_restart(struct kg_follower *f);

#endif
