/* Pulls and reads the view on a thread of its own whenever its commit moved. */
#ifndef KG_NODEAGENT_PULLER_H
#define KG_NODEAGENT_PULLER_H

#include "nodeagent/view.h"

struct kg_puller;
struct kg_puller_options {
	struct kg_http_client_options http;
	const char *node;
	struct kg_view *view; /* borrowed; the puller's thread alone uses it meanwhile */
	/* Both on the puller's thread. apply fails: the same view is applied again later, with
	 * diff's flags or-ed to those of what came in between (what is in lists is not given
	 * twice). */
	int (*apply)(void *ctx, struct kg_view_diff *diff, struct kg_error *err);
	/* What the master named last is here and applied. */
	void (*done)(void *ctx);
	/* Once for a row of failures; err NULL: it works again. */
	void (*state)(void *ctx, const struct kg_error *err);
	void *ctx;
};
/* A view that was pulled by an earlier run is applied where none comes within two seconds. */
struct kg_puller *kg_puller_new(const struct kg_puller_options *opts);
void kg_puller_free(struct kg_puller *p);
/* Any thread: the view's commit is this one now. */
void kg_puller_want(struct kg_puller *p, const char *commit);

#endif
