/* Answers: JSON or YAML, packed for who takes gzip, and Statuses. */
#ifndef KG_API_REPLY_H
#define KG_API_REPLY_H

#include "base/buf.h"
#include "base/err.h"

struct request;
struct gzip;

/* Where `pretty` asks for it, JSON with lines. */
void kg_api_pretty(const struct request *r, struct kg_buf *json);
/* JSON, which is sent as YAML where the request likes that best. */
void kg_api_reply_json(struct request *r, int status, struct kg_buf *body);
/* With an ETag over the body: 304 where the client has it. control: KG_API_ASK_AGAIN where it must
 * ask each time, KG_API_FOR_EVER where what the URL names never changes. */
#define KG_API_ASK_AGAIN "public"
#define KG_API_FOR_EVER  "public, immutable, max-age=31536000"
void kg_api_reply_cached(
	struct request *r, const char *content_type, const char *control, struct kg_buf *body);
void kg_api_reply_error(struct request *r, const struct kg_error *err);
void kg_api_reply_not_found(struct request *r); /* the object that the request names */
void kg_api_reply_unknown_path(struct request *r);
struct status_extra {
	const char *cause_reason, *cause_message, *cause_field;
	int retry_after_s;
};
void kg_api_write_status(struct kg_buf *out, const struct request *r, const struct kg_error *err,
	int http, const char *reason, const struct status_extra *x);
void kg_api_reply_status(struct request *r, int http, const char *reason,
	const struct status_extra *x, const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* 429: there are too many of them already; try again in a second. */
void kg_api_reply_too_many(struct request *r, const char *of_what);
void kg_api_too_large_revision(struct request *r, uint64_t now);

/* ---- YAML (yaml.c), made of the JSON that we write ---- */

void kg_api_yaml(struct kg_buf *out, const struct kg_buf *json);
void kg_api_yaml_item(struct kg_buf *out, const struct kg_buf *json); /* "- ...", of a list */

/* ---- large answers, packed for who takes gzip (gzip.c) ---- */

enum { GZIP_LEAST = 128 << 10 }; /* as Kubernetes has it */
bool kg_api_gzip_wanted(const struct request *r);
/* Packs a body of more than `least` bytes where that is wanted, and says so in the headers. */
void kg_api_gzip_body(struct request *r, struct kg_buf *body, size_t least);
void kg_api_gzip_headers(struct request *r);
struct gzip *kg_api_gzip_new(void);
void kg_api_gzip_free(struct gzip *g);
/* What was added so far can be unpacked from what has been appended to out. */
void kg_api_gzip_add(struct gzip *g, struct kg_buf *out, const char *p, size_t n, bool last);

#endif
