/*
 * The HTTPS client: libcurl, connections kept alive. A kg_http_client is used by one thread; every
 * call blocks (the daemons call it from workers).
 */
#ifndef KG_HTTP_CLIENT_H
#define KG_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct kg_http_client;
struct kg_http_client_options {
	const char *url;    /* "https://host:port", no path */
	const char *ca_pem; /* the only CA trusted; NULL: verify nothing (pinning, see below) */
	const char *cert_pem, *key_pem; /* client certificate; or NULL */
	const char *bearer;             /* token; or NULL */
	int connect_timeout_ms;         /* default 5,000 */
	int timeout_ms;                 /* of a whole exchange, default 30,000; not for streams */
	size_t max_reply;               /* default 256 MiB */
};
/* Never NULL; what is wrong with the options is told by the calls. */
struct kg_http_client *kg_http_client_new(const struct kg_http_client_options *opts);
void kg_http_client_free(struct kg_http_client *c);

/*
 * One exchange. Fails (KG_E_UNAVAILABLE) where no answer came; an answer of any status is success.
 * *status and reply (replaced) are set then.
 */
int kg_http_do(struct kg_http_client *c, const char *method, const char *path,
	const char *content_type, const void *body, size_t body_len, int *status,
	struct kg_buf *reply, struct kg_error *err);
/* As kg_http_do, and an answer of 400 or more is an error whose text is the Status' message (or
 * the body) and whose code follows the HTTP status. */
int kg_http_call(struct kg_http_client *c, const char *method, const char *path,
	const char *content_type, const void *body, size_t body_len, struct kg_buf *reply,
	struct kg_error *err);
/*
 * A streaming GET: data is called for each piece; it returns false to end the exchange (which is
 * then success). idle_timeout_ms without a byte ends it with KG_E_TIMEOUT (0: none).
 * kg_http_client_abort, from any thread, ends a running call with KG_E_UNAVAILABLE; where none
 * runs, it ends the next one, so that an abort between two calls is not lost.
 */
int kg_http_get_stream(struct kg_http_client *c, const char *path, int idle_timeout_ms,
	bool (*data)(void *ctx, const char *p, size_t n), void *ctx, struct kg_error *err);
/* A streaming POST: read fills buf and returns its length, 0 at the end, -1 to give up; it may
 * block (an abort is seen when it returns). Chunked. For both streams an answer of 400 or more is
 * an error as for kg_http_call. */
int kg_http_post_stream(struct kg_http_client *c, const char *path, const char *content_type,
	ssize_t (*read)(void *ctx, char *buf, size_t max), void *ctx, struct kg_error *err);
void kg_http_client_abort(struct kg_http_client *c);

#endif
