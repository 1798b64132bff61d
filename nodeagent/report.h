/*
 * Pod status on its way to the master: the latest of each pod, sent at once when nothing is under
 * way, collected while something is, kept until the master has committed it. Any thread puts; one
 * thread of its own sends, and says every ten seconds that the node lives, and what is used of it.
 */
#ifndef KG_NODEAGENT_REPORT_H
#define KG_NODEAGENT_REPORT_H

#include "http/client.h"
#include "value/value.h"

struct kg_reporter;
struct kg_reporter_options {
	struct kg_http_client_options http; /* texts are borrowed until kg_reporter_free */
	const char *node;
	int lease_ms; /* default 10,000 */
	/* Told, on the reporter's thread: an exchange failed (once for a row of failures), or, with
	 * err NULL, the first one afterwards succeeded. KG_E_NOT_FOUND: the master does not know
	 * this node. */
	void (*on_state)(void *ctx, const struct kg_error *err);
	void *ctx;
};
struct kg_reporter *kg_reporter_new(const struct kg_reporter_options *opts);
/* Gives up what is under way; what was not committed is lost (and is reported again by whoever
 * starts next). */
void kg_reporter_free(struct kg_reporter *r);

/* Replaces what waits for that pod. gone: nothing is left of it on this node. */
void kg_reporter_put(struct kg_reporter *r, const char *ns, const char *name, const char *uid,
	const struct kg_value *status, bool gone);
/* Says what is used (kg_pods_usage) with the next sign of life, which is given at once; what was
 * not said by then is lost. */
void kg_reporter_usage(struct kg_reporter *r, const struct kg_value *usage);
/* Tries again now what waits for a retry. */
void kg_reporter_kick(struct kg_reporter *r);

#endif
