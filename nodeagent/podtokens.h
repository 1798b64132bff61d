/*
 * Tokens of pods' ServiceAccounts on their way from the master: asked for as soon as a pod is
 * known, many in one request, and again when four fifths of their life are over (or a day). Kept
 * in memory; where the agent has started anew, what lies in a pod's volume still serves. Any
 * thread; requests are made by a thread of its own, while there is a master to ask.
 */
#ifndef KG_NODEAGENT_PODTOKENS_H
#define KG_NODEAGENT_PODTOKENS_H

#include "http/client.h"
#include "value/value.h"

struct kg_podtokens;
struct kg_podtokens *kg_podtokens_new(void);
void kg_podtokens_free(struct kg_podtokens *t);
/* From now on the master is asked, as this node. Texts are borrowed until kg_podtokens_stop. */
void kg_podtokens_start(
	struct kg_podtokens *t, const struct kg_http_client_options *http, const char *node);
void kg_podtokens_stop(struct kg_podtokens *t);
/* Called, on the thread, with the uid of a pod that was refused a token for want of it, or has a
 * newer one now, once for each. */
void kg_podtokens_on_news(
	struct kg_podtokens *t, void (*news)(void *ctx, const char *uid), void *ctx);

struct kg_podtoken {
	const char *ns, *pod, *uid;
	const char *audience; /* "": the API */
	int64_t seconds;
};
/* All that the pod's volumes name are asked for. */
void kg_podtokens_want(struct kg_podtokens *t, const struct kg_value *pod);
/*
 * The newest token, heap. Where none is known, what the file `have` (may be NULL) holds, if that
 * is still good; else the master is asked, and where it answers within a moment, that is it.
 * KG_E_UNAVAILABLE, with the reason: not now; kg_podtokens_on_news tells when.
 */
int kg_podtokens_get(struct kg_podtokens *t, char **token, const struct kg_podtoken *want,
	const char *have, struct kg_error *err);
/* The pod is gone. */
void kg_podtokens_forget(struct kg_podtokens *t, const char *uid);
/* Every token is asked for again soon: the keys that sign them were replaced. */
void kg_podtokens_renew(struct kg_podtokens *t);

/* Of the volume of a pod: its serviceAccountToken source as a request; false: it is none. */
bool kg_podtoken_of(
	struct kg_podtoken *out, const struct kg_value *pod, const struct kg_value *source);

#endif
