/*
 * Webhook authentication: a bearer token that nobody else in the chain knows is shown to another
 * server as a TokenReview (authentication.k8s.io/v1). Its answer is remembered: two minutes where
 * it knows the token, ten seconds where it does not.
 *
 * The server is asked by a thread of its own. One request at a time waits for that, and not long;
 * any other, or where the answer takes longer, gets KG_E_TOO_MANY and finds the answer when it
 * comes again. So a server that is slow or dead costs others next to nothing.
 */
#ifndef KG_AUTH_WEBHOOK_H
#define KG_AUTH_WEBHOOK_H

#include "auth/auth.h"

struct kg_webhook_options {
	const char *url;     /* "https://host:port/path" */
	const char *ca_file; /* trusted for it; default: the machine's */
	int wait_ms;         /* default 300 */
};
struct kg_webhook;
int kg_webhook_new(
	struct kg_webhook **out, const struct kg_webhook_options *opts, struct kg_error *err);
void kg_webhook_free(struct kg_webhook *w);
void kg_auth_add_webhook(struct kg_auth *auth, struct kg_webhook *w); /* owned by auth */

#endif
