/*
 * Tokens whose verdict is known for a while: verifying a signature, or asking another server, is
 * dear beside a request. Bounded: a newer token takes an older one's place. Tokens are kept as
 * SHA-256. Thread-safe.
 */
#ifndef KG_AUTH_SEEN_H
#define KG_AUTH_SEEN_H

#include "auth/auth.h"

struct kg_verdict {
	kg_time until; /* as of then it is forgotten */
	bool refused;
	struct kg_user user;
	char pod[254], pod_uid[64]; /* of a ServiceAccount's token */
};
struct kg_seen;
struct kg_seen *kg_seen_new(void);
void kg_seen_free(struct kg_seen *s);
bool kg_seen_get(struct kg_seen *s, struct kg_verdict *out, const char *token, kg_time now);
/* Forgets all: keys went that they were verified by. */
void kg_seen_clear(struct kg_seen *s);
void kg_seen_put(struct kg_seen *s, const char *token, const struct kg_verdict *v);

#endif
