/* Logs that the master asks for: each is read and posted by a thread of its own. */
#ifndef KG_NODEAGENT_LOGSTREAM_H
#define KG_NODEAGENT_LOGSTREAM_H

#include "http/client.h"
#include "nodeagent/pods.h"

/* Where logs come from: kg_pods, or a test's fake. As kg_log_open, kg_log_read, kg_log_close. */
struct kg_log_source {
	int (*open)(
		void *self, void **reader, const struct kg_log_request *req, struct kg_error *err);
	ssize_t (*read)(void *reader, char *buf, size_t max, int wait_ms);
	void (*close)(void *reader);
	void *self;
};

struct kg_logstreams;
struct kg_logstreams_options {
	struct kg_http_client_options http; /* texts are borrowed */
	const char *node;
	struct kg_log_source source;
	unsigned max; /* default 64 at once; more are refused */
};
struct kg_logstreams *kg_logstreams_new(const struct kg_logstreams_options *opts);
void kg_logstreams_free(struct kg_logstreams *l); /* ends all */

/* The value of a "log" line of the watch stream. now_ms: the wall clock, for sinceSeconds. */
void kg_logstreams_start(struct kg_logstreams *l, const struct kg_value *request, int64_t now_ms);
/* Nobody reads that one any more. */
void kg_logstreams_cancel(struct kg_logstreams *l, const char *id);

#endif
